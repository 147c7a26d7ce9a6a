"""What may go wrong around a watched program: forks, threads, dying workers, signals, a full disk, the interpreter's end.

Each program ends under `run` with the output and the exit status that it has under `python`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

from corpus import environment

torch = pytest.importorskip("torch")

TRAIN = """
import hashlib, os, signal, sys, threading, time
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
data = TensorDataset(torch.randn(64, 4), torch.randint(3, (64,)))


def made():
    model = nn.Linear(4, 3)
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def train(model, optimizer, steps=12, loader=None):
    batches = iter(loader or DataLoader(data, batch_size=4))
    for step in range(steps):
        x, y = next(batches)
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()


def tell(model, name="weights"):
    said = repr([p.tolist() for p in model.parameters()])
    print(name, hashlib.sha256(said.encode()).hexdigest(), flush=True)
"""
PROGRAMS = {
    "a child is forked, trains, and ends": """
        model, optimizer = made()
        train(model, optimizer)
        child = os.fork()
        train(model, optimizer)
        if not child:
            tell(model, "child")
            sys.exit(4)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        tell(model)
        """,
    "processes are spawned": """
        import torch.multiprocessing as mp

        def work(rank):
            torch.manual_seed(rank)
            model, optimizer = made()
            train(model, optimizer)

        if __name__ == "__main__":
            mp.spawn(work, nprocs=1)
            model, optimizer = made()
            train(model, optimizer)
            tell(model)
        """,
    "two threads train": """
        pairs = [made(), made()]
        threads = [threading.Thread(target=train, args=pair) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        train(*pairs[0])
        for model, _ in pairs:
            tell(model)
        """,
    "a thread raises": """
        model, optimizer = made()
        thread = threading.Thread(target=lambda: model(torch.zeros(2, 5)))
        thread.start()
        thread.join()
        train(model, optimizer)
        tell(model)
        """,
    "a daemon thread waits while the interpreter ends": """
        model, optimizer = made()

        def wait():
            train(model, optimizer)
            print("trained", flush=True)
            threading.Event().wait()

        threading.Thread(target=wait, daemon=True).start()
        time.sleep(1)
        tell(model)
        """,
    "models are called at the interpreter's end": """
        import atexit

        model, optimizer = made()
        atexit.register(lambda: (train(model, optimizer), tell(model, "at exit")))

        class Late:
            def __del__(self):
                print("late", flush=True)

        late = Late()
        train(model, optimizer)
        tell(model)
        """,
    "classes of the program are freed": """
        import gc, weakref
        from torch.utils.data import Dataset

        def work():
            class Double(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x):
                    ctx.save_for_backward(x)
                    return x * 2

                @staticmethod
                def backward(ctx, gradient):
                    return gradient * 2

            class Net(nn.Linear):
                def forward(self, x):
                    return Double.apply(super().forward(x))

            class Rows(Dataset):
                def __len__(self):
                    return 64

                def __getitem__(self, index):
                    return data[index]

            class Descent(torch.optim.SGD):
                pass

            class Meter:
                total = 0

            model = Net(4, 3)
            optimizer = Descent(model.parameters(), lr=0.1)
            schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
            meter = Meter()
            for x, y in DataLoader(Rows(), batch_size=4):
                loss = nn.functional.cross_entropy(model(x), y)
                meter.total = meter.total + loss
                loss.backward()
                optimizer.step()
                schedule.step()
            tell(model)
            return [weakref.ref(kind) for kind in (Double, Net, Rows, Descent, Meter)]

        kinds = work()
        gc.collect()
        print([kind() for kind in kinds])
        """,
    "os._exit in the middle": """
        model, optimizer = made()
        train(model, optimizer)
        tell(model)
        os._exit(7)
        """,
    "a worker is killed": """
        class Killed(TensorDataset):
            def __getitem__(self, index):
                if index == 30:
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().__getitem__(index)

        model, optimizer = made()
        train(model, optimizer)
        tell(model)
        train(model, optimizer, 16, DataLoader(Killed(*data.tensors), batch_size=4, num_workers=1))
        """,
    "the program kills itself": """
        model, optimizer = made()
        train(model, optimizer)
        tell(model)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
    "recursion without an end is caught": """
        model, optimizer = made()

        def deeper(n):
            model(torch.zeros(2, 4))
            return deeper(n + 1)

        train(model, optimizer)
        try:
            deeper(0)
        except RecursionError:
            print("caught")
        train(model, optimizer)
        tell(model)
        """,
    "hooks of the program raise": """
        model, optimizer = made()
        train(model, optimizer)
        handle = model.register_forward_hook(lambda *details: 1 / 0)
        try:
            model(torch.zeros(2, 4))
        except ZeroDivisionError:
            print("caught")
        handle.remove()
        optimizer.register_step_pre_hook(lambda *details: print("step"))
        train(model, optimizer, 2)
        tell(model)
        """,
}


