"""Norm layers whose number of dimensions doesn't fit: another class, or the batch dimension that is missing."""

from __future__ import annotations

import ast

from torchmedic.model import Edit, Fix, Span, Text
from torchmedic.observed import Failure, ModuleCall, Source
from torchmedic.observed.construction import constructor
from torchmedic.rules._dimensions import Plan
from torchmedic.rules._sizes import output_of, producer

_CLASS = Text(en="use `{new}` in place of `{old}`", ko="`{old}` 대신 `{new}` 쓰기")


def _number(layer: ModuleCall) -> int:
    """2 for BatchNorm2d; 0 if the class names no number."""
    names = [b for b in layer.bases if b.startswith(("BatchNorm", "InstanceNorm"))]
    return next((n for b in names for n in (1, 2, 3) if f"{n}d" in b), 0)


def _fitting(layer: ModuleCall) -> int:
    """The number in the name of the norm that takes this input; 0 if there's none."""
    rank = len(layer.input.shape) if layer.input else 0
    return {2: 1, 3: 1, 4: 2, 5: 3}.get(rank, 0)


def norm_plan(failure: Failure) -> Plan | None:
    """The batch dimension, where a single sample went through the layers before it."""
    layer = failure.failing
    if layer is None or layer.input is None:
        return None
    shape, n = layer.input.shape, _number(layer)
    if len(shape) != n + 1 or (n == 1 and len(shape) != 1):
        return _single_row(failure, layer)
    before = producer(failure, layer)
    if before is not None and f"{n}d" not in " ".join(before.bases):
        return None
    return Plan("batch_missing", ".unsqueeze(0)", "", (1, *shape))


def _single_row(failure: Failure, layer: ModuleCall) -> Plan | None:
    shape = layer.input.shape if layer.input else ()
    if len(shape) != 1:
        return None
    before = output_of(producer(failure, layer))
    if before is not None and len(before.shape) != 1:
        return None
    return Plan("batch_missing", ".unsqueeze(0)", "", (1, *shape))


def norm_fixes(
    failure: Failure, at: Span | None, fixes: tuple[Fix, ...]
) -> tuple[Span | None, tuple[Fix, ...]]:
    """The fixes that are there already; else the constructor with the norm that fits."""
    layer = failure.failing
    made = constructor(failure, layer) if layer else None
    if fixes or layer is None or made is None:
        return at, fixes
    number, fitting = _number(layer), _fitting(layer)
    if not number or not fitting or number == fitting:
        return at, fixes
    old = next(b for b in layer.bases if b.endswith(f"Norm{number}d"))
    new = old.replace(str(number), str(fitting))
    edits = _renamed(made.source, made.call.func, old, new)
    if not edits:
        return made.source.span(made.call), ()
    fix = Fix(edits, _CLASS.fill(old=old, new=new))
    return made.source.span(made.call), (fix,)


def _renamed(source: Source, node: ast.expr, old: str, new: str) -> tuple[Edit, ...]:
    """The class's name at the call, and in the import where it was imported by name."""
    here = source.span(node)
    if isinstance(node, ast.Attribute) and node.attr == old:
        start = here.end_column - len(old)
        return (Edit(Span(here.path, here.end_line, start, here.end_line, here.end_column), new),)
    if not (isinstance(node, ast.Name) and node.id == old):
        return ()
    call = source.replace(node, new)
    if new in source.imported:
        return (call,)
    for statement in source.nodes(ast.ImportFrom):
        for name in statement.names:
            if name.name == old and name.asname is None and name.end_col_offset is not None:
                end = Span(
                    source.path,
                    name.end_lineno or name.lineno,
                    name.end_col_offset,
                    name.end_lineno or name.lineno,
                    name.end_col_offset,
                )
                return (Edit(end, f", {new}"), call)
    return ()
