"""Parameters that get other values than their layer drew. Source: https://docs.pytorch.org/docs/stable/nn.init.html"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from torchmedic.abstract.registry import function
from torchmedic.abstract.values import Arguments, Const, Object, Tensor, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.machine import State
    from torchmedic.abstract.program import Machine


def note_overwritten(machine: State, tensor: Tensor) -> None:
    """All elements of a parameter, or of what stands for all parameters of its owners, are written."""
    if not tensor.owners or "grad" in tensor.through:
        return
    base = machine.same_memory.get(tensor.id, tensor)
    is_one = any(base is one for n in tensor.owners for one in parameters_in(machine.parts.get(n)))
    machine.emit("overwrite", base, inside=frozenset() if is_one else tensor.owners)


def parameters_in(layer: Object | None) -> list[Tensor]:
    """Those that have a name in it, without those of its children."""
    if layer is None:
        return []
    held = (*layer.state.get("parameters", {}).values(), *layer.attributes.values())
    return [one for one in held if isinstance(one, Tensor) and one.is_parameter]


def share_memory(machine: State, tensor: Tensor, other: Tensor) -> Tensor:
    """`other`, a new value with the tensor's elements: what is written into the one is in both."""
    if tensor.owners:
        machine.same_memory[other.id] = machine.same_memory.get(tensor.id, tensor)
    return other


def is_whole(statement: ast.AST | None) -> bool:
    """True for `tensor[:] = …` and `tensor[...] = …`."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    keys = [target.slice for target in targets if isinstance(target, ast.Subscript)]
    return any(
        (isinstance(key, ast.Slice) and not (key.lower or key.upper or key.step))
        or (isinstance(key, ast.Constant) and key.value is ...)
        for key in keys
    )


def _filled(*names: str) -> None:
    @function(*(f"torch.nn.init.{name}_" for name in names))
    def work(machine: Machine, arguments: Arguments) -> Value:
        given = arguments.get(0, "tensor")
        if isinstance(given, Tensor):
            note_overwritten(machine, given)
        return given or Unknown()


_filled("zeros", "ones", "constant", "eye", "dirac", "uniform", "normal", "trunc_normal", "xavier_uniform", "xavier_normal",
        "kaiming_uniform", "kaiming_normal", "orthogonal")  # fmt: skip


@function("torch.nn.utils.vector_to_parameters")
def _vector_to_parameters(machine: Machine, arguments: Arguments) -> Value:
    over = arguments.get(1, "parameters") or Const(None)
    machine.emit("overwrite", over, inside=getattr(over, "owners", frozenset()))
    return Const(None)
