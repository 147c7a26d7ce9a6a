"""What the Run view notes of state dicts, and that the program can't tell."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from torchmedic.observed.run_memory import Reloaded
from torchmedic.probes.observer.hooks import Observer
from torchmedic.probes.observer.states import States
from torchmedic.probes.record import Recorder


@pytest.fixture
def watched() -> Iterator[Observer]:
    observer = Observer(lambda now: [States(now)])
    recorder = Recorder(observer)
    recorder.install()
    yield observer
    recorder.uninstall()
    assert observer.error is None


class Trained:
    def __init__(self) -> None:
        self.model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        self.optimizer = torch.optim.AdamW(self.model.parameters())

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            self.optimizer.zero_grad()
            self.model(torch.randn(8, 3)).mean().backward()
            self.optimizer.step()


def reloaded(observer: Observer) -> tuple[Reloaded, ...]:
    return observer.read().reloaded


@pytest.mark.parametrize(
    "kept",
    [
        lambda state: state,
        dict,
        copy.copy,
        lambda state: {**state},
        lambda state: {k: v.cpu() for k, v in state.items()},
        lambda state: {k: v for k, v in state.items() if k.startswith("0.")},
    ],
    ids=["itself", "dict", "copy", "comprehension", "cpu", "a part"],
)
@pytest.mark.parametrize("steps", [3, 200])
def test_what_shares_the_memory_is_seen(watched, kept, steps):
    one = Trained()
    one.step(2)
    best = kept(one.model.state_dict())
    one.step(steps)
    one.model.load_state_dict(best, strict=False)
    [found] = reloaded(watched)
    assert found.steps == steps and not found.owner
    assert found.by[0].function == "test_what_shares_the_memory_is_seen"
    assert len({s.at.line for s in (found.by[0], found.loaded_by[0])}) == 2


@pytest.mark.parametrize(
    "kept",
    [
        copy.deepcopy,
        lambda state: {k: v.clone() for k, v in state.items()},
        lambda state: {k: v.double() for k, v in state.items()},
        lambda state: pickle.loads(pickle.dumps(state)),
    ],
    ids=["deepcopy", "clone", "double", "pickle"],
)
def test_copies_are_not(watched, kept):
    one = Trained()
    one.step(2)
    best = kept(one.model.state_dict())
    one.step(3)
    one.model.load_state_dict(best)
    assert not reloaded(watched)


def test_without_a_step_it_is_no_mistake(watched):
    one = Trained()
    one.step(2)
    one.model.load_state_dict(one.model.state_dict())
    assert not reloaded(watched)


def test_another_model_may_follow(watched):
    one, other = Trained(), Trained()
    state = one.model.state_dict()
    for _ in range(3):
        one.step()
        other.model.load_state_dict(state)
    assert not reloaded(watched)


def test_who_writes_through_the_dict_knows_that_it_is_no_copy(watched):
    one = Trained()
    state = one.model.state_dict()
    for _ in range(3):
        one.step()
        state["0.weight"].clamp_(-0.5, 0.5)
        one.model.load_state_dict(state)
    assert not reloaded(watched)


def test_loading_in_each_trial_is_seen(watched):
    one = Trained()
    start = dict(one.model.state_dict())
    for _ in range(3):
        one.model.load_state_dict(start)
        one.step(4)
    assert [found.steps for found in reloaded(watched)] == [4]


def test_nothing_is_kept_and_nothing_is_added(watched):
    one = Trained()
    one.step()
    state = one.model.state_dict()
    assert type(state).__name__ == "OrderedDict" and not state.__dict__.keys() - {"_metadata"}
    assert len(state) == 9
    held = [weakref.ref(one.model), weakref.ref(state), weakref.ref(state["0.weight"])]
    del one, state
    gc.collect()
    assert [ref() for ref in held] == [None] * 3
