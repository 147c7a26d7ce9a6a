"""Random generators that datasets hold, and whether `__getitem__` certainly draws from one."""

from __future__ import annotations

import random
import sys
import types
from pathlib import Path
from textwrap import indent

import pytest
import torch
from torch.utils.data import Dataset

from torchmedic.model import Span
from torchmedic.observed import Value
from torchmedic.probes.observer import loaders
from torchmedic.rules._draws import methods_of, use_in_items

VALUES = {
    "train": Value("bool", constant=True),
    "quiet": Value("bool", constant=False),
    "split": Value("str", constant="train"),
    "level": Value("float", constant=0.5),
    "transform": Value("NoneType"),
}
CERTAIN = (
    "return self.rng.random()",
    "x = 1\nreturn x + self.rng.random()",
    "rng = self.rng\nreturn rng.random()",
    "return torch.rand(3, generator=self.rng)",
    "if self.train:\n    return self.rng.random()\nreturn 0",
    "if self.quiet:\n    return 0\nreturn self.rng.random()",
    "if self.transform is not None:\n    return 0\nreturn self.rng.random()",
    "if self.split == 'train' and not self.quiet:\n    index += self.rng.random()\nreturn index",
    "if self.level > 0:\n    index += self.rng.random()\nreturn index",
    "if self.rng.random() < 0.5:\n    return 1\nreturn 0",
    "return [self.rng.random() for _ in range(3)]",
    "for _ in range(3):\n    index += self.rng.random()\nreturn index",
    "return self.other(index)",
    "return self.rng.random() if self.train else 0",
)
UNCERTAIN = (
    "return 0",
    "if index > 3:\n    return 0\nreturn self.rng.random()",
    "if index > 3:\n    index += self.rng.random()\nreturn index",
    "if self.quiet:\n    return self.rng.random()\nreturn 0",
    "if self.unknown:\n    return self.rng.random()\nreturn 0",
    "return self.rng.random() if self.quiet else 0",
    "return index and self.rng.random()",
    "return lambda: self.rng.random()",
    "return 0\nreturn self.rng.random()",
    "self.rng.seed(index)\nreturn self.rng.random()",
    "self.rng = random.Random(index)\nreturn self.rng.random()",
    "if get_worker_info() is None:\n    return 0\nreturn self.rng.random()",
    "if self.rng is None:\n    return 0\nreturn 1",
    "if self.transform is None:\n    self.transform = self.rng.random()\nreturn self.transform",
    "if not self.quiet:\n    self.quiet = self.rng.random()\nreturn self.quiet",
    "try:\n    return self.kept[index]\nexcept KeyError:\n    return self.rng.random()",
    "if self.kept[index]:\n    return 0\nreturn self.rng.random()",
)


def use(body: str, folder: Path):
    path = folder / "data.py"
    text = "class Items:\n    def __init__(self, rng):\n        self.rng = rng\n"
    text += "    def other(self, index):\n        return self.rng.random()\n" * ("other" in body)
    text += f"    def __getitem__(self, index):\n{indent(body, ' ' * 8)}\n"
    path.write_text(text, encoding="utf-8")
    return use_in_items(methods_of(Span(str(path), 1)), "rng", VALUES)


@pytest.mark.parametrize("body", CERTAIN)
def test_what_every_item_does_is_a_use(body, tmp_path):
    found = use(body, tmp_path)
    assert found is not None and found.made_at and found.made_at.line == 3


@pytest.mark.parametrize("body", UNCERTAIN)
def test_what_may_not_happen_is_none(body, tmp_path):
    assert use(body, tmp_path) is None


class Holding(Dataset):
    def __init__(self, **held: object) -> None:
        self.__dict__ |= held

    def __getitem__(self, index):
        raise AssertionError("an item was asked for")


def test_generators_of_its_own_are_noted():
    numpy = pytest.importorskip("numpy")

    class Own(random.Random):
        pass

    held = {
        "python": random.Random(0),
        "torch": torch.Generator(),
        "legacy": numpy.random.RandomState(0),
        "numpy": numpy.random.default_rng(0),
        "shared": torch.default_generator,
        "module": numpy.random,
        "global": numpy.random.mtrand._rand,
        "hidden": random._inst,
        "system": random.SystemRandom(),
        "own": Own(0),
        "generator": types.SimpleNamespace(),
    }
    before = held["python"].getstate()
    found = loaders._Dataset(Holding(**held), sys.modules["torch.utils.data"]).told()
    assert found.generators == ("python", "torch", "legacy", "numpy")
    assert held["python"].getstate() == before
