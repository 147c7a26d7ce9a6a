"""Devices, and the exceptions where tensors of two devices meet, in PyTorch's own words.

Source: https://docs.pytorch.org/docs/stable/tensor_attributes.html#torch.device
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torchmedic.abstract.devices import are_apart, device_of, shown
from torchmedic.abstract.registry import function
from torchmedic.abstract.values import (
    Arguments,
    Const,
    Device,
    Object,
    Sequence,
    Tensor,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine
    from torchmedic.abstract.tables.calling import Call

ALL = "Expected all tensors to be on the same device, but "
# Layers with a weight, and what CUDA calls the check of their input.
_CHECKED = {
    "Linear": ("mat1", "wrapper_CUDA_addmm"),
    "Embedding": ("index", "wrapper_CUDA__index_select"),
    "LayerNorm": ("weight", "wrapper_CUDA__native_layer_norm"),
    "BatchNorm1d": ("weight", "wrapper_CUDA__cudnn_batch_norm"),
    "BatchNorm2d": ("weight", "wrapper_CUDA__cudnn_batch_norm"),
}
_CONVOLUTIONS = tuple(f"{kind}{rank}d" for kind in ("Conv", "ConvTranspose") for rank in (1, 2, 3))
_RECURRENT = ("RNN", "LSTM", "GRU")
SPREADING = ("torch.nn.DataParallel", "torch.nn.parallel.DistributedDataParallel")
_ASKS = r"(?i)cuda|device|gpu|cpu|mps"
_OWN_MOVES = r"def (to|cuda|cpu|_apply)\(|forward_pre_hook|def __torch_function__"
_TYPES = {"float64": "Double", "float16": "Half", "int64": "Long", "uint8": "Byte"}


@function("torch.device")
def _device(machine: Machine, arguments: Arguments) -> Value:
    given, index = arguments.get(0, "type", "device"), arguments.get(1, "index")
    name = device_of(given)
    if isinstance(given, Const) and type(given.value) is int:
        name = f"cuda:{given.value}"
    if name and isinstance(index, Const) and type(index.value) is int and ":" not in name:
        name = f"{name}:{index.value}"
    soft = bool(getattr(given, "soft", False))
    return Device(False, hint="torch.device", name=name, soft=soft)


@function("torch.set_default_device")
def _default_device(machine: Machine, arguments: Arguments) -> Value:
    machine.write(machine.modes, "device", "")
    return Const(None)


def is_certain(machine: Machine) -> bool:
    """False where the arm that is executed may be that for the other device, or code of the user moves by itself."""
    for branch in machine.branches:
        source = machine.sources.get(branch.at.path)
        line = source.line(branch.at.line).lstrip() if source is not None else ""
        if not line.startswith(("if ", "elif ")) or re.search(_ASKS, line):
            return False
    if machine.frameworks:
        return False
    return not any(re.search(_OWN_MOVES, source.text) for source in machine.sources.values())


def apart(machine: Machine, one: Value | None, other: Value | None) -> tuple[str, str] | None:
    """The two devices, if these certainly can't meet in an operation: a number on the CPU can."""
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return None
    if not are_apart(one.device, other.device):
        return None
    on_cpu = one if one.device == "cpu" else other
    if not on_cpu.shape or one.library != "torch" or other.library != "torch":
        return None
    return (shown(one.device), shown(other.device)) if is_certain(machine) else None


def check_elements(call: Call, one: Value | None, other: Value | None) -> None:
    """Element by element."""
    found = apart(call.machine, one, other)
    if found is None:
        return
    message = f"{ALL}found at least two devices, {found[0]} and {found[1]}!"
    if "meta" in found:
        message = f"Tensor on device {found[1]} is not on the expected device {found[0]}!"
    call.refuse("RuntimeError", message)


def check_argument(
    call: Call, name: str, method: str, given: Value | None, other: Value | None
) -> None:
    """What CUDA says of an argument that is elsewhere than the others."""
    found = apart(call.machine, given, other)
    if found is not None and "meta" not in found:
        call.refuse("RuntimeError", _elsewhere(name, method, *found))


