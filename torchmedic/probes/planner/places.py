"""Whose memory is it: the module that runs, the user's line, and for a backward pass those of the forward operation.

Autograd numbers its nodes as they are made. Where an operation reaches the dispatcher its node is already there, so
the numbers that are new belong to it; in a backward pass the engine tells which node it evaluates.
"""

from __future__ import annotations

import sys
from types import CodeType
from typing import Any, NamedTuple

import torch
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from torchmedic.observed import Site
from torchmedic.probes.observer.stack import Call, sites, user_call

_WRAPPERS = (
    "_orig_mod",
    "_checkpoint_wrapped_module",
)  # attributes that the user's code doesn't name


class Place(NamedTuple):
    module: str = ""
    call: Call | None = None


NOWHERE = Place()


def in_backward() -> bool:
    return bool(torch._C._current_graph_task_id() != -1)


def is_recomputing() -> bool:
    """A checkpoint runs its forward pass again, with gradients enabled, while the engine waits."""
    return in_backward() and bool(torch.is_grad_enabled())


class Places:
    """Follows the modules of one model. `boundary`: no frame outside of this code's is the user's."""

    def __init__(self, boundary: CodeType | None = None) -> None:
        self.boundary = boundary
        self.modules: list[str] = []
        self._paths: dict[int, str] = {}
        self._owners: dict[int, str] = {}  # of parameters
        self._nodes: dict[int, Place] = {}
        self._told = int(torch.autograd._get_sequence_nr())
        self.last = NOWHERE  # place of the latest operation
        self._latest = NOWHERE  # of the forward pass
        self._hooks: list[Any] = []
        self._sites: dict[Call, Site] = {}

    def follow(self, model: Any) -> None:
        for name, module in model.named_modules():
            path = ".".join(part for part in name.split(".") if part not in _WRAPPERS)
            self._paths.setdefault(id(module), path)
            for _, parameter in module.named_parameters(recurse=False):
                self._owners.setdefault(id(parameter), path)
        if not self._hooks:
            self._hooks = [
                register_module_forward_pre_hook(self._enter),
                register_module_forward_hook(self._leave, always_call=True),
            ]

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def _enter(self, module: Any, arguments: Any) -> None:
        inside = self.modules[-1] if self.modules else ""
        self.modules.append(self._paths.get(id(module), inside))

    def _leave(self, module: Any, arguments: Any, output: Any) -> None:
        if self.modules:
            self.modules.pop()

    def now(self) -> Place:
        """Where the program is. Notes which autograd nodes have come since the last call."""
        if in_backward() and not is_recomputing():
            self.last = self._of_node()
            return self.last
        frame = sys._getframe(1)
        place = Place(self.modules[-1] if self.modules else "", user_call(frame, self.boundary))
        number = int(torch.autograd._get_sequence_nr())
        for older in range(self._told, number - 1):
            self._nodes[older] = self._latest
        if number > self._told:
            self._nodes[number - 1] = place
        self._told, self._latest, self.last = number, place, place
        return place

    def _of_node(self) -> Place:
        node = torch._C._current_autograd_node()
        if node is None:
            return NOWHERE
        variable = getattr(node, "variable", None)
        if variable is not None:  # AccumulateGrad
            return Place(self._owners.get(id(variable), ""))
        return self._nodes.get(int(node._sequence_nr()), NOWHERE)

    def site(self, call: Call | None) -> Site | None:
        if call is None:
            return None
        found = self._sites.get(call)
        if found is None:
            found = self._sites[call] = sites((call,))[0]
        return found
