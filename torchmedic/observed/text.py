"""What a person pastes (a message, a traceback, a whole log) as a `Failure`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from torchmedic.observed.failure import Culprit, Failure
from torchmedic.observed.messages import bare_message, keywords
from torchmedic.observed.paths import is_user_path
from torchmedic.observed.pytest_output import first_failure
from torchmedic.observed.streams import LOOK, Stream, streams, without_prefix
from torchmedic.observed.tracebacks import (
    ENDING,
    frame_of,
    is_start,
    read_chain,
    read_message,
    starts_in_bootstrap,
)

__all__ = ["failure_from_text", "is_user_path", "keywords"]

# How likely an error is the consequence of another one, or no error of the program at all.
_REAL, _CONSEQUENCE, _INTERRUPT, _LAUNCHER = range(4)
_LAUNCHERS = {
    "ChildFailedError",
    "CalledProcessError",
    "SignalException",
    "ProcessExitedException",
    "ProcessRaisedException",
    "RendezvousConnectionError",
}
_INTERRUPTS = {"KeyboardInterrupt", "SystemExit", "GeneratorExit", "CancelledError"}
_CONSEQUENCES = {
    "DistBackendError",
    "DistNetworkError",
    "DistStoreError",
    "EOFError",
    "BrokenPipeError",
    "ConnectionResetError",
    "ConnectionRefusedError",
    "ConnectionAbortedError",
    "Empty",
    "BrokenProcessPool",
}
_AFTERMATH = (
    r"\bnccl|ProcessGroup|Connection (?:closed|reset) by peer|Broken pipe|Socket Timeout|Watchdog caught"
    r"|DataLoader worker \(pid\(?s?\)?.{0,200}\) (?:exited unexpectedly|is killed)"
)

_TYPED = rf"(?<![\w.])((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*{ENDING}|Unsupported)(?:: ?(.*)|$)"
_NO_ERROR = r"Warning$|^(?:Timeout|Empty|Full|Failed|Failure|Exit|Error|Exception|Group)$"

_FORWARD = r"Error detected in (\w+)\. Traceback of forward call"


class _Candidate(NamedTuple):
    failure: Failure
    at: int  # line of the whole text
    process: tuple[str, ...]
    rank: int  # _REAL … _LAUNCHER
    following: list[str] | None = None  # the stream of a message that may go on …
    line: int = 0  # … behind this line of it


def failure_from_text(text: str) -> Failure | None:
    """The error that matters in a pasted text, with its causes; None if there is nothing like an error.

    A bare message has the type "". Never raises; the time is linear in the length of the text.
    """
    parts = streams(text)
    found: list[_Candidate] = []
    culprits: list[Culprit] = []
    for stream in parts:
        found += _tracebacks(stream, culprits)
    chosen = _choose(c for c in found if c.failure.type)
    if chosen is None or chosen.rank > _REAL:
        named = _choose(c for stream in parts for c in _named(stream))
        if named is not None and (chosen is None or named.rank < chosen.rank):
            chosen = named
    failure = _with_parent(_whole(chosen), chosen, found) if chosen else None
    if failure is None and (message := bare_message([line for s in parts for line in s.lines])):
        failure = Failure("", message)
    if failure is None and found:  # a traceback whose end was not pasted
        failure = found[-1].failure
    if failure is not None and culprits:
        failure = failure._replace(culprits=tuple(culprits[-1:]))
    return _with_assertion(failure, text) if failure is not None else None


def _with_assertion(failure: Failure, text: str) -> Failure:
    """The first line that a CUDA kernel printed, behind the message that tells no more than that there is one."""
    if "device-side assert triggered" not in failure.message or "Assertion" in failure.message:
        return failure
    place = re.search(r"(?m)^.{0,500}\.cuh?:\d+: .{0,800}Assertion [`'].{0,800}failed", text)
    if place is None:
        return failure
    return failure._replace(message=f"{failure.message}\n{place[0].strip()}")


def _with_parent(failure: Failure, chosen: _Candidate, candidates: Iterable[_Candidate]) -> Failure:
    """An error of a process that multiprocessing was starting, behind the frames that waited for it in its parent."""
    if not starts_in_bootstrap(failure):
        return failure
    for other in candidates:
        is_parent = other.process == chosen.process and other.rank == _CONSEQUENCE
        if is_parent and other.failure.user_frame is not None:
            return failure._replace(frames=(*other.failure.frames, *failure.frames))
    return failure


def _tracebacks(stream: Stream, culprits: list[Culprit]) -> list[_Candidate]:
    lines, found, i = stream.lines, [], 0
    if any(line.startswith("E   ") for line in lines):
        first = first_failure(lines)
        if first is not None:
            at, failure = first
            found.append(_Candidate(failure, stream.at[at], stream.key, _rank(failure, "")))
    while i < len(lines):
        if not is_start(lines[i]):
            i += 1
            continue
        failure, after = read_chain(lines, i)
        before = next((line for line in lines[max(0, i - 2) : i][::-1] if line.strip()), "")
        forward = re.search(_FORWARD, before[-LOOK:])
        if forward is not None:
            culprits.append(Culprit(forward[1], frames=failure.frames))
        elif failure.type or failure.frames:
            if "in DataLoader worker process" in before[:LOOK]:
                failure = failure._replace(is_worker=True)
            rank = _rank(failure, before)
            found.append(_Candidate(failure, stream.at[i], stream.key, rank))
        i = max(after, i + 1)
    return found


def _rank(failure: Failure, before: str) -> int:
    paths = {frame.at.path.replace("\\", "/").rpartition("/")[2] for frame in failure.frames}
    if failure.type in _LAUNCHERS or "resource_tracker.py" in paths:
        return _LAUNCHER
    if before.startswith(("Exception ignored", "--- Logging error")):
        return _LAUNCHER
    if failure.type in _INTERRUPTS:
        return _INTERRUPT
    part = re.match(r"\s*\+[-+]+ (\d+) -", before[:LOOK])
    if failure.type.endswith("ExceptionGroup") or (part is not None and part[1] != "1"):
        return _CONSEQUENCE  # of a group the first exception is told
    if failure.type in _CONSEQUENCES or re.search(_AFTERMATH, failure.message[:LOOK]):
        return _CONSEQUENCE
    return _REAL


def _choose(candidates: Iterable[_Candidate]) -> _Candidate | None:
    """The least derived; of several processes the one that failed first, within a process the last."""
    everything = list(candidates)
    best = min((c.rank for c in everything), default=0)
    last = {c.process: c for c in everything if c.rank == best}
    if len(last) == 1 and any(c.failure.type == "ChildFailedError" for c in everything):
        return next(c for c in everything if c.rank == best)
    return min(last.values(), key=lambda c: c.at, default=None)


def _named(stream: Stream) -> Iterator[_Candidate]:
    """Lines that name an exception, outside of tracebacks."""
    for i, line in enumerate(stream.lines):
        if not ("Error" in line or "Exception" in line or "Interrupt" in line or "Unsup" in line):
            continue
        text = without_prefix(line)
        named = re.search(_TYPED, text[:LOOK])
        if named is None or re.search(_NO_ERROR, named[1]) or frame_of(line[:LOOK]):
            continue
        before = text[: named.start()].rstrip()
        if named[2] is None and before and not before.endswith((":", "-", "|", ">")):
            continue  # a sentence that ends in the name
        quote = {"“": "”"}.get(before[-1:], before[-1:])
        first = text[named.start(2) :] if named[2] is not None else ""
        is_quoted = bool(quote) and quote in "`\"'*”"
        if is_quoted:
            first = first.partition(quote)[0]
        failure = Failure(named[1].rpartition(".")[2], first.strip(" `"))
        rank = _rank(failure, "")
        rest = [] if is_quoted else stream.lines
        yield _Candidate(failure, stream.at[i], stream.key, rank, rest, i)


def _whole(candidate: _Candidate) -> Failure:
    """The candidate's failure with all lines of its message."""
    if not candidate.following:
        return candidate.failure
    start = candidate.line
    line = candidate.following[start]
    rest = candidate.following[start + 1 : start + 200]
    mark = re.match(r"\W*\w+\]:? ?", line)  # a rank: it stands on the lines below, too
    if mark is not None:
        rest = [text.removeprefix(mark[0]) for text in rest]
    margin = len(line) - len(line.lstrip())
    message, _ = read_message(rest, 0, candidate.failure.message, 0 if mark else margin)
    return candidate.failure._replace(message=message.strip("` "))
