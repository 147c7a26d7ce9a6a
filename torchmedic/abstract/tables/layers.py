"""Linear layers, activations and embeddings: parameters, and what their calls give and refuse.

Sources: the pages of https://docs.pytorch.org/docs/stable/nn.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.registry import defaults_of, made
from torchmedic.abstract.sizes import Size, product
from torchmedic.abstract.tables.dtypes import (
    C_TYPES,
    default_float,
    dtype_named,
    is_integral,
    scalar_type,
)
from torchmedic.abstract.tables.operation import (
    Call,
    Untold,
    layer,
    operation,
    plain_number,
)
from torchmedic.abstract.values import Arguments, Const, Object, Tensor, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

FACTORY = ", device=None, dtype=None"
Shape = tuple[Size, ...]
# Their bias has the size of the weight's first dimension; that of a LayerNorm has the weight's shape.
WITH_BIAS = ("Linear", "Bilinear", "Conv1d", "Conv2d", "Conv3d", "LayerNorm", "GroupNorm", "BatchNorm1d", "BatchNorm2d",
             "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d")  # fmt: skip


def setting(layer: Object, name: str) -> Value | None:
    """The constructor's argument, or its documented default."""
    if name in layer.settings:
        return layer.settings[name]
    default = defaults_of(layer.type).get(name, ...)
    return None if default is ... else Const(default)


def parameter(machine: Machine, layer: Object, *sizes: Size | None) -> None:
    """Gives the layer a weight of this shape."""
    shape = None if None in sizes else tuple(s for s in sizes if s is not None)
    dtype = layer.settings.get("dtype")
    is_given = dtype is not None and not (isinstance(dtype, Const) and dtype.value is None)
    name = dtype_named(dtype) if is_given else default_float(machine)
    machine.parts[layer.id] = layer
    weight = Tensor(
        True, shape=shape, dtype=name, is_leaf=True, is_parameter=True, owners=frozenset({layer.id})
    )
    weight.reach = machine.bit_of(layer)
    layer.state["parameters"] = {"weight": weight}
    if shape is None or layer.type_name not in WITH_BIAS or _has_no_bias(layer):
        return
    bias = shape if layer.type_name == "LayerNorm" else shape[:1]
    layer.state["parameters"]["bias"] = Tensor(
        True, shape=bias, dtype=name, is_leaf=True, is_parameter=True, owners=weight.owners
    )
    layer.state["parameters"]["bias"].reach = weight.reach


def _has_no_bias(layer: Object) -> bool:
    value = setting(layer, "bias")
    return isinstance(value, Const) and not value.value


def of_sizes(*names: str) -> Any:
    """What makes a weight of these settings' sizes."""

    def work(machine: Machine, layer: Object, arguments: Arguments) -> Value:
        parameter(machine, layer, *(size_of(setting(layer, name)) for name in names))
        return layer

    return work


def first(arguments: Arguments) -> Value:
    return arguments.get(0, "input", "x") or Unknown()


def dtype_of(layer: Object, given: str) -> str:
    """The dtype of the layer's parameters; `given` if it has none."""
    held = layer.state.get("parameters", {}).get("weight")
    return held.dtype if held is not None else given


