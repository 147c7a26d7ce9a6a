from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class Tagger(nn.Module):
    """One tag for each word of a sentence."""

    def __init__(self, words: int, tags: int, width: int = 16) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.encoder = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, tags)

    def forward(self, sentences: Tensor) -> Tensor:
        encoded, _ = self.encoder(self.embedding(sentences))
        return self.head(encoded)


class Trainer:
    def __init__(self, tagger: Tagger) -> None:
        self.tagger = tagger
        self.averaged = AveragedModel(tagger)
        self.optimizer = torch.optim.Adam(tagger.parameters(), lr=0.03)
        self.snapshot: dict[str, object] = {"accuracy": 0.0}

    def fit(self, sentences: Tensor, tags: Tensor, epochs: int) -> None:
        for epoch in range(epochs):
            self.tagger.train()
            for part in torch.randperm(48).split(12):
                scores = self.tagger(sentences[part])
                loss = nn.functional.cross_entropy(scores.flatten(0, 1), tags[part].flatten())
                self.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.tagger.parameters(), 1.0)
                self.optimizer.step()
            self.averaged.update_parameters(self.tagger)
            accuracy = self.accuracy(sentences[48:], tags[48:])
            if accuracy > self.snapshot["accuracy"]:
                self.remember(epoch, accuracy)
        self.tagger.load_state_dict(self.snapshot["weights"])
        self.optimizer.load_state_dict(self.snapshot["optimizer"])

    def remember(self, epoch: int, accuracy: float) -> None:
        self.snapshot = dict(
            epoch=epoch,
            accuracy=accuracy,
            weights=self.tagger.state_dict(),
            optimizer=deepcopy(self.optimizer.state_dict()),
        )

    @torch.no_grad()
    def accuracy(self, sentences: Tensor, tags: Tensor) -> float:
        self.tagger.eval()
        return (self.tagger(sentences).argmax(dim=-1) == tags).float().mean().item()


def main() -> None:
    torch.manual_seed(2)
    sentences = torch.randint(40, (64, 7))
    noise = torch.randint(4, (64, 7))
    tags = torch.where(torch.rand(64, 7) < 0.4, noise, sentences % 4)
    trainer = Trainer(Tagger(words=40, tags=4))
    trainer.fit(sentences, tags, epochs=14)
    print(trainer.snapshot["epoch"], trainer.accuracy(sentences[48:], tags[48:]))


main()
