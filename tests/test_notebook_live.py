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
