"""Products of matrices. Source: https://docs.pytorch.org/docs/stable/generated/torch.matmul.html"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from torchmedic.abstract.sizes import Size, product
from torchmedic.abstract.tables.broadcasting import broadcast
from torchmedic.abstract.tables.devices import check_argument
from torchmedic.abstract.tables.dtypes import C_TYPES, numpy_promoted, scalar_type
from torchmedic.abstract.tables.operation import (
    Call,
    Refused,
    Shape,
    Signature,
    Untold,
    operation,
    plain_number,
    text,
    unknown_tensor,
)
from torchmedic.abstract.tables.pointwise import common
from torchmedic.abstract.tables.reductions import homes
from torchmedic.abstract.values import Arguments, Tensor, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

_SIGNATURE = Signature("input, other", "matmul", "")


def matmul(machine: Machine, left: Value, right: Value) -> Value:
    """`left @ right`."""
    call = Call(machine, Arguments(ast.Constant(None), [left, right], {}), _SIGNATURE)
    try:
        return multiplied(call, call.tensor("input"), call.tensor("other"))
    except (Untold, Refused):
        return unknown_tensor(machine, [left, right])


def multiplied(call: Call, left: Tensor, right: Tensor) -> Tensor:
    a, b = left.shape, right.shape
    check_argument(
        call, "mat2", f"wrapper_CUDA_{'mm' if b and len(b) == 2 else 'bmm'}", right, left
    )
    if left.library == right.library == "numpy":
        return _of_arrays(call, left, right)
    if left.library != right.library:
        raise Untold
    if a is None or b is None:
        raise Untold
    if not a or not b:
        call.refuse(
            "RuntimeError",
            f"both arguments to matmul need to be at least 1D, but they are {len(a)}D and {len(b)}D",
        )
    if len(a) <= 2 and len(b) <= 2:
        return _small(call, left, right, a, b)
    inner = b[0] if len(b) == 1 else b[-2]
    rows = () if len(a) == 1 else (a[-2],)
    columns = () if len(b) == 1 else (b[-1],)
    is_folded = len(b) <= 2 or len(a) <= 2
    batch = common(call, a[:-2], b[:-2]) if not is_folded else (a[:-2] if len(a) > 2 else b[:-2])
    is_wrong = a[-1].is_different(inner)
    if is_wrong and len(b) == 1:
        rows_given, width, given = (plain_number(s) for s in (product(list(a[:-1])), a[-1], inner))
        call.refuse(
            "RuntimeError",
            f"size mismatch, got input ({rows_given}), mat ({rows_given}x{width}), vec ({given})",
        )
    if is_wrong and len(b) == 2:
        _refuse_product(call, product(list(a[:-1])), a[-1], b[0], b[1])
    if is_wrong and len(b) == len(a) and batch is not None:
        count = product(list(batch))
        call.refuse(
            "RuntimeError",
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"{text((count, a[-1]))} but got: {text((count, inner))}.",
        )
    check_dtypes(call, left, right, "m1" if is_folded else "bmm")
    if is_wrong:
        raise Untold
    shape = (*batch, *rows, *columns) if batch is not None else None
    is_new = len(a) > 2 and len(b) > 2
    return call.made(shape, left.dtype, left, right, is_contiguous=is_new or None, is_new=is_new)


def _small(call: Call, left: Tensor, right: Tensor, a: Shape, b: Shape) -> Tensor:
    if len(a) == 1 and len(b) == 1:
        return _dot(call, left, right)
    if len(b) == 1:
        return _mv(call, left, right)
    if len(a) == 1:
        check_product(call, (Size.of(1), *a), b)
        check_dtypes(call, left, right, "m1")
        return call.made((b[1],), left.dtype, left, right)
    check_product(call, a, b)
    check_dtypes(call, left, right, "m1")
    return call.made((a[0], b[1]), left.dtype, left, right)


def check_product(call: Call, a: Shape, b: Shape) -> None:
    if a[1].is_different(b[0]):
        _refuse_product(call, a[0], a[1], b[0], b[1])


def _refuse_product(call: Call, rows: Size, inner: Size, given: Size, columns: Size) -> None:
    sizes = [plain_number(s) for s in (rows, inner, given, columns)]
    call.refuse(
        "RuntimeError",
        "mat1 and mat2 shapes cannot be multiplied ({}x{} and {}x{})".format(*sizes),
    )


def check_dtypes(call: Call, left: Tensor, right: Tensor, how: str) -> None:
    """Matrices of different dtypes aren't multiplied."""
    a, b = left.dtype, right.dtype
    if not a or not b or a == b or call.machine.modes["autocast"] is not False:
        return
    if how == "m1":
        call.refuse(
            "RuntimeError",
            f"expected m1 and m2 to have the same dtype, but got: {C_TYPES.get(a, a)} != {C_TYPES.get(b, b)}",
        )
    if how == "bmm":
        call.refuse(
            "RuntimeError",
            f"expected scalar type {scalar_type(a)} but found {scalar_type(b)}",
        )
    if how == "dot":
        call.refuse(
            "RuntimeError",
            f"dot : expected both vectors to have same dtype, but found {scalar_type(a)} and {scalar_type(b)}",
        )
    raise Untold


def _dot(call: Call, left: Tensor, right: Tensor) -> Tensor:
    assert left.shape and right.shape
    check_dtypes(call, left, right, "dot")
    a, b = left.shape[0], right.shape[0]
    if a.is_different(b):
        x, y = plain_number(a), plain_number(b)
        call.refuse(
            "RuntimeError",
            f"inconsistent tensor size, expected tensor [{x}] and src [{y}] to have the same number of elements, but got "
            f"{x} and {y} elements respectively",
        )
    return call.made((), left.dtype, left, right)


