"""How exact `plan` is for one rank of several: the predicted peak beside that of a real rank, with gloo on this CPU.

Truth are real processes, each with a batch of its own, whose rank 0 the profiler watches as in plan_accuracy.py. gloo
copies its messages, with tensors that it takes from PyTorch's allocator; NCCL doesn't, so they are left out, and told.

    .venv/bin/python benchmarks/plan_ranks.py                   # all models
    .venv/bin/python benchmarks/plan_ranks.py --only GPT --count 2
    .venv/bin/python benchmarks/plan_ranks.py --write           # the table into docs/plan.md
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import tempfile
import warnings
from typing import Any, NamedTuple

import torch
from plan_accuracy import EVERY, MIB, OPTIMIZERS, PAGE, copied, peak, put, train
from torch.profiler import ProfilerActivity, profile, record_function

from torchmedic.observed.plan import NotReplayable, Ranks
from torchmedic.probes.planner import replay
from torchmedic.probes.planner.variations import repeated

MODELS = ("MLP", "GPT", "TransformerEncoder", "ResNet", "LSTM", "recommender")
SETTINGS = (  # kind, optimizer, is bf16, is checkpointed
    ("ddp", "SGD momentum", False, False),
    ("ddp", "AdamW foreach", False, False),
    ("ddp", "Adam", True, True),
    ("fsdp", "SGD momentum", False, False),
    ("fsdp", "AdamW foreach", False, False),
    ("fsdp", "Adam", True, True),
)
SECONDS = 300
RUNS = 3  # the least counts: what a thread of gloo's frees last, the profiler doesn't see freed


class Row(NamedTuple):
    model: str
    kind: str
    count: int
    optimizer: str
    precision: str
    checkpoint: bool
    truth: int
    with_gloo: int
    predicted: int
    alone: int  # predicted without ranks

    @property
    def error(self) -> float:
        return self.predicted / self.truth - 1


def spread(kind: str, model: Any) -> Any:
    if kind == "ddp":
        return torch.nn.parallel.DistributedDataParallel(model)
    from torch.distributed.fsdp import fully_shard

    for block in repeated(model):
        fully_shard(block)
    return fully_shard(model)


def be_rank(rank: int, place: str, spec: list[str]) -> None:
    """In a process of its own. Rank 0 prints its peaks."""
    name, kind, count, optimizer, is_bf16, checkpointed = spec
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    store = torch.distributed.FileStore(place, int(count))
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=int(count))
    case = EVERY[name]
    gc.collect()
    original = case.batch()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        model = spread(kind, case.make(checkpointed == "True"))
        optimizers = [OPTIMIZERS[optimizer](group) for group in case.groups(model)]
        gc.collect()
        with record_function("steps"):
            train(model, optimizers, case, is_bf16 == "True", lambda: copied(original))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    if rank == 0:
        print("peaks", *peaks(recorded.profiler.kineto_results.experimental_event_tree()))


def peaks(roots: Any) -> tuple[int, int]:
    """Of the steps: without what gloo takes for its messages, and with it."""
    found: list[tuple[int, int, int, bool]] = []  # when, size, address, is gloo's
    begins = [0]

    def walk(node: Any, is_gloos: bool) -> None:
        is_gloos = is_gloos or node.name.startswith(("c10d::", "gloo:"))
        if node.name == "steps":
            begins.append(node.start_time_ns)
        if node.name == "[memory]":
            extra = node.extra_fields
            found.append((node.start_time_ns, extra.alloc_size, extra.ptr, is_gloos))
        for child in node.children:
            walk(child, is_gloos)

    for root in roots:
        walk(root, False)
    ours, every, ours_most, every_most = 0, 0, 0, 0
    live: dict[int, tuple[int, bool]] = {}
    for when, size, address, is_gloos in sorted(found):
        gone, was_gloos = live.pop(
            address, (0, False)
        )  # taken again: freed by a thread of gloo's, unseen
        every -= gone
        ours -= 0 if was_gloos else gone
        if size > 0:
            live[address] = size, is_gloos
            every += size
            ours += 0 if is_gloos else size
        if when >= max(begins):
            ours_most, every_most = max(ours_most, ours), max(every_most, every)
    return ours_most, every_most


def truth(spec: list[str]) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, __file__, "--place", f"{folder}/store", "--spec", ",".join(spec)]
        ranks = [
            subprocess.Popen([*words, "--rank", str(rank)], stdout=subprocess.PIPE, text=True)
            for rank in range(int(spec[2]))
        ]
        try:
            said = [rank.communicate(timeout=SECONDS)[0] for rank in ranks]
        finally:
            for rank in ranks:
                rank.kill()
    ours, every = said[0].split("peaks ")[1].split()
    return int(ours), int(every)


def measured(name: str, kind: Any, count: int, optimizer: str, is_bf16: bool, on: bool) -> Row:
    spec = [name, kind, str(count), optimizer, str(is_bf16), str(on)]
    real, with_gloo = map(min, zip(*(truth(spec) for _ in range(RUNS)), strict=True))
    case = EVERY[name]

    def predicted(ranks: Ranks | None) -> int:
        model = case.make(on)
        optimizers = [OPTIMIZERS[optimizer](group) for group in case.groups(model)]
        precision: Any = "bf16" if is_bf16 else None
        step = replay(
            model,
            optimizers,
            case.batch(),
            case.losses,
            device="cpu",
            autocast=precision,
            ranks=ranks,
        )
        return peak(step.events)

    found, alone = predicted(Ranks(kind, count)), predicted(None)
    return Row(
        name,
        kind,
        count,
        optimizer,
        "bf16" if is_bf16 else "fp32",
        on,
        real,
        with_gloo,
        found,
        alone,
    )


HEAD = """\
| model | spread by | ranks | optimizer | precision | checkpoints | truth, MiB | predicted, MiB | error | with gloo's messages, MiB | one process, predicted |
|---|---|---:|---|---|---|---:|---:|---:|---:|---:|"""


def line(row: Row) -> str:
    return (
        f"| {row.model} | {row.kind} | {row.count} | {row.optimizer} | {row.precision} "
        f"| {'yes' if row.checkpoint else ''} | {row.truth / MIB:.2f} | {row.predicted / MIB:.2f} "
        f"| {row.error:+.3%} | {row.with_gloo / MIB:.2f} | {row.alone / MIB:.2f} |"
    )


def summary(rows: list[Row]) -> str:
    parts = []
    for kind in ("ddp", "fsdp"):
        chosen = [row for row in rows if row.kind == kind]
        if not chosen:
            continue
        errors = sorted(abs(row.error) for row in chosen)
        worst = max(chosen, key=lambda row: abs(row.error))
        parts.append(
            f"`--{kind}`: {len(chosen)} runs of {len({row.model for row in chosen})} models: median error "
            f"{statistics.median(errors):.3%}, mean {statistics.mean(errors):.3%}, worst {errors[-1]:.2%} "
            f"({worst.model}, {worst.optimizer}, {worst.precision})."
        )
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="names of models, with commas")
    parser.add_argument("--count", type=int, default=2, help="ranks")
    parser.add_argument("--write", action="store_true", help="the table into docs/plan.md")
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--place", help=argparse.SUPPRESS)
    parser.add_argument("--spec", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank is not None:
        be_rank(options.rank, options.place, options.spec.split(","))
        return
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = []
    print(HEAD)
    for name in options.only.split(",") if options.only else MODELS:
        for kind, optimizer, is_bf16, checkpointed in SETTINGS:
            try:
                row = measured(name, kind, options.count, optimizer, is_bf16, checkpointed)
            except NotReplayable as error:
                print(f"| {name} | {kind} | {options.count} | {optimizer} | {error.reason} |")
                continue
            rows.append(row)
            print(line(row), flush=True)
    print(f"\n{summary(rows)}")
    if options.write:
        put("ranks", "\n\n".join((summary(rows), "\n".join([HEAD, *map(line, rows)]))), PAGE)


if __name__ == "__main__":
    main()
