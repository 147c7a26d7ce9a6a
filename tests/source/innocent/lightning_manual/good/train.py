import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Classifier(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 2))
        self.outputs = []

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        return nn.functional.cross_entropy(self(x), y)

    def validation_step(self, batch, batch_idx):
        x, y = batch
        scores = self(x)
        self.outputs.append((scores.argmax(dim=1) == y).float().mean())
        self.log("val_loss", nn.functional.cross_entropy(scores, y))

    def on_validation_epoch_end(self):
        self.log("val_acc", torch.stack(self.outputs).mean())
        self.outputs.clear()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)


data = TensorDataset(torch.randn(64, 8), torch.randint(0, 2, (64,)))
trainer = L.Trainer(max_epochs=2)
trainer.fit(Classifier(), DataLoader(data, batch_size=16), DataLoader(data, batch_size=16))
