"""A notebook as one program: its code cells in order, and edits that change nothing but the cell they are in."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from json.decoder import WHITESPACE  # type: ignore[attr-defined]  # typeshed leaves it out
from typing import Any, NamedTuple

from torchmedic.checking.cells import masked, parses
from torchmedic.checking.problems import NO_CELLS, NOT_JSON, CannotLook, Problem
from torchmedic.fix.patch import Mended
from torchmedic.model import Edit, Span
from torchmedic.observed.source import lines_of
from torchmedic.render import cell_path

_DECODER = json.JSONDecoder()


class Cell(NamedTuple):
    """A code cell. `number` counts all cells from 1; `start` and `end` delimit its source in the JSON text."""

    number: int
    source: str
    start: int
    end: int
    text: str  # as Python, with a line end
    hidden: frozenset[int]
    is_broken: bool

    @property
    def length(self) -> int:
        return len(lines_of(self.text))


class Notebook:
    """A parsed notebook. Raises CannotLook if it is not one.

    text     its Python, cell after cell; a cell that is not valid Python is left out, its lines empty
    cells    the code cells that have a source
    """

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        try:
            self.json = data.decode("utf-8")
            raw = list(_raw_cells(self.json))
        except (ValueError, RecursionError) as error:
            line = error.lineno if isinstance(error, json.JSONDecodeError) else 0
            said = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise CannotLook(Problem(path, line, NOT_JSON.fill(reason=said))) from None
        except LookupError:
            raise CannotLook(Problem(path, 0, NO_CELLS)) from None
        self.cells = [_cell(*one) for one in raw]
        self.text = "".join(cell.text for cell in self.cells)
        self._starts = [1]
        for cell in self.cells:
            self._starts.append(self._starts[-1] + cell.length)

    def _cell_at(self, line: int) -> int:
        return max(0, min(bisect_right(self._starts, line), len(self.cells)) - 1)

    def local(self, span: Span) -> Span:
        """A place of `text` as a place in its cell. What reaches into other cells ends with its first one."""
        index = self._cell_at(span.line)
        cell, first = self.cells[index], self._starts[index]
        end_line, end_column = span.end_line, span.end_column
        if end_line:
            end_line = end_line - first + 1
            if end_line > cell.length:
                end_line, end_column = cell.length + 1, 0
        line = span.line - first + 1
        return Span(cell_path(self.path, cell.number), line, span.column, end_line, end_column)

    def can_edit(self, span: Span) -> bool:
        """True if the place lies in one cell and touches none of its masked lines."""
        index = self._cell_at(span.line)
        cell, first = self.cells[index], self._starts[index]
        end, column = span.end_line or span.line, span.end_column
        after = self._starts[index + 1]
        if end > after or (end == after and column):
            return False
        if len(cell.hidden) == cell.length:
            return False
        if span.end_line and (span.line, span.column) == (end, column):
            return not column or (end - first + 1) not in cell.hidden
        last = end if column or not span.end_line else end - 1
        return not any(n - first + 1 in cell.hidden for n in range(span.line, last + 1))

    def source_of(self, number: int) -> str:
        """The source of a cell by its number; "" if there is no such code cell."""
        return next((cell.source for cell in self.cells if cell.number == number), "")

    def edited(self, edits: Mapping[int, Sequence[Edit]]) -> bytes:
        """The notebook with edits applied to its cells' sources, by cell number. Raises ValueError as `Mended` does."""
        parts, done = [], 0
        for cell in self.cells:
            if cell.number not in edits:
                continue
            new = apply(cell.source, edits[cell.number])
            parts += [self.json[done : cell.start]]
            parts += [_encoded(new, self.json[cell.start : cell.end], self.json.isascii())]
            done = cell.end
        return "".join((*parts, self.json[done:])).encode("utf-8")


def apply(source: str, edits: Sequence[Edit]) -> str:
    """A cell's source with edits applied. Its last line has no end, so text behind it brings one before it."""
    lines = lines_of(source)
    if not lines or lines[-1].endswith(("\n", "\r")):
        return Mended(source, edits).text
    last, width = len(lines), len(lines[-1])
    fitted = []
    for span, text in edits:
        if span.line > last:
            span = Span(span.path, last, width, last, width)
            text = "\n" + text.removesuffix("\n")
        elif span.end_line > last:
            span = span._replace(end_line=last, end_column=width)
            text = text.removesuffix("\n")
        fitted.append(Edit(span, text))
    return Mended(source, fitted).text


