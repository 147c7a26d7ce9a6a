from contextlib import contextmanager

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@contextmanager
def evaluating(*models):
    """Evaluation mode inside, the old modes afterwards."""
    before = [model.training for model in models]
    for model in models:
        model.eval()
    try:
        yield
    finally:
        for model, mode in zip(models, before):
            model.train(mode)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(16, 6)
        self.bn = nn.BatchNorm1d(6)

    def forward(self, x):
        return torch.relu(self.bn(self.lin(x)))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(6, 16)
        self.drop = nn.Dropout(0.1)

    def forward(self, code):
        return self.lin(self.drop(code))


def reconstruct(encoder, decoder, loader):
    error, count = 0.0, 0
    with evaluating(encoder, decoder):
        for (x,) in loader:
            error += (decoder(encoder(x)) - x).pow(2).sum().item()
            count += x.numel()
    return error / count


def main():
    torch.manual_seed(31)
    data = torch.randn(128, 4) @ torch.randn(4, 16)
    train_loader = DataLoader(TensorDataset(data[:96]), batch_size=16, shuffle=True)
    test_loader = DataLoader(TensorDataset(data[96:]), batch_size=16)
    encoder, decoder = Encoder(), Decoder()
    params = list(encoder.parameters()) + list(decoder.parameters())
    optimizer = torch.optim.Adam(params, lr=1e-2)
    for epoch in range(3):
        losses = []
        for (x,) in train_loader:
            loss = nn.functional.mse_loss(decoder(encoder(x)), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(epoch, sum(losses) / len(losses), reconstruct(encoder, decoder, test_loader))


if __name__ == "__main__":
    main()
