"""How exact `plan` is: the predicted peak of two training steps beside the one that really running them has on a CPU.

Truth is what the profiler's memory events add up to: every byte that the CPU's allocator hands out. Beside it stands
what the ledger of the prediction sees in the real run: what an operation takes and gives back inside itself is missing
there.

    .venv/bin/python benchmarks/plan_accuracy.py                    # all models
    .venv/bin/python benchmarks/plan_accuracy.py --only LSTM,GRU
    .venv/bin/python benchmarks/plan_accuracy.py --write            # the table into docs/plan.md
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from plan_zoo import CASES, UNSEEN, Case
from torch.profiler import ProfilerActivity, profile, record_function

from torchmedic.observed.plan import Event
from torchmedic.probes.planner import replay
from torchmedic.probes.planner.ledger import Ledger
from torchmedic.probes.planner.places import Places

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "plan.md"
SAVED = Path(__file__).with_suffix(".json")
MIB = 1 << 20
ITERATIONS = 2
EVERY = {**CASES, **UNSEEN}
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=1e-3),
    "SGD momentum": lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-4),
    "AdamW foreach": lambda p: torch.optim.AdamW(p, lr=1e-4, foreach=True),
    "AdamW fused": lambda p: torch.optim.AdamW(p, lr=1e-4, fused=True),
}
SETTINGS = (  # optimizer, is bf16, is checkpointed
    ("SGD momentum", False, False),
    ("Adam", False, False),
    ("AdamW foreach", False, False),
    ("AdamW fused", True, False),
    ("SGD", False, True),
    ("Adam", True, True),
)


class Row(NamedTuple):
    model: str
    optimizer: str
    precision: str
    checkpoint: bool
    truth: int
    dispatched: int
    predicted: int
    seconds: float
    seconds_real: float

    @property
    def error(self) -> float:
        return self.predicted / self.truth - 1


def peak(events: Iterable[Event]) -> int:
    now = most = 0
    for event in events:
        now += event.size if event.kind == "alloc" else -event.size
        most = max(most, now)
    return most


def train(
    model: Any,
    optimizers: list[Any],
    case: Case,
    is_bf16: bool,
    fresh: Callable[[], Any],
) -> None:
    for _ in range(ITERATIONS):
        batch = fresh()
        for optimizer, loss in zip(optimizers, case.losses, strict=True):
            optimizer.zero_grad()
            context: Any = torch.autocast("cpu") if is_bf16 else contextlib.nullcontext()
            with context:
                value = loss(model, batch)
            value.backward()
            optimizer.step()
        del batch


def copied(batch: Any) -> Any:
    return tuple(part.clone() for part in batch)


def profiled(case: Case, optimizer: str, is_bf16: bool, checkpointed: bool) -> int:
    gc.collect()
    original = case.batch()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        model = case.make(checkpointed)
        optimizers = [OPTIMIZERS[optimizer](group) for group in case.groups(model)]
        with record_function("steps"):
            train(model, optimizers, case, is_bf16, lambda: copied(original))
    events = recorded.profiler.kineto_results.events()
    start = min(event.start_ns() for event in events if event.name() == "steps")
    sizes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    now = most = 0
    for when, size in sizes:
        now += size
        if when >= start:
            most = max(most, now)
    return most


def dispatched(case: Case, optimizer: str, is_bf16: bool, checkpointed: bool) -> int:
    model, original = case.make(checkpointed), case.batch()
    optimizers = [OPTIMIZERS[optimizer](group) for group in case.groups(model)]
    ledger = Ledger("cpu", Places())
    with ledger:
        ledger.owns([*model.parameters(), *model.buffers()], "parameters")
        train(model, optimizers, case, is_bf16, lambda: copied(original))
    return peak(ledger.close())


def measured(name: str, optimizer: str, is_bf16: bool, checkpointed: bool) -> Row:
    case = EVERY[name]
    start = time.perf_counter()
    truth = profiled(case, optimizer, is_bf16, checkpointed)
    real = time.perf_counter() - start
    seen = dispatched(case, optimizer, is_bf16, checkpointed)
    model = case.make(checkpointed)
    optimizers = [OPTIMIZERS[optimizer](group) for group in case.groups(model)]
    precision = "bf16" if is_bf16 else None
    start = time.perf_counter()
    step = replay(model, optimizers, case.batch(), case.losses, device="cpu", autocast=precision)
    return Row(
        name,
        optimizer,
        precision or "fp32",
        checkpointed,
        truth,
        seen,
        peak(step.events),
        time.perf_counter() - start,
        real,
    )


def line(row: Row) -> str:
    return (
        f"| {row.model} | {row.optimizer} | {row.precision} | {'yes' if row.checkpoint else ''} "
        f"| {row.truth / MIB:.2f} | {row.predicted / MIB:.2f} | {row.error:+.3%} "
        f"| {row.dispatched / row.truth - 1:+.3%} |"
    )


HEAD = """\
| model | optimizer | precision | checkpoints | truth, MiB | predicted, MiB | error | seen by the dispatcher in the real run |
|---|---|---|---|---:|---:|---:|---:|"""


def summary(rows: list[Row]) -> str:
    errors = sorted(abs(row.error) for row in rows)
    worst = max(rows, key=lambda row: abs(row.error))
    within = sum(error <= 0.005 for error in errors)
    return (
        f"{len(rows)} runs of {len({row.model for row in rows})} models: median error "
        f"{statistics.median(errors):.3%}, mean {statistics.mean(errors):.3%}, worst {errors[-1]:.2%} "
        f"({worst.model}, {worst.optimizer}, {worst.precision}); {within} within 0.5 %. "
        f"A replay took {statistics.median(row.seconds for row in rows):.2f} s (median), "
        f"{max(row.seconds for row in rows):.2f} s at most."
    )


def summaries(rows: list[Row]) -> str:
    """The models that formulas for the CPU's libraries were fitted to, and the others."""
    fitted = [row for row in rows if row.model in CASES]
    others = [row for row in rows if row.model in UNSEEN]
    parts = []
    if fitted:
        parts.append(summary(fitted))
    if others:
        parts.append(f"Models that nothing was fitted to: {summary(others)}")
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="names of models, with commas")
    parser.add_argument("--write", action="store_true", help="the table into docs/plan.md")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(EVERY)
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    rows = []
    print(HEAD)
    for name in names:
        for optimizer, is_bf16, checkpointed in SETTINGS:
            if checkpointed and not EVERY[name].has_checkpoint:
                continue
            rows.append(measured(name, optimizer, is_bf16, checkpointed))
            print(line(rows[-1]), flush=True)
    print(f"\n{summaries(rows)}")
    SAVED.write_text(json.dumps([row._asdict() for row in rows], indent=1) + "\n")
    if options.write:
        write(rows)


def write(rows: list[Row]) -> None:
    put("accuracy", "\n\n".join((summaries(rows), "\n".join([HEAD, *map(line, rows)]))), PAGE)


def put(name: str, text: str, page: Path) -> None:
    """Replaces what stands between the two marks of that name."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, rest = page.read_text("utf-8").split(begin)
    after = rest.split(end)[1]
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", "utf-8")


if __name__ == "__main__":
    main()
