"""NumPy's generators of random numbers. Source: https://numpy.org/doc/stable/reference/random/generator.html"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.registry import constructor, function, method
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.creation import made
from torchmedic.abstract.tables.iteration import length_of
from torchmedic.abstract.tables.tensors import sizes_in
from torchmedic.abstract.values import (
    Arguments,
    Const,
    Number,
    Object,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

GENERATOR = "numpy.random.Generator"
STATE = "numpy.random.RandomState"
constructor("seed=None", GENERATOR, STATE)


@function("numpy.random.default_rng")
def _default_rng(machine: Machine, arguments: Arguments) -> Value:
    return Object(type=GENERATOR)


def _shape(arguments: Arguments, at: int) -> tuple[Size, ...] | None:
    """As `size` says; () without it. None if that can't be told, or another argument may be an array."""
    size = arguments.get(at, "size")
    told = ("size", "dtype", "endpoint")
    named = [v for k, v in arguments.keywords.items() if k not in told]
    others = [*arguments.args[:at], *named]
    if size is None or (isinstance(size, Const) and size.value is None):
        return () if all(isinstance(v, (Const, Number)) for v in others) else None
    sizes = sizes_in([size])
    return None if sizes is None else tuple(s if s is not None else Size.fresh("n") for s in sizes)


def _draws(kind: str, name: str, at: int, dtype: str, dtype_at: int | None = None) -> None:
    @method(kind, name)
    def work(machine: Machine, thing: Object, arguments: Arguments) -> Value:
        shape = _shape(arguments, at)
        given = arguments.get(dtype_at, "dtype") if dtype_at is not None else None
        keywords = {"dtype": given} if given is not None else {}
        return made(machine, shape, dtype, Arguments(arguments.node, [], keywords), "numpy")


for _name, _at in (
    ("normal", 2), ("uniform", 2), ("exponential", 1), ("poisson", 1), ("binomial", 2), ("beta", 2), ("gamma", 2),
    ("laplace", 2), ("standard_exponential", 0),
):  # fmt: skip
    for _kind in (GENERATOR, STATE):
        _draws(_kind, _name, _at, "int64" if _name in ("poisson", "binomial") else "float64")
for _name in ("random", "standard_normal"):
    _draws(GENERATOR, _name, 0, "float64", 1)
    _draws(STATE, _name, 0, "float64")
_draws(STATE, "random_sample", 0, "float64")
_draws(GENERATOR, "integers", 2, "int64", 3)
_draws(STATE, "randint", 2, "int64", 3)


def _spread(name: str) -> None:
    @method(STATE, name)
    def work(machine: Machine, thing: Object, arguments: Arguments) -> Value:
        sizes = sizes_in(arguments.args)
        shape = (
            None if sizes is None else tuple(s if s is not None else Size.fresh("n") for s in sizes)
        )
        return made(machine, shape, "float64", Arguments(arguments.node, [], {}), "numpy")


for _name in ("rand", "randn"):
    _spread(_name)


def permuted(machine: Machine, arguments: Arguments) -> Value:
    """Of a number: 0 to that in another order. Of an array: its rows."""
    value = arguments.get(0, "x")
    size = size_of(value)
    if size is not None:
        return made(machine, (size,), "int64", Arguments(arguments.node, [], {}), "numpy")
    if isinstance(value, Tensor):
        return Tensor(False, shape=value.shape, dtype=value.dtype, library="numpy", made=value.made)
    result = Tensor(False, dtype="", library="numpy")
    if isinstance(value, Sequence):
        result.__dict__["known_length"] = length_of(machine, value)
    return result


@method(GENERATOR, "permutation")
@method(STATE, "permutation")
def _permutation(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    return permuted(machine, arguments)


@method(GENERATOR, "shuffle")
@method(STATE, "shuffle")
def _shuffle(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    return Const(None)


@method(GENERATOR, "choice")
@method(STATE, "choice")
def _choice(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    """A number of 0 … a - 1, or an element of a."""
    source = arguments.get(0, "a")
    shape = _shape(Arguments(arguments.node, arguments.args[1:], arguments.keywords), 0)
    if size_of(source) is not None:
        return made(machine, shape, "int64", Arguments(arguments.node, [], {}), "numpy")
    dtype = source.dtype if isinstance(source, Tensor) else ""
    if shape == () or not dtype:
        return Unknown(False)
    is_flat = isinstance(source, Tensor) and source.shape is not None and len(source.shape) == 1
    return made(
        machine, shape if is_flat else None, dtype, Arguments(arguments.node, [], {}), "numpy"
    )
