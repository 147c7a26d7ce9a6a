"""Pooling layers: what they need, and the sizes that they give.

Source: https://docs.pytorch.org/docs/stable/nn.html#pooling-layers
"""

from __future__ import annotations

from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.operation import (
    Call,
    Shape,
    Untold,
    functional,
    layer,
    plain_number,
    text,
)
from torchmedic.abstract.values import Const, Sequence, Value

_POOL = "kernel_size, stride=None, padding=0"
_MAX = _POOL + ", dilation=1, return_indices=False, ceil_mode=False"
_MAX_FUNCTION = _POOL + ", dilation=1, ceil_mode=False, return_indices=False"
_AVERAGE = _POOL + ", ceil_mode=False, count_include_pad=True, divisor_override=None"


def pooled_size(size: Size, kernel: Size, stride: Size, padding: Size, dilation: Size, ceil: bool) -> Size:  # fmt: skip
    """`pooling_output_shape` of aten/src/ATen/native/Pool.h."""
    span = size + padding * 2 - dilation * (kernel - 1) - 1
    if not ceil:
        return span // stride + 1
    total = (span + stride - 1) // stride + 1
    numbers = (total.constant, size.constant, padding.constant, stride.constant)
    if any(n is None for n in numbers):
        exact = span.divided_by(stride)
        if exact is None:
            raise Untold
        return exact + 1
    # The last window has to start inside the input or its left padding.
    count, whole, left, step = numbers
    if (count - 1) * step >= whole + left:  # type: ignore[operator]
        return total - 1
    return total


def _settings(
    call: Call, spatial: int
) -> tuple[list[Size], list[Size], list[Size], list[Size], bool]:
    kernel = call.set_sizes("kernel_size", spatial)
    given = call.setting("stride")
    is_given = not (isinstance(given, Const) and given.value is None)
    if isinstance(given, Sequence) and given.is_exact and not given.items:
        is_given = False
    stride = call.set_sizes("stride", spatial) if is_given else kernel
    padding = call.set_sizes("padding", spatial)
    is_max = "Max" in call.name
    dilation = call.set_sizes("dilation", spatial) if is_max else [Size.of(1)] * spatial
    return kernel, stride, padding, dilation, call.set_flag("ceil_mode")


def _pooled(call: Call) -> Value:
    assert call.layer is not None
    spatial = int(call.layer.type[-2])
    shape = call.shape()
    is_max = "Max" in call.name
    if any(s.constant == 0 for s in shape):
        raise Untold
    _check_rank(call, shape, spatial, is_max)
    kernel, stride, padding, dilation, ceil = _settings(call, spatial)
    for p, k, d in zip(padding, kernel, dilation, strict=True):
        half = (d * (k - 1) + 1).constant
        if p.constant is not None and half is not None and p.constant > half // 2:
            if spatial > 2 or any(x != padding[0] for x in padding):
                raise Untold
            if spatial == 1:
                raise Untold
            call.refuse(
                "RuntimeError",
                f"pad should be at most half of effective kernel size, but got pad={p.constant}, kernel_size={k.constant} and "
                f"dilation={d.constant}",
            )
    if any(s.constant == 0 for s in stride):
        raise Untold
    sizes = [
        pooled_size(s, kernel[i], stride[i], padding[i], dilation[i], ceil)
        for i, s in enumerate(shape[-spatial:])
    ]
    _check_sizes(call, shape, sizes, spatial, is_max, kernel)
    tensor = call.tensor()
    if tensor.dtype == "bool" or (not is_max and tensor.dtype not in ("float32", "float64", "int64", "float16", "bfloat16", "")):  # fmt: skip
        raise Untold
    new = (*shape[:-spatial], *sizes)
    result = call.made(new, tensor.dtype, is_cast=False)
    if is_max and call.set_flag("return_indices"):
        return Sequence("tuple", (result, call.made(new, "int64")))
    return result


def _check_rank(call: Call, shape: Shape, spatial: int, is_max: bool) -> None:
    if len(shape) in (spatial + 1, spatial + 2):
        return
    if spatial == 1 and is_max:
        call.refuse(
            "RuntimeError",
            "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:"
            f"{text(shape)}",
        )
    if spatial == 1 and len(shape) == 1:
        call.refuse(
            "RuntimeError",
            "Expected 2 to 3 dimensions, but got 1-dimensional tensor for argument #1 'self' (while checking arguments for "
            "avg_pool1d)",
        )
    if spatial == 2 and is_max:
        call.refuse("RuntimeError", "non-empty 3D or 4D (batch mode) tensor expected for input")
    raise Untold


def _check_sizes(call: Call, shape: Shape, sizes: list[Size], spatial: int, is_max: bool, kernel: list[Size]) -> None:  # fmt: skip
    if not any(s.constant is not None and s.constant < 1 for s in sizes):
        return
    if (
        any(s.constant is None for s in (*sizes, *shape[-spatial - 1 :]))
        or call.tensor().dtype == "bool"
    ):
        raise Untold
    if spatial == 1 and is_max:
        call.refuse(
            "RuntimeError", f"max_pool1d() Invalid computed output size: {sizes[0].constant}"
        )
    if spatial == 3 and not is_max:
        raise Untold
    given, made = list(shape[-spatial:]), list(sizes)
    if spatial == 1:
        given, made = [Size.of(1), *given], [Size.of(1), *made]
    planes = plain_number(shape[-spatial - 1])
    sides = ["x".join([planes, *(plain_number(s) for s in part)]) for part in (given, made)]
    call.refuse(
        "RuntimeError",
        f"Given input size: ({sides[0]}). Calculated output size: ({sides[1]}). Output size is too small",
    )


