"""A parsed file: questions about its syntax tree, and edits as text. Nothing is executed."""

from __future__ import annotations

import ast
import io
import linecache
import os
import tokenize
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from typing import TypeVar, get_args

from torchmedic.model import Edit, Span

N = TypeVar("N", bound=ast.AST)
Placed = ast.expr | ast.stmt | ast.keyword | ast.arg | ast.excepthandler | ast.pattern
Function = ast.FunctionDef | ast.AsyncFunctionDef


LONG = 16  # so many statements of a body are searched one after another
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # where statements stand in others


def lines_of(text: str) -> list[str]:
    """Lines with their ends, as Python counts them. `str.splitlines` also breaks at form feeds and U+2028."""
    return io.StringIO(text, newline="").readlines()


def decode(data: bytes) -> str:
    """Python source as text, by its BOM or coding line. Raises SyntaxError or UnicodeDecodeError."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return data.decode(encoding)


def stand_in(path: str, text: str | None) -> None:
    """From now on `load` gives this text for the path, whatever the file holds: an editor's buffer. None ends that."""
    if text is None:
        _INSTEAD.pop(os.path.abspath(path), None)
    else:
        _INSTEAD[os.path.abspath(path)] = text


_INSTEAD: dict[str, str] = {}


def load(path: str) -> Source | None:
    """The file as `Source`; None if it can't be read or parsed. Cells and `-c` code come from linecache."""
    if _INSTEAD and (text := _INSTEAD.get(os.path.abspath(path))) is not None:
        return parsed(text, path)
    try:
        with open(path, "rb") as file:
            text = decode(file.read())
    except (OSError, SyntaxError, ValueError, LookupError):
        text = "".join(linecache.getlines(path))
    return parsed(text, path) if text else None


