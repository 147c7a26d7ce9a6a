"""Definitions of functions and classes, and imports."""

from __future__ import annotations

import ast

from torchmedic.abstract.statements import Statements
from torchmedic.abstract.values import (
    Class,
    Deferred,
    External,
    Function,
    Scope,
    Value,
)


class Definitions(Statements):
    """What `def`, `class` and `import` bind."""

    def _do_functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        frame = self.frame
        function: Value = Function(
            node,
            frame.source,
            frame.scope,
            self.enclosing_scopes(),
            self.defaults(node.args),
        )
        self.define(node, function)

    _do_asyncfunctiondef = _do_functiondef

    def define(self, node: ast.FunctionDef | ast.AsyncFunctionDef, function: Value) -> None:
        for decorator in reversed(node.decorator_list):
            function = self.decorated(self.evaluate(decorator), function, decorator)
        self.bind(node.name, function)

    def enclosing_scopes(self) -> tuple[Scope, ...]:
        frame = self.frame
        return (frame.local, *frame.closure) if frame.local is not frame.scope else ()

    def decorated(self, decorator: Value, function: Value, node: ast.expr) -> Value:
        raise NotImplementedError

    def _do_classdef(self, node: ast.ClassDef) -> None:
        frame = self.frame
        bases = tuple(self.evaluate(b) for b in node.bases if not isinstance(b, ast.Starred))
        cls = Class(node.name, node, frame.source, bases)
        outer = frame.local
        closure, frame.closure = frame.closure, self.enclosing_scopes()
        frame.local = cls.attributes
        try:
            self.body(node.body)
        finally:
            frame.local, frame.closure = outer, closure
        for value in cls.attributes.values():
            held = value
            while not isinstance(held, Function) and hasattr(held, "function"):
                held = held.function
            if isinstance(held, Function) and held.owner is None:
                held.owner = cls
        made: Value = cls
        for decorator in reversed(node.decorator_list):
            made = self.decorated(self.evaluate(decorator), made, decorator)
        self.bind(node.name, made)

    def _do_import(self, node: ast.Import) -> None:
        for alias in node.names:
            value = self.imported(alias.name, 0)
            if alias.asname is None and "." in alias.name:
                value = self.imported(alias.name.split(".")[0], 0)
            self.bind(alias.asname or alias.name.split(".")[0], value)

    def _do_importfrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                self.import_star(node.module or "", node.level)
            else:
                value = self.imported_name(node.module or "", node.level, alias.name)
                self.bind(alias.asname or alias.name, value)

    def imported(self, name: str, level: int) -> Value:
        return External(name)

    def imported_name(self, module: str, level: int, name: str) -> Value | Deferred:
        return External(f"{module}.{name}")

    def import_star(self, module: str, level: int) -> None:
        return
