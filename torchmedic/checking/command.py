"""One `check`, from the words on the command line to its exit status."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from torchmedic.checking import relevance, words
from torchmedic.checking.discover import Discovery
from torchmedic.checking.files import Files
from torchmedic.checking.look import Asked, Looked
from torchmedic.checking.problems import Problem
from torchmedic.checking.report import Screen
from torchmedic.checking.settings import Settings, read_settings
from torchmedic.checking.stored import revived
from torchmedic.model import Diagnosis, Fix, Lang
from torchmedic.render import cell_of

STDIN = "<stdin>"


class Options(NamedTuple):
    """The command line. `jobs` None: by the number of cores; `cache_dir` None: the user's own."""

    format: str = "text"
    output: str | None = None
    lang: Lang = "en"
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fix: bool = False
    unsafe_fixes: bool = False
    diff: bool = False
    statistics: bool = False
    baseline: str | None = None
    write_baseline: bool = False
    jobs: int | None = None
    cache: bool = True
    cache_dir: str | None = None
    stdin_filename: str | None = None
    force_exclude: bool = False
    verbose: bool = False
    quiet: bool = False


class Refused(Exception):
    """Usage that makes no sense; the text is one sentence for the user."""


def run(paths: Sequence[str], options: Options) -> int:
    """Checks, reports, mends. 0: clean. 1: findings, or a diff. 2: something could not be looked at.

    Raises Refused, ConfigError and BadBaseline for what can't be done as asked.
    """
    check = Check(paths, options)
    with check.screen:
        return check.run()


class Check:
    """The state of one run."""

    def __init__(self, paths: Sequence[str], options: Options) -> None:
        self.options = options
        self.started = time.perf_counter()
        self.cwd = os.getcwd()
        self.files = Files()
        self.screen = Screen(options, self.files, self.cwd)
        self.settings: Settings = read_settings(options.select, options.ignore)
        self.discovery = Discovery(self.settings.excludes, options.force_exclude)
        self.stdin: str | None = None
        relevance.forget()
        self._read_paths(paths or (".",))
        self.asked: dict[str, Asked] = self.discovery.files
        self.results: dict[str, Looked] = {}
        self.known = 0  # findings that the baseline silences
        self._load_baseline()

    def _read_paths(self, paths: Sequence[str]) -> None:
        if "-" in paths:
            if len(paths) > 1:
                raise Refused("`-` stands alone: standard input is one file")
            if sys.stdin is None:
                raise Refused("standard input is closed")
            name = self.options.stdin_filename
            self.stdin = os.path.realpath(name) if name else STDIN
            self.files.put(self.stdin, sys.stdin.buffer.read())
            self.discovery.files[self.stdin] = Asked(self.stdin, is_explicit=True)
        elif self.options.stdin_filename:
            raise Refused("--stdin-filename goes with `-`, which reads standard input")
        else:
            self.discovery.add(paths)

    def _load_baseline(self) -> None:
        self.baseline = None
        if self.options.baseline and not self.options.write_baseline:
            from torchmedic.checking.baseline import Baseline

            self.baseline = Baseline(self.options.baseline)

    def run(self) -> int:
        self.look()
        found = self.findings(self.results)
        if self.options.write_baseline:
            return self._record(found)
        if self.options.fix or self.options.diff:
            return self._mend()
        problems = self.problems()
        self.screen.report(found, problems)
        self.screen.summary(found, problems, self.known, len(self.asked))
        return self._status(found, problems)

    def _status(self, found: Sequence[object], problems: Sequence[object]) -> int:
        return 2 if problems else 1 if found else 0

    def look(self) -> None:
        from torchmedic.checking.pool import look_at_all

        cache = None
        if self.options.cache and self.stdin is None and self.asked:
            from torchmedic.checking.cache import Cache, default_folder

            cache = Cache(self.options.cache_dir or default_folder())
        self.screen.start(len(self.asked))
        looked = look_at_all(
            list(self.asked.values()), self.files, cache, self.options.jobs, self.screen.tick
        )
        self.results = {one.path: one for one in looked}
        self.screen.stop()
        self.screen.verbose(looked, time.perf_counter() - self.started)

    def findings(self, results: dict[str, Looked]) -> list[Diagnosis]:
        """What is to be shown: chosen rules, asked files, each finding once, none that is known; in order."""
        once: dict[object, Diagnosis] = {}
        for looked in results.values():
            for d in revived(looked.diagnoses):
                inside = d.at is None or cell_of(d.at.path)[0] in self.asked
                if inside and self.settings.selection.wants(d):
                    once.setdefault((d.rule.code, d.at or looked.path), d)
        order = {path: number for number, path in enumerate(self.asked)}
        found = sorted(once.values(), key=lambda d: _place(d, order))
        if self.baseline is None:
            return found
        new = self.baseline.new(found, self.files)
        self.known = len(found) - len(new)
        return new

    def problems(self) -> list[Problem]:
        return [
            *self.discovery.problems,
            *(problem for looked in self.results.values() for problem in looked.problems),
        ]

    def _record(self, found: Sequence[Diagnosis]) -> int:
        from torchmedic.checking import baseline

        path = self.options.baseline or ""
        try:
            count = baseline.write(path, found, self.files)
        except OSError as error:
            raise Refused(f"cannot write {path}: {error.strerror or error}") from None
        problems = self.problems()
        self.screen.tell_problems(problems)
        self.screen.say(words.join(words.RECORDED, mistakes=words.mistakes(count), path=path))
        return 2 if problems else 0

    def _mend(self) -> int:
        from torchmedic.checking import mend

        outcome = mend.mend(self.results, self.asked, self.files, self.findings, self._is_allowed)
        problems = self.problems()
        if self.options.diff:
            self.screen.write(mend.diffs(outcome))
            self.screen.tell_problems(problems)
            self.screen.mended(outcome, words.WOULD_MEND)
            return 2 if problems else 1 if outcome.changed else 0
        if self.stdin is not None:
            self.screen.report_to_stderr = True
            self.screen.write_bytes(self.files.read(self.stdin))
        else:
            unwritten = mend.write(outcome)
            if unwritten:
                self._look_again(outcome)
            problems = [*unwritten, *problems]
        found = self.findings(self.results)
        self.screen.report(found, problems)
        self.screen.mended(outcome, words.MENDED)
        self.screen.summary(found, problems, self.known, len(self.asked))
        return self._status(found, problems)

    def _look_again(self, outcome: object) -> None:
        """Some files stayed as they were: what is said now is about the disk."""
        from torchmedic.checking.look import look

        changed = set(self.files.instead)
        self.files.drop()
        for path, looked in self.results.items():
            if changed & {path, *looked.reads}:
                self.results[path] = look(self.asked[path], self.files)

    def _is_allowed(self, fix: Fix) -> bool:
        return fix.verified is not False and (fix.safe or self.options.unsafe_fixes)


def _place(d: Diagnosis, order: dict[str, int]) -> tuple[int, int, int, int, str]:
    if d.at is None:
        return -1, 0, 0, 0, d.rule.code
    name, cell = cell_of(d.at.path)
    return order.get(name, -1), cell or 0, d.at.line, d.at.column, d.rule.code
