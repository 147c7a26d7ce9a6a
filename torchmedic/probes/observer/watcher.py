"""What a part of the observer may be told. Handlers never raise into the program: the observer catches for them."""

from __future__ import annotations

import random
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from torchmedic.observed import Site


class Now:
    """Where the program stands."""

    def __init__(self) -> None:
        self.python = random.getstate()  # of Python's generator, at the start
        self.steps = 0  # of all optimizers
        self.forwards = 0  # root calls that were seen
        self.is_open = True  # in a window: all events are told
        self.pause: Callable[[bool], None] = lambda is_paused: None  # calls of modules are not seen
        # The program has hooks on saved tensors: reading one would run its code.
        self.has_saved_hooks = False
        self.constructors: Callable[[], Any] = lambda: None  # which modules were made, and where
        self.is_whole = True  # watched from the program's start; False: begun in the middle
        self._pass = 0
        self._iterator: weakref.ref[Any] | None = None

    def drew(self, iterator: Any, number: int) -> None:
        """A DataLoader's iterator gives a batch; 0: it is asked for one, or at its end."""
        self._pass = number
        if number and (self._iterator is None or self._iterator() is not iterator):
            self._iterator = weakref.ref(iterator)

    def modules_made(self) -> int:
        """How many modules had been made; 0 if that isn't known."""
        found = self.constructors()
        return int(found.count()) if found is not None else 0

    def order_of(self, module: Any) -> int:
        """Which one it was, from 0; -1 if it wasn't seen."""
        found = self.constructors()
        return int(found.order_of(module)) if found is not None else -1

    def made_by(self, module: Any) -> tuple[Site, ...]:
        """The call that constructed the module, then those around it; empty if it wasn't seen."""
        found = self.constructors()
        return tuple(found.made_by(module)) if found is not None else ()

    @property
    def loader(self) -> int:
        """The number of the pass that the latest batch came from; 0 after its end, or if its loop was left."""
        if self._pass and (self._iterator is None or self._iterator() is None):
            self._pass = 0
        return self._pass


@contextmanager
def paused(now: Now) -> Iterator[None]:
    """While a watcher runs a copy of a model."""
    now.pause(True)
    try:
        yield
    finally:
        now.pause(False)


class Watcher:
    """Overrides what it wants to be told. `frame` is the frame of the library's function that was called."""

    _in_windows: frozenset[str] = frozenset()  # handlers that need no event between windows

    def __init__(self, now: Now) -> None:
        self.now = now

    def optimizer_made(self, optimizer: Any, frame: FrameType) -> None: ...

    def group_added(self, optimizer: Any) -> None:
        """A group of parameters was added to it, at first by its constructor. Told always."""

    def called(
        self, module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        """A root module is called: one that is not inside the call of another. Only in windows."""

    def returned(self, module: Any, result: Any, frame: FrameType) -> None:
        """The call returns; not told after an exception."""

    def backward_begins(self, tensors: Any, frame: FrameType) -> None:
        """`loss.backward()`, `autograd.backward` or `autograd.grad`. Only in windows."""

    def backward_ends(self, frame: FrameType) -> None: ...

    def zero_grad(self, optimizer: Any, frame: FrameType) -> None:
        """Before it clears. Only in windows."""

    def module_zero_grad(self, module: Any, frame: FrameType) -> None:
        """`model.zero_grad()`. Only in windows."""

    def step_begins(
        self, optimizer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None: ...

    def step_ends(self, optimizer: Any) -> None: ...

    def pass_begins(self, loader: Any, number: int, frame: FrameType) -> None:
        """`iter(loader)`. Passes are numbered from 1."""

    def loader_made(self, loader: Any, shuffle: object, frame: FrameType) -> None:
        """A DataLoader's constructor begins. `shuffle`: its argument, None if it was left out."""

    def batch(self, iterator: Any, number: int, data: Any) -> None:
        """A DataLoader gives a batch. Told always."""

    def lost(self, name: str, names: Mapping[str, Any], frame: FrameType) -> None:
        """A function of `torch.nn.functional` that computes a loss is called, with its arguments. Only in windows."""

    def mode_set(self, module: Any, mode: bool, frame: FrameType) -> None:
        """`train()` or `eval()`, not told again for the children. Told always."""

    def scheduler_made(self, scheduler: Any, frame: FrameType) -> None:
        """A learning rate scheduler sets the rates that it begins with. Told always."""

    def scheduler_step(self, scheduler: Any, has_epoch: bool, frame: FrameType) -> None:
        """`step()` of a learning rate scheduler, called by the program and not by another one. Told always."""

    def clipped(self, function: str, parameters: Any, frame: FrameType) -> None:
        """`clip_grad_norm_` or `clip_grad_value_` has clipped gradients to a finite limit. Only in windows.

        `parameters`: a list of those that were clipped, empty where it can't be known.
        """

    def parameters_walked(self, module: Any, frame: FrameType) -> None:
        """`parameters()` or `named_parameters()` is asked for its first item. Only in windows."""

    def state_taken(self, module: Any, state: Any, frame: FrameType) -> None:
        """`state_dict()` of a module returns, not told again for the children. Told always."""

    def state_loaded(self, module: Any, state: Any, frame: FrameType) -> None:
        """`load_state_dict` of a module begins. Told always."""

    def seeded(self, generator: str, frame: FrameType) -> None:
        """`manual_seed` of "torch" or "cuda" begins."""

    def initialised(self, tensor: Any, generator: Any, frame: FrameType) -> None:
        """A function of `torch.nn.init` that draws begins. Told until somebody says that it knows enough."""

    def installed(self) -> None:
        """The watching begins: torch is loaded."""

    def wrapped(self, wrapper: Any, module: Any, frame: FrameType) -> None:
        """A DistributedDataParallel is about to be made for a module."""

    def opened(self) -> None:
        """A window begins: what was noted of the last one may be out of date."""

    def closed(self) -> None:
        """A window ends."""

    def read(self) -> dict[str, Any]:
        """Fields of `Run`."""
        return {}
