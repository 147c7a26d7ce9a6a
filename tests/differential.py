"""Executes small programs twice, with PyTorch and abstractly, and compares everything that the abstract machine claims."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy
import torch

from torchmedic.abstract.program import Machine
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.values import (
    Const,
    External,
    Namespace,
    Number,
    Object,
    Scope,
    Sequence,
    Tensor,
    Value,
)
from torchmedic.observed import Source

PRELUDE = """\
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
def z(*sizes): return torch.zeros(*sizes)
def i(*sizes): return torch.zeros(*sizes, dtype=torch.int64)
def g(*sizes): return torch.ones(*sizes, requires_grad=True)
"""


@dataclass
class Outcome:
    """Of both executions. `unknown`: names of which not everything is known."""

    error: BaseException | None
    failures: list[tuple[str, str]]
    real: dict[str, Any]
    scope: Scope
    wrong: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def scope_of(program: str, given: Scope | None = None) -> tuple[Scope, list[tuple[str, str]]]:
    """The names of the abstractly executed program, and the exceptions it is said to raise."""
    source = Source(program, "program.py")
    machine = Machine(source)
    names: Scope = {"__name__": Const("__main__"), **(given or {})}
    main = Namespace("__main__", names, source)
    machine._execute_file(main)
    return main.scope, [(f.type, f.message) for f in machine.failures]


def execute(program: str, **sizes: int) -> Outcome:
    """`sizes`: integers that the abstract machine does not know; PyTorch gets these values."""
    text = PRELUDE + program
    symbols = {name: Size.fresh(name) for name in sizes}
    scope, failures = scope_of(text, {name: Number(size) for name, size in symbols.items()})
    real: dict[str, Any] = {"__name__": "__main__", **sizes}
    error: BaseException | None = None
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(compile(text, "program.py", "exec"), real)
        except Exception as raised:
            error = raised
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)
    outcome = Outcome(error, failures, real, scope)
    known = {next(iter(size.terms))[0][0]: sizes[name] for name, size in symbols.items()}
    if error is None:
        for name in real:
            if name in scope and not name.startswith("__") and name not in sizes:
                _compare(outcome, name, real[name], scope[name], known)
    _compare_errors(outcome, bool(sizes))
    return outcome


def _compare_errors(outcome: Outcome, is_symbolic: bool) -> None:
    if not outcome.failures:
        return
    if outcome.error is None:
        outcome.wrong.append(f"claims {outcome.failures[0]}, but nothing is raised")
        return
    kind, message = outcome.failures[0]
    real = (type(outcome.error).__name__, str(outcome.error))
    if kind != real[0] or (message != real[1] and not is_symbolic):
        outcome.wrong.append(f"claims {kind}: {message}\n   real {real[0]}: {real[1]}")


def _value(size: Size, known: dict[Any, int]) -> int | None:
    """The size with these values for its symbols; None if there are others in it."""
    if not size.symbols() <= known.keys():
        return None
    total = 0
    for product, factor in size.terms:
        for symbol in product:
            factor *= known[symbol]
        total += factor
    return total


def _compare(outcome: Outcome, path: str, real: Any, claimed: Any, known: dict[Any, int]) -> None:
    def wrong(what: str, claim: object, truth: object) -> None:
        outcome.wrong.append(f"{path}: {what} {claim}, really {truth}")

    if isinstance(claimed, Tensor):
        if claimed.library not in ("torch", "numpy", ""):
            return
        _compare_tensor(outcome, path, real, claimed, known)
    elif isinstance(claimed, Const):
        plain = real.item() if isinstance(real, numpy.generic) else real
        if type(plain) is not type(claimed.value) or plain != claimed.value:
            wrong("value", claimed.value, real)
    elif isinstance(claimed, Number):
        number = _value(claimed.size, known)
        if type(real) is not int:
            wrong("type", "int", type(real))
        elif number is not None and number != real:
            wrong("value", number, real)
        elif number is None:
            outcome.unknown.append(path)
    elif isinstance(claimed, Sequence) and claimed.kind in ("tuple", "list"):
        if not isinstance(real, (tuple, list)):
            wrong("type", "a sequence", type(real))
        elif claimed.is_exact and len(real) != len(claimed.items):
            wrong("length", len(claimed.items), len(real))
        elif claimed.is_exact:
            for index, (a, b) in enumerate(zip(real, claimed.items, strict=True)):
                _compare(outcome, f"{path}[{index}]", a, b, known)
        else:
            outcome.unknown.append(path)
    elif isinstance(claimed, External):
        if isinstance(real, torch.dtype) and str(real) != claimed.name:
            wrong("dtype", claimed.name, real)
    elif (
        not isinstance(claimed, Object)
        and isinstance(claimed, Value)
        and isinstance(real, (torch.Tensor, numpy.ndarray, tuple, list, int, float, bool))
    ):
        outcome.unknown.append(path)


def _compare_tensor(
    outcome: Outcome, path: str, real: Any, claimed: Tensor, known: dict[Any, int]
) -> None:
    def wrong(what: str, claim: object, truth: object) -> None:
        outcome.wrong.append(f"{path}: {what} {claim}, really {truth}")

    if not isinstance(real, (torch.Tensor, numpy.ndarray, numpy.generic)):
        wrong("type", "Tensor", type(real))
        return
    library = "torch" if isinstance(real, torch.Tensor) else "numpy"
    if claimed.library and claimed.library != library:
        wrong("library", claimed.library, library)
    dtype = str(real.dtype).removeprefix("torch.")
    if claimed.dtype and claimed.dtype != dtype:
        wrong("dtype", claimed.dtype, dtype)
    if claimed.shape is None or not claimed.dtype:
        outcome.unknown.append(path)
    if claimed.shape is not None:
        shape = [_value(size, known) for size in claimed.shape]
        if len(shape) != len(real.shape) or any(
            a is not None and a != b for a, b in zip(shape, real.shape, strict=True)
        ):
            wrong("shape", shape, tuple(real.shape))
        elif None in shape:
            outcome.unknown.append(path)
    if library == "torch":
        _compare_memory(wrong, real, claimed)
        if claimed.graph is not None and claimed.graph != real.requires_grad:
            wrong("requires_grad", claimed.graph, real.requires_grad)
        if claimed.graph is None:
            outcome.unknown.append(path)


def _compare_memory(wrong: Any, real: torch.Tensor, claimed: Tensor) -> None:
    if claimed.is_contiguous is False and real.is_contiguous():
        wrong("is_contiguous", False, True)
    if claimed.strides is None or any(s.constant is None for s in claimed.strides):
        return
    for size, stride, truth in zip(real.shape, claimed.strides, real.stride(), strict=False):
        if size > 1 and stride.constant != truth and real.numel():
            wrong("strides", [s.constant for s in claimed.strides], real.stride())
            return
