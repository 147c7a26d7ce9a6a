"""What a run shows of losses, learning rates, inputs and gradients: the rules' own programs and the twins."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from observing import diagnosed, observe

from torchmedic.model import Span
from torchmedic.observed import Site, load
from torchmedic.observed.run import Run
from torchmedic.observed.run_numbers import Dead, Losses, NotFinite, Rates, Silent, Value
from torchmedic.probes.observer import values
from torchmedic.rules import RULES
from torchmedic.silent import found_in

pytest.importorskip("torch")
CODES = ("TM321", "TM322", "TM323", "TM341", "TM342", "TM343", "TM344", "TM345")
NAMES = {RULES[code].name for code in CODES}
TWINS = Path(__file__).parent / "run"
FOLDERS = sorted(p for name in NAMES for p in (TWINS / name).glob("*") if p.is_dir())
ALIKE = sorted(p.parent.parent for p in (TWINS / "innocent").glob("numbers_*/good/train.py"))

every_rule = pytest.mark.parametrize("rule", [RULES[code] for code in CODES], ids=lambda r: r.name)


def written(program: str, folder: Path) -> Path:
    path = folder / "train.py"
    path.write_text(program, encoding="utf-8")
    return path


@every_rule
def test_bad_is_answered_by_its_rule(rule, tmp_path):
    [found] = diagnosed(written(rule.bad, tmp_path))
    assert found.rule is rule and found.at is not None
    for lang in ("en", "ko"):
        assert "…" not in found.title(lang) and len(found.title(lang)) < 110


@every_rule
def test_good_and_innocent_are_silent(rule, tmp_path):
    for number, program in enumerate((rule.good, *rule.innocent)):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert [d.title("en") for d in diagnosed(written(program, folder))] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_twins(folder):
    wanted = json.loads((folder / "expect.json").read_text(encoding="utf-8"))
    [found] = diagnosed(folder / "bad" / "train.py")
    at = found.at
    assert found.rule.code == wanted["code"] and at is not None
    assert Path(at.path).relative_to(folder / "bad").as_posix() == wanted.get("path", "train.py")
    source = load(at.path)
    assert source is not None and source.line(at.line).strip() == wanted["line"]
    assert [d.title("en") for d in diagnosed(folder / "good" / "train.py")] == []


@pytest.mark.parametrize("folder", ALIKE, ids=lambda p: p.name)
def test_look_alikes_are_silent(folder):
    assert [d.title("en") for d in diagnosed(folder / "good" / "train.py")] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_looks_and_replays_change_nothing(folder):
    """Losses to the last digit, and the state of the generator behind them; nothing stays switched on."""
    import torch

    path = folder / "bad" / "train.py"
    plain, watched = observe(path, lambda now: []), observe(path)
    assert watched.output == plain.output
    assert watched.random == plain.random
    assert not torch.is_anomaly_enabled()
    assert not torch.nn.functional.cross_entropy.__code__.co_names[0].startswith("_torchmedic")


def test_numbers_of_an_accelerator_are_read_at_the_end_of_a_window(monkeypatch):
    """As if the CPU were one: what is read later says the same, without the place in the model."""
    monkeypatch.setattr(values, "number", lambda tensor: None)
    monkeypatch.setattr(values, "is_elsewhere", lambda tensor: True)
    path = TWINS / "loss-not-finite" / "softmax_written_out" / "bad" / "train.py"
    run = observe(path).run
    at_once = [v.value for one in run.values for v in one.values]
    assert run.not_finite is not None and run.not_finite.origin == ""
    assert len(at_once) == run.steps
    [found] = found_in(run, lambda rule, error: None)
    assert found.rule.code == "TM341" and found.variant is None


DROPOUT = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0
        self.seen = []
        self.first, self.unused = nn.Linear(6, 8), nn.Linear(6, 8)
        self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(8)
        self.last = nn.Linear(8, 1)

    def forward(self, x):
        self.calls += 1
        self.seen.append(float(x.sum()))
        return self.last(self.drop(self.norm(torch.relu(self.first(x)))))


torch.manual_seed(0)
model = Net()
optimizer = torch.optim.Adam(model.parameters())
for step in range(40):
    x = torch.randn(12, 6)
    loss = (model(x) - x[:, :1]).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
print(model.calls, len(model.seen), model.norm.running_mean.tolist(), torch.rand(1).item())
"""


def test_a_replay_leaves_the_model_alone(tmp_path):
    path = written(DROPOUT, tmp_path)
    plain, watched = observe(path, lambda now: []), observe(path)
    assert watched.output == plain.output
    assert [s.name for s in watched.run.silent] == ["unused"]
    assert watched.run.silent[0].is_used is False
    assert [d.rule.code for d in found_in(watched.run, lambda rule, error: None)] == ["TM345"]


