"""A mean teacher on labelled and free inputs, several folds, dropout that stays on for predictions."""

import copy

import lightning as L
import torch
from lightning.pytorch.utilities import CombinedLoader
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class MeanTeacher(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.student = nn.Sequential(
            nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 3)
        )
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.outputs = []

    def training_step(self, batch, batch_idx):
        (inputs, labels), (free,) = batch["labelled"], batch["free"]
        supervised = nn.functional.cross_entropy(self.student(inputs), labels)
        with torch.no_grad():
            wanted = self.teacher(free + 0.1 * torch.randn_like(free)).softmax(1)
        consistency = nn.functional.mse_loss(self.student(free).softmax(1), wanted)
        self.outputs.append(supervised.detach())
        self.log_dict({"supervised": supervised, "consistency": consistency}, on_epoch=True)
        return {"loss": supervised + consistency, "wanted": wanted, "consistency": consistency}

    def on_train_batch_end(self, outputs, batch, batch_idx):
        with torch.no_grad():
            pairs = zip(self.teacher.parameters(), self.student.parameters(), strict=True)
            for teacher, student in pairs:
                teacher.lerp_(student, 0.05)

    def on_train_epoch_end(self):
        self.log("mean", torch.stack(self.outputs).mean())
        self.outputs.clear()

    def validation_step(self, batch, batch_idx):
        inputs, labels = batch
        self.log("teacher_loss", nn.functional.cross_entropy(self.teacher(inputs), labels))
        self.log("student_loss", nn.functional.cross_entropy(self.student(inputs), labels))

    def predict_step(self, batch, batch_idx):
        for module in self.student.modules():
            if isinstance(module, nn.Dropout):
                module.train()
        drawn = [self.student(batch[0]).softmax(1) for _ in range(5)]
        return torch.stack(drawn).mean(0)

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.student.parameters(), lr=0.05, momentum=0.9)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step", "frequency": 2},
        }


for fold in range(2):
    L.seed_everything(fold)
    inputs = torch.randn(160, 8)
    labels = inputs[:, :3].argmax(1)
    labelled = TensorDataset(inputs, labels)
    free = TensorDataset(torch.randn(320, 8))
    loaders = {
        "labelled": DataLoader(labelled, batch_size=16, shuffle=True),
        "free": DataLoader(free, batch_size=32, shuffle=True),
    }
    trainer = L.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = MeanTeacher()
    validation = DataLoader(labelled, batch_size=40)
    trainer.fit(model, CombinedLoader(loaders, "max_size_cycle"), validation)
    trainer.predict(model, DataLoader(TensorDataset(inputs), batch_size=40))
    model.eval()
    with torch.no_grad():
        print(fold, (model.student(inputs).argmax(1) == labels).float().mean().item())
