"""A pretend CUDA card, on any build of PyTorch: tensors that say `cuda:0` and take no memory.

Fake tensors with device "cuda" aren't enough there: autograd asks the accelerator for a stream, and raises or aborts
the process. So a tensor here has two faces. Python, and with it optimizers, autocast and the user's code, sees
`cuda:0`, and the dispatch keys are CUDA's; C++ that asks for the device is told `meta`. What C++ would have decided by
`is_cuda()` is decided in `decisions`, and in `autocast`.

Nothing is undone: it is for a child process, which ends. A real card is never asked: it may be another than the one that
is planned for, and a forked child can't use it.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode

from torchmedic.probes.planner.autocast import register_autocast
from torchmedic.probes.planner.decisions import register_decisions
from torchmedic.probes.planner.patched import patch_cuda
from torchmedic.probes.planner.recurrent import Guessed, Memory

CUDA = torch.device("cuda:0")
META = torch.device("meta")
_DEVICE = torch.ops.prim.device.default


class _Mode(FakeTensorMode):  # type: ignore[misc]
    """Composite operations in C++ copy the options of a tensor, whose device is the face that C++ sees."""

    avoid_device_init = property(lambda self: True)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        device = kwargs.get("device") if kwargs else None
        if device is not None and device.type == "meta":
            kwargs = {**kwargs, "device": CUDA}
        return super().__torch_dispatch__(func, types, args, kwargs or {})


class _Indexed(TorchFunctionMode):  # type: ignore[misc]
    """`cuda` without an index asks C++ for the current device: gets one. `.cuda()` becomes `.to()`."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.cuda:
            return args[0].to(CUDA)
        if func is torch.device:
            made = func(*args, **kwargs)
            return CUDA if _is_bare(made) else made
        if any(_is_bare(value) for value in args) or _is_bare(kwargs.get("device")):
            args = tuple(CUDA if _is_bare(value) else value for value in args)
            if _is_bare(kwargs.get("device")):
                kwargs = {**kwargs, "device": CUDA}
        return func(*args, **kwargs)


def _is_bare(value: Any) -> bool:
    if isinstance(value, str):
        return value == "cuda"
    return isinstance(value, torch.device) and value.type == "cuda" and value.index is None


@contextlib.contextmanager
def pretend_card(capability: tuple[int, int], memory: Memory, guess: Guessed) -> Iterator[Any]:
    """The fake mode, active.

    `memory` is told what kernels take beside their outputs, `guess` which values they had to assume.
    """
    _two_faces()
    patch_cuda(capability)
    library = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kernels that are there already
        for name in ("_fused_sgd_", "_fused_adagrad_"):
            # Without a Meta kernel they fail, and convolutions fail ever after.
            if not torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{name}", "Meta"):
                library.impl(name, lambda *_, **__: None, "Meta")
        register_decisions(library, capability, memory, guess)
        register_autocast(library)
    with _Mode(allow_non_fake_inputs=True) as mode, _Indexed():
        yield mode


def _two_faces() -> None:
    original = FakeTensor.__dict__["__torch_dispatch__"].__func__

    def face(tensor: Any) -> Any:
        is_card = tensor.fake_device.type == "cuda"
        return META if is_card or tensor.fake_mode.in_kernel_invocation else tensor.fake_device

    def dispatch(
        cls: Any, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return face(args[0]) if func is _DEVICE else original(cls, func, types, args, kwargs or {})

    FakeTensor.__torch_dispatch__ = classmethod(dispatch)
    fake_tensor._DISPATCH_META_HANDLERS[_DEVICE] = lambda args: face(args[0])
    FakeTensor.is_cuda = property(lambda tensor: tensor.fake_device.type == "cuda")
    FakeTensor.is_cpu = property(lambda tensor: tensor.fake_device.type == "cpu")
    fake_tensor.init_gpu_context = lambda device: None
