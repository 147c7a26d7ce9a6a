"""What the probe reads of programs that crash, and what the rules make of it: titles with the right numbers."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from programs import execute
from torchmedic.engine import diagnose
from torchmedic.mending import goal_of
from torchmedic.model import Diagnosis
from torchmedic.observed import Failure

pytest.importorskip("torch")


def crash(folder: Path, text: str) -> Failure:
    """What is known of the crash of a program; `text` is its source."""
    (folder / "train.py").write_text(dedent(text), "utf-8")
    outcome = execute("train.py", cwd=folder)
    assert outcome.failure is not None, outcome.stderr
    return outcome.failure


def found(folder: Path, text: str) -> Diagnosis:
    """The first diagnosis of that crash. A rule that breaks fails the test."""

    def broken(rule: object, error: Exception) -> None:
        raise error

    return next(iter(diagnose(crash(folder, text), broken)))


def line_of(text: str, part: str) -> int:
    return next(n for n, line in enumerate(dedent(text).splitlines(), 1) if part in line)


def test_arrays_in_the_failing_line(tmp_path: Path) -> None:
    """`==` of an array gives an array; of the program's own objects it may do anything."""
    text = """
        import numpy as np
        import torch

        class Price:
            def __init__(self):
                self.values = np.arange(4.0)

            def __eq__(self, other):
                raise RuntimeError("not comparable")

            def std(self):
                return self.values.std()

        price, scale = Price(), np.arange(4.0)
        weight = torch.ones(4, requires_grad=True)
        rmse = np.sqrt((weight.numpy() - scale).mean()) * price.std() * scale.std()
        """
    diagnosis = found(tmp_path, text)
    assert diagnosis.rule.code == "TM303" and diagnosis.fixes


