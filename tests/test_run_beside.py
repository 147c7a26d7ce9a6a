"""Models without an optimizer: what the observer takes for certain, and where it stays silent."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from observing import observe

from torchmedic.observed.run import Run

PROGRAM = """
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(64, 6)
y = x.sum(1, keepdim=True)
encoder = nn.Sequential(nn.Linear(6, 16), nn.ReLU())
head = nn.Linear(16, 1)
{before}
optimizer = torch.optim.Adam(encoder.parameters(), lr=0.01)
for step in range({steps}):
    {each}
    loss = nn.functional.mse_loss(head(encoder(x)), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def watched(folder: Path, before: str = "", each: str = "pass", steps: int = 20) -> Run:
    path = folder / "train.py"
    path.write_text(PROGRAM.format(before=before, each=each, steps=steps), encoding="utf-8")
    return observe(path).run


@pytest.mark.parametrize("steps", [20, 70])
def test_a_head_that_no_optimizer_holds(tmp_path, steps):
    [found] = watched(tmp_path, steps=steps).beside
    assert (found.form, found.items, found.parameters) == ("beside", 1, 17)
    assert found.called_by[0].at.line == 14
    assert found.optimizer_by[0].at.line == 11


def test_models_that_are_gone_at_the_end(tmp_path):
    program = PROGRAM.format(before="", each="pass", steps=20).partition("encoder = ")
    body = textwrap.indent(program[1] + program[2], "    ")
    path = tmp_path / "train.py"
    path.write_text(f"{program[0]}def main():\n{body}\nmain()\n", encoding="utf-8")
    assert [one.form for one in observe(path).run.beside] == ["beside"]


@pytest.mark.parametrize(
    "before",
    [
        "nn.init.normal_(head.weight)",
        "head.weight.data = torch.eye(16)[:1]",
        "head.load_state_dict(nn.Linear(16, 1).state_dict())",
        "head = __import__('copy').deepcopy(head)",
        "head.eval()",
        "head.bias.requires_grad = False",
        "torch.nn.utils.parametrizations.spectral_norm(head)",
        "whole = nn.Sequential(encoder, head); whole(x)",
        "want = head(torch.rand(64, 16))",
    ],
    ids=lambda text: text.partition(";")[0][:40],
)
def test_what_may_be_meant(tmp_path, before):
    assert watched(tmp_path, before).beside == ()


@pytest.mark.parametrize(
    "each",
    [
        "if step == 60: optimizer.add_param_group({'params': head.parameters()})",
        "if step == 60: late = torch.optim.SGD(head.parameters(), 0.1)",
        "if step == 60: head.requires_grad_(False)",
        "if step == 60: head.load_state_dict(nn.Linear(16, 1).state_dict())",
        "if step == 60: head.weight.data.mul_(0.5)",
        "head(torch.zeros(1, 16))",
        "if step % 2: head(torch.zeros(1, 16))",
    ],
)
def test_what_happens_later(tmp_path, each):
    """Also where it happens between windows, in which little is watched."""
    assert watched(tmp_path, each=each, steps=70).beside == ()


def test_a_parametrized_layer_is_not_computed(tmp_path):
    """Its forward draws nothing more and changes its buffers as often as without us."""
    before = (
        "torch.nn.utils.parametrizations.spectral_norm(head)\n"
        "count = []\n"
        "head.parametrizations.weight[0].register_forward_hook(lambda *a: count.append(1))"
    )
    path = tmp_path / "train.py"
    program = PROGRAM.format(before=before, each="pass", steps=20) + "print(len(count))\n"
    path.write_text(program, encoding="utf-8")
    assert observe(path).output == "20\n"


def test_of_two_equal_optimizers_that_of_the_model(tmp_path):
    program = """
    import torch
    from torch import nn

    torch.manual_seed(0)
    maker, judge = nn.Linear(2, 4), nn.Linear(4, 1)
    first = torch.optim.SGD(judge.parameters(), lr=0.01)
    second = torch.optim.SGD(judge.parameters(), lr=0.01)
    for step in range(12):
        made = maker(torch.randn(8, 2))
        first.zero_grad()
        (judge(made.detach()).mean() - judge(torch.rand(8, 4)).mean()).backward()
        first.step()
        second.zero_grad()
        (-judge(made).mean()).backward()
        second.step()
    """
    path = tmp_path / "train.py"
    path.write_text(textwrap.dedent(program), encoding="utf-8")
    [found] = observe(path).run.beside
    assert found.form == "other"
    assert found.optimizer_by[0].at.line == 8
    assert found.called_by[0].at.line == 10
