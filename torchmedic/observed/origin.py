"""Where a value comes from: the chain of expressions from its use back to its birth, across functions and files.

Read from the syntax tree alone; the frames on the stack tell which caller it was, the live loaders which dataset.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from torchmedic.model import Span
from torchmedic.observed.failure import Failure, Frame, Loader
from torchmedic.observed.operands import alike_first, dtype_in
from torchmedic.observed.project import Defined, Project, expression_at
from torchmedic.observed.scopes import (
    Path,
    binding,
    comprehension_target,
    default,
    is_layer_call,
    is_module,
    parameters,
    passed,
    returned,
    yielded,
)
from torchmedic.observed.settings import class_setting, field_value, option_default, own_attribute
from torchmedic.observed.source import Function, Source

DEPTH = 40
_WRAPPERS = {"enumerate", "tqdm", "list", "iter", "reversed", "tuple", "track", "trange", "islice"}
_WRAPPERS |= {"cycle", "next"}


class Origin(NamedTuple):
    """One expression on the way of a value, nearest to its use first."""

    source: Source
    node: ast.expr
    loader: Loader | None = None  # set where the value passes through a DataLoader
    path: Path = ()  # the element of the node's value that is meant

    @property
    def at(self) -> Span:
        return self.source.span(self.node)

    @property
    def code(self) -> str:
        return self.source.code(self.node)


def origins(failure: Failure, frame: Frame, node: ast.expr, source: Source) -> list[Origin]:
    """The node itself, then what it was computed from, step by step, as far back as the source tells."""
    frames = [f for f in failure.frames if f.is_user]
    index = frames.index(frame) if frame in frames else None
    tracer = _Tracer(failure, Project(failure), frames)
    tracer.dtype = dtype_in(frame, node)
    return list(tracer.follow(source, node, (), index, DEPTH))


class _Tracer:
    def __init__(
        self, failure: Failure, project: Project, frames: list[Frame], level: int = 0
    ) -> None:
        self.level = level
        self.failure = failure
        self.project = project
        self.frames = frames
        self.seen: set[tuple[int, Path]] = set()
        self.dtype = ""  # of the value that is followed
        self.entered: dict[int, tuple[Source, ast.Call, int | None]] = {}  # off the stack

    def follow(
        self, source: Source, node: ast.expr, path: Path, frame: int | None, depth: int
    ) -> Iterator[Origin]:
        if depth == 0 or (id(node), path) in self.seen:
            return
        self.seen.add((id(node), path))
        yield Origin(source, node, None, path)
        for step in self._next(source, node, path, frame):
            before = len(self.seen)
            yield from self.follow(*step, depth - 1)
            if len(self.seen) > before:
                return

    def _next(
        self, source: Source, node: ast.expr, path: Path, frame: int | None
    ) -> Iterator[tuple[Source, ast.expr, Path, int | None]]:
        if isinstance(node, ast.Name):
            yield from self._name(source, node, path, frame)
        elif isinstance(node, ast.Attribute):
            yield from self._attribute(source, node, path, frame)
        elif isinstance(node, ast.Subscript):
            index = node.slice.value if isinstance(node.slice, ast.Constant) else None
            if isinstance(index, str) or (
                isinstance(index, int) and self._is_group(source, node.value, frame)
            ):
                yield source, node.value, (index, *path), frame
            else:
                yield source, node.value, path, frame
        elif isinstance(node, ast.Call):
            yield from self._call(source, node, path, frame)
        elif isinstance(node, (ast.Tuple, ast.List)):
            if path and isinstance(path[0], int) and path[0] < len(node.elts):
                yield source, node.elts[path[0]], path[1:], frame
            elif not path and node.elts:
                yield source, alike_first(self.frames, frame, node.elts, self.dtype)[0], (), frame
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if path and isinstance(key, ast.Constant) and key.value == path[0]:
                    yield source, value, path[1:], frame
        elif isinstance(node, ast.BinOp):
            sides = [n for n in (node.left, node.right) if not isinstance(n, ast.Constant)]
            for side in alike_first(self.frames, frame, sides, self.dtype)[:1]:
                yield source, side, path, frame
        elif isinstance(node, ast.IfExp):
            yield source, node.body, path, frame
        elif isinstance(node, (ast.ListComp, ast.GeneratorExp)):
            yield source, node.elt, path, frame
        elif isinstance(node, (ast.NamedExpr, ast.Await, ast.Starred)):
            yield source, node.value, path, frame
        elif isinstance(node, ast.UnaryOp):
            yield source, node.operand, path, frame

    def _is_group(self, source: Source, node: ast.expr, frame: int | None) -> bool:
        """True if `node[0]` picks an element of a tuple rather than a row of a tensor."""
        if isinstance(node, (ast.Tuple, ast.List)):
            return True
        if isinstance(node, ast.Name) and frame is not None:
            value = self.frames[frame].values.get(node.id)
            return value is not None and value.type in ("tuple", "list", "dict")
        return False

    def _name(
        self, source: Source, node: ast.Name, path: Path, frame: int | None
    ) -> Iterator[tuple[Source, ast.expr, Path, int | None]]:
        scope = source.function_of(node)
        comprehension = comprehension_target(source, node)
        if comprehension is not None:
            iterable, inner = comprehension
            yield from self._element(source, iterable, (*inner, *path), frame)
            return
        while True:
            body: ast.AST = scope if scope is not None else source.tree
            found = binding(source, body, node)
            if found is not None:
                value, inner, iterated = found
                if iterated:
                    yield from self._element(source, value, (*inner, *path), frame)
                else:
                    yield source, value, (*inner, *path), frame
                return
            if scope is None:
                break
            if node.id in parameters(scope):
                yield from self._parameter(source, scope, node.id, path, frame)
                return
            scope = source.function_of(scope)
        dotted = source.name(node)
        elsewhere = self.project.value(source, dotted) if dotted and dotted != node.id else None
        if elsewhere is not None:
            yield *elsewhere, path, None

    def _parameter(
        self, source: Source, scope: Function, name: str, path: Path, frame: int | None
    ) -> Iterator[tuple[Source, ast.expr, Path, int | None]]:
        """The argument at the call on the stack, else at the one that led here, else at the project's first."""
        if frame is not None:
            for caller in range(frame - 1, -1, -1):
                found = expression_at(self.failure, self.frames[caller])
                call = found[1] if found else None
                if found and isinstance(call, ast.Call):
                    given = passed(source, scope, name, call, found[0])
                    if given is not None:
                        yield found[0], given[0], (*given[1], *path), caller
                        return
                break
        if frame is None and id(scope) in self.entered:
            where, call, caller_frame = self.entered[id(scope)]
            given = passed(source, scope, name, call, where)
            if given is not None:
                yield where, given[0], (*given[1], *path), caller_frame
                return
        owner = source.parent(scope)
        defined = Defined(
            source, owner if isinstance(owner, ast.ClassDef) and scope.name == "__init__" else scope
        )
        for where, call in self.project.calls_of(defined):
            given = passed(source, scope, name, call, where)
            if given is not None:
                yield where, given[0], (*given[1], *path), self._frame_of(where, call)
                return
        value = default(scope, name)
        if value is not None:
            yield source, value, path, None

    def _frame_of(self, source: Source, node: ast.AST) -> int | None:
        """The frame on the stack whose function holds this node."""
        scope = source.function_of(node)
        for index in range(len(self.frames) - 1, -1, -1):
            frame = self.frames[index]
            name = frame.function.rpartition(".")[2]
            if frame.at.path == source.path and name == (scope.name if scope else "<module>"):
                return index
        return None

    def _attribute(
        self, source: Source, node: ast.Attribute, path: Path, frame: int | None
    ) -> Iterator[tuple[Source, ast.expr, Path, int | None]]:
        if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            owner = self._own_class(source, node)
            found = own_attribute(self.project, owner, node.attr) if owner else None
            if found is not None:
                yield found[0], found[1], (*found[2], *path), self._frame_of(found[0], found[1])
            return
        dotted = source.name(node)
        elsewhere = self.project.value(source, dotted) if dotted else None
        if elsewhere is not None:
            yield *elsewhere, path, None
        elif node.attr in ("T", "mT", "H", "real", "data", "values", "shape"):
            yield source, node.value, path, frame
        else:
            setting = class_setting(self.project, source, node)
            setting = setting or self._setting(source, node, frame)
            if setting is not None:
                yield *setting, path, None

    def _own_class(self, source: Source, node: ast.AST) -> Defined | None:
        """The class that `self` is of: the live object's where the failure knows it, else the one around the code."""
        owner = source.enclosing(node, ast.ClassDef)
        if owner is None:
            return None
        for module in (*self.failure.modules, *self.failure.layers):
            if owner.name in module.bases and module.class_at is not None:
                found = self.failure.source(module.class_at)
                live = found.class_at(module.class_at) if found else None
                if found is not None and live is not None:
                    return Defined(found, live)
        return Defined(source, owner)

    def _setting(
        self, source: Source, node: ast.Attribute, frame: int | None
    ) -> tuple[Source, ast.expr] | None:
        """`args.width` of argparse, `config.width` of a dataclass: its argument at the construction, else its default."""
        trail = list(self._aside(source, node.value, (), frame))
        for origin in trail:
            call = origin.node
            name = origin.source.name(call.func) if isinstance(call, ast.Call) else None
            defined = self.project.definition(origin.source, name) if name else None
            if isinstance(call, ast.Call) and defined and isinstance(defined.node, ast.ClassDef):
                value = next((k.value for k in call.keywords if k.arg == node.attr), None)
                if value is not None:
                    return origin.source, value
                return field_value(self.project, defined, node.attr)
        if any("parse" in o.code or "arg" in o.code for o in trail):
            return option_default(self.project, node.attr)
        return None

    def _call(
        self, source: Source, node: ast.Call, path: Path, frame: int | None
    ) -> Iterator[tuple[Source, ast.expr, Path, int | None]]:
        name = source.name(node.func) or ""
        last = name.rpartition(".")[2]
        defined = self.project.definition(source, name) if name else None
        if defined is None and isinstance(node.func, ast.Attribute):
            defined = self._method(source, node.func, frame)
        if defined is None:
            defined = self._forward(source, node.func, frame)
        if defined is not None and isinstance(defined.node, ast.ClassDef):
            return
        if defined is not None:
            self.entered[id(defined.node)] = source, node, frame
            for value in returned(defined.node)[:1]:
                yield defined.source, value, path, None
            return
        if last == "train_test_split" and path and isinstance(path[0], int):
            if path[0] // 2 < len(node.args):
                yield source, node.args[path[0] // 2], path[1:], frame
        elif last in _WRAPPERS and node.args:
            yield from self._element(source, node, path, frame)
        elif node.args and is_layer_call(node.func):
            yield source, node.args[0], (), frame
        elif isinstance(node.func, ast.Attribute) and not is_module(source, node.func.value):
            yield source, node.func.value, path, frame
        elif node.args and not isinstance(node.args[0], ast.Starred):
            yield source, node.args[0], path if last in ("random_split", "map") else (), frame

    def _method(self, source: Source, function: ast.Attribute, frame: int | None) -> Defined | None:
        """The user's method that `self.sample(…)` or `memory.sample(…)` calls."""
        owner: Defined | None = None
        if isinstance(function.value, ast.Name) and function.value.id == "self":
            own = source.enclosing(function, ast.ClassDef)
            owner = Defined(source, own) if own else None
        elif not is_module(source, function.value):
            owner = self._class_of(source, function.value, frame)
        for base in self.project.bases_of(owner) if owner else ():
            if isinstance(base.node, ast.ClassDef):
                method = base.source.method(base.node, function.attr)
                if method is not None:
                    return Defined(base.source, method)
        return None

    def _forward(self, source: Source, function: ast.expr, frame: int | None) -> Defined | None:
        """The `forward` that calling this object runs, if it is a module of the user's."""
        if not isinstance(function, (ast.Name, ast.Attribute)) or is_module(source, function):
            return None
        owner = self._class_of(source, function, frame)
        for base in self.project.bases_of(owner) if owner else ():
            if isinstance(base.node, ast.ClassDef):
                method = base.source.method(base.node, "forward")
                if method is not None:
                    return Defined(base.source, method)
        return None

    def _class_of(self, source: Source, node: ast.expr, frame: int | None) -> Defined | None:
        """The user's class whose constructor made this value."""
        for origin in self._aside(source, node, (), frame):
            name = (
                origin.source.name(origin.node.func) if isinstance(origin.node, ast.Call) else None
            )
            defined = self.project.definition(origin.source, name) if name else None
            if defined is not None and isinstance(defined.node, ast.ClassDef):
                return defined
        return None

    def _aside(
        self, source: Source, node: ast.expr, path: Path, frame: int | None
    ) -> Iterator[Origin]:
        """Follows another value without marking its way as seen."""
        if self.level >= 3:
            return iter(())
        tracer = _Tracer(self.failure, self.project, self.frames, self.level + 1)
        return tracer.follow(source, node, path, frame, 12)

    def _element(
        self, source: Source, iterable: ast.expr, path: Path, frame: int | None
    ) -> Iterator[tuple[Source, ast.expr, Path, int | None]]:
        """An element of what is iterated: through enumerate, zip and progress bars to a loader's dataset."""
        while isinstance(iterable, ast.Call) and iterable.args:
            last = (source.name(iterable.func) or "").rpartition(".")[2]
            if last == "enumerate":
                if path[:1] != (1,):
                    return
                path = path[1:]
            elif last == "zip":
                if not path or not isinstance(path[0], int) or path[0] >= len(iterable.args):
                    return
                iterable, path = iterable.args[path[0]], path[1:]
                continue
            elif last not in _WRAPPERS:
                break
            iterable = iterable.args[0]
        item = self._item(source, iterable, path, frame)
        if item is not None:
            yield item
        else:
            yield source, iterable, path, frame

    def _item(
        self, source: Source, iterable: ast.expr, path: Path, frame: int | None
    ) -> tuple[Source, ast.expr, Path, int | None] | None:
        """What `__getitem__` returns for the loader that is iterated, or the tensor of its TensorDataset."""
        live = self._loader(source, iterable)
        if live is not None and live.dataset_at is not None:
            found = self.failure.source(live.dataset_at)
            owner = found.class_at(live.dataset_at) if found else None
            if found is not None and owner is not None:
                return self._returned_item(Defined(found, owner), path)
        for origin in self._aside(source, iterable, (), frame):
            if not isinstance(origin.node, ast.Call):
                continue
            name = origin.source.name(origin.node.func) or ""
            if name.rpartition(".")[2] == "TensorDataset" and path and isinstance(path[0], int):
                arguments = origin.node.args
                if path[0] < len(arguments):
                    return origin.source, arguments[path[0]], path[1:], frame
            defined = self.project.definition(origin.source, name) if name else None
            if defined is not None and isinstance(defined.node, ast.ClassDef):
                return self._returned_item(defined, path)
            if defined is not None:
                for value in yielded(defined.node):
                    return defined.source, value, path, None
        return None

    def _loader(self, source: Source, iterable: ast.expr) -> Loader | None:
        code = source.code(iterable)
        return next((loader for loader in self.failure.loaders if loader.name == code), None)

    def _returned_item(
        self, dataset: Defined, path: Path
    ) -> tuple[Source, ast.expr, Path, int | None] | None:
        for base in self.project.bases_of(dataset):
            if isinstance(base.node, ast.ClassDef):
                for name in ("__getitem__", "__iter__"):
                    method = base.source.method(base.node, name)
                    if method is not None:
                        for value in (*returned(method), *yielded(method)):
                            return base.source, value, path, self._frame_of(base.source, value)
        return None
