"""Modules of the project in the abstract machine: when they are executed, and under which state."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchmedic.abstract import execute
from torchmedic.abstract.machine import MOST_STEPS
from torchmedic.engine import diagnose
from torchmedic.observed import load
from torchmedic.observed.trace import Trace

DEAR = f"import torch\nTABLE = [{'1, ' * (MOST_STEPS + 10_000)}]\nSIZE = 3\n"
NET = """
import torch
from torch import nn
import settings
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(settings.WIDTH, settings.HIDDEN)
        self.second = nn.Linear(32, 2)
    def forward(self, x):
        return self.second(self.first(x))
"""
SETTINGS = "WIDTH = 8\nHIDDEN = 64\n"
LOOP = """
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
def train(times):
    for _ in range(times):
        loss = model(torch.ones(3, 4)).sum()
        loss.backward()
        optimizer.step()
"""


def traced(folder: Path, main: str, **modules: str) -> Trace:
    """The trace of `main`; the keys are the modules' names, `__` stands for a folder's slash."""
    for name, text in {**modules, "main": main}.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        if name.endswith("__init"):
            path = path.with_name("__init__.py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    source = load(str(folder / "main.py"))
    assert source is not None
    return execute(source)


def drawn(trace: Trace) -> list[str]:
    return [event.name for event in trace.of("draw")]


@pytest.mark.parametrize(
    ("main", "is_complete"),
    [
        ("import dear\n", True),
        ("from dear import SIZE\n", True),
        ("import dear as d\ndef f():\n    return 1\nf()\n", True),
        ("import dear\nprint(dear.SIZE)\n", False),
        ("from dear import SIZE\nprint(SIZE)\n", False),
        ("from dear import *\n", False),
        ("import inner\n", True),
        ("import inner\ninner.SIZE\n", False),
    ],
)
def test_a_module_that_only_defines_costs_nothing_until_it_is_needed(main, is_complete, tmp_path):
    assert traced(tmp_path, main, dear=DEAR, inner="from dear import SIZE\n").is_complete is (
        is_complete
    )


@pytest.mark.parametrize("first", ["seeds", "settings", "pack", "pack.inner"])
def test_what_a_module_does_happens_when_it_is_imported(first, tmp_path):
    trace = traced(
        tmp_path,
        f"import {first}\nimport torch\nfor i in range(2):\n    x = torch.randn(2)\n",
        seeds="import torch\ntorch.manual_seed(1)\n",
        settings="import seeds\nSIZE = 3\n",
        pack__init="from . import inner\n",
        pack__inner="from seeds import torch\n",
    )
    assert [event.kind for event in trace.events] == ["seed", "draw", "draw"]
    assert not trace.events[0].loops


@pytest.mark.parametrize(
    "body",
    [
        "CONFIG['width'] = 8",
        "CONFIG.update(width=8)",
        "CONFIG |= {'width': 8}",
        "shared.CONFIG['width'] = 8",
        "def put(config):\n    config['width'] = 8\nput(CONFIG)",
        "@change\ndef put(config):\n    config['width'] = 8",
        "if CONFIG:\n    for name in ['width']:\n        CONFIG[name] = 8",
    ],
)
def test_a_module_may_change_another_one(body, tmp_path):
    trace = traced(
        tmp_path,
        "import torch, changes\nfrom shared import CONFIG\n"
        "torch.nn.Linear(CONFIG['width'], 2)(torch.ones(1, 8))\n",
        shared="CONFIG = {'width': 4}\ndef change(function):\n    function(CONFIG)\n    return function\n",
        changes=f"import shared\nfrom shared import CONFIG, change\n{body}\n",
    )
    assert trace.failures == ()


def test_a_registry_is_filled_by_decorators(tmp_path):
    trace = traced(
        tmp_path,
        "import torch\nimport nets\nfrom registry import MODELS\nnet = MODELS['small']()\n",
        registry="MODELS = {}\ndef register(name):\n    def keep(cls):\n        MODELS[name] = cls\n        return cls\n    return keep\n",
        nets="from registry import register\nfrom torch import nn\n@register('small')\ndef make():\n    return nn.Linear(2, 2)\n",
    )
    assert drawn(trace) == ["nn.Linear"]


def test_an_attribute_of_a_module_is_assigned(tmp_path):
    main = "import settings\nsettings.HIDDEN = 32\nimport torch\nfrom net import Net\nNet()(torch.ones(5, 8))\n"
    assert traced(tmp_path, main, net=NET, settings=SETTINGS).failures == ()
    wrong = main.replace("32", "16")
    (failure,) = traced(tmp_path, wrong, net=NET, settings=SETTINGS).failures
    assert "5x16 and 32x2" in failure.message


def test_each_arm_finds_the_module_that_another_one_needed_first(tmp_path):
    arms = "if {test}:\n    import nets\n    net = nets.{name}()\n"
    main = "import sys\n" + "el".join(
        arms.format(test=f"sys.argv[1] == '{name}'", name=name) for name in ("one", "two", "three")
    )
    make = "def {0}():\n    return nn.{1}(2, 2)\n"
    nets = "from torch import nn\n" + "".join(
        make.format(*p) for p in (("one", "Linear"), ("two", "Embedding"), ("three", "LSTM"))
    )
    trace = traced(tmp_path, main, nets=nets)
    assert drawn(trace) == ["nn.Linear", "nn.Embedding", "nn.LSTM"]
    assert [len(event.branches) for event in trace.events] == [1, 2, 3]


def test_a_body_that_is_executed_later_is_in_no_loop_arm_or_mode(tmp_path):
    """What its objects were made under is the state of the import."""
    trace = traced(
        tmp_path,
        "import torch, sys\nimport parts\n"
        "with torch.no_grad():\n    for i in range(2):\n        if sys.argv:\n            parts.make()\n"
        "parts.ready().sum().backward()\n",
        parts="import torch\nfrom other import ready\ndef make():\n    pass\n",
        other="import torch\nWEIGHT = torch.ones(2, requires_grad=True) * 2\ndef ready():\n    return WEIGHT\n",
    )
    (backward,) = trace.of("backward")
    assert backward.facts["graph"] is True
    assert trace.failures == ()


def test_names_from_modules_are_the_same_wherever_they_are_bound(tmp_path):
    trace = traced(
        tmp_path,
        "import torch\nfrom pack import Net, make, inner\nimport pack.other as other\n"
        "try:\n    from fast import quick\nexcept ImportError:\n    quick = None\n"
        "make(); inner.make(); other.make(); quick()\nNet()\n",
        pack__init="from .inner import *\nfrom .other import Net\n",
        pack__inner="from torch import nn\nfrom .other import helper\ndef make():\n    return helper()\n",
        pack__other="from torch import nn\nfrom . import inner\ndef helper():\n    return nn.Linear(2, 2)\n"
        "def make():\n    return inner.make()\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.rnn = nn.LSTM(2, 2)\n",
        fast="from torch import nn\ndef quick():\n    return nn.Embedding(2, 2)\n",
    )
    assert drawn(trace) == ["nn.Linear"] * 3 + ["nn.Embedding", "nn.LSTM"]


def test_modules_that_import_a_name_from_each_other(tmp_path):
    trace = traced(
        tmp_path,
        "import torch\nfrom one import name\nname()\ntorch.randn(2)\n",
        one="from two import name\n",
        two="from one import name\n",
    )
    assert drawn(trace) == ["torch.randn"]


def test_a_framework_counts_though_nobody_needs_the_module(tmp_path):
    trace = traced(tmp_path, "import parts\n", parts="import pytorch_lightning as pl\nSIZE = 2\n")
    assert trace.frameworks == {"pytorch_lightning"}
    assert [Path(path).name for path in trace.paths] == ["main.py", "parts.py"]


def test_code_that_can_not_matter_is_cut_short(tmp_path):
    slow = "".join(f"def f{i}():\n    return [f{i - 1}(), f{i - 1}()]\n" for i in range(1, 30))
    slow = f"def f0():\n    return 1\n{slow}"
    main = "import torch\nfrom slow import f29\nf29()\nimport started\n"
    trace = traced(tmp_path, main + LOOP + "train(9)\n", slow=slow, started=f"{slow}\nX = f29()\n")
    assert trace.is_complete
    assert "TM402" in [d.rule.code for d in diagnose(trace)]


def test_what_comes_back_to_the_program_is_not_cut(tmp_path):
    trace = traced(
        tmp_path,
        f"import torch\nfrom timing import timed\n{LOOP}"
        "def work():\n    rows = []\n"
        f"    rows += [{'1, ' * 6000}]\n    train(9)\n    return torch.randn(2)\n"
        "timed(work).backward()\n",
        timing="import time\ndef timed(work):\n    start = time.time()\n    result = work()\n    print(time.time() - start)\n    return result\n",
    )
    assert "TM402" in [d.rule.code for d in diagnose(trace)]
    assert drawn(trace)[-1] == "torch.randn"
