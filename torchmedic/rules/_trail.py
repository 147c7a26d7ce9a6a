"""The way of a value, longer than `origins` goes: through lists that are appended to, collate functions and transforms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from torchmedic.model import Span
from torchmedic.observed import Failure, Frame, Source
from torchmedic.observed.origin import Origin, origins
from torchmedic.observed.project import Defined, Project
from torchmedic.observed.scopes import returned

# Functions of torch that turn data into a tensor, and whether the dtype follows the data.
CONVERSIONS = {"from_numpy": True, "tensor": True, "as_tensor": True, "asarray": True}
LEGACY = {"Tensor": "float32", "FloatTensor": "float32", "DoubleTensor": "float64"}
LEGACY |= {"LongTensor": "int64", "IntTensor": "int32", "ByteTensor": "uint8"}
LEGACY |= {"HalfTensor": "float16", "BoolTensor": "bool"}
NOWHERE = Frame(Span("", 0))
_MOST_TURNS = 6


class Way(NamedTuple):
    """The origins of a value, its use first. `items` is the index from which they stand in a dataset or collate."""

    steps: list[Origin]
    items: int | None = None

    @property
    def item(self) -> list[Origin]:
        """The steps that handle one sample (or, in a collate function, one batch)."""
        return [] if self.items is None else self.steps[self.items :]


def way_of(failure: Failure, frame: Frame, node: ast.expr, source: Source) -> Way:
    """The node, then what it was computed from, as far back as the source tells."""
    project = Project(failure)
    steps = origins(failure, frame, node, source)
    steps = _through_collate(failure, project, steps)
    for _ in range(_MOST_TURNS):
        more = _further(failure, project, steps)
        if not more:
            break
        steps = more
    return Way(steps, _first_item(failure, steps))


def _first_item(failure: Failure, steps: list[Origin]) -> int | None:
    """Where the trail enters `__getitem__`, a collate function or the tensors of a TensorDataset."""
    for index, (before, step) in enumerate(pairwise(steps), start=1):
        inner, outer = step.source.function_of(step.node), before.source.function_of(before.node)
        if inner is not None and inner is not outer and _is_return(step):
            owner = step.source.enclosing(inner, ast.ClassDef)
            if inner.name in ("__getitem__", "__iter__") and owner is not None:
                return index
            if "collate" in inner.name:
                return index
        parent = step.source.parent(step.node)
        if isinstance(parent, ast.Call) and last_name(step.source, parent) == "TensorDataset":
            return index
    return None


def _is_return(step: Origin) -> bool:
    return isinstance(step.source.parent(step.node), (ast.Return, ast.Yield))


def last_name(source: Source, call: ast.Call) -> str:
    """`tensor` of `torch.tensor(…)`, `float` of `x[0].float()`."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return (source.name(call.func) or "").rpartition(".")[2]


def is_torch(source: Source, call: ast.Call) -> bool:
    """True for `torch.f(…)`, also under an alias or imported by name."""
    return (source.name(call.func) or "").startswith("torch.")


def is_conversion(step: Origin) -> bool:
    """True for `torch.from_numpy(…)`, `torch.tensor(…)`, `torch.FloatTensor(…)`."""
    if not isinstance(step.node, ast.Call) or not is_torch(step.source, step.node):
        return False
    name = last_name(step.source, step.node)
    return name in CONVERSIONS or name in LEGACY


def is_plain(node: ast.expr) -> bool:
    """True if a method call can be written right behind the node."""
    return isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))


# --- collate functions -----------------------------------------------------------------------------------


def _through_collate(failure: Failure, project: Project, steps: list[Origin]) -> list[Origin]:
    """The steps, led through the loader's own collate function if it has one."""
    entry = next((i for i, s in enumerate(steps) if _is_batch(failure, s)), None)
    if entry is None:
        return steps
    functions = {id(d.node): d for d in _collate_functions(project)}
    if len(functions) != 1:
        return steps
    defined = next(iter(functions.values()))
    for value in returned(defined.node):
        path = steps[entry].path
        element = _element(value, path[0]) if path else value
        if element is not None:
            return [*steps[:entry], *origins(failure, NOWHERE, element, defined.source)]
    return steps


def _is_batch(failure: Failure, step: Origin) -> bool:
    """True where an element of what a loader yields is meant."""
    function = step.source.function_of(step.node)
    if _is_return(step) and function is not None and function.name == "__getitem__":
        return True
    named = {loader.name for loader in failure.loaders if loader.name}
    return step.code in named or "loader" in step.code.lower()


def _collate_functions(project: Project) -> Iterator[Defined]:
    for source in project.sources():
        for call in source.nodes(ast.Call):
            value = next((k.value for k in call.keywords if k.arg == "collate_fn"), None)
            found = _function(project, source, value)
            if found is not None:
                yield found


