"""Failures in lines of text as pytest prints them: source above, the error behind an `E`."""

from __future__ import annotations

import re

from torchmedic.model import Span
from torchmedic.observed.failure import Failure, Frame
from torchmedic.observed.paths import is_user_path
from torchmedic.observed.streams import LOOK
from torchmedic.observed.tracebacks import ENDING, EXPLICIT, IMPLICIT

_PLACE = r"(\S.*?):(\d{1,9}): ?(?:in (.+)|([\w.]+))?$"
_ERROR = rf"E( {{3,}})([A-Za-z_][\w.]*{ENDING})(?:: ?(.*))?$"
_BACK = 2000  # lines above the error in which its frames are looked for


def first_failure(lines: list[str]) -> tuple[int, Failure] | None:
    """The first failed test's exception with its causes, and the line where it stands.

    Tests fail independently of each other: the first is as good as any.
    """
    found: tuple[int, Failure] | None = None
    i, floor = 0, 0
    while i < len(lines):
        if not lines[i].startswith("E   "):
            i += 1
            continue
        start = i
        while i < len(lines) and re.match(r"E(?: |$)", lines[i]):
            i += 1
        failure = _failure(lines, start, i, floor)
        link = next(
            (e for line in lines[floor:start] for e in (EXPLICIT, IMPLICIT) if e in line), ""
        )
        if found is None:
            found = (start, failure) if failure is not None else None
        elif failure is not None and link:
            causes = (found[1]._replace(causes=()), *found[1].causes)
            found = start, failure._replace(causes=causes, is_cause_explicit=link == EXPLICIT)
        else:
            break
        floor = i
    return found


def _failure(lines: list[str], start: int, stop: int, floor: int) -> Failure | None:
    """What the `E` lines from `start` to `stop` say; its frames stand between `floor` and there."""
    frames = _above(lines, start, floor)
    place = _below(lines, stop)
    if place is not None:
        frames.append(_frame(place, _shown(lines, start), _enclosing(lines, start, floor)))
    error = re.match(_ERROR, lines[start].rstrip())
    if error is not None:
        name, message = error[2], [error[3] or ""]
        message += [_cut(line[1:].rstrip(), len(error[1])) for line in lines[start + 1 : stop]]
    else:  # an `assert`: pytest shows what it compared instead of the exception
        name = place[4] if place is not None else ""
        message = [line[1:].strip() for line in lines[start:stop]]
    if not re.search(rf"{ENDING}$", name):
        return None
    text = re.split(r"\n+Exception raised from ", "\n".join(message))[0].strip()
    return Failure(name.rpartition(".")[2], text, tuple(frames))


def _cut(line: str, margin: int) -> str:
    return line[min(margin, len(line) - len(line.lstrip())) :]


def _above(lines: list[str], stop: int, floor: int) -> list[Frame]:
    start = stop
    while start > max(floor, stop - _BACK) and not re.match(r"_{3,} .* _{3,}$", lines[start - 1]):
        start -= 1
    frames = []
    for i in range(start, stop):
        place = re.match(_PLACE, lines[i][:LOOK].rstrip()) if lines[i][:1].strip() else None
        if place and place[3]:
            below = lines[i + 1].strip() if i + 1 < stop else ""
            frames.append(_frame(place, below, place[3]))
        elif place and re.match(r"(?:_ ){5,}|$", lines[i + 1].strip()):
            frames.append(_frame(place, _shown(lines, i), _enclosing(lines, i, start)))
    return frames


def _below(lines: list[str], i: int) -> re.Match[str] | None:
    """The place where the error was raised: pytest's long style names it after the error."""
    for line in lines[i : i + 3]:
        found = re.match(_PLACE, line[:LOOK].rstrip()) if line[:1].strip() else None
        if found is not None and found[4]:
            return found
    return None


def _frame(place: re.Match[str], code: str, function: str) -> Frame:
    return Frame(Span(place[1], int(place[2])), function, code, is_user=is_user_path(place[1]))


def _shown(lines: list[str], below: int) -> str:
    """The nearest line above that pytest marks with `>`."""
    for i in range(below - 1, max(-1, below - 60), -1):
        if lines[i].startswith(">"):
            return lines[i][1:].strip()
    return ""


def _enclosing(lines: list[str], below: int, floor: int) -> str:
    """The function whose source stands above."""
    for i in range(below - 1, max(floor - 1, below - 400), -1):
        found = re.match(r"\s*(?:async )?def (\w+)\(", lines[i][:LOOK])
        if found:
            return found[1]
    return ""
