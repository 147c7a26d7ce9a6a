import torch
from torch import nn
from torch.utils.data import DataLoader

from fruit.dataset import FruitDataset, Normalise, ToTensor
from fruit.network import RipenessNet
from fruit.pictures import basket


def accuracy(model, loader):
    was_training = model.training
    model.eval()
    right = total = 0
    with torch.no_grad():
        for pictures, ripeness in loader:
            right += (model(pictures).argmax(dim=1) == ripeness).sum().item()
            total += ripeness.numel()
    model.train(was_training)
    return right / total


def main():
    torch.manual_seed(4)
    transforms = (ToTensor(), Normalise(0.5, 0.25))
    train_set = FruitDataset(*basket(192, seed=1), transforms)
    test_set = FruitDataset(*basket(60, seed=2), transforms)
    train_loader = DataLoader(train_set, batch_size=24, shuffle=True, num_workers=2)
    test_loader = DataLoader(test_set, batch_size=30)
    model = RipenessNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(2):
        for pictures, ripeness in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(pictures), ripeness)
            loss.backward()
            optimizer.step()
        print("epoch", epoch, "test accuracy", round(accuracy(model, test_loader), 3))


if __name__ == "__main__":
    main()