def _adaptive(call: Call) -> Value:
    assert call.layer is not None
    spatial = int(call.layer.type[-2])
    shape = call.shape()
    is_max = "Max" in call.name
    if len(shape) not in (spatial + 1, spatial + 2):
        _refuse_adaptive(call, shape, spatial, is_max)
    given = call.setting("output_size")
    parts = list(given.items) if isinstance(given, Sequence) else [given] * spatial
    if len(parts) == 1:
        parts = parts * spatial
    if len(parts) != spatial:
        raise Untold
    sizes = []
    for size, part in zip(shape[-spatial:], parts, strict=True):
        if isinstance(part, Const) and part.value is None:
            sizes.append(size)
            continue
        from torchmedic.abstract.expressions import size_of

        wanted = size_of(part)
        sizes.append(wanted if wanted is not None else Size.fresh("n"))
    dtype = call.tensor().dtype
    if dtype and not dtype.startswith(("float", "bfloat")):
        raise Untold
    new = (*shape[:-spatial], *sizes)
    result = call.made(new, dtype, is_cast=False)
    if is_max and call.set_flag("return_indices"):
        return Sequence("tuple", (result, call.made(new, "int64")))
    return result


def _refuse_adaptive(call: Call, shape: Shape, spatial: int, is_max: bool) -> None:
    if spatial == 2 and is_max:
        call.refuse(
            "RuntimeError",
            f"adaptive_max_pool2d(): Expected 3D or 4D tensor, but got: {text(shape)}",
        )
    if spatial == 1 and not is_max and len(shape) == 1:
        call.refuse(
            "RuntimeError",
            "Expected 2 to 3 dimensions, but got 1-dimensional tensor for argument #1 'self' (while checking arguments for "
            "adaptive_avg_pool1d)",
        )
    raise Untold


for _n in (1, 2, 3):
    layer(_MAX, "input", f"torch.nn.MaxPool{_n}d", is_many=True)(_pooled)
    layer(_AVERAGE, "input", f"torch.nn.AvgPool{_n}d")(_pooled)
    layer("output_size, return_indices=False", "input", f"torch.nn.AdaptiveMaxPool{_n}d", is_many=True)(_adaptive)  # fmt: skip
    layer("output_size", "input", f"torch.nn.AdaptiveAvgPool{_n}d")(_adaptive)
    functional("input", {f"max_pool{_n}d": f"MaxPool{_n}d"}, _MAX_FUNCTION)
    functional("input", {f"avg_pool{_n}d": f"AvgPool{_n}d"})
    for _kind in ("Max", "Avg"):
        functional("input", {f"adaptive_{_kind.lower()}_pool{_n}d": f"Adaptive{_kind}Pool{_n}d"})


def _lp(call: Call) -> Value:
    assert call.layer is not None
    spatial = int(call.layer.type[-2])
    shape = call.shape()
    if len(shape) not in (spatial + 1, spatial + 2) or spatial == 3:
        raise Untold
    kernel = call.set_sizes("kernel_size", spatial)
    given = call.setting("stride")
    is_given = not (isinstance(given, Const) and given.value is None)
    stride = call.set_sizes("stride", spatial) if is_given else kernel
    ceil = call.set_flag("ceil_mode")
    zero, one = Size.of(0), Size.of(1)
    sizes = [
        pooled_size(s, kernel[i], stride[i], zero, one, ceil)
        for i, s in enumerate(shape[-spatial:])
    ]
    if any(s.constant is not None and s.constant < 1 for s in sizes):
        raise Untold
    return call.made((*shape[:-spatial], *sizes), call.tensor().dtype, is_cast=False)


for _n in (1, 2, 3):
    layer("norm_type, kernel_size, stride=None, ceil_mode=False", "input", f"torch.nn.LPPool{_n}d")(
        _lp
    )


@layer("kernel_size, stride=None, padding=0", "input, indices, output_size=None", *(f"torch.nn.MaxUnpool{n}d" for n in (1, 2, 3)))  # fmt: skip
def _unpooled(call: Call) -> Value:
    assert call.layer is not None
    spatial = int(call.layer.type[-2])
    shape = call.shape()
    if call.has("output_size") or len(shape) not in (spatial + 1, spatial + 2):
        raise Untold
    kernel = call.set_sizes("kernel_size", spatial)
    given = call.setting("stride")
    is_given = not (isinstance(given, Const) and given.value is None)
    stride = call.set_sizes("stride", spatial) if is_given else kernel
    padding = call.set_sizes("padding", spatial)
    sizes = [
        (s - 1) * stride[i] + kernel[i] - padding[i] * 2 for i, s in enumerate(shape[-spatial:])
    ]
    return call.made((*shape[:-spatial], *sizes), call.tensor().dtype, is_cast=False)
