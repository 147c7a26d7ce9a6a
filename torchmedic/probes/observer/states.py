"""State dicts that a module gets back while they still are its own parameters.

Who writes to a parameter adds to its `_version`, which the tensors of `state_dict()` share. A step adds the same each
time: if there is no more than that, nobody but the optimizer has written to them.
"""

from __future__ import annotations

import sys
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from torchmedic.observed.run_memory import Reloaded
from torchmedic.probes.observer.stack import Call, owner_of, sites, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher

MOST_MODULES = 64
MOST_TAKEN = 32  # of one module, that are still alive
MOST_FOUND = 16
LOOKED = 3  # steps of an optimizer whose writes are counted


def _values(state: Any) -> Mapping[str, Any]:
    return state if type(state) in (dict, OrderedDict) else {}


class _Taken:
    def __init__(self, state: Mapping[str, Any], steps: int, frame: FrameType) -> None:
        torch: Any = sys.modules["torch"]
        plain = {k: t for k, t in state.items() if type(t) is torch.Tensor}
        self.state = _reference(state)
        self.tensor = _reference(next(iter(plain.values()), None))
        self.versions = {k: t._version for k, t in plain.items()}
        self.steps = steps
        self.loads = 0  # of the parameters onto themselves: each adds 1 to their versions
        self.by = user_calls(frame)
        self.owner = owner_of(frame)

    @property
    def is_alive(self) -> bool:
        return self.state() is not None or self.tensor() is not None

    def is_in(self, state: Mapping[str, Any]) -> bool:
        tensor = self.tensor()
        if self.state() is state:
            return True
        return tensor is not None and any(t is tensor for t in state.values())


def _reference(held: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(held)
    except TypeError:  # a plain dict, or nothing
        return lambda: None


class States(Watcher):
    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self._taken: dict[int, tuple[weakref.ref[Any], list[_Taken]]] = {}
        self._looks: dict[
            int, int
        ] = {}  # id of an optimizer -> its steps whose writes were counted
        self._before: list[tuple[int, int]] = []
        self._writes: dict[int, int] = {}  # id of a parameter -> what one step adds to its version
        self._found: dict[tuple[Call, ...], Reloaded] = {}

    # --- what a step writes

    def optimizer_made(self, optimizer: Any, frame: FrameType) -> None:
        self._looks.pop(id(optimizer), None)

    def step_begins(
        self, optimizer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        looks = self._looks.get(id(optimizer), 0)
        if looks < LOOKED:
            self._looks[id(optimizer)] = looks + 1
            self._before = _versions(optimizer)

    def step_ends(self, optimizer: Any) -> None:
        if not self._before:
            return
        is_first = self._looks.get(id(optimizer)) == 1
        before, self._before = dict(self._before), []
        for number, version in _versions(optimizer):
            added = version - before.get(number, version)
            known = 0 if is_first else self._writes.get(number, 0)
            self._writes[number] = max(known, added)

    # --- what is taken and comes back

    def state_taken(self, module: Any, state: Any, frame: FrameType) -> None:
        known = self._taken.get(id(module))
        if known is None or known[0]() is not module:
            if len(self._taken) >= MOST_MODULES:
                self._taken = {n: k for n, k in self._taken.items() if k[0]() is not None}
            if len(self._taken) >= MOST_MODULES:
                return
            known = self._taken[id(module)] = (weakref.ref(module), [])
        known[1][:] = [t for t in known[1] if t.is_alive]
        if len(known[1]) < MOST_TAKEN and _values(state):
            known[1].append(_Taken(state, self.now.steps, frame))

    def state_loaded(self, module: Any, state: Any, frame: FrameType) -> None:
        known = self._taken.get(id(module))
        values = _values(state)
        if known is None or known[0]() is not module or len(self._found) >= MOST_FOUND:
            return
        taken = next((t for t in reversed(known[1]) if t.is_in(values)), None)
        own = _own(module, values) if taken is not None else []
        if taken is None or not own:
            return
        steps = self.now.steps - taken.steps
        if steps and taken.by and self._are_stepped(own, taken, steps):
            found = Reloaded(
                sites(taken.by),
                sites(user_calls(frame)),
                steps,
                taken.owner or owner_of(frame),
            )
            self._found.setdefault(taken.by, found)
        for one in known[1]:
            one.loads += 1

    def _are_stepped(self, own: list[tuple[str, Any]], taken: _Taken, steps: int) -> bool:
        """Steps have changed these parameters since, and nothing else has."""
        changed = 0
        for name, parameter in own:
            if name not in taken.versions:
                return False
            added = parameter._version - taken.versions[name] - taken.loads
            if added > steps * self._writes.get(id(parameter), 0):
                return False
            changed += added > 0
        return changed > 0

    def read(self) -> dict[str, Any]:
        return {"reloaded": tuple(self._found.values())}


def _versions(optimizer: Any) -> list[tuple[int, int]]:
    return [(id(p), p._version) for group in optimizer.param_groups for p in group["params"]]


def _own(module: Any, values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The parameters that are given; empty if one of the given tensors is not the module's parameter itself."""
    torch: Any = sys.modules["torch"]
    own = [(n, p) for n, p in module.named_parameters() if n in values]
    for name, parameter in own:
        given = values[name]
        if type(given) is not torch.Tensor or type(parameter) is not torch.nn.Parameter:
            return []
        if not _is_same_memory(given, parameter):
            return []
    return own


def _is_same_memory(one: Any, other: Any) -> bool:
    if one.shape != other.shape or one.device != other.device or one.device.type == "meta":
        return False
    return one._version == other._version and bool(one.data_ptr() == other.data_ptr())
