"""Predictions for a GPU beside what one really takes, in three steps that need not share a machine.

    .venv/bin/python benchmarks/plan_gpu.py predict predicted.json --capability 8.0   # without a GPU
    python benchmarks/plan_gpu.py measure measured.json                               # where the GPU is; minutes
    .venv/bin/python benchmarks/plan_gpu.py score predicted.json measured.json

`measure` needs PyTorch with CUDA and `plan_zoo.py` beside this file, and nothing of torchmedic; it prints the
capability that `predict` is to be given. Predicted and compared is what is asked for (`requested_bytes`), before the
caching allocator rounds it. Nobody has run `measure` yet.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from plan_zoo import CASES, UNSEEN, Case

MIB = 1 << 20
LARGER = 8  # times the batch of the zoo, so that workspaces don't hide the rest
EVERY = {**CASES, **UNSEEN}
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-4),
    "AdamW fused": lambda p: torch.optim.AdamW(p, lr=1e-4, fused=True),
}
SETTINGS = (  # optimizer, precision, is checkpointed
    ("Adam", None, False),
    ("AdamW fused", "bf16", False),
    ("SGD", "fp16", False),
    ("Adam", "bf16", True),
)
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Point(NamedTuple):
    model: str
    optimizer: str
    precision: str | None
    checkpoint: bool

    @property
    def key(self) -> str:
        return "/".join(map(str, self))


def points() -> Iterator[Point]:
    for name, case in EVERY.items():
        for optimizer, precision, checkpoint in SETTINGS:
            if case.has_checkpoint or not checkpoint:
                yield Point(name, optimizer, precision, checkpoint)


def built(point: Point) -> tuple[Case, Any, list[torch.optim.Optimizer], Any]:
    case = EVERY[point.model]
    model = case.make(point.checkpoint)
    batch = tuple(torch.cat([part] * LARGER) for part in case.batch())
    return case, model, [OPTIMIZERS[point.optimizer](g) for g in case.groups(model)], batch


def predict(capability: tuple[int, int]) -> dict[str, int]:
    from plan_accuracy import peak

    from torchmedic.probes.planner import replay

    found = {}
    for point in points():
        case, model, optimizers, batch = built(point)
        step = replay(
            model, optimizers, batch, case.losses, capability=capability, autocast=point.precision
        )
        found[point.key] = peak(step.events)
        print(f"{point.key}: {found[point.key] / MIB:.1f} MiB", flush=True)
    return found


def measure() -> dict[str, int]:
    if not torch.cuda.is_available():
        raise SystemExit("measure needs a CUDA GPU, and this machine has none")
    major, minor = torch.cuda.get_device_capability()
    print(
        f"{torch.cuda.get_device_name()}, --capability {major}.{minor}, torch {torch.__version__}"
    )
    found = {}
    for point in points():
        found[point.key] = measured(point)
        print(f"{point.key}: {found[point.key] / MIB:.1f} MiB", flush=True)
    return found


def measured(point: Point) -> int:
    """`reset_peak_memory_stats` comes after the model: a replay starts with one that is there."""
    case, model, _, batch = built(point)
    model.cuda()
    optimizers = [OPTIMIZERS[point.optimizer](group) for group in case.groups(model)]
    scaler = torch.amp.GradScaler("cuda", init_scale=1.0, enabled=point.precision == "fp16")
    torch.cuda.reset_peak_memory_stats()
    for _ in range(2):
        data = tuple(part.cuda() for part in batch)
        for optimizer, loss in zip(optimizers, case.losses, strict=True):
            optimizer.zero_grad()
            context: Any = contextlib.nullcontext()
            if point.precision is not None:
                context = torch.autocast("cuda", dtype=DTYPES[point.precision])
            with context:
                value = loss(model, data)
            scaler.scale(value).backward()
            scaler.step(optimizer)
        scaler.update()
        del data
    torch.cuda.synchronize()
    most = int(torch.cuda.memory_stats()["requested_bytes.all.peak"])
    del model, optimizers, optimizer, value, scaler
    gc.collect()
    torch.cuda.empty_cache()
    return most


def score(predicted: dict[str, int], truth: dict[str, int]) -> None:
    shared = [key for key in truth if key in predicted]
    print("| point | measured, MiB | predicted, MiB | error |\n|---|---:|---:|---:|")
    errors = []
    for key in shared:
        errors.append(predicted[key] / truth[key] - 1)
        sizes = f"{truth[key] / MIB:.1f} | {predicted[key] / MIB:.1f}"
        print(f"| {key} | {sizes} | {errors[-1]:+.2%} |")
    absolute = [abs(error) for error in errors]
    print(
        f"\n{len(shared)} points: mean error {statistics.mean(absolute):.2%}, median "
        f"{statistics.median(absolute):.2%}, worst {max(absolute):.2%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=("predict", "measure", "score"))
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--capability", default="8.0")
    options = parser.parse_args()
    if options.action == "score":
        score(*(json.loads(path.read_text()) for path in options.files))
        return
    major, _, minor = options.capability.partition(".")
    found = measure() if options.action == "measure" else predict((int(major), int(minor or 0)))
    options.files[0].write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
