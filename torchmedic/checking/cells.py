"""The Python in a notebook's cell: what only IPython understands is masked, and every line keeps its number."""

from __future__ import annotations

import ast
import re
import warnings
from typing import NamedTuple

from torchmedic.observed.source import lines_of

# Cell magics whose body is Python that runs in the notebook itself.
_PYTHON_BODY = {"time", "timeit", "capture", "prun", "memit", "mprun", "snakeviz"}
_HELP = re.compile(r"\s*(?:\?{1,2}[\w.*%]+|%{0,2}[\w.*]+\?{1,2})\s*$")
_COMMAND = re.compile(r"[ \t]*[%!]")
_ASSIGNED = re.compile(r"([ \t]*)([\w.,\[\]'\" \t]+?[ \t]*)=[ \t]*[!%]\s*[\w/.~$]")
_OPENERS, _CLOSERS = "([{", ")]}"
_TOKEN = re.compile(
    r"""#[^\r\n]*|[\"]{3}|'{3}|'(?:\\.|[^'\\\r\n])*'?|"(?:\\.|[^"\\\r\n])*"?|[()\[\]{}]|\\(?=\r?\n|\r|\Z)"""
)


class Masked(NamedTuple):
    """A cell's text as Python, line by line that of the cell; `hidden` are the lines that differ, from 1."""

    text: str
    hidden: frozenset[int]


def masked(source: str) -> Masked:
    """The cell as Python. A magic at the start of a statement becomes `pass`, a foreign cell empty lines."""
    lines = lines_of(source)
    first = next((n for n, line in enumerate(lines) if line.strip()), None)
    if first is None or parses(source):
        return Masked(source, frozenset())
    cell_magic = re.match(r"%%(\w+)", lines[first])
    if cell_magic and cell_magic[1] not in _PYTHON_BODY:
        return Masked("".join(map(_blank, lines)), frozenset(range(1, len(lines) + 1)))
    hidden = set[int]()
    state = _State()
    if cell_magic:
        hidden.add(first + 1)
    continued = False
    for index, line in enumerate(lines):
        number = index + 1
        if number in hidden or continued:
            is_continued = line.rstrip().endswith("\\")
            lines[index] = _blank(line)
            hidden.add(number)
            continued = continued and is_continued
            continue
        instead = _python_for(line) if state.is_clear else None
        if instead is None:
            state.read(line)
            continue
        lines[index] = instead + _end(line)
        hidden.add(number)
        continued = line.rstrip().endswith("\\")
    return Masked("".join(lines), frozenset(hidden))


def parses(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _python_for(line: str) -> str | None:
    """What stands for the line if only IPython understands it: a value from there is unknown."""
    if _COMMAND.match(line) or _HELP.match(line):
        return line[: len(line) - len(line.lstrip())] + "pass"
    assigned = _ASSIGNED.match(line)
    return f"{assigned[1]}{assigned[2]}= get_ipython()" if assigned else None


def _end(line: str) -> str:
    return line[len(line.rstrip("\r\n")) :]


def _blank(line: str) -> str:
    return _end(line)


class _State:
    """Whether a new statement can start: no bracket, triple-quoted string or backslash is open."""

    def __init__(self) -> None:
        self.depth = 0
        self.quote = ""
        self.is_continued = False

    @property
    def is_clear(self) -> bool:
        return not (self.depth or self.quote or self.is_continued)

    def read(self, line: str) -> None:
        self.is_continued = False
        place = 0
        while place < len(line):
            if self.quote:
                close = re.compile(rf"(?:\\.|[^\\])*?{self.quote}", re.S).match(line, place)
                if close is None:
                    return
                place, self.quote = close.end(), ""
                continue
            token = _TOKEN.search(line, place)
            if token is None:
                return
            place, text = token.end(), token[0]
            if text in ('"""', "'''"):
                self.quote = text
            elif text in _OPENERS:
                self.depth += 1
            elif text in _CLOSERS:
                self.depth = max(0, self.depth - 1)
            elif text == "\\":
                self.is_continued = True
