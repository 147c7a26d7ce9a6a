"""`nn.Module`s: their tree, modes and calls; the rows of a size table; and the exception that a call certainly raises."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from torchmedic.abstract.devices import common_device
from torchmedic.abstract.operators import calls_and_sums, data_of
from torchmedic.abstract.reach import Reach
from torchmedic.abstract.registry import CALLS, MODULE_METHODS, defaults_of
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.values import (
    ANY,
    Arguments,
    Bound,
    Choice,
    Const,
    Data,
    Object,
    Tensor,
    Unknown,
    Value,
)
from torchmedic.observed.source import written

MODULE_BASES = (
    "torch.nn.",
    "torchvision.models.",
    "lightning.",
    "pytorch_lightning.",
    "torch.jit.ScriptModule",
)
CONTAINERS = ("torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ModuleDict")
WRAPPERS = ("torch.nn.DataParallel", "torch.nn.parallel.DistributedDataParallel", "torch.compile")
NOT_MODULES = ("torch.nn.Parameter", "torch.nn.utils", "torch.nn.functional", "torch.nn.init")


@dataclass(eq=False, repr=False)
class Row:
    """One call of a module in progress or done."""

    module: Object
    arguments: Arguments
    depth: int
    output: Value | None = None
    frames: int = 0  # of the user's, around the call


class Modules(Reach):
    """Calls of modules, with the bookkeeping that a report needs."""

    _active: list[Row]
    _rows: list[Row]
    _call_number = 0
    called_types: set[str]  # of the modules in `_rows`

    def is_module(self, thing: Value) -> bool:
        return isinstance(thing, Object) and _are_modules(thing.kinds)

    # --- the tree

    def children_of(self, module: Object) -> Iterator[tuple[str, Object]]:
        """(name, module) of those registered in it."""
        for name, value in module.attributes.items():
            if isinstance(value, (Object, Choice)):
                yield from ((name, one) for one in self._modules_in(value))
        for index, item in enumerate(module.items):
            name = module.keys[index] if index < len(module.keys) else str(index)
            yield from ((name, one) for one in self._modules_in(item))

    @staticmethod
    def is_container(module: Object) -> bool:
        """True if its children are what it executes, or what a loop over it walks, in their order."""
        return any(kind in CONTAINERS for kind in module.kinds)

    def assign_attribute(self, thing: Value, name: str, value: Value) -> None:
        if not isinstance(thing, Object) or not self.put_part(thing, name, value):
            super().assign_attribute(thing, name, value)

    def put_part(self, module: Object, name: str, value: Value) -> bool:
        """A container's child under a new name comes last. False if it is none, or can't be told."""
        if not self.is_container(module):
            return False
        keys = module.keys or tuple(str(number) for number in range(len(module.items)))
        if (
            not isinstance(value, Object)
            or not self.is_module(value)
            or len(keys) < len(module.items)
        ):
            if name in keys or self._may_be_module(value):
                self.write(module.state, "is_open", True)
            return False
        items = list(module.items)
        if name in keys:
            items[keys.index(name)] = value
        else:
            items, keys = [*items, value], (*keys, name)
            if any(loop.iteration >= 0 for loop in self.loops):
                self.write(module.state, "is_open", True)
        self.set(module, "items", tuple(items))
        self.set(module, "keys", keys)
        return True

    def _modules_in(self, value: object) -> Iterator[Object]:
        """The module, or each that it may be."""
        for one in value.values if isinstance(value, Choice) else (value,):
            if isinstance(one, Object) and self.is_module(one):
                yield one

    def tree_of(
        self, module: Object, prefix: str = "", depth: int = 12
    ) -> Iterator[tuple[str, Object]]:
        """The module and all below it, with dotted paths; a shared one under each of its names."""
        yield prefix, module
        if depth:
            for name, child in self.children_of(module):
                yield from self.tree_of(child, f"{prefix}.{name}".lstrip("."), depth - 1)

    def parts_of(self, module: Object, depth: int = 12) -> list[Object]:
        """The same modules without their paths."""
        found = [module]
        if depth:
            for _, child in self.children_of(module):
                found += self.parts_of(child, depth - 1)
        return found

    def inside(self, module: Object) -> frozenset[int]:
        parts = {part.id: part for part in self.parts_of(module)}
        self.parts |= parts
        return frozenset(parts)

    def is_open(self, module: Object) -> bool:
        """True if there may be layers in it that are not known."""
        for part in self.parts_of(module):
            if part.escaped or part.state.get("is_open"):
                return True
            if any(self._may_be_module(v) for v in (*part.attributes.values(), *part.items)):
                return True
            known = not part.cls and (part.type in CALLS or part.type in CONTAINERS + WRAPPERS)
            if part.cls is None and not known:
                return True
        return False

    def _may_be_module(self, value: object) -> bool:
        """True for what is not known to be a module, and may be one."""
        if isinstance(value, (Unknown, Choice, Bound)):
            return True
        return isinstance(value, Object) and not (
            self.is_module(value)
            or all(k.startswith(("builtins.", "argparse.")) for k in value.kinds)
        )

    def library_attribute(self, value: Object, name: str) -> Value:
        if name == "training" and value.training is not None and self.is_module(value):
            return Const(value.training, soft=bool(self.entry))
        if name in ("_modules", "__dict__") and self.is_module(value):
            self.rebuilt(value)
        if name in value.keys and len(value.keys) == len(value.items):
            part = value.items[value.keys.index(name)]
            return self.unknown(part) if value.state.get("is_shuffled") else part
        held = value.state.get("parameters", {}).get(name)
        return held if isinstance(held, Value) else super().library_attribute(value, name)

    def rebuilt(self, module: Object) -> None:
        """Other parts may stand in the place of any of its own."""
        for part in self.parts_of(module):
            self.blurred(part)
            self.write(part.state, "is_changed", True)

    def mode_dependent(self, module: Object) -> tuple[str, ...]:
        """Types of the layers below that act differently in training, and are certainly in training mode now."""
        return tuple(
            part.type_name
            for part in self.parts_of(module)
            if part.training is True and is_mode_dependent(part)
        )

    def set_mode(self, module: Object, training: bool | None) -> None:
        for part in self.parts_of(module):
            self.set(part, "training", training)

    def has_parameters(self, module: Object) -> bool | None:
        """Trainable ones; None if that can't be told."""
        unknown = False
        for part in self.parts_of(module):
            if part.frozen is None:
                unknown = True
            elif not part.frozen and (
                part.state.get("parameters")
                or any(isinstance(v, Tensor) and v.is_parameter for v in part.attributes.values())
            ):
                return True
        return None if unknown or self.is_open(module) else False

    def is_without_parameters(self, module: Object) -> bool:
        """True if there is certainly no parameter in it, trainable or not."""
        return not self.is_open(module) and not any(
            part.state.get("parameters")
            or any(isinstance(v, Tensor) for v in (*part.attributes.values(), *part.items))
            for part in self.parts_of(module)
        )

    # --- calls

    def call_object(self, thing: Object, arguments: Arguments) -> Value:
        if not self.is_module(thing):
            return super().call_object(thing, arguments)
        if thing.type in WRAPPERS:
            inner = thing.attributes.get("module")
            return self.call(inner, arguments) if isinstance(inner, Value) else Unknown()
        if thing.cls is not None and (own := self.own_method(thing, "__call__")):
            return self.call_function(own, arguments, thing)
        if thing.cls is not None and thing.cls.lookup("__call__"):
            return self.call_unknown(thing, arguments)
        return self.call_module(thing, arguments)

    def call_module(self, module: Object, arguments: Arguments) -> Value:
        is_root = not self._active
        if is_root:
            self._rows, self.called_types = [], set()
            self._note_root(module, arguments)
        row = Row(module, arguments, len(self._active), frames=len(self.frames))
        self._rows.append(row)
        self.called_types.add(module.type_name)
        self._active.append(row)
        number = self._call_number
        try:
            result = self._forward(module, arguments)
        finally:
            self._active.pop()
        row.output = result
        if module.cls is not None and module.state.get("is_changed"):
            result = self.unknown(result)  # by a hook
        if is_root and not module.state.get("is_loss"):
            self._tag(result, number)
        return result

    def _forward(self, module: Object, arguments: Arguments) -> Value:
        if module.cls is not None and isinstance(own := module.attributes.get("forward"), Value):
            return self.call(own, arguments)
        forward = self.own_method(module, "forward")
        if forward is not None and "property" in forward.decorators:
            return self.call(self.attribute(module, "forward"), arguments)
        if forward is not None:
            return self.call_function(forward, arguments, module)
        for kind in module.kinds:
            if handler := CALLS.get(kind):
                return handler(self, module, arguments)  # type: ignore[arg-type]
        result = self.unknown(*arguments.all())
        if self.modes["grad"] is not False:
            result.graph, result.reach = None, ANY
        return result

    def _note_root(self, module: Object, arguments: Arguments) -> None:
        self._call_number += 1
        if module.state.get("is_loss"):
            return
        self.emit(
            "call",
            module,
            self.name_of(self.frame.node),
            call=self._call_number,
            training=module.training,
            mode_dependent=self.mode_dependent(module),
            inside=self.inside(module),
            is_open=self.is_open(module),
            escaped=module.escaped,
            has_parameters=self.has_parameters(module),
            type=module.type_name,
            cast=self.modes["cast"],
            half=module.state.get("half"),
            inputs=frozenset(n for d in data_of(*arguments.all()) for n in d.calls),
        )

    def _tag(self, result: Value, number: int) -> None:
        for data in data_of(result):
            data.calls = data.calls | {number}

    def name_of(self, node: ast.AST | None) -> str:
        """How the user writes what is called: "self.model" of `self.model(x)`."""
        if isinstance(node, ast.Call):
            node = node.func
            if isinstance(node, ast.Attribute) and node.attr in self._METHODS:
                node = node.value
        return written(node) if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) else ""

    _METHODS = frozenset(
        {"step", "zero_grad", "backward", "train", "eval", "forward", "append", "item"}
    )

    def call_method(self, bound: Bound, arguments: Arguments) -> Value:
        receiver = bound.receiver
        handler = MODULE_METHODS.get(bound.name)
        if handler is not None and isinstance(receiver, Object) and self.is_module(receiver):
            return handler(self, receiver, arguments)  # type: ignore[arg-type]
        return super().call_method(bound, arguments)

    # --- results

    def graph_of(self, inputs: list[Data], has_parameters: bool | None = False) -> bool | None:
        mode = self.modes["grad"]
        if mode is False:
            return False
        graphs = [d.graph for d in inputs] + [has_parameters]
        if True in graphs:
            return True if mode else None
        return None if None in graphs else False

    def derived(
        self,
        *inputs: Value,
        shape: tuple[Size, ...] | None = None,
        dtype: str = "",
        has_parameters: bool | None = False,
        through: tuple[str, ...] = (),
        library: str = "torch",
        is_contiguous: bool | None = True,
        is_use: bool = True,
        layer: Object | None = None,
    ) -> Tensor:
        """The result of an operation: it carries a graph if an input or a parameter does, and gradients are on.

        `is_use`: its values depend on more than the order of the inputs' elements. `layer`: whose parameters they are.
        """
        data = data_of(*inputs)
        if is_use:
            self.note_use(*data)
        tensors = [d for d in data if isinstance(d, Tensor)]
        first = tensors[0] if tensors else None
        is_placed = len(tensors) == len(data) and library == "torch"
        graph = self.graph_of(data, has_parameters)
        is_leaf = not graph if graph is not None else None
        if dtype and not dtype.startswith(("float", "bfloat", "complex")):
            graph = False
        reach, cuts = self.followed(data, graph, has_parameters, layer)
        return Tensor(
            graph,
            *calls_and_sums(data),
            shape=shape,
            dtype=dtype,
            device=common_device(tensors) if is_placed else "",
            library=library,
            through=through,
            made=first.made if first and first.dtype == dtype else self.place(),
            is_contiguous=is_contiguous,
            is_leaf=is_leaf,
            reach=reach,
            cuts=cuts,
        )


