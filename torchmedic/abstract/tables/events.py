"""Events that containers and conversions make: sums over steps, values taken out of the graph."""

from __future__ import annotations

import ast
import itertools
from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import data_of
from torchmedic.abstract.values import Const, Data, Sequence, Tensor, Unknown, Value
from torchmedic.observed.source import written

if TYPE_CHECKING:
    from torchmedic.abstract.modules import Modules
    from torchmedic.abstract.program import Machine

OWN_GENERATOR = ("generator", "random_state", "rng")
_numbers = itertools.count(1)


def accumulate(
    machine: Machine,
    node: ast.stmt,
    target: ast.expr,
    before: Value,
    value: Value,
    result: Value,
) -> Value:
    """`total += loss`: the result remembers that it went through this sum."""
    data = [d for d in data_of(value) if d.calls or d.graph]
    if not data or not machine.loops:
        return result
    number = next(_numbers)
    machine.emit(
        "accumulate",
        before,
        written(target),
        node,
        sum=number,
        graph=_graph(data),
        calls=frozenset().union(*(d.calls for d in data)) - _calls(before),
        sums=frozenset().union(*(d.sums for d in data)),
        added=frozenset(d.id for d in data),
        is_scalar=all(isinstance(d, Tensor) and d.shape == () for d in data),
        before=frozenset[int]().union(*(d.sums for d in data_of(before))),
        container="number",
    )
    for one in data_of(result):
        one.sums = one.sums | {number}
    return result


def appended(machine: Machine, held: Sequence, value: Value) -> Value:
    """`losses.append(loss)`: the item remembers it."""
    data = [d for d in data_of(value) if d.calls or d.graph]
    if not data or not machine.loops:
        return value
    number = next(_numbers)
    machine.emit(
        "accumulate",
        held,
        machine.name_of(machine.frame.node),
        sum=number,
        graph=_graph(data),
        calls=frozenset().union(*(d.calls for d in data)),
        sums=frozenset().union(*(d.sums for d in data)),
        added=frozenset(d.id for d in data),
        is_scalar=all(isinstance(d, Tensor) and d.shape == () for d in data),
        before=frozenset[int]().union(*(d.sums for d in data_of(held))),
        container="list",
    )
    if isinstance(value, Tensor):
        copy = Tensor(**{k: v for k, v in vars(value).items() if k not in ("id", "known_length")})
        copy.sums = value.sums | {number}
        return copy
    if isinstance(value, Unknown):
        return Unknown(
            value.graph,
            value.calls,
            value.sums | {number},
            value.hint,
            value.why,
            reach=value.reach,
            cuts=value.cuts,
        )
    for one in data:
        one.sums = one.sums | {number}
    return value


def _calls(value: Value) -> frozenset[int]:
    return frozenset().union(*(d.calls for d in data_of(value)))


def _graph(data: list[Data]) -> bool | None:
    graphs = {d.graph for d in data}
    return True if True in graphs else None if None in graphs else False


def converted(machine: Machine, value: Data, how: str) -> int:
    """A value leaves the graph: `.item()`, `.detach()`, `.numpy()`, `float(x)`. The `cuts` of what it becomes."""
    if how not in ("detach", "numpy"):
        machine.note_use(value)
    if value.calls or value.graph:
        machine.emit(
            "convert", value, how=how, graph=value.graph, calls=value.calls, sums=value.sums
        )
    return value.cuts | machine.cut(how, value)


def drawn(machine: Modules, which: str, what: str = "") -> None:
    """Random numbers of a global generator: "torch", "numpy", "random". Not if the call brings its own generator.

    In a worker of a DataLoader all three were seeded by it, from torch's generator.
    """
    node = machine.frame.node
    if isinstance(node, ast.Call) and any(k.arg in OWN_GENERATOR for k in node.keywords):
        return
    name = what or machine.name_of(node)
    machine.emit("draw", name=name, which="torch" if machine.modes["workers"] else which)


def constant(value: Value | None) -> object:
    return value.value if isinstance(value, Const) else None
