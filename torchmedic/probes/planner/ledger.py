"""Every storage that operations take on one device, from its first use to its end.

A storage is known by its address and an id, since addresses are used again; a weak reference tells when it goes. Views
share a storage, so nothing counts twice.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from torchmedic.observed.plan import Category, Event, Phase
from torchmedic.probes.planner.places import NOWHERE, Place, Places, in_backward, is_recomputing

Answer = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]  # NotImplemented: no answer
Hidden = Callable[[Any, tuple[Any, ...], dict[str, Any], Any], None]
_REAL = (torch.Tensor, torch.nn.Parameter)
_COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)


class Held:
    """One storage, or something else that takes memory."""

    __slots__ = ("category", "id", "is_weighed", "operation", "place", "size", "step")

    def __init__(self, id: int, size: int, place: Place, operation: str, step: int) -> None:
        self.id, self.size, self.place, self.operation = id, size, place, operation
        self.step = step  # when it was taken
        self.category: Category | None = None
        self.is_weighed = False  # the size is not the storage's own


class Ledger(TorchDispatchMode):  # type: ignore[misc]
    """Goes inside the fake mode, or around a real step.

    `answer` may take an operation over; `hidden` is called after each, and tells what the operation took beside its
    outputs through `take` and `pass_through`. `adopt` gets every real tensor that an operation is given beside fake
    ones, and whether it is to be changed, and tells what to take instead.
    """

    def __init__(
        self,
        device: str,
        places: Places,
        answer: Answer | None = None,
        hidden: Callable[[Ledger], Hidden] | None = None,
    ) -> None:
        super().__init__()
        self.device, self.places = device, places
        self.phase: Phase = "setup"
        self.step = 0
        self._answer = answer
        self.adopt: Callable[[Any, bool], Any] | None = None
        self.wrappers: tuple[type, ...] = ()  # whose operations become those of a local part
        self.is_paused = False
        self._named: Category | None = None
        self._hidden = hidden(self) if hidden is not None else None
        self._events: list[tuple[bool, Held, Phase, int]] = []
        self._live: dict[int, tuple[Held, Any]] = {}
        self._pending: dict[
            int, Held
        ] = {}  # taken in a forward pass, may be saved for the backward pass
        self._count = 0
        self.used_again: set[int] = set()  # ids of what a later step was given

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.wrappers and any(issubclass(kind, self.wrappers) for kind in types):
            return NotImplemented  # the wrapper's turn, whose parts come back here
        place = self.places.now()
        if self._pending and in_backward() and not is_recomputing():
            self._saved()
        is_cast = func is _COPIES[0] and kwargs.get("device") is None
        if self.adopt is not None and (is_cast or func not in _COPIES):
            args = self._adopted(func, args)
        if self.step > 1:
            self._use(args)
        output = self._answer(func, args, kwargs) if self._answer is not None else NotImplemented
        if output is NotImplemented:
            output = func(*args, **kwargs)
        for value in (output,) if isinstance(output, torch.Tensor) else tree_iter(output):
            if isinstance(value, torch.Tensor):
                self._note(value, place, func)
        if self._hidden is not None and not self.is_paused:
            self._hidden(func, args, kwargs, output)
        return output

    def _adopted(self, func: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Real tensors among the arguments, and in their lists, become what `adopt` says."""
        adopt: Any = self.adopt
        target = args[0] if args and func._schema.is_mutable else None

        def taken(value: Any) -> Any:
            if type(value) in _REAL:
                return adopt(value, value is target)
            if type(value) in (list, tuple) and any(type(one) in _REAL for one in value):
                return type(value)(map(taken, value))
            return value

        return tuple(map(taken, args))

    def _use(self, args: tuple[Any, ...]) -> None:
        for value in args:
            for tensor in value if type(value) in (list, tuple) else (value,):
                if isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided:
                    found = self._live.get(tensor.untyped_storage()._cdata)
                    if found is not None and found[0].step < self.step:
                        self.used_again.add(found[0].id)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """What is new in here is noted when it is first met outside."""
        before, self.is_paused = self.is_paused, True
        try:
            yield
        finally:
            self.is_paused = before

    @contextlib.contextmanager
    def named(self, category: Category) -> Iterator[None]:
        """What is taken in here is of this category, unless somebody `owns` it later."""
        before, self._named = self._named, category
        try:
            yield
        finally:
            self._named = before

    def resized(self, storage: Any) -> None:
        """A storage that changed its size where no operation shows it."""
        key = storage._cdata
        found = self._live.get(key)
        if found is not None and not found[0].is_weighed and found[0].size != storage.nbytes():
            self._again(key, storage)

    def owns(self, tensors: Iterable[Any], category: Category) -> None:
        """Tells what these tensors are. Those of unknown storages are noted as taken now."""
        if self.is_paused:
            return
        for tensor in tensors:
            for part in _parts(tensor):
                if part.device.type == self.device:
                    held = self._held(part, NOWHERE, None)
                    held.category = category
                    self._pending.pop(held.id, None)

    def weigh(self, tensor: Any, size: int) -> None:
        """What the storage of this new tensor really takes, where a fake kernel makes it smaller."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        old, _ = self._live.pop(key)
        self._freed(old)
        held = self._taken(size, old.place, old.operation)
        held.category, held.is_weighed = old.category, True
        self._live[key] = held, weakref.ref(storage, self._when_gone(key, held))

    def take(self, size: int, operation: str, category: Category = "workspace") -> None:
        """Something that stays to the end, and is no module's own."""
        self._taken(size, NOWHERE, operation).category = category

    def pass_through(self, *sizes: int, operation: str) -> None:
        """What an operation takes and gives back before it returns, all of it at one time."""
        taken = [self._taken(size, self.places.last, operation) for size in sizes if size > 0]
        for held in taken:
            held.category = "workspace"
            self._freed(held)

    def close(self) -> tuple[Event, ...]:
        """The events, with the categories that are known by now."""
        alive, self._live = self._live, {}
        del alive
        return tuple(self._event(*each) for each in self._events)

    def _event(self, is_taken: bool, held: Held, phase: Phase, step: int) -> Event:
        module, call = held.place
        return Event(
            "alloc" if is_taken else "free",
            held.id,
            held.size,
            held.category or "temporaries",
            phase,
            module,
            held.operation,
            self.places.site(call),
            step,
        )

    def _note(self, tensor: Any, place: Place, func: Any) -> None:
        if self.is_paused:
            return
        for part in _parts(tensor):
            if part.device.type == self.device:
                self._held(part, place, func)

    def _held(self, tensor: Any, place: Place, func: Any) -> Held:
        storage = tensor.untyped_storage()
        key = storage._cdata
        size = storage.nbytes()
        found = self._live.get(key)
        if found is not None:
            held = found[0]
            if held.size == size or held.is_weighed:
                return held
            return self._again(key, storage)
        held = self._taken(size, place, str(func.name()) if func else "")
        held.category = self._named
        self._live[key] = held, weakref.ref(storage, self._when_gone(key, held))
        return held

    def _again(self, key: int, storage: Any) -> Held:
        """Resized in place: what it was is given back, what it is now is taken."""
        old, _ = self._live.pop(key)
        self._freed(old)
        held = self._taken(storage.nbytes(), self.places.last, old.operation)
        held.category = self._named or old.category
        self._live[key] = held, weakref.ref(storage, self._when_gone(key, held))
        return held

    def _when_gone(self, key: int, held: Held) -> Callable[[Any], None]:
        def gone(_: Any) -> None:
            found = self._live.get(key)
            if found is not None and found[0] is held:
                del self._live[key]
                self._freed(held)

        return gone

    def _taken(self, size: int, place: Place, operation: str) -> Held:
        self._count += 1
        held = Held(self._count, size, place, operation, self.step)
        phase = self._phase()
        if phase == "forward" or (phase == "backward" and is_recomputing()):
            self._pending[held.id] = held
        self._events.append((True, held, phase, self.step))
        return held

    def _freed(self, held: Held) -> None:
        self._pending.pop(held.id, None)
        self._events.append((False, held, self._phase(), self.step))

    def _phase(self) -> Phase:
        return "backward" if in_backward() else self.phase

    def _saved(self) -> None:
        for held in self._pending.values():
            if held.category is None:
                held.category = "activations"
        self._pending.clear()


def _parts(tensor: Any) -> tuple[Any, ...]:
    """The tensors whose storages hold the values: of a sparse one its indices and values, of a shard the local part."""
    local = getattr(tensor, "_local_tensor", None)
    if local is not None:
        return _parts(local)
    if tensor.layout is torch.strided:
        return (tensor,)
    if tensor.layout is torch.sparse_coo:
        return (tensor._indices(), tensor._values())
    return ()
