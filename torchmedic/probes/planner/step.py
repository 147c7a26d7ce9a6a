"""One training step, replayed: `replay(model, optimizer, batch, loss)` tells every storage that it would take."""

from __future__ import annotations

import contextlib
import gc
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import torch

from torchmedic.observed.plan import NotReplayable, Step
from torchmedic.probes.planner.answers import Answers
from torchmedic.probes.planner.card import CUDA, has_cuda, pretend_card
from torchmedic.probes.planner.child import in_child
from torchmedic.probes.planner.hidden_cpu import hidden_on_cpu
from torchmedic.probes.planner.hidden_cuda import NOT_MODELLED, hidden_on_cuda
from torchmedic.probes.planner.ledger import Ledger
from torchmedic.probes.planner.patched import count_as_tensor, step_whatever_is_found
from torchmedic.probes.planner.places import Places
from torchmedic.probes.planner.twins import Twins, batch_like, batch_size_of, like, tensors_of

SECONDS = 120.0
Loss = Callable[[Any, Any], Any]
Device = Literal["cuda", "cpu"]
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
    seconds: float = SECONDS,
) -> Step:
    """Replays `iterations` training steps on tensors without memory, in a child process.

    Each is `optimizer.zero_grad()`, `loss(model, batch)` under `autocast`, `backward()` and `optimizer.step()`, with
    a `GradScaler` for "fp16". With several optimizers (a sequence) there are as many losses, one after the other.
    `batch`: tensors in tuples, lists and dicts; with `batch_size` those whose first size is that of the first tensor
    get it. `capability`: compute capability of the card. `seconds`: the most that it may take.

    Nothing of the caller's changes: weights, gradients, optimizer state, random numbers.
    Raises NotReplayable, with one sentence, for whatever prevents it.
    """
    optimizers = tuple(optimizer) if isinstance(optimizer, (list, tuple)) else (optimizer,)
    losses = tuple(loss) if isinstance(loss, (list, tuple)) else (loss,)
    if len(optimizers) != len(losses):
        raise NotReplayable(f"{len(optimizers)} optimizers need as many losses, not {len(losses)}")
    job = Job(
        model, optimizers, batch, losses, batch_size, device, capability, autocast, iterations
    )
    return in_child(lambda: _replayed(job), seconds)


def _replayed(job: Job) -> Step:
    """In the child."""
    start = time.perf_counter()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the parent's OpenMP threads aren't here
    gc.freeze()  # what the parent has isn't looked through; cycles of the step are collected as ever
    if hasattr(torch.compiler, "set_stance"):
        torch.compiler.set_stance("force_eager")
    places = Places(boundary=_replayed.__code__)
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stage = stack.enter_context(_stage(job, places, threads))
        twins = Twins(stage.device, stage.ledger)
        twins.take_model(job.model)
        for optimizer in job.optimizers:
            twins.take_optimizer(optimizer)
        places.follow(job.model)
        if any(_is_compiled(module) for module in job.model.modules()):
            stage.missing.add("compiled")
        stack.callback(places.close)
        is_complete = _iterate(job, twins, stage.answers)
        events = stage.ledger.close()
        if twins.has_sparse:
            stage.missing.add("sparse")
    return Step(
        events,
        device=job.device,
        batch_size=job.batch_size or batch_size_of(job.batch),
        iterations=job.iterations,
        guesses=stage.answers.guesses(),
        not_modelled=tuple(NOT_MODELLED[key] for key in sorted(stage.missing)),
        is_complete=is_complete,
        capability=job.capability if job.device == "cuda" else None,
        seconds=time.perf_counter() - start,
    )


class _Stage(NamedTuple):
    device: Any
    ledger: Ledger
    answers: Answers
    missing: set[str]


@contextlib.contextmanager
def _stage(job: Job, places: Places, threads: int) -> Iterator[_Stage]:
    """The modes: the fake one, and the ledger inside it."""
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

    count_as_tensor(FakeTensor)
    step_whatever_is_found()
    answers = Answers(places)
    missing: set[str] = set()
    if job.device == "cpu":
        ledger = Ledger("cpu", places, answers, partial(hidden_on_cpu, threads=threads))
        with FakeTensorMode(allow_non_fake_inputs=True), ledger:
            yield _Stage(torch.device("cpu"), ledger, answers, missing)
        return
    hidden = partial(hidden_on_cuda, capability=job.capability, missing=missing)
    strangers: dict[int, tuple[Any, Any]] = {}

    def adopt(tensor: Any) -> Any:
        """A tensor of the program's own that stayed on the CPU: class weights, say."""
        if tensor.dim() == 0 or tensor.device.type != "cpu":
            return tensor
        if id(tensor) not in strangers:
            missing.add("stranger")
            strangers[id(tensor)] = tensor, like(tensor, CUDA)
            ledger.owns([strangers[id(tensor)][1]], "buffers")
        return strangers[id(tensor)][1]

    ledger = Ledger("cuda", places, answers, hidden, adopt)

    def workspace(size: int, operation: str) -> None:
        missing.add("recurrent")
        ledger.pass_through(size, operation=operation)

    if has_cuda():  # awaits a run on such a build: fake tensors need no second face there
        with FakeTensorMode(allow_non_fake_inputs=True), ledger:
            yield _Stage(CUDA, ledger, answers, missing)
        return
    with pretend_card(job.capability, workspace, answers.count), ledger:
        yield _Stage(CUDA, ledger, answers, missing)


def _iterate(job: Job, twins: Twins, answers: Answers) -> bool:
    """True if the optimizers stepped in each iteration."""
    ledger = twins.ledger
    steps = 0

    def count(*_: Any) -> None:
        nonlocal steps
        steps += 1

    for optimizer in job.optimizers:
        if isinstance(optimizer, torch.optim.LBFGS):
            raise NotReplayable("LBFGS asks for the loss as often as values want it")
        optimizer.register_step_post_hook(count)
    scaler = torch.amp.GradScaler(job.device) if job.autocast == "fp16" else None
    for iteration in range(job.iterations):
        ledger.step, ledger.phase = iteration + 1, "data"
        data = batch_like(job.batch, twins.device, job.batch_size)
        ledger.owns(tensors_of(data), "batch")
        for optimizer, loss in zip(job.optimizers, job.losses, strict=True):
            optimizer.zero_grad()
            ledger.phase = "forward"
            with _autocast(job):
                value = loss(job.model, data)
            _check(value)
            ledger.phase = "backward"
            (value if scaler is None else scaler.scale(value)).backward()
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
        del data
    return steps == job.iterations * len(job.optimizers)


def _is_compiled(module: Any) -> bool:
    kind = type(module)
    is_wrapper = kind.__name__ == "OptimizedModule" and kind.__module__.startswith("torch._dynamo")
    return is_wrapper or getattr(module, "_compiled_call_impl", None) is not None


def _autocast(job: Job) -> Any:
    if job.autocast is None:
        return contextlib.nullcontext()
    return torch.autocast(job.device, dtype=getattr(torch, DTYPES[job.autocast]))


def _check(value: Any) -> None:
    if not isinstance(value, torch.Tensor):
        raise NotReplayable(f"`loss` returned {type(value).__name__}, not a tensor")
    if value.numel() != 1:
        raise NotReplayable(f"`loss` returned a tensor of shape {tuple(value.shape)}, not a scalar")
    if not value.requires_grad:
        raise NotReplayable("`loss` returned a tensor that doesn't require gradients")
