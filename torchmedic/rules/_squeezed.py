"""A bare `squeeze()` that drops the batch dimension of a batch of one, seen from the line that fails later."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from torchmedic.observed import Failure
from torchmedic.observed.origin import Origin
from torchmedic.rules._flow import Passed, failing_call, is_functional, method_calls, passed
from torchmedic.rules._operands import operation

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
    for argument in _arguments(failure):
        for origin, call in method_calls(argument.origins(failure), "squeeze"):
            arguments = len(call.args) + len(call.keywords)
            if arguments == (1 if is_functional(origin.source, call) else 0):
                return origin, call
    return None


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
