"""For a replay that can't have a process of its own: afterwards, what it changed of PyTorch and of the program is as it was."""

from __future__ import annotations

import contextlib
import gc
import signal
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from torchmedic.observed.plan import NotReplayable
from torchmedic.probes.planner.child import Late

AGAIN = 0.5  # seconds, where the program's lines catch everything
_DEEPEST = 2  # of attributes of the program's own objects, and of their lists


@contextlib.contextmanager
def restored(
    models: Iterable[Any], optimizers: Iterable[Any], others: Iterable[Any]
) -> Iterator[None]:
    """`others`: the values of the program's names. Their attributes, lists and dicts are put back."""
    kinds: tuple[Any, ...] = (
        torch.nn.Module,
        torch.Tensor,
        torch.autograd,
        torch.amp.autocast_mode.autocast,
        torch.amp.GradScaler,
        torch.utils.data.dataloader._BaseDataLoaderIter,
    )
    threads = torch.get_num_threads()
    undo = [_attributes(kind) for kind in kinds]
    modules = {id(m): m for model in models for m in model.modules()}
    for module in modules.values():
        undo += [_contents(vars(module)), _contents(module._parameters), _contents(module._buffers)]
    for optimizer in optimizers:
        undo += [_kind(optimizer), _contents(vars(optimizer)), _contents(optimizer.defaults)]
        undo += [_contents(group) for group in optimizer.param_groups]
        undo += [_contents(one) for name, one in vars(optimizer).items() if name.endswith("_hooks")]
    seen = {*modules, *map(id, optimizers)}
    for value in others:
        undo += _deeply(value, seen, _DEEPEST)
    try:
        yield
    finally:
        for step in reversed(undo):
            step()
        torch.set_num_threads(threads)
        gc.unfreeze()


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raises NotReplayable in the main thread when the time is over."""
    if threading.current_thread() is not threading.main_thread():
        raise NotReplayable("a replay in this process needs its main thread")

    def over(*_: Any) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), AGAIN)
    try:
        yield
    except Late:
        raise NotReplayable(f"the replay took more than {seconds:.0f} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _attributes(owner: Any) -> Any:
    """Undoes what is set on a class or a module."""
    before = dict(vars(owner))

    def undo() -> None:
        for name, value in dict(vars(owner)).items():
            if name not in before:
                delattr(owner, name)
            elif value is not before[name]:
                setattr(owner, name, before[name])

    return undo


def _contents(owner: dict[Any, Any]) -> Any:
    before = dict(owner)

    def undo() -> None:
        owner.clear()
        owner.update(before)

    return undo


def _items(owner: list[Any]) -> Any:
    before = list(owner)

    def undo() -> None:
        owner[:] = before

    return undo


def _kind(owner: Any) -> Any:
    before = type(owner)

    def undo() -> None:
        owner.__class__ = before

    return undo


def _deeply(value: Any, seen: set[int], depth: int) -> list[Any]:
    if id(value) in seen or depth < 0:
        return []
    seen.add(id(value))
    inner: list[Any] = []
    if type(value) is list:
        undo, inner = [_items(value)], value
    elif type(value) is dict:
        undo, inner = [_contents(value)], list(value.values())
    elif _is_plain(value):
        undo, inner = [_contents(vars(value))], list(vars(value).values())
    else:
        return []
    for one in list(inner):
        undo += _deeply(one, seen, depth - 1)
    return undo


def _is_plain(value: Any) -> bool:
    """An object of a Python class, with attributes of its own."""
    kind = type(value)
    is_object = not isinstance(value, (type, torch.Tensor)) and kind.__module__ != "builtins"
    return is_object and type(getattr(value, "__dict__", None)) is dict
