"""When a scheduler certainly counts something else than it was made for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from torchmedic.model import Span
from torchmedic.observed import Site
from torchmedic.observed.run import Run
from torchmedic.observed.run_data import DatasetRun, LoaderRun, PassRun
from torchmedic.observed.run_memory import ScheduleRun
from torchmedic.observed.run_training import OptimizerRun
from torchmedic.probes.observer.hooks import Observer
from torchmedic.probes.observer.schedules import Schedules
from torchmedic.probes.record import Recorder
from torchmedic.rules.training.scheduler_in_wrong_loop import counts_otherwise

HERE = (Site(Span("gone.py", 3), "main"),)
ONE_CYCLE = ScheduleRun(
    "OneCycleLR", HERE, stepped_by=HERE, made_by=HERE, total=10, numbers={"total_steps": 200}
)
COSINE = ONE_CYCLE._replace(type="CosineAnnealingLR", total=200, numbers={"T_max": 10})
STEPS = ONE_CYCLE._replace(
    type="StepLR", total=200, numbers={"step_size": 3, "gamma": 0.1}, rates=(0.1, 1e-60)
)
MILESTONES = STEPS._replace(type="MultiStepLR", numbers={"gamma": 0.1}, milestones=(3, 6, 8))
OPTIMIZER = OptimizerRun(1, "SGD", has_stepped=True)
LOADER = LoaderRun((), DatasetRun(1, "Rows"), begun=10, passes=(PassRun(1, steps=19),))
VALID = LOADER._replace(passes=(PassRun(2),))


def told(schedule: ScheduleRun, *, steps=200, optimizers=1, loaders=(LOADER, VALID), over=True):
    run = Run(
        steps, (OPTIMIZER,) * optimizers, schedules=(schedule,), loaders=loaders, is_over=over
    )
    return [d.variant.name if d.variant else "" for d in counts_otherwise(run)]


@pytest.mark.parametrize(
    "schedule, name",
    [(ONE_CYCLE, ""), (COSINE, "cycles"), (STEPS, "gone"), (MILESTONES, "gone")],
)
def test_the_numbers_prove_it(schedule, name):
    assert told(schedule) == [name]
    assert told(schedule, over=False) == []
    assert told(schedule, optimizers=2) == []
    for change in ({"owner": "accelerate"}, {"has_epoch": True}, {"early": 1}, {"made_by": ()}):
        assert told(schedule._replace(**change)) == []


@pytest.mark.parametrize(
    "schedule",
    [
        ONE_CYCLE._replace(numbers={"total_steps": 10}),  # counts epochs
        ONE_CYCLE._replace(numbers={"total_steps": 300}),  # the run was stopped early
        ONE_CYCLE._replace(total=50),  # every fourth step
        ONE_CYCLE._replace(type="PolynomialLR", numbers={"total_steps": 200}),
        COSINE._replace(numbers={"T_max": 200}),
        COSINE._replace(numbers={"T_max": 20}),  # cycles of batches
        COSINE._replace(total=100),  # not with each step
        COSINE._replace(type="CosineAnnealingWarmRestarts"),
        STEPS._replace(numbers={"step_size": 3, "gamma": 0.9}, rates=(0.1, 1e-4)),
        STEPS._replace(numbers={"step_size": 50, "gamma": 0.01}),  # counts batches
        STEPS._replace(rates=(0.1, 0.1)),  # the program sets the rate anew
        MILESTONES._replace(milestones=(60, 120, 180)),
        MILESTONES._replace(milestones=(5, 8)),
    ],
)
def test_what_may_be_meant_is_not_told(schedule):
    assert told(schedule) == []


@pytest.mark.parametrize("schedule", [COSINE, STEPS, MILESTONES])
def test_epochs_have_to_be_known(schedule):
    assert told(schedule, loaders=()) == []
    assert told(schedule, loaders=(LOADER, LOADER)) == []
    assert told(schedule, loaders=(LOADER._replace(begun=2),)) == []


def watched(train) -> tuple[ScheduleRun, ...]:
    observer = Observer(lambda now: [Schedules(now)])
    recorder = Recorder(observer)
    recorder.install()
    try:
        train(nn.Linear(2, 1))
    finally:
        recorder.uninstall()
    assert observer.error is None
    return observer.read().schedules


def steps(model, optimizer, schedule, count: int) -> None:
    for _ in range(count):
        optimizer.zero_grad()
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        schedule.step()


def test_all_steps_are_counted_and_the_maker_is_known():
    def train(model):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [40, 150], 0.1)
        steps(model, optimizer, schedule, 200)

    [found] = watched(train)
    assert found.total == 200 and found.milestones == (40, 150) and found.numbers == {"gamma": 0.1}
    assert found.made_by[0].function.endswith("train") and not found.owner
    assert found.rates == pytest.approx((0.1, 0.001))


def test_the_maker_is_unknown_where_others_take_part():
    def two(model):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        warm = torch.optim.lr_scheduler.LinearLR(optimizer)
        steps(model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 3), 4)
        steps(model, optimizer, warm, 4)

    def resumed(model):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 3)
        schedule.load_state_dict(schedule.state_dict() | {"last_epoch": 5})
        steps(model, optimizer, schedule, 4)

    def places(model):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 3)
        schedule.step()
        steps(model, optimizer, schedule, 4)

    for train in (two, resumed, places):
        assert all(not found.made_by for found in watched(train))
