"""The ledger against what is known exactly: real runs of the same step, sizes of layers, storages of real operations."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from replaying import BATCH, WIDTH, adam, classes, most_of, net, pair, peak, replayed, taken, total
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.checkpoint import checkpoint

from torchmedic.probes.planner.ledger import Ledger
from torchmedic.probes.planner.places import Places

pytest.importorskip("resource")  # where it is, `os.fork` is
HERE = __file__
FLOAT = 4
PARAMETERS = FLOAT * sum(p.numel() for p in net().parameters())


def really(make, batch, loss, optimizer=adam):
    """Most bytes that two real steps have live, by the profiler."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        model = make()
        made = optimizer(model)
        with record_function("steps"):
            for _ in range(2):
                data = tuple(part.clone() for part in batch)
                made.zero_grad()
                value = loss(model, data)
                value.backward()
                made.step()
                del data
    return most_of(recorded)


class Tower(nn.Module):
    def __init__(self, is_checkpointed=False):
        super().__init__()
        self.is_checkpointed = is_checkpointed
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64))
            for _ in range(3)
        )

    def forward(self, x):
        for block in self.blocks:
            x = x + (
                checkpoint(block, x, use_reentrant=False) if self.is_checkpointed else block(x)
            )
        return x


def squares(model, batch):
    return model(batch[0]).square().mean()


@pytest.mark.parametrize("is_checkpointed", [False, True])
def test_the_peak_is_that_of_a_real_run(is_checkpointed):
    batch = (torch.randn(256, 64),)
    truth = really(lambda: Tower(is_checkpointed), batch, squares)
    found, _ = peak(replayed(squares, Tower(is_checkpointed), batch, device="cpu").events)
    assert found == pytest.approx(
        truth, abs=3 * 5056
    )  # each checkpoint saves the generator's state


def test_foreach_costs_what_it_really_costs():
    batch = pair()
    truth = really(net, batch, classes, lambda model: adam(model, foreach=True))
    model = net()
    step = replayed(model=model, batch=batch, optimizer=adam(model, foreach=True), device="cpu")
    assert peak(step.events)[0] == pytest.approx(truth, rel=0.002)
    assert peak(step.events)[0] != peak(replayed(device="cpu").events)[0]


def test_categories_are_the_sizes_of_the_layers():
    step = replayed(device="cpu")
    events = step.events
    assert total(events, category="parameters") == PARAMETERS
    assert total(events, category="batch", step=1) == BATCH * (WIDTH * FLOAT + 8)
    assert total(events, category="gradients", step=2) == PARAMETERS
    steps = 4 * FLOAT  # Adam's counters, one for each of four parameters
    assert total(events, category="optimizer state") == 2 * PARAMETERS + steps
    kept = taken(events, category="activations", step=1, phase="forward")
    assert [e.size for e in kept if e.operation == "aten::relu"] == [BATCH * 64 * FLOAT]
    assert not [e for e in kept if e.operation == "aten::addmm"]  # ReLU keeps its output alone


def test_every_storage_is_taken_once_and_given_back_at_most_once():
    events = replayed(device="cpu").events
    live = {}
    for event in events:
        if event.kind == "alloc":
            assert event.id not in live
            live[event.id] = event
        else:
            assert live[event.id].size == event.size
            assert live.pop(event.id).category == event.category
    left = {event.category for event in live.values()}
    assert left >= {"parameters", "gradients", "optimizer state"}
    assert "activations" not in {e.category for e in live.values() if e.size > FLOAT}


def test_a_backward_pass_is_told_by_the_module_and_the_line_of_its_forward_pass():
    def loss(model, batch):
        hidden = model[1](model[0](batch[0]))
        return F.cross_entropy(model[2](hidden), batch[1])

    first = loss.__code__.co_firstlineno
    events = replayed(loss, device="cpu").events
    products = taken(events, phase="backward", operation="aten::mm", step=2)
    assert [(e.module, e.site.at.line - first) for e in products] == [("2", 2), ("2", 2), ("0", 1)]
    assert {e.site.at.path for e in products} == {HERE}
    (relu,) = taken(events, phase="backward", operation="aten::threshold_backward", step=2)
    assert relu.module == "1"
    (softmax,) = taken(
        events, phase="backward", operation="aten::_log_softmax_backward_data", step=2
    )
    assert (softmax.module, softmax.site.at.line - first) == ("", 2)


def test_what_a_checkpoint_computes_again_is_an_activation_of_the_backward_pass():
    batch = (torch.randn(64, 64),)
    plain = replayed(squares, Tower(False), batch, device="cpu").events
    events = replayed(squares, Tower(True), batch, device="cpu").events
    again = taken(events, phase="backward", category="activations", step=2)
    assert {e.module for e in again} >= {f"blocks.{i}.2" for i in range(3)}
    kept = [total(e, phase="forward", category="activations", step=2) for e in (plain, events)]
    assert kept[1] < kept[0] / 2
    assert not taken(plain, phase="backward", category="activations", step=2)


