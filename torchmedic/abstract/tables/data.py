"""DataLoaders: what a loop over one binds. Source: https://docs.pytorch.org/docs/stable/data.html"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torchmedic.abstract.datasets import dismiss, report
from torchmedic.abstract.expressions import data_of, from_size, is_soft, size_of
from torchmedic.abstract.registry import constructor, made, method
from torchmedic.abstract.requests import request, tried
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.collate import collated, converted, stack_refused
from torchmedic.abstract.tables.datasets import is_iterable
from torchmedic.abstract.tables.events import constant, drawn
from torchmedic.abstract.tables.iteration import length_of
from torchmedic.abstract.values import (
    NOWHERE,
    Arguments,
    Const,
    Dict,
    Iterator,
    Number,
    Object,
    Sequence,
    Tensor,
    Unknown,
    Value,
)
from torchmedic.model import Span
from torchmedic.observed.source import within
from torchmedic.observed.trace import Loop

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

LOADER = "torch.utils.data.DataLoader"
MOST_ITEMS = 5000  # beyond that the first item that fails is not searched for
COMPARED = 8  # samples of the first batch whose sizes are compared
constructor(
    "dataset, batch_size=1, shuffle=None, sampler=None, batch_sampler=None, num_workers=0, collate_fn=None, "
    "pin_memory=False, drop_last=False, timeout=0, worker_init_fn=None, multiprocessing_context=None, generator=None",
    LOADER,
)
_REFUSED = {
    "sampler": "sampler option is mutually exclusive with shuffle",
    "batch_sampler": "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last",
    "iterable": "DataLoader with IterableDataset: expected unspecified shuffle option, but got shuffle={shuffle}",
}


def given(loader: Object, name: str) -> Value | None:
    """The argument; None if it is not given, or given as None."""
    value = loader.settings.get(name)
    return None if isinstance(value, Const) and value.value is None else value


@made(LOADER)
def _loader(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    dataset = thing.settings.get("dataset")
    shuffle = thing.settings.get("shuffle")
    thing.state["batch"] = _batch_size(thing)
    _check(machine, thing)
    machine.emit(
        "loader",
        thing,
        dataset=dataset.id if dataset is not None else 0,
        shuffle=machine.truth(shuffle) if shuffle is not None else False,
        settings={k: constant(v) for k, v in thing.settings.items()},
        given=frozenset(thing.settings),
        iterable=_iterable(dataset),
    )
    if given(thing, "sampler") is None and given(thing, "batch_sampler") is None:
        report(machine, dataset)
    else:
        dismiss(machine, dataset)  # the sampler decides which items there are
    return thing


def _iterable(dataset: Value | None) -> tuple[str, Span, frozenset[str]] | None:
    """Of a user's IterableDataset: its class, where that stands, and which of its attributes are plain data."""
    if not isinstance(dataset, Object) or dataset.cls is None or not is_iterable(dataset):
        return None
    kinds = (Const, Dict, Sequence, Tensor)
    plain = (k for k, v in dataset.attributes.items() if isinstance(v, kinds))
    at = dataset.cls.source.span(dataset.cls.node)
    return None if dataset.escaped else (dataset.type_name, at, frozenset(plain))


def _check(machine: Machine, thing: Object) -> None:
    """Options that exclude each other."""
    shuffle = thing.settings.get("shuffle")
    is_shuffled = shuffle is not None and machine.truth(shuffle) is True
    known = (Object, Sequence)
    if is_iterable(thing.settings.get("dataset")):
        if isinstance(shuffle, Const) and shuffle.value is True:
            machine.fail("ValueError", _REFUSED["iterable"].format(shuffle=shuffle.value))
    elif is_shuffled and isinstance(given(thing, "sampler"), known):
        machine.fail("ValueError", _REFUSED["sampler"])
    elif isinstance(given(thing, "batch_sampler"), known):
        size = constant(thing.settings.get("batch_size"))
        drops = constant(thing.settings.get("drop_last")) is True
        if (type(size) is int and size != 1) or is_shuffled or drops:
            machine.fail("ValueError", _REFUSED["batch_sampler"])


def _batch_size(thing: Object) -> Size | None:
    if given(thing, "batch_sampler") is not None:
        return Size.fresh("batch")
    size = thing.settings.get("batch_size")
    if size is None:
        return Size.of(1)
    if isinstance(size, Const) and size.value is None:
        return None
    known = size_of(size)
    return known if known is not None else Size.fresh("batch")


