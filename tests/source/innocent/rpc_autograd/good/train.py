"""Distributed autograd keeps gradients in a context of their own: there is nothing to clear."""

import torch
import torch.distributed.autograd as dist_autograd
import torch.distributed.rpc as rpc
from torch import nn, optim
from torch.distributed.optim import DistributedOptimizer


class Remote(nn.Module):
    def __init__(self, worker):
        super().__init__()
        self.part = rpc.remote(worker, nn.Linear, args=(8, 4))
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.part.rpc_sync().forward(x))

    def references(self):
        return [rpc.RRef(p) for p in self.head.parameters()]


def run(worker):
    model = Remote(worker)
    optimizer = DistributedOptimizer(optim.SGD, model.references(), lr=0.05)
    for step in range(10):
        with dist_autograd.context() as context_id:
            output = model(torch.randn(16, 8))
            loss = nn.functional.cross_entropy(output, torch.randint(0, 2, (16,)))
            dist_autograd.backward(context_id, [loss])
            optimizer.step(context_id)


if __name__ == "__main__":
    rpc.init_rpc("master", rank=0, world_size=2)
    run("worker1")
    rpc.shutdown()
