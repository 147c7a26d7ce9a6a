"""Fixes for the order of `zero_grad`, `backward` and `step`."""

from __future__ import annotations

import ast

from torchmedic.model import Fix, Span, Text
from torchmedic.observed import Source
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._statements import (
    Edits,
    is_alone,
    put_after,
    put_before,
    statement_at,
    taken_out,
)

_INSERT = Text(
    en="insert `{name}.zero_grad()` before `backward()`",
    ko="`backward()` 앞에 `{name}.zero_grad()` 넣기",
)
_BEHIND = Text(
    en="insert `{name}.zero_grad()` behind `step()`", ko="`step()` 뒤에 `{name}.zero_grad()` 넣기"
)
_MOVE_CLEARING = Text(
    en="move `{name}.zero_grad()` before `backward()`",
    ko="`{name}.zero_grad()` 호출을 `backward()` 앞으로 옮기기",
)
_MOVE_STEP = Text(
    en="move `{name}.step()` behind `backward()`",
    ko="`{name}.step()` 호출을 `backward()` 뒤로 옮기기",
)
_MOVE_BEHIND = Text(
    en="move `{name}.zero_grad()` behind `step()`",
    ko="`{name}.zero_grad()` 호출을 `step()` 뒤로 옮기기",
)
_STEP = Text(en="insert `{name}.step()`", ko="`{name}.step()` 넣기")
_CALL = Text(en="add the parentheses", ko="괄호 붙이기")


def _function(source: Source, at: Span) -> ast.AST | None:
    node = statement_at(source, at)
    return source.function_of(node) if node is not None else None


def _is_same_function(trace: Trace, one: Event, other: Event) -> bool:
    """True if both stand in one function of one file: a name of the one means the same at the other."""
    if one.at.path != other.at.path:
        return False
    source = trace.source_of(one.at)
    return _function(source, one.at) is _function(source, other.at)


def _fix(edits: Edits, title: Text) -> tuple[Fix, ...]:
    return (Fix(edits, title),) if edits else ()


def cleared_before(trace: Trace, backward: Event, step: Event) -> tuple[Fix, ...]:
    """Cleared before the backward pass; behind the step where that is conditional or in another function."""
    name = step.name
    if not name:
        return ()
    source = trace.source_of(backward.at)
    node = statement_at(source, backward.at)
    is_plain = backward.branches == step.branches and _is_same_function(trace, backward, step)
    if is_plain and node is not None and backward.loops == step.loops:
        return _fix(put_before(source, node, f"{name}.zero_grad()"), _INSERT.fill(name=name))
    source = trace.source_of(step.at)
    node = statement_at(source, step.at)
    if node is None:
        return ()
    return _fix(put_after(source, node, f"{name}.zero_grad()"), _BEHIND.fill(name=name))


def moved_inside(trace: Trace, clearing: Event, backward: Event, step: Event) -> tuple[Fix, ...]:
    """The clearing taken out where it stands and put before the backward pass, if the names mean the same there."""
    inside = cleared_before(trace, backward, step)
    source = trace.source_of(clearing.at)
    statement = statement_at(source, clearing.at)
    if not inside or statement is None or not isinstance(statement, ast.Expr):
        return inside
    if clearing.name != step.name or not _is_same_function(trace, clearing, backward):
        return inside
    out = taken_out(source, statement)
    edits = (*out, *inside[0].edits)
    return _fix(edits, _MOVE_CLEARING.fill(name=step.name)) if out else inside


def moved_before(trace: Trace, event: Event, other: Event, behind: bool) -> tuple[Fix, ...]:
    """The event's statement put before or behind that of the other, in the same block."""
    source = trace.source_of(event.at)
    if event.at.path != other.at.path:
        return ()
    statement, anchor = statement_at(source, event.at), statement_at(source, other.at)
    if statement is None or anchor is None or source.parent(statement) is not source.parent(anchor):
        return ()
    if not is_alone(source, statement) or source.span(statement).end_line != statement.lineno:
        return ()
    text = source.line(statement.lineno).strip()
    put = put_after(source, anchor, text) if behind else put_before(source, anchor, text)
    out = taken_out(source, statement)
    title = _MOVE_STEP if behind else _MOVE_CLEARING
    return _fix((*out, *put), title.fill(name=event.name)) if out and put else ()


def moved_behind_step(trace: Trace, clearing: Event, step: Event) -> tuple[Fix, ...]:
    """The clearing taken out where it stands and put behind the step, in the block of the step."""
    source = trace.source_of(clearing.at)
    statement, anchor = statement_at(source, clearing.at), statement_at(source, step.at)
    if clearing.at.path != step.at.path or statement is None or anchor is None:
        return ()
    if not is_alone(source, statement) or source.span(statement).end_line != statement.lineno:
        return ()
    put = put_after(source, anchor, source.line(statement.lineno).strip())
    out = taken_out(source, statement)
    return _fix((*out, *put), _MOVE_BEHIND.fill(name=clearing.name)) if out and put else ()


def stepped(trace: Trace, backward: Event, name: str) -> tuple[Fix, ...]:
    """A step behind the backward pass."""
    source = trace.source_of(backward.at)
    node = statement_at(source, backward.at)
    if node is None or not name:
        return ()
    return _fix(put_after(source, node, f"{name}.step()"), _STEP.fill(name=name))


def called(trace: Trace, at: Span) -> tuple[Fix, ...]:
    """`()` behind a method or manager that is only named."""
    source = trace.source_of(at)
    node = source.at(at, ast.Attribute)
    return (Fix((source.insert_after(node, "()"),), _CALL),) if node is not None else ()