def test_exceptions_that_cannot_be_compared(tmp_path: Path) -> None:
    text = """
        class Odd(Exception):
            def __eq__(self, other):
                raise RuntimeError("not comparable")

        try:
            raise Odd("first")
        except Odd as error:
            raise Odd("second") from error
        """
    failure = crash(tmp_path, text)
    assert [failure.message, *(c.message for c in failure.causes)] == ["second", "first"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with 3.11")
def test_the_first_of_a_group_is_told(tmp_path: Path) -> None:
    text = """
        import asyncio
        import torch

        async def step(layer):
            layer(torch.zeros(2, 5))

        async def main():
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(step(torch.nn.Linear(3, 4)))

        asyncio.run(main())
        """
    diagnosis = found(tmp_path, text)
    assert diagnosis.rule.code == "TM201"
    assert diagnosis.raised_at and diagnosis.raised_at.line == line_of(text, "layer(torch.zeros")


def test_an_error_from_a_worker_is_known_as_one(tmp_path: Path) -> None:
    """Its trials compare the worker's words, because the parent's line is another one than the worker's."""
    text = """
        import torch
        from torch.utils.data import DataLoader, Dataset

        class Prices(Dataset):
            def __init__(self):
                self.prices = torch.zeros(6, 3)

            def __len__(self):
                return len(self.prices)

            def __getitem__(self, i):
                return self.prices[i + 1]

        for batch in DataLoader(Prices(), 2, num_workers=1):
            pass
        """
    failure = crash(tmp_path, text)
    assert failure.is_worker
    assert failure.raised_at and failure.raised_at.line == line_of(text, "self.prices[i + 1]")


UNBATCHED = """
    import torch
    from torch import nn

    net = nn.Sequential({layers})
    net(torch.zeros({shape}))
    """


def test_channels_of_an_unbatched_input(tmp_path: Path) -> None:
    layers = "nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(4, 8, 3)"
    diagnosis = found(tmp_path, UNBATCHED.format(layers=layers, shape="3, 20, 20"))
    assert (diagnosis.rule.code, diagnosis.facts["given"]) == ("TM201", 8)
    assert [edit.text for edit in diagnosis.fixes[0].edits] == ["8"]


@pytest.mark.parametrize("first", ["nn.ReflectionPad2d(1)", "nn.MaxPool2d(2)", "nn.Dropout(0.1)"])
def test_layers_without_parameters_leave_the_data_as_they_are(first: str, tmp_path: Path) -> None:
    """A batch of images without channels reaches the first convolution through them."""
    layers = f"{first}, nn.Conv2d(1, 4, 3)"
    diagnosis = found(tmp_path, UNBATCHED.format(layers=layers, shape="6, 20, 20"))
    assert diagnosis.rule.code == "TM104"
    assert diagnosis.variant is not None and diagnosis.variant.name == "channel_missing"


def test_norms_leave_the_order_of_dimensions_as_it_is(tmp_path: Path) -> None:
    """(batch, features, time) passes the norm of its features, and the recurrent layer wants the features last."""
    text = """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.norm = nn.BatchNorm1d(8)
                self.rnn = nn.LSTM(8, 4, batch_first=True)

            def forward(self, x):
                return self.rnn(self.norm(x))

        Net()(torch.zeros(6, 8, 100))
        """
    diagnosis = found(tmp_path, text)
    assert diagnosis.rule.code == "TM104"
    assert [edit.text for edit in diagnosis.fixes[0].edits] == [".permute(0, 2, 1)"]


def test_a_batch_that_a_collate_function_makes_whole(tmp_path: Path) -> None:
    text = """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader

        def pad(batch):
            out = torch.zeros(len(batch), max(map(len, batch)))
            for i, row in enumerate(batch):
                out[i, : len(row)] = torch.tensor(row)
            return out

        embedding = nn.Embedding(12, 8)
        for batch in DataLoader([[3, 5], [7, 1, 1]], batch_size=2, collate_fn=pad):
            print(embedding(batch).shape)
        """
    diagnosis = found(tmp_path, text)
    assert diagnosis.rule.code == "TM103" and diagnosis.at
    assert diagnosis.at.line == line_of(text, "out = torch.zeros")


def test_data_that_reach_a_second_branch(tmp_path: Path) -> None:
    """Layers ran before, but on other data."""
    text = """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.table = nn.Linear(5, 8)
                self.image = nn.Conv2d(3, 8, 3)

            def forward(self, table, image):
                return self.table(table), self.image(image)

        Net()(torch.zeros(4, 5), torch.zeros(4, 1, 9, 9))
        """
    diagnosis = found(tmp_path, text)
    assert (diagnosis.rule.code, diagnosis.facts["given"]) == ("TM104", 1)


def test_a_list_that_a_caller_filled(tmp_path: Path) -> None:
    """The line to change is where the tensors are kept, not the library-like helper that converts them."""
    text = """
        import numpy as np
        import torch

        def plot(values):
            print(np.asarray(values, dtype=float).shape)

        weight = torch.ones(3, requires_grad=True)
        losses = []
        for _ in range(2):
            losses.append((weight ** 2).sum())
        plot(losses)
        """
    diagnosis = found(tmp_path, text)
    assert diagnosis.at and diagnosis.at.line == line_of(text, "losses.append")
    assert [edit.text for edit in diagnosis.fixes[0].edits] == [".item()"]


@pytest.mark.parametrize(("fill", "is_born_there"), [("REAL", True), ("1", True), ("1.0", False)])
def test_a_filled_tensor_has_its_values_type(
    fill: str, is_born_there: bool, tmp_path: Path
) -> None:
    text = f"""
        import torch

        REAL = 1
        label = torch.full((4,), {fill})
        label = label{"" if is_born_there else ".long()"}
        scores = torch.rand(4, requires_grad=True)
        torch.nn.functional.binary_cross_entropy(scores, label)
        """
    diagnosis = found(tmp_path, text)
    assert diagnosis.rule.code == "TM103" and diagnosis.at
    assert diagnosis.at.line == line_of(text, "torch.full" if is_born_there else ".long()")


def test_who_holds_the_memory_in_both_languages(tmp_path: Path) -> None:
    text = """
        import torch

        model = torch.nn.Linear(64, 64)
        model(torch.zeros(1, 64)).sum().backward()
        rows = torch.zeros(2**20, 1)
        (rows - rows.T).sum()
        """
    diagnosis = found(tmp_path, text)
    tables = [e.table for e in diagnosis.evidence if e.table]
    words = {lang: [row[0] for row in tables[-1].shown(lang)] for lang in ("en", "ko")}
    assert {"parameters", "gradients"} < set(words["en"])
    assert {"파라미터", "기울기"} < set(words["ko"])


COMPILED = """
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(8, 16)
            self.last = nn.Linear(12, 2)

        def forward(self, x):
            return self.last(torch.relu(self.first(x)))

    net = Net()
    {made}
    print("ready")
    {call}
    """


@pytest.mark.parametrize(
    ("made", "call"),
    [
        (
            "step = torch.compile(lambda model, x: model(x).sum(), backend='eager')",
            "step(net, torch.zeros(4, 8))",
        ),
        ("net = torch.jit.script(net)", "net(torch.zeros(4, 8))"),
    ],
    ids=["a compiled function", "a scripted model"],
)
@pytest.mark.filterwarnings("ignore")
def test_layers_inside_code_without_frames(made: str, call: str, tmp_path: Path) -> None:
    """The message tells the line, the line the layer, the layer its constructor; trials watch the live frame."""
    text = COMPILED.format(made=made, call=call)
    failure = crash(tmp_path, text)
    assert failure.raised_at and failure.raised_at.line == line_of(text, "return self.last")
    diagnosis = next(iter(diagnose(failure, lambda rule, error: None)))
    assert diagnosis.rule.code == "TM201"
    assert diagnosis.at and diagnosis.at.line == line_of(text, "nn.Linear(12, 2)")
    assert [edit.text for edit in diagnosis.fixes[0].edits] == ["16"]
    assert goal_of(failure, diagnosis).line == line_of(text, call)


def test_a_scripted_model_says_what_it_hides(tmp_path: Path) -> None:
    text = COMPILED.format(made="net = torch.jit.script(net)", call="net(torch.zeros(4, 8))")
    told = [e.text for e in found(tmp_path, text).evidence]
    assert any("scripted or traced" in t.en and "스크립트" in t.ko for t in told)


def test_a_product_of_matrices_has_no_layer(tmp_path: Path) -> None:
    text = """
        import torch

        left, right = torch.zeros(5, 3), torch.zeros(5, 4)
        print(2 * left @ right)
        """
    diagnosis = found(tmp_path, text)
    assert diagnosis.title("en") == "a product of matrices: 3 columns meet 5 rows"
    shapes = [e.text.en for e in diagnosis.evidence]
    assert shapes == ["`2 * left` is (5, 3)", "`right` is (5, 4)"]


def test_a_factor_too_much_is_taken_out(tmp_path: Path) -> None:
    """`hidden * 2` becomes `hidden`, not `(hidden * 2) // 2`."""
    text = """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self, hidden, count):
                super().__init__()
                self.body = nn.Linear(6, hidden)
                self.head = nn.Linear({size}, 1)

            def forward(self, x):
                return self.head(self.body(x))

        Net(4, 3)(torch.zeros(2, 6))
        """
    for size in ("hidden * 2", "count * hidden"):
        diagnosis = found(tmp_path, text.format(size=size))
        assert [edit.text for edit in diagnosis.fixes[0].edits] == ["hidden"]
