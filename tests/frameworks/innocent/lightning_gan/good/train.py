"""Manual optimization: two optimizers in one training step, and a schedule that the module steps itself."""

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

LATENT = 8


class Gan(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.generator = nn.Sequential(
            nn.Linear(LATENT, 32), nn.ReLU(), nn.Linear(32, 16), nn.Tanh()
        )
        self.critic = nn.Sequential(nn.Linear(16, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))

    def forward(self, noise):
        return self.generator(noise)

    def judged(self, samples, is_real: bool):
        scores = self.critic(samples)
        target = torch.full_like(scores, float(is_real))
        return F.binary_cross_entropy_with_logits(scores, target)

    def training_step(self, batch, batch_idx):
        (real,) = batch
        for_generator, for_critic = self.optimizers()
        noise = torch.randn(real.shape[0], LATENT, device=self.device)

        self.toggle_optimizer(for_generator)
        loss = self.judged(self(noise), is_real=True)
        for_generator.zero_grad()
        self.manual_backward(loss)
        self.clip_gradients(for_generator, gradient_clip_val=1.0, gradient_clip_algorithm="norm")
        for_generator.step()
        self.untoggle_optimizer(for_generator)

        self.toggle_optimizer(for_critic)
        fake = self(noise).detach()
        loss = (self.judged(real, is_real=True) + self.judged(fake, is_real=False)) / 2
        for_critic.zero_grad()
        self.manual_backward(loss)
        for_critic.step()
        self.untoggle_optimizer(for_critic)

    def on_train_epoch_end(self):
        for scheduler in self.lr_schedulers():
            scheduler.step()

    def configure_optimizers(self):
        optimizers = [
            torch.optim.Adam(part.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for part in (self.generator, self.critic)
        ]
        return optimizers, [torch.optim.lr_scheduler.StepLR(o, 2) for o in optimizers]


pl.seed_everything(1)
circle = torch.randn(256, 16).tanh()
loader = DataLoader(TensorDataset(circle), batch_size=16, shuffle=True, num_workers=0)
trainer = pl.Trainer(
    max_epochs=3,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(Gan(), loader)
