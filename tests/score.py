"""The score on the crash programs, as Markdown: `python tests/score.py [--no-fixes] [--jobs N] [MISTAKE…]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from corpus import Crash, Verdict, crashes, fix_problem, verdict_on_line  # noqa: E402


class Scored(NamedTuple):
    crash: Crash
    line: Verdict
    fix: (
        str | None
    )  # what its fix lacks; None where no single right fix exists, or none was asked for


def scored(crash: Crash, has_fixes: bool) -> Scored:
    """One program, run twice in copies. What breaks the contract counts as a miss and is told."""
    with tempfile.TemporaryDirectory() as place:

        def tried(work: Callable[[Crash, Path], Verdict | str], name: str) -> Verdict | str:
            try:
                return work(crash, crash.copy_to(Path(place, name)))
            except Exception as error:
                said = f"{type(error).__name__}: {error}".splitlines()[0]
                return Verdict(False, said) if work is verdict_on_line else said

        line = tried(verdict_on_line, "line")
        fix = tried(fix_problem, "fix") if crash.has_fix and has_fixes else None
    assert isinstance(line, Verdict) and not isinstance(fix, Verdict)
    return Scored(crash, line, fix)


def table(results: Iterable[Scored]) -> str:
    """One row for each mistake, one for all, then the misses."""
    everything = list(results)
    mistakes = sorted({(r.crash.code, r.crash.mistake) for r in everything})
    rows = [("Mistake", "Programs", "Right rule", "Right line", "Fix verified, and it runs")]
    rows += [("---", "---:", "---:", "---:", "---:")]
    for code, mistake in mistakes:
        own = [r for r in everything if r.crash.mistake == mistake]
        rows.append((f"{code} {mistake}", *_counts(own)))
    rows.append(("**all**", *_counts(everything)))
    text = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    misses = [
        f"- {r.crash.name}: {what}: {problem}"
        for r in everything
        for what, problem in (("line", r.line.problem), ("fix", r.fix))
        if problem
    ]
    return text + "\n\n" + ("\n".join(["Missed:", *misses]) if misses else "Nothing is missed.")


def _counts(results: list[Scored]) -> tuple[str, str, str, str]:
    fixes = [r.fix for r in results if r.fix is not None]
    return (
        str(len(results)),
        str(sum(r.line.is_rule_right for r in results)),
        str(sum(not r.line.problem for r in results)),
        f"{sum(not f for f in fixes)} of {len(fixes)}" if fixes else "–",
    )


def _in_a_process(crash: Crash, has_fixes: bool) -> Scored:
    """Each program in a process of its own: threads and forks do not go together."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(scored, crash, has_fixes).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mistakes", nargs="*", help="names or codes; all if none is given")
    parser.add_argument("--no-fixes", action="store_true", help="only the lines: fast")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    chosen = [
        c
        for c in crashes()
        if not options.mistakes or {c.code, c.mistake, c.name} & set(options.mistakes)
    ]
    with ThreadPoolExecutor(options.jobs) as pool:
        work = partial(_in_a_process, has_fixes=not options.no_fixes)
        print(table(pool.map(work, chosen)))


if __name__ == "__main__":
    main()
