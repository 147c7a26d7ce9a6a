"""The memory of Adam with moments of 8 bits: no arithmetic, only what is held, and updates in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

SMALLEST = 4096  # elements; smaller parameters keep float32 (`min_8bit_size`: sure)
BLOCK = 256  # elements that share a scale (likely: 2048 before version 0.45)
LEVELS = 256  # of each of the two maps from 8 bits to numbers (sure)


class EightBitAdam(torch.optim.Optimizer):  # type: ignore[misc]
    """As `bitsandbytes.optim.AdamW8bit` with its defaults holds them: `bitsandbytes/optim/optimizer.py`,
    `Optimizer2State.init_state` and `get_state_buffer`."""

    def __init__(self, parameters: Any, lr: float = 1e-3) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._updated(parameter)
        return loss

    def _updated(self, parameter: Any) -> None:
        state = self.state[parameter]
        if not state:
            is_small = parameter.numel() < SMALLEST
            for moment in ("1", "2"):
                kind = torch.float32 if is_small else torch.uint8
                state["state" + moment] = torch.zeros_like(parameter, dtype=kind)
                if not is_small:
                    blocks = -(-parameter.numel() // BLOCK)
                    state["absmax" + moment] = self._zeros(blocks, parameter)
                    state["qmap" + moment] = self._map(moment, parameter)
        parameter.add_(parameter.grad)

    def _map(self, moment: str, parameter: Any) -> Any:
        """One for all parameters."""
        maps = self.__dict__.setdefault("_maps", {})
        if moment not in maps:
            maps[moment] = self._zeros(LEVELS, parameter)
        return maps[moment]

    def _zeros(self, count: int, parameter: Any) -> Any:
        return torch.zeros(count, dtype=torch.float32, device=parameter.device)
