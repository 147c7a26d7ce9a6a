import math
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.autograd import Variable

torch.manual_seed(1234)

n_beats = 320
length = 96
batch_size = 32
n_epochs = 3


def make_beat(kind):
    t = torch.linspace(0, 1, length)
    centre = 0.3 + 0.4 * torch.rand(1)
    beat = torch.exp(-((t - centre) ** 2) / 0.002)
    if kind == 1:
        beat = beat - 0.6 * torch.exp(-((t - centre - 0.12) ** 2) / 0.004)
    if kind == 2:
        beat = beat + 0.5 * torch.sin(2 * math.pi * 9 * t)
    return beat + 0.1 * torch.randn(length)


kinds = torch.randint(0, 3, (n_beats,))
beats = torch.stack([make_beat(k) for k in kinds.tolist()])
train_x, train_y = beats[:256], kinds[:256]
test_x, test_y = beats[256:], kinds[256:]


class BeatNet(nn.Module):
    def __init__(self):
        super(BeatNet, self).__init__()
        self.conv1 = nn.Conv1d(1, 8, 5, padding=2)
        self.conv2 = nn.Conv1d(8, 16, 5, padding=2)
        self.fc1 = nn.Linear(16 * 24, 32)
        self.fc2 = nn.Linear(32, 3)

    def forward(self, x):
        x = F.max_pool1d(F.relu(self.conv1(x)), 2)
        x = F.max_pool1d(F.relu(self.conv2(x)), 2)
        x = x.view(x.size(0), -1)
        x = F.relu(self.fc1(x))
        x = F.dropout(x, p=0.3, training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)


net = BeatNet()
optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)

for epoch in range(n_epochs):
    started = time.time()
    net.train()
    order = torch.randperm(len(train_x))
    sum_loss = 0.0
    for i in range(0, len(order), batch_size):
        pick = order[i : i + batch_size]
        inputs = Variable(train_x[pick])
        targets = Variable(train_y[pick])
        optimizer.zero_grad()
        output = net(inputs)
        loss = F.nll_loss(output, targets)
        loss.backward()
        optimizer.step()
        sum_loss += loss.data.item() * len(pick)
    net.eval()
    with torch.no_grad():
        output = net(Variable(test_x))
    correct = output.data.max(1)[1].eq(test_y).sum().item()
    print(
        "Epoch {} | loss {:.4f} | test {}/{} | {:.1f}s".format(
            epoch, sum_loss / len(train_x), correct, len(test_x), time.time() - started
        )
    )
