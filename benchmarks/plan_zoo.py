"""Models of many kinds, small enough to train a step in a second on a CPU: what `plan_accuracy.py` predicts and measures."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

Loss = Callable[[Any, Any], torch.Tensor]


class Case(NamedTuple):
    """`make(checkpointed)` builds the model; `groups` tells the parameters of each optimizer where there are several."""

    make: Callable[[bool], nn.Module]
    batch: Callable[[], Any]
    losses: tuple[Loss, ...]
    groups: Callable[[Any], list[Any]] = lambda model: [model.parameters()]
    has_checkpoint: bool = True


class Blocks(nn.Module):
    """Layers one after the other, each under a checkpoint if wanted."""

    def __init__(self, layers: list[nn.Module], checkpointed: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.checkpointed = checkpointed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = checkpoint(layer, x, use_reentrant=False) if self.checkpointed else layer(x)
        return x


def mlp(checkpointed: bool) -> nn.Module:
    hidden = [nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Dropout(0.1)) for _ in range(4)]
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 512), Blocks(list(hidden), checkpointed), nn.Linear(512, 10)
    )


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, is_causal: bool) -> None:
        super().__init__()
        self.heads, self.is_causal = heads, is_causal
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        split = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.is_causal)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, is_causal: bool) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, is_causal)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.first(x))
        return x + self.mlp(self.second(x))


class GPT(nn.Module):
    def __init__(
        self,
        vocabulary: int,
        width: int,
        depth: int,
        heads: int,
        length: int,
        checkpointed: bool = False,
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(length, width)
        self.blocks = Blocks([Block(width, heads, True) for _ in range(depth)], checkpointed)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.tokens(tokens) + self.positions(places)
        return self.head(self.norm(self.blocks(x)))


class ViT(nn.Module):
    def __init__(self, checkpointed: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 192, 16, 16)
        self.token = nn.Parameter(torch.zeros(1, 1, 192))
        self.places = nn.Parameter(torch.zeros(1, 50, 192))
        self.blocks = Blocks([Block(192, 3, False) for _ in range(4)], checkpointed)
        self.head = nn.Linear(192, 100)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.places
        return self.head(self.blocks(x)[:, 0])


class Encoder(nn.Module):
    def __init__(self, checkpointed: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(4000, 128)
        layers = [nn.TransformerEncoderLayer(128, 4, 512, batch_first=True) for _ in range(3)]
        self.layers = Blocks(list(layers), checkpointed)
        self.head = nn.Linear(128, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(self.embedding(tokens)).mean(1))


class Bottleneck(nn.Module):
    def __init__(self, given: int, inner: int, stride: int) -> None:
        super().__init__()
        wide = 4 * inner
        self.body = nn.Sequential(
            nn.Conv2d(given, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, inner, 3, stride, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or given != wide:
            self.shortcut = nn.Sequential(
                nn.Conv2d(given, wide, 1, stride, bias=False), nn.BatchNorm2d(wide)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


def resnet(checkpointed: bool) -> nn.Module:
    layers: list[nn.Module] = []
    given = 32
    for stage, depth in enumerate((2, 2, 2)):
        inner = 32 * 2**stage
        for block in range(depth):
            layers.append(Bottleneck(given, inner, 2 if block == 0 and stage else 1))
            given = 4 * inner
    return nn.Sequential(
        nn.Conv2d(3, 32, 7, 2, 3, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
        Blocks(layers, checkpointed),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(given, 100),
    )


def vgg(checkpointed: bool) -> nn.Module:
    stages: list[nn.Module] = []
    given = 3
    for width, depth in ((32, 1), (64, 1), (128, 2), (256, 2)):
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [nn.Conv2d(given, width, 3, padding=1), nn.ReLU(inplace=True)]
            given = width
        stages.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
    return nn.Sequential(
        Blocks(stages, checkpointed),
        nn.Flatten(),
        nn.Linear(256 * 36, 512),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(512, 100),
    )


def lenet(checkpointed: bool) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def double(given: int, wide: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, wide, 3, padding=1, bias=False),
        nn.BatchNorm2d(wide),
        nn.ReLU(inplace=True),
        nn.Conv2d(wide, wide, 3, padding=1, bias=False),
        nn.BatchNorm2d(wide),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    def __init__(self, checkpointed: bool) -> None:
        super().__init__()
        self.checkpointed = checkpointed
        widths = [16, 32, 64, 128]
        self.first = double(3, 16)
        self.down = nn.ModuleList(double(a, b) for a, b in pairwise(widths))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(b, a, 2, 2)
            for a, b in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.join = nn.ModuleList(double(2 * a, a) for a in widths[-2::-1])
        self.last = nn.Conv2d(16, 2, 1)

    def run(self, layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return checkpoint(layer, x, use_reentrant=False) if self.checkpointed else layer(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = [self.run(self.first, x)]
        for layer in self.down:
            kept.append(self.run(layer, F.max_pool2d(kept[-1], 2)))
        x = kept.pop()
        for up, join in zip(self.up, self.join, strict=True):
            x = self.run(join, torch.cat([kept.pop(), up(x)], dim=1))
        return self.last(x)


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.Module], checkpointed: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(4000, 128)
        self.layers = kind(128, 256, 2, batch_first=True, dropout=0.1)
        self.head = nn.Linear(256, 4000)
        self.checkpointed = checkpointed

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        if self.checkpointed:
            x, _ = checkpoint(self.layers, x, use_reentrant=False)
        else:
            x, _ = self.layers(x)
        return self.head(x)


class Recommender(nn.Module):
    def __init__(self, checkpointed: bool) -> None:
        super().__init__()
        self.bags = nn.ModuleList(nn.EmbeddingBag(20000, 32, mode="sum") for _ in range(4))
        self.top = nn.Sequential(nn.Linear(128 + 16, 128), nn.ReLU(), nn.Linear(128, 1))
        self.checkpointed = checkpointed

    def forward(self, numbers: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        found = [bag(words[:, i]) for i, bag in enumerate(self.bags)]
        x = torch.cat([numbers, *found], dim=1)
        if self.checkpointed:
            return checkpoint(self.top, x, use_reentrant=False).squeeze(1)
        return self.top(x).squeeze(1)


def autoencoder(checkpointed: bool) -> nn.Module:
    inner = [nn.Sequential(nn.Linear(256, 256), nn.Tanh()) for _ in range(3)]
    return nn.Sequential(
        nn.Linear(784, 256), nn.Tanh(), Blocks(list(inner), checkpointed), nn.Linear(256, 784)
    )


def gan(checkpointed: bool) -> nn.Module:
    def stack(widths: list[int], last: nn.Module) -> nn.Module:
        layers = [
            nn.Sequential(nn.Linear(a, b), nn.LeakyReLU(0.2)) for a, b in pairwise(widths[:-1])
        ]
        return nn.Sequential(
            Blocks(list(layers), checkpointed), nn.Linear(widths[-2], widths[-1]), last
        )

    return nn.ModuleDict(
        {
            "generator": stack([64, 512, 512, 784], nn.Tanh()),
            "critic": stack([784, 512, 512, 1], nn.Flatten(0)),
        }
    )


def made(model: Any, real: torch.Tensor) -> torch.Tensor:
    noise = torch.randn(len(real), 64, device=real.device)
    return model["generator"](noise)


def critic_loss(model: Any, batch: Any) -> torch.Tensor:
    real = model["critic"](batch[0])
    fake = model["critic"](made(model, batch[0]).detach())
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(model: Any, batch: Any) -> torch.Tensor:
    return F.softplus(-model["critic"](made(model, batch[0]))).mean()


class Separable(nn.Module):
    """Depthwise and pointwise convolutions, with channels that are no multiple of a vector's width."""

    def __init__(self, checkpointed: bool) -> None:
        super().__init__()

        def stage(given: int, wide: int, stride: int) -> nn.Module:
            return nn.Sequential(
                nn.Conv2d(given, given, 3, stride, 1, groups=given, bias=False),
                nn.BatchNorm2d(given),
                nn.SiLU(),
                nn.Conv2d(given, wide, 1, bias=False),
                nn.BatchNorm2d(wide),
                nn.SiLU(),
            )

        self.first = nn.Conv2d(3, 24, 3, 2, 1)
        widths = [24, 40, 72, 136, 200]
        self.stages = Blocks(
            [stage(a, b, 2 if i % 2 else 1) for i, (a, b) in enumerate(pairwise(widths))],
            checkpointed,
        )
        self.head = nn.Linear(200, 100)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.stages(self.first(x)).mean((2, 3)))


