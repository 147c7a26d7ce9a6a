import torch
from engine import Engine
from networks import SignalNet
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def signals(count):
    t = torch.linspace(0, 6.28, 32)
    labels = torch.randint(0, 3, (count,))
    waves = torch.sin(t * (labels[:, None] + 1)) + 0.3 * torch.randn(count, 32)
    return TensorDataset(waves.unsqueeze(1), labels)


def main():
    torch.manual_seed(1)
    train_loader = DataLoader(signals(96), batch_size=16, shuffle=True)
    val_loader = DataLoader(signals(48), batch_size=16)
    model = SignalNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    engine = Engine(model, optimizer, nn.CrossEntropyLoss())
    for epoch in range(3):
        loss = engine.train(train_loader)
        accuracy = engine.validate(val_loader)
        print(f"epoch {epoch}: loss {loss:.3f}, accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
