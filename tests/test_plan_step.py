"""A replayed step: what it leaves alone, what it refuses, and that its death is one sentence."""

from __future__ import annotations

import copy
import os
import pickle
import sys
import time

import pytest
import torch
import torch.nn.functional as F
from replaying import (
    BATCH,
    WIDTH,
    adam,
    classes,
    most_of,
    net,
    pair,
    peak,
    replayed,
    taken,
    total,
)
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from torchmedic.observed.plan import NotReplayable
from torchmedic.probes.planner import replay
from torchmedic.probes.planner.child import in_child

resource = pytest.importorskip("resource")  # where it is, `os.fork` is
FLOAT = 4


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_nothing_of_the_callers_changes(device):
    model, batch = net(), pair()
    model[0].eval()
    optimizer = adam(model)
    for _ in range(2):  # a real step, with OpenMP's threads and autograd's, before the fork
        optimizer.zero_grad()
        classes(model, batch).backward()
        optimizer.step()
    weights = copy.deepcopy(model.state_dict())
    state = copy.deepcopy(optimizer.state_dict())
    gradients = [p.grad.clone() for p in model.parameters()]
    same = [id(p) for p in model.parameters()]
    modes = [module.training for module in model.modules()]
    random, data = torch.get_rng_state(), [part.clone() for part in batch]

    step = replay(model, optimizer, batch, classes, device=device, batch_size=64)

    assert step.batch_size == 64 and step.is_complete
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(a, b) for a, b in zip(batch, data, strict=True))
    assert [id(p) for p in model.parameters()] == same
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    after = optimizer.state_dict()
    assert after["param_groups"] == state["param_groups"]
    for key, slots in state["state"].items():
        assert all(torch.equal(value, after["state"][key][name]) for name, value in slots.items())
    assert not torch.cuda.is_available()
    classes(model, batch).backward()
    optimizer.step()
    assert not any(module._forward_hooks for module in model.modules())


def test_a_replay_does_not_depend_on_what_ran_before():
    first, again = replayed(), replayed()
    shape = [
        (e.kind, e.id, e.size, e.category, e.phase, e.module, e.operation) for e in first.events
    ]
    assert shape == [
        (e.kind, e.id, e.size, e.category, e.phase, e.module, e.operation) for e in again.events
    ]


def test_the_batch_gets_another_size():
    small, large = (replayed(batch_size=size) for size in (BATCH, 10 * BATCH))
    sizes = [total(step.events, category="batch", step=1) for step in (small, large)]
    assert sizes[1] == 10 * sizes[0]
    same = [total(step.events, category="parameters") for step in (small, large)]
    assert same[0] == same[1]
    assert replayed().batch_size == BATCH


def test_only_tensors_of_the_batch_are_resized():
    scale = torch.ones(WIDTH)

    def loss(model, batch):
        assert batch["name"] == "train" and batch["x"].shape == (5, WIDTH)
        assert batch["scale"].shape == (WIDTH,)
        return F.cross_entropy(model(batch["x"] * batch["scale"]), batch["y"])

    x, y = pair()
    step = replayed(loss, batch={"x": x, "y": y, "scale": scale, "name": "train"}, batch_size=5)
    assert step.is_complete


def test_channels_last_survives():
    model = nn.Conv2d(8, 8, 3).to(memory_format=torch.channels_last)
    x = torch.randn(4, 8, 6, 6).to(memory_format=torch.channels_last)

    def loss(model, batch):
        assert batch[0].is_contiguous(memory_format=torch.channels_last)
        assert model.weight.is_contiguous(memory_format=torch.channels_last)
        return model(batch[0]).sum()

    for size in (4, 7):
        assert replayed(loss, model, (x,), batch_size=size).is_complete


