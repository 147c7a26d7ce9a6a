"""Small crashes of many kinds, run live: the rule, the line to change, and what the first fix writes there."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from programs import execute
from torchmedic.engine import diagnose
from torchmedic.model import Diagnosis
from torchmedic.observed import Failure

HEAD = """
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Lambda(nn.Module):
    def __init__(self, function, name=""):
        super().__init__()
        self.function, self.name = function, name

    def forward(self, x):
        return self.function(x)

"""
TRAIN = """
parameters = model.parameters()
optimizer = torch.optim.SGD(parameters, lr=0.1)
for x, y in batches:
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def crashed(program: str, folder: Path) -> tuple[Failure, list[Diagnosis]]:
    (folder / "program.py").write_text(program)
    outcome = execute("program.py", cwd=folder)
    assert outcome.failure is not None, outcome.stderr
    return outcome.failure, diagnose(outcome.failure)


def check(program: str, code: str, line: str, new: str, folder: Path) -> Diagnosis:
    _, found = crashed(program, folder)
    assert [d.rule.code for d in found] == [code]
    first = found[0]
    assert first.at is not None
    lines = program.splitlines()
    assert lines[first.at.line - 1].strip() == line
    if new:
        assert new in "".join(edit.text for edit in first.fixes[0].edits)
    else:
        assert first.fixes == ()
    return first


# --- a batch that is flattened inside of a module --------------------------------------------------------

CONVS = "nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2)"
IMAGES = "batches = [(torch.rand(5, 1, 8, 8), torch.randint(0, 3, (5,)))]\n"
FLATTENED = {
    "a lambda": (
        "",
        "Lambda(lambda maps: maps.flatten()),",
        "maps.flatten(start_dim=1)",
    ),
    "a view in a lambda": ("", "Lambda(lambda m: m.view(-1)),", "m.view(m.size(0), -1)"),
    "a function": (
        "def squash(maps):\n    return torch.flatten(maps)\n",
        "return torch.flatten(maps)",
        "torch.flatten(maps, start_dim=1)",
    ),
    "torch's own function": (
        "",
        "Lambda(torch.flatten),",
        "lambda x: x.flatten(start_dim=1)",
    ),
    "a class": (
        "class Reshape(nn.Module):\n    def __init__(self, *shape):\n        super().__init__()\n"
        "        self.shape = shape\n\n    def forward(self, x):\n        return x.view(self.shape)\n",
        "return x.view(self.shape)",
        "x.view(x.size(0), *self.shape)",
    ),
    "a factory": (
        "def layer_of(function, name):\n    return Lambda(function, name=name)\n",
        'layer_of(lambda maps: maps.reshape(-1), "flat"),',
        "maps.reshape(maps.size(0), -1)",
    ),
    "a layer of torch": ("", "nn.Flatten(0),", "nn.Flatten()"),
}


@pytest.mark.parametrize("way", FLATTENED)
def test_the_flattening_is_found_in_the_module_that_did_it(way: str, tmp_path: Path) -> None:
    before, line, new = FLATTENED[way]
    layer = (
        line
        if line.endswith(",")
        else {"a function": "Lambda(squash),", "a class": "Reshape(-1),"}[way]
    )
    program = (
        f"{HEAD}{before}\nmodel = nn.Sequential(\n    Lambda(lambda x: x.view(-1, 1, 8, 8)),\n"
        f"    {CONVS},\n    {layer}\n    nn.Linear(16, 3),\n)\n{IMAGES}{TRAIN}"
    )
    found = check(program, "TM202", line, new, tmp_path)
    assert found.facts["map_shape"] == [5, 4, 2, 2]


def test_flatten_is_not_written_into_an_assignment(tmp_path: Path) -> None:
    program = f"""{HEAD}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = {{"conv": nn.Conv2d(1, 4, 3), "pool": nn.AdaptiveAvgPool2d(2)}}
        self.last = nn.Linear(16, 3)

    def forward(self, x):
        layers = [*self.steps.values(), self.last]
        for layer in layers:
            x = layer(x)
        return x


model = Net()
{IMAGES}{TRAIN}"""
    _, found = crashed(program, tmp_path)
    for fix in found[0].fixes:
        assert all(not e.text.startswith("nn.Flatten(),") for e in fix.edits)


