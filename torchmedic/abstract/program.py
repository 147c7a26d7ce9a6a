"""The whole machine: a file as `__main__`, the project's modules that it imports, and what nobody calls."""

from __future__ import annotations

import ast

from torchmedic.abstract import tables
from torchmedic.abstract.datasets import remaining
from torchmedic.abstract.imports import Imports
from torchmedic.abstract.machine import Frame, OverBudget
from torchmedic.abstract.modules import Row
from torchmedic.abstract.notes import CONVERSIONS
from torchmedic.abstract.registry import (
    ARRAY_METHODS,
    CONSTANTS,
    METHODS,
    TENSOR_ATTRIBUTES,
    TENSOR_METHODS,
    canonical,
)
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.summary import layers_of
from torchmedic.abstract.tables.arithmetic import binary, compared, unary
from torchmedic.abstract.tables.data import last_turn, walked
from torchmedic.abstract.tables.events import accumulate
from torchmedic.abstract.tables.inplace import assigned, augmented, set_requires_grad
from torchmedic.abstract.tables.iteration import item, items
from torchmedic.abstract.values import (
    NOWHERE,
    Arguments,
    Bound,
    Choice,
    Class,
    Const,
    Dict,
    External,
    Function,
    Iterator,
    Namespace,
    Number,
    Object,
    Sequence,
    Super,
    Tensor,
    Unknown,
    Value,
)
from torchmedic.observed import Source
from torchmedic.observed.source import within
from torchmedic.observed.trace import Trace

UNROLLED_TRAINING = 4  # where the body holds a loop or a backward pass


