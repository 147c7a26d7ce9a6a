"""`torchmedic.install()` in a real IPython shell: mistakes are told below the cell that shows them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from corpus import environment

pytest.importorskip("torch")
pytest.importorskip("IPython")

SHELL = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance(colors="nocolor")
for number, cell in enumerate(json.load(open("cells.json"))):
    print(f"<cell {number}>", file=sys.stderr, flush=True)
    shell.run_cell(cell, store_history=True)
    sys.stdout.flush()
"""
INSTALL = "import torchmedic\ntorchmedic.install()"
MODEL = """\
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)"""
TRAIN = """\
for step in range(12):
    loss = nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.randint(3, (8,)))
    loss.backward()
    optimizer.step()
print(float(loss))"""


def below(folder: Path, *cells: str) -> tuple[list[str], str]:
    """What each cell writes to standard error, and what all write to standard output."""
    (folder / "cells.json").write_text(json.dumps(cells))
    done = subprocess.run(
        [sys.executable, "-c", SHELL],
        cwd=folder,
        env=environment(IPYTHONDIR=str(folder / "ipython")),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.split("<cell ")[1:], done.stdout


def test_a_silent_mistake_is_told_below_its_cell_once(tmp_path: Path) -> None:
    cells, out = below(tmp_path, INSTALL, MODEL, TRAIN, "print('after')", TRAIN)
    assert ["[TM402]" in said for said in cells] == [False, False, True, False, False]
    assert "--> In[3]:3:5" in cells[2] and "In[3]:4 | optimizer.step()" in cells[2]
    assert "after" in out and "eport it" not in "".join(cells)
    assert (
        out.split()
        == below(tmp_path, "1", MODEL, TRAIN, "print('after')", TRAIN)[1].split()[1:][1:]
    )


def test_an_exception_is_explained_below_its_traceback(tmp_path: Path) -> None:
    cells, out = below(tmp_path, INSTALL, MODEL, "model(torch.randn(2, 5))", "1 / 0", "print('on')")
    assert ["error[" in said for said in cells] == [False, False, True, False, False]
    assert "[TM201]" in cells[2] and "In[2]:4:" in cells[2] and "In[3]:1:" in cells[2]
    assert "mat1 and mat2" in out and "ZeroDivisionError" in out and out.rstrip().endswith("on")


SCHEDULE = """\
from torch.utils.data import DataLoader, TensorDataset
data = TensorDataset(torch.randn(96, 4), torch.randint(3, (96,)))
loader = DataLoader(data, batch_size=8, shuffle=True)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=4 * len(loader))"""
EPOCHS = """\
for epoch in range({epochs}):
    for inputs, labels in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    schedule.step()"""


def test_what_only_a_finished_loop_shows_is_told_when_its_cell_has_ended(tmp_path: Path) -> None:
    cells, _ = below(tmp_path, INSTALL, MODEL, SCHEDULE, EPOCHS.format(epochs=4), "1 + 1")
    assert ["[TM349]" in said for said in cells] == [False] * 3 + [True, False]
    assert "--> In[4]:6:5" in cells[3]


def test_a_loop_that_is_not_finished_is_not_judged(tmp_path: Path) -> None:
    half = EPOCHS.format(epochs=2)
    stopped = EPOCHS.format(epochs=4) + "\n    if epoch == 3: raise KeyboardInterrupt"
    for last in (half, stopped):
        cells, _ = below(tmp_path, INSTALL, MODEL, SCHEDULE, last)
        assert "[TM349]" not in "".join(cells)


def test_a_loss_that_reaches_no_parameter_is_told_below_its_cell(tmp_path: Path) -> None:
    cut = TRAIN.replace(
        "    loss.backward()",
        "    loss = torch.tensor(loss.item(), requires_grad=True)\n    loss.backward()",
    )
    cells, _ = below(tmp_path, INSTALL, MODEL, cut, "1 + 1")
    assert ["[TM311]" in said for said in cells] == [False, False, True, False]
