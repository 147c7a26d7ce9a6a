"""What is left of the layers and parameters at the end: where they are registered, and where they are only held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from torchmedic.abstract.modules import Modules
from torchmedic.abstract.values import Dict, Object, Sequence, Tensor, Value
from torchmedic.observed.trace import Hidden, Layer

DEEPEST = 12
MOST = 4000  # modules and parameters


def layers_of(machine: Modules) -> dict[int, Layer]:
    """By id: all that `Data.reach` can name."""
    return _Walk(machine).found()


class _Walk:
    """Of the modules whose parameters or mode the program asked for, from the outermost down."""

    def __init__(self, machine: Modules) -> None:
        self.machine = machine
        self.owners: dict[int, set[int]] = defaultdict(set)
        self.names: dict[int, tuple[int, str]] = {}
        self.hidden: dict[int, list[Hidden]] = defaultdict(list)
        self.unsure: set[int] = set()  # ids in objects that code can reach that can't be seen
        self.tied = 0
        self.left = MOST

    def found(self) -> dict[int, Layer]:
        parts = self.machine.parts
        below = {c.id for part in parts.values() for _, c in self.machine.children_of(part)}
        for part in list(parts.values()):
            if part.id not in below:
                self._walk(part, (), part.id, "", False)
        return {held.id: self._layer(n, held) for n, held in enumerate(self.machine.held)}

    def _walk(
        self, module: Object, above: tuple[int, ...], root: int, path: str, is_unsure: bool
    ) -> None:
        if module.id in above or len(above) > DEEPEST or self.left <= 0:
            return
        self.left -= 1
        above = (*above, module.id)
        is_unsure = is_unsure or bool(module.escaped)
        self._register(module, above, root, path, is_unsure)
        for name, value in module.attributes.items():
            if isinstance(value, Tensor):
                self._tensor(module, name, value, above, root, path, is_unsure)
            elif isinstance(value, (Sequence, Dict)):
                self._container(module, name, value)
        for item in module.items:
            if isinstance(item, Tensor):
                self._register(item, above, root, path, is_unsure)
        for name, child in self.machine.children_of(module):
            self._walk(child, above, root, f"{path}.{name}".lstrip("."), is_unsure)

    def _register(
        self, thing: Value, above: tuple[int, ...], root: int, path: str, is_unsure: bool
    ) -> None:
        self.owners[thing.id].update(above)
        self.names.setdefault(thing.id, (root, path))
        if is_unsure:
            self.unsure.add(thing.id)

    def _tensor(
        self,
        module: Object,
        name: str,
        value: Tensor,
        above: tuple[int, ...],
        root: int,
        path: str,
        is_unsure: bool,
    ) -> None:
        bits = value.way_back
        holder = self.machine.held[bits.bit_length() - 1] if bits > 0 else None
        if value.is_parameter:
            if holder is not value:
                self.tied |= max(bits, 0)
                self.unsure.add(module.id)
            self._register(value, above, root, f"{path}.{name}".lstrip("."), is_unsure)
        elif bits > 0 and not bits & (bits - 1) and isinstance(holder, Tensor):
            kind = "leaf" if holder is value else "tensor" if value.is_leaf is False else "moved"
            self._hide(holder.id, module, name, kind, 1)

    def _container(self, module: Object, name: str, value: Sequence | Dict) -> None:
        parts = list(_objects(value))
        kind = "dict" if isinstance(value, Dict) else value.kind
        for part in parts:
            if isinstance(part, Object) and self.machine.is_module(part):
                for one in self.machine.parts_of(part):
                    self._hide(one.id, module, name, kind, len(parts))
            elif isinstance(part, Tensor) and part.is_parameter:
                self._hide(part.id, module, name, kind, len(parts), "parameters")

    def _hide(
        self, number: int, module: Object, name: str, kind: str, count: int, of: str = "layers"
    ) -> None:
        if module.cls is None or module.escaped or module.state.get("is_open"):
            return  # it may be registered under a name that can't be told
        owner = module.cls
        for one in owner.linear():
            init = one.attributes.get("__init__")
            if init is not None:
                owner = one
                break
        self.hidden[number].append(
            Hidden(module.id, owner.name, owner.source.path, name, kind, count, of)
        )

    def _layer(self, number: int, held: Value) -> Layer:
        bit = 1 << number
        is_sure = not bit & (self.machine.leaked | self.tied) and held.id not in self.unsure
        root, path = self.names.get(held.id, (0, ""))
        owners, hidden = frozenset(self.owners.get(held.id, ())), tuple(self.hidden[held.id])
        if isinstance(held, Object):
            weights = list(held.state.get("parameters", {}).values())
            trains = held.frozen is False and weights and all(w.graph is True for w in weights)
            is_own = held.type.startswith("torch.nn.") and not held.state.get("is_copy")
            is_own = is_own and not held.escaped and not held.attributes
            at = held.made[0].at if held.made else None
            sure = bool(is_sure and trains and is_own)
            return Layer(held.type_name, at, sure, owners, root, path, hidden)
        is_sure = is_sure and isinstance(held, Tensor) and held.graph is True
        return Layer(
            "Parameter", self.machine.born.get(held.id), is_sure, owners, root, path, hidden
        )


def _objects(value: Value, depth: int = 2) -> Iterator[Value]:
    """What a list or dict holds, and what is in those that it holds."""
    if isinstance(value, Sequence):
        inside = [*value.items, *([value.rest] if value.rest is not None else [])]
    elif isinstance(value, Dict):
        inside = [*value.items.values(), *([value.rest] if value.rest is not None else [])]
    else:
        yield from getattr(value, "values", None) or (value,)
        return
    for one in inside if depth else ():
        yield from _objects(one, depth - 1)
