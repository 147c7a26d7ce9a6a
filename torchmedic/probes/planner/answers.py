"""Answers that depend on values, given without any: each is counted, with the user's line.

One arm of every branch on values is taken, and sizes are the largest that they can be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.utils import _python_dispatch as python_dispatch

from torchmedic.observed.plan import Guess
from torchmedic.probes.observer.stack import Call
from torchmedic.probes.planner.places import Places

_disable_current_modes: Any = python_dispatch._disable_current_modes
MASKS = (torch.bool, torch.uint8)


class Answers:
    """An `Answer` of the ledger. `is_own`: True while the optimizer or the scaler asks, which isn't told."""

    def __init__(self, places: Places) -> None:
        self.is_own = False
        self._places = places
        self._given: Counter[tuple[str, Call | None]] = Counter()
        aten = torch.ops.aten
        self._known: dict[Any, Callable[..., Any]] = {
            aten._local_scalar_dense.default: self._item,
            aten.equal.default: self._equal,
            aten.nonzero.default: self._nonzero,
            aten.masked_select.default: self._masked_select,
            aten.index.Tensor: self._index,
            aten._unique2.default: self._unique,
            aten.unique_consecutive.default: self._unique,
            aten._pin_memory.default: lambda tensor, *_: tensor,
        }

    def __call__(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        known = self._known.get(func)
        return NotImplemented if known is None else known(*args, **kwargs)

    def guesses(self) -> tuple[Guess, ...]:
        return tuple(
            Guess(kind, times, self._places.site(call))
            for (kind, call), times in self._given.items()
        )

    def count(self, kind: str) -> None:
        if not self.is_own:
            self._given[kind, self._places.last.call] += 1

    def _item(self, tensor: Any) -> Any:
        known = getattr(tensor, "constant", None)
        if known is not None:
            return known.item()
        if not isinstance(tensor, torch._subclasses.FakeTensor):  # of a step that was real
            with _disable_current_modes():
                return tensor.item()
        self.count("item")
        if tensor.dtype is torch.bool:
            return False
        return 1.0 if tensor.dtype.is_floating_point else 1

    def _equal(self, *_: Any) -> bool:
        self.count("equal")
        return False

    def _nonzero(self, tensor: Any) -> Any:
        self.count("nonzero")
        size = (tensor.numel(), tensor.dim())
        return torch.empty(size, dtype=torch.int64, device=tensor.device)

    def _masked_select(self, tensor: Any, mask: Any) -> Any:
        self.count("masked_select")
        size = torch.Size(torch.broadcast_shapes(tensor.shape, mask.shape)).numel()
        return torch.empty((size,), dtype=tensor.dtype, device=tensor.device)

    def _index(self, tensor: Any, indices: Any) -> Any:
        if not any(index is not None and index.dtype in MASKS for index in indices):
            return NotImplemented
        self.count("boolean index")
        places: list[Any] = []
        for index in indices:
            if index is None or index.dtype not in MASKS:
                places.append(index)
                continue
            one = torch.empty((index.numel(),), dtype=torch.int64, device=index.device)
            places += [one] * index.dim()
        return torch.ops.aten.index.Tensor(tensor, places)

    def _unique(self, tensor: Any, *flags: Any, **named: Any) -> Any:
        """All values differ. Inverse and counts are as long as asked for: at most as many."""
        self.count("unique")
        values = torch.empty((tensor.numel(),), dtype=tensor.dtype, device=tensor.device)
        places = torch.empty(tensor.shape, dtype=torch.int64, device=tensor.device)
        return (
            values,
            places,
            torch.empty((tensor.numel(),), dtype=torch.int64, device=tensor.device),
        )
