"""Convolutions. out = floor((in + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.registry import BASES, made
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.layers import (
    FACTORY,
    check_dtype,
    parameter,
    setting,
    trains,
    weight_dtype,
)
from torchmedic.abstract.tables.operation import (
    Call,
    Shape,
    Untold,
    layer,
    operation,
    plain_number,
    sizes_of,
    text,
)
from torchmedic.abstract.values import Arguments, Const, Object, Sequence, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

_OUT = "out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode='zeros'"
_TRANSPOSED = "out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1, padding_mode='zeros'"
ZERO = Size.of(0)
for _n in (1, 2, 3):
    BASES[f"Conv{_n}d"] = ("_ConvNd",)
    BASES[f"ConvTranspose{_n}d"] = ("_ConvTransposeNd", "_ConvNd")


def out_size(size: Size, kernel: Size, stride: Size, padding: Size, dilation: Size) -> Size:
    return (size + padding * 2 - dilation * (kernel - 1) - 1) // stride + 1


def _kernel(layer: Object, spatial: int) -> list[Size | None]:
    value = setting(layer, "kernel_size")
    if isinstance(value, Sequence) and value.is_exact and len(value.items) in (1, spatial):
        found = [size_of(v) for v in value.items]
        return found * spatial if len(found) == 1 else found
    return [size_of(value)] * spatial


@made(
    *(
        f"torch.nn.{lazy}Conv{kind}{n}d"
        for n in (1, 2, 3)
        for lazy in ("", "Lazy")
        for kind in ("", "Transpose")
    )
)
def _weight(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    channels, groups = size_of(setting(layer, "in_channels")), size_of(setting(layer, "groups"))
    out = size_of(setting(layer, "out_channels"))
    first, second = (channels, out) if "Transpose" in layer.type else (out, channels)
    inner = second // groups if second is not None and groups is not None else None
    parameter(machine, layer, first, inner, *_kernel(layer, int(layer.type[-2])))
    _check_settings(machine, layer, channels, out, groups)
    return layer


def _check_settings(
    machine: Machine, layer: Object, channels: Size | None, out: Size | None, groups: Size | None
) -> None:
    """What the constructor refuses."""
    by = groups.constant if groups is not None else None
    if not by:
        return
    for name, size in (("in_channels", channels), ("out_channels", out)):
        if size is not None and size.constant is not None and size.constant % by:
            machine.fail("ValueError", f"{name} must be divisible by groups")
            return


def _batched(call: Call, shape: Shape, spatial: int) -> Shape:
    """With a batch dimension, as the message shows an unbatched input."""
    return (Size.of(1), *shape) if len(shape) == spatial + 1 else shape


def _check_rank(call: Call, shape: Shape, spatial: int, name: str) -> None:
    if len(shape) not in (spatial + 1, spatial + 2):
        call.refuse(
            "RuntimeError",
            f"Expected {spatial + 1}D (unbatched) or {spatial + 2}D (batched) input to {name}{spatial}d, but got input of "
            f"size: {text(shape)}",
        )


def check_channels(call: Call, shape: Shape, weight: Shape, groups: Size, spatial: int) -> None:
    needed = weight[1] * groups
    given = shape[-spatial - 1]
    if given.is_different(needed):
        call.refuse(
            "RuntimeError",
            f"Given groups={plain_number(groups)}, weight of size {text(weight)}, expected input"
            f"{text(_batched(call, shape, spatial))} to have {plain_number(needed)} channels, but got {plain_number(given)} "
            "channels instead",
        )


def convolved(
    call: Call, shape: Shape, weight: Shape, how: list[list[Size]], same: bool
) -> list[Size]:
    """The new sizes. `how`: stride, padding, dilation, each for every dimension."""
    stride, padding, dilation = how
    spatial = len(stride)
    if same:
        return list(shape[-spatial:])
    padded = [s + p * 2 for s, p in zip(shape[-spatial:], padding, strict=True)]
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, weight[-spatial:], strict=True)]
    if any(
        (a - b).constant is not None and (a - b).constant < 0
        for a, b in zip(padded, spans, strict=True)
    ):
        if any(s.constant is None for s in (*padded, *spans)):
            raise Untold
        sides = [" x ".join(plain_number(s) for s in sizes) for sizes in (padded, spans)]
        call.refuse(
            "RuntimeError",
            f"Calculated padded input size per channel: ({sides[0]}). Kernel size: ({sides[1]}). Kernel size can't be greater "
            "than actual input size",
        )
    return [
        out_size(s, weight[-spatial + i], stride[i], padding[i], dilation[i])
        for i, s in enumerate(shape[-spatial:])
    ]


def _convolution(call: Call) -> Value:
    assert call.layer is not None
    spatial = int(call.layer.type[-2])
    mode = call.set_constant("padding_mode")
    if call.set_flag("bias") and mode == "zeros":
        check_dtype(call, "Input type ({given_c}) and bias type ({own_c}) should be the same")
    shape = call.shape()
    if mode != "zeros" and len(shape) not in (spatial + 1, spatial + 2):
        raise Untold
    _check_rank(call, shape, spatial, "conv")
    kernel = call.set_sizes("kernel_size", spatial)
    out, groups = call.set_size("out_channels"), call.set_size("groups")
    channels = shape[-spatial - 1] if "Lazy" in call.layer.type else call.set_size("in_channels")
    word = call.setting("padding")
    is_same = isinstance(word, Const) and word.value == "same"
    is_valid = isinstance(word, Const) and word.value == "valid"
    padding = [ZERO] * spatial if is_same or is_valid else call.set_sizes("padding", spatial)
    if mode != "zeros":
        if is_same or weight_dtype(call) != call.tensor().dtype:
            raise Untold
        padded = [s + p * 2 for s, p in zip(shape[-spatial:], padding, strict=True)]
        shape, padding = (*shape[:-spatial], *padded), [ZERO] * spatial
    weight = (out, channels // groups, *kernel)
    check_channels(call, shape, weight, groups, spatial)
    if len(shape) == spatial + 1 and shape[0] != channels:
        raise Untold  # a batch that is taken for channels
    how = [call.set_sizes("stride", spatial), padding, call.set_sizes("dilation", spatial)]
    sizes = convolved(call, shape, weight, how, is_same)
    check_dtype(call, "expected scalar type {given} but found {own}")
    return call.made(
        (*shape[: -spatial - 1], out, *sizes), weight_dtype(call), has_parameters=trains(call)
    )


def _transposed(call: Call) -> Value:
    assert call.layer is not None
    spatial = int(call.layer.type[-2])
    shape = call.shape()
    _check_rank(call, shape, spatial, "conv_transpose")
    out, groups = call.set_size("out_channels"), call.set_size("groups")
    channels = shape[-spatial - 1] if "Lazy" in call.layer.type else call.set_size("in_channels")
    kernel = call.set_sizes("kernel_size", spatial)
    more = [call.set_sizes(n, spatial) for n in ("stride", "padding", "dilation", "output_padding")]
    given = shape[-spatial - 1]
    if call.has("output_size"):
        raise Untold
    if given.is_different(channels):
        weight = (channels, out // groups, *kernel)
        call.refuse(
            "RuntimeError",
            f"Given transposed=1, weight of size {text(weight)}, expected input{text(_batched(call, shape, spatial))} to have "
            f"{plain_number(channels)} channels, but got {plain_number(given)} channels instead",
        )
    if weight_dtype(call) != call.tensor().dtype and call.machine.modes["autocast"] is False:
        raise Untold
    sizes = []
    for i, size in enumerate(shape[-spatial:]):
        stride, padding, dilation, extra = (m[i] for m in more)
        sizes.append((size - 1) * stride - padding * 2 + dilation * (kernel[i] - 1) + extra + 1)
        numbers = [extra.constant, stride.constant, dilation.constant]
        if None not in numbers and numbers[0] >= max(numbers[1], numbers[2]):  # type: ignore[type-var, operator]
            raise Untold
    return call.made(
        (*shape[: -spatial - 1], out, *sizes), weight_dtype(call), has_parameters=trains(call)
    )


for _n in (1, 2, 3):
    layer("in_channels, " + _OUT + FACTORY, "input", f"torch.nn.Conv{_n}d")(_convolution)
    layer(_OUT + FACTORY, "input", f"torch.nn.LazyConv{_n}d")(_convolution)
    layer("in_channels, " + _TRANSPOSED + FACTORY, "input, output_size=None", f"torch.nn.ConvTranspose{_n}d")(_transposed)  # fmt: skip
    layer(_TRANSPOSED + FACTORY, "input, output_size=None", f"torch.nn.LazyConvTranspose{_n}d")(_transposed)  # fmt: skip


def _function(spatial: int) -> None:
    name = f"conv{spatial}d"

    @operation(
        "input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1",
        f"torch.nn.functional.{name}",
        f"torch.{name}",
    )
    def work(call: Call) -> Value:
        shape, weight = call.shape(), call.shape("weight")
        _check_rank(call, shape, spatial, "conv")
        if len(weight) != spatial + 2 or call.tensor().dtype != call.tensor("weight").dtype:
            raise Untold
        groups = call.size("groups")
        mode = call.value("padding")
        is_same = isinstance(mode, Const) and mode.value == "same"
        words = is_same or (isinstance(mode, Const) and mode.value == "valid")
        check_channels(call, shape, weight, groups, spatial)
        padding = [ZERO] * spatial if words else _spread(mode, spatial)
        how = [
            _spread(call.value("stride"), spatial),
            padding,
            _spread(call.value("dilation"), spatial),
        ]
        sizes = convolved(call, shape, weight, how, is_same)
        return call.made((*shape[: -spatial - 1], weight[0], *sizes), call.tensor().dtype)


def _spread(value: Value, count: int) -> list[Size]:
    found = sizes_of([value])
    if len(found) == 1:
        found = found * count
    if len(found) != count:
        raise Untold
    return found


for _n in (1, 2, 3):
    _function(_n)
