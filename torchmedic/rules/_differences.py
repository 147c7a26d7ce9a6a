"""Losses written by hand, as text: what a difference comes to, and whether an axis was made for all pairs."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.observed import Source

_ELEMENTWISE = ("pow", "square", "abs", "sqrt")
_REDUCED = ("mean", "sum", "norm")
_MAKE_AXIS = ("unsqueeze", "expand", "expand_as", "t", "transpose", "permute", "repeat", "tile",
              "swapaxes", "movedim", "unflatten")  # fmt: skip
_RESHAPES = ("view", "reshape")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
DEEPEST = 2  # names in a row


def differences_on(source: Source, line: int) -> list[ast.BinOp | ast.Call]:
    """Those that begin on the line: `a - b`, `torch.sub(a, b)` and `a.sub(b)`, without those of a number."""
    found: list[ast.BinOp | ast.Call] = []
    for node in source.nodes(ast.BinOp, ast.Call):
        if node.lineno != line or not isinstance(node, (ast.BinOp, ast.Call)):
            continue
        both = sides(node)
        if both is not None and not any(isinstance(b, ast.Constant) for b in both):
            found.append(node)
    return found


def sides(node: ast.expr) -> tuple[ast.expr, ast.expr] | None:
    """What stands on the left of a difference, and what on its right."""
    if isinstance(node, ast.BinOp):
        return (node.left, node.right) if isinstance(node.op, ast.Sub) else None
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.keywords:
        return None
    if node.func.attr not in ("sub", "subtract"):
        return None
    operands = node.args if _is_torch(node.func.value) else [node.func.value, *node.args]
    return (operands[0], operands[1]) if len(operands) == 2 else None


def is_averaged(source: Source, node: ast.expr, depth: int = DEEPEST) -> bool:
    """True if all its elements come to one number by way of squares and absolute values, whatever it is used for."""
    up = source.parent(node)
    if isinstance(up, ast.BinOp):
        is_power = isinstance(up.op, ast.Pow) and node is up.left
        other = up.right if node is up.left else up.left
        is_same = isinstance(up.op, ast.Mult) and ast.dump(other) == ast.dump(node)
        is_scaled = isinstance(up.op, (ast.Mult, ast.Div)) and isinstance(other, ast.Constant)
        return (is_power or is_same or is_scaled) and is_averaged(source, up, depth)
    if isinstance(up, ast.Attribute):
        call = source.parent(up)
        if not isinstance(call, ast.Call) or call.func is not up:
            return False
        if up.attr in _REDUCED:
            return not call.args and not call.keywords
        return up.attr in _ELEMENTWISE and is_averaged(source, call, depth)
    if isinstance(up, ast.Call) and up.args and node is up.args[0]:
        name = up.func.attr if isinstance(up.func, ast.Attribute) else getattr(up.func, "id", "")
        if isinstance(up.func, ast.Attribute) and not _is_torch(up.func.value):
            return False
        if name in _REDUCED and isinstance(up.func, ast.Attribute):
            return len(up.args) == 1 and not up.keywords
        return name in _ELEMENTWISE and is_averaged(source, up, depth)
    if isinstance(up, ast.Assign) and depth and len(up.targets) == 1:
        uses = list(_uses(source, up))
        return bool(uses) and all(is_averaged(source, use, depth - 1) for use in uses)
    return False


def is_axis_made(source: Source, node: ast.expr) -> bool:
    """True if the operand, or the name that it is, got its shape there by an explicit axis: then all pairs may be meant."""
    if any(map(_makes_axis, _spine(node))):
        return True
    if not isinstance(node, ast.Name):
        return False
    region = next((u for u in source.parents(node) if isinstance(u, (*_SCOPES, *_LOOPS))), None)
    inside = ast.walk(region) if region is not None else iter(())
    return any(
        isinstance(one, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == node.id for t in one.targets)
        and any(map(_makes_axis, _spine(one.value)))
        for one in inside
    )


def _spine(node: ast.expr) -> Iterator[ast.expr]:
    """What is done to the value, without what calls are given."""
    yield node
    if isinstance(node, (ast.Attribute, ast.Subscript)):
        yield from _spine(node.value)
    elif isinstance(node, ast.Call):
        yield from _spine(node.func)
        if node.args and isinstance(node.func, ast.Attribute) and _is_torch(node.func.value):
            yield from _spine(node.args[0])
    elif isinstance(node, ast.BinOp):
        yield from _spine(node.left)
        yield from _spine(node.right)
    elif isinstance(node, ast.UnaryOp):
        yield from _spine(node.operand)


def _makes_axis(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript):
        index = node.slice
        parts = index.elts if isinstance(index, ast.Tuple) else [index]
        return any(
            (isinstance(p, ast.Constant) and p.value is None)
            or (isinstance(p, ast.Attribute) and p.attr == "newaxis")
            for p in parts
        )
    if isinstance(node, ast.Attribute):
        return node.attr in ("T", "mT", *_MAKE_AXIS)
    is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    if is_call and node.func.attr in _RESHAPES:  # type: ignore[attr-defined]
        given = node.args  # type: ignore[attr-defined]
        return len(given) > 1 or any(isinstance(a, (ast.Tuple, ast.List)) for a in given)
    return False


def _uses(source: Source, assigned: ast.Assign) -> Iterator[ast.Name]:
    """Where the name is read, in the function of the assignment, if that is the only one; else the name itself."""
    [target] = assigned.targets
    if not isinstance(target, ast.Name):
        return
    region = next((u for u in source.parents(assigned) if isinstance(u, _SCOPES)), source.tree)
    named = [n for n in ast.walk(region) if isinstance(n, ast.Name) and n.id == target.id]
    stored = [n for n in named if isinstance(n.ctx, ast.Store)]
    yield from named if len(stored) > 1 else (n for n in named if isinstance(n.ctx, ast.Load))


def _is_torch(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("torch", "np")
