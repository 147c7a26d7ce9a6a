"""Which parameters of an optimizer get no gradient, or nothing but zeros, and what a copy of the model shows of them."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any, Literal, NamedTuple

from torchmedic.observed import Site
from torchmedic.observed.run_numbers import Dead, Silent
from torchmedic.probes.frames import is_user
from torchmedic.probes.observer.looks import can_read, is_due, is_plain
from torchmedic.probes.observer.replay import Operation, Replay, RootCall, can_replay
from torchmedic.probes.observer.root_calls import RootCalls
from torchmedic.probes.observer.stack import Call, sites
from torchmedic.probes.observer.watcher import Now, Watcher, paused

MOST_OPTIMIZERS = 16
FIRST_REPLAY = 4  # looks at an optimizer's gradients
MOST_REPLAYS = 3
SAMPLE = 1024  # values of a gradient that are read first
MOST_TOLD = 40
_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict")
_CHOICES = ("ModuleList", "ModuleDict")


class _Suspect:
    """A parameter without gradient, or with zeros only, since the first look."""

    def __init__(self, parameter: Any, kind: Literal["none", "zero"]) -> None:
        self.parameter = weakref.ref(parameter)
        self.id = id(parameter)
        self.kind: Literal["none", "zero"] = kind
        self.version = parameter._version
        self.looked = self.until = 0
        self.is_used: bool | None = None
        self.layer: _Layer | None = None


class _Layer(NamedTuple):
    """What a root call told of the layer that holds a parameter."""

    name: str
    type: str
    values: int
    members: tuple[int, ...]  # ids of the parameters that belong to it and are trained
    root: str
    called_by: tuple[Site, ...]
    made_by: tuple[Site, ...]
    is_library: bool
    choices: tuple[int, ...]  # parameters of its siblings, where one of several is chosen


class _Optimizer:
    def __init__(self, optimizer: Any) -> None:
        self.ref = weakref.ref(optimizer)
        self.looks = 0
        self.suspects: dict[int, _Suspect] = {}
        self.learnt: set[int] = set()


class _Relu:
    """One place of a model that applies ReLU."""

    def __init__(self, told: Dead) -> None:
        self.told = told
        self.is_alive = False


class Learning(Watcher):
    _in_windows = frozenset({"step_begins"})

    def __init__(self, now: Now, calls: RootCalls) -> None:
        super().__init__(now)
        self._calls = calls
        self._known: dict[int, _Optimizer] = {}
        self._replays = 0
        self._relus: dict[tuple[str, str, Call | None], _Relu] = {}

    def step_begins(
        self, optimizer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        known = self._known.get(id(optimizer))
        if known is None or known.ref() is not optimizer:
            if len(self._known) >= MOST_OPTIMIZERS:
                return
            known = self._known[id(optimizer)] = _Optimizer(optimizer)
            self._look_first(known, optimizer)
        elif known.suspects:
            self._look_again(known)
        known.looks += 1
        is_time = known.looks >= FIRST_REPLAY and not known.looks & (known.looks - 1)
        is_open = known.suspects and (known.learnt or _has_zero(known))
        if is_time and is_open and self._replays < MOST_REPLAYS:
            self._replay(known)

    def _look_first(self, known: _Optimizer, optimizer: Any) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                kind = _kind(parameter.grad) if parameter.requires_grad else ""
                if kind:
                    known.suspects[id(parameter)] = _Suspect(parameter, kind)
                else:
                    known.learnt.add(id(parameter))

    def _look_again(self, known: _Optimizer) -> None:
        is_read = is_due(known.looks + 1)
        for suspect in list(known.suspects.values()):
            parameter = suspect.parameter()
            if parameter is None:
                continue
            if suspect.kind == "none":
                is_same = parameter.grad is None and parameter._version == suspect.version
            elif is_read:
                is_same = _kind(parameter.grad) == "zero"
            else:
                continue
            if not is_same or not parameter.requires_grad:
                del known.suspects[suspect.id]
                known.learnt.add(suspect.id)
                continue
            suspect.looked += 1
            suspect.until = self.now.steps

    # --- a copy

    def _replay(self, known: _Optimizer) -> None:
        torch: Any = sys.modules["torch"]
        for call in list(self._calls.recent):
            module = call.module
            if module is None:
                continue
            inside = {id(p) for p in module.parameters()}
            wanted = [s for s in known.suspects.values() if s.id in inside]
            if not wanted or not can_replay(call):
                continue
            self._replays += 1
            with paused(self.now), torch.no_grad():
                used = self._used(call)
            if used is None:
                continue
            layers = dict(self._layers(call, [s.id for s in wanted]))
            for suspect in wanted:
                suspect.layer = layers.get(suspect.id)
                suspect.is_used = bool(suspect.is_used) or suspect.id in used

    def _used(self, call: RootCall) -> set[int] | None:
        """Ids of the tensors of the model that an operation got; None if the copy failed."""
        found: set[int] = set()
        replay: Replay
        relus: dict[tuple[str, str, Call | None], tuple[Operation, bool, float]] = {}
        root = type(call.module).__name__

        def told(one: Operation) -> None:
            for tensor in one.given:
                original = replay.originals.get(id(tensor))
                if original is not None:
                    found.add(id(original))
            largest = one.largest
            if largest is not None and one.result:
                is_zero = not bool(one.result[0].any())
                key = (root, one.layer, one.call if one.is_direct else None)
                before = relus.get(key)
                is_dead = is_zero and largest < 0 and (before is None or before[1])
                relus[key] = (one, is_dead, max(largest, before[2] if before else largest))

        replay = Replay(call, told)
        if not replay.run():
            return None
        for key, (one, is_dead, largest) in relus.items():
            self._note(call, key, one, is_dead, largest)
        return found

    def _note(
        self, call: RootCall, key: Any, one: Operation, is_dead: bool, largest: float
    ) -> None:
        relu = self._relus.get(key)
        if relu is None:
            shape = one.result[0].shape
            by = sites((one.call,)) if one.is_direct and one.call else ()
            layer = "" if one.is_direct else one.layer
            built = self.now.made_by(call.module.get_submodule(layer)) if layer else ()
            units = int(shape[1]) if len(shape) > 1 else 1
            relu = self._relus[key] = _Relu(
                Dead(layer, type(call.module).__name__, by, built, units, largest=largest)
            )
        told = relu.told
        relu.is_alive = relu.is_alive or not is_dead
        relu.told = told._replace(
            batches=told.batches + 1, largest=max(told.largest, largest), until=self.now.steps
        )

    def _layers(self, call: RootCall, wanted: list[int]) -> Iterator[tuple[int, _Layer]]:
        module = call.module
        called_by = sites(call.by)
        for name, layer in module.named_modules():
            own = [p for p in layer.parameters(recurse=False) if p.requires_grad and is_plain(p)]
            if not any(id(p) in wanted for p in own):
                continue
            holder, choices = _holder(module, name)
            told = _Layer(
                name,
                type(layer).__name__,
                sum(int(p.numel()) for p in own),
                tuple(map(id, own)),
                type(module).__name__,
                called_by,
                self.now.made_by(layer),
                not is_user(type(holder).forward.__code__.co_filename),
                choices,
            )
            for parameter in own:
                yield id(parameter), told

    # --- what is told

    def read(self) -> dict[str, Any]:
        silent = [s for known in self._known.values() for s in _silent(known)]
        dead = [r.told for r in self._relus.values() if not r.is_alive]
        return {"silent": tuple(silent[:MOST_TOLD]), "dead": tuple(dead[:MOST_TOLD])}


def _has_zero(known: _Optimizer) -> bool:
    return any(s.kind == "zero" for s in known.suspects.values())


def _kind(gradient: Any) -> Literal["none", "zero", ""]:
    """ "none", "zero", or "" for another one and for what can't be read."""
    if gradient is None:
        return "none"
    if not can_read(gradient) or not gradient.numel():
        return ""
    plain = gradient.detach()
    if plain.numel() > SAMPLE and plain.is_contiguous() and bool(plain.view(-1)[:SAMPLE].any()):
        return ""
    return "" if bool(plain.any()) else "zero"


def _holder(root: Any, name: str) -> tuple[Any, tuple[int, ...]]:
    """The module whose code decides about the layer, and the parameters of what it may choose instead."""
    choices: tuple[int, ...] = ()
    while name:
        name = name.rpartition(".")[0]
        holder = root.get_submodule(name)
        kind = type(holder)
        if kind.__module__ != "torch.nn.modules.container" or kind.__name__ not in _CONTAINERS:
            return holder, choices
        if kind.__name__ in _CHOICES:
            choices = (*choices, *(id(p) for p in holder.parameters()))
    return root, choices


def _silent(known: _Optimizer) -> Iterator[Silent]:
    told: set[str] = set()
    for suspect in known.suspects.values():
        layer = suspect.layer
        if layer is None or layer.name in told:
            continue
        others = [known.suspects.get(i) for i in layer.members]
        if any(o is None or o.kind != suspect.kind for o in others):
            continue
        told.add(layer.name)
        yield Silent(
            layer.name,
            layer.type,
            suspect.kind,
            layer.values,
            layer.root,
            layer.called_by,
            layer.made_by,
            suspect.looked,
            suspect.until,
            suspect.is_used,
            layer.is_library,
            any(i in known.learnt for i in layer.choices),
        )
