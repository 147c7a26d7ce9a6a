from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class TextureNet(nn.Module, ABC):
    """Backbone + head. Subclasses say how the backbone looks and how wide its output is."""

    feature_dim: int
    dropout: float = 0.0

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.backbone = self.build_backbone()
        self.head = nn.Sequential(
            nn.Dropout(self.dropout),
            nn.Linear(self.feature_dim, n_classes),
        )

    @abstractmethod
    def build_backbone(self) -> nn.Module: ...

    def embed(self, images: Tensor) -> Tensor:
        return torch.flatten(self.backbone(images), 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.embed(images))
