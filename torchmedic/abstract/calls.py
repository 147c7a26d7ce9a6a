"""Calls of the user's functions and classes, attributes of their instances, and library calls by table."""

from __future__ import annotations

import ast
from collections.abc import Callable

from torchmedic.abstract.choices import Shared
from torchmedic.abstract.classes import OPEN
from torchmedic.abstract.decorators import Decorators, is_switch
from torchmedic.abstract.machine import DEEPEST, Flow, Frame, is_dull
from torchmedic.abstract.registry import CALLS, CLASSES, FUNCTIONS, MADE, METHODS, canonical
from torchmedic.abstract.values import (
    Arguments,
    Bound,
    Choice,
    Class,
    Const,
    Device,
    Dict,
    External,
    Function,
    Object,
    Scope,
    Sequence,
    Super,
    Tensor,
    Unknown,
    Value,
)
from torchmedic.observed.trace import Branch

RECURSION = 2
MANAGER = "contextlib.contextmanager"
# Functions that look at an object and leave it alone.
HARMLESS: tuple[str, ...] = (
    "builtins.",
    "torchsummary",
    "torchinfo",
    "wandb.",
    "logging.",
    "tensorboard",
    "tqdm",
    "copy.",
)
HARMLESS += (
    "torch.utils.tensorboard",
    "tensorboardX",
    "matplotlib",
    "typing.",
    "os.",
    "json.",
    "time.",
    "pprint",
)


