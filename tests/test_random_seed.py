"""TM401 in the source: which programs owe a seed, what they draw without one, and what mends them."""

from __future__ import annotations

import ast
from textwrap import dedent, indent

import pytest

from torchmedic.abstract import execute
from torchmedic.engine import diagnose
from torchmedic.fix.patch import apply_edits
from torchmedic.observed import Source
from torchmedic.rules import RULES

RULE = RULES["TM401"]
LOOP = """
model = nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(3):
    optimizer.zero_grad()
    loss = model(torch.ones(4, 2)).pow(2).mean()
    loss.backward()
    optimizer.step()
"""
IMPORTS = "import torch\nfrom torch import nn\n"


def found(program, path="train.py"):
    return [d for d in diagnose(execute(Source(program, str(path)))) if d.rule is RULE]


def only(program, path="train.py"):
    [diagnosis] = found(program, path)
    return diagnosis


def mended(program, number=0):
    diagnosis = only(program)
    result = apply_edits(program, diagnosis.fixes[number].edits)
    ast.parse(result)
    assert found(result) == [], result
    return result


@pytest.mark.parametrize(
    "before",
    [
        "torch.manual_seed(0)",
        "torch.random.manual_seed(0)",
        "from utils import seed_everything\nseed_everything(1)",
        "import utils\nutils.set_random_seed(args)",
        "import tools\ntools.make_deterministic()",
        "import project\nproject.setup(args)",
        "from lightning import seed_everything\nseed_everything(1)",
        "from transformers import set_seed\nset_seed(1)",
        "from monai.utils import set_determinism\nset_determinism(seed=0)",
        "import torchmedic\ntorchmedic.seed_everything(0)",
        "import pytest",
        "import hydra",
        "SEED = None\nif SEED is not None:\n    torch.manual_seed(SEED)",
        "# torch.manual_seed(1)  # for the same numbers in every run",
        "def fix(seed):\n    torch.manual_seed(seed)\n\n\nfix(3)",
    ],
)
def test_who_seeds_or_chose_not_to_is_left_alone(before):
    assert found(f"{IMPORTS}{before}\n{LOOP}") == []


@pytest.mark.parametrize(
    "program",
    [
        f"{IMPORTS}\n\ndef train():\n{indent(LOOP, '    ')}",  # a library: nothing is started
        f"{IMPORTS}{LOOP.replace('loss.backward()', 'print(loss)')}",
        f"{IMPORTS}{LOOP.replace('    optimizer.step()', '    pass')}",
        f"{IMPORTS}{LOOP.replace('for epoch in range(3):', 'if True:')}",  # one step is no training
    ],
)
def test_who_does_not_train_owes_no_seed(program):
    assert found(program) == []


@pytest.mark.parametrize("name", ["test_train.py", "train_test.py", "conftest.py", "benchmark.py"])
def test_tests_and_benchmarks_owe_none(name):
    assert found(IMPORTS + LOOP) and not found(IMPORTS + LOOP, name)


def test_weights_that_an_unseen_model_draws_are_not_claimed():
    program = IMPORTS + "from zoo import Net\n" + LOOP.replace("nn.Linear(2, 1)", "Net()")
    assert found(program) == []


DATA = """
import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Noisy(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.full((2,), {draw})


if __name__ == "__main__":
    {seed}
    loader = DataLoader(Noisy(), batch_size=4{more})
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(3):
        for x in loader:
            optimizer.zero_grad()
            model(x).pow(2).mean().backward()
            optimizer.step()
"""


@pytest.mark.parametrize(
    ("draw", "seed", "more", "unseeded"),
    [
        ("random.random()", "torch.manual_seed(0)", "", "Python's `random`"),
        ("np.random.rand()", "torch.manual_seed(0)", "", "NumPy"),
        ("1.0", "random.seed(0)", "", "torch"),
        ("1.0", "torch.cuda.manual_seed_all(0)", "", "torch"),
        ("random.random()", "torch.manual_seed(0)", ", num_workers=2", None),
        ("np.random.rand()", "torch.manual_seed(0)", ", num_workers=2", None),
        ("random.random()", "random.seed(0); torch.manual_seed(0)", "", None),
        ("random.Random(index).random()", "torch.manual_seed(0)", "", None),
        ("np.random.default_rng(index).random()", "torch.manual_seed(0)", "", None),
    ],
)
def test_only_some_generators_are_seeded(draw, seed, more, unseeded):
    program = DATA.format(draw=draw, seed=seed, more=more)
    if unseeded is None:
        assert found(program) == []
        return
    diagnosis = only(program)
    assert diagnosis.variant is RULE.variant("partly")
    assert diagnosis.facts["unseeded"] == unseeded
    assert seed in program.splitlines()[diagnosis.at.line - 1]


def test_the_missing_seed_goes_beside_the_one_that_is_there():
    program = DATA.format(draw="np.random.rand()", seed="torch.manual_seed(7)", more="")
    assert "    torch.manual_seed(7)\n    np.random.seed(7)\n" in mended(program)


def test_what_does_not_touch_training_needs_no_seed():
    port = "import random\nport = random.randint(20000, 30000)\ntorch.manual_seed(0)\n"
    assert found(IMPORTS + port + LOOP) == []
    pictures = "\nimport numpy as np\nprint(np.random.permutation(4))\n"
    assert found(IMPORTS + "torch.manual_seed(0)\n" + LOOP + pictures) == []


@pytest.mark.parametrize(
    ("split", "is_found"),
    [
        ("train_test_split(range(9))", True),
        ("train_test_split(range(9), random_state=0)", False),
        ("train_test_split(range(9), shuffle=False)", False),
    ],
)
def test_scikit_learn_draws_from_numpy(split, is_found):
    program = f"{IMPORTS}from sklearn.model_selection import train_test_split\n\ntorch.manual_seed(0)\ntrain, test = {split}\n{LOOP}"
    assert bool(found(program)) is is_found
    if is_found:
        assert "import numpy\n" in mended(program)


