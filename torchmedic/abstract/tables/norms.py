"""Normalisation layers: what they need, and the sizes that they give.

Source: https://docs.pytorch.org/docs/stable/nn.html#normalization-layers
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.registry import BASES, made
from torchmedic.abstract.sizes import Size, product
from torchmedic.abstract.tables.dtypes import is_floating, is_integral, scalar_type
from torchmedic.abstract.tables.layers import (
    FACTORY,
    dtypes_of,
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

_TAIL = "eps=1e-05, momentum=0.1, affine=True, track_running_stats=True"
_INSTANCE = "eps=1e-05, momentum=0.1, affine=False, track_running_stats=False"
_RANKS = {"1": (2, 3), "2": (4,), "3": (5,)}
_NAMES = {"1": "2D or 3D", "2": "4D", "3": "5D"}
for _n in (1, 2, 3):
    BASES[f"BatchNorm{_n}d"] = ("_BatchNorm", "_NormBase")
    BASES[f"InstanceNorm{_n}d"] = ("_InstanceNorm", "_NormBase")
BASES["SyncBatchNorm"] = ("_BatchNorm", "_NormBase")


def _is_on(layer: Object, name: str) -> bool | None:
    value = setting(layer, name)
    return bool(value.value) if isinstance(value, Const) else None


def _affine(count: str, flag: str) -> None:
    kinds = {
        "num_features": [*(f"torch.nn.{lazy}{k}{n}d" for lazy in ("", "Lazy") for k in ("BatchNorm", "InstanceNorm") for n in (1, 2, 3)), "torch.nn.SyncBatchNorm"],
        "num_channels": ["torch.nn.GroupNorm"],
    }[count]  # fmt: skip

    @made(*kinds)
    def work(machine: Machine, layer: Object, arguments: Arguments) -> Value:
        if _is_on(layer, flag) is not False:
            parameter(machine, layer, size_of(setting(layer, count)))
        if count == "num_channels":
            groups, channels = (size_of(setting(layer, n)) for n in ("num_groups", "num_channels"))
            if (
                groups is not None
                and channels is not None
                and groups.constant
                and channels.constant is not None
                and channels.constant % groups.constant
            ):
                machine.fail(
                    "ValueError",
                    f"num_channels ({channels.constant}) must be divisible by num_groups ({groups.constant})",
                )
        return layer


_affine("num_features", "affine")
_affine("num_channels", "affine")


@made("torch.nn.LayerNorm", "torch.nn.RMSNorm")
def _layer_weight(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    if _is_on(layer, "elementwise_affine") is False:
        return layer
    given = setting(layer, "normalized_shape")
    parts = list(given.items) if isinstance(given, Sequence) else [given]
    parameter(machine, layer, *(size_of(p) for p in parts))
    return layer


def _batch_norm(call: Call) -> Value:
    assert call.layer is not None
    tensor = call.tensor()
    shape = tensor.shape
    is_training = call.layer.training
    if (
        shape is not None
        and call.layer.type_name[-2] in _RANKS
        and len(shape) not in _RANKS[call.layer.type_name[-2]]
    ):
        call.refuse(
            "ValueError",
            f"expected {_NAMES[call.layer.type_name[-2]]} input (got {len(shape)}D input)",
        )
    if shape is not None and is_training:
        rest = product([shape[0], *shape[2:]])
        if rest.constant == 1:
            call.refuse(
                "ValueError",
                f"Expected more than 1 value per channel when training, got input size torch.Size({text(shape)})",
            )
    if shape is not None and "Lazy" not in call.layer.type:
        _check_features(call, shape[1], call.set_size("num_features"))
    _check_norm_dtype(call, "batch_norm")
    return call.made(shape, tensor.dtype, tensor, has_parameters=trains(call))


def _check_features(call: Call, given: Size, features: Size) -> None:
    if not given.is_different(features):
        return
    if call.set_flag("track_running_stats"):
        what = "running_mean"
    elif call.set_flag("affine"):
        what = "weight"
    else:
        return
    call.refuse(
        "RuntimeError",
        f"{what} should contain {plain_number(given)} elements not {plain_number(features)}",
        "batch_norm",
    )


def _check_norm_dtype(call: Call, name: str) -> None:
    """Half inputs may meet float parameters, nothing else."""
    given, own = dtypes_of(call)
    if not given:
        return
    if is_integral(given):
        if name == "batch_norm" and given != "bool":
            call.refuse(
                "NotImplementedError", f"\"batch_norm\" not implemented for '{scalar_type(given)}'"
            )
        raise Untold
    if given == "float64" and own == "float32":
        call.refuse("RuntimeError", "mixed dtype (CPU): all inputs must share same datatype.")
    if not (given in ("float16", "bfloat16") and own == "float32"):
        raise Untold


for _n in (1, 2, 3):
    layer("num_features, " + _TAIL + FACTORY, "input", f"torch.nn.BatchNorm{_n}d")(_batch_norm)
    layer(_TAIL + FACTORY, "input", f"torch.nn.LazyBatchNorm{_n}d")(_batch_norm)
layer(
    "num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, process_group=None"
    + FACTORY,
    "input",
    "torch.nn.SyncBatchNorm",
)(_batch_norm)


def _instance_norm(call: Call) -> Value:
    assert call.layer is not None
    spatial = int(call.layer.type[-2])
    shape = call.shape()
    if len(shape) not in (spatial + 1, spatial + 2):
        call.refuse(
            "ValueError",
            f"expected {spatial + 1}D or {spatial + 2}D input (got {len(shape)}D input)",
        )
    given = shape[-spatial - 1]
    if "Lazy" not in call.layer.type and given.is_different(call.set_size("num_features")):
        if call.set_flag("affine"):
            call.refuse(
                "ValueError",
                "expected input's size at dim="
                f"{len(shape) - spatial - 1} to match num_features ({plain_number(call.set_size('num_features'))}), but got: "
                f"{plain_number(given)}.",
            )
        if call.set_flag("track_running_stats"):
            raise Untold
    if call.layer.training is not False and product(list(shape[-spatial:])).constant == 1:
        raise Untold
    if is_integral(call.tensor().dtype) or dtypes_of(call) != ("", ""):
        raise Untold
    return call.made(shape, call.tensor().dtype, has_parameters=trains(call))


for _n in (1, 2, 3):
    layer("num_features, " + _INSTANCE + FACTORY, "input", f"torch.nn.InstanceNorm{_n}d")(
        _instance_norm
    )
    layer(_INSTANCE + FACTORY, "input", f"torch.nn.LazyInstanceNorm{_n}d")(_instance_norm)


@layer("num_groups, num_channels, eps=1e-05, affine=True" + FACTORY, "input", "torch.nn.GroupNorm")
def _group_norm(call: Call) -> Value:
    shape = call.shape()
    if len(shape) < 2:
        call.refuse(
            "RuntimeError",
            f"Expected at least 2 dimensions for input tensor but received {len(shape)}",
        )
    groups, channels = call.set_size("num_groups"), call.set_size("num_channels")
    if groups.constant:
        parts = (shape[0] * shape[1] // groups, groups, *shape[2:])
        if product([parts[0], *parts[2:]]).constant == 1:
            call.refuse(
                "ValueError",
                f"Expected more than 1 value per channel when training, got input size {text(parts)}",
            )
    given = shape[1].constant
    if given is not None and groups.constant and given % groups.constant:
        call.refuse(
            "RuntimeError",
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{text(shape)} and num_groups={groups.constant}",
        )
    if shape[1].is_different(channels) and call.set_flag("affine"):
        call.refuse(
            "RuntimeError",
            "Expected weight to be a vector of size equal to the number of channels in input, but got weight of shape "
            f"{text((channels,))} and input of shape {text(shape)}",
        )
    return _normed(call, shape)


def check_mixed(call: Call) -> None:
    given, own = dtypes_of(call)
    if given and own == "float32" and (given == "float64" or is_integral(given)):
        call.refuse("RuntimeError", "mixed dtype (CPU): all inputs must share same datatype.")


def _normed(call: Call, shape: Shape) -> Value:
    check_mixed(call)
    given, own = dtypes_of(call)
    if (given and own != "float32") or is_integral(call.tensor().dtype):
        raise Untold
    return call.made(
        shape,
        call.tensor().dtype,
        call.tensor(),
        has_parameters=trains(call),
        is_new=call.name.endswith("LayerNorm"),
    )


def check_normalized(call: Call, shape: Shape, wanted: list[Size], star: str = "*, ") -> None:
    tail = shape[-len(wanted) :] if wanted else ()
    if len(tail) < len(wanted) or any(
        a.is_different(b) for a, b in zip(tail, wanted, strict=False)
    ):
        told = ", ".join(plain_number(w) for w in wanted)
        call.refuse(
            "RuntimeError",
            f"Given normalized_shape=[{told}], expected input with shape [{star}{told}], but got input of size{text(shape)}",
        )


@layer(
    "normalized_shape, eps=1e-05, elementwise_affine=True, bias=True" + FACTORY,
    "input",
    "torch.nn.LayerNorm",
)
def _layer_norm(call: Call) -> Value:
    check_mixed(call)
    shape = call.shape()
    check_normalized(call, shape, sizes_of([call.setting("normalized_shape")]))
    return _normed(call, shape)


@layer("normalized_shape, eps=None, elementwise_affine=True" + FACTORY, "input", "torch.nn.RMSNorm")
def _rms_norm(call: Call) -> Value:
    shape = call.shape()
    wanted = sizes_of([call.setting("normalized_shape")])
    check_normalized(call, shape, wanted, "*")
    given, own = call.tensor().dtype, weight_dtype(call)
    if is_integral(given) or (own and given != own):
        raise Untold
    return call.made(shape, given, has_parameters=trains(call))


@layer("size, alpha=0.0001, beta=0.75, k=1.0", "input", "torch.nn.LocalResponseNorm")
def _response_norm(call: Call) -> Value:
    if len(call.shape()) < 3 or not is_floating(call.tensor().dtype):
        raise Untold
    return call.made(call.shape(), call.tensor().dtype)


@operation(
    "input, normalized_shape, weight=None, bias=None, eps=1e-05", "torch.nn.functional.layer_norm"
)
def _layer_norm_function(call: Call) -> Value:
    shape = call.shape()
    check_normalized(call, shape, call.sizes("normalized_shape"))
    if not is_floating(call.tensor().dtype):
        raise Untold
    return call.made(shape, call.tensor().dtype)


@operation("input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05", "torch.nn.functional.batch_norm")  # fmt: skip
def _batch_norm_function(call: Call) -> Value:
    shape = call.shape()
    if len(shape) < 2 or not is_floating(call.tensor().dtype):
        raise Untold
    if call.has("running_mean"):
        held = call.shape("running_mean")
        if len(held) == 1 and held[0].is_different(shape[1]) and not call.flag("training"):
            call.refuse(
                "RuntimeError",
                f"running_mean should contain {plain_number(shape[1])} elements not {plain_number(held[0])}",
            )
    return call.made(shape, call.tensor().dtype)


@operation("input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-05", "torch.nn.functional.instance_norm")  # fmt: skip
@operation("input, num_groups, weight=None, bias=None, eps=1e-05", "torch.nn.functional.group_norm")
def _kept_function(call: Call) -> Value:
    if len(call.shape()) < 3 or not is_floating(call.tensor().dtype):
        raise Untold
    return call.made(call.shape(), call.tensor().dtype)
