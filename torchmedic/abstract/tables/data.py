"""Datasets and loaders. Source: https://docs.pytorch.org/docs/stable/data.html"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import from_size, is_soft, size_of
from torchmedic.abstract.registry import constructor, function, made, method
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.events import constant, drawn
from torchmedic.abstract.tables.iteration import length_of
from torchmedic.abstract.values import (
    NOWHERE,
    Arguments,
    Const,
    Dict,
    Function,
    Iterator,
    Number,
    Object,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

LOADER = "torch.utils.data.DataLoader"
constructor(
    "dataset, batch_size=1, shuffle=None, sampler=None, batch_sampler=None, num_workers=0, collate_fn=None, "
    "pin_memory=False, drop_last=False, timeout=0, worker_init_fn=None, multiprocessing_context=None, generator=None",
    LOADER,
)
constructor("", "torch.utils.data.Dataset", "torch.utils.data.IterableDataset")


@made(LOADER)
def _loader(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    dataset = thing.settings.get("dataset")
    shuffle = thing.settings.get("shuffle")
    thing.state["batch"] = _batch_size(thing)
    machine.emit(
        "loader",
        thing,
        dataset=dataset.id if dataset is not None else 0,
        shuffle=machine.truth(shuffle) if shuffle is not None else False,
        settings={k: constant(v) for k, v in thing.settings.items()},
        given=frozenset(thing.settings),
    )
    return thing


def _batch_size(thing: Object) -> Size | None:
    if "batch_sampler" in thing.settings:
        return Size.fresh("B")
    given = thing.settings.get("batch_size")
    if given is None:
        return Size.of(1)
    if isinstance(given, Const) and given.value is None:
        return None
    size = size_of(given)
    return size if size is not None else Size.fresh("B")


@method(LOADER, "__iter__")
def _batches(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    shuffle = thing.settings.get("shuffle")
    if shuffle is not None and machine.truth(shuffle) and "generator" not in thing.settings:
        drawn(machine, "torch", "shuffle=True")
    return Iterator(next_item=lambda: batch(machine, thing), over=thing)


def batch(machine: Machine, loader: Object) -> Value:
    """What one turn of a loop over the loader binds."""
    dataset = loader.settings.get("dataset")
    collate = loader.settings.get("collate_fn")
    size = loader.state.get("batch")
    with machine.mode("workers", _has_workers(loader)):
        item = sample(machine, dataset)
    if collate is not None and not (isinstance(collate, Const) and collate.value is None):
        return machine.call(
            collate, Arguments(NOWHERE, [Sequence("list", rest=item, length=size)], {})
        )
    if size is None:
        return item
    return collated(machine, item, size)


def _has_workers(loader: Object) -> bool:
    """True unless the samples are certainly made in the program's own process."""
    given = loader.settings.get("num_workers")
    return given is not None and (is_soft(given) or constant(given) != 0)


def sample(machine: Machine, dataset: Value | None) -> Value:
    """`dataset[i]`."""
    if isinstance(dataset, Object):
        own = machine.own_method(dataset, "__getitem__")
        if own is not None:
            return machine.call_function(
                own, Arguments(NOWHERE, [Number(Size.fresh("index"))], {}), dataset
            )
        walk = machine.own_method(dataset, "__iter__")
        if walk is not None:
            found, _ = machine.iterate(dataset)
            return found[0] if found else Unknown()
    if dataset is None:
        return Unknown()
    return machine.subscript(dataset, Number(Size.fresh("index")))


def collated(machine: Machine, item: Value, size: Size) -> Value:
    """Samples put together by the default collate: tensors are stacked, numbers become Long or float64 tensors."""
    if isinstance(item, Tensor):
        shape = (size, *item.shape) if item.shape is not None else None
        return Tensor(False, shape=shape, dtype=item.dtype, made=item.made)
    if isinstance(item, Const):
        kind = type(item.value)
        if kind in (bool, int, float):
            dtype = {bool: "bool", int: "int64", float: "float64"}[kind]
            return Tensor(False, shape=(size,), dtype=dtype, made=machine.place())
        return Sequence("list", rest=item, length=size)
    if isinstance(item, Number):
        return Tensor(False, shape=(size,), dtype="int64", made=machine.place())
    if isinstance(item, Sequence) and item.is_exact:
        return Sequence("list", tuple(collated(machine, part, size) for part in item.items))
    if isinstance(item, Dict):
        rest = Unknown() if item.rest is not None else None
        return Dict({k: collated(machine, v, size) for k, v in item.items.items()}, rest)
    return machine.unknown(item)


@method(LOADER, "__len__")
def _length(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    dataset, size = thing.settings.get("dataset"), thing.state.get("batch")
    count = size_of(length_of(machine, dataset)) if dataset is not None else None
    if count is None or size is None:
        return Number(Size.fresh("batches"))
    if constant(thing.settings.get("drop_last")) is True:
        return from_size(count // size)
    return from_size((count + size - 1) // size)


# --- TensorDataset, Subset, random_split, ConcatDataset

constructor("*tensors", "torch.utils.data.TensorDataset")


@made("torch.utils.data.TensorDataset")
def _tensor_dataset(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    thing.attributes["tensors"] = Sequence("tuple", tuple(arguments.args))
    return thing


@method("torch.utils.data.TensorDataset", "__getitem__")
def _tensor_item(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    held = thing.attributes["tensors"]
    index = arguments.get(0) or Unknown()
    parts = held.items if isinstance(held, Sequence) else ()
    return Sequence("tuple", tuple(machine.subscript(part, index) for part in parts))


@method("torch.utils.data.TensorDataset", "__len__")
def _tensor_length(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    held = thing.attributes["tensors"]
    parts = held.items if isinstance(held, Sequence) else ()
    return length_of(machine, parts[0]) if parts else Number()


constructor("dataset, indices", "torch.utils.data.Subset")


@method("torch.utils.data.Subset", "__getitem__")
def _subset_item(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    return sample(machine, thing.settings.get("dataset"))


@method("torch.utils.data.Subset", "__len__")
def _subset_length(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    indices = thing.settings.get("indices")
    return length_of(machine, indices) if indices is not None else Number()


@function("torch.utils.data.random_split")
def _random_split(machine: Machine, arguments: Arguments) -> Value:
    dataset, lengths = arguments.get(0, "dataset"), arguments.get(1, "lengths")
    if arguments.get(2, "generator") is None:
        drawn(machine, "torch")
    if not isinstance(lengths, Sequence) or not lengths.is_exact or dataset is None:
        return Sequence("list", rest=Unknown())
    parts: list[Value] = []
    for length in lengths.items:
        size = size_of(length)
        indices = Sequence("list", rest=Number(), length=size)
        parts.append(
            Object(
                type="torch.utils.data.Subset", settings={"dataset": dataset, "indices": indices}
            )
        )
    return Sequence("list", tuple(parts))


__all__ = ["Function", "batch", "collated", "sample"]
