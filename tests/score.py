"""The score on the crash programs, as Markdown: `python tests/score.py [--no-fixes] [--listed] [--write] [MISTAKE…]`."""

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
from misses import LISTED, missed  # noqa: E402

DOCUMENTS = (TESTS.parent / "README.md", TESTS.parent / "docs" / "scores.md")
BEGIN, END = "<!-- score: begin -->", "<!-- score: end -->"


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


def listed(crash: Crash) -> Scored:
    """What known_misses.json says of the program; the tests hold it to that."""
    parts, why = missed(crash.name), LISTED.get(crash.name, {}).get("why", "")
    line = Verdict("rule" not in parts, why if parts & {"line", "rule"} else "")
    return Scored(crash, line, (why if "fix" in parts else "") if crash.has_fix else None)


def table(results: Iterable[Scored]) -> str:
    """One row for each mistake, one for all, then the misses."""
    everything = list(results)
    mistakes = sorted({(r.crash.code, r.crash.mistake) for r in everything})
    rows = [("Mistake", "Programs", "Right rule and line", "Proven fix")]
    for code, mistake in mistakes:
        own = [r for r in everything if r.crash.mistake == mistake]
        rows.append((f"{code} {mistake}", *_counts(own)))
    rows.append(("all", *_counts(everything)))
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    text = "\n".join([head, "|---|---:|---:|---:|", *body])
    misses = [
        f"- {r.crash.name}: {what}: {problem}"
        for r in everything
        for what, problem in (("line", r.line.problem), ("fix", r.fix))
        if problem
    ]
    return text + "\n\n" + ("\n".join(["Missed:", "", *misses]) if misses else "Nothing is missed.")


def _counts(results: list[Scored]) -> tuple[str, str, str]:
    fixes = [r.fix for r in results if r.fix is not None]
    return (
        str(len(results)),
        str(sum(r.line.is_rule_right and not r.line.problem for r in results)),
        f"{sum(not f for f in fixes)} of {len(fixes)}" if fixes else "–",
    )


def in_document(path: Path) -> str:
    """The table that stands between the marks of a document."""
    return _between(path.read_text("utf-8"))[1]


def write(path: Path, text: str) -> None:
    before, _, after = _between(path.read_text("utf-8"))
    path.write_text(before + text + after, "utf-8", newline="\n")


def _between(text: str) -> tuple[str, str, str]:
    before, rest = text.split(BEGIN, 1)
    inside, after = rest.split(END, 1)
    return before + BEGIN, inside, END + after


def _in_a_process(crash: Crash, has_fixes: bool) -> Scored:
    """Each program in a process of its own: threads and forks do not go together."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(scored, crash, has_fixes).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mistakes", nargs="*", help="names or codes; all if none is given")
    parser.add_argument("--no-fixes", action="store_true", help="only the lines: fast")
    parser.add_argument("--listed", action="store_true", help="run nothing: what the tests prove")
    parser.add_argument("--write", action="store_true", help="put the table into the documents")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    if options.write and (options.mistakes or options.no_fixes):
        parser.error("--write needs every program and its fix")
    chosen = [
        c
        for c in crashes()
        if not options.mistakes or {c.code, c.mistake, c.name} & set(options.mistakes)
    ]
    if options.listed:
        results = [*map(listed, chosen)]
    else:
        with ThreadPoolExecutor(options.jobs) as pool:
            work = partial(_in_a_process, has_fixes=not options.no_fixes)
            results = []
            for result in pool.map(work, chosen):
                results.append(result)
                said = [p for p in (result.line.problem, result.fix) if p]
                print(result.crash.name, *said or ["right"], sep=": ", file=sys.stderr, flush=True)
    print(table(results))
    if options.write:
        for path in DOCUMENTS:
            write(path, f"\n{table(results)}\n")


if __name__ == "__main__":
    main()
