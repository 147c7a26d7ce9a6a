"""What rules about the order of events need besides calls: gradients written by hand, methods that are named but not
called, values and objects that leave for code that can't be seen, and modes of modules that are not known."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.abstract.calls import HARMLESS
from torchmedic.abstract.decorators import NO_GRAD
from torchmedic.abstract.modules import Modules
from torchmedic.abstract.operators import calls_and_sums, data_of
from torchmedic.abstract.tables.events import accumulate
from torchmedic.abstract.tables.overwriting import note_overwritten
from torchmedic.abstract.values import (
    Arguments,
    Bound,
    Const,
    Data,
    External,
    Object,
    Sequence,
    Tensor,
    Unknown,
    Value,
)
from torchmedic.observed.source import written

NAMED = ("eval", "train", "zero_grad", "step", "backward")
REPORTING = ("add_", "log", "info", "debug", "warning", "write", "set_", "format", "print", "plot", "scatter", "line",
             "watch", "summary", "append", "title", "text", "bar", "hist")  # fmt: skip
# What is written where `requires_grad` of a parameter is meant.
FREEZING = ("requires_grad", "require_grad", "requires_grads", "require_grads", "required_grad", "requires_gradient",
            "requires_gradients", "require_gradient", "requiresgrad", "requries_grad", "require_gradients")  # fmt: skip
LIBRARIES = ("torch.", "torchvision.", "numpy.", "builtins.", "math.")


class Order(Modules):
    """Emits what the tables can't see."""

    # --- gradients

    def note_gradient(self, receiver: Value, name: str) -> None:
        """`p.grad.zero_()` clears; another change in place (`p.grad.div_(n)`) leaves what can't be told."""
        if name.endswith("_") and not name.startswith("_") and is_gradient(receiver):
            self._gradient(receiver, name in ("zero_", "detach_"))

    def _gradient(self, holder: Value, is_cleared: bool) -> None:
        owners = holder.owners if isinstance(holder, Tensor) else None
        self.emit(
            "zero_grad", holder, "", holds=owners or None, is_cleared=is_cleared, by="gradient"
        )

    def blurred(self, holder: Value, target: ast.expr | None = None) -> None:
        if isinstance(target, ast.Attribute) and target.attr == "grad":
            self._gradient(holder, True)  # `del p.grad`
        super().blurred(holder, target)

    def call_external(self, name: str, arguments: Arguments) -> Value:
        """`torch._foreach_zero_(gradients)`, `out=p.grad`, and what code that can't be seen does with gradients."""
        last = name.rpartition(".")[2]
        if last.endswith("_") or not name.startswith((*LIBRARIES, *HARMLESS)):
            given = arguments.all()
        else:
            given = [v for k, v in arguments.keywords.items() if k == "out"]
        for value in given:
            for gradient in gradients_in(value):
                self._gradient(gradient, False)
        return super().call_external(name, arguments)

    def assign_attribute(self, thing: Value, name: str, value: Value) -> None:
        self._note_replaced(thing, name)
        if name == "grad":
            self._gradient(thing, isinstance(value, Const) and value.value is None)
        elif name == "requires_grad" and isinstance(thing, Tensor):
            wanted = self.truth(value)
            for part in [self.parts[i] for i in thing.owners if i in self.parts]:
                self.set(part, "frozen", None if wanted is None else not wanted)
        elif name == "training" and self.is_module(thing):
            self.set(thing, "training", self.truth(value))
            return
        if name in FREEZING and isinstance(value, Const) and value.value is False:
            self._note_freezing(thing, name)
        super().assign_attribute(thing, name, value)

    def _note_replaced(self, thing: Value, name: str) -> None:
        """`p.data = …`, `layer.weight = …`: what was drawn for it is gone."""
        held = thing if name == "data" else None
        if isinstance(thing, Object):
            held = thing.attributes.get(name) or thing.state.get("parameters", {}).get(name)
        if isinstance(held, Tensor) and held.is_parameter:
            note_overwritten(self, held)

    def _note_freezing(self, thing: Value, name: str) -> None:
        """An attribute that autograd doesn't know, set on a parameter or on a module."""
        if isinstance(thing, Tensor) and name != "requires_grad":
            self.emit("freeze", thing, name, holds=thing.owners or None, of="parameter")
        elif isinstance(thing, Object) and self.is_module(thing) and name not in thing.attributes:
            self.emit("freeze", thing, name, of="module")

    # --- statements without an effect

    def _do_expr(self, node: ast.Expr) -> None:
        value = self.evaluate(node.value)
        if isinstance(node.value, ast.Attribute):
            if isinstance(value, Bound) and value.name in NAMED:
                self._unused(value.receiver, value.name, written(node.value.value))
            elif isinstance(value, External) and value.name in NO_GRAD:
                self._unused(value, value.name, written(node.value))
        elif isinstance(value, Object) and value.type in NO_GRAD and _is_made_by(node, value):
            self._unused(value, value.type, written(node.value))

    def _unused(self, receiver: Value, method: str, name: str) -> None:
        self.emit("unused", receiver, name, method=method, inside=self._inside(receiver))

    def _inside(self, value: Value) -> frozenset[int]:
        return self.inside(value) if isinstance(value, Object) else frozenset({value.id})

    # --- sums

    def assign(self, target: ast.expr, value: Value) -> None:
        node = self.frame.node
        if (
            isinstance(node, ast.Assign)
            and isinstance(target, (ast.Name, ast.Attribute))
            and added_to(node.value, written(target))
            and data_of(value)
        ):
            value = self.summed(node, target, value)
        super().assign(target, value)

    def summed(self, node: ast.Assign, target: ast.Name | ast.Attribute, value: Value) -> Value:
        """`total = total + loss`."""
        before: object = None
        if isinstance(target, ast.Name):
            before = self.frame.local.get(target.id)
        elif isinstance(owner := self.evaluate(target.value), Object):
            before = owner.attributes.get(target.attr)
        held = before if isinstance(before, Value) else Unknown()
        return accumulate(self, node, target, held, value, value)  # type: ignore[arg-type]

    # --- modules that are not known

    def call_unknown(self, function: Value, arguments: Arguments) -> Value:
        result = super().call_unknown(function, arguments)
        if function.id not in self.unknown_modes or not isinstance(result, Data):
            return result
        self._call_number += 1
        training = self.unknown_modes[function.id]
        self.emit(
            "call",
            function,
            self.name_of(self.frame.node),
            call=self._call_number,
            training=training,
            mode_dependent=None,
            inside=frozenset({function.id}),
            is_open=True,
            escaped="",
            has_parameters=None,
            type="",
        )
        if self.modes["grad"] is not False:
            result.graph = None
        result.calls = result.calls | {self._call_number}
        return result

    # --- what leaves

    def escape(self, value: Value, to: str) -> None:
        super().escape(value, to)
        reaches = self.reached(value)
        data = [] if to.startswith(LIBRARIES) else data_of(value)
        calls, sums = calls_and_sums(data)
        if reaches or calls or sums:
            self.emit("escape", value, to, reaches=reaches, calls=calls, sums=sums)

    def returned(self, value: Value) -> None:
        """What a function that nobody calls hands to its caller."""
        data = data_of(value)
        calls, sums = calls_and_sums(data)
        if calls or sums:
            self.emit("escape", value, "caller", reaches=frozenset(), calls=calls, sums=sums)

    def reached(self, value: Value, depth: int = 3) -> frozenset[int]:
        """Ids of the modules and optimizers that code can reach that has the value."""
        if not isinstance(value, Object):
            return frozenset()
        if self.is_module(value):
            return self.inside(value)
        found = {value.id} if any(k.startswith("torch.optim.") for k in value.kinds) else set()
        if depth:
            for held in (*value.attributes.values(), *value.settings.values()):
                if isinstance(held, Object):
                    found |= self.reached(held, depth - 1)
        return frozenset(found)

    def call_method(self, bound: Bound, arguments: Arguments) -> Value:
        self.note_gradient(bound.receiver, bound.name)
        result = super().call_method(bound, arguments)
        if self._is_unseen(bound):
            if bound.name.endswith("backward"):
                self._backward(bound, arguments)
            if isinstance(bound.receiver, Object):
                self.escape(bound.receiver, bound.name)
            if not bound.name.startswith(REPORTING):
                for value in arguments.all():
                    self.escape(value, f"{getattr(bound.receiver, 'why', '')}.{bound.name}")
        return result

    def _is_unseen(self, bound: Bound) -> bool:
        """True if the method is not the user's and no table knows the object."""
        receiver = bound.receiver
        if isinstance(receiver, Object):
            return not receiver.kinds or any(not k.startswith("torch.") for k in receiver.kinds)
        return isinstance(receiver, (Unknown, Bound, External))

    def _backward(self, bound: Bound, arguments: Arguments) -> None:
        """`accelerator.backward(loss)`, `engine.backward(loss)`."""
        data = data_of(*arguments.all())
        if data:
            self.emit(
                "backward",
                data[0],
                bound.name,
                calls=frozenset[int]().union(*(d.calls for d in data)),
                sums=frozenset[int]().union(*(d.sums for d in data)),
                graph=None,
                is_foreign=True,
            )


def _is_made_by(node: ast.Expr, thing: Object) -> bool:
    """True if the statement does nothing but construct it."""
    return thing.place is not None and thing.place.node is node.value


def is_gradient(value: Value) -> bool:
    """True for `p.grad`, `p.grad.data`."""
    if isinstance(value, Tensor):
        return "grad" in value.through
    return isinstance(value, Bound) and (value.name == "grad" or is_gradient(value.receiver))


def gradients_in(value: Value, depth: int = 3) -> Iterator[Value]:
    """`p.grad` itself, or those in a list."""
    if is_gradient(value):
        yield value
    elif isinstance(value, Sequence) and depth:
        for part in (*value.items, *([value.rest] if value.rest is not None else [])):
            yield from gradients_in(part, depth - 1)


def added_to(node: ast.expr, name: str) -> ast.expr | None:
    """What `name + x`, `x + name` or `0.9 * name + x` adds; None if it is no such sum."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add):
        return None
    for one, other in ((node.left, node.right), (node.right, node.left)):
        parts = [one.left, one.right] if isinstance(one, ast.BinOp) else [one]
        if any(written(part) == name for part in parts):
            return other
    return None


__all__ = ["Order", "added_to"]