def test_tied_weights_count_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(100, 16)
            self.head = nn.Linear(16, 100, bias=False)
            self.head.weight = self.words.weight

        def forward(self, x):
            return self.head(self.words(x))

    batch = torch.randint(100, (8,)), torch.randint(100, (8,))
    events = replayed(model=Tied(), batch=batch, device="cpu").events
    assert total(events, category="parameters") == 100 * 16 * FLOAT
    assert [e.size for e in taken(events, category="gradients", step=2)][-1:] == [100 * 16 * FLOAT]


def test_views_count_once_and_a_resize_is_an_end_and_a_start():
    ledger = Ledger("cpu", Places())
    with ledger:
        x = torch.ones(100)
        y = x[10:].view(9, 10).t()
        x.resize_(300)
        del x, y
    sizes = [(event.kind, event.size) for event in ledger.close()]
    assert sizes == [("alloc", 400), ("free", 400), ("alloc", 1200), ("free", 1200)]


@pytest.mark.parametrize("is_bf16", [False, True])
@pytest.mark.parametrize("sizes", [(32, 16, 128, 256), (10, 7, 96, 48), (3, 5, 20, 24)])
def test_the_workspace_of_an_lstm_on_a_cpu_is_the_real_one(sizes, is_bf16):
    steps, size, given, hidden = sizes
    dtype = torch.bfloat16 if is_bf16 else torch.float32
    if not torch.backends.mkldnn.is_available() or (
        is_bf16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    ):
        pytest.skip("no oneDNN for this")
    layer = nn.LSTM(given, hidden).to(dtype)
    x, state = torch.randn(steps, size, given, dtype=dtype), torch.zeros(size, hidden, dtype=dtype)
    weights = [weight.detach() for weight in layer._flat_weights]
    real = torch.ops.aten.mkldnn_rnn_layer(
        x, *weights, state, state, False, [], 2, hidden, 1, True, False, False, True
    )[3]
    events = replayed(
        lambda model, batch: model(batch[0])[0].float().sum(), layer, (x,), device="cpu"
    ).events
    found = taken(events, operation="aten::mkldnn_rnn_layer", step=1, category="activations")
    assert real.untyped_storage().nbytes() in [event.size for event in found]


@pytest.mark.parametrize("loss", [F.mse_loss, F.smooth_l1_loss, F.binary_cross_entropy])
def test_the_scalar_of_some_losses_keeps_the_storage_of_all_values(loss):
    x = torch.rand(8, WIDTH)
    real = loss(x, x).untyped_storage().nbytes()
    events = replayed(
        lambda model, batch: loss(model(batch[0]).sigmoid(), batch[0]),
        nn.Linear(WIDTH, WIDTH),
        (x,),
        device="cpu",
    ).events
    found = [
        e.size
        for e in taken(events, step=1, phase="forward")
        if "loss" in e.operation or "entropy" in e.operation
    ]
    assert real > FLOAT
    assert real in found


CONVOLUTIONS = {
    "few channels": (lambda: nn.Conv2d(1, 6, 5, padding=2), (64, 1, 28, 28)),
    "in one dimension": (lambda: nn.Conv1d(20, 30, 9), (16, 20, 1000)),
    "in three dimensions": (lambda: nn.Conv3d(12, 20, 3), (4, 12, 14, 14, 14)),
    "in groups": (lambda: nn.Conv2d(24, 48, 3, groups=2), (8, 24, 40, 40)),
    "for each channel": (lambda: nn.Conv2d(40, 40, 3, groups=40), (8, 40, 40, 40)),
    "transposed": (lambda: nn.ConvTranspose2d(24, 12, 2, 2), (8, 24, 24, 24)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_the_copies_of_a_convolution_are_in_the_peak(name):
    make, shape = CONVOLUTIONS[name]
    batch = (torch.randn(shape),)

    def total_of(model, batch):
        return model(batch[0].relu()).relu().sum()

    events = replayed(total_of, make(), batch, device="cpu").events
    found, _ = peak(events)
    truth = really(make, batch, total_of)
    if torch.backends.cpu.get_cpu_capability() == "AVX512":  # what the sizes were read from
        assert found == pytest.approx(truth, rel=0.02)
    assert total(events, category="workspace", phase="forward") > 0


def test_a_copied_model_is_followed_too():
    step = replayed(model=copy.deepcopy(net()), device="cpu")
    assert {event.module for event in step.events} == {"", "0", "1", "2"}
