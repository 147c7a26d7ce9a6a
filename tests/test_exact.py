"""A failed check on the GPU: what the program's copy on the CPU says of it, and what is said if it says nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from corpus import environment
from torchmedic.model import program

CARD = Path(__file__).parent / "pretend_card.py"
HEAD = """
import card
import torch
import torch.nn.functional as F
from torch import nn

device = torch.device("cuda")
"""
LABELS = """
torch.manual_seed(0)
model = nn.Linear(20, 5).to(device)
optimizer = torch.optim.Adam(model.parameters())
inputs, labels = torch.randn(64, 20), torch.arange(64) % 5 + 1

for x, y in zip(inputs.split(16), labels.split(16)):
    x, y = x.to(device), y.to(device)
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
WORDS = """
class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(100, 32)
        self.head = nn.Linear(32, 4)

    def forward(self, tokens):
        return self.head(self.embedding(tokens).mean(1))


model = Tagger().cuda()
print(model(torch.arange(1, 101).view(4, 25).cuda()).shape)
"""
PICKED = """
scores = torch.randn(8, 5, device=device)
labels = torch.tensor([0, 1, 2, 3, 4, 5, 0, 1], device=device)
picked = scores[torch.arange(8, device=device), labels]
print(picked.mean().item())
"""
PROBABILITIES = """
scores = torch.tensor([1.5, -1.0, 0.5]).cuda()
loss = F.binary_cross_entropy(scores, torch.tensor([1.0, 0.0, 1.0]).cuda())
print(loss.item())
"""
SAMPLES = """
chances = torch.softmax(torch.full((4, 10), float("nan"), device=device), dim=-1)
picked = torch.multinomial(chances, 1)
print(picked.sum())
"""
OF_THE_CARD = """
labels = torch.tensor([0, 1, 7 if torch.cuda.get_device_name() == card.NAME else 2], device=device)
loss = F.cross_entropy(torch.randn(3, 5, device=device), labels)
print(loss.item())
"""


def run(folder: Path, text: str, *options: str) -> str:
    (folder / "card.py").write_text(CARD.read_text("utf-8"), "utf-8")
    (folder / "train.py").write_text(program(HEAD) + program(text), "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "torchmedic", "run", *options, "train.py"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "CUDA error: device-side assert triggered" in done.stderr
    return " ".join(done.stderr.rpartition("device-side assertions.")[2].split())


@pytest.mark.parametrize(
    ("text", "title", "line"),
    [
        (LABELS, "TM316] class-label-out-of-range: class label 5 does not fit 5 outputs", "loss = F.cross"),
        (WORDS, "TM319] embedding-index-out-of-range: an index does not fit an embedding with 100", "self.embedding ="),
        (PICKED, "TM219] tensor-index-out-of-range: index 5 is asked of dimension 1, which has 5", "picked ="),
        (PROBABILITIES, "TM361] binary-loss-refused: binary cross entropy gets values outside 0", "loss ="),
        (SAMPLES, "TM360] sampling-probabilities-invalid: samples are drawn", "picked ="),
    ],
    ids=["label", "embedding", "index", "binary", "sampling"],
)  # fmt: skip
def test_the_copy_on_the_cpu_says_what_it_was(
    text: str, title: str, line: str, tmp_path: Path
) -> None:
    said = run(tmp_path, text)
    lines = (tmp_path / "train.py").read_text("utf-8").splitlines()
    number = next(n for n, code in enumerate(lines, 1) if code.strip().startswith(line))
    assert title in said and f"--> train.py:{number}:" in said
    assert "found by running the program once more on the CPU" in said


def test_its_fix_is_verified_there(tmp_path: Path) -> None:
    said = run(tmp_path, LABELS)
    assert "count labels from 0: `y - 1` verified: ran past train.py:14" in said


@pytest.mark.parametrize(
    ("text", "options"), [(OF_THE_CARD, ()), (LABELS, ("--no-verify",))], ids=["passes", "unasked"]
)
def test_otherwise_the_checks_before_the_line_are_told(
    text: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    said = run(tmp_path, text, *options)
    assert "a check on the GPU failed: an index, a label or a value is out of its range" in said
    assert "checks its labels: 0 … C − 1" in said and "F.cross_entropy(" in said
    assert "once more on the CPU" not in said
