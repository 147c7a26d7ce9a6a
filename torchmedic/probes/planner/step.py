"""One training step, replayed: `replay(model, optimizer, batch, loss)` tells every storage that it would take."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch

from torchmedic.observed import plan_notes as said
from torchmedic.observed.plan import NotReplayable, Ranks, Step
from torchmedic.probes.planner.child import in_child
from torchmedic.probes.planner.ranks import refusal, unavailable
from torchmedic.probes.planner.stage import Device, Stage, stage
from torchmedic.probes.planner.twins import batch_like, batch_size_of, tensors_of

SECONDS = 120.0
Loss = Callable[[Any, Any], Any]
Autocast = Literal["bf16", "fp16"]
DTYPES = {"bf16": "bfloat16", "fp16": "float16"}


class Job(NamedTuple):
    """What is to be replayed. Optimizers and losses stand side by side, and take their turns in each iteration."""

    model: Any
    optimizers: tuple[Any, ...]
    batch: Any
    losses: tuple[Loss, ...]
    batch_size: int | None
    device: Device
    capability: tuple[int, int]
    autocast: Autocast | None
    iterations: int
    accumulate: int
    ranks: Ranks | None = None


def replay(
    model: Any,
    optimizer: Any,
    batch: Any,
    loss: Loss | Sequence[Loss],
    *,
    batch_size: int | None = None,
    device: Device = "cuda",
    capability: tuple[int, int] = (8, 0),
    autocast: Autocast | None = None,
    iterations: int = 2,
    accumulate: int = 1,
    ranks: Ranks | None = None,
    seconds: float = SECONDS,
) -> Step:
    """Replays `iterations` training steps on tensors without memory, in a child process.

    Each is `optimizer.zero_grad()`, `loss(model, batch)` under `autocast`, `backward()` and `optimizer.step()`, with
    a `GradScaler` for "fp16". With several optimizers (a sequence) there are as many losses, one after the other.
    `batch`: tensors in tuples, lists and dicts; with `batch_size` those whose first size is that of the first tensor
    get it. `accumulate`: in how many parts the batch is taken, each with its own backward pass, before the optimizer
    steps; the loss is divided by it. `ranks`: the step is that of rank 0, whose batch is `batch`. `capability`: compute capability of the card. `seconds`: the most that it may take.

    Nothing of the caller's changes: weights, gradients, optimizer state, random numbers.
    Raises NotReplayable, with one sentence, for whatever prevents it.
    """
    optimizers = tuple(optimizer) if isinstance(optimizer, (list, tuple)) else (optimizer,)
    losses = tuple(loss) if isinstance(loss, (list, tuple)) else (loss,)
    if len(optimizers) != len(losses):
        raise NotReplayable(said.OPTIMIZERS.fill(optimizers=len(optimizers), losses=len(losses)))
    if batch_size is not None and batch_size < 1:
        raise NotReplayable(said.NO_SAMPLE.fill(size=batch_size))
    if batch_size is not None and batch_size_of(batch) is None:
        raise NotReplayable(said.NO_BATCH)
    given = batch_size or batch_size_of(batch)
    if accumulate != 1 and (given is None or not 1 <= accumulate <= given):
        raise NotReplayable(said.PARTS.fill(size=given, parts=accumulate))
    because = (unavailable(ranks) or refusal(model)) if ranks is not None else None
    if because is not None:
        raise NotReplayable(because)
    job = Job(
        model=model,
        optimizers=optimizers,
        batch=batch,
        losses=losses,
        batch_size=batch_size,
        device=device,
        capability=capability,
        autocast=autocast,
        iterations=iterations,
        accumulate=accumulate,
        ranks=ranks,
    )
    return in_child(lambda: _replayed(job), seconds)


def _replayed(job: Job) -> Step:
    """In the child."""
    start = time.perf_counter()
    with stage(job.device, job.capability, boundary=_replayed.__code__) as here:
        model = _prepared(job.model, here.missing)
        job = job._replace(model=model)
        here.take([model], job.optimizers, job.ranks)
        is_complete = _iterate(job, here)
        outline = Step(
            (),
            device=job.device,
            batch_size=job.batch_size or batch_size_of(job.batch),
            iterations=job.iterations,
            is_complete=is_complete,
            capability=job.capability if job.device == "cuda" else None,
            seconds=time.perf_counter() - start,
            ranks=job.ranks,
        )
        return here.told(outline)


def _prepared(model: Any, missing: set[str]) -> Any:
    """The model without a wrapper that spreads it over devices."""
    if isinstance(model, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
        missing.add("wrapper")
        model = model.module
    for module in model.modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise NotReplayable(said.SCRIPTED)
        if is_compiled(module):
            missing.add("compiled")
    return model


def _iterate(job: Job, here: Stage) -> bool:
    """True if the optimizers stepped in each iteration."""
    ledger, answers, twins = here.ledger, here.answers, here.twins
    steps = 0

    def count(*_: Any) -> None:
        nonlocal steps
        steps += 1

    for optimizer in job.optimizers:
        if isinstance(optimizer, torch.optim.LBFGS):
            raise NotReplayable(said.LBFGS)
        optimizer.register_step_post_hook(count)
    scaler = torch.amp.GradScaler(job.device) if job.autocast == "fp16" else None
    parts = _parts(job)
    for iteration in range(job.iterations):
        ledger.step, ledger.phase = iteration + 1, "data"
        whole = _fresh(job, here, job.batch_size) if len(parts) == 1 else None
        for optimizer, loss in zip(job.optimizers, job.losses, strict=True):
            optimizer.zero_grad()
            for size in parts:
                data = _fresh(job, here, size) if whole is None else whole
                value = _forward(job, here, loss, data)
                ledger.phase = "backward"
                (value if scaler is None else scaler.scale(value)).backward()
                del data
            ledger.phase, answers.is_own = "optimizer", True
            if scaler is None:
                optimizer.step()
            else:
                scaler.step(optimizer)
            twins.note_state(optimizer)
            answers.is_own = False
        if scaler is not None:
            answers.is_own = True
            scaler.update()
            answers.is_own = False
        del whole
        gc.collect()  # now and then cycles keep an optimizer's temporaries
    return steps == job.iterations * len(job.optimizers)


def _parts(job: Job) -> list[int | None]:
    """Sizes of the parts of a batch, as even as can be."""
    if job.accumulate == 1:
        return [job.batch_size]
    size = job.batch_size or batch_size_of(job.batch) or 0
    return [
        size // job.accumulate + (part < size % job.accumulate) for part in range(job.accumulate)
    ]


def _fresh(job: Job, here: Stage, size: int | None) -> Any:
    here.ledger.phase = "data"
    data = batch_like(job.batch, here.twins.device, size)
    here.ledger.owns(tensors_of(data), "batch")
    return data


def _forward(job: Job, here: Stage, loss: Loss, data: Any) -> Any:
    """The loss. An earlier one lives until this one is there, as in a loop."""
    here.ledger.phase = "forward"
    with _autocast(job):
        value = loss(job.model, data)
        _check(value)
        return value / job.accumulate if job.accumulate > 1 else value


def is_compiled(module: Any) -> bool:
    kind = type(module)
    is_wrapper = kind.__name__ == "OptimizedModule" and kind.__module__.startswith("torch._dynamo")
    return is_wrapper or getattr(module, "_compiled_call_impl", None) is not None


def _autocast(job: Job) -> Any:
    if job.autocast is None:
        return contextlib.nullcontext()
    return torch.autocast(job.device, dtype=getattr(torch, DTYPES[job.autocast]))


def _check(value: Any) -> None:
    if not isinstance(value, torch.Tensor):
        raise NotReplayable(said.NO_TENSOR.fill(kind=type(value).__name__))
    if value.numel() != 1:
        raise NotReplayable(said.NO_SCALAR.fill(shape=tuple(value.shape)))
    if not value.requires_grad:
        raise NotReplayable(said.NO_GRADIENT)
