"""What torchmedic adds to Python: side by side, interleaved, medians of one run.

    .venv/bin/python benchmarks/startup.py [--rounds 11] [--only WORD]

`CPU` is the processor's time (user and system) of the command and its children; on a shared machine it is the steadier one. Every round runs all commands of a pair once, in turn, so that a slow minute of the machine hits both alike.
Bytecode is written to a folder of its own and is warm after the first, uncounted round, as after an installation.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "digits_cnn_layer_size_mismatch.py"
MESSAGE = "mat1 and mat2 shapes cannot be multiplied (32x576 and 1600x10)"

PLAIN = ("-c", "pass")
BARE_SCRIPT = "print('done')\n"
TORCH_SCRIPT = "import torch\nprint(torch.__version__)\n"
# The hot parts of a program print their own seconds: start-up and imports don't count.
CONSTRUCTION = """
import time
from torch import nn

def layers():
    return [nn.Linear(1, 1) for _ in range(10_000)]

layers()
start = time.perf_counter(), time.process_time()
layers()
print(time.perf_counter() - start[0], time.process_time() - start[1])
"""
STEPS = """
import time
import torch
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
criterion = nn.CrossEntropyLoss()
x, y = torch.randn(32, 64), torch.randint(10, (32,))

def train(steps):
    for _ in range(steps):
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()

train(100)
start = time.perf_counter(), time.process_time()
train(1_000)
print(time.perf_counter() - start[0], time.process_time() - start[1])
"""

Seconds = tuple[float, float]  # on the clock, of the processor
Measure = Callable[[], Seconds]


def environment(cache: Path) -> dict[str, str]:
    """Bytecode may be written, into `cache`; the working copy can be imported from anywhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return {**kept, "PYTHONPYCACHEPREFIX": str(cache), "PYTHONPATH": str(ROOT)}


def of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def wall(arguments: Sequence[str], env: dict[str, str]) -> Measure:
    """Seconds from the start of `python ARGUMENTS` to its end."""

    def measure() -> Seconds:
        start, before = time.perf_counter(), of_children()
        subprocess.run([sys.executable, *arguments], env=env, cwd=ROOT, capture_output=True)
        return time.perf_counter() - start, of_children() - before

    return measure


def told(arguments: Sequence[str], env: dict[str, str]) -> Measure:
    """The seconds that the program itself prints."""

    def measure() -> Seconds:
        done = subprocess.run(
            [sys.executable, *arguments], env=env, cwd=ROOT, capture_output=True, text=True
        )
        clock, processor = map(float, done.stdout.split())
        return clock, processor

    return measure


def medians(measures: Sequence[Measure], rounds: int) -> list[Seconds]:
    """The medians of each. They take turns; the first round only warms up."""
    for measure in measures:
        measure()
    taken = [[measure() for measure in measures] for _ in range(rounds)]
    return [
        (median(clock for clock, _ in column), median(cpu for _, cpu in column))
        for column in zip(*taken, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", default="", help="only rows with this word in their name")
    options = parser.parse_args()
    rounds: int = options.rounds
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        env = environment(here / "bytecode")
        medic = ("-m", "torchmedic")
        run = (*medic, "run")

        def script(name: str, source: str) -> str:
            path = here / name
            path.write_text(source, "utf-8")
            return str(path)

        bare, torch = script("bare.py", BARE_SCRIPT), script("with_torch.py", TORCH_SCRIPT)
        hot = {
            "10,000 layers constructed": script("construction.py", CONSTRUCTION),
            "1,000 steps of a 64-unit MLP": script("steps.py", STEPS),
        }

        print(
            "| what | without | with torchmedic | ratio | CPU without | CPU with | CPU difference | CPU ratio |"
        )
        print("|---|---:|---:|---:|---:|---:|---:|---:|")

        def compare(name: str, first: Measure, second: Measure, count: int = rounds) -> None:
            if options.only not in name:
                return
            (a, cpu_a), (b, cpu_b) = medians((first, second), count)
            print(
                f"| {name} | {a * 1000:.0f} ms | {b * 1000:.0f} ms | {b / a:.2f} | {cpu_a * 1000:.0f} ms "
                f"| {cpu_b * 1000:.0f} ms | {(cpu_b - cpu_a) * 1000:+.0f} ms | {cpu_b / cpu_a:.2f} |",
                flush=True,
            )

        few = max(3, rounds // 3)
        compare("`run`: a script without torch", wall((bare,), env), wall((*run, bare), env))
        compare("`run`: a script that imports torch", wall((torch,), env), wall((*run, torch), env))
        compare(
            '`explain "mat1 and mat2 …"`, against `python -c pass`',
            wall(PLAIN, env),
            wall((*medic, "explain", MESSAGE), env),
        )
        example = str(EXAMPLE)
        crash, quick = wall((example,), env), wall((*run, "--no-verify", example), env)
        compare("crash to report, `--no-verify`", crash, quick, few)
        compare("crash to verified report", crash, wall((*run, example), env), few)
        for name, path in hot.items():
            compare(name, told((path,), env), told((*run, path), env), few)


if __name__ == "__main__":
    main()