class Calls(Decorators):
    """Follows calls into the user's code; asks the tables about libraries; else the result is unknown."""

    def call(self, function: Value, arguments: Arguments) -> Value:
        self.tick()
        if isinstance(function, Function):
            return self.call_function(function, arguments)
        if isinstance(function, Bound):
            if function.function is not None:
                return self.call_function(function.function, arguments, function.receiver)
            return self.call_method(function, arguments)
        if isinstance(function, Class):
            return self.instantiate(function, arguments)
        if isinstance(function, External):
            return self.call_external(function.name, arguments)
        if isinstance(function, Object):
            return self.call_object(function, arguments)
        if isinstance(function, Choice):
            return self._call_each(function, arguments)
        return self.call_unknown(function, arguments)

    def _call_each(self, function: Choice, arguments: Arguments) -> Value:
        able = [v for v in function.values if not isinstance(v, (Const, Sequence, Dict, Tensor))]
        results: list[Value] = []
        shared = Shared(self)

        def take(one: Value) -> Callable[[], Flow]:
            def work() -> Flow:
                with shared.one_of_them():
                    results.append(self.call(one, arguments))
                return Flow.NEXT

            return work

        at = self.span()
        arms = [self.arm(Branch(at, index), take(one)) for index, one in enumerate(able)]
        shared.settle()
        if arms:
            self.join(arms)
        return self.either(results)

    def call_unknown(self, function: Value, arguments: Arguments) -> Value:
        for value in arguments.all():
            self.escape(value, "unknown function")
        return self.unknown(function, *arguments.all())

    def call_object(self, thing: Object, arguments: Arguments) -> Value:
        if thing.cls is not None and (found := self.own_method(thing, "__call__")):
            return self.call_function(found, arguments, thing)
        for kind in thing.kinds:
            if handler := CALLS.get(kind):
                return handler(self, thing, arguments)  # type: ignore[arg-type]
        return self.call_unknown(thing, arguments)

    def call_method(self, bound: Bound, arguments: Arguments) -> Value:
        receiver = bound.receiver
        if isinstance(receiver, Object):
            for kind in receiver.kinds:
                if handler := METHODS.get((kind, bound.name)):
                    return handler(self, receiver, arguments)  # type: ignore[arg-type]
        return self.unknown(receiver, *arguments.all())

    def call_external(self, name: str, arguments: Arguments) -> Value:
        name = canonical(name)
        if handler := FUNCTIONS.get(name):
            return handler(self, arguments)  # type: ignore[arg-type]
        if name in CLASSES:
            return self.construct(name, arguments)
        if not name.startswith(HARMLESS):
            for value in arguments.all():
                self.escape(value, name)
        result = self.unknown(*arguments.all(), why=name)
        last = name.rpartition(".")[2]
        result.hint = name if last[:1].isupper() else ""
        return result

    def construct(self, name: str, arguments: Arguments) -> Object:
        """An instance of a library's class that holds its arguments by name."""
        thing = Object(
            type=name, settings=arguments.bind(CLASSES[name]), made=self.sites(), place=self.place()
        )
        if self.modes["device"] != "cpu":
            thing.state["device"] = None  # it is made where the program's default says
        if handler := MADE.get(name):
            handler(self, thing, arguments)  # type: ignore[arg-type]
        return thing

    def escape(self, value: Value, to: str) -> None:
        """Code that can't be seen may do anything with the object from now on."""
        if isinstance(value, Object):
            if not value.escaped:
                self.set(value, "escaped", to)
        elif isinstance(value, (Sequence, Choice)):
            if isinstance(value, Sequence) and value.kind != "tuple":
                self.set(value, "escaped", True)
            for item in value.items if isinstance(value, Sequence) else value.values:
                self.escape(item, to)
        elif isinstance(value, Bound):
            self.escape(value.receiver, to)
        elif isinstance(value, Class):
            self.write(value.attributes, OPEN, Const(True))

    # --- functions of the user

    def call_function(
        self, function: Function, arguments: Arguments, receiver: Value | None = None
    ) -> Value:
        running = sum(
            f.function is not None and f.function.node is function.node for f in self.frames
        )
        if running >= RECURSION or len(self.frames) > DEEPEST:
            return self.unknown(function, *arguments.all())
        if receiver is not None and "staticmethod" not in function.decorators:
            arguments = Arguments(
                arguments.node,
                [receiver, *arguments.args],
                arguments.keywords,
                arguments.is_complete,
            )
        if MANAGER in function.decorators:
            state = {"function": function, "arguments": arguments}
            return Object(type="contextlib.manager", state=state)
        local = self._bound_parameters(function, arguments)
        if not any(map(is_switch, function.decorators)):
            return self._run_if_new(function, local)
        with self.switched_by(function.decorators):
            return self._run(function, local)

    def _run_if_new(self, function: Function, local: Scope) -> Value:
        """What the function returns. In code that nobody calls, one that twice came to nothing isn't executed again."""
        if not self.entry or not all(map(is_dull, local.values())):
            return self._run(function, local)
        if self._came_to_nothing.get(function.node, 0) >= 2:
            return self.unknown(function, *local.values())
        news = self.news()
        result = self._run(function, local)
        if is_dull(result) and news == self.news():
            self._came_to_nothing[function.node] = self._came_to_nothing.get(function.node, 0) + 1
        return result

    def _run(
        self, function: Function, local: Scope, on_yield: Callable[[Value], None] | None = None
    ) -> Value:
        frame = Frame(function.source, function.scope, local, function, function.closure)
        frame.on_yield = on_yield
        is_generator = on_yield is None and function.source.yields(function.node)
        if is_generator:
            frame.yielded = []
        exits, self._exits = self._exits, []
        self.frames.append(frame)
        try:
            if isinstance(function.node, ast.Lambda):
                return self.evaluate(function.node.body)
            flow = self.body(function.node.body)
            for writes in frame.exits:
                self.weakly(writes)
        finally:
            self.frames.pop()
            self._exits = exits
        if frame.yielded is not None:
            return Sequence("list", rest=self.either(frame.yielded))
        if flow is Flow.RAISE and not frame.returned:
            return Unknown(False)
        if flow is Flow.NEXT:
            frame.returned.append(Const(None))
        return self.either(frame.returned)

    def _bound_parameters(self, function: Function, arguments: Arguments) -> Scope:
        spec = function.node.args
        names = [a.arg for a in (*spec.posonlyargs, *spec.args)]
        hints = {a.arg: a.annotation for a in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)}
        local: Scope = dict(zip(names, arguments.args, strict=False))
        extra = arguments.args[len(names) :]
        if (
            extra
            and not arguments.is_complete
            and any(isinstance(v, Sequence) and v.rest is not None for v in arguments.args)
        ):
            extra = [Unknown()]
        keywords = dict(arguments.keywords)
        for name in (*names, *(a.arg for a in spec.kwonlyargs)):
            if name in keywords:
                local[name] = keywords.pop(name)
            elif name not in local:
                default = function.defaults.get(name)
                local[name] = default if default is not None else self.annotated(hints[name], name)
        if not arguments.is_complete and not spec.vararg:
            for name, value in list(local.items()):
                if (
                    isinstance(value, Sequence)
                    and value in arguments.args
                    and value.rest is not None
                ):
                    local[name] = Unknown()
        if spec.vararg:
            local[spec.vararg.arg] = Sequence("tuple", tuple(extra))
        if spec.kwarg:
            rest = None if arguments.is_complete else Unknown()
            local[spec.kwarg.arg] = Dict(dict(keywords), rest)
        return local

    def annotated(self, annotation: ast.expr | None, name: str) -> Value:
        """An argument that nobody gave, as far as its annotation tells."""
        hint = (
            self.frame.source.name(annotation) if annotation is not None and self.frames else None
        )
        kind = canonical(hint) if hint else ""
        if kind == "torch.Tensor":
            return Tensor(None)
        if kind == "torch.nn.Module":
            return Object(type=kind, training=None, frozen=None, state={"is_open": True})
        if kind in CLASSES:
            return Object(type=kind, training=None, frozen=None)
        return Unknown(hint=kind, why=name)

    def own_method(self, thing: Object, name: str) -> Function | None:
        found = thing.cls.lookup(name) if thing.cls else None
        return found[0] if found and isinstance(found[0], Function) else None

    # --- classes of the user

    def instantiate(self, cls: Class, arguments: Arguments) -> Value:
        made = Object(cls=cls, made=self.sites(), place=self.place())
        if any("Enum" in kind for kind in made.kinds):
            return Unknown(False)
        init = cls.lookup("__init__")
        if init is not None and isinstance(init[0], Function):
            self.call_function(init[0], arguments, made)
        elif cls.lookup("__dataclass__") or "typing.NamedTuple" in made.kinds:
            self._fill_dataclass(made, arguments)
        else:
            self.construct_base(made, arguments)
        return made

    def _fill_dataclass(self, made: Object, arguments: Arguments) -> None:
        names = [
            item.target.id
            for one in reversed(made.cls.linear() if made.cls else [])
            for item in one.node.body
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        ]
        for name, value in arguments.bind(tuple(dict.fromkeys(names))).items():
            self.write(made.attributes, name, value)
        if (post := self.own_method(made, "__post_init__")) is not None:
            self.call_function(post, Arguments(arguments.node, [], {}), made)

    def construct_base(self, made: Object, arguments: Arguments) -> None:
        """What the constructor of a library's base class does with the arguments."""
        for kind in made.kinds:
            if kind in CLASSES:
                self.set(made, "settings", {**made.settings, **arguments.bind(CLASSES[kind])})
            if handler := MADE.get(kind):
                handler(self, made, arguments)  # type: ignore[arg-type]

    def class_attribute(self, value: Class, name: str) -> Value:
        found = value.lookup(name)
        if found is None:
            return Unknown(why=name)
        held = found[0]
        if isinstance(held, Function) and "classmethod" in held.decorators:
            return Bound(value, name, held)
        return held if isinstance(held, Value) else Unknown()

    def object_attribute(self, value: Object, name: str) -> Value:
        if name in value.attributes:
            held = value.attributes[name]
            return held if isinstance(held, Value) else Unknown(why=name)
        if value.cls is not None:
            found = value.cls.lookup(name)
            if found is not None:
                return self._bind_attribute(value, found[0], name)
            if name == "__class__":
                return value.cls
        return self.library_attribute(value, name)

    def _bind_attribute(self, value: Object, held: object, name: str) -> Value:
        if not isinstance(held, Function):
            return held if isinstance(held, Value) else Unknown()
        if "property" in held.decorators:
            return self.call_function(held, Arguments(held.node, [], {}), value)  # type: ignore[arg-type]
        if "staticmethod" in held.decorators:
            return held
        owner = value.cls if "classmethod" in held.decorators and value.cls else value
        return Bound(owner, name, held)

    def library_attribute(self, value: Object, name: str) -> Value:
        if name in value.settings:
            return value.settings[name]
        return Bound(value, name)

    def other_attribute(self, value: Value, name: str) -> Value:
        if isinstance(value, Super):
            receiver = value.receiver
            if isinstance(receiver, Object) and receiver.cls is not None:
                found = receiver.cls.lookup(name, after=value.owner)
                if found is not None:
                    return self._bind_attribute(receiver, found[0], name)
            return Bound(receiver, f"super.{name}")
        if isinstance(value, Function) and name == "__name__":
            return Const(value.name)
        if isinstance(value, Device) and name == "type":
            return Device(False, name=value.name, soft=value.soft)
        if isinstance(value, Unknown) and value.hint.startswith("argparse"):
            return Unknown(soft=True, why=name)
        return Bound(value, name)
