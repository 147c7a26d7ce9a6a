"""Tracebacks that rich draws in a box, rewritten as Python prints them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

HEADER = "Traceback (most recent call last)"
_TOP = rf"([╭┌+])[─-]+ {re.escape(HEADER)} ?[─-]+[╮┐+]\s*$"
_SIDE = {"╭": "│", "┌": "│", "+": "|"}
_BOTTOM = {"╭": "╰", "┌": "└", "+": "+"}
_POINTER = r"[❱>?] +(\d{1,9})(?: (.*))?$"
_NO_HEADER = r"[ ❱>?╭│╰┌└|+]"
_GUIDES = r"^(?:│ {3})+"
_ASIDE = r" {2,}[╭┌│╰└+|].*$"  # a box of local variables, right of the code
_LINK = r"\s*(?:The above exception was|During handling of the above)\b"
_LINK_END = "exception occurred:", "following exception:"
_CELL = "<cell>"  # a frame whose file does not exist: rich leaves its path out
_MOST_PIECES = 6  # lines over which one path or sentence is folded


class _Place(NamedTuple):
    path: str
    line: int
    function: str


def has_panel(text: str) -> bool:
    return f"─ {HEADER}" in text or f"- {HEADER}" in text


def without_panels(lines: list[str]) -> list[str]:
    """The lines, with every boxed traceback in Python's own form. What stands before a box stays before its lines."""
    found: list[str] = []
    i = 0
    while i < len(lines):
        top = re.search(_TOP, lines[i])
        if top is None:
            line, i = _joined_link(lines, i)
            found.append(line)
            continue
        inside, i = _inside(lines, i + 1, top)
        prefix = lines[i - 1][: top.start()] if inside else ""
        found.append(f"{prefix}{HEADER}:")
        found += [prefix + line for line in _frames(inside, top.end() - top.start() - 4)]
    return found


def _inside(lines: list[str], i: int, top: re.Match[str]) -> tuple[list[str], int]:
    """What stands between the sides of the box, and the line after its bottom."""
    column, side, bottom = top.start(), _SIDE[top[1]], _BOTTOM[top[1]]
    inside: list[str] = []
    while i < len(lines):
        line = lines[i].rstrip()
        edge = line[column : column + 1]
        if edge == bottom and set(line[column + 1 : -1]) <= set("─-"):
            return inside, i + 1
        if edge != side:
            break
        body = line[column + 2 :]
        inside.append((body[:-1] if body.endswith(side) else body).rstrip())
        i += 1
    return inside, i


def _frames(inside: list[str], width: int) -> Iterator[str]:
    """Python's two lines for every frame: its place, and the line of code that rich points at."""
    i = 0
    while i < len(inside):
        header = _header(inside, i, width)
        if header is None:
            i += 1
            continue
        place, i = header
        code = ""
        while i < len(inside) and _header(inside, i, width) is None:
            pointed = re.match(_POINTER, inside[i])
            if pointed is not None and int(pointed[1]) == place.line:
                code = re.sub(_ASIDE, "", re.sub(_GUIDES, "", pointed[2] or "", count=1)).strip()
            i += 1
        if code or place.path != _CELL:
            yield f'  File "{place.path}", line {place.line}, in {place.function}'
            yield f"    {code}"


def _header(inside: list[str], i: int, width: int) -> tuple[_Place, int] | None:
    """`path:line in function`, folded over lines where it is long, and the line after it."""
    if not inside[i] or re.match(_NO_HEADER, inside[i]):
        return None
    piece = inside[i]
    texts = [piece]
    for after in range(i + 1, i + 1 + _MOST_PIECES):
        following = inside[after] if after < len(inside) else ""
        if not following:
            places = [place for text in texts if (place := _place(text))]
            there = (place for place in places if os.path.isfile(place.path))
            best = next(there, places[0] if places else None)
            return (best, after) if best else None
        is_word = following.startswith("in ") or piece.endswith(" in") or len(piece) < width
        piece = following
        # A full line may end in the middle of a word, or at a space that rich leaves out.
        joints = (" ",) if is_word else ("", " ")
        texts = [text + joint + piece for text in texts for joint in joints]
    return None


def _place(text: str) -> _Place | None:
    found = re.match(r"(\S.*):(\d{1,9}) in (\S.*)$", text)
    if found is not None:
        return _Place(found[1], int(found[2]), found[3])
    found = re.match(r"in (\S.*):(\d{1,9})$", text)
    return _Place(_CELL, int(found[2]), found[1]) if found is not None else None


def _joined_link(lines: list[str], i: int) -> tuple[str, int]:
    """The sentence between two exceptions on one line, where a narrow terminal folded it."""
    line = lines[i]
    if not re.match(_LINK, line):
        return line, i + 1
    text = line.rstrip()
    for count in range(1, _MOST_PIECES):
        if text.endswith(_LINK_END):
            return text, i + count
        if i + count >= len(lines) or not lines[i + count].strip():
            break
        text = f"{text} {lines[i + count].strip()}"
    return line, i + 1
