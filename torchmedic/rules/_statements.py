"""Edits of whole statements: put in, moved, wrapped in a `with`, or a function decorated. Comments and line ends stay."""

from __future__ import annotations

import ast

from torchmedic.model import Edit, Span
from torchmedic.observed import Source
from torchmedic.rules._place import removed

Edits = tuple[Edit, ...]
Loop = (ast.For, ast.AsyncFor, ast.While)


def statement_at(source: Source, at: Span) -> ast.stmt | None:
    """The smallest statement around the place."""
    return source.at(at, ast.stmt)


def newline(source: Source) -> str:
    return "\r\n" if source.lines and source.lines[0].endswith("\r\n") else "\n"


def is_alone(source: Source, statement: ast.stmt) -> bool:
    """True if the statement begins and ends its lines."""
    here = source.span(statement)
    behind = source.line(here.end_line)[here.end_column :].strip()
    return not source.line(here.line)[: here.column].strip() and (
        not behind or behind.startswith("#")
    )


def put_before(source: Source, statement: ast.stmt, text: str) -> Edits:
    """`text` on a line of its own before the statement; () if something stands before it on its line."""
    here = source.span(statement)
    if source.line(here.line)[: here.column].strip():
        return ()
    return (source.insert_statement(statement, text),)


def put_after(source: Source, statement: ast.stmt, text: str) -> Edits:
    """`text` on a line of its own behind the statement; () if the statement shares its lines."""
    if not is_alone(source, statement):
        return ()
    here = source.span(statement)
    indent, end = source.line(here.line)[: here.column], newline(source)
    if here.end_line < len(source.lines):
        at = Span(source.path, here.end_line + 1, 0, here.end_line + 1, 0)
        return (Edit(at, f"{indent}{text}{end}"),)
    line = source.line(here.end_line)
    if source.lines[here.end_line - 1] != line:  # the file's last line has an end
        at = Span(source.path, here.end_line + 1, 0, here.end_line + 1, 0)
        return (Edit(at, f"{indent}{text}{end}"),)
    at = Span(source.path, here.end_line, len(line), here.end_line, len(line))
    return (Edit(at, f"{end}{indent}{text}"),)


def taken_out(source: Source, statement: ast.stmt) -> Edits:
    """The statement's lines removed; () if it shares them, or if its block would be empty."""
    up = source.parent(statement)
    blocks = [getattr(up, name, None) for name in ("body", "orelse", "finalbody")]
    block = next((b for b in blocks if isinstance(b, list) and statement in b), [])
    if len(block) < 2 or not is_alone(source, statement):
        return ()
    return (removed(source, statement),)


def is_free_line(source: Source, statement: ast.stmt) -> bool:
    return bool(taken_out(source, statement))


def wrapped(source: Source, statement: ast.stmt, header: str) -> Edits:
    """The statement indented by one step below `header`; () if it can't be done line by line."""
    here = source.span(statement)
    edits = indented(source, statement, statement)
    if not edits:
        return ()
    indent = source.line(here.line)[: here.column]
    first = edits[0]._replace(text=f"{indent}{header}{newline(source)}{edits[0].text}")
    return (first, *edits[1:])


def indented(source: Source, first: ast.stmt, last: ast.stmt) -> Edits:
    """The lines of statements of one block moved in by one step; () if they share lines with others."""
    start, end = source.span(first), source.span(last)
    indent = source.line(start.line)[: start.column]
    if indent.strip() or not is_alone(source, last):
        return ()
    step = _step(source, first, indent)
    inside = _inside_strings(source, start.line, end.end_line)
    return tuple(
        Edit(Span(source.path, number, 0, number, 0), step)
        for number in range(start.line, end.end_line + 1)
        if number not in inside and source.line(number).strip()
    )


def _step(source: Source, statement: ast.stmt, indent: str) -> str:
    """One step of indentation, as the statement's own body has it."""
    body = getattr(statement, "body", None)
    if isinstance(body, list) and body:
        first = source.span(body[0])
        inner = source.line(first.line)[: first.column]
        if first.line > statement.lineno and inner.startswith(indent) and not inner.strip():
            return inner[len(indent) :]
    return "\t" if "\t" in indent else "    "


def _inside_strings(source: Source, first: int, last: int) -> set[int]:
    """Lines that begin inside a string of several lines: their spaces belong to the string."""
    found: set[int] = set()
    for node in source.nodes(ast.expr):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))
        if (is_text or isinstance(node, ast.JoinedStr)) and first <= node.lineno <= last:
            found |= set(range(node.lineno + 1, (node.end_lineno or node.lineno) + 1))
    return found


def decorated(source: Source, function: ast.FunctionDef, decorator: str) -> Edits:
    """`@decorator` above the function, nearest to `def`."""
    line = function.lineno
    indent = source.line(line)[: source.span(function).column]
    return (Edit(Span(source.path, line, 0, line, 0), f"{indent}@{decorator}{newline(source)}"),)


def loops_around(source: Source, node: ast.AST) -> list[ast.stmt]:
    """The loops around a node within its function, innermost first."""
    found: list[ast.stmt] = []
    for up in source.parents(node):
        if isinstance(up, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            break
        if isinstance(up, Loop):
            found.append(up)
    return found


def contains(source: Source, node: ast.stmt, places: tuple[Span, ...]) -> bool:
    """True if one of the places lies in the node's lines."""
    end = node.end_lineno or node.lineno
    return any(at.path == source.path and node.lineno <= at.line <= end for at in places)


def outside_of_with(source: Source, statement: ast.stmt) -> ast.stmt:
    """The `with` around the statement that begins with it, or the statement itself."""
    up = source.parent(statement)
    while isinstance(up, (ast.With, ast.AsyncWith)) and up.body[0] is statement:
        statement, up = up, source.parent(up)
    return statement


def first_of(source: Source, block: list[ast.stmt]) -> ast.stmt:
    """The first statement behind a docstring."""
    head = block[0]
    is_text = isinstance(head, ast.Expr) and isinstance(head.value, ast.Constant)
    return block[1] if is_text and len(block) > 1 else head


def start_of_training(source: Source, call: Span, other: tuple[Span, ...], text: str) -> Edits:
    """`text` where a pass over the training data begins: before the loop around the call that `other` is not in."""
    node = source.at(call, ast.expr)
    if node is None:
        return ()
    loops = loops_around(source, node)
    apart = [loop for loop in loops if not contains(source, loop, other)]
    if apart:
        return put_before(source, outside_of_with(source, apart[-1]), text)
    if loops:
        body: list[ast.stmt] = loops[0].body  # type: ignore[attr-defined]
        return put_before(source, first_of(source, body), text)
    function = source.function_of(node)
    if function is None:
        return ()
    return put_before(source, first_of(source, function.body), text)
