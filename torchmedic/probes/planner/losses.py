"""Losses that hide buffers on every device, because their reduction is inside the operation.

`mse_loss` and `smooth_l1_loss` size their result for every value before they shrink its shape to a scalar, and compute
the values into a temporary; the result of `binary_cross_entropy` is shrunk after that. So the scalar that the program
holds keeps the storage of all values. The other two have temporaries only. Sources: aten/src/ATen/native/Loss.cpp and
BinaryOps.cpp, cuda/Loss.cu, torch 2.13; the profiler shows the same on a CPU.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from torchmedic.probes.planner.ledger import Ledger

NONE = 0  # at::Reduction::None


class _Buffers(NamedTuple):
    place: int  # of the argument `reduction`
    is_kept: bool  # the result keeps the storage of all values
    temporaries: int  # of that size


def loss_buffers(
    ledger: Ledger, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
) -> None:
    found = _known().get(func)
    if found is None:
        return
    reduction = args[found.place] if len(args) > found.place else kwargs.get("reduction", 1)
    if reduction == NONE:
        return
    shape = torch.broadcast_shapes(args[0].shape, args[1].shape)
    size = int(torch.Size(shape).numel() * output.element_size())
    if found.is_kept:
        ledger.weigh(output, size)
    ledger.pass_through(*[size] * found.temporaries, operation=str(func.name()))


def _known() -> dict[Any, _Buffers]:
    if not _KNOWN:
        aten = torch.ops.aten
        _KNOWN[aten.mse_loss.default] = _Buffers(2, True, 1)
        _KNOWN[aten.smooth_l1_loss.default] = _Buffers(2, True, 1)
        _KNOWN[aten.huber_loss.default] = _Buffers(2, False, 1)
        _KNOWN[aten.binary_cross_entropy.default] = _Buffers(3, True, 0)
        _KNOWN[aten.binary_cross_entropy_with_logits.default] = _Buffers(4, False, 2)
    return _KNOWN


_KNOWN: dict[Any, _Buffers] = {}
