"""Predictions of peers beside ours and beside what an H200 took: Adam in fp32, without checkpoints.

    pip install -r benchmarks/plan_peers.txt # in an environment with PyTorch and torchmedic
    python benchmarks/plan_peers.py predicted.json [--write]

`predicted.json` is what `plan_gpu.py predict` wrote; the truth is `plan_gpu.json`. torch-kitsune is asked as its page shows, with
the shape of one sample; torch-preflight's VRAMGuard gets the model, the optimizer and a batch. What the latter adds for the CUDA
context and for fragmentation is taken off, since the truth is what PyTorch allocates; the former's 15 % of overhead is part of the
peak that it tells.
"""

from __future__ import annotations

import argparse
import json
import statistics
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plan_accuracy import put
from plan_gpu import MIB, PAGE, SETTINGS, Point, built, points

TRUTH = Path(__file__).with_name("plan_gpu.json")


def kitsune(point: Point) -> int:
    from kitsune.predict import predict_memory

    _, model, _, batch = built(point)
    shape = tuple(batch[0].shape[1:])
    found = predict_memory(model, shape, batch_size=len(batch[0]), optimizer="adam", training=True)
    return int(found.total_bytes)


def preflight(point: Point) -> int:
    from torch_preflight.vram.guard import VRAMGuard

    _, model, optimizers, batch = built(point)
    guard = VRAMGuard(
        model,
        optimizer=optimizers[0],
        max_vram="141GB",
        batch_size=len(batch[0]),
        example_input=batch[0],
        precision="fp32",
        verify=False,
    )
    with guard:
        pass
    if guard.activation_source != "measured":
        raise ValueError("no activations")
    parts = guard.report.breakdown
    return int(guard.report.total - parts.cuda_context - parts.fragmentation)


PEERS: dict[str, Callable[[Point], int]] = {
    "torch-kitsune": kitsune,
    "torch-preflight": preflight,
}


def asked(peer: Callable[[Point], int], point: Point, truth: int) -> float | str:
    try:
        return peer(point) / truth - 1
    except Exception as error:
        return type(error).__name__


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("predicted", type=Path)
    parser.add_argument("--write", action="store_true", help="the table into docs/plan.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    predicted = json.loads(options.predicted.read_text())["peaks"]
    truth = json.loads(TRUTH.read_text())["peaks"]
    out = ["| model | allocated, MiB | `plan` | torch-kitsune | torch-preflight |"]
    out += ["|---|---:|---:|---:|---:|"]
    errors: dict[str, list[float]] = {name: [] for name in ("plan", *PEERS)}
    for point in points():
        if (point.optimizer, point.precision, point.checkpoint) != SETTINGS[0]:
            continue
        real = truth[point.key][1]
        found: dict[str, Any] = {"plan": predicted[point.key][1] / real - 1}
        found |= {name: asked(peer, point, real) for name, peer in PEERS.items()}
        for name, error in found.items():
            if isinstance(error, float):
                errors[name].append(abs(error))
        cells = [f"{e:+.1%}" if isinstance(e, float) else e for e in found.values()]
        out.append(f"| {' | '.join([point.model, f'{real / MIB:.0f}', *cells])} |")
        print(out[-1], flush=True)
    means = [
        f"{statistics.mean(each):.1%} of {len(each)}" if each else "" for each in errors.values()
    ]
    out.append(f"| mean error where it predicts | | {' | '.join(means)} |")
    print(out[-1])
    if options.write:
        put("peers", "\n".join(out), PAGE)


if __name__ == "__main__":
    main()
