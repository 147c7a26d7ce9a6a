"""A traceback as frames: the exact expression, and the values that its names held."""

from __future__ import annotations

import ast
import linecache
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import CodeType, FrameType, TracebackType
from typing import NamedTuple

from torchmedic.model import Span
from torchmedic.observed import Frame, Source, Value, load
from torchmedic.probes.values import describe, lookup, with_attributes

VALUES = 60  # names described per user frame
LIBRARY_VALUES = 16
OWN = os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + os.sep


class Entry(NamedTuple):
    """One entry of a live traceback."""

    frame: FrameType
    lasti: int
    line: int


def entries(traceback: TracebackType | None) -> list[Entry]:
    """Outermost first, without the frames of this package."""
    found = []
    while traceback is not None:
        entry = Entry(traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)
        if not entry.frame.f_code.co_filename.startswith(OWN):
            found.append(entry)
        traceback = traceback.tb_next
    return found


@lru_cache(maxsize=1)
def _library_roots() -> tuple[str, ...]:
    paths = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    for name in ("torch", "numpy"):
        if file := getattr(sys.modules.get(name), "__file__", None):
            paths.add(os.path.dirname(os.path.dirname(file)))
    real = {os.path.realpath(p) + os.sep for p in paths if p}
    return (*sorted(real), OWN)


@lru_cache(maxsize=4096)
def is_user(filename: str) -> bool:
    """True for the user's own files, `-c` code, standard input and notebook cells."""
    if filename.startswith("<"):
        return filename in ("<string>", "<stdin>") or filename.startswith("<ipython-input")
    real = os.path.realpath(filename)
    parts = real.replace("\\", "/")
    if "/site-packages/" in parts or "/dist-packages/" in parts:
        return False
    return not real.startswith(_library_roots())


def qualname(code: CodeType) -> str:
    """`Net.forward`; only the bare name before Python 3.11."""
    return getattr(code, "co_qualname", code.co_name)


def span_of(code: CodeType, lasti: int, line: int) -> Span:
    """The expression of the instruction at `lasti`; the line alone where the interpreter doesn't tell."""
    path = code.co_filename
    positions = getattr(code, "co_positions", None)
    if positions is None or lasti < 0:
        return Span(path, line)
    for index, position in enumerate(positions()):
        if index == lasti // 2:
            start, end, column, end_column = position
            if start is None or end is None or column is None or end_column is None:
                return Span(path, line)
            return Span(
                path,
                start,
                _characters(path, start, column),
                end,
                _characters(path, end, end_column),
            )
    return Span(path, line)


def _characters(path: str, line: int, byte: int) -> int:
    """Columns of code objects count UTF-8 bytes."""
    return len(linecache.getline(path, line).encode()[:byte].decode(errors="ignore"))


def text_of(at: Span) -> str:
    """What stands in the span; "" if it has no columns or the file can't be read."""
    if not at.end_line:
        return ""
    lines = [linecache.getline(at.path, n) for n in range(at.line, at.end_line + 1)]
    if len(lines) == 1:
        return lines[0][at.column : at.end_column]
    return lines[0][at.column :] + "".join(lines[1:-1]) + lines[-1][: at.end_column]


def frame_of(entry: Entry) -> Frame:
    """The entry as plain data. Only the user's frames tell the names of their statement."""
    code = entry.frame.f_code
    at = span_of(code, entry.lasti, entry.line)
    mine = is_user(code.co_filename)
    line = linecache.getline(code.co_filename, entry.line, entry.frame.f_globals).strip()
    local = entry.frame.f_locals
    return Frame(
        at,
        qualname(code),
        line,
        text_of(at),
        mine,
        _described(local, VALUES if mine else LIBRARY_VALUES, mine),
        _names(entry, at) if mine else {},
    )


def _described(names: Mapping[str, object], most: int, deep: bool) -> dict[str, Value]:
    chosen = [(k, v) for k, v in names.items() if not k.startswith("__")][:most]
    return {k: with_attributes(v) if deep and k == "self" else describe(v) for k, v in chosen}


def _names(entry: Entry, at: Span) -> dict[str, Value]:
    source = load(at.path)
    if source is None:
        return {}
    frame = entry.frame
    held = {**frame.f_globals, **frame.f_locals}
    found: dict[str, Value] = {}
    for dotted in dotted_names(source, at):
        known, value = lookup(held, dotted)
        if known:
            found[dotted] = describe(value)
    return found


def dotted_names(source: Source, at: Span) -> Iterator[str]:
    """The names and attribute chains that the statement at this place reads, without a compound statement's body."""
    statement = source.at(Span(at.path, at.line), ast.stmt)
    for part in header(statement):
        for node in ast.walk(part):
            if isinstance(node, (ast.Name, ast.Attribute)) and (name := _dotted(node)):
                yield name


def header(statement: ast.stmt | None) -> Iterator[ast.AST]:
    """The statement itself; of a compound statement only the expressions before its colon."""
    if isinstance(statement, (ast.For, ast.AsyncFor)):
        yield from (statement.target, statement.iter)
    elif isinstance(statement, (ast.While, ast.If)):
        yield statement.test
    elif isinstance(statement, (ast.With, ast.AsyncWith)):
        yield from statement.items
    elif statement is not None and not hasattr(statement, "body"):
        yield statement


def _dotted(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (head := _dotted(node.value)):
        return f"{head}.{node.attr}"
    return None
