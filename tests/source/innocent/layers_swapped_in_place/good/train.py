"""Layers that get another size after they were made: parts swapped, inserted and taken out, hooks, weights replaced."""

import argparse

import torch
from torch import nn

torch.manual_seed(0)


def small():
    return nn.Sequential(nn.Linear(16, 8))


def replaced():
    net = small()
    net.add_module("0", nn.Linear(32, 8))
    return net


def by_name():
    net = small()
    setattr(net, "0", nn.Linear(32, 8))
    return net


def by_path():
    net = nn.Sequential(small())
    parent, _, leaf = "0.0".rpartition(".")
    setattr(net.get_submodule(parent), leaf, nn.Linear(32, 8))
    return net


def submodule_set():
    net = nn.Sequential(small())
    net.set_submodule("0.0", nn.Linear(32, 8))
    return net


def inserted():
    net = small()
    net.insert(0, nn.Linear(32, 16))
    return net


def taken_out():
    net = nn.Sequential(nn.Linear(32, 8), nn.Linear(99, 8))
    net.pop(-1)
    return net


def deleted():
    net = nn.Sequential(nn.Linear(99, 32), nn.Linear(32, 8))
    del net[0]
    return net


def every_child():
    net = nn.Sequential(nn.Linear(16, 8), nn.ReLU())
    for name, child in net.named_children():
        if isinstance(child, nn.Linear):
            setattr(net, name, nn.Linear(32, child.out_features))
    return net


def narrowed_by_hook():
    net = nn.Linear(16, 8)
    net.register_forward_pre_hook(lambda module, inputs: (inputs[0][:, :16],))
    return net


def narrowed_forward():
    net = small()
    inner = net[0]
    net.forward = lambda x: inner(x[:, :16])
    return net


def weight_replaced():
    net = nn.Linear(16, 8)
    net.weight = nn.Parameter(torch.randn(8, 32))
    return net


def weight_data():
    net = nn.Linear(16, 8)
    net.weight.data = torch.randn(8, 32)
    return net


class ByDict(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(16, 8)
        self.__dict__["_modules"]["layer"] = nn.Linear(32, 8)

    def forward(self, x):
        return self.layer(x)


class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleDict({"late": nn.Linear(16, 8), "old": nn.Linear(99, 8)})
        self.heads.pop("old")
        self.heads.update({"late": nn.Linear(32, 8)})
        self.steps = nn.ModuleList([nn.Linear(8, 4), nn.Linear(8, 8)])
        self.unused = nn.Linear(1, 1)
        del self.unused

    def forward(self, x):
        for head in self.heads.values():
            x = head(x)
        for step in reversed(self.steps):
            x = step(x)
        return x


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=64)
    width = parser.parse_args(["--width", "32"]).width
    x = torch.randn(4, width)
    makers = [
        replaced, by_name, by_path, submodule_set, inserted, taken_out, deleted, every_child, narrowed_by_hook,
        narrowed_forward, weight_replaced, weight_data, Table, lambda: nn.Linear(width, 8),
    ]  # fmt: skip
    for make in makers:
        print(getattr(make, "__name__", "made"), tuple(make()(x).shape))
    with torch.no_grad():
        print(ByDict()(x).shape)
    for net in (replaced(), by_name(), by_path(), submodule_set(), inserted(), taken_out(), deleted(), weight_data()):
        print(net(x).mean().item())
    largest = min((64, 32, 16), key=lambda size: abs(size - 30))
    sizes = [8, 16, 32]
    last = sizes.pop()
    first = sizes.pop(0)
    print(nn.Linear(largest, 2)(x).shape, nn.Linear(last, first)(x).shape)
    print(nn.Linear(len({1, 2, 2, 3, 3}) * 10 + 2, 2)(x).shape)


if __name__ == "__main__":
    main()
