"""Events through the allocator: peaks by step, and what is held at the highest one."""

from __future__ import annotations

from test_plan_largest import MIB, step

from torchmedic.observed.plan import Step
from torchmedic.planning.options import Options
from torchmedic.planning.simulation import peak_of, simulate


def test_peaks():
    outcome = simulate(step(8))
    assert (outcome.allocated, outcome.requested) == (120 * MIB, 120 * MIB)
    assert outcome.by_step == (40 * MIB, 120 * MIB, 120 * MIB)
    assert outcome.peak == 3 and outcome.fits and not outcome.retries


def test_the_moment_adds_up():
    outcome = simulate(step(8))
    peak = peak_of(step(8), outcome)
    assert dict(peak.by_category) == {
        "activations": 40 * MIB,
        "parameters": 40 * MIB,
        "gradients": 40 * MIB,
    }
    assert sum(size for _, size in peak.by_category) == outcome.allocated
    assert [(s.module, s.size) for s in peak.by_module] == [
        ("a", 64 * MIB),
        ("", 40 * MIB),
        ("b", 16 * MIB),
    ]
    assert (peak.moment.phase, peak.moment.module, peak.moment.step) == ("backward", "a", 1)


def test_rounding_belongs_to_the_parts():
    odd = step(8)
    odd = odd._replace(events=tuple(e._replace(size=e.size + 1) for e in odd.events))
    outcome = simulate(odd)
    assert outcome.allocated > outcome.requested
    assert sum(size for _, size in peak_of(odd, outcome).by_category) == outcome.allocated


def test_nothing():
    outcome = simulate(Step(()))
    assert (outcome.allocated, outcome.peak, outcome.by_step) == (0, -1, ())
    assert peak_of(Step(()), outcome) is None


def test_a_refused_step_ends_there():
    outcome = simulate(step(8), 100 * MIB)
    assert not outcome.fits and outcome.refused.event == 3
    assert outcome.refused.reserved <= 100 * MIB and outcome.by_step == (40 * MIB, 80 * MIB)
    assert not simulate(step(8), 100 * MIB, Options(expandable=True)).fits
