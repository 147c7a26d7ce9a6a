"""Small functions instead of classes: every step of the digit classifier is a layer in one Sequential."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset


class Lambda(nn.Module):
    def __init__(self, func):
        super().__init__()
        self.func = func

    def forward(self, x):
        return self.func(x)


class WrappedLoader:
    """A loader whose batches are preprocessed on their way out."""

    def __init__(self, loader, func):
        self.loader = loader
        self.func = func

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        for batch in self.loader:
            yield self.func(*batch)


def as_images(x, y):
    return x.view(-1, 1, 8, 8) / 16, y


def get_data(batch_size):
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32)
    y = torch.tensor(digits.target)
    train = TensorDataset(x[:1400], y[:1400])
    valid = TensorDataset(x[1400:], y[1400:])
    return (
        WrappedLoader(DataLoader(train, batch_size=batch_size, shuffle=True), as_images),
        WrappedLoader(DataLoader(valid, batch_size=batch_size * 2), as_images),
    )


def double_conv(n_in, n_out):
    return [
        nn.Conv2d(n_in, n_out, kernel_size=3, padding=1),
        Lambda(F.relu),
        nn.Conv2d(n_out, n_out, kernel_size=3, stride=2, padding=1),
        Lambda(F.relu),
    ]


def get_model():
    model = nn.Sequential(
        *double_conv(1, 8),
        *double_conv(8, 16),
        nn.AdaptiveAvgPool2d(1),
        Lambda(lambda maps: maps.view(-1)),
        nn.Linear(16, 10),
    )
    return model, optim.SGD(model.parameters(), lr=0.3, momentum=0.9)


def loss_batch(model, loss_func, xb, yb, opt=None):
    loss = loss_func(model(xb), yb)
    if opt is not None:
        loss.backward()
        opt.step()
        opt.zero_grad()
    return loss.item(), len(xb)


def fit(epochs, model, loss_func, opt, train_dl, valid_dl):
    for epoch in range(epochs):
        model.train()
        for xb, yb in train_dl:
            loss_batch(model, loss_func, xb, yb, opt)
        model.eval()
        with torch.no_grad():
            losses, counts = zip(*[loss_batch(model, loss_func, xb, yb) for xb, yb in valid_dl])
        mean = sum(a * b for a, b in zip(losses, counts)) / sum(counts)
        print(f"epoch {epoch}: validation loss {mean:.4f}")


if __name__ == "__main__":
    torch.manual_seed(5)
    model, opt = get_model()
    fit(2, model, F.cross_entropy, opt, *get_data(batch_size=64))
