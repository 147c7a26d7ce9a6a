"""Losses whose reduction hides a buffer, on every device: the scalar that they return keeps the storage of all values.

`mse_loss` and `smooth_l1_loss` size their result for every value before they shrink its shape to a scalar, and compute
the values into a temporary (aten/src/ATen/native/BinaryOps.cpp and Loss.cpp, torch 2.13; seen in the profiler).
"""

from __future__ import annotations

from typing import Any

import torch

from torchmedic.probes.planner.ledger import Ledger

NONE = 0  # at::Reduction::None


def loss_buffers(
    ledger: Ledger, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
) -> None:
    if func not in (torch.ops.aten.mse_loss.default, torch.ops.aten.smooth_l1_loss.default):
        return
    reduction = args[2] if len(args) > 2 else kwargs.get("reduction", 1)
    if reduction == NONE:
        return
    shape = torch.broadcast_shapes(args[0].shape, args[1].shape)
    size = int(torch.Size(shape).numel() * output.element_size())
    ledger.weigh(output, size)
    ledger.pass_through(size, operation=str(func.name()))
