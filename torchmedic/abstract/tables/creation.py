"""Tensors that are made: zeros, random numbers, from data. Random ones are events.

Source: https://docs.pytorch.org/docs/stable/torch.html#creation-ops
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from torchmedic.abstract.devices import device_of
from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.registry import function
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.creation_data import shape_and_dtype
from torchmedic.abstract.tables.dtypes import (
    LEGACY,
    default_float,
    dtype_named,
    is_integral,
    legacy_named,
)
from torchmedic.abstract.tables.operation import Call, Untold, operation
from torchmedic.abstract.tables.tensors import NO_GRAPH, same
from torchmedic.abstract.values import (
    Arguments,
    Const,
    Number,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

Shape = tuple[Size, ...]


def new(call: Call, shape: Shape | None, dtype: str, like: Tensor | None = None) -> Tensor:
    """A tensor with no history. `dtype`: unless `dtype=` says another. It lives where `like` does."""
    machine = call.machine
    given = call.given.get("requires_grad")
    graph = machine.truth(given) if given is not None else False
    dtype = call.dtype(dtype)
    if graph and is_integral(dtype):
        call.refuse(
            "RuntimeError", "Only Tensors of floating point and complex dtype can require gradients"
        )
    if call.has("memory_format"):
        machine.write(machine.modes, "memory_format", True)
    result = Tensor(graph, shape=shape, dtype=dtype, is_leaf=True, reach=0)
    if graph is not False:
        result.reach = machine.bit_of(result)
    if call.has("device"):
        result.device = device_of(call.given["device"])
    elif like is None or like.library == "torch":
        result.device = like.device if like is not None else machine.modes["device"]
    result.is_contiguous = None if machine.modes.get("memory_format") else True
    result.made = machine.place()
    return result


def made(
    machine: Machine, shape: Shape | None, dtype: str, arguments: Arguments, library: str = "torch"
) -> Tensor:
    """A tensor or array with no history, with what `dtype=` and `requires_grad=` of the call say."""
    given = arguments.keywords.get("dtype")
    if given is not None and not (isinstance(given, Const) and given.value is None):
        dtype = dtype_named(given)
    wanted = arguments.keywords.get("requires_grad")
    graph = machine.truth(wanted) if wanted is not None else False
    result = Tensor(graph, shape=shape, dtype=dtype, library=library, is_leaf=True, reach=0)
    if graph is not False:
        result.reach = machine.bit_of(result)
    result.is_contiguous = None if machine.modes.get("memory_format") else True
    result.made = machine.place()
    return result


def wanted_shape(call: Call, name: str = "size") -> Shape | None:
    """The sizes that were given; None if their number can't be told."""
    values = call.many if call.many else [call.value(name)] if name in call.given else None
    if values is None:
        raise Untold
    if len(values) == 1 and isinstance(values[0], Sequence):
        if not values[0].is_exact:
            return None
        values = list(values[0].items)
    elif len(values) == 1 and size_of(values[0]) is None:
        return None
    if any(isinstance(v, Sequence) for v in values):
        return None
    sizes = [size_of(v) for v in values]
    return tuple(s if s is not None else Size.fresh("n") for s in sizes)


def _filled(name: str, random: bool) -> None:
    @operation("*size", f"torch.{name}")
    def work(call: Call) -> Value:
        if random:
            call.drawn("torch")
        return new(call, wanted_shape(call), default_float(call.machine))


for _name in ("zeros", "ones", "empty"):
    _filled(_name, False)
for _name in ("rand", "randn"):
    _filled(_name, True)


def _filled_like(name: str) -> None:
    @operation("input, *size", f"Tensor.new_{name}")
    def work(call: Call) -> Value:
        return new(call, wanted_shape(call), call.tensor().dtype, call.tensor())


for _name in ("zeros", "ones", "empty"):
    _filled_like(_name)


def _number_dtype(machine: Machine, value: Value) -> str:
    kinds = {bool: "bool", int: "int64", float: default_float(machine)}
    if isinstance(value, Const):
        return kinds.get(type(value.value), "")
    return "int64" if isinstance(value, Number) else ""


@operation("size, fill_value", "torch.full")
def _full(call: Call) -> Value:
    call.many = [call.value("size")]
    return new(call, wanted_shape(call), _number_dtype(call.machine, call.value("fill_value")))


