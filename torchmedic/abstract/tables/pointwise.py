"""Operations element by element, with one tensor or several.

Source: https://docs.pytorch.org/docs/stable/torch.html#pointwise-ops
"""

from __future__ import annotations

from collections.abc import Callable

from torchmedic.abstract.operators import is_real
from torchmedic.abstract.tables.broadcasting import broadcast, clash_text
from torchmedic.abstract.tables.devices import check_elements
from torchmedic.abstract.tables.dtypes import (
    C_TYPES,
    category,
    default_float,
    is_integral,
    of_operands,
    scalar_type,
)
from torchmedic.abstract.tables.operation import (
    Call,
    Shape,
    Untold,
    operation,
    with_strides_of,
)
from torchmedic.abstract.values import Const, Number, Tensor, Value

# Of integers they give floats.
FLOATING = ("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "sin", "cos", "tan", "asin", "acos",
            "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "arcsin", "arccos", "arctan", "erf", "erfc", "erfinv", "lgamma",
            "digamma", "reciprocal", "tanh", "sinc", "logit", "deg2rad", "rad2deg")  # fmt: skip
# Integers stay integers.
KEEPING = (
    "neg",
    "negative",
    "square",
    "sign",
    "sgn",
    "positive",
    "floor",
    "ceil",
    "round",
    "trunc",
    "fix",
    "frac",
    "relu",
)
STEPS = ("floor", "ceil", "round", "trunc", "fix", "sign")  # their gradient is 0 everywhere
TESTS = ("isnan", "isinf", "isfinite", "logical_not", "signbit", "isneginf", "isposinf", "isreal")


def float_of(call: Call, dtype: str) -> str:
    """The dtype of a function that gives floats."""
    return default_float(call.machine) if is_integral(dtype) else dtype


def kept_dtype(call: Call, dtype: str) -> str:
    name: str = call.name
    return "int64" if dtype == "bool" and name.endswith("square") else dtype


def _unary(name: str, dtype: Callable[[Call, str], str], fixed: str = "") -> None:
    @operation("input", f"torch.{name}", f"Tensor.{name}", dtype=fixed)
    def work(call: Call) -> Value:
        tensor = call.tensor()
        _check_bool(call, name, tensor.dtype)
        result = call.kept(dtype(call, tensor.dtype) if tensor.dtype else "")
        if name in STEPS and result.graph is not False:
            call.machine.cut_off(result, "round", tensor).reach = 0
        return result


def _check_bool(call: Call, name: str, dtype: str) -> None:
    if name in ("neg", "negative") and dtype == "bool":
        call.refuse(
            "RuntimeError",
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the "
            "`~` or `logical_not()` operator instead.",
        )
    if name == "relu" and dtype == "bool":
        call.refuse("RuntimeError", "Boolean inputs not supported for relu")
    if (
        name in ("floor", "ceil", "round", "trunc", "fix", "frac", "sign", "positive")
        and dtype == "bool"
    ):
        raise Untold
    if name == "frac" and is_integral(dtype):
        raise Untold


for _name in FLOATING:
    _unary(_name, float_of)
for _name in KEEPING:
    _unary(_name, kept_dtype)
for _name in TESTS:
    _unary(_name, lambda call, dtype: "bool", "bool")


@operation("input", "torch.abs", "Tensor.abs", "torch.absolute", "Tensor.absolute")
def _abs(call: Call) -> Value:
    dtype = call.tensor().dtype
    if dtype == "bool":
        raise Untold
    return call.kept({"complex64": "float32", "complex128": "float64"}.get(dtype, dtype))


@operation("input", "torch.bitwise_not", "Tensor.bitwise_not")
def bitwise_not(call: Call) -> Value:
    dtype = call.tensor().dtype
    if not is_integral(dtype):
        raise Untold
    return call.kept(dtype)


@operation("input, memory_format=None", "Tensor.clone", "torch.clone")
def _clone(call: Call) -> Value:
    tensor = call.tensor()
    result = call.view(tensor.shape)
    result.is_contiguous, result.strides = (True if tensor.is_contiguous else None), None
    return with_strides_of(result, tensor)


@operation("input, memory_format=None", "Tensor.contiguous")
def _contiguous(call: Call) -> Value:
    if call.has("memory_format"):
        call.machine.write(call.machine.modes, "memory_format", True)
        raise Untold
    result = call.view(call.tensor().shape)
    result.is_contiguous, result.strides = True, None
    return result


