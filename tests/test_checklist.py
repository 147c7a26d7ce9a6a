"""`torchmedic checklist`: right only with evidence, wrong only by a rule, and nothing else is claimed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from torchmedic.checklist import QUESTIONS, Unreadable, checklist, source_of
from torchmedic.model import LANGS
from torchmedic.observed import Source
from torchmedic.render.checklist import MARKS, as_json, markdown, render
from torchmedic.rules import RULES

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
RIGHT = sorted(p for p in EXAMPLES.glob("*.py") if p.stem in ("digits_cnn", "tabular", "text_embedding"))  # fmt: skip
BROKEN = sorted(p for p in EXAMPLES.glob("*.py") if p not in RIGHT)


def boxes(program, path="train.py"):
    source = Source(program, path) if isinstance(program, str) else source_of(str(program))
    return {box.key: box for box in checklist(source).boxes}


def states(program):
    return {key: box.state for key, box in boxes(program).items()}


def mistake_of(path):
    name = next(n for n in ("digits_cnn_", "tabular_", "text_embedding_") if path.stem.startswith(n))  # fmt: skip
    return path.stem.removeprefix(name).replace("_", "-")


@pytest.mark.parametrize("path", RIGHT, ids=lambda p: p.stem)
def test_a_right_example_has_no_wrong_box(path):
    checked = checklist(source_of(str(path)))
    assert checked.count("wrong") == 0
    assert checked.count("right") >= 4


@pytest.mark.parametrize("path", BROKEN, ids=lambda p: p.stem)
def test_a_broken_example_has_exactly_its_box_wrong(path):
    rule = next(r for r in RULES.values() if r.name == mistake_of(path))
    wrong = {key: box.code for key, box in boxes(path).items() if box.state == "wrong"}
    [question] = [q for q in QUESTIONS if rule.code in q.codes]
    assert wrong == {question.key: rule.code}


@pytest.mark.parametrize("path", BROKEN, ids=lambda p: p.stem)
def test_the_broken_box_is_never_called_right(path):
    """Even where no rule sees the mistake in the source."""
    code = next((r.code for r in RULES.values() if r.name == mistake_of(path)), None)
    asked = [q.key for q in QUESTIONS if code in q.codes]
    if code == "TM405":
        pytest.skip("eval() is called there: only train() is missing")
    assert all(boxes(path)[key].state != "right" for key in asked)


def test_the_seed_of_the_example_is_wrong():
    found = boxes(EXAMPLES / "text_embedding_random_seed_not_set.py")["seed"]
    assert (found.state, found.code) == ("wrong", "TM401")
    lines = (EXAMPLES / "text_embedding_random_seed_not_set.py").read_text("utf-8").splitlines()
    assert "MeanOfWords(" in lines[found.at.line - 1]


def test_all_twelve_in_order_and_each_code_once():
    assert [q.key for q in QUESTIONS] == [
        "length", "index", "dtypes", "features", "flatten", "dimensions",
        "zero_grad", "memory", "seed", "eval", "no_grad", "numpy",
    ]  # fmt: skip
    codes = [code for q in QUESTIONS for code in q.codes]
    assert len(codes) == len(set(codes))
    assert {"TM101", "TM102", "TM103", "TM104", "TM201", "TM202", "TM301", "TM303"} <= set(codes)
    assert {"TM401", "TM402", "TM403", "TM404"} <= set(codes)


CNN = """
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Images(Dataset):
    def __init__(self):
        self.images = torch.rand(100, 1, 28, 28)
        self.labels = torch.zeros(100, dtype=torch.long)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(8 * 26 * 26, 10)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        x = self.drop(x.flatten(1))
        return self.fc(x)


def main():
    torch.manual_seed(0)
    loader = DataLoader(Images(), batch_size=10, shuffle=True)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(3):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for x, y in loader:
                print(model(x).argmax(1).cpu().numpy())


if __name__ == "__main__":
    main()