def _function(project: Project, source: Source, node: ast.expr | None) -> Defined | None:
    """The `def` that a name stands for, also behind `partial(…)`."""
    if isinstance(node, ast.Call) and last_name(source, node) == "partial" and node.args:
        return _function(project, source, node.args[0])
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        for method in source.nodes(ast.FunctionDef):
            if method.name == node.attr:
                return Defined(source, method)
    name = source.name(node) if node is not None else None
    defined = project.definition(source, name) if name else None
    if defined is not None:
        return defined if not isinstance(defined.node, ast.ClassDef) else None
    if isinstance(node, ast.Name):
        for assign in source.nodes(ast.Assign):
            names = [t.id for t in assign.targets if isinstance(t, ast.Name)]
            if node.id in names and isinstance(assign.value, ast.Call):
                return _function(project, source, assign.value)
    return None


def _element(node: ast.expr, key: int | str) -> ast.expr | None:
    if isinstance(node, (ast.Tuple, ast.List)) and isinstance(key, int) and key < len(node.elts):
        return node.elts[key]
    if isinstance(node, ast.Dict):
        for name, value in zip(node.keys, node.values, strict=True):
            if isinstance(name, ast.Constant) and name.value == key:
                return value
    return None


# --- lists that grow, transforms -------------------------------------------------------------------------


def _further(failure: Failure, project: Project, steps: list[Origin]) -> list[Origin]:
    """The steps, led on through an `append` at their end or a transform in their middle; [] if there's neither."""
    if not steps:
        return []
    end = steps[-1]
    if isinstance(end.node, (ast.List, ast.Call)) and not (
        end.node.elts if isinstance(end.node, ast.List) else end.node.args
    ):
        appended = _appended(end)
        if appended is not None and all(s.node is not appended for s in steps):
            return [*steps, *origins(failure, NOWHERE, appended, end.source)]
    for index, step in enumerate(steps):
        for element in _transformed(failure, project, step):
            if all(s.node is not element.node for s in steps):
                return [*steps[: index + 1], element, *steps[index + 1 :]]
    return []


def _appended(end: Origin) -> ast.expr | None:
    """What is appended to the list that begins empty in this assignment."""
    assign = end.source.statement(end.node)
    if not isinstance(assign, (ast.Assign, ast.AnnAssign)):
        return None
    targets = assign.targets if isinstance(assign, ast.Assign) else [assign.target]
    flat = [t for target in targets for t in _flat(target)]
    values = _flat(assign.value) if assign.value is not None else []
    if len(flat) == len(values) and end.node in values:
        flat = [flat[values.index(end.node)]]
    names = {end.source.code(t) for t in flat}
    scope: ast.AST = end.source.function_of(end.node) or end.source.tree
    if any(isinstance(t, ast.Attribute) for t in flat):
        scope = end.source.enclosing(end.node, ast.ClassDef) or scope
    for node in ast.walk(scope):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "append"
            and end.source.code(node.func.value) in names
            and node.args
        ):
            return node.args[0]
    return None


def _flat(node: ast.expr) -> list[ast.expr]:
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def _transformed(failure: Failure, project: Project, step: Origin) -> Iterator[Origin]:
    """The conversions in the user's transform classes that a call such as `self.transform(image)` runs."""
    call = step.node
    if not isinstance(call, ast.Call) or is_torch(step.source, call) or len(call.args) != 1:
        return
    name = step.source.name(call.func) or ""
    if not isinstance(call.func, (ast.Name, ast.Attribute)) or name.rpartition(".")[0] in ("np",):
        return
    if "transform" not in name and not isinstance(call.func, ast.Name):
        return
    named = False
    for origin in origins(failure, NOWHERE, call.func, step.source):
        for node in ast.walk(origin.node):
            made = origin.source.name(node.func) if isinstance(node, ast.Call) else None
            defined = project.definition(origin.source, made) if made else None
            if defined is not None and isinstance(defined.node, ast.ClassDef):
                named = True
                yield from _conversions_in(defined)
    if not named:
        classes = (Defined(s, c) for s in project.sources() for c in s.nodes(ast.ClassDef))
        found = [c for defined in classes for c in _conversions_in(defined)]
        if len(found) == 1:
            yield found[0]


def _conversions_in(defined: Defined) -> Iterator[Origin]:
    """Where the object, called as a function, makes a tensor out of its argument."""
    if not isinstance(defined.node, ast.ClassDef):
        return
    run = defined.source.method(defined.node, "__call__")
    for value in returned(run) if run else ():
        for part in ast.walk(value):
            found = Origin(defined.source, part) if isinstance(part, ast.Call) else None
            if found is not None and is_conversion(found):
                yield found