# --- a batch of one that is squeezed --------------------------------------------------------------------

SOUNDS = "batches = [(torch.rand(n, 1, 30), torch.randint(0, 3, (n,))) for n in (4, 1)]\n"


def test_a_squeeze_whose_loss_complains_in_backward(tmp_path: Path) -> None:
    program = f"""{HEAD}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 8, 5)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        x = self.conv(x).amax(-1, keepdim=True).squeeze()
        return self.out(x)


model = Net()
{SOUNDS}{TRAIN}"""
    line = "x = self.conv(x).amax(-1, keepdim=True).squeeze()"
    found = check(program, "TM202", line, "-1", tmp_path)
    assert found.variant is not None and found.variant.name == "squeezed"
    assert found.raised_at is not None and found.raised_at != found.at
    assert any("flatten(start_dim=1)" in e.text for fix in found.fixes for e in fix.edits)


def test_a_squeeze_in_a_layer_of_sequential(tmp_path: Path) -> None:
    program = f"""{HEAD}
layers = [nn.Linear(4, 8), nn.ReLU()]
model = nn.Sequential(
    *layers,
    nn.Linear(8, 1),
    Lambda(lambda scores: scores.squeeze()),
)
for n in (4, 1):
    loss = F.binary_cross_entropy_with_logits(model(torch.rand(n, 4)), torch.rand(n))
"""
    check(program, "TM202", "Lambda(lambda scores: scores.squeeze()),", "-1", tmp_path)


def test_scores_without_a_batch_that_were_never_squeezed(tmp_path: Path) -> None:
    program = (
        f"{HEAD}\nmodel = nn.Linear(4, 3)\nbatches = [(torch.rand(4), torch.tensor([1]))]\n{TRAIN}"
    )
    found = check(program, "TM202", "loss.backward()", "", tmp_path)
    assert found.variant is not None and found.variant.name == "unbatched"


def test_an_error_that_is_not_of_sizes_says_nothing_about_a_squeeze(tmp_path: Path) -> None:
    program = f"{HEAD}\nx = torch.rand(1, 4)\nF.mse_loss(x.squeeze(), None)\n"
    _, found = crashed(program, tmp_path)
    assert "TM202" not in [d.rule.code for d in found]


# --- a recurrent layer that reads a batch as one sequence -----------------------------------------------

READER = """
class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.{kind}
        self.out = nn.Linear({width}, 3)

    def forward(self, x):
{forward}


model = Reader()
batches = [(torch.rand(12, 5), torch.randint(0, 3, (12,)))]
"""
UNBATCHED = {
    "the last step": (
        "LSTM(5, 8, batch_first=True)",
        8,
        "out, _ = self.rnn(x)\nreturn self.out(out[:, -1, :])",
        ".unsqueeze(1)",
    ),
    "the last step, short": (
        "GRU(5, 8, batch_first=True)",
        8,
        "out, _ = self.rnn(x)\nreturn self.out(out[:, -1])",
        ".unsqueeze(1)",
    ),
    "the state": (
        "LSTM(5, 8, num_layers=2)",
        8,
        "_, (state, _) = self.rnn(x)\nreturn self.out(state[-1])",
        ".unsqueeze(0)",
    ),
    "both directions": (
        "LSTM(5, 8, batch_first=True, bidirectional=True)",
        16,
        "_, (state, _) = self.rnn(x)\nreturn self.out(torch.cat([state[-2], state[-1]], dim=1))",
        ".unsqueeze(1)",
    ),
    "swapped dimensions": (
        "RNN(5, 8)",
        8,
        "out, _ = self.rnn(x)\nreturn self.out(out.permute(1, 0, 2)[:, -1])",
        ".unsqueeze(0)",
    ),
}


