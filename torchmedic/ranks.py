"""The processes of one job on one machine (torchrun's ranks): together they tell one report.

They meet in a folder of the system's temporary directory that only their user can read. Nothing waits without a bound,
and where the folder can't be used every rank tells its own. Outside of such a job nothing is done.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from torchmedic.alone import Alone
from torchmedic.model import Diagnosis, Evidence, Text
from torchmedic.render import Report

if TYPE_CHECKING:
    from torchmedic.observed import Failure

FOR_OTHERS = 5.0  # seconds that the first rank waits for the findings of the rest
FOR_UNSEEN = 1.0  # … for one that has not begun yet, or isn't watched
FOR_ANSWER = 10.0  # seconds that a rank waits until its findings are told
PAUSE = 0.02
STALE = 60.0  # seconds after which a folder whose ranks are dead is removed
JOB = ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RESTART_COUNT")
PREFIX = "torchmedic-ranks"

Key = tuple[str, str, int]  # code, file and line of a finding


class Findings(NamedTuple):
    """What one rank found. `is_told`: it has told that itself, because it was not answered in time."""

    rank: int
    found: tuple[Diagnosis, ...]
    is_told: bool = False


class Ranks(Alone):
    """This process among the others. `folder` None: they can't meet."""

    def __init__(self, rank: int, local: int, size: int, folder: Path | None) -> None:
        self.rank = rank
        self.local = local
        self.size = size
        self.folder = folder
        self._is_crashing = False
        self._is_repeated = False  # another rank reports the same crash
        self._told: list[Key] = []
        self._seen: set[Key] = set()  # live findings of another rank than the first

    # --- the end of a run

    def settled(self, found: tuple[Diagnosis, ...]) -> Report | None:
        if self.folder is not None:
            with suppress(Exception, KeyboardInterrupt):
                return self._gathered(found) if self.local == 0 else self._handed_over(found)
        return self._own(found)

    def _own(self, found: tuple[Diagnosis, ...]) -> Report | None:
        report = Report("run", merged([Findings(self.rank, found)]))
        return report if found or self.local == 0 else None

    def _gathered(self, found: tuple[Diagnosis, ...]) -> Report:
        begun = time.monotonic()
        others: dict[int, Findings] = {}
        while True:
            waited = time.monotonic() - begun
            rest = [n for n in range(1, self.size) if n not in others]
            coming = [n for n in rest if self._may_come(n, waited)]  # asked before the files are
            others |= {n: taken for n in rest if (taken := self._take(n)) is not None}
            if others.keys() >= set(coming) or waited > FOR_OTHERS:
                break
            time.sleep(PAUSE)
        everyone = [Findings(self.rank, found), *(others[n] for n in sorted(others))]
        report = Report("run", merged(everyone))
        self._told = [key_of(d) for d in report.diagnoses]
        return report

    def _may_come(self, local: int, waited: float) -> bool:
        """True while a rank is at work, or may still begin."""
        try:
            return is_alive(int(self._path("here", local).read_text()))
        except (OSError, ValueError):
            return waited < FOR_UNSEEN and not self._path("left", local).exists()

    def _take(self, local: int) -> Findings | None:
        """The findings of another rank, which then waits until they are told."""
        taken = self._path("taken", local)
        with suppress(OSError):
            os.replace(self._path("found", local), taken)
        for path in (taken, self._path("own", local)):
            with suppress(OSError):
                return _read(path, path is not taken)
        return None

    def _handed_over(self, found: tuple[Diagnosis, ...]) -> Report | None:
        written = self._path("found", self.local)
        _write(written, self.rank, found)
        if not found:
            return None
        begun = time.monotonic()
        while True:
            told = self._answer()
            if told is not None:
                return self._own(tuple(d for d in found if key_of(d) not in told))
            waited = time.monotonic() - begun
            if not self._may_come(0, waited) or waited > FOR_ANSWER:
                break
            time.sleep(PAUSE)
        told = self._answer() or set()  # it may have left between the two looks
        with suppress(OSError):
            os.replace(written, self._path("own", self.local))
        return self._own(tuple(d for d in found if key_of(d) not in told))

    def _answer(self) -> set[Key] | None:
        try:
            told = json.loads(self._path("told", 0).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return {(code, path, line) for code, path, line in told}

    def leave(self, steps: int = 0) -> None:
        """Answers those that wait; the last one removes the folder."""
        if self.folder is None:
            return
        with suppress(OSError):
            if self.local == 0 and not self._is_crashing:
                _replace(self._path("told", 0), json.dumps(self._told))
            _replace(self._path("left", self.local), "" if self._is_crashing else str(steps))
            self._path("here", self.local).unlink()
            if not any_alive(self.folder):
                shutil.rmtree(self.folder, ignore_errors=True)

    # --- crashes, and what is told at once

    def ended_before(self) -> dict[int, int] | None:
        begun = time.monotonic()
        others = [n for n in range(self.size) if n != self.local]
        while self.folder is not None and not any(self.folder.glob("crash-*")):
            is_last = time.monotonic() - begun > FOR_OTHERS or not any(
                self._may_come(n, FOR_UNSEEN) for n in others
            )
            ended = {}
            for local in others:
                with suppress(OSError, ValueError):  # not there, or it failed
                    steps = int(self._path("left", local).read_text())
                    ended[self.rank - self.local + local] = steps
            if ended:
                return ended
            if is_last:
                break
            time.sleep(PAUSE)
        return None

    @contextmanager
    def crashing(self) -> Iterator[None]:
        """torchrun ends all ranks by SIGTERM as soon as one has failed: here it takes effect behind the report."""
        self._is_crashing = True
        heard: list[int] = []
        # Not a signal mask: that of one thread leaves the process open to it by the others.
        known = signal.getsignal(signal.SIGTERM)
        is_ours = known is not None and threading.current_thread() is threading.main_thread()
        if is_ours:
            signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
        try:
            yield
        finally:
            self.leave()
            if is_ours:
                signal.signal(signal.SIGTERM, known)
                if heard:
                    os.kill(os.getpid(), signal.SIGTERM)

    def crashed(self, report: Report, failure: Failure) -> Report:
        at = failure.raised_at
        code = report.diagnoses[0].rule.code if report.diagnoses else failure.type
        if self._claim("crash", (code, at.path if at else "", at.line if at else 0)):
            return report._replace(notes=(*report.notes, CRASHED.fill(rank=self.rank)))
        self._is_repeated = True
        place = f"{os.path.basename(at.path)}:{at.line}" if at else failure.type
        return Report("run", notes=(SAME_CRASH.fill(rank=self.rank, place=place),))

    def may_write(self) -> bool:
        is_mine = self._is_crashing if self.local else True
        return is_mine and not self._is_repeated and self._claim("output")

    def may_tell_now(self, key: Key) -> bool:
        """For one line while the program runs. A rank that isn't the first leaves it the time until the next look."""
        if self.local and key not in self._seen:
            self._seen.add(key)
            return False
        return self._claim("live", key)

    def _claim(self, what: str, key: Sequence[object] = ()) -> bool:
        """True for the first rank that asks, and where the ranks can't meet."""
        if self.folder is None:
            return True
        name = hashlib.sha256(repr(tuple(key)).encode("utf-8", "replace")).hexdigest()[:16]
        try:
            os.close(os.open(self.folder / f"{what}-{name}", os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return False
        except OSError:
            pass
        return True

    def _path(self, what: str, local: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{what}-{local}"


def join(environment: Mapping[str, str]) -> Ranks | None:
    """This process's place in its job; None if it is the only one here, or was not started as a rank."""
    try:
        rank, local, size = (
            int(environment[n]) for n in ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        )
    except (KeyError, ValueError):
        return None
    if size < 2 or not 0 <= local < size:
        return None
    job = [environment.get(name, "") for name in JOB]
    ranks = Ranks(rank, local, size, _folder([*job, str(size), str(os.getppid())]))
    if ranks.folder is not None:
        try:
            _replace(ranks._path("here", local), str(os.getpid()))
        except OSError:
            ranks.folder = None
    return ranks


def _folder(job: list[str]) -> Path | None:
    """Made by the first rank that asks. None if it can't be made, or isn't private to this user."""
    uid = getattr(os, "getuid", lambda: 0)()
    name = hashlib.sha256("\0".join(job).encode("utf-8", "replace")).hexdigest()[:16]
    try:
        base = Path(_temporary())
        _sweep(base, f"{PREFIX}-{uid}-")
        folder = base / f"{PREFIX}-{uid}-{name}"
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        found = os.lstat(folder)
    except OSError:
        return None
    is_private = os.name == "nt" or (
        found.st_uid == uid and not stat.S_IMODE(found.st_mode) & 0o077
    )
    return folder if stat.S_ISDIR(found.st_mode) and is_private else None


def _temporary() -> str:
    """The system's temporary directory, without fixing it for the program, which may still set TMPDIR."""
    chosen = tempfile.tempdir
    try:
        return os.path.abspath(tempfile.gettempdir())
    finally:
        tempfile.tempdir = chosen


def _sweep(base: Path, prefix: str) -> None:
    """Removes what jobs left that were killed."""
    for folder in base.glob(f"{prefix}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > STALE and not any_alive(folder):
                shutil.rmtree(folder, ignore_errors=True)


def any_alive(folder: Path) -> bool:
    for path in folder.glob("here-*"):
        with suppress(OSError, ValueError):
            if is_alive(int(path.read_text())):
                return True
    return False


def is_alive(process: int) -> bool:
    """Where that can't be asked without doing harm (Windows), every process counts as alive."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def key_of(diagnosis: Diagnosis) -> Key:
    at = diagnosis.at
    return diagnosis.rule.code, at.path if at else "", at.line if at else 0


def merged(everyone: Sequence[Findings]) -> tuple[Diagnosis, ...]:
    """Equal findings of several ranks once, with the ranks that have them, and how their numbers differ.

    What only ranks found that have told it themselves is left out.
    """
    found: dict[Key, dict[int, Diagnosis]] = {}
    new: set[Key] = set()
    for one in everyone:
        for diagnosis in one.found:
            found.setdefault(key_of(diagnosis), {}).setdefault(one.rank, diagnosis)
            if not one.is_told:
                new.add(key_of(diagnosis))
    everywhere = sorted(one.rank for one in everyone)
    return tuple(_named(found[key], everywhere) for key in found if key in new)


def _named(seen: dict[int, Diagnosis], everywhere: list[int]) -> Diagnosis:
    first, *rest = sorted(seen)
    diagnosis = seen[first]
    missing = [rank for rank in everywhere if rank not in seen]
    text = _where("seen on ", "확인된 곳: ", [first, *rest])
    if missing:
        not_on = _where(", not on ", ". 확인되지 않은 곳: ", missing)
        text = Text(text.en + not_on.en, text.ko + not_on.ko)
    evidence = [Evidence(text)]
    for rank in rest:
        other = seen[rank]
        if other.title("en") != diagnosis.title("en"):
            said = Text(
                en=f"rank {rank}: {other.title('en')}", ko=f"랭크 {rank}: {other.title('ko')}"
            )
            evidence.append(Evidence(said))
    return diagnosis._replace(evidence=(*diagnosis.evidence, *evidence))


def _where(en: str, ko: str, ranks: list[int]) -> Text:
    """`ranks 0, 1, 2` behind the words; `ranks 0-7` for four and more in a row."""
    said = ", ".join(map(str, ranks))
    if len(ranks) > 3 and ranks[-1] - ranks[0] == len(ranks) - 1:
        said = f"{ranks[0]}-{ranks[-1]}"
    return Text(f"{en}rank{'s' if len(ranks) > 1 else ''} {said}", f"{ko}랭크 {said}")


def _write(path: Path, rank: int, found: tuple[Diagnosis, ...]) -> None:
    from torchmedic.checking.stored import plain

    _replace(path, json.dumps({"rank": rank, "found": [plain(d) for d in found]}))


def _read(path: Path, is_told: bool) -> Findings:
    from torchmedic.checking.stored import revived

    stored = json.loads(path.read_text("utf-8"))
    return Findings(int(stored["rank"]), tuple(revived(stored["found"])), is_told)


def _replace(path: Path, text: str) -> None:
    """Whole or not at all: nobody reads half a file."""
    half = path.with_name(f"{path.name}.{os.getpid()}")
    half.write_text(text, "utf-8")
    os.replace(half, path)


CRASHED = Text(en="This happened on rank {rank}.", ko="랭크 {rank} 프로세스에서 일어났습니다.")
SAME_CRASH = Text(
    en="torchmedic: rank {rank} failed at the same place ({place}); another rank reports it.",
    ko="torchmedic: 랭크 {rank} 프로세스도 같은 곳({place})에서 실패했습니다. 보고서는 다른 랭크가 출력합니다.",
)
