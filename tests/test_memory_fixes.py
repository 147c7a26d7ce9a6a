"""The fixes of a loop that is too large for its card: only forms that are certain, and copies that were run."""

from __future__ import annotations

import ast
import os
import sys
from textwrap import dedent, indent

import pytest

from corpus import environment
from torchmedic.fix.memory_fixes import accumulated, autocasted
from torchmedic.fix.patch import parses, patched
from torchmedic.observed import Source

HEAD = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
data = TensorDataset(torch.randn(512, 8), torch.randint(4, (512,)))
model = nn.Sequential(nn.Linear(8, 32), {norm}nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 4))
optimizer = torch.optim.{optimizer}
BATCH = 64
loader = DataLoader(data, batch_size=64, shuffle=True)
"""
BODY = """\
optimizer.zero_grad()
loss = nn.functional.cross_entropy(model(x), y)
loss.backward()
optimizer.step()
"""


def program(
    loop="for x, y in loader:", body=BODY, norm="", optimizer="SGD(model.parameters(), lr=0.1)"
):
    head = HEAD.format(norm=norm, optimizer=optimizer)
    return dedent(head).lstrip() + loop + "\n" + indent(dedent(body), "    ")


def mended(text, parts=4, kind=accumulated):
    """The program after the fix, None if there is none."""
    source = Source(text, "train.py")
    line = next(i for i, row in enumerate(source.lines, 1) if row.lstrip().startswith("for "))
    found = kind(source, line, parts, 64) if kind is accumulated else kind(source, line)
    if found is None:
        return None
    read = lambda path: text.encode()  # noqa: E731
    assert parses(found.fix, read)
    return patched(found.fix, read)["train.py"]


def test_a_plain_loop():
    after = mended(program())
    assert "DataLoader(data, batch_size=16, shuffle=True)" in after
    assert "for step, (x, y) in enumerate(loader):" in after
    assert "    if step % 4 == 0:\n        optimizer.zero_grad()\n" in after
    assert "    (loss / 4).backward()\n" in after
    assert (
        "    if (step + 1) % 4 == 0 or step + 1 == len(loader):\n        optimizer.step()" in after
    )


def test_clipping_a_scaler_and_a_schedule_belong_to_the_step():
    body = """\
    loss = nn.functional.cross_entropy(model(x), y)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    # at most one
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    scheduler.step()
    optimizer.zero_grad()
    print(loss.item())
    """
    after = mended(program("for i, (x, y) in enumerate(loader):", body))
    assert "scaler.scale(loss / 4).backward()" in after and "enumerate(enumerate" not in after
    block = after.split("== len(loader):\n")[1]
    assert block.count("\n        ") == 6 and "\n        # at most one\n" in block
    assert block.endswith("        optimizer.zero_grad()\n    print(loss.item())\n")


@pytest.mark.parametrize(
    ("loader", "size"),
    [
        ("loader = DataLoader(data, BATCH)", "BATCH // 4"),
        ("loader = DataLoader(data, batch_size=2 * BATCH)", "(2 * BATCH) // 4"),
        ("loader = DataLoader(data, batch_size=config.size)", "config.size // 4"),
    ],
)
def test_where_the_batch_size_stands(loader, size):
    text = program().replace("loader = DataLoader(data, batch_size=64, shuffle=True)", loader)
    assert size in mended(text)


def test_a_loader_that_is_given_to_a_function():
    text = program("def train(batches):", "for x, y in batches:\n" + indent(BODY, "    "))
    after = mended(text + "\ntrain(loader)\n")
    assert "batch_size=16" in after and "step + 1 == len(batches)" in after


def test_a_loader_in_the_head_of_the_loop():
    after = mended(program("for x, y in DataLoader(data, 64):"))
    assert "for step, (x, y) in enumerate(DataLoader(data, 16)):" in after


UNCERTAIN = {
    "accumulates already": BODY.replace("optimizer.step()", "if n % 4 == 0:\n    optimizer.step()"),
    "a pass that is skipped": "if len(x) < 2:\n    continue\n" + BODY,
    "two backward passes": BODY.replace(
        "loss.backward()", "loss.backward()\nmodel(x).sum().backward()"
    ),
    "a graph that is kept": BODY.replace("backward()", "backward(retain_graph=True)"),
    "a line in between": BODY.replace("optimizer.step()", "log(model)\noptimizer.step()"),
    "a schedule elsewhere": BODY + "print(loss)\nscheduler.step()\n",
    "never cleared": BODY.replace("optimizer.zero_grad()\n", ""),
    "cleared twice": BODY + "optimizer.zero_grad()\n",
    "a closure": BODY.replace("optimizer.step()", "optimizer.step(again)"),
    "a step in a function": "train_step(x, y)\n",
    "a text over lines": BODY.replace(
        "optimizer.step()", "optimizer.step()\noptimizer.zero_grad('''\n''')"
    ),
    "two in a line": BODY.replace(
        "loss.backward()\noptimizer.step()", "loss.backward(); optimizer.step()"
    ),
}


@pytest.mark.parametrize("body", UNCERTAIN.values(), ids=UNCERTAIN.keys())
def test_no_fix_of_a_form_that_is_not_certain(body):
    assert mended(program(body=body)) is None


@pytest.mark.parametrize(
    "text",
    [
        program("for x, y in batches():"),
        program() + "\nloader = DataLoader(data, 8)\n",
        program().replace("BATCH = 64", "s = OneCycleLR(optimizer, 1.0, total_steps=len(loader))"),
        program(
            "for x, y in DataLoader(data, 64):",
            BODY.replace("optimizer.zero_grad()\n", "") + "optimizer.zero_grad()\n",
        ),
    ],
    ids=["own batches", "two loaders", "a schedule for all batches", "leftovers of an epoch"],
)
def test_no_fix_where_the_loader_is_not_certain(text):
    assert mended(text) is None


def test_no_fix_where_the_parts_would_differ():
    assert mended(program(), parts=5) is None


def test_autocast_around_what_makes_the_loss():
    body = """\
    x, y = x.to(device), y.to(device)
    optimizer.zero_grad()
    out = model(x)
    loss = nn.functional.cross_entropy(out, y)
    loss.backward()
    optimizer.step()
    """
    after = mended(program(body=body), kind=autocasted)
    assert (
        '    optimizer.zero_grad()\n    with torch.autocast("cuda", dtype=torch.bfloat16):\n'
        "        out = model(x)\n        loss = nn.functional.cross_entropy(out, y)\n    loss.backward()\n"
    ) in after
    ast.parse(after)


def test_no_second_autocast():
    text = program().replace("BATCH = 64", "with torch.autocast('cpu'): pass")
    assert mended(text, kind=autocasted) is None


# --- tried


def verdict(folder, text, parts=4):
    pytest.importorskip("resource")
    from torchmedic.fix.alike import compared
    from torchmedic.fix.child import Launch

    path = folder / "train.py"
    path.write_text(text)
    source = Source(text, str(path))
    line = next(i for i, row in enumerate(source.lines, 1) if row.startswith("for "))
    found = accumulated(source, line, parts, 64) if parts > 1 else autocasted(source, line)
    after = [*found.rest, source.replace(found.size, str(64 // parts))]
    launch = Launch(("train.py",), str(folder), str(folder), environment(), (str(path),))
    result = compared(launch, [], after, 240)
    assert path.read_text() == text
    return result


def test_both_loops_lead_to_the_same_parameters(tmp_path):
    found = verdict(tmp_path, program(optimizer="AdamW(model.parameters())"))
    assert found.has_ended and found.has_dropout and not found.has_batch_norm
    assert 0 <= found.apart < 1e-3


def test_batch_norm_sees_the_parts(tmp_path):
    found = verdict(tmp_path, program(norm="nn.BatchNorm1d(32), "))
    assert found.has_ended and found.has_batch_norm and found.apart > 1e-3


def test_a_loss_that_is_a_sum_is_not_the_same(tmp_path):
    """The loss of a part is then a part already: divided once more, the steps are smaller."""
    body = BODY.replace("(model(x), y)", "(model(x), y, reduction='sum')")
    found = verdict(tmp_path, program(body=body))
    assert found.has_ended and found.apart > 0.3


def test_autocast_stays_close(tmp_path):
    found = verdict(tmp_path, program(), parts=1)
    assert found.has_ended and 0 < found.apart < 0.3


def test_a_copy_that_fails_proves_nothing(tmp_path):
    body = BODY + "assert len(x) == 64\n"
    found = verdict(tmp_path, program(body=body))
    assert not found.has_ended and found.apart is None


def test_nothing_is_left_behind(tmp_path):
    verdict(tmp_path, program(body=BODY + "torch.save(model.state_dict(), 'model.pt')\n"))
    assert os.listdir(tmp_path) == ["train.py"] and "train" not in sys.modules