@lru_cache(maxsize=64)
def parsed(text: str, path: str) -> Source | None:
    """The text as `Source`, the same object for the same text; None if it can't be parsed."""
    try:
        return Source(text, path)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class Source:
    """At most one walk over the tree; after that, questions are look-ups. Raises SyntaxError as `ast.parse` does."""

    def __init__(self, text: str, path: str = "<string>") -> None:
        self.text = text
        self.path = path
        self.tree = ast.parse(text)
        self.lines = lines_of(text)
        self._spans: dict[ast.AST, Span] = {}
        self._starts: dict[
            ast.AST, list[int]
        ] = {}  # the first line of each statement of a long body
        self._yields: dict[ast.AST, bool] = {}

    @cached_property
    def imported(self) -> dict[str, str]:
        """The names that `import` statements bind, and the dotted names of what they stand for."""
        found: dict[str, str] = {}
        waiting: list[ast.AST] = [self.tree]
        for node in waiting:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    head = alias.name.split(".")[0]
                    found[alias.asname or head] = alias.name if alias.asname else head
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    module = "." * node.level + (node.module or "")
                    found[alias.asname or alias.name] = f"{module}.{alias.name}"
            else:
                for block in _BLOCKS:
                    waiting += getattr(node, block, ())
        return found

    @cached_property
    def _index(self) -> tuple[dict[ast.AST, ast.AST], dict[type, list[ast.AST]]]:
        """The parent of each node, and the nodes of each kind, those further out first.

        `ast.walk` with `ast.iter_child_nodes` would take three times as long.
        """
        parents: dict[ast.AST, ast.AST] = {}
        nodes: dict[type, list[ast.AST]] = defaultdict(list)
        waiting: list[ast.AST] = [self.tree]
        for node in waiting:
            kind = type(node)
            nodes[kind].append(node)
            held = node.__dict__
            for name in kind._fields:
                value = held.get(name)
                if isinstance(value, list):
                    for child in value:
                        if isinstance(child, ast.AST):
                            parents[child] = node
                            waiting.append(child)
                elif isinstance(value, ast.AST):
                    parents[value] = node
                    waiting.append(value)
        return parents, nodes

    def yields(self, function: Function | ast.Lambda) -> bool:
        """True if the function's own body has a `yield`."""
        known = self._yields.get(function)
        if known is None:
            lines = self.lines[function.lineno - 1 : function.end_lineno]
            known = any("yield" in line for line in lines) and _holds_yield(function)
            self._yields[function] = known
        return known

    def name(self, node: ast.AST | None) -> str | None:
        """`F.relu` -> 'torch.nn.functional.relu'; None if it is not a dotted name."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (head := self.name(node.value)):
            return f"{head}.{node.attr}"
        return None

    def nodes(self, *kinds: type[N]) -> Iterator[N]:
        """All nodes of these kinds; `ast.expr` and `ast.stmt` stand for every expression and statement."""
        _, nodes = self._index
        for kind in kinds:
            exact = nodes.get(kind)
            pools = [exact] if exact else [p for k, p in nodes.items() if issubclass(k, kind)]
            yield from (node for pool in pools for node in pool if isinstance(node, kind))

    def parent(self, node: ast.AST) -> ast.AST | None:
        return self._index[0].get(node)

    def parents(self, node: ast.AST) -> Iterator[ast.AST]:
        """Its parent, that one's parent, …"""
        parents, _ = self._index
        up = parents.get(node)
        while up is not None:
            yield up
            up = parents.get(up)

    def enclosing(self, node: ast.AST, *kinds: type[N]) -> N | None:
        """The nearest ancestor of one of these kinds."""
        return next((up for up in self.parents(node) if isinstance(up, kinds)), None)

    def function_of(self, node: ast.AST) -> Function | None:
        """The nearest `def` around the node."""
        for up in self.parents(node):
            if isinstance(up, (ast.FunctionDef, ast.AsyncFunctionDef)):
                return up
        return None

    def statement(self, node: ast.AST) -> ast.stmt:
        """The statement that the node is part of."""
        while not isinstance(node, ast.stmt):
            node = self._index[0][node]
        return node

    def span(self, node: Placed) -> Span:
        known = self._spans.get(node)
        if known is None:
            line, end = node.lineno, node.end_lineno or node.lineno
            start, stop = node.col_offset, node.end_col_offset or node.col_offset
            known = Span(self.path, line, self._column(line, start), end, self._column(end, stop))
            self._spans[node] = known
        return known

    def _column(self, line: int, byte: int) -> int:
        """`ast` counts UTF-8 bytes; everything outside this class counts characters."""
        text = self.lines[line - 1]
        return byte if text.isascii() else len(text.encode()[:byte].decode(errors="ignore"))

    def line(self, number: int) -> str:
        """The line without its end, or "" if there is none."""
        return self.lines[number - 1].rstrip("\r\n") if 0 < number <= len(self.lines) else ""

    def code(self, node: ast.AST) -> str:
        """The node's own text."""
        if not isinstance(node, Placed):
            return ""
        here = self.span(node)
        if here.line == here.end_line:
            return self.lines[here.line - 1][here.column : here.end_column]
        first, *between = self.lines[here.line - 1 : here.end_line]
        last = between.pop()[: here.end_column]
        return "".join((first[here.column :], *between, last))

    def at(self, span: Span, *kinds: type[N]) -> N | None:
        """The smallest node of these kinds whose span is `span`, or that contains it; by line if it has no columns."""
        best: tuple[tuple[int, int], N] | None = None
        covering: list[ast.AST] = [self.tree]
        for node in covering:
            covering += [c for c in self.children(node, span.line) if self._covers(c, span)]
            if not isinstance(node, (ast.expr, ast.stmt)):
                continue
            own = self.span(node)
            if isinstance(node, kinds) and _contains(own, span):
                size = (own.end_line - own.line, len(self.code(node)))
                if best is None or size < best[0]:
                    best = (size, node)
        return best[1] if best else None

    def children(self, node: ast.AST, line: int) -> Iterable[ast.AST]:
        """What stands directly in the node; of a long body only the statements that the line may be in."""
        body = getattr(node, "body", None)
        if not isinstance(body, list) or len(body) < LONG:
            return ast.iter_child_nodes(node)
        starts = self._starts.get(node)
        if starts is None:
            starts = self._starts[node] = [first_line(statement) for statement in body]
        end = first = bisect_right(starts, line)
        while first and body[first - 1].end_lineno >= line:
            first -= 1
        held = (value for name, value in ast.iter_fields(node) if name != "body")
        others = (one for value in held for one in (value if isinstance(value, list) else [value]))
        return [*(one for one in others if isinstance(one, ast.AST)), *body[first:end]]

    def _covers(self, node: ast.AST, span: Span) -> bool:
        """True if the span may be in the node, or in its decorators."""
        if not isinstance(node, Placed):
            return True
        is_decorated = bool(getattr(node, "decorator_list", ()))
        return is_decorated or _contains(self.span(node), span)

    def class_at(self, span: Span) -> ast.ClassDef | None:
        """The class statement that stands at or around the span's line."""
        return self.at(Span(span.path, span.line), ast.ClassDef)

    def class_named(self, name: str) -> ast.ClassDef | None:
        return next((c for c in self.nodes(ast.ClassDef) if c.name == name), None)

    def method(self, owner: ast.ClassDef, name: str) -> Function | None:
        for item in owner.body:
            if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)) and item.name == name:
                return item
        return None

    def calls(self, *names: str) -> Iterator[ast.Call]:
        """Calls to these qualified names, in the order of the file; a leading '.' matches any receiver."""
        for call in sorted(self.nodes(ast.Call), key=lambda c: (c.lineno, c.col_offset)):
            if self.name(call.func) in names or (
                isinstance(call.func, ast.Attribute) and f".{call.func.attr}" in names
            ):
                yield call

    def replace(self, node: Placed, text: str) -> Edit:
        return Edit(self.span(node), text)

    def insert_after(self, node: Placed, text: str) -> Edit:
        """Text right behind the node: `.float()` behind an expression."""
        here = self.span(node)
        return Edit(
            Span(self.path, here.end_line, here.end_column, here.end_line, here.end_column), text
        )

    def insert_statement(self, before: ast.AST, statement: str) -> Edit:
        """A new statement on a line of its own, before the statement that `before` is part of."""
        here = self.span(self.statement(before))
        newline = "\r\n" if self.lines and self.lines[0].endswith("\r\n") else "\n"
        indent = self.line(here.line)[: here.column]
        return Edit(Span(self.path, here.line, 0, here.line, 0), f"{indent}{statement}{newline}")


