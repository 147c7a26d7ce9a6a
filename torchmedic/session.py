"""One run of a program under observation: from its crash to the report."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from torchmedic import alone, silent
from torchmedic.console import (
    Waiting,
    emit,
    in_one_line,
    tell_failure,
    terminal_width,
    use_colour,
    write_output,
)
from torchmedic.model import Lang, Text
from torchmedic.render import Report

if TYPE_CHECKING:
    from torchmedic.exact import Exact
    from torchmedic.fix.child import Launch
    from torchmedic.model import Diagnosis, Rule
    from torchmedic.observed import Failure
    from torchmedic.probes.observer.hooks import Observer
    from torchmedic.probes.record import Recorder


class Options(NamedTuple):
    """What stands before the script on the command line."""

    format: str = "text"
    output: str | None = None
    lang: Lang = "en"
    fix: bool = False
    yes: bool = False
    verify: bool = True
    limit: float | None = None  # seconds for each trial; None: from the time that the crash took
    colour: bool | None = None  # None: if standard error is a terminal
    overfit: int = 0  # how often one batch is to be repeated
    strict: bool = False  # exit with 1 if a clean run has findings


def run(words: Sequence[str], options: Options) -> int:
    """Runs the program as `python` would, reports its crash on standard error, returns its exit status.

    Raises LaunchError if the words name no program that can be started.
    """
    from torchmedic import watching
    from torchmedic.probes import launch
    from torchmedic.probes.record import Recorder

    program = launch.Program.parse(words)
    observer = None
    with suppress(Exception):  # without them, reports know less; the program runs all the same
        observer = silent.observer(options.overfit)
    recorder = Recorder(observer)
    session = Session(words, options, recorder, observer)
    alone.attach(session)
    watching.claim(session)
    if observer is not None:
        observer.on_error = session.on_observer_error
        observer.on_window = session.on_window
    with suppress(Exception):
        recorder.install()
    status = launch.run(program, session.on_crash, session.on_exit, session.on_end)
    return status or (1 if options.strict and session.is_found else 0)


class Session:
    """Keeps what a report needs to know of the start: the command, the folder, the time."""

    def __init__(
        self,
        words: Sequence[str],
        options: Options,
        recorder: Recorder,
        observer: Observer | None = None,
    ) -> None:
        self.words = tuple(words)
        self.options = options
        self.recorder = recorder
        self.observer = observer
        self.is_found = False  # a run that ended well had findings
        self.path = list(sys.path)
        self.started = time.monotonic()
        try:
            self.cwd = os.getcwd()
        except FileNotFoundError:  # it was removed; the program may run all the same
            self.cwd = os.sep
        self.environment = dict(os.environ)
        self.live = silent.Live(options.lang, self.cwd, lambda line: emit(line, sys.stderr))
        self.ranks = alone.Alone()  # or one of several

    def on_exit(self, error: BaseException) -> None:
        """Reports what the program caught before it gave up, if that is a mistake that a rule knows."""
        self.on_crash(error, is_caught=True)

    def on_end(self) -> None:
        """Reports what the run did wrong, if anything."""
        found = self._silent()
        report = self.ranks.settled(found)
        self.is_found = bool(found or (report and report.diagnoses))
        if report is not None:
            self._write(report._replace(notes=self._overfit()))
        self.ranks.leave(self._steps())

    def _steps(self) -> int:
        return self.observer.now.steps if self.observer is not None else 0

    def _overfit(self) -> tuple[Text, ...]:
        if not self.options.overfit or self.observer is None:
            return ()
        from torchmedic.overfit import told

        overfit = self.observer.read().overfit
        return (told(overfit, self.cwd),) if overfit is not None else ()

    def on_window(self) -> None:
        """Tells what is certain by now. The program's files must not shadow our imports."""
        theirs, sys.path = sys.path, self.path
        try:
            if self.observer is not None:
                self.live.tell(self.observer.read())
        except Exception as error:
            self.on_observer_error(error)
        finally:
            sys.path = theirs

    def _silent(self) -> tuple[Diagnosis, ...]:
        self.recorder.uninstall()
        return self.seen()

    def seen(self) -> tuple[Diagnosis, ...]:
        """The silent mistakes that were seen so far, with the fixes that the source allows."""
        observer = self.observer
        if observer is None or observer.error is not None or observer.is_idle:
            return ()
        found = silent.found_in(observer.read(), _collect([]))
        return tuple(with_diffs(d) for d in silent.with_fixes(found, silent.main_file()))

    @contextmanager
    def at_rest(self, is_at_rest: bool) -> Iterator[None]:
        """What is asked for inside is asked between two cells of a notebook, if that is so."""
        if self.observer is not None:
            self.observer.is_between = is_at_rest
        try:
            yield
        finally:
            if self.observer is not None:
                self.observer.is_between = False

    def on_observer_error(self, error: Exception) -> None:
        said = OBSERVER_FAILED.fill(error=in_one_line(error)).show(self.options.lang)
        emit(said + "\n", sys.stderr)

    def explain(self, error: BaseException) -> None:
        """Reports an exception after which the program goes on, if a rule knows it."""
        from torchmedic.engine import diagnose
        from torchmedic.probes.crash import read_error

        found = diagnose(read_error(error, self.recorder), _collect([]))
        if found:
            self._write(Report("run", tuple(map(with_diffs, found))))

    def on_crash(self, error: BaseException, is_caught: bool = False) -> None:
        """Reads the crash and reports it. Errors of ours are raised: the launcher tells them in one line."""
        with self.ranks.crashing():
            self._crashed(error, is_caught)

    def _crashed(self, error: BaseException, is_caught: bool) -> None:
        from torchmedic.engine import diagnose
        from torchmedic.probes.crash import read_error

        seconds = time.monotonic() - self.started
        failure = read_error(error, self.recorder)
        self.recorder.uninstall()
        ended = self.ranks.ended_before() if is_aftermath(failure) else {}
        if ended is None:
            return
        broken: list[Rule] = []
        suppressed: list[Diagnosis] = []
        found = tuple(with_diffs(d) for d in diagnose(failure, _collect(broken), suppressed.append))
        if found and ended:
            from torchmedic.rules.practice.ranks_out_of_step import ended_early

            first, *rest = found
            said = ended_early(ended, self._steps())
            found = (first._replace(evidence=(*first.evidence, said)), *rest)
        exact = self._exact(failure, seconds) if found and not ended else None
        if exact is not None:
            failure, found = exact.failure, tuple(map(with_diffs, exact.found))
        notes: tuple[Text, ...] = ()
        is_unknown = not found and not broken
        if is_unknown and not suppressed and not is_caught:
            from torchmedic.unknown import honest_answer

            notes = honest_answer(failure)
        elif self.options.verify and any(d.fixes for d in found):
            found = self._verified(found, failure, seconds, exact)
        with suppress(Exception):
            told = set(map(silent.key, found))
            found += tuple(d for d in self._silent() if silent.key(d) not in told)
        if is_unknown and not found and not notes:
            return
        if found:
            found = self._planned(found, failure, error, seconds)
        report = self.ranks.crashed(Report("run", found, notes), failure)
        self._write(report)
        if self.options.fix:
            from torchmedic.offering import offer_fix

            offer_fix(report, self.options)

    def _planned(
        self,
        found: tuple[Diagnosis, ...],
        failure: Failure,
        crash: BaseException,
        seconds: float,
    ) -> tuple[Diagnosis, ...]:
        """Of a step for which a card had too little memory."""
        if found[0].rule.code != "TM301" or not hasattr(os, "fork"):
            return found
        try:
            from torchmedic import crash_plan, mending

            limit = self.options.limit or crash_plan.SECONDS
            launch = None
            if self.options.verify:
                launch = mending.launch_of(self.words, self.cwd, self.environment, seconds)
            first = crash_plan.with_plan(
                found[0], failure, crash, self.words, self.cwd, self.environment, limit, launch
            )
            return (first, *found[1:])
        except KeyboardInterrupt:  # what was found out is still told
            return found
        except Exception as error:
            tell_failure("while planning its memory", error)
            return found

    def _exact(self, failure: Failure, seconds: float) -> Exact | None:
        """The same mistake as the CPU tells it, where the GPU did not say what it was."""
        if not self.options.verify or not is_inexact(failure):
            return None
        from torchmedic import exact

        try:
            with Waiting(self.options, text=exact.WAITING):
                launch = self._launch(seconds)
                limit = self.options.limit or min(self._limit(seconds), exact.LONGEST)
                return exact.exact(failure, launch, limit)
        except KeyboardInterrupt:
            return None
        except Exception as error:
            tell_failure("while running the program on the CPU", error)
            return None

    def _verified(
        self,
        found: tuple[Diagnosis, ...],
        failure: Failure,
        seconds: float,
        exact: Exact | None,
    ) -> tuple[Diagnosis, ...]:
        first, *rest = found
        try:
            launch = exact.launch if exact is not None else self._launch(seconds)
            return (self._proven(first, failure, launch, seconds), *rest)
        except KeyboardInterrupt:  # what was found out is still told
            return found
        except Exception as error:
            tell_failure("while trying its fixes", error)
            return found

    def _proven(
        self, first: Diagnosis, failure: Failure, launch: Launch, seconds: float
    ) -> Diagnosis:
        from torchmedic import mending

        with Waiting(self.options, len(first.fixes)):
            goal = mending.goal_of(failure, first)
            return mending.proven(first, launch, goal, self._limit(seconds))

    def _launch(self, seconds: float) -> Launch:
        from torchmedic import mending

        return mending.launch_of(self.words, self.cwd, self.environment, seconds)

    def _limit(self, seconds: float) -> float:
        from torchmedic import mending

        return self.options.limit or mending.default_limit(seconds)

    def _write(self, report: Report) -> None:
        options = self.options
        if report.diagnoses or report.notes:
            emit("\n" + show(report, options, self.cwd), sys.stderr)
        if options.output is None or not self.ranks.may_write():
            return
        if options.format == "json":
            from torchmedic.render import json as as_json

            text = as_json.render(report, options.lang, read_lines, self.cwd)
        else:
            text = show(report, options._replace(colour=False), self.cwd)
        try:
            write_output(options.output, text, self.cwd)
        except OSError as error:
            emit(
                f"torchmedic: cannot write {options.output}: {error.strerror or error}\n",
                sys.stderr,
            )


