"""Every rule, found by walking this package: a module here with a `rule` in it is a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

from torchmedic.model import Diagnosis, Rule
from torchmedic.observed import Failure


def by_message(rule: Rule, failure: Failure) -> Iterable[Diagnosis]:
    """What a rule without a detector of its own says: the message's facts at the user's line."""
    reading = rule.read(failure.message)
    if reading is not None:
        yield Diagnosis(
            rule,
            failure.raised_at,
            reading.facts,
            variant=reading.variant,
            raised_at=failure.raised_at,
            module_path=failure.failing.path if failure.failing else None,
        )


def _load() -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for info in walk_packages(__path__, f"{__name__}."):
        rule = getattr(import_module(info.name), "rule", None)
        if isinstance(rule, Rule):
            if rule.messages or any(v.messages for v in rule.variants):
                detect: Callable[[Any], Iterable[Diagnosis]] = partial(by_message, rule)
                rule.detectors.setdefault(Failure, detect)
            rules[rule.code] = rule
    return dict(sorted(rules.items()))


RULES = _load()
