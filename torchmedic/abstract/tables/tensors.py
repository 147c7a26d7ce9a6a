"""Methods and attributes of tensors that change shape, dtype, device or graph; the same as functions of `torch`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.registry import TENSOR_METHODS, function, tensor_method
from torchmedic.abstract.sizes import Size, number, product
from torchmedic.abstract.tables.events import constant, converted
from torchmedic.abstract.tables.views import merges, noted
from torchmedic.abstract.values import (
    Arguments,
    Const,
    External,
    Number,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

Shape = tuple[Size, ...]
DTYPES = {"float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16", "long": "int64",
          "int": "int32", "short": "int16", "byte": "uint8", "char": "int8", "bool": "bool"}  # fmt: skip


def dtype_named(value: Value | None) -> str:
    """`torch.float32`, `np.float32`, `float`, `"float32"` as a dtype; "" if it is none."""
    if isinstance(value, External):
        name = value.name.rpartition(".")[2]
        if value.name.startswith("builtins."):
            return {"float": "float64", "int": "int64", "bool": "bool"}.get(name, "")
        name = {"float_": "float64", "int_": "int64", "bool_": "bool"}.get(name, name)
        if value.name.startswith("torch."):
            name = DTYPES.get(name, name)
        return (
            name
            if name.rstrip("0123456789") in ("float", "int", "uint", "bfloat", "complex", "bool")
            else ""
        )
    if isinstance(value, Const) and isinstance(value.value, str):
        return (
            value.value
            if value.value.rstrip("0123456789") in ("float", "int", "uint", "bool")
            else ""
        )
    return ""


def sizes_in(values: list[Value]) -> list[Size | None] | None:
    """The sizes given as `2, 3`, `(2, 3)` or `x.shape`; None in it for one that can't be told."""
    if len(values) == 1 and isinstance(values[0], Sequence):
        if not values[0].is_exact:
            return None
        values = list(values[0].items)
    elif len(values) == 1 and size_of(values[0]) is None:
        return None  # it may be a tuple
    if any(isinstance(v, Sequence) for v in values):
        return None
    return [size_of(v) for v in values]


def same(machine: Machine, tensor: Tensor, shape: Shape | None, **changes: Any) -> Tensor:
    """A result with the tensor's dtype, library and history: the same values, unless `through` is among the changes."""
    is_use = "through" in changes
    result = machine.derived(
        tensor, shape=shape, dtype=tensor.dtype, library=tensor.library, is_use=is_use
    )
    if not is_use:
        result.through, result.activations = tensor.through, tensor.activations
    result.owners = tensor.owners
    for name, value in changes.items():
        setattr(result, name, value)
    return result


# --- view, reshape, flatten


