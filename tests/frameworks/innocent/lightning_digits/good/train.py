"""A classifier with everything a Trainer offers: accumulation, clipping, bfloat16, early stopping, checkpoints, test, predict."""

import tempfile

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class Digits(L.LightningDataModule):
    def __init__(self, batch_size: int = 16):
        super().__init__()
        self.batch_size = batch_size

    def setup(self, stage=None):
        generator = torch.Generator().manual_seed(3)
        images = torch.randn(480, 1, 8, 8, generator=generator)
        labels = (images.mean(dim=(1, 2, 3)) * 20).long().clamp(-2, 2) + 2
        whole = TensorDataset(images, labels)
        self.train_set, self.val_set, self.test_set = random_split(
            whole, [320, 80, 80], generator=generator
        )

    def train_dataloader(self):
        return DataLoader(self.train_set, batch_size=self.batch_size, shuffle=True, drop_last=True)

    def val_dataloader(self):
        return DataLoader(self.val_set, batch_size=self.batch_size)

    def test_dataloader(self):
        return DataLoader(self.test_set, batch_size=self.batch_size)

    def predict_dataloader(self):
        return DataLoader(self.test_set, batch_size=self.batch_size)


class Classifier(L.LightningModule):
    def __init__(self, lr: float = 3e-3):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(8 * 8 * 8, 5),
        )
        self.seen = []

    def forward(self, images):
        return self.net(images)

    def training_step(self, batch, batch_idx):
        images, labels = batch
        loss = F.cross_entropy(self(images), labels)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch, batch_idx):
        images, labels = batch
        logits = self(images)
        self.seen.append((logits.argmax(1) == labels).float().mean())
        self.log("val_loss", F.cross_entropy(logits, labels))

    def on_validation_epoch_end(self):
        self.log("val_accuracy", torch.stack(self.seen).mean())
        self.seen.clear()

    def test_step(self, batch, batch_idx):
        images, labels = batch
        self.log("test_accuracy", (self(images).argmax(1) == labels).float().mean())

    def predict_step(self, batch, batch_idx):
        return self(batch[0]).softmax(1)

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=self.hparams.lr, total_steps=self.trainer.estimated_stepping_batches
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def main():
    L.seed_everything(0)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = ModelCheckpoint(folder, monitor="val_loss")
        trainer = L.Trainer(
            max_epochs=4,
            accelerator="cpu",
            precision="bf16-mixed",
            accumulate_grad_batches=2,
            gradient_clip_val=1.0,
            callbacks=[
                EarlyStopping("val_loss", patience=3),
                checkpoint,
                LearningRateMonitor("step"),
            ],
            logger=CSVLogger(folder),
            log_every_n_steps=5,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        data = Digits()
        trainer.fit(Classifier(), datamodule=data)
        trainer.validate(ckpt_path="best", datamodule=data)
        trainer.test(ckpt_path="best", datamodule=data)
        predicted = trainer.predict(ckpt_path="best", datamodule=data)
    print(len(predicted), "batches")


if __name__ == "__main__":
    main()