def _cell(number: int, source: str, start: int, end: int) -> Cell:
    text, hidden = masked(source)
    is_broken = bool(hidden) or not parses(source)
    is_broken = is_broken and not parses(text)
    lines = lines_of(text)
    if is_broken:
        hidden = frozenset(range(1, len(lines) + 1))
        text = "\n" * len(lines)
    if lines and (not text.endswith(("\n", "\r")) or len(lines) < len(lines_of(source))):
        text += "\n"
    return Cell(number, source, start, end, text, hidden, is_broken)


def _raw_cells(text: str) -> Iterator[tuple[int, str, int, int]]:
    """Number, source and extent of the code cells. Raises ValueError for bad JSON, LookupError without cells."""
    members = dict(_members(text, _skip(text, 1 if text.startswith("\ufeff") else 0)))
    metadata = _value(text, members["metadata"][0]) if "metadata" in members else {}
    cells = members["cells"][0]
    if text[cells : cells + 1] != "[":
        raise LookupError("cells")
    if not _is_python(metadata):
        return
    for number, (start, _) in enumerate(_items(text, cells), 1):
        if text[start] != "{":
            continue
        fields = dict(_members(text, start))
        if "source" not in fields or "cell_type" not in fields:
            continue
        if _value(text, fields["cell_type"][0]) != "code":
            continue
        source = _value(text, fields["source"][0])
        if isinstance(source, list):
            source = "".join(part for part in source if isinstance(part, str))
        if isinstance(source, str) and source:
            yield number, source, *fields["source"]


def _is_python(metadata: Any) -> bool:
    """False if the notebook names another language."""
    for part, key in (("kernelspec", "language"), ("language_info", "name")):
        inner = metadata.get(part) if isinstance(metadata, dict) else None
        name = inner.get(key) if isinstance(inner, dict) else None
        if isinstance(name, str) and name:
            return "python" in name.lower()
    return True


def _skip(text: str, place: int) -> int:
    return int(WHITESPACE.match(text, place).end())


def _value(text: str, place: int) -> Any:
    return _DECODER.raw_decode(text, place)[0]


def _members(text: str, place: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """The keys of the object at `place`, and the extents of their values."""
    if text[place : place + 1] != "{":
        raise json.JSONDecodeError("a JSON object is expected", text, place)
    place = _skip(text, place + 1)
    while text[place : place + 1] != "}":
        key, place = _DECODER.raw_decode(text, place)
        place = _skip(text, _expect(text, _skip(text, place), ":"))
        _, end = _DECODER.raw_decode(text, place)
        yield str(key), (place, end)
        place = _next(text, end, "}")


def _items(text: str, place: int) -> Iterator[tuple[int, int]]:
    """The extents of the values of the array at `place`."""
    place = _skip(text, place + 1)
    while text[place : place + 1] != "]":
        _, end = _DECODER.raw_decode(text, place)
        yield place, end
        place = _next(text, end, "]")


def _next(text: str, end: int, close: str) -> int:
    """Where the next item starts, or the closing bracket stands."""
    place = _skip(text, end)
    return place if text[place : place + 1] == close else _skip(text, _expect(text, place, ","))


def _expect(text: str, place: int, mark: str) -> int:
    if text[place : place + 1] != mark:
        raise json.JSONDecodeError(f"`{mark}` is expected", text, place)
    return place + 1


def _encoded(source: str, old: str, is_ascii: bool) -> str:
    """The source in the old value's form: one string, or one for each line with the same white space between them."""
    if not old.startswith("["):
        return json.dumps(source, ensure_ascii=is_ascii)
    extents = list(_items(old, 0))
    kept = {_value(old, start): old[start:end] for start, end in extents}
    # Cells are split at "\n" alone when they are saved.
    lines = re.findall(r"[^\n]*\n|[^\n]+", source)
    items = [kept.get(line) or json.dumps(line, ensure_ascii=is_ascii) for line in lines]
    if not items:
        return "[]"
    head, tail = old[: extents[0][0]], old[extents[-1][1] :]
    between = old[extents[0][1] : extents[1][0]] if len(extents) > 1 else "," + head[1:]
    return head + between.join(items) + tail
