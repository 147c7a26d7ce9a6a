"""What makes a step smaller, each as a step to be replayed: nothing here is a rule of thumb."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from torchmedic.observed.plan import Change, Ranks
from torchmedic.probes.planner.eight_bit import EightBitAdam
from torchmedic.probes.planner.step import Loss, replay
from torchmedic.probes.planner.variations import (
    NO_BF16,
    PARTS,
    has_batch_norm,
    is_plain_sgd,
    repeated,
)


def changes(
    model: Any,
    optimizer: Any,
    batch: Any,
    loss: Loss,
    *,
    batch_size: int | None,
    capability: tuple[int, int],
    autocast: str | None,
    ranks: Ranks | None,
    seconds: float,
) -> Iterator[Change]:
    """Of a step with one optimizer and one loss."""
    step: Any = partial(
        replay,
        model,
        batch=batch,
        batch_size=batch_size,
        capability=capability,
        ranks=ranks,
        seconds=seconds,
    )
    as_is: Any = partial(step, optimizer=optimizer, loss=loss, autocast=autocast)
    for parts in PARTS:
        name = "accumulate with batch norm" if has_batch_norm(model) else "accumulate"
        yield Change(name, partial(as_is, accumulate=parts), str(parts))
    if autocast is None:
        kind = "bf16" if capability >= NO_BF16 else "fp16"
        yield Change(kind, partial(step, optimizer=optimizer, loss=loss, autocast=kind))
    blocks = len(list(repeated(model)))
    if blocks:
        wrapped = partial(step, optimizer=optimizer, loss=_checkpointed(loss), autocast=autocast)
        yield Change("checkpoint", wrapped, str(blocks))
    for name, other in _optimizers(optimizer):
        yield Change(name, partial(step, optimizer=other, loss=loss, autocast=autocast))


def _checkpointed(loss: Loss) -> Loss:
    """The loss, which wraps the blocks when it is first called: in the child."""
    wrapped: list[Any] = []

    def changed(model: Any, batch: Any) -> Any:
        if not wrapped:
            for block in repeated(model):
                wrapped.append(block)
                forward = block.forward
                block.forward = partial(checkpoint, forward, use_reentrant=False)
        return loss(model, batch)

    return changed


def _optimizers(optimizer: Any) -> Iterator[tuple[str, Any]]:
    """Others over the same parameters. The user's own stays as it is: a new one holds references only."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if isinstance(optimizer, (torch.optim.Adam, torch.optim.AdamW)):
        kind: Any = type(optimizer)
        if not optimizer.defaults.get("fused"):
            yield "fused", kind(parameters, fused=True)
        if optimizer.defaults.get("foreach") is not False:
            yield "not foreach", kind(parameters, foreach=False)
        yield "8-bit", EightBitAdam(parameters)
    if not is_plain_sgd(optimizer):
        yield "plain SGD", torch.optim.SGD(parameters, lr=0.1)
