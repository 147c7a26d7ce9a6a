"""Models that are trained together with those of an optimizer, and that no optimizer holds.

A gradient that nobody uses is no mistake by itself: heads learn alone on a body, networks judge. So every call of such a
model is followed for the first steps: whether its result comes from what an optimizer changes, whether each backward pass
of that optimizer comes through it, and whether two optimizers hold the same in its place.
"""

from __future__ import annotations

import math
import sys
import weakref
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from torchmedic.observed.run_memory import Unheld
from torchmedic.probes.observer.leaves import Leaves
from torchmedic.probes.observer.nodes import walk
from torchmedic.probes.observer.replay import tensors_in
from torchmedic.probes.observer.root_calls import grad_is_on
from torchmedic.probes.observer.stack import Call, sites
from torchmedic.probes.observer.watcher import Now, Watcher

CHOSEN = (2, 8, 16)  # steps after which models are looked for
FEWEST = 3  # steps in which one is seen to take part, and steps of each of two equal optimizers
JUDGED = 24  # steps, from the first choice on
MOST_MODELS = 8
MOST_LOADED = 64
MOST_CALLS = 8  # of one model between two steps, each of which costs a walk of its graph
MOST_NODES = 20_000
SPREAD = 0.25  # of the standard deviation of weights as they are drawn
FEWEST_DRAWN = 16  # numbers, for a standard deviation that tells something


def _leaves_of(tensor: Any) -> Iterator[int]:
    """Ids of the leaves that the tensor was computed from."""
    node = tensor.grad_fn
    for found in walk(node, most=MOST_NODES) if node is not None else ():
        leaf = getattr(found, "variable", None)
        if leaf is not None:
            yield id(leaf)


class _Steps:
    """Of one optimizer, behind backward passes. `through`: those that came to the model; `own`: to what it holds."""

    def __init__(self) -> None:
        self.all = self.through = self.own = 0


class _Model:
    def __init__(self, module: Any, calls: tuple[Call, ...], is_behind: bool) -> None:
        self.module = weakref.ref(module)
        self.by = calls
        self.numbers = {id(p) for p in module.parameters()}
        self.size = sum(int(p.numel()) for p in module.parameters())
        self.is_behind = is_behind  # it was called later than a model that an optimizer changes
        self.together = self.otherwise = 0  # steps
        self.steps: dict[int, _Steps] = {}
        self.optimizers: list[int] = []  # that hold what a backward pass reached together with it
        self.is_loaded = False
        self.is_taken = False  # a model that an optimizer changes was called with its result
        self.is_drawn: Any = None  # or a tensor of one element: no device is waited for
        self.begin()

    def begin(self) -> None:
        """A step is over."""
        self.calls = self.blind = self.apart = 0
        self.is_joined = False

    @property
    def has_gradients(self) -> bool:
        module = self.module()
        return module is not None and all(p.grad is not None for p in module.parameters())


