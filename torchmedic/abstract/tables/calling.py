"""One call of an operation: its arguments by name, its result, and what it refuses.

A handler says what it knows. `call.integer("dim")` and its like leave it where an argument can't be told; the result is
then a tensor of unknown shape. `call.refuse(…)` leaves it where PyTorch raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from torchmedic.abstract.expressions import data_of, size_of
from torchmedic.abstract.registry import DRAWS, defaults_of
from torchmedic.abstract.sizes import Size, number
from torchmedic.abstract.tables.dtypes import FLOATS, dtype_named
from torchmedic.abstract.tables.events import drawn
from torchmedic.abstract.tables.strides import is_contiguous, is_permutation, strides_of
from torchmedic.abstract.values import (
    Arguments,
    Const,
    Object,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine
    from torchmedic.abstract.tables.operation import Signature

Shape = tuple[Size, ...]
# NumPy's names, which PyTorch takes as well.
ALIASES = {
    "axis": "dim",
    "keepdims": "keepdim",
    "x": "input",
    "a": "input",
    "x1": "input",
    "x2": "other",
    "axes": "dims",
}
FACTORY = ("device", "layout", "pin_memory", "memory_format", "non_blocking", "generator", "copy")


class Untold(Exception):
    """An argument that the result depends on isn't known."""


class Refused(Exception):
    """PyTorch raises here."""


def text(shape: Shape) -> str:
    """As PyTorch prints a shape; unknown sizes by their stand-ins."""
    return "[" + ", ".join(plain_number(s) for s in shape) + "]"


def plain_number(size: Size) -> str:
    return str(int(number(size)))


class Call:
    """The arguments of one call by the names of the signature."""

    def __init__(
        self,
        machine: Machine,
        arguments: Arguments,
        signature: Signature,
        receiver: Tensor | None = None,
        layer: Object | None = None,
    ) -> None:
        self.machine = machine
        self.arguments = arguments
        self.signature = signature
        self.layer = layer
        self.given: dict[str, Value] = {}
        self.many: list[Value] = []  # what `*` collected
        self.name = signature.name
        self._bind(receiver)

    def _bind(self, receiver: Tensor | None) -> None:
        names = list(self.signature.names)
        args = list(self.arguments.args)
        if receiver is not None:
            args.insert(0, receiver)
        for index, value in enumerate(args):
            if index < len(names) and not names[index].startswith("*"):
                self.given[names[index]] = value
            elif self.signature.star:
                self.many = args[index:]
                break
        for key, value in self.arguments.keywords.items():
            name = key if key in names else ALIASES.get(key, key)
            if name == self.signature.star:
                self.many = [value]
            else:
                self.given.setdefault(name, value)

    def check(self) -> None:
        """Raises Untold if an argument is none of the signature's."""
        if not self.arguments.is_complete:
            raise Untold
        held = len(self.arguments.args) + (1 if self.signature.is_method else 0)
        if not self.signature.star and held > len(self.signature.names):
            raise Untold
        known = {
            *self.signature.names,
            *self.signature.defaults,
            *FACTORY,
            "dtype",
            "requires_grad",
        }
        if any(name not in known for name in self.given):
            raise Untold

    # --- arguments

    def has(self, name: str) -> bool:
        """True if it was given, and isn't None."""
        value = self.given.get(name)
        return value is not None and not (isinstance(value, Const) and value.value is None)

    def value(self, name: str) -> Value:
        """Raises Untold if it was not given and has no default."""
        if name in self.given:
            return self.given[name]
        if name in self.signature.defaults:
            return Const(self.signature.defaults[name])
        raise Untold

    def tensor(self, name: str = "input") -> Tensor:
        value = self.value(name)
        if isinstance(value, Tensor) and value.library:
            return value
        raise Untold

    def shape(self, name: str = "input") -> Shape:
        shape = self.tensor(name).shape
        if shape is None:
            raise Untold
        return shape

    def constant(self, name: str) -> Any:
        return constant_of(self.value(name))

    def integer(self, name: str) -> int:
        value = self.constant(name)
        if type(value) is not int:
            raise Untold
        return value

    def flag(self, name: str) -> bool:
        truth = self.machine.truth(self.value(name))
        if truth is None:
            raise Untold
        return truth

    def size(self, name: str) -> Size:
        size = size_of(self.value(name))
        if size is None:
            raise Untold
        return size

    def sizes(self, name: str) -> list[Size]:
        """Of one number, of a tuple, or of what `*` collected."""
        values = self.many if name == self.signature.star else [self.value(name)]
        return sizes_of(values)

    def integers(self, name: str) -> list[int]:
        return [_certain(s.constant) for s in self.sizes(name)]

    def dim(self, name: str, rank: int, extra: int = 0) -> int:
        """The dimension as a number from 0; refuses one that is out of range."""
        return self.dim_in(self.integer(name), rank, extra)

    def dim_in(self, at: int, rank: int, extra: int = 0) -> int:
        count = max(rank + extra, 1)
        if not -count <= at < count:
            self.refuse(
                "IndexError",
                f"Dimension out of range (expected to be in range of [{-count}, {count - 1}], but got {at})",
            )
        return at % count

    def dims(self, name: str, rank: int) -> list[int]:
        return [self.dim_in(at, rank) for at in self.integers(name)]

    def dtype(self, otherwise: str, name: str = "dtype") -> str:
        """The dtype that `dtype=` says; "" if it can't be told."""
        if not self.has(name):
            return otherwise
        given = self.given[name]
        return dtype_named(given)

    # --- settings of a layer

    def setting(self, name: str) -> Value:
        assert self.layer is not None
        if name in self.layer.attributes:
            held = self.layer.attributes[name]
            return held if isinstance(held, Value) else Const(None)
        if name in self.layer.settings:
            return self.layer.settings[name]
        default = defaults_of(self.layer.type).get(name, ...)
        if default is ...:
            raise Untold
        return Const(default)

    def set_size(self, name: str) -> Size:
        size = size_of(self.setting(name))
        if size is None:
            raise Untold
        return size

    def set_flag(self, name: str) -> bool:
        truth = self.machine.truth(self.setting(name))
        if truth is None:
            raise Untold
        return truth

    def set_constant(self, name: str) -> Any:
        return constant_of(self.setting(name))

    def set_sizes(self, name: str, count: int) -> list[Size]:
        """One for every dimension, from a number or a tuple."""
        found = sizes_of([self.setting(name)])
        if isinstance(self.setting(name), Sequence):
            if len(found) == 1:
                found = found * count
            if len(found) != count:
                raise Untold
            return found
        return found * count

    # --- results

    def drawn(self, which: str) -> None:
        """Random numbers of a global generator; those that `randomness` names are noted already."""
        if self.name not in DRAWS:
            drawn(self.machine, which)

    def refuse(self, kind: str, message: str, library: str = "") -> NoReturn:
        """PyTorch raises this. `library`: its own function that raises, where rules read that one's names."""
        held = {k: v for k, v in self.given.items() if isinstance(v, Tensor)}
        self.machine.fail(kind, message, (library, held) if library else None)
        raise Refused

    def inputs(self) -> list[Value]:
        return [*self.given.values(), *self.many]

    def made(
        self,
        shape: Shape | None,
        dtype: str,
        *inputs: Value,
        through: tuple[str, ...] = (),
        is_contiguous: bool | None = True,
        has_parameters: bool | None = False,
        is_cast: bool = True,
        is_new: bool = False,
        is_use: bool = True,
    ) -> Tensor:
        """The result of an operation. `is_cast`: autocast may change its dtype. `is_new`: always contiguous.

        `is_use`: its values depend on more than the order of the inputs' elements.
        """
        machine = self.machine
        held = list(inputs) or self.inputs()
        if is_cast and machine.modes["autocast"] is not False and dtype in FLOATS:
            dtype = ""
        tensors = [d for d in data_of(*held) if isinstance(d, Tensor)]
        library = "numpy" if tensors and all(t.library == "numpy" for t in tensors) else "torch"
        is_told = is_new or all(t.is_contiguous is True for t in tensors)
        if not is_told or machine.modes.get("memory_format"):
            is_contiguous = None
        return machine.derived(
            *held,
            shape=shape,
            dtype=dtype,
            has_parameters=has_parameters,
            through=through,
            library=library,
            is_contiguous=is_contiguous,
            is_use=is_use,
            layer=self.layer,
        )

    def kept(self, dtype: str, through: tuple[str, ...] = (), is_cast: bool = True) -> Tensor:
        """A result of the input's shape, element by element."""
        tensor = self.tensor()
        result = self.made(tensor.shape, dtype, tensor, through=through, is_cast=is_cast)
        return with_strides_of(result, tensor)

    def view(self, shape: Shape | None, strides: Shape | None = None) -> Tensor:
        return viewed(self.machine, self.tensor(), shape, strides)

    def unknown(self) -> Tensor:
        home = self.name.partition(".")[0]
        library = {"ndarray": "numpy", "numpy": "numpy", "Tensor": "torch"}.get(home, home)
        result = unknown_tensor(self.machine, self.inputs(), self.signature.dtype)
        if library in ("torch", "numpy"):
            result.library = library
        return result


