"""Normalisation layers: what they need, and the sizes that they give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.registry import called
from torchmedic.abstract.sizes import number, product
from torchmedic.abstract.tables.layers import (
    FACTORY,
    first,
    keep,
    setting,
    shown,
)
from torchmedic.abstract.values import (
    Arguments,
    Object,
    Sequence,
    Tensor,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine


def _batch_norm(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    value = first(arguments)
    features = size_of(setting(layer, "num_features"))
    if not isinstance(value, Tensor):
        return machine.derived(value, has_parameters=not layer.frozen)
    shape = value.shape
    ranks = {"1": (2, 3), "2": (4,), "3": (5,)}.get(layer.type[-2], ())
    if shape is not None and layer.type_name.startswith("BatchNorm") and len(shape) not in ranks:
        names = {"1": "2D or 3D", "2": "4D", "3": "5D"}[layer.type[-2]]
        machine.fail("ValueError", f"expected {names} input (got {len(shape)}D input)")
    elif (
        shape is not None
        and layer.training
        and len(shape) > 1
        and product([shape[0], *shape[2:]]).constant == 1
    ):
        machine.fail(
            "ValueError",
            f"Expected more than 1 value per channel when training, got input size torch.Size({[s.constant for s in shape]})",
        )
    elif (
        shape is not None
        and len(shape) > 1
        and features is not None
        and shape[1].is_different(features)
    ):
        machine.fail(
            "RuntimeError",
            f"running_mean should contain {int(number(shape[1]))} elements not {number(features)}",
            ("batch_norm", {"input": value}),
        )
    return machine.derived(value, shape=shape, dtype=value.dtype, has_parameters=not layer.frozen)


_NORM = "num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True"
called(
    _NORM + FACTORY,
    "torch.nn.BatchNorm1d",
    "torch.nn.BatchNorm2d",
    "torch.nn.BatchNorm3d",
    "torch.nn.SyncBatchNorm",
)(_batch_norm)


def _kept_norm(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    value = first(arguments)
    shape = value.shape if isinstance(value, Tensor) else None
    dtype = value.dtype if isinstance(value, Tensor) else ""
    return machine.derived(value, shape=shape, dtype=dtype, has_parameters=not layer.frozen)


called(_NORM + FACTORY, *(f"torch.nn.InstanceNorm{n}d" for n in (1, 2, 3)))(_kept_norm)
called("num_groups, num_channels, eps=1e-05, affine=True" + FACTORY, "torch.nn.GroupNorm")(
    _kept_norm
)
called("normalized_shape, eps=None, elementwise_affine=True" + FACTORY, "torch.nn.RMSNorm")(
    _kept_norm
)
called("size, alpha=0.0001, beta=0.75, k=1.0", "torch.nn.LocalResponseNorm")(keep)


@called(
    "normalized_shape, eps=1e-05, elementwise_affine=True, bias=True" + FACTORY,
    "torch.nn.LayerNorm",
)
def layer_norm(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    value = first(arguments)
    given = setting(layer, "normalized_shape")
    wanted = [size_of(v) for v in given.items] if isinstance(given, Sequence) else [size_of(given)]
    if isinstance(value, Tensor) and value.shape and None not in wanted and wanted:
        tail = value.shape[-len(wanted) :]
        told = [w for w in wanted if w is not None]
        if len(tail) < len(told) or any(
            a.is_different(b) for a, b in zip(tail, told, strict=False)
        ):
            text = ", ".join(str(number(w)) for w in told)
            machine.fail(
                "RuntimeError",
                f"Given normalized_shape=[{text}], expected input with shape [*, {text}], but got input of "
                f"size{shown(value.shape)}",
            )
    return _kept_norm(machine, layer, arguments)