def keep(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    """A layer that changes neither shape nor dtype."""
    value = first(arguments)
    if isinstance(value, Tensor):
        return machine.derived(value, shape=value.shape, dtype=value.dtype)
    return machine.derived(value)


def weight_dtype(call: Call) -> str:
    """The dtype of the layer's parameters; "" if it has none."""
    assert call.layer is not None
    return dtype_of(call.layer, "")


def trains(call: Call) -> bool | None:
    """Whether the result depends on parameters with gradients."""
    assert call.layer is not None
    if not call.layer.state.get("parameters"):
        return False
    return None if call.layer.frozen is None else not call.layer.frozen


def dtypes_of(call: Call, name: str = "input") -> tuple[str, str]:
    """(the input's dtype, the layer's) where they certainly differ; ("", "") otherwise."""
    given, own = call.tensor(name).dtype, weight_dtype(call)
    if call.machine.modes["autocast"] is not False or not own or not given or own == given:
        return "", ""
    if call.tensor(name).library != "torch":
        raise Untold
    return given, own


def check_dtype(call: Call, message: str) -> None:
    """`message` with {given}, {own} as PyTorch names dtypes, and {given_c}, {own_c} as C++ does."""
    given, own = dtypes_of(call)
    if given:
        call.refuse(
            "RuntimeError",
            message.format(
                given=scalar_type(given),
                own=scalar_type(own),
                given_c=C_TYPES.get(given, given),
                own_c=C_TYPES.get(own, own),
            ),
        )


# --- Linear: (*, in_features) -> (*, out_features)

made("torch.nn.Linear")(of_sizes("out_features", "in_features"))
made("torch.nn.Embedding", "torch.nn.EmbeddingBag")(of_sizes("num_embeddings", "embedding_dim"))
made("torch.nn.Bilinear")(of_sizes("out_features", "in1_features", "in2_features"))
made("torch.nn.PReLU")(of_sizes("num_parameters"))
made("torch.nn.LazyLinear")(of_sizes("out_features"))


@layer("in_features, out_features, bias=True" + FACTORY, "input", "torch.nn.Linear")
@layer("out_features, bias=True" + FACTORY, "input", "torch.nn.LazyLinear")
def _linear(call: Call) -> Value:
    tensor = call.tensor()
    out = call.set_size("out_features")
    is_lazy = call.name.endswith("LazyLinear")
    if tensor.shape is not None and not tensor.shape:
        call.refuse(
            "RuntimeError",
            "both arguments to linear need to be at least 1D, but they are 0D and 2D",
        )
    has_bias = call.set_flag("bias")
    if has_bias:
        check_dtype(call, "mat1 and mat2 must have the same dtype, but got {given} and {own}")
    if not is_lazy and tensor.shape:
        check_features(call, tensor.shape, call.set_size("in_features"), out)
    if not has_bias:
        check_dtype(
            call, "expected m1 and m2 to have the same dtype, but got: {given_c} != {own_c}"
        )
    if not tensor.shape:
        raise Untold
    return call.made(
        (*tensor.shape[:-1], out), weight_dtype(call), tensor, has_parameters=trains(call)
    )


def check_features(call: Call, shape: Shape, needed: Size, made: Size) -> None:
    if shape[-1].is_never(needed):
        sizes = [plain_number(s) for s in (product(list(shape[:-1])), shape[-1], needed, made)]
        call.refuse(
            "RuntimeError",
            "mat1 and mat2 shapes cannot be multiplied ({}x{} and {}x{})".format(*sizes),
        )


@operation("input, weight, bias=None", "torch.nn.functional.linear")
def _linear_function(call: Call) -> Value:
    tensor, weight = call.tensor(), call.tensor("weight")
    if not tensor.shape or weight.shape is None or len(weight.shape) != 2:
        raise Untold
    check_features(call, tensor.shape, weight.shape[1], weight.shape[0])
    if tensor.dtype != weight.dtype:
        raise Untold
    return call.made((*tensor.shape[:-1], weight.shape[0]), tensor.dtype)


@layer(
    "in1_features, in2_features, out_features, bias=True" + FACTORY,
    "input1, input2",
    "torch.nn.Bilinear",
)
def _bilinear(call: Call) -> Value:
    a, b = call.shape("input1"), call.shape("input2")
    if len(a) != len(b) or not a:
        raise Untold
    for at, (x, y) in enumerate(zip(a[:-1], b[:-1], strict=True)):
        if x.is_different(y):
            call.refuse(
                "RuntimeError",
                f"bilinear(): input batch dimensions do not match at dim {at}: got {plain_number(x)} and {plain_number(y)}",
            )
    for number, shape in ((1, a), (2, b)):
        needed = call.set_size(f"in{number}_features")
        if shape[-1].is_different(needed):
            call.refuse(
                "RuntimeError",
                f"bilinear(): input{number} size does not match weight size: got {plain_number(shape[-1])} but expected "
                f"{plain_number(needed)}",
            )
    if {call.tensor("input1").dtype, call.tensor("input2").dtype} != {weight_dtype(call)}:
        raise Untold
    return call.made(
        (*a[:-1], call.set_size("out_features")), weight_dtype(call), has_parameters=trains(call)
    )


# --- Activations: the shape stays

# What they do with integers: "keep", "float", or the name of the kernel that isn't implemented for them.
_INTEGERS = {
    "relu": "keep", "relu6": "keep", "hardtanh": "keep", "tanh": "float", "softsign": "float", "sigmoid": "float",
    "leaky_relu": "leaky_relu_cpu", "silu": "silu_cpu", "elu": "elu_cpu", "selu": "elu_cpu", "gelu": "GeluKernelImpl",
    "softplus": "softplus_cpu", "hardswish": "hardswish_cpu", "mish": "mish_cpu", "hardsigmoid": "hardsigmoid_cpu",
    "logsigmoid": "log_sigmoid_cpu", "softmax": "softmax_lastdim_kernel_impl",
    "log_softmax": "log_softmax_lastdim_kernel_impl",
}  # fmt: skip


def activated(call: Call, name: str) -> Tensor:
    """A result of the input's shape."""
    return call.kept(activated_dtype(call, name))


def activated_dtype(call: Call, name: str) -> str:
    """The dtype that an activation gives; refuses integers where PyTorch does."""
    dtype = call.tensor().dtype
    if not is_integral(dtype):
        return dtype
    how = _INTEGERS.get(name, "")
    if dtype == "bool" and name in ("relu", "relu6"):
        if name == "relu":
            call.refuse("RuntimeError", "Boolean inputs not supported for relu")
        raise Untold
    if not how or (dtype == "bool" and how != "float"):
        raise Untold
    if how == "float":
        return default_float(call.machine)
    if how != "keep":
        if call.machine.modes["autocast"] is not False:
            raise Untold
        call.refuse("NotImplementedError", f"\"{how}\" not implemented for '{scalar_type(dtype)}'")
    return dtype


_ACTIVATIONS = {
    "ReLU": ("relu", "inplace=False"), "ReLU6": ("relu6", "inplace=False"), "SiLU": ("silu", "inplace=False"),
    "Mish": ("mish", "inplace=False"), "Hardswish": ("hardswish", "inplace=False"),
    "Hardsigmoid": ("hardsigmoid", "inplace=False"), "SELU": ("selu", "inplace=False"), "Tanh": ("tanh", ""),
    "Softsign": ("softsign", ""), "LogSigmoid": ("logsigmoid", ""), "Tanhshrink": ("tanhshrink", ""),
    "GELU": ("gelu", "approximate='none'"), "LeakyReLU": ("leaky_relu", "negative_slope=0.01, inplace=False"),
    "ELU": ("elu", "alpha=1.0, inplace=False"), "CELU": ("celu", "alpha=1.0, inplace=False"),
    "Softplus": ("softplus", "beta=1.0, threshold=20.0"), "Hardshrink": ("hardshrink", "lambd=0.5"),
    "Softshrink": ("softshrink", "lambd=0.5"), "Threshold": ("threshold", "threshold, value, inplace=False"),
    "Hardtanh": ("hardtanh", "min_val=-1.0, max_val=1.0, inplace=False"),
    "RReLU": ("rrelu", "lower=0.125, upper=0.3333333333333333, inplace=False"),
}  # fmt: skip


def _activation(kind: str, name: str, settings: str) -> None:
    @layer(settings, "input", f"torch.nn.{kind}")
    def work(call: Call) -> Value:
        return activated(call, name)

    homes = [f"torch.nn.functional.{name}"]
    if settings.endswith("inplace=False"):
        homes.append(f"torch.nn.functional.{name}_")
    signature = f"input, {settings}" if settings else "input"
    if kind == "RReLU":
        signature = "input, lower=0.125, upper=0.3333333333333333, training=False, inplace=False"
    operation(signature, *homes)(work)


for _kind, (_name, _settings) in _ACTIVATIONS.items():
    _activation(_kind, _name, _settings)


@layer("*args", "input", "torch.nn.Identity")
def _identity(call: Call) -> Value:
    return call.value("input")


@layer("num_parameters=1, init=0.25" + FACTORY, "input", "torch.nn.PReLU")
def _prelu(call: Call) -> Value:
    shape, count = call.tensor().shape, call.set_size("num_parameters")
    if (
        shape is not None
        and count.constant not in (None, 1)
        and len(shape) > 1
        and shape[1].is_different(count)
    ):
        call.refuse(
            "RuntimeError",
            f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {plain_number(count)} and "
            f"channel size = {plain_number(shape[1])}.",
        )
    if dtypes_of(call) != ("", ""):
        raise Untold
    return call.made(shape, weight_dtype(call), call.tensor(), has_parameters=trains(call))


@layer("dim=-1", "input", "torch.nn.GLU")
def _glu_layer(call: Call) -> Value:
    return _halved(call, call.set_constant("dim"))


@operation("input, dim=-1", "torch.nn.functional.glu")
def _glu(call: Call) -> Value:
    return _halved(call, call.integer("dim"))


def _halved(call: Call, dim: int) -> Value:
    shape = call.shape()
    at = call.dim_in(dim, len(shape))
    size = shape[at].constant
    if size is not None and size % 2:
        call.refuse(
            "RuntimeError", f"Halving dimension must be even, but dimension {at} is size {size}"
        )
    if is_integral(call.tensor().dtype):
        raise Untold
    return call.made((*shape[:at], shape[at] // 2, *shape[at + 1 :]), call.tensor().dtype)