class Beside(Watcher):
    _in_windows = frozenset({"step_ends"})

    def __init__(self, now: Now, leaves: Leaves) -> None:
        super().__init__(now)
        self._leaves = leaves
        self._models: dict[int, _Model] = {}
        self._found: list[_Model] = []
        self._dropped: set[int] = set()  # ids of modules that are no such models
        self._reached: list[set[int]] = []  # by each backward pass since the last step
        self._loaded: dict[int, weakref.ref[Any]] = {}
        self._judged = 0
        self._running: tuple[int, Any] = (0, None)  # a call: id of its frame, and the module
        self._last = 0  # id of the optimizer that stepped last
        self._turns = 0  # how often another one stepped than the time before
        self._is_over = False

    # --- events

    def state_loaded(self, module: Any, state: Any, frame: FrameType) -> None:
        if len(self._loaded) < MOST_LOADED:
            self._loaded[id(module)] = weakref.ref(module)
        for model in (*self._found, *self._models.values()):
            own = model.module()
            model.is_loaded |= own is not None and _share(own, module)

    def called(
        self, module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        if not self._models:
            return
        self._running = id(frame), module
        model = self._models.get(id(module))
        if model is not None:
            model.calls += 1
            if not grad_is_on():
                model.blind += 1
            elif not module.training:
                self._drop(module)

    def returned(self, module: Any, result: Any, frame: FrameType) -> None:
        if not self._models or self._running[0] != id(frame):
            return
        (_, module), self._running = self._running, (0, None)
        model = self._models.get(id(module))
        if not grad_is_on():
            return
        if model is not None and model.calls - model.blind > MOST_CALLS:
            self._drop(module)
            return
        found = {n for tensor in tensors_in(result) for n in _leaves_of(tensor)}
        is_from_held = not found.isdisjoint(self._leaves.held())
        if model is not None:
            model.apart += not is_from_held
        elif is_from_held:
            for other in self._models.values():
                other.is_taken |= other.numbers <= found

    def _drop(self, module: Any) -> None:
        del self._models[id(module)]
        self._dropped.add(id(module))

    def lost(self, name: str, names: Mapping[str, Any], frame: FrameType) -> None:
        if not self._models:
            return
        torch: Any = sys.modules["torch"]
        given: Any = names.get("input", names.get("log_probs"))
        target: Any = names.get("target", names.get("targets"))
        if type(given) is not torch.Tensor or type(target) is not torch.Tensor:
            return
        if target.requires_grad:
            return
        found = set(_leaves_of(given))
        if not found.isdisjoint(self._leaves.held()):
            for model in self._models.values():
                model.is_joined |= model.numbers <= found

    def backward_begins(self, tensors: Any, frame: FrameType) -> None:
        if self._models:
            given = [t for t in tensors if getattr(t, "grad_fn", None) is not None]
            self._reached.append({n for tensor in given for n in _leaves_of(tensor)})

    def step_ends(self, optimizer: Any) -> None:
        if self._is_over:
            return
        if self._models:
            self._judge(optimizer)
        if self.now.steps in CHOSEN:
            self._choose()

    def closed(self) -> None:
        self._found += self._models.values()
        self._models = {}
        self._running = (0, None)
        self._is_over = True

    # --- which models

    def _choose(self) -> None:
        self._leaves.look()
        held = self._leaves.held()
        if not held or self._leaves.is_unsure or not self.now.is_whole:
            return
        is_behind = False
        roots = self._leaves.roots()
        for root, calls in roots:
            numbers = {id(p) for p in root.parameters()}
            is_known = id(root) in self._models or id(root) in self._dropped
            if not numbers or is_known:
                continue
            if numbers & held:
                is_behind = True
            elif len(self._models) < MOST_MODELS and self._is_own(root, numbers, roots):
                self._models[id(root)] = _Model(root, calls, is_behind)
        self._reached = []

    def _is_own(self, root: Any, numbers: set[int], roots: list[tuple[Any, Any]]) -> bool:
        """True if the program made it, as a model for itself, and nothing was loaded or frozen."""
        parameters = list(root.parameters())
        if not all(p.requires_grad and self._leaves.knows(p) for p in parameters):
            return False
        if any(self.now.order_of(m) < 0 for m in root.modules()):
            return False
        if any(
            other is not root and not numbers.isdisjoint(map(id, other.parameters()))
            for other, _ in roots
        ):
            return False
        loaded = [module for ref in self._loaded.values() if (module := ref()) is not None]
        return len(loaded) < MOST_LOADED and not any(_share(root, m) for m in loaded)

    # --- what a step tells of them

    def _judge(self, optimizer: Any) -> None:
        reached, self._reached = self._reached, []
        self._turns += self._last not in (0, id(optimizer))
        self._last = id(optimizer)
        holders = self._leaves.holders()
        own = holders.get(id(optimizer), set())
        for model in list(self._models.values()):
            if reached:
                steps = model.steps.setdefault(id(optimizer), _Steps())
                steps.all += 1
                steps.through += any(model.numbers <= numbers for numbers in reached)
                steps.own += any(own & numbers for numbers in reached)
            hits = [numbers for numbers in reached if own & numbers]
            is_together = all(model.numbers <= n for n in hits) and model.has_gradients
            is_with = not model.apart or (model.calls == 1 and model.is_joined)
            if hits and not (model.calls and model.blind):
                if is_together and is_with and model.calls and model.is_behind:
                    model.together += 1
                    for number, numbers in holders.items():
                        if number not in model.optimizers and any(numbers & n for n in hits):
                            model.optimizers.append(number)
                else:
                    model.otherwise += 1
            if model.together == FEWEST and model.is_drawn is None:
                model.is_drawn = _is_as_drawn(model.module())
            model.begin()
        self._judged += 1
        if self._judged >= JUDGED:
            self.closed()

    # --- what is told

    def read(self) -> dict[str, Any]:
        self._leaves.look()
        told = []
        models = [*self._found, *self._models.values()]
        for model in models if not self._leaves.is_unsure else ():
            if not self._is_left_alone(model):
                continue
            form: Any = "other"
            wrong = self._wrong(model) if self._turns >= FEWEST else None
            if wrong is None and model.together >= FEWEST and not model.otherwise:
                if not bool(model.is_drawn):
                    continue
                form, wrong = (
                    "beside",
                    max(model.optimizers, key=list(self._leaves.holders()).index),
                )
            if wrong is not None:
                found = Unheld(form, items=len(model.optimizers), called_by=sites(model.by))
                made_by = sites(self._leaves.made_by(wrong))
                told.append(found._replace(optimizer_by=made_by, parameters=model.size))
        return {"beside": tuple(told)}

    def _is_left_alone(self, model: _Model) -> bool:
        """Neither held, loaded, frozen nor changed in another way, as far as it was there."""
        module = model.module()
        parameters = list(module.parameters()) if module is not None else []
        is_same = module is None or {id(p) for p in parameters} == model.numbers
        is_frozen = not all(p.requires_grad for p in parameters)
        is_touched = model.is_loaded or is_frozen or not is_same
        return not is_touched and self._leaves.are_unchanged(model.numbers)

    def _wrong(self, model: _Model) -> int | None:
        """Of two optimizers that hold the same, that which belongs to the model."""
        holders = self._leaves.holders()
        many = [n for n, steps in model.steps.items() if steps.all >= FEWEST]
        pairs = [
            (one, other)
            for one in many
            for other in many
            if one != other and holders.get(one) and holders.get(one) == holders.get(other)
        ]
        for one, other in pairs:
            mine, others = model.steps[one], model.steps[other]
            if mine.through == mine.all and not others.through and model.is_taken:
                return one
        for one, other in pairs:
            mine, others = model.steps[one], model.steps[other]
            if mine.through == mine.all and not mine.own and others.own == others.all:
                return one
        return None


def _share(one: Any, other: Any) -> bool:
    """True if one of the modules is a part of the other, or it is the same."""
    return any(m is other for m in one.modules()) or any(m is one for m in other.modules())


def _is_as_drawn(module: Any) -> Any:
    """True if the weights of its layers still are what `reset_parameters` of torch's layers drew: a tensor of one element."""
    torch: Any = sys.modules["torch"]
    nn = torch.nn
    drawn: list[Any] = []
    for layer in module.modules():
        own = list(layer.parameters(recurse=False))
        if own and not type(layer).__module__.startswith("torch.nn.modules"):
            return False
        if isinstance(layer, (nn.Linear, nn.modules.conv._ConvNd)):
            if type(layer._parameters.get("weight")) is not nn.Parameter:
                return False  # computed from others: asking for it would run the program's code
            weight = layer._parameters["weight"].detach().float()
            bound = 1 / math.sqrt(max(1, math.prod(weight.shape[1:])))
            drawn.append(weight.abs().max() <= bound * 1.001)
            if weight.numel() >= FEWEST_DRAWN:
                expected = bound / math.sqrt(3)  # the standard deviation of a uniform distribution
                drawn.append((weight.std() - expected).abs() <= SPREAD * expected)
        elif any(p._version > 2 for p in own):
            return False
    is_one_device = len({one.device for one in drawn}) == 1
    return torch.stack(drawn).all() if is_one_device else False
