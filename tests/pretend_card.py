"""A pretend GPU in the test's own process: checks fail without a word, and the next wait for the card raises."""

import os

import torch

WORDS = (
    "CUDA error: device-side assert triggered\n"
    "Search for `cudaErrorAssert' in https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html for more "
    "information.\n"
    "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be "
    "incorrect.\n"
    "For debugging consider passing CUDA_LAUNCH_BLOCKING=1\n"
    "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
)
NAME = "card"
broken = []


def checked_late(owner, name, result):
    function = getattr(owner, name)

    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except (IndexError, RuntimeError):
            broken.append(name)
            return result(*args)

    setattr(owner, name, call)


def waits(owner, name):
    function = getattr(owner, name)

    def call(*args, **kwargs):
        if broken:
            raise getattr(torch, "AcceleratorError", RuntimeError)(WORDS)
        return function(*args, **kwargs)

    setattr(owner, name, call)


if os.environ.get("CUDA_VISIBLE_DEVICES") != "":
    from torchmedic.probes import cuda_as_cpu

    cuda_as_cpu.install()
    torch.cuda.get_device_name = lambda *_: NAME
    functional = torch.nn.functional
    checked_late(functional, "cross_entropy", lambda scores, labels: scores.mean())
    checked_late(functional, "binary_cross_entropy", lambda scores, labels: scores.mean())
    checked_late(functional, "embedding", lambda ids, table, *_: table[torch.zeros_like(ids)])
    checked_late(torch.Tensor, "gather", lambda tensor, dim, index: tensor)
    checked_late(torch.Tensor, "scatter_", lambda tensor, *_: tensor)
    checked_late(torch.Tensor, "__getitem__", lambda tensor, *_: tensor)
    checked_late(torch, "multinomial", lambda chances, *_: chances)
    for name in ("item", "backward", "mean", "sum", "__repr__"):
        waits(torch.Tensor, name)
