"""Where a replay takes place: the fake mode for a device, and inside it the ledger with all that it asks.

For a child process. What is changed of PyTorch is never changed back.
"""

from __future__ import annotations

import contextlib
import gc
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from types import CodeType
from typing import Any, Literal, NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from torchmedic.model import Text
from torchmedic.observed.plan import Ranks, Step
from torchmedic.observed.plan_notes import NOT_MODELLED
from torchmedic.probes.planner.answers import Answers
from torchmedic.probes.planner.card import CUDA, pretend_card
from torchmedic.probes.planner.hidden_cpu import hidden_on_cpu
from torchmedic.probes.planner.hidden_cuda import hidden_on_cuda
from torchmedic.probes.planner.ledger import Ledger
from torchmedic.probes.planner.patched import count_as_tensor, step_whatever_is_found
from torchmedic.probes.planner.places import Places
from torchmedic.probes.planner.ranks import spread
from torchmedic.probes.planner.recurrent import Memory
from torchmedic.probes.planner.twins import Twins, like

Device = Literal["cuda", "cpu"]


class Stage(NamedTuple):
    """`missing`: keys of `NOT_MODELLED`."""

    ledger: Ledger
    places: Places
    answers: Answers
    twins: Twins
    missing: set[str]

    def not_modelled(self) -> tuple[Text, ...]:
        missing = self.missing | ({"sparse"} if self.twins.has_sparse else set())
        return tuple(NOT_MODELLED[key] for key in sorted(missing))

    def told(self, outline: Step) -> Step:
        """The step, with what was seen here. Ends the ledger."""
        return outline._replace(
            events=self.ledger.close(),
            guesses=self.answers.guesses(),
            not_modelled=self.not_modelled(),
            used_again=frozenset(self.ledger.used_again),
        )

    def take(
        self, models: Sequence[Any], optimizers: Sequence[Any], ranks: Ranks | None = None
    ) -> None:
        """Models and optimizers become twins, with `ranks` those of rank 0. Raises NotReplayable."""
        is_sharded = ranks is not None and ranks.kind == "fsdp"
        with self.ledger.paused() if is_sharded else contextlib.nullcontext():
            for model in models:
                self.twins.take_model(model)
        for optimizer in optimizers:
            self.twins.take_optimizer(optimizer)
        if ranks is not None:
            self.missing.update(spread(ranks, models, optimizers, self.twins))
        if is_sharded:
            for model in models:
                self.twins.own(model)
        for model in models:
            self.places.follow(model)


@contextlib.contextmanager
def stage(
    device: Device, capability: tuple[int, int], boundary: CodeType | None = None
) -> Iterator[Stage]:
    """Everything inside runs on tensors without memory. No frame outside of `boundary` counts as the user's."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the parent's OpenMP threads aren't here
    gc.freeze()  # what the parent has isn't looked through; cycles of the step are collected as ever
    if hasattr(torch.compiler, "set_stance"):
        torch.compiler.set_stance("force_eager")
    count_as_tensor(FakeTensor)
    step_whatever_is_found()
    places = Places(boundary)
    answers = Answers(places)
    missing: set[str] = set()
    with warnings.catch_warnings(), contextlib.closing(places):
        warnings.simplefilter("ignore")
        if device == "cpu":
            mode: Any = FakeTensorMode(allow_non_fake_inputs=True)
            ledger = Ledger("cpu", places, answers, partial(hidden_on_cpu, threads=threads))
            target = torch.device("cpu")
        else:
            hidden = partial(hidden_on_cuda, capability=capability, missing=missing)
            ledger = Ledger("cuda", places, answers, hidden)
            ledger.adopt = partial(_adopted, ledger, missing, {})
            mode = _card(capability, ledger, answers, missing)
            target = CUDA
        with mode, ledger:
            yield Stage(ledger, places, answers, Twins(target, ledger), missing)


def _card(capability: tuple[int, int], ledger: Ledger, answers: Answers, missing: set[str]) -> Any:
    kept: set[str] = set()

    def workspace(operation: str, *sizes: int) -> None:
        missing.add("recurrent")
        ledger.pass_through(*sizes, operation=operation)

    def keep(operation: str, size: int) -> None:
        if operation not in kept:
            kept.add(operation)
            ledger.take(size, operation)

    return pretend_card(capability, Memory(workspace, keep), answers.count)


def _adopted(
    ledger: Ledger,
    missing: set[str],
    known: dict[int, tuple[Any, Any]],
    tensor: Any,
    is_changed: bool,
) -> Any:
    """A tensor of the program's own, which is on a real card, or stayed on the CPU: class weights say, as if on the card."""
    is_number = tensor.dim() == 0 and not is_changed  # the card takes one from the CPU
    if is_number or tensor.device.type not in ("cpu", "cuda"):
        return tensor
    if id(tensor) not in known:
        missing.update(["stranger"] if tensor.device.type == "cpu" else [])
        known[id(tensor)] = tensor, like(tensor, CUDA)
        ledger.owns([known[id(tensor)][1]], "buffers")
    return known[id(tensor)][1]
