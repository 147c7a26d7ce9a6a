"""What torchmedic adds to Python: side by side, interleaved, medians of one run.

    .venv/bin/python benchmarks/startup.py [--rounds 11] [--only WORD]

`CPU` is the processor's time (user and system) of the command and its children; on a shared machine it is the
steadier one. Every round runs all commands of a pair once, in turn, so that a slow minute of the machine hits both.
Bytecode is written to a folder of its own and is warm after the first, uncounted round, as after an installation.
The interpreter is that of an empty environment, with the packages on its path: the editable installation of a working
copy costs every start as much again as a bare one, which would flatter the ratios.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sysconfig
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

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


class Setting(NamedTuple):
    """What all commands run with. `cwd` is a folder without settings of torchmedic."""

    python: str
    environment: dict[str, str]
    cwd: Path


def setting(folder: Path) -> Setting:
    """Bytecode may be written, into `folder`; the working copy can be imported from anywhere."""
    cwd, empty = folder / "project", folder / "venv"
    cwd.mkdir()
    venv.create(empty, symlinks=os.name != "nt")
    python = empty / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    path = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
    ours = {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONPATH": path}
    return Setting(str(python), {**kept, **ours}, cwd)


def of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ended(arguments: Sequence[str], using: Setting) -> str:
    """What `python ARGUMENTS` wrote on standard output."""
    command = [using.python, *arguments]
    done = subprocess.run(
        command, env=using.environment, cwd=using.cwd, capture_output=True, text=True
    )
    return done.stdout


def wall(arguments: Sequence[str], using: Setting) -> Measure:
    """Seconds from the start of `python ARGUMENTS` to its end."""

    def measure() -> Seconds:
        start, before = time.perf_counter(), of_children()
        ended(arguments, using)
        return time.perf_counter() - start, of_children() - before

    return measure


def told(arguments: Sequence[str], using: Setting) -> Measure:
    """The seconds that the program itself prints."""

    def measure() -> Seconds:
        clock, processor = map(float, ended(arguments, using).split())
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
        using = setting(here)
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
        compare("`run`: a script without torch", wall((bare,), using), wall((*run, bare), using))
        compare(
            "`run`: a script that imports torch", wall((torch,), using), wall((*run, torch), using)
        )
        compare(
            '`explain "mat1 and mat2 …"`, against `python -c pass`',
            wall(PLAIN, using),
            wall((*medic, "explain", MESSAGE), using),
        )
        example = str(EXAMPLE)
        crash, quick = wall((example,), using), wall((*run, "--no-verify", example), using)
        compare("crash to report, `--no-verify`", crash, quick, few)
        compare("crash to verified report", crash, wall((*run, example), using), few)
        for name, path in hot.items():
            compare(name, told((path,), using), told((*run, path), using), few)


if __name__ == "__main__":
    main()
