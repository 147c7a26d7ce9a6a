"""What watching costs while a program trains: the same loop plain, under `torchmedic run`, and under what peers do.

Each round runs every way once, in turn; the loop measures itself by the processor's time. The table holds medians of
the ratios within a round. torch-audit is measured if it is installed (`pip install --no-deps torch-audit==0.3.0`).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TINY = """
import sys, time
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
x, y = torch.randn(3200, 64), torch.randint(0, 10, (3200,))
loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters())
criterion = nn.CrossEntropyLoss()
{setup}
begin = time.process_time()
for epoch in range({epochs}):
    for a, b in loader:
        optimizer.zero_grad()
        loss = criterion(model(a), b)
        loss.backward()
        optimizer.step()
print(time.process_time() - begin)
"""
CNN = """
import sys, time
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
x, y = torch.randn(640, 3, 32, 32), torch.randint(0, 10, (640,))
loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
layers = []
for ins, outs in ((3, 16), (16, 32), (32, 32)):
    layers += [nn.Conv2d(ins, outs, 3, padding=1), nn.BatchNorm2d(outs), nn.ReLU(), nn.MaxPool2d(2)]
model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
criterion = nn.CrossEntropyLoss()
{setup}
begin = time.process_time()
for epoch in range({epochs}):
    for a, b in loader:
        optimizer.zero_grad()
        loss = criterion(model(a), b)
        loss.backward()
        optimizer.step()
print(time.process_time() - begin)
"""
PROGRAMS = {"64-unit MLP, batch 32": (TINY, 40), "small CNN, batch 32": (CNN, 12)}
WAYS = {
    "plain": ("", []),
    "plain again": ("", []),
    "torchmedic run": ("", ["-m", "torchmedic", "run"]),
    "torch anomaly mode": ("torch.autograd.set_detect_anomaly(True)", []),
}
AUDIT = """
from torch_audit import autopatch
autopatch(model, optimizer=optimizer, every_n_steps={every}, reporters=[])
"""
if importlib.util.find_spec("torch_audit"):
    WAYS["torch-audit, every step"] = (AUDIT.format(every=1), [])
    WAYS["torch-audit, every 1000th"] = (AUDIT.format(every=1000), [])


def seconds(program: Path, words: list[str]) -> float:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *words, str(program)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return float(done.stdout.split()[-1])


def measured(text: str, epochs: int, rounds: int) -> dict[str, list[float]]:
    ratios: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            taken = {}
            ways = list(WAYS.items())
            for way, (setup, words) in ways if number % 2 else reversed(ways):
                program = Path(folder) / f"{'_'.join(way.split())}.py"
                program.write_text(text.format(setup=setup, epochs=epochs))
                taken[way] = seconds(program, words)
            for way, value in taken.items():
                ratios[way].append(value / taken["plain"])
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    print("| loop | way | ratio | quartiles |\n|---|---|---:|---|")
    for name, (text, epochs) in PROGRAMS.items():
        for way, found in measured(text, epochs, rounds).items():
            low, middle, high = statistics.quantiles(found, n=4)
            print(f"| {name} | {way} | {middle:.3f} | {low:.3f} to {high:.3f} |", flush=True)


if __name__ == "__main__":
    main()
