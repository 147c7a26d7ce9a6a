"""Inputs that are one and the same number in every batch that was looked at."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from torchmedic.observed.run_numbers import Constant
from torchmedic.probes.observer.looks import can_read, is_due
from torchmedic.probes.observer.replay import tensors_in
from torchmedic.probes.observer.root_calls import grad_is_on, has_layers
from torchmedic.probes.observer.stack import sites, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher

MOST_ROOTS = 64
SAMPLE = 4096  # values that are read first
FEWEST = 2  # values of a sample


class _Root:
    def __init__(self, module: Any, frame: FrameType) -> None:
        self.module = weakref.ref(module)
        self.type = type(module).__name__
        self.by = user_calls(frame.f_back)
        self.calls = self.batches = 0
        self.is_varied = False
        self.value = 0.0
        self.shape: tuple[int, ...] = ()
        self.loader = 0
        self.is_target_varied = False


class Inputs(Watcher):
    _in_windows = frozenset({"batch"})

    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self._roots: dict[int, _Root] = {}
        self._passes: dict[int, tuple[Any, ...]] = {}
        self._suspects = 0

    def pass_begins(self, loader: Any, number: int, frame: FrameType) -> None:
        if len(self._passes) < MOST_ROOTS:
            self._passes[number] = user_calls(frame)

    def called(
        self, module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        if not has_layers(module) or not grad_is_on():
            return
        root = self._roots.get(id(module))
        if root is None or root.module() is not module:
            if len(self._roots) >= MOST_ROOTS:
                return
            root = self._roots[id(module)] = _Root(module, frame)
        if root.is_varied:
            return
        root.calls += 1
        if is_due(root.calls):
            self._look(root, args, kwargs)

    def _look(self, root: _Root, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        given = [*tensors_in(args), *tensors_in(list(kwargs.values()))]
        values = [_constant(t) for t in given]
        is_same = bool(given) and self.now.loader and all(v is not None for v in values)
        first = values[0] if values else None
        if not is_same or first is None or (root.batches and first != root.value):
            root.is_varied = True
            return
        self._suspects += not root.batches
        root.batches += 1
        root.value, root.shape = first, tuple(map(int, given[0].shape))
        root.loader = self.now.loader

    def batch(self, iterator: Any, number: int, data: Any) -> None:
        if not self._suspects:
            return
        for root in self._roots.values():
            if not root.is_varied and root.loader == number and not root.is_target_varied:
                root.is_target_varied = any(_constant(t) is None for t in _readable(data))

    def read(self) -> dict[str, Any]:
        found = [r for r in self._roots.values() if not r.is_varied and r.batches]
        return {"constant": tuple(self._told(root) for root in found)}

    def _told(self, root: _Root) -> Constant:
        return Constant(
            sites(root.by),
            root.type,
            root.value,
            root.shape,
            root.batches,
            root.loader,
            sites(self._passes.get(root.loader, ())),
            root.is_target_varied,
        )


def _readable(data: Any) -> Iterator[Any]:
    return (t for t in tensors_in(data) if can_read(t))


def _constant(tensor: Any) -> float | None:
    """The number that all values are; None if they differ or can't be read."""
    torch: Any = sys.modules["torch"]
    if not can_read(tensor) or tensor.is_complex() or tensor.numel() < FEWEST:
        return None
    plain = tensor.detach()
    if plain.dtype is torch.bool:
        plain = plain.byte()
    if plain.numel() > SAMPLE and plain.is_contiguous():
        low, high = torch.aminmax(plain.view(-1)[:SAMPLE])
        if bool(low != high):
            return None
    low, high = torch.aminmax(plain)
    return float(low) if bool(low == high) else None
