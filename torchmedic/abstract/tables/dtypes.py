"""Number types: their names, and the one that an operation on several gives.

Source: https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.operators import is_real
from torchmedic.abstract.values import Const, External, Number, Tensor, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

METHODS = {"float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16", "long": "int64",
           "int": "int32", "short": "int16", "byte": "uint8", "char": "int8", "bool": "bool",
           "cfloat": "complex64", "cdouble": "complex128"}  # fmt: skip
SCALAR_TYPES = {"float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long",
                "int32": "Int", "uint8": "Byte", "int8": "Char", "int16": "Short", "bool": "Bool",
                "complex64": "ComplexFloat", "complex128": "ComplexDouble"}  # fmt: skip
C_TYPES = {"float32": "float", "float64": "double", "float16": "c10::Half", "bfloat16": "c10::BFloat16",
           "int64": "long int", "int32": "int", "uint8": "unsigned char", "int8": "signed char", "int16": "short int",
           "bool": "bool"}  # fmt: skip
LEGACY = {"FloatTensor": "float32", "DoubleTensor": "float64", "LongTensor": "int64", "IntTensor": "int32",
          "ByteTensor": "uint8", "BoolTensor": "bool", "HalfTensor": "float16", "ShortTensor": "int16",
          "CharTensor": "int8", "BFloat16Tensor": "bfloat16"}  # fmt: skip
ORDER = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64",
         "complex64", "complex128")  # fmt: skip
FLOATS = ("float16", "bfloat16", "float32", "float64")
BITS = {"bool": 8, "uint8": 8, "int8": 8, "int16": 16, "int32": 32, "int64": 64, "float16": 16, "bfloat16": 16,
        "float32": 32, "float64": 64, "complex64": 64, "complex128": 128}  # fmt: skip
_PYTHON = {"float": "float64", "int": "int64", "bool": "bool", "complex": "complex128"}
_NUMPY = {"float_": "float64", "int_": "int64", "bool_": "bool", "double": "float64", "single": "float32",
          "half": "float16", "intp": "int64", "longlong": "int64", "long": "int64", "byte": "int8", "ubyte": "uint8",
          "short": "int16", "intc": "int32", "float": "float64", "int": "int64", "bool": "bool"}  # fmt: skip


def dtype_named(value: Value | None) -> str:
    """`torch.float32`, `np.float32`, `float`, `"float32"` as a dtype; "" if it is none."""
    if isinstance(value, External):
        home, _, name = value.name.rpartition(".")
        if home == "builtins":
            return _PYTHON.get(name, "")
        if home == "torch":
            name = METHODS.get(name, name)
        elif home == "numpy":
            name = _NUMPY.get(name, name)
        return name if name in BITS else ""
    if isinstance(value, Const) and isinstance(value.value, str):
        name = value.value.removeprefix("torch.")
        return name if name in BITS else {"float": "float64", "int": "int64", "f": "float32", "f4": "float32",
                                          "f8": "float64", "i8": "int64", "i4": "int32"}.get(name, "")  # fmt: skip
    return ""


def dtype_of_torch(name: str) -> str:
    """`torch.long` -> "int64"; "" for what is no dtype of PyTorch."""
    home, _, last = name.rpartition(".")
    last = {**METHODS, "cfloat": "complex64"}.get(last, last) if home == "torch" else ""
    return last if last in BITS else ""


def plain_dtype(name: str) -> str:
    """`numpy.int64` -> "int64"; "" for the names that mean another dtype on another system."""
    home, _, last = name.rpartition(".")
    return last if home == "numpy" and last in BITS else ""


def legacy_named(value: Value | None) -> str:
    """`torch.LongTensor`, `"torch.FloatTensor"` as a dtype."""
    name = value.name if isinstance(value, External) else ""
    if isinstance(value, Const) and isinstance(value.value, str):
        name = value.value
    if not name.startswith("torch."):
        return ""
    return LEGACY.get(name.removeprefix("torch.").removeprefix("cuda."), "")


def may_be_dtype(value: Value) -> bool:
    """False for what is certainly no dtype: devices, numbers, tensors."""
    if isinstance(value, Unknown):
        return value.hint != "torch.device" and "device" not in value.why.lower()
    return isinstance(value, External) and not dtype_named(value)


def category(dtype: str) -> int:
    """0 bool, 1 integer, 2 floating, 3 complex."""
    return (
        0 if dtype == "bool" else 3 if dtype.startswith("complex") else 2 if dtype in FLOATS else 1
    )


def scalar_type(dtype: str) -> str:
    """As PyTorch calls it in messages: Float, Long."""
    return SCALAR_TYPES.get(dtype, dtype)


def is_floating(dtype: str) -> bool:
    return dtype in FLOATS


def is_integral(dtype: str) -> bool:
    """Of an integer or bool."""
    return bool(dtype) and category(dtype) < 2


def promoted(left: str, right: str) -> str:
    """The dtype of an operation on two tensors with dimensions; "" if one is unknown."""
    if not left or not right:
        return ""
    if left == right:
        return left
    if {left, right} == {"float16", "bfloat16"}:
        return "float32"
    if {left, right} == {"uint8", "int8"}:
        return "int16"
    if category(left) != category(right):
        high, low = (left, right) if category(left) > category(right) else (right, left)
        return "complex128" if high == "complex64" and low == "float64" else high
    return max(left, right, key=ORDER.index)


def numpy_promoted(left: str, right: str) -> str:
    """The dtype of an operation on two arrays: integers don't fit into a small float."""
    if not left or not right:
        return ""
    if category(left) == category(right) or "bool" in (left, right) or "bfloat16" in (left, right):
        return promoted(left, right)
    high, low = (left, right) if category(left) > category(right) else (right, left)
    if category(high) == 3 or category(low) == 2:
        return ""
    needed = {8: 16, 16: 32}.get(BITS[low], 64)
    return f"float{max(BITS[high], needed)}"


