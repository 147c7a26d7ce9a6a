"""What a failing backward pass complained about: autograd nodes whose saved tensors can't be had any more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torchmedic.observed import Culprit
from torchmedic.probes.frames import Entry
from torchmedic.probes.values import torch_if_loaded

MOST_NODES = 20_000


def culprits_of(stack: Sequence[Entry], message: str) -> tuple[Culprit, ...]:
    """Nodes of the graph under the failing `backward` that say the same as the exception, nearest to the loss first."""
    torch = torch_if_loaded()
    if torch is None or not ("inplace operation" in message or "second time" in message):
        return ()
    wanted = "inplace operation" if "inplace operation" in message else "second time"
    return tuple(_complaints(_roots(torch, stack), wanted))[:4]


def _roots(torch: Any, stack: Sequence[Entry]) -> list[Any]:
    for entry in stack:
        if entry.frame.f_code is torch.autograd.backward.__code__:
            tensors = entry.frame.f_locals.get("tensors", ())
            held = tensors if isinstance(tensors, (tuple, list)) else (tensors,)
            return [
                t.grad_fn for t in held if isinstance(t, torch.Tensor) and t.grad_fn is not None
            ]
    return []


def _complaints(roots: Sequence[Any], wanted: str) -> Iterator[Culprit]:
    waiting, seen = list(roots), set[Any]()
    while waiting and len(seen) < MOST_NODES:
        node = waiting.pop(0)
        if node in seen:
            continue
        seen.add(node)
        for name in dir(node):
            if name.startswith("_saved_"):
                try:
                    getattr(node, name)
                except RuntimeError as error:
                    if wanted in str(error):
                        yield Culprit(node.name(), name.removeprefix("_saved_"))
                        break
        waiting += [parent for parent, _ in node.next_functions if parent is not None]
