"""Products of matrices. Source: https://docs.pytorch.org/docs/stable/generated/torch.matmul.html"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.registry import function, tensor_method
from torchmedic.abstract.sizes import Size, number, product
from torchmedic.abstract.tables.arithmetic import broadcast, promoted
from torchmedic.abstract.values import Arguments, Tensor, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine


def matmul(machine: Machine, left: Value, right: Value) -> Value:
    if not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return machine.derived(left, right)
    a, b = left.shape, right.shape
    dtype = promoted(left.dtype, right.dtype)
    if not a or not b:
        return machine.derived(left, right, dtype=dtype)
    inner = b[0] if len(b) == 1 else b[-2]
    if a[-1].is_different(inner) and left.library == right.library == "torch":
        _told(machine, a, b)
    rows = () if len(a) == 1 else (a[-2],)
    columns = () if len(b) == 1 else (b[-1],)
    batch, _ = broadcast(a[:-2], b[:-2])
    shape = (*batch, *rows, *columns) if batch is not None else None
    return machine.derived(left, right, shape=shape, dtype=dtype, library=left.library)


def _told(machine: Machine, a: tuple[Size, ...], b: tuple[Size, ...]) -> None:
    if len(b) == 2 and len(a) >= 2:
        rows = number(product(list(a[:-1])))
        machine.fail(
            "RuntimeError",
            "mat1 and mat2 shapes cannot be multiplied "
            f"({int(rows)}x{int(number(a[-1]))} and {int(number(b[0]))}x{int(number(b[1]))})",
        )


@function("torch.matmul", "torch.mm", "torch.bmm", "numpy.matmul", "numpy.dot")
def _matmul(machine: Machine, arguments: Arguments) -> Value:
    left, right = arguments.get(0, "input"), arguments.get(1, "other", "mat2")
    return matmul(machine, left or Unknown(), right or Unknown())


@tensor_method("matmul", "mm", "bmm", "dot")
def _matmul_method(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    return matmul(machine, tensor, arguments.get(0, "other", "mat2", "tensor") or Unknown())
