"""Datasets in the Source view: the errors of items that are not there, silent mistakes, and what is no mistake."""

from __future__ import annotations

import traceback
from pathlib import Path
from textwrap import dedent, indent

import pytest

from programs import execute
from torchmedic.abstract import execute as execute_abstractly
from torchmedic.engine import diagnose
from torchmedic.fix.patch import apply_edits
from torchmedic.model import Diagnosis
from torchmedic.observed import Loader, Source
from torchmedic.observed.trace import Trace

HEAD = """\
import bisect
import random

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset, random_split

"""


def dataset(init: str, length: str, item: str, after: str = "") -> str:
    """A program with one Dataset; it walks a loader over it unless `after` says what it does."""
    methods = (
        f"def __init__(self):\n{indent(dedent(init).strip(), '    ')}\n\n"
        f"def __len__(self):\n    return {length}\n\n"
        f"def __getitem__(self, index):\n{indent(dedent(item).strip(), '    ')}\n"
    )
    after = after or "for batch in DataLoader(Data(), batch_size=4):\n    pass\n"
    return f"{HEAD}\nclass Data(Dataset):\n{indent(methods, '    ')}\n\n{after}"


def traced(program: str, folder: Path) -> tuple[Trace, list[Diagnosis]]:
    path = folder / "train.py"
    path.write_text(program, encoding="utf-8")
    trace = execute_abstractly(Source(program, str(path)))
    return trace, diagnose(trace)


X = "self.x = torch.arange(20.0).unsqueeze(1)"
XY = X + "\nself.y = list(range(20))"

# --- the very words of the error, and its line


@pytest.mark.parametrize(
    ("init", "length", "item"),
    [
        (X, "25", "return self.x[index]"),
        (X, "len(self.x)", "return self.x[index + 1]"),
        (X, "len(self.x) + 1", "return self.x[index]"),
        (XY, "30", "return self.y[index]"),
        (XY, "len(self.y)", "return self.x[index], self.y[index + 1]"),
        ("self.t = tuple(range(9))", "10", "return self.t[index]"),
        ("self.a = np.zeros((9, 2))", "10", "return self.a[index]"),
        ("self.a = np.zeros((2, 9))", "10", "return self.a[:, index]"),
        ("self.x = torch.zeros(2, 9)", "10", "return self.x[:, index]"),
        ("self.rows = [[1, 2, 3]] * 8", "8", "return self.rows[index][3]"),
        ("self.n = 7\nself.x = torch.zeros(5)", "self.n", "return self.x[index], index"),
        (X, "len(self.x)", "return torch.stack([self.x[index + k] for k in range(3)])"),
        (XY, "len(self.x)", "position = index + 1\nreturn self.x[position]"),
        (X, "21", "if index < 5:\n    return self.x[0]\nreturn self.x[index]"),
    ],
)
def test_words_of_the_error(init: str, length: str, item: str, tmp_path: Path) -> None:
    program = dataset(init, length, item)
    with pytest.raises(IndexError) as raised:
        exec(compile(program, str(tmp_path / "train.py"), "exec"), {"__name__": "__main__"})
    line = [f.lineno for f in traceback.extract_tb(raised.tb) if f.filename.endswith("train.py")][
        -1
    ]
    trace, _ = traced(program, tmp_path)
    assert [(f.type, f.message) for f in trace.failures] == [("IndexError", str(raised.value))]
    assert trace.failures[0].raised_at is not None and trace.failures[0].raised_at.line == line


@pytest.mark.parametrize(
    "after",
    [
        "for batch in DataLoader(Data(), batch_size=4):\n    break\n",
        "batch = next(iter(DataLoader(Data(), batch_size=4)))\n",
        "for batch in DataLoader(Data(), batch_size=4, sampler=range(5)):\n    pass\n",
        "for batch in DataLoader(Data(), batch_size=22, drop_last=True):\n    pass\n",
        "try:\n    for batch in DataLoader(Data()):\n        pass\nexcept IndexError:\n    pass\n",
    ],
)
def test_items_that_are_not_asked_for_raise_nothing(after: str, tmp_path: Path) -> None:
    trace, _ = traced(
        dataset(X, "25" if "22" not in after else "21", "return self.x[index]", after), tmp_path
    )
    assert trace.failures == ()


