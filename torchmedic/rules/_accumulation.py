"""What rules about gradients of several batches share."""

from __future__ import annotations

import ast


def every_of(condition: ast.If) -> ast.expr | None:
    """`every` of `(index + 1) % every == 0`, if that is one number or name."""
    test = condition.test
    if not isinstance(test, ast.Compare) or not isinstance(test.left, ast.BinOp):
        return None
    every = test.left.right
    is_remainder = isinstance(test.left.op, ast.Mod)
    if isinstance(every, ast.Constant):
        is_many = isinstance(every.value, int) and every.value > 1
        return every if is_remainder and is_many else None
    return every if is_remainder and isinstance(every, (ast.Name, ast.Attribute)) else None


def loss_of(call: ast.Call) -> ast.Name | None:
    """`loss` of `loss.backward()` and of `scaler.scale(loss).backward()`."""
    held = call.func.value if isinstance(call.func, ast.Attribute) else None
    if isinstance(held, ast.Call) and len(held.args) == 1:
        is_scaled = isinstance(held.func, ast.Attribute) and held.func.attr == "scale"
        held = held.args[0] if is_scaled else None
    return held if isinstance(held, ast.Name) else None
