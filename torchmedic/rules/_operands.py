"""Which expression of the failing line holds the tensor with the wrong type."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import NamedTuple

from torchmedic.model import Span
from torchmedic.observed import Failure, Frame, Source, Tensor
from torchmedic.observed.origin import origins
from torchmedic.observed.project import Project, expression_at
from torchmedic.observed.scopes import is_module
from torchmedic.rules._flow import value_of
from torchmedic.rules._trail import NOWHERE, last_name

_TARGETS = ("target", "labels", "label")


class Operand(NamedTuple):
    """An expression that the failing operation reads, and its tensor where it is known."""

    source: Source
    frame: Frame
    node: ast.expr
    tensor: Tensor | None
    name: str = ""  # the keyword it was passed by
    position: int | None = None

    @property
    def at(self) -> Span:
        return self.source.span(self.node)

    @property
    def code(self) -> str:
        return self.source.code(self.node)


def operation(failure: Failure) -> tuple[Source, Frame, ast.AST] | None:
    """The user's expression or augmented assignment that failed; for `loss.backward()` the call that made the loss."""
    frame = failure.user_frame
    source = failure.source(frame.at) if frame else None
    if frame is None or source is None:
        return None
    if not failure.is_live and source.line(frame.at.line).strip() != frame.code.strip():
        return None
    statement = source.at(Span(frame.at.path, frame.at.line), ast.stmt)
    if isinstance(statement, ast.AugAssign):
        span = source.span(statement)
        if not frame.at.end_line or (frame.at.line, frame.at.column) == (span.line, span.column):
            return source, frame, statement
    shown = None if frame.at.end_line else _shown(source, statement, frame.expression)
    found = (source, shown) if shown is not None else expression_at(failure, frame)
    if found is None:
        return None
    source, node = found
    if isinstance(node, ast.Call) and last_name(source, node) == "backward":
        return _loss_call(failure, source, frame, node)
    return source, frame, node


def _shown(source: Source, statement: ast.stmt | None, text: str) -> ast.expr | None:
    """The part of the statement that a traceback underlines, or names."""
    nodes = ast.walk(statement) if statement is not None and text else ()
    return next((n for n in nodes if isinstance(n, ast.expr) and source.code(n) == text), None)


def _loss_call(
    failure: Failure, source: Source, frame: Frame, backward: ast.Call
) -> tuple[Source, Frame, ast.AST] | None:
    """The call with a prediction and a target from which the loss came."""
    receiver = backward.func.value if isinstance(backward.func, ast.Attribute) else None
    start = backward.args[0] if receiver is None or is_module(source, receiver) else receiver
    for origin in origins(failure, frame, start, source):
        if isinstance(origin.node, ast.Call) and _compares(origin.source, origin.node):
            return origin.source, frame_of(failure, origin.source, origin.node), origin.node
    kind = frame.values["self"].type if "self" in frame.values else ""
    calls = [
        (other, call)
        for other in Project(failure).sources()
        for call in other.nodes(ast.Call)
        if _compares(other, call) and _is_loss(last_name(other, call))
    ]
    calls.sort(key=lambda c: kind not in [k.name for k in _classes(*c)])
    if not calls:
        return None
    return calls[0][0], frame_of(failure, *calls[0]), calls[0][1]


def _classes(source: Source, node: ast.AST) -> Iterator[ast.ClassDef]:
    return (up for up in source.parents(node) if isinstance(up, ast.ClassDef))


def _compares(source: Source, call: ast.Call) -> bool:
    return len(call.args) + len(call.keywords) >= 2 and not (
        isinstance(call.func, ast.Attribute) and call.func.attr in ("train_step", "step")
    )


def _is_loss(name: str) -> bool:
    return any(part in name.lower() for part in ("loss", "criterion", "entropy", "bce", "mse"))


def frame_of(failure: Failure, source: Source, node: ast.AST) -> Frame:
    """The innermost frame on the stack whose function holds this node; NOWHERE if there is none."""
    scope = source.function_of(node)
    name = scope.name if scope else "<module>"
    for frame in reversed(failure.frames):
        if frame.at.path == source.path and frame.function.rpartition(".")[2] == name:
            return frame
    return NOWHERE


def operands(source: Source, frame: Frame, node: ast.AST) -> list[Operand]:
    """What the operation reads: arguments, the receiver of a tensor method, both sides of an operator, an index."""
    found: list[tuple[ast.expr, str, int | None]] = []
    if isinstance(node, ast.Call):
        found += [(a, "", i) for i, a in enumerate(node.args)]
        found += [(k.value, k.arg or "", None) for k in node.keywords]
        if isinstance(node.func, ast.Attribute) and not is_module(source, node.func.value):
            found.append((node.func.value, "self", None))
    elif isinstance(node, ast.BinOp):
        found += [(node.left, "", 0), (node.right, "", 1)]
    elif isinstance(node, ast.AugAssign):
        found += [(node.target, "", 0), (node.value, "", 1)]
    elif isinstance(node, ast.Subscript):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        found += [(part, "", i) for i, part in enumerate(parts)]
    elif isinstance(node, ast.expr):
        found.append((node, "", 0))
    flat = [(f.value if isinstance(f, ast.Starred) else f, n, p) for f, n, p in found]
    return [Operand(source, frame, f, _tensor(frame, source, f), n, p) for f, n, p in flat]


def _tensor(frame: Frame, source: Source, node: ast.expr) -> Tensor | None:
    value = value_of(frame, source, node)
    return next(value.tensors(), None) if value else None


def offender(
    failure: Failure,
    is_bad: Callable[[Tensor], bool],
    is_target: bool = False,
    is_index: bool = False,
    is_mask: bool = False,
) -> Operand | None:
    """The operand whose tensor is bad; where no values are known, the one in the place that the message means."""
    found = operation(failure)
    if found is None:
        return None
    all_of = operands(*found)
    arguments = [o for o in all_of if o.name != "self"]
    if is_target:
        arguments.sort(key=lambda o: o.name not in _TARGETS and o.position != 1)
    elif is_index:
        arguments.reverse()
    elif is_mask:
        arguments.sort(key=lambda o: "mask" not in o.name and "mask" not in o.code)
    bad = [o for o in arguments if o.tensor is not None and is_bad(o.tensor)]
    bad += [o for o in all_of if o.name == "self" and o.tensor is not None and is_bad(o.tensor)]
    if bad:
        return bad[0]
    unknown = [o for o in arguments if o.tensor is None and not isinstance(o.node, ast.Constant)]
    if is_target and len(arguments) > 1:
        first = arguments[0]
        return first if first.tensor is None else None
    return unknown[0] if unknown else None