@pytest.mark.parametrize(
    "item",
    [
        "try:\n    return self.x[index]\nexcept IndexError:\n    return self.x[0]",
        "if index >= len(self.x):\n    return self.x[0]\nreturn self.x[index]",
        "return self.x[index] if index < 20 else self.x[0]",
        "return self.x[min(index, 19)]",
        "index = index % len(self.x)\nreturn self.x[index]",
        "return self.x[random.randrange(20)]",
        "if random.random() < 0.5:\n    return self.x[0]\nreturn self.x[index - 5]",
        "return index < 20 and self.x[index]",
        "return torch.stack([x for k, x in enumerate(self.x) if k == index % 20])",
    ],
)
def test_guarded_items_raise_nothing(item: str, tmp_path: Path) -> None:
    trace, found = traced(dataset(X, "25", item), tmp_path)
    assert trace.failures == () and found == []


# --- the loaders of a predicted failure are those of the crash

LOADERS = dataset(
    XY + "\nself.scale = 2\nself.name = 'a'",
    "len(self.x) + 5",
    "return self.x[index]",
    dedent(
        """
        class Trainer:
            def __init__(self, batch_size):
                self.train_loader = DataLoader(Data(), batch_size, shuffle=True)
                self.loaders = {"test": DataLoader(Subset(Data(), [1, 2]), 3, num_workers=0)}

            def fit(self):
                for batch in self.train_loader:
                    pass

        other = [DataLoader(TensorDataset(torch.ones(3)), collate_fn=lambda items: items)]
        Trainer(4).fit()
        """
    ),
)


def test_loaders_are_those_of_the_crash(tmp_path: Path) -> None:
    trace, _ = traced(LOADERS, tmp_path)
    outcome = execute("train.py", cwd=tmp_path)
    assert outcome.failure is not None

    def facts(loaders: tuple[Loader, ...]) -> list[object]:
        found = [
            (
                x.name,
                x.dataset_type,
                x.dataset_at and x.dataset_at.line,
                x.dataset_length,
                {k: v.length for k, v in x.containers.items()},
                {k: v.constant for k, v in x.attributes.items() if v.constant is not None},
                x.batch_size,
                x.num_workers,
                x.is_shuffled,
                x.has_collate_fn,
                x.is_current,
                x.wraps,
            )
            for x in loaders
        ]
        return sorted(found, key=str)

    [predicted] = trace.failures
    assert facts(predicted.loaders) == facts(outcome.failure.loaders)


# --- silent mistakes

