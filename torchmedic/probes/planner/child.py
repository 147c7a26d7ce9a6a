"""A piece of work in a forked child: its result, its error or one sentence about its death, never harm to the caller.

Fake tensors of a pretend card can abort a process (`terminate called after throwing an instance of 'c10::Error'`), and
no `except` sees that.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import pickle
import select
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from typing import IO, Any, NoReturn, TypeVar

from torchmedic.model import Text
from torchmedic.observed import Site
from torchmedic.observed.plan import NotReplayable
from torchmedic.observed.plan_notes import KILLED, LATE, MIXED, NO_FORK, SILENT
from torchmedic.probes.frames import is_user, qualname, span_of

Result = TypeVar("Result")
_CHUNK = 1 << 16
_MIXED = "got mixed torch.Tensor and DTensor"


def in_child(work: Callable[[], Result], seconds: float) -> Result:
    """What `work` returns, which must be picklable. Raises NotReplayable."""
    found = forked(seconds)
    if isinstance(found, Child):
        try:
            result = work()
        except BaseException as error:
            found.fail(error)
        found.answer(result)
    return found  # type: ignore[no-any-return]


class Child:
    """This process is one, and owes its parent an answer. With the answer it ends."""

    def __init__(self, writer: int, noise: int) -> None:
        self._writer = writer
        self.descriptors = frozenset((1, 2, writer, noise))
        faulthandler.disable()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.dup2(noise, 2)
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115

    def answer(self, result: object) -> NoReturn:
        self._send(True, result)

    def fail(self, error: BaseException) -> NoReturn:
        if isinstance(error, NotReplayable):
            self._send(False, (error.said, error.operation, error.site))
        self._send(False, told(error))

    def _send(self, is_result: bool, value: object) -> NoReturn:
        try:
            try:
                answer = pickle.dumps((is_result, value), pickle.HIGHEST_PROTOCOL)
            except Exception as error:
                answer = pickle.dumps((False, told(error)))
            with os.fdopen(self._writer, "wb") as pipe:
                pipe.write(answer)
        finally:
            os._exit(0)


def forked(seconds: float) -> Any:
    """In the child a `Child`, at once; in the parent what the child answers. Raises NotReplayable there."""
    if not hasattr(os, "fork"):
        raise NotReplayable(NO_FORK)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as noise:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12, where threads live
            child = _fork()
        if child == 0:
            os.close(reader)
            return Child(writer, noise.fileno())
        os.close(writer)
        try:
            answer = _read(reader, time.monotonic() + seconds)
        finally:
            os.close(reader)
            status = _end(child)
        if answer is None:
            raise NotReplayable(LATE.fill(seconds=f"{seconds:g}"))
        found = _unpacked(answer)
        if found is None:
            raise NotReplayable(_death(status, noise))
    is_result, value = found
    if not is_result:
        raise NotReplayable(*value)
    return value


def _fork() -> int:
    """As `os.fork`, but unknown to autograd where PyTorch can use CUDA.

    Its engine has threads for each card from the first backward pass on, and refuses to work in a child of `fork()`. A
    replay needs none of them: nothing of it is on a card. glibc's `_Fork` (2.34 or newer) calls no handlers.
    """
    plain: Any = getattr(ctypes.PyDLL(None), "_Fork", None)
    if plain is None or not sys.modules["torch"].backends.cuda.is_built():
        return os.fork()
    python: Any = ctypes.pythonapi
    python.PyOS_BeforeFork()
    child: int = plain()
    (python.PyOS_AfterFork_Parent if child else python.PyOS_AfterFork_Child)()
    return child


def told(error: BaseException) -> tuple[Text | str, str, Site | None]:
    """Reason, operation and the user's line."""
    text = str(error).strip().splitlines()
    reason: Text | str = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    if text and _MIXED in text[0]:  # of DTensor
        reason = MIXED
    site = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        if is_user(frame.f_code.co_filename):
            site = Site(span_of(frame.f_code, frame.f_lasti, line), qualname(frame.f_code))
    function = getattr(error, "func", None)  # of torch's DynamicOutputShapeException and its like
    return reason, str(function) if function is not None else "", site


def _read(reader: int, until: float) -> bytes | None:
    """Everything, or None if the time is over before the end."""
    found = bytearray()
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            return None
        chunk = os.read(reader, _CHUNK)
        if not chunk:
            return bytes(found)
        found += chunk


def _unpacked(answer: bytes) -> tuple[bool, Any] | None:
    """None if the child ended before it had said everything."""
    try:
        is_result, value = pickle.loads(answer)
    except (EOFError, pickle.UnpicklingError):
        return None
    return bool(is_result), value


def _end(child: int) -> int:
    """The exit status. Whatever still runs is over."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(child, 0)[1]
    return 0


def _death(status: int, noise: IO[bytes]) -> Text:
    noise.seek(0)
    said = noise.read().decode("utf-8", "replace").splitlines()
    what = next((line.split("what():", 1)[1].strip() for line in said if "what():" in line), "")
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        name = signal.Signals(os.WTERMSIG(status)).name
        return KILLED.fill(signal=name, what=f": {what}" if what else "")
    return SILENT
