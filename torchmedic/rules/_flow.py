"""What rules about values share: the expression that went into the failing call, and what it came from."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from torchmedic.model import Span
from torchmedic.observed import Failure, Frame, ModuleCall, Source, Value
from torchmedic.observed.origin import Origin, origins
from torchmedic.observed.project import expression_at


class Passed(NamedTuple):
    """An argument of the user's call that failed."""

    source: Source
    frame: Frame
    call: ast.Call
    node: ast.expr

    @property
    def at(self) -> Span:
        return self.source.span(self.node)

    @property
    def code(self) -> str:
        return self.source.code(self.node)

    def origins(self, failure: Failure) -> list[Origin]:
        return origins(failure, self.frame, self.node, self.source)


def failing_call(failure: Failure) -> tuple[Source, Frame, ast.Call] | None:
    """The user's innermost call expression on the way to the error."""
    frame = failure.user_frame
    found = expression_at(failure, frame) if frame else None
    if frame is None or found is None:
        return None
    source, node = found
    if not isinstance(node, ast.Call):
        node = next((n for n in ast.walk(node) if isinstance(n, ast.Call)), node)
    return (source, frame, node) if isinstance(node, ast.Call) else None


def passed(failure: Failure, position: int = 0, *names: str) -> Passed | None:
    """The argument at a position, or of one of these names, of the failing call."""
    found = failing_call(failure)
    if found is None:
        return None
    source, frame, call = found
    for keyword in call.keywords:
        if keyword.arg in names:
            return Passed(source, frame, call, keyword.value)
    if position < len(call.args) and not isinstance(call.args[position], ast.Starred):
        return Passed(source, frame, call, call.args[position])
    return None


def value_of(frame: Frame, source: Source, node: ast.expr) -> Value | None:
    """The value that an expression had in the frame: a name, an attribute chain, an evaluated part, or an element of
    such a tuple or dict.
    """
    code = source.code(node)
    for known in (frame.names, frame.values, frame.parts):
        if code in known:
            return known[code]
    text = ast.unparse(node)
    if text in frame.parts or not isinstance(node, ast.Subscript):
        return frame.parts.get(text)
    key = node.slice.value if isinstance(node.slice, ast.Constant) else None
    group = value_of(frame, source, node.value) if isinstance(key, (str, int)) else None
    if group is None or group.tensor is not None:
        return None
    names = group.keys or range(len(group.items))
    return next(
        (v for k, v in zip(names, group.items, strict=False) if k in (key, repr(key))), None
    )


def method_calls(trail: Iterable[Origin], *names: str) -> Iterator[tuple[Origin, ast.Call]]:
    """The calls `x.name(…)` and `torch.name(x, …)` on the way of a value, nearest to its use first."""
    for origin in trail:
        if isinstance(origin.node, ast.Call):
            last = origin.source.name(origin.node.func) or ""
            if isinstance(origin.node.func, ast.Attribute):
                last = origin.node.func.attr
            if last.rpartition(".")[2] in names:
                yield origin, origin.node


def is_functional(source: Source, call: ast.Call) -> bool:
    """True for `torch.flatten(x)`, False for `x.flatten()`."""
    head: ast.expr = call.func
    while isinstance(head, ast.Attribute):
        head = head.value
    return isinstance(head, ast.Name) and head.id in source.imported


def direct_caller(failure: Failure, layer: ModuleCall | None) -> bool:
    """True if the user's own line called the failing layer: `self.fc(x)`, not a Sequential in between."""
    if layer is None or len(failure.modules) < 2:
        return layer is not None
    return not any(base == "Sequential" for base in failure.modules[-2].bases)
