"""The user's own files around a failure: definitions and calls across them, found without importing anything."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from typing import NamedTuple

from torchmedic.model import Span
from torchmedic.observed.failure import Failure, Frame
from torchmedic.observed.imports import module_file
from torchmedic.observed.source import Function, Source, load

MOST_FILES = 60


class Defined(NamedTuple):
    """A function or class of the user's, and the file it stands in."""

    source: Source
    node: Function | ast.ClassDef


class Project:
    """The files that the failure's frames name, and those that they import, nearest first."""

    def __init__(self, failure: Failure) -> None:
        self._sources: dict[str, Source] = {}
        paths = [f.at.path for f in reversed(failure.frames) if f.is_user]
        paths += [m.class_at.path for m in (*failure.modules, *failure.layers) if m.class_at]
        paths += [loader.dataset_at.path for loader in failure.loaders if loader.dataset_at]
        self._roots = list(dict.fromkeys(os.path.dirname(p) for p in paths))
        for path in dict.fromkeys(paths):
            self._add(path)

    def _add(self, path: str) -> Source | None:
        if path in self._sources:
            return self._sources[path]
        source = load(path) if len(self._sources) < MOST_FILES else None
        if source is not None:
            self._sources[path] = source
        return source

    def sources(self) -> Iterator[Source]:
        """Every file reached so far, then the project files that these import."""
        waiting = list(self._sources.values())
        seen = {s.path for s in waiting}
        while waiting:
            source = waiting.pop(0)
            yield source
            for module in _imported_modules(source):
                found = self.module(source, module)
                if found is not None and found.path not in seen:
                    seen.add(found.path)
                    waiting.append(found)

    def module(self, source: Source, dotted: str) -> Source | None:
        """The file of `pkg.mod` or `..mod` as imported in `source`; None if it is not among the user's files."""
        here = os.path.dirname(source.path)
        found = module_file(here, dotted, last=self._roots, is_file=self._is_file)
        return self._add(found) if found is not None else None

    def _is_file(self, path: str) -> bool:
        return path in self._sources or os.path.isfile(path)

    def definition(self, source: Source, name: str) -> Defined | None:
        """The `def` or `class` that a dotted name in `source` refers to."""
        own = _top_level(source, name)
        if own is not None:
            return Defined(source, own)
        module, _, last = name.rpartition(".")
        found = self.module(source, module) if module.strip(".") or module.startswith(".") else None
        if found is None:
            return None
        node = _top_level(found, last)
        if node is not None:
            return Defined(found, node)
        again = found.imported.get(last)  # re-exported by a package's __init__
        return self.definition(found, again) if again and again != name else None

    def value(self, source: Source, name: str) -> tuple[Source, ast.expr] | None:
        """The value of a module-level variable that a dotted name refers to, in another file."""
        module, _, last = name.rpartition(".")
        found = self.module(source, module) if module else None
        for item in reversed(found.tree.body if found else []):
            if isinstance(item, (ast.Assign, ast.AnnAssign)) and item.value is not None and found:
                targets = item.targets if isinstance(item, ast.Assign) else [item.target]
                if any(isinstance(t, ast.Name) and t.id == last for t in targets):
                    return found, item.value
        return None

    def calls_of(self, defined: Defined) -> Iterator[tuple[Source, ast.Call]]:
        """Calls that name this function or class anywhere in the project; methods by their attribute name."""
        name = defined.node.name
        is_method = isinstance(defined.source.parent(defined.node), ast.ClassDef)
        for source in self.sources():
            for call in source.calls(*([f".{name}"] if is_method else [])):
                yield source, call
            if is_method:
                continue
            for call in sorted(source.nodes(ast.Call), key=lambda c: (c.lineno, c.col_offset)):
                dotted = source.name(call.func)
                if dotted and dotted.rpartition(".")[2] == name:
                    target = self.definition(source, dotted)
                    if target is None or target.node is defined.node:
                        yield source, call

    def bases_of(self, defined: Defined) -> Iterator[Defined]:
        """The class itself and its base classes among the user's files."""
        waiting, seen = [defined], set[int]()
        while waiting:
            here = waiting.pop(0)
            if id(here.node) in seen or not isinstance(here.node, ast.ClassDef):
                continue
            seen.add(id(here.node))
            yield here
            for base in here.node.bases:
                name = here.source.name(base)
                found = self.definition(here.source, name) if name else None
                if found is not None:
                    waiting.append(found)


def _top_level(source: Source, name: str) -> Function | ast.ClassDef | None:
    """A `def` or `class` of that name which is not a method, module level first."""
    candidates: list[Function | ast.ClassDef] = [
        *(n for n in source.nodes(ast.FunctionDef) if n.name == name),
        *(n for n in source.nodes(ast.AsyncFunctionDef) if n.name == name),
        *(n for n in source.nodes(ast.ClassDef) if n.name == name),
    ]
    candidates.sort(key=lambda n: not isinstance(source.parent(n), ast.Module))
    return next((n for n in candidates if not isinstance(source.parent(n), ast.ClassDef)), None)


def _imported_modules(source: Source) -> Iterator[str]:
    for plain in source.nodes(ast.Import):
        yield from (alias.name for alias in plain.names)
    for node in source.nodes(ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        yield module
        yield from (f"{module.rstrip('.')}.{alias.name}" for alias in node.names)


def expression_at(failure: Failure, frame: Frame) -> tuple[Source, ast.expr] | None:
    """The frame's own expression, or the outermost call of its line where columns aren't known."""
    source = failure.source(frame.at)
    if source is None:
        return None
    node = source.at(frame.at, ast.expr) if frame.at.end_line else None
    if node is None:
        statement = source.at(Span(frame.at.path, frame.at.line), ast.stmt)
        calls = [n for n in ast.walk(statement) if isinstance(n, ast.Call)] if statement else []
        node = calls[0] if calls else None
    return (source, node) if node is not None else None
