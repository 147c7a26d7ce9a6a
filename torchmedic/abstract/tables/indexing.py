"""`tensor[key]`. Source: https://numpy.org/doc/stable/user/basics.indexing.html"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.requests import out_of_range
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.broadcasting import broadcast
from torchmedic.abstract.tables.creation_data import shape_and_dtype
from torchmedic.abstract.tables.operation import (
    Call,
    Refused,
    Shape,
    Signature,
    Untold,
    text,
    viewed,
)
from torchmedic.abstract.tables.strides import strides_of
from torchmedic.abstract.values import (
    Arguments,
    Const,
    Object,
    Sequence,
    Tensor,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

ONE = Size.of(1)
_SIGNATURE = Signature("input", "__getitem__", "", True)


def indexed(machine: Machine, value: Tensor, key: Value) -> Value:
    """The part of a tensor or array; of unknown shape where the key can't be told."""
    call = Call(machine, Arguments(ast.Constant(None), [], {}), _SIGNATURE, value)
    try:
        result = _Walk(call, value, _keys(key)).result()
    except (Untold, Refused):
        result = machine.derived(
            value,
            key,
            shape=None,
            dtype=value.dtype,
            library=value.library,
            is_contiguous=None,
            is_use=False,
        )
        if machine.modes["grad"] is True:  # indices have no graph
            result.graph, result.reach = value.graph, value.reach
    result.through, result.activations = value.through, value.activations
    result.owners = value.owners
    result.device = value.device  # wherever the indices are
    return result


def _keys(key: Value) -> list[Value]:
    if isinstance(key, Sequence) and key.kind == "tuple":
        if not key.is_exact:
            raise Untold
        return list(key.items)
    return [key]


def _is_none(key: Value) -> bool:
    return isinstance(key, Const) and key.value is None


def _is_ellipsis(key: Value) -> bool:
    return isinstance(key, Const) and key.value is Ellipsis


def _is_slice(key: Value) -> bool:
    return isinstance(key, Object) and key.type == "builtins.slice"


