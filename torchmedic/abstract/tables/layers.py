"""Layers: constructors, parameters, and the sizes that their calls give.

Sources: the pages of https://docs.pytorch.org/docs/stable/nn.html, whose formulas are repeated where they are used.
"""

from __future__ import annotations

from collections.abc import Sequence as Many
from typing import TYPE_CHECKING, Any

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.registry import BASES, DEFAULTS, called, constructor, made
from torchmedic.abstract.sizes import Size, number
from torchmedic.abstract.tables.activations import activated
from torchmedic.abstract.values import (
    Arguments,
    Const,
    Iterator,
    Object,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

FACTORY = ", device=None, dtype=None"
Shape = tuple[Size, ...]


def setting(layer: Object, name: str) -> Value | None:
    """The constructor's argument, or its documented default."""
    if name in layer.settings:
        return layer.settings[name]
    default = DEFAULTS.get(layer.type, {}).get(name, ...)
    if default is ...:
        return None
    if isinstance(default, tuple):
        return Sequence("tuple", tuple(Const(v) for v in default))
    return Const(default)


def plain(value: Value | None) -> Any:
    return value.value if isinstance(value, Const) else None


def spread(value: Value | None, count: int) -> list[Size | None]:
    """One number for every dimension, from a number or a tuple."""
    if isinstance(value, Sequence) and value.is_exact and len(value.items) == count:
        return [size_of(v) for v in value.items]
    return [size_of(value)] * count


def first(arguments: Arguments) -> Value:
    return arguments.get(0, "input", "x") or Unknown()


def shown(shape: Shape) -> str:
    """As PyTorch prints it; unknown sizes by their stand-ins."""
    return "[" + ", ".join(str(int(number(s))) for s in shape) + "]"


def parameter(machine: Machine, layer: Object, *sizes: Size | None) -> None:
    """Gives the layer a weight of this shape."""
    shape = None if None in sizes else tuple(s for s in sizes if s is not None)
    dtype = layer.settings.get("dtype")
    name = getattr(dtype, "name", "").removeprefix("torch.") if dtype is not None else "float32"
    weight = Tensor(
        True, shape=shape, dtype=name, is_leaf=True, is_parameter=True, owners=frozenset({layer.id})
    )
    layer.state["parameters"] = {"weight": weight}
    if plain(setting(layer, "bias")) is not False and sizes and "Embedding" not in layer.type:
        bias = (sizes[0],) if sizes[0] is not None else None
        layer.state["parameters"]["bias"] = Tensor(
            True,
            shape=bias,
            dtype=name,
            is_leaf=True,
            is_parameter=True,
            owners=frozenset({layer.id}),
        )


def dtype_of(layer: Object, given: str) -> str:
    """A layer puts out its own dtype; under autocast, or where it is unknown, the input's."""
    held = layer.state.get("parameters", {}).get("weight")
    return held.dtype if held is not None else given


def _weight(*names: str) -> Any:
    """A constructor that makes a weight of these arguments' sizes."""

    def work(machine: Machine, layer: Object, arguments: Arguments) -> Value:
        parameter(machine, layer, *(size_of(setting(layer, name)) for name in names))
        return layer

    return work


made("torch.nn.Linear")(_weight("out_features", "in_features"))
made("torch.nn.Embedding")(_weight("num_embeddings", "embedding_dim"))
made(*(f"torch.nn.{k}{n}d" for k in ("BatchNorm", "InstanceNorm") for n in (1, 2, 3)))(
    _weight("num_features")
)
made("torch.nn.SyncBatchNorm")(_weight("num_features"))
made("torch.nn.GroupNorm")(_weight("num_channels"))
made("torch.nn.LayerNorm", "torch.nn.RMSNorm")(_weight("normalized_shape"))


# --- Linear: (*, in_features) -> (*, out_features)


@called("in_features, out_features, bias=True" + FACTORY, "torch.nn.Linear")
def linear(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    value = first(arguments)
    needed, made = size_of(setting(layer, "in_features")), size_of(setting(layer, "out_features"))
    if not isinstance(value, Tensor):
        return machine.derived(value, has_parameters=not layer.frozen, dtype=dtype_of(layer, ""))
    check_dtype(
        machine, layer, value, "mat1 and mat2 must have the same dtype, but got {given} and {own}"
    )
    shape = value.shape
    if shape and needed is not None and shape[-1].is_different(needed) and made is not None:
        rows = Size.of(1)
        for size in shape[:-1]:
            rows = rows * size
        machine.fail(
            "RuntimeError",
            "mat1 and mat2 shapes cannot be multiplied "
            f"({int(number(rows))}x{int(number(shape[-1]))} and {int(number(needed))}x{int(number(made))})",
        )
        return machine.derived(value, has_parameters=True, dtype=dtype_of(layer, value.dtype))
    result = (*shape[:-1], made) if shape and made is not None else None
    return machine.derived(
        value, shape=result, dtype=dtype_of(layer, value.dtype), has_parameters=not layer.frozen
    )


_CTYPES = {"float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long",
           "int32": "Int", "uint8": "Byte", "int8": "Char", "int16": "Short", "bool": "Bool"}  # fmt: skip


def check_dtype(machine: Machine, layer: Object, value: Tensor, message: str) -> None:
    """A layer takes its parameters' dtype; not under autocast, which casts."""
    own = dtype_of(layer, "")
    if machine.modes["autocast"] is not False or not own or not value.dtype or own == value.dtype:
        return
    if value.library != "torch":
        return
    names = {
        "given": _CTYPES.get(value.dtype, value.dtype),
        "own": _CTYPES.get(own, own),
        "given_word": _words(value.dtype),
        "own_word": _words(own),
    }
    machine.fail("RuntimeError", message.format(**names))


def _words(dtype: str) -> str:
    return {"uint8": "unsigned char", "float32": "float", "float64": "double", "int64": "long int", "float16": "c10::Half",
            "int32": "int", "bool": "bool"}.get(dtype, dtype)  # fmt: skip


# --- Convolutions: out = floor((in + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1

_CONV = "in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode='zeros'"
for _n in (1, 2, 3):
    BASES[f"Conv{_n}d"] = ("_ConvNd",)
    BASES[f"ConvTranspose{_n}d"] = ("_ConvTransposeNd", "_ConvNd")
    BASES[f"BatchNorm{_n}d"] = ("_BatchNorm", "_NormBase")
    BASES[f"InstanceNorm{_n}d"] = ("_InstanceNorm", "_NormBase")
BASES["SyncBatchNorm"] = ("_BatchNorm", "_NormBase")
for _kind in ("RNN", "LSTM", "GRU"):
    BASES[_kind] = ("RNNBase",)
BASES["CrossEntropyLoss"] = ("_WeightedLoss", "_Loss")


def out_size(size: Size, kernel: Size | None, stride: Size | None, padding: Size | None, dilation: Size | None,
             ceil: bool = False) -> Size:  # fmt: skip
    if kernel is None or stride is None or padding is None or dilation is None:
        return Size.fresh("n")
    span = size + padding * 2 - dilation * (kernel - 1) - 1
    if ceil:
        # The last window has to start inside the input or its left padding.
        total = (span + stride - 1) // stride + 1
        numbers = (total.constant, size.constant, padding.constant, stride.constant)
        if None not in numbers and (numbers[0] - 1) * numbers[3] >= numbers[1] + numbers[2]:  # type: ignore[operator]
            return total - 1
        return total
    return span // stride + 1


@made("torch.nn.Conv1d", "torch.nn.Conv2d", "torch.nn.Conv3d")
def _conv_weight(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    channels, groups = size_of(setting(layer, "in_channels")), size_of(setting(layer, "groups"))
    inner = channels // groups if channels is not None and groups is not None else None
    kernel = spread(setting(layer, "kernel_size"), int(layer.type[-2]))
    parameter(machine, layer, size_of(setting(layer, "out_channels")), inner, *kernel)
    return layer


@called(_CONV + FACTORY, "torch.nn.Conv1d", "torch.nn.Conv2d", "torch.nn.Conv3d")
def convolution(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    spatial = int(layer.type[-2])
    value = first(arguments)
    channels, made = size_of(setting(layer, "in_channels")), size_of(setting(layer, "out_channels"))
    groups = size_of(setting(layer, "groups")) or Size.of(1)
    kernel = spread(setting(layer, "kernel_size"), spatial)
    trains = not layer.frozen
    if not isinstance(value, Tensor) or value.shape is None:
        return machine.derived(value, has_parameters=trains, dtype=dtype_of(layer, ""))
    shape = value.shape
    dtype = dtype_of(layer, value.dtype)
    if len(shape) not in (spatial + 1, spatial + 2):
        machine.fail(
            "RuntimeError",
            f"Expected {spatial + 1}D (unbatched) or {spatial + 2}D (batched) input to conv{spatial}d, but got input "
            f"of size: {shown(shape)}",
        )
        return machine.derived(value, has_parameters=True, dtype=dtype)
    check_dtype(
        machine,
        layer,
        value,
        "Input type ({given_word}) and bias type ({own_word}) should be the same",
    )
    batch, given, sizes = shape[: -spatial - 1], shape[-spatial - 1], shape[-spatial:]
    if channels is not None and given.is_different(channels) and made is not None:
        weight = [made, channels // groups, *(k for k in kernel if k is not None)]
        machine.fail(
            "RuntimeError",
            f"Given groups={number(groups)}, weight of size {shown(tuple(weight))}, expected input{shown(shape)} to "
            f"have {number(channels)} channels, but got {int(number(given))} channels instead",
        )
    if not batch and given != channels:  # a batch that is taken for channels: unknown from here on
        return machine.derived(value, has_parameters=trains, dtype=dtype)
    out = conv_sizes(layer, sizes, kernel, spatial)
    result = (*batch, made, *out) if made is not None else None
    return machine.derived(value, shape=result, dtype=dtype, has_parameters=trains)


def conv_sizes(layer: Object, sizes: Shape, kernel: Many[Size | None], spatial: int) -> list[Size]:
    stride = spread(setting(layer, "stride"), spatial)
    dilation = spread(setting(layer, "dilation"), spatial)
    padding = setting(layer, "padding")
    if plain(padding) == "same":
        return list(sizes)
    around = [Size.of(0)] * spatial if plain(padding) == "valid" else spread(padding, spatial)
    return [
        out_size(size, kernel[i], stride[i], around[i], dilation[i]) for i, size in enumerate(sizes)
    ]


# --- Layers that keep the shape


def keep(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    value = first(arguments)
    if isinstance(value, Tensor):
        return machine.derived(value, shape=value.shape, dtype=value.dtype)
    return machine.derived(value)


called("inplace=False", *(f"torch.nn.{n}" for n in (
    "ReLU", "ReLU6", "SiLU", "Mish", "Hardswish", "Hardsigmoid", "SELU",
)))(keep)  # fmt: skip
called(
    "", *(f"torch.nn.{n}" for n in ("Tanh", "Softsign", "LogSigmoid", "Tanhshrink", "Identity"))
)(keep)
called("approximate='none'", "torch.nn.GELU")(keep)
called("negative_slope=0.01, inplace=False", "torch.nn.LeakyReLU")(keep)
called("alpha=1.0, inplace=False", "torch.nn.ELU", "torch.nn.CELU")(keep)
called("beta=1.0, threshold=20.0", "torch.nn.Softplus")(keep)
called("lambd=0.5", "torch.nn.Hardshrink", "torch.nn.Softshrink")(keep)
called("p=0.5, inplace=False", *(f"torch.nn.{n}" for n in (
    "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout",
)))(keep)  # fmt: skip


def _through(name: str) -> Any:
    def work(machine: Machine, layer: Object, arguments: Arguments) -> Value:
        dim = Const(-3) if layer.type_name == "Softmax2d" else setting(layer, "dim")
        return activated(machine, first(arguments), name, dim, layer)

    return work


called("dim=None", "torch.nn.Softmax")(_through("softmax"))
called("dim=None", "torch.nn.LogSoftmax")(_through("log_softmax"))
called("", "torch.nn.Softmax2d")(_through("softmax"))
called("", "torch.nn.Sigmoid")(_through("sigmoid"))


# --- Embedding: (*) -> (*, embedding_dim)


@called(
    "num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False",
    "torch.nn.Embedding",
)
def embedding(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    value = first(arguments)
    width = size_of(setting(layer, "embedding_dim"))
    shape = None
    if isinstance(value, Tensor):
        if value.dtype and value.dtype not in ("int64", "int32") and value.library == "torch":
            machine.fail(
                "RuntimeError",
                "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
                f"torch.{_CTYPES.get(value.dtype, value.dtype)}Tensor instead (while checking arguments for embedding)",
                ("embedding", {"input": value}),
            )
        if value.shape is not None and width is not None:
            shape = (*value.shape, width)
    return machine.derived(
        value, shape=shape, dtype=dtype_of(layer, ""), has_parameters=not layer.frozen
    )


# --- Shapes


@called("start_dim=1, end_dim=-1", "torch.nn.Flatten")
def flatten_layer(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    from torchmedic.abstract.tables.tensors import flattened

    value = first(arguments)
    return flattened(machine, value, setting(layer, "start_dim"), setting(layer, "end_dim"))


# --- Containers


@called("*args", "torch.nn.Sequential")
def sequential(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    value: Value = first(arguments)
    if layer.state.get("is_open"):
        return machine.unknown(value)
    given = arguments
    for item in layer.items:
        value = machine.call(item, given)
        given = Arguments(arguments.node, [value], {})
    return value


@made("torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ModuleDict", "torch.nn.ParameterList")
def fill_container(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    """The children that a Sequential, ModuleList or ModuleDict is made with."""
    from torchmedic.abstract.values import Dict

    items: list[Value] = []
    keys: list[str] = []
    for value in arguments.args:
        if isinstance(value, Dict):
            items += value.items.values()
            keys += [str(k) for k in value.items]
            if value.rest is not None:
                layer.state["is_open"] = True
        elif isinstance(value, (Sequence, Iterator)):
            found, is_all = machine.iterate(value)
            items += found if is_all else found[:1]
            layer.state["is_open"] = layer.state.get("is_open") or not is_all
        else:
            items.append(value)
    layer.items, layer.keys = tuple(items), tuple(keys)
    return layer


for _name in (
    "torch.nn.ModuleList",
    "torch.nn.ModuleDict",
    "torch.nn.ParameterList",
    "torch.nn.ParameterDict",
):
    constructor("modules=None", _name)
constructor(
    "module, device_ids=None, output_device=None, dim=0",
    "torch.nn.parallel.DistributedDataParallel",
    "torch.nn.DataParallel",
)


@made("torch.nn.parallel.DistributedDataParallel", "torch.nn.DataParallel")
def _wrap(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    layer.attributes["module"] = arguments.get(0, "module") or Unknown()
    return layer
