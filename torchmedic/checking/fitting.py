"""Does a fix leave Python that parses? It is asked of every finding, so its time must not grow with the file.

A statement on lines of its own can be parsed alone: where it stands, Python's tokenizer is between two lines, and nothing
in it can change what its neighbours mean. So if the statements that are changed parse at their depth, the file does. If
one of them doesn't, the whole file is asked.
"""

from __future__ import annotations

import ast
import re
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from torchmedic.fix.patch import Change, Lines, decoded
from torchmedic.model import Edit, Fix
from torchmedic.observed.source import first_line, parsed

if TYPE_CHECKING:
    from torchmedic.checking.files import Files
    from torchmedic.checking.reading import Program

_NOTHING = r"[ \t]*(#[^\r\n]*)?(\r\n|\r|\n|\Z)"
_INDENT = r"[ \t]*"
_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)


class Fitting:
    """Fixes against the texts that were analysed, each of which is read and parsed once."""

    def __init__(self, program: Program, files: Files) -> None:
        self._program = program
        self._files = files
        self._known: dict[str, _Analysed | None] = {}

    def fits(self, fix: Fix) -> bool:
        """True if the edits fit the texts, change them, and leave Python that parses."""
        if not all(self._program.can_edit(edit.span) for edit in fix.edits):
            return False
        edits: dict[str, list[Edit]] = {}
        for edit in fix.edits:
            edits.setdefault(edit.span.path, []).append(edit)
        answers = [self._changed(path, one) for path, one in edits.items()]
        return None not in answers and any(answers)

    def _changed(self, path: str, edits: list[Edit]) -> bool | None:
        """Whether the edits change the file; None if they don't fit it, or leave a file that doesn't parse."""
        if path not in self._known:
            self._known[path] = self._read(path)
        analysed = self._known[path]
        try:
            return analysed.changed(edits) if analysed is not None else None
        except _ERRORS:
            return None

    def _read(self, path: str) -> _Analysed | None:
        try:
            data = self._program.data if path == self._program.path else self._files.read(path)
            return _Analysed(path, data)
        except (OSError, *_ERRORS):
            return None


class _Region(NamedTuple):
    """Whole lines that hold exactly one statement, as two offsets."""

    start: int
    end: int
    indent: str


class _Analysed:
    """One file's text. Raises ValueError if it can't be decoded."""

    def __init__(self, path: str, data: bytes) -> None:
        text, self._encoding = decoded(path, data)
        self._lines = Lines(text)
        self._source = parsed(text, path)
        self._regions: dict[ast.stmt, _Region | None] = {}

    def changed(self, edits: list[Edit]) -> bool:
        """Raises SyntaxError or ValueError for edits that don't fit."""
        changes = self._lines.changes(edits)
        for change in changes:
            change.text.encode(self._encoding)
        if not self._parse_alone(changes):
            _parse(self._lines.mended(changes))
        return any(self._lines.text[c.start : c.end] != c.text for c in changes)

    def _parse_alone(self, changes: list[Change]) -> bool:
        """True if every statement that is changed parses where it stands; False if that can't be told."""
        regions = [self._region(change) for change in changes]
        outer: list[_Region] = []
        for region in sorted((r for r in regions if r), key=lambda r: (r.start, -r.end)):
            if not outer or region.start >= outer[-1].end:
                outer.append(region)
        if None in regions:
            return False
        return all(
            self._is_whole(r, [c for c in changes if r.start <= c.start < r.end]) for r in outer
        )

    def _is_whole(self, region: _Region, changes: list[Change]) -> bool:
        """True if the changed lines are statements at the depth of the one that was there."""
        text = self._lines.mended(changes, region.start, region.end)
        if not text.endswith(("\n", "\r")) and region.end < len(self._lines.text):
            return False
        try:
            tree = _parse(f"if 1:\n{text}" if region.indent else text)
        except _ERRORS:
            return False
        if not region.indent:
            return True
        first = tree.body[0]
        if len(tree.body) > 1 or not isinstance(first, ast.If) or first.orelse:
            return False
        inner = first.body[0]
        start = Lines(text).starts[first_line(inner) - 2]
        return _indent(text, start) == region.indent

    def _region(self, change: Change) -> _Region | None:
        """The innermost statement around the change that has its lines for itself."""
        found = None
        line = bisect_right(self._lines.starts, change.start)
        waiting: list[ast.AST] = [self._source.tree] if self._source is not None else []
        while waiting:
            node, waiting = waiting.pop(), []
            for inner in self._statements(node, line):
                region = self._of(inner)
                if region is None:
                    if self._may_hold(inner, change):
                        waiting = [inner]
                        break
                elif region.start <= change.start < region.end:
                    if change.end <= region.end:
                        found, waiting = region, [inner]
                    break
        return found

    def _statements(self, node: ast.AST, line: int) -> Iterator[ast.stmt]:
        """Those directly in the blocks of the node that may be at the line."""
        assert self._source is not None
        for inner in self._source.children(node, line):
            if isinstance(inner, ast.stmt):
                yield inner
            elif isinstance(inner, (ast.ExceptHandler, ast.match_case)):
                yield from self._statements(inner, line)

    def _may_hold(self, node: ast.stmt, change: Change) -> bool:
        """True for a statement that shares its first or last line with something else: `elif`, `a; b`."""
        starts = self._lines.starts
        last = node.end_lineno or node.lineno
        end = starts[last] if last < len(starts) else len(self._lines.text)
        return starts[node.lineno - 1] <= change.start < end

    def _of(self, node: ast.stmt) -> _Region | None:
        if node not in self._regions:
            self._regions[node] = self._measured(node)
        return self._regions[node]

    def _measured(self, node: ast.stmt) -> _Region | None:
        assert self._source is not None
        text, starts = self._lines.text, self._lines.starts
        line = first_line(node)
        start = starts[line - 1]
        indent = _indent(text, start)
        span = self._source.span(node)
        behind = re.compile(_NOTHING).match(text, starts[span.end_line - 1] + span.end_column)
        is_own = len(indent) == node.col_offset and not text.startswith("elif", start + len(indent))
        is_continued = line > 1 and text[:start].endswith(("\\\n", "\\\r", "\\\r\n"))
        if behind is None or not is_own or is_continued:
            return None
        return _Region(start, behind.end(), indent)


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _indent(text: str, start: int) -> str:
    found = re.compile(_INDENT).match(text, start)
    return found[0] if found else ""
