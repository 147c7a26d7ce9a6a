"""What CUDA's libraries and kernels take beside their outputs, where no dispatcher sees it.

"sure", "likely" and "rough" say how well each figure is known. None was measured on a GPU here.
"""

from __future__ import annotations

import os
import re
from typing import Any

import torch

from torchmedic.probes.planner.ledger import Hidden, Ledger
from torchmedic.probes.planner.losses import loss_buffers
from torchmedic.probes.planner.places import in_backward

FLOAT, INDEX = 4, 8
KIB = 1 << 10

NOT_MODELLED = {
    "convolution": "the workspace of cuDNN's convolutions, 0 to several GiB by algorithm, counts as nothing",
    "compiled": "`torch.compile` is left out: these are the sizes of the step as it runs without",
    "sparse": "sparse gradients count as nothing: sparse tensors without memory have no rows",
    "wrapper": "one card is planned, without `DataParallel`'s copies or the buckets of "
    "`DistributedDataParallel`, which are one more copy of the gradients",
    "stranger": "tensors of the program that are on the CPU and meet those of the card count as being there",
    "recurrent": "the reserve space of cuDNN's recurrent layers is an estimate (30 % either way)",
}


def cublas_workspace(capability: tuple[int, int]) -> int:
    """Bytes of each cuBLAS workspace: `:4096:2:16:8`, that is 8,519,680 (sure: pytorch#95668 has it in a GPU's trace).

    32 MiB on Hopper, and on Blackwell since early 2026 (pytorch#175344; likely). CUBLAS_WORKSPACE_CONFIG overrides it.
    """
    given = re.findall(r":(\d+):(\d+)", os.environ.get("CUBLAS_WORKSPACE_CONFIG", ""))
    if given:
        return sum(int(size) * KIB * int(count) for size, count in given)
    if capability[0] in (9, 10, 12):
        return 4096 * 8 * KIB
    return (4096 * 2 + 16 * 8) * KIB


def hidden_on_cuda(ledger: Ledger, capability: tuple[int, int], missing: set[str]) -> Hidden:
    """`missing`: gets the keys of NOT_MODELLED that this step has."""
    aten = torch.ops.aten
    names = ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "vdot")
    products = {getattr(aten, name).default for name in names}
    convolutions = {aten.convolution.default, aten.convolution_backward.default}
    threads: set[bool] = set()

    def workspace() -> None:
        """One for each handle, and handles are per thread: the forward pass's and autograd's (likely)."""
        thread = in_backward()
        if thread not in threads:
            threads.add(thread)
            ledger.take(cublas_workspace(capability), "cublas::workspace")

    def flash_backward(args: tuple[Any, ...]) -> None:
        """fp32 accumulator of the gradient of q, rows up to 128, head width to 32; a sum per row (likely)."""
        batch, heads, length, width = args[1].shape
        rows = batch * heads * _up(length, 128)
        ledger.pass_through(FLOAT * rows * (_up(width, 32) + 1), operation="flash::backward")

    def efficient_backward(args: tuple[Any, ...]) -> None:
        """`delta` in fp32, and accumulators in fp32 for half types or heads wider than 64 (rough)."""
        q, k = args[1], args[2]
        batch, heads, length, width = q.shape
        sizes = [FLOAT * batch * heads * _up(length, 32)]
        if q.element_size() < FLOAT or width > 64:
            rows = length + (2 * k.shape[2] if width > 128 else 0)
            sizes.append(FLOAT * batch * heads * rows * width)
        ledger.pass_through(*sizes, operation="efficient::backward")

    def embedding_backward(args: tuple[Any, ...]) -> None:
        """Indices are sorted, with their places: about four int64 each (rough)."""
        ledger.pass_through(4 * INDEX * args[1].numel(), operation="embedding::sort")

    known = {
        aten._scaled_dot_product_flash_attention_backward.default: flash_backward,
        aten._scaled_dot_product_efficient_attention_backward.default: efficient_backward,
        aten.embedding_dense_backward.default: embedding_backward,
    }

    def hidden(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if func in products:
            workspace()
        elif func in convolutions:
            missing.add("convolution")
        elif func in known:
            known[func](args)
        else:
            loss_buffers(ledger, func, args, kwargs, output)

    return hidden


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
