"""Where the events come from: second bodies for a few functions of torch, and its own hooks around `step`.

Everything is on in windows only: the first 32 steps, then 3 of every 128, and the first batches of some passes
over a loader. What stays on between them costs about 4 µs a step.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from torchmedic.observed.run import Run
from torchmedic.probes.observer.points import Bodies
from torchmedic.probes.observer.watcher import Now, Watcher

FIRST_WINDOW = 32  # steps
LATER_WINDOW = 3
PERIOD = 128
TELL_EVERY = 5.0  # seconds, at least: what is certain by then is told while the program runs
TELL_SHARE = 200  # telling takes at most this part of the time
BATCHES = 4  # at the beginning of a pass over a loader
PASSES = 12  # the first passes whose beginnings are watched, then every 16th
EVERY = 16
Handler = Callable[..., None]


class Observer:
    """Tells its watchers what happens. An error of ours ends the watching, and never reaches the program."""

    def __init__(
        self,
        watchers: Callable[[Now], list[Watcher]],
    ) -> None:
        self.now = Now()
        self._make = watchers
        self.watchers: list[Watcher] = []  # made when torch is there: until then they cost nothing
        self.error: Exception | None = None
        self.is_on = False
        self.is_between = False  # two cells of a notebook
        self.on_window: Callable[[], None] = lambda: None
        self.on_error: Callable[[Exception], None] = lambda error: None
        self._bodies = Bodies(bool)
        self._handles: list[Any] = []
        self._thread = 0
        self._passes = 0
        self._numbers: dict[int, int] = {}  # id of an iterator -> number of its pass
        self._turn_at = FIRST_WINDOW
        self._tell_at = time.monotonic() + TELL_EVERY
        self._is_telling = False
        self._batches_left = 0
        self._is_compiling: Callable[[], bool] = bool
        self._stepped: set[int] = set()  # ids of optimizers whose first step was told
        self._told: dict[str, list[Handler]] = {}
        self._told_between: dict[str, list[Handler]] = {}  # windows
        self.switch_calls: Callable[[bool], None] = lambda is_on: None

    # --- installing

    def install(self) -> None:
        """torch is loaded. What can't be watched in this version of it is left out."""
        self._thread = threading.get_ident()
        self.watchers = self._make(self.now)
        self._is_compiling = getattr(sys.modules.get("torch.compiler"), "is_compiling", bool)
        names = [n for n in vars(Watcher) if not n.startswith("_") and n != "read"]
        for name in names:
            overridden = [
                w for w in self.watchers if getattr(type(w), name) is not getattr(Watcher, name)
            ]
            self._told[name] = [getattr(w, name) for w in overridden]
            self._told_between[name] = [
                getattr(w, name) for w in overridden if name not in w._in_windows
            ]
        optim = sys.modules["torch.optim.optimizer"]
        self._bodies = Bodies(self._is_compiling)
        self._bodies.add(self)
        self._handles = [
            optim.register_optimizer_step_pre_hook(self._step_begins),
            optim.register_optimizer_step_post_hook(self._step_ends),
        ]
        _INSTALLED.add(self)
        self.is_on = True
        self._set_hot(True)
        self._tell("installed")

    def _set_hot(self, is_on: bool) -> None:
        if is_on:
            self._bodies.open()
        else:
            self._bodies.close()
        self.switch_calls(is_on)

    def uninstall(self) -> None:
        """Puts everything back. What was noted stays readable."""
        if not self.is_on:
            return
        self.is_on = False
        self.now.is_open = False
        self._bodies.restore()
        for handle in self._handles:
            handle.remove()
        self.switch_calls(False)

    @property
    def is_idle(self) -> bool:
        """True if no model was called and no optimizer took a step: there is nothing to read."""
        return not self.now.steps and not self.now.forwards

    def read(self) -> Run:
        """What was seen so far. It is over when nothing is watched any more."""
        fields: dict[str, Any] = {
            "steps": self.now.steps,
            "is_over": not self.is_on,
            "is_between": self.is_between,
        }
        for watcher in self.watchers:
            fields |= watcher.read()
        return Run(**fields)

    # --- windows

    def _open(self) -> None:
        if not self.now.is_open:
            self.now.is_open = True
            self._set_hot(True)
            self._tell("opened")

    def _close(self) -> None:
        if self.now.is_open:
            self.now.is_open = False
            self._set_hot(False)
            self._tell("closed")
            now = time.monotonic()
            if self.is_on and now >= self._tell_at:
                self.on_window()
                taken = time.monotonic() - now
                self._tell_at = now + max(TELL_EVERY, TELL_SHARE * taken)

    def _turn(self) -> None:
        if self.now.is_open:
            self._turn_at = self.now.steps + PERIOD - LATER_WINDOW
            self._close()
        else:
            self._turn_at = self.now.steps + LATER_WINDOW
            self._open()

    # --- events

    def _tell(self, name: str, *details: Any) -> None:
        if not self.is_on or self._is_telling or threading.get_ident() != self._thread:
            return
        self._is_telling = True  # what a watcher itself does is no event
        try:
            told = self._told if self.now.is_open else self._told_between
            for handler in told[name]:
                handler(*details)
        except Exception as error:
            self._fail(error)
        finally:
            self._is_telling = False

    def _fail(self, error: Exception) -> None:
        self.error = error
        self.uninstall()
        self.on_error(error)

    def optimizer_made(self, optimizer: Any) -> None:
        self._stepped.discard(id(optimizer))
        self._tell("optimizer_made", optimizer, sys._getframe(1))

    def group_added(self, result: Any) -> Any:
        self._tell("group_added", sys._getframe(1).f_locals.get("self"))
        return result

    def joins(self, wrapper: Any) -> None:
        nn: Any = sys.modules["torch"].nn
        frame = sys._getframe(1).f_back
        if frame is not None and isinstance(wrapper, nn.parallel.DistributedDataParallel):
            module = frame.f_locals.get("module")
            if isinstance(module, nn.Module):
                self._tell("wrapped", wrapper, module, frame)

    def mode_set(self, module: Any, mode: Any) -> None:
        frame = sys._getframe(1)
        above = frame.f_back
        if above is None or above.f_code is not frame.f_code:
            self._tell("mode_set", module, bool(mode), frame)

    def loader_made(self, loader: Any, shuffle: object) -> None:
        self._tell("loader_made", loader, shuffle, sys._getframe(1))

    def seeded(self, generator: str) -> None:
        self._tell("seeded", generator, sys._getframe(1))

    def initialised(self, tensor: Any, generator: Any) -> None:
        self._tell("initialised", tensor, generator, sys._getframe(1))

    def called(self, module: Any, args: Any, kwargs: Any, frame: FrameType) -> None:
        if self._is_telling:
            return
        self.now.forwards += 1
        self._tell("called", module, args, kwargs, frame)

    def returned(self, module: Any, result: Any, frame: FrameType) -> None:
        self._tell("returned", module, result, frame)

    def backward_begins(self, tensors: Any) -> None:
        self._tell("backward_begins", tensors, sys._getframe(1))

    def backward_ends(self, result: Any) -> Any:
        self._tell("backward_ends", sys._getframe(1))
        return result

    def saving(self) -> None:
        self.now.has_saved_hooks = True

    def scheduled(self, scheduler: Any, epoch: Any) -> None:
        frame = sys._getframe(1)
        above = frame.f_back
        if above is not None and above.f_code.co_filename != frame.f_code.co_filename:
            self._tell("scheduler_step", scheduler, epoch is not None, frame)
        elif above is not None and above.f_code.co_name == "_initial_step":
            self._tell("scheduler_made", scheduler, frame)

    def state_taken(self, state: Any) -> Any:
        frame = sys._getframe(1)
        above = frame.f_back
        if above is None or above.f_code is not frame.f_code:  # not for a child
            self._tell("state_taken", frame.f_locals.get("self"), state, frame)
        return state

    def state_loaded(self, module: Any, state: Any) -> None:
        self._tell("state_loaded", module, state, sys._getframe(1))

    def clipped(self, result: Any) -> Any:
        frame = sys._getframe(1)
        names = frame.f_locals
        held, limit = names.get("parameters"), names.get("max_norm", names.get("clip_value"))
        is_limit = isinstance(limit, (int, float)) and limit != float("inf")
        if is_limit and names.get("grads"):
            known = held if isinstance(held, list) else []
            self._tell("clipped", frame.f_code.co_name, known, frame)
        return result

    def zero_grad(self, optimizer: Any) -> None:
        self._tell("zero_grad", optimizer, sys._getframe(1))

    def module_zero_grad(self, module: Any) -> None:
        self._tell("module_zero_grad", module, sys._getframe(1))

    def parameters_walked(self, module: Any) -> None:
        self._tell("parameters_walked", module, sys._getframe(1))

    def lost(self, name: str, names: Mapping[str, Any]) -> None:
        self._tell("lost", name, names, sys._getframe(1))

    def _step_begins(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """Between windows only the first step of each optimizer is told."""
        is_wanted = self.now.is_open or id(optimizer) not in self._stepped
        if is_wanted and not self._is_compiling():
            self._tell("step_begins", optimizer, args, kwargs, sys._getframe(1))

    def _step_ends(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if self._is_telling or self._is_compiling():
            return
        self.now.steps += 1
        if self.now.is_open or id(optimizer) not in self._stepped:
            self._stepped.add(id(optimizer))
            self._tell("step_ends", optimizer)
        if self.now.steps >= self._turn_at:
            self._turn()

    def pass_begins(self, iterator: Any) -> Any:
        try:
            self._passes += 1
            frame = sys._getframe(1)
            self._numbers[id(iterator)] = self._passes
            if len(self._numbers) > 64:
                del self._numbers[next(iter(self._numbers))]
            if self._passes <= PASSES or self._passes % EVERY == 0:
                self._batches_left = BATCHES
                self._open()
            self._tell("pass_begins", frame.f_locals.get("self"), self._passes, frame)
        except Exception as error:
            self._fail(error)
        return iterator

    def asked_for_batch(self, iterator: Any) -> None:
        """The iterator may raise StopIteration now: until it gives a batch, nothing is fed by it."""
        self.now.drew(None, 0)

    def batch(self, data: Any) -> Any:
        try:
            iterator = sys._getframe(1).f_locals.get("self")
            number = self._numbers.get(id(iterator), 0)
            self.now.drew(iterator, number)
            self._tell("batch", iterator, number, data)
            if self._batches_left:
                self._batches_left -= 1
                if not self._batches_left and self.now.steps >= FIRST_WINDOW:
                    self._turn_at = self.now.steps + PERIOD - LATER_WINDOW
                    self._close()
        except Exception as error:
            self._fail(error)
        return data


_INSTALLED: weakref.WeakSet[Observer] = weakref.WeakSet()


def _forked() -> None:
    """A loader's worker is not watched."""
    for observer in list(_INSTALLED):
        observer.uninstall()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
