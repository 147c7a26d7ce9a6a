"""Losses: what they give and what they refuse.

Source: https://docs.pytorch.org/docs/stable/nn.html#loss-functions
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.describe import describe
from torchmedic.abstract.registry import BASES, made
from torchmedic.abstract.tables.broadcasting import broadcast, clash_text
from torchmedic.abstract.tables.devices import check_argument, check_elements
from torchmedic.abstract.tables.dtypes import is_integral, promoted
from torchmedic.abstract.tables.loss_checks import CHECKS, column
from torchmedic.abstract.tables.operation import (
    Call,
    Refused,
    Shape,
    Untold,
    functional,
    layer,
)
from torchmedic.abstract.values import Arguments, Object, Tensor, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

_OLD = "size_average=None, reduce=None, reduction='mean'"
PAIR = "input, target"
LOSSES = {
    "CrossEntropyLoss": "weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean', label_smoothing=0.0",
    "NLLLoss": "weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean'",
    "BCELoss": f"weight=None, {_OLD}",
    "BCEWithLogitsLoss": f"weight=None, {_OLD}, pos_weight=None",
    "MSELoss": _OLD,
    "L1Loss": _OLD,
    "SmoothL1Loss": f"{_OLD}, beta=1.0",
    "HuberLoss": "reduction='mean', delta=1.0",
    "KLDivLoss": f"{_OLD}, log_target=False",
    "SoftMarginLoss": _OLD,
    "HingeEmbeddingLoss": f"margin=1.0, {_OLD}",
    "PoissonNLLLoss": "log_input=True, full=False, size_average=None, eps=1e-08, reduce=None, reduction='mean'",
    "MultiLabelMarginLoss": _OLD,
    "MultiLabelSoftMarginLoss": f"weight=None, {_OLD}",
    "MultiMarginLoss": f"p=1, margin=1.0, weight=None, {_OLD}",
}  # fmt: skip
FUNCTIONS = {
    "cross_entropy": ("CrossEntropyLoss", ""), "nll_loss": ("NLLLoss", ""), "binary_cross_entropy": ("BCELoss", ""),
    "binary_cross_entropy_with_logits": ("BCEWithLogitsLoss", ""), "mse_loss": ("MSELoss", ""), "l1_loss": ("L1Loss", ""),
    "smooth_l1_loss": ("SmoothL1Loss", ""), "huber_loss": ("HuberLoss", ""), "kl_div": ("KLDivLoss", ""),
    "soft_margin_loss": ("SoftMarginLoss", ""), "hinge_embedding_loss": ("HingeEmbeddingLoss", ""),
    "poisson_nll_loss": ("PoissonNLLLoss", "log_input, full, size_average, eps, reduce, reduction"),
    "multilabel_margin_loss": ("MultiLabelMarginLoss", ""),
    "multilabel_soft_margin_loss": ("MultiLabelSoftMarginLoss", ""), "multi_margin_loss": ("MultiMarginLoss", ""),
}  # fmt: skip
# Their elements without a reduction: one for each sample; all others one for each element.
ELEMENT_WISE = ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss")
BY_SAMPLE = ("MultiLabelMarginLoss", "MultiLabelSoftMarginLoss", "MultiMarginLoss")
CLASSES = ("CrossEntropyLoss", "NLLLoss")
BASES["CrossEntropyLoss"] = ("_WeightedLoss", "_Loss")


def _reduction(call: Call) -> object:
    """ "mean", "sum", "none"; None if it can't be told."""
    for name in ("size_average", "reduce"):
        try:
            if call.set_constant(name) is not None:
                return None
        except Untold:
            continue
    try:
        return call.set_constant("reduction")
    except Untold:
        return None


def _emitted(
    call: Call, kind: str, reduction: object, given: Value | None, target: Value | None
) -> None:
    layer = call.layer
    is_module = layer is not None and not layer.state.get("is_function")
    call.machine.emit(
        "loss",
        layer if is_module else None,
        loss=kind,
        reduction=reduction,
        input=describe(given) if given is not None else None,
        target=describe(target) if target is not None else None,
        through=getattr(given, "through", ()),
        target_through=getattr(target, "through", ()),
        calls=getattr(given, "calls", frozenset()),
        input_graph=getattr(given, "graph", None),
        activations=getattr(given, "activations", frozenset()),
        column=column(given, target) if kind in ELEMENT_WISE else "",
        made=layer.made[0].at if layer is not None and is_module and layer.made else None,
        has_names=not call.arguments.args,
    )


