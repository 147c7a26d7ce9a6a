"""The promises of the datasets that a run walked: what `__len__` gave, against what `__getitem__` reads of what is held."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from torchmedic.model import Evidence, Text
from torchmedic.observed import Failure, Loader, Source, Value, load
from torchmedic.observed.project import Defined, Project
from torchmedic.observed.run import Run
from torchmedic.observed.scopes import own_nodes, parameters
from torchmedic.observed.source import Function
from torchmedic.observed.trace import Reading, Trace
from torchmedic.rules._length import is_torch_dataset, known_value, length_of
from torchmedic.rules._promises import Promise

if TYPE_CHECKING:
    from torchmedic.observed.run_data import DatasetRun, LoaderRun

_WALK = ("SequentialSampler", "RandomSampler", "DistributedSampler")
_MAY_SKIP = (
    *(ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.BoolOp, ast.Match),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda),
)
_ROWS = ("iloc", "values")  # of a DataFrame: as many as it has


class Walked(NamedTuple):
    promise: Promise
    trace: Trace  # of the files that take part, without events
    loader: LoaderRun


def walked(run: Run) -> Iterator[Walked]:
    """Once for each class whose items a DataLoader asked for, from the first to the last that `__len__` tells of."""
    seen = set[object]()
    for loader in run.loaders:
        dataset = loader.dataset
        if dataset.at in seen or loader.owner:
            continue
        found = _promise(dataset)
        if found is None or not _is_walked(loader, found[0]) or _is_shared(dataset, run):
            continue
        seen.add(dataset.at)
        promise, sources = found
        yield Walked(promise, Trace(promise.source, sources=sources), loader)


def asked(walk: Walked) -> Evidence:
    """How often the program went through the items."""
    loader, length = walk.loader, walk.promise.length or 0
    text = Text(
        en="{count} passes over this DataLoader asked for the items 0 to {last}",
        ko="이 `DataLoader`를 {count}번 도는 동안 0번부터 {last}번까지의 항목을 요청했습니다",
    )
    if loader.begun == 1:
        text = Text(
            en="a pass over this DataLoader asked for the items 0 to {last}",
            ko="이 `DataLoader`를 한 번 도는 동안 0번부터 {last}번까지의 항목을 요청했습니다",
        )
    at = loader.made_by[0].at if loader.made_by else None
    return Evidence(text.fill(count=loader.begun, last=length - 1), at)


def is_whole(walk: Walked) -> bool:
    """True if some pass went from the first item to the last that `__len__` tells of."""
    wanted = _batches(walk.loader, walk.promise.length or 0)
    return any(0 < p.batches == wanted for p in walk.loader.passes)


def _batches(loader: LoaderRun, length: int) -> int:
    if loader.dataset.wraps or loader.sampler == "DistributedSampler" or not loader.batch_size:
        return -1
    full, rest = divmod(length, loader.batch_size)
    return full + bool(rest and not loader.drop_last)


def _is_walked(loader: LoaderRun, promise: Promise) -> bool:
    """True if no index beyond the promise is asked for, and nothing contradicts what `__len__` is said to give."""
    dataset, length = loader.dataset, promise.length
    if length is None or loader.sampler not in _WALK:
        return False
    if dataset.wraps and (dataset.most is None or dataset.most > length):
        return False
    most = _batches(loader, length)
    return most < 0 or all(p.batches <= most for p in loader.passes)


def _is_shared(dataset: DatasetRun, run: Run) -> bool:
    """True if another dataset holds one of the same containers: it may use what this one leaves out."""
    mine = set(dataset.held.values())
    others = (o.dataset for o in run.loaders if o.dataset.id != dataset.id)
    return any(mine & set(other.held.values()) for other in others)


def _promise(dataset: DatasetRun) -> tuple[Promise, Mapping[str, Source]] | None:
    source = load(dataset.at.path) if dataset.at is not None else None
    node = source.class_at(dataset.at) if source is not None and dataset.at is not None else None
    if source is None or node is None or dataset.is_iterable:
        return None
    project = Project(Failure("", "", loaders=(Loader(dataset_at=dataset.at),)))
    owner = Defined(source, node)
    values = {**dataset.attributes, **dataset.containers}
    length = length_of(project, owner, values)
    getter = _method(project, owner, "__getitem__")
    if length is None or getter is None or not is_torch_dataset(project, owner):
        return None
    if _method(project, owner, "__getitems__") is not None:
        return None
    returns = [n for n in own_nodes(length.function) if isinstance(n, ast.Return)]
    if len(returns) != 1:
        return None
    reads, is_plain = _reads(*getter, length.number, values)
    sources = {s.path: s for s in (source, getter[0], length.source)}
    return (
        Promise(dataset.type, length.source, length.returned, length.number, reads, is_plain),
        sources,
    )


def _method(project: Project, owner: Defined, name: str) -> tuple[Source, Function] | None:
    for base in project.bases_of(owner):
        if isinstance(base.node, ast.ClassDef):
            method = base.source.method(base.node, name)
            if method is not None:
                return base.source, method
    return None


def _reads(
    source: Source, getter: Function, length: int | None, values: Mapping[str, Value]
) -> tuple[tuple[Reading, ...], bool]:
    """What is read at the item's number, or at a constant beside it; and whether the number has no other use."""
    names = [*parameters(getter), "", ""]
    owner, item = names[0], names[1]
    if getter.decorator_list or not item:
        return (), False
    found: list[Reading] = []
    is_plain = True
    for node in own_nodes(getter):
        if isinstance(node, ast.Name) and node.id == item and not _is_listed(source, node, item):
            is_plain = is_plain and _is_index(source, node)
        if isinstance(node, ast.Subscript) and (read := _read(source, node, item)) is not None:
            key, offset = read
            container, value = _container(source, node.value, owner, values)
            held = value.length if value is not None else None
            found.append(
                Reading(
                    source.span(node),
                    container,
                    source.span(key),
                    offset,
                    held,
                    None if held is None or length is None else held - length,
                    _kind(value),
                    _is_certain(source, node, getter),
                )
            )
    return tuple(sorted(found, key=lambda r: r.at[1:3])), is_plain