@cache
def _are_modules(kinds: tuple[str, ...]) -> bool:
    """True for the library classes of an `nn.Module`."""
    return any(kind.startswith(MODULE_BASES) and not kind.startswith(NOT_MODULES) for kind in kinds)


def is_mode_dependent(layer: Object) -> bool:
    """True if the layer certainly computes something else in training than in evaluation."""
    if layer.cls is not None or not layer.type.startswith(("torch.nn.", "torchvision.models.")):
        return False
    name = layer.type_name

    def setting(which: str) -> object:
        given = layer.settings.get(which)
        if given is not None:
            return given.value if isinstance(given, Const) else None
        return defaults_of(layer.type).get(which)

    if "Dropout" in name:
        return "p" not in layer.settings or bool(setting("p"))
    if "BatchNorm" in name:
        return setting("track_running_stats") is not False
    if name in ("LSTM", "GRU", "RNN"):
        dropout, layers = setting("dropout"), setting("num_layers")
        return bool(dropout) and isinstance(layers, int) and layers > 1
    if name in ("TransformerEncoderLayer", "TransformerDecoderLayer", "Transformer"):
        return "dropout" not in layer.settings or bool(setting("dropout"))
    if name == "MultiheadAttention":
        return bool(setting("dropout"))
    if name in ("TransformerEncoder", "TransformerDecoder"):
        inner = layer.settings.get("encoder_layer") or layer.settings.get("decoder_layer")
        return isinstance(inner, Object) and is_mode_dependent(inner)
    if name == "RReLU":
        return True
    return layer.type.startswith("torchvision.models.") and bool(layer.state.get("mode_dependent"))
