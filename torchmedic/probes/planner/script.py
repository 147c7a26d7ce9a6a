"""A script's own training loop, replayed: its first step runs for real, then a forked child goes on without memory.

The child comes into being where the loop draws its second batch. It swaps models and optimizers for twins on the pretend
card and gets batches without memory, of the size asked for, from the program's own loader; so what the loop keeps alive
(`loss`, `output`, lists) is kept as in the program. After two steps it tells its events, and ends.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

from torchmedic.observed.plan import Change, NotReplayable, Ranks, Step
from torchmedic.observed.plan_notes import LBFGS
from torchmedic.probes import cuda_as_cpu
from torchmedic.probes.frames import is_user
from torchmedic.probes.planner.card import CUDA
from torchmedic.probes.planner.child import Child, forked
from torchmedic.probes.planner.harmless import leave_no_traces
from torchmedic.probes.planner.places import in_backward
from torchmedic.probes.planner.stage import Stage, stage
from torchmedic.probes.planner.step import is_compiled
from torchmedic.probes.planner.twins import batch_like, batch_size_of, tensors_of
from torchmedic.probes.planner.variations import Variation, variations
from torchmedic.probes.splice import spliced

ITERATIONS = 2
WITHOUT_DRAW = 16  # steps on one batch of a loader, after which the loop is taken to make its own
MOST_BATCHES = 256  # of a replay: an accumulation longer than half of this is not seen to its end


class Capture:
    """Watches the script until its first step is over. `on_step` is called then, once, inside of the loop, with what
    replays it."""

    def __init__(
        self,
        on_step: Callable[[Loop], None],
        capability: tuple[int, int],
        seconds: float,
        ranks: Ranks | None = None,
    ) -> None:
        self._on_step = on_step
        self._capability = capability
        self._seconds = seconds
        self._ranks = ranks
        self._roots: dict[int, weakref.ref[Any]] = {}
        self._optimizers: dict[int, weakref.ref[Any]] = {}
        self._depth = 0
        self._is_over = False
        self._draws = 0  # batches of any loader
        self._steps: dict[
            int, tuple[int, int]
        ] = {}  # of an optimizer: draws, and steps since the last one
        self._hooks: list[Any] = []
        self._uncover: Callable[[], None] = lambda: None
        self._latest: dict[int, Any] = {}  # batch of each dataset
        self._replay: _Replay | None = None

    def install(self) -> None:
        """torch is loaded, and sees no card. The program sees one, which is the CPU."""
        from torch.nn.modules import module
        from torch.optim import optimizer
        from torch.utils.data import dataloader

        self._hooks = [
            module.register_module_forward_pre_hook(self._enter),
            module.register_module_forward_hook(self._leave, always_call=True),
            optimizer.register_optimizer_step_post_hook(self._stepped),
        ]
        draw: Any = dataloader._BaseDataLoaderIter.__next__
        draw = getattr(draw, "__wrapped__", draw)
        names = draw.__globals__
        names["_torchmedic_drawn"] = self._drawn
        draw.__code__ = spliced(draw, "True", "None", "_torchmedic_drawn")
        self._uncover = cuda_as_cpu.install()

    @property
    def is_over(self) -> bool:
        """The first step has been taken."""
        return self._is_over

    @property
    def child(self) -> Child | None:
        """This process is a replay, which owes an answer."""
        return self._replay.child if self._replay is not None else None

    def _enter(self, module: Any, arguments: Any) -> None:
        if not self._depth:
            self._roots[id(module)] = weakref.ref(module)
        self._depth += 1

    def _leave(self, module: Any, arguments: Any, output: Any) -> None:
        self._depth = max(self._depth - 1, 0)

    def _stepped(self, optimizer: Any, *arguments: Any) -> None:
        if self._replay is not None:
            return
        self._optimizers[id(optimizer)] = weakref.ref(optimizer)
        draws, steps = self._steps.get(id(optimizer), (-1, 0))
        steps = steps + 1 if draws == self._draws else 1
        self._steps[id(optimizer)] = self._draws, steps
        if steps > (WITHOUT_DRAW if self._draws else 1) and not self._is_over:
            self._reached(None)  # the loop makes its own batches: they have their real size

    def _drawn(self, data: Any) -> Any:
        """Called by `__next__` of a loader's iterator, whose dataset tells the loaders of a program apart."""
        self._draws += 1
        self._latest[_dataset_of(sys._getframe(1).f_locals.get("self"))] = data
        if self._optimizers and not self._is_over and torch.is_grad_enabled():
            return self._reached(data)
        return data

    def _reached(self, data: Any) -> Any:
        """In the parent this ends with the real batch; in a child with the first of the replayed ones."""
        self._is_over = True
        for hook in self._hooks:
            hook.remove()
        begun: list[_Replay] = []

        def replay(size: int | None, variation: Variation) -> Step:
            found = forked(self._seconds)
            if isinstance(found, Child):
                alive = self._alive()
                begun.append(
                    _Replay(found, alive, data, size, self._capability, variation, self._ranks)
                )
                raise _Begun
            return found  # type: ignore[no-any-return]

        try:
            at = _user_place() if data is not None else None
            self._on_step(Loop(replay, *self._alive(), self._capability, at))
        except _Begun:
            self._uncover()
            self._replay = begun[0]
            self._replay.latest = self._latest
            sys.excepthook = lambda kind, error, at: begun[0].child.fail(error)
            return self._replay.begin()
        return data

    def _alive(self) -> tuple[list[Any], list[Any]]:
        roots = [m for ref in self._roots.values() if (m := ref()) is not None]
        optimizers = [o for ref in self._optimizers.values() if (o := ref()) is not None]
        return roots, optimizers