def _loss(call: Call) -> Value:
    assert call.layer is not None
    kind = call.layer.type_name
    reduction = _reduction(call)
    given, target = call.given.get("input"), call.given.get("target")
    _emitted(call, kind, reduction, given, target)
    inputs = [v for v in (given, target) if v is not None]
    call.machine.note_use(*inputs[1:])
    is_scalar = reduction in ("mean", "sum", "batchmean")
    shape: Shape | None = () if is_scalar else None
    dtype = ""
    try:
        if (
            isinstance(given, Tensor)
            and isinstance(target, Tensor)
            and given.library == target.library == "torch"
        ):
            if kind in CLASSES:
                check_argument(call, "target", "wrapper_CUDA_nll_loss_forward", target, given)
            else:
                check_elements(call, given, target)
            if kind in CHECKS:
                CHECKS[kind](call, given, target)
            dtype = _dtype(call, kind, given, target)
            if not is_scalar:
                shape = _elements(call, kind, reduction, given, target)
    except Untold:
        shape = None
    except Refused:
        return call.made(None, "", *inputs, is_use=False)
    return call.made(shape, dtype, *inputs, is_use=False)


def _dtype(call: Call, kind: str, given: Tensor, target: Tensor) -> str:
    if kind in CLASSES and is_integral(target.dtype):
        return given.dtype
    if kind in ("MultiLabelMarginLoss", "MultiMarginLoss", "BCELoss"):
        return given.dtype
    if not given.dtype or not target.dtype or given.shape is None or target.shape is None:
        return ""
    if given.dtype == target.dtype:
        return given.dtype if not is_integral(given.dtype) else ""
    if is_integral(target.dtype) and not is_integral(given.dtype) and kind in ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss"):  # fmt: skip
        return given.dtype
    if kind in ("MSELoss", "L1Loss", "SmoothL1Loss") and given.shape and target.shape:
        return promoted(given.dtype, target.dtype)
    return ""


def _elements(
    call: Call, kind: str, reduction: object, given: Tensor, target: Tensor
) -> Shape | None:
    """The shape without a reduction."""
    if reduction != "none" or given.shape is None or target.shape is None:
        return None
    if kind in CLASSES:
        if len(given.shape) < 2:
            return None
        return (given.shape[0], *given.shape[2:])
    if kind in BY_SAMPLE:
        return given.shape[:-1] if len(given.shape) == 2 else None
    return broadcast(given.shape, target.shape)[0]


for _name, _signature in LOSSES.items():
    layer(_signature, PAIR, f"torch.nn.{_name}")(_loss)
for _name, (_kind, _order) in FUNCTIONS.items():
    functional(PAIR, {_name: _kind}, _order)


# --- of more than two inputs

_MORE = {
    "GaussianNLLLoss": ("full=False, eps=1e-06, reduction='mean'", "input, target, var"),
    "CosineEmbeddingLoss": (f"margin=0.0, {_OLD}", "input1, input2, target"),
    "MarginRankingLoss": (f"margin=0.0, {_OLD}", "input1, input2, target"),
    "TripletMarginLoss": (f"margin=1.0, p=2.0, eps=1e-06, swap=False, {_OLD}", "anchor, positive, negative"),
    "CTCLoss": ("blank=0, reduction='mean', zero_infinity=False", "log_probs, targets, input_lengths, target_lengths"),
}  # fmt: skip


def _wide_loss(call: Call) -> Value:
    assert call.layer is not None
    reduction = _reduction(call)
    values = list(call.given.values())
    first = values[0] if values else None
    target = call.given.get("target") or call.given.get("targets")
    call.machine.note_use(*values[1:])
    _emitted(call, call.layer.type_name, reduction, first, target)
    shape = () if reduction in ("mean", "sum", "batchmean") else None
    try:
        _check_pairs(call, [v for v in values if isinstance(v, Tensor)])
    except Untold:
        pass
    except Refused:
        return call.made(shape, "", is_use=False)
    tensors = [v for v in values if isinstance(v, Tensor)]
    floats = {t.dtype for t in tensors if not is_integral(t.dtype)}
    dtype = floats.pop() if len(floats) == 1 and len(tensors) == len(values) else ""
    return call.made(shape, dtype, is_use=False)


def _check_pairs(call: Call, tensors: list[Tensor]) -> None:
    """Embeddings that are compared have to be of one shape."""
    assert call.layer is not None
    if call.layer.type_name not in ("CosineEmbeddingLoss", "TripletMarginLoss") or len(tensors) < 2:
        raise Untold
    a, b = tensors[0].shape, tensors[1].shape
    if a is None or b is None or len(a) != len(b) or len(a) != 2:
        raise Untold
    _, clash = broadcast(a, b)
    if clash is not None:
        call.refuse("RuntimeError", clash_text(a, b, clash))


for _name, (_signature, _inputs) in _MORE.items():
    layer(_signature, _inputs, f"torch.nn.{_name}")(_wide_loss)
functional("input, target, var", {"gaussian_nll_loss": "GaussianNLLLoss"})
functional("input1, input2, target", {"cosine_embedding_loss": "CosineEmbeddingLoss", "margin_ranking_loss": "MarginRankingLoss"})  # fmt: skip
functional("anchor, positive, negative", {"triplet_margin_loss": "TripletMarginLoss"})
functional("log_probs, targets, input_lengths, target_lengths", {"ctc_loss": "CTCLoss"})


@made(*(f"torch.nn.{name}" for name in (*LOSSES, *_MORE)))
def _loss_made(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    thing.state["is_loss"] = True
    return thing