class Dense(nn.Module):
    def __init__(self, checkpointed: bool) -> None:
        super().__init__()
        self.checkpointed = checkpointed
        self.first = nn.Conv2d(3, 20, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(20 + 12 * i), nn.ReLU(), nn.Conv2d(20 + 12 * i, 12, 3, padding=1)
            )
            for i in range(6)
        )
        self.head = nn.Linear(92, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for layer in self.layers:
            new = checkpoint(layer, x, use_reentrant=False) if self.checkpointed else layer(x)
            x = torch.cat([x, new], dim=1)
        return self.head(x.mean((2, 3)))


class Tagger(nn.Module):
    def __init__(self, checkpointed: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(3000, 72)
        self.layers = nn.LSTM(72, 100, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(200, 17)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(self.embedding(tokens))[0])


class Translator(nn.Module):
    def __init__(self, checkpointed: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(3000, 96)
        self.body = nn.Transformer(96, 6, 2, 2, 320, batch_first=True)
        self.head = nn.Linear(96, 3000)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device)
        return self.head(self.body(x, x, tgt_mask=mask, tgt_is_causal=True))


def waves(checkpointed: bool) -> nn.Module:
    widths = [12, 36, 60, 90]
    layers = [
        nn.Sequential(nn.Conv1d(a, b, 7, 2, 3), nn.BatchNorm1d(b), nn.ReLU())
        for a, b in pairwise(widths)
    ]
    return nn.Sequential(
        Blocks(list(layers), checkpointed),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(90, 12),
    )


def classes(model: Any, batch: Any) -> torch.Tensor:
    return F.cross_entropy(model(batch[0]), batch[1])


def words(model: Any, batch: Any) -> torch.Tensor:
    found = model(batch[0])
    return F.cross_entropy(found.flatten(0, 1), batch[1].flatten())


def clicks(model: Any, batch: Any) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(model(batch[0], batch[1]), batch[2])


def same(model: Any, batch: Any) -> torch.Tensor:
    return F.mse_loss(model(batch[0]), batch[0])


def images(size: int, channels: int, side: int, kinds: int) -> Callable[[], Any]:
    return lambda: (torch.randn(size, channels, side, side), torch.randint(kinds, (size,)))


def tokens(size: int, length: int, vocabulary: int) -> Callable[[], Any]:
    return lambda: (
        torch.randint(vocabulary, (size, length)),
        torch.randint(vocabulary, (size, length)),
    )


CASES = {
    "MLP": Case(mlp, images(256, 1, 28, 10), (classes,)),
    "GPT": Case(lambda on: GPT(4096, 256, 4, 4, 128, on), tokens(8, 128, 4096), (words,)),
    "ViT": Case(ViT, images(16, 3, 112, 100), (classes,)),
    "TransformerEncoder": Case(
        Encoder, lambda: (torch.randint(4000, (16, 64)), torch.randint(2, (16,))), (classes,)
    ),
    "ResNet": Case(resnet, images(16, 3, 96, 100), (classes,)),
    "VGG": Case(vgg, images(8, 3, 96, 100), (classes,)),
    "UNet": Case(
        UNet, lambda: (torch.randn(4, 3, 96, 96), torch.randint(2, (4, 96, 96))), (classes,)
    ),
    "LeNet": Case(lenet, images(512, 1, 28, 10), (classes,), has_checkpoint=False),
    "LSTM": Case(lambda on: Recurrent(nn.LSTM, on), tokens(16, 32, 4000), (words,)),
    "GRU": Case(lambda on: Recurrent(nn.GRU, on), tokens(16, 32, 4000), (words,)),
    "recommender": Case(
        Recommender,
        lambda: (torch.randn(512, 16), torch.randint(20000, (512, 4, 8)), torch.rand(512)),
        (clicks,),
    ),
    "autoencoder": Case(autoencoder, lambda: (torch.randn(512, 784),), (same,)),
    "GAN": Case(
        gan,
        lambda: (torch.randn(256, 784),),
        (critic_loss, generator_loss),
        lambda model: [model["critic"].parameters(), model["generator"].parameters()],
    ),
}

# Nothing was fitted to these: sizes and kinds of layers differ from those above.
UNSEEN = {
    "separable CNN": Case(Separable, images(12, 3, 80, 100), (classes,)),
    "dense CNN": Case(Dense, images(24, 3, 40, 10), (classes,)),
    "sound CNN": Case(
        waves, lambda: (torch.randn(16, 12, 3000), torch.randint(12, (16,))), (classes,)
    ),
    "bidirectional LSTM": Case(
        Tagger,
        lambda: (torch.randint(3000, (20, 25)), torch.randint(17, (20, 25))),
        (words,),
        has_checkpoint=False,
    ),
    "encoder and decoder": Case(Translator, tokens(10, 48, 3000), (words,), has_checkpoint=False),
}


def resnet50(checkpointed: bool) -> nn.Module:
    stages: list[nn.Module] = []
    given = 64
    for place, depth in enumerate((3, 4, 6, 3)):
        inner = 64 * 2**place
        for block in range(depth):
            stages.append(Bottleneck(given, inner, 2 if block == 0 and place else 1))
            given = 4 * inner
    return nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
        Blocks(stages, checkpointed),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(given, 1000),
    )


class ViTBase(nn.Module):
    def __init__(self, checkpointed: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 768, 16, 16)
        self.places = nn.Parameter(torch.zeros(1, 196, 768))
        self.blocks = Blocks([Block(768, 12, False) for _ in range(12)], checkpointed)
        self.head = nn.Linear(768, 1000)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.patches(images).flatten(2).transpose(1, 2) + self.places
        return self.head(self.blocks(x).mean(1))


# As large as people train them: for a GPU. Nothing was fitted to these.
LARGE = {
    "GPT-2": Case(lambda on: GPT(50257, 768, 12, 12, 1024, on), tokens(4, 1024, 50257), (words,)),
    "ResNet-50": Case(resnet50, images(32, 3, 224, 1000), (classes,)),
    "ViT-B": Case(ViTBase, images(32, 3, 224, 1000), (classes,)),
}


class RMSNorm(nn.Module):
    """Written by hand, as in many programs."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6)
        return (x * scale).type_as(x) * self.weight


class LlamaBlock(nn.Module):
    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = RMSNorm(width), RMSNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        h = self.first(x)
        q, k, v = (
            layer(h).view(batch, length, self.heads, -1).transpose(1, 2)
            for layer in (self.q, self.k, self.v)
        )
        places = torch.arange(length, device=x.device, dtype=torch.float32)
        half = q.shape[-1] // 2
        turns = torch.outer(places, 10000.0 ** (-torch.arange(half, device=x.device) / half))
        q, k = turned(q, turns), turned(k, turns)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(mixed.transpose(1, 2).reshape(batch, length, width))
        h = self.second(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


def turned(x: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    cos, sin = turns.cos().to(x.dtype), turns.sin().to(x.dtype)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)


class Llama(nn.Module):
    def __init__(self, checkpointed: bool) -> None:
        super().__init__()
        self.tokens = nn.Embedding(8000, 512)
        self.blocks = Blocks([LlamaBlock(512, 8, 1376) for _ in range(6)], checkpointed)
        self.norm = RMSNorm(512)
        self.head = nn.Linear(512, 8000, bias=False)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.blocks(self.tokens(words))))


class ConvNeXtBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.down(F.gelu(self.up(h))).permute(0, 3, 1, 2)


def convnext(checkpointed: bool) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 4, 4)]
    for given, wide in ((64, 64), (64, 128), (128, 256)):
        if given != wide:
            layers.append(nn.Conv2d(given, wide, 2, 2))
        layers.append(Blocks([ConvNeXtBlock(wide) for _ in range(2)], checkpointed))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 200))


class Residual(nn.Module):
    """Of a diffusion model: group norm, SiLU, convolution, and the noise level added to each channel."""

    def __init__(self, given: int, wide: int) -> None:
        super().__init__()
        self.first, self.second = nn.GroupNorm(8, given), nn.GroupNorm(8, wide)
        self.conv1 = nn.Conv2d(given, wide, 3, padding=1)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1)
        self.level = nn.Linear(128, wide)
        self.skip = nn.Conv2d(given, wide, 1) if given != wide else nn.Identity()

    def forward(self, x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        h = self.conv1(F.silu(self.first(x))) + self.level(level)[:, :, None, None]
        return self.conv2(F.silu(self.second(h))) + self.skip(x)


class Denoiser(nn.Module):
    def __init__(self, checkpointed: bool) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(1, 128), nn.SiLU(), nn.Linear(128, 128))
        self.first = nn.Conv2d(3, 64, 3, padding=1)
        self.down = nn.ModuleList([Residual(64, 128), Residual(128, 192)])
        self.middle = Residual(192, 192)
        self.attention = nn.MultiheadAttention(192, 4, batch_first=True)
        self.up = nn.ModuleList([Residual(192 + 192, 128), Residual(128 + 128, 64)])
        self.last = nn.Conv2d(64, 3, 3, padding=1)

    def forward(self, x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        level = self.embed(level)
        x = self.first(x)
        kept = []
        for layer in self.down:
            x = layer(x, level)
            kept.append(x)
            x = F.avg_pool2d(x, 2)
        x = self.middle(x, level)
        flat = x.flatten(2).transpose(1, 2)
        x = x + self.attention(flat, flat, flat, need_weights=False)[0].transpose(1, 2).view_as(x)
        for layer in self.up:
            x = layer(torch.cat([F.interpolate(x, scale_factor=2.0), kept.pop()], 1), level)
        return self.last(x)


def noise(model: Any, batch: Any) -> torch.Tensor:
    target = torch.randn_like(batch[0])
    level = batch[1][:, None]
    mixed = (1 - level[:, :, None, None]) * batch[0] + level[:, :, None, None] * target
    return F.mse_loss(model(mixed, level), target)


class Speech(nn.Module):
    """Convolutions over time, then a bidirectional GRU: sizes that are no powers of two."""

    def __init__(self, checkpointed: bool) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv1d(80, 160, 5, 2, 2),
            nn.BatchNorm1d(160),
            nn.ReLU(),
            nn.Conv1d(160, 160, 5, 2, 2),
        )
        self.layers = nn.GRU(160, 144, 3, batch_first=True, bidirectional=True, dropout=0.2)
        self.head = nn.Linear(288, 60)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.relu(self.conv(x)).transpose(1, 2)
        return self.head(self.layers(h)[0]).mean(1)


def mobilenet(checkpointed: bool) -> nn.Module:
    def inverted(given: int, wide: int, stride: int) -> nn.Module:
        inner = 6 * given
        return nn.Sequential(
            nn.Conv2d(given, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU6(inplace=True),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU6(inplace=True),
            nn.Conv2d(inner, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
        )

    sizes = ((32, 16, 1), (16, 24, 2), (24, 24, 1), (24, 40, 2), (40, 80, 2), (80, 112, 1))
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, 2, 1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU6(inplace=True),
        Blocks([inverted(*each) for each in sizes], checkpointed),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(112, 1000),
    )


def video(checkpointed: bool) -> nn.Module:
    widths = [3, 24, 48, 96]
    layers = [
        nn.Sequential(nn.Conv3d(a, b, 3, padding=1), nn.BatchNorm3d(b), nn.ReLU(), nn.MaxPool3d(2))
        for a, b in pairwise(widths)
    ]
    return nn.Sequential(
        Blocks(list(layers), checkpointed), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(96, 20)
    )


class Bert(nn.Module):
    """With a mask for padding."""

    def __init__(self, checkpointed: bool) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(12000, 384), nn.Embedding(256, 384)
        layer = nn.TransformerEncoderLayer(
            384, 6, 1536, activation="gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
        self.head = nn.Linear(384, 12000)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        x = self.words(words) + self.places(torch.arange(words.shape[1], device=words.device))
        return self.head(self.body(x, src_key_padding_mask=words < 100))


# Measured on a GPU when the rest was done: what is predicted for these was predicted before.
HELD_OUT = {
    "Llama": Case(Llama, tokens(2, 512, 8000), (words,)),
    "ConvNeXt": Case(convnext, images(8, 3, 160, 200), (classes,)),
    "diffusion": Case(
        Denoiser, lambda: (torch.randn(4, 3, 48, 48), torch.rand(4)), (noise,), has_checkpoint=False
    ),
    "speech": Case(
        Speech,
        lambda: (torch.randn(4, 80, 600), torch.randint(60, (4,))),
        (classes,),
        has_checkpoint=False,
    ),
    "MobileNet": Case(mobilenet, images(8, 3, 160, 1000), (classes,)),
    "video": Case(
        video, lambda: (torch.randn(2, 3, 16, 64, 64), torch.randint(20, (2,))), (classes,)
    ),
    "BERT": Case(Bert, tokens(4, 256, 12000), (words,), has_checkpoint=False),
}
