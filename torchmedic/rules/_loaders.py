"""What rules about DataLoaders share: whether one was at work, and the call that made it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from torchmedic.model import Edit, Span
from torchmedic.observed import Failure, Frame, Source, argument
from torchmedic.observed.origin import origins
from torchmedic.observed.project import Project

_DATA = r"torch[\\/]utils[\\/]data[\\/]"


class Made(NamedTuple):
    """The `DataLoader(…)` call."""

    source: Source
    call: ast.Call

    @property
    def at(self) -> Span:
        return self.source.span(self.call)

    def argument(self, position: int | None, *names: str) -> ast.expr | None:
        return argument(self.call, position, *names)

    def with_keyword(self, code: str) -> Edit:
        """The call with one more keyword at its end; on a line of its own where the others have theirs."""
        given = [*self.call.args, *(k.value for k in self.call.keywords)]
        if not given:
            here = self.at
            end = Span(
                here.path, here.end_line, here.end_column - 1, here.end_line, here.end_column - 1
            )
            return Edit(end, code)
        last = max(given, key=lambda node: (node.end_lineno or 0, node.end_col_offset or 0))
        at = self.source.span(last)
        line = self.source.line(at.end_line)
        if line[at.end_column :].strip() == "," and at.line > self.call.lineno:
            indent = line[: len(line) - len(line.lstrip())]
            if at.end_line == at.line:
                newline = "\r\n" if self.source.lines[0].endswith("\r\n") else "\n"
                after = Span(at.path, at.end_line + 1, 0, at.end_line + 1, 0)
                return Edit(after, f"{indent}{code},{newline}")
        return self.source.insert_after(last, f", {code}")

    def without(self, *names: str) -> Edit | None:
        """The call without these keywords, if they are there and follow something else."""
        gone = [k for k in self.call.keywords if k.arg in names]
        kept = [k for k in self.call.keywords if k not in gone]
        if not gone or (not self.call.args and not kept):
            return None
        if any(k.arg is None for k in self.call.keywords):
            return None
        parts = [*self.call.args, *kept]
        first, last = self.source.span(self._ordered()[0]), self.source.span(self._ordered()[-1])
        if first.line != last.end_line:
            return self._without_lines(gone)
        return Edit(
            Span(first.path, first.line, first.column, last.end_line, last.end_column),
            ", ".join(self.source.code(part) for part in parts),
        )

    def _ordered(self) -> list[ast.expr | ast.keyword]:
        parts: list[ast.expr | ast.keyword] = [*self.call.args, *self.call.keywords]
        return sorted(parts, key=lambda n: (n.lineno, n.col_offset))

    def _without_lines(self, gone: list[ast.keyword]) -> Edit | None:
        if len(gone) != 1:
            return None
        here = self.source.span(gone[0])
        line = self.source.line(here.line)
        alone = line.strip().rstrip(",") == self.source.code(gone[0])
        if alone:
            return Edit(Span(here.path, here.line, 0, here.line + 1, 0), "")
        ordered = self._ordered()
        index = ordered.index(gone[0])
        before = self.source.span(ordered[index - 1]) if index else None
        if before is not None:
            span = Span(
                here.path, before.end_line, before.end_column, here.end_line, here.end_column
            )
            return Edit(span, "")
        return None


def in_loader(failure: Failure) -> bool:
    """True if the error came through a DataLoader, in this process or in a worker."""
    return failure.is_worker or any(
        not f.is_user and re.search(_DATA, f.at.path) for f in failure.frames
    )


def loop_frame(failure: Failure) -> Frame | None:
    """The user's frame that drew from the loader: the last one before the loader's own."""
    before: Frame | None = None
    for frame in failure.frames:
        if frame.is_user:
            before = frame
        elif re.search(_DATA, frame.at.path):
            return before
    return None


def made(failure: Failure, frame: Frame | None = None, line: int = 0) -> Made | None:
    """The call that made the loader which a frame draws from; the only one of the project if it isn't told.

    `line`: that of the loop, where the frame stands in its body.
    """
    frame = frame or loop_frame(failure)
    source = failure.source(frame.at) if frame else None
    if frame is not None and source is not None and (failure.is_live or _same(source, frame)):
        for iterable in _drawn(source, line or frame.at.line):
            for origin in origins(failure, frame, iterable, source):
                if isinstance(origin.node, ast.Call) and is_loader(origin.source, origin.node):
                    return Made(origin.source, origin.node)
    every = list(calls(failure))
    return every[0] if len(every) == 1 else None


def _same(source: Source, frame: Frame) -> bool:
    return not frame.code or source.line(frame.at.line).strip() == frame.code.strip()


def calls(failure: Failure) -> Iterator[Made]:
    """Every `DataLoader(…)` call in the user's files."""
    if not any(failure.is_live or _matches(failure, f) for f in failure.frames if f.is_user):
        return
    for source in Project(failure).sources():
        for call in source.nodes(ast.Call):
            if is_loader(source, call):
                yield Made(source, call)


def _matches(failure: Failure, frame: Frame) -> bool:
    source = failure.source(frame.at)
    return source is not None and _same(source, frame)


def is_loader(source: Source, call: ast.Call) -> bool:
    return (source.name(call.func) or "").rpartition(".")[2] == "DataLoader"


def _drawn(source: Source, line: int) -> Iterator[ast.expr]:
    """What the line's `for`, comprehension or `next(iter(…))` takes its items from."""
    iterated = [loop.iter for loop in source.nodes(ast.For)]
    iterated += [part.iter for part in source.nodes(ast.comprehension)]
    for iterable in iterated:
        if iterable.lineno <= line <= (iterable.end_lineno or 0):
            while isinstance(iterable, ast.Call) and iterable.args:
                if is_loader(source, iterable):
                    break
                iterable = iterable.args[0]
            yield iterable
    for call in source.nodes(ast.Call):
        if call.lineno <= line <= (call.end_lineno or 0):
            if is_loader(source, call):
                yield call
            elif ast.unparse(call.func) in ("iter", "next", "list"):
                yield from call.args[:1]
