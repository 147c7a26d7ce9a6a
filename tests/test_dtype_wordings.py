"""What this PyTorch says when number types don't agree: every wording is read, with the two types that met."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchmedic.engine import diagnose
from torchmedic.observed import Failure

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
WHOLE = (torch.int64, torch.int32, torch.uint8)
Made = Callable[..., Tensor]

# `a` and `b` make tensors of ones, each of its own type, in the sizes asked for.
PAIRS: dict[str, Callable[[Made, Made], object]] = {
    "linear": lambda a, b: F.linear(a(2, 3), b(4, 3)),
    "linear bias": lambda a, b: F.linear(a(2, 3), a(4, 3), b(4)),
    "mm": lambda a, b: a(2, 3) @ b(3, 4),
    "mv": lambda a, b: a(2, 3) @ b(3),
    "dot": lambda a, b: a(3) @ b(3),
    "bmm": lambda a, b: a(5, 2, 3) @ b(5, 3, 4),
    "addmm": lambda a, b: torch.addmm(a(2, 4), b(2, 3), b(3, 4)),
    "baddbmm": lambda a, b: torch.baddbmm(a(5, 2, 4), b(5, 2, 3), b(5, 3, 4)),
    "addbmm": lambda a, b: torch.addbmm(a(2, 4), b(5, 2, 3), b(5, 3, 4)),
    "addmv": lambda a, b: torch.addmv(a(2), b(2, 3), b(3)),
    "tensordot": lambda a, b: torch.tensordot(a(2, 3), b(3, 4), 1),
    "einsum": lambda a, b: torch.einsum("ij,jk->ik", a(2, 3), b(3, 4)),
    "bilinear": lambda a, b: F.bilinear(a(2, 3), a(2, 3), b(4, 3, 3)),
    "multi_dot": lambda a, b: torch.linalg.multi_dot([a(2, 3), b(3, 4), b(4, 2)]),
    "conv1d": lambda a, b: F.conv1d(a(2, 3, 9), b(4, 3, 3)),
    "conv2d": lambda a, b: F.conv2d(a(2, 3, 9, 9), b(4, 3, 3, 3)),
    "conv2d bias": lambda a, b: F.conv2d(a(2, 3, 9, 9), a(4, 3, 3, 3), b(4)),
    "conv_transpose2d": lambda a, b: F.conv_transpose2d(a(2, 3, 9, 9), b(3, 4, 3, 3)),
    "layer_norm": lambda a, b: F.layer_norm(a(4, 3), [3], b(3), b(3)),
    "batch_norm": lambda a, b: F.batch_norm(a(4, 3), b(3), b(3), b(3), b(3)),
    "lstm": lambda a, b: nn.LSTM(3, 4, dtype=b(1).dtype)(a(5, 2, 3)),
    "gru state": lambda a, b: nn.GRU(3, 4, dtype=b(1).dtype)(b(5, 2, 3), a(1, 2, 4)),
    "lstm cell": lambda a, b: nn.LSTMCell(3, 4, dtype=b(1).dtype)(a(2, 3)),
    "attention": lambda a, b: nn.MultiheadAttention(4, 2, dtype=b(1).dtype)(*[a(5, 2, 4)] * 3),
    "scaled_dot_product": lambda a, b: F.scaled_dot_product_attention(
        a(1, 2, 3, 4), b(1, 2, 3, 4), b(1, 2, 3, 4)
    ),
    "attention value": lambda a, b: F.scaled_dot_product_attention(
        b(1, 2, 3, 4), b(1, 2, 3, 4), a(1, 2, 3, 4)
    ),
    "index_add": lambda a, b: b(4, 3).index_add(0, torch.ones(1, dtype=torch.long), a(1, 3)),
    "index_copy": lambda a, b: b(4, 3).index_copy(0, torch.ones(1, dtype=torch.long), a(1, 3)),
    "index_put": lambda a, b: b(4).index_put_((torch.ones(2, dtype=torch.long),), a(2)),
    "masked_scatter": lambda a, b: b(4).masked_scatter(torch.ones(4, dtype=torch.bool), a(4)),
    "lerp": lambda a, b: torch.lerp(b(4), a(4), 0.5),
    "solve": lambda a, b: torch.linalg.solve(torch.eye(2).to(b(1).dtype), a(2)),
    "lstsq": lambda a, b: torch.linalg.lstsq(b(2, 2), a(2, 2)),
}
# Operations whose only argument is a tensor of whole numbers, where floating ones are needed.
NEED_FRACTIONS: dict[str, Callable[[Made], object]] = {
    "softmax": lambda a: a(2, 3).softmax(1),
    "log_softmax 2-D": lambda a: F.cross_entropy(a(4, 3, 5), a(4, 5).long()),
    "gelu": lambda a: F.gelu(a(3)),
    "silu": lambda a: F.silu(a(3)),
    "elu": lambda a: F.elu(a(3)),
    "bce with logits": lambda a: F.binary_cross_entropy_with_logits(a(3), a(3)),
    "bce": lambda a: F.binary_cross_entropy(a(3), a(3)),
    "mse": lambda a: F.mse_loss(a(3), a(3)),
    "smooth_l1": lambda a: F.smooth_l1_loss(a(3), a(3)),
    "cosine": lambda a: F.cosine_similarity(a(2, 3), a(2, 3)),
    "cdist": lambda a: torch.cdist(a(2, 3), a(2, 3)),
    "normalize": lambda a: F.normalize(a(2, 3)),
    "group_norm": lambda a: F.group_norm(a(2, 4, 5), 2),
    "adaptive pooling": lambda a: F.adaptive_avg_pool2d(a(1, 1, 4, 4), 2),
    "multinomial": lambda a: torch.multinomial(a(4), 1),
    "randn_like": lambda a: torch.randn_like(a(4)),
}
NEED_TRUTH: dict[str, Callable[[Made], object]] = {
    "masked_fill": lambda a: torch.ones(4).masked_fill(a(4), 0),
    "masked_select": lambda a: torch.ones(4).masked_select(a(4)),
    "where": lambda a: torch.where(a(4), torch.ones(4), torch.zeros(4)),
    "padding mask": lambda a: nn.MultiheadAttention(4, 2)(
        *[torch.ones(5, 2, 4)] * 3, key_padding_mask=a(2, 5)
    ),
}


def made(dtype: torch.dtype) -> Made:
    return lambda *sizes: torch.ones(*sizes, dtype=dtype)


def refusal(work: Callable[[], object]) -> Failure | None:
    try:
        work()
    except Exception as error:
        return Failure(type(error).__name__, str(error))
    return None


def answered(failure: Failure) -> dict[str, object]:
    found = diagnose(failure)
    assert [d.rule.code for d in found] == ["TM103"], failure.message
    return dict(found[0].facts)


@pytest.mark.parametrize("name", PAIRS)
def test_both_types_are_read(name: str) -> None:
    refused = 0
    for a, b in product(FLOATS, FLOATS):
        failure = refusal(lambda a=a, b=b: PAIRS[name](made(a), made(b))) if a is not b else None
        if failure is None or "primitive descriptor" in failure.message:
            continue
        refused += 1
        facts = answered(failure)
        if {"given", "expected"} <= set(facts):
            names = {str(a).removeprefix("torch."), str(b).removeprefix("torch.")}
            assert {facts["given"], facts["expected"]} == names, failure.message
    assert refused


@pytest.mark.parametrize("name", NEED_FRACTIONS)
def test_whole_numbers_are_told(name: str) -> None:
    for dtype in WHOLE:
        failure = refusal(lambda dtype=dtype: NEED_FRACTIONS[name](made(dtype)))
        assert failure is not None
        assert answered(failure)["given"] in ("int64", "int32", "uint8")


@pytest.mark.parametrize("name", NEED_TRUTH)
def test_masks_of_numbers_are_told(name: str) -> None:
    failure = refusal(lambda: NEED_TRUTH[name](made(torch.int64)))
    assert failure is not None
    answered(failure)


def test_minus_between_truth_values_is_told() -> None:
    mask = torch.ones(3, dtype=torch.bool)
    for work in (lambda: 1 - mask, lambda: mask - mask, lambda: -mask):
        failure = refusal(work)
        assert failure is not None
        assert answered(failure)["given"] == "bool"


@pytest.mark.parametrize(
    "message",
    [
        "\"bitwise_and_cpu\" not implemented for 'Float'",
        "\"lu_cpu\" not implemented for 'ComplexFloat'",
        "\"bitwise_and_cpu\" not implemented for 'Half'",
        "self and mat2 must have the same dtype, but got Float and Float",
        "numpy boolean subtract, the `-` operator, is not supported, use the bitwise_xor",
    ],
)
def test_other_refusals_are_left_alone(message: str) -> None:
    assert diagnose(Failure("RuntimeError", message)) == []
