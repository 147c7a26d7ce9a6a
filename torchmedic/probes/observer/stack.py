"""Which of the user's calls are in progress, noted in a microsecond and told later."""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import Any, NamedTuple

from torchmedic.observed import Site
from torchmedic.probes.constructors import _HAS_PROXY, _LOCALS_IN_USE, _OPTIMIZED
from torchmedic.probes.frames import OWN, is_user, qualname, span_of

DEEPEST = 60  # frames searched
MOST_SITES = 6
TORCH = "torch"


class Call(NamedTuple):
    """A frame in progress, without keeping it or its values alive."""

    code: CodeType
    lasti: int


class _Known(NamedTuple):
    code: CodeType  # held, so that its id stays its own
    is_user: bool
    library: str  # "torch", "lightning"; "" for the user's code and for ours


_CODES: dict[int, _Known] = {}


def _known(code: CodeType) -> _Known:
    found = _CODES.get(id(code))
    if found is None:
        name = code.co_filename
        mine = not name.startswith(OWN) and is_user(name)
        library = "" if mine or name.startswith(OWN) else _library(name)
        found = _CODES[id(code)] = _Known(code, mine, library)
    return found


def _library(path: str) -> str:
    """The top-level package of an installed file; "" for the standard library's."""
    parts = path.replace("\\", "/").split("/")
    for folder in ("site-packages", "dist-packages"):
        if folder in parts:
            return parts[parts.index(folder) + 1].removesuffix(".py")
    return ""


def is_own_code(code: CodeType) -> bool:
    """True for the user's."""
    return _known(code).is_user


def user_call(frame: FrameType | None, boundary: CodeType | None = None) -> Call | None:
    """The nearest of the user's frames, from this one outwards; none from the frame of `boundary` on."""
    for _ in range(DEEPEST):
        if frame is None or frame.f_code is boundary:
            return None
        if _known(frame.f_code).is_user:
            return Call(frame.f_code, frame.f_lasti)
        frame = frame.f_back
    return None


def user_calls(frame: FrameType | None) -> tuple[Call, ...]:
    """The user's frames, the nearest first, at most six."""
    found: list[Call] = []
    for _ in range(DEEPEST):
        if frame is None or len(found) == MOST_SITES:
            break
        if _known(frame.f_code).is_user:
            found.append(Call(frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(found)


def owner_of(frame: FrameType | None) -> str:
    """The library whose code makes the call; "" where it is the user's. torch's own frames don't count."""
    for _ in range(DEEPEST):
        if frame is None:
            return ""
        known = _known(frame.f_code)
        if known.is_user:
            return ""
        if known.library and known.library != TORCH:
            return known.library
        frame = frame.f_back
    return ""


def local_names(frame: FrameType) -> list[tuple[str, Any]]:
    """Its names and values; none where the function itself looks at them, or a debugger does."""
    code = frame.f_code
    is_function = bool(code.co_flags & _OPTIMIZED)
    is_in_use = is_function and not _LOCALS_IN_USE.isdisjoint(code.co_names)
    if is_in_use or sys.gettrace() is not None:
        return []
    names = frame.f_locals
    pairs = list(names.items())
    if is_function and not _HAS_PROXY:
        names.clear()
    return pairs


def sites(calls: tuple[Call, ...]) -> tuple[Site, ...]:
    return tuple(Site(span_of(c.code, c.lasti, _line(c)), qualname(c.code)) for c in calls)


def _line(call: Call) -> int:
    for start, end, line in call.code.co_lines():
        if start <= call.lasti < end and line is not None:
            return line
    return call.code.co_firstlineno
