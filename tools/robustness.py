"""Everything under the given folders through the engine and all rules, whether it has to do with torch or not.

    .venv/bin/python tools/robustness.py FOLDER… [--slowest 10] [--without NAME]

Prints each file where something of ours failed, then how many were looked at, how many only in part, and the slowest.
Exit status 1 if something failed. The standard library (`--without site-packages`): `python -c "import os; print(os.path.dirname(os.__file__))"`.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
import warnings
from pathlib import Path

from torchmedic.abstract import execute
from torchmedic.engine import diagnose
from torchmedic.model import Rule
from torchmedic.observed import load


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--slowest", type=int, default=10)
    parser.add_argument("--without", default="", help="leave out folders of this name")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    taken: list[tuple[float, Path, int]] = []
    unreadable = partial = failed = found = lines = 0
    chosen = (p for folder in options.folders for p in folder.rglob("*.py"))
    for path in sorted(chosen):
        if options.without and options.without in path.parts:
            continue
        source = load(str(path))
        if source is None:
            unreadable += 1
            continue
        start = time.process_time()
        problems: list[str] = []

        def on_error(rule: Rule, error: Exception, problems: list[str] = problems) -> None:
            problems.append(f"{rule.code}: {''.join(traceback.format_exception(error)[-3:])}")

        try:
            trace = execute(source)
            for d in diagnose(trace, on_error):
                found += 1
                print(f"{path}:{d.at.line if d.at else 0}: {d.rule.code} {d.title('en')}")
            partial += not trace.is_complete
        except Exception:
            problems.append("".join(traceback.format_exc().splitlines(keepends=True)[-7:]))
        taken.append((time.process_time() - start, path, len(source.lines)))
        lines += len(source.lines)
        failed += bool(problems)
        for problem in problems:
            print(f"{path}\n{problem}", flush=True)
    total = sum(seconds for seconds, _, _ in taken)
    print(
        f"{len(taken)} files, {lines:,} lines, {total:.0f} s; {found} findings; "
        f"{unreadable} not Python of this version"
    )
    print(f"{failed} failed, {partial} in part")
    for seconds, path, count in sorted(taken, reverse=True)[: options.slowest]:
        print(f"{seconds:.2f} s, {count:,} lines: {path}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
