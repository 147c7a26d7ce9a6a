"""Backward passes that are functions. Source: https://docs.pytorch.org/docs/stable/autograd.html"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import data_of
from torchmedic.abstract.operators import cuts_of, way_back_of
from torchmedic.abstract.reach import numbers_in
from torchmedic.abstract.registry import function
from torchmedic.abstract.values import Arguments, Const, Sequence, Tensor, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine


def _through(machine: Machine, arguments: Arguments, is_stored: bool) -> None:
    data = data_of(arguments.get(0, "tensors", "outputs") or Const(None))
    if data:
        machine.emit(
            "backward",
            data[0],
            machine.name_of(arguments.node),
            calls=frozenset[int]().union(*(d.calls for d in data)),
            sums=frozenset[int]().union(*(d.sums for d in data)),
            graph=data[0].graph if len(data) == 1 else None,
            reach=machine.ids_of(way_back_of(data)),
            cuts=frozenset(numbers_in(cuts_of(data))),
            is_stored=is_stored,
        )


@function("torch.autograd.backward")
def _backward(machine: Machine, arguments: Arguments) -> Value:
    _through(machine, arguments, True)
    return Const(None)


@function("torch.autograd.grad")
def _grad(machine: Machine, arguments: Arguments) -> Value:
    """The gradients are returned; `.grad` stays as it was."""
    _through(machine, arguments, False)
    graph = None if arguments.get(None, "create_graph") is not None else False
    data = data_of(arguments.get(0, "outputs") or Const(None))
    calls = frozenset[int]().union(*(d.calls for d in data))
    return Sequence("tuple", rest=Tensor(graph, calls if graph is None else frozenset(), dtype=""))


@function("builtins.filter")
def _filter(machine: Machine, arguments: Arguments) -> Value:
    """`filter(lambda p: p.requires_grad, model.parameters())`: some of them."""
    over = arguments.get(1) or Const(None)
    found, _ = machine.iterate(over)
    owners: frozenset[int] = getattr(over, "owners", frozenset())
    rest = machine.either(found) if found else machine.unknown(over)
    some = Sequence("list", rest=rest, owners=owners)
    node = arguments.node.args[0] if isinstance(arguments.node, ast.Call) else None
    some.is_part = node is None or "requires_grad" not in ast.unparse(node)
    return some