def _read(source: Source, node: ast.Subscript, item: str) -> tuple[ast.expr, int] | None:
    """The key and its distance from the item: 0 for `rows[item]`, -1 for `rows[item - 1]`."""
    key = node.slice
    if isinstance(key, ast.Tuple) and key.elts:
        key = key.elts[0]
    if isinstance(key, ast.Name):
        return (key, 0) if key.id == item else None
    if not isinstance(key, ast.BinOp) or not isinstance(key.left, ast.Name):
        return None
    by = key.right.value if isinstance(key.right, ast.Constant) else None
    if key.left.id != item or type(by) is not int or not isinstance(key.op, (ast.Add, ast.Sub)):
        return None
    return key, by if isinstance(key.op, ast.Add) else -by


def _is_index(source: Source, node: ast.Name) -> bool:
    """True where the item's number is a plain index, or one with a constant added."""
    below: ast.AST | None = node
    up = source.parent(node)
    if isinstance(up, ast.BinOp) and isinstance(up.right, ast.Constant):
        up, below = source.parent(up), up
    if isinstance(up, ast.Tuple) and up.elts[0] is below:
        up, below = source.parent(up), up
    return isinstance(up, ast.Subscript) and up.slice is below and isinstance(node.ctx, ast.Load)


def _is_listed(source: Source, node: ast.Name, item: str) -> bool:
    """In `if torch.is_tensor(item): item = item.tolist()`, which a DataLoader never needs."""
    around = source.enclosing(node, ast.If)
    if around is None or source.code(around.test) != f"torch.is_tensor({item})" or around.orelse:
        return False
    return [ast.unparse(s) for s in around.body] == [f"{item} = {item}.tolist()"]


def _container(
    source: Source, node: ast.expr, owner: str, values: Mapping[str, Value]
) -> tuple[str, Value | None]:
    if isinstance(node, ast.Attribute) and node.attr in _ROWS:
        inner = known_value(ast.unparse(node.value), owner, values)
        if inner is not None and inner.type in ("DataFrame", "Series"):
            return source.code(node.value), inner
    return source.code(node), known_value(ast.unparse(node), owner, values)


def _kind(value: Value | None) -> str:
    if value is None or value.length is None:
        return ""
    if value.tensor is not None:
        return "tensor"
    return {"list": "list", "tuple": "tuple", "DataFrame": "list", "Series": "list"}.get(
        value.type, ""
    )


def _is_certain(source: Source, node: ast.AST, getter: Function) -> bool:
    """True if it is executed for every item."""
    for up in source.parents(node):
        if up is getter:
            break
        if isinstance(up, _MAY_SKIP):
            return False
    returns = [n for n in own_nodes(getter) if isinstance(n, (ast.Return, ast.Raise))]
    return all(r.lineno >= node.lineno for r in returns if isinstance(node, ast.Subscript))
