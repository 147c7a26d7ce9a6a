import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from config import CONFIG
from plates import scan_plates
from reader import PlateReader


def build_loaders(cfg, batch_size):
    scans, symbols = scan_plates(cfg["n_plates"], cfg["noise"])
    n_valid = int(cfg["n_plates"] * cfg["valid_share"])
    train, valid = random_split(TensorDataset(scans, symbols), [cfg["n_plates"] - n_valid, n_valid])
    return DataLoader(train, batch_size, shuffle=True), DataLoader(valid, batch_size)


def step(model, batch, criterion, optimizer=None):
    scans, symbols = batch
    logits = model(scans)
    loss = criterion(logits, symbols)
    if optimizer is not None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item(), (logits.argmax(1) == symbols).float().mean().item()


def main():
    torch.manual_seed(CONFIG["seed"])
    train, valid = build_loaders(CONFIG["data"], CONFIG["optim"]["batch_size"])
    model = PlateReader(**CONFIG["model"])
    n_params = sum(p.numel() for p in model.parameters())
    print(f"모델 파라미터 수: {n_params}")
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.NAdam(model.parameters(), lr=CONFIG["optim"]["lr"])
    for epoch in range(CONFIG["optim"]["epochs"]):
        model.train()
        for batch in train:
            step(model, batch, criterion, optimizer)
        model.eval()
        with torch.no_grad():
            results = [step(model, batch, criterion) for batch in valid]
        loss, acc = (sum(column) / len(column) for column in zip(*results))
        print(f"epoch {epoch}: 검증 손실 {loss:.3f} 정확도 {acc:.3f}")


if __name__ == "__main__":
    main()