@pytest.mark.parametrize("way", UNBATCHED)
def test_a_batch_that_is_read_as_one_sequence(way: str, tmp_path: Path) -> None:
    kind, width, forward, new = UNBATCHED[way]
    body = indent(forward, " " * 8)
    program = HEAD + READER.format(kind=kind, width=width, forward=body) + TRAIN
    found = check(program, "TM104", forward.partition("\n")[0], new, tmp_path)
    assert found.variant is not None and found.variant.name == "unbatched"
    assert (found.facts["layer"], found.facts["steps"]) == (kind.partition("(")[0], 12)


def test_one_sequence_gets_a_batch_of_one(tmp_path: Path) -> None:
    forward = indent("out, _ = self.rnn(x)\nreturn self.out(out[:, -1, :])", " " * 8)
    reader = READER.format(kind="LSTM(5, 8, batch_first=True)", width=8, forward=forward)
    program = f"{HEAD}{reader}\nprint(model(torch.rand(7, 5)).argmax(1))\n"
    check(program, "TM104", "out, _ = self.rnn(x)", ".unsqueeze(0)", tmp_path)


@pytest.mark.parametrize(
    ("width", "labels", "code"), [(16, 12, "TM201"), (8, 11, "TM317")], ids=["width", "labels"]
)
def test_a_sequence_on_purpose_with_another_mistake(
    width: int, labels: int, code: str, tmp_path: Path
) -> None:
    forward = indent("out, _ = self.rnn(x)\nreturn self.out(out)", " " * 8)
    reader = READER.format(kind="GRU(5, 8)", width=width, forward=forward)
    program = f"{HEAD}{reader}\nbatches = [(torch.rand(12, 5), torch.zeros({labels}, dtype=torch.long))]\n{TRAIN}"
    _, found = crashed(program, tmp_path)
    assert [d.rule.code for d in found] == [code]


# --- memory, without a DataLoader -----------------------------------------------------------------------

LARGE = """
BATCH = 2_000_000
POINTS = 3_000_000
points = torch.zeros(POINTS, 2)


class Setup:
    batch = 2_000_000


def taken():
    {taken}


for x in taken():
    print((x @ x.T).sum())
"""
TAKEN = {
    "a range": (
        "for i in range(0, len(points), BATCH):\n        yield points[i : i + BATCH]",
        "BATCH = 2_000_000",
    ),
    "a draw": ("yield points[torch.randint(POINTS, (BATCH,))]", "BATCH = 2_000_000"),
    "a split": ("yield from points.split(Setup.batch)", "batch = 2_000_000"),
    "noise": ("yield torch.zeros(BATCH, 2)", "BATCH = 2_000_000"),
}


@pytest.mark.parametrize("way", TAKEN)
def test_a_batch_size_that_reaches_no_loader(way: str, tmp_path: Path) -> None:
    taken, line = TAKEN[way]
    check(HEAD + LARGE.format(taken=taken), "TM301", line, "8192", tmp_path)


@pytest.mark.parametrize("taken", ["yield points", "yield points[:2_000_000]"])
def test_a_whole_table_is_no_batch(taken: str, tmp_path: Path) -> None:
    check(HEAD + LARGE.format(taken=taken), "TM301", "print((x @ x.T).sum())", "", tmp_path)


# --- number types ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "new"),
    [
        ("print(torch.ones(3).masked_fill(1 - mask, 0.0))", "~mask"),
        ("print((torch.ones(3) - mask).sum())", ".float()"),
    ],
)
def test_minus_and_truth_values(statement: str, new: str, tmp_path: Path) -> None:
    program = (
        f"{HEAD}\n\ndef work(mask):\n    {statement}\n\n\nwork(torch.tensor([True, False, True]))\n"
    )
    _, found = crashed(program, tmp_path)
    assert [d.rule.code for d in found] == ["TM103"]
    assert new in "".join(e.text for fix in found[0].fixes for e in fix.edits)


def test_a_mask_of_numbers_becomes_bool_where_it_is_made(tmp_path: Path) -> None:
    program = f"""{HEAD}
keep = torch.from_numpy(np.zeros((2, 3), dtype=np.int64))
print(torch.ones(2, 3).masked_fill(keep, 0.0))
"""
    line = "keep = torch.from_numpy(np.zeros((2, 3), dtype=np.int64))"
    check(program, "TM103", line, "bool", tmp_path)


