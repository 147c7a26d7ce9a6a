"""What makes a script's step smaller: each figure is that of the program which was changed by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from textwrap import dedent

import pytest

from corpus import environment

pytest.importorskip("torch")
pytest.importorskip("resource")  # where it is, `os.fork` is

KIB, MIB = 1 << 10, 1 << 20
BATCH = 16384
PROGRAM = """
import sys
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
data = TensorDataset(torch.randn(512, 64), torch.randint(10, (512,)))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        {norm}

    def forward(self, x):
        return x + self.down(torch.relu(self.up(x)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(64, 128), nn.Linear(128, 10)
        self.blocks = nn.ModuleList(Block(128) for _ in range(4))

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = {call}
        return self.last(x)


model = Net().to(device)
optimizer = torch.optim.{optimizer}
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 10)
kept = []
for number, (x, y) in enumerate(DataLoader(data, 32)):
    x, y = x.to(device), y.to(device)
    {clear}
    with {context}:
        loss = nn.functional.cross_entropy(model(x), y) / {parts}
    {backward}
    if number % {parts} == {parts} - 1:
        optimizer.step()
        scheduler.step()
        {after}
"""
PLAIN = {
    "call": "block(x)",
    "optimizer": "AdamW(model.parameters())",
    "context": "torch.enable_grad()",
    "clear": "optimizer.zero_grad()",
    "parts": "1",
    "backward": "loss.backward()",
    "after": "pass",
    "norm": "",
}


def program(**changed):
    return PROGRAM.format(**{**PLAIN, **changed})


def plan(folder, text, *words, batch=BATCH):
    (folder / "train.py").write_text(dedent(text))
    words = ("--format", "json", "--no-search", "--batch", str(batch), *words, "train.py")
    done = subprocess.run(
        [sys.executable, "-m", "torchmedic", "plan", *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return plan(tmp_path_factory.mktemp("plain"), program(), "--remedies")


def remedy(found, name, detail=""):
    return next(r for r in found["remedies"] if r["name"] == name and r["detail"] == detail)


BY_HAND = [
    ("accumulate", "2", {"parts": "2", "clear": "", "after": "optimizer.zero_grad()"}),
    ("accumulate", "4", {"parts": "4", "clear": "", "after": "optimizer.zero_grad()"}),
    ("bf16", "", {"context": "torch.autocast(device, dtype=torch.bfloat16)"}),
    ("checkpoint", "4", {"call": "checkpoint(block, x, use_reentrant=False)"}),
    ("fused", "", {"optimizer": "AdamW(model.parameters(), fused=True)"}),
    ("not foreach", "", {"optimizer": "AdamW(model.parameters(), foreach=False)"}),
    ("plain SGD", "", {"optimizer": "SGD(model.parameters(), lr=0.1)"}),
]


@pytest.mark.parametrize(("name", "detail", "change"), BY_HAND, ids=lambda value: str(value)[:12])
def test_a_remedy_is_the_program_changed_by_hand(name, detail, change, found, tmp_path):
    batch = BATCH // int(change.get("parts", 1))
    by_hand = plan(tmp_path, program(**change), "--no-remedies", batch=batch)
    tried = remedy(found, name, detail)
    assert tried["allocated"] == pytest.approx(by_hand["allocated"], abs=8 * KIB)
    assert tried["saved"] == found["allocated"] - tried["allocated"]


def test_moments_of_eight_bits(found, tmp_path):
    """Where nothing but the optimizer counts: a quarter of its state, with a scale for 256 elements."""
    small = plan(tmp_path, program(), "--remedies", batch=1)
    state = small["by_category"]["optimizer state"]
    saved = remedy(small, "8-bit")["saved"]
    assert 0.7 * state < saved < small["allocated"]


def test_ranked_with_what_the_allocator_could_do(found):
    names = [r["name"] for r in found["remedies"]]
    assert names[-2:] == ["expandable segments", "empty cache"]
    saved = [r["saved"] for r in found["remedies"][:-2]]
    assert saved == sorted(saved, reverse=True) and saved[0] > 0
    assert {r["reserved"] for r in found["remedies"][-2:]} != {0}


def test_only_where_the_step_does_not_fit(tmp_path):
    roomy = plan(tmp_path, program(), "--memory", "8GiB", batch=64)
    assert roomy["fits"] and not roomy["remedies"]
    tight = plan(tmp_path, program(), "--memory", "900MiB")
    assert not tight["fits"] and any(r["fits"] for r in tight["remedies"])
    assert all(r["fits"] is not None for r in tight["remedies"])
    forced = plan(tmp_path, program(), "--memory", "900MiB", "--no-remedies")
    assert not forced["fits"] and not forced["remedies"]


@pytest.mark.parametrize(
    ("change", "absent"),
    [
        ({"context": "torch.autocast(device, dtype=torch.bfloat16)"}, "bf16"),
        ({"call": "checkpoint(block, x, use_reentrant=False)"}, "checkpoint"),
        ({"call": "checkpoint(block, x, use_reentrant=True)"}, "checkpoint"),
        ({"clear": "for p in model.parameters(): p.grad = None"}, "accumulate"),
        ({"optimizer": "SGD(model.parameters(), lr=0.1)"}, "plain SGD"),
        ({"optimizer": "SGD(model.parameters(), lr=0.1)"}, "8-bit"),
    ],
)
def test_what_the_program_does_already_is_no_remedy(change, absent, tmp_path):
    names = {r["name"] for r in plan(tmp_path, program(**change), "--remedies")["remedies"]}
    assert absent not in names and len(names) > 2


def test_batch_norm_is_named(tmp_path):
    found = plan(tmp_path, program(norm="self.norm = nn.BatchNorm1d(width)"), "--remedies")
    assert remedy(found, "accumulate with batch norm", "2")["saved"] > 0


def test_a_checkpointed_loop_under_autocast(tmp_path):
    both = {
        "context": "torch.autocast(device, dtype=torch.bfloat16)",
        "call": "checkpoint(block, x, use_reentrant=False)",
    }
    mixed = plan(tmp_path, program(**both), "--no-remedies")
    plain = plan(tmp_path, program(call=both["call"]), "--no-remedies")
    assert mixed["allocated"] < plain["allocated"]


def test_what_grows_is_told_with_its_line(tmp_path):
    """A list of outputs with their graphs: the line is the one that makes most of it, inside the model."""
    text = program(after="kept.append(model(x))")
    lines = [i for i, row in enumerate(text.splitlines(), 1) if "self.down(" in row]
    growth = plan(tmp_path, text, "--no-remedies")["growth"]
    assert growth["size"] > 4 * BATCH * 4 * 128 * 4
    assert growth["site"] == f"train.py:{lines[0]}"


def test_what_is_replaced_does_not_grow(found):
    assert found["growth"] is None


def test_what_lives_until_it_is_written_again(tmp_path):
    text = program(after="wide = model(x).repeat(1, 400)")
    tried = plan(tmp_path, text, "--remedies")
    assert tried["growth"] is None
    line = next(i for i, row in enumerate(text.splitlines(), 1) if "repeat" in row)
    assert remedy(tried, "kept", f"train.py:{line}")["saved"] > 4 * BATCH * 10 * 400 // 2


def test_what_the_next_step_uses_is_not_to_be_deleted(tmp_path):
    text = program(after="state = torch.ones(len(x), 4000, device=device)")
    text = text.replace("kept = []", "state = torch.zeros(1, 4000, device=device)")
    text = text.replace(
        "    with torch.enable_grad():", "    mean = state.mean()\n    with torch.enable_grad():"
    )
    names = [(r["name"], r["detail"]) for r in plan(tmp_path, text, "--remedies")["remedies"]]
    line = next(i for i, row in enumerate(text.splitlines(), 1) if "torch.ones" in row)
    assert ("kept", f"train.py:{line}") not in names
