"""Events of calls that the tables know by name alone: random draws, seeds in code that can't be seen, layers that fit."""

from __future__ import annotations

import ast

from torchmedic.abstract.failures import Failures
from torchmedic.abstract.registry import CLASSES, FUNCTIONS, canonical
from torchmedic.abstract.tables.activations import note_raw
from torchmedic.abstract.tables.fits import note_fit
from torchmedic.abstract.tables.overwriting import parameters_in
from torchmedic.abstract.tables.randomness import note_draw, note_unseen
from torchmedic.abstract.values import Arguments, Bound, Object, Tensor, Unknown, Value
from torchmedic.observed.source import written

# Methods of a tensor that return another one and leave it as it is.
CONVERSIONS = frozenset(
    ("to", "cuda", "cpu", "float", "double", "half", "bfloat16", "long", "int", "type", "detach", "contiguous", "view",
     "reshape", "permute", "transpose", "squeeze", "unsqueeze", "flatten", "clamp")
)  # fmt: skip


class Notes(Failures):
    """Looks at calls before they are executed; changes nothing but the trace."""

    def call_external(self, name: str, arguments: Arguments) -> Value:
        name = canonical(name)
        before = len(self.events)
        note_draw(self, name, arguments)
        is_drawn = len(self.events) > before
        if name not in FUNCTIONS and name not in CLASSES:
            note_unseen(self, name, arguments)
        result = super().call_external(name, arguments)
        if is_drawn:
            self._name_drawn(before, result)
        return result

    def _name_drawn(self, number: int, layer: Value) -> None:
        """The draw of that number made the layer's weights."""
        if isinstance(layer, Object):
            event = self.events[number]
            weights = frozenset(one.id for one in parameters_in(layer))
            facts = {**event.facts, "weights": weights}
            self.events[number] = event._replace(subject=layer.id, facts=facts)

    def construct_base(self, made: Object, arguments: Arguments) -> None:
        before = len(self.events)
        for kind in made.kinds:
            note_draw(self, kind, arguments)
        drawn = range(before, len(self.events))
        super().construct_base(made, arguments)
        for number in drawn:
            self._name_drawn(number, made)

    def call_unknown(self, function: Value, arguments: Arguments) -> Value:
        node = arguments.node.func if isinstance(arguments.node, ast.Call) else arguments.node
        if isinstance(node, (ast.Name, ast.Attribute)):
            note_unseen(self, written(node), arguments)
        return super().call_unknown(function, arguments)

    def call_method(self, bound: Bound, arguments: Arguments) -> Value:
        if isinstance(bound.receiver, Unknown):
            note_unseen(self, bound.name)
        return super().call_method(bound, arguments)

    def note_dropped(self, tensor: Tensor, name: str) -> None:
        """`x.to(device)` as a statement: the tensor stays as it is."""
        frame = self.frame
        node = frame.node
        if node is not None and isinstance(frame.source.parent(node), ast.Expr):
            self.emit("unused", tensor, self.name_of(node), method=name, is_called=True)

    def _forward(self, module: Object, arguments: Arguments) -> Value:
        before = len(self.failures)
        result = super()._forward(module, arguments)
        note_raw(module, result)
        if module.cls is None and len(self.failures) == before:
            note_fit(self, module, arguments)
        return result