class Loop:
    """A loop that can be replayed: called with a batch size (None: as it is), it raises NotReplayable."""

    def __init__(
        self,
        replay: Callable[[int | None, Variation], Step],
        models: list[Any],
        optimizers: list[Any],
        capability: tuple[int, int],
        at: tuple[str, int] | None = None,
    ) -> None:
        self.at = at  # file and line where it draws its batches
        self._replay = replay
        self._of = models, optimizers, capability

    def __call__(self, size: int | None) -> Step:
        return self._replay(size, Variation())

    def changes(self, step: Step) -> Iterator[Change]:
        """What may make this one smaller."""
        for name, detail, size, variation in variations(*self._of, step.batch_size):
            yield Change(name, partial(self._replay, size, variation), detail)


class _Begun(BaseException):
    """In a child: back to the loop."""


class _Replay:
    """In the child."""

    def __init__(
        self,
        child: Child,
        alive: tuple[list[Any], list[Any]],
        data: Any,
        size: int | None,
        capability: tuple[int, int],
        variation: Variation,
        ranks: Ranks | None = None,
    ) -> None:
        self.child = child
        self._variation = variation
        self._models, self._optimizers = alive
        self._data, self._size, self._capability = data, size, capability
        self._ranks = ranks
        self._started = time.perf_counter()
        self.latest: dict[int, Any] = {}
        self._steps = dict.fromkeys(map(id, self._optimizers), 0)
        self._batches = 0
        self._on_card = _OnCard()
        self._stack = contextlib.ExitStack()
        self._stage: Stage

    def begin(self) -> Any:
        try:
            return self._begin()
        except BaseException as error:
            self.child.fail(error)

    def _begin(self) -> Any:
        if any(isinstance(one, torch.optim.LBFGS) for one in self._optimizers):
            raise NotReplayable(LBFGS)
        _scale_on_card()
        leave_no_traces(self.child.descriptors)
        here = self._stage = self._stack.enter_context(stage("cuda", self._capability))
        here.take(self._models, self._optimizers, self._ranks)
        self._stack.enter_context(self._on_card)
        _autocast_on_card()
        if any(is_compiled(module) for model in self._models for module in model.modules()):
            here.missing.add("compiled")
        for optimizer in self._optimizers:
            optimizer.register_step_pre_hook(self._step_begins)
            optimizer.register_step_post_hook(self._step_ends)
        self._variation.begin(self._models, self._optimizers)
        iterator: Any = torch.utils.data.dataloader._BaseDataLoaderIter
        iterator.__next__ = lambda loader: self._batch(
            self.latest.get(_dataset_of(loader), self._data)
        )  # its workers are the parent's
        for owner, name in ((torch.Tensor, "backward"), (torch.autograd, "backward")):
            setattr(owner, name, self._in_backward(getattr(owner, name)))
        return self._next(self._data)

    def _batch(self, data: Any) -> Any:
        try:
            return self._next(data)
        except BaseException as error:
            self.child.fail(error)

    def _next(self, data: Any) -> Any:
        here = self._stage
        self._batches += 1
        if min(self._steps.values(), default=0) >= ITERATIONS:
            self._finish(is_complete=True)
        if self._batches > MOST_BATCHES:
            self._finish(is_complete=False)
        here.ledger.step = 1 + min(self._steps.values(), default=0)
        here.ledger.phase = "data"
        data = batch_like(data, here.twins.device, self._size)
        here.ledger.owns(tensors_of(data), "batch")
        here.ledger.phase = "forward"
        self._variation.forward()
        return data

    def _in_backward(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def backward(*arguments: Any, **keywords: Any) -> Any:
            ledger = self._stage.ledger
            before, ledger.phase = ledger.phase, "backward"
            if before != "backward":  # one calls the other
                arguments = (self._variation.backward(arguments[0]), *arguments[1:])
            try:
                return function(*arguments, **keywords)
            finally:
                ledger.phase = before

        return backward

    def _step_begins(self, *arguments: Any) -> None:
        self._stage.ledger.phase, self._stage.answers.is_own = "optimizer", True
        self._on_card.is_off = True  # it knows what stays on the CPU
        self._variation.stepping(arguments[0])

    def _step_ends(self, optimizer: Any, *arguments: Any) -> None:
        here = self._stage
        here.twins.note_state(optimizer)
        here.ledger.phase, here.answers.is_own = "forward", False
        self._on_card.is_off = False
        self._variation.forward()
        self._steps[id(optimizer)] = self._steps.get(id(optimizer), 0) + 1
        is_over = min(self._steps.values()) >= ITERATIONS
        if is_over and self._data is None:
            self._finish(is_complete=True)
        if is_over and max(self._steps.values()) > MOST_BATCHES:
            self._finish(is_complete=False)

    def _finish(self, is_complete: bool) -> NoReturn:
        outline = Step(
            (),
            device="cuda",
            batch_size=self._size or batch_size_of(self._data),
            iterations=ITERATIONS,
            is_complete=is_complete,
            capability=self._capability,
            seconds=time.perf_counter() - self._started,
            ranks=self._ranks,
        )
        step = self._stage.told(outline)
        self._stack.close()
        self.child.answer(step)


_DEVICE: Any = torch.Tensor.device.__get__


def _dataset_of(iterator: Any) -> int:
    return id(getattr(iterator, "_dataset", None))


class _OnCard(TorchFunctionMode):  # type: ignore[misc]
    """The script chose the CPU, because this machine has no card: what it puts there, or makes without a device, is meant
    for the card."""

    def __init__(self) -> None:
        super().__init__()
        self.is_off = False
        self._makers = frozenset(_device_constructors())

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if self.is_off:
            return func(*args, **(kwargs or {}))
        if func == _DEVICE and args[0].dim() == 0:  # a running loss, which trainers compare with
            return CUDA
        if func is torch.device:
            made = func(*args, **(kwargs or {}))
            return CUDA if _is_cpu(made) else made
        if func in self._makers and (kwargs or {}).get("device") is None:
            kwargs = {**(kwargs or {}), "device": CUDA}
        args = tuple(CUDA if _is_cpu(value) else value for value in args)
        kwargs = {name: CUDA if _is_cpu(value) else value for name, value in (kwargs or {}).items()}
        return func(*args, **kwargs)


def _scale_on_card() -> None:
    """Scales that are on another device, and what is known of a step that was begun, are made anew. Before the stage, which hides
    what there is from `gc`."""
    refresh: Any = getattr(torch.amp.grad_scaler, "_refresh_per_optimizer_state", None)
    for one in gc.get_objects():
        if refresh is not None and issubclass(type(one), torch.amp.GradScaler):
            one._scale = one._growth_tracker = None
            one._per_optimizer_states = defaultdict(refresh)


def _autocast_on_card() -> None:
    """`torch.autocast("cpu")` is the card's too, but not where a checkpoint gives both theirs. For good: this is a child."""
    kind: Any = torch.amp.autocast_mode.autocast
    made = kind.__init__

    def __init__(self: Any, device_type: str, *arguments: Any, **keywords: Any) -> None:
        is_cards = device_type == "cpu" and not in_backward()
        made(self, "cuda" if is_cards else device_type, *arguments, **keywords)

    kind.__init__ = __init__


def _user_place() -> tuple[str, int] | None:
    frame: Any = sys._getframe()
    while frame is not None and not is_user(frame.f_code.co_filename):
        frame = frame.f_back
    return (frame.f_code.co_filename, frame.f_lineno) if frame is not None else None


def _is_cpu(value: Any) -> bool:
    if isinstance(value, str):
        return value == "cpu"
    return isinstance(value, torch.device) and value.type == "cpu"


def end_parent(status: int = 0) -> None:
    """The plan is told; the script isn't needed any more."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(status)
