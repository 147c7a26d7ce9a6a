"""The containers that a Dataset indexes, as its own methods write them: `self.rows`, `self.columns["x"]`."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from torchmedic.observed import Value
from torchmedic.observed.scopes import binding, comprehension_target, parameters
from torchmedic.rules._indexing import Reader
from torchmedic.rules._length import known_value

# What pandas puts between a table and the position of a row.
_INDEXERS = {"iloc", "loc", "iat", "at", "values", "array"}


def shown(container: str) -> str:
    return container.rpartition(" in ")[2]


def size_of(
    container: str, owner: str, values: Mapping[str, Value], dimension: int = 0
) -> int | None:
    """The length of a container, or the least of a group of them."""
    value = known_value(shown(container).removesuffix(".values()"), owner, values)
    if value is None:
        return None
    if " in " in container:
        sizes = [v.length for v in value.items if v.length is not None]
        return min(sizes) if sizes and len(sizes) == value.length else None
    shape = value.tensor.shape if value.tensor else ()
    return shape[dimension] if dimension < len(shape) else value.length


def container_of(reader: Reader, level: int, node: ast.expr) -> str | None:
    """The container as the dataset's own methods write it: `self.rows`, `min`-able groups as an expression."""
    for _ in range(12):
        function, source = reader.levels[level].function, reader.levels[level].source
        root: ast.expr = node
        while isinstance(root, (ast.Attribute, ast.Subscript)):
            root = root.value
        if not isinstance(root, ast.Name):
            return None
        if root.id in parameters(function):
            if level == 0:
                return _stripped(node) if root.id == reader.owner else None
            given = _given(reader, level, root.id)
            if given is None:
                return None
            node = _with_root(node, given)
            level -= 1
            continue
        group = comprehension_target(source, root)
        if group is not None:
            return _group(reader, level, root.id, *group) if root is node else None
        bound = binding(source, function, root)
        if bound is None:
            return _stripped(node) if level == 0 and is_global(source.tree, root.id) else None
        value, path, iterated = bound
        if (
            iterated
            or len(path) > 1
            or not isinstance(value, (ast.Attribute, ast.Name, ast.Subscript))
        ):
            return None
        for key in path:
            value = ast.Subscript(value, ast.Constant(key), ast.Load())
        node = _with_root(node, value)
    return None


def _group(
    reader: Reader, level: int, name: str, iterable: ast.expr, path: tuple[int | str, ...]
) -> str | None:
    """Several containers that are indexed alike: "t in self.tensors", "v in self.columns.values()"."""
    ending = ""
    if isinstance(iterable, ast.Call) and isinstance(iterable.func, ast.Attribute):
        if (iterable.func.attr, path) not in (("items", (1,)), ("values", ())):
            return None
        iterable, path, ending = iterable.func.value, (), ".values()"
    inside = container_of(reader, level, iterable) if not path else None
    return None if inside is None or " in " in inside else f"{name} in {inside}{ending}"


def _given(reader: Reader, level: int, name: str) -> ast.expr | None:
    """What the caller knows a parameter as; of `self`, the object whose method was called."""
    function = reader.levels[level].function
    first = parameters(function)[:1]
    is_method = isinstance(reader.levels[level].source.parent(function), ast.ClassDef)
    if not (is_method and first == [name]):
        return reader.argument(name, level)
    call = reader.call(level)
    if isinstance(call, ast.Subscript):
        return call.value
    receiver = call.func.value if call and isinstance(call.func, ast.Attribute) else None
    if isinstance(receiver, ast.Call) and ast.unparse(receiver.func) == "super":
        own = parameters(reader.levels[level - 1].function)
        return ast.Name(own[0], ast.Load()) if own else None
    return receiver


def _with_root(node: ast.expr, root: ast.expr) -> ast.expr:
    if isinstance(node, ast.Attribute):
        return ast.Attribute(_with_root(node.value, root), node.attr, node.ctx)
    if isinstance(node, ast.Subscript):
        return ast.Subscript(_with_root(node.value, root), node.slice, node.ctx)
    return root


def _stripped(node: ast.expr) -> str | None:
    """Without pandas' indexers: the rows of `self.table["label"].iloc` are those of `self.table`."""
    is_frame = False
    while True:
        if _is_indexer(node) and isinstance(node, ast.Attribute):
            node, is_frame = node.value, True
        elif is_frame and isinstance(node, ast.Subscript):
            node = node.value
        else:
            break
    for part in ast.walk(node):
        if isinstance(part, ast.Subscript) and not isinstance(
            part.slice, (ast.Constant, ast.Attribute)
        ):
            return None
    if not isinstance(node, (ast.Attribute, ast.Subscript, ast.Name)):
        return None
    code = ast.unparse(node)
    return code if '"' in code else code.replace("'", '"')


def _is_indexer(node: ast.expr) -> bool:
    """`self.table.iloc`; but `self.values` is an attribute of the dataset."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr in _INDEXERS
        and not isinstance(node.value, ast.Name)
    )


def is_global(tree: ast.Module, name: str) -> bool:
    return any(
        isinstance(t, ast.Name) and t.id == name
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        for t in statement.targets
    )
