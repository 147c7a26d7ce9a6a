"""A live exception as a `Failure`: read from its frames; nothing of the user's program runs again but on clones."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence
from typing import Any, Protocol

from torchmedic.model import Span
from torchmedic.observed import Failure, Frame, ModuleCall, Site, load
from torchmedic.observed.panels import HEADER
from torchmedic.observed.text import failure_from_text
from torchmedic.probes.frames import Entry, entries, frame_of
from torchmedic.probes.graph import culprits_of
from torchmedic.probes.loaders import loaders_in
from torchmedic.probes.memory import memory_of
from torchmedic.probes.modules import Call, on_stack
from torchmedic.probes.parts import parts_of
from torchmedic.probes.sizes import rerun
from torchmedic.probes.values import plain_attributes, torch_if_loaded

MOST_FRAMES = 200
_QUOTING = (
    "terminated with the following error:",
    "in DataLoader worker process",
    "\nfrom user code:",
    "\nTraceback of TorchScript",
)
_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")


class Records(Protocol):
    """What was recorded while the program ran (`probes.record.Recorder`)."""

    def made_by(self, module: object) -> tuple[Site, ...]: ...

    def layers_for(self, root: object) -> tuple[ModuleCall, ...] | None: ...


def read_error(error: BaseException, records: Records | None = None) -> Failure:
    """Everything that the exception, its frames and its chain tell, as plain data."""
    first, *rest = _chain(error)
    links = [_failure(link, records) for link in (first, *rest)]
    is_explicit = error.__cause__ is not None or _first_of_group(error) is not None
    return links[0]._replace(causes=tuple(links[1:]), is_cause_explicit=is_explicit)


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and all(link is not seen for seen in chain) and len(chain) < 8:
        chain.append(link)
        below = link.__cause__ or _first_of_group(link)
        link = below or (None if link.__suppress_context__ else link.__context__)
    return chain


def _first_of_group(error: BaseException) -> BaseException | None:
    """Of several exceptions that were raised together, the first one is told."""
    group: Any = getattr(builtins, "BaseExceptionGroup", ())  # Python 3.11
    return error.exceptions[0] if isinstance(error, group) else None


def _failure(error: BaseException, records: Records | None) -> Failure:
    stack = entries(error.__traceback__)[-MOST_FRAMES:]
    message = _message(error)
    frames = tuple(frame_of(entry) for entry in stack)
    live, modules = on_stack(stack, records.made_by if records else None)
    failure = Failure(
        type(error).__name__,
        message,
        _with_parts(stack, frames),
        is_live=True,
        modules=modules,
        loaders=loaders_in(stack),
        culprits=culprits_of(stack, message),
        memory=memory_of(stack) if any(text in message.lower() for text in _MEMORY) else {},
    )
    if live and (len(live) > 1 or plain_attributes(live[0].module).get("_modules")):
        failure = _with_layers(failure, live, records)
    return _with_inner_text(failure)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # the user's own __str__
        return ""


def _with_parts(stack: Sequence[Entry], frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """The deepest user frame also tells the shapes of its unnamed sub-expressions."""
    index = next((i for i in reversed(range(len(frames))) if frames[i].is_user), None)
    if index is None or torch_if_loaded() is None:
        return frames
    parts = parts_of(stack[index], frames[index])
    return (*frames[:index], frames[index]._replace(parts=parts), *frames[index + 1 :])


def _with_layers(failure: Failure, live: Sequence[Call], records: Records | None) -> Failure:
    root = live[0]
    recorded = records.layers_for(root.module) if records else None
    if recorded and any(row.output is None for row in recorded):
        layers, source, note = recorded, "recorded", ""
    else:
        layers, source, note = rerun(
            root, records.made_by if records else None, failure.modules[-1].path
        )
    modules = failure.modules
    open_rows = [row for row in layers if row.output is None]
    if len(modules) == 1 and len(open_rows) > 1:
        # Compiled and scripted models have one Python frame: their inner layers are known from the table alone.
        modules = tuple(open_rows)
    return failure._replace(layers=layers, layers_from=source, layers_note=note, modules=modules)


def _with_inner_text(failure: Failure) -> Failure:
    """Errors of loader workers, of compiled and of scripted code carry the place that matters as text in their message."""
    if not any(words in failure.message for words in _QUOTING):
        return failure
    inner = failure_from_text(f"{HEADER}:\n{failure.type}: {failure.message}")
    if inner is None or not inner.frames:
        return failure
    return failure._replace(
        type=inner.type or failure.type,
        message=inner.message or failure.message,
        frames=(*failure.frames, *map(_quoted, inner.frames)),
        is_worker=inner.is_worker,
    )


def _quoted(frame: Frame) -> Frame:
    """The frame as the message shows it, with the columns of the expression that is marked in its line."""
    source = load(frame.at.path) if frame.is_user else None
    if source is None:
        return frame._replace(is_quoted=True)
    at = Span(source.path, frame.at.line)
    text, line = frame.expression, source.line(frame.at.line)
    if text and line.count(text) == 1:
        start = line.index(text)
        at = Span(at.path, at.line, start, at.line, start + len(text))
        marked = source.at(at, ast.expr)
        call = source.parent(marked) if marked is not None else None
        if isinstance(call, ast.Call) and call.func is marked:  # TorchScript marks what is called
            at = source.span(call)
    return frame._replace(at=at, is_quoted=True)
