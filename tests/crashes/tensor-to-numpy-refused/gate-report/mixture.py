"""Mixture of experts on the wine table, with a report of what the gate does."""
import dataclasses

import numpy as np
import torch
from sklearn.datasets import load_wine
from torch import nn


@dataclasses.dataclass
class Options:
    experts: int = 3
    hidden: int = 10
    epochs: int = 30
    report_every: int = 10
    lr: float = 0.01
    seed: int = 65


class Expert(nn.Module):
    def __init__(self, n_in, hidden, n_out):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_in, hidden), nn.Mish(), nn.Linear(hidden, n_out))

    def forward(self, x):
        return self.body(x)


class Mixture(nn.Module):
    def __init__(self, n_in, n_out, options):
        super().__init__()
        self.gate = nn.Linear(n_in, options.experts)
        self.experts = nn.ModuleDict(
            {f"expert{k}": Expert(n_in, options.hidden, n_out) for k in range(options.experts)}
        )

    def forward(self, x):
        share = torch.softmax(self.gate(x), dim=-1)
        answers = torch.stack([expert(x) for expert in self.experts.values()], dim=1)
        return (share[:, :, None] * answers).sum(dim=1), share


def load(seed):
    wine = load_wine()
    x = (wine.data - wine.data.mean(0)) / wine.data.std(0)
    order = np.random.RandomState(seed).permutation(len(x))
    x = torch.as_tensor(x[order], dtype=torch.float32)
    return x[:130], torch.as_tensor(wine.target[order[:130]]), x[130:], torch.as_tensor(
        wine.target[order[130:]]
    )


def gate_report(model, share):
    norms = {
        name: round(float(np.linalg.norm(row.numpy())), 3)
        for name, row in zip(model.experts, model.gate.weight)
    }
    busiest = share.mean(dim=0).argmax().item()
    return f"gate norms {norms}, busiest expert {busiest}"


def fit(options):
    torch.manual_seed(options.seed)
    x_fit, y_fit, x_test, y_test = load(options.seed)
    model = Mixture(x_fit.shape[1], 3, options)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    for epoch in range(1, options.epochs + 1):
        model.train()
        answer, share = model(x_fit)
        balance = (share.mean(dim=0) ** 2).sum()
        loss = nn.functional.cross_entropy(answer, y_fit) + 0.1 * balance
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if epoch % options.report_every == 0:
            print(f"epoch {epoch}: loss {loss.item():.3f} | {gate_report(model, share)}")

    model.eval()
    with torch.no_grad():
        answer, _ = model(x_test)
    print(f"test accuracy {(answer.argmax(1) == y_test).double().mean().item():.3f}")


if __name__ == "__main__":
    fit(Options())
