"""Containers of layers: Sequential, ModuleList and the like.

Source: https://docs.pytorch.org/docs/stable/nn.html#containers
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.registry import called, constructor, made
from torchmedic.abstract.tables.devices import move
from torchmedic.abstract.values import Arguments, Iterator, Object, Sequence, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine


@called("*args", "torch.nn.Sequential")
def sequential(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    value: Value = arguments.get(0, "input") or Unknown()
    if layer.state.get("is_open"):
        return machine.unknown(value)
    given = arguments
    for item in layer.items:
        value = machine.call(item, given)
        given = Arguments(arguments.node, [value], {})
    return value


@made("torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ModuleDict", "torch.nn.ParameterList")
def fill_container(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    """The children that a Sequential, ModuleList or ModuleDict is made with."""
    from torchmedic.abstract.values import Dict

    items: list[Value] = []
    keys: list[str] = []
    for value in arguments.args:
        if isinstance(value, Dict):
            items += value.items.values()
            keys += [str(k) for k in value.items]
            if value.rest is not None:
                layer.state["is_open"] = True
        elif isinstance(value, (Sequence, Iterator)):
            found, is_all = machine.iterate(value)
            items += found if is_all else found[:1]
            layer.state["is_open"] = layer.state.get("is_open") or not is_all
        else:
            items.append(value)
    layer.items, layer.keys = tuple(items), tuple(keys)
    return layer


for _name in (
    "torch.nn.ModuleList",
    "torch.nn.ModuleDict",
    "torch.nn.ParameterList",
    "torch.nn.ParameterDict",
):
    constructor("modules=None", _name)
constructor(
    "module, device_ids=None, output_device=None, dim=0",
    "torch.nn.parallel.DistributedDataParallel",
    "torch.nn.DataParallel",
)


@made("torch.nn.parallel.DistributedDataParallel", "torch.nn.DataParallel")
def _wrap(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    inner = arguments.get(0, "module")
    layer.attributes["module"] = inner or Unknown()
    if isinstance(inner, Object):
        move(machine, inner, None)  # it moves what it is called with by itself
    return layer
