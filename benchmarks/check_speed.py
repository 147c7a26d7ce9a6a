"""How long `check` takes, beside TorchFix and torch-preflight on the same tree, and how that grows.

    .venv/bin/python benchmarks/check_speed.py [--rounds 3] [--peers VENV] [--only WORD]

The tree is PyTorch's own `nn`, `optim` and `utils`, copied from the installed package. The peers are installed into an
environment of their own (`benchmarks/peers.txt`), or taken from VENV. Every round runs all commands once, in turn;
the tables hold medians. The processor's time counts all processes of a command.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import startup
from startup import ROOT, Setting, of_children, setting, wall

PARTS = ("nn", "optim", "utils")
PROGRAMS = ("tabular.py", "text_embedding.py")  # 300 lines together
LINES = (1_000, 10_000, 100_000, 1_000_000)
IN_ONE_FILE = (1_000, 10_000, 100_000)


class Cost(NamedTuple):
    """`clock` and `processor` in seconds, `memory` in MB: of the largest process."""

    clock: float
    processor: float
    memory: float


def cost(command: Sequence[str], using: Setting) -> Cost:
    """Of one command and its children. Raises RuntimeError if it says that it failed."""
    start, before = time.perf_counter(), of_children()
    code = f"import resource, subprocess, sys; subprocess.run({[*command]!r}, stdout=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env=using.environment,
        cwd=using.cwd,
        capture_output=True,
        text=True,
    )
    if "Traceback" in done.stderr or "failed" in done.stderr:
        raise RuntimeError(done.stderr)
    took, used = time.perf_counter() - start, of_children() - before
    return Cost(took, used, float(done.stdout.split()[-1]) / 1024)


def medians(commands: Sequence[Sequence[str]], using: Setting, rounds: int) -> list[Cost]:
    """Of each command; they take turns."""
    taken = [[cost(command, using) for command in commands] for _ in range(rounds)]
    return [Cost(*map(median, zip(*column, strict=True))) for column in zip(*taken, strict=True)]


def torch_tree(folder: Path) -> Path:
    """A copy of PyTorch's own source that has no bytecode beside it."""
    origin = Path(sysconfig.get_path("purelib")) / "torch"
    tree = folder / "tree"
    for part in PARTS:
        ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyi")
        shutil.copytree(origin / part, tree / "torch" / part, ignore=ignored)
    shutil.copy(origin / "__init__.py", tree / "torch")
    return tree


def counted(tree: Path) -> str:
    files = list(tree.rglob("*.py"))
    lines = sum(path.read_bytes().count(b"\n") for path in files)
    return f"{len(files):,} files, {lines:,} lines"


def installed(folder: Path) -> Path:
    """An environment with the peers."""
    made = folder / "peers"
    venv.create(made, with_pip=True)
    wanted = str(Path(__file__).with_name("peers.txt"))
    subprocess.run([made / "bin" / "pip", "install", "--quiet", "-r", wanted], check=True)
    return made


def repeated(folder: Path, lines: int, is_one_file: bool) -> Path:
    """A tree of so many lines: the two example programs over and over, in one file or in files of 300 lines."""
    text = "".join((ROOT / "examples" / name).read_text("utf-8") for name in PROGRAMS)
    own = text.count("\n")
    tree = folder / f"{lines}-{'one' if is_one_file else 'many'}"
    tree.mkdir()
    count = max(1, round(lines / own))
    if is_one_file:
        (tree / "all.py").write_text(text * count, "utf-8")
    else:
        for number in range(count):
            # Equal files are analysed like different ones, but let no cache take them for the same.
            (tree / f"part_{number}.py").write_text(f"# part {number}\n{text}", "utf-8")
    return tree


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, help="an environment that has them already")
    parser.add_argument(
        "--only", choices=("peers", "script", "growth", "file"), help="only this table"
    )
    options = parser.parse_args()
    rounds: int = options.rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        using = setting(folder)
        check = (using.python, "-m", "torchmedic", "check", "--quiet")
        cost((*check, "--no-cache", str(ROOT / "examples")), using)  # writes the bytecode

        if options.only in (None, "peers"):
            tree = torch_tree(folder)
            peers = options.peers or installed(folder)
            cached = (*check, "--cache-dir", str(folder / "cache"))
            cost((*cached, str(tree)), using)
            rows: dict[str, tuple[str, ...]] = {
                "torchmedic check, 1 process": (*check, "--no-cache", "--jobs", "1", str(tree)),
                "torchmedic check, 2 processes": (*check, "--no-cache", "--jobs", "2", str(tree)),
                "torchmedic check, answers in the cache": (*cached, str(tree)),
            }
            for count in "12":
                plural = "" if count == "1" else "es"
                for peer, command in (("torchfix", ()), ("torch-preflight", ("check",))):
                    program = str(peers / "bin" / peer)
                    rows[f"{peer}, {count} process{plural}"] = (
                        program, *command, "-j", count, str(tree),
                    )  # fmt: skip
            found = dict(zip(rows, medians(list(rows.values()), using, rounds), strict=True))
            print(f"{counted(tree)}, medians of {rounds}\n")
            print(
                "| command | clock | times ours | processor | times ours | memory |\n|---|---:|---:|---:|---:|---:|"
            )
            for row, its in found.items():
                ours = found[f"torchmedic check, {'2 processes' if '2' in row else '1 process'}"]
                print(
                    f"| {row} | {its.clock:.2f} s | {its.clock / ours.clock:.1f} | {its.processor:.2f} s "
                    f"| {its.processor / ours.processor:.1f} | {its.memory:.0f} MB |",
                    flush=True,
                )
        if options.only in (None, "script"):
            script = repeated(folder, 300, is_one_file=True)
            (clock, processor), (bare, bare_processor) = startup.medians(
                (wall((*check[1:], "--no-cache", str(script)), using), wall(startup.PLAIN, using)),
                max(7, rounds),
            )
            print(
                f"\nOne script ({counted(script)}), the whole process: {clock * 1000:.0f} ms on the clock, "
                f"{processor * 1000:.0f} ms of the processor; `python -c pass`: {bare * 1000:.0f} and "
                f"{bare_processor * 1000:.0f} ms.",
                flush=True,
            )
        for is_one_file, sizes, key in ((False, LINES, "growth"), (True, IN_ONE_FILE, "file")):
            if options.only not in (None, key):
                continue
            kind = "one file" if is_one_file else "files of 300 lines"
            print(f"\n| {kind} | processor | for 1,000 lines | memory |\n|---|---:|---:|---:|")
            for size in sizes:
                tree = repeated(folder, size, is_one_file)
                its = cost((*check, "--no-cache", "--jobs", "1", str(tree)), using)
                print(
                    f"| {size:,} lines | {its.processor:.2f} s | {its.processor / size * 1_000_000:.0f} ms "
                    f"| {its.memory:.0f} MB |",
                    flush=True,
                )
                shutil.rmtree(tree)


if __name__ == "__main__":
    main()