def test_a_bias_of_another_type_than_the_weight(tmp_path: Path) -> None:
    program = f"""{HEAD}
bias = torch.from_numpy(np.zeros(2))
weight = torch.ones(3, 2)
print(torch.addmm(bias, torch.ones(4, 3), weight))
"""
    check(program, "TM103", "bias = torch.from_numpy(np.zeros(2))", ".float()", tmp_path)


# --- layers that are no module on the stack -------------------------------------------------------------

NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.fc = nn.Linear(16, 3)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv(x)))
        return {result}

"""


def test_a_weight_that_is_handed_to_a_function(tmp_path: Path) -> None:
    program = f"""{HEAD}
def made(*sizes):
    return nn.Parameter(torch.randn(*sizes))


weights = {{"first": made(8, 5), "last": made(3, 2 * 8)}}


def forward(x, w):
    return F.linear(torch.relu(F.linear(x, w["first"])), w["last"])


print(forward(torch.ones(4, 5), weights).shape)
"""
    line = 'weights = {"first": made(8, 5), "last": made(3, 2 * 8)}'
    check(program, "TM201", line, "8", tmp_path)


def test_a_compiled_model_fails_in_its_forward(tmp_path: Path) -> None:
    net = NET.format(result="self.fc(x)")
    program = f'{HEAD}{net}\nmodel = torch.compile(Net(), backend="eager")\n{IMAGES}{TRAIN}'
    found = check(program, "TM202", "return self.fc(x)", ".flatten(start_dim=1)", tmp_path)
    failure, _ = crashed(program, tmp_path)
    assert failure.user_frame is not None and failure.user_frame.is_quoted
    own = failure.own_frame
    assert own is not None and own.code == "loss = F.cross_entropy(model(x), y)"
    assert found.raised_at != own.at


def test_a_scripted_model_fails_in_its_forward(tmp_path: Path) -> None:
    net = NET.format(result="self.fc(x.mean(3).mean(2))")
    program = f"{HEAD}{net}\nmodel = torch.jit.script(Net())\n{IMAGES}{TRAIN}"
    check(program, "TM201", "self.fc = nn.Linear(16, 3)", "4", tmp_path)


def test_a_hook_that_fails(tmp_path: Path) -> None:
    program = f"""{HEAD}
model = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
probe = nn.Linear(6, 2)
model[0].register_forward_hook(lambda layer, inputs, output: print(probe(output).shape))
model(torch.ones(3, 6))
"""
    check(program, "TM201", "probe = nn.Linear(6, 2)", "8", tmp_path)


def test_a_module_that_fails_in_a_worker(tmp_path: Path) -> None:
    program = f"""{HEAD}
from torch.utils.data import DataLoader


class Rows(torch.utils.data.Dataset):
    def __init__(self):
        self.rows = np.ones((6, 4))
        self.embed = nn.Linear(4, 2)

    def __len__(self):
        return 6

    def __getitem__(self, i):
        with torch.no_grad():
            return self.embed(torch.tensor(self.rows[i]))


for batch in DataLoader(Rows(), batch_size=2, num_workers=1):
    print(batch.shape)
"""
    line = "return self.embed(torch.tensor(self.rows[i]))"
    check(program, "TM103", line, "dtype=torch.float32", tmp_path)
    failure, _ = crashed(program, tmp_path)
    assert failure.is_worker and failure.own_frame is not None
    assert failure.own_frame.code.startswith("for batch in DataLoader")


def test_a_cause_that_was_raised_from(tmp_path: Path) -> None:
    program = dedent(f"""{HEAD}
class StepFailed(Exception):
    pass


model = nn.ModuleDict({{"a": nn.Linear(6, 8), "b": nn.Linear(9, 2)}})


def step(x):
    try:
        return model["b"](model["a"](x))
    except RuntimeError as error:
        raise StepFailed(f"batch of {{len(x)}}") from error


step(torch.ones(3, 6))
""")
    line = 'model = nn.ModuleDict({"a": nn.Linear(6, 8), "b": nn.Linear(9, 2)})'
    check(program, "TM201", line, "8", tmp_path)
