"""Small steps to replay, and sums over what a replay tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from torchmedic.observed.plan import Event, Step
from torchmedic.probes.planner import replay

WIDTH, CLASSES, BATCH = 32, 4, 8


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(WIDTH, 64), nn.ReLU(), nn.Linear(64, CLASSES))


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(BATCH, WIDTH), torch.randint(CLASSES, (BATCH,))


def classes(model: Any, batch: Any) -> torch.Tensor:
    return F.cross_entropy(model(batch[0]), batch[1])


def adam(model: nn.Module, **options: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), **options)


def replayed(loss: Any = classes, model: Any = None, batch: Any = None, **options: Any) -> Step:
    """With Adam and a small model, unless told otherwise."""
    model = net() if model is None else model
    optimizer = options.pop("optimizer", None) or adam(model)
    return replay(model, optimizer, pair() if batch is None else batch, loss, **options)


def taken(events: Iterable[Event], **wanted: Any) -> list[Event]:
    """The allocations whose fields have these values."""
    return [
        event
        for event in events
        if event.kind == "alloc" and all(getattr(event, k) == v for k, v in wanted.items())
    ]


def total(events: Iterable[Event], **wanted: Any) -> int:
    return sum(event.size for event in taken(events, **wanted))


def peak(events: Sequence[Event]) -> tuple[int, Counter[str]]:
    """The most bytes that are live at one time, and their categories then."""
    now = most = 0
    by: Counter[str] = Counter()
    at: Counter[str] = Counter()
    for event in events:
        sign = 1 if event.kind == "alloc" else -1
        now += sign * event.size
        by[event.category] += sign * event.size
        if now > most:
            most, at = now, +by
    return most, at


def most_of(recorded: Any) -> int:
    """Most bytes that are live from the first range "steps" on, by a profile with memory events."""
    events = recorded.profiler.kineto_results.events()
    start = next(event.start_ns() for event in events if event.name() == "steps")
    now = most = 0
    for when, size in sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"):
        now += size
        most = max(most, now) if when >= start else most
    return most
