"""The search for the largest batch: on steps that are formulas, so that the right answer is known."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchmedic.observed.plan import Event, Step
from torchmedic.planning.largest import Tried, bracket, largest
from torchmedic.planning.simulation import simulate

MIB = 1 << 20


def trying(need, usable):
    sizes = []

    def attempt(size):
        sizes.append(size)
        return Tried(need(size) <= usable, need(size))

    return attempt, sizes


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 10_000),  # what the optimizer needs, whatever the batch
    st.integers(1, 5_000),  # parameters
    st.integers(1, 300),  # for each sample
    st.integers(1, 20_000),
    st.integers(1, 5_000),
)
def test_exact_border(optimizer, fixed, each, usable, first):
    def need(size):
        return max(optimizer + fixed, fixed + each * size)

    attempt, sizes = trying(need, usable)
    found = largest(attempt, usable, first, tolerance=0, most=100_000, replays=60)
    right = 0 if need(1) > usable else min((usable - fixed) // each, 100_000)
    assert found.fits == right and found.replays == len(sizes) == len(set(sizes))
    if 0 < right < 100_000:
        assert found.does_not == right + 1 and found.peak == need(right)


@pytest.mark.parametrize("first", [1, 32, 5000])
def test_few_replays_within_one_percent(first):
    attempt, sizes = trying(lambda size: 3000 + 7 * size, 24_000)
    found = largest(attempt, 24_000, first)
    assert found.fits <= 3000 < found.does_not <= found.fits * 1.01 + 1
    assert len(sizes) <= 6


def test_nothing_fits():
    attempt, _ = trying(lambda size: 500 + size, 400)
    found = largest(attempt, 400, 64)
    assert (found.fits, found.does_not, found.peak) == (0, 1, 0)


def test_everything_fits():
    attempt, _ = trying(lambda size: 10, 400)
    assert largest(attempt, 400, 64, most=1000).fits == 1000


def test_an_error_of_a_replay_is_raised():
    def attempt(size):
        raise RuntimeError("can't")

    with pytest.raises(RuntimeError):
        largest(attempt, 400, 64)


def step(batch):
    """Two layers whose activations wait for the backward pass."""
    events = [Event("alloc", 1, 40 * MIB, "parameters")]
    for n in range(1, 3):
        events += [
            Event("alloc", 10 * n, 3 * MIB * batch, "activations", "forward", "a", step=n),
            Event("alloc", 10 * n + 1, 2 * MIB * batch, "activations", "forward", "b", step=n),
            Event("alloc", 10 * n + 2, 40 * MIB, "gradients", "backward", "a", step=n),
            Event("free", 10 * n + 1, 2 * MIB * batch, "activations", "backward", "b", step=n),
            Event("free", 10 * n, 3 * MIB * batch, "activations", "backward", "a", step=n),
            Event("free", 10 * n + 2, 40 * MIB, "gradients", "optimizer", "a", step=n),
        ]
    return Step(tuple(events), batch_size=batch)


def test_on_a_simulated_card():
    usable = 1000 * MIB

    def attempt(size):
        whole = simulate(step(size))
        return Tried(simulate(step(size), usable).fits, whole.allocated)

    found = largest(attempt, usable, 4, tolerance=0)
    assert found.fits == (1000 - 80) // 5 == 184 and found.does_not == 185
    refused = simulate(step(185), usable).refused
    assert refused is not None and refused.event == 3 and refused.wanted == 40 * MIB


def test_a_search_that_was_ended_early():
    assert bracket({64: Tried(False, 900)}) is None and bracket({8: Tried(True, 100)}) is None
    found = bracket({64: Tried(False, 900), 32: Tried(True, 500), 128: Tried(False, 1800)})
    assert (found.fits, found.does_not, found.peak, found.replays) == (32, 64, 500, 3)
