"""Functions for a training script: nobody calls them in this file."""

import torch


def accuracy(output, target):
    return (output.argmax(dim=1) == target).float().mean().item()


def fit(model, train_loader, val_loader, optimizer, criterion, epochs, device="cpu"):
    """Trains and validates in turns. Returns the loss and the accuracy of every epoch."""
    history = []
    for epoch in range(epochs):
        model.train()
        losses = 0.0
        for images, labels in train_loader:
            images, labels = images.to(device), labels.to(device)
            outputs = model(images)
            loss = criterion(outputs, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses += loss
        model.eval()
        scores = []
        with torch.no_grad():
            for images, labels in val_loader:
                outputs = model(images.to(device))
                scores.append(accuracy(outputs, labels.to(device)))
        history.append((losses / len(train_loader), sum(scores) / len(scores)))
        print(f"epoch {epoch}: loss {history[-1][0]:.4f}, accuracy {history[-1][1]:.4f}")
    return history


def evaluate(model, loader, device="cpu"):
    """The caller decides about gradients and about the mode."""
    scores = []
    for images, labels in loader:
        scores.append(accuracy(model(images.to(device)), labels.to(device)))
    return sum(scores) / len(scores)


def save_checkpoint(model, optimizer, epoch, path):
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
    torch.save(state, path)


def load_checkpoint(model, optimizer, path):
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["epoch"]
