import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Slope(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.line = nn.Linear(8, 1)

    def training_step(self, batch, batch_idx):
        inputs, targets = batch
        loss = nn.functional.mse_loss(self.line(inputs), targets)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=3.0)


L.seed_everything(1)
inputs = torch.randn(320, 8)
targets = inputs.sum(1, keepdim=True) + 0.1 * torch.randn(320, 1)
trainer = L.Trainer(
    max_epochs=2,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
loader = DataLoader(TensorDataset(inputs, targets), batch_size=16, shuffle=True)
trainer.fit(Slope(), train_dataloaders=loader)
print(trainer.callback_metrics["loss"])
