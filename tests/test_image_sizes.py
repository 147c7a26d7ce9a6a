"""Sizes of pictures from files: known where the program resizes them, and some `in_features` fit no picture at all."""

from __future__ import annotations

import pytest

from torchmedic.abstract import execute
from torchmedic.engine import diagnose
from torchmedic.observed import load

PROGRAM = """
import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

transform = transforms.Compose([{steps}transforms.ToTensor()])
train_set = datasets.ImageFolder("data/train", transform=transform)
loader = DataLoader(train_set, batch_size=32, shuffle=True)


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.MaxPool2d(2)
        )
        self.fc = nn.Linear({features}, classes)

    def forward(self, x):
        x = self.features(x)
        return self.fc({flat})


torch.manual_seed(0)
model = Net(len(train_set.classes))
optimizer = torch.optim.Adam(model.parameters())
for images, labels in loader:
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()
"""
FLAT = ("x.view(x.size(0), -1)", "torch.flatten(x, 1)", "x.flatten(1)", "x.reshape(len(x), -1)")
NEVER = "`Linear` has in_features={}, no multiple of the 32 channels"


def titles(tmp_path, steps: str, features: str, flat: str = FLAT[0]) -> list[str]:
    path = tmp_path / "train.py"
    path.write_text(PROGRAM.format(steps=steps, features=features, flat=flat), "utf-8")
    source = load(str(path))
    assert source is not None
    return [f"{d.rule.code} {d.title('en')}" for d in diagnose(execute(source))]


@pytest.mark.parametrize(
    "steps",
    [
        "transforms.Resize((64, 64)), ",
        "transforms.Resize(96), transforms.CenterCrop(64), ",
        "transforms.RandomResizedCrop(64), transforms.RandomHorizontalFlip(), ",
        "transforms.Resize(80), transforms.RandomCrop(64), ",
    ],
)
def test_resized_pictures_have_a_known_size(steps, tmp_path):
    wrong = "TM201 `Linear` has in_features=8192, but 5408 features arrive"
    assert titles(tmp_path, steps, "32 * 16 * 16") == [wrong]
    assert titles(tmp_path, steps, "32 * 13 * 13") == []


@pytest.mark.parametrize("flat", FLAT)
def test_no_picture_fits_what_the_channels_do_not_divide(flat, tmp_path):
    assert titles(tmp_path, "", "1601", flat) == ["TM201 " + NEVER.format(1601)]
    # 1600 = 32 * 5 * 10: a picture that isn't square fits.
    assert titles(tmp_path, "", "1600", flat) == []
    assert titles(tmp_path, "transforms.Resize(64), ", "32 * 13 * 15", flat) == []


def test_pytorch_agrees_for_every_size():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    body = nn.Sequential(nn.Conv2d(3, 16, 5), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5))
    body.append(nn.MaxPool2d(2))
    arriving = {
        body(torch.zeros(1, 3, height, width)).flatten(1).shape[1]
        for height in range(16, 48, 3)
        for width in range(16, 48, 3)
    }
    assert len(arriving) > 10
    assert all(features % 32 == 0 for features in arriving)