def test_several_optimizers_take_turns():
    model = nn.ModuleDict({"a": nn.Linear(WIDTH, WIDTH), "b": nn.Linear(WIDTH, 4)})
    optimizers = [adam(model["a"]), torch.optim.SGD(model["b"].parameters(), lr=0.1)]
    losses = [
        lambda model, batch: model["a"](batch[0]).square().mean(),
        lambda model, batch: F.cross_entropy(model["b"](model["a"](batch[0])), batch[1]),
    ]
    step = replay(model, optimizers, pair(), losses)
    held = sum(p.numel() for p in model["a"].parameters()) * FLOAT * 2
    assert step.is_complete
    assert 0 <= total(step.events, category="optimizer state") - held < 100
    with pytest.raises(NotReplayable, match="2 optimizers need as many losses, not 1"):
        replay(model, optimizers, pair(), losses[0])


def test_a_batch_in_parts_keeps_gradients_and_halves_activations():
    whole = replayed(batch_size=4096).events
    step = replayed(batch_size=4096, accumulate=2)
    assert step.is_complete and step.batch_size == 4096
    half = BATCH * 256
    relu = [e.size for e in taken(step.events, operation="aten::relu", step=2)]
    assert relu == [half * 64 * FLOAT] * 2
    assert total(step.events, category="gradients") < 3 * total(whole, category="gradients")
    assert peak(step.events)[1]["activations"] <= peak(whole)[1]["activations"] / 2 + 64
    odd = [e.size for e in taken(replayed(accumulate=3).events, operation="aten::relu", step=1)]
    assert odd == [rows * 64 * FLOAT for rows in (3, 3, 2)]
    with pytest.raises(NotReplayable, match="a batch of 8 samples can't be taken in 9 parts"):
        replayed(accumulate=9)


def test_a_batch_in_parts_takes_what_it_really_takes():
    batch = (torch.randn(512, WIDTH),)

    def loss(model, batch):
        return F.mse_loss(model(batch[0]), torch.zeros_like(batch[0][:, :4]))

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        model = net()
        optimizer = adam(model)
        with record_function("steps"):
            for _ in range(2):
                optimizer.zero_grad()
                for part in batch[0].chunk(2):
                    data = (part.clone(),)
                    value = loss(model, data) / 2
                    value.backward()
                    del data
                optimizer.step()
    found = peak(replayed(loss, batch=batch, accumulate=2, device="cpu").events)[0]
    assert found == pytest.approx(most_of(recorded), rel=0.002)


def test_the_second_step_tells_the_peak():
    one, two, three = (peak(replayed(iterations=n, batch_size=4096).events)[0] for n in (1, 2, 3))
    assert one < two == three


def test_parameters_kept_in_lists_are_twins_too():
    """`nn.LSTM` calls its weights by a list of its own."""

    def loss(model, batch):
        return model(batch[0])[0].sum()

    batch = (torch.randn(4, 10, WIDTH),)
    step = replayed(loss, nn.LSTM(WIDTH, 16, 2), batch, device="cpu")
    weights = sum(p.numel() for p in nn.LSTM(WIDTH, 16, 2).parameters()) * FLOAT
    assert total(step.events, category="gradients", step=2) == weights


def test_frozen_layers_have_no_gradients():
    model = net()
    model[0].requires_grad_(False)
    step = replayed(model=model)
    assert {e.module for e in taken(step.events, category="gradients")} == {"2"}


def test_sparse_gradients_are_said_to_be_missing():
    model = nn.Embedding(50, 8, sparse=True)
    optimizer = torch.optim.SparseAdam(list(model.parameters()))
    batch = (torch.randint(50, (4, 3)),)
    step = replayed(lambda m, b: m(b[0]).sum(), model, batch, optimizer=optimizer)
    assert total(step.events, category="optimizer state") >= 2 * 50 * 8 * FLOAT
    assert any(sentence.en.startswith("sparse gradients") for sentence in step.not_modelled)