@pytest.mark.parametrize(
    "line",
    ["LOG.append(x)", "print('called', file=FILE)", "self.meter.count += 1", "open('f').close()"],
)
def test_a_forward_that_leaves_traces_is_not_run_again(line, tmp_path):
    program = DROPOUT.replace("self.calls += 1", line).replace(
        "class Net(",
        "LOG, FILE = [], __import__('io').StringIO()\nopen('f', 'w').close()\n\n\nclass Net(",
    )
    program = program.replace(
        "self.calls = 0", "self.calls, self.meter = 0, type('Meter', (), {'count': 0})()"
    )
    run = observe(written(program, tmp_path)).run
    assert all(s.is_used is None for s in run.silent)
    assert found_in(run, lambda rule, error: None) == ()


def site(path: Path, line: int = 1) -> tuple[Site, ...]:
    return (Site(Span(str(path), line)),)


def run_of(tmp_path: Path, values: list[float], optimizers: int = 1, **changes: object) -> Run:
    """A run whose one loss had these values; plain data, as a detector gets it."""
    path = written("optimizer.step()\n", tmp_path)
    rates = Rates("SGD", site(path), site(path), 20, 0.1, 0.1, is_torch=True)
    losses = Losses(site(path), tuple(Value(n, v) for n, v in enumerate(values)))
    return Run(len(values), values=(losses,), rates=(rates,) * optimizers)._replace(**changes)


def codes(run: Run) -> list[str]:
    return [d.rule.code for d in found_in(run, lambda rule, error: None)]


STEEP = [0.5 * 4.0**n for n in range(12)]


def test_a_loss_that_grows_by_a_factor_in_every_step(tmp_path):
    assert codes(run_of(tmp_path, [*STEEP, math.inf, math.nan])) == ["TM342"]
    assert codes(run_of(tmp_path, STEEP)) == ["TM342"]


@pytest.mark.parametrize(
    "run",
    [
        {"optimizers": 2},  # two of them may pull against each other
        {"is_over": False},
        {"values": [*STEEP, 1.0]},  # it came back
        {"values": [float(n**6) + 0.1 for n in range(40)]},  # returns of longer and longer games
        {"values": [1e-9 * 4.0**n for n in range(12)]},  # from next to nothing
        {"values": STEEP[:4]},
    ],
    ids=["two-optimizers", "goes-on", "came-back", "polynomial", "from-nothing", "short"],
)
def test_growth_that_is_no_divergence(run, tmp_path):
    assert codes(run_of(tmp_path, **{"values": STEEP, **run})) == []


def test_a_rate_of_zero_counts_if_no_optimizer_has_another(tmp_path):
    run = run_of(tmp_path, [1.0] * 20)
    still = run.rates[0]._replace(lowest=0.0, highest=0.0)
    assert codes(run._replace(rates=(still,))) == ["TM342"]
    assert codes(run._replace(rates=(still, *run.rates))) == []
    assert codes(run._replace(rates=(still._replace(highest=0.1),))) == []
    assert codes(run._replace(rates=(still._replace(steps=3),))) == []
    assert codes(run._replace(rates=(still._replace(owner="lightning"),))) == []


def test_what_is_not_finite_has_to_last(tmp_path):
    run = run_of(tmp_path, [1.0, math.nan, math.nan, math.nan])
    found = NotFinite("loss", 1, "nan", run.values[0].by, lasted=3, until=3)
    assert codes(run._replace(not_finite=found)) == ["TM341"]
    assert codes(run._replace(not_finite=found._replace(lasted=1))) == []
    assert codes(run._replace(not_finite=found._replace(owner="accelerate"))) == []
    later = Losses(run.values[0].by, (Value(40, 0.3),))  # a search for the rate, then training
    assert codes(run._replace(not_finite=found, values=(*run.values, later))) == []
    [scaled] = [p for p in ALIKE if "finds_its_scale" in p.name]
    in_scaled = found._replace(by=site(scaled / "good" / "train.py"))
    assert codes(run._replace(not_finite=in_scaled)) == []


def test_a_dead_relu_needs_gradients_of_zero_before_it(tmp_path):
    run = run_of(tmp_path, [1.0] * 20)
    dead = Dead("1", "Net", made_by=run.values[0].by, batches=3, largest=-2.0)
    zero = Silent("0", "Linear", "zero", 8, "Net", made_by=run.values[0].by, looked=5, is_used=True)
    assert codes(run._replace(dead=(dead,), silent=(zero,))) == ["TM344"]
    assert codes(run._replace(dead=(dead,))) == []
    assert codes(run._replace(silent=(zero,))) == []
    assert codes(run._replace(dead=(dead._replace(batches=2),), silent=(zero,))) == []
    assert codes(run._replace(dead=(dead,), silent=(zero._replace(kind="none"),))) == []
