"""Who holds the memory at the moment of a crash, as far as the user's frames can name it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torchmedic.probes.frames import Entry, is_user
from torchmedic.probes.values import plain_attributes, torch_if_loaded


def memory_of(stack: Sequence[Entry]) -> dict[str, int]:
    """Bytes of the models, gradients, optimizer states and other tensors that the user's frames hold."""
    torch = torch_if_loaded()
    if torch is None:
        return {}
    models: dict[int, Any] = {}
    optimizers: dict[int, Any] = {}
    others: dict[int, Any] = {}
    for value in _held(stack):
        if isinstance(value, torch.nn.Module):
            models[id(value)] = value
        elif isinstance(value, torch.optim.Optimizer):
            optimizers[id(value)] = value
        elif isinstance(value, torch.Tensor):
            others[id(value)] = value
    parameters = {id(p): p for m in models.values() for p in m.parameters()}
    states = [t for o in optimizers.values() for s in o.state.values() for t in _tensors(torch, s)]
    return {
        "parameters": _bytes(parameters.values()),
        "gradients": _bytes(p.grad for p in parameters.values() if p.grad is not None),
        "optimizer_state": _bytes(states),
        "tensors_in_frames": _bytes(t for key, t in others.items() if key not in parameters),
    } | _cuda(torch)


def _held(stack: Sequence[Entry]) -> Iterable[Any]:
    for entry in stack:
        if not is_user(entry.frame.f_code.co_filename):
            continue
        for names in (entry.frame.f_locals, entry.frame.f_globals):
            for name, value in list(names.items()):
                yield value
                if name == "self":
                    yield from plain_attributes(value).values()


def _tensors(torch: Any, state: object) -> list[Any]:
    held = state.values() if isinstance(state, dict) else ()
    return [t for t in held if isinstance(t, torch.Tensor)]


def _bytes(tensors: Iterable[Any]) -> int:
    return sum(
        t.element_size() * t.numel() for t in tensors if t.layout is not None and not t.is_sparse
    )


def _cuda(torch: Any) -> dict[str, int]:
    if not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return {}
    free, total = torch.cuda.mem_get_info()
    return {
        "device_allocated": int(torch.cuda.memory_allocated()),
        "device_reserved": int(torch.cuda.memory_reserved()),
        "device_free": int(free),
        "device_total": int(total),
    }