@method(LOADER, "__iter__")
def _batches(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    return batches(machine, thing)


def batches(machine: Machine, loader: Object) -> Iterator:
    """A new walk: its first batch is full, later ones may be smaller."""
    shuffle = loader.settings.get("shuffle")
    if shuffle is not None and machine.truth(shuffle) and "generator" not in loader.settings:
        drawn(machine, "torch", "shuffle=True")
    walked = 0

    def next_item() -> Value:
        nonlocal walked
        walked += 1
        return batch(machine, loader, first_size(machine, loader) if walked == 1 else None)

    def last_item() -> Value:
        return batch(machine, loader, last_size(machine, loader))

    return Iterator(next_item, last_item, _count(machine, loader), loader)


def _length(machine: Machine, loader: Object) -> Size | None:
    """Samples that one walk draws."""
    sampler, dataset = given(loader, "sampler"), loader.settings.get("dataset")
    if given(loader, "batch_sampler") is not None or is_iterable(dataset):
        return None
    source = sampler if sampler is not None else dataset
    return size_of(length_of(machine, source)) if source is not None else None


def _drops(loader: Object) -> bool | None:
    """Whether an incomplete batch at the end is left out; None if that can't be told."""
    value = given(loader, "drop_last")
    plain = constant(value)
    return False if value is None else plain if isinstance(plain, bool) else None


def first_size(machine: Machine, loader: Object) -> Size | None:
    size = loader.state.get("batch")
    held = _length(machine, loader) if size is not None else None
    if not isinstance(size, Size) or held is None or _drops(loader):
        return size
    return held if held.is_less(size) else size


def last_size(machine: Machine, loader: Object) -> Size | None:
    """Of the batch that ends a walk: what is left over. A size of its own where that can't be told."""
    size = loader.state.get("batch")
    if not isinstance(size, Size) or _drops(loader):
        return size
    held = _length(machine, loader)
    total, each = held.constant if held is not None else None, size.constant
    if total is None or not each or _drops(loader) is None:
        return Size.fresh("batch")
    return Size.of(total % each or min(each, total))


def _any_size(machine: Machine, loader: Object) -> Size | None:
    """Of some batch: the full size if all have it."""
    first, last = first_size(machine, loader), last_size(machine, loader)
    return first if first == last else Size.fresh("batch")


def batch(machine: Machine, loader: Object, size: Size | None = None) -> Value:
    """What one turn of a loop over the loader binds. What can't be told of it is data: no layer's result."""
    found = _batch(machine, loader, size)
    for one in data_of(found):
        if one.graph is not True:
            one.reach = 0
    return found


def _batch(machine: Machine, loader: Object, size: Size | None) -> Value:
    dataset = loader.settings.get("dataset")
    collate = given(loader, "collate_fn")
    if loader.state.get("batch") is None:
        item = sample(machine, dataset, loader)
        with request(machine, loader, dataset):
            if collate is not None:
                return machine.call(collate, Arguments(NOWHERE, [item], {}))
        return converted(item)
    size = size if size is not None else _any_size(machine, loader)
    assert size is not None
    machine.write(machine.modes, "batch", size)
    item = sample(machine, dataset, loader)
    with request(machine, loader, dataset):
        if collate is not None:
            samples = Sequence("list", rest=item, length=size)
            return machine.call(collate, Arguments(NOWHERE, [samples], {}))
        _compare(machine, loader, item, size)
        return collated(machine, item, size)


def _has_workers(loader: Object | None) -> bool:
    """True unless the samples are certainly made in the program's own process."""
    given_workers = loader.settings.get("num_workers") if loader is not None else None
    return given_workers is not None and (is_soft(given_workers) or constant(given_workers) != 0)


def sample(
    machine: Machine, dataset: Value | None, loader: Object | None = None, index: Size | None = None
) -> Value:
    """`dataset[index]`, of some index without one."""
    key = from_size(index) if index is not None else Number(Size.fresh("index"))
    with machine.mode("workers", _has_workers(loader)), request(machine, loader, dataset):
        if isinstance(dataset, Object):
            if machine.own_method(dataset, "__getitems__") is not None:
                return Unknown()
            own = machine.own_method(dataset, "__getitem__")
            if own is not None:
                return machine.call_function(own, Arguments(NOWHERE, [key], {}), dataset)
            if machine.own_method(dataset, "__iter__") is not None:
                found, _ = machine.iterate(dataset)
                return found[0] if found else Unknown()
        return machine.subscript(dataset, key) if dataset is not None else Unknown()


def _compare(machine: Machine, loader: Object, item: Value, size: Size) -> None:
    """The first samples of an unshuffled loader, one by one: tensors of unlike sizes can't be stacked."""
    count = size.constant
    if count is None or count < 2 or not _is_sequential(machine, loader) or _is_told(item):
        return
    items: list[Value] = []
    dataset = loader.settings.get("dataset")

    def ask() -> None:
        for index in range(min(count, COMPARED)):
            items.append(sample(machine, dataset, loader, Size.of(index)))

    tried(machine, ask)
    stack_refused(machine, items)


def _is_told(item: Value) -> bool:
    """True if all sizes in it are known: every sample has them."""
    if isinstance(item, Tensor):
        return item.shape is not None and all(s.constant is not None for s in item.shape)
    return not isinstance(item, Sequence) or all(_is_told(part) for part in item.items)


def _is_sequential(machine: Machine, loader: Object) -> bool:
    shuffle = given(loader, "shuffle")
    is_plain = given(loader, "sampler") is None and given(loader, "batch_sampler") is None
    return is_plain and (shuffle is None or machine.truth(shuffle) is False)


# --- a loop that walks a loader to its end


def walked(machine: Machine, node: ast.For, over: Value) -> None:
    """A loop begins that asks the Dataset for every item."""
    loader = machine.loader_of(over)
    if loader is None or not _is_walked_to_its_end(node):
        return
    frame = machine.frame
    outer, frame.node = frame.node, node.iter
    try:
        ask_all(machine, loader)
    finally:
        frame.node = outer


def last_turn(machine: Machine, node: ast.For, over: Value) -> None:
    """Executes the body once more with what is left over for the last batch, if its size is known and another.

    Only what is executed in every pass counts: `if i == 0` may be there because the last batch is smaller.
    """
    loader = machine.loader_of(over)
    if loader is None or not _is_walked_to_its_end(node):
        return
    first, last = first_size(machine, loader), last_size(machine, loader)
    is_known = first is not None and last is not None and last.constant is not None
    if not is_known or first == last or first is None or first.constant is None:
        return
    item = batch(machine, loader, last) if not isinstance(over, Iterator) else None
    if isinstance(over, Iterator):
        item = over.last_item() if over.last_item is not None else None
    if item is None:
        return

    def turn() -> None:
        exits: list[Any] = []
        machine.strict.append((len(machine.branches), len(machine.frames), exits))
        machine.loops.append(Loop(machine.span(node), 0, loader.id, True))
        machine._exits = [*machine._exits, exits]
        try:
            machine.assign(node.target, item)
            machine.body(node.body)
        finally:
            machine._exits = machine._exits[:-1]
            machine.loops.pop()
            machine.strict.pop()

    tried(machine, turn, keeps_failures=True)


def _is_walked_to_its_end(node: ast.For) -> bool:
    leaving = (ast.Break, ast.Return, ast.Raise)
    return not any(isinstance(n, leaving) for statement in node.body for n in within(statement))


def ask_all(machine: Machine, loader: Object) -> None:
    """Predicts the error of the first item that the Dataset can't give; only where every item is asked for."""
    dataset = loader.settings.get("dataset")
    if not isinstance(dataset, Object) or machine.own_method(dataset, "__getitem__") is None:
        return
    is_plain = given(loader, "sampler") is None and given(loader, "batch_sampler") is None
    size, is_sequential = loader.state.get("batch"), _is_sequential(machine, loader)
    held = _length(machine, loader)
    count = held.constant if held is not None else None
    if not is_plain or count is None or count < 1 or _drops(loader) is None:
        return
    if _drops(loader):
        each = size.constant if isinstance(size, Size) else None
        if not each or (count % each and not is_sequential):
            return
        count -= count % each
    fails = _failing(machine, loader, dataset)
    if count < 1 or not fails(count - 1):
        return
    first = count - 1
    if is_sequential and count <= MOST_ITEMS:
        low = 0
        while low < first:
            middle = (low + first) // 2
            if fails(middle):
                first = middle
            else:
                low = middle + 1
    tried(machine, lambda: sample(machine, dataset, loader, Size.of(first)), keeps_failures=True)


def _failing(machine: Machine, loader: Object, dataset: Object) -> Callable[[int], bool]:
    def fails(index: int) -> bool:
        found = False

        def ask() -> None:
            nonlocal found
            before = len(machine.failures)
            sample(machine, dataset, loader, Size.of(index))
            found = any(f.type == "IndexError" for f in machine.failures[before:])

        tried(machine, ask)
        return found

    return fails


# --- how many batches


@method(LOADER, "__len__")
def _loader_length(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    count = _count(machine, thing)
    return from_size(count) if count is not None else Number(Size.fresh("batches"))


def _count(machine: Machine, loader: Object) -> Size | None:
    held, size = _length(machine, loader), loader.state.get("batch")
    if held is None or _drops(loader) is None:
        return None
    if not isinstance(size, Size):
        return held
    return held // size if _drops(loader) else (held + size - 1) // size


__all__ = ["batch", "collated", "sample"]
