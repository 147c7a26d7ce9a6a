"""What a Dataset's `__len__` returns: read from its source over the attributes that the crash showed, never called."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torchmedic.observed import Failure, Loader, Source, Value
from torchmedic.observed.project import Defined, Project
from torchmedic.observed.scopes import own_nodes, parameters
from torchmedic.observed.source import Function

Number = int | float | bool


class Length(NamedTuple):
    """The `return` of `__len__` that was, or may have been, executed."""

    source: Source
    function: Function
    returned: ast.expr
    number: int | None


def live_loader(failure: Failure, owner: ast.ClassDef, project: Project) -> Loader | None:
    """The loader whose dataset is of this class, or of a class derived from it; the one in use first."""
    for loader in sorted(failure.loaders, key=lambda known: not known.is_current):
        derived = class_of(failure, loader)
        if derived and any(base.node is owner for base in project.bases_of(derived)):
            return loader
    return None


def class_of(failure: Failure, loader: Loader) -> Defined | None:
    source = failure.source(loader.dataset_at)
    found = source.class_at(loader.dataset_at) if source and loader.dataset_at else None
    return Defined(source, found) if source and found else None


def is_torch_dataset(project: Project, owner: Defined) -> bool:
    """True if a base class is a Dataset of torch or torchvision."""
    for base in project.bases_of(owner):
        if isinstance(base.node, ast.ClassDef):
            for expression in base.node.bases:
                while isinstance(expression, ast.Subscript):  # Dataset[Sample]
                    expression = expression.value
                name = base.source.name(expression) or ""
                if name.startswith("torch") and name.endswith(("Dataset", "Subset", "Folder")):
                    return True
    return False


def length_of(project: Project, owner: Defined, held: Mapping[str, Value]) -> Length | None:
    """The `__len__` of the class or the nearest of its bases, and what it returned where that can be told."""
    for base in project.bases_of(owner):
        method = (
            base.source.method(base.node, "__len__")
            if isinstance(base.node, ast.ClassDef)
            else None
        )
        if method is None:
            continue
        run = _Run(held, (parameters(method) or [""])[0])
        returned = run.body(method.body)
        if returned is None:
            all_of_it = [
                n.value for n in own_nodes(method) if isinstance(n, ast.Return) and n.value
            ]
            if len(all_of_it) != 1:
                return None
            returned = all_of_it[0]
        number = run.value(returned)
        return Length(base.source, method, returned, int(number) if number is not None else None)
    return None


class _Run:
    """Executes `__len__` on known attributes. None: this can't be told."""

    def __init__(self, held: Mapping[str, Value], owner: str) -> None:
        self.held = held
        self.owner = owner
        self.local: dict[str, Number] = {}

    def body(self, statements: Sequence[ast.stmt]) -> ast.expr | None:
        """The expression of the `return` that is reached."""
        for statement in statements:
            if isinstance(statement, ast.Return):
                return statement.value
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                value = self.value(statement.value)
                if value is not None:
                    self.local[statement.targets[0].id] = value
            elif isinstance(statement, ast.If):
                test = self.value(statement.test)
                if test is None:
                    return None
                found = self.body(statement.body if test else statement.orelse)
                if found is not None:
                    return found
            elif not isinstance(statement, (ast.Expr, ast.Assert, ast.Pass)):
                return None
        return None

    def value(self, node: ast.expr) -> Number | None:
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, (int, float)) else None
        if isinstance(node, ast.Name):
            return self.local.get(node.id)
        if isinstance(node, ast.IfExp):
            test = self.value(node.test)
            return None if test is None else self.value(node.body if test else node.orelse)
        if isinstance(node, ast.BinOp):
            return self._operation(node)
        if isinstance(node, ast.UnaryOp):
            inner = self.value(node.operand)
            if inner is None:
                return None
            return not inner if isinstance(node.op, ast.Not) else -inner
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            return self._comparison(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Subscript):
            return self._size(node.value, node.slice) if _ends(node.value, "shape") else None
        known = self._known(node)
        return known.constant if known and isinstance(known.constant, (int, float)) else None

    def _operation(self, node: ast.BinOp) -> Number | None:
        left, right = self.value(node.left), self.value(node.right)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.FloorDiv):
            return left // right if right else None
        if isinstance(node.op, ast.Div):
            return left / right if right else None
        return None

    def _comparison(self, node: ast.Compare) -> bool | None:
        left, right = self._any(node.left), self._any(node.comparators[0])
        if left is None or right is None:
            return None
        operator = node.ops[0]
        if isinstance(operator, (ast.Eq, ast.NotEq)):
            return (left == right) == isinstance(operator, ast.Eq)
        if isinstance(left, str) or isinstance(right, str):
            return None
        if isinstance(operator, (ast.Lt, ast.LtE)):
            return left < right or (left == right and isinstance(operator, ast.LtE))
        if isinstance(operator, (ast.Gt, ast.GtE)):
            return left > right or (left == right and isinstance(operator, ast.GtE))
        return None

    def _any(self, node: ast.expr) -> Number | str | None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        known = self._known(node)
        return known.constant if known and isinstance(known.constant, str) else self.value(node)

    def _call(self, node: ast.Call) -> Number | None:
        name = ast.unparse(node.func)
        if name == "len" and len(node.args) == 1:
            known = self._known(node.args[0])
            return known.length if known else None
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("size", "__len__"):
            if node.func.attr == "size" and node.args:
                return self._size(ast.Attribute(node.func.value, "shape"), node.args[0])
            known = self._known(node.func.value)
            return known.length if known and node.func.attr == "__len__" else None
        given = [self.value(argument) for argument in node.args]
        numbers = [n for n in given if n is not None]
        if not numbers or len(numbers) != len(given) or node.keywords:
            return None
        if name in ("min", "max") and len(numbers) > 1:
            return (min if name == "min" else max)(numbers)
        if name in ("int", "math.floor", "floor"):
            return math.floor(numbers[0])
        return math.ceil(numbers[0]) if name in ("math.ceil", "ceil") else None

    def _size(self, shape: ast.expr, index: ast.expr) -> int | None:
        known = self._known(shape.value) if isinstance(shape, ast.Attribute) else None
        at = self.value(index)
        if known is None or known.tensor is None or type(at) is not int:
            return known.length if known and at == 0 else None
        sizes = known.tensor.shape
        return sizes[at] if -len(sizes) <= at < len(sizes) else None

    def _known(self, node: ast.expr) -> Value | None:
        return known_value(ast.unparse(node), self.owner, self.held)


def _ends(node: ast.expr, attribute: str) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == attribute


def known_value(code: str, owner: str, held: Mapping[str, Value]) -> Value | None:
    """The value of `self.rows`, `self.data["x"]` or `self.data[0]`, from the dataset's attributes."""
    head, _, rest = code.partition(".")
    if head != owner or not rest:
        return None
    attribute, bracket, key = rest.partition("[")
    value = held.get(attribute)
    if value is None or not bracket:
        return value
    key = key.removesuffix("]").strip("\"'")
    if key in value.keys:
        return value.items[value.keys.index(key)]
    if key.isdigit() and not value.keys and int(key) < len(value.items):
        return value.items[int(key)]
    return None
