"""What rules about statements share: the file that failed, whole lines shifted, removed or inserted."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Reading, Rule, Span
from torchmedic.observed import Failure, Frame, Source
from torchmedic.observed.project import expression_at


def answer(
    rule: Rule,
    failure: Failure,
    reading: Reading,
    at: Span | None = None,
    fixes: tuple[Fix, ...] = (),
    evidence: tuple[Evidence, ...] = (),
    **facts: object,
) -> Diagnosis:
    """A diagnosis of what was read, at the given place or at the user's line."""
    return Diagnosis(
        rule,
        at or failure.raised_at,
        {**reading.facts, **facts},
        evidence,
        fixes,
        variant=reading.variant if reading.variant.name else None,
        raised_at=failure.raised_at,
        module_path=failure.failing.path if failure.failing else None,
    )


def is_current(failure: Failure, frame: Frame) -> bool:
    """True if the file still has the line that the frame shows: always live, to be compared for pasted text."""
    if failure.is_live:
        return True
    source = failure.source(frame.at)
    return source is not None and source.line(frame.at.line).strip() == frame.code.strip() != ""


def user_frames(failure: Failure) -> Iterator[tuple[Source, Frame]]:
    """The user's frames whose files can be trusted, innermost first."""
    for frame in reversed(failure.frames):
        source = failure.source(frame.at) if frame.is_user else None
        if source is not None and is_current(failure, frame):
            yield source, frame


def failing_expression(failure: Failure) -> tuple[Source, Frame, ast.expr] | None:
    """The user's innermost expression on the way to the error, if its file can be trusted."""
    frame = failure.user_frame
    if frame is None or not is_current(failure, frame):
        return None
    found = expression_at(failure, frame)
    return (found[0], frame, found[1]) if found else None


def method_call(failure: Failure, *names: str) -> tuple[Source, Frame, ast.Call] | None:
    """The call `x.name(…)` of one of these names on the user's failing line."""
    frame = failure.user_frame
    found = failing_expression(failure)
    if frame is None or found is None:
        return None
    source, frame, node = found
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
    if not calls:
        statement = source.at(Span(frame.at.path, frame.at.line), ast.stmt)
        calls = [n for n in ast.walk(statement) if isinstance(n, ast.Call)] if statement else []
    for call in calls:
        if (source.name(call.func) or "").rpartition(".")[2] in names or (
            isinstance(call.func, ast.Attribute) and call.func.attr in names
        ):
            return source, frame, call
    return None


def receiver(call: ast.Call) -> ast.expr | None:
    """`x` of `x.name(…)`."""
    return call.func.value if isinstance(call.func, ast.Attribute) else None


def before_attribute(source: Source, call: ast.Call, text: str) -> Edit:
    """Text between the receiver and `.name(…)`, outside of parentheses around the receiver."""
    here = source.span(call.func)
    attribute = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    column = here.end_column - len(attribute) - 1
    return Edit(Span(source.path, here.end_line, column, here.end_line, column), text)


def added_argument(source: Source, call: ast.Call, text: str) -> Edit:
    """One more argument at the end of a call."""
    last = [*call.args, *(k.value for k in call.keywords)]
    here = source.span(call)
    if last:
        end = max(last, key=lambda n: (n.end_lineno or 0, n.end_col_offset or 0))
        return source.insert_after(end, f", {text}")
    return Edit(
        Span(source.path, here.end_line, here.end_column - 1, here.end_line, here.end_column - 1),
        text,
    )


def without(source: Source, node: ast.Call | ast.Attribute, inner: ast.expr) -> Edit:
    """`inner.name(…)` or `inner.name` becomes `inner`."""
    end, start = source.span(node), source.span(inner)
    column, line = start.end_column, start.end_line
    if source.line(line)[column : column + 1] == ")" and inner is not node:
        text = source.code(node)
        return source.replace(node, text[: text.rindex(f".{_attribute(node)}")])
    return Edit(Span(source.path, line, column, end.end_line, end.end_column), "")


def _attribute(node: ast.Call | ast.Attribute) -> str:
    inner = node.func if isinstance(node, ast.Call) else node
    return inner.attr if isinstance(inner, ast.Attribute) else ""


def removed(source: Source, statement: ast.stmt) -> Edit:
    """The statement's lines taken out."""
    end = statement.end_lineno or statement.lineno
    if end < len(source.lines):
        return Edit(Span(source.path, statement.lineno, 0, end + 1, 0), "")
    return Edit(Span(source.path, statement.lineno, 0, end, len(source.line(end))), "")


def shifted(source: Source, first: int, last: int, by: int) -> tuple[Edit, ...]:
    """Lines `first`…`last` indented by `by` columns more, or less if negative; () if one can't be."""
    edits = []
    for number in range(first, last + 1):
        line = source.line(number)
        if not line.strip():
            continue
        if by < 0 and line[:-by].strip():
            return ()
        span = Span(source.path, number, 0, number, max(0, -by))
        edits.append(Edit(span, " " * max(0, by)))
    return tuple(edits)


def first_statement(function: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt:
    """The first statement of the body behind its docstring."""
    body = function.body
    head = body[0]
    is_docstring = isinstance(head, ast.Expr) and isinstance(head.value, ast.Constant)
    return body[1] if is_docstring and len(body) > 1 else head


def alias_of(source: Source, module: str) -> str:
    """How the file names a module: `nn` for "torch.nn"."""
    return next((name for name, full in source.imported.items() if full == module), module)
