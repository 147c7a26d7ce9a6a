"""Pooling layers: what they need, and the sizes that they give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.registry import called
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.layers import (
    first,
    out_size,
    plain,
    setting,
    spread,
)
from torchmedic.abstract.values import (
    Arguments,
    Const,
    Object,
    Sequence,
    Tensor,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine


_POOL = "kernel_size, stride=None, padding=0"


def _pooled(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    spatial = int(layer.type[-2])
    value = first(arguments)
    if not isinstance(value, Tensor) or value.shape is None or len(value.shape) <= spatial:
        return machine.derived(value, dtype=getattr(value, "dtype", ""))
    kernel = spread(setting(layer, "kernel_size"), spatial)
    given = setting(layer, "stride")
    stride = (
        kernel
        if given is None or (plain(given) is None and isinstance(given, Const))
        else spread(given, spatial)
    )
    padding = spread(setting(layer, "padding"), spatial)
    dilation = spread(setting(layer, "dilation") or Const(1), spatial)
    ceil = plain(setting(layer, "ceil_mode")) is True
    sizes = [
        out_size(s, kernel[i], stride[i], padding[i], dilation[i], ceil)
        for i, s in enumerate(value.shape[-spatial:])
    ]
    shape = (*value.shape[:-spatial], *sizes)
    result = machine.derived(value, shape=shape, dtype=value.dtype)
    if plain(setting(layer, "return_indices")) is True:
        return Sequence("tuple", (result, machine.derived(value, shape=shape, dtype="int64")))
    return result


for _n in (1, 2, 3):
    called(_POOL + ", dilation=1, return_indices=False, ceil_mode=False", f"torch.nn.MaxPool{_n}d")(
        _pooled
    )
    called(
        _POOL + ", ceil_mode=False, count_include_pad=True, divisor_override=None",
        f"torch.nn.AvgPool{_n}d",
    )(_pooled)


def _adaptive(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    spatial = int(layer.type[-2])
    value = first(arguments)
    if not isinstance(value, Tensor) or value.shape is None or len(value.shape) <= spatial:
        return machine.derived(value, dtype=getattr(value, "dtype", ""))
    wanted = spread(setting(layer, "output_size"), spatial)
    given = setting(layer, "output_size")
    parts = list(given.items) if isinstance(given, Sequence) else [given] * spatial
    sizes = [
        size
        if isinstance(part, Const) and part.value is None
        else (want if want is not None else Size.fresh("n"))
        for size, want, part in zip(value.shape[-spatial:], wanted, parts, strict=False)
    ]
    return machine.derived(value, shape=(*value.shape[:-spatial], *sizes), dtype=value.dtype)


for _n in (1, 2, 3):
    called(
        "output_size, return_indices=False",
        f"torch.nn.AdaptiveAvgPool{_n}d",
        f"torch.nn.AdaptiveMaxPool{_n}d",
    )(_adaptive)