@operation("input, nan=0.0, posinf=None, neginf=None", "torch.nan_to_num", "Tensor.nan_to_num")
def _nan_to_num(call: Call) -> Value:
    return call.kept(call.tensor().dtype)


@operation("input, min=None, max=None", "torch.clamp", "Tensor.clamp", "torch.clip", "Tensor.clip")
def _clamp(call: Call) -> Value:
    operands = [call.tensor(), *(call.given[n] for n in ("min", "max") if call.has(n))]
    return combined(call, operands)


# --- several tensors


def combined(call: Call, operands: list[Value], dtype: str | None = None) -> Tensor:
    """Broadcast and promoted. `dtype`: of the result whatever the operands are."""
    if len(operands) == 2:
        check_elements(call, *operands)
    shape: Shape | None = ()
    for value in operands:
        if isinstance(value, Tensor):
            if value.library != "torch":
                raise Untold
            shape = common(call, shape, value.shape)
        elif not (isinstance(value, (Const, Number)) or is_real(value)) or (
            isinstance(value, Const) and type(value.value) not in (int, float, bool)
        ):
            raise Untold
    if dtype is None:
        dtype = of_operands(call.machine, *operands)
    tensors = [v for v in operands if isinstance(v, Tensor)]
    result = call.made(shape, dtype, *operands)
    if len(tensors) == 1:
        with_strides(result, tensors[0])
    return result


def with_strides(result: Tensor, tensor: Tensor) -> None:
    with_strides_of(result, tensor)


def common(call: Call, left: Shape | None, right: Shape | None) -> Shape | None:
    """The broadcast shape; refuses sizes that don't fit."""
    shape, clash = broadcast(left, right)
    if clash is not None and left is not None and right is not None:
        call.refuse("RuntimeError", clash_text(left, right, clash))
    return shape


def _binary(name: str, *aliases: str) -> None:
    homes = [f"{home}.{n}" for n in (name, *aliases) for home in ("torch", "Tensor")]

    @operation("input, other, alpha=1, rounding_mode=None", *homes)
    def work(call: Call) -> Value:
        return arithmetic(call, name, call.value("input"), call.value("other"))


def arithmetic(call: Call, name: str, left: Value, right: Value) -> Tensor:
    """`left + right` and the like."""
    if not isinstance(left, Tensor) and not isinstance(right, Tensor):
        raise Untold
    dtype = of_operands(call.machine, left, right)
    if name == "sub":
        check_subtraction(call, left, right)
    if name == "div" and is_integral(dtype):
        mode = call.given.get("rounding_mode")
        if mode is None or (isinstance(mode, Const) and mode.value is None):
            dtype = default_float(call.machine)
    if name in ("bitwise_and", "bitwise_or", "bitwise_xor", "shift"):
        if not is_integral(dtype):
            _refuse_bits(call, name, dtype)
        if name == "shift" and dtype == "bool":
            raise Untold
    if name in ("floor_divide", "remainder", "pow", "fmod") and dtype == "bool":
        raise Untold
    if name == "div" and not dtype:
        return combined(call, [left, right], "")
    return combined(call, [left, right], dtype)


def _refuse_bits(call: Call, name: str, dtype: str) -> None:
    if name == "shift" or dtype not in ("float32", "float64"):
        raise Untold
    common_shape: Shape | None = ()
    for value in (call.given.get("input"), call.given.get("other")):
        if isinstance(value, Tensor):
            common_shape = common(call, common_shape, value.shape)
        else:
            raise Untold
    call.refuse("NotImplementedError", f"\"{name}_cpu\" not implemented for '{scalar_type(dtype)}'")


def check_subtraction(call: Call, left: Value, right: Value) -> None:
    kinds = [
        v.dtype == "bool" if isinstance(v, Tensor) else isinstance(getattr(v, "value", 0), bool)
        for v in (left, right)
    ]
    if all(kinds):
        call.refuse(
            "RuntimeError",
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
            "operator instead.",
        )
    if any(kinds):
        call.refuse(
            "RuntimeError",
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use "
            "the `~` or `logical_not()` operator instead.",
        )


