"""What a check prints: findings on standard output or into a file, everything else on standard error."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torchmedic.checking import words
from torchmedic.checking.files import Files
from torchmedic.checking.look import Looked
from torchmedic.checking.problems import Problem
from torchmedic.console import emit, use_colour
from torchmedic.model import Diagnosis, Text
from torchmedic.render import Report, cell_of, shown_path

if TYPE_CHECKING:
    from torchmedic.checking.command import Options
    from torchmedic.checking.mend import Outcome

_PATIENCE = 1.0  # seconds without a sign of life
_EVERY = 0.1  # seconds between two signs
_FOR_PEOPLE = ("text", "concise")


class OutputError(Exception):
    """The report can't be written; the text is one sentence for the user."""


class Screen:
    """Standard output, standard error and the report's file."""

    def __init__(self, options: Options, files: Files, cwd: str) -> None:
        self.options = options
        self.files = files
        self.cwd = cwd
        self.report_to_stderr = False
        self._total = self._done = 0
        self._started = self._last = 0.0
        self._has_line = False

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *details: object) -> None:
        self.stop()

    def start(self, total: int) -> None:
        self._total, self._done = total, 0
        self._started = time.monotonic()

    def tick(self, looked: Looked) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._started < _PATIENCE or now - self._last < _EVERY or self.options.quiet:
            return
        if not use_colour(sys.stderr):
            return
        self._last, self._has_line = now, True
        text = words.join(words.PROGRESS, done=self._done, total=self._total)
        emit(f"\r\x1b[2K{text.show(self.options.lang)}", sys.stderr)

    def stop(self) -> None:
        if self._has_line:
            emit("\r\x1b[2K", sys.stderr)
            self._has_line = False

    def say(self, text: Text) -> None:
        """A line for people; not under `--quiet`."""
        if not self.options.quiet:
            emit(text.show(self.options.lang) + "\n", sys.stderr)

    def tell_problems(self, problems: Sequence[Problem]) -> None:
        for problem in problems:
            emit(problem.sentence(self.options.lang, self.cwd) + "\n", sys.stderr)

    def verbose(self, looked: Sequence[Looked], seconds: float) -> None:
        if not self.options.verbose:
            return
        lang = self.options.lang
        for one in looked:
            if not one.is_complete:
                emit(f"{shown_path(one.path, self.cwd)}: {words.PARTLY.show(lang)}\n", sys.stderr)
        counts = words.join(
            words.TIME,
            looked=words.files(len(looked)),
            skipped=sum(one.is_skipped for one in looked),
            cached=sum(one.is_cached for one in looked),
            seconds=f"{seconds:.2f}",
        )
        emit(counts.show(lang) + "\n", sys.stderr)

    def report(self, found: Sequence[Diagnosis], problems: Sequence[Problem]) -> None:
        """The findings in the form that was asked for, and what could not be looked at."""
        self.write(self._rendered(found, problems))
        self.tell_problems(problems)

    def _rendered(self, found: Sequence[Diagnosis], problems: Sequence[Problem]) -> str:
        options, lang, read = self.options, self.options.lang, self.files.lines
        if options.format in ("text", "json"):
            found = [self.files.with_diffs(d) for d in found]
        notes: tuple[Text, ...] = ()
        if options.format in ("json", "sarif"):
            notes = tuple(_both(problem, self.cwd) for problem in problems)
        report = Report("check", tuple(found), notes)
        to_terminal = options.output is None and use_colour(self._stream())
        if options.statistics:
            from torchmedic.render import concise

            return concise.statistics(report, lang)
        if options.format == "json":
            from torchmedic.render import json

            return json.render(report, lang, read, self.cwd)
        if options.format == "sarif":
            from torchmedic.checking.baseline import fingerprints
            from torchmedic.render import sarif

            marks = fingerprints(found, self.files, self.cwd)
            return sarif.render(report, lang, self.cwd, marks)
        if options.format == "github":
            from torchmedic.render import github

            return github.render(report, lang, self.cwd)
        if options.format == "concise":
            from torchmedic.render import concise

            return concise.render(report, lang, to_terminal, self.cwd)
        from torchmedic.render import text

        rendered = text.render(report, lang, self._width(), to_terminal, read, self.cwd)
        return rendered + "\n" if rendered else ""

    def _stream(self) -> object:
        return sys.stderr if self.report_to_stderr else sys.stdout

    def _width(self) -> int:
        try:
            return os.get_terminal_size(sys.stdout.fileno()).columns
        except (OSError, ValueError, AttributeError):
            return 100

    def write(self, text: str) -> None:
        """The report. Raises OutputError."""
        if self.options.output is None:
            emit(text, self._stream())
            return
        try:
            with open(self.options.output, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"cannot write {self.options.output}: {reason}") from None

    def write_bytes(self, data: bytes) -> None:
        """A mended program on standard output."""
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def mended(self, outcome: Outcome, text: Text) -> None:
        if not outcome.changed:
            self.say(words.NOTHING_TO_MEND)
            return
        self.say(
            words.join(
                text,
                mistakes=words.mistakes(outcome.applied.total()),
                files=words.files(len(outcome.changed)),
            )
        )

    def summary(
        self, found: Sequence[Diagnosis], problems: Sequence[Problem], known: int, looked: int
    ) -> None:
        """How much there is, for people: nothing for other formats."""
        if self.options.format not in _FOR_PEOPLE:
            return
        if found:
            places = {cell_of(d.at.path)[0] if d.at else "" for d in found}
            parts = [
                words.join(
                    words.FOUND, mistakes=words.mistakes(len(found)), files=words.files(len(places))
                )
            ]
            safe = sum(any(fix.safe for fix in d.fixes) for d in found)
            unsafe = sum(bool(d.fixes) for d in found) - safe
            if safe and not self.options.fix:
                parts.append(words.join(words.FIXABLE, count=safe))
            if unsafe and not self.options.unsafe_fixes:
                more = words.UNSAFE if safe and not self.options.fix else words.UNSAFE_ONLY
                parts.append(words.join(more, count=unsafe))
        elif problems or not looked:
            parts = [] if looked else [words.NO_FILES]
        else:
            parts = [words.join(words.CLEAR, files=words.files(looked))]
        if known:
            parts.append(words.join(words.KNOWN, count=known))
        if parts:
            self.say(Text(" ".join(p.en for p in parts), " ".join(p.ko for p in parts)))


def _both(problem: Problem, cwd: str) -> Text:
    return Text(problem.sentence("en", cwd), problem.sentence("ko", cwd))
