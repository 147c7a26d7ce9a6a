"""What a loop draws, by the names of its target, and whether its body leaves them as they were drawn."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from torch.utils._pytree import tree_leaves

_MOVES = {
    "to", "cuda", "float", "half", "bfloat16", "double", "long", "contiguous", "items", "values", "keys",
    "requires_grad_", "pin_memory", "non_blocking",
}  # fmt: skip
_BUILDERS = {"map", "tuple", "list", "dict", "type"}
_MOVERS = ("device", "cuda", "gpu")


def batch_of(loop: Any, names: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Names and values that hold tensors, and the names of whole numbers that count the passes."""
    if not isinstance(loop, ast.For):
        return {}, ()
    drawn = [node.id for node in ast.walk(loop.target) if isinstance(node, ast.Name)]
    batch = {name: names[name] for name in drawn if _has_tensors(names.get(name))}
    return batch, tuple(name for name in drawn if type(names.get(name)) is int)


def is_own_batch(loop: Any, drawn: set[str]) -> bool:
    """True if what the names hold has the sizes that were drawn: the body only moves them, if anything."""
    return all(_only_moves(value, drawn) for value in _written(loop, drawn))


def _has_tensors(value: Any) -> bool:
    import torch

    return any(isinstance(leaf, torch.Tensor) for leaf in tree_leaves(value))


def _written(loop: Any, drawn: set[str]) -> Iterator[Any]:
    """What the body puts under one of the names."""
    for statement in loop.body:
        for node in ast.walk(statement):
            targets: list[Any] = []
            if isinstance(node, ast.Assign):
                targets = node.targets
            elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.For, ast.NamedExpr)):
                targets = [node.target]
            for target in targets:
                stored = {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}
                if stored & drawn and not isinstance(target, (ast.Attribute, ast.Subscript)):
                    yield getattr(node, "value", None)


def _only_moves(value: Any, drawn: set[str]) -> bool:
    if value is None:
        return False
    for node in ast.walk(value):
        if isinstance(node, (ast.BinOp, ast.Subscript, ast.UnaryOp)):
            return False
        if isinstance(node, ast.Call) and not _is_move(node.func):
            return False
    return True


def _is_move(function: Any) -> bool:
    if isinstance(function, ast.Attribute):
        return function.attr in _MOVES or any(word in function.attr.lower() for word in _MOVERS)
    name = function.id if isinstance(function, ast.Name) else ""
    return name in _BUILDERS or any(word in name.lower() for word in _MOVERS)
