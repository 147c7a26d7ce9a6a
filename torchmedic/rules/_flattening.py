"""Which code made one row of a whole batch, where a module did it: its `forward`, or a function that it was given."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Edit
from torchmedic.observed import Failure, ModuleCall, Source
from torchmedic.observed.construction import constructor
from torchmedic.observed.origin import Origin, origins
from torchmedic.observed.project import Defined, Project
from torchmedic.observed.scopes import returned
from torchmedic.rules._flow import is_functional, method_calls
from torchmedic.rules._sizes import output_of
from torchmedic.rules._trail import NOWHERE

METHODS = ("flatten", "view", "reshape", "ravel")
_WHOLE = {f"torch{part}.{name}" for part in ("", ".Tensor") for name in ("flatten", "ravel")}


def swallower(failure: Failure, layer: ModuleCall) -> ModuleCall | None:
    """The innermost module before this layer that got a map and put out the row that the layer gets."""
    given, found = layer.input, None
    for call in failure.layers:
        if call.path == layer.path and call.output is None:
            break
        row = output_of(call)
        if row is None or given is None or call.input is None:
            continue
        if row.shape == given.shape and len(row.shape) == 1 < len(call.input.shape):
            found = call
    return found


def flattening(failure: Failure, module: ModuleCall) -> tuple[Origin, Edit] | None:
    """The expression in the module's own code that flattens, and the edit that keeps the batch dimension."""
    made = constructor(failure, module)
    if made is not None and "Flatten" in module.bases:
        text = f"{made.source.code(made.call.func)}()"
        return Origin(made.source, made.call), made.source.replace(made.call, text)
    project = Project(failure)
    for source, value in (*_of_forward(failure, project, module), *_given(failure, module)):
        if source.name(value) in _WHOLE:
            return Origin(source, value), source.replace(value, "lambda x: x.flatten(start_dim=1)")
        for result in results(project, source, value):
            trail = origins(failure, NOWHERE, result.node, result.source)
            for origin, call in method_calls(trail, *METHODS):
                return origin, kept_batch(origin.source, call)
    return None


def _of_forward(
    failure: Failure, project: Project, module: ModuleCall
) -> Iterator[tuple[Source, ast.expr]]:
    """What the `forward` of the user's class returns."""
    source = failure.source(module.class_at)
    owner = source.class_at(module.class_at) if source and module.class_at else None
    if source is None or owner is None:
        return
    for base in project.bases_of(Defined(source, owner)):
        method = base.source.method(base.node, "forward")  # type: ignore[arg-type]
        if method is not None:
            yield from ((base.source, value) for value in returned(method))
            return


def _given(failure: Failure, module: ModuleCall) -> Iterator[tuple[Source, ast.expr]]:
    """The arguments of the calls that made the module, the constructor's first."""
    for site in module.made_by:
        source = failure.source(site.at)
        call = source.at(site.at, ast.Call) if source is not None else None
        if source is not None and call is not None:
            yield from ((source, value) for value in call.args)
            yield from ((source, keyword.value) for keyword in call.keywords)


def results(project: Project, source: Source, value: ast.expr) -> Iterator[Origin]:
    """What a function that is passed as a value returns; the value itself if it is no function."""
    if isinstance(value, ast.Lambda):
        yield Origin(source, value.body)
        return
    name = source.name(value)
    defined = project.definition(source, name) if name else None
    if defined is None:
        yield Origin(source, value)
    elif not isinstance(defined.node, ast.ClassDef):
        yield from (Origin(defined.source, result) for result in returned(defined.node))


def kept_batch(source: Source, call: ast.Call) -> Edit:
    """`x.flatten()` -> `x.flatten(start_dim=1)`; `x.view(-1)` -> `x.view(x.size(0), -1)`."""
    function = source.code(call.func)
    if is_functional(source, call):
        inner = source.code(call.args[0]) if call.args else "x"
        return source.replace(call, f"torch.flatten({inner}, start_dim=1)")
    receiver, _, method = function.rpartition(".")
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if method in ("view", "reshape") and isinstance(owner, (ast.Name, ast.Attribute)):
        sizes = call.args[0] if len(call.args) == 1 else None
        rest = "-1"
        if isinstance(sizes, ast.Starred):
            rest = source.code(sizes)
        elif isinstance(sizes, (ast.Name, ast.Attribute)):
            rest = f"*{source.code(sizes)}"
        return source.replace(call, f"{function}({receiver}.size(0), {rest})")
    return source.replace(call, f"{receiver}.flatten(start_dim=1)")
