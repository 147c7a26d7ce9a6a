"""Can the loss fall at all? One batch of the program's own, trained on again and again, on a copy of its model.

A model that can't learn one batch by heart will not learn the data: something between the loss and the parameters is
broken. The experiment happens once, before the first step that can be repeated; the program then goes on from where it was.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any

from torchmedic.observed.run_training import OverfitRun
from torchmedic.probes.observer.stack import Call, sites, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher

MOST_SECONDS = 60.0  # of the experiment
MOST_BYTES = 2 << 30  # of the copies
SECOND_RATE = 1e-2  # of Adam, where the program's own optimizer doesn't bring the loss down


class Overfit(Watcher):
    """`steps` times the first batch whose loss can be repeated."""

    def __init__(self, now: Now, steps: int) -> None:
        super().__init__(now)
        self._steps = steps
        self._root: tuple[Any, tuple[Any, ...], dict[str, Any]] | None = None
        self._result: Any = None
        self._loss: tuple[str, dict[str, Any], tuple[Call, ...]] | None = None
        self._tried = 0
        self._run: OverfitRun | None = None
        self._why = "no-step"

    def called(
        self, module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        if self._run is None and module.training and any(True for _ in module.parameters()):
            self._root, self._result, self._loss = (module, args, dict(kwargs)), None, None

    def returned(self, module: Any, result: Any, frame: FrameType) -> None:
        if self._run is None and self._root is not None and self._result is None:
            self._result = result

    def lost(self, name: str, names: Mapping[str, Any], frame: FrameType) -> None:
        if self._run is None and self._result is not None and names.get("input") is self._result:
            others = {k: v for k, v in names.items() if k != "input"}
            self._loss = name, others, user_calls(frame)

    def step_begins(
        self, optimizer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        if self._run is not None or self._tried >= 3:
            return
        self._tried += 1
        root, loss = self._root, self._loss
        self._root = self._result = self._loss = None
        if root is None or loss is None:
            self._why = "loss-unknown"
            return
        self.now.pause(True)
        try:
            self._run = _experiment(optimizer, root, loss, self._steps)
        finally:
            self.now.pause(False)

    def read(self) -> dict[str, Any]:
        return {"overfit": self._run or OverfitRun(why=self._why)}


def _experiment(
    optimizer: Any,
    root: tuple[Any, tuple[Any, ...], dict[str, Any]],
    loss: tuple[str, dict[str, Any], tuple[Call, ...]],
    steps: int,
) -> OverfitRun:
    from torchmedic.probes.sizes import reaches_outside, undisturbed

    module = root[0]
    by = sites(loss[2])
    size = sum(t.numel() * t.element_size() for t in (*module.parameters(), *module.buffers()))
    if reaches_outside(module):
        return OverfitRun(why="outside", by=by)
    if size * 4 > MOST_BYTES:
        return OverfitRun(why="too-large", by=by)
    name = type(optimizer).__name__
    rates = tuple(map(_rate, (group for group in optimizer.param_groups if "lr" in group)))
    try:
        with undisturbed():
            own = _trained(root, loss, steps, lambda memo: _like(optimizer, memo))
        if _falls(own):
            return OverfitRun(by, name, rates, own)
        with undisturbed():
            other = _trained(root, loss, steps, _adam)
    except Exception as error:  # of the copy: a module or an optimizer that can't be rebuilt
        return OverfitRun(why=f"{type(error).__name__}: {error}"[:200], by=by)
    return OverfitRun(by, name, rates, own, other)


def _falls(losses: tuple[float, ...]) -> bool:
    return bool(losses) and math.isfinite(losses[-1]) and min(losses[-5:]) < 0.5 * losses[0]


def _trained(root: Any, loss: Any, steps: int, made: Any) -> tuple[float, ...]:
    """The losses, one for each step; fewer if time runs out."""
    from torchmedic.probes.sizes import quiet, stripped

    torch: Any = sys.modules["torch"]
    memo: dict[int, Any] = {}

    def converted(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) not in memo:
            copied = value.detach().clone()
            memo[id(value)] = copied.requires_grad_(value.requires_grad and value.is_leaf)
        return memo[id(value)]

    module, args, kwargs = root
    name, others, _ = loss
    clone = stripped(module, converted, {})
    inputs, names, others = torch.utils._pytree.tree_map(converted, (args, kwargs, others))
    optimizer = made(memo)
    function = getattr(torch.nn.functional, name)
    losses: list[float] = []
    end = time.monotonic() + MOST_SECONDS
    with quiet(), torch.enable_grad():
        for _ in range(steps):
            optimizer.zero_grad()
            value = function(clone(*inputs, **names), **others)
            value.backward()
            optimizer.step()
            losses.append(float(value))
            if time.monotonic() > end:
                break
    return tuple(losses)


def _rate(group: Mapping[str, Any]) -> float:
    """Without what a scheduler has made of it by now: a warm-up begins at 0."""
    return float(group.get("initial_lr", group["lr"]))


def _like(optimizer: Any, memo: Mapping[int, Any]) -> Any:
    groups = []
    for group in optimizer.param_groups:
        own = {**group, "params": [memo[id(p)] for p in group["params"] if id(p) in memo]}
        if "lr" in group:
            own["lr"] = _rate(group)
        groups.append(own)
    return type(optimizer)([group for group in groups if group["params"]])


def _adam(memo: Mapping[int, Any]) -> Any:
    torch: Any = sys.modules["torch"]
    trained = [t for t in memo.values() if t.requires_grad]
    return torch.optim.Adam(trained, lr=SECOND_RATE)
