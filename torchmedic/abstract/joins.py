"""One value for several possible ones."""

from __future__ import annotations

from collections.abc import Sequence as Many

from torchmedic.abstract.devices import either_device
from torchmedic.abstract.operators import cuts_of, way_back_of
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.values import (
    ANY,
    Bound,
    Choice,
    Class,
    Const,
    Content,
    Data,
    Dict,
    Entries,
    External,
    Function,
    Namespace,
    Number,
    Object,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

MOST_CHOICES = 4
_NUMBERS = {Const, Number}
# Of these it may be told later which one it is. Of constants only None.
_CHOSEN = {Object, Class, Function, External, Bound, Namespace, Tensor, Sequence, Dict, Const}
_KNOWN = (Data, Const, Number)  # what can hide no layer


def join_values(values: Many[Value]) -> Value:
    """What is true of all of them. Equal constants stay; objects become a `Choice`; what differs is unknown."""
    distinct_ones: dict[int, Value] = {}
    for value in values:
        for one in value.values if isinstance(value, Choice) else (value,):
            distinct_ones[id(one)] = one
    flat = list(distinct_ones.values())
    if len(flat) == 1:
        return flat[0]
    kinds = {type(v) for v in flat}
    if kinds <= _NUMBERS:
        return _numbers(flat)
    if len(kinds) == 1:
        if Tensor in kinds:
            return _tensors([v for v in flat if isinstance(v, Tensor)])
        if Sequence in kinds:
            return _sequences([v for v in flat if isinstance(v, Sequence)])
        if Dict in kinds:
            return _dicts([v for v in flat if isinstance(v, Dict)])
    is_known = all(v.value is None for v in flat if isinstance(v, Const))
    if len(flat) <= MOST_CHOICES and kinds <= _CHOSEN and is_known:
        return Choice(tuple(flat))
    if (device := either_device(flat)) is not None:
        return device
    data = [v for v in flat if isinstance(v, Data)]
    return Unknown(
        calls=frozenset().union(*(v.calls for v in data)),
        sums=frozenset().union(*(v.sums for v in data)),
        soft=True,
        reach=way_back_of(data) if all(isinstance(v, _KNOWN) for v in flat) else ANY,
        cuts=cuts_of(data),
    )


def _numbers(values: list[Value]) -> Value:
    consts = [v for v in values if isinstance(v, Const)]
    first = consts[0] if consts else None
    if first and len(consts) == len(values):
        same = all(type(v.value) is type(first.value) and v.value == first.value for v in consts)
        if same:
            return first
    numbers = [v for v in values if isinstance(v, Number)]
    if numbers and len(numbers) == len(values) and all(n.size == numbers[0].size for n in numbers):
        return numbers[0]
    if all(
        isinstance(v, Number) or type(v.value) is int
        for v in values
        if isinstance(v, (Const, Number))
    ):
        return Number(Size.fresh("n"), soft=True)
    return either_device(values) or Unknown(soft=True)


def _tensors(values: list[Tensor]) -> Tensor:
    first = values[0]
    shape = first.shape
    for other in values[1:]:
        if shape is None or other.shape is None or len(shape) != len(other.shape):
            shape = None
            break
        shape = tuple(
            a if a == b else Size.fresh("n") for a, b in zip(shape, other.shape, strict=True)
        )

    def same(name: str) -> bool:
        return all(getattr(v, name) == getattr(first, name) for v in values)

    return Tensor(
        graph=first.graph if same("graph") else None,
        calls=frozenset().union(*(v.calls for v in values)),
        sums=frozenset().union(*(v.sums for v in values)),
        shape=shape,
        dtype=first.dtype if same("dtype") else "",
        device=first.device if same("device") else "",
        library=first.library if same("library") else "",
        through=first.through if same("through") else (),
        made=first.made if same("made") else None,
        is_contiguous=first.is_contiguous if same("is_contiguous") else None,
        is_leaf=first.is_leaf if same("is_leaf") else None,
        is_parameter=first.is_parameter if same("is_parameter") else False,
        kind=first.kind if same("kind") else "Tensor",
        owners=frozenset().union(*(v.owners for v in values)),
        activations=frozenset().union(*(v.activations for v in values)),
        reach=way_back_of(values),
        cuts=cuts_of(values),
    )


def distinct(value: Sequence) -> Sequence:
    """As a set: without what is in it twice, or of a length that can't be told."""
    if value.is_exact and all(isinstance(v, Const) for v in value.items):
        kept = {v.value: v for v in value.items if isinstance(v, Const)}
        return Sequence("set", tuple(kept.values()), owners=value.owners)
    parts = [*value.items, *([value.rest] if value.rest is not None else [])]
    return Sequence("set", rest=join_values(parts) if parts else Unknown(), owners=value.owners)


def join_contents(contents: Many[Content | Entries]) -> Content | Entries:
    """What one container may hold after several arms."""
    if all(isinstance(c, Content) for c in contents):
        return _sequences(
            [Sequence("list", *c) for c in contents if isinstance(c, Content)]
        ).content
    return _dicts([Dict(*c) for c in contents if isinstance(c, Entries)]).content


def _sequences(values: list[Sequence]) -> Sequence:
    first = values[0]
    kind = first.kind if all(v.kind == first.kind for v in values) else "list"
    owners = frozenset().union(*(v.owners for v in values))
    is_part = any(v.is_part or v.owners != owners for v in values)
    if all(v.is_exact and len(v.items) == len(first.items) for v in values):
        columns = zip(*(v.items for v in values), strict=True)
        whole = Sequence(kind, tuple(join_values(column) for column in columns), owners=owners)
        whole.is_part = is_part
        return whole
    parts = [item for v in values for item in (*v.items, *([v.rest] if v.rest else ()))]
    sizes = {v.size for v in values}
    length = sizes.pop() if len(sizes) == 1 else None
    joined = Sequence(
        kind, rest=join_values(parts) if parts else Unknown(), length=length, owners=owners
    )
    joined.is_part = is_part
    return joined


def _dicts(values: list[Dict]) -> Dict:
    keys = dict.fromkeys(key for v in values for key in v.items)
    items = {}
    is_open = any(v.rest is not None for v in values)
    for key in keys:
        held = [v.items[key] for v in values if key in v.items]
        is_open = is_open or len(held) < len(values)
        items[key] = join_values(held)
    rests = [v.rest for v in values if v.rest is not None]
    return Dict(items, (join_values(rests) if rests else Unknown()) if is_open else None)
