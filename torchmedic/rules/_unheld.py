"""Parameters that a run's optimizers did not hold, as the Source view tells them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torchmedic.observed import load
from torchmedic.observed.run import Run
from torchmedic.rules._beside import is_forgotten
from torchmedic.rules._held import Missing, assigned
from torchmedic.rules._reach import PURPOSE
from torchmedic.rules._run import callee, event, node_at, trace_of

if TYPE_CHECKING:
    from torchmedic.observed.run_memory import Unheld

FEWEST = 10  # steps of a run: whoever stops earlier may not have come to the other optimizer


def unheld(run: Run) -> Iterator[tuple[Missing, int]]:
    """With how many numbers they have. Asked while the run goes on, an optimizer may still get them."""
    if not run.is_over:
        return
    told = []
    for one in run.unheld:
        found = _missing(one)
        if found is not None and not re.search(PURPOSE, f"{one.attribute} {one.layer}"):
            told.append(found.made.at)
            yield found, one.parameters
    if run.steps >= FEWEST:  # a layer in a plain list looks like a model of its own
        yield from (each for each in _models(run) if each[0].made.at not in told)


def _models(run: Run) -> Iterator[tuple[Missing, int]]:
    """Whole models. Those that one optimizer should hold as well are told together."""
    found: dict[object, tuple[Missing, int]] = {}
    for one in run.beside:
        missing = _missing(one)
        if missing is None or not is_forgotten(missing):
            continue
        key = missing.form, missing.made.at
        before = found.get(key)
        if before is None:
            found[key] = missing, one.parameters
        elif missing.form == "beside":
            more = before[0]._replace(others=(*before[0].others, missing.layer))
            found[key] = more, before[1] + one.parameters
    yield from found.values()


def _missing(one: Unheld) -> Missing | None:
    made = event("optimizer", one.optimizer_by)
    if made is None:
        return None
    if one.form in ("list", "parameters", "leaf"):
        source = load(one.file) if one.file else None
        owner = source.class_named(one.owner.rpartition(".")[2]) if source is not None else None
        values = list(assigned(owner, one.attribute)) if owner is not None else []
        if source is None or owner is None or len(values) != 1 or "_modules" in source.code(owner):
            return None
        return Missing(one.form, source, values[0], made, one.attribute, one.kind)
    name = callee(one.called_by[0]) if one.called_by else ""
    sites = one.made_by if one.form == "late" else one.optimizer_by
    source = load(sites[0].at.path) if sites else None
    node = node_at(source, sites[0].at) if source is not None else None
    trace = trace_of(made)
    if source is None or not isinstance(node, ast.Call) or not name or trace is None:
        return None
    layer = f"{name}.{one.layer}" if one.form == "late" else name
    found = Missing(one.form, source, node, made, layer=layer, trace=trace)
    return found._replace(is_alone=one.items < 2) if one.form == "beside" else found