_binary("add")
_binary("sub", "subtract")
_binary("mul", "multiply")
_binary("div", "divide", "true_divide")
_binary("floor_divide")
_binary("remainder")
_binary("fmod")
_binary("maximum")
_binary("minimum")
_binary("fmax")
_binary("fmin")
_binary("bitwise_and")
_binary("bitwise_or")
_binary("bitwise_xor")


@operation("input, exponent", "torch.pow", "Tensor.pow")
def _pow(call: Call) -> Value:
    return arithmetic(call, "pow", call.value("input"), call.value("exponent"))


@operation("input, exponent", "torch.float_power", "Tensor.float_power")
def _float_power(call: Call) -> Value:
    operands = [call.value("input"), call.value("exponent")]
    dtype = of_operands(call.machine, *operands)
    return combined(call, operands, "float64" if dtype and category(dtype) < 3 else "")


@operation("input, other", "torch.atan2", "Tensor.atan2", "torch.arctan2", "torch.hypot", "torch.logaddexp", "Tensor.logaddexp")  # fmt: skip
def _float_pair(call: Call) -> Value:
    operands = [call.value("input"), call.value("other")]
    dtype = of_operands(call.machine, *operands)
    if not dtype or category(dtype) != 2:
        raise Untold
    return combined(call, operands, dtype)


def _comparison(*names: str) -> None:
    homes = [f"{home}.{n}" for n in names for home in ("torch", "Tensor")]

    @operation("input, other", *homes, dtype="bool")
    def work(call: Call) -> Value:
        return combined(call, [call.value("input"), call.value("other")], "bool")


_comparison("eq", "ne", "lt", "le", "gt", "ge", "greater", "less", "not_equal", "greater_equal", "less_equal",
            "logical_and", "logical_or", "logical_xor", "isclose")  # fmt: skip


@operation("input, end, weight", "torch.lerp", "Tensor.lerp")
def _lerp(call: Call) -> Value:
    operands = [call.tensor(), call.tensor("end"), call.value("weight")]
    dtypes = {v.dtype for v in operands if isinstance(v, Tensor)}
    if len(dtypes) > 1:
        raise Untold
    return combined(call, operands)


@operation("input, tensor1, tensor2, value=1", "torch.addcmul", "Tensor.addcmul", "torch.addcdiv", "Tensor.addcdiv")  # fmt: skip
def _addc(call: Call) -> Value:
    return combined(call, [call.tensor(n) for n in ("input", "tensor1", "tensor2")])


@operation("condition, input, other", "torch.where")
def _where(call: Call) -> Value:
    if "input" not in call.given:
        raise Untold
    condition = call.tensor("condition")
    if condition.dtype and condition.dtype not in ("bool", "uint8"):
        call.refuse(
            "RuntimeError",
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {scalar_type(condition.dtype)}",
        )
    return _chosen(call, call.value("input"), call.value("other"))


@operation("input, condition, other", "Tensor.where")
def _where_method(call: Call) -> Value:
    return _chosen(call, call.value("input"), call.value("other"))


def _chosen(call: Call, left: Value, right: Value) -> Value:
    operands = [left, right]
    tensors = [v for v in operands if isinstance(v, Tensor)]
    dtype = of_operands(call.machine, *operands) if tensors else ""
    if not tensors:
        kinds = {type(v.value) for v in operands if isinstance(v, Const)}
        dtype = (
            "int64" if kinds == {int} else default_float(call.machine) if kinds == {float} else ""
        )
    condition = call.tensor("condition")
    if condition.library != "torch":
        raise Untold
    shape = condition.shape
    for other in tensors:
        shape = common(call, shape, other.shape)
    result = combined(call, operands, dtype)
    result.shape = shape
    return result


@operation("input, mask, value", "torch.masked_fill", "Tensor.masked_fill")
def _masked_fill(call: Call) -> Value:
    tensor, mask = call.tensor(), call.tensor("mask")
    check_mask(call, mask)
    shape = common(call, mask.shape, tensor.shape)
    return call.made(shape, tensor.dtype, tensor, call.value("value"), is_cast=False)


def check_mask(call: Call, mask: Tensor) -> None:
    if mask.dtype and mask.dtype != "bool" and mask.library == "torch":
        call.refuse(
            "RuntimeError",
            f"masked_fill_ only supports boolean masks, but got mask with dtype {C_TYPES.get(mask.dtype, mask.dtype)}",
        )
