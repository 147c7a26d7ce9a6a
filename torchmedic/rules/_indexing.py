"""How an index is computed from the number that a Dataset's `__getitem__` is asked for."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torchmedic.model import Span
from torchmedic.observed import Failure, Frame, Source
from torchmedic.observed.scopes import (
    binding,
    comprehension_target,
    own_nodes,
    parameters,
    passed,
)
from torchmedic.observed.source import Function

DEPTH = 24
ITEM = ("__getitem__", "__getitems__")


class Place(NamedTuple):
    """An expression or statement, and the file it stands in."""

    source: Source
    node: ast.expr | ast.stmt

    @property
    def at(self) -> Span:
        return self.source.span(self.node)

    @property
    def code(self) -> str:
        return self.source.code(self.node)


class Level(NamedTuple):
    """One function between `__getitem__` and the error. `frame` is its deepest: that of a comprehension in it, say."""

    frame: Frame
    source: Source
    function: Function


class Index(NamedTuple):
    """`scale` × item + `offset` + `terms` + a number below each of `extents`. A scale of "" means: no item in it."""

    scale: str = ""
    offset: int = 0
    terms: tuple[str, ...] = ()
    extents: tuple[str, ...] = ()
    shift: Place | None = None  # the `item + 1` that made the offset
    lookup: Place | None = None  # the item's number is looked up elsewhere: `self.ids[item]`

    @property
    def is_item(self) -> bool:
        """The bare number that `__getitem__` was asked for."""
        return self.scale == "1" and not (self.offset or self.terms or self.extents)

    def plus(self, other: Index, sign: int) -> Index | None:
        if (self.scale and other.scale) or (sign < 0 and (other.terms or other.extents)):
            return None
        return Index(
            self.scale or other.scale,
            self.offset + sign * other.offset,
            self.terms + other.terms,
            self.extents + other.extents,
            self.shift or other.shift,
            self.lookup or other.lookup,
        )


def levels_of(failure: Failure, frames: Sequence[Frame]) -> list[Level]:
    """The functions of these frames, outermost first. Stops at a file that can't be read or has changed."""
    levels: list[Level] = []
    for frame in frames:
        source = failure.source(frame.at)
        if source is None or not (failure.is_live or unchanged(source, frame)):
            break
        line = Span(frame.at.path, frame.at.line)
        function = source.at(line, ast.FunctionDef, ast.AsyncFunctionDef)
        if not isinstance(function, Function):
            break
        if levels and levels[-1].function is function:
            levels.pop()
        levels.append(Level(frame, source, function))
    return levels


def unchanged(source: Source, frame: Frame) -> bool:
    return not frame.code or source.line(frame.at.line).strip() == frame.code.strip()


def on_line(level: Level, *kinds: type[ast.expr]) -> list[ast.expr]:
    """The expressions of these kinds in the frame's statement: the very one where its columns are known."""
    at = level.frame.at
    nodes = [n for kind in kinds for n in ast.walk(level.function) if isinstance(n, kind)]
    if at.end_line:
        exact = [n for n in nodes if level.source.span(n) == at]
        if exact:
            return exact
    marked = _squeezed(level.frame.expression)
    here = [n for n in nodes if n.lineno <= at.line <= (n.end_lineno or n.lineno)]
    same = [n for n in here if marked and _squeezed(level.source.code(n)) == marked]
    return same or ([] if at.end_line or marked else here)


def _squeezed(code: str) -> str:
    return "".join(code.split())


