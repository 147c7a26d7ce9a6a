"""What rules about losses share: the layer that made the predictions, and the arguments of the loss."""

from __future__ import annotations

import ast

from torchmedic.observed import Failure, Source, Tensor
from torchmedic.observed.construction import Made
from torchmedic.observed.origin import Origin, origins
from torchmedic.observed.project import Defined, Project
from torchmedic.observed.settings import own_attribute
from torchmedic.rules._flow import Passed, passed, value_of
from torchmedic.rules._place import is_current


def prediction(failure: Failure) -> Passed | None:
    return _argument(failure, 0, "input", "log_probs")


def target(failure: Failure) -> Passed | None:
    return _argument(failure, 1, "target", "targets", "label", "labels")


def _argument(failure: Failure, position: int, *names: str) -> Passed | None:
    frame = failure.user_frame
    if frame is None or not is_current(failure, frame):
        return None
    return passed(failure, position, *names)


def tensor_of(argument: Passed | None) -> Tensor | None:
    value = value_of(argument.frame, argument.source, argument.node) if argument else None
    return value.tensor if value else None


def loss_input(failure: Failure, name: str = "input") -> Tensor | None:
    """The predictions as the innermost function of PyTorch that names them `input` got them; or its `target`."""
    for frame in reversed(failure.frames):
        value = frame.values.get(name) if not frame.is_user else None
        if value is not None and value.tensor is not None:
            return value.tensor
    return None


def head(failure: Failure, argument: Passed) -> Made | None:
    """The constructor of the last `nn.Linear` on the way to the predictions."""
    project = Project(failure)
    for origin in argument.origins(failure):
        found = _made(failure, project, argument, origin)
        if found is not None:
            return found
    return None


def _made(failure: Failure, project: Project, argument: Passed, origin: Origin) -> Made | None:
    source, node = origin.source, origin.node
    if not isinstance(node, ast.Call):
        return None
    function = node.func
    if isinstance(function, ast.Attribute) and ast.unparse(function.value) == "self":
        owner = source.enclosing(node, ast.ClassDef)
        held = own_attribute(project, Defined(source, owner), function.attr) if owner else None
        return _last_linear(held[0], held[1]) if held else None
    if isinstance(function, ast.Name):
        for step in origins(failure, argument.frame, function, source)[1:]:
            if isinstance(step.node, ast.Call):
                return _last_linear(step.source, step.node)
    return None


def _last_linear(source: Source, node: ast.expr) -> Made | None:
    if not isinstance(node, ast.Call):
        return None
    last = (source.name(node.func) or "").rpartition(".")[2]
    if last == "Linear":
        return Made(source, node)
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("to", "cuda", "cpu"):
        return _last_linear(source, node.func.value)
    for item in reversed(node.args) if last == "Sequential" else ():
        found = _last_linear(source, item)
        if found is not None:
            return found
    return None
