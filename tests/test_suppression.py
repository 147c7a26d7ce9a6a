"""`# torchmedic: ignore[…]` silences the report of a crash, and nothing else of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus import ended
from programs import execute
from torchmedic.engine import diagnose

# The line to change and the line that raises lie in different functions, as in most programs.
PROGRAM = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(64, 16)
        self.head = nn.Linear(32, 10){change}

    def forward(self, x):
        x = self.body(x.flatten(1)).relu()
        return self.head(x){raising}


print("before"){elsewhere}
print(Net()(torch.zeros(4, 8, 8)).shape)
"""
PLACES = ("change", "raising", "elsewhere")
SILENT = [
    "# torchmedic: ignore[TM201]",
    "# torchmedic: ignore[layer-size-mismatch]",
    "# torchmedic: ignore[TM101, TM201]",
    "# the checkpoint fits  # torchmedic: ignore[tm201]",
    "#torchmedic:ignore[ layer-size-mismatch ]",
]
HEARD = [
    "# torchmedic: ignore[TM202]",
    "# torchmedic: ignore[TM20]",
    "# torchmedic: ignore[]",
    "# torchmedic: ignore",
    "# ignore[TM201]",
]


def written(folder: Path, place: str, comment: str) -> Path:
    text = PROGRAM.format(**{p: f"  {comment}" if p == place else "" for p in PLACES})
    (folder / "train.py").write_text(text, encoding="utf-8")
    return folder


def codes(folder: Path) -> list[str]:
    outcome = execute("train.py", cwd=folder)
    assert outcome.status == 1 and outcome.failure is not None
    return [d.rule.code for d in diagnose(outcome.failure)]


@pytest.mark.parametrize("place", ["change", "raising"])
@pytest.mark.parametrize("comment", SILENT)
def test_a_comment_silences(comment, place, tmp_path):
    assert codes(written(tmp_path, place, comment)) == []


@pytest.mark.parametrize("place", ["change", "raising"])
@pytest.mark.parametrize("comment", HEARD)
def test_another_comment_does_not(comment, place, tmp_path):
    assert codes(written(tmp_path, place, comment)) == ["TM201"]


def test_a_comment_on_another_line_does_not(tmp_path):
    assert codes(written(tmp_path, "elsewhere", SILENT[0])) == ["TM201"]


def test_a_comment_below_in_the_same_statement_silences(tmp_path):
    """In a statement over several lines the comment stands beside the argument that is wrong."""
    text = PROGRAM.format(change="", raising="", elsewhere="").replace(
        "nn.Linear(32, 10)",
        "nn.Linear(\n            32,  # torchmedic: ignore[TM201]\n            10,\n        )",
    )
    (tmp_path / "train.py").write_text(text, encoding="utf-8")
    outcome = execute("train.py", cwd=tmp_path)
    assert outcome.failure is not None and diagnose(outcome.failure) == []


@pytest.mark.parametrize("place", ["change", "raising"])
def test_the_command_is_as_silent_as_python(place, tmp_path):
    """Same exit status, same output, same traceback; and no claim that nothing is known of the error."""
    folder = written(tmp_path, place, SILENT[0])
    python = ended(["train.py"], folder)
    run = ended(["-m", "torchmedic", "run", "train.py"], folder)
    assert (run.returncode, run.stdout) == (python.returncode, python.stdout) == (1, "before\n")
    assert run.stderr.startswith(python.stderr)
    ours = run.stderr[len(python.stderr) :]
    assert "no known mistake" not in ours
    assert not any(word in ours for word in ("TM201", "layer-size-mismatch:", "Linear(16"))


@pytest.mark.parametrize("comment", SILENT[:2])
def test_pasted_text_of_a_file_that_is_here(comment, tmp_path):
    folder = written(tmp_path, "raising", comment)
    (tmp_path / "log.txt").write_text(ended(["train.py"], folder).stderr, encoding="utf-8")
    done = ended(["-m", "torchmedic", "explain", "log.txt"], folder)
    assert "TM201" not in done.stdout and done.returncode == 1
