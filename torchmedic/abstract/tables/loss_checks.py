"""The exceptions that losses certainly raise, in PyTorch's own words."""

from __future__ import annotations

from collections.abc import Callable

from torchmedic.abstract.tables.broadcasting import broadcast, clash_text
from torchmedic.abstract.tables.dtypes import is_floating, is_integral, scalar_type
from torchmedic.abstract.tables.operation import Call, Shape, Untold, plain_number, text
from torchmedic.abstract.values import Tensor, Value

Check = Callable[[Call, Tensor, Tensor], None]


def _differs(a: Shape, b: Shape) -> bool:
    return len(a) != len(b) or any(x.is_different(y) for x, y in zip(a, b, strict=True))


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


# --- classes


def _cross_entropy(call: Call, given: Tensor, target: Tensor) -> None:
    """Labels: Long, the scores' shape without dimension 1. Probabilities: the scores' shape."""
    if is_integral(given.dtype) and call.machine.modes["autocast"] is False:
        if given.shape is None or len(given.shape) > 2 or given.dtype == "bool":
            raise Untold
        if any(s.constant == 0 for s in given.shape):
            raise Untold
        call.refuse(
            "NotImplementedError",
            f"\"log_softmax_lastdim_kernel_impl\" not implemented for '{scalar_type(given.dtype)}'",
        )
    if given.shape is None or target.shape is None or not given.shape:
        return
    is_same = given.shape == target.shape
    if is_same:
        if is_integral(target.dtype):
            call.refuse(
                "RuntimeError",
                f"Expected floating point type for target with class probabilities, got {scalar_type(target.dtype)}",
                "cross_entropy",
            )
        return
    if len(given.shape) == len(target.shape) and not _differs(given.shape, target.shape):
        return  # it may be the same
    _labels(call, given, target, "cross_entropy")


def _nll(call: Call, given: Tensor, target: Tensor) -> None:
    if given.shape is None or target.shape is None or not given.shape:
        return
    _labels(call, given, target, "nll_loss")


def _labels(call: Call, given: Tensor, target: Tensor, name: str) -> None:
    scores, labels = given.shape, target.shape
    assert scores is not None and labels is not None
    if len(scores) == 1:
        if name == "nll_loss" and len(labels) == 1 and labels[0].is_different(1):
            call.refuse(
                "ValueError",
                f"For 1D input, 1D target must have size 1, but got target size: {plain_number(labels[0])}",
                name,
            )
        if len(labels) > 1 or (labels and labels[0].is_different(1)):
            raise Untold
    elif not labels:
        raise Untold
    elif scores[0].is_different(labels[0]):
        call.refuse(
            "ValueError",
            f"Expected input batch_size ({plain_number(scores[0])}) to match target batch_size ({plain_number(labels[0])}).",
            name,
        )
    if len(scores) <= 2 and len(labels) > 1:
        call.refuse(
            "RuntimeError", "0D or 1D target tensor expected, multi-target not supported", name
        )
    if len(scores) == 4 and len(labels) != 3:
        call.refuse(
            "RuntimeError",
            f"only batches of spatial targets supported (3D tensors) but got targets of dimension: {len(labels)}",
            name,
        )
    wanted = (scores[0], *scores[2:])
    if len(scores) > 2 and _differs(wanted, labels):
        if len(scores) == 4:
            message = f"size mismatch (got input: {text(scores)} , target: {text(labels)}"
        else:
            message = f"Expected target size {text(wanted)}, got {text(labels)}"
        call.refuse("RuntimeError", message, name)
    if target.dtype and target.dtype not in ("int64", "uint8"):
        call.refuse(
            "RuntimeError",
            f"expected target dtype to be Long or Byte, but got {scalar_type(target.dtype)}",
            name,
        )


# --- two classes


def _size_text(tensor: Tensor) -> str:
    return f"torch.Size({text(tensor.shape or ())})"


def _binary(call: Call, given: Tensor, target: Tensor) -> None:
    name = "binary_cross_entropy"
    if given.shape is not None and target.shape is not None and _differs(given.shape, target.shape):
        call.refuse(
            "ValueError",
            f"Using a target size ({_size_text(target)}) that is different to the input size ({_size_text(given)}) is "
            "deprecated. Please ensure they have the same size.",
            name,
        )
    if call.machine.modes["autocast"] is not False or not given.dtype or not target.dtype:
        return
    if given.dtype != target.dtype:
        call.refuse(
            "RuntimeError",
            f"Found dtype {scalar_type(target.dtype)} but expected {scalar_type(given.dtype)}",
            name,
        )
    if is_integral(given.dtype):
        raise Untold


def _binary_logits(call: Call, given: Tensor, target: Tensor) -> None:
    name = "binary_cross_entropy_with_logits"
    if given.shape is not None and target.shape is not None and _differs(given.shape, target.shape):
        call.refuse(
            "ValueError",
            f"Target size ({_size_text(target)}) must be the same as input size ({_size_text(given)})",
            name,
        )
    if is_integral(given.dtype):
        raise Untold
    if target.dtype == "bool":
        call.refuse(
            "RuntimeError",
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator "
            "instead.",
            name,
        )
    if is_floating(given.dtype) and is_integral(target.dtype):
        if call.machine.modes["autocast"] is not False:
            raise Untold
        call.refuse(
            "RuntimeError",
            f"result type {scalar_type(given.dtype)} can't be cast to the desired output type {scalar_type(target.dtype)}",
            name,
        )


# --- numbers


def _regression(name: str, kernel: str = "", is_reversed: bool = False) -> Check:
    def check(call: Call, given: Tensor, target: Tensor) -> None:
        a, b = (target.shape, given.shape) if is_reversed else (given.shape, target.shape)
        _, clash = broadcast(a, b)
        if clash is not None and a is not None and b is not None:
            call.refuse("RuntimeError", clash_text(a, b, clash), name)
        if not (is_integral(given.dtype) and is_integral(target.dtype)):
            return
        if given.dtype != target.dtype or given.dtype == "bool" or not kernel:
            raise Untold
        if call.machine.modes["autocast"] is False:
            call.refuse(
                "NotImplementedError",
                f"\"{kernel}\" not implemented for '{scalar_type(given.dtype)}'",
            )

    return check


CHECKS: dict[str, Check] = {
    "CrossEntropyLoss": _cross_entropy,
    "NLLLoss": _nll,
    "BCELoss": _binary,
    "BCEWithLogitsLoss": _binary_logits,
    "MSELoss": _regression("mse_loss", "mse_cpu"),
    "L1Loss": _regression("l1_loss"),
    "SmoothL1Loss": _regression("smooth_l1_loss", "smooth_l1_cpu"),
    "HuberLoss": _regression("huber_loss"),
    "KLDivLoss": _regression("kl_div", is_reversed=True),
    "SoftMarginLoss": _regression("soft_margin_loss"),
    "HingeEmbeddingLoss": _regression("hinge_embedding_loss", is_reversed=True),
    "PoissonNLLLoss": _regression("poisson_nll_loss", is_reversed=True),
}
