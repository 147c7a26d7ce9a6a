"""Does a mutant do anything else than the right program? Both are executed, and what they did is compared.

A mutant is without effect if the changed line is executed, and it prints the same, ends the same, and its modules were called
in the same way: for a mode, with the same modes of all layers that depend on it; for `no_grad`, with a graph behind the same
results; for a dtype, it is enough that the printed numbers are the same; for anything else, with the same shapes. Without
`no_grad` a backward pass may reach modules that it didn't reach before (targets of Q-learning, teachers): then it is no
evaluation that lacks it. A program that can't be executed proves nothing.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import pickle
import runpy
import signal
import sys
from pathlib import Path
from typing import Any, NamedTuple

SECONDS = 60
PRELOADED = ("torch._dynamo", "sklearn.datasets", "sklearn.metrics", "sklearn.model_selection")
MODES = {"TM403", "TM405"}
GRAD = {"TM404"}
SHAPES = {"TM101", "TM103", "TM104", "TM201", "TM202", "TM303"}
DTYPES = {"TM103"}
TOLD = MODES | GRAD | SHAPES  # mistakes whose mutants are compared


class Call(NamedTuple):
    """One call of a module. `mode`: its training flag, if it computes something else in training; None otherwise."""

    kind: str
    mode: bool | None
    inputs: tuple[tuple[tuple[int, ...], str], ...]


class Run(NamedTuple):
    """What a program did. `end`: "" or the exception that ended it."""

    end: str
    printed: str
    calls: tuple[Call, ...]
    lines: frozenset[tuple[str, int]] = frozenset()  # executed, of the program's files
    reached: int = 0  # results of modules that a backward pass came to
    graphs: tuple[bool, ...] = ()  # whether the result of each call has a graph


def is_without_effect(
    code: str, right: Run | None, mutant: Run | None, changed: set[tuple[str, int]]
) -> bool:
    """True if both were executed and nothing that matters to this mistake differs. `changed`: one of these lines ran."""
    if code not in TOLD or right is None or mutant is None or right.end:
        return False
    if not right.lines & changed:
        return False
    if code in GRAD and mutant.reached > right.reached:
        return True
    if (right.end, right.printed) != (mutant.end, mutant.printed):
        return False
    if code in DTYPES and right.printed:
        return True  # the numbers are the same
    return _seen(code, right) == _seen(code, mutant)


def _seen(code: str, run: Run) -> list[object]:
    if code in MODES:
        return [(c.kind, c.mode) for c in run.calls if c.mode is not None]
    if code in GRAD:
        return list(run.graphs)
    return [(c.kind, c.inputs) for c in run.calls]


def executed(folder: Path, words: tuple[str, ...]) -> Run | None:
    """`python words…` in that folder, in a child; None if it took too long or died."""
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            signal.alarm(SECONDS)
            os.close(reader)
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(tuple(_execute(folder, words)), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    try:
        end, printed, calls, lines, reached, graphs = pickle.loads(data)
    except Exception:
        return None
    return Run(end, printed, tuple(Call(*call) for call in calls), lines, reached, graphs)


def _execute(folder: Path, words: tuple[str, ...]) -> Run:
    import torch

    calls: list[Call] = []
    lines: set[tuple[str, int]] = set()
    arrived: set[int] = set()
    graphs: list[bool] = []

    def traced(frame: Any, event: str, value: object) -> Any:
        name = frame.f_code.co_filename
        path = name if os.path.isabs(name) else str(folder / name)
        if not path.startswith(str(folder)):
            return None
        lines.add((os.path.relpath(path, folder), frame.f_lineno))
        return traced

    def watched(module: Any, inputs: object, output: Any) -> None:
        held = output if isinstance(output, (tuple, list)) else [output]
        tensors = [v for v in held if torch.is_tensor(v) and v.requires_grad]
        number = len(graphs)
        graphs.append(bool(tensors))
        for tensor in tensors:
            tensor.register_hook(lambda gradient: arrived.add(number))

    torch.nn.modules.module.register_module_forward_hook(watched)
    torch.set_num_threads(1)
    torch.nn.modules.module.register_module_forward_pre_hook(lambda m, a: calls.append(_call(m, a)))
    dropout = torch.nn.functional.dropout

    def noted(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        calls.append(Call("dropout", training, ()))
        return dropout(input, p, training, inplace)

    torch.nn.functional.dropout = noted
    os.chdir(folder)
    sys.argv = list(words)
    sys.path[0:0] = [str((folder / words[0]).parent)]
    sys.dont_write_bytecode = True
    out, end = io.StringIO(), ""
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            sys.settrace(traced)
            runpy.run_path(words[0], run_name="__main__")
        except SystemExit as error:
            end = f"exit {error.code}" if error.code else ""
        except BaseException as error:
            end = f"{type(error).__name__}: {error}"
        finally:
            sys.settrace(None)
    held = tuple(tuple(c) for c in calls)
    return Run(end, out.getvalue(), held, frozenset(lines), len(arrived), tuple(graphs))  # type: ignore[arg-type]


def _call(module: Any, inputs: tuple[Any, ...]) -> Call:
    import torch

    shapes = tuple((tuple(v.shape), str(v.dtype)) for v in inputs if torch.is_tensor(v))
    mode = bool(module.training) if _is_mode_dependent(module) else None
    return Call(type(module).__name__, mode, shapes)


def _is_mode_dependent(module: Any) -> bool:
    from torch import nn

    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p > 0
    if isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.RReLU)):
        return True
    if isinstance(module, nn.RNNBase):
        return module.dropout > 0 and module.num_layers > 1
    if isinstance(module, nn.MultiheadAttention):
        return module.dropout > 0
    return isinstance(module, nn.modules.batchnorm._NormBase)
