"""Predictions for a GPU beside what one really takes, in three steps that need not share a machine.

    python benchmarks/plan_gpu.py measure measured.json                                # where the GPU is; minutes
    .venv/bin/python benchmarks/plan_gpu.py predict predicted.json --capability 9.0    # without a GPU
    .venv/bin/python benchmarks/plan_gpu.py score predicted.json measured.json         # --write: into docs/plan.md

`measure` needs PyTorch with CUDA and `plan_zoo.py` beside this file, and nothing of torchmedic; it prints the
capability that `predict` is to be given. Compared are the peaks that `torch.cuda.max_memory_allocated` and
`max_memory_reserved` tell, and the largest batch within LIMIT bytes, which is found by really running larger and smaller ones.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from plan_zoo import CASES, HELD_OUT, LARGE, UNSEEN, Case

PAGE = Path(__file__).parent.parent / "docs" / "plan.md"
MIB = 1 << 20
LIMIT, LARGE_LIMIT = (
    4 << 30,
    24 << 30,
)  # that a process may reserve where the largest batch is looked for
LARGER = 8  # times the batch of the zoo, so that workspaces don't hide the rest
EVERY = {**CASES, **UNSEEN, **LARGE, **HELD_OUT}
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


class Peaks(NamedTuple):
    """Bytes, as `memory_stats` has them: what was asked for, the blocks, the segments.

    `reserved`: 0 where an earlier model had left something in a segment, which then counts for both.
    """

    requested: int
    allocated: int
    reserved: int


def points() -> Iterator[Point]:
    for name, case in EVERY.items():
        for optimizer, precision, checkpoint in SETTINGS:
            if case.has_checkpoint or not checkpoint:
                yield Point(name, optimizer, precision, checkpoint)


def searched() -> Iterator[Point]:
    """Those whose largest batch is looked for."""
    for place, name in enumerate(EVERY):
        yield Point(name, *SETTINGS[place % 2])


def limit_of(point: Point) -> int:
    return LARGE_LIMIT if point.model in LARGE else LIMIT


def built(point: Point) -> tuple[Case, Any, list[torch.optim.Optimizer], Any]:
    case = EVERY[point.model]
    model = case.make(point.checkpoint)
    times = 1 if point.model in LARGE else LARGER
    batch = tuple(torch.cat([part] * times) for part in case.batch())
    return case, model, [OPTIMIZERS[point.optimizer](g) for g in case.groups(model)], batch


def predict(capability: tuple[int, int], only: str) -> dict[str, Any]:
    from torchmedic.observed.plan import Card
    from torchmedic.planned import planned
    from torchmedic.planning.options import Options
    from torchmedic.planning.simulation import simulate
    from torchmedic.probes.planner import replay

    peaks, largest = {}, {}

    def replayed(point: Point) -> Callable[[int | None], Any]:
        case, model, optimizers, batch = built(point)
        return lambda size: replay(
            model,
            optimizers,
            batch,
            case.losses,
            batch_size=size,
            capability=capability,
            autocast=point.precision,
        )

    for point in points():
        if only in point.key:
            found = simulate(replayed(point)(None))
            peaks[point.key] = found.requested, found.allocated, found.reserved
            print(f"{point.key}: {found.allocated / MIB:.1f} MiB", flush=True)
    for point in searched():
        if only in point.key:
            limit = limit_of(point)
            card = Card("limit", limit, limit, capability)
            bracket = planned(replayed(point), None, card, Options()).largest
            assert bracket is not None
            largest[point.key] = bracket.fits
            print(f"{point.key}: {bracket.fits} fit", flush=True)
    return {"peaks": peaks, "largest": largest}


def measure(only: str, path: Path) -> None:
    """Writes what it has after each point."""
    if not torch.cuda.is_available():
        raise SystemExit("measure needs a CUDA GPU, and this machine has none")
    free, _ = torch.cuda.mem_get_info()
    major, minor = torch.cuda.get_device_capability()
    name = torch.cuda.get_device_name()
    print(f"{name}, --capability {major}.{minor}, torch {torch.__version__}", flush=True)
    total = torch.cuda.get_device_properties(0).total_memory
    found: dict[str, Any] = {
        "gpu": name,
        "torch": torch.__version__,
        "total": total,
        "bare": total - free,
        "peaks": {},
        "largest": {},
    }
    for point in points():
        if only in point.key:
            model, batch = built(point)[1::2]
            found["peaks"][point.key] = peaks = measured(point, model, batch)
            print(f"{point.key}: {peaks.allocated / MIB:.1f} MiB", flush=True)
            path.write_text(json.dumps(found, indent=1) + "\n")
    left, _ = torch.cuda.mem_get_info()
    found["context"] = total - left - torch.cuda.memory_reserved()
    print(f"context: {found['context'] / MIB:.0f} MiB, {found['bare'] / MIB:.0f} before the first")
    for point in searched():
        if only in point.key:
            torch.cuda.set_per_process_memory_fraction(limit_of(point) / total)
            start = time.perf_counter()
            found["largest"][point.key] = size = most(point, found["peaks"][point.key].allocated)
            print(f"{point.key}: {size} fit ({time.perf_counter() - start:.1f} s)", flush=True)
            path.write_text(json.dumps(found, indent=1) + "\n")


def measured(point: Point, model: Any, batch: Any) -> Peaks:
    """`reset_peak_memory_stats` comes after the model: a replay starts with one that is there."""
    cleared()
    is_fresh = not torch.cuda.memory_reserved()
    # cuDNN keeps its random generators for good: they count for the models that use them.
    left = 0 if draws_in_cudnn(model) else torch.cuda.memory_allocated()
    case = EVERY[point.model]
    model.cuda()
    optimizers = [OPTIMIZERS[point.optimizer](group) for group in case.groups(model)]
    scaler = torch.amp.GradScaler("cuda", init_scale=1.0, enabled=point.precision == "fp16")
    torch.cuda.reset_peak_memory_stats()
    try:
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
        found = torch.cuda.memory_stats()
        kinds = ("requested_bytes", "allocated_bytes", "reserved_bytes")
        asked, allocated, reserved = (int(found[f"{kind}.all.peak"]) for kind in kinds)
        return Peaks(asked - left, allocated - left, reserved if is_fresh else 0)
    finally:
        data = value = None  # noqa: F841
        optimizers.clear()
        model.zero_grad()
        model.cpu()


def draws_in_cudnn(model: Any) -> bool:
    return any(isinstance(part, torch.nn.RNNBase) and part.dropout for part in model.modules())


def cleared() -> None:
    """As a new process finds it: without cached blocks, and without the workspaces that cuBLAS keeps."""
    gc.collect()
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.empty_cache()


def most(point: Point, allocated: int) -> int:
    """The largest batch for which two steps run within the limit, to 1 %. `allocated`: bytes of the batch as built."""
    model, batch = built(point)[1::2]
    size = len(batch[0])

    def fits(wanted: int) -> bool:
        times = -(-wanted // size)
        data = tuple(
            torch.cat([part] * times)[:wanted] if len(part) == size else part for part in batch
        )
        try:
            measured(point, model, data)
        except torch.cuda.OutOfMemoryError:
            return False
        return True

    low, high = 0, max(1, int(size * limit_of(point) / allocated))
    while fits(high):
        low, high = high, high + max(1, high // 8)
    while high - low > max(1, low // 100):
        middle = (low + high) // 2 if low else int(0.9 * high)
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def score(predicted: dict[str, Any], truth: dict[str, Any]) -> str:
    rows = [
        "| model | optimizer | precision | checkpoints | allocated, MiB | predicted | error "
        "| reserved, MiB | predicted | error |",
        "|---|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    allocated, reserved = [], []
    for point in points():
        if point.key not in predicted["peaks"] or point.key not in truth["peaks"]:
            continue
        real, told = Peaks(*truth["peaks"][point.key]), Peaks(*predicted["peaks"][point.key])
        allocated.append(told.allocated / real.allocated - 1)
        if real.reserved:
            reserved.append(told.reserved / real.reserved - 1)
        words = [point.model, point.optimizer, point.precision or "fp32"]
        words += ["yes" if point.checkpoint else ""]
        words += [f"{size / MIB:.1f}" for size in (real.allocated, told.allocated)]
        words += [f"{allocated[-1]:+.2%}", f"{real.reserved / MIB:.0f}" if real.reserved else ""]
        words += [f"{told.reserved / MIB:.0f}", f"{reserved[-1]:+.1%}" if real.reserved else ""]
        rows.append(f"| {' | '.join(words)} |")
    sizes = [
        "| model | optimizer | precision | GiB | largest batch | predicted | of it |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    parts = []
    for point in searched():
        if point.key in predicted["largest"] and point.key in truth["largest"]:
            batch, said = truth["largest"][point.key], predicted["largest"][point.key]
            parts.append(said / batch)
            words = [point.model, point.optimizer, point.precision or "fp32"]
            words += [str(limit_of(point) >> 30), str(batch), str(said)]
            sizes.append(f"| {' | '.join(words)} | {parts[-1]:.1%} |")
    head = (
        f"{truth['gpu']}, PyTorch {truth['torch']}: {len(allocated)} points. Allocated: "
        f"{_errors(allocated)}. Reserved, {len(reserved)} points: {_errors(reserved)}."
    )
    within = sum(0.95 <= part <= 1.01 for part in parts)
    fit = (
        f"Largest batch, {len(parts)} points: {within} of them 95 % to 101 % of the true one, which is known to 1 %; "
        f"least {min(parts):.1%}, most {max(parts):.1%}."
    )
    return "\n".join([head, "", *rows, "", fit, "", *sizes])


def _errors(errors: list[float]) -> str:
    absolute = [abs(error) for error in errors]
    mean, median = statistics.mean(absolute), statistics.median(absolute)
    return f"mean error {mean:.2%}, median {median:.2%}, worst {max(absolute):.2%}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=("predict", "measure", "score"))
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--capability", default="8.0")
    parser.add_argument("--only", default="", help="part of a point's name")
    parser.add_argument("--write", action="store_true", help="the score into docs/plan.md")
    options = parser.parse_args()
    if options.action == "score":
        text = score(*(json.loads(path.read_text()) for path in options.files))
        print(text)
        if options.write:
            from plan_accuracy import put

            put("gpu", text, PAGE)
        return
    major, _, minor = options.capability.partition(".")
    only = options.only
    of = (int(major), int(minor or 0))
    if options.action == "measure":
        measure(only, options.files[0])
    else:
        options.files[0].write_text(json.dumps(predict(of, only), indent=1) + "\n")


if __name__ == "__main__":
    main()
