"""The source fixes for a step that is too large: gradients of parts of the batch, summed, and autocast."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import NamedTuple

from torchmedic.fix.step_parts import Parts, loader_of, parts_of, within
from torchmedic.model import Edit, Fix, Span, Text
from torchmedic.observed import Source

NAMES = ("step", "batch_index", "batch_number", "micro_step")
ACCUMULATE = Text(
    en="take the batch in {parts} parts and step once for all of them",
    ko="배치를 {parts}개로 나눠 처리하고 {parts}번마다 한 번 스텝하기",
)
AUTOCAST = Text(
    en="compute the loss under torch.autocast in bfloat16",
    ko="bfloat16 torch.autocast 안에서 loss 계산하기",
)


class Mend(NamedTuple):
    """`size`: where the batch size stands. `rest`: the edits but for that one."""

    fix: Fix
    size: ast.expr
    rest: tuple[Edit, ...]


def accumulated(source: Source, line: int, parts: int, batch: int) -> Mend | None:
    """The loop at this line with a `parts`-th of the batch in each pass, and a step for every `parts` of them. `batch`:
    the size that its loader has. None unless the loop's form is certain."""
    found = parts_of(source, line)
    if found is None or batch % parts:
        return None
    loader = loader_of(source, found.loop)
    if loader is None or _counts_passes(source, loader[2]):
        return None
    _, size, name = loader
    counted = _counter(source, found.loop)
    if counted is None:
        return None
    counter, edits = counted
    if not name and found.clearing is None:
        return None  # what an epoch's last passes leave would come into the next one
    last = f" or {counter} + 1 == len({name})" if name else ""
    block = _indented(source, found.block, f"if ({counter} + 1) % {parts} == 0{last}:")
    if block is None:
        return None
    edits += [_scaled(source, found, parts), block]
    if found.clearing is not None:
        clearing = _indented(source, (found.clearing,), f"if {counter} % {parts} == 0:")
        if clearing is None:
            return None
        edits.append(clearing)
    whole = Fix((*edits, _divided(source, size, parts, batch)), ACCUMULATE.fill(parts=parts))
    return Mend(whole, size, tuple(edits))


def autocasted(source: Source, line: int) -> Mend | None:
    """The loop with its forward pass and loss under autocast in bfloat16, and `backward()` outside."""
    found = parts_of(source, line)
    if found is None or "autocast" in source.text or "GradScaler" in source.text:
        return None
    if source.imported.get("torch") != "torch":
        return None
    body = found.loop.body
    end = body.index(found.backward)
    while end and body[end - 1] is found.clearing:
        end -= 1
    start = _first_of_the_loss(body[:end], found.loss)
    if start is None or any(isinstance(node, ast.Return) for node in within(body[start:end])):
        return None
    first = start
    if found.clearing in body[first:end]:
        return None
    heading = 'with torch.autocast("cuda", dtype=torch.bfloat16):'
    edit = _indented(source, body[first:end], heading)
    loader = loader_of(source, found.loop)
    if edit is None or loader is None:
        return None
    return Mend(Fix((edit,), AUTOCAST), loader[1], (edit,))


def _first_of_the_loss(body: Sequence[ast.stmt], loss: ast.expr) -> int | None:
    """Where the statements begin that make the loss, followed back by names; they must be the last ones."""
    wanted = {loss.id} if isinstance(loss, ast.Name) else set()
    first = None
    for at in range(len(body) - 1, -1, -1):
        statement = body[at]
        written = _names(statement, ast.Store)
        if not written & wanted:
            break
        if not isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            return None
        first = at
        if _is_move(statement):
            first = at + 1
            break
        wanted |= _names(statement, ast.Load)
    return first if first is not None and first < len(body) else None


