"""The only process of its program; and whether it is that, or one of several ranks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torchmedic.render import Report

if TYPE_CHECKING:
    from torchmedic.model import Diagnosis
    from torchmedic.observed import Failure
    from torchmedic.session import Session


class Alone:
    """The only process of its program."""

    def settled(self, found: tuple[Diagnosis, ...]) -> Report | None:
        """What this process tells at its end; None if another one tells it."""
        return Report("run", found)

    def leave(self, steps: int = 0) -> None:
        """The report is written. `steps` of all optimizers were made."""

    def ended_before(self) -> dict[int, int] | None:
        """The ranks that ended well while this one waited for them, with their steps. None: another one failed, or it
        can't be told."""
        return {}

    @contextmanager
    def crashing(self) -> Iterator[None]:
        """Around the report of a crash."""
        yield

    def crashed(self, report: Report, failure: Failure) -> Report:
        """The report of a crash with its process; one line in its place if another rank tells the same."""
        return report

    def may_write(self) -> bool:
        """True in the one process that writes the file of `--output`."""
        return True


def attach(session: Session) -> None:
    """Makes the session one of several ranks, if it is one."""
    if "LOCAL_RANK" not in session.environment:
        return
    from torchmedic.ranks import join

    ranks = join(session.environment)
    if ranks is None:
        return
    session.ranks = ranks
    # A trial of one process can't take part in the job.
    session.options = session.options._replace(verify=False)
    live, write = session.live, session.live.write
    live.allows = ranks.may_tell_now
    if ranks.local:
        live.write = lambda line: write(f"rank {ranks.rank}: {line}")
