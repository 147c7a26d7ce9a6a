"""`torchmedic plan --input`: batches by description, where the program's data are slow or not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_plan_script import figures, looped, plan

from torchmedic.observed.plan_inputs import BadInput, inputs_of

MISSING = """
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

class Images(Dataset):
    def __len__(self):
        return 5000

    def __getitem__(self, at):
        return torch.load(f"nowhere/{at}.pt")

model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
model(torch.zeros(1, 3, 32, 32))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for batch in DataLoader(Images(), batch_size=16, num_workers=2):
    BATCH
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
TENSORS = ("float32[64,3,32,32]", "int64[64]")


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("x, y = batch", ("", "")),
        ("x, y = batch", ("x:", "y:")),
        ("x, y = batch['x'], batch['y']", ("x:", "y:")),
        ("x, y = (lambda y, x: (x, y))(**batch.to('cuda'))", ("x:", "y:")),
        ("x, y = {name: part.cuda() for name, part in batch.items()}.values()", ("x:", "y:")),
    ],
)
def test_a_batch_by_description_where_the_data_are_missing(tmp_path, line, names):
    words = [w for name, text in zip(names, TENSORS, strict=True) for w in ("--input", name + text)]
    found = figures(tmp_path, MISSING.replace("BATCH", line), *words)
    assert found["batch_size"] == 64 and found["allocated"] > 64 * 8 * 30 * 30 * 4


@pytest.mark.parametrize(
    "words",
    [
        ("x:float33[2]",),
        ("float32",),
        ("float32[2,-1]",),
        ("x:int64[2]", "x:int64[2]"),
        ("x:int64[2]", "int64[2]"),
    ],
)
def test_inputs_that_describe_no_batch(tmp_path, words):
    done = plan(tmp_path, looped(), *(word for text in words for word in ("--input", text)))
    assert done.returncode == 2 and not done.stdout
    assert len(done.stderr.strip().splitlines()) <= 4 and "Traceback" not in done.stderr


def test_a_program_that_comes_to_no_step_is_ended(tmp_path):
    done = plan(tmp_path, "import time\nwhile True: time.sleep(0.1)", "--limit", "1")
    assert done.returncode == 2 and "no training step was reached within 1 s" in done.stderr


@given(st.lists(st.text(max_size=20), max_size=3))
def test_any_words_are_inputs_or_refused_in_both_languages(words):
    try:
        found = inputs_of(words)
    except BadInput as error:
        assert error.said.en and error.said.ko
    else:
        assert len(found) == len(words)


def test_sizes_as_python_writes_them():
    [one] = inputs_of(["x: torch.float32[8, 3,]"])
    assert one == ("x", "float32", (8, 3))
    assert inputs_of(["float32[]"])[0].size == ()
