"""Fixes of programs whose tensors are on two devices; `meta` stands for the GPU that isn't here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from corpus import environment
from torchmedic.engine import diagnose
from torchmedic.fix.patch import apply_edits
from torchmedic.model import Diagnosis, Span, program
from torchmedic.observed import Failure, Frame, Tensor, Value
from torchmedic.observed.text import failure_from_text

BATCH = """
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

device = torch.device("meta")
model = nn.Linear(20, 5).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
data = TensorDataset(torch.randn(64, 20), torch.randint(0, 5, (64,)))

for x, y in DataLoader(data, batch_size=16):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
"""
LOOKED_AT = """
import torch
from torch import nn

device = torch.device("meta")
model = nn.Linear(20, 5).to(device)
for x, y in [(torch.randn(4, 20), torch.zeros(4))]:
    print(model(x).shape, y.numpy().mean())
"""
ON_CPU, ON_GPU = (Value("Tensor", tensor=Tensor((3,), "float32", d)) for d in ("cpu", "cuda:0"))


def run(folder: Path, text: str) -> str:
    (folder / "train.py").write_text(program(text), "utf-8")
    command = [sys.executable, "-m", "torchmedic", "run", "train.py"]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == 1
    return done.stderr.rpartition("error[")[2]


def test_a_batch_is_moved_as_a_whole(tmp_path: Path) -> None:
    said = run(tmp_path, BATCH)
    assert said.startswith("TM214]") and "fix 2" not in said
    assert said.partition("train.py:")[2].startswith("11:5")
    assert "+    x, y = x.to(device), y.to(device)" in said
    assert " verified: ran past train.py:13 and" in said


def test_labels_that_no_call_gets_stay(tmp_path: Path) -> None:
    said = run(tmp_path, LOOKED_AT)
    assert "model(x.to(device)).shape, y.numpy()" in said and "y.to(" not in said


def _step(**values: Value) -> list[Diagnosis]:
    library = Frame(
        Span("/venv/site-packages/torch/optim/adam.py", 412),
        "_single_tensor_adam",
        is_user=False,
        values=values,
    )
    own = Frame(Span("/home/jiwoo/train.py", 9), "main", "optimizer.step()")
    message = "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"
    return diagnose(Failure("RuntimeError", message, (own, library), is_live=True))


def _several(*values: Value) -> Value:
    return Value("list", items=values)


def test_state_that_stayed_behind_is_named() -> None:
    kept = {"exp_avgs": _several(ON_GPU, ON_GPU), "state_steps": _several(ON_CPU)}
    [found] = _step(params=_several(ON_CPU, ON_CPU), grads=_several(ON_CPU), **kept)
    assert found.title("en") == "the optimizer's state is on cuda:0, and its parameters are on cpu"
    [found] = _step(params=_several(ON_GPU), exp_avgs=_several(ON_GPU), state_steps=ON_CPU)
    assert found.variant is None


@pytest.mark.parametrize(
    ("wanted", "other", "made", "mended"),
    [
        ("cpu", "cuda", 'torch.Generator(device="cuda")', "torch.Generator()"),
        ("cuda", "cpu", "torch.Generator()", "torch.Generator(device=device)"),
    ],
)
def test_a_generator_is_made_where_it_draws(
    wanted: str, other: str, made: str, mended: str, tmp_path: Path
) -> None:
    lines = ["import torch", 'device = "cuda"', f"g = {made}.manual_seed(0)"]
    lines += ["print(torch.randperm(4, generator=g))", ""]
    path = tmp_path / "draw.py"
    path.write_text("\n".join(lines), "utf-8")
    pasted = (
        f'Traceback (most recent call last):\n  File "{path}", line 4, in <module>\n    {lines[3]}\n'
        f"RuntimeError: Expected a '{wanted}' device type for generator but found '{other}'\n"
    )
    failure = failure_from_text(pasted)
    assert failure is not None
    [found] = diagnose(failure)
    assert found.title("en") == f"a random generator on {other} is to draw numbers on {wanted}"
    text = apply_edits(path.read_text("utf-8"), found.fixes[0].edits)
    assert text.splitlines()[2] == f"g = {mended}.manual_seed(0)"


SCATTERED = """
import torch
from torch import nn

model = nn.Linear(20, 5)
model.cuda()
x = torch.randn(4, 20).to("cuda", torch.float32)
y = model(x) + torch.zeros(5, device="cuda").cuda(non_blocking=True)
with torch.autocast("cuda", enabled=False):
    print(y.sum())
"""
NAMED_TWICE = """
import torch
from torch import nn

device = "cuda"
model = nn.Linear(20, 5).to(device)
print(model(torch.randn(4, 20).cuda()))
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_scattered_devices_become_one(tmp_path: Path) -> None:
    said = run(tmp_path, SCATTERED)
    assert said.startswith("TM220]") and " verified: ran past train.py:5" in said
    for line in (
        'device = torch.device("cuda" if torch.cuda.is_available() else "cpu")',
        "model.to(device)",
        "x = torch.randn(4, 20).to(device, torch.float32)",
        "torch.zeros(5, device=device).to(device, non_blocking=True)",
    ):
        assert line in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_named_in_two_ways_is_pointed_at(tmp_path: Path) -> None:
    said = run(tmp_path, NAMED_TWICE)
    assert said.startswith("TM220]") and "--> train.py:4:10" in said and "fix" not in said
