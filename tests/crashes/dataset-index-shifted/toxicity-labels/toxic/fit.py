import torch
from torch import nn
from torch.utils.data import DataLoader

from toxic.comments import WORDS, chat_log
from toxic.dataset import ChatDataset, bag_collate

SETTINGS = {"messages": 400, "dim": 12, "batch": 25, "epochs": 3, "lr": 0.02}


class BagClassifier(nn.Module):
    def __init__(self, n_words, dim):
        super().__init__()
        self.bag = nn.EmbeddingBag(n_words, dim, mode="mean")
        self.out = nn.Linear(dim, 1)

    def forward(self, flat, offsets):
        return self.out(self.bag(flat, offsets)).squeeze(-1)


def main():
    torch.manual_seed(1)
    messages, marks = chat_log(SETTINGS["messages"])
    loader = DataLoader(
        ChatDataset(messages, marks),
        batch_size=SETTINGS["batch"],
        shuffle=True,
        collate_fn=bag_collate,
    )
    model = BagClassifier(len(WORDS), SETTINGS["dim"])
    loss_fn = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=SETTINGS["lr"])

    for epoch in range(SETTINGS["epochs"]):
        correct = 0
        for flat, offsets, marks in loader:
            logits = model(flat, offsets)
            loss = loss_fn(logits, marks)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            correct += ((logits > 0).float() == marks).sum().item()
        print(f"에폭 {epoch + 1}: 정확도 {correct / SETTINGS['messages']:.3f}")


if __name__ == "__main__":
    main()