def check_all(call: Call, tensors: list[Tensor], method: str) -> None:
    """Tensors that are put together."""
    for other in tensors[1:]:
        check_argument(call, "tensors", method, other, tensors[0])


def _elsewhere(name: str, method: str, one: str, other: str) -> str:
    checked = f"(when checking argument in method {method})"
    return f"{ALL}got {name} is on {one}, different from other tensors on {other} {checked}"


def check_layer(call: Call) -> None:
    """The input against the layer's parameters, and a hidden state against the input."""
    layer = call.layer
    given = next(iter(call.given.values()), None)
    if layer is None or not isinstance(given, Tensor) or not given.device:
        return
    kind = layer.type_name
    if kind in _RECURRENT:
        _check_hidden(call, given)
    elif kind not in _CHECKED and kind not in _CONVOLUTIONS:
        return
    home = home_of(call.machine, layer)
    if are_apart(given.device, home) and given.library == "torch" and is_certain(call.machine):
        message = _of_layer(kind, given, home)
        if message:
            call.refuse("RuntimeError", message)


def _check_hidden(call: Call, given: Tensor) -> None:
    hidden = call.given.get("hx")
    for state in hidden.items if isinstance(hidden, Sequence) else (hidden,):
        found = apart(call.machine, given, state)
        if found is not None:
            call.refuse("RuntimeError", _not_at_the_same("hidden", *found))


def _not_at_the_same(what: str, one: str, other: str) -> str:
    return (
        f"Input and {what} tensors are not at the same device, found input tensor at {one} and "
        f"{what} tensor at {other}"
    )


def _of_layer(kind: str, given: Tensor, home: str) -> str:
    """ "" where a mistake raises nothing: many operations on `meta`."""
    one, other = shown(given.device), shown(home)
    if kind in _RECURRENT:
        return _not_at_the_same("parameter", one, other)
    if "meta" in (one, other):
        told = f"Tensor on device {other} is not on the expected device {one}!"
        return told if kind == "Linear" else ""
    if kind in _CHECKED:
        name, method = _CHECKED[kind]
        return _elsewhere(name, method, *((other, one) if name == "weight" else (one, other)))
    dtype = _TYPES.get(given.dtype, "Float")
    homes = ["" if at == "cpu" else f"{at.partition(':')[0]}." for at in (one, other)]
    types = [f"torch.{at}{dtype}Tensor" for at in homes]
    more = " or input should be a MKLDNN tensor and weight is a dense tensor" * (one == "cpu")
    return f"Input type ({types[0]}) and weight type ({types[1]}) should be the same{more}"


def home_of(machine: Machine, layer: Object) -> str:
    """Where the layer's parameters are; "" if it can't be told: made elsewhere, or maybe moved with others."""
    if layer.escaped or not layer.made or layer.state.get("is_function"):
        return ""
    if "device" in layer.state:
        return str(layer.state["device"] or "")
    around = [row.module for row in machine._active]
    if any(m.escaped or not m.made or "device" in m.state for m in around):
        return ""
    if any(not kind.startswith("torch.nn.") for m in around for kind in m.kinds):
        return ""  # a base class that can't be seen may move it
    given = layer.settings.get("device")
    if given is not None and not (isinstance(given, Const) and given.value is None):
        return device_of(given)
    return "cpu" if machine.modes["device"] == "cpu" else ""


def move(machine: Machine, module: Object, device: str | None) -> None:
    """The module and all below it to that device; None if it can't be told."""
    parts = machine.parts_of(module)
    if any(part.type in SPREADING for part in parts):
        device = None
    for part in parts:
        given = part.settings.get("device") if not part.cls else None
        # What an arm that doesn't move leaves as it is.
        part.state.setdefault("device", (device_of(given) or "cpu") if part.made else None)
        machine.write(part.state, "device", device)
