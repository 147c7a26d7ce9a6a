"""Where tensors live. Two devices are told apart only where one is certainly the CPU, and the other may be none."""

from __future__ import annotations

import re
from collections.abc import Iterable

from torchmedic.abstract.values import Const, Device, Tensor, Value

_NAME = r"(cpu|cuda|mps|xpu|meta|hpu|npu)(:\d+)?"


def device_of(value: Value | None) -> str:
    """Of a `torch.device` or a name of one; "" if it is none, or can't be told. A default of `argparse` is one of two."""
    if isinstance(value, Device):
        return value.name
    text = value.value if isinstance(value, Const) else None
    if not isinstance(text, str) or not re.fullmatch(_NAME, text):
        return ""
    return "cpu|cuda" if value is not None and getattr(value, "soft", False) else text


def either_device(values: Iterable[Value]) -> Device | None:
    """One of several devices; None if one of the values is no device, or if two of them may be the same.

    What may be the same is chosen by something else than what the machine has, and other things are chosen with it.
    """
    names = {device_of(value) for value in values}
    parts = sorted(part for name in names for part in name.split("|"))
    if "" in names or len(set(parts)) < len(parts):
        return None
    return Device(False, name="|".join(parts), soft=True)


def shown(device: str) -> str:
    """As PyTorch prints it: of "cpu|cuda" what it is on the machine with CUDA."""
    other = next((part for part in device.split("|") if part != "cpu"), "cpu")
    return f"{other}:0" if other in ("cuda", "mps", "xpu") else other


def common_device(tensors: list[Tensor]) -> str:
    """Of the result of an operation: numbers on the CPU may meet tensors elsewhere. "" if it can't be told."""
    found = ""
    for tensor in tensors:
        if not tensor.device:
            return ""
        if tensor.device == found or (found and tensor.device == "cpu" and tensor.shape == ()):
            continue
        if found:
            return ""
        found = tensor.device
    return found


def are_apart(one: str, other: str) -> bool:
    """True if one is the CPU, and the other is not on a machine that has more."""
    return bool(one and other) and (one == "cpu") != (other == "cpu")
