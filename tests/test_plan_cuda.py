"""What CUDA's libraries take beside the outputs, beside what an H200 was seen to take (PyTorch 2.11, cuDNN 9)."""

from __future__ import annotations

from math import prod

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from torchmedic.observed.cuda import MULTIPROCESSORS, multiprocessors
from torchmedic.probes.planner import replay
from torchmedic.probes.planner.convolutions import Convolution, workspace
from torchmedic.probes.planner.reductions import Buffers, buffers

H200 = (9, 0)
MIB = 1 << 20


def contiguous(sizes):
    return tuple(prod(sizes[at + 1 :]) for at in range(len(sizes)))


@pytest.mark.parametrize(
    ("sizes", "size"),
    [
        ((2048, 512), 8_388_608),
        ((4096, 784), 25_690_112),
        ((6400, 192), 9_830_400),
        ((6400, 576), 29_491_200),
        ((6272, 768), 38_535_168),
    ],
)
def test_the_gradient_of_a_bias_takes_what_was_measured(sizes, size):
    assert buffers(sizes, contiguous(sizes), frozenset({0}), 4, H200).partial == size


def test_a_gradient_with_channels_last_is_a_tall_matrix():
    sizes, strides = (32, 768, 14, 14), (196 * 768, 1, 14 * 768, 768)
    assert buffers(sizes, strides, frozenset({0, 2, 3}), 4, H200).partial == 38_535_168
    assert buffers(sizes, contiguous(sizes), frozenset({0, 2, 3}), 4, H200) == Buffers()


@given(
    st.lists(st.integers(0, 300), max_size=4),
    st.sets(st.integers(0, 3)),
    st.sampled_from([*MULTIPROCESSORS, (5, 2), (11, 0)]),
)
def test_buffers_of_any_reduction(sizes, reduced, capability):
    kept = frozenset(at for at in reduced if at < len(sizes))
    found = buffers(tuple(sizes), contiguous(sizes), kept, 4, capability)
    outputs = prod(size for at, size in enumerate(sizes) if at not in kept)
    assert found.partial >= 0 and (not found.partial or found.partial >= 2 * 4 * outputs)
    if not kept:
        assert found == Buffers()


def test_an_unknown_capability_has_as_many_multiprocessors_as_the_one_before():
    assert multiprocessors((11, 0)) == MULTIPROCESSORS[10, 0]
    assert multiprocessors((3, 5)) == MULTIPROCESSORS[6, 0]


def conv(x, weight, y, stride, element=4, groups=1, is_last=False):
    return Convolution(x, weight, y, stride, groups, element, False, is_last)


@pytest.mark.parametrize(
    ("what", "one", "size"),
    [
        (
            "forward",
            conv((32, 128, 28, 28), (128, 128, 3, 3), (32, 128, 28, 28), 1),
            25_063 * MIB // 1000,
        ),
        (
            "forward",
            conv((32, 64, 56, 56), (256, 64, 1, 1), (32, 256, 56, 56), 1),
            0,
        ),
        (
            "forward",
            conv((32, 3, 224, 224), (64, 3, 7, 7), (32, 64, 112, 112), 2, element=2),
            73_548 * MIB // 1000,
        ),
        (
            "input",
            conv((32, 256, 14, 14), (256, 256, 3, 3), (32, 256, 14, 14), 1, element=2),
            7_250 * MIB // 1000,
        ),
        (
            "weight",
            conv((32, 128, 28, 28), (128, 128, 3, 3), (32, 128, 28, 28), 1),
            32_938 * MIB // 1000,
        ),
    ],
)
def test_convolutions_take_what_was_measured(what, one, size):
    assert abs(workspace(what, one, H200) - size) <= 0.001 * size + 1024


def test_convolutions_that_copy_nothing():
    sizes = (32, 64, 56, 56)
    last = conv(sizes, (64, 64, 3, 3), sizes, 1, is_last=True)
    assert workspace("forward", last, H200) == workspace("input", last, H200) == 0
    depthwise = conv(sizes, (64, 1, 3, 3), sizes, 1, groups=64)
    assert workspace("weight", depthwise, H200) == 0
    without_tensor_cores = conv(sizes, (64, 64, 3, 3), sizes, 1)
    assert workspace("forward", without_tensor_cores, (7, 5)) == 0


def taken(model, loss, batch, **options):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step = replay(model, optimizer, batch, loss, capability=H200, **options)
    return [e for e in step.events if e.kind == "alloc" and e.step == 2]


def reserve(kind, autocast=None, dropout=0.0, **options):
    """Bytes that a recurrent layer of the benchmarks keeps for its backward pass."""
    layer = kind(options.pop("inputs"), options.pop("hidden"), 2, dropout=dropout, **options)
    batch = (torch.randn(*SHAPES[kind], layer.input_size),)
    found = taken(layer, lambda m, b: m(b[0])[0].float().sum(), batch, autocast=autocast)
    return max(e.size for e in found if e.category == "activations")


SHAPES = {nn.LSTM: (32, 128), nn.GRU: (32, 128)}


@pytest.mark.parametrize(
    ("kind", "autocast", "size"),
    [
        (nn.LSTM, "fp16", 23_200_000),
        (nn.GRU, None, 54_657_280),
        (nn.GRU, "bf16", 27_394_304),
    ],
)
def test_recurrent_layers_keep_what_was_measured(kind, autocast, size):
    assert reserve(kind, autocast, dropout=0.1, inputs=128, hidden=256) == size


def test_the_bias_of_a_product_is_added_in_place_where_its_input_is_not_contiguous():
    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.GRU(16, 32, batch_first=True)
            self.head = nn.Linear(32, 1000)

        def forward(self, x):
            return self.head(self.layer(x)[0])

    found = taken(Head(), lambda m, b: m(b[0]).sum(), (torch.randn(8, 10, 16),))
    logits = [e for e in found if e.phase == "forward" and e.size == 8 * 10 * 1000 * 4]
    assert [e.operation for e in logits] == ["aten::mm"]


def test_sums_of_the_gradients_of_embeddings():
    model = nn.Embedding(4096, 256)
    words = torch.randint(4096, (8192,))
    found = taken(model, lambda m, b: m(b[0]).sum(), (words,))
    partial = [e.size for e in found if e.operation == "embedding::partial"]
    assert max(partial) == 5_032_960
    few = taken(model, lambda m, b: m(b[0]).sum(), (words[:3072],))
    assert not [e for e in few if e.operation == "embedding::partial"]


def test_workspaces_of_cublas_and_its_lighter_sister():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(16, 16)

        def forward(self, x):
            return F.relu(self.first(x)) @ x.t()

    model = Both()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step = replay(
        model,
        optimizer,
        (torch.randn(8, 16),),
        lambda m, b: m(b[0]).sum(),
        capability=H200,
    )
    kept = [(e.operation, e.size, e.phase) for e in step.events if e.kind == "alloc"]
    assert [each for each in kept if "cublas" in each[0]] == [
        ("cublas::workspace", 32 * MIB, "forward"),
        ("cublaslt::workspace", MIB, "forward"),
        ("cublas::workspace", 32 * MIB, "backward"),
    ]
