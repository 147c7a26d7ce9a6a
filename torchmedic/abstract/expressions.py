"""Expressions of the syntax tree on abstract values."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from torchmedic.abstract.choices import chooses_by_data
from torchmedic.abstract.machine import Flow
from torchmedic.abstract.operators import (
    LONGEST_TEXT,
    Operators,
    calls_and_sums,
    data_of,
    from_size,
    is_soft,
    size_of,
)
from torchmedic.abstract.values import (
    ANY,
    Arguments,
    Bound,
    Choice,
    Class,
    Const,
    Deferred,
    Dict,
    External,
    Function,
    Namespace,
    Object,
    Scope,
    Sequence,
    Tensor,
    Unknown,
    Value,
)
from torchmedic.observed.trace import Branch

if TYPE_CHECKING:
    from torchmedic.observed import Source


@cache
def _evaluators(machine: Any) -> dict[type[ast.expr], Callable[[Any, Any], Value]]:
    """What evaluates each kind of expression."""
    return {
        kind: getattr(machine, f"_{kind.__name__.lower()}", machine._other)
        for kind in ast.expr.__subclasses__()
    }


def _is_word(value: Value) -> bool:
    return isinstance(value, Const) and type(value.value) in (int, str)


def of_dtype(named: str, fact: str) -> Value:
    """`torch.long.is_floating_point`."""
    from torchmedic.abstract.tables.dtypes import category, dtype_of_torch

    if named == "torch":
        return External(f"torch.{fact}")  # the function
    dtype = dtype_of_torch(named)
    if dtype and fact == "is_floating_point":
        return Const(category(dtype) == 2)
    if dtype and fact == "is_complex":
        return Const(category(dtype) == 3)
    return Unknown(False)


class Expressions(Operators):
    """Evaluates expressions. What it can't tell is `Unknown`, with the graphs that may be in it."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        kind: Any = type(self)
        self._evaluators = _evaluators(kind)

    def evaluate(self, node: ast.expr) -> Value:
        self._steps += 1
        if self._steps > self._pause:
            self.check_budget()
        frame = self.frames[-1]
        outer, frame.node = frame.node, node
        try:
            return self._evaluators[type(node)](self, node)
        finally:
            frame.node = outer

    def unknown(self, *inputs: Value, why: str = "", hint: str = "") -> Unknown:
        """Something that was computed from these."""
        data = data_of(*inputs)
        may_call = any(isinstance(v, (Function, Class)) for v in inputs)  # layers
        if not data:
            return Unknown(None if may_call else False, hint=hint, why=why)
        self.note_use(*data)
        reach = cuts = 0
        for one in data:
            cuts |= one.cuts
            if one.graph is not False:
                reach |= one.reach
        if may_call:
            reach = ANY
        elif reach > 0:
            self.leaked |= reach
        return Unknown(None, *calls_and_sums(data), hint, why, reach=reach, cuts=cuts)

    def _other(self, node: ast.expr) -> Value:
        parts = [self.evaluate(c) for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr)]
        return self.unknown(*parts)

    def _constant(self, node: ast.Constant) -> Value:
        return Const(node.value)

    def _joinedstr(self, node: ast.JoinedStr) -> Value:
        parts: list[Value] = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                value = self.evaluate(part.value)
                self.note_use(value)
                is_plain = part.conversion == -1 and part.format_spec is None
                parts.append(value if is_plain and _is_word(value) else Unknown(hint="str"))
            else:
                parts.append(self.evaluate(part))
        if not all(isinstance(part, Const) for part in parts):
            return Unknown(hint="str")
        text = "".join(str(part.value) for part in parts if isinstance(part, Const))
        return Const(text, is_soft(*parts)) if len(text) < LONGEST_TEXT else Unknown(hint="str")

    def _name(self, node: ast.Name) -> Value:
        return self.look_up(node.id)

    def look_up(self, name: str) -> Value:
        frame = self.frames[-1]
        if name not in frame.global_names:
            if name in frame.local:
                return self.value_in(frame.local, name)
            for scope in frame.closure:
                if name in scope:
                    return self.value_in(scope, name)
        if name in frame.scope:
            return self.value_in(frame.scope, name)
        return self.builtin(name)

    def value_in(self, scope: Scope, name: str) -> Value:
        """What the name is bound to there; unknown if it isn't."""
        value = scope.get(name)
        if isinstance(value, Value):
            return value
        if isinstance(value, Deferred):
            scope[name] = found = value.settled()  # as it always was, so no arm has to take it back
            return found
        return Unknown(why=name)

    def scope_of(self, module: Namespace) -> Scope:
        """What the module of the project binds."""
        return module.scope

    def builtin(self, name: str) -> Value:
        return External(f"builtins.{name}")

    def _attribute(self, node: ast.Attribute) -> Value:
        return self.attribute(self.evaluate(node.value), node.attr)

    def attribute(self, value: Value, name: str) -> Value:
        """The attribute as Python would find it."""
        if isinstance(value, External):
            if name in ("is_floating_point", "is_complex", "is_signed", "itemsize"):
                return of_dtype(value.name, name)
            return self.external(f"{value.name}.{name}")
        if isinstance(value, Namespace):
            return self.value_in(self.scope_of(value), name)
        if isinstance(value, Choice):
            able = [v for v in value.values if not isinstance(v, Const)]
            return self.either([self.attribute(v, name) for v in able or value.values])
        if isinstance(value, Class):
            return self.class_attribute(value, name)
        if isinstance(value, Object):
            return self.object_attribute(value, name)
        if isinstance(value, Tensor):
            return self.tensor_attribute(value, name)
        if isinstance(value, Sequence) and name in value.names and value.is_exact:
            return value.items[value.names.index(name)]
        return self.other_attribute(value, name)

    def external(self, name: str) -> Value:
        return External(name)

    def either(self, values: list[Value]) -> Value:
        from torchmedic.abstract.joins import join_values

        return join_values(values) if values else Unknown()

    def class_attribute(self, value: Class, name: str) -> Value:
        raise NotImplementedError

    def object_attribute(self, value: Object, name: str) -> Value:
        raise NotImplementedError

    def tensor_attribute(self, value: Tensor, name: str) -> Value:
        raise NotImplementedError

    def other_attribute(self, value: Value, name: str) -> Value:
        return Bound(value, name)

    def call(self, function: Value, arguments: Arguments) -> Value:
        raise NotImplementedError

    def iterate(self, value: Value) -> tuple[list[Value], bool]:
        """The items to walk, and whether they are all: two stand for many."""
        raise NotImplementedError

    def _ifexp(self, node: ast.IfExp) -> Value:
        test = self.evaluate(node.test)
        truth = None if is_soft(test) else self.truth(test)
        if truth is not None:
            return self.evaluate(node.body if truth else node.orelse)
        values: list[Value] = []

        def take(branch: ast.expr) -> Callable[[], Flow]:
            def work() -> Flow:
                values.append(self.evaluate(branch))
                return Flow.NEXT

            return work

        at = self.span(node)
        branches = enumerate((node.body, node.orelse))
        with self.guarded(chooses_by_data(node.test)):
            arms = [self.arm(Branch(at, i), take(b)) for i, b in branches]
        self.join(arms)
        return self.either(values)

    # --- containers

    def _tuple(self, node: ast.Tuple) -> Value:
        return self._collected(node.elts, "tuple")

    def _list(self, node: ast.List) -> Value:
        return self._collected(node.elts, "list")

    def _set(self, node: ast.Set) -> Value:
        from torchmedic.abstract.joins import distinct

        found = self._collected(node.elts, "set")
        return distinct(found) if isinstance(found, Sequence) else found

    def _collected(self, nodes: list[ast.expr], kind: str) -> Value:
        items: list[Value] = []
        rest: list[Value] = []
        owners: frozenset[int] = frozenset()
        for node in nodes:
            if not isinstance(node, ast.Starred):
                items.append(self.evaluate(node))
                continue
            value = self.evaluate(node.value)
            if isinstance(value, Sequence) and value.is_exact:
                items += value.items
                continue
            inner, _ = self.iterate(value)
            rest += inner
            owners |= getattr(value, "owners", frozenset())
        if rest:
            return Sequence(kind, rest=self.either([*items, *rest]), owners=owners)
        return Sequence(kind, tuple(items))

    def _dict(self, node: ast.Dict) -> Value:
        items: dict[Any, Value] = {}
        rest: list[Value] = []
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            value = self.evaluate(value_node)
            if key_node is None:
                if isinstance(value, Dict):
                    items |= value.items
                    rest += [value.rest] if value.rest is not None else []
                else:
                    rest.append(Unknown())
                continue
            key = self.evaluate(key_node)
            if isinstance(key, Const):
                items[key.value] = value
            else:
                rest.append(value)
        return Dict(items, self.either(rest) if rest else None)

    def _starred(self, node: ast.Starred) -> Value:
        return self.evaluate(node.value)

    def _slice(self, node: ast.Slice) -> Value:
        parts = [
            self.evaluate(p) if p else Const(None) for p in (node.lower, node.upper, node.step)
        ]
        return Object(type="builtins.slice", items=tuple(parts))

    def _subscript(self, node: ast.Subscript) -> Value:
        return self.subscript(self.evaluate(node.value), self.evaluate(node.slice))

    def subscript(self, value: Value, key: Value) -> Value:
        raise NotImplementedError

    # --- calls, functions, comprehensions

    def _call(self, node: ast.Call) -> Value:
        function = self.evaluate(node.func)
        args: list[Value] = []
        keywords: dict[str, Value] = {}
        is_complete = True
        for part in node.args:
            if not isinstance(part, ast.Starred):
                args.append(self.evaluate(part))
                continue
            value = self.evaluate(part.value)
            if isinstance(value, Sequence) and value.is_exact:
                args += value.items
            else:
                rest = value.rest if isinstance(value, Sequence) else None
                length = value.size if isinstance(value, Sequence) else None
                args.append(Sequence("tuple", rest=rest or self.unknown(value), length=length))
                is_complete = False
        for keyword in node.keywords:
            value = self.evaluate(keyword.value)
            if keyword.arg is not None:
                keywords[keyword.arg] = value
            elif isinstance(value, Dict):
                keywords |= {str(k): v for k, v in value.items.items()}
                is_complete = is_complete and value.rest is None
            else:
                is_complete = False
        self.frame.node = node
        return self.call(function, Arguments(node, args, keywords, is_complete))

    def _lambda(self, node: ast.Lambda) -> Value:
        frame = self.frame
        return Function(
            node, frame.source, frame.scope, (frame.local, *frame.closure), self.defaults(node.args)
        )

    def defaults(self, arguments: ast.arguments) -> dict[str, Value]:
        found: dict[str, Value] = {}
        positional = [*arguments.posonlyargs, *arguments.args]
        for arg, default in zip(reversed(positional), reversed(arguments.defaults), strict=False):
            found[arg.arg] = self.evaluate(default)
        for arg, given in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            if given is not None:
                found[arg.arg] = self.evaluate(given)
        return found

    def _namedexpr(self, node: ast.NamedExpr) -> Value:
        value = self.evaluate(node.value)
        self.write(self.frame.local, node.target.id, value)
        return value

    def _await(self, node: ast.Await) -> Value:
        return self.evaluate(node.value)

    def _yield(self, node: ast.Yield) -> Value:
        value = self.evaluate(node.value) if node.value else Const(None)
        frame = self.frame
        if frame.on_yield is not None:
            frame.on_yield(value)
        elif frame.yielded is not None:
            frame.yielded.append(value)
        return Unknown()

    def _yieldfrom(self, node: ast.YieldFrom) -> Value:
        items, _ = self.iterate(self.evaluate(node.value))
        if self.frame.yielded is not None:
            self.frame.yielded += items
        return Unknown()

    def assign(self, target: ast.expr, value: Value) -> None:
        raise NotImplementedError


__all__ = ["Expressions", "data_of", "from_size", "is_soft", "size_of"]