class _Walk:
    """Takes one key after another, and a dimension for each."""

    def __init__(self, call: Call, tensor: Tensor, keys: list[Value]) -> None:
        if tensor.shape is None:
            raise Untold
        self.call, self.tensor, self.keys = call, tensor, keys
        self.shape: list[Size] = []
        self.steps: list[Size] = []
        self.rest = list(tensor.shape)
        strides = strides_of(tensor)
        self.strides = list(strides) if strides is not None else None
        self.picked: list[tuple[int, Shape]] = []  # where an index tensor stands, and its shape
        self.taken = 0

    def result(self) -> Tensor:
        wanted = sum(self._width(k) for k in self.keys if not _is_none(k) and not _is_ellipsis(k))
        rank = len(self.rest)
        if wanted > rank:
            self._refuse_too_many(rank)
        for key in self.keys:
            if _is_ellipsis(key):
                for _ in range(rank - wanted):
                    self._keep()
            else:
                self._take(key)
        while self.rest:
            self._keep()
        return self._made()

    def _refuse_too_many(self, rank: int) -> None:
        if self.tensor.library != "torch":
            raise Untold
        if not rank and len(self.keys) == 1:
            at = size_of(self.keys[0])
            if at is not None and at.constant == 0:
                self.call.refuse(
                    "IndexError",
                    "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a "
                    "0-dim tensor to a number",
                )
            if _is_slice(self.keys[0]):
                self.call.refuse("IndexError", "slice() cannot be applied to a 0-dim tensor.")
            raise Untold
        if all(self._width(k) == 1 for k in self.keys if not _is_none(k) and not _is_ellipsis(k)):
            self.call.refuse("IndexError", f"too many indices for tensor of dimension {rank}")
        raise Untold

    def _width(self, key: Value) -> int:
        """How many dimensions the key takes."""
        if isinstance(key, Tensor):
            if not key.dtype or key.shape is None:
                raise Untold
            return len(key.shape) if key.dtype in ("bool", "uint8") else 1
        return 0 if isinstance(key, Const) and isinstance(key.value, bool) else 1

    def _next(self) -> tuple[Size, Size]:
        self.taken += 1
        step = self.strides.pop(0) if self.strides is not None else ONE
        return self.rest.pop(0), step

    def _keep(self) -> None:
        size, step = self._next()
        self.shape.append(size)
        self.steps.append(step)

    def _take(self, key: Value) -> None:
        if _is_none(key):
            self.shape.append(ONE)
            self.steps.append(self.rest[0] * self.strides[0] if self.rest and self.strides else ONE)
        elif isinstance(key, Const) and isinstance(key.value, bool):
            raise Untold
        elif size_of(key) is not None:
            self._check(size_of(key), key)
            self._next()
        elif _is_slice(key):
            size, step = self._next()
            assert isinstance(key, Object)
            self.shape.append(_sliced(size, key))
            by = key.items[2]
            self.steps.append(step * (by.value if isinstance(by, Const) and by.value else 1))
            if (
                self.tensor.library == "torch"
                and isinstance(by, Const)
                and type(by.value) is int
                and by.value <= 0
            ):
                self.call.refuse("ValueError", "step must be greater than zero")
        elif isinstance(key, (Tensor, Sequence)):
            self._pick(key)
        else:
            raise Untold

    def _check(self, at: Size | None, key: Value) -> None:
        """A constant index beyond a known size raises. PyTorch counts the keys, not the dimensions."""
        index, size = (at.constant if at is not None else None), self.rest[0].constant
        if index is None or size is None or -size <= index < size:
            return
        where = f"dimension {next(i for i, k in enumerate(self.keys) if k is key)}"
        if self.tensor.library == "numpy":
            where = f"axis {self.taken}"
        out_of_range(
            self.call.machine, f"index {index} is out of bounds for {where} with size {size}"
        )
        raise Refused

    def _pick(self, key: Tensor | Sequence) -> None:
        if isinstance(key, Sequence):
            shape, dtype = shape_and_dtype(self.call.machine, key, "torch")
            if dtype == "float32" and key.is_exact and not key.items:
                raise Untold
        else:
            shape, dtype = key.shape, key.dtype
        if shape is None or not dtype:
            raise Untold
        if dtype in ("bool", "uint8"):
            self._mask(shape)
            return
        if dtype not in ("int64", "int32", "int16", "int8"):
            if (
                self.tensor.library == "torch"
                and isinstance(key, Tensor)
                and key.library == "torch"
            ):
                self.call.refuse(
                    "IndexError", "tensors used as indices must be long, int, byte or bool tensors"
                )
            raise Untold
        if dtype in ("int16", "int8") and self.tensor.library == "torch":
            raise Untold
        self.picked.append((len(self.shape), shape))
        self._next()

    def _mask(self, shape: Shape) -> None:
        for index, size in enumerate(shape):
            if index < len(self.rest) and size.is_different(self.rest[index]):
                if self.tensor.library == "torch" and self.tensor.shape is not None:
                    self.call.refuse(
                        "IndexError",
                        f"The shape of the mask {text(shape)} at index {index} does not match the shape of the indexed tensor "
                        f"{text(self.tensor.shape)} at index {self.taken + index}",
                    )
                raise Untold
        if not shape:
            raise Untold
        self.picked.append((len(self.shape), (Size.fresh("n"),)))
        for _ in shape:
            self._next()

    def _made(self) -> Tensor:
        machine = self.call.machine
        if not self.picked:
            strides = tuple(self.steps) if self.strides is not None else None
            return viewed(machine, self.tensor, tuple(self.shape), strides)
        common: Shape | None = ()
        for _, shape in self.picked:
            common, clash = broadcast(common, shape)
            if common is None or clash is not None:
                self._refuse_picked()
        places = [at for at, _ in self.picked]
        # Index tensors side by side stay where they are; else their dimensions come first.
        is_apart = self._is_apart()
        at = 0 if is_apart else places[0]
        assert common is not None
        shape = (*self.shape[:at], *common, *self.shape[at:])
        indices = [k for k in self.keys if isinstance(k, Tensor)]
        result = machine.derived(
            self.tensor,
            *indices,
            shape=shape,
            dtype=self.tensor.dtype,
            library=self.tensor.library,
            is_use=False,
        )
        result.is_contiguous = True if at == 0 and self.tensor.is_contiguous is True else None
        return result

    def _refuse_picked(self) -> None:
        shapes = [shape for _, shape in self.picked]
        if self.tensor.library == "torch" and all(
            s.constant is not None for x in shapes for s in x
        ):
            self.call.refuse(
                "IndexError",
                "shape mismatch: indexing tensors could not be broadcast together with shapes "
                + ", ".join(text(s) for s in shapes),
            )
        raise Untold

    def _is_apart(self) -> bool:
        """True if a slice stands between two index tensors. An integer beside one counts as one."""
        kinds = []
        for key in self.keys:
            if isinstance(key, (Tensor, Sequence)):
                kinds.append("i")
            elif size_of(key) is not None:
                kinds.append("i" if self.tensor.library == "numpy" else "n")
            else:
                kinds.append("-")
        if "n" in kinds:
            first, last = kinds.index("i"), len(kinds) - 1 - kinds[::-1].index("i")
            if "n" in kinds[first : last + 1]:
                raise Untold
        told = "".join(k for k in kinds if k != "n").strip("-")
        return "-" in told