def first_line(statement: ast.stmt) -> int:
    """Its own line, or that of its first decorator."""
    return min(
        (d.lineno for d in getattr(statement, "decorator_list", ())), default=statement.lineno
    )


def _holds_yield(function: ast.AST) -> bool:
    waiting = list(ast.iter_child_nodes(function))
    for node in waiting:
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, (*get_args(Function), ast.ClassDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)
    return False


def _contains(outer: Span, inner: Span) -> bool:
    if not inner.end_line:
        return outer.line <= inner.line <= outer.end_line
    starts = (outer.line, outer.column) <= (inner.line, inner.column)
    return starts and (inner.end_line, inner.end_column) <= (outer.end_line, outer.end_column)


def within(node: ast.AST) -> list[ast.AST]:
    """The node and all below it, as `ast.walk` tells them, in a third of its time."""
    found = [node]
    for one in found:
        held = one.__dict__
        for name in one._fields:
            value = held.get(name)
            if isinstance(value, list):
                found += [child for child in value if isinstance(child, ast.AST)]
            elif isinstance(value, ast.AST):
                found.append(value)
    return found


def written(node: ast.expr) -> str:
    """`ast.unparse(node)`, which takes six times as long for a dotted name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, (ast.Name, ast.Attribute)):
        return f"{written(node.value)}.{node.attr}"
    return ast.unparse(node)


def argument(call: ast.Call, position: int | None, *names: str) -> ast.expr | None:
    """The argument of a call by position or by any of these keywords; None if absent or behind a `*`."""
    for keyword in call.keywords:
        if keyword.arg in names:
            return keyword.value
    if position is not None and position < len(call.args):
        before = call.args[: position + 1]
        if not any(isinstance(a, ast.Starred) for a in before):
            return call.args[position]
    return None
