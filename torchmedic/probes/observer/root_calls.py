"""The latest forward passes that may train, with what it takes to repeat them. Held until the next step only."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping
from types import FrameType
from typing import Any

from torchmedic.probes.observer.looks import is_plain
from torchmedic.probes.observer.replay import RootCall, noted, tensors_in
from torchmedic.probes.observer.watcher import Now, Watcher

KEPT = 4
MOST_BYTES = 16 << 20  # of the inputs of one call


def has_layers(module: Any) -> bool:
    """False for losses and activations, which are called as often as models."""
    return bool(module._modules or module._parameters)


def grad_is_on() -> bool:
    torch: Any = sys.modules["torch"]
    return bool(torch.is_grad_enabled())


class RootCalls(Watcher):
    _in_windows = frozenset({"step_ends", "mode_set", "pass_begins"})

    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self.recent: deque[RootCall] = deque(maxlen=KEPT)

    def called(
        self, module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        if not has_layers(module) or not grad_is_on():
            return
        size = 0
        for tensor in tensors_in((args, dict(kwargs)) if kwargs else args):
            if not is_plain(tensor) or not tensor.is_cpu:
                return
            size += tensor.nbytes
        if size <= MOST_BYTES:
            self.recent.append(noted(module, args, kwargs, frame))

    def step_ends(self, optimizer: Any) -> None:
        if self.recent:
            self.recent.clear()

    def pass_begins(self, loader: Any, number: int, frame: FrameType) -> None:
        self.recent.clear()

    def mode_set(self, module: Any, mode: bool, frame: FrameType) -> None:
        self.recent.clear()

    def opened(self) -> None:
        self.recent.clear()

    def closed(self) -> None:
        self.recent.clear()
