"""The pretend card: programs that need a GPU are replayed without one, and its kernels keep what CUDA's keep.

Every replay is in a child process; nothing here changes PyTorch for the other tests.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from replaying import BATCH, WIDTH, adam, classes, net, pair, peak, replayed, taken, total
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint

from torchmedic.observed.plan import NotReplayable
from torchmedic.probes.planner import autocast
from torchmedic.probes.planner.decisions import choose_attention

pytest.importorskip("resource")  # where it is, `os.fork` is
FLOAT, HALF = 4, 2


def beside(work):
    """The usual loss, after some other work of the program's."""

    def loss(model, batch):
        work(model, batch[0], batch[1])
        return classes(model, batch)

    return loss


DEVICES = {
    "to a name": lambda m, x, y: x + torch.ones(BATCH, WIDTH).to("cuda"),
    "to a name with an index": lambda m, x, y: x + torch.ones(BATCH, WIDTH).to("cuda:0"),
    "to a device": lambda m, x, y: x + torch.ones(BATCH, WIDTH).to(torch.device("cuda")),
    "to a device by number": lambda m, x, y: x + torch.ones(4).to(torch.device("cuda", 0))[:1],
    "to a tensor's device": lambda m, x, y: x + torch.ones(BATCH, WIDTH).to(x.device),
    "cuda()": lambda m, x, y: x + torch.ones(BATCH, WIDTH).cuda(),
    "cuda(0)": lambda m, x, y: x + torch.ones(BATCH, WIDTH).cuda(0),
    "made there": lambda m, x, y: x + torch.zeros(BATCH, WIDTH, device="cuda"),
    "made from a list": lambda m, x, y: x * torch.tensor([1.0] * WIDTH, device="cuda"),
    "a layer to a name": lambda m, x, y: nn.Linear(WIDTH, 8).to("cuda")(x),
    "a layer by cuda()": lambda m, x, y: nn.Linear(WIDTH, 8).cuda()(x),
    "a layer made there": lambda m, x, y: nn.Linear(WIDTH, 8, device="cuda")(x),
    "a recurrent layer": lambda m, x, y: nn.LSTM(WIDTH, 8).to("cuda")(x),
    "pinned": lambda m, x, y: torch.ones(4).pin_memory().to("cuda", non_blocking=True),
    "torch.cuda": lambda m, x, y: (
        torch.cuda.synchronize(),
        torch.cuda.Event(enable_timing=True).record(),
        torch.cuda.get_device_properties(0).total_memory / 2,
        torch.cuda.mem_get_info()[0] / 2,
        torch.cuda.manual_seed_all(0),
        torch.cuda.max_memory_allocated() / 2,
    ),
    "clipped": lambda m, x, y: nn.utils.clip_grad_norm_(m.parameters(), 1.0),
    "printed": lambda m, x, y: f"{x} {y}",
    "compiled": lambda m, x, y: torch.compile(m)(x),
}


@pytest.mark.parametrize("name", DEVICES)
def test_programs_for_a_card_are_replayed(name):
    step = replayed(beside(DEVICES[name]))
    assert step.is_complete and step.device == "cuda" and step.capability == (8, 0)


