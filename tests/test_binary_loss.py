"""The sigmoid before a binary loss is taken out where nothing else needs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchmedic.engine import diagnose
from torchmedic.fix.patch import apply_edits
from torchmedic.observed.text import failure_from_text

LAYER = """\
import torch
import torch.nn as nn

model = nn.Sequential(nn.Linear(20, 1), nn.Sigmoid())
criterion = nn.BCELoss()
with torch.autocast("cuda"):
    loss = criterion(model(torch.ones(4, 20)), torch.ones(4, 1))
"""
CALL = LAYER.replace(", nn.Sigmoid())", ")").replace("(model(", "(torch.sigmoid(model(", 1)
CALL = CALL.replace("20)), torch.ones(4", "20))), torch.ones(4")
MENDED = LAYER.replace(", nn.Sigmoid()", "").replace("BCELoss", "BCEWithLogitsLoss")


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        (LAYER, MENDED),
        (CALL, MENDED),
        (LAYER + "print((model(torch.ones(4, 20)) > 0.5).sum())\n", None),
        (LAYER.replace("nn.Sigmoid()", "nn.Sigmoid(), nn.Identity()"), None),
        (LAYER + "print(torch.sigmoid(torch.ones(2)))\n", None),
    ],
    ids=["layer", "call", "threshold", "inside", "two"],
)
def test_the_loss_takes_logits_where_the_sigmoid_can_go(
    text: str, mended: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "train.py"
    path.write_text(text, "utf-8")
    failing = text.splitlines()[6].strip()
    pasted = (
        f'Traceback (most recent call last):\n  File "{path}", line 7, in <module>\n    {failing}\n'
        "RuntimeError: torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast.\n"
    )
    failure = failure_from_text(pasted)
    assert failure is not None
    [found] = diagnose(failure)
    assert found.rule.code == "TM361"
    if mended is None:
        assert found.fixes == ()
    else:
        assert apply_edits(text, found.fixes[0].edits) == mended
