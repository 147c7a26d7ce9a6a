"""From candidate fixes to proven ones: trials of mended copies, and a second edit where one uncovers the next mistake."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby, islice

from torchmedic.engine import diagnose
from torchmedic.fix.child import Goal, Launch
from torchmedic.fix.patch import parses, with_diff
from torchmedic.fix.verify import Trial, as_fix, try_fixes
from torchmedic.model import Diagnosis, Edit, Fix, Span, Text
from torchmedic.observed import Failure
from torchmedic.probes.frames import is_user
from torchmedic.probes.launch import Program

Edits = tuple[Edit, ...]
MOST_CANDIDATES = 4
ROUNDS = 3  # further mistakes that may be mended along with the first
SHORTEST, LONGEST = 40.0, 900.0  # seconds for one trial


def launch_of(
    words: Sequence[str], cwd: str, environment: dict[str, str], seconds: float
) -> Launch:
    """How the program was started, and which of the user's files it has loaded by now."""
    program = Program.parse(words)
    script = program.target if program.kind == "script" else ""
    root = os.path.dirname(os.path.abspath(os.path.join(cwd, script))) if script else cwd
    loaded = [getattr(m, "__file__", None) for m in list(sys.modules.values())]
    files = tuple({os.path.abspath(f) for f in loaded if isinstance(f, str) and is_user(f)})
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return Launch(tuple(words), cwd, root, environment, files, seconds, memory)


def goal_of(failure: Failure, diagnosis: Diagnosis) -> Goal:
    """The crash that a fix has to get past: the link of the exception chain that the diagnosis is about."""
    chain = (failure, *failure.causes)
    link = next((f for f in chain if f.raised_at == diagnosis.raised_at), failure)
    frame, last = link.own_frame, failure.own_frame
    if frame is None or link.is_worker:
        # A worker's error comes as text: its last line is the type and message that were raised there.
        message = f"{link.type}: {link.message}" if link.is_worker else failure.message
        return Goal(None, "", 0, failure.type, message)
    path = os.path.abspath(frame.at.path)
    end = last.at if last is not None and link is not failure else None
    ended_at = (os.path.abspath(end.path), end.line) if end else None
    return Goal(path, frame.function, frame.at.line, failure.type, failure.message, ended_at)


def default_limit(seconds: float) -> float:
    """Seconds for a trial of a program that crashed after so many."""
    return min(max(SHORTEST, 3 * seconds + 30), LONGEST)


def proven(diagnosis: Diagnosis, launch: Launch, goal: Goal, limit: float) -> Diagnosis:
    """The diagnosis with its fixes tried: verified ones first, and pointing at what the best of them changes.

    Of fixes that were put together only those that passed are told, and then none of their parts.
    """
    candidates = diagnosis.fixes[:MOST_CANDIDATES]
    trials = list(try_fixes(launch, candidates, goal, limit))
    tried: dict[Edits, tuple[Text, ...]] = {fix.edits: (fix.title,) for fix in diagnosis.fixes}
    for _ in range(ROUNDS):
        if any(t.outcome.value for t in trials):
            break
        combined = list(islice(_combinations(trials, tried), 2))
        if not combined:
            break
        control = next((t.control for t in trials if t.control), None)
        trials = [*try_fixes(launch, combined, goal, limit, control=control), *trials]
    order = {True: 0, None: 1, False: 2}
    alone, passed = {fix.edits for fix in candidates}, [t for t in trials if t.outcome.value]
    told = [t for t in trials if t in passed or (t.fix.edits in alone and not _is_part(t, passed))]
    fixes = sorted((as_fix(t) for t in told), key=lambda f: order[f.verified])
    best = fixes[0] if fixes and fixes[0].verified else None
    at = diagnosis.at
    if best is not None and at is not None and not any(_is_within(e.span, at) for e in best.edits):
        at = best.edits[0].span
    return diagnosis._replace(at=at, fixes=(*fixes, *diagnosis.fixes[MOST_CANDIDATES:]))


def _is_part(trial: Trial, passed: Sequence[Trial]) -> bool:
    return any(set(trial.fix.edits) < set(other.fix.edits) for other in passed)


def _is_within(edit: Span, at: Span) -> bool:
    return edit.path == at.path and at.line <= edit.line <= (at.end_line or at.line)


def _combinations(trials: Sequence[Trial], tried: dict[Edits, tuple[Text, ...]]) -> Iterator[Fix]:
    """Of each trial that failed: its fix and the first new one of the mistake that it uncovered, together.

    `tried` maps the edits of every fix so far to the titles of its parts. A fix that was tried by itself is no news:
    the mended copy then failed as before.
    """
    for trial in trials:
        found = diagnose(trial.next_failure, lambda rule, error: None) if trial.next_failure else ()
        for fix in (fix for diagnosis in found for fix in diagnosis.fixes):
            edits = (*trial.fix.edits, *fix.edits)
            titles = (*tried[trial.fix.edits], fix.title)
            both = Fix(edits, _together(titles))
            if fix.edits in tried or edits in tried or set(fix.edits) & set(trial.fix.edits):
                continue
            try:
                is_whole = parses(both)
            except ValueError:  # the edits overlap
                continue
            if is_whole:
                tried[edits] = titles
                yield with_diff(both)
                break


def _together(titles: Sequence[Text]) -> Text:
    """What several fixes do, one after the other; what is done again is counted."""
    en, ko = [], []
    for title, again in groupby(titles):
        count = len(list(again))
        en.append(f"{title.en}, in {count} places" if count > 1 else title.en)
        ko.append(f"{title.ko} ({count}곳)" if count > 1 else title.ko)
    return Text("; then ".join(en), ", 그다음 ".join(ko))
