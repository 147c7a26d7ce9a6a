"""Datasets of `torch.utils.data`, and their samplers. Source: https://docs.pytorch.org/docs/stable/data.html"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.operators import from_size
from torchmedic.abstract.registry import constructor, function, made, method
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.events import constant, drawn
from torchmedic.abstract.tables.iteration import length_of
from torchmedic.abstract.values import (
    Arguments,
    Const,
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

HOME = "torch.utils.data."
constructor("", f"{HOME}Dataset", f"{HOME}IterableDataset")


def is_iterable(dataset: Value | None) -> bool:
    """True if the dataset is walked and can't be indexed."""
    return isinstance(dataset, Object) and f"{HOME}IterableDataset" in dataset.kinds


def _item(machine: Machine, dataset: Value | None, index: Value) -> Value:
    return machine.subscript(dataset, index) if dataset is not None else Unknown()


# --- TensorDataset: one sample of every tensor

constructor("*tensors", f"{HOME}TensorDataset")


@made(f"{HOME}TensorDataset")
def _tensor_dataset(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    parts = tuple(arguments.args)
    whole = Sequence("tuple", parts)
    if not arguments.is_complete:
        whole = Sequence("tuple", rest=machine.either(list(parts)) if parts else Unknown())
    thing.attributes["tensors"] = whole
    lengths = [p.shape[0] if isinstance(p, Tensor) and p.shape else None for p in parts]
    known = [size for size in lengths if size is not None]
    if any(size.is_different(known[0]) for size in known):
        machine.fail("AssertionError", "Size mismatch between tensors")
    return thing


@method(f"{HOME}TensorDataset", "__getitem__")
def _tensor_item(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    held = thing.attributes.get("tensors")
    index = arguments.get(0) or Unknown()
    if not isinstance(held, Sequence) or not held.is_exact:
        return Unknown(False)
    return Sequence("tuple", tuple(machine.subscript(part, index) for part in held.items))


@method(f"{HOME}TensorDataset", "__len__")
def _tensor_length(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    held = thing.attributes.get("tensors")
    parts = held.items if isinstance(held, Sequence) and held.is_exact else ()
    return length_of(machine, parts[0]) if parts else Number(Size.fresh("len"))


# --- Subset, ConcatDataset, random_split

constructor("dataset, indices", f"{HOME}Subset")
constructor("datasets", f"{HOME}ConcatDataset", f"{HOME}StackDataset", f"{HOME}ChainDataset")


@method(f"{HOME}Subset", "__getitem__")
def _subset_item(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    return _item(machine, thing.settings.get("dataset"), Number(Size.fresh("index")))


@method(f"{HOME}Subset", "__len__")
def _subset_length(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    indices = thing.settings.get("indices")
    return length_of(machine, indices) if indices is not None else Number(Size.fresh("len"))


def _parts(thing: Object) -> list[Value] | None:
    given = thing.settings.get("datasets")
    return list(given.items) if isinstance(given, Sequence) and given.is_exact else None


@method(f"{HOME}ConcatDataset", "__getitem__")
def _concatenated_item(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    parts = _parts(thing)
    if not parts:
        return Unknown(False)
    return machine.either([_item(machine, part, Number(Size.fresh("index"))) for part in parts])


@method(f"{HOME}ConcatDataset", "__len__")
def _concatenated_length(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    sizes = [size_of(length_of(machine, part)) for part in _parts(thing) or []]
    known = [size for size in sizes if size is not None]
    if not sizes or len(known) < len(sizes):
        return Number(Size.fresh("len"))
    total = Size.of(0)
    for size in known:
        total = total + size
    return from_size(total)


@function(f"{HOME}random_split")
def _random_split(machine: Machine, arguments: Arguments) -> Value:
    dataset, lengths = arguments.get(0, "dataset"), arguments.get(1, "lengths")
    if arguments.get(2, "generator") is None:
        drawn(machine, "torch")
    if not isinstance(lengths, Sequence) or not lengths.is_exact or dataset is None:
        rest = Object(type=f"{HOME}Subset", settings={"dataset": dataset or Unknown()})
        return Sequence("list", rest=rest)
    held = size_of(length_of(machine, dataset))
    parts: list[Value] = []
    for size in _split_sizes(lengths, held):
        indices = Sequence("list", rest=Number(Size.fresh("index")), length=size)
        settings: dict[str, Value] = {"dataset": dataset, "indices": indices}
        parts.append(Object(type=f"{HOME}Subset", settings=settings))
    return Sequence("list", tuple(parts))


def _split_sizes(lengths: Sequence, held: Size | None) -> list[Size | None]:
    """Numbers of samples; fractions are rounded down, and what is left goes to the first parts, one each."""
    given = [constant(v) for v in lengths.items]
    if not any(isinstance(g, float) for g in given):
        return [size_of(v) for v in lengths.items]
    total = held.constant if held is not None else None
    shares = [g for g in given if isinstance(g, (int, float))]
    if total is None or len(shares) < len(given):
        return [None] * len(given)
    counts = [int(total * share) for share in shares]
    for index in range(total - sum(counts)):
        counts[index % len(counts)] += 1
    return [Size.of(count) for count in counts]


# --- samplers

constructor("data_source=None", f"{HOME}Sampler", f"{HOME}SequentialSampler")
constructor(
    "data_source, replacement=False, num_samples=None, generator=None", f"{HOME}RandomSampler"
)
constructor("indices, generator=None", f"{HOME}SubsetRandomSampler")
constructor(
    "weights, num_samples, replacement=True, generator=None", f"{HOME}WeightedRandomSampler"
)
constructor("sampler, batch_size, drop_last", f"{HOME}BatchSampler")
constructor(
    "dataset, num_replicas=None, rank=None, shuffle=True, seed=0, drop_last=False",
    f"{HOME}DistributedSampler",
)


@method(f"{HOME}SequentialSampler", "__len__")
@method(f"{HOME}SubsetRandomSampler", "__len__")
@method(f"{HOME}RandomSampler", "__len__")
@method(f"{HOME}WeightedRandomSampler", "__len__")
def _sampled(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    count = thing.settings.get("num_samples")
    if count is not None and not (isinstance(count, Const) and count.value is None):
        size = size_of(count)
        return from_size(size) if size is not None else Number(Size.fresh("len"))
    source = thing.settings.get("indices" if "indices" in thing.settings else "data_source")
    return length_of(machine, source) if source is not None else Number(Size.fresh("len"))


for _kind in ("Sequential", "SubsetRandom", "Random", "WeightedRandom"):

    @method(f"{HOME}{_kind}Sampler", "__iter__")
    def _walked(machine: Machine, thing: Object, arguments: Arguments) -> Value:
        return Iterator(lambda: Number(Size.fresh("index")))
