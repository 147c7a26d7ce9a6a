"""What CUDA's libraries and kernels take beside their outputs, where no dispatcher sees it.

"sure", "likely" and "rough" say how well each figure is known; "sure" agreed to the byte on an H200.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch

from torchmedic.observed.cuda import cublas_workspace
from torchmedic.probes.planner.convolutions import Convolution, Pass
from torchmedic.probes.planner.convolutions import workspace as workspace_of
from torchmedic.probes.planner.decisions import is_cudnn_first
from torchmedic.probes.planner.ledger import Hidden, Ledger
from torchmedic.probes.planner.losses import loss_buffers
from torchmedic.probes.planner.places import in_backward
from torchmedic.probes.planner.reductions import buffers
from torchmedic.probes.planner.sizes import rounded_up

LAST = torch.channels_last

FLOAT, INDEX = 4, 8
LT_WORKSPACE = 1 << 20  # of cuBLASLt, which takes products with a bias: on an H200, PyTorch 2.11
SEGMENT = 10  # rows that one thread sums up: NROWS_PER_THREAD of aten/src/ATen/native/cuda/EmbeddingBackwardKernel.cu
FEW_LOOKUPS = 3072  # up to which they aren't sorted


def hidden_on_cuda(ledger: Ledger, capability: tuple[int, int], missing: set[str]) -> Hidden:
    """`missing`: gets the keys of NOT_MODELLED that this step has."""
    aten = torch.ops.aten
    names = ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "vdot")
    products = {getattr(aten, name).default for name in names}
    threads: set[tuple[bool, str]] = set()

    def workspace(name: str, size: int) -> None:
        """One for each handle, and handles are per thread: the forward pass's and autograd's."""
        thread = in_backward(), name
        if thread not in threads:
            threads.add(thread)
            ledger.take(size, name)

    def flash_backward(args: tuple[Any, ...]) -> None:
        """fp32 accumulator of the gradient of q, and a sum per row. cuDNN's (sure) rounds nothing up, flash attention rows
        up to 128 and head width to 32 (likely)."""
        batch, heads, length, width = args[1].shape
        if is_cudnn_first(capability):
            ledger.pass_through(
                FLOAT * batch * heads * length * (width + 1), operation="cudnn::backward"
            )
        else:
            rows = batch * heads * rounded_up(length, 128)
            ledger.pass_through(
                FLOAT * rows * (rounded_up(width, 32) + 1), operation="flash::backward"
            )

    def efficient_backward(args: tuple[Any, ...]) -> None:
        """`delta` in fp32, and accumulators in fp32 for half types or heads wider than 64 (rough)."""
        q, k = args[1], args[2]
        batch, heads, length, width = q.shape
        sizes = [FLOAT * batch * heads * rounded_up(length, 32)]
        if q.element_size() < FLOAT or width > 64:
            rows = length + (2 * k.shape[2] if width > 128 else 0)
            sizes.append(FLOAT * batch * heads * rows * width)
        ledger.pass_through(*sizes, operation="efficient::backward")

    def lookups(count: int, rows: int, width: int) -> None:
        """Indices sorted, with their places, and sums of up to SEGMENT gradients of one row, in fp32 (sure)."""
        if count <= FEW_LOOKUPS:
            return
        segments = min(count, rows)
        partial = count // SEGMENT + segments
        sizes = [INDEX * count] * 3 + [INDEX * segments] * 2 + [INDEX * partial]
        sizes.append(FLOAT * partial * rounded_up(width, 32))
        ledger.pass_through(*sizes, operation="embedding::partial")

    def embedding_backward(args: tuple[Any, ...]) -> None:
        lookups(args[1].numel(), args[2], args[0].shape[-1])

    def bag_backward(args: tuple[Any, ...]) -> None:
        lookups(args[1].numel(), args[6], args[0].shape[-1])

    def reduction(x: Any, dims: Any) -> None:
        found = buffers(
            tuple(x.shape),
            tuple(x.stride()),
            frozenset(at % max(x.dim(), 1) for at in (dims or range(x.dim()))),
            max(x.element_size(), FLOAT),
            capability,
        )
        ledger.pass_through(*found, operation="reduce::partial")

    def reduced(args: tuple[Any, ...]) -> None:
        reduction(args[0], args[1] if len(args) > 1 and isinstance(args[1], (list, tuple)) else ())

    def convolution(args: tuple[Any, ...], output: Any) -> None:
        missing.add("convolution")
        if args[0].is_cuda:
            one = _convolution(args[0], args[1], output, args[3], args[6], args[8])
            ledger.pass_through(
                workspace_of("forward", one, capability), operation="cudnn::convolution"
            )

    def convolution_backward(args: tuple[Any, ...]) -> None:
        gradient, x, weight = args[:3]
        missing.add("convolution")
        one = _convolution(x, weight, gradient, args[4], args[7], args[9])
        passes: tuple[Pass, Pass] = ("input", "weight")
        for what, is_wanted in zip(passes, args[10], strict=False):
            if is_wanted:
                ledger.pass_through(
                    workspace_of(what, one, capability), operation="cudnn::convolution"
                )
        if args[10][2]:
            reduction(gradient, [0, *range(2, gradient.dim())])

    known: dict[Any, Callable[[tuple[Any, ...]], None]] = {
        aten._scaled_dot_product_flash_attention_backward.default: flash_backward,
        aten._scaled_dot_product_efficient_attention_backward.default: efficient_backward,
        aten.embedding_dense_backward.default: embedding_backward,
        aten._embedding_bag_backward.default: bag_backward,
        aten.convolution_backward.default: convolution_backward,
        **dict.fromkeys((aten.sum.dim_IntList, aten.sum.default), reduced),
        **dict.fromkeys((aten.mean.dim, aten.mean.default), reduced),
    }

    def hidden(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if func in products:
            config = os.environ.get("CUBLAS_WORKSPACE_CONFIG", "")
            workspace("cublas::workspace", cublas_workspace(capability, config).value)
            if func is aten.addmm.default and args[0].dim() == 1:
                workspace("cublaslt::workspace", LT_WORKSPACE)
        elif func is aten.convolution.default:
            convolution(args, output)
        elif func in known:
            known[func](args)
        else:
            loss_buffers(ledger, func, args, kwargs, output)

    return hidden


def _convolution(
    x: Any, weight: Any, y: Any, stride: Any, is_transposed: bool, groups: int
) -> Convolution:
    is_last = x.dim() == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=LAST)
    return Convolution(
        tuple(x.shape),
        tuple(weight.shape),
        tuple(y.shape),
        max(stride),
        groups,
        x.element_size(),
        is_transposed,
        is_last,
    )
