import torch
import torch.nn.functional as F

import settings


def textures(generator):
    """Grey pictures, each a sum of waves in a few directions."""
    line = torch.linspace(0, 12, settings.SIDE)
    y, x = torch.meshgrid(line, line, indexing="ij")
    angles = torch.rand(settings.IMAGES, 3, generator=generator) * torch.pi
    waves = [torch.sin(x * a.cos().view(-1, 1, 1) + y * a.sin().view(-1, 1, 1)) for a in angles.T]
    return torch.stack(waves).mean(0)


class PatchStore:
    """All patches of all pictures as rows; which rows a step gets is drawn at random."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)
        pictures = textures(self.generator)[:, None]
        columns = F.unfold(pictures, settings.PATCH)
        self.rows = columns.transpose(1, 2).reshape(-1, settings.PATCH**2)

    def __len__(self):
        return len(self.rows)

    def draw(self, how_many):
        chosen = torch.randint(len(self), (how_many,), generator=self.generator)
        return self.rows[chosen]
