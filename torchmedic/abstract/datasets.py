"""What a Dataset promises and what it reads: its `__len__` and the containers that `__getitem__` indexes, as one event."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import from_size, size_of
from torchmedic.abstract.requests import Read, request, tried
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.values import (
    NOWHERE,
    Arguments,
    Class,
    Function,
    Object,
    Sequence,
    Tensor,
    Value,
)
from torchmedic.observed.scopes import own_nodes
from torchmedic.observed.trace import Reading

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

DATASET = "torch.utils.data.Dataset"


def report(machine: Machine, dataset: Value | None) -> None:
    """Emits a "dataset" event for a user's map-style Dataset, once for each class and place of construction."""
    if not isinstance(dataset, Object):
        return
    if dataset.cls is None:
        for inner in (*dataset.settings.values(), *dataset.items):
            if inner is not dataset:
                report(machine, inner)
        return
    getter, counter = (machine.own_method(dataset, name) for name in ("__getitem__", "__len__"))
    if getter is None or counter is None or not is_dataset(dataset.cls) or dataset.escaped:
        return
    if dataset.state.get("is_reported"):
        return
    dataset.state["is_reported"] = True
    machine.reported.add(id(dataset.cls.node))
    returned = _returned(counter)
    if returned is None:
        return
    index = Size.fresh("index")
    reads: list[Read] = []
    lengths: list[Value] = []

    def ask() -> None:
        from torchmedic.abstract.tables.iteration import length_of

        assert isinstance(dataset, Object) and getter is not None
        lengths.append(length_of(machine, dataset))
        with request(machine, None, dataset) as asked:
            key = from_size(index)
            machine.call_function(getter, Arguments(NOWHERE, [key], {}), dataset)
            reads.extend(asked.reads)

    tried(machine, ask)
    length = size_of(lengths[0]) if lengths else None
    machine.emit(
        "dataset",
        dataset,
        dataset.type_name,
        type=dataset.type_name,
        length=length.constant if length is not None else None,
        length_at=counter.source.span(returned),
        reads=tuple(_reading(read, index, length) for read in reads),
        is_plain=_is_plain(getter),
    )


def dismiss(machine: Machine, dataset: Value | None) -> None:
    """Nothing is told of this Dataset's class unless another loader walks it."""
    while isinstance(dataset, Object) and dataset.cls is None:
        dataset = dataset.settings.get("dataset")
    if isinstance(dataset, Object) and dataset.cls is not None:
        machine.reported.add(id(dataset.cls.node))


def is_dataset(cls: Class) -> bool:
    """True if a map-style Dataset of torch is the base, and nothing that can't be seen."""
    kinds = cls.externals()
    allowed = {DATASET, "typing.Generic", "abc.ABC", "builtins.object"}
    return DATASET in kinds and set(kinds) <= allowed


def remaining(machine: Machine, classes: list[Class]) -> None:
    """The same for classes that no loader was given, with unknown constructor arguments."""
    for cls in classes:
        if id(cls.node) in machine.reported or not is_dataset(cls):
            continue
        machine.frame.node = cls.node
        made = machine.instantiate(cls, Arguments(NOWHERE, [], {}, is_complete=False))
        report(machine, made)


def _returned(counter: Function) -> ast.expr | None:
    """The only thing that `__len__` can return."""
    found = [n for n in own_nodes(counter.node) if isinstance(n, ast.Return)]
    return found[0].value if len(found) == 1 else None


def _reading(read: Read, index: Size, length: Size | None) -> Reading:
    source, node = read.source, read.at
    key = node.slice
    if isinstance(key, ast.Tuple) and key.elts:
        key = key.elts[0]
    offset = (read.key - index).constant if read.key is not None else None
    spare = (read.size - length).constant if read.size is not None and length is not None else None
    held = read.size.constant if read.size is not None else None
    return Reading(
        source.span(node),
        source.code(node.value),
        source.span(key),
        offset,
        held,
        spare,
        _kind(read.container),
        read.is_certain,
        _share(read.size, length),
    )


def _kind(container: Value) -> str:
    if isinstance(container, Tensor):
        return "tensor"
    if isinstance(container, Sequence):
        return "" if container.escaped else container.kind
    return ""


def _share(size: Size | None, length: Size | None) -> int | None:
    """k if the length is the size // k."""
    if size is None or length is None or len(length.terms) != 1:
        return None
    product, factor = length.terms[0]
    origin = product[0].origin if len(product) == 1 and factor == 1 else None
    if origin is None or origin.operation != "//" or origin.left != size:
        return None
    return origin.right.constant


def _is_plain(getter: Function) -> bool:
    """True if the number that is asked for is used for nothing but plain indexing: `container[index]`."""
    arguments = getter.node.args.args
    if len(arguments) < 2:
        return False
    name, source = arguments[1].arg, getter.source
    for node in own_nodes(getter.node):
        if not isinstance(node, ast.Name) or node.id != name:
            continue
        if isinstance(node.ctx, ast.Store):
            return False
        up = source.parent(node)
        if isinstance(up, ast.Tuple) and up.elts[0] is node:
            up = source.parent(up)
            if not isinstance(up, ast.Subscript):
                return False
        if not isinstance(up, ast.Subscript) or up.value is node:
            return False
    return True
