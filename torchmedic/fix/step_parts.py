"""The parts of a training loop that is written out in one body: where gradients are cleared, made and used.

Only what is certain: one backward pass, one optimizer, no `continue` before the step, nothing unknown between the two.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from torchmedic.observed import Source

CLIPS = {"clip_grad_norm_", "clip_grad_value_"}
LOADERS = ("torch.utils.data.DataLoader", "DataLoader")


class Parts(NamedTuple):
    """`clearing`: None if it is in the block. `loss`: what is differentiated. `block`: from what follows the backward
    pass to the step and what belongs to it."""

    loop: ast.For
    optimizer: str
    clearing: ast.stmt | None
    backward: ast.stmt
    loss: ast.expr
    block: tuple[ast.stmt, ...]


def parts_of(source: Source, line: int) -> Parts | None:
    """Of the loop that begins at this line. None for a form that isn't certain."""
    loops = [one for one in source.nodes(ast.For) if one.lineno == line]
    if len(loops) != 1 or loops[0].orelse:
        return None
    (loop,) = loops
    inner = list(within(loop.body))
    backwards = [node for node in inner if _method(node) == "backward"]
    steps = [node for node in inner if _method(node) == "step"]
    if len(backwards) != 1 or any(isinstance(node, ast.Continue) for node in inner):
        return None
    at = _index(loop.body, backwards[0])
    loss = _loss(backwards[0])
    if at is None or loss is None:
        return None
    block = _block(loop.body[at + 1 :])
    is_scaled = not isinstance(loss, ast.Name) or source.parent(loss) is not backwards[0].func  # type: ignore[attr-defined]
    optimizer = next((name for one in block if (name := _stepped(one, is_scaled))), None)
    if optimizer is None:
        return None
    inside = list(within(block))
    if any(node not in inside for node in steps):
        return None  # a scheduler, or another optimizer, steps elsewhere
    clearings = [one for one in loop.body if _cleared(one)]
    if len([node for node in inner if _method(node) == "zero_grad"]) != 1 or len(clearings) != 1:
        return None
    (clearing,) = clearings
    place = loop.body.index(clearing)
    if clearing in block:
        return Parts(loop, optimizer, None, loop.body[at], loss, block)
    return Parts(loop, optimizer, clearing, loop.body[at], loss, block) if place < at else None


def within(body: object) -> Iterator[ast.AST]:
    for statement in body if isinstance(body, (list, tuple)) else ():
        yield from ast.walk(statement)


def _method(node: ast.AST) -> str:
    """The name of the method that it calls."""
    is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return node.func.attr if is_call else ""  # type: ignore[attr-defined]


def _index(body: list[ast.stmt], call: ast.AST) -> int | None:
    """The statement that is this call and nothing else."""
    for at, statement in enumerate(body):
        if isinstance(statement, ast.Expr) and statement.value is call:
            return at
    return None


def _loss(backward: ast.AST) -> ast.expr | None:
    """`loss` of `loss.backward()` and `scaler.scale(loss).backward()`."""
    if not isinstance(backward, ast.Call) or backward.args or backward.keywords:
        return None
    value = backward.func.value if isinstance(backward.func, ast.Attribute) else None
    if isinstance(value, ast.Name):
        return value
    is_scaled = isinstance(value, ast.Call) and _method(value) == "scale" and len(value.args) == 1
    if is_scaled and isinstance(value.args[0], ast.Name):  # type: ignore[union-attr]
        return value.args[0]  # type: ignore[union-attr]
    return None


def _block(rest: list[ast.stmt]) -> tuple[ast.stmt, ...]:
    """From what comes before the step to what belongs behind it; empty if something else stands between."""
    found: list[ast.stmt] = []
    has_step = False
    for statement in rest:
        call = statement.value if isinstance(statement, ast.Expr) else None
        name = _called(call)
        is_step = name == "step"
        is_before = name in CLIPS or name == "unscale_"
        is_after = name in ("update", "zero_grad", "step") and has_step
        if not (is_step or is_after or (is_before and not has_step)):
            break
        found.append(statement)
        has_step = has_step or is_step
    return tuple(found) if has_step else ()


def _called(call: ast.expr | None) -> str:
    if isinstance(call, ast.Call):
        function = call.func
        if isinstance(function, ast.Attribute):
            return function.attr
        if isinstance(function, ast.Name):
            return function.id
    return ""


def _stepped(statement: ast.stmt, is_scaled: bool) -> str:
    """The optimizer, as it is written: of `optimizer.step()` or `scaler.step(optimizer)`."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or _method(call) != "step":
        return ""
    if is_scaled and len(call.args) == 1 and not call.keywords:
        return ast.unparse(call.args[0])
    is_plain = isinstance(call.func, ast.Attribute) and not call.args and not call.keywords
    return ast.unparse(call.func.value) if is_plain else ""  # type: ignore[attr-defined]


def _cleared(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and _method(statement.value) == "zero_grad"


def loader_of(source: Source, loop: ast.For) -> tuple[ast.Call, ast.expr, str] | None:
    """The one DataLoader that the loop draws from, its batch size, and the loader's name if it has one."""
    drawn = loop.iter
    while isinstance(drawn, ast.Call) and _called(drawn) in ("enumerate", "tqdm") and drawn.args:
        drawn = drawn.args[0]
    found = _loader(source, drawn, loop, 0)
    if found is None:
        return None
    name = ast.unparse(drawn) if isinstance(drawn, (ast.Name, ast.Attribute)) else ""
    size = next((k.value for k in found.keywords if k.arg == "batch_size"), None)
    if size is None and len(found.args) > 1:
        size = found.args[1]
    return (found, size, name) if size is not None else None


def _loader(source: Source, value: ast.expr, near: ast.AST, depth: int) -> ast.Call | None:
    if isinstance(value, ast.Call):
        is_loader = source.name(value.func) in LOADERS
        return value if is_loader else None
    if depth > 2 or not isinstance(value, ast.Name):
        return None
    function = source.function_of(near)
    parameters = [*function.args.posonlyargs, *function.args.args] if function else []
    position = next((i for i, one in enumerate(parameters) if one.arg == value.id), None)
    if function is not None and position is not None:
        return _argument(source, function.name, position, value.id, depth)
    scope: ast.AST = function or source.tree
    written = [
        node
        for node in source.nodes(ast.Assign)
        if any(isinstance(t, ast.Name) and t.id == value.id for t in node.targets)
    ]
    local = [node for node in written if source.function_of(node) is function]
    if not local and function is not None:  # a global
        local = [node for node in written if source.function_of(node) is None]
    if len(local) != 1 or scope is None:
        return None
    return _loader(source, local[0].value, local[0], depth + 1)


def _argument(
    source: Source, function: str, position: int, name: str, depth: int
) -> ast.Call | None:
    """What the file's one call of a function gives it."""
    calls = [
        node
        for node in source.nodes(ast.Call)
        if isinstance(node.func, ast.Name) and node.func.id == function
    ]
    if len(calls) != 1:
        return None
    (call,) = calls
    given = next((k.value for k in call.keywords if k.arg == name), None)
    if given is None and position < len(call.args):
        given = call.args[position]
    return _loader(source, given, call, depth + 1) if given is not None else None
