"""NumPy: how arrays are made, and their methods. Source: https://numpy.org/doc/stable/reference/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.creation import arange_length
from torchmedic.abstract.tables.creation_data import shape_and_dtype
from torchmedic.abstract.tables.operation import (
    Call,
    Shape,
    Untold,
    operation,
)
from torchmedic.abstract.tables.tensors import told_graph
from torchmedic.abstract.values import Const, Sequence, Tensor, Unknown, Value

if TYPE_CHECKING:
    pass


def array(call: Call, shape: Shape | None, dtype: str) -> Tensor:
    """A new array. Where its elements lie isn't followed."""
    result = Tensor(False, shape=shape, dtype=call.dtype(dtype), library="numpy", is_leaf=True)
    result.made = call.machine.place()
    return result


def _shape(value: Value) -> Shape | None:
    if isinstance(value, Sequence) and not value.is_exact:
        return None
    values = list(value.items) if isinstance(value, Sequence) else [value]
    sizes = [size_of(v) for v in values]
    return tuple(s if s is not None else Size.fresh("n") for s in sizes)


@operation("object, dtype=None", "numpy.array", "numpy.asarray", "numpy.ascontiguousarray", "numpy.asanyarray")  # fmt: skip
def _array(call: Call) -> Value:
    value = call.value("object") if "object" in call.given else call.value("input")
    shape, dtype = given_array(call, value)
    result = array(call, shape, dtype)
    if isinstance(value, Tensor) and not call.has("dtype"):
        result.made = value.made or result.made
    return result


def given_array(call: Call, value: Value) -> tuple[Shape | None, str]:
    """Shape and dtype of what NumPy makes an array of. A tensor with a graph is refused."""
    if isinstance(value, Tensor) and value.library == "torch":
        if value.graph:
            told_graph(call.machine)
        return value.shape, "" if value.dtype == "bfloat16" else value.dtype
    return shape_and_dtype(call.machine, value, "numpy")


@operation("shape, dtype=None", "numpy.zeros", "numpy.ones", "numpy.empty")
def _zeros(call: Call) -> Value:
    return array(call, _shape(call.value("shape")), "float64")


@operation("shape, fill_value, dtype=None", "numpy.full")
def _full(call: Call) -> Value:
    _, dtype = shape_and_dtype(call.machine, call.value("fill_value"), "numpy")
    return array(call, _shape(call.value("shape")), dtype)


@operation("input, dtype=None", "numpy.zeros_like", "numpy.ones_like", "numpy.empty_like")
def _zeros_like(call: Call) -> Value:
    return array(call, *given_array(call, call.value("input")))


@operation("N, M=None", "numpy.eye", "numpy.identity")
def _eye(call: Call) -> Value:
    rows = call.size("N")
    return array(call, (rows, call.size("M") if call.has("M") else rows), "float64")


@operation("start, stop=None, step=1, dtype=None", "numpy.arange")
def _arange(call: Call) -> Value:
    if call.has("stop"):
        start, stop = call.value("start"), call.value("stop")
    else:
        start, stop = Const(0), call.value("start")
    length, floats = arange_length(start, stop, call.value("step"))
    return array(call, (length,), "float64" if floats else "int64")


@operation("start, stop, num=50, endpoint=True, retstep=False, dtype=None", "numpy.linspace", "numpy.logspace")  # fmt: skip
def _linspace(call: Call) -> Value:
    if call.flag("retstep") or any(
        isinstance(call.value(n), (Tensor, Sequence)) for n in ("start", "stop")
    ):
        raise Untold
    count = size_of(call.value("num"))
    return array(call, (count if count is not None else Size.fresh("n"),), "float64")


# --- random


def _random(name: str, signature: str, dtype: str) -> None:
    homes = ["numpy.random"]

    @operation(signature, *(f"{home}.{name}" for home in homes))
    def work(call: Call) -> Value:
        call.drawn("numpy")
        if call.signature.star:
            return array(call, _shape(Sequence("tuple", tuple(call.many))), dtype) if call.many else Unknown(False)  # fmt: skip
        if not call.has("size"):
            return Unknown(False)
        if any(isinstance(v, (Tensor, Sequence)) for k, v in call.given.items() if k in ("loc", "scale", "low", "high")):  # fmt: skip
            return array(call, _shape(call.value("size")), dtype)
        return array(call, _shape(call.value("size")), dtype)


for _name, _signature, _dtype in (
    ("rand", "*size", "float64"), ("randn", "*size", "float64"), ("random", "size=None", "float64"),
    ("random_sample", "size=None", "float64"), ("standard_normal", "size=None", "float64"),
    ("normal", "loc=0.0, scale=1.0, size=None", "float64"), ("uniform", "low=0.0, high=1.0, size=None", "float64"),
    ("randint", "low, high=None, size=None, dtype=None", "int64"), ("poisson", "lam=1.0, size=None", "int64"),
    ("binomial", "n, p, size=None", "int64"),
):  # fmt: skip
    _random(_name, _signature, _dtype)


@operation("input, size=None, replace=True, p=None", "numpy.random.choice")
def _choice(call: Call) -> Value:
    call.drawn("numpy")
    if not call.has("size"):
        return Unknown(False)
    given = call.value("input")
    dtype = (
        "int64" if size_of(given) is not None else shape_and_dtype(call.machine, given, "numpy")[1]
    )
    return array(call, _shape(call.value("size")), dtype)


@operation("x", "numpy.random.permutation")
def _permutation(call: Call) -> Value:
    call.drawn("numpy")
    value = call.given.get("x") or call.value("input")
    if (count := size_of(value)) is not None:
        return array(call, (count,), "int64")
    return array(call, *shape_and_dtype(call.machine, value, "numpy"))
