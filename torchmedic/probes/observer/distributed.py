"""Models that DistributedDataParallel wraps, and the order in which a DistributedSampler gives its items."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

from torchmedic.observed.run_distributed import SampledPass, Wrapped
from torchmedic.probes.observer.stack import Call, sites, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher

MOST = 64  # wrapped models
MOST_PASSES = 256


class _Wrapper:
    def __init__(self, wrapper: Any, module: Any, by: tuple[Call, ...], since: int) -> None:
        self.wrapper = weakref.ref(wrapper)
        self.type = type(module).__name__
        self.parameters = frozenset(map(id, module.parameters()))
        self.by = by
        self.since = since
        self.until: int | None = None
        self.is_called: bool | None = None
        self.steps = 0
        self.module: Any = None

    def look(self) -> None:
        """`_lazy_init_ran` is set by the wrapper's first call, except under a reducer written in Python."""
        wrapper = self.wrapper()
        if wrapper is None or self.is_called:
            return
        names = wrapper.__dict__
        ran = names.get("_lazy_init_ran")
        is_told = isinstance(ran, bool) and names.get("_use_python_reducer") is False
        self.is_called = ran if is_told else None


class _Pass:
    def __init__(self, number: int, sampler: int, is_batched: bool, by: tuple[Call, ...]) -> None:
        self.number = number
        self.sampler = sampler
        self.is_batched = is_batched
        self.by = by
        self.order: tuple[int, int] | None = None  # seed and epoch; None: set while it went on


class Distributed(Watcher):
    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self.wrappers: list[_Wrapper] = []
        self.passes: list[_Pass] = []
        self._samplers: list[weakref.ref[Any]] = []
        self._fresh = 0  # the pass that has not given a batch yet

    def wrapped(self, wrapper: Any, module: Any, frame: FrameType) -> None:
        if len(self.wrappers) >= MOST:
            return
        one = _Wrapper(wrapper, module, user_calls(frame), self.now.forwards)
        one.module = weakref.ref(module, self._ends(one))
        self.wrappers.append(one)

    def _ends(self, one: _Wrapper) -> Callable[[Any], None]:
        def gone(reference: Any) -> None:
            one.until = self.now.forwards

        return gone

    def step_ends(self, optimizer: Any) -> None:
        if not self.wrappers or not self.now.is_open:
            return
        for one in self.wrappers:
            one.look()
            one.steps += one.is_called is False and one.wrapper() is not None

    def pass_begins(self, loader: Any, number: int, frame: FrameType) -> None:
        self._fresh = 0
        found = _sampler(loader)
        if found is None or len(self.passes) >= MOST_PASSES:
            return
        sampler, is_batched = found
        order = _order(sampler)
        if order is None:
            return
        one = _Pass(number, self._number(sampler), is_batched, user_calls(frame))
        one.order = order
        self.passes.append(one)
        self._fresh = number

    def batch(self, iterator: Any, number: int, data: Any) -> None:
        """Without workers the sampler is asked at the first batch, and its epoch may have been set until then."""
        if number and number == self._fresh:
            self._fresh = 0
            one = self.passes[-1]
            sampler = self._samplers[one.sampler]()
            if sampler is None or _order(sampler) != one.order:
                one.order = None

    def _number(self, sampler: Any) -> int:
        for number, known in enumerate(self._samplers):
            if known() is sampler:
                return number
        self._samplers.append(weakref.ref(sampler))
        return len(self._samplers) - 1

    def read(self) -> dict[str, Any]:
        for one in self.wrappers:
            one.look()
        return {
            "wrapped": tuple(
                Wrapped(w.type, w.parameters, sites(w.by), w.since, w.until, w.is_called, w.steps)
                for w in self.wrappers
            ),
            "sampled": tuple(
                SampledPass(p.number, p.sampler, *p.order, p.is_batched, sites(p.by))
                for p in self.passes
                if p.order is not None
            ),
        }


def _sampler(loader: Any) -> tuple[Any, bool] | None:
    """The loader's DistributedSampler, if it is torch's own and torch's own code asks it."""
    data: Any = sys.modules["torch.utils.data"]
    names = getattr(loader, "__dict__", {})
    batches = names.get("batch_sampler")
    if batches is not None and type(batches) is not data.BatchSampler:
        return None
    kind = data.DistributedSampler
    held = getattr(batches, "__dict__", {}).get("sampler")
    for sampler, is_batched in ((names.get("sampler"), False), (held, True)):
        own: Any = type(sampler)
        if isinstance(sampler, kind) and own.__iter__ is kind.__iter__:
            return sampler, is_batched
    return None


def _order(sampler: Any) -> tuple[int, int] | None:
    """Seed and epoch of a sampler that shuffles."""
    names = sampler.__dict__
    seed, epoch = names.get("seed"), names.get("epoch")
    if names.get("shuffle") is not True or type(seed) is not int or type(epoch) is not int:
        return None
    return seed, epoch
