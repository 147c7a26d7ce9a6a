"""Sizes of layers that are no module on the stack: weights handed to a function, layers of a scripted model."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Fix, Span
from torchmedic.observed import Failure, Source
from torchmedic.observed.origin import Origin, origins
from torchmedic.observed.project import Defined, Project, expression_at
from torchmedic.observed.settings import own_attribute
from torchmedic.rules._operands import frame_of
from torchmedic.rules._resize import SET, SET_AT, constant
from torchmedic.rules._trail import is_torch, last_name

_NAME = "in_features"


def weight_change(failure: Failure, expected: object, given: object) -> tuple[Span, Fix] | None:
    """The number `expected` where the weight of the failing operation got its size; to be `given`."""
    frame = failure.user_frame
    found = expression_at(failure, frame) if frame else None
    if found is None or not isinstance(expected, int):
        return None
    for step in _makers(failure, *found):
        for size in _sizes(step.node) if isinstance(step.node, ast.Call) else ():
            if constant(size) == expected:
                source, old = step.source, step.source.code(size)
                is_layer = last_name(source, step.node) == "Linear"  # type: ignore[arg-type]
                title = SET if is_layer else SET_AT
                edit = source.replace(size, str(given))
                return source.span(size), Fix((edit,), title.fill(name=_NAME, value=given, old=old))
    return None


def _makers(failure: Failure, source: Source, node: ast.expr) -> Iterator[Origin]:
    """The constructor of `self.fc` in `self.fc(x)`; the way of the weight in `F.linear(x, w)` and `x @ w`."""
    weight: ast.expr | None = None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        weight = node.right
    elif isinstance(node, ast.Call) and is_torch(source, node) and len(node.args) > 1:
        weight = node.args[-1] if last_name(source, node) == "addmm" else node.args[1]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        made = _own_layer(failure, source, node.func)
        if made is not None:
            yield made
    if weight is not None:
        yield from origins(failure, frame_of(failure, source, weight), weight, source)


def _own_layer(failure: Failure, source: Source, function: ast.Attribute) -> Origin | None:
    owner = source.enclosing(function, ast.ClassDef)
    if owner is None or ast.unparse(function.value) != "self":
        return None
    held = own_attribute(Project(failure), Defined(source, owner), function.attr)
    if held is None or not isinstance(held[1], ast.Call):
        return None
    is_linear = is_torch(held[0], held[1]) and last_name(held[0], held[1]) == "Linear"
    return Origin(held[0], held[1]) if is_linear else None


def _sizes(call: ast.Call) -> Iterator[ast.expr]:
    for argument in (*call.args, *(k.value for k in call.keywords)):
        if isinstance(argument, (ast.Tuple, ast.List)):
            yield from argument.elts
        else:
            yield argument
