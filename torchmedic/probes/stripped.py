"""Tracebacks without the frames of this package."""

from __future__ import annotations

import os
from types import TracebackType

OWN = tuple(
    os.path.dirname(os.path.dirname(full(__file__))) + os.sep
    for full in (os.path.abspath, os.path.realpath)
)


def strip(error: BaseException) -> None:
    """Takes the frames of this package out of the traceback and of all that it is chained to, in place."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        link.__traceback__ = _without_ours(link.__traceback__)
        waiting += [link.__cause__, link.__context__]
        inner = getattr(link, "exceptions", ())
        if isinstance(inner, tuple):
            waiting += [e for e in inner if isinstance(e, BaseException)]


def _without_ours(traceback: TracebackType | None) -> TracebackType | None:
    while traceback is not None and _is_ours(traceback):
        traceback = traceback.tb_next
    entry = traceback
    while entry is not None:
        following = entry.tb_next
        while following is not None and _is_ours(following):
            following = following.tb_next
        if following is not entry.tb_next:
            entry.tb_next = following
        entry = following
    return traceback


def _is_ours(entry: TracebackType) -> bool:
    return entry.tb_frame.f_code.co_filename.startswith(OWN)
