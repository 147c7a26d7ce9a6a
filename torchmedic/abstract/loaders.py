"""The DataLoaders that the frames hold, and what their datasets hold: the same as a crash probe tells of live ones."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torchmedic.abstract.describe import describe
from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.requests import tried
from torchmedic.abstract.sizes import NamedInt, Size
from torchmedic.abstract.values import (
    Const,
    Dict,
    Function,
    Object,
    Sequence,
    Value,
)
from torchmedic.observed import Loader
from torchmedic.observed import Value as ObservedValue

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

MOST = 12
ITEMS = 8  # of a container that may hold loaders
ATTRIBUTES = 40


def loaders_in(machine: Machine) -> tuple[Loader, ...]:
    """Every DataLoader that a user's frame can name; the one that is asked for an item comes first."""
    asked = next((r.loader for r in reversed(machine.requests) if r.loader is not None), None)
    found: dict[int, tuple[str, Object]] = {}
    for frame in reversed(machine.frames):
        for scope in (frame.local, frame.scope):
            for name, value in list(scope.items()):
                for path, loader in _named(machine, name, value):
                    found.setdefault(loader.id, (path, loader))
    data = [_loader(machine, name, loader, asked) for name, loader in list(found.values())[:MOST]]
    if asked is not None and not any(loader.is_current for loader in data):
        data.append(_loader(machine, "", asked, asked))
    return tuple(sorted(data, key=lambda loader: not loader.is_current))


def _named(machine: Machine, name: str, value: object) -> Iterator[tuple[str, Object]]:
    yield from _inside(machine, name, value)
    if name == "self" and isinstance(value, Object):
        for attribute, held in value.attributes.items():
            yield from _inside(machine, f"self.{attribute}", held)


def _inside(machine: Machine, name: str, value: object) -> Iterator[tuple[str, Object]]:
    if isinstance(value, Object) and machine.loader_of(value) is value:
        yield name, value
    elif isinstance(value, Dict) and len(value.items) <= ITEMS:
        for key, held in value.items.items():
            if isinstance(held, Object) and machine.loader_of(held) is held:
                yield f"{name}[{key!r}]", held
    elif isinstance(value, Sequence) and len(value.items) <= ITEMS:
        for index, held in enumerate(value.items):
            if isinstance(held, Object) and machine.loader_of(held) is held:
                yield f"{name}[{index}]", held


def _loader(machine: Machine, name: str, loader: Object, asked: Object | None) -> Loader:
    dataset = loader.settings.get("dataset")
    wraps: list[str] = []
    while isinstance(dataset, Object) and not dataset.cls and "dataset" in dataset.settings:
        wraps.append(dataset.type_name)
        dataset = dataset.settings["dataset"]
    attributes = dataset.attributes if isinstance(dataset, Object) else {}
    described = {
        k: known(describe(v))
        for k, v in list(attributes.items())[:ATTRIBUTES]
        if isinstance(v, Value)
    }
    containers = {k: v for k, v in described.items() if v.length is not None and v.type != "str"}
    batch = loader.state.get("batch")
    workers = loader.settings.get("num_workers")
    shuffle = loader.settings.get("shuffle")
    sampler = loader.settings.get("sampler")
    is_plain = sampler is None or (isinstance(sampler, Const) and sampler.value is None)
    return Loader(
        name,
        dataset.type_name if isinstance(dataset, Object) else "",
        dataset.cls.source.span(dataset.cls.node)._replace(end_line=0, end_column=0)
        if isinstance(dataset, Object) and dataset.cls
        else None,
        _length(machine, dataset),
        containers,
        {k: v for k, v in described.items() if k not in containers},
        batch.constant if isinstance(batch, Size) else None,
        workers.value if isinstance(workers, Const) and type(workers.value) is int else 0,
        (machine.truth(shuffle) if shuffle is not None else False) if is_plain else None,
        _given(loader.settings.get("collate_fn")),
        loader is asked,
        tuple(wraps),
    )


def _given(value: Value | None) -> bool:
    return value is not None and not (isinstance(value, Const) and value.value is None)


def _length(machine: Machine, dataset: Value | None) -> int | None:
    """What a short `__len__` of the user's class returns, where it is known."""
    own = machine.own_method(dataset, "__len__") if isinstance(dataset, Object) else None
    if own is None or not _is_short(own):
        return None
    found: list[Value] = []

    def ask() -> None:
        from torchmedic.abstract.tables.iteration import length_of

        assert dataset is not None
        found.append(length_of(machine, dataset))

    tried(machine, ask)
    size = size_of(found[0]) if found else None
    return size.constant if size is not None else None


def _is_short(function: Function) -> bool:
    body = function.node.body
    return isinstance(body, list) and len(body) <= 2 and isinstance(body[-1], ast.Return)


def known(value: ObservedValue) -> ObservedValue:
    """Without stand-ins for sizes that are not known: a Dataset's lengths are compared as numbers."""
    constant = None if isinstance(value.constant, NamedInt) else value.constant
    length = None if isinstance(value.length, NamedInt) else value.length
    tensor = value.tensor
    if tensor is not None and any(isinstance(size, NamedInt) for size in tensor.shape):
        tensor = None
    return ObservedValue(
        value.type,
        tensor,
        constant,
        length,
        tuple(known(item) for item in value.items),
        value.keys,
        value.attributes,
    )
