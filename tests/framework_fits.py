"""Small trainings with the Trainers of Lightning and transformers, whose module takes the softmax twice."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
import warnings
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

INSTALL = "pip install -r requirements/frameworks.txt"


def needs(package: str) -> pytest.MarkDecorator:
    is_missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(is_missing, reason=f"{package} is not installed: {INSTALL}")


@contextmanager
def quiet():
    names = ("lightning.pytorch", "pytorch_lightning", "lightning.fabric", "transformers")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    if "accelerate.state" in sys.modules:  # one of each for a process
        sys.modules["accelerate.state"].AcceleratorState._reset_state(True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def data(size=160):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(size, 4, generator=generator)
    return inputs, (inputs.sum(1) > 0).long() + (inputs[:, 0] > 1).long()


class Boom(Exception):
    pass


class Lightning:
    """A fit of Lightning whose module takes the softmax twice."""

    package = "lightning.pytorch"
    name = "torchmedic.lightning"

    def __init__(self, *callbacks, fails_at=0, package=None):
        pl = importlib.import_module(package or self.package)
        pl.seed_everything(0, verbose=False)
        self.model = self.module(pl)(fails_at)
        self.trainer = pl.Trainer(
            max_epochs=2,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=list(callbacks),
        )

    @staticmethod
    def module(pl):
        class Net(pl.LightningModule):
            def __init__(self, fails_at):
                super().__init__()
                self.net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Linear(8, 3))
                self.fails_at = fails_at

            def training_step(self, batch, batch_idx):
                inputs, labels = batch
                if self.global_step == self.fails_at > 0:
                    raise Boom
                probabilities = self.net(inputs).softmax(1)
                return nn.functional.cross_entropy(probabilities, labels)

            def configure_optimizers(self):
                return torch.optim.Adam(self.parameters(), lr=0.01)

        return Net

    def fit(self):
        loader = DataLoader(TensorDataset(*data()), batch_size=8, shuffle=True)
        self.trainer.fit(self.model, loader)


class Detector(nn.Module):
    def __init__(self, fails_at):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Linear(8, 3))
        self.fails_at = fails_at
        self.calls = 0

    def forward(self, inputs, labels=None):
        self.calls += 1
        if self.calls == self.fails_at > 0:
            raise Boom
        probabilities = self.net(inputs).softmax(1)
        return {"loss": nn.functional.cross_entropy(probabilities, labels), "logits": probabilities}


class Transformers:
    """A training of transformers whose module takes the softmax twice."""

    name = "torchmedic.transformers"

    def __init__(self, *callbacks, fails_at=0):
        import tempfile

        from transformers import Trainer, TrainingArguments, set_seed

        set_seed(0)
        self.model = Detector(fails_at)
        inputs, labels = data()
        self.trainer = Trainer(
            self.model,
            TrainingArguments(
                tempfile.gettempdir(),
                num_train_epochs=2,
                per_device_train_batch_size=8,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
            ),
            train_dataset=[{"inputs": a, "labels": b} for a, b in zip(inputs, labels, strict=True)],
            callbacks=list(callbacks),
        )

    def fit(self):
        self.trainer.train()
