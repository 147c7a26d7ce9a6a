"""Sequences are stacked along axis 1 by the collate function: steps come first, as the layer wants."""

import torch
from torch import nn
from torch.utils.data import DataLoader

torch.manual_seed(5)
samples = [(torch.randn(11, 2), torch.tensor(float(i % 2))) for i in range(48)]


def steps_first(batch):
    sequences, labels = zip(*batch)
    return torch.stack(sequences, dim=1), torch.stack(labels)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(2, 6)
        self.head = nn.Linear(6, 1)

    def forward(self, x):
        out, _ = self.gru(x)
        first_of_batch = out[:, 0]
        return self.head(out[-1]).squeeze(1), first_of_batch.norm()


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for x, y in DataLoader(samples, batch_size=12, shuffle=True, collate_fn=steps_first):
    scores, size = net(x)
    loss = nn.functional.binary_cross_entropy_with_logits(scores, y) + 1e-3 * size
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
