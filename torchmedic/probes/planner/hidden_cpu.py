"""What the CPU's operations take inside themselves, where no dispatcher sees it: oneDNN's reordered copies.

A convolution of plain (NCHW) tensors runs on copies in a blocked layout, whose channels are rounded up to the width of
a vector register (https://uxlfoundation.github.io/oneDNN/dev_guide_understanding_memory_formats.html). The order of
these copies, and the sizes of the LSTM's workspace, are those that the profiler shows with torch 2.13.
"""

from __future__ import annotations

from typing import Any

import torch

from torchmedic.probes.planner.ledger import Hidden, Ledger
from torchmedic.probes.planner.losses import loss_buffers

PAGE = 4096
FLOAT = 4


def hidden_on_cpu(ledger: Ledger, threads: int) -> Hidden:
    """For that many threads of torch."""
    aten = torch.ops.aten
    lanes = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8
    has_onednn = torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled

    def convolution(args: tuple[Any, ...], output: Any) -> None:
        x, weight, bias = args[:3]
        is_transposed = args[6]
        if not has_onednn or not _is_plain(x, weight):
            return
        copy, blocked = _blocked(x, lanes), _blocked(output, lanes)
        if not is_transposed and x.shape[1] < lanes:
            copy = 0  # read as it is
        size = _bytes(output)
        ledger.pass_through(copy + _padded(weight, lanes) + blocked - size, operation="reorder")
        also = size if is_transposed and bias is not None else 0
        ledger.pass_through(blocked + also, operation="reorder")

    def convolution_backward(args: tuple[Any, ...], output: Any) -> None:
        gradient, x, weight = args[:3]
        if not has_onednn or not _is_plain(x, weight):
            return
        given, copy = _blocked(gradient, lanes), _blocked(x, lanes)
        weights = _padded(weight, lanes)
        made = [_bytes(each) for each in output if each is not None]
        if output[0] is not None:  # for the input first, while there are no weight gradients
            ledger.pass_through(given + weights + copy - sum(made), operation="reorder")
            again = 2 if _is_pointwise(weight) and max(args[4]) > 1 else 1
            ledger.pass_through(again * copy - sum(made[1:]), operation="reorder")
        if x.shape[1] <= 3:
            copy = 0
        elif x.shape[1] < lanes:
            copy = _blocked(x, 8)
        if x.element_size() < FLOAT:  # transposed for each thread, with padded rows
            rows = int(x.shape[3] + 5) * int(x.numel() // x.shape[3])
            weights += threads * (rows + gradient.numel()) * x.element_size() // int(x.shape[0])
        others = sum(_bytes(each) for each in output[1:] if each is not None)
        ledger.pass_through(given + copy + weights - others, operation="reorder")

    def lstm(args: tuple[Any, ...], output: Any) -> None:
        x, hidden, is_training = args[0], args[10], args[15]
        if not is_training or not torch.is_grad_enabled():
            return
        workspace, scratch = _lstm(x, hidden)
        ledger.weigh(output[3], workspace)
        ledger.pass_through(scratch, operation="reorder")

    def lstm_backward(args: tuple[Any, ...], output: Any) -> None:
        x, hidden = args[0], args[15]
        steps, size, _ = x.shape
        again = _lstm(x, hidden)[1] + (steps + 2) * size * hidden * FLOAT
        gates = 4 * hidden
        again += gates * (_leading(x.shape[2], FLOAT) + _leading(hidden, FLOAT)) * x.element_size()
        ledger.pass_through(again, operation="reorder")

    known = {
        aten.convolution.default: convolution,
        aten.convolution_backward.default: convolution_backward,
        aten.mkldnn_rnn_layer.default: lstm,
        aten.mkldnn_rnn_layer_backward.default: lstm_backward,
    }

    def hidden(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        found = known.get(func)
        if found is not None:
            found(args, output)
        else:
            loss_buffers(ledger, func, args, kwargs, output)

    return hidden


def _bytes(tensor: Any) -> int:
    return int(tensor.numel() * tensor.element_size())


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


def _is_plain(x: Any, weight: Any) -> bool:
    return bool(x.dim() == 4 and x.is_contiguous() and weight.is_contiguous())


def _is_pointwise(weight: Any) -> bool:
    return int(weight.shape[2] * weight.shape[3]) == 1


def _blocked(tensor: Any, lanes: int) -> int:
    return _bytes(tensor) // int(tensor.shape[1]) * _up(int(tensor.shape[1]), lanes)


def _padded(weight: Any, lanes: int) -> int:
    first, second = (_up(int(size), lanes) for size in weight.shape[:2])
    return _bytes(weight) // int(weight.shape[0] * weight.shape[1]) * first * second


def _leading(size: int, element: int) -> int:
    """`get_good_ld` of oneDNN's rnn_utils: rows of whole cache lines, but not of a multiple of 256 elements."""
    line = 64 // element
    size = _up(size, line)
    return size + line if size % 256 == 0 else size


def _lstm(x: Any, hidden: int) -> tuple[int, int]:
    """Workspace that is saved for the backward pass, and what the forward pass takes beside it.

    The workspace has seven parts, each of whole pages: gates; states of the layer, their gradients and those of the
    iteration; cell states and states of the iteration; hidden states.
    """
    steps, size, given = (int(each) for each in x.shape)
    element = x.element_size()
    gates = _leading(4 * hidden, element)
    states = 2 * (steps + 1) * size
    widest = max(given, hidden)
    parts = (
        steps * size * gates * element,
        states * _leading(widest, element) * element,
        states * _leading(widest, FLOAT) * FLOAT,
        states * _leading(widest, FLOAT) * FLOAT,
        states * hidden * FLOAT,
        states * hidden * element,
        steps * size * _leading(hidden, element) * element,
    )
    scratch = (given + hidden + (steps * size if element == FLOAT else 0)) * gates * element
    return sum(_up(part, PAGE) for part in parts), scratch
