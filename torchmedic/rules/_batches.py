"""The number that says how many samples are taken at once, where no DataLoader does it."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from torchmedic.observed import Failure, Source
from torchmedic.observed.origin import Origin, origins
from torchmedic.rules._flow import failing_call
from torchmedic.rules._operands import frame_of, operation
from torchmedic.rules._resize import constant
from torchmedic.rules._trail import last_name

# Calls that take so many, and the positions in which they are told how many; the keywords are _HOW_MANY.
_TAKING = {
    "split": (0, 1),
    "islice": (1, 2),
    "batched": (1,),
    "narrow": (2, 3),
    "multinomial": (0, 1),
}
_TAKING |= {"randint": (1, 2), "integers": (2,), "choice": (1,), "choices": (), "sample": (0, 1)}
_HOW_MANY = {"size", "k", "n", "length", "num_samples", "split_size", "split_size_or_sections"}
_MAKING = {"rand", "randn", "zeros", "ones", "empty", "full", "normal", "uniform", "random"}
_MOST_STEPS = 60


class Size(NamedTuple):
    """A literal, and its value."""

    source: Source
    node: ast.expr
    value: int


def taken_at_once(failure: Failure, sizes: Collection[int]) -> Size | None:
    """The literal behind `x[i : i + BATCH]`, `x.split(BATCH)` or `randint(n, (BATCH,))` on the way of what failed, if it
    is one of these sizes. A slice from the start, `x[:1000]`, takes a part of the data and no batch.
    """
    for step in _steps(failure):
        for expression in _amounts(step):
            for node in ast.walk(expression):
                if isinstance(node, (ast.Name, ast.Attribute, ast.Constant)):
                    found = _literal(failure, step.source, node)
                    if found is not None and found.value in sizes:
                        return found
    return None


def _steps(failure: Failure) -> Iterator[Origin]:
    """The ways of the failing expression and of its call, and of what indexes them."""
    waiting: list[tuple[Source, ast.expr]] = []
    found, call = operation(failure), failing_call(failure)
    if found is not None and isinstance(found[2], ast.expr):
        waiting.append((found[0], found[2]))
    if call is not None:
        waiting += [(call[0], argument) for argument in call[2].args[:2]]
    seen = set[int]()
    for source, start in waiting:
        for step in origins(failure, frame_of(failure, source, start), start, source):
            if id(step.node) in seen or len(seen) > _MOST_STEPS:
                continue
            seen.add(id(step.node))
            yield step
            index = step.node.slice if isinstance(step.node, ast.Subscript) else None
            if isinstance(index, (ast.Name, ast.Call, ast.Subscript, ast.Attribute)):
                waiting.append((step.source, index))


def _amounts(step: Origin) -> Iterator[ast.expr]:
    """The expressions in which the step says how much it takes."""
    node = step.node
    if isinstance(node, ast.Subscript):
        cut = (
            node.slice.elts[0]
            if isinstance(node.slice, ast.Tuple) and node.slice.elts
            else node.slice
        )
        if isinstance(cut, ast.Slice) and cut.upper is not None:
            is_moving = cut.lower is not None and not isinstance(cut.lower, ast.Constant)
            if is_moving or _is_named(cut.upper):
                yield cut.upper
    elif isinstance(node, ast.Call):
        name = last_name(step.source, node)
        arguments = [*enumerate(node.args), *((k.arg, k.value) for k in node.keywords)]
        for place, argument in arguments:
            is_amount = place in _TAKING.get(name, ()) or (name in _TAKING and place in _HOW_MANY)
            if is_amount or (name in _MAKING and _is_named(argument)):
                yield argument


def _is_named(expression: ast.expr) -> bool:
    return re.search(r"batch|(?:\b|_)bs\b", ast.unparse(expression).lower()) is not None


def _literal(failure: Failure, source: Source, node: ast.expr) -> Size | None:
    for origin in origins(failure, frame_of(failure, source, node), node, source):
        value = constant(origin.node)
        if value is not None:
            return Size(origin.source, origin.node, value)
        if not isinstance(origin.node, (ast.Name, ast.Attribute)):
            return None
    return None
