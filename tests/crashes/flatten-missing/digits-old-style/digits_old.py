# -*- coding: utf-8 -*-
# written for torch 0.4, still in use
import sys

import numpy
import torch
import torch.nn.functional as F
from sklearn import datasets
from torch import nn
from torch.autograd import Variable

numpy.random.seed(1)
torch.manual_seed(1)


class ConvTwoFcTwo(nn.Module):
    def __init__(self, maps, hidden):
        super(ConvTwoFcTwo, self).__init__()
        self.first = nn.Conv2d(1, maps, 3)
        self.second = nn.Conv2d(maps, 2 * maps, 3)
        self.hidden = nn.Linear(2 * maps * 2 * 2, hidden)
        self.scores = nn.Linear(hidden, 10)

    def look(self, img):
        img = F.leaky_relu(self.first(img), 0.1)
        img = F.leaky_relu(self.second(img), 0.1)
        return F.max_pool2d(img, 2)

    def forward(self, img):
        seen = self.look(img)
        seen = seen.flatten()
        seen = F.dropout(torch.tanh(self.hidden(seen)), 0.3, self.training)
        return F.log_softmax(self.scores(seen), -1)


def read_digits(held_out):
    d = datasets.load_digits()
    order = numpy.random.permutation(len(d.target))
    pixels = (d.data[order] / 8.0 - 1.0).astype('f4').reshape(-1, 1, 8, 8)
    names = d.target[order].astype('i8')
    cut = len(names) - held_out
    return (pixels[:cut], names[:cut]), (pixels[cut:], names[cut:])


def portions(pixels, names, k):
    for at in range(0, len(names), k):
        yield (Variable(torch.from_numpy(pixels[at:at + k])),
               Variable(torch.from_numpy(names[at:at + k])))


def learn(net, params, data, rate):
    net.train()
    shown = 0
    for img, name in portions(data[0], data[1], 50):
        error = F.nll_loss(net(img), name)
        net.zero_grad()
        error.backward()
        for p in params:
            p.data.add_(p.grad.data, alpha=-rate)
        shown += 1
        if shown % 10 == 0:
            sys.stdout.write('  %4d portions, error %.4f\n' % (shown, error.item()))


def check(net, data):
    net.eval()
    good = 0
    for img, name in portions(data[0], data[1], 99):
        with torch.no_grad():
            _, guess = torch.max(net(img).data, 1)
        good += int(torch.sum(guess == name.data))
    return good / float(len(data[1]))


training, holdout = read_digits(held_out=297)
net = ConvTwoFcTwo(maps=10, hidden=50)
params = list(net.parameters())
rate = 0.2
for turn in range(3):
    print('turn %d, rate %g' % (turn, rate))
    learn(net, params, training, rate)
    print('  right: %.3f' % check(net, holdout))
    rate *= 0.8
