"""A bare `squeeze()` that drops the batch dimension of a batch of one, seen from the line that fails later."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from torchmedic.observed import Failure, Source
from torchmedic.observed.origin import Origin, origins
from torchmedic.observed.project import Project
from torchmedic.observed.scopes import is_module
from torchmedic.rules._flattening import results
from torchmedic.rules._flow import Passed, failing_call, is_functional, method_calls, passed
from torchmedic.rules._operands import frame_of, operation
from torchmedic.rules._trail import last_name

# nll_loss takes one row of scores and a target of one number; only its backward wants equal dimensions.
BACKWARD = "size mismatch (got input: {input:shape}, target: {target:shape})"
_OF_SIZES = r"\b(?:size|sizes|dim|dims?ension\w*|shape\w*|batch\w*|elements|0-d|1D|2D)\b"


def squeezed_batch(failure: Failure) -> tuple[Origin, ast.Call] | None:
    """A bare `squeeze()` on the way of what the failing call got, while a batch of one was under way.

    With one sample in the batch it drops the batch dimension too. For `loss.backward()`, the call that made the loss
    counts. None from text alone, and for errors that have nothing to do with sizes.
    """
    if not failure.is_live or failure.type not in ("RuntimeError", "ValueError", "IndexError"):
        return None
    if not re.search(_OF_SIZES, failure.message) or not _has_batch_of_one(failure):
        return None
    project = Project(failure)
    for argument in _arguments(failure):
        trail = argument.origins(failure)
        for origin, call in method_calls(trail, "squeeze"):
            if _is_bare(origin.source, call):
                return origin, call
        parts = (part for step in trail for part in _of_sequential(failure, project, step))
        for found in (found for part in parts for found in _squeezes_in(part)):
            return found
    return None


def _squeezes_in(part: Origin) -> Iterator[tuple[Origin, ast.Call]]:
    for node in ast.walk(part.node):
        if not isinstance(node, ast.Call) or last_name(part.source, node) != "squeeze":
            continue
        if _is_bare(part.source, node):
            yield Origin(part.source, node), node


def _is_bare(source: Source, call: ast.Call) -> bool:
    """True for `x.squeeze()` and `torch.squeeze(x)`."""
    return len(call.args) + len(call.keywords) == (1 if is_functional(source, call) else 0)


def _of_sequential(failure: Failure, project: Project, step: Origin) -> Iterator[Origin]:
    """The functions that the layers of `nn.Sequential(…)` were given, where the step calls one."""
    function = step.node.func if isinstance(step.node, ast.Call) else None
    if not isinstance(function, (ast.Name, ast.Attribute)) or is_module(step.source, function):
        return
    frame = frame_of(failure, step.source, function)
    for made in origins(failure, frame, function, step.source):
        if isinstance(made.node, ast.Call) and last_name(made.source, made.node) == "Sequential":
            layers = (layer for layer in made.node.args if isinstance(layer, ast.Call))
            for given in (argument for layer in layers for argument in layer.args):
                yield from results(project, made.source, given)


def _arguments(failure: Failure) -> Iterator[Passed]:
    found = failing_call(failure)
    function = found[2].func if found is not None else None
    if found is not None and isinstance(function, ast.Attribute) and function.attr == "backward":
        loss = operation(failure)
        if loss is not None and isinstance(loss[2], ast.Call) and loss[2] is not found[2]:
            given = [*loss[2].args, *(k.value for k in loss[2].keywords)][:2]
            yield from (Passed(loss[0], loss[1], loss[2], node) for node in given)
        return
    for position in (0, 1):
        argument = passed(failure, position)
        if argument is not None:
            yield argument


def _has_batch_of_one(failure: Failure) -> bool:
    """True if a tensor of the failing call, or of the user's frame, has no dimension, or a first one of 1."""
    values = [v for m in failure.modules for v in m.inputs]
    frames = [f for f in failure.frames if f.is_user][-2:]
    values += [v for f in frames for v in (*f.names.values(), *f.values.values())]
    tensors = (t for v in values for t in v.tensors())
    return any(t.shape == () or t.shape[0] == 1 for t in tensors if t.library == "torch")