def reshaped(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    given = arguments.args or [v for v in (arguments.get(None, "shape", "size"),) if v is not None]
    if len(given) == 1 and (dtype := dtype_named(given[0])):
        return same(machine, tensor, tensor.shape, dtype=dtype)
    wanted = sizes_in(given)
    if wanted is None or tensor.shape is None:
        if wanted is not None and None not in wanted:
            sizes = [s for s in wanted if s is not None]
            if all(s.constant != -1 for s in sizes):
                return same(machine, tensor, tuple(sizes))
            return same(
                machine, tensor, tuple(Size.fresh("n") if s.constant == -1 else s for s in sizes)
            )
        return same(machine, tensor, None)
    return same(machine, tensor, filled(machine, tensor, wanted))


def filled(machine: Machine, tensor: Tensor, wanted: list[Size | None]) -> Shape | None:
    """The new shape, with -1 worked out: it is the number of elements divided by the other sizes."""
    assert tensor.shape is not None
    total = product(list(tensor.shape))
    sizes = [s if s is not None else Size.fresh("n") for s in wanted]
    free = [i for i, s in enumerate(sizes) if s.constant == -1]
    if len(free) > 1 or None in wanted:
        return tuple(Size.fresh("n") if s.constant == -1 else s for s in sizes)
    if not free:
        if product(sizes).is_different(total):
            _invalid(machine, sizes, total)
            return None
        return tuple(sizes)
    known = product([s for s in sizes if s.constant != -1])
    exact = total.divided_by(known)
    if exact is None and total.constant is not None and known.constant:
        _invalid(machine, sizes, total)
        return None
    sizes[free[0]] = exact if exact is not None else Size.fresh("n")
    return tuple(sizes)


def _invalid(machine: Machine, sizes: list[Size], total: Size) -> None:
    text = ", ".join(str(int(number(s))) for s in sizes)
    machine.fail(
        "RuntimeError", f"shape '[{text}]' is invalid for input of size {int(number(total))}"
    )


@tensor_method("view")
def _view(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    result = _viewed(machine, tensor, arguments)
    if (
        tensor.is_contiguous is False
        and isinstance(result, Tensor)
        and tensor.shape is not None
        and result.shape
        and tensor.library == "torch"
        and merges(tensor.shape, result.shape)
    ):
        machine.fail(
            "RuntimeError",
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead.",
        )
    return result


@tensor_method("reshape")
def _reshape(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    return _viewed(machine, tensor, arguments)


def _viewed(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    return noted(machine, tensor, reshaped(machine, tensor, arguments))


def flattened(machine: Machine, value: Value, start: Value | None, end: Value | None) -> Value:
    if not isinstance(value, Tensor) or value.shape is None:
        return same(machine, value, None) if isinstance(value, Tensor) else machine.derived(value)
    low, high = constant(start), constant(end)
    low = 0 if low is None else low
    high = -1 if high is None else high
    rank = len(value.shape)
    if type(low) is not int or type(high) is not int or not rank:
        return same(machine, value, (product(list(value.shape)),) if not rank else None)
    if not (-rank <= low < rank and -rank <= high < rank):
        return same(machine, value, None)
    low, high = low % rank, high % rank
    middle = product(list(value.shape[low : high + 1]))
    return same(machine, value, (*value.shape[:low], middle, *value.shape[high + 1 :]))


@tensor_method("flatten", "ravel")
def _flatten(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    return flattened(machine, tensor, arguments.get(0, "start_dim"), arguments.get(1, "end_dim"))


# --- dimensions


@tensor_method("unsqueeze")
def _unsqueeze(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    at = constant(arguments.get(0, "dim"))
    if tensor.shape is None or type(at) is not int:
        return same(machine, tensor, None)
    shape = list(tensor.shape)
    shape.insert(at if at >= 0 else len(shape) + 1 + at, Size.of(1))
    return same(machine, tensor, tuple(shape))


@tensor_method("squeeze")
def _squeeze(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    if tensor.shape is None:
        return same(machine, tensor, None)
    given = arguments.get(0, "dim", "axis")
    if given is None:
        if any(s.constant is None for s in tensor.shape):
            return same(machine, tensor, tuple(s for s in tensor.shape if s.constant != 1))
        return same(machine, tensor, tuple(s for s in tensor.shape if s.constant != 1))
    at = constant(given)
    if type(at) is not int or not -len(tensor.shape) <= at < len(tensor.shape):
        return same(machine, tensor, None)
    at %= len(tensor.shape)
    size = tensor.shape[at].constant
    if size is None:
        return same(machine, tensor, None)
    shape = tensor.shape[:at] + tensor.shape[at + 1 :] if size == 1 else tensor.shape
    return same(machine, tensor, shape)


@tensor_method("permute")
def _permute(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    order = sizes_in(arguments.args or [arguments.get(None, "dims") or Unknown()])
    if tensor.shape is None or order is None or None in order:
        return same(machine, tensor, None, is_contiguous=None)
    numbers = [o.constant for o in order if o is not None]
    if len(numbers) != len(tensor.shape) or None in numbers:
        return same(machine, tensor, None, is_contiguous=None)
    places = [n % len(tensor.shape) for n in numbers if n is not None]
    shape = tuple(tensor.shape[p] for p in places)
    return same(
        machine, tensor, shape, is_contiguous=places == sorted(places) and tensor.is_contiguous
    )


@tensor_method("transpose", "swapaxes", "swapdims")
def _transpose(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    if tensor.library == "numpy":
        return _permute(machine, tensor, arguments) if arguments.args else _turned(machine, tensor)
    a, b = constant(arguments.get(0, "dim0")), constant(arguments.get(1, "dim1"))
    if tensor.shape is None or type(a) is not int or type(b) is not int:
        return same(machine, tensor, None, is_contiguous=None)
    shape = list(tensor.shape)
    if max(a, b) >= len(shape) or min(a, b) < -len(shape):
        return same(machine, tensor, None)
    shape[a], shape[b] = shape[b], shape[a]
    return same(machine, tensor, tuple(shape), is_contiguous=False)


def _turned(machine: Machine, tensor: Tensor) -> Tensor:
    shape = tuple(reversed(tensor.shape)) if tensor.shape is not None else None
    return same(machine, tensor, shape, is_contiguous=not (shape and len(shape) > 1))


@tensor_method("t")
def _t(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    return _turned(machine, tensor)


# --- what keeps the shape


def _kept(*names: str, **changes: Any) -> None:
    def work(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
        return same(machine, tensor, tensor.shape, **changes)

    tensor_method(*names)(work)


_kept("contiguous", is_contiguous=True)
_kept("clone", "cuda", "cpu", "pin_memory", "flip", "roll", "type_as", "share_memory_")
_kept("abs", "neg", "exp", "log", "sqrt", "pow", "square", "clamp", "clip", "relu", "tanh", "sin", "cos", "float_power",
      "nan_to_num", "masked_fill", "cumsum", "sign", "reciprocal", "rsqrt", "erf", "log1p", "triu", "tril", "round",
      "floor", "ceil", through=())  # fmt: skip


def _changed(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    """In place: whoever holds the tensor sees other values from now on."""
    machine.set(tensor, "through", ())
    machine.set(tensor, "activations", frozenset())
    return same(machine, tensor, tensor.shape)


tensor_method("masked_fill_", "relu_", "clamp_", "fill_", "zero_", "mul_", "add_", "sub_", "div_", "copy_", "normal_",
              "uniform_")(_changed)  # fmt: skip


@tensor_method("detach", "detach_")
def _detach(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    converted(machine, tensor, "detach")
    return same(
        machine,
        tensor,
        tensor.shape,
        graph=False,
        calls=frozenset(),
        sums=frozenset(),
        is_leaf=True,
    )


@tensor_method("requires_grad_")
def _requires_grad(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    given = arguments.get(0, "requires_grad")
    machine.set(tensor, "graph", machine.truth(given) if given is not None else True)
    return tensor


@tensor_method("item", "tolist")
def _item(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    converted(machine, tensor, "item")
    return Unknown(False)


@tensor_method("numpy")
def _numpy(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    force = constant(arguments.get(None, "force"))
    if tensor.graph and not force and machine.modes["grad"] is not None:
        machine.fail(
            "RuntimeError",
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.",
        )
    converted(machine, tensor, "numpy")
    return same(
        machine,
        tensor,
        tensor.shape,
        library="numpy",
        graph=False,
        calls=frozenset(),
        sums=frozenset(),
    )


def _cast(dtype: str) -> Callable[[Any, Tensor, Arguments], Value]:
    def work(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
        return retyped(machine, tensor, dtype)

    return work


for _name, _dtype in DTYPES.items():
    tensor_method(_name)(_cast(_dtype))


def retyped(machine: Machine, tensor: Tensor, dtype: str) -> Tensor:
    result = same(machine, tensor, tensor.shape, dtype=dtype)
    if dtype != tensor.dtype:
        result.made = machine.place()
    if dtype and not dtype.startswith(("float", "bfloat", "complex")):
        result.graph = False
    return result


@tensor_method("to", "type", "astype")
def _to(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    for value in arguments.all():
        if isinstance(value, Tensor):
            return retyped(machine, tensor, value.dtype)
        if dtype := dtype_named(value):
            return retyped(machine, tensor, dtype)
    if any(_may_be_dtype(node, value) for node, value in _written(arguments)):
        return retyped(machine, tensor, "")
    return same(machine, tensor, tensor.shape)


def _written(arguments: Arguments) -> Iterable[tuple[ast.expr, Value]]:
    if not isinstance(arguments.node, ast.Call):
        return []
    nodes = [*arguments.node.args, *(k.value for k in arguments.node.keywords)]
    return zip(nodes, arguments.all(), strict=False)


def _may_be_dtype(node: ast.expr, value: Value) -> bool:
    """`.to(something)`: a device is known by its type, its constant, or at least its name."""
    if isinstance(value, (Const, Number)) or getattr(value, "hint", "") == "torch.device":
        return False
    text = ast.unparse(node).lower()
    return not any(word in text for word in ("dev", "cuda", "cpu", "gpu", "rank"))


def as_function(name: str) -> None:
    """`torch.NAME(tensor, …)` is `tensor.NAME(…)`."""

    def work(machine: Machine, arguments: Arguments) -> Value:
        tensor = arguments.get(0, "input", "x", "a")
        handler = TENSOR_METHODS.get(name)
        if isinstance(tensor, Tensor) and handler is not None:
            keywords = {k: v for k, v in arguments.keywords.items() if k not in ("input", "x", "a")}
            return handler(machine, tensor, Arguments(arguments.node, arguments.args[1:], keywords))
        return machine.derived(*arguments.all()) if tensor is not None else Unknown()

    function(f"torch.{name}")(work)


for _name in list(TENSOR_METHODS):
    if not _name.endswith("_") and _name not in (
        "size",
        "numpy",
        "backward",
        "to",
        "type",
        "float",
        "int",
        "item",
    ):
        as_function(_name)
