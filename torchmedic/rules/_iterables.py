"""What an IterableDataset goes through, and whether it leaves a part of that to each worker."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from torchmedic.model import Edit, Fix, Span, Text
from torchmedic.observed import Failure, Loader, Source, load
from torchmedic.observed.project import Defined, Project
from torchmedic.observed.scopes import binding, own_nodes
from torchmedic.observed.source import Function

# A dataset that knows of workers or ranks may well split itself, and what draws or waits differs in each worker.
_SPLITS = r"(?i)worker|rank|shard|world|replica|(?<!\.)split|islice|environ|getpid"
_DIFFERS = (
    r"(?i)rand|rng|shuffle|sampl|choice|permut|normal|uniform|seed|queue|socket|stdin|request|connect|stream|consum|"
    r"\.get\(|\bnext\(|\bwhile\b|\btime\b"
)
_WRAPPERS = ("enumerate", "zip", "reversed", "sorted", "list", "tuple", "tqdm")


class Walk(NamedTuple):
    """`__iter__` of a user's IterableDataset."""

    source: Source
    owner: ast.ClassDef
    function: Function
    loop: ast.For | None  # the only one at its own level

    @property
    def at(self) -> Span:
        """What it goes through; the line of the `def` where that isn't one loop."""
        if self.loop is not None:
            return self.source.span(self.loop.iter)
        here = self.source.span(self.function)
        return Span(here.path, here.line)


def walk_of(at: Span | None) -> Walk | None:
    source = load(at.path) if at is not None else None
    owner = source.class_at(at) if source is not None and at is not None else None
    if source is None or owner is None:
        return None
    project = Project(Failure("", "", loaders=(Loader(dataset_at=at),)))
    for base in project.bases_of(Defined(source, owner)):
        if isinstance(base.node, ast.ClassDef):
            function = base.source.method(base.node, "__iter__")
            if function is not None:
                loops = [n for n in function.body if isinstance(n, (ast.For, ast.With))]
                while len(loops) == 1 and isinstance(loops[0], ast.With):
                    loops = [n for n in loops[0].body if isinstance(n, (ast.For, ast.With))]
                only = loops[0] if len(loops) == 1 and isinstance(loops[0], ast.For) else None
                return Walk(base.source, base.node, function, only)
    return None


def is_repeated(walk: Walk, plain: frozenset[str]) -> bool:
    """True if every worker certainly goes through all of the same data: those `plain` attributes, a range, a file."""
    text = walk.source.code(walk.owner)
    names = {n.id for n in ast.walk(walk.owner) if isinstance(n, ast.Name)}
    bases = [walk.source.name(base) or "" for base in walk.owner.bases]
    if re.search(_SPLITS, text) or re.search(_DIFFERS, text) or walk.loop is None:
        return False
    if not all(base.rpartition(".")[2] == "IterableDataset" for base in bases):
        return False
    return "super" not in names and all(_is_plain(walk, s, plain) for s in _sources(walk))


def _sources(walk: Walk) -> Iterator[ast.expr]:
    """What its loops and comprehensions go through, without the functions that only number or sort it."""
    for node in own_nodes(walk.function):
        if isinstance(node, (ast.For, ast.comprehension)):
            yield from _unwrapped(walk.source, node.iter)
        elif isinstance(node, ast.YieldFrom):
            yield from _unwrapped(walk.source, node.value)


def _unwrapped(source: Source, node: ast.expr) -> Iterator[ast.expr]:
    if (
        isinstance(node, ast.Call)
        and (source.name(node.func) or "").rpartition(".")[2] in _WRAPPERS
    ):
        for argument in node.args:
            yield from _unwrapped(source, argument)
    else:
        yield node


def _is_plain(walk: Walk, node: ast.expr, plain: frozenset[str], depth: int = 3) -> bool:
    """A file, a range, one of the attributes, or a part of these."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in ("range", "open")
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.value.id == "self" and node.attr in plain
    if not isinstance(node, ast.Name) or not depth:
        return False
    for up in walk.source.parents(node):
        for item in up.items if isinstance(up, ast.With) else ():
            if isinstance(item.optional_vars, ast.Name) and item.optional_vars.id == node.id:
                return _is_plain(walk, item.context_expr, plain, depth - 1)
    bound = binding(walk.source, walk.function, node)
    values = list(_unwrapped(walk.source, bound[0])) if bound is not None else []
    return bool(values) and all(_is_plain(walk, v, plain, depth - 1) for v in values)


def split(walk: Walk) -> tuple[Fix, ...]:
    """Every worker begins at its own number and takes steps as long as there are workers."""
    source, loop = walk.source, walk.loop
    imports = [s for s in source.tree.body if isinstance(s, (ast.Import, ast.ImportFrom))]
    imports = [s for s in imports if getattr(s, "module", "") != "__future__"]
    is_known = source.imported.get("torch") == "torch"
    if loop is None or not is_known or not imports or loop.lineno == walk.function.lineno:
        return ()
    info = "torch.utils.data.get_worker_info()"
    edits = [
        source.insert_statement(loop, f"worker = {info}"),
        source.insert_statement(
            loop, "first, step = (worker.id, worker.num_workers) if worker else (0, 1)"
        ),
        source.replace(loop.iter, f"islice({source.code(loop.iter)}, first, None, step)"),
    ]
    if "islice" not in source.imported:
        edits.insert(0, source.insert_statement(imports[0], "from itertools import islice"))
    used = {n.id for n in ast.walk(walk.function) if isinstance(n, ast.Name)}
    if used & {"worker", "first", "step", "islice"}:
        return ()
    title = Text(en="give each worker its own part", ko="워커마다 자기 몫만 읽게 하기")
    return (Fix(_joined(edits), title),)


def _joined(edits: list[Edit]) -> tuple[Edit, ...]:
    """Insertions at the same place as one."""
    found: dict[Span, str] = {}
    for edit in edits:
        found[edit.span] = found.get(edit.span, "") + edit.text
    return tuple(Edit(span, text) for span, text in found.items())
