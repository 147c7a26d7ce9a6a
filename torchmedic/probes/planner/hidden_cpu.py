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
from torchmedic.probes.planner.sizes import rounded_up

PAGE = 4096
FLOAT = 4
FIRST = 3  # channels of a first convolution, which reads its input as it is


def hidden_on_cpu(ledger: Ledger, threads: int) -> Hidden:
    """For that many threads of torch."""
    aten = torch.ops.aten
    lanes = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8
    has_onednn = torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled

    def convolution(args: tuple[Any, ...], output: Any) -> None:
        x, weight = args[:2]
        is_transposed, groups = args[6], args[8]
        if not has_onednn or not _is_plain(x, weight):
            return
        size = _bytes(output)
        if is_transposed:  # plain copies, and one more of the output
            ledger.pass_through(_bytes(x) + _bytes(weight), operation="reorder")
            ledger.pass_through(2 * size, operation="reorder")
            return
        copy, blocked = _copied(x, groups, lanes), _copied(output, groups, lanes, is_needed=True)
        if groups == 1 and x.shape[1] < lanes:
            copy = 0  # read as it is
        weights = _padded(weight, groups, lanes)
        ledger.pass_through(copy + weights + blocked - size, operation="reorder")
        ledger.pass_through(blocked, operation="reorder")

    def convolution_backward(args: tuple[Any, ...], output: Any) -> None:
        gradient, x, weight = args[:3]
        is_transposed, groups = args[7], args[9]
        if not has_onednn or not _is_plain(x, weight):
            return
        read = int((gradient if is_transposed else x).shape[1])  # channels of what is convolved
        extra = 0 if gradient.is_contiguous() else _bytes(gradient)
        weights = _padded(weight, groups, lanes)
        made = [_bytes(each) for each in output if each is not None]
        if output[0] is not None:  # for the input first, while there are no weight gradients
            given = _copied(gradient, groups, lanes)
            if is_transposed and read < lanes:
                given = 0
            copy = _copied(x, groups, lanes, is_needed=True)
            ledger.pass_through(extra + given + weights + copy - sum(made), operation="reorder")
            again = 2 if weight[0, 0].numel() == 1 and max(args[4]) > 1 else 1
            ledger.pass_through(extra + again * copy - sum(made[1:]), operation="reorder")
        width = 8 if FIRST < read < lanes else lanes
        given, copy = (_copied(each, groups, width) for each in (gradient, x))
        if read <= FIRST and groups == 1:
            given, copy = (0, copy) if is_transposed else (given, 0)
        is_grouped = groups not in (1, x.shape[1])
        if is_grouped and (x.shape[1] // groups % 8 or gradient.shape[1] // groups % 8):
            given = copy = 0
        if x.element_size() < FLOAT:  # transposed for each thread, with padded rows
            rows = int(x.shape[-1] + 5) * int(x.numel() // x.shape[-1])
            weights += threads * (rows + gradient.numel()) * x.element_size() // int(x.shape[0])
        others = sum(_bytes(each) for each in output[1:] if each is not None)
        ledger.pass_through(extra + given + copy + weights - others, operation="reorder")

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


def _is_plain(x: Any, weight: Any) -> bool:
    return bool(x.dim() > 2 and x.is_contiguous() and weight.is_contiguous())


def _copied(tensor: Any, groups: int, lanes: int, is_needed: bool = False) -> int:
    """Bytes of the copy. Channels in groups aren't padded, and are copied in large groups, or where it `is_needed`."""
    channels = int(tensor.shape[1])
    if groups in (1, channels):
        return _bytes(tensor) // channels * rounded_up(channels, lanes)
    return _bytes(tensor) if is_needed or channels // groups >= 8 else 0


def _padded(weight: Any, groups: int, lanes: int) -> int:
    if groups > 1:
        return _bytes(weight)
    first, second = (rounded_up(int(size), lanes) for size in weight.shape[:2])
    return _bytes(weight) // int(weight.shape[0] * weight.shape[1]) * first * second


def _leading(size: int, element: int) -> int:
    """`get_good_ld` of oneDNN's rnn_utils: rows of whole cache lines, but not of a multiple of 256 elements."""
    line = 64 // element
    size = rounded_up(size, line)
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
    return sum(rounded_up(part, PAGE) for part in parts), scratch