def _mv(call: Call, left: Tensor, right: Tensor) -> Tensor:
    assert left.shape and right.shape
    rows, columns = left.shape
    if columns.is_different(right.shape[0]):
        x, y, z = (plain_number(s) for s in (rows, columns, right.shape[0]))
        call.refuse("RuntimeError", f"size mismatch, got input ({x}), mat ({x}x{y}), vec ({z})")
    check_dtypes(call, left, right, "addmv")
    return call.made((rows,), left.dtype, left, right)


def _of_arrays(call: Call, left: Tensor, right: Tensor) -> Tensor:
    a, b = left.shape, right.shape
    if not a or not b:
        raise Untold
    inner = b[0] if len(b) == 1 else b[-2]
    if a[-1].is_different(inner):
        raise Untold
    batch, _ = broadcast(a[:-2], b[:-2])
    if batch is None:
        raise Untold
    shape = (*batch, *(() if len(a) == 1 else (a[-2],)), *(() if len(b) == 1 else (b[-1],)))
    return call.made(
        shape, numpy_promoted(left.dtype, right.dtype), left, right, is_contiguous=None
    )


@operation("input, other", *homes("matmul"), "numpy.matmul", "ndarray.dot", "numpy.dot")
def _matmul(call: Call) -> Value:
    left, right = call.tensor(), call.tensor("other")
    if call.name.endswith(".dot") and (right.shape is None or len(right.shape) > 2):
        raise Untold
    return multiplied(call, left, right)


@operation("input, mat2", *homes("mm"))
def _mm(call: Call) -> Value:
    a, b = call.shape(), call.shape("mat2")
    if len(a) != 2:
        call.refuse("RuntimeError", "self must be a matrix")
    if len(b) != 2:
        call.refuse("RuntimeError", "mat2 must be a matrix")
    return multiplied(call, call.tensor(), call.tensor("mat2"))


@operation("input, vec", *homes("mv"))
def _matrix_vector(call: Call) -> Value:
    if len(call.shape()) != 2 or len(call.shape("vec")) != 1:
        raise Untold
    return _mv(call, call.tensor(), call.tensor("vec"))


@operation("input, tensor", *homes("dot", "vdot", "inner"))
@operation("input, other", *homes("inner"))
def _dot_call(call: Call) -> Value:
    name = call.signature.names[1]
    a, b = call.shape(), call.shape(name)
    if len(a) != 1 or len(b) != 1:
        if not call.name.endswith(".dot"):
            raise Untold
        call.refuse("RuntimeError", f"1D tensors expected, but got {len(a)}D and {len(b)}D tensors")
    return _dot(call, call.tensor(), call.tensor(name))


@operation("input, mat2", *homes("bmm"))
def _bmm(call: Call) -> Value:
    return _batched(call, call.tensor(), call.tensor("mat2"))


def _batched(call: Call, left: Tensor, right: Tensor) -> Tensor:
    a, b = left.shape, right.shape
    if a is None or b is None:
        raise Untold
    if len(a) != 3:
        call.refuse("RuntimeError", "batch1 must be a 3D tensor")
    if len(b) != 3:
        call.refuse("RuntimeError", "batch2 must be a 3D tensor")
    if a[0].is_different(b[0]) or a[2].is_different(b[1]):
        call.refuse(
            "RuntimeError",
            f"Expected size for first two dimensions of batch2 tensor to be: {text((a[0], a[2]))} but got: "
            f"{text((b[0], b[1]))}.",
        )
    check_dtypes(call, left, right, "bmm")
    return call.made((a[0], a[1], b[2]), left.dtype, *call.inputs(), is_new=True)


@operation("input, mat1, mat2, beta=1, alpha=1", *homes("addmm"))
def _addmm(call: Call) -> Value:
    a, b = call.shape("mat1"), call.shape("mat2")
    if len(a) != 2 or len(b) != 2:
        raise Untold
    check_product(call, a, b)
    dtypes = {call.tensor(n).dtype for n in ("input", "mat1", "mat2")}
    if len(dtypes) > 1:
        raise Untold
    shape, clash = broadcast(call.tensor().shape, (a[0], b[1]))
    if clash is not None or (shape is not None and len(shape) > 2):
        raise Untold
    return call.made((a[0], b[1]), call.tensor().dtype)


@operation("input, batch1, batch2, beta=1, alpha=1", *homes("baddbmm"))
def _baddbmm(call: Call) -> Value:
    if len({call.tensor(n).dtype for n in ("input", "batch1", "batch2")}) > 1:
        raise Untold
    return _batched(call, call.tensor("batch1"), call.tensor("batch2"))


@operation("input, vec2", *homes("outer", "ger"))
def _outer(call: Call) -> Value:
    a, b = call.shape(), call.shape("vec2")
    if len(a) != 1:
        call.refuse("RuntimeError", f"outer: Expected 1-D argument self, but got {len(a)}-D")
    if len(b) != 1:
        call.refuse("RuntimeError", f"outer: Expected 1-D argument vec2, but got {len(b)}-D")
    from torchmedic.abstract.tables.dtypes import of_operands

    return call.made((a[0], b[0]), of_operands(call.machine, call.tensor(), call.tensor("vec2")))


@operation("x1, x2, p=2.0, compute_mode=None", "torch.cdist")
def _cdist(call: Call) -> Value:
    a, b = call.shape("x1"), call.shape("x2")
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-1]:
        raise Untold
    batch = common(call, a[:-2], b[:-2])
    if batch is None or call.tensor("x1").dtype != call.tensor("x2").dtype:
        raise Untold
    return call.made((*batch, a[-2], b[-2]), call.tensor("x1").dtype)
