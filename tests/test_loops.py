"""Layers that a loop makes: a fix has to be right in every round, not only in the one that failed."""

from __future__ import annotations

from textwrap import dedent

import pytest

from programs import execute
from torchmedic.engine import diagnose

LOOP = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=4, depth=3):
        super().__init__()
        layers = []
        for i in range(depth):
            made = {made}
            layers += [nn.Conv2d({given}, made, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)

Net()(torch.zeros(2, 4, 8, 8))
"""


def texts(tmp_path, made: str, given: str) -> list[str]:
    """What the candidate fixes write, the likeliest first."""
    program = dedent(LOOP).lstrip("\n").format(made=made, given=given)
    (tmp_path / "net.py").write_text(program, encoding="utf-8")
    failure = execute("net.py", cwd=tmp_path).failure
    assert failure is not None and failure.failing is not None
    assert failure.failing.path == "layers.4"  # the third round
    (found,) = diagnose(failure)
    assert found.at is not None and given in program.splitlines()[found.at.line - 1]
    return [edit.text for fix in found.fixes for edit in fix.edits]


@pytest.mark.parametrize(
    "made, given, right",
    [
        ("width * 2 ** (i + 1)", "width * (i + 1)", "width * 2 ** i"),
        ("width + 4 * i + 4", "width * 2 ** i", "width + 4 * (i - 1) + 4"),
    ],
)
def test_what_the_round_before_puts_out(made, given, right, tmp_path):
    assert texts(tmp_path, made, given)[:1] == [right]


def test_a_number_that_fits_one_round_only_is_no_fix(tmp_path):
    """4, 8 and 24 arrive. Neither 24 nor twice the old value would leave the first two rounds right."""
    assert texts(tmp_path, "(8, 24, 7)[i]", "width * (i + 1)") == []
