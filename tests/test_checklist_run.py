"""`torchmedic checklist SCRIPT --run ARGS…`: what one run answers beyond the source."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parent.parent
PROGRAM = """
import sys
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
sizes = [int(word) for word in sys.argv[1].split(",")]
x = torch.randn(64, sizes[0])
loader = DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=16, shuffle=True)
model = nn.Sequential(nn.Linear(sizes[0], sizes[1]), nn.Dropout(0.2), nn.Linear(sizes[1], 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(2):
    model.train()
    for a, b in loader:
        loss = nn.functional.cross_entropy(model(a), b)
        {clear}
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        print("accuracy", sum((model(a).argmax(1) == b).sum().item() for a, b in loader) / 64)
"""


def checklist(folder, *words, clear="getattr(optimizer, 'zero_' + 'grad')()"):
    (folder / "train.py").write_text(dedent(PROGRAM).replace("{clear}", clear))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-m", "torchmedic", "checklist", "--lang", "en", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


def boxes(path):
    return {box["key"]: box for box in json.loads(path.read_text())["boxes"]}


def test_a_run_answers_what_the_source_leaves_open(tmp_path):
    plain = checklist(tmp_path, "--format", "json", "--output", "plain.json", "train.py")
    words = ["--format", "json", "--output", "run.json", "train.py", "--run", "8,4"]
    done = checklist(tmp_path, *words)
    assert (plain.returncode, done.returncode) == (0, 0), done.stderr
    assert plain.stdout == "" and done.stdout.count("accuracy") == 2, "the program's own output"
    before, after = boxes(tmp_path / "plain.json"), boxes(tmp_path / "run.json")
    assert before["memory"]["state"] == "not seen" and before["features"]["state"] == "not seen"
    assert after["memory"]["state"] == after["features"]["state"] == "right"
    assert "8 steps" in after["memory"]["said"]
    assert after["memory"]["line"] and after["memory"]["path"] == "train.py"
    assert not [
        key for key, box in before.items() if box["state"] == "right" != after[key]["state"]
    ]


def test_a_run_can_find_a_box_wrong(tmp_path):
    clear = "(lambda: None)()"
    done = checklist(tmp_path, "train.py", "--run", "8,4", clear=clear)
    assert done.returncode == 1
    assert "✗ zero_grad() is called" in done.stdout and "TM402" in done.stdout


def test_a_crash_is_in_its_box(tmp_path):
    done = checklist(tmp_path, "train.py", "--run", "8,", clear="pass")
    assert "ValueError" in done.stderr and done.returncode in (0, 1)
    assert "the run went to its end" not in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "json", "train.py", "--run"], "--output FILE"),
        (["nothing.py", "--run"], "cannot read nothing.py"),
    ],
)
def test_bad_usage_is_one_sentence(words, said, tmp_path):
    done = checklist(tmp_path, *words)
    assert done.returncode == 2
    assert said in done.stderr and done.stderr.count("\n") == 1
