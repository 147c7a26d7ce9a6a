"""Tensors and arrays that are made: zeros, random numbers, from data. Random ones are events."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.registry import function
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.events import constant, drawn
from torchmedic.abstract.tables.images import IMAGE, array_shape
from torchmedic.abstract.tables.tensors import DTYPES, dtype_named, same, sizes_in
from torchmedic.abstract.values import (
    Arguments,
    Const,
    External,
    Number,
    Object,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

Shape = tuple[Size, ...]


def made(
    machine: Machine, shape: Shape | None, dtype: str, arguments: Arguments, library: str = "torch"
) -> Tensor:
    wanted = dtype_named(arguments.keywords.get("dtype"))
    if "dtype" in arguments.keywords and not wanted:
        given = arguments.keywords["dtype"]
        dtype = dtype if isinstance(given, Const) and given.value is None else ""
    graph = (
        machine.truth(arguments.keywords["requires_grad"])
        if "requires_grad" in arguments.keywords
        else False
    )
    result = Tensor(graph, shape=shape, dtype=wanted or dtype, library=library, is_leaf=True)
    result.made = machine.place()
    return result


def shape_given(arguments: Arguments) -> Shape | None:
    values = arguments.args or [v for v in (arguments.get(None, "size", "shape"),) if v is not None]
    values = [v for v in values if not dtype_named(v)]
    sizes = sizes_in(values)
    if sizes is None:
        return None
    return tuple(s if s is not None else Size.fresh("n") for s in sizes)


def _filled(name: str, dtype: str, random: bool) -> None:
    @function(f"torch.{name}")
    def work(machine: Machine, arguments: Arguments) -> Value:
        if random:
            drawn(machine, "torch")
        return made(machine, shape_given(arguments), dtype, arguments)


for _name in ("zeros", "ones", "empty"):
    _filled(_name, "float32", False)
for _name in ("rand", "randn"):
    _filled(_name, "float32", True)


@function("torch.full", "numpy.full")
def _full(machine: Machine, arguments: Arguments) -> Value:
    value = constant(arguments.get(1, "fill_value"))
    dtype = {int: "int64", float: "float32", bool: "bool"}.get(type(value), "")
    shape = shape_given(Arguments(arguments.node, arguments.args[:1], arguments.keywords))
    return made(machine, shape, dtype, arguments, _library(arguments, machine))


def _library(arguments: Arguments, machine: Machine) -> str:
    called = arguments.node.func if isinstance(arguments.node, ast.Call) else None
    name = machine.frame.source.name(called) or ""
    return "numpy" if name.startswith("numpy") else "torch"


def _like(name: str, random: bool) -> None:
    @function(f"torch.{name}_like")
    def work(machine: Machine, arguments: Arguments) -> Value:
        if random:
            drawn(machine, "torch")
        value = arguments.get(0, "input")
        if not isinstance(value, Tensor):
            return made(machine, None, "", arguments)
        return made(machine, value.shape, value.dtype, arguments)


for _name in ("zeros", "ones", "empty", "full", "rand", "randn", "randint"):
    _like(_name, _name.startswith("rand"))


@function("torch.randint")
def _randint(machine: Machine, arguments: Arguments) -> Value:
    drawn(machine, "torch")
    size = arguments.get(None, "size") or (arguments.args[-1] if arguments.args else Unknown())
    sizes = sizes_in([size]) if isinstance(size, Sequence) else None
    shape = None if sizes is None else tuple(s if s is not None else Size.fresh("n") for s in sizes)
    return made(machine, shape, "int64", arguments)


@function("torch.randperm")
def _randperm(machine: Machine, arguments: Arguments) -> Value:
    drawn(machine, "torch")
    count = size_of(arguments.get(0, "n"))
    return made(machine, (count,) if count is not None else None, "int64", arguments)


@function("torch.eye")
def _eye(machine: Machine, arguments: Arguments) -> Value:
    rows = size_of(arguments.get(0, "n"))
    columns = size_of(arguments.get(1, "m")) if arguments.get(1, "m") else rows
    return made(
        machine,
        (rows, columns) if rows is not None and columns is not None else None,
        "float32",
        arguments,
    )


@function("torch.arange", "numpy.arange")
def _arange(machine: Machine, arguments: Arguments) -> Value:
    bounds = [constant(v) for v in arguments.args]
    sizes = [size_of(v) for v in arguments.args]
    library = _library(arguments, machine)
    floats = any(type(b) is float for b in bounds)
    dtype = ("float64" if library == "numpy" else "float32") if floats else "int64"
    length: Size | None = None
    if floats and len(bounds) == 1 and isinstance(bounds[0], float):
        length = Size.of(-int(-bounds[0] // 1))
    elif len(sizes) == 1 and sizes[0] is not None:
        length = sizes[0]
    elif len(sizes) == 2 and sizes[0] is not None and sizes[1] is not None:
        length = sizes[1] - sizes[0]
    if any(isinstance(v, (Unknown, Tensor)) for v in arguments.args):
        dtype = ""
    return made(
        machine, (length if length is not None else Size.fresh("n"),), dtype, arguments, library
    )


@function("torch.linspace", "torch.logspace", "numpy.linspace")
def _linspace(machine: Machine, arguments: Arguments) -> Value:
    library = _library(arguments, machine)
    steps = size_of(arguments.get(2, "steps", "num"))
    dtype = "float64" if library == "numpy" else "float32"
    if steps is None and library == "numpy" and arguments.get(2, "num") is None:
        steps = Size.of(50)
    return made(
        machine, (steps if steps is not None else Size.fresh("n"),), dtype, arguments, library
    )


# --- from data


def shape_and_dtype(value: Value, library: str) -> tuple[Shape | None, str]:
    """Of nested lists of numbers, as `torch.tensor` or `np.array` reads them."""
    floating = "float64" if library == "numpy" else "float32"
    if isinstance(value, Const):
        kind = type(value.value)
        return (), {bool: "bool", int: "int64", float: floating}.get(kind, "")
    if isinstance(value, Number):
        return (), "int64"
    if isinstance(value, Tensor):
        return value.shape, value.dtype
    if isinstance(value, Object) and value.type == IMAGE:
        shape = array_shape(value)
        return shape, "uint8" if shape is not None else ""
    if isinstance(value, Sequence):
        parts = list(value.items) if value.is_exact else [value.rest or Unknown()]
        if not parts:
            return (Size.of(0),), floating
        inner = [shape_and_dtype(p, library) for p in parts]
        size = value.size if value.size is not None else Size.fresh("n")
        shape = inner[0][0]
        same_shape = shape is not None and all(s == shape for s, _ in inner)
        dtypes = {d for _, d in inner}
        dtype = (
            dtypes.pop()
            if len(dtypes) == 1
            else (floating if dtypes <= {"int64", floating, "bool"} else "")
        )
        return ((size, *shape) if same_shape and shape is not None else None), dtype
    return None, ""


@function("torch.tensor", "torch.as_tensor", "torch.asarray")
def _tensor(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0, "data") or Unknown()
    given = list(arguments.args)
    if len(given) > 1 and dtype_named(given[1]):
        arguments = Arguments(arguments.node, given[:1], {**arguments.keywords, "dtype": given[1]})
    shape, dtype = shape_and_dtype(value, "torch")
    result = made(machine, shape, dtype, arguments)
    if isinstance(value, Tensor) and "dtype" not in arguments.keywords:
        result.made = value.made or result.made
    if isinstance(value, Tensor) and value.calls:
        machine.emit("convert", value, how="tensor", graph=value.graph, calls=value.calls)
    return result


@function("torch.from_numpy")
def _from_numpy(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0)
    if isinstance(value, Tensor):
        return same(
            machine,
            value,
            value.shape,
            library="torch",
            graph=False,
            calls=frozenset(),
            made=value.made,
        )
    return Tensor(False, dtype="")


_LEGACY = {"FloatTensor": "float32", "DoubleTensor": "float64", "LongTensor": "int64", "IntTensor": "int32",
           "ByteTensor": "uint8", "BoolTensor": "bool", "HalfTensor": "float16", "Tensor": "float32"}  # fmt: skip


def _legacy(name: str, dtype: str) -> None:
    @function(f"torch.{name}", f"torch.cuda.{name}")
    def work(machine: Machine, arguments: Arguments) -> Value:
        values = arguments.args
        if len(values) == 1 and not isinstance(values[0], (Const, Number)):
            shape, _ = shape_and_dtype(values[0], "torch")
        else:
            shape = shape_given(arguments)
        return made(machine, shape, dtype, arguments)


for _name, _dtype in _LEGACY.items():
    _legacy(_name, _dtype)


@function("torch.nn.Parameter")
def _parameter(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0, "data")
    shape = value.shape if isinstance(value, Tensor) else None
    dtype = value.dtype if isinstance(value, Tensor) else ""
    given = arguments.get(1, "requires_grad")
    graph = machine.truth(given) if given is not None else True
    result = Tensor(graph, shape=shape, dtype=dtype, is_leaf=True, is_parameter=True)
    result.kind = "Parameter"
    return result


@function("torch.device")
def _device(machine: Machine, arguments: Arguments) -> Value:
    return Unknown(False, hint="torch.device")


@function("torch.cuda.is_available", "torch.backends.mps.is_available", "torch.cuda.device_count")
def _available(machine: Machine, arguments: Arguments) -> Value:
    return Unknown(False, soft=True)


# --- NumPy


@function("numpy.array", "numpy.asarray", "numpy.ascontiguousarray")
def _array(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0, "object", "a") or Unknown()
    if isinstance(value, Tensor) and value.graph and value.library == "torch":
        machine.fail(
            "RuntimeError",
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.",
        )
    given = list(arguments.args)
    if len(given) > 1:
        arguments = Arguments(arguments.node, given[:1], {**arguments.keywords, "dtype": given[1]})
    shape, dtype = shape_and_dtype(value, "numpy")
    return made(machine, shape, dtype, arguments, "numpy")


def _numpy_filled(name: str) -> None:
    @function(f"numpy.{name}")
    def work(machine: Machine, arguments: Arguments) -> Value:
        given = list(arguments.args)
        if len(given) > 1:
            arguments = Arguments(
                arguments.node, given[:1], {**arguments.keywords, "dtype": given[1]}
            )
        return made(machine, shape_given(arguments), "float64", arguments, "numpy")


for _name in ("zeros", "ones", "empty"):
    _numpy_filled(_name)


def _numpy_random(name: str, dtype: str, at: int) -> None:
    @function(f"numpy.random.{name}")
    def work(machine: Machine, arguments: Arguments) -> Value:
        drawn(machine, "numpy")
        if name in ("rand", "randn"):
            shape = shape_given(arguments)
        else:
            size = arguments.get(at, "size")
            sizes = sizes_in([size]) if size is not None else []
            shape = (
                None
                if sizes is None
                else tuple(s if s is not None else Size.fresh("n") for s in sizes)
            )
        return made(machine, shape, dtype, arguments, "numpy")


for _name, _dtype, _at in (
    ("rand", "float64", 0), ("randn", "float64", 0), ("random", "float64", 0), ("normal", "float64", 2),
    ("uniform", "float64", 2), ("randint", "int64", 2), ("choice", "", 1), ("standard_normal", "float64", 0),
):  # fmt: skip
    _numpy_random(_name, _dtype, _at)


__all__ = ["DTYPES", "External", "made", "shape_and_dtype"]
