"""Where a tensor's dimensions should be put right: in the Dataset, where data become a tensor, or at the call."""

from __future__ import annotations

import ast
from typing import NamedTuple

from torchmedic.model import Edit, Fix, Span, Text
from torchmedic.observed import Failure, Frame, Source
from torchmedic.observed.origin import Origin
from torchmedic.observed.project import expression_at
from torchmedic.rules._dimensions import Plan
from torchmedic.rules._dtypes import library_of
from torchmedic.rules._operands import Operand, operands, operation
from torchmedic.rules._trail import Way, is_conversion, is_plain, last_name, way_of

MADE = Text(en="insert `{text}` where the tensor is made", ko="텐서를 만드는 곳에 `{text}` 넣기")
USED = Text(en="insert `{text}` at the call: `{code}`", ko="호출하는 곳에 `{text}` 넣기: `{code}`")
REMOVED = Text(en="remove `{text}`, which adds a dimension", ko="차원을 더하는 `{text}` 빼기")
_SHAPING = {"view", "reshape", "permute", "transpose", "squeeze", "unsqueeze", "flatten", "stack"}
_SHAPING |= {"swapaxes", "movedim", "expand_dims", "cat", "unflatten", "T", "rot90", "crop"}


class Change(NamedTuple):
    """A place and the fix there."""

    at: Span
    fix: Fix


def changes(failure: Failure, plan: Plan) -> list[Change]:
    """Where to carry out the plan, the best place first; [] if the source can't be read."""
    found = argument(failure)
    if found is None:
        return []
    way = way_of(failure, found.frame, found.node, found.source)
    at_call = _at_call(failure, found, plan)
    removal = _removal(way, plan) if plan.kind == "too_many" else None
    made = _in_dataset(failure, way, plan) or _at_conversion(way, plan)
    if removal is not None or (plan.kind == "both_missing" and not way.item):
        made = None
    return [c for c in (removal, made, at_call) if c is not None]


def argument(failure: Failure) -> Operand | None:
    """The tensor that went into the failing call."""
    found = operation(failure)
    if found is None:
        return None
    source, frame, node = found
    if not isinstance(node, ast.Call):
        node = next((c for c in ast.walk(node) if isinstance(c, ast.Call)), node)
    known = [o for o in operands(source, frame, node) if o.name != "self"]
    return known[0] if known else None


def _at_call(failure: Failure, found: Operand, plan: Plan) -> Change | None:
    """At the failing layer's argument; a single sample gets its batch dimension where the model is called."""
    if plan.kind in ("both_missing", "batch_missing"):
        outer = _model_call(failure)
        found = outer if outer is not None else found
    edit = behind(found.source, found.node, plan.batch)
    fix = Fix((edit,), USED.fill(text=plan.batch, code=found.code))
    return Change(found.at, fix)


def _model_call(failure: Failure) -> Operand | None:
    """The argument of the user's call that entered the outermost module."""
    caller: Frame | None = None
    for frame in failure.frames:
        if not frame.is_user and frame.function.rpartition(".")[2] in (
            "_wrapped_call_impl",
            "_call_impl",
            "__call__",
        ):
            break
        caller = frame if frame.is_user else caller
    found = expression_at(failure, caller) if caller is not None else None
    if caller is None or found is None or not isinstance(found[1], ast.Call):
        return None
    known = [o for o in operands(found[0], caller, found[1]) if o.name != "self"]
    return known[0] if known else None


def behind(source: Source, node: ast.expr, text: str) -> Edit:
    """A method call behind an expression, in parentheses where it needs them."""
    if is_plain(node):
        return source.insert_after(node, text)
    return source.replace(node, f"({source.code(node)}){text}")


def _removal(way: Way, plan: Plan) -> Change | None:
    """An `unsqueeze` on the way that adds the dimension which the plan would squeeze."""
    for step in way.steps:
        call = step.node
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            continue
        if call.func.attr == "unsqueeze" and call.args:
            start, end = step.source.span(call.func.value), step.source.span(call)
            span = Span(end.path, start.end_line, start.end_column, end.end_line, end.end_column)
            text = step.code[len(step.source.code(call.func.value)) :]
            if step.code.endswith(text) and text.startswith(".unsqueeze"):
                return Change(step.at, Fix((Edit(span, ""),), REMOVED.fill(text=text.strip(". "))))
    return None


def _in_dataset(failure: Failure, way: Way, plan: Plan) -> Change | None:
    """In `__getitem__`, a transform or the tensors of a TensorDataset."""
    containers = (ast.Tuple, ast.List, ast.Dict)
    steps = [s for s in way.item if not s.path and not isinstance(s.node, containers)]
    if not steps:
        return None
    is_whole = isinstance(steps[0].source.parent(steps[0].node), ast.Call)
    first = steps[0]
    for step in steps:
        if _shapes(step) or is_conversion(step):
            return _inserted(step, plan.batch if is_whole else plan.sample)
        if isinstance(step.node, ast.Subscript) and isinstance(step.node.slice, ast.Slice):
            break  # a part of what is converted before
        if isinstance(step.node, ast.Subscript) and not is_whole:
            is_whole = True
    is_whole = isinstance(first.source.parent(first.node), ast.Call)
    text = plan.batch if is_whole else plan.sample
    if library_of(failure, steps) == "numpy":
        text = text.replace(".unsqueeze(0)", "[None]").replace(".permute(", ".transpose(")
    return _inserted(first, text)


def _at_conversion(way: Way, plan: Plan) -> Change | None:
    """Where data become a tensor outside of any Dataset, if nothing changes the shape between there and the use."""
    for step in way.steps[1:]:
        if is_conversion(step):
            return _inserted(step, plan.batch)
        if _shapes(step) or isinstance(step.node, (ast.ListComp, ast.GeneratorExp)):
            return None
        if isinstance(step.node, ast.Subscript) and not isinstance(step.node.slice, ast.Slice):
            return None
    return None


def _shapes(step: Origin) -> bool:
    return isinstance(step.node, ast.Call) and last_name(step.source, step.node) in _SHAPING


def _inserted(step: Origin, text: str) -> Change | None:
    if not text:
        return None
    edit = behind(step.source, step.node, text)
    return Change(step.at, Fix((edit,), MADE.fill(text=text)))