@operation("input, size, fill_value", "Tensor.new_full")
def _new_full(call: Call) -> Value:
    call.many = [call.value("size")]
    return new(call, wanted_shape(call), call.tensor().dtype, call.tensor())


@operation("input, data", "Tensor.new_tensor")
def _new_tensor(call: Call) -> Value:
    shape, dtype = shape_and_dtype(call.machine, call.value("data"), "torch")
    told = dtype if isinstance(call.value("data"), Tensor) else call.tensor().dtype
    return new(call, shape, told, call.tensor())


def _like(name: str, signature: str, random: bool) -> None:
    @operation(signature, f"torch.{name}_like")
    def work(call: Call) -> Value:
        if random:
            call.drawn("torch")
        tensor = call.tensor()
        result = new(call, tensor.shape, tensor.dtype, tensor)
        result.is_contiguous = True if tensor.is_contiguous is True else None
        return result


for _name in ("zeros", "ones", "empty", "rand", "randn"):
    _like(_name, "input", _name.startswith("rand"))
_like("full", "input, fill_value", False)
_like("randint", "input, low, high=None", True)


@operation("low, high=None, size=None", "torch.randint")
def _randint(call: Call) -> Value:
    call.drawn("torch")
    if isinstance(call.given.get("high"), Sequence):
        call.given["size"] = call.given["high"]
    call.many = [call.value("size")]
    return new(call, wanted_shape(call), "int64")


@operation("n", "torch.randperm")
def _randperm(call: Call) -> Value:
    call.drawn("torch")
    count = size_of(call.value("n"))
    return new(call, (count if count is not None else Size.fresh("n"),), "int64")


@operation("n, m=None", "torch.eye")
def _eye(call: Call) -> Value:
    rows = call.size("n")
    return new(call, (rows, call.size("m") if call.has("m") else rows), default_float(call.machine))


def arange_length(start: Value, end: Value, step: Value) -> tuple[Size, bool]:
    """(the number of elements, whether a bound is a float). Raises Untold where a bound is no number."""
    values = (start, end, step)
    if any(not isinstance(v, (Const, Number)) for v in values):
        raise Untold
    plain = [v.value for v in values if isinstance(v, Const)]
    if any(type(p) not in (int, float) for p in plain):
        raise Untold
    floats = any(type(p) is float for p in plain)
    if len(plain) == 3:
        a, b, by = plain
        if by == 0 or (b - a) / by < 0:
            raise Untold
        return Size.of(ceil((b - a) / by)), floats
    sizes = [size_of(v) for v in values]
    if None in sizes or sizes[2] != Size.of(1):
        return Size.fresh("n"), floats
    return sizes[1] - sizes[0], floats  # type: ignore[operator]


@operation("start, end=None, step=1", "torch.arange")
def _arange(call: Call) -> Value:
    if "end" in call.given:
        start, end = call.given.get("start", Const(0)), call.value("end")
    else:
        start, end = Const(0), call.value("start")
    length, floats = arange_length(start, end, call.value("step"))
    return new(call, (length,), default_float(call.machine) if floats else "int64")


@operation("start, end, steps, base=10.0", "torch.linspace", "torch.logspace")
def _linspace(call: Call) -> Value:
    steps = size_of(call.value("steps"))
    if any(isinstance(call.value(n), Tensor) for n in ("start", "end")):
        raise Untold
    return new(
        call, (steps if steps is not None else Size.fresh("n"),), default_float(call.machine)
    )


@operation("mean, std=None, size=None", "torch.normal")
def _normal(call: Call) -> Value:
    call.drawn("torch")
    mean = call.value("mean")
    if isinstance(mean, Tensor) and not isinstance(call.given.get("std"), Tensor):
        return new(call, mean.shape, mean.dtype, mean)
    if not call.has("size") or isinstance(call.given.get("std"), Tensor):
        raise Untold
    call.many = [call.value("size")]
    return new(call, wanted_shape(call), default_float(call.machine))


@operation("input", "torch.bernoulli", "Tensor.bernoulli")
def _bernoulli(call: Call) -> Value:
    call.drawn("torch")
    return call.made(call.shape(), call.tensor().dtype, call.tensor())


