"""Watching changes nothing: results, random numbers, objects and functions are the same, also when we fail."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from torch import nn

import torchmedic
from programs import execute, forked
from torchmedic.probes.observer import points
from torchmedic.probes.observer.watcher import Watcher

DIGEST = """
def digest(model, losses):
    import hashlib, random
    parts = [repr([float(x).hex() for x in losses])]
    parts += [repr(v.tolist()) for v in model.state_dict().values()]
    parts += [repr(torch.get_rng_state().tolist()), repr(random.getstate())]
    print(hashlib.sha256("".join(parts).encode()).hexdigest(), len(losses), losses[-1] < losses[0])
"""
SETUP = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import random

random.seed(0)
torch.manual_seed(0)
torch.set_num_threads(1)
x = torch.randn(256, 8)
y = (x.sum(1) > 0).long()
model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))
losses = []
"""
LOOP = """
for epoch in range(3):
    model.train()
    for a, b in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(a), b)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        losses.append(nn.functional.cross_entropy(model(x), y).item())
"""
PLAIN = "loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)\n"
PROGRAMS = {
    "adam": PLAIN + "optimizer = torch.optim.Adam(model.parameters(), lr=0.01)\n" + LOOP,
    "sgd": PLAIN
    + "optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)\n"
    + LOOP,
    "schedule": PLAIN
    + "optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)\n"
    + "scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=24)\n"
    + LOOP.replace(
        "optimizer.step()",
        "nn.utils.clip_grad_norm_(model.parameters(), 1.0); optimizer.step(); scheduler.step()",
    )
    + "model.load_state_dict(model.state_dict())\n",
    "workers": PLAIN.replace("shuffle=True", "shuffle=True, num_workers=2")
    + "optimizer = torch.optim.Adam(model.parameters(), lr=0.01)\n"
    + LOOP,
    "bfloat16": PLAIN
    + "optimizer = torch.optim.Adam(model.parameters(), lr=0.01)\n"
    + LOOP.replace(
        "        loss = nn.functional.cross_entropy(model(a), b)",
        "        with torch.autocast('cpu', dtype=torch.bfloat16):\n"
        "            loss = nn.functional.cross_entropy(model(a), b)",
    ),
    "lbfgs": """
optimizer = torch.optim.LBFGS(model[0].parameters(), lr=0.1)

def closure():
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    return loss

for step in range(8):
    losses.append(optimizer.step(closure).item())
""",
    "compiled": PLAIN
    + "compiled = torch.compile(model, backend='eager')\n"
    + "optimizer = torch.optim.Adam(model.parameters(), lr=0.01)\n"
    + LOOP.replace("model(a)", "compiled(a)"),
    "double backward": """
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(40):
    inputs = x.clone().requires_grad_()
    loss = nn.functional.cross_entropy(model(inputs), y)
    gradient, = torch.autograd.grad(loss, inputs, create_graph=True)
    optimizer.zero_grad()
    (loss + gradient.pow(2).sum()).backward()
    optimizer.step()
    losses.append(loss.item())
""",
    "checkpointed": PLAIN
    + "from torch.utils.checkpoint import checkpoint\n"
    + "optimizer = torch.optim.Adam(model.parameters(), lr=0.01)\n"
    + LOOP.replace("model(a)", "checkpoint(model, a, use_reentrant=False)"),
    "functional": """
from torch.func import functional_call, grad

def loss_of(parameters):
    return nn.functional.cross_entropy(functional_call(model, parameters, (x,)), y)

model.eval()
parameters = {k: v.detach() for k, v in model.named_parameters()}
for step in range(40):
    losses.append(loss_of(parameters).item())
    gradients = grad(loss_of)(parameters)
    parameters = {k: v - 0.1 * gradients[k] for k, v in parameters.items()}
""",
}


def plain(folder: Path) -> str:
    def work() -> str:
        os.chdir(folder)
        out = io.StringIO()
        code = compile((folder / "train.py").read_text(), "train.py", "exec")
        stdout, sys.stdout = sys.stdout, out
        try:
            exec(code, {"__name__": "__main__"})
        finally:
            sys.stdout = stdout
        return out.getvalue()

    return forked(work)


def written(name: str, folder: Path) -> Path:
    text = SETUP + DIGEST + PROGRAMS[name] + "\ndigest(model, losses)\n"
    (folder / "train.py").write_text(text)
    return folder


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_and_random_numbers_are_bit_identical(name, tmp_path):
    folder = written(name, tmp_path)
    outcome = execute("train.py", cwd=folder)
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout == plain(folder)
    assert outcome.stdout.endswith("True\n"), "it has to learn something"
    assert outcome.run.steps > 0 or name == "functional"


EVENTS = [
    n for n in vars(Watcher) if not n.startswith("_") and n not in ("read", "opened", "closed")
]


