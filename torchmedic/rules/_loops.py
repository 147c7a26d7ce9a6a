"""Sizes of layers that a loop makes: which value of an expression fits all of its rounds, not only the one that failed."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from torchmedic.observed import Failure, ModuleCall, Source

MOST = 40  # expressions of a loop that are looked at


class Round(NamedTuple):
    """One round that made a layer: the integers that it could see, and the size that the layer should have had."""

    names: Mapping[str, int]
    needed: int


def rounds(
    failure: Failure, layer: ModuleCall, level: int, name: str, given: int
) -> tuple[Round, ...]:
    """The rounds whose layers were called, the failing one last. `level` is that of the loop's frame in `made_by`.

    Layers that ran had the right size in `name` (`in_channels`, …); the failing one needs `given`.
    """
    if level >= len(layer.made_by):
        return ()
    ways = [site.at for site in layer.made_by[: level + 1]]
    found: dict[str, Round] = {}
    for call in failure.layers:
        size = call.settings.get(name)
        if call.path != layer.path and isinstance(size, int) and call.output is not None:
            sites = call.made_by[: level + 1]
            if [site.at for site in sites] == ways and sites[level].names:
                found[call.path] = Round(sites[level].names, size)
    return (*found.values(), Round(layer.made_by[level].names, given))


def variables(source: Source, node: ast.expr) -> set[str]:
    """The names that the loops around the node, in its own function, give a new value in each round."""
    names: set[str] = set()
    for up in source.parents(node):
        if isinstance(up, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            break
        targets = [up.target] if isinstance(up, (ast.For, ast.AsyncFor)) else []
        if isinstance(up, (ast.ListComp, ast.GeneratorExp, ast.SetComp, ast.DictComp)):
            targets = [g.target for g in up.generators]
        names |= {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    return names


def fitting(source: Source, node: ast.expr, seen: Sequence[Round]) -> Iterator[str]:
    """Expressions that have the needed size in every round: those of the loop's own body, for the round before.

    `c_out = width * 2 ** (i + 1)` gives `width * 2 ** i`: what the layer before puts out is what this one gets.
    """
    loop = source.enclosing(node, ast.For)
    if loop is None or len(seen) < 2:
        return
    every = [
        n for s in loop.body for n in ast.walk(s) if isinstance(n, ast.BinOp) and n is not node
    ]
    told: set[str] = set()
    for variable in sorted(variables(source, node)):
        for other in every[:MOST]:
            earlier = _Earlier(variable).visit(ast.parse(source.code(other), mode="eval").body)
            text = ast.unparse(earlier)
            if text not in told and fits(earlier, seen):
                told.add(text)
                yield text


def fits(node: ast.expr, seen: Sequence[Round]) -> bool:
    return all(value(node, r.names) == r.needed for r in seen)


class _Earlier(ast.NodeTransformer):
    """The expression with `variable` as it was one round before: `i` becomes `i - 1`, `i + 1` becomes `i`."""

    def __init__(self, variable: str) -> None:
        self.variable = variable

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._moved(-1) if node.id == self.variable else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        step = value(node.right, {}) if isinstance(node.op, (ast.Add, ast.Sub)) else None
        if isinstance(node.left, ast.Name) and node.left.id == self.variable and step is not None:
            return self._moved((step if isinstance(node.op, ast.Add) else -step) - 1)
        self.generic_visit(node)
        return node

    def _moved(self, by: int) -> ast.expr:
        name = ast.Name(self.variable, ast.Load())
        if not by:
            return name
        return ast.BinOp(name, ast.Add() if by > 0 else ast.Sub(), ast.Constant(abs(by)))


def value(node: ast.expr, names: Mapping[str, int]) -> int | None:
    """The value of an expression of integers; None if it holds anything else."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if not isinstance(node, ast.BinOp):
        return None
    left, right = value(node.left, names), value(node.right, names)
    if left is None or right is None:
        return None
    return _applied(node.op, left, right)


def _applied(operator: ast.operator, left: int, right: int) -> int | None:
    if isinstance(operator, ast.Add):
        return left + right
    if isinstance(operator, ast.Sub):
        return left - right
    if isinstance(operator, ast.Mult):
        return left * right
    if isinstance(operator, ast.FloorDiv):
        return left // right if right else None
    if isinstance(operator, ast.Pow):
        return int(left**right) if abs(left) < 4096 and 0 <= right < 32 else None
    return None
