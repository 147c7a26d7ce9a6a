import sys
import warnings

import torch
import torch._dynamo
from torch import nn

warnings.simplefilter("always")


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def __call__(self, x):
        return super().__call__(x)

    def forward(self, x):
        return torch.relu(self.layer.__call__(x))


class Made(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return x * self.scale


def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), Own())


def graphs(function, *inputs, **options):
    """The result, and how many graphs were compiled for two calls."""
    torch._dynamo.reset()
    count = []

    def backend(graph, examples):
        count.append(len(list(graph.graph.nodes)))
        return graph

    compiled = torch.compile(function, backend=backend, **options)
    with torch._dynamo.config.patch(error_on_recompile=True):
        results = [compiled(*inputs) for _ in range(2)]
    return results[0].double().sum().item().hex(), count


x = torch.ones(3, 4)
model = build()
print("function", graphs(lambda v: model(v).sum(), x, fullgraph=True))
print("module", graphs(build(), x, fullgraph=True))
print("own call", graphs(Own(), x, fullgraph=True))
print("constructs", graphs(lambda v: Made(3)(v) + nn.Softmax(dim=1)(v), x, fullgraph=True))


def broken(v):
    v = model(v)
    print("a graph break")
    torch._dynamo.graph_break()
    return model(v) + Made(2)(v)


print("breaks", graphs(broken, x))
print("attempts", dict(torch._dynamo.utils.counters["frames"]))
inplace = build()
inplace.compile(backend="eager", fullgraph=True)
print("compile()", inplace(x).sum().item().hex())
torch._dynamo.reset()
step = torch.compile(build(), backend="aot_eager", fullgraph=True)
optimizer = torch.optim.SGD(step.parameters(), 0.1)
for _ in range(3):
    loss = step(x).pow(2).sum()
    loss.backward()
    optimizer.step()
    print(loss.item().hex())
for _ in range(80):
    model(x)
print("after", graphs(lambda v: model(v).sum(), x, fullgraph=True))
print(torch.export.export(build(), (x,)).graph_signature.user_outputs)
if "crash" in sys.argv:
    torch.compile(build(), backend="eager")(torch.ones(3, 5))
