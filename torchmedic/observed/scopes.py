"""Names and their bindings within one file: parameters, assignments, attributes, returns."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.observed.source import Function, Source, argument

# Which element of a tuple or dict is meant: (1,) for the labels of a batch.
Path = tuple["int | str", ...]


def parameters(scope: Function) -> list[str]:
    arguments = scope.args
    return [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def passed(
    source: Source, scope: Function, name: str, call: ast.Call, where: Source
) -> tuple[ast.expr, Path] | None:
    """The argument that a call hands to a parameter; of `**options` the element of that name."""
    names = parameters(scope)
    is_method = isinstance(source.parent(scope), ast.ClassDef) and names[:1] in (["self"], ["cls"])
    called = (where.name(call.func) or "").rpartition(".")[2]
    if scope.name not in ("__init__", "forward", "__call__") and called not in (scope.name, ""):
        return None
    position = names.index(name) - (1 if is_method else 0)
    value = argument(call, position if position >= 0 else None, name)
    if value is not None:
        return value, ()
    unpacked = [k.value for k in call.keywords if k.arg is None]
    return (unpacked[0], (name,)) if len(unpacked) == 1 else None


def default(scope: Function, name: str) -> ast.expr | None:
    names = [a.arg for a in (*scope.args.posonlyargs, *scope.args.args)]
    defaults = dict(zip(reversed(names), reversed(scope.args.defaults), strict=False))
    for arg, value in zip(scope.args.kwonlyargs, scope.args.kw_defaults, strict=True):
        if value is not None:
            defaults[arg.arg] = value
    return defaults.get(name)


def own_nodes(body: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope without those of the functions and classes defined in it."""
    waiting = list(ast.iter_child_nodes(body))
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            waiting += list(ast.iter_child_nodes(node))


def binding(source: Source, body: ast.AST, use: ast.Name) -> tuple[ast.expr, Path, bool] | None:
    """(value, element of it, whether it is iterated) of the last binding before the use, else of the last one."""
    found: list[tuple[tuple[int, int], ast.expr, Path, bool]] = []
    for node in own_nodes(body):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                path = target_path(target, use.id)
                if path is not None:
                    found.append(((node.lineno, node.col_offset), node.value, path, False))
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
            if (
                isinstance(node.target, ast.Name)
                and node.target.id == use.id
                and node.value is not None
            ):
                found.append(((node.lineno, node.col_offset), node.value, (), False))
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            path = target_path(node.target, use.id)
            if path is not None:
                found.append(((node.lineno, node.col_offset), node.iter, path, True))
    own = source.statement(use)
    before = [
        b
        for b in found
        if b[0] < (own.lineno, own.col_offset) and b[1] is not getattr(own, "value", None)
    ]
    chosen = max(before, key=lambda b: b[0], default=None)
    if chosen is None and not isinstance(body, (ast.FunctionDef, ast.AsyncFunctionDef)):
        later = [b for b in found if b[1] is not getattr(own, "value", None)]
        chosen = max(later, key=lambda b: b[0], default=None)
    return chosen[1:] if chosen else None


def target_path(target: ast.expr, name: str) -> Path | None:
    if isinstance(target, ast.Name):
        return () if target.id == name else None
    if isinstance(target, ast.Starred):
        return target_path(target.value, name)
    if isinstance(target, (ast.Tuple, ast.List)):
        for index, item in enumerate(target.elts):
            inner = target_path(item, name)
            if inner is not None:
                return (index, *inner)
    return None


def comprehension_target(source: Source, use: ast.Name) -> tuple[ast.expr, Path] | None:
    for up in source.parents(use):
        if isinstance(up, (ast.ListComp, ast.GeneratorExp, ast.SetComp, ast.DictComp)):
            for generator in up.generators:
                path = target_path(generator.target, use.id)
                if path is not None:
                    return generator.iter, path
        elif isinstance(up, ast.stmt):
            return None
    return None


def attribute_value(source: Source, owner: ast.AST, name: str) -> tuple[ast.expr, Path] | None:
    """The last value assigned to `self.<name>` in the class, `__init__` first; or its class attribute."""
    found: list[tuple[bool, int, ast.expr, Path]] = []
    for node in ast.walk(owner):
        value = getattr(node, "value", None)
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or value is None:
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            path = attribute_path(target, name)
            if path is not None:
                function = source.function_of(node)
                found.append(
                    (bool(function and function.name == "__init__"), node.lineno, value, path)
                )
    best = max(found, key=lambda f: f[:2], default=None)
    return (best[2], best[3]) if best else None


def attribute_path(target: ast.expr, name: str) -> Path | None:
    if (
        isinstance(target, ast.Attribute)
        and isinstance(target.value, ast.Name)
        and target.value.id == "self"
    ):
        return () if target.attr == name else None
    if isinstance(target, (ast.Tuple, ast.List)):
        for index, item in enumerate(target.elts):
            if attribute_path(item, name) is not None:
                return (index,)
    return None


def returned(function: ast.AST) -> list[ast.expr]:
    """What the function returns, the last `return` first."""
    values = [
        n.value for n in own_nodes(function) if isinstance(n, ast.Return) and n.value is not None
    ]
    return sorted(values, key=lambda v: -v.lineno)


def yielded(function: ast.AST) -> list[ast.expr]:
    """What a generator yields; of `yield from x` the x whose elements it yields."""
    kinds = (ast.Yield, ast.YieldFrom)
    return [n.value for n in own_nodes(function) if isinstance(n, kinds) and n.value is not None]


def is_module(source: Source, node: ast.expr) -> bool:
    """True for `torch`, `np`, `F`: names that an import binds."""
    head = node
    while isinstance(head, ast.Attribute):
        head = head.value
    return isinstance(head, ast.Name) and head.id in source.imported


def is_layer_call(function: ast.expr) -> bool:
    """`self.fc(x)` where `fc` is no method: a layer, whose value comes from its argument."""
    owner = function.value if isinstance(function, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id == "self"
