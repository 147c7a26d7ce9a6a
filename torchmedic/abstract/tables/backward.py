"""The backward pass. Source: https://docs.pytorch.org/docs/stable/notes/autograd.html"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from torchmedic.abstract.reach import numbers_in
from torchmedic.abstract.registry import tensor_method
from torchmedic.abstract.sizes import product
from torchmedic.abstract.values import (
    Arguments,
    Const,
    Data,
    Tensor,
    Value,
)
from torchmedic.observed.source import written

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine


def backward(machine: Machine, value: Data, arguments: Arguments) -> Value:
    called = arguments.node.func if isinstance(arguments.node, ast.Call) else None
    name = written(called.value) if isinstance(called, ast.Attribute) else ""
    machine.emit(
        "backward",
        value,
        name,
        calls=value.calls,
        sums=value.sums,
        graph=value.graph,
        reach=machine.ids_of(value.way_back),
        cuts=frozenset(numbers_in(value.cuts)),
        is_kept=bool(arguments.all()),
        cast=machine.modes["cast"],
    )
    if isinstance(value, Tensor) and machine.modes["grad"] is True:
        if value.graph is False:
            machine.fail(
                "RuntimeError",
                "element 0 of tensors does not require grad and does not have a grad_fn",
            )
        elif value.graph and value.shape and not arguments.all():
            count = product(list(value.shape)).constant
            if count is not None and count > 1:
                machine.fail(
                    "RuntimeError", "grad can be implicitly created only for scalar outputs"
                )
    return Const(None)


@tensor_method("backward")
def _backward(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    return backward(machine, tensor, arguments)