def with_diffs(diagnosis: Diagnosis) -> Diagnosis:
    """Only fixes whose result still parses and changes something. A failure of ours costs the fixes, not the report."""
    if not diagnosis.fixes:
        return diagnosis
    from torchmedic.fix.patch import parses, with_diff

    try:
        fixes = tuple(with_diff(f) for f in diagnosis.fixes if f.edits and parses(f))
    except Exception as error:
        tell_failure("while making its diffs", error)
        fixes = ()
    return diagnosis._replace(fixes=fixes)


def _collect(broken: list[Rule]) -> Callable[[Rule, Exception], None]:
    """Tells the first rule that failed, and counts the others."""

    def on_error(rule: Rule, error: Exception) -> None:
        if not broken:
            tell_failure(f"in the rule {rule.code}", error)
        broken.append(rule)

    return on_error


def is_inexact(failure: Failure) -> bool:
    """A kernel's check failed on a GPU, of which the exception says neither what nor where."""
    return "device-side assert triggered" in failure.message


def is_aftermath(failure: Failure) -> bool:
    """A rank that failed because another one did has nothing of its own to report."""
    said = failure.message
    return "NCCL" in said or "closed by peer" in said or "reset by peer" in said


def read_lines(path: str) -> Sequence[str]:
    from torchmedic.observed import load
    from torchmedic.observed.source import lines_of

    source = load(path)
    if source is not None:
        return source.lines
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return lines_of(file.read())
    except OSError:
        return ()


def show(report: Report, options: Options, cwd: str | None = None) -> str:
    """The report as text for standard error."""
    from torchmedic.render import text

    return text.render(
        report, options.lang, terminal_width(), use_colour(asked=options.colour), read_lines, cwd
    )


OBSERVER_FAILED = Text(
    en="torchmedic stopped watching ({error}); the program goes on. Please report it.",
    ko="torchmedic 관찰을 멈췄습니다({error}). 프로그램은 계속 실행됩니다. 이 문제를 알려 주세요.",
)
