"""What a replay costs: seconds and memory grow with the number of operations, not with the sizes of the tensors.

.venv/bin/python benchmarks/plan_cost.py            # about a minute
.venv/bin/python benchmarks/plan_cost.py --write    # the table into docs/plan.md
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from typing import NamedTuple

import torch
from plan_accuracy import peak, put
from plan_zoo import GPT, words

from torchmedic.probes.planner import replay

GIB = 1 << 30
VOCABULARY = 50304
BYTES_OF_RSS = 1 << 10  # Linux counts in KiB


class Size(NamedTuple):
    width: int
    depth: int
    heads: int
    length: int
    batch: int


SIZES = (
    Size(256, 4, 4, 256, 8),
    Size(768, 4, 12, 1024, 8),
    Size(2048, 4, 16, 2048, 64),
    Size(768, 12, 12, 1024, 8),
    Size(1024, 24, 16, 1024, 8),
    Size(2048, 24, 16, 2048, 4),
    Size(2048, 24, 16, 2048, 256),
    Size(5120, 40, 40, 2048, 1),
)
HEAD = """\
| GPT: width × depth | parameters | batch × length | operations' events | predicted peak, GiB | seconds | most memory of the replay, MiB |
|---|---:|---:|---:|---:|---:|---:|"""


def measured(size: Size) -> str:
    """One row. Each size has a process of its own, or memory of an earlier one would be counted."""
    with torch.device("meta"):
        model = GPT(VOCABULARY, size.width, size.depth, size.heads, size.length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    batch = (torch.zeros(1, size.length, dtype=torch.long),) * 2
    start = time.perf_counter()
    step = replay(model, optimizer, batch, words, batch_size=size.batch, autocast="bf16")
    seconds = time.perf_counter() - start
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * BYTES_OF_RSS
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return (
        f"| {size.width} × {size.depth} | {parameters / 1e6:,.0f} M | {size.batch} × {size.length} "
        f"| {len(step.events):,} | {peak(step.events) / GIB:.1f} | {seconds:.1f} | {most >> 20} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="the table into docs/plan.md")
    options = parser.parse_args()
    rows = [HEAD]
    print(HEAD)
    for size in SIZES:
        context = torch.multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            rows.append(pool.apply(measured, (size,)))
        print(rows[-1], flush=True)
    if options.write:
        put("cost", "\n".join(rows), Path(__file__).parent.parent / "docs" / "plan.md")


if __name__ == "__main__":
    main()