def unknown_tensor(machine: Machine, inputs: list[Value], dtype: str = "") -> Tensor:
    """A tensor of which only its inputs are known."""
    result = machine.derived(*inputs, dtype=dtype, is_contiguous=None)
    result.device = ""
    if result.graph:
        result.graph = result.is_leaf = None
    tensors = [d for d in data_of(*inputs) if isinstance(d, Tensor)]
    libraries = {t.library for t in tensors}
    if "torch" not in libraries and any(isinstance(v, Unknown) for v in inputs):
        libraries.add("")
    if tensors:
        result.library = libraries.pop() if len(libraries) == 1 else ""
    return result


def with_strides_of(result: Tensor, tensor: Tensor) -> Tensor:
    """An operation element by element keeps the order of the dimensions in memory."""
    strides = strides_of(tensor)
    if result.library != "torch" or tensor.shape is None or result.shape != tensor.shape:
        return result
    if (
        tensor.is_contiguous is False
        and strides is not None
        and is_permutation(tensor.shape, strides)
    ):
        result.strides, result.is_contiguous = strides, False
    return result


def viewed(
    machine: Machine, tensor: Tensor, shape: Shape | None, strides: Shape | None = None
) -> Tensor:
    """The same elements in another shape: dtype, library and history stay."""
    result = machine.derived(
        tensor, shape=shape, dtype=tensor.dtype, library=tensor.library, is_use=False
    )
    result.through, result.activations = tensor.through, tensor.activations
    result.owners = tensor.owners
    if shape is not None and strides is not None and tensor.library == "torch":
        result.is_contiguous = is_contiguous(shape, strides)
        result.strides = strides if result.is_contiguous is not True else None
    else:
        result.is_contiguous = None
    return result


def constant_of(value: Value) -> Any:
    if isinstance(value, Const):
        return value.value
    raise Untold


def sizes_of(values: list[Value]) -> list[Size]:
    """Of `2, 3`, `(2, 3)` or `x.shape`. Raises Untold."""
    if len(values) == 1 and isinstance(values[0], Sequence):
        if not values[0].is_exact:
            raise Untold
        values = list(values[0].items)
    return [_certain(size_of(v)) for v in values]


def _certain(value: Any) -> Any:
    if value is None:
        raise Untold
    return value