def _sliced(size: Size, key: Object) -> Size:
    low, high, step = key.items
    by = 1 if _is_none(step) else step.value if isinstance(step, Const) else None
    if type(by) is not int or by == 0:
        return Size.fresh("n")
    start = None if _is_none(low) else size_of(low)
    end = None if _is_none(high) else size_of(high)
    if (start is None and not _is_none(low)) or (end is None and not _is_none(high)):
        return Size.fresh("n")
    numbers = [s.constant if s is not None else None for s in (start, end)]
    is_known = (start is None or numbers[0] is not None) and (end is None or numbers[1] is not None)
    if size.constant is not None and is_known:
        return Size.of(len(range(*slice(numbers[0], numbers[1], by).indices(size.constant))))
    if start is None and (end is None or end == size):
        return size if by == 1 else (size + (by - 1)) // Size.of(by) if by > 0 else Size.fresh("n")
    if by != 1:
        return Size.fresh("n")
    if start is not None and end is not None:
        return _window(size, start, end) or _open_slice(size, start, end)
    return _open_slice(size, start, end)


def _window(size: Size, start: Size, end: Size) -> Size | None:
    """`x[i : i + 24]` has 24 places, where i is not negative. The last ones of a loop may have fewer."""
    length = end - start
    if not start.symbols() or any(factor < 0 for _, factor in (*start.terms, *length.terms)):
        return None
    if size.constant is not None and (
        length.constant is None or not 0 < length.constant <= size.constant
    ):
        return None
    return length


def _open_slice(size: Size, start: Size | None, end: Size | None) -> Size:
    """With a size that isn't known, which is taken to be large enough for the constants."""
    from_zero = start is None or start == Size.of(0)
    if from_zero and end is not None and end.constant is not None and end.constant < 0:
        return size + end
    if end is None and start is not None:
        if start.constant is not None and start.constant < 0:
            return Size.of(-start.constant)
        if start.constant is not None:
            return size - start
    return Size.fresh("n")


def item_of(machine: Machine, value: Value, key: Value) -> Value:
    from torchmedic.abstract.values import Unknown

    return indexed(machine, value, key) if isinstance(value, Tensor) else Unknown()
