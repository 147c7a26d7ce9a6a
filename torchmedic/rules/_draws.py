"""Where a method certainly uses an attribute of its object, as the values of other attributes decide."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from torchmedic.model import Span
from torchmedic.observed import Failure, Loader, Source, Value, load
from torchmedic.observed.project import Defined, Project
from torchmedic.observed.source import Function

# What makes, seeds or moves a generator, or knows of workers.
_OWN_STATE = r"(?i:worker|getpid|seed|default_rng|spawn|set_?state|jumped|advance)|RandomState|\bRandom\(|Generator\("
_ONCE = ("__init__", "__post_init__", "__new__")
_OWN_WAYS = ("__getitems__", "__getstate__", "__setstate__", "__reduce__", "__reduce_ex__")
_DEEPEST = 3
_STOPS = (ast.Return, ast.Raise)
_INNER = (ast.Lambda, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Member(NamedTuple):
    source: Source
    function: Function

    @property
    def me(self) -> str:
        given = [*self.function.args.posonlyargs, *self.function.args.args]
        return given[0].arg if given else ""


class Use(NamedTuple):
    at: Span
    made_at: Span | None  # where the attribute is set, if that is one place


def methods_of(at: Span | None) -> dict[str, Member]:
    """The methods of a class and of its bases that are in the project; empty if the class is not found."""
    source = load(at.path) if at is not None else None
    owner = source.class_at(at) if source is not None and at is not None else None
    if source is None or owner is None:
        return {}
    project = Project(Failure("", "", loaders=(Loader(dataset_at=at),)))
    found: dict[str, Member] = {}
    for base in project.bases_of(Defined(source, owner)):
        if not isinstance(base.node, ast.ClassDef):
            continue
        for item in base.node.body:
            if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
                is_next = item.name in _ONCE and item.name in found  # called by `super().__init__`
                name = f"{base.node.name}.{item.name}" if is_next else item.name
                found.setdefault(name, Member(base.source, item))
    return found


def use_in_items(
    methods: Mapping[str, Member], generator: str, values: Mapping[str, Value]
) -> Use | None:
    """Where `__getitem__` certainly draws from the generator; None if the class cares for its state."""
    later = [m for m in methods.values() if m.function.name not in _ONCE]
    texts = (m.source.code(m.function) for m in later)
    if methods.keys() & set(_OWN_WAYS) or any(re.search(_OWN_STATE, text) for text in texts):
        return None
    if any(_is_set(m, generator) for m in later):
        return None
    item = methods.get("__getitem__")
    found = _Search(methods, generator, values).in_method(item, _DEEPEST) if item else None
    if found is None:
        return None
    member, node = found
    made = [
        m.source.span(statement)
        for m in methods.values()
        if m.function.name in _ONCE
        for statement in _settings(m, generator)
    ]
    return Use(member.source.span(node), made[0] if len(made) == 1 else None)


def _settings(member: Member, name: str, within: ast.AST | None = None) -> Iterator[ast.stmt]:
    for node in ast.walk(within or member.function):
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(_is_mine(member, t, name) for target in targets for t in ast.walk(target)):
                yield node


def _is_set(member: Member, name: str) -> bool:
    return any(True for _ in _settings(member, name))


def _is_set_in(member: Member, arm: ast.If, name: str) -> bool:
    """True if the condition asks for the attribute and an arm sets it: what is done once is kept."""
    asks = any(_is_mine(member, node, name) for node in ast.walk(arm.test))
    return asks and any(True for _ in _settings(member, name, arm))


def _is_mine(member: Member, node: ast.AST, name: str) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr == name
        and isinstance(node.value, ast.Name)
        and node.value.id == member.me
    )


Found = tuple[Member, ast.expr]


class _Search:
    def __init__(
        self, methods: Mapping[str, Member], name: str, values: Mapping[str, Value]
    ) -> None:
        self.methods = methods
        self.name = name
        self.values = values

    def in_method(self, member: Member, depth: int) -> Found | None:
        found, _ = self._block(member, member.function.body, depth) if depth else (None, True)
        return found

    def _block(
        self, member: Member, body: Sequence[ast.stmt], depth: int
    ) -> tuple[Found | None, bool]:
        """The first certain use, and whether what comes behind is uncertain."""
        for statement in body:
            found, is_over = self._statement(member, statement, depth)
            if found is not None or is_over:
                return found, is_over
        return None, False

    def _statement(
        self, member: Member, statement: ast.stmt, depth: int
    ) -> tuple[Found | None, bool]:
        if isinstance(statement, _INNER):
            return None, False
        blocks: list[list[ast.stmt]] = []
        if isinstance(statement, ast.If):
            is_once = any(_is_set_in(member, statement, name) for name in self.values)
            known = None if is_once else self._truth(member, statement.test)
            heads: list[ast.expr] = [statement.test]
            if known is None and any(isinstance(n, _STOPS) for n in ast.walk(statement)):
                return self._first(member, heads, depth), True
            blocks = [] if known is None else [statement.body if known else statement.orelse]
        elif isinstance(statement, (ast.For, ast.AsyncFor)):
            heads, blocks = [statement.iter], [statement.body]
        elif isinstance(statement, ast.While):
            heads = [statement.test]
        elif isinstance(statement, (ast.With, ast.AsyncWith)):
            heads, blocks = [i.context_expr for i in statement.items], [statement.body]
        elif isinstance(statement, ast.Try):
            heads, blocks = [], [statement.body]
        elif isinstance(statement, ast.Match):
            heads = [statement.subject]
        else:
            heads = [n for n in ast.iter_child_nodes(statement) if isinstance(n, ast.expr)]
        found = self._first(member, heads, depth)
        if found is not None:
            return found, False
        for block in blocks:
            found, is_over = self._block(member, block, depth)
            if found is not None or is_over:
                return found, is_over
        return None, isinstance(statement, _STOPS)

    def _first(self, member: Member, heads: Sequence[ast.expr], depth: int) -> Found | None:
        for head in heads:
            for node in self._certain(member, head):
                if isinstance(node, ast.Call):
                    held = node.func.value if isinstance(node.func, ast.Attribute) else None
                    handed = [*node.args, *(k.value for k in node.keywords)]
                    if any(
                        a is not None and _is_mine(member, a, self.name) for a in (held, *handed)
                    ):
                        return member, node
                    other = self._own_method(member, node)
                    found = self.in_method(other, depth - 1) if other is not None else None
                    if found is not None:
                        return found
                elif _is_mine(member, node, self.name) and node is head:
                    return member, node  # `rng = self.rng`
        return None

    def _own_method(self, member: Member, call: ast.Call) -> Member | None:
        function = call.func
        is_mine = (
            isinstance(function, ast.Attribute)
            and isinstance(function.value, ast.Name)
            and function.value.id == member.me
        )
        found = self.methods.get(function.attr) if is_mine else None  # type: ignore[attr-defined]
        return found if found is None or not found.function.decorator_list else None

    def _certain(self, member: Member, node: ast.expr) -> Iterator[ast.expr]:
        """The expressions that are evaluated whenever this one is."""
        yield node
        inner: list[ast.AST] = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.IfExp):
            known = self._truth(member, node.test)
            inner = [node.test]
            if known is not None:
                inner.append(node.body if known else node.orelse)
        elif isinstance(node, ast.BoolOp):
            inner = [node.values[0]]
        elif isinstance(node, ast.Lambda):
            inner = []
        for child in inner:
            if isinstance(child, ast.keyword):
                child = child.value
            if isinstance(child, ast.comprehension):
                child = child.iter
            if isinstance(child, ast.expr):
                yield from self._certain(member, child)

    # --- conditions

    def _truth(self, member: Member, test: ast.expr) -> bool | None:
        """Whether it holds, as the attributes tell; None if they don't."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self._truth(member, test.operand)
            return None if inner is None else not inner
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            return self._compared(member, test)
        if isinstance(test, ast.BoolOp):
            known = [self._truth(member, v) for v in test.values]
            decides = isinstance(test.op, ast.Or)
            if decides in known:
                return decides
            return None if None in known else not decides
        value = self._value(member, test)
        if value is None or (value.constant is None and value.type != "NoneType"):
            return None
        return bool(value.constant)

    def _compared(self, member: Member, test: ast.Compare) -> bool | None:
        value, other = self._value(member, test.left), test.comparators[0]
        if value is None or not isinstance(other, ast.Constant):
            return None
        operation = test.ops[0]
        if isinstance(operation, (ast.Is, ast.IsNot)) and other.value is None:
            return (value.type == "NoneType") == isinstance(operation, ast.Is)
        given, wanted = value.constant, other.value
        if isinstance(operation, ast.Gt):
            is_number = isinstance(given, (int, float)) and isinstance(wanted, (int, float))
            return bool(given > wanted) if is_number else None  # type: ignore[operator]
        if isinstance(operation, (ast.Eq, ast.NotEq)) and type(given) is type(wanted):
            return (given == wanted) == isinstance(operation, ast.Eq)
        return None

    def _value(self, member: Member, node: ast.expr) -> Value | None:
        return next((v for k, v in self.values.items() if _is_mine(member, node, k)), None)