def _is_move(statement: ast.stmt) -> bool:
    """`x, y = x.to(device), y.to(device)` needs no autocast."""
    calls = [node.func for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return bool(calls) and all(
        isinstance(f, ast.Attribute) and f.attr in ("to", "cuda") for f in calls
    )


def _names(node: ast.AST, context: type[ast.expr_context]) -> set[str]:
    named = (one for one in ast.walk(node) if isinstance(one, ast.Name))
    return {one.id for one in named if isinstance(one.ctx, context)}


def _counts_passes(source: Source, name: str) -> bool:
    """A schedule that was made for the number of batches would end too early."""
    for call in source.nodes(ast.Call):
        is_length = isinstance(call.func, ast.Name) and call.func.id == "len"
        if is_length and name and call.args and ast.unparse(call.args[0]) == name:
            up = source.parents(call)
            if any(isinstance(one, ast.Call) and _is_schedule(one) for one in up):
                return True
    return any(
        keyword.arg in ("steps_per_epoch", "num_training_steps", "total_steps")
        for call in source.nodes(ast.Call)
        for keyword in call.keywords
    )


def _is_schedule(call: ast.Call) -> bool:
    named = ast.unparse(call.func).lower()
    return "sched" in named or named.endswith("lr")


def _counter(source: Source, loop: ast.For) -> tuple[str, list[Edit]] | None:
    """A name that counts the passes, and the edits that make it."""
    drawn, target = loop.iter, loop.target
    if isinstance(drawn, ast.Call) and ast.unparse(drawn.func) == "enumerate":
        is_plain = len(drawn.args) == 1 and not drawn.keywords
        first = target.elts[0] if isinstance(target, ast.Tuple) and target.elts else None
        is_kept = isinstance(first, ast.Name) and first.id not in {
            name for statement in loop.body for name in _names(statement, ast.Store)
        }
        return (first.id, []) if is_plain and is_kept else None  # type: ignore[union-attr]
    used = {node.id for node in source.nodes(ast.Name)}
    free = next((name for name in NAMES if name not in used), None)
    if free is None:
        return None
    is_bare = isinstance(target, ast.Tuple) and not source.code(target).startswith("(")
    opened, closed = ("(", ")") if is_bare else ("", "")
    edits = [_before(source, target, f"{free}, {opened}"), _before(source, drawn, "enumerate(")]
    edits += [source.insert_after(target, closed)] if closed else []
    return free, [*edits, source.insert_after(drawn, ")")]


def _before(source: Source, node: ast.expr, text: str) -> Edit:
    here = source.span(node)
    return Edit(Span(source.path, here.line, here.column, here.line, here.column), text)


def _divided(source: Source, size: ast.expr, parts: int, batch: int) -> Edit:
    if isinstance(size, ast.Constant):
        return source.replace(size, str(batch // parts))
    code = source.code(size)
    is_simple = isinstance(size, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))
    return source.replace(size, f"{code} // {parts}" if is_simple else f"({code}) // {parts}")


def _scaled(source: Source, found: Parts, parts: int) -> Edit:
    code = source.code(found.loss)
    parent = source.parent(found.loss)
    is_argument = isinstance(parent, ast.Call)
    return source.replace(found.loss, f"{code} / {parts}" if is_argument else f"({code} / {parts})")


def _indented(source: Source, statements: Sequence[ast.stmt], heading: str) -> Edit | None:
    """Consecutive statements under a new heading. None where a text runs over lines, or two share one."""
    first, last = statements[0], statements[-1]
    start, end = source.span(first), source.span(last)
    for node in within(list(statements)):
        is_text = isinstance(node, (ast.Constant, ast.JoinedStr))
        if is_text and (getattr(node, "end_lineno", 0) or 0) > getattr(node, "lineno", 0):
            return None
    before = source.line(start.line)[: start.column]
    after = source.line(end.end_line)[end.end_column :].strip()
    if before.strip() or (after and not after.startswith("#")):
        return None
    unit = "\t" if "\t" in before else "    "
    newline = "\r\n" if source.lines[0].endswith("\r\n") else "\n"
    lines = [source.line(number) for number in range(start.line, end.end_line + 1)]
    lines[0] = lines[0][start.column :]
    lines[-1] = lines[-1][: end.end_column - (start.column if len(lines) == 1 else 0)]
    moved = [lines[0], *(line.removeprefix(before) for line in lines[1:])]
    text = newline.join(
        [heading, *(f"{before}{unit}{line}" if line.strip() else "" for line in moved)]
    )
    span = Span(source.path, start.line, start.column, end.end_line, end.end_column)
    return Edit(span, text)
