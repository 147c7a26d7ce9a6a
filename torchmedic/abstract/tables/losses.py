"""What losses refuse. Source: https://docs.pytorch.org/docs/stable/nn.html#loss-functions"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.sizes import number
from torchmedic.abstract.values import Tensor, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

ELEMENT_WISE = ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss")
_SAME_SHAPE = ("BCELoss", "BCEWithLogitsLoss")
_NAMES = {
    "float32": "Float",
    "float64": "Double",
    "int64": "Long",
    "int32": "Int",
    "uint8": "Byte",
    "bool": "Bool",
}
_NAMES |= {"float16": "Half", "int16": "Short", "int8": "Char"}


def column(given: Value | None, target: Value | None) -> str:
    """Which one is (N, 1) where the other is (N): together they are spread into N x N. "" for neither."""
    if not isinstance(given, Tensor) or not isinstance(target, Tensor):
        return ""
    for name, tall, flat in (
        ("input", given.shape, target.shape),
        ("target", target.shape, given.shape),
    ):
        if tall is None or flat is None or len(tall) != 2 or len(flat) != 1:
            continue
        if tall[1].constant == 1 and tall[0] == flat[0] and flat[0].constant != 1:
            return name
    return ""


def check(machine: Machine, kind: str, given: Tensor, target: Tensor) -> None:
    """Reports the exception that this pair certainly raises."""
    values = {"input": given, "target": target}
    if kind in _SAME_SHAPE and given.shape is not None and target.shape is not None:
        differs = len(given.shape) != len(target.shape) or any(
            a.is_different(b) for a, b in zip(given.shape, target.shape, strict=True)
        )
        if differs:
            a, b = (
                f"torch.Size([{', '.join(str(int(number(s))) for s in t.shape or ())}])"
                for t in (target, given)
            )
            name = "binary_cross_entropy" + ("_with_logits" if "Logits" in kind else "")
            text = f"Target size ({a}) must be the same as input size ({b})"
            if kind == "BCELoss":
                text = (
                    f"Using a target size ({a}) that is different to the input size ({b}) is deprecated. "
                    "Please ensure they have the same size."
                )
            machine.fail("ValueError", text, (name, values))
            return
    if kind in ("CrossEntropyLoss", "NLLLoss"):
        _classes(machine, kind, given, target)
    elif (
        kind in _SAME_SHAPE
        and target.dtype in ("int64", "int32", "uint8", "bool")
        and given.dtype == "float32"
    ):
        if kind == "BCELoss":
            machine.fail(
                "RuntimeError",
                f"Found dtype {_NAMES[target.dtype]} but expected Float",
                ("binary_cross_entropy", values),
            )
        elif kind == "BCEWithLogitsLoss":
            machine.fail(
                "RuntimeError",
                "result type Float can't be cast to the desired output type Long",
                ("binary_cross_entropy_with_logits", values),
            )


def _classes(machine: Machine, kind: str, given: Tensor, target: Tensor) -> None:
    """Class labels are Long, one dimension less than the scores."""
    if given.shape is None or target.shape is None or not given.shape:
        return
    values = {"input": given, "target": target}
    is_labels = len(target.shape) == len(given.shape) - 1
    if is_labels and target.dtype in ("float32", "float64", "int32", "float16", "int16"):
        machine.fail(
            "RuntimeError",
            f"expected scalar type Long but found {_NAMES[target.dtype]}",
            ("cross_entropy" if kind == "CrossEntropyLoss" else "nll_loss", values),
        )
