"""Every rule, found by walking this package: a module with a `rule` in it is one; `_name.py` has what rules share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from functools import partial
from importlib import import_module
from pkgutil import walk_packages

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


class Rules(MutableMapping[str, Rule]):
    """Rules by their codes, in the order of these. A module is imported when its rule may be needed."""

    def __init__(self, folders: Sequence[str], package: str) -> None:
        self._waiting = {
            info.name: getattr(info.module_finder, "path", "")
            for info in walk_packages(folders, f"{package}.")
            if not info.ispkg and "._" not in info.name
        }
        self._rules: dict[str, Rule] = {}
        self._imported: set[type] = set()  # kinds of observations whose rules are there

    def of(self, kind: type) -> list[Rule]:
        """The rules with a detector for observations of that kind.

        A module without `.on(kind)` in its text has none, and stays unread: `explain` needs no rule about sources.
        """
        if kind not in self._imported:
            self._import_with(f".on({kind.__name__})", *(["messages"] if kind is Failure else []))
            self._imported.add(kind)
        return [rule for rule in self._rules.values() if kind in rule.detectors]

    def _import_with(self, *words: str) -> None:
        """Imports the modules in whose text one of the words is."""
        self._import([name for name in self._waiting if self._has(name, words)])

    def _has(self, name: str, words: Sequence[str]) -> bool:
        try:
            with open(f"{self._waiting[name]}/{name.rpartition('.')[2]}.py", "rb") as file:
                text = file.read()
        except OSError:  # in an archive
            return True
        return any(word.encode() in text for word in words)

    def _import(self, names: Iterable[str]) -> None:
        for name in names:
            rule = getattr(import_module(name), "rule", None)
            del self._waiting[name]
            if isinstance(rule, Rule):
                if rule.messages or any(v.messages for v in rule.variants):
                    rule.detectors.setdefault(Failure, partial(by_message, rule))
                self._rules[rule.code] = rule
        self._rules = dict(sorted(self._rules.items()))

    def _all(self) -> dict[str, Rule]:
        if self._waiting:
            self._import([*self._waiting])
        return self._rules

    def __getitem__(self, code: str) -> Rule:
        if code not in self._rules:
            self._import_with(f'"{code}"')
        return self._rules[code]

    def __setitem__(self, code: str, rule: Rule) -> None:
        self._all()[code] = rule

    def __delitem__(self, code: str) -> None:
        del self._all()[code]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


RULES = Rules(__path__, __name__)