def test_a_generator_of_its_own_is_no_global_draw():
    program = """
    import torch
    from zoo import Net
    from torch.utils.data import DataLoader, random_split

    own = torch.Generator().manual_seed(0)
    train, test = random_split(range(10), [8, 2], generator=own)
    loader = DataLoader(train, shuffle=True, generator=own)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x in loader:
        optimizer.zero_grad()
        model(x + torch.rand(1, generator=own)).mean().backward()
        optimizer.step()
    """
    assert found(dedent(program)) == []
    assert found(dedent(program).replace("shuffle=True, generator=own", "shuffle=True"))


def test_a_seed_after_the_weights_is_late_and_moves_up():
    late = LOOP.replace("optimizer =", "torch.manual_seed(0)\noptimizer =", 1)
    diagnosis = only(IMPORTS + late)
    assert diagnosis.variant is RULE.variant("late")
    assert mended(IMPORTS + late) == IMPORTS + LOOP.replace("model =", "torch.manual_seed(0)\nmodel =", 1)  # fmt: skip


@pytest.mark.parametrize(
    "after",
    ["model.load_state_dict(torch.load('a.pt'))", "nn.init.zeros_(model.weight)", "model.apply(draw)"],
)  # fmt: skip
def test_weights_that_are_set_after_the_seed_are_not_late(after):
    assert found(IMPORTS + LOOP.replace("optimizer =", f"torch.manual_seed(0)\n{after}\noptimizer =", 1)) == []  # fmt: skip


def test_seeds_of_a_loop_over_seeds_are_not_late():
    program = f"{IMPORTS}first = nn.Linear(2, 1)\nfor seed in range(3):\n    torch.manual_seed(seed)\n{indent(LOOP, '    ')}"
    assert found(program) == []


def test_main_gets_the_call_where_it_begins():
    program = (
        f"{IMPORTS}\n\ndef main():\n    # the model\n{indent(LOOP.strip(), '    ')}\n\n\nmain()\n"
    )
    diagnosis = only(program)
    assert "model = nn.Linear" in program.splitlines()[diagnosis.at.line - 1]
    assert "def main():\n    seed_everything(0)\n    # the model\n" in mended(program)


def test_a_docstring_stays_first():
    program = (
        f'{IMPORTS}\n\ndef main():\n    """Train."""\n{indent(LOOP.strip(), "    ")}\n\n\nmain()\n'
    )
    assert '    """Train."""\n    seed_everything(0)\n' in mended(program)


def test_the_option_that_is_never_read_is_used():
    program = f"""import argparse

{IMPORTS}

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
{indent(LOOP.strip(), "    ")}


if __name__ == "__main__":
    main()
"""
    assert "    args = parser.parse_args()\n    seed_everything(args.seed)\n" in mended(program)


def test_the_constant_that_is_never_read_is_used():
    assert "SEED = 5\nseed_everything(SEED)\n" in mended(f"{IMPORTS}\nSEED = 5\n{LOOP}")


def test_the_users_own_function_is_called():
    own = "\n\ndef set_seed(seed):\n    torch.manual_seed(seed)\n\n\n"
    program = f"{IMPORTS}{own}def main():\n{indent(LOOP.strip(), '    ')}\n\n\nmain()\n"
    result = mended(program)
    assert "def main():\n    set_seed(0)\n" in result and "torchmedic" not in result


def test_the_function_can_be_written_out():
    program = "import numpy as np\n" + IMPORTS + LOOP
    result = mended(program, 1)
    assert "torchmedic" not in result
    assert (
        "\n\ndef seed_everything(seed: int) -> None:\n    random.seed(seed)\n    np.random.seed(seed)\n"
        "    torch.manual_seed(seed)\n\n\nseed_everything(0)\n" in result
    )
    assert result.startswith("import random\nimport numpy as np\n")


def test_windows_line_ends_stay():
    program = (IMPORTS + LOOP).replace("\n", "\r\n")
    for fix in only(program).fixes:
        result = apply_edits(program, fix.edits)
        assert result.count("\n") == result.count("\r\n")


def test_a_name_that_is_taken_is_not_taken_again():
    program = f"{IMPORTS}seed_everything = 3\n{LOOP}"
    assert only(program).fixes == ()


def test_a_model_in_another_file_is_reported_in_the_script(tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\ndef make():\n    return nn.Linear(2, 1)\n"
    )
    program = (
        IMPORTS + "from net import make\n" + LOOP.replace("model = nn.Linear(2, 1)", "model = make()")
    )  # fmt: skip
    path = tmp_path / "train.py"
    path.write_text(program)
    diagnosis = only(program, path)
    assert (
        diagnosis.at.path == str(path) and "make()" in program.splitlines()[diagnosis.at.line - 1]
    )
    assert diagnosis.evidence[0].at.path.endswith("net.py")


def test_a_seed_in_another_file_is_followed(tmp_path):
    (tmp_path / "util.py").write_text("import torch\n\n\ndef begin(n):\n    torch.manual_seed(n)\n")
    program = IMPORTS + "from util import begin\nbegin(3)\n" + LOOP
    path = tmp_path / "train.py"
    path.write_text(program)
    assert found(program, path) == []


def test_draws_in_an_arm_that_may_not_run_are_not_claimed():
    program = IMPORTS + "import sys\nfrom zoo import Net\n" + LOOP.replace(
        "model = nn.Linear(2, 1)",
        "model = Net()\nif len(sys.argv) > 1:\n    model = nn.Linear(2, 1)",
    )  # fmt: skip
    assert found(program) == []
