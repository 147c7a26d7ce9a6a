"""What makes a step smaller, each as a step to be replayed: nothing here is a rule of thumb."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from torchmedic.observed.plan import Step
from torchmedic.probes.planner.step import Loss, replay

PARTS = (2, 4, 8)  # micro-batches
FEWEST_BLOCKS = 3
NO_BF16 = (8, 0)  # below this compute capability, float16 and a GradScaler


class Change(NamedTuple):
    """`name` and `detail` as in `Remedy`. `replayed` raises NotReplayable where the changed step can't be replayed."""

    name: str
    replayed: Callable[[], Step]
    detail: str = ""


def changes(
    model: Any,
    optimizer: Any,
    batch: Any,
    loss: Loss,
    *,
    batch_size: int | None,
    capability: tuple[int, int],
    autocast: str | None,
    seconds: float,
) -> Iterator[Change]:
    """Of a step with one optimizer and one loss."""
    step: Any = partial(
        replay,
        model,
        batch=batch,
        batch_size=batch_size,
        capability=capability,
        seconds=seconds,
    )
    as_is: Any = partial(step, optimizer=optimizer, loss=loss, autocast=autocast)
    for parts in PARTS:
        name = "accumulate with batch norm" if _has_batch_norm(model) else "accumulate"
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


def repeated(model: Any) -> Iterator[Any]:
    """Like blocks in a row: the children of a ModuleList or Sequential that are of one class and have layers of their own."""
    for module in model.modules():
        children = list(module.children())
        is_row = isinstance(module, (nn.ModuleList, nn.Sequential))
        is_alike = len({type(child) for child in children}) == 1
        if is_row and is_alike and len(children) >= FEWEST_BLOCKS:
            yield from (child for child in children if any(True for _ in child.children()))


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
    if not _is_plain_sgd(optimizer):
        yield "plain SGD", torch.optim.SGD(parameters, lr=0.1)


def _is_plain_sgd(optimizer: Any) -> bool:
    return isinstance(optimizer, torch.optim.SGD) and not optimizer.defaults.get("momentum")


def _has_batch_norm(model: Any) -> bool:
    kind: Any = nn.modules.batchnorm._BatchNorm
    return any(isinstance(module, kind) for module in model.modules())
