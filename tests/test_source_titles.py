"""Titles and keywords of findings from the source: they name what stands in the line that a reader looks at."""

from __future__ import annotations

from textwrap import dedent

import pytest

from torchmedic.abstract import execute
from torchmedic.engine import diagnose
from torchmedic.model import Diagnosis
from torchmedic.observed import Source

SHAPES = """
    import torch
    from torch import nn

    model = nn.Linear(3, 2)
    loss = nn.functional.mse_loss(model(torch.randn(6, 3)), torch.randn(6))
"""
WHOLE = """
    import torch
    from torch import nn

    model = nn.Linear(3, 1)
    answers = torch.randint(0, 2, (6, 1))
    loss = nn.functional.binary_cross_entropy_with_logits(model(torch.randn(6, 3)), answers)
"""
SCHEDULER = """
    import torch
    from torch import nn

    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    scheduler.step()
"""
MODE = """
    from contextlib import contextmanager

    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset


    @contextmanager
    def evaluating(net):
        net.eval()
        with torch.no_grad():
            yield


    torch.manual_seed(0)
    inputs, labels = torch.randn(96, 8), torch.randint(0, 3, (96,))
    train_loader = DataLoader(TensorDataset(inputs[:64], labels[:64]), batch_size=16)
    val_loader = DataLoader(TensorDataset(inputs[64:], labels[64:]), batch_size=16)
    classifier = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(classifier.parameters())
    for epoch in range(3):
        for batch, target in train_loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(classifier(batch), target).backward()
            optimizer.step()
        correct = 0
        with evaluating(classifier):
            for batch, target in val_loader:
                correct += (classifier(batch).argmax(dim=1) == target).sum().item()
        print(epoch, correct / 32)
"""


def found(text: str) -> Diagnosis:
    [diagnosis] = diagnose(execute(Source(dedent(text).lstrip(), "train.py")))
    return diagnosis


@pytest.mark.parametrize(
    ("text", "code", "title", "korean"),
    [
        (SHAPES, "TM318", "the target is (6,), but the prediction is (6, 2)", "(6, 2)"),
        (WHOLE, "TM103", "the target is int64, the prediction float32", "int64 정답이 float32 예측과"),
        (SCHEDULER, "TM327", "`step()` is called without the value", "지켜볼 값 없이 `step()`"),
        (MODE, "TM405", "line 24 goes on training `classifier` in evaluation mode", "`classifier` 모델"),
    ],
)  # fmt: skip
def test_title_names_what_is_there(text, code, title, korean):
    diagnosis = found(text)
    assert diagnosis.rule.code == code
    assert title in diagnosis.title("en")
    assert korean in diagnosis.title("ko")


def test_a_form_has_keywords_of_its_own():
    text = """
    import torch
    from torch import nn

    features = nn.Sequential({layers})
    print(features(torch.randn(2, 3, 8, 8)).shape)
    """
    convolution = found(text.format(layers="nn.Conv2d(3, 8, 3), nn.Conv2d(4, 2, 3)"))
    norm = found(text.format(layers="nn.Conv2d(3, 8, 3), nn.BatchNorm2d(4)"))
    assert {convolution.rule.code, norm.rule.code} == {"TM201"}
    assert not any("running_mean" in words for words in convolution.search)
    assert any("running_mean" in words for words in norm.search)
    assert any("ConvTranspose2d" in link for link in convolution.links)
    assert set(convolution.search) | set(norm.search) <= set(norm.rule.all_search)
    assert set(convolution.links) | set(norm.links) <= set(norm.rule.all_links)
