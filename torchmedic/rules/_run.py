"""A run's places as events of the source: what the user calls things, the loops and conditions around a place."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import get_args

from torchmedic.model import Span
from torchmedic.observed import Site, Source, load
from torchmedic.observed.trace import Branch, Event, Kind, Loop, Trace

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
assert "step" in get_args(Kind)


def event(kind: Kind, sites: Sequence[Site], name: str = "") -> Event | None:
    """The place as the Source view would tell it: with the loops and arms around it in its own function."""
    if not sites:
        return None
    here, *around = sites
    source = load(here.at.path)
    node = node_at(source, here.at) if source else None
    if source is None or node is None:
        return None
    loops: list[Loop] = []
    branches: list[Branch] = []
    below: ast.AST = node
    for up in source.parents(node):
        if isinstance(up, _SCOPES):
            break
        if isinstance(up, _LOOPS):
            loops.insert(0, Loop(source.span(up), 0))
        elif isinstance(up, ast.If) and below is not up.test:
            branches.insert(0, Branch(source.span(up), int(below in up.orelse)))
        below = up
    return Event(
        kind,
        here.at,
        name=name,
        function=here.function,
        callers=tuple(site.at for site in reversed(around)),
        loops=tuple(loops),
        branches=tuple(branches),
    )


def trace_of(*events: Event) -> Trace | None:
    """The files of these places, for what only edits text."""
    sources = {at.path: found for e in events for at in e.sites if (found := load(at.path))}
    first = sources.get(events[0].at.path) if events else None
    return None if first is None else Trace(first, tuple(events), sources=sources)


def node_at(source: Source, at: Span) -> ast.expr | None:
    """The expression of the span; the only call of the line where the interpreter tells no columns."""
    if at.end_line:
        return source.at(at, ast.expr)
    calls = [n for n in source.nodes(ast.Call) if n.lineno == at.line]
    return calls[0] if len(calls) == 1 else None


def called(site: Site) -> tuple[Source, ast.Call] | None:
    """The call that is in progress there."""
    source = load(site.at.path)
    node = node_at(source, site.at) if source else None
    return (source, node) if source is not None and isinstance(node, ast.Call) else None


def receiver(site: Site) -> str:
    """`X` of `X.method(…)`, and `X` of `scaler.step(X)`; "" if the text is something else."""
    found = called(site)
    if found is None:
        return ""
    source, call = found
    if call.args and isinstance(call.func, ast.Attribute) and call.func.attr == "step":
        handed = source.code(call.args[0])
        owner = source.code(call.func.value)
        return handed if "scaler" in owner.lower() else owner
    return source.code(call.func.value) if isinstance(call.func, ast.Attribute) else ""


def callee(site: Site) -> str:
    """`X` of `X(…)`."""
    found = called(site)
    return found[0].code(found[1].func) if found else ""


def loop_around(sites: Sequence[Site]) -> Span | None:
    """The innermost loop, in the function of the nearest site that is in one."""
    for site in sites:
        source = load(site.at.path)
        node = node_at(source, site.at) if source else None
        if source is None or node is None:
            return None
        for loop in _loops(source, node):
            return source.span(loop)
    return None


def _loops(source: Source, node: ast.AST) -> Iterator[ast.stmt]:
    below = node
    for up in source.parents(node):
        if isinstance(up, _SCOPES):
            return
        if isinstance(up, _LOOPS) and (isinstance(up, ast.While) or below is not up.iter):
            yield up
        below = up
