"""What assignments bind: names, attributes, items, and the parts of tuples."""

from __future__ import annotations

import ast

from torchmedic.abstract.comprehensions import Comprehensions
from torchmedic.abstract.growth import changed
from torchmedic.abstract.machine import MISSING, joined
from torchmedic.abstract.operators import data_of, way_back_of
from torchmedic.abstract.values import (
    Choice,
    Class,
    Const,
    Deferred,
    Dict,
    Namespace,
    Object,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

# What a layer of the library computes with: another one may have another size.
_REPLACED = ("weight", "bias", "forward", "in_features", "out_features", "in_channels", "out_channels", "stride", "padding",
             "kernel_size", "dilation", "groups", "normalized_shape")  # fmt: skip


class Bindings(Comprehensions):
    """Assignments."""

    def assign(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            self.bind(target.id, value)
        elif isinstance(target, ast.Attribute):
            self.assign_attribute(self.evaluate(target.value), target.attr, value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target, value)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, value)
        elif isinstance(target, ast.Subscript):
            self._assign_item(self.evaluate(target.value), self.evaluate(target.slice), value)

    def bind(self, name: str, value: Value | Deferred) -> None:
        frame = self.frame
        if name in frame.global_names:
            self.write(frame.scope, name, value)
            return
        if name in frame.nonlocal_names:
            for scope in frame.closure:
                if name in scope:
                    self.write(scope, name, value)
                    return
        self.write(frame.local, name, value)

    def assign_attribute(self, thing: Value, name: str, value: Value) -> None:
        if isinstance(thing, Choice):
            for one in thing.values:
                if isinstance(one, Object):
                    if name in one.keys:
                        self.write(one.state, "is_open", True)
                    old = one.attributes.get(name)
                    self.write(one.attributes, name, joined([old, value]) if old else value)
        elif isinstance(thing, (Object, Class)):
            if isinstance(thing, Object) and name in _REPLACED and thing.type.startswith("torch."):
                self.write(thing.state, "is_changed", True)
            self.write(thing.attributes, name, value)
        elif isinstance(thing, Namespace):
            self.write(self.scope_of(thing), name, value)
        elif isinstance(thing, Unknown):
            self.leak(value)
        elif isinstance(thing, Tensor) and name == "requires_grad":
            self.require_grad(thing, self.truth(value))
        elif isinstance(thing, Tensor) and name == "data" and isinstance(value, Tensor):
            for module in [self.parts[i] for i in thing.owners if i in self.parts]:
                self.write(module.state, "is_changed", True)
            for field in ("shape", "dtype", "strides", "is_contiguous", "device"):
                self.set(thing, field, getattr(value, field))

    def require_grad(self, tensor: Tensor, wanted: bool | None) -> None:
        self.set(tensor, "graph", wanted)

    def leak(self, value: Value) -> None:
        """Code that can't be seen has it, with its graph."""
        self.leaked |= max(way_back_of(data_of(value)), 0)

    def assign_into(self, tensor: Tensor, value: Value) -> None:
        """`tensor[…] = value`."""

    def _assign_item(self, holder: Value, key: Value, value: Value) -> None:
        if isinstance(holder, Dict):
            if isinstance(key, Const) and not isinstance(key.value, (list, dict)):
                self.set(holder, "items", {**holder.items, key.value: value})
            else:
                rest = [holder.rest] if holder.rest is not None else []
                self.set(holder, "rest", self.either([*rest, value]))
        elif isinstance(holder, Tensor):
            self.assign_into(holder, value)
        elif isinstance(holder, Unknown):
            self.leak(value)
        elif isinstance(holder, Object) and holder.items:
            self._replace_part(holder, key, value)
        elif isinstance(holder, Sequence) and isinstance(key, Object):
            self.blurred(holder)  # a slice may be replaced by more or fewer items
        elif isinstance(holder, Sequence):
            index = key.value if isinstance(key, Const) else None
            if (
                holder.is_exact
                and type(index) is int
                and -len(holder.items) <= index < len(holder.items)
            ):
                items = list(holder.items)
                items[index] = value
                self.set(holder, "items", tuple(items))
            else:
                parts = [*holder.items, *([holder.rest] if holder.rest else []), value]
                size = holder.size
                self.set(holder, "rest", self.either(parts))
                self.set(holder, "length", size)
                self.set(holder, "items", ())

    def _replace_part(self, holder: Object, key: Value, value: Value) -> None:
        """`model.classifier[6] = nn.Linear(…)`."""
        index = key.value if isinstance(key, Const) else None
        if type(index) is int and -len(holder.items) <= index < len(holder.items):
            items = list(holder.items)
            items[index] = value
            self.set(holder, "items", tuple(items))
        elif index in holder.keys:
            items = list(holder.items)
            items[holder.keys.index(index)] = value
            self.set(holder, "items", tuple(items))
        else:
            self.write(holder.state, "is_open", True)

    def blurred(self, holder: Value, target: ast.expr | None = None) -> None:
        """The container has other items by now, it can't be told which, nor how many. `target`: what `del` names."""
        if isinstance(target, ast.Attribute) and isinstance(holder, (Object, Class)):
            if isinstance(holder, Object) and target.attr in holder.keys:
                self.write(holder.state, "is_open", True)
            self.write(holder.attributes, target.attr, MISSING)
            return
        if isinstance(holder, Sequence):
            changed(self, holder, is_append=False)
            self.set(holder, "is_part", True)
            parts = [*holder.items, *([holder.rest] if holder.rest else [])]
            self.set(holder, "rest", self.either(parts) if parts else Unknown())
            self.set(holder, "length", None)
            self.set(holder, "items", ())
        elif isinstance(holder, Object):
            self.write(holder.state, "is_open", True)
            self.write(holder.state, "is_shuffled", True)
        elif isinstance(holder, Dict) and holder.rest is None:
            values = list(holder.items.values())
            self.set(holder, "rest", self.either(values) if values else Unknown())

    def _unpack(self, target: ast.Tuple | ast.List, value: Value) -> None:
        parts = self.unpacked(value, len(target.elts))
        stars = [i for i, t in enumerate(target.elts) if isinstance(t, ast.Starred)]
        if stars or parts is None:
            for element in target.elts:
                held = self.unknown(value)
                if isinstance(element, ast.Starred):
                    self.assign(element.value, Sequence("list", rest=held))
                else:
                    self.assign(element, held)
            return
        for element, part in zip(target.elts, parts, strict=True):
            self.assign(element, part)

    def unpacked(self, value: Value, count: int) -> list[Value] | None:
        """The parts that `a, b = value` binds; None if they can't be told."""
        if isinstance(value, Sequence):
            if value.is_exact:
                return list(value.items) if len(value.items) == count else None
            return [value.rest or Unknown()] * count
        if isinstance(value, Choice):
            columns = [self.unpacked(v, count) for v in value.values]
            told = [c for c in columns if c is not None]
            if told and len(told) == len(columns):
                return [self.either(list(parts)) for parts in zip(*told, strict=True)]
        if isinstance(value, Tensor) and value.shape:
            return [self.subscript(value, Const(i)) for i in range(count)]
        return None
