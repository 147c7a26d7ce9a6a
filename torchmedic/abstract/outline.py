"""What a module's own statements tell before it is executed: its imports, its names, and whether anybody could notice
when it is executed."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import NamedTuple

_LISTENING = frozenset(
    ("exec", "eval", "setattr", "delattr", "getattr", "__import__", "map", "filter", "super", "compile")
)  # fmt: skip
_HARMLESS = frozenset(dir(builtins)) - _LISTENING | {"__file__", "__path__"}
_ACCESSORS = ("setter", "getter", "deleter")  # of a property
_SEEDS = r"(?i)seed|determinis|reproduc|^_?(init|set_?up|prepare|configure|bootstrap)"
_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.Tuple, ast.ListComp, ast.DictComp, ast.SetComp)


class Sort(IntEnum):
    """What a name stands for, as far as calls of it and writes into it are concerned."""

    OURS = 0  # something of another module of the project, or it can't be told
    LIBRARY = 1  # as a decorator it only marks
    DEFINITION = 2  # a function or class of this module
    CONTAINER = 3  # a display of this module, which may hold anything
    HARMLESS = 4  # of the standard library, or made by it: its calls can't be noticed


class Import(NamedTuple):
    """An import statement. `arms`: the compound statements that it stands in, and in which arm."""

    node: ast.Import | ast.ImportFrom
    arms: tuple[tuple[ast.stmt, int], ...] = ()
    is_guarded: bool = False  # by a `try`


class Outline(NamedTuple):
    """`is_plain`: the module only defines, and changes nothing that isn't its own, so it may be executed later."""

    imports: tuple[Import, ...]
    names: frozenset[str]
    has_star: bool
    is_plain: bool


def outline(tree: ast.Module, sort_of: Callable[[str, int], Sort]) -> Outline:
    """`sort_of` tells it of a module and the level of a relative import. Its answers depend on the main file."""
    told: _Told | None = getattr(tree, "_torchmedic_outline", None)
    if told is None or any(sort_of(*asked) is not sort for asked, sort in told.sorts.items()):
        reading = _Reading(sort_of)
        reading.body(tree.body)
        told = tree._torchmedic_outline = _Told(reading.told(), reading.asked)  # type: ignore[attr-defined]
    return told.outline


class _Told(NamedTuple):
    outline: Outline
    sorts: dict[tuple[str, int], Sort]  # that were asked for


