"""Padding, and what puts pixels together or apart.

Source: https://docs.pytorch.org/docs/stable/nn.html#padding-layers and #vision-layers
"""

from __future__ import annotations

from torchmedic.abstract.sizes import Size, product
from torchmedic.abstract.tables.operation import (
    Call,
    Shape,
    Untold,
    functional,
    layer,
    operation,
    plain_number,
    sizes_of,
    text,
)
from torchmedic.abstract.tables.views import flattened, unflattened
from torchmedic.abstract.values import Const, Sequence, Value

_SETTINGS = {"Zero": "padding", "Constant": "padding, value", "Reflection": "padding", "Replication": "padding", "Circular": "padding"}  # fmt: skip
_MODES = {"Reflection": "reflect", "Replication": "replicate", "Circular": "circular"}


def _padded(call: Call, pads: list[Size], mode: str) -> Value:
    """`pads`: before and after, the last dimension first."""
    shape = call.shape()
    if len(pads) % 2:
        call.refuse("RuntimeError", "Padding length must be divisible by 2")
    if mode != "constant":
        _check_mode(call, shape, pads, mode)
    elif len(pads) > 2 * len(shape):
        call.refuse(
            "RuntimeError",
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pads)} and input of dimension {len(shape)}",
        )
    sizes = list(shape)
    for index in range(len(pads) // 2):
        sizes[-1 - index] = sizes[-1 - index] + pads[2 * index] + pads[2 * index + 1]
    if any(s.constant is not None and s.constant < 1 for s in sizes):
        raise Untold
    return call.made(tuple(sizes), call.tensor().dtype, call.tensor(), is_cast=False)


def _check_mode(call: Call, shape: Shape, pads: list[Size], mode: str) -> None:
    spatial = len(pads) // 2
    if len(shape) not in (spatial + 1, spatial + 2):
        call.refuse(
            "NotImplementedError",
            f"Padding size {len(pads)} is not supported for {len(shape)}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)",
        )
    for index in range(spatial):
        size = shape[-1 - index].constant
        for pad in (pads[2 * index], pads[2 * index + 1]):
            if (
                pad.constant is None
                or pad.constant < 0
                or (size is not None and pad.constant >= size)
            ):
                raise Untold


def _pad_layer(kind: str, spatial: int) -> None:
    @layer(_SETTINGS[kind], "input", f"torch.nn.{kind}Pad{spatial}d")
    def work(call: Call) -> Value:
        pads = sizes_of([call.setting("padding")])
        if len(pads) == 1:
            pads = pads * (2 * spatial)
        if len(pads) != 2 * spatial:
            raise Untold
        return _padded(call, pads, _MODES.get(kind, "constant"))


for _n in (1, 2, 3):
    for _kind in _SETTINGS:
        _pad_layer(_kind, _n)


@operation("input, pad, mode='constant', value=None", "torch.nn.functional.pad")
def _pad(call: Call) -> Value:
    return _padded(call, call.sizes("pad"), call.constant("mode"))


# --- flatten


@layer("start_dim=1, end_dim=-1", "input", "torch.nn.Flatten")
def _flatten(call: Call) -> Value:
    return flattened(call, call.setting("start_dim"), call.setting("end_dim"))


@layer("dim, unflattened_size", "input", "torch.nn.Unflatten")
def _unflatten(call: Call) -> Value:
    dim = call.set_constant("dim")
    if type(dim) is not int:
        raise Untold
    return unflattened(call, dim, call.setting("unflattened_size"))


# --- pixels


@layer("upscale_factor", "input", "torch.nn.PixelShuffle")
def _pixel_shuffle(call: Call) -> Value:
    shape, factor = call.shape(), call.set_size("upscale_factor")
    if len(shape) < 3:
        raise Untold
    area = factor * factor
    exact = shape[-3].divided_by(area)
    if exact is None:
        if shape[-3].constant is not None and area.constant:
            call.refuse(
                "RuntimeError",
                "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
                f"input.size(-3)={plain_number(shape[-3])} is not divisible by {plain_number(area)}",
            )
        raise Untold
    sizes = (*shape[:-3], exact, shape[-2] * factor, shape[-1] * factor)
    return call.made(sizes, call.tensor().dtype, is_cast=False)


@layer("downscale_factor", "input", "torch.nn.PixelUnshuffle")
def _pixel_unshuffle(call: Call) -> Value:
    shape, factor = call.shape(), call.set_size("downscale_factor")
    if len(shape) < 3:
        raise Untold
    rows, columns = shape[-2].divided_by(factor), shape[-1].divided_by(factor)
    for size, exact, name, at in (
        (shape[-2], rows, "height", -2),
        (shape[-1], columns, "width", -1),
    ):
        if exact is None:
            if size.constant is not None and factor.constant:
                call.refuse(
                    "RuntimeError",
                    f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but input.size({at})="
                    f"{plain_number(size)} is not divisible by {plain_number(factor)}",
                )
            raise Untold
    assert rows is not None and columns is not None
    sizes = (*shape[:-3], shape[-3] * factor * factor, rows, columns)
    return call.made(sizes, call.tensor().dtype, is_cast=False)


@layer("groups", "input", "torch.nn.ChannelShuffle")
def _channel_shuffle(call: Call) -> Value:
    if len(call.shape()) < 3:
        raise Untold
    return call.made(call.shape(), call.tensor().dtype, is_cast=False)


functional("input", {"pixel_shuffle": "PixelShuffle", "pixel_unshuffle": "PixelUnshuffle", "channel_shuffle": "ChannelShuffle"})  # fmt: skip


# --- windows


def _blocks(call: Call, sizes: list[Size]) -> list[Size]:
    kernel, dilation, padding, stride = (
        call.set_sizes(n, 2) for n in ("kernel_size", "dilation", "padding", "stride")
    )
    found = [
        (s + padding[i] * 2 - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1
        for i, s in enumerate(sizes)
    ]
    if any(f.constant is not None and f.constant < 1 for f in found):
        raise Untold
    return found


@layer("kernel_size, dilation=1, padding=0, stride=1", "input", "torch.nn.Unfold")
def _unfold(call: Call) -> Value:
    shape = call.shape()
    if len(shape) not in (3, 4):
        raise Untold
    kernel = call.set_sizes("kernel_size", 2)
    blocks = _blocks(call, list(shape[-2:]))
    sizes = (*shape[:-3], shape[-3] * kernel[0] * kernel[1], blocks[0] * blocks[1])
    return call.made(sizes, call.tensor().dtype, is_cast=False)


@layer("output_size, kernel_size, dilation=1, padding=0, stride=1", "input", "torch.nn.Fold")
def _fold(call: Call) -> Value:
    shape = call.shape()
    if len(shape) not in (2, 3):
        raise Untold
    out, kernel = call.set_sizes("output_size", 2), call.set_sizes("kernel_size", 2)
    area = kernel[0] * kernel[1]
    exact = shape[-2].divided_by(area)
    if exact is None:
        if len(shape) == 3 and shape[-2].constant is not None and area.constant:
            call.refuse(
                "RuntimeError",
                "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)="
                f"{plain_number(shape[-2])} and kernel_size=({plain_number(kernel[0])}, {plain_number(kernel[1])}).",
            )
        raise Untold
    blocks = _blocks(call, out)
    if product(blocks).is_different(shape[-1]):
        raise Untold
    return call.made((*shape[:-2], exact, *out), call.tensor().dtype, is_cast=False)


functional("input", {"unfold": "Unfold", "fold": "Fold"})


# --- interpolation


@layer("size=None, scale_factor=None, mode='nearest', align_corners=None, recompute_scale_factor=None", "input", "torch.nn.Upsample")  # fmt: skip
@layer("size=None, scale_factor=None", "input", "torch.nn.UpsamplingNearest2d", "torch.nn.UpsamplingBilinear2d")  # fmt: skip
def _upsample(call: Call) -> Value:
    shape = call.shape()
    spatial = len(shape) - 2
    mode = "nearest" if call.name.endswith("2d") else call.set_constant("mode")
    needed = {"linear": 3, "bilinear": 4, "bicubic": 4, "trilinear": 5}.get(mode)
    if not 1 <= spatial <= 3:
        raise Untold
    if needed is not None and needed != len(shape):
        if mode == "bicubic":
            raise Untold
        call.refuse(
            "NotImplementedError", f"Got {len(shape)}D input, but {mode} mode needs {needed}D input"
        )
    size, factor = call.setting("size"), call.setting("scale_factor")
    if not (isinstance(size, Const) and size.value is None):
        found = sizes_of([size])
        if isinstance(size, Sequence) and len(found) != spatial:
            if not all(f.constant is not None for f in (*found, *shape[2:])):
                raise Untold
            told = ", ".join(plain_number(f) for f in found) + ("," if len(found) == 1 else "")
            call.refuse(
                "ValueError",
                f"Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of "
                f"{text(shape[2:])} and output size of ({told}). Please provide input tensor in (N, C, d1, d2, ...,dK) format "
                "and output size in (o1, o2, ...,oK) format.",
            )
        return _resized(call, shape, found if len(found) == spatial else found * spatial)
    if isinstance(factor, Const) and factor.value is None:
        call.refuse("ValueError", "either size or scale_factor should be defined")
    return _resized(call, shape, _scaled(list(shape[2:]), factor))


def _scaled(sizes: list[Size], factor: Value) -> list[Size]:
    parts = list(factor.items) if isinstance(factor, Sequence) else [factor] * len(sizes)
    if len(parts) != len(sizes):
        raise Untold
    result = []
    for size, part in zip(sizes, parts, strict=True):
        by = part.value if isinstance(part, Const) else None
        if type(by) is int or (type(by) is float and by.is_integer()):
            result.append(size * int(by))
        elif type(by) is float and size.constant is not None:
            result.append(Size.of(int(size.constant * by)))
        else:
            result.append(Size.fresh("n"))
    return result


def _resized(call: Call, shape: Shape, sizes: list[Size]) -> Value:
    if not call.tensor().dtype.startswith(("float", "bfloat")):
        raise Untold
    return call.made((*shape[:2], *sizes), call.tensor().dtype, call.tensor())


functional("input", {"interpolate": "Upsample", "upsample": "Upsample"})


# --- distances


@layer("dim=1, eps=1e-08", "x1, x2", "torch.nn.CosineSimilarity")
@operation(
    "x1, x2, dim=1, eps=1e-08", "torch.nn.functional.cosine_similarity", "torch.cosine_similarity"
)
def _cosine(call: Call) -> Value:
    dim = call.set_constant("dim") if call.layer is not None else call.integer("dim")
    return _distance(call, dim, False)


@layer("p=2.0, eps=1e-06, keepdim=False", "x1, x2", "torch.nn.PairwiseDistance")
def _pairwise(call: Call) -> Value:
    return _distance(call, -1, call.set_flag("keepdim"))


functional("x1, x2", {"pairwise_distance": "PairwiseDistance"})


def _distance(call: Call, dim: int, keep: bool) -> Value:
    from torchmedic.abstract.tables.pointwise import common

    a, b = call.tensor("x1"), call.tensor("x2")
    shape = common(call, a.shape, b.shape)
    if shape is None or not shape or a.dtype != b.dtype or not a.dtype.startswith("float"):
        raise Untold
    at = call.dim_in(dim, len(shape))
    middle = (Size.of(1),) if keep else ()
    return call.made((*shape[:at], *middle, *shape[at + 1 :]), a.dtype)
