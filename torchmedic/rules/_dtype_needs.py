"""Which number type a failing operation needs, by the form of its message and the layer's own parameters."""

from __future__ import annotations

from torchmedic.observed import Failure, Tensor
from torchmedic.rules._dtypes import FLOATS, METHODS, dtype_of

_WHOLE = frozenset({"indices", "labels", "index"})
_NO_FRACTIONS = frozenset(METHODS.values()) - {"float32", "float64"}
_BITS = ("bitwise", "lshift", "rshift", "gcd", "lcm")
_LOSSES = ("loss", "entropy")


def is_meant(name: str, facts: dict[str, object]) -> bool:
    """False where the words are used of other things too, and the types that were read say so.

    Of three types the odd one becomes `given`. "not implemented for 'Float'" is no wish for floating numbers.
    """
    facts.pop("types", None)
    kernel, third = str(facts.pop("kernel", "")), facts.pop("third", None)
    if third is not None:
        third = dtype_of(third) or str(third)
        if facts["given"] == facts["expected"]:
            facts["given"] = third
        elif facts["given"] == third:
            facts["given"], facts["expected"] = facts["expected"], third
    if name == "minus":
        facts["given"] = "bool"
    if name == "whole" and kernel:
        return facts["given"] in _NO_FRACTIONS and not kernel.startswith(_BITS)
    return (
        name != "" or facts["given"] != facts["expected"]
    )  # the same: it's the devices that differ


def form_of(failure: Failure, name: str, facts: dict[str, object]) -> str:
    """Which form a message is that several share: "expected scalar type Long" is of labels, indices or a layer."""
    layer = failure.failing
    argument = facts.get("argument")
    if name == "" and facts["expected"] in ("int64", "uint8") and facts["given"] in FLOATS:
        if argument in ("index", "indices"):
            return "indices"
        if layer is None or not _parameter_dtype(failure) or argument == "target":
            return "labels"
    in_loss = any(
        part in frame.function for frame in failure.frames if not frame.is_user for part in _LOSSES
    )
    if name == "" and (argument == "target" or (in_loss and not _parameter_dtype(failure))):
        return "target"
    if name == "cast" and in_loss:
        return "target"
    return name


def _parameter_dtype(failure: Failure) -> str | None:
    layer = failure.failing
    found = [p.dtype for p in layer.parameters.values() if p.dtype in FLOATS] if layer else []
    return found[0] if found else None


def wanted_by(failure: Failure, name: str, facts: dict[str, object]) -> str:
    """The type that the layer or loss needs."""
    if name in _WHOLE:
        return "int64"
    if name == "mask":
        return "bool"
    if name in ("", "mixed"):
        types = {facts.get("given"), facts.get("expected")}
        of_layer = _parameter_dtype(failure)
        if of_layer is not None:
            return of_layer
        return "float32" if "float32" in types or not types & FLOATS else str(facts["expected"])
    expected = facts.get("expected")
    return str(expected) if expected in FLOATS and name in ("target", "cast") else "float32"


def is_bad(tensor: Tensor, name: str, facts: dict[str, object], wanted: str) -> bool:
    """True if a tensor of the failing operation can be the one that the message complains about."""
    given = facts.get("given")
    if name in ("", "mixed"):
        return tensor.dtype != wanted and given in (None, tensor.dtype, wanted)
    if name == "mask":
        return tensor.dtype not in ("bool", wanted)
    if given is not None:
        return tensor.dtype == given
    if name in _WHOLE:
        return tensor.dtype not in ("int64", "bool")
    return tensor.dtype == "float64" if name == "mps" else tensor.dtype not in FLOATS