class _Reading:
    def __init__(self, sort_of: Callable[[str, int], Sort]) -> None:
        self._sort_of_module = sort_of
        self.asked: dict[tuple[str, int], Sort] = {}
        self.imports: list[Import] = []
        self.sorts: dict[str, Sort] = {}
        self.has_star = False
        self.is_plain = True
        self._arms: tuple[tuple[ast.stmt, int], ...] = ()
        self._guards = 0

    def told(self) -> Outline:
        return Outline(tuple(self.imports), frozenset(self.sorts), self.has_star, self.is_plain)

    def body(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self.imports.append(Import(node, self._arms, self._guards > 0))
            self._import(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._expressions([*node.args.defaults, *filter(None, node.args.kw_defaults)])
            self._decorators(node)
            self._bind(node.name, Sort.DEFINITION)
        elif isinstance(node, ast.ClassDef):
            self._expressions([*node.bases, *(k.value for k in node.keywords)])
            outer, self.sorts = self.sorts, dict(self.sorts)
            self.body(node.body)
            self.sorts = outer
            self._decorators(node)
            self._bind(node.name, Sort.DEFINITION)
        elif isinstance(node, ast.If):
            self._if(node)
        elif isinstance(node, ast.Try):
            self._try(node)
        else:
            self._other(node)

    def _other(self, node: ast.AST) -> None:
        parts = list(ast.iter_child_nodes(node))
        self._expressions(p for p in parts if isinstance(p, ast.expr))
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._target(target, self._sort(node.value))
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self._target(node.target, self._sort(node.value))
        elif isinstance(node, ast.AugAssign):
            self._augmented(node)
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            self._target(node.target, self._sort(node.iter))
        elif isinstance(node, ast.withitem):
            if node.optional_vars is not None:
                self._target(node.optional_vars, self._sort(node.context_expr))
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                self._target(target, Sort.OURS)
        for part in parts:
            if isinstance(part, ast.stmt):
                self._statement(part)
            elif isinstance(part, (ast.withitem, ast.match_case, ast.pattern)):
                self._other(part)
            elif isinstance(part, ast.MatchAs) and part.name:
                self._bind(part.name, Sort.OURS)

    def _arm(self, node: ast.stmt, number: int, body: list[ast.stmt]) -> None:
        outer, self._arms = self._arms, (*self._arms, (node, number))
        self.body(body)
        self._arms = outer

    def _if(self, node: ast.If) -> None:
        self._expressions([node.test])
        if not _is_of_main(node.test):
            self._arm(node, 0, node.body)
        self._arm(node, 1, node.orelse)

    def _try(self, node: ast.Try) -> None:
        self._guards += bool(node.handlers)
        self.body(node.body)
        self._guards -= bool(node.handlers)
        self.body(node.orelse)
        for number, handler in enumerate(node.handlers):
            if handler.name:
                self._bind(handler.name, Sort.HARMLESS)
            self._arm(handler.body[0], number, handler.body)
        self.body(node.finalbody)

    # --- names

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            asked, name = (alias.name, 0), alias.name.split(".")[0]
            if isinstance(node, ast.ImportFrom):
                asked, name = (node.module or "", node.level), alias.name
            if asked not in self.asked:
                self.asked[asked] = self._sort_of_module(*asked)
            if alias.name == "*":
                self.has_star = True
            else:
                self._bind(alias.asname or name, self.asked[asked])

    def _bind(self, name: str, sort: Sort) -> None:
        known = self.sorts.get(name, sort)
        if known is not sort:
            is_own = min(known, sort) is Sort.CONTAINER
            sort = Sort.CONTAINER if is_own else Sort.OURS
        self.sorts[name] = sort

    def _sort_of_name(self, name: str) -> Sort:
        return self.sorts.get(name, Sort.HARMLESS if name in _HARMLESS else Sort.OURS)

    def _sort(self, value: ast.expr) -> Sort:
        """Of what the expression makes."""
        if isinstance(value, ast.Name):
            return self._sort_of_name(value.id)
        if isinstance(value, ast.Constant):
            return Sort.HARMLESS
        names = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
        if all(self._sort_of_name(name) is Sort.HARMLESS for name in names):
            return Sort.HARMLESS
        return Sort.CONTAINER if isinstance(value, _DISPLAYS) else Sort.OURS

    # --- what could be noticed

    def _target(self, target: ast.expr, sort: Sort) -> None:
        if isinstance(target, ast.Name):
            self._bind(target.id, sort)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for element in target.elts:
                self._target(element, sort if sort is Sort.HARMLESS else Sort.OURS)
        elif isinstance(target, ast.Starred):
            self._target(target.value, sort)
        elif isinstance(target, (ast.Attribute, ast.Subscript)):
            root = self._sort_of_name(_root(target))
            is_own = root is Sort.HARMLESS or (
                isinstance(target.value, ast.Name) and root in (Sort.DEFINITION, Sort.CONTAINER)
            )
            self.is_plain = self.is_plain and is_own

    def _augmented(self, node: ast.AugAssign) -> None:
        if not isinstance(node.target, ast.Name):
            self._target(node.target, Sort.OURS)
            return
        sort = self._sort_of_name(node.target.id)
        if sort not in (Sort.HARMLESS, Sort.CONTAINER):
            self.is_plain = False
        elif self._sort(node.value) is not Sort.HARMLESS:
            self._bind(node.target.id, Sort.CONTAINER)

    def _decorators(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            called = decorator
            if isinstance(decorator, ast.Call):
                self._expressions([*decorator.args, *(k.value for k in decorator.keywords)])
                called = decorator.func
            sort = self._sort_of_name(_root(called))
            is_accessor = isinstance(decorator, ast.Attribute) and decorator.attr in _ACCESSORS
            marks = sort in (Sort.HARMLESS, Sort.LIBRARY) and not _may_seed(called)
            if not marks and not (sort is Sort.DEFINITION and is_accessor):
                self.is_plain = False

    def _expressions(self, nodes: Iterable[ast.expr]) -> None:
        waiting: list[ast.AST] = [*nodes]
        for node in waiting:
            if isinstance(node, ast.Lambda):
                waiting += [*node.args.defaults, *filter(None, node.args.kw_defaults)]
                continue
            for generator in getattr(node, "generators", ()):
                for name in ast.walk(generator.target):
                    if isinstance(name, ast.Name):
                        self.sorts.setdefault(name.id, self._sort(generator.iter))
            if isinstance(node, ast.NamedExpr):
                self._bind(node.target.id, self._sort(node.value))
            elif isinstance(node, ast.Call) and not self._is_harmless(node.func):
                self.is_plain = False
            waiting += ast.iter_child_nodes(node)

    def _is_harmless(self, called: ast.expr) -> bool:
        if _may_seed(called):
            return False
        is_method = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name)
        sort = self._sort_of_name(_root(called))
        return sort is Sort.HARMLESS or (is_method and sort is Sort.CONTAINER)


def _root(node: ast.expr) -> str:
    """The name that a chain of attributes, items and calls begins with; that of a builtin for a constant or a display."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Name):
        return node.id
    return "object" if isinstance(node, (ast.Constant, ast.JoinedStr)) else "?"


def _is_of_main(test: ast.expr) -> bool:
    """True for `__name__ == "__main__"`, which isn't so in a module."""
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
        and isinstance(test.ops[0], ast.Eq)
    )


def _may_seed(called: ast.expr) -> bool:
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return bool(re.search(_SEEDS, name))
