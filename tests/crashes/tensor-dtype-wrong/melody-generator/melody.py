"""A GRU learns made-up folk melodies note by note and then plays its own."""

import random

import numpy as np
import torch
from torch import nn, optim

NOTES = ["C", "D", "E", "F", "G", "A", "H", "-"]
LAYERS = 2
HIDDEN = 24


def compose(n_notes, rng):
    """Walks up and down the scale, returns to C now and then."""
    melody, position = [], 0
    for _ in range(n_notes):
        if rng.random() < 0.1:
            position = 0
        position = min(len(NOTES) - 1, max(0, position + rng.choice([-1, 1, 1, 2, -2])))
        melody.append(position)
    return melody


class MelodyRNN(nn.Module):
    def __init__(self, n_notes, embedding, hidden, layers):
        super().__init__()
        self.hidden_size = hidden
        self.layers = layers
        self.embed = nn.Embedding(n_notes, embedding)
        self.gru = nn.GRU(embedding, hidden, num_layers=layers, batch_first=True)
        self.to_note = nn.Linear(hidden, n_notes)

    def forward(self, notes, state=None):
        out, state = self.gru(self.embed(notes), state)
        return self.to_note(out), state


def batches(melody, length, batch_size):
    starts = list(range(0, len(melody) - length - 1, length))
    random.shuffle(starts)
    for k in range(0, len(starts) - batch_size + 1, batch_size):
        chosen = starts[k : k + batch_size]
        x = torch.tensor([melody[s : s + length] for s in chosen])
        y = torch.tensor([melody[s + 1 : s + 1 + length] for s in chosen])
        yield x, y


def first_state(model, mood):
    """All zeros but one unit, which sets the mood."""
    state = np.zeros((model.layers, 1, model.hidden_size))
    state[:, :, mood] = 1.0
    return torch.from_numpy(state)


@torch.no_grad()
def perform(model, start, n_notes, mood):
    model.eval()
    state = first_state(model, mood)
    note = torch.tensor([[NOTES.index(start)]])
    played = [start]
    for _ in range(n_notes):
        logits, state = model(note, state)
        note = torch.multinomial(logits[:, -1].softmax(dim=-1), 1)
        played.append(NOTES[note.item()])
    model.train()
    return " ".join(played)


def main():
    random.seed(6)
    torch.manual_seed(6)
    melody = compose(3000, random.Random(6))
    model = MelodyRNN(len(NOTES), 8, HIDDEN, LAYERS)
    optimizer = optim.Adam(model.parameters(), lr=5e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(3):
        losses = []
        for x, y in batches(melody, length=20, batch_size=10):
            logits, _ = model(x)
            loss = criterion(logits.flatten(0, 1), y.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch} loss {np.mean(losses):.3f}")
        print("   ", perform(model, "C", 16, mood=epoch))


if __name__ == "__main__":
    main()
