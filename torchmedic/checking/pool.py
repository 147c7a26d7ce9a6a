"""Many files looked at: one after the other, or by several processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torchmedic.checking.files import Files
from torchmedic.checking.look import Asked, Looked, analyse, glance
from torchmedic.checking.problems import WORKER_DIED, Problem

if TYPE_CHECKING:
    from torchmedic.checking.cache import Cache

# Starting processes costs some 50 ms; below this much source one process is as fast.
ENOUGH_BYTES = 150_000
ENOUGH_FILES = 4
_MANY = 200  # files; from here on, several are handed over at once
_AT_ONCE = 8

OnLooked = Callable[[Looked], object]


def look_at_all(
    asked: Sequence[Asked],
    files: Files,
    cache: Cache | None,
    jobs: int | None = 1,
    on_looked: OnLooked = lambda looked: None,
) -> list[Looked]:
    """The answers, in the order of the files. `jobs` None: as many processes as there are cores, if it pays.

    `on_looked` hears of each answer as it comes.
    """
    answers: dict[str, Looked] = {}

    def take(looked: Looked) -> None:
        answers[looked.path] = looked
        on_looked(looked)

    waiting = []
    for one in asked:
        known = glance(one, files, cache)
        if known is None:
            waiting.append(one)
        else:
            take(known)
    count = 1 if files.instead else _count(waiting, jobs)
    if count > 1:
        _spread(waiting, cache, count, take)
    else:
        for one in waiting:
            take(analyse(one, files, cache))
    return [answers[one.path] for one in asked]


def _count(asked: Sequence[Asked], jobs: int | None) -> int:
    if jobs is not None:
        return max(1, min(jobs, len(asked)))
    if len(asked) < ENOUGH_FILES:
        return 1
    total = 0
    for one in asked:
        try:
            total += os.stat(one.path).st_size
        except OSError:
            continue
    return min(cores(), len(asked)) if total >= ENOUGH_BYTES else 1


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_cache: Cache | None = None


def _start(cache: Cache | None) -> None:
    global _cache
    _cache = cache
    # The parent hears Ctrl-C as well, and ends its workers.
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(asked: Asked) -> Looked:
    return analyse(asked, Files(), _cache)


def _spread(asked: Sequence[Asked], cache: Cache | None, jobs: int, take: OnLooked) -> None:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    _prepare()
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    done = set[str]()
    # The long ones first: no core waits at the end.
    waiting = sorted(asked, key=_size, reverse=True)
    while waiting:
        executor = ProcessPoolExecutor(jobs, context, _start, (cache,))
        at_once = _AT_ONCE if len(waiting) > _MANY and jobs > 1 else 1
        try:
            for looked in executor.map(_work, waiting, chunksize=at_once):
                done.add(looked.path)
                take(looked)
        except BrokenProcessPool:
            waiting = [one for one in waiting if one.path not in done]
            if jobs == 1:
                # Alone with its file, the process died of it.
                path = waiting.pop(0).path
                take(Looked(path, problems=[Problem(path, 0, WORKER_DIED)], reads=(path,)))
            jobs = 1
        except BaseException:
            for process in list((getattr(executor, "_processes", None) or {}).values()):
                process.kill()
            executor.shutdown(wait=False, cancel_futures=True)
            raise
        else:
            waiting = []
        executor.shutdown()


def _prepare() -> None:
    """Loads what every worker needs, once, before the process is copied."""
    import torchmedic.abstract.program
    import torchmedic.checking.reading
    import torchmedic.engine
    import torchmedic.render.json  # noqa: F401


def _size(asked: Asked) -> int:
    try:
        return os.stat(asked.path).st_size
    except OSError:
        return 0
