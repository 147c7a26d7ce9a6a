"""What CUDA's kernels are where C++ asks `is_cuda()`: fused dropout, which attention, fused normalisation and cells.

Some operations have a kernel for CUDA and a composite one, and a build without CUDA takes the composite one for its
tensors: `silu_backward` would become six operations. Sources: aten/src/ATen/native/Dropout.cpp, RNN.cpp,
layer_norm.cpp and transformers/cuda/sdp_utils.cpp, torch 2.13.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from torchmedic.probes.planner.recurrent import Guessed, Memory, recurrent_kernels

HALF = (torch.float16, torch.bfloat16)


def register_decisions(
    library: Any, capability: tuple[int, int], memory: Memory, guess: Guessed
) -> None:
    aten = torch.ops.aten
    kernels: dict[str, Callable[..., Any]] = {
        "dropout": _dropout,
        "scaled_dot_product_attention": _attention(capability),
        "rms_norm": _rms_norm,
        "linear": _linear,
        "lstm_cell": _lstm_cell,
        "silu_backward": _as_one(aten.silu_backward.default),
        "mish_backward": _as_one(aten.mish_backward.default),
        "native_channel_shuffle": _as_one(aten.native_channel_shuffle.default),
        **recurrent_kernels(memory, capability, guess),
    }
    for name, kernel in kernels.items():
        library.impl(name, kernel, "AutogradCUDA")


def _dropout(x: Any, p: float, train: bool) -> Any:
    """Keeps a mask of one byte a value; the kernel for the CPU keeps one of the input's type."""
    if not train or p == 0 or x.numel() == 0:
        return x
    if p == 1:
        return x.mul(torch.zeros((), dtype=x.dtype, device=x.device))
    return torch.ops.aten.native_dropout(x, p, True)[0]


def _below_autograd() -> Any:
    return torch._C._ExcludeDispatchKeyGuard(
        torch._C.DispatchKeySet(torch._C.DispatchKey.AutogradCUDA)
    )


def _as_one(operation: Any) -> Callable[..., Any]:
    def kernel(*args: Any) -> Any:
        with _below_autograd():
            return operation(*args)

    return kernel


def _linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """The bias is added in place where the product isn't one operation. To C++ these tensors are a subclass, for which
    it copies."""
    if bias is None or x.dim() == 2 or x.is_contiguous():
        return torch.ops.aten.linear.default.decompose(x, weight, bias)
    return torch.matmul(x, weight.t()).add_(bias)


class _FusedNorm(torch.autograd.Function):  # type: ignore[misc]
    """`_fused_rms_norm`: keeps its input and one fp32 value a row."""

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, rows: tuple[int, ...]) -> Any:
        scale = torch.empty(rows, dtype=torch.float32, device=x.device)
        ctx.save_for_backward(x, weight, scale)
        return torch.empty_like(x)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        x, weight, _ = ctx.saved_tensors
        return torch.empty_like(x), None if weight is None else torch.empty_like(weight), None


def _rms_norm(x: Any, shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    if weight is not None and weight.dtype is not x.dtype:  # torch takes the composite one
        return torch.ops.aten.rms_norm.default.decompose(x, shape, weight, eps)
    rows = (*x.shape[: x.dim() - len(shape)], *[1] * len(shape))
    return _FusedNorm.apply(x, weight, rows)


def _lstm_cell(x: Any, state: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """Two products, then one kernel that keeps the four gates."""
    h, c = state
    linear = torch.nn.functional.linear
    cell = torch.ops.aten._thnn_fused_lstm_cell
    return cell(linear(x, w_ih), linear(h, w_hh), c, b_ih, b_hh)[:2]


def is_cudnn_first(capability: tuple[int, int]) -> bool:
    """Before flash attention, and with the same tensors kept (an H200, PyTorch 2.11)."""
    return capability[0] in (9, 10)


def choose_attention(
    q: Any, k: Any, v: Any, mask: Any, dropout: float, is_shared: bool, capability: tuple[int, int]
) -> str:
    """ "flash", "efficient" or "math". cuDNN's counts as flash attention."""
    enabled = torch.backends.cuda
    width, out = int(q.shape[-1]), int(v.shape[-1])
    is_alike = q.dtype == k.dtype == v.dtype
    if q.dim() != 4 or not is_alike:
        return "math"
    is_narrow = width <= 256 and width == out == int(k.shape[-1])
    if width > 192 and dropout > 0 and capability in ((8, 6), (8, 9), (12, 0)):
        is_narrow = False
    if (
        enabled.flash_sdp_enabled()
        and capability >= (8, 0)
        and q.dtype in HALF
        and mask is None
        and is_narrow
    ):
        return "flash"
    aligned = 8 if q.dtype in HALF else 4
    if (
        enabled.mem_efficient_sdp_enabled()
        and capability >= ((8, 0) if q.dtype is torch.bfloat16 else (5, 0))
        and q.dtype in (*HALF, torch.float32)
        and width % aligned == out % aligned == 0
        and not is_shared
    ):
        return "efficient"
    return "math"


def _attention(capability: tuple[int, int]) -> Callable[..., Any]:
    aten = torch.ops.aten

    def kernel(
        q: Any,
        k: Any,
        v: Any,
        attn_mask: Any = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        *,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Any:
        chosen = choose_attention(q, k, v, attn_mask, dropout_p, enable_gqa, capability)
        if chosen == "flash":
            width = q.shape[-1]
            over = -width % 8
            if over:
                scale = scale or 1 / math.sqrt(width)
                q, k, v = (torch.nn.functional.pad(each, (0, over)) for each in (q, k, v))
            found = aten._scaled_dot_product_flash_attention(
                q, k, v, dropout_p, is_causal, False, scale=scale
            )[0]
            return found[..., :width] if over else found
        mask = _as_numbers(attn_mask, q.dtype)
        if chosen == "efficient":
            is_kept = torch.is_grad_enabled() and any(each.requires_grad for each in (q, k, v))
            return aten._scaled_dot_product_efficient_attention(
                q, k, v, _aligned(mask, q, k), is_kept, dropout_p, is_causal, scale=scale
            )[0]
        return aten._scaled_dot_product_attention_math(
            q, k, v, mask, dropout_p, is_causal, None, scale=scale, enable_gqa=enable_gqa
        )[0]

    return kernel


def _as_numbers(mask: Any, dtype: Any) -> Any:
    if mask is None or mask.dtype is not torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(mask.logical_not(), float("-inf"))


def _aligned(mask: Any, q: Any, k: Any) -> Any:
    """Rows of the mask start at multiples of 16 values."""
    if mask is None:
        return None
    length = mask.shape[-1]
    over = -length % 16
    if over:
        mask = torch.nn.functional.pad(mask, (0, over))[..., :length]
    return mask.expand(q.shape[0], q.shape[1], q.shape[2], k.shape[2])