REFUSED = {
    "no scalar": (
        lambda m, b: m(b[0]),
        r"`loss` returned a tensor of shape \(8, 4\), not a scalar",
    ),
    "no tensor": (lambda m, b: None, "`loss` returned NoneType, not a tensor"),
    "no graph": (lambda m, b: classes(m, b).detach(), "doesn't require gradients"),
    "an error": (lambda m, b: m(b[0][:, :3]), "RuntimeError: .*same reduction dim"),
    "an exit": (lambda m, b: sys.exit(2), "SystemExit: 2"),
    "an abort": (lambda m, b: os.abort(), "the replay was ended by SIGABRT"),
    "a silent end": (lambda m, b: os._exit(3), "the replay ended without an answer"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_fails_is_one_sentence(name):
    loss, said = REFUSED[name]
    with pytest.raises(NotReplayable, match=said) as caught:
        replayed(loss)
    assert "\n" not in caught.value.reason


def test_a_lazy_layer_and_lbfgs_are_refused():
    model = nn.LazyLinear(4)
    with pytest.raises(NotReplayable, match="lazy module"):
        replay(model, torch.optim.SGD(model.parameters(), lr=0.1), pair(), classes)
    model = net()
    with pytest.raises(NotReplayable, match="LBFGS"):
        replay(model, torch.optim.LBFGS(model.parameters()), pair(), classes)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.jit
def test_what_cannot_be_changed_or_read_is_refused():
    for size, batch, said in (
        (0, pair(), "at least one sample, not 0"),
        (4, {"scale": torch.tensor(1.0)}, "no tensor of the batch"),
    ):
        with pytest.raises(NotReplayable, match=said):
            replayed(batch=batch, batch_size=size)
    scripted = torch.jit.script(net())
    with pytest.raises(NotReplayable, match="scripted module"):
        replayed(model=scripted)


def test_wrappers_are_left_out_and_said_to_be():
    model = net()
    for wrapped, said in (
        (nn.DataParallel(model), "one card is planned"),
        (torch.compile(model), "`torch.compile` is left out"),
    ):
        step = replayed(model=wrapped)
        assert [sentence.en.startswith(said) for sentence in step.not_modelled] == [True]
        assert step.is_complete
        assert {event.module for event in step.events} == {"", "0", "1", "2"}


def test_a_replay_that_takes_too_long_is_ended():
    start = time.monotonic()
    with pytest.raises(NotReplayable, match=r"more than 0\.5 s"):
        replayed(lambda model, batch: time.sleep(60), seconds=0.5)
    assert time.monotonic() - start < 30


def test_no_child_is_left():
    replayed()
    with pytest.raises(NotReplayable):
        replayed(lambda model, batch: os.abort())
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_the_last_words_of_an_abort_are_told():
    def work():
        os.write(2, b"terminate called after throwing\n  what():  no such device\n")
        os.abort()

    with pytest.raises(NotReplayable, match="ended by SIGABRT: no such device"):
        in_child(work, 20)


def test_a_child_says_nothing(capfd):
    def loss(model, batch):
        print("hello")
        os.write(1, b"hello")
        os.write(2, b"hello")
        return classes(model, batch)

    replayed(loss)
    assert capfd.readouterr() == ("", "")


def test_an_answer_that_cannot_be_told_or_is_cut_off(monkeypatch):
    with pytest.raises(NotReplayable, match="pickle"):
        in_child(lambda: lambda: None, 20)
    whole = pickle.dumps
    monkeypatch.setattr(pickle, "dumps", lambda *arguments: whole(*arguments)[:-3])
    with pytest.raises(NotReplayable, match="ended without an answer"):
        in_child(lambda: "answer", 20)


def test_an_answer_larger_than_a_pipe():
    assert len(in_child(lambda: bytes(5 << 20), 20)) == 5 << 20


def test_a_model_without_memory_is_enough():
    def most():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

    with torch.device("meta"):
        model = nn.Sequential(*(nn.Linear(8192, 8192, bias=False) for _ in range(8)))
    before = most()

    def loss(model, batch):
        assert most() - before < 500 << 20  # in the child
        return model(batch[0]).sum()

    step = replayed(loss, model, (torch.zeros(2, 8192),), batch_size=4096)
    assert step.is_complete
    assert total(step.events, category="parameters") == 8 * 8192 * 8192 * FLOAT  # 2 GiB
