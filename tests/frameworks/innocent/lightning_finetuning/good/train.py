"""A frozen body that a callback thaws, averaged weights, two groups of parameters, a few batches that are overfitted."""

import lightning as L
import torch
from lightning.pytorch.callbacks import BaseFinetuning, StochasticWeightAveraging
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Thaw(BaseFinetuning):
    def freeze_before_training(self, pl_module):
        self.freeze(pl_module.body, train_bn=False)

    def finetune_function(self, pl_module, epoch, optimizer):
        if epoch == 2:
            self.unfreeze_and_add_param_group(pl_module.body, optimizer, lr=1e-3, train_bn=False)


class Tagger(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(12, 24), nn.BatchNorm1d(24), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(24, 4))
        self.criterion = nn.BCEWithLogitsLoss()

    def step(self, batch):
        features, tags = batch
        return self.criterion(self.head(self.body(features)), tags)

    def training_step(self, batch, batch_idx):
        return self.step(batch)

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.step(batch), on_epoch=True)

    def configure_optimizers(self):
        return torch.optim.Adam((p for p in self.parameters() if p.requires_grad), lr=1e-2)


def loaders():
    features = torch.randn(256, 12)
    tags = (features @ torch.randn(12, 4) > 0).float()
    data = TensorDataset(features, tags)
    return DataLoader(data, 16, shuffle=True), DataLoader(data, 32)


L.seed_everything(4)
quiet = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False}
quiet |= {"enable_progress_bar": False, "enable_model_summary": False}
trainer = L.Trainer(max_epochs=5, callbacks=[Thaw(), StochasticWeightAveraging(1e-2, 3)], **quiet)
trainer.fit(Tagger(), *loaders())

trainer = L.Trainer(max_epochs=20, overfit_batches=2, **quiet)
trainer.fit(Tagger(), *loaders())
