"""Two phases in one loop, the best weights are kept."""

import copy

import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset


def dataset(count):
    images = torch.randn(count, 3, 16, 16)
    labels = (images.mean(dim=(1, 2, 3)) > 0).long()
    return TensorDataset(images, labels)


def build_model():
    return nn.Sequential(
        nn.Conv2d(3, 8, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 2),
    )


def train_model(model, dataloaders, criterion, optimizer, scheduler, num_epochs=3):
    best_acc = 0.0
    best_weights = copy.deepcopy(model.state_dict())
    for epoch in range(num_epochs):
        print(f"Epoch {epoch}/{num_epochs - 1}")
        for phase in ["train", "val"]:
            if phase == "train":
                model.train()
            else:
                model.eval()
            running_loss = 0.0
            running_corrects = 0
            for inputs, labels in dataloaders[phase]:
                optimizer.zero_grad()
                outputs = model(inputs)
                _, preds = torch.max(outputs, 1)
                loss = criterion(outputs, labels)
                if phase == "train":
                    loss.backward()
                    optimizer.step()
                running_loss += loss.item() * inputs.size(0)
                running_corrects += torch.sum(preds == labels.data).item()
            if phase == "train":
                scheduler.step()
            size = len(dataloaders[phase].dataset)
            epoch_acc = running_corrects / size
            print(f"{phase} Loss: {running_loss / size:.4f} Acc: {epoch_acc:.4f}")
            if phase == "val" and epoch_acc > best_acc:
                best_acc = epoch_acc
                best_weights = copy.deepcopy(model.state_dict())
    model.load_state_dict(best_weights)
    return model


if __name__ == "__main__":
    torch.manual_seed(3)
    dataloaders = {
        "train": DataLoader(dataset(64), batch_size=16, shuffle=True),
        "val": DataLoader(dataset(32), batch_size=16),
    }
    model = build_model()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1)
    train_model(model, dataloaders, nn.CrossEntropyLoss(), optimizer, scheduler)