class Machine(Imports):
    """Executes one program abstractly. Never runs it, never imports what it imports."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        tables.fill()
        self._active: list[Row] = []
        self._rows: list[Row] = []
        self.called_types = set()
        self._called: set[int] = set()
        self._exits = []

    def run(self) -> Trace:
        """Executes the file, then what nobody called."""
        main = Namespace(
            "__main__",
            {"__name__": Const("__main__"), "__file__": Unknown(hint="str")},
            self.source,
        )
        is_script, started = False, None
        try:
            self._execute_file(main)
            is_script = any(e.kind in ("backward", "step", "call") for e in self.events)
            started = len(self.events)
            self._uncalled(main)
        except (OverBudget, RecursionError):
            self.is_complete = False
        return Trace(
            self.source,
            tuple(self.events),
            tuple(self.failures),
            self.is_complete,
            is_script,
            frozenset(self.frameworks),
            dict(self.sources),
            started,
            tuple(self.cuts),
            layers_of(self) if any(e.kind == "step" for e in self.events) else {},
        )

    def _uncalled(self, main: Namespace) -> None:
        """Functions and classes of the file that the execution did not enter, with unknown arguments."""
        self.renew(0.4)
        self.frames.append(Frame(main.source, main.scope, main.scope))
        try:
            for value in list(main.scope.values()):
                if isinstance(value, Function) and value.source is main.source:
                    if id(value.node) not in self._called:
                        self.frame.node = (
                            value.node.body[0] if isinstance(value.node.body, list) else None
                        )
                        self._enter(value)
                elif isinstance(value, Class) and value.source is main.source:
                    self._uncalled_methods(value)
            classes = [v for v in main.scope.values() if isinstance(v, Class)]
            remaining(self, [c for c in classes if c.source is main.source])
        finally:
            self.frames.pop()

    def _uncalled_methods(self, cls: Class) -> None:
        methods = [
            f
            for f in cls.attributes.values()
            if isinstance(f, Function) and id(f.node) not in self._called and f.name != "__init__"
        ]
        if not methods:
            return
        self.frame.node = cls.node
        made = self.instantiate(cls, Arguments(NOWHERE, [], {}, is_complete=False))
        for function in methods:
            if id(function.node) in self._called:
                continue
            self.frame.node = cls.node
            self.entry = function.qualname
            if function.name == "forward" and self.is_module(made) and isinstance(made, Object):
                count = len(function.node.args.args) - 1
                inputs: list[Value] = [Tensor(None, dtype="") for _ in range(count)]
                self.call_module(made, Arguments(NOWHERE, inputs, {}))
            elif function.name == "__getitem__":
                self.call_function(function, Arguments(NOWHERE, [Number()], {}), made)
            else:
                self._enter(function, made)
        self.entry = ""

    def _enter(self, function: Function, receiver: Value | None = None) -> None:
        self.entry = function.qualname
        result = self.call_function(function, Arguments(NOWHERE, [], {}), receiver)
        self.note_use(result)
        self.returned(result)
        self.entry = ""

    def call_function(
        self, function: Function, arguments: Arguments, receiver: Value | None = None
    ) -> Value:
        self._called.add(id(function.node))
        return super().call_function(function, arguments, receiver)

    def external(self, name: str) -> Value:
        if name in CONSTANTS:
            return Const(CONSTANTS[name])
        return External(canonical(name))

    # --- library values

    def builtin(self, name: str) -> Value:
        frame = self.frame
        if name == "super":
            return External("builtins.super")
        if name in ("__name__", "__file__"):
            held = frame.scope.get(name)
            return held if isinstance(held, Value) else Unknown()
        return External(f"builtins.{name}")

    def tensor_attribute(self, value: Tensor, name: str) -> Value:
        handler = TENSOR_ATTRIBUTES.get(name)
        return handler(self, value) if handler else Bound(value, name)

    def call_method(self, bound: Bound, arguments: Arguments) -> Value:
        receiver = bound.receiver
        if isinstance(receiver, Tensor):
            self.note_gradient(receiver, bound.name)
            table = ARRAY_METHODS if receiver.library == "numpy" else TENSOR_METHODS
            handler = table.get(bound.name) if receiver.library else None
            if handler is not None:
                if bound.name in CONVERSIONS and receiver.library == "torch":
                    self.note_dropped(receiver, bound.name)
                return handler(self, receiver, arguments)
            return self.unknown(receiver, *arguments.all())
        for kind in _kinds(receiver):
            if found := METHODS.get((kind, bound.name)):
                return found(self, receiver, arguments)  # type: ignore[arg-type]
        if isinstance(receiver, Choice):
            return self.call(
                self.either([Bound(v, bound.name) for v in receiver.values]), arguments
            )
        return super().call_method(bound, arguments)

    def tensor_binary(self, op: ast.operator, left: Value, right: Value) -> Value:
        return binary(self, op, left, right)

    def tensor_unary(self, op: ast.unaryop, value: Tensor) -> Value:
        return unary(self, op, value)

    def binary_into(self, op: ast.operator, before: Value, value: Value) -> Value:
        if isinstance(before, Tensor) and before.library == "torch":
            return augmented(self, op, before, value)
        if isinstance(before, Dict) and isinstance(op, ast.BitOr):
            self.call_method(Bound(before, "update"), Arguments(NOWHERE, [value], {}))
            return before
        return super().binary_into(op, before, value)

    def assign_into(self, tensor: Tensor, value: Value) -> None:
        assigned(self, tensor, value)

    def require_grad(self, tensor: Tensor, wanted: bool | None) -> None:
        set_requires_grad(self, tensor, wanted)

    def tensor_compare(self, left: Value, right: Value) -> Value:
        return compared(self, left, right)

    def subscript(self, value: Value, key: Value) -> Value:
        return item(self, value, key)

    def iterate(self, value: Value) -> tuple[list[Value], bool]:
        return items(self, value)

    def loop_items(self, node: ast.For, over: Value) -> tuple[list[Value], bool]:
        found, is_all = self.iterate(over)
        if is_all and len(found) > UNROLLED_TRAINING and _is_heavy(node):
            if all(isinstance(v, Const) and type(v.value) is int for v in found):
                return [Number(Size.fresh("i")), Number(Size.fresh("i"))], False
            return found[:2], False
        if not is_all and len(found) == 1:
            return found * 2, False
        if not is_all:
            walked(self, node, over)
        return found, is_all

    def after_loop(self, node: ast.For, over: Value) -> None:
        last_turn(self, node, over)

    def loader_of(self, value: Value) -> Object | None:
        held: Value | None = value
        while isinstance(held, Iterator) and held.over is not None:
            held = held.over
        if isinstance(held, Object) and any(k.endswith("DataLoader") for k in held.kinds):
            return held
        return None

    def accumulated(self, node: ast.AugAssign, before: Value, value: Value, result: Value) -> Value:
        return accumulate(self, node, node.target, before, value, result)


def _kinds(value: Value) -> tuple[str, ...]:
    if isinstance(value, Sequence):
        return (value.kind,)
    if isinstance(value, Dict):
        return ("dict",)
    if isinstance(value, Const):
        return (type(value.value).__name__,)
    if isinstance(value, Unknown):
        return ("?",)
    if isinstance(value, Number):
        return ("int",)
    if isinstance(value, Super):
        return ("super",)
    return ()


def _is_heavy(node: ast.For) -> bool:
    """True if the body holds another loop or trains: walking it once for every item would take too long."""
    known: bool | None = getattr(node, "_torchmedic_is_heavy", None)
    if known is None:
        known = node._torchmedic_is_heavy = _holds_loop(node)  # type: ignore[attr-defined]
    return known


def _holds_loop(node: ast.For) -> bool:
    for statement in node.body:
        for part in within(statement):
            if isinstance(part, (ast.For, ast.While)):
                return True
            if isinstance(part, ast.Attribute) and part.attr in ("backward", "step"):
                return True
            if isinstance(part, ast.Name) and "train" in part.id:
                return True
    return False
