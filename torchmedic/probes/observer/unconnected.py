"""Backward passes from a tensor that nothing was computed for, and steps of optimizers that find no gradient at all."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

from torchmedic.observed.run_memory import Unconnected
from torchmedic.probes.observer.stack import Call, owner_of, sites, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher

MOST_PLACES = 16
MOST_NODES = 4  # from the loss to a number that it was made of


def _leaf(root: Any) -> Any:
    """The tensor that a number is, or that it is the mean or a part of; None for any other graph."""
    torch: Any = sys.modules["torch"]
    if type(root) is not torch.Tensor or root.numel() != 1:
        return None
    node = root.grad_fn
    for _ in range(MOST_NODES):
        if node is None:
            return root
        ways = [n for n, _ in node.next_functions if n is not None]
        if not ways:
            root = getattr(node, "variable", None)
            return root if type(root) is torch.Tensor else None
        if len(ways) > 1:
            return None
        node = ways[0]
    return None


class _Place:
    def __init__(self, by: tuple[Call, ...], owner: str) -> None:
        self.by = by
        self.owner = owner
        self.leaves = self.refused = self.others = self.steps = 0


class Backwards(Watcher):
    _in_windows = frozenset({"step_begins", "step_ends"})

    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self._places: dict[Call, _Place] = {}
        self._since: list[_Place] = []  # backward passes from a leaf since the last step
        self._is_other = False  # and something else than those
        self._fed = 0  # steps that found a gradient

    def backward_begins(self, tensors: Any, frame: FrameType) -> None:
        by = user_calls(frame)
        place = self._places.get(by[0]) if by else None
        if place is None and by and len(self._places) < MOST_PLACES:
            place = self._places[by[0]] = _Place(by, owner_of(frame))
        leaf = _leaf(tensors[0]) if len(tensors) == 1 else None
        if place is None or leaf is None:
            self._is_other = True
            if place is not None:
                place.others += 1
        elif leaf.requires_grad:
            place.leaves += 1
            self._since.append(place)
        else:
            place.refused += 1

    def step_begins(
        self, optimizer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        has_closure = any(callable(a) for a in args[1:]) or kwargs.get("closure") is not None
        groups = optimizer.param_groups
        if has_closure or any(p.grad is not None for group in groups for p in group["params"]):
            self._fed += 1
        elif not self._is_other:
            for place in self._since:
                place.steps += 1

    def step_ends(self, optimizer: Any) -> None:
        self._since = []
        self._is_other = False

    def opened(self) -> None:
        self._since = []
        self._is_other = True  # the window may begin within a cycle

    def read(self) -> dict[str, Any]:
        told = (
            Unconnected(
                sites(one.by), one.leaves, one.refused, one.others, one.steps, self._fed, one.owner
            )
            for one in self._places.values()
            if one.leaves or one.refused
        )
        return {"unconnected": tuple(told)}