@operation("input, num_samples, replacement=False", "torch.multinomial", "Tensor.multinomial", dtype="int64")  # fmt: skip
def _multinomial(call: Call) -> Value:
    call.drawn("torch")
    shape = call.shape()
    if not 1 <= len(shape) <= 2:
        raise Untold
    count = size_of(call.value("num_samples"))
    return call.made((*shape[:-1], count if count is not None else Size.fresh("n")), "int64")


# --- from data


@operation("data, dtype=None, device=None, requires_grad=False", "torch.tensor", "torch.as_tensor", "torch.asarray")  # fmt: skip
def _tensor(call: Call) -> Value:
    machine, value = call.machine, call.value("data")
    shape, dtype = shape_and_dtype(machine, value, "torch")
    is_copy = call.name == "torch.tensor"
    if isinstance(value, Tensor) and value.library == "torch" and not is_copy:
        result = same(machine, value, value.shape, graph=value.graph, is_leaf=value.is_leaf)
        result.dtype = call.dtype(value.dtype)
        if result.dtype and is_integral(result.dtype):
            result.graph = False
        if call.has("device"):
            result.device = device_of(call.given["device"])
        return result
    source = value if isinstance(value, Tensor) and value.library == "torch" else None
    result = new(call, shape, dtype, source)
    machine.cut_off(result, "tensor", value)
    if isinstance(value, Tensor):
        if not call.has("dtype"):
            result.made = value.made or result.made
        if value.is_contiguous is not True:
            result.is_contiguous = None
        if value.calls:
            machine.emit("convert", value, how="tensor", graph=value.graph, calls=value.calls)
    return result


@function("torch.from_numpy")
def _from_numpy(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0)
    if isinstance(value, Tensor):
        if value.library == "torch":
            machine.fail("TypeError", "expected np.ndarray (got Tensor)")
        return same(
            machine,
            value,
            value.shape,
            library="torch",
            is_leaf=True,
            device="cpu",
            made=value.made,
            is_contiguous=True if value.is_contiguous else None,
            **NO_GRAPH,
        )
    return Tensor(False, dtype="", is_contiguous=None)


def _legacy(name: str, dtype: str) -> None:
    @operation("*size", f"torch.{name}", f"torch.cuda.{name}")
    def work(call: Call) -> Value:
        values, call.given["device"] = call.many, Unknown()
        kind = dtype or default_float(call.machine)
        if not values:
            return new(call, (Size.of(0),), kind)
        if len(values) == 1 and not isinstance(values[0], (Const, Number)):
            shape, found = shape_and_dtype(call.machine, values[0], "torch")
            if isinstance(values[0], Tensor) and (values[0].library != "numpy" or found != kind):
                raise Untold
            return call.machine.cut_off(new(call, shape, kind), "tensor", values[0])
        return new(call, wanted_shape(call), kind)


for _name, _dtype in (*LEGACY.items(), ("Tensor", "")):
    _legacy(_name, _dtype)


@function("torch.nn.Parameter")
def _parameter(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0, "data")
    shape = value.shape if isinstance(value, Tensor) else None
    dtype = value.dtype if isinstance(value, Tensor) else ""
    given = arguments.get(1, "requires_grad")
    graph = machine.truth(given) if given is not None else True
    result = Tensor(graph, shape=shape, dtype=dtype, is_leaf=True, is_parameter=True)
    if isinstance(value, Tensor):
        result.is_contiguous, result.strides = value.is_contiguous, value.strides
    result.kind = "Parameter"
    result.reach = machine.bit_of(result)
    if value is not None:
        machine.cut_off(result, "tensor", value)
    return result


@function("torch.cuda.is_available", "torch.backends.mps.is_available", "torch.cuda.device_count")
def _available(machine: Machine, arguments: Arguments) -> Value:
    return Unknown(False, soft=True)


@function("torch.set_default_dtype", "torch.set_default_tensor_type")
def _default_dtype(machine: Machine, arguments: Arguments) -> Value:
    given = arguments.get(0, "d", "t")
    machine.write(machine.modes, "float", dtype_named(given) or legacy_named(given))
    if not dtype_named(given):
        machine.write(machine.modes, "device", "")  # the default of a tensor type
    return Const(None)
