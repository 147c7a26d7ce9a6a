"""Whatever could tell a program that its modules are being watched."""

import copy
import gc
import inspect
import logging
import pickle
import sys
import threading
import traceback
import warnings
import weakref

import torch
from torch import nn


class Loud(nn.Linear):
    def __init__(self, inputs, outputs):
        given = locals()
        super().__init__(inputs, outputs)
        warnings.warn("constructed", stacklevel=2)
        print(sorted(k for k in given if not k.startswith("__")))

    def forward(self, x):
        warnings.warn("called", stacklevel=5)
        print([f.f_code.co_name for f in frames(sys._getframe())][:4], sys.getprofile(), sys.gettrace())
        return super().forward(x)


class Shouting(nn.Module):
    def __init__(self):
        nn.Module.__init__(self)
        self.layer = Loud(3, 3)

    def __call__(self, x, **extra):
        return super().__call__(x, **extra)

    def forward(self, x, bias=0.0):
        if x.shape[0] > 1:
            return self(x[1:], bias=bias) + 1
        try:
            self.layer(x[:, :2])
        except RuntimeError:
            traceback.print_exc()
        try:
            nn.Linear(2, 2, wrong=3)
        except TypeError:
            traceback.print_exc()
        return self.layer(x) + bias


class Wrong(nn.Module):
    def __init__(self):
        super().__init__(3)


def frames(frame):
    while frame:
        yield frame
        frame = frame.f_back


def build():
    big = torch.ones(1000)
    alive = weakref.ref(big)
    layer = nn.Linear(2, 2)
    del big
    print("freed", alive() is None)
    return layer


def retry(model):
    held = []

    class Hungry(nn.Module):
        def forward(self, x):
            held.append(weakref.ref(x))
            raise MemoryError("too large")

    hungry = nn.Sequential(Hungry())
    try:
        hungry(model(torch.ones(1, 2)))
    except MemoryError as error:
        print(error)
    print("tensors freed", [r() is None for r in held])


torch.manual_seed(0)
warnings.simplefilter("always")
model = Shouting()
with torch.no_grad():
    print(model(torch.ones(2, 3), bias=1.0).shape)
retry(build())
try:
    Wrong()
except TypeError:
    traceback.print_exc()
print(inspect.signature(nn.Module.__call__), inspect.signature(nn.Module.__init__), inspect.signature(Shouting))
print(nn.Module.__call__.__qualname__, nn.Module.__init__.__qualname__, len(vars(nn.Module)))
print(pickle.loads(pickle.dumps(nn.Module.__call__)) is nn.Module.__call__, sorted(vars(model)))
print(inspect.getsource(nn.Module.__init__)[:40].strip(), [getattr(f, "__name__", type(f).__name__) for f in sys.meta_path])
twin = copy.deepcopy(model)
print(type(pickle.loads(pickle.dumps(twin))).__name__, list(twin.state_dict()))


class Counted(torch.Tensor):
    seen = []

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        Counted.seen.append(getattr(function, "__name__", str(function)))
        return super().__torch_function__(function, types, args, kwargs or {})


plain = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
plain(torch.ones(1, 3).as_subclass(Counted))
print("torch functions", Counted.seen)
threads = [threading.Thread(target=lambda: plain(torch.ones(n, 3))) for n in range(2, 5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("parallel", nn.DataParallel(plain)(torch.ones(2, 3)).shape)
scripted = torch.jit.script(plain)
print(scripted.graph_for(torch.ones(1, 3)) is not None, scripted(torch.ones(1, 3)).shape)
print(torch.jit.trace(plain, torch.ones(2, 3)).code)
print(torch.fx.symbolic_trace(plain).code)
print(torch.func.vmap(plain)(torch.ones(2, 5, 3)).shape)
print(torch.func.functional_call(plain, dict(plain.named_parameters()), (torch.ones(1, 3),)).shape)
logging.captureWarnings(True)
gc.collect()
print("garbage", gc.garbage)
