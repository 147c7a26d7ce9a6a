"""Recurrent layers and packed sequences on the pretend card.

A stand-in for cuDNN's recurrent layers: one operation that saves a reserve space for its backward pass. The reserve
agreed to the byte with what 340 layers took on an H200 (cuDNN 9, PyTorch 2.11). The workspace is an estimate, whose main
terms were read off the same layers: it is too small where sequences and batches are short.

How long the sequences of a packed batch are is in their values: all count as the longest, an upper bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from torchmedic.observed.cuda import multiprocessors

KEPT = {4: 5, 3: 6, 1: 1}  # values per hidden unit, by number of gates: an LSTM's gates and cell
RESERVED = 256
STREAM = 8 << 20  # of each layer and direction, which run side by side
NARROW = 192  # hidden units below which the gates may be there twice
MANY = (
    64  # samples from which they are, in fp32; in half types where the width is no multiple of WIDE
)
WIDE = 8
FLOAT = 4
DROPOUT_STATES = 48 << 10  # of each multiprocessor, kept for good: 6,488,064 bytes on an H200
Guessed = Callable[[str], None]  # kind


class Memory(NamedTuple):
    """`passing`: an operation's name, and bytes that it takes all at one time and gives back. `kept`: bytes that stay."""

    passing: Callable[..., None]
    kept: Callable[[str, int], None]


class _Shape(NamedTuple):
    layers: int
    directions: int
    samples: int  # that are computed at a time
    values: int  # of a direction's hidden state, over all steps
    hidden: int
    width: int  # of a direction's output: with `proj_size` less than `hidden`
    dropout: float

    def reserve(self, gates: int, element: int) -> int:
        """Bytes that the forward pass keeps: what KEPT says, the outputs between layers, and a bit for each value
        that dropout let through."""
        between = (self.layers - 1) * self.directions
        kept = KEPT[gates] * self.layers * self.directions + between
        bits = self.values // 8 * between if self.dropout else 0
        return kept * self.values * element + bits + RESERVED

    def workspace(self, gates: int, element: int) -> int:
        is_twice = self.samples >= MANY if element == FLOAT else bool(self.hidden % WIDE)
        times = 2 if self.hidden < NARROW and is_twice else 1
        each = STREAM + times * gates * self.values * element
        return self.layers * self.directions * each


def recurrent_kernels(
    memory: Memory, capability: tuple[int, int], guess: Guessed
) -> dict[str, Callable[..., Any]]:
    kernels: dict[str, Callable[..., Any]] = {
        "_pack_padded_sequence": _pack(guess),
        "_pad_packed_sequence": _pad,
    }
    for name, gates in (("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1)):
        kernels[f"{name}.input"] = kernel = recurrent(gates, memory, capability)
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


def recurrent(gates: int, memory: Memory, capability: tuple[int, int]) -> Callable[..., Any]:
    """The kernel of `lstm.input` (4 gates), `gru.input` (3) and the plain ones (1)."""

    class Layers(torch.autograd.Function):  # type: ignore[misc]
        """Sequences come with time first, in any layout: a copy of one that isn't contiguous goes with the operation."""

        @staticmethod
        def forward(
            ctx: Any, x: Any, h: Any, c: Any, shape: _Shape, is_kept: bool, *weights: Any
        ) -> Any:
            output = x.new_empty((*x.shape[:-1], shape.width * shape.directions))
            last_cell = torch.empty_like(c) if c is not None else x.new_empty(0)
            element = x.element_size()
            ctx.size = shape.workspace(gates, element)
            reserve = shape.reserve(gates, element) if is_kept else 0
            kept = torch.empty(reserve, dtype=torch.uint8, device=x.device)
            if shape.dropout:
                states = DROPOUT_STATES * multiprocessors(capability)[0]
                memory.kept("cudnn::dropout", states)
            memory.passing("cudnn::rnn", ctx.size, _copied(x))
            ctx.save_for_backward(x, h, c, output, kept, *weights)
            return output, torch.empty_like(h), last_cell

        @staticmethod
        def backward(ctx: Any, gradient: Any, *others: Any) -> Any:
            x, h, c, _, _, *weights = ctx.saved_tensors
            copied = _copied(gradient), _copied(x)
            inputs = torch.empty(x.shape, dtype=x.dtype, device=x.device)
            cell = torch.empty_like(c) if c is not None else None
            memory.passing("cudnn::rnn", ctx.size, *copied)
            flat = x.new_zeros(sum(weight.numel() for weight in weights))
            memory.passing("cudnn::rnn", ctx.size, *copied)
            parts, start = [], 0
            for weight in weights:
                parts.append(flat[start : start + weight.numel()].view(weight.shape))
                start += weight.numel()
            return inputs, torch.empty_like(h), cell, None, None, *parts

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
        if batch_first:
            x = x.transpose(0, 1)
        hidden = int(weights[0].shape[0]) // gates
        rows = int(x.shape[0] * x.shape[1]) if x.dim() == 3 else int(x.shape[0])
        shape = _Shape(
            layers,
            2 if is_bidirectional else 1,
            int(h.shape[-2]),
            rows * hidden,
            hidden,
            int(h.shape[-1]),
            dropout if is_training and layers > 1 else 0.0,
        )
        output, last, cell = Layers.apply(x, h, c, shape, is_training, *weights)
        if batch_first:
            output = output.transpose(0, 1)
        return (output, last, cell) if gates == 4 else (output, last)

    return kernel


def _copied(tensor: Any) -> int:
    return 0 if tensor.is_contiguous() else int(tensor.numel() * tensor.element_size())
