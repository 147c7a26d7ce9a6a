"""The DataLoaders that the frames hold, and what their datasets hold."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torchmedic.observed import Loader, Value, load
from torchmedic.probes.frames import Entry, is_user
from torchmedic.probes.modules import class_span
from torchmedic.probes.values import describe, plain_attributes, torch_if_loaded

MOST = 12


def loaders_in(stack: Sequence[Entry]) -> tuple[Loader, ...]:
    """Every DataLoader that a user's frame can name; the one whose iterator is on the stack comes first."""
    torch = torch_if_loaded()
    kind = getattr(getattr(getattr(torch, "utils", None), "data", None), "DataLoader", None)
    if kind is None:
        return ()
    current = _iterating(stack)
    found: dict[int, tuple[str, Any]] = {}
    for entry in reversed(stack):
        if is_user(entry.frame.f_code.co_filename):
            for name, loader in _named(entry, kind):
                found.setdefault(id(loader), (name, loader))
    data = [_loader(name, loader, current) for name, loader in list(found.values())[:MOST]]
    if current is not None and not any(loader.is_current for loader in data):
        data.append(_of_dataset("", current, is_current=True))
    return tuple(sorted(data, key=lambda loader: not loader.is_current))


def _iterating(stack: Sequence[Entry]) -> Any:
    """The dataset of the innermost loader iterator on the stack."""
    for entry in reversed(stack):
        owner = entry.frame.f_locals.get("self")
        names = {c.__name__ for c in type(owner).__mro__}
        if names & {"_BaseDataLoaderIter", "_BaseDatasetFetcher"}:
            held = plain_attributes(owner)
            dataset = held.get("_dataset", held.get("dataset"))
            if dataset is not None:
                return dataset
    return None


def _named(entry: Entry, kind: type) -> Iterator[tuple[str, Any]]:
    frame = entry.frame
    for names in (frame.f_locals, frame.f_globals):
        for name, value in list(names.items()):
            yield from _inside(name, value, kind)
            if name == "self":
                for attribute, held in plain_attributes(value).items():
                    yield from _inside(f"self.{attribute}", held, kind)


def _inside(name: str, value: Any, kind: type) -> Iterator[tuple[str, Any]]:
    if isinstance(value, kind):
        yield name, value
    elif type(value) is dict and len(value) <= 8:
        for key, held in value.items():
            if isinstance(held, kind):
                yield f"{name}[{key!r}]", held
    elif type(value) in (tuple, list) and len(value) <= 8:
        for index, held in enumerate(value):
            if isinstance(held, kind):
                yield f"{name}[{index}]", held


def _loader(name: str, loader: Any, current: Any) -> Loader:
    held = plain_attributes(loader)
    torch = torch_if_loaded()
    utils = torch.utils.data
    sampler = held.get("sampler")
    shuffled = True if isinstance(sampler, utils.RandomSampler) else None
    if isinstance(sampler, utils.SequentialSampler):
        shuffled = False
    dataset = held.get("dataset")
    batch_size = held.get("batch_size")
    return _of_dataset(
        name,
        dataset,
        batch_size=batch_size if isinstance(batch_size, int) else None,
        num_workers=int(held.get("num_workers") or 0),
        is_shuffled=shuffled,
        has_collate_fn=held.get("collate_fn") is not utils.default_collate,
        is_current=current is not None and dataset is current,
    )


def _of_dataset(name: str, dataset: Any, **known: Any) -> Loader:
    wraps: list[str] = []
    while type(dataset).__module__.startswith("torch.") and "dataset" in plain_attributes(dataset):
        wraps.append(type(dataset).__name__)
        dataset = plain_attributes(dataset)["dataset"]
    held = plain_attributes(dataset)
    described = {k: describe(v) for k, v in list(held.items())[:40]}
    containers = {k: v for k, v in described.items() if v.length is not None and v.type != "str"}
    return Loader(
        name,
        type(dataset).__name__,
        class_span(type(dataset)),
        length_of(dataset),
        containers,
        {k: v for k, v in described.items() if k not in containers},
        wraps=tuple(wraps),
        **known,
    )


def length_of(dataset: Any) -> int | None:
    """What the user's `__len__` returns, read from its source: it is not called. None where that can't be told."""
    at = class_span(type(dataset))
    source = load(at.path) if at else None
    owner = source.class_at(at) if source and at else None
    method = source.method(owner, "__len__") if source and owner else None
    if method is None or len(method.body) > 2:
        return None
    last = method.body[-1]
    if not isinstance(last, ast.Return) or last.value is None:
        return None
    value = evaluate(last.value, plain_attributes(dataset))
    return value if isinstance(value, int) else None


_OPERATORS: Mapping[type, Any] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
}


def evaluate(node: ast.expr, held: Mapping[str, Any]) -> int | None:
    """An integer expression over `self`'s plain attributes and `len(…)`; None for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, int) else None
    if isinstance(node, ast.BinOp) and (apply := _OPERATORS.get(type(node.op))):
        left, right = evaluate(node.left, held), evaluate(node.right, held)
        if left is None or right is None or (isinstance(node.op, ast.FloorDiv) and right == 0):
            return None
        return int(apply(left, right))
    value = _attribute(node, held)
    if value is not None:
        return value.constant if isinstance(value.constant, int) else None
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "len"
        and node.args
    ):
        value = _attribute(node.args[0], held)
        return value.length if value else None
    return _size(node, held)


def _size(node: ast.expr, held: Mapping[str, Any]) -> int | None:
    """`self.X.shape[0]` and `self.X.size(0)`."""
    if (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "shape"
    ):
        owner: ast.expr = node.value.value
        index: ast.expr | None = node.slice
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "size"
    ):
        owner, index = node.func.value, node.args[0] if node.args else None
    else:
        return None
    value = _attribute(owner, held)
    if (
        value is None
        or value.tensor is None
        or not isinstance(index, ast.Constant)
        or index.value != 0
    ):
        return None
    return value.tensor.shape[0] if value.tensor.shape else None


def _attribute(node: ast.expr, held: Mapping[str, Any]) -> Value | None:
    if (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    ):
        return describe(held[node.attr]) if node.attr in held else None
    return None
