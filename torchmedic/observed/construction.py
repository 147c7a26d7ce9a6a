"""Where a layer was made: the call in the source that constructed it, and its arguments."""

from __future__ import annotations

import ast
from typing import NamedTuple

from torchmedic.observed.failure import Failure, ModuleCall
from torchmedic.observed.source import Source, argument


class Made(NamedTuple):
    """The constructor call of a layer."""

    source: Source
    call: ast.Call

    def argument(self, position: int | None, *names: str) -> ast.expr | None:
        return argument(self.call, position, *names)


def constructor(failure: Failure, layer: ModuleCall) -> Made | None:
    """The call that made this layer: where it was seen being made, else the one call that can have made it."""
    source = failure.source(layer.made_at)
    if source is not None and layer.made_at is not None:
        call = source.at(layer.made_at, ast.Call)
        if call is not None and layer.made_at.end_line and _makes(source, call, layer):
            return Made(source, call)
        on_line = [
            c
            for c in source.nodes(ast.Call)
            if c.lineno == layer.made_at.line and _makes(source, c, layer)
        ]
        if len(on_line) == 1:
            return Made(source, on_line[0])
    return _by_attribute(failure, layer)


def _makes(source: Source, call: ast.Call, layer: ModuleCall) -> bool:
    """False for a factory such as `make_layer(…)` or `Net()`, in whose text the layer's arguments do not stand."""
    name = source.name(call.func) or ""
    return name.rpartition(".")[2] in layer.bases


def parent_of(failure: Failure, layer: ModuleCall) -> ModuleCall | None:
    """The call of the module that holds the layer, the nearest first."""
    calls = {m.path: m for m in (*failure.layers, *failure.modules)}
    path = layer.path
    while path:
        path = path.rpartition(".")[0]
        if path in calls:
            return calls[path]
    return None


def _by_attribute(failure: Failure, layer: ModuleCall) -> Made | None:
    """`self.<attribute> = nn.Linear(…)` in the class of an owner, or the n-th argument of its `nn.Sequential(…)`."""
    steps: list[str] = []
    owner: ModuleCall | None = layer
    while owner is not None and owner.path:
        parent = parent_of(failure, owner)
        if parent is None:
            return None
        steps[:0] = owner.path[len(parent.path) :].strip(".").split(".")
        source = failure.source(parent.class_at)
        if source is not None and parent.class_at is not None:
            node = source.class_at(parent.class_at)
            return _assigned(source, node, steps, layer) if node else None
        owner = parent
    return None


def _assigned(
    source: Source, owner: ast.ClassDef, steps: list[str], layer: ModuleCall
) -> Made | None:
    values = [
        item.value
        for item in ast.walk(owner)
        if isinstance(item, ast.Assign)
        and any(isinstance(t, ast.Attribute) and t.attr == steps[0] for t in item.targets)
    ]
    if len(values) != 1:
        return None
    value: ast.expr = values[0]
    for step in steps[1:]:
        items = value.args if isinstance(value, ast.Call) else []
        if len(items) == 1 and isinstance(items[0], (ast.List, ast.Tuple)):
            items = items[0].elts
        if (
            not step.isdigit()
            or int(step) >= len(items)
            or any(isinstance(i, ast.Starred) for i in items)
        ):
            return None
        value = items[int(step)]
    if isinstance(value, ast.Call) and _makes(source, value, layer):
        return Made(source, value)
    return None
