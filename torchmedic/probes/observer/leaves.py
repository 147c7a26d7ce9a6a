"""Parameters that backward passes reach and no optimizer holds: where the model has them, and whether they change.

A graph is walked once or twice for each place that calls `backward`. What is found is judged again at the end, because
a parameter may be given to an optimizer later.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from torchmedic.observed.run_memory import Freezing, Unheld
from torchmedic.probes.frames import is_user
from torchmedic.probes.observer.nodes import walk
from torchmedic.probes.observer.stack import Call, local_names, sites, user_call, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher

MOST_WALKS = 16
WALKS = 2  # for each place
MOST_NODES = 20_000
RESOLVED = (3, 12, 30)  # steps of an optimizer after which what is unheld is looked for
SAMPLE = 8  # elements that are compared
MOST_FOUND = 32
# What is written where `requires_grad` of a parameter is meant.
FREEZING = ("requires_grad", "require_grad", "requires_grads", "require_grads", "required_grad", "requires_gradient",
            "requires_gradients", "require_gradient", "requiresgrad", "requries_grad", "require_gradients")  # fmt: skip
_NAMES = frozenset(FREEZING)


class _Leaf:
    def __init__(self, tensor: Any) -> None:
        self.tensor = weakref.ref(tensor)
        self.size = int(tensor.numel())
        self.version = tensor._version
        self.sample = tensor.detach().reshape(-1)[:SAMPLE].clone()
        self.is_changed: Any = False  # a tensor of one element: no device is waited for

    def look(self) -> None:
        tensor = self.tensor()
        if tensor is None or self.is_changed is True:
            return
        if tensor._version != self.version:
            self.is_changed = True
        else:
            now = tensor.detach().reshape(-1)[:SAMPLE]
            self.is_changed = (now != self.sample).any() if now.shape == self.sample.shape else True


class _Optimizer:
    def __init__(self, optimizer: Any, made_by: tuple[Call, ...], modules: int) -> None:
        self.optimizer = weakref.ref(optimizer)
        self.made_by = made_by
        self.modules = modules  # how many had been made
        self.steps = self.groups = 0
        self.holds: set[int] = set()

    def look(self) -> None:
        optimizer = self.optimizer()
        if optimizer is not None:
            held = [p for group in optimizer.param_groups for p in group["params"]]
            self.holds |= set(map(id, held))


class Leaves(Watcher):
    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self._optimizers: dict[int, _Optimizer] = {}
        self._gone: list[_Optimizer] = []
        self._roots: dict[int, tuple[weakref.ref[Any], tuple[Call, ...]]] = {}
        self._walks: dict[Call, int] = {}
        self.known: dict[int, _Leaf] = {}
        self._frozen: dict[tuple[str, Any], tuple[set[int], dict[str, None]]] = {}
        self._found: dict[tuple[object, ...], tuple[Unheld, tuple[_Leaf, ...]]] = {}

    def optimizer_made(self, optimizer: Any, frame: FrameType) -> None:
        old = self._optimizers.get(id(optimizer))
        if old is not None and old.optimizer() is optimizer:
            return
        if old is not None:
            self._gone.append(old)
        made = _Optimizer(optimizer, user_calls(frame), self.now.modules_made())
        self._optimizers.pop(id(optimizer), None)
        self._optimizers[id(optimizer)] = made

    def group_added(self, optimizer: Any) -> None:
        known = self._optimizers.get(id(optimizer))
        if known is not None and known.optimizer() is optimizer:
            known.look()

    def called(
        self, module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        known = self._roots.get(id(module))
        if known is None or known[0]() is not module:
            calls = user_calls(frame.f_back)
            self._roots.pop(id(module), None)
            self._roots[id(module)] = (weakref.ref(module), calls)
            self._note_caller(frame.f_back, calls)

    def _note_caller(self, frame: FrameType | None, calls: tuple[Call, ...]) -> None:
        """The module in whose method the call is: `training_step` calls its parts, and nobody calls it."""
        torch: Any = sys.modules["torch"]
        caller = dict(local_names(frame)).get("self") if frame is not None else None
        if isinstance(caller, torch.nn.Module) and id(caller) not in self._roots:
            self._roots[id(caller)] = (weakref.ref(caller), calls)

    def backward_begins(self, tensors: Any, frame: FrameType) -> None:
        if len(self._walks) >= MOST_WALKS:
            return
        call = user_call(frame)
        walks = self._walks.get(call, 0) if call is not None else WALKS
        if call is None or walks >= WALKS:
            return
        self._walks[call] = walks + 1
        torch: Any = sys.modules["torch"]
        for tensor in tensors:
            if type(tensor) is not torch.Tensor or tensor.grad_fn is None:
                continue
            for node in walk(tensor.grad_fn, most=MOST_NODES):
                leaf: Any = getattr(node, "variable", None)
                if type(leaf) in (torch.Tensor, torch.nn.Parameter) and leaf.is_leaf:
                    known = self.known.get(id(leaf))
                    if known is None or known.tensor() is not leaf:
                        self.known[id(leaf)] = _Leaf(leaf)

    def step_ends(self, optimizer: Any) -> None:
        known = self._optimizers.get(id(optimizer))
        if known is None:
            return
        if not self.now.is_open:
            return
        known.steps += 1
        if len(optimizer.param_groups) != known.groups:
            known.groups = len(optimizer.param_groups)
            known.look()
        if known.steps in RESOLVED:
            self.look()
            self._resolve(known)

    def closed(self) -> None:
        self.look()

    def look(self) -> None:
        for one in self._optimizers.values():
            one.look()
        held = self.held()
        for number, leaf in self.known.items():
            if number not in held:
                leaf.look()

    def held(self) -> set[int]:
        """Ids of what any optimizer holds or held."""
        return set[int]().union(*(one.holds for one in self._everyone))

    # --- for those who ask more

    @property
    def _everyone(self) -> tuple[_Optimizer, ...]:
        return (*self._gone, *self._optimizers.values())

    @property
    def is_unsure(self) -> bool:
        """True if it isn't known of an optimizer what it held."""
        return any(not one.holds for one in self._everyone)

    def holders(self) -> dict[int, set[int]]:
        """What each optimizer holds, by its id, in the order in which they were made."""
        return {number: one.holds for number, one in self._optimizers.items()}

    def made_by(self, optimizer: int) -> tuple[Call, ...]:
        return self._optimizers[optimizer].made_by

    def roots(self) -> list[tuple[Any, tuple[Call, ...]]]:
        """What was called, in the order of the first calls, and where."""
        return [(m, calls) for ref, calls in self._roots.values() if (m := ref()) is not None]

    def knows(self, parameter: Any) -> bool:
        """True if a backward pass came to it."""
        known = self.known.get(id(parameter))
        return known is not None and known.tensor() is parameter

    def are_unchanged(self, numbers: set[int]) -> bool:
        """True if no optimizer holds any of these leaves, and nothing else has changed one."""
        found = [self.known.get(n) for n in numbers]
        return numbers.isdisjoint(self.held()) and not any(
            leaf is None or bool(leaf.is_changed) for leaf in found
        )

    # --- where the model has them

    def _resolve(self, known: _Optimizer) -> None:
        held = self.held()
        self._note_freezing(known, held & set(self.known))
        missing = {n: leaf for n, leaf in self.known.items() if n not in held}
        if not missing or len(self._found) >= MOST_FOUND:
            return
        roots = self.roots()
        told: set[int] = set()
        for root, calls in roots:
            for found, numbers in (*self._hidden(root, held), *self._late(root, known, held)):
                own = tuple(missing[n] for n in sorted(numbers) if n in missing)
                if own and not numbers & told and len(own) == len(numbers):
                    told |= numbers
                    found = found._replace(
                        called_by=sites(calls), optimizer_by=sites(known.made_by)
                    )
                    self._found.setdefault((found.form, found.attribute, found.layer), (found, own))
        if not known.holds & set(self.known) and len(self._optimizers) + len(self._gone) == 1:
            for root, calls in roots:
                numbers = {id(p) for p in root.parameters() if p.requires_grad}
                if numbers and numbers == set(missing):
                    found = Unheld(
                        "other", called_by=sites(calls), optimizer_by=sites(known.made_by)
                    )
                    self._found.setdefault(("other",), (found, tuple(missing.values())))

    def _note_freezing(self, known: _Optimizer, trained: set[int]) -> None:
        """`layer.requires_grad = False` and `parameter.require_grad = False`: nobody reads either."""
        for ref, calls in self._roots.values():
            root = ref()
            for module in root.modules() if root is not None else ():
                own = list(module.parameters(recurse=False))
                for name in _NAMES & module.__dict__.keys():
                    inside = {id(p) for p in module.parameters()} & trained
                    is_set = module.__dict__[name] is False and not hasattr(type(module), name)
                    if inside and is_set:
                        self._note_frozen(name, "module", inside, known, calls, module)
                for p in own:
                    names = [n for n in _NAMES & p.__dict__.keys() if p.__dict__[n] is False]
                    if names and id(p) in trained and p.requires_grad:
                        self._note_frozen(names[0], "parameter", {id(p)}, known, calls, module)

    def _note_frozen(
        self,
        name: str,
        of: Any,
        numbers: set[int],
        known: _Optimizer,
        calls: tuple[Call, ...],
        module: Any,
    ) -> None:
        paths = [c.code.co_filename for c in (*known.made_by, *calls)]
        found, files = self._frozen.setdefault((name, of), (set(), {}))
        found |= numbers
        files.update(dict.fromkeys([*paths, _class_of(module)[0]]))

    def _hidden(self, root: Any, held: set[int]) -> Iterator[tuple[Unheld, set[int]]]:
        """In a container that registers nothing, or as a plain tensor."""
        torch: Any = sys.modules["torch"]
        for module in root.modules():
            own = {id(p) for p in module.parameters()}
            if not own & held:
                continue
            for attribute, value in list(module.__dict__.items()):
                if type(value) is torch.Tensor and id(value) in self.known:
                    found = Unheld("leaf", attribute, "tensor", 1, *_class_of(module))
                    yield found, {id(value)}
                if type(value) not in (list, tuple, dict) or attribute.startswith("_"):
                    continue
                items = list(value.values()) if type(value) is dict else value
                of_layers = {
                    id(p)
                    for m in items
                    if isinstance(m, torch.nn.Module) and m.training
                    for p in m.parameters()
                }
                numbers = of_layers | {id(p) for p in items if isinstance(p, torch.nn.Parameter)}
                numbers = (numbers - own) & set(self.known)
                if numbers and len(items) >= 2:
                    form: Any = "list" if of_layers else "parameters"
                    kind = type(value).__name__
                    yield Unheld(form, attribute, kind, len(items), *_class_of(module)), numbers

    def _late(
        self, root: Any, known: _Optimizer, held: set[int]
    ) -> Iterator[tuple[Unheld, set[int]]]:
        """A layer of the model that was made after the optimizer, which holds all the rest that gets gradients."""
        late: list[tuple[str, Any, set[int]]] = []
        rest: set[int] = set()
        for name, module in root.named_modules():
            own = {id(p) for p in module.parameters(recurse=False)} & set(self.known)
            if not own:
                continue
            order = self.now.order_of(module)
            if order >= known.modules > 0 and not own & held:
                late.append((name, module, own))
            else:
                rest |= own
        if rest and rest <= known.holds:
            for name, module, own in late:
                yield Unheld("late", layer=name, made_by=self.now.made_by(module)), own

    def read(self) -> dict[str, Any]:
        self.look()
        held = self.held()
        unseen = any(o.steps == 0 and not o.holds for o in self._gone)
        told = []
        for found, leaves in self._found.values():
            numbers = {n for n, leaf in self.known.items() if leaf in leaves}
            if unseen or numbers & held or any(bool(leaf.is_changed) for leaf in leaves):
                continue
            count = sum(leaf.size for leaf in leaves)
            told.append(found._replace(parameters=count))
        freezings = tuple(
            Freezing(name, of, len(found), tuple(f for f in files if f and is_user(f)))
            for (name, of), (found, files) in self._frozen.items()
        )
        return {"unheld": tuple(told), "freezings": freezings}


def _class_of(module: Any) -> tuple[str, str]:
    """The file and the name of the class."""
    kind = type(module)
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return str(file or ""), kind.__qualname__