def default_float(machine: Machine) -> str:
    """float32, unless `torch.set_default_dtype` said otherwise."""
    held: str = machine.modes.get("float", "float32")
    return held


def with_number(machine: Machine, dtype: str, number: Value, library: str = "torch") -> str:
    """The dtype of an operation of a tensor and a Python number."""
    if isinstance(number, Const) and dtype:
        kind = type(number.value)
        if kind is complex:
            return ""
        if kind is float and category(dtype) < 2:
            if library != "numpy":
                return default_float(machine)
            return {"bool": "float64", "int8": "float64"}.get(dtype, "float64")
        if kind is int and dtype == "bool":
            return "int64"
        return dtype if kind in (int, float, bool) else ""
    if isinstance(number, Number):
        return "int64" if dtype == "bool" else dtype
    if is_real(number) and dtype and category(dtype) < 2:
        return "float64" if library == "numpy" else default_float(machine)
    return dtype if dtype and category(dtype) >= 2 and isinstance(number, Unknown) else ""


def of_operands(machine: Machine, *operands: Value) -> str:
    """The result type of tensors and numbers: dimensions first, then scalars, then Python numbers."""
    tensors = [v for v in operands if isinstance(v, Tensor)]
    numbers = [v for v in operands if not isinstance(v, Tensor)]
    if any(not t.dtype for t in tensors) or not tensors:
        return ""
    if any(t.library == "numpy" for t in tensors):
        dtype = tensors[0].dtype
        for other in tensors[1:]:
            dtype = numpy_promoted(dtype, other.dtype)
    else:
        if len({t.dtype for t in tensors}) > 1 and any(t.shape is None for t in tensors):
            return ""
        full = [t.dtype for t in tensors if t.shape is None or t.shape]
        scalars = [t.dtype for t in tensors if t.shape is not None and not t.shape]
        dtype = _joined(full)
        low = _joined(scalars)
        if not dtype or (low and category(low) > category(dtype)):
            dtype = low if not dtype or category(dtype) < 3 or not low else dtype
    for number in numbers:
        dtype = with_number(machine, dtype, number, tensors[0].library) if dtype else ""
    return dtype


def _joined(dtypes: list[str]) -> str:
    result = dtypes[0] if dtypes else ""
    for other in dtypes[1:]:
        result = promoted(result, other)
    return result
