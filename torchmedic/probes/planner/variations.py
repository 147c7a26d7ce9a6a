"""What a remedy changes while a program's own loop is replayed: in the child, on the twins, never in the program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from torchmedic.observed.plan import NotReplayable
from torchmedic.probes.planner.eight_bit import EightBitAdam
from torchmedic.probes.planner.places import in_backward

PASSES = 2  # of an accumulation that are replayed: each later one repeats the second
PARTS = (2, 4, 8)
FEWEST_BLOCKS = 3
NO_BF16 = (8, 0)  # below this compute capability, float16 and a GradScaler
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Variation:
    """None: the loop as it is. `begin` comes when models and optimizers are twins; the others in each step."""

    def begin(self, models: list[Any], optimizers: list[Any]) -> None:
        """Raises NotReplayable where the change doesn't apply."""

    def forward(self) -> None:
        """A batch was drawn, or an optimizer has stepped."""

    def backward(self, loss: Any) -> Any:
        """The loss that is differentiated instead."""
        return loss

    def stepping(self, optimizer: Any) -> None:
        """An optimizer is about to step."""


class Accumulated(Variation):
    """Steps are left out until so many passes are summed, and gradients cleared only after a step that was made."""

    def __init__(self) -> None:
        self._passes = 0
        self._is_used = True  # the gradients, by a step
        self._parameters: list[Any] = []
        self._held = 0  # gradients that the last pass left

    def begin(self, models: list[Any], optimizers: list[Any]) -> None:
        (optimizer,) = optimizers
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        step = optimizer.step

        def stepped(*arguments: Any, **keywords: Any) -> Any:
            self._passes += 1
            if self._passes % PASSES:
                closure = arguments[0] if arguments else keywords.get("closure")
                result = closure() if callable(closure) else None
                self._held = self._count()
                return result
            self._is_used = True
            return step(*arguments, **keywords)

        optimizer.step = stepped
        optimizer.zero_grad = self._after_a_step(optimizer.zero_grad)
        kind: Any = nn.Module
        clear = kind.zero_grad
        kind.zero_grad = lambda module, *a, **k: clear(module, *a, **k) if self._is_used else None

    def _after_a_step(self, clear: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *a, **k: clear(*a, **k) if self._is_used else None

    def backward(self, loss: Any) -> Any:
        if self._held and not self._is_used and self._count() < self._held:
            raise NotReplayable("the loop clears its gradients in a way of its own")
        self._is_used, self._held = False, 0
        return loss

    def _count(self) -> int:
        return sum(parameter.grad is not None for parameter in self._parameters)


class Autocast(Variation):
    """Everything but `backward()` and the optimizer under autocast; float16 with a GradScaler."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._is_on = False
        self._context: Any = None
        self._scaler: Any = None

    def begin(self, models: list[Any], optimizers: list[Any]) -> None:
        kind: Any = torch.amp.autocast_mode.autocast
        enter = kind.__enter__
        self._context = torch.autocast("cuda", dtype=DTYPES[self.kind])

        def entered(context: Any) -> Any:
            is_users = context is not self._context and context._enabled and not in_backward()
            if is_users:
                raise NotReplayable("the program has autocast already")
            return enter(context)

        kind.__enter__ = entered
        if self.kind == "fp16":
            self._scaler = torch.amp.GradScaler("cuda")

    def forward(self) -> None:
        if not self._is_on:
            self._is_on = True
            self._context.__enter__()

    def backward(self, loss: Any) -> Any:
        self._off()
        if self._scaler is not None and isinstance(loss, torch.Tensor):
            return self._scaler.scale(loss)
        return loss

    def stepping(self, optimizer: Any) -> None:
        self._off()
        if self._scaler is not None:
            self._scaler.unscale_(optimizer)
            self._scaler.update()

    def _off(self) -> None:
        if self._is_on:
            self._is_on = False
            self._context.__exit__(None, None, None)


class Checkpointed(Variation):
    """Each of these blocks under `torch.utils.checkpoint`. Names are paths in their model, by its number."""

    def __init__(self, blocks: list[Any]) -> None:
        self._blocks = blocks

    def begin(self, models: list[Any], optimizers: list[Any]) -> None:
        for block in self._blocks:
            block.forward = partial(_checkpointed, block.forward)


def _checkpointed(forward: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*arguments, **keywords)
    if in_backward() or torch._C._autograd._top_saved_tensors_default_hooks(True) is not None:
        raise NotReplayable("the program has checkpoints already")
    return checkpoint(forward, *arguments, use_reentrant=False, **keywords)


class OtherOptimizer(Variation):
    """Over the same parameters, in the place of the program's own: "fused", "not foreach", "8-bit", "plain SGD"."""

    def __init__(self, name: str) -> None:
        self.name = name

    def begin(self, models: list[Any], optimizers: list[Any]) -> None:
        for optimizer in optimizers:
            if self.name in ("fused", "not foreach"):
                is_fused = self.name == "fused"
                for group in (optimizer.defaults, *optimizer.param_groups):
                    group.update(fused=is_fused or None, foreach=False)
            else:
                self._become(optimizer, EightBitAdam if self.name == "8-bit" else torch.optim.SGD)

    def _become(self, optimizer: Any, kind: Any) -> None:
        defaults = kind([torch.nn.Parameter(torch.zeros(()))]).defaults
        optimizer.__dict__.pop("step", None)  # a scheduler's, of the class that it was
        optimizer.__class__ = kind
        for group in (optimizer.defaults, *optimizer.param_groups):
            group.update({name: value for name, value in defaults.items() if name != "lr"})
        optimizer._patch_step_function()


def variations(
    models: list[Any], optimizers: list[Any], capability: tuple[int, int], size: int | None
) -> Iterator[tuple[str, str, int | None, Variation]]:
    """Name and detail as in `Remedy`, the batch size to replay, and what to change. `size`: of the batch, if known."""
    if len(optimizers) == 1 and size is not None:
        name = "accumulate with batch norm" if any(map(has_batch_norm, models)) else "accumulate"
        for parts in PARTS:
            if parts <= size:
                yield name, str(parts), -(-size // parts), Accumulated()
    kind = "bf16" if capability >= NO_BF16 else "fp16"
    yield kind, "", size, Autocast(kind)
    tried: list[set[int]] = []
    for is_outer in (True, False):
        blocks = [block for model in models for block in repeated(model, is_outer)]
        blocks = list({id(block): block for block in blocks}.values())
        known = set(map(id, blocks))
        if blocks and known not in tried:
            tried.append(known)
            yield "checkpoint", str(len(blocks)), size, Checkpointed(blocks)
    for name in other_optimizers(optimizers):
        yield name, "", size, OtherOptimizer(name)


def other_optimizers(optimizers: list[Any]) -> Iterator[str]:
    is_adam = all(isinstance(one, (torch.optim.Adam, torch.optim.AdamW)) for one in optimizers)
    if is_adam:
        if not all(one.defaults.get("fused") for one in optimizers):
            yield "fused"
        if not all(one.defaults.get("foreach") is False for one in optimizers):
            yield "not foreach"
        yield "8-bit"
    if not all(map(is_plain_sgd, optimizers)):
        yield "plain SGD"


def repeated(model: Any, is_outer: bool = True) -> Iterator[Any]:
    """Like blocks in a row: the children of a ModuleList or Sequential that are of one class and have layers of their
    own. Of rows within blocks, those of the outer or of the inner row."""
    found = {id(block): block for block in _rows(model)}
    for block in found.values():
        inside = {id(module) for module in block.modules()} - {id(block)}
        if is_outer and any(id(block) in _inside(other) for other in found.values()):
            continue
        if not is_outer and inside & found.keys():
            continue
        yield block


def _inside(block: Any) -> set[int]:
    return {id(module) for module in block.modules()} - {id(block)}


def _rows(model: Any) -> Iterator[Any]:
    for module in model.modules():
        children = list(module.children())
        is_row = isinstance(module, (nn.ModuleList, nn.Sequential))
        is_alike = len({type(child) for child in children}) == 1
        if is_row and is_alike and len(children) >= FEWEST_BLOCKS:
            yield from (child for child in children if any(True for _ in child.children()))


def is_plain_sgd(optimizer: Any) -> bool:
    return isinstance(optimizer, torch.optim.SGD) and not optimizer.defaults.get("momentum")


def has_batch_norm(model: Any) -> bool:
    kind: Any = nn.modules.batchnorm._BatchNorm
    return any(isinstance(module, kind) for module in model.modules())