def executed(folder: Path, *words: str, **others: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words, "train.py"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        **others,  # type: ignore[call-overload]
    )


def written(folder: Path, rest: str) -> Path:
    (folder / "train.py").write_text(TRAIN + dedent(rest))
    return folder


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_program_ends_as_it_does_alone(name: str, tmp_path: Path) -> None:
    written(tmp_path, PROGRAMS[name])
    alone, watched = executed(tmp_path), executed(tmp_path, "-m", "torchmedic", "run")
    assert (watched.returncode, watched.stdout) == (alone.returncode, alone.stdout)
    assert "eport it" not in watched.stderr and "torchmedic/" not in watched.stderr
    # A second report would be a child's: it is not watched.
    assert watched.stderr.count("[TM402]") <= 1, watched.stderr


@pytest.mark.parametrize("what", ["output", "stderr"])
def test_a_full_disk_costs_the_report_only(what: str, tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("/dev/full is Linux's")
    written(tmp_path, "model, optimizer = made()\ntrain(model, optimizer)\ntell(model)")
    words = ["-m", "torchmedic", "run", "--format", "json", "--output"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, *words, "/dev/full" if what == "output" else "seen.json", "train.py"],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=full if what == "stderr" else subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0 and done.stdout.startswith("weights ")
    if what == "output":
        assert "cannot write /dev/full: No space left on device" in done.stderr
        assert "[TM402]" in done.stderr
    else:
        told = json.loads((tmp_path / "seen.json").read_text())["diagnoses"]
        assert [d["code"] for d in told] == ["TM402"]


LONG = """
model, optimizer = made()
train(model, optimizer)
print("trained", flush=True)
{around}while True:
    train(model, optimizer)
"""


def test_ctrl_c_ends_the_program_as_it_does_alone(tmp_path: Path) -> None:
    written(tmp_path, LONG.format(around=""))
    ends = [interrupted(tmp_path, 1), interrupted(tmp_path, 1, "-m", "torchmedic", "run")]
    assert ends[0][0] == ends[1][0] == -signal.SIGINT
    assert "KeyboardInterrupt" in ends[1][1] and "eport it" not in ends[1][1]


def test_ctrl_c_twice_while_the_report_is_made(tmp_path: Path) -> None:
    """Whatever the second one meets: the status is that of an interrupted program, and no traceback is ours."""
    written(tmp_path, LONG.format(around=""))
    status, err = interrupted(tmp_path, 2, "-m", "torchmedic", "run")
    assert status == -signal.SIGINT, err
    assert "eport it" not in err and "torchmedic/session.py" not in err


def interrupted(folder: Path, times: int, *words: str) -> tuple[int, str]:
    process = subprocess.Popen(
        [sys.executable, *words, "train.py"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "trained\n"
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    _, err = process.communicate(timeout=60)
    return process.returncode, err
