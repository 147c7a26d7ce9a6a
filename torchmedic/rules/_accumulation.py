"""What rules about gradients of several batches share."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.observed import Source


def every_of(condition: ast.If) -> ast.expr | None:
    """`every` of `(index + 1) % every == 0`, if that is one number or name."""
    test = condition.test
    return _divisor(test.left) if isinstance(test, ast.Compare) else None


def _divisor(remainder: ast.expr) -> ast.expr | None:
    """`every` of `index % every`, if that is more than 1 or a name."""
    if not isinstance(remainder, ast.BinOp) or not isinstance(remainder.op, ast.Mod):
        return None
    every = remainder.right
    if isinstance(every, ast.Constant):
        return every if isinstance(every.value, int) and every.value > 1 else None
    return every if isinstance(every, (ast.Name, ast.Attribute)) else None


def stepping(test: ast.expr) -> ast.expr | None:
    """`every` of a condition that holds in each `every`-th pass, and perhaps in the last one as well."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        found = [every for part in test.values if (every := stepping(part)) is not None]
        return found[0] if len(found) == 1 else None
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _divisor(test.operand)
    is_equality = isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq)
    return _divisor(test.left) if is_equality and isinstance(test, ast.Compare) else None


def loss_of(call: ast.Call) -> ast.Name | None:
    """`loss` of `loss.backward()` and of `scaler.scale(loss).backward()`."""
    held = call.func.value if isinstance(call.func, ast.Attribute) else None
    if isinstance(held, ast.Call) and len(held.args) == 1:
        is_scaled = isinstance(held.func, ast.Attribute) and held.func.attr == "scale"
        held = held.args[0] if is_scaled else None
    return held if isinstance(held, ast.Name) else None


def may_be_one(source: Source, every: ast.expr) -> bool:
    """True where the file gives that name, an argument or an option of that name the value 1: then nothing is accumulated."""
    name = every.attr if isinstance(every, ast.Attribute) else getattr(every, "id", "")
    return any(
        isinstance(value, ast.Constant) and value.value == 1
        for named, value in _values(source)
        if named == name
    )


def _values(source: Source) -> Iterator[tuple[str, ast.expr | None]]:
    for assign in source.nodes(ast.Assign):
        for target in assign.targets:
            yield ast.unparse(target).rpartition(".")[2], assign.value
    for told in source.nodes(ast.AnnAssign):
        yield ast.unparse(told.target).rpartition(".")[2], told.value
    for arguments in source.nodes(ast.arguments):
        named = [*arguments.posonlyargs, *arguments.args]
        for one, value in zip(reversed(named), reversed(arguments.defaults), strict=False):
            yield one.arg, value
        for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            yield one.arg, default
    for call in source.nodes(ast.Call):
        defaults = [k.value for k in call.keywords if k.arg == "default"]
        for option in call.args:
            if defaults and isinstance(option, ast.Constant) and isinstance(option.value, str):
                yield option.value.lstrip("-").replace("-", "_"), defaults[0]