"""
LINES = {
    "length": "return len(self.images)",
    "index": "return self.images[index]",
    "dtypes": "x = torch.relu(self.conv(x))",
    "features": "return self.fc(x)",
    "flatten": "return self.fc(x)",
    "dimensions": "x = torch.relu(self.conv(x))",
    "zero_grad": "optimizer.zero_grad()",
    "seed": "torch.manual_seed(0)",
    "eval": "model.eval()",
    "no_grad": "print(model(x)",
    "numpy": "print(model(x)",
}


def test_a_whole_program_shows_eleven_boxes_right_each_with_its_line():
    found = boxes(CNN)
    assert {key for key, box in found.items() if box.state == "right"} == set(LINES)
    assert found["memory"].state == "unseen"
    lines = CNN.splitlines()
    for key, starts in LINES.items():
        assert lines[found[key].at.line - 1].strip().startswith(starts), key


# The old text, the new one, and the boxes that may not be called right any more.
@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ("return len(self.images)", "return 100", {"length", "index"}),
        ("self.images[index],", "self.images[index - 1],", {"length", "index"}),
        ("self.images = torch.rand(100, 1, 28, 28)", "self.images = load()", {"features", "dtypes"}),
        ("8 * 26 * 26", "width", {"features"}),
        ("            optimizer.zero_grad()\n", "", {"zero_grad"}),
        ("    torch.manual_seed(0)\n", "", {"seed"}),
        ("    torch.manual_seed(0)\n", "    if torch.cuda.is_available():\n        torch.manual_seed(0)\n", {"seed"}),
        ("        model.eval()\n", "", {"eval"}),
        ("with torch.no_grad():", "if True:", {"no_grad"}),
        ("model(x).argmax(1).cpu().numpy()", "len(x)", {"numpy"}),
    ],
)  # fmt: skip
def test_what_is_taken_away_is_not_right_any_more(old, new, keys):
    assert old in CNN
    changed = states(CNN.replace(old, new))
    assert all(changed[key] != "right" for key in keys)


def test_zero_grad_once_an_epoch_is_not_right():
    moved = CNN.replace("            optimizer.zero_grad()\n", "")
    moved = moved.replace("        model.train()\n", "        model.train()\n        optimizer.zero_grad()\n")  # fmt: skip
    assert states(moved)["zero_grad"] != "right"


def test_a_rule_makes_a_box_wrong_at_its_line():
    broken = CNN.replace("8 * 26 * 26", "8 * 28 * 28")
    found = boxes(broken)["features"]
    assert (found.state, found.code) == ("wrong", "TM201")
    assert "self.fc = nn.Linear" in broken.splitlines()[found.at.line - 1]


def test_a_program_without_anything_claims_nothing():
    assert set(states("import torch\nprint(torch.ones(3))\n").values()) == {"unseen"}
    assert set(states("").values()) == {"unseen"}


def test_findings_outside_of_the_boxes_are_counted():
    broken = CNN.replace("criterion(model(x), y)", "criterion(model(x), y.float().unsqueeze(1))")
    from torchmedic.abstract import execute
    from torchmedic.engine import diagnose

    asked = {code for q in QUESTIONS for code in q.codes}
    found = [d for d in diagnose(execute(Source(broken, "train.py"))) if d.rule.code not in asked]
    assert checklist(Source(broken, "train.py")).others == len(found)


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("width", [20, 50, 100])
def test_text_fits_and_names_every_box(lang, width):
    from torchmedic.render.layout import cells

    checked = checklist(Source(CNN.replace("    torch.manual_seed(0)\n", ""), "train.py"))
    shown = render(checked, lang, width, False)
    assert sum(shown.count(mark) for mark in MARKS.values()) >= 12
    assert all(cells(line) <= max(width, 60) for line in shown.splitlines())
    assert "\x1b[" in render(checked, lang, width, True)
    assert "{" not in shown


@pytest.mark.parametrize("lang", LANGS)
def test_json_and_markdown_say_the_same(lang):
    checked = checklist(Source(CNN, "train.py"))
    plain = json.loads(as_json(checked, lang))
    assert [box["key"] for box in plain["boxes"]] == [q.key for q in QUESTIONS]
    assert {box["state"] for box in plain["boxes"]} == {"right", "not seen"}
    assert all((box["line"] is None) == (box["state"] == "not seen") for box in plain["boxes"])
    rows = [line for line in markdown(checked, lang).splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 12


def command(*words, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [sys.executable, "-m", "torchmedic", "checklist", *words],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_the_command(tmp_path):
    (tmp_path / "train.py").write_text(CNN)
    done = command("train.py", "--lang", "ko", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "맞음 11개" in done.stdout
    (tmp_path / "bad.py").write_text(CNN.replace("    torch.manual_seed(0)\n", ""))
    done = command("bad.py", "--format", "json", "--output", "out.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    wrong = [b for b in json.loads((tmp_path / "out.json").read_text())["boxes"] if b["state"] == "wrong"]  # fmt: skip
    assert [(b["key"], b["code"]) for b in wrong] == [("seed", "TM401")]
    done = command("bad.py", "--format", "markdown", cwd=tmp_path)
    assert done.returncode == 1 and "| ✗ | Training: seed is set |" in done.stdout


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("missing.py", None, "cannot read missing.py"),
        ("broken.py", b"def f(:\n", "cannot parse broken.py, line 1"),
        ("null.py", b"a = 1\0", "cannot parse null.py"),
        ("latin.py", b"# caf\xe9\n", "cannot parse latin.py"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_and_status_2(tmp_path, name, data, said):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    done = command(name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_folder_and_an_output_that_cannot_be_written(tmp_path):
    assert command(".", cwd=tmp_path).returncode == 2
    (tmp_path / "train.py").write_text("import torch\n")
    done = command("train.py", "--output", "no/such/place", cwd=tmp_path)
    assert done.returncode == 2 and "cannot write" in done.stderr
    with pytest.raises(Unreadable):
        source_of(str(tmp_path))
