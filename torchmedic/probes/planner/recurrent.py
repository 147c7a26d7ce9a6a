"""Recurrent layers and packed sequences on the pretend card.

A stand-in for cuDNN's recurrent layers: one operation that saves a reserve space for its backward pass.

The reserve is an estimate, not a formula of cuDNN's: per layer, direction, step, sample and hidden unit six values for
an LSTM (four gates, cell, its tanh), four for a GRU, two for a plain RNN. Nobody has measured it here on a GPU.

How long the sequences of a packed batch are is in their values: all count as the longest, an upper bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

KEPT = {4: 6, 3: 4, 1: 2}  # values per hidden unit, by number of gates
Workspace = Callable[[int, str], None]  # bytes, operation
Guessed = Callable[[str], None]  # kind


def recurrent_kernels(workspace: Workspace, guess: Guessed) -> dict[str, Callable[..., Any]]:
    kernels: dict[str, Callable[..., Any]] = {
        "_pack_padded_sequence": _pack(guess),
        "_pad_packed_sequence": _pad,
    }
    for name, gates in (("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1)):
        kernels[f"{name}.input"] = kernel = recurrent(gates, workspace)
        kernels[f"{name}.data"] = _packed(kernel)
    return kernels


def _pack(guess: Guessed) -> Callable[..., Any]:
    def kernel(x: Any, lengths: Any, batch_first: bool) -> Any:
        guess("packed sequence")
        if batch_first:
            x = x.transpose(0, 1)
        steps, size = x.shape[:2]
        sizes = torch.full((steps,), size, dtype=torch.int64, device="cpu")
        return x.reshape(steps * size, *x.shape[2:]).clone(), sizes

    return kernel


def _pad(data: Any, sizes: Any, batch_first: bool, padding: float, total: int) -> Any:
    steps = sizes.shape[0]
    size = data.shape[0] // steps
    padded = data.view(steps, size, *data.shape[1:]).clone()
    lengths = torch.full((size,), steps, dtype=torch.int64, device="cpu")
    return padded.transpose(0, 1) if batch_first else padded, lengths


def _packed(kernel: Callable[..., Any]) -> Callable[..., Any]:
    def on_data(data: Any, sizes: Any, state: Any, *others: Any) -> Any:
        return kernel(data, state, *others, False)

    return on_data


def recurrent(gates: int, workspace: Workspace) -> Callable[..., Any]:
    """The kernel of `lstm.input` (4 gates), `gru.input` (3) and the plain ones (1)."""

    class Layers(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(
            ctx: Any, x: Any, h: Any, c: Any, shape: tuple[int, ...], is_kept: bool, *weights: Any
        ) -> Any:
            layers, directions, values, width = shape
            output = x.new_empty((*x.shape[:-1], width * directions))
            last_cell = torch.empty_like(c) if c is not None else x.new_empty(0)
            element = x.element_size()
            ctx.size = values * directions * gates * element
            reserve = layers * directions * values * KEPT[gates] * element
            kept = torch.empty(reserve if is_kept else 0, dtype=torch.uint8, device=x.device)
            workspace(ctx.size, "cudnn::rnn")
            ctx.save_for_backward(x, h, c, output, kept, *weights)
            return output, torch.empty_like(h), last_cell

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            x, h, c, _, _, *weights = ctx.saved_tensors
            workspace(ctx.size, "cudnn::rnn")
            flat = x.new_zeros(sum(weight.numel() for weight in weights))
            parts, start = [], 0
            for weight in weights:
                parts.append(flat[start : start + weight.numel()].view(weight.shape))
                start += weight.numel()
            cell = torch.empty_like(c) if c is not None else None
            return torch.empty_like(x), torch.empty_like(h), cell, None, None, *parts

    def kernel(
        x: Any,
        state: Any,
        weights: Any,
        has_biases: bool,
        layers: int,
        dropout: float,
        is_training: bool,
        is_bidirectional: bool,
        batch_first: bool,
    ) -> Any:
        h, c = state if gates == 4 else (state, None)
        weights = list(weights)
        if torch.is_autocast_enabled("cuda"):
            dtype = torch.get_autocast_dtype("cuda")
            x, h = x.to(dtype), h.to(dtype)
            c = c.to(dtype) if c is not None else None
            weights = [weight.to(dtype) for weight in weights]
        hidden = int(weights[0].shape[0]) // gates
        rows = int(x.shape[0] * x.shape[1]) if x.dim() == 3 else int(x.shape[0])
        shape = (layers, 2 if is_bidirectional else 1, rows * hidden, int(h.shape[-1]))
        output, last, cell = Layers.apply(x, h, c, shape, is_training, *weights)
        return (output, last, cell) if gates == 4 else (output, last)

    return kernel
