"""Execute mended copies of a program, and say honestly how far they came. The user's files stay as they are.

Nothing is called verified without the control: the unmended copy has to crash in the trial as it did outside.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from torchmedic.fix import sentences as say
from torchmedic.fix.child import Child, Goal, Launch, Told
from torchmedic.fix.patch import parses, rewritten
from torchmedic.fix.sentences import filled
from torchmedic.fix.signals import name_of, tidy_end, uninterrupted
from torchmedic.model import Fix, Text
from torchmedic.observed import Failure

__all__ = [
    "Control",
    "Goal",
    "Launch",
    "Outcome",
    "Progress",
    "Trial",
    "as_fix",
    "try_fixes",
    "verify",
]

READ_ERROR = "torchmedic.probes.crash:read_error"
AT_ONCE = 2  # trials that run at the same time
MEMORY_SHARE = 0.25  # of the machine; a program that held more is tried one at a time
ENOUGH = 20.0  # seconds without an error after the failing line, for a program without an optimizer
ROUNDS = 4  # all trials together may take so many limits
POLL = 0.05  # seconds
TELL = 0.5  # seconds between two calls of `on_progress`
SHOWN = 160  # characters of an error's message in a sentence


class Outcome(Enum):
    PASSED = True
    FAILED = False
    UNCLEAR = None


class Progress(NamedTuple):
    """How far the trials are. `seconds` since the first one started, `steps` of the one furthest ahead."""

    done: int
    total: int
    steps: int
    seconds: float


@dataclass(frozen=True)
class Control:
    """What the unmended copy did. `sentence` is None if it crashed as the program did outside.

    `steps`: optimizer steps until then. `is_passing`: it completed the failing statement earlier, so completing it
    proves nothing.
    """

    sentence: Text | None
    steps: int = 0
    is_passing: bool = False


@dataclass(frozen=True)
class Trial:
    """What became of one fix. `next_failure`: the error that the mended copy ended with, in the places of the user's
    own files, so that the edits of its fixes can be added to this fix's. It may have come at the same statement: two
    inputs can have the same mistake."""

    fix: Fix
    outcome: Outcome
    sentence: Text
    next_failure: Failure | None = None
    control: Control | None = None


class _Verdict(NamedTuple):
    outcome: Outcome
    sentence: Text
    has_next: bool = False


def verify(
    launch: Launch,
    candidates: Sequence[Fix],
    goal: Goal,
    limit: float,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[Fix, ...]:
    """Each fix with `verified` and `verification`, in the order given. `limit` in seconds for each copy."""
    trials = try_fixes(launch, candidates, goal, limit, on_progress, on_crash="")
    return tuple(as_fix(trial) for trial in trials)


def as_fix(trial: Trial) -> Fix:
    return trial.fix._replace(verified=trial.outcome.value, verification=trial.sentence)


def try_fixes(
    launch: Launch,
    candidates: Sequence[Fix],
    goal: Goal,
    limit: float,
    on_progress: Callable[[Progress], None] | None = None,
    on_crash: str = READ_ERROR,
    control: Control | None = None,
    cap: float | None = None,
    enough: float = ENOUGH,
) -> tuple[Trial, ...]:
    """Try every fix in a copy of its own. `on_crash` names what reads another error, as "module:function".

    `control` is that of an earlier call for the same launch and goal; without it the unmended copy runs too.
    Never raises for what the program does; Ctrl-C ends the trials, and the sentences say so.
    """
    trials = _Trials(launch, candidates, goal, limit, on_crash, control, enough)
    with tidy_end():
        return trials.run(ROUNDS * limit if cap is None else cap, on_progress)
    return ()  # not reached: the signal has ended this process


class _Trials:
    def __init__(
        self,
        launch: Launch,
        candidates: Sequence[Fix],
        goal: Goal,
        limit: float,
        on_crash: str,
        control: Control | None,
        enough: float,
    ) -> None:
        self.launch = launch
        self.candidates = candidates
        self.limit = limit
        self.on_crash = on_crash
        self.goal = goal
        self.control = control
        self.judge = _Judge(goal, limit, enough)
        self.trials: dict[int, Trial] = {}
        self.running: dict[int | None, Child] = {}  # None: the control
        self.selector = selectors.DefaultSelector()

    def run(self, cap: float, on_progress: Callable[[Progress], None] | None) -> tuple[Trial, ...]:
        start = told = time.monotonic()
        obstacle = _obstacle(self.launch)
        if obstacle is not None:
            self._settle_rest(_Verdict(Outcome.UNCLEAR, obstacle))
        waiting: list[int | None] = [i for i in range(len(self.candidates)) if self._may_try(i)]
        if waiting and self.control is None:
            waiting.insert(0, None)
        slots = 1 if self.launch.memory > MEMORY_SHARE * _machine_memory() else AT_ONCE
        try:
            while waiting or self.running:
                while waiting and len(self.running) < slots:
                    self._start(waiting.pop(0))
                self._step()
                if self.control is not None and self.control.sentence is not None:
                    self._settle_rest(_Verdict(Outcome.UNCLEAR, self.control.sentence))
                    break
                now = time.monotonic()
                if now - start > cap:
                    limit = f"{cap:g}"
                    self._settle_rest(_Verdict(Outcome.UNCLEAR, filled(say.ALL_TIME, limit=limit)))
                    break
                if on_progress is not None and now - told > TELL:
                    told = now
                    steps = max((c.told.steps for c in self.running.values()), default=0)
                    done = len(self.trials)
                    on_progress(Progress(done, len(self.candidates), steps, now - start))
        except KeyboardInterrupt:
            self._settle_rest(_Verdict(Outcome.UNCLEAR, say.STOPPED))
        finally:
            with uninterrupted():
                for child in self.running.values():
                    child.close()
                self.selector.close()
        return tuple(
            replace(self.trials[i], control=self.control) for i in range(len(self.candidates))
        )

    def _may_try(self, index: int) -> bool:
        if index in self.trials:
            return False
        if not parses(self.candidates[index]):
            self._settle(index, _Verdict(Outcome.UNCLEAR, say.NO_PARSE))
            return False
        return True

    def _start(self, index: int | None) -> None:
        try:
            mended = rewritten(self.candidates[index]) if index is not None else ()
            on_crash = self.on_crash if index is not None else ""
            child = Child(self.launch, self.goal, mended, on_crash)
        except (OSError, ValueError) as error:
            sentence = filled(say.NO_TRIAL, why=error)
            if index is None:
                self.control = Control(sentence)
            else:
                self._settle(index, _Verdict(Outcome.UNCLEAR, sentence))
            return
        self.running[index] = child
        child.register(self.selector)

    def _step(self) -> None:
        if not self.running:
            return
        if not self.selector.select(POLL):
            pass
        else:
            time.sleep(0.005)  # a closed pipe stays readable: don't spin until the process is gone
        for index, child in list(self.running.items()):
            child.read()
            told = child.told
            told.is_over = told.code is None and told.seconds > self.limit
            if index is None:
                self.control = self.judge.control(told)
                if self.control is not None:
                    self._close(index)
            elif self.control is None or self.control.sentence is None:
                verdict = self.judge.candidate(told, self.control)
                if verdict is not None:
                    self._settle(index, verdict)

    def _settle(self, index: int, verdict: _Verdict) -> None:
        child = self.running.get(index)
        failure = child.failure() if child is not None and verdict.has_next else None
        fix = self.candidates[index]
        self.trials[index] = Trial(fix, verdict.outcome, verdict.sentence, failure)
        if child is not None:
            self._close(index)

    def _close(self, index: int | None) -> None:
        with uninterrupted():
            child = self.running.pop(index)
            child.unregister(self.selector)
            child.close()

    def _settle_rest(self, verdict: _Verdict) -> None:
        for index in range(len(self.candidates)):
            if index not in self.trials:
                self._settle(index, verdict)


class _Judge:
    """Verdicts from what the runs told. None: go on."""

    def __init__(self, goal: Goal, limit: float, enough: float) -> None:
        self.limit = f"{limit:g}"
        self.enough = enough
        self.goal = goal
        self.place = f"{_short(goal.file)}:{goal.line}" if goal.file else ""

    def control(self, told: Told) -> Control | None:
        error = told.error
        if error is not None:
            if not error["is_copy"]:
                return Control(filled(say.LOADED_ELSEWHERE, file=error["file"]))
            if error["is_same"]:
                return Control(None, told.steps, told.site_at is not None)
        if told.is_over:
            return Control(filled(say.LIMIT_CONTROL, limit=self.limit))
        if error is None and told.code is None:
            return None
        if told.held is not None:
            return Control(_held(told.held))
        if error is not None:
            return Control(_about(say.OTHER_CRASH, error))
        if told.code is not None and told.code < 0:
            return Control(filled(say.CONTROL_ENDED, signal=name_of(-told.code)))
        return Control(say.NO_CRASH)

    def candidate(self, told: Told, control: Control | None) -> _Verdict | None:
        if told.held is not None:
            return _Verdict(Outcome.UNCLEAR, _held(told.held))
        if told.error is not None:
            return self._failed(told, told.error, control)
        if told.code:
            return _exited(told.code)
        if control is None:
            if (
                told.is_over
            ):  # the control has its own limit; until then this one has proved nothing
                return self._out_of_time(told, None)
            return None
        has_site = told.has_site and not control.is_passing
        is_past = has_site and told.site_at is not None
        facts = {"place": self.place, "steps": told.steps, "before": control.steps}
        if told.code == 0:
            return self._ended(told, has_site, is_past, facts)
        if told.steps > control.steps and (is_past or not has_site or told.is_compiled):
            sentence = say.RAN_STEPS if is_past else say.MORE_STEPS
            return _Verdict(Outcome.PASSED, filled(sentence, **facts))
        if is_past and told.site_at is not None and not (told.has_optimizer or control.steps):
            seconds = time.monotonic() - told.site_at
            if seconds >= self.enough:
                sentence = filled(say.RAN_SECONDS, place=self.place, seconds=int(seconds))
                return _Verdict(Outcome.PASSED, sentence)
        return self._out_of_time(told, control) if told.is_over else None

    def _ended(
        self, told: Told, has_site: bool, is_past: bool, facts: Mapping[str, object]
    ) -> _Verdict:
        if is_past:
            return _Verdict(Outcome.PASSED, filled(say.RAN_TO_END, **facts))
        if not has_site:
            return _Verdict(Outcome.PASSED, say.TO_END)
        if told.is_compiled:
            return _Verdict(Outcome.UNCLEAR, say.ENDED_COMPILED)
        return _Verdict(Outcome.FAILED, filled(say.ENDED_BEFORE, **facts))

    def _failed(
        self, told: Told, error: Mapping[str, object], control: Control | None
    ) -> _Verdict | None:
        if not error["is_copy"]:
            return _Verdict(Outcome.UNCLEAR, filled(say.LOADED_ELSEWHERE, file=error["file"]))
        if error["is_same"]:
            return _Verdict(Outcome.FAILED, _about(say.STILL_FAILS, error), has_next=True)
        if "ermission denied" in str(error["message"]):
            return _Verdict(Outcome.UNCLEAR, filled(say.REFUSED, error=_shown(error)))
        if control is None:
            return None  # whether the line was passed is known only when the control has crashed
        is_past = told.site_at is not None and bool(self.place) and not control.is_passing
        if is_past or (self.place and told.steps > control.steps):
            sentence = _about(say.FAILS_NEXT, error, place=self.place)
            return _Verdict(Outcome.FAILED, sentence, has_next=True)
        return _Verdict(Outcome.FAILED, _about(say.FAILS_ELSEWHERE, error), has_next=True)

    def _out_of_time(self, told: Told, control: Control | None) -> _Verdict:
        if not self.place or (control is not None and control.is_passing):
            before = control.steps if control else "?"
            sentence = filled(say.LIMIT_STEPS, limit=self.limit, steps=told.steps, before=before)
        elif told.site_at is not None:
            facts = {"place": self.place, "limit": self.limit, "steps": told.steps}
            sentence = filled(say.LIMIT_AFTER, **facts)
        else:
            sentence = filled(say.LIMIT_BEFORE, limit=self.limit)
        return _Verdict(Outcome.UNCLEAR, sentence)


def _short(path: str) -> str:
    """From the working directory if the file is below it, else its name."""
    relative = os.path.relpath(path)
    return os.path.basename(path) if relative.startswith(os.pardir) else relative


def _held(held: tuple[str, str]) -> Text:
    kind, what = held
    return filled(say.HELD.get(kind, say.HELD["write"]), what=what)


def _shown(error: Mapping[str, object]) -> str:
    text = (str(error["message"]).strip().splitlines() or [""])[0]
    text = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    return f"{error['type']}: {text}" if text else str(error["type"])


def _about(sentence: Text, error: Mapping[str, object], **facts: object) -> Text:
    file = str(error["file"])
    at = filled(say.AT, file=os.path.basename(file), line=error["line"]) if file else say.NOWHERE
    return filled(sentence, error=_shown(error), at=at, **facts)


def _exited(code: int) -> _Verdict:
    if code > 0:
        return _Verdict(Outcome.FAILED, filled(say.EXIT_STATUS, status=code))
    sentence = say.OUT_OF_MEMORY if -code == signal.SIGKILL else say.SIGNALLED
    return _Verdict(Outcome.FAILED, filled(sentence, signal=name_of(-code)))


def _obstacle(launch: Launch) -> Text | None:
    if sys.platform == "win32":
        return say.NO_SYSTEM
    if not launch.words or launch.words[0] == "-":
        return say.NO_FILE
    return None


def _machine_memory() -> int:
    """Bytes; without an answer, so many that nothing is too large."""
    with suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 1 << 60