@pytest.mark.parametrize("event", EVENTS)
def test_an_error_of_ours_ends_the_watching_and_nothing_else(event, tmp_path, monkeypatch):
    """Whichever handler fails: the program goes on, and everything is put back."""

    class Faulty(Watcher):
        pass

    def fail(self, *details):
        raise MemoryError("ours")

    setattr(Faulty, event, fail)
    from torchmedic import silent

    made = silent.observer

    def faulty():
        observer = made()
        make = observer._make
        observer._make = lambda now: [*make(now), Faulty(now)]
        return observer

    folder = written("schedule", tmp_path)
    expected = plain(folder)

    def work():
        silent.observer = faulty
        try:
            return execute_here(folder)
        finally:
            silent.observer = made

    status, out, error, is_back = forked(work)
    assert (status, out) == (0, expected)
    assert is_back
    assert error == "ours" or event in NOT_TOLD


NOT_TOLD = {"module_zero_grad", "seeded", "wrapped"}  # events that the program has none of


def execute_here(folder: Path) -> tuple[int, str, str, bool]:
    import contextlib

    from torchmedic import silent
    from torchmedic.probes import launch
    from torchmedic.probes.record import Recorder

    os.chdir(folder)
    sys.path.insert(0, "")
    before = codes()
    observer = silent.observer()
    recorder = Recorder(observer)
    recorder.install()
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = launch.run(launch.Program.parse(["train.py"]), lambda error: None)
    is_off = not observer.is_on or observer.error is None
    recorder.uninstall()
    return status, out.getvalue(), str(observer.error or ""), is_off and codes() == before


def codes() -> list[object]:
    """What may be changed while a program is watched."""
    from torch.optim import optimizer
    from torch.utils.data import dataloader

    functions = [
        nn.Module.__call__,
        nn.Module.__init__,
        nn.Module.train,
        nn.Module.zero_grad,
        torch.optim.Optimizer.__init__,
        torch.optim.Optimizer.zero_grad.__wrapped__,
        dataloader.DataLoader.__iter__,
        dataloader._BaseDataLoaderIter.__next__,
        torch.autograd.graph._engine_run_backward,
        *(getattr(nn.functional, name) for name in points.LOSSES),
    ]
    held = [optimizer._global_optimizer_pre_hooks, optimizer._global_optimizer_post_hooks]
    return [id(f.__code__) for f in functions] + [len(hooks) for hooks in held]


def train(steps: int = 8, clear: bool = False) -> nn.Module:
    torch.manual_seed(0)
    inputs = torch.randn(16, 4)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(steps):
        if clear:
            optimizer.zero_grad()
        model(inputs).pow(2).mean().backward()
        optimizer.step()
    return model


def test_watch_reports_and_puts_everything_back():
    before = codes()
    stderr = io.StringIO()
    with redirect_stderr(stderr), torchmedic.watch(lang="en") as seen:
        assert codes() != before
        train()
    assert codes() == before
    assert [d.rule.code for d in seen.diagnoses] == ["TM402"]
    assert "error[TM402] gradients-not-cleared" in stderr.getvalue()


def test_watch_is_silent_about_what_is_right():
    stderr = io.StringIO()
    with redirect_stderr(stderr), torchmedic.watch() as seen:
        train(clear=True)
    assert seen.diagnoses == () and stderr.getvalue() == ""


def test_an_exception_in_the_block_goes_through():
    before = codes()
    with pytest.raises(ZeroDivisionError) as caught, torchmedic.watch(report=False):
        1 / 0  # noqa: B018
    assert codes() == before
    assert all("torchmedic" not in str(entry.path) for entry in caught.traceback[1:])


def test_a_watch_in_a_watch_tells_the_same_once():
    stderr = io.StringIO()
    with redirect_stderr(stderr), torchmedic.watch(lang="en") as outer:
        with torchmedic.watch() as inner:
            train()
        assert [d.rule.code for d in inner.diagnoses] == ["TM402"]
    assert [d.rule.code for d in outer.diagnoses] == ["TM402"]
    assert stderr.getvalue().count("error[TM402]") == 1


def test_another_language_is_refused():
    with pytest.raises(ValueError, match="'de'"):
        torchmedic.watch(lang="de")


def test_what_is_watched_can_be_saved_and_copied():
    import copy

    def saved(model):
        archive = io.BytesIO()
        torch.save(model, archive)
        return archive.getvalue()

    without = train(clear=True)
    with torchmedic.watch():
        model = train(clear=True)
        assert saved(model) == saved(without)
        assert vars(copy.deepcopy(model)).keys() == vars(without).keys()
    assert vars(model).keys() == vars(without).keys()


SCRIPT = """
import torchmedic
torchmedic.install(lang="en")
import torch
from torch import nn

torch.manual_seed(0)
inputs = torch.randn(16, 4)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(8):
    model(inputs).pow(2).mean().backward()
    optimizer.step()
print("done")
"""


@pytest.mark.parametrize("end", ["", "model(torch.randn(2, 5))\n", "raise SystemExit(3)\n"])
def test_install_reports_at_the_end(end, tmp_path):
    (tmp_path / "train.py").write_text(dedent(SCRIPT) + end)
    root = str(Path(torchmedic.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "train.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "done\n"
    assert done.returncode == {"": 0, "r": 3, "m": 1}[end[:1]]
    assert done.stderr.count("error[TM402]") == 1
    assert ("error[TM201]" in done.stderr) is end.startswith("model")
    assert ("Traceback" in done.stderr) is end.startswith("model")