OPTIMIZERS = {
    "SGD": (torch.optim.SGD, {}, 0),
    "SGD with momentum": (torch.optim.SGD, {"momentum": 0.9}, 1),
    "fused SGD": (torch.optim.SGD, {"fused": True}, 0),
    "Adam": (torch.optim.Adam, {}, 2),
    "fused Adam": (torch.optim.Adam, {"fused": True}, 2),
    "capturable Adam": (torch.optim.Adam, {"capturable": True}, 2),
    "plain AdamW": (torch.optim.AdamW, {"foreach": False}, 2),
    "AdamW with amsgrad": (torch.optim.AdamW, {"amsgrad": True}, 3),
    "RMSprop": (torch.optim.RMSprop, {}, 1),
    "Adagrad": (torch.optim.Adagrad, {}, 1),
    "fused Adagrad": (torch.optim.Adagrad, {"fused": True}, 1),
    "Adadelta": (torch.optim.Adadelta, {}, 2),
    "NAdam": (torch.optim.NAdam, {}, 2),
    "RAdam": (torch.optim.RAdam, {}, 2),
    "Adamax": (torch.optim.Adamax, {}, 2),
    "ASGD": (torch.optim.ASGD, {}, 1),
    "Rprop": (torch.optim.Rprop, {}, 2),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_hold_what_they_hold(name):
    make, options, copies = OPTIMIZERS[name]
    model = net()
    step = replayed(model=model, optimizer=make(model.parameters(), lr=0.1, **options))
    parameters = total(step.events, category="parameters")
    state = total(step.events, category="optimizer state")
    counters = state - copies * parameters
    assert step.is_complete
    assert 0 <= counters < 100  # scalars
    assert step.guesses == ()


def test_foreach_is_the_default_on_a_card():
    model = net()
    plain = torch.optim.Adam(model.parameters(), foreach=False)
    events = [replayed(model=model, optimizer=o).events for o in (plain, adam(model))]
    names = [{e.operation for e in each if e.phase == "optimizer"} for each in events]
    assert "aten::_foreach_sqrt" in names[1] - names[0]


def attention(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(64, 192)

    def forward(self, x):
        q, k, v = self.qkv(x).view(4, 256, 3, 2, 32).permute(2, 0, 3, 1, 4)
        return attention(q, k, v)


def scores(step):
    """Tensors of the size of all attention scores, or more."""
    found = [e for e in taken(step.events, step=2) if e.category != "workspace"]
    return [e for e in found if e.size >= 4 * 2 * 256 * 256 * HALF]


def test_attention_keeps_no_scores_where_a_fused_kernel_runs():
    def loss(model, batch):
        return model(batch[0]).float().sum()

    def by_formula(model, batch):
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            return model(batch[0]).float().sum()

    batch = (torch.randn(4, 256, 64),)
    for precision in ("bf16", None):
        assert not scores(replayed(loss, Attention(), batch, autocast=precision))
        assert scores(replayed(by_formula, Attention(), batch, autocast=precision))


@pytest.mark.parametrize(
    ("dtype", "width", "has_mask", "capability", "chosen"),
    [
        (torch.bfloat16, 64, False, (8, 0), "flash"),
        (torch.bfloat16, 64, True, (8, 0), "efficient"),
        (torch.float16, 64, False, (7, 5), "efficient"),
        (torch.bfloat16, 64, False, (7, 5), "math"),
        (torch.float32, 64, False, (8, 0), "efficient"),
        (torch.float32, 63, False, (8, 0), "math"),
        (torch.float16, 63, False, (8, 0), "flash"),
        (torch.float16, 512, False, (8, 0), "efficient"),
        (torch.float64, 64, False, (8, 0), "math"),
    ],
)
def test_which_attention_is_chosen(dtype, width, has_mask, capability, chosen):
    q = torch.empty(1, 2, 8, width, dtype=dtype)
    mask = torch.ones(8, 8, dtype=torch.bool) if has_mask else None
    assert choose_attention(q, q, q, mask, 0.0, False, capability) == chosen


def test_the_lists_of_autocast_are_those_of_the_header():
    header = Path(torch.__file__).parent / "include" / "ATen" / "autocast_mode.h"
    if not header.exists() or not torch.__version__.startswith("2.13."):
        pytest.skip("the lists are those of 2.13")
    text = header.read_text()

    def listed(macro):
        body = re.search(rf"#define {macro}\(_\)(.*?)\n\n", text, re.S).group(1)
        return {name.replace(", ", ".") for name in re.findall(r"_\((\w+(?:, \w+)?)\)", body)}

    assert listed("AT_FORALL_LOWER_PRECISION_FP") == set(autocast.LOWER)
    assert listed("AT_FORALL_FP32") == set(autocast.FLOAT)
    assert listed("AT_FORALL_FP32_SET_OPT_DTYPE") == set(autocast.FLOAT_OUTPUT)
    assert listed("AT_FORALL_PROMOTE") == set(autocast.WIDEST)


def test_autocast_computes_products_in_half_and_casts_weights_once():
    def twice(model, batch):
        found = model(batch[0]) + model(batch[0])
        return F.nll_loss(F.log_softmax(found, -1), batch[1])

    step = replayed(twice, autocast="bf16")
    hidden = [e.size for e in taken(step.events, module="0", operation="aten::addmm", step=2)]
    assert hidden == [BATCH * 64 * HALF] * 2
    casts = taken(step.events, operation="aten::_to_copy", module="0", step=2, phase="forward")
    weights = [e for e in casts if e.size == WIDTH * 64 * HALF]
    assert len(weights) == 1
    (softmax,) = taken(step.events, operation="aten::_log_softmax", step=2)
    assert softmax.size == BATCH * 4 * FLOAT
    # `cross_entropy` of this version asks for the type of its input
    (softmax,) = taken(replayed(autocast="bf16").events, operation="aten::_log_softmax", step=2)
    assert softmax.size == BATCH * 4 * HALF
    assert total(step.events, category="gradients", step=2) == total(
        step.events, category="parameters"
    )


def test_a_scaler_that_cannot_know_infinities_steps_all_the_same():
    for device, options in (("cuda", {}), ("cuda", {"fused": True}), ("cpu", {})):
        model = net()
        optimizer = adam(model, **options)
        step = replayed(model=model, optimizer=optimizer, autocast="fp16", device=device)
        parameters = total(step.events, category="parameters")
        assert step.is_complete
        assert total(step.events, category="optimizer state") >= 2 * parameters
        assert step.guesses == ()


def test_dropout_keeps_a_byte_for_each_value():
    model = nn.Sequential(nn.Linear(WIDTH, 64), nn.Dropout(0.5), nn.Linear(64, 4))
    sizes = [e.size for e in taken(replayed(model=model).events, operation="aten::native_dropout")]
    assert sizes == [BATCH * 64 * FLOAT, BATCH * 64] * 2


@pytest.mark.parametrize("activation", [nn.SiLU, nn.Mish])
def test_a_fused_backward_pass_is_one_operation(activation):
    model = nn.Sequential(nn.Linear(WIDTH, 64), activation(), nn.Linear(64, 4))
    backward = taken(replayed(model=model).events, phase="backward", module="1", step=2)
    assert [e.size for e in backward] == [BATCH * 64 * FLOAT]


def test_rms_norm_keeps_its_input_and_a_value_for_each_row():
    model = nn.Sequential(nn.Linear(WIDTH, 64), nn.RMSNorm(64), nn.Linear(64, 4))
    found = taken(replayed(model=model).events, phase="forward", module="1", step=2)
    assert sorted(e.size for e in found) == [BATCH * FLOAT, BATCH * 64 * FLOAT]


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_are_one_operation_with_a_reserve(kind):
    def loss(model, batch):
        return model(batch[0])[0].sum()

    batch = (torch.randn(4, 10, WIDTH),)
    step = replayed(loss, kind(WIDTH, 16, 2, batch_first=True), batch)
    weights = sum(p.numel() for p in kind(WIDTH, 16, 2).parameters()) * FLOAT
    assert total(step.events, category="gradients", step=2) == weights
    assert total(step.events, category="activations", step=2) > 4 * 10 * 16 * 2 * FLOAT
    assert any("estimate" in sentence.en for sentence in step.not_modelled)


def test_packed_sequences_count_as_the_longest():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.LSTM(WIDTH, 16, batch_first=True)
            self.head = nn.Linear(16, 4)

        def forward(self, x, lengths):
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            padded, _ = pad_packed_sequence(self.layer(packed)[0], batch_first=True)
            return self.head(padded.mean(1))

    def loss(model, batch):
        return F.cross_entropy(model(batch[0], batch[1].cpu()), batch[2])

    batch = torch.randn(3, 7, WIDTH), torch.tensor([7, 2, 1]), torch.tensor([0, 1, 2])
    step = replayed(loss, Reader(), batch)
    assert "packed sequence" in {guess.kind for guess in step.guesses}
    data = taken(step.events, module="layer", phase="forward", step=2)
    assert 3 * 7 * 16 * FLOAT in [event.size for event in data]


GUESSED = {
    "item": lambda m, x, y: m(x).sum().item(),
    "equal": lambda m, x, y: torch.equal(x, x + 1),
    "nonzero": lambda m, x, y: x.nonzero(),
    "masked_select": lambda m, x, y: torch.masked_select(x, x > 0),
    "boolean index": lambda m, x, y: x[y > 0].sum(),
    "unique": lambda m, x, y: y.unique(),
}


@pytest.mark.parametrize("kind", GUESSED)
def test_answers_without_values_are_told_with_the_line(kind):
    work = GUESSED[kind]
    (guess,) = replayed(beside(work)).guesses
    assert (guess.kind, guess.times) == (kind, 2)
    assert guess.site.at.path == __file__
    assert guess.site.at.line == work.__code__.co_firstlineno


def test_a_mask_counts_as_all_true():
    def loss(model, batch):
        chosen = batch[0][batch[1] > 0]
        return model(chosen).sum()

    events = replayed(loss).events
    (rows,) = taken(events, operation="aten::index.Tensor", step=2)
    assert rows.size == BATCH * WIDTH * FLOAT


def test_what_cannot_be_replayed_is_named_with_the_line():
    for work, operation in (
        (lambda m, x, y: x.cpu().numpy(), ""),
        (lambda m, x, y: torch.bincount(y), "aten.bincount.default"),
    ):
        with pytest.raises(NotReplayable) as caught:
            replayed(beside(work))
        assert caught.value.operation == operation
        assert caught.value.site.at.line == work.__code__.co_firstlineno
        assert caught.value.reason


def test_tensors_that_the_loss_brings_along_count_as_on_the_card():
    criterion = nn.CrossEntropyLoss(weight=torch.ones(4))
    step = replayed(lambda model, batch: criterion(model(batch[0]), batch[1]))
    assert total(step.events, category="buffers") == 4 * FLOAT
    assert any("on the CPU" in sentence.en for sentence in step.not_modelled)
    assert not replayed().not_modelled


def test_checkpoints_of_both_kinds():
    batch = pair()
    whole = peak(replayed(batch=batch).events)
    for is_reentrant in (False, True):

        def loss(model, batch, is_reentrant=is_reentrant):
            x = batch[0].clone().requires_grad_()
            return F.cross_entropy(checkpoint(model, x, use_reentrant=is_reentrant), batch[1])

        step = replayed(loss, batch=batch)
        assert step.is_complete
        again = taken(step.events, phase="backward", operation="aten::relu", step=2)
        assert [e.category for e in again] == ["activations"]
    assert whole[1]["parameters"]


def test_workspaces_stay_and_are_two(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    events = [e for e in replayed().events if e.operation == "cublas::workspace"]
    assert [(e.kind, e.size, e.phase) for e in events] == [
        ("alloc", 8_519_680, "forward"),
        ("alloc", 8_519_680, "backward"),
    ]
