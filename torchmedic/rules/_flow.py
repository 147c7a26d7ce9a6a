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
    """The value that an expression had in the frame: a name, an attribute chain, or an evaluated part."""
    code = source.code(node)
    for known in (frame.names, frame.values, frame.parts):
        if code in known:
            return known[code]
    text = ast.unparse(node)
    return frame.parts.get(text)


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


def squeezed_batch(failure: Failure) -> tuple[Origin, ast.Call] | None:
    """A bare `squeeze()` on the way of an argument of the failing call, while a batch of one was under way.

    With one sample in the batch it drops the batch dimension too. None from text alone.
    """
    if not failure.is_live or not _has_batch_of_one(failure):
        return None
    for position in (0, 1):
        argument = passed(failure, position)
        for origin, call in method_calls(argument.origins(failure) if argument else (), "squeeze"):
            arguments = len(call.args) + len(call.keywords)
            if arguments == (1 if is_functional(origin.source, call) else 0):
                return origin, call
    return None


def _has_batch_of_one(failure: Failure) -> bool:
    """True if a tensor of the failing call, or of the user's frame, has no dimension, or a first one of 1."""
    values = [v for m in failure.modules for v in m.inputs]
    frames = [f for f in failure.frames if f.is_user][-2:]
    values += [v for f in frames for v in (*f.names.values(), *f.values.values())]
    tensors = (t for v in values for t in v.tensors())
    return any(t.shape == () or t.shape[0] == 1 for t in tensors if t.library == "torch")
