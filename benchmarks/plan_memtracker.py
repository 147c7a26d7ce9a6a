"""PyTorch's own MemTracker beside `plan`: both predict the peak of two steps with Adam in fp32 on a CPU.

.venv/bin/python benchmarks/plan_memtracker.py            # truth and predictions are those of plan_accuracy.json
.venv/bin/python benchmarks/plan_memtracker.py --write    # the table into docs/plan.md
"""

from __future__ import annotations

import argparse
import json
import statistics
import warnings

import torch
from plan_accuracy import EVERY, MIB, OPTIMIZERS, PAGE, SAVED, copied, put
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

OPTIMIZER = "Adam"
HEAD = """\
| model | truth, MiB | `plan` | MemTracker, on fake tensors |
|---|---:|---:|---:|"""


def tracked(name: str) -> int:
    """As its documentation does it: external objects first, statistics of modules reset between the steps."""
    case = EVERY[name]
    with FakeTensorMode():
        model, original = case.make(False), case.batch()
        optimizers = [OPTIMIZERS[OPTIMIZER](group) for group in case.groups(model)]
        tracker = MemTracker()
        tracker.track_external(model, *optimizers)
        with tracker:
            for step in range(2):
                if step:
                    tracker.reset_mod_stats()
                batch = copied(original)
                for optimizer, loss in zip(optimizers, case.losses, strict=True):
                    optimizer.zero_grad()
                    value = loss(model, batch)
                    value.backward()
                    optimizer.step()
                del batch
        snapshot = tracker.get_tracker_snapshot("peak")
    return int(snapshot[torch.device("cpu")]["Total"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="the table into docs/plan.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows, errors = [HEAD], []
    for row in json.loads(SAVED.read_text()):
        if row["optimizer"] != OPTIMIZER or row["precision"] != "fp32" or row["checkpoint"]:
            continue
        truth = row["truth"]
        ours = row["predicted"] / truth - 1
        try:
            theirs = tracked(row["model"]) / truth - 1
            errors.append((abs(ours), abs(theirs)))
            shown = f"{theirs:+.2%}"
        except Exception as error:  # whatever it can't do
            shown = f"{type(error).__name__}"
        rows.append(f"| {row['model']} | {truth / MIB:.2f} | {ours:+.2%} | {shown} |")
        print(rows[-1], flush=True)
    means = [f"{statistics.mean(each):.2%}" for each in zip(*errors, strict=True)]
    rows.append(f"| mean error where both predict | | {means[0]} | {means[1]} |")
    print(rows[-1])
    if options.write:
        put("memtracker", "\n".join(rows), PAGE)


if __name__ == "__main__":
    main()
