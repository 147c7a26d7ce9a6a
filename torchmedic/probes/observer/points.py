"""The functions of torch that are watched: which handler hears of them, and when."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from torchmedic.probes.splice import spliced

if TYPE_CHECKING:
    from torchmedic.probes.observer.hooks import Observer

LOSSES = (
    "cross_entropy",
    "nll_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "kl_div",
    "ctc_loss",
)
# What all layers of torch draw their weights with, in torch.nn.init.
DRAWING = (
    "_no_grad_uniform_",
    "_no_grad_normal_",
    "kaiming_uniform_",
    "kaiming_normal_",
    "trunc_normal_",
    "orthogonal_",
)


class Point(NamedTuple):
    """`enter` is an expression over the function's own names, evaluated first; `left` is given its result and
    returns it."""

    function: Any
    enter: str = "None"
    handler: Callable[..., None] | None = None
    leave: str | None = None
    left: Callable[[Any], Any] | None = None


def always(observer: Observer) -> Iterator[Point]:
    """What is watched from beginning to end: seldom called, or nearly free."""
    torch: Any = sys.modules["torch"]
    kind: Any = sys.modules["torch.optim.optimizer"].Optimizer
    data: Any = sys.modules["torch.utils.data.dataloader"]
    yield Point(kind.__init__, "_torchmedic_optimizer(self)", observer.optimizer_made)
    add = kind.add_param_group
    yield Point(add, leave="_torchmedic_group", left=observer.group_added)
    yield Point(torch.nn.Module.train, "_torchmedic_mode(self, mode)", observer.mode_set)
    loader = data.DataLoader
    yield Point(loader.__init__, "_torchmedic_loader(self, shuffle)", observer.loader_made)
    for which, home in (("torch", torch.random), ("cuda", sys.modules.get("torch.cuda.random"))):
        for name in ("manual_seed", "manual_seed_all"):
            enter = f"_torchmedic_seeded({which!r})"
            yield Point(getattr(home, name, None), enter, observer.seeded)
    for name in DRAWING:
        function = getattr(torch.nn.init, name, None)
        if "generator" in getattr(getattr(function, "__code__", None), "co_varnames", ()):
            yield Point(function, "_torchmedic_init(tensor, generator)", observer.initialised)
    joining: Any = sys.modules.get("torch.distributed.algorithms.join")
    if joining is not None:
        joins = joining.Joinable.__init__  # called by DistributedDataParallel's, which is long
        yield Point(joins, "_torchmedic_joins(self)", observer.joins)
    yield Point(loader.__iter__, leave="_torchmedic_pass", left=observer.pass_begins)
    yield Point(
        data._BaseDataLoaderIter.__next__,
        "_torchmedic_next(self)",
        observer.asked_for_batch,
        "_torchmedic_batch",
        observer.batch,
    )
    saving = sys.modules["torch.autograd.graph"].saved_tensors_hooks.__enter__
    yield Point(saving, "_torchmedic_saving()", observer.saving)
    schedules: Any = sys.modules["torch.optim.lr_scheduler"]
    for kind in (schedules.LRScheduler, schedules.CosineAnnealingWarmRestarts):
        yield Point(kind.step, "_torchmedic_scheduled(self, epoch)", observer.scheduled)
    module = torch.nn.Module
    yield Point(module.state_dict, leave="_torchmedic_state", left=observer.state_taken)
    load = "_torchmedic_load(self, state_dict)"
    yield Point(module.load_state_dict, load, observer.state_loaded)


def in_windows(observer: Observer) -> Iterator[Point]:
    """What every step calls."""
    torch: Any = sys.modules["torch"]
    graph: Any = sys.modules["torch.autograd.graph"]
    kind: Any = sys.modules["torch.optim.optimizer"].Optimizer
    yield Point(
        graph._engine_run_backward,
        "_torchmedic_backward(t_outputs)",
        observer.backward_begins,
        "_torchmedic_backward_end",
        observer.backward_ends,
    )
    yield Point(kind.zero_grad, "_torchmedic_zero_grad(self)", observer.zero_grad)
    clear = "_torchmedic_module_zero_grad(self)"
    yield Point(torch.nn.Module.zero_grad, clear, observer.module_zero_grad)
    for walk in (torch.nn.Module.parameters, torch.nn.Module.named_parameters):
        yield Point(walk, "_torchmedic_walked(self)", observer.parameters_walked)
    clipping: Any = sys.modules["torch.nn.utils.clip_grad"]
    for name in ("clip_grad_norm_", "clip_grad_value_"):
        function = getattr(clipping, name, None)
        yield Point(function, leave="_torchmedic_clipped", left=observer.clipped)
    for name in LOSSES:
        function = getattr(torch.nn.functional, name, None)
        yield Point(function, f"_torchmedic_loss({name!r}, locals())", observer.lost)


class Bodies:
    """The original bodies of the watched functions and ours, and which of them are in force."""

    def __init__(self, is_compiling: Callable[[], bool]) -> None:
        self._is_compiling = is_compiling
        self._always: list[tuple[FunctionType, CodeType, CodeType]] = []
        self._in_windows: list[tuple[FunctionType, CodeType, CodeType]] = []

    def add(self, observer: Observer) -> None:
        """What this version of torch doesn't have is left out."""
        self._always += filter(None, map(self._made, always(observer)))
        self._in_windows += filter(None, map(self._made, in_windows(observer)))
        for function, _, ours in self._always:
            function.__code__ = ours

    def _made(self, point: Point) -> tuple[FunctionType, CodeType, CodeType] | None:
        function = getattr(point.function, "__wrapped__", point.function)
        if not isinstance(function, FunctionType):
            return None
        names = function.__globals__
        names["_torchmedic_compiling"] = self._is_compiling
        if point.handler is not None:
            names[point.enter.partition("(")[0]] = point.handler
        leave = []
        if point.leave is not None:
            names[point.leave] = point.left
            leave.append(point.leave)
        ours = spliced(function, "not _torchmedic_compiling()", point.enter, *leave)
        return function, function.__code__, ours

    def open(self) -> None:
        for function, original, ours in self._in_windows:
            if function.__code__ is original:
                function.__code__ = ours

    def close(self) -> None:
        _restore(self._in_windows)

    def restore(self) -> None:
        _restore(self._in_windows)
        _restore(self._always)


def _restore(bodies: list[tuple[FunctionType, CodeType, CodeType]]) -> None:
    for function, original, ours in bodies:
        if function.__code__ is ours:  # else somebody else has replaced it since
            function.__code__ = original
