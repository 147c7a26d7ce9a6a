"""`torchmedic.seed_everything`: two runs draw the same numbers, in the program and in the workers of its loaders."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from torchmedic.seeding import LARGEST_SEED, seed_everything, seed_worker

ROOT = Path(__file__).parent.parent
DRAW = """
import random

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from torchmedic import seed_everything


class Noisy(Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, index):
        return index, random.random(), float(np.random.rand()), torch.rand(()).item()


if __name__ == "__main__":
    seeded = seed_everything({seed})
    print(random.random(), np.random.rand(), torch.rand(3).tolist(), torch.nn.Linear(2, 2).weight.tolist())
    loader = DataLoader(Noisy(), batch_size=3, shuffle=True, num_workers={workers}, **seeded{context})
    for epoch in range(2):
        for batch in loader:
            print([part.tolist() for part in batch])
"""


def python(code, *options, **variables):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}
    done = subprocess.run(
        [sys.executable, *options, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def drawn(tmp_path, seed, workers, context=""):
    path = tmp_path / "draw.py"
    path.write_text(DRAW.format(seed=seed, workers=workers, context=context))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(path)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("workers", [0, 2])
def test_two_runs_draw_the_same_numbers(tmp_path, workers):
    first = drawn(tmp_path, 7, workers)
    assert len(first) == 1 + 2 * 4
    assert first == drawn(tmp_path, 7, workers)


def test_other_seeds_epochs_and_workers_draw_others(tmp_path):
    first, other = drawn(tmp_path, 7, 2), drawn(tmp_path, 8, 2)
    assert not set(first) & set(other)
    assert len(set(first)) == len(first)


def test_spawned_workers_take_it(tmp_path):
    spawned = drawn(tmp_path, 7, 1, ", multiprocessing_context='spawn'")
    assert spawned == drawn(tmp_path, 7, 1)


def test_the_worker_function_can_be_sent_to_a_process():
    assert pickle.loads(pickle.dumps(seed_worker)) is seed_worker


def test_what_it_returns_is_for_a_loader():
    seeded = seed_everything(3)
    assert dict(**seeded) == {
        "worker_init_fn": seeded.worker_init_fn,
        "generator": seeded.generator,
    }
    assert seeded.seed == seeded.generator.initial_seed() == 3
    with pytest.raises(KeyError):
        seeded["seed"]


def test_the_order_of_batches_does_not_depend_on_other_draws():
    import torch

    one = torch.randperm(10, generator=seed_everything(5).generator)
    seeded = seed_everything(5)
    torch.rand(100)
    assert torch.equal(one, torch.randperm(10, generator=seeded.generator))


@pytest.mark.parametrize("seed", [0, LARGEST_SEED])
def test_the_smallest_and_the_largest_seed(seed):
    assert seed_everything(seed).seed == seed


def test_integers_of_numpy_are_integers():
    import numpy

    assert type(seed_everything(numpy.int64(4)).seed) is int


@pytest.mark.parametrize(
    ("seed", "error", "said"),
    [
        (-1, ValueError, "not -1"),
        (LARGEST_SEED + 1, ValueError, str(LARGEST_SEED + 1)),
        (1.5, TypeError, "not float"),
        ("7", TypeError, "not str"),
        (None, TypeError, "not NoneType"),
        (True, TypeError, "not bool"),
    ],
)
def test_what_is_no_seed_is_refused_before_anything_is_seeded(seed, error, said):
    import random

    before = random.getstate()
    with pytest.raises(error, match=said):
        seed_everything(seed)
    assert random.getstate() == before


STATE = """
import os
import torch
from torchmedic import seed_everything
seed_everything(1{deterministic})
print(torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic,
      torch.backends.cudnn.benchmark, os.environ.get("CUBLAS_WORKSPACE_CONFIG"))
"""


def test_deterministic_switches_everything():
    code = "import torch; torch.backends.cudnn.benchmark = True\n"
    code += STATE.format(deterministic=", deterministic=True")
    assert python(code).split() == ["True", "True", "False", ":4096:8"]


def test_what_the_user_chose_for_cublas_stays():
    code = STATE.format(deterministic=", deterministic=True")
    assert python(code, CUBLAS_WORKSPACE_CONFIG=":16:8").split()[-1] == ":16:8"


def test_without_deterministic_the_settings_stay():
    code = "import torch; torch.backends.cudnn.benchmark = True\n" + STATE.format(deterministic="")
    assert python(code).split() == ["False", "False", "True", "None"]


def test_too_late_for_cublas_is_told(monkeypatch):
    import torch

    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    try:
        with pytest.warns(RuntimeWarning, match="too late") as told:
            seed_everything(1, deterministic=True)
        assert told[0].filename == __file__
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.deterministic = False


def test_it_works_without_numpy():
    code = """
import sys
sys.modules["numpy"] = None
import random, warnings
warnings.simplefilter("ignore")
from torchmedic import seed_everything
from torchmedic.seeding import seed_worker
import torch
numbers = []
for _ in range(2):
    seed_everything(5)
    numbers.append((random.random(), torch.rand(()).item()))
seed_worker(0)
print(numbers[0] == numbers[1])
"""
    assert python(code).strip() == "True"


def test_numpy_is_seeded_even_if_the_program_imports_it_later():
    code = """
from torchmedic import seed_everything
seed_everything(5)
import numpy
print(numpy.random.rand())
"""
    assert python(code) == python(code)


def test_the_package_gives_it_without_importing_torch():
    code = """
import sys, torchmedic
torchmedic.seed_everything
print("torch" in sys.modules, hasattr(torchmedic, "no_such_thing"))
"""
    assert python(code).split() == ["False", "False"]