class Reader:
    """Reads index expressions, from the failing function up to `__getitem__` (level 0)."""

    def __init__(self, levels: Sequence[Level]) -> None:
        self.levels = levels
        first, *rest = [*parameters(levels[0].function), ""]
        self.owner = first
        self.item = rest[0] if rest else ""

    def read(self, node: ast.expr, level: int, depth: int = DEPTH) -> Index | None:
        """None for what is no sum: `i % n`, a random number, …"""
        if depth == 0:
            return None
        if isinstance(node, ast.Constant):
            return Index(offset=node.value) if type(node.value) is int else None
        if isinstance(node, ast.Name):
            return self._name(node, level, depth - 1)
        if isinstance(node, ast.BinOp):
            return self._operation(node, level, depth - 1)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self.read(node.operand, level, depth - 1)
            return Index().plus(inner, -1) if inner and not inner.scale else None
        if isinstance(node, ast.IfExp):
            either = (self.read(n, level, depth - 1) for n in (node.body, node.orelse))
            return next((i for i in either if i is not None and i.scale), None)
        if isinstance(node, ast.Attribute):
            return Index(terms=(ast.unparse(node),))
        if isinstance(node, (ast.Call, ast.Subscript)):
            return self._converted(node, level, depth - 1)
        return None

    def _converted(self, node: ast.Call | ast.Subscript, level: int, depth: int) -> Index | None:
        inner: Index | None = None
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute) and function.attr in ("item", "tolist"):
                inner = self.read(function.value, level, depth)
            elif isinstance(function, ast.Name) and function.id in ("int", "index") and node.args:
                inner = self.read(node.args[0], level, depth)
            elif isinstance(function, ast.Name) and function.id == "len":
                return Index(terms=(ast.unparse(node),))
            else:
                return None
        elif isinstance(node.slice, (ast.Slice, ast.Tuple)):
            return None
        else:
            used = self.read(node.slice, level, depth)
            if used is not None and used.scale:
                inner = used._replace(lookup=Place(self.levels[level].source, node))
            elif isinstance(node.slice, ast.Constant):
                inner = self.read(node.value, level, depth)  # `self.rows[item]["id"]`
                if inner is not None and inner.lookup is None:
                    return None
        if inner is not None and inner.lookup is not None:
            return inner._replace(lookup=Place(self.levels[level].source, node))
        return inner

    def _operation(self, node: ast.BinOp, level: int, depth: int) -> Index | None:
        left, right = self.read(node.left, level, depth), self.read(node.right, level, depth)
        if left is None or right is None:
            return None
        if isinstance(node.op, (ast.Add, ast.Sub)):
            total = left.plus(right, 1 if isinstance(node.op, ast.Add) else -1)
            for bare, added in ((left, right), (right, left)):
                if total and bare.is_item and added.offset and not (added.terms or added.extents):
                    total = total._replace(shift=Place(self.levels[level].source, node))
            return total
        if isinstance(node.op, ast.Mult):
            for item, factor in ((left, right), (right, left)):
                if item.is_item and not (factor.scale or factor.extents or factor.lookup):
                    if len(factor.terms) == 1 and not factor.offset:
                        return Index(scale=factor.terms[0])
                    return None if factor.terms else Index(scale=str(factor.offset))
        return None

    def _name(self, node: ast.Name, level: int, depth: int) -> Index | None:
        source, function = self.levels[level].source, self.levels[level].function
        found = comprehension_target(source, node)
        if found is not None:
            return self._iterated(found[0], level, depth) if not found[1] else None
        changed = self._changed_in_place(node, function)
        if changed is not None:
            before = self.read(changed.target, level, depth)
            added = self.read(changed.value, level, depth)
            sign = 1 if isinstance(changed.op, ast.Add) else -1
            total = before.plus(added, sign) if before and added else None
            if total and before and before.is_item and added and not added.terms:
                total = total._replace(shift=Place(source, changed))
            return total
        bound = binding(source, function, node)
        if bound is not None:
            value, path, iterated = bound
            if path:
                return None
            return (self._iterated if iterated else self.read)(value, level, depth)
        if node.id in parameters(function):
            if level == 0:
                return Index(scale="1") if node.id == self.item else None
            given = self.argument(node.id, level)
            return self.read(given, level - 1, depth) if given is not None else None
        return Index(terms=(node.id,)) if node.id.isupper() else None

    def _changed_in_place(self, node: ast.Name, function: Function) -> ast.AugAssign | None:
        """The `index += 1` before this use of `index`."""
        own = self.statement(node, function)
        for other in own_nodes(function):
            if (
                isinstance(other, ast.AugAssign)
                and isinstance(other.target, ast.Name)
                and isinstance(other.op, (ast.Add, ast.Sub))
                and other.target.id == node.id
                and other.lineno < own
            ):
                return other
        return None

    def statement(self, node: ast.AST, function: Function) -> int:
        """The line on which the node's statement begins."""
        for level in self.levels:
            if level.function is function:
                return level.source.statement(node).lineno
        return getattr(node, "lineno", 0)

    def _iterated(self, iterable: ast.expr, level: int, depth: int) -> Index | None:
        """An element of `range(…)`, or of the list of indices that `__getitems__` gets."""
        if isinstance(iterable, ast.Name) and self.levels[0].function.name == ITEM[1]:
            return self._name(iterable, level, depth)
        if not (isinstance(iterable, ast.Call) and ast.unparse(iterable.func) == "range"):
            return None
        if len(iterable.args) == 1:
            return Index(extents=(ast.unparse(iterable.args[0]),))
        if len(iterable.args) == 2:
            start, stop = iterable.args
            if (
                isinstance(stop, ast.BinOp)
                and isinstance(stop.op, ast.Add)
                and ast.unparse(stop.left) == ast.unparse(start)
            ):
                begin = self.read(start, level, depth)
                return begin.plus(Index(extents=(ast.unparse(stop.right),)), 1) if begin else None
        return None

    def call(self, level: int) -> ast.Call | ast.Subscript | None:
        """The expression in the level above that called this level's function."""
        name = self.levels[level].function.name
        for node in on_line(self.levels[level - 1], ast.Call, ast.Subscript):
            if isinstance(node, ast.Subscript) and name in ITEM:
                return node
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name:
                return node
        return None

    def argument(self, name: str, level: int) -> ast.expr | None:
        """What the level above passed for a parameter of this level's function."""
        call, here = self.call(level), self.levels[level]
        if isinstance(call, ast.Subscript):
            return call.slice if parameters(here.function)[1:2] == [name] else None
        if call is None:
            return None
        given = passed(here.source, here.function, name, call, self.levels[level - 1].source)
        return given[0] if given is not None and not given[1] else None

    def subscripts(self, level: int) -> Iterator[tuple[ast.expr, Index]]:
        """(container, highest index) of every subscript of a function, those of slices too."""
        function = self.levels[level].function
        for node in ast.walk(function):
            if not isinstance(node, ast.Subscript) or not isinstance(node.ctx, ast.Load):
                continue
            key = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
            if isinstance(key, ast.Slice):
                last = self.read(key.upper, level) if key.upper is not None else None
                found = last._replace(offset=last.offset - 1, shift=None) if last else None
            else:
                found = self.read(key, level)
            if found is not None and found.scale and found.lookup is None:
                yield node.value, found

    def starts(self, level: int) -> Iterator[ast.expr]:
        """The containers that a function reads at the bare item, or in a slice from it on."""
        for node in ast.walk(self.levels[level].function):
            if isinstance(node, ast.Subscript):
                key: ast.expr | None = node.slice
                if isinstance(key, ast.Tuple):
                    key = key.elts[0]
                if isinstance(key, ast.Slice):
                    key = key.lower
                found = self.read(key, level) if key is not None else None
                if found is not None and found.is_item:
                    yield node.value