SILENT = {
    "constant": (
        dataset(X, "15", "return self.x[index]"),
        "TM101",
        "`__len__` returns 15: the last 5 of 20 items are never used",
        ("return 15", "return len(self.x)"),
    ),
    "one less": (
        dataset(XY, "len(self.x) - 1", "return self.x[index], self.y[index]"),
        "TM101",
        "`__len__` returns 19: the last 1 of 20 items are never used",
        ("return len(self.x) - 1", "return len(self.x)"),
    ),
    "half": (
        dataset(X, "len(self.x) // 2", "return self.x[index]"),
        "TM101",
        "`__len__` returns 10: the last 10 of 20 items are never used",
        ("return len(self.x) // 2", "return len(self.x)"),
    ),
    "another container": (
        dataset(X + "\nself.names = ['a', 'b']", "len(self.names)", "return self.x[index]"),
        "TM101",
        "`__len__` returns 2: the last 18 of 20 items are never used",
        ("return len(self.names)", "return len(self.x)"),
    ),
    "unknown size": (
        dataset(
            "self.x = torch.from_numpy(np.loadtxt('x.txt', ndmin=2))",
            "len(self.x) - 1",
            "return self.x[index]",
        ),
        "TM101",
        "`__len__` returns `len(self.x) - 1`: the last items of `self.x` are never used",
        ("return len(self.x) - 1", "return len(self.x)"),
    ),
    "too many, of unknown size": (
        dataset("self.x = read()", "len(self.x) + 1", "return self.x[index]").replace(
            "class Data", "def read():\n    return np.load('x.npy')\n\n\nclass Data"
        ),
        "TM101",
        "`__len__` promises more items than `self.x` has",
        ("return len(self.x) + 1", "return len(self.x)"),
    ),
    "not walked to the end": (
        dataset(X, "25", "return self.x[index]", "batch = next(iter(DataLoader(Data())))\n"),
        "TM101",
        "`__len__` returns 25, but `self.x` holds 20",
        ("return 25", "return len(self.x)"),
    ),
    "next step": (
        dataset(X, "len(self.x)", "return self.x[index], self.x[index + 1]", "loader = DataLoader(Data())\n"),
        "TM101",
        "`__len__` returns 20, but `self.x` has room for 19 items",
        ("return len(self.x)\n", "return len(self.x) - 1\n"),
    ),
    "wraps": (
        dataset(XY, "len(self.x)", "return self.x[index - 1], self.y[index]"),
        "TM102",
        "`index - 1` is -1 for item 0, which reads the end of `self.x`",
        ("self.x[index - 1]", "self.x[index]"),
    ),
    "subset": (
        dataset(
            XY,
            "len(self.x)",
            "return self.x[index], self.y[index + 1]",
            "first, second = random_split(Data(), [15, 5])\nfor batch in DataLoader(first):\n    pass\n",
        ),
        "TM102",
        "`index + 1` reads index 20 of `self.y`, which holds 20",
        ("self.y[index + 1]", "self.y[index]"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SILENT)
def test_silent_mistakes(name: str, tmp_path: Path) -> None:
    program, code, title, (old, new) = SILENT[name]
    trace, found = traced(program, tmp_path)
    assert trace.failures == ()
    assert [(d.rule.code, d.title("en")) for d in found] == [(code, title)]
    assert program.count(old) == 1
    mended = apply_edits(program, found[0].fixes[0].edits)
    assert mended == program.replace(old, new)
    assert traced(mended, tmp_path)[1] == []


# --- what is no mistake

W = "self.x = torch.arange(20.0)\nself.window = 4"
INNOCENT = {
    "virtual length, modulo": dataset(X, "100", "return self.x[index % len(self.x)]"),
    "virtual length, random": dataset(X, "100", "return self.x[random.randrange(len(self.x))]"),
    "virtual length, torch random": dataset(X, "9", "return self.x[torch.randint(20, (1,)).item()]"),
    "epoch size": dataset(X + "\nself.epoch_size = 8", "self.epoch_size", "return self.x[index]"),
    "limit": dataset(X + "\nself.limit = 8", "min(self.limit, len(self.x))", "return self.x[index]"),
    "windows": dataset(W, "len(self.x) - self.window + 1", "return self.x[index : index + self.window]"),
    "windows, written out": dataset(W, "len(self.x) - 4", "return self.x[index : index + 4], self.x[index + 4]"),
    "n-grams": dataset(XY, "len(self.y) - 2", "return self.y[index], self.y[index + 1], self.y[index + 2]"),
    "next step": dataset(X, "len(self.x) - 1", "return self.x[index], self.x[index + 1]"),
    "next step of another": dataset(XY, "len(self.x) - 1", "return self.x[index], self.y[index + 1]"),
    "next step in a helper": dataset(
        X, "len(self.x) - 1", "return self.frame(index), self.frame(index + 1)"
    ).replace("    def __len__", "    def frame(self, at):\n        return self.x[at]\n\n    def __len__"),
    "next step by a slice": dataset(X, "len(self.x) - 1", "return self.x[index : index + 2]"),
    "next tokens": dataset(W, "len(self.x) - 5", "return self.x[index : index + 4], self.x[index + 1 : index + 5]"),
    "pairs": dataset(X, "len(self.x) // 2", "return self.x[2 * index], self.x[2 * index + 1]"),
    "random partner": dataset(X, "len(self.x)", "return self.x[index], self.x[(index + 7) % len(self.x)]"),
    "triplets": dataset(
        XY, "len(self.y) // 3", "return tuple(self.y[3 * index + k] for k in range(3))"
    ),
    "index map": dataset(X + "\nself.ids = [3, 5, 8]", "len(self.ids)", "return self.x[self.ids[index]]"),
    "index map of arrays": dataset(
        X + "\nself.keep = torch.tensor([3, 5, 8])", "len(self.keep)", "return self.x[self.keep[index]]"
    ),
    "header": dataset("self.rows = [['a']] + [[1]] * 9", "len(self.rows) - 1", "return self.rows[index + 1][0]"),
    "lines that end in a new line": dataset(
        "self.lines = open(__file__).read().split('\\n')", "len(self.lines) - 1", "return self.lines[index]"
    ),
    "repeat factor": dataset(X + "\nself.repeat = 3", "len(self.x) * self.repeat", "return self.x[index // self.repeat]"),
    "augmented twice": dataset(
        X, "2 * len(self.x)", "flip = index >= len(self.x)\nreturn self.x[index % len(self.x)] * (1 - 2 * flip)"
    ),
    "two halves": dataset(
        X + "\nself.z = torch.zeros(10, 1)",
        "len(self.x) + len(self.z)",
        "if index < len(self.x):\n    return self.x[index]\nreturn self.z[index - len(self.x)]",
    ),
    "cached": dataset(
        X + "\nself.cache = {}",
        "len(self.x)",
        "if index not in self.cache:\n    self.cache[index] = self.x[index] * 2\nreturn self.cache[index]",
    ),
    "sharded": dataset(
        "self.shards = [torch.zeros(5, 2) for _ in range(4)]", "20", "return self.shards[index // 5][index % 5]"
    ),
    "made from the index": dataset("self.scale = 3", "1000", "return torch.tensor([index * self.scale])"),
    "drawn": dataset("self.mean = torch.zeros(3)", "1000", "return torch.normal(self.mean, 1.0)"),
    "classes beside the data": dataset(
        X + "\nself.classes = ['a', 'b']", "len(self.x)", "return self.x[index], self.classes[index % 2]"
    ),
    "previous frame, clamped": dataset(XY, "len(self.x)", "return self.x[max(index - 1, 0)], self.y[index]"),
    "previous frame of the same": dataset(X, "len(self.x)", "return self.x[index - 1], self.x[index]"),
    "from the end": dataset(X, "len(self.x)", "return self.x[-index - 1]"),
    "all by one": dataset(XY, "len(self.x)", "return self.x[index - 1], self.y[index - 1]"),
    "keyed from one": dataset(
        "self.rows = {n: float(n) for n in range(1, 21)}", "len(self.rows)", "return self.rows[index + 1]"
    ),
    "sampler of its own": dataset(
        X, "100", "return self.x[index]", "for batch in DataLoader(Data(), sampler=range(20)):\n    pass\n"
    ),
    "batch sampler of its own": dataset(
        X, "100", "return self.x[index]", "for batch in DataLoader(Data(), batch_sampler=[[0, 1], [2]]):\n    pass\n"
    ),
    "wrapper": dataset(
        "self.inner = TensorDataset(torch.zeros(7, 2))", "len(self.inner)", "return self.inner[index][0] * 2"
    ),
    "wrapper that leaves out": dataset(
        "self.inner = TensorDataset(torch.zeros(7, 2))", "len(self.inner) - 2", "return self.inner[index + 1][0]"
    ),
    "subset by hand": dataset(
        X + "\nself.start = 5\nself.stop = 15", "self.stop - self.start", "return self.x[self.start + index]"
    ),
    "folded by a flag": dataset(
        X + "\nself.is_small = len(self.x) > 10", "10 if self.is_small else len(self.x)", "return self.x[index]"
    ),
    "list that grew in code that is not seen": dataset(
        "self.rows = []\nfill(self.rows)", "3", "return self.rows[index]"
    ).replace("class Data", "def fill(rows):\n    for row in (1, 2, 3):\n        bisect.insort(rows, row)\n\n\nclass Data"),
}  # fmt: skip


@pytest.mark.parametrize("name", INNOCENT)
def test_innocent(name: str, tmp_path: Path) -> None:
    _, found = traced(INNOCENT[name], tmp_path)
    assert [(d.rule.code, d.title("en")) for d in found] == []
    source = compile(INNOCENT[name], str(tmp_path / "train.py"), "exec")
    exec(source, {"__name__": "__main__", "__file__": str(tmp_path / "train.py")})


# --- batches

BATCHES = {
    "unequal": (
        dataset(
            "self.x = [torch.ones(3), torch.ones(3), torch.ones(2)]", "3", "return self.x[index]"
        ),
        "TM111",
    ),
    "unequal in a tuple": (
        dataset("self.x = [torch.ones(n) for n in (4, 5)]", "2", "return index, self.x[index]"),
        "TM111",
    ),
    "none": (dataset(X, "20", "self.x[index]"), "TM112"),
    "none in a tuple": (dataset(X, "20", "return self.x[index], None"), "TM112"),
    "last batch of one": (
        dataset(
            X,
            "20",
            "return self.x[index]",
            "norm = torch.nn.BatchNorm1d(1)\nfor batch in DataLoader(Data(), batch_size=19):\n    norm(batch)\n",
        ),
        "TM116",
    ),
    "last batch is smaller": (
        dataset(
            X,
            "20",
            "return self.x[index]",
            "layer = torch.nn.Linear(1, 2)\nfor batch in DataLoader(Data(), batch_size=8):\n"
            "    print(layer(batch.view(8, 1)).shape)\n",
        ),
        "TM202",
    ),
}


@pytest.mark.parametrize("name", BATCHES)
def test_batches(name: str, tmp_path: Path) -> None:
    program, code = BATCHES[name]
    trace, found = traced(program, tmp_path)
    outcome = execute("train.py", cwd=tmp_path)
    assert outcome.failure is not None
    [predicted] = trace.failures
    assert (predicted.type, predicted.message) == (outcome.failure.type, outcome.failure.message)
    assert (
        [d.rule.code for d in found] == [d.rule.code for d in diagnose(outcome.failure)] == [code]
    )


@pytest.mark.parametrize(
    "loop",
    [
        "for i, batch in enumerate(loader):\n    if i == 0:\n        batch.view(8, 1)\n",
        "for batch in loader:\n    if len(batch) != 8:\n        continue\n    batch.view(8, 1)\n",
        "for batch in loader:\n    batch.view(8, 1)\n    break\n",
        "for batch in loader:\n    batch.view(batch.size(0), 1)\n",
        "for batch in DataLoader(Data(), batch_size=8, drop_last=True):\n    batch.view(8, 1)\n",
        "for batch in DataLoader(Data(), batch_size=10):\n    batch.view(10, 1)\n",
        "batch = next(iter(loader))\nbatch.view(8, 1)\n",
    ],
)
def test_full_batches_are_no_mistake(loop: str, tmp_path: Path) -> None:
    program = dataset(
        X, "20", "return self.x[index]", f"loader = DataLoader(Data(), batch_size=8)\n{loop}"
    )
    trace, found = traced(program, tmp_path)
    assert trace.failures == () and found == []
    exec(compile(program, "train.py", "exec"), {"__name__": "__main__"})
