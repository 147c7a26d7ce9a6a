"""Something observed in, diagnoses out. Every entrance ends here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from torchmedic.model import Diagnosis, Rule, Severity, Span, View
from torchmedic.observed import Failure, load
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Trace
from torchmedic.rules import RULES

OnError = Callable[[Rule, Exception], None]
_IGNORE = r"(?i)#\s*torchmedic:\s*ignore\[([^\]]*)\]"
_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.ADVICE: 2}


def reraise(rule: Rule, error: Exception) -> None:
    raise error


def diagnose(
    observed: object,
    on_error: OnError = reraise,
    on_suppressed: Callable[[Diagnosis], object] = lambda diagnosis: None,
) -> list[Diagnosis]:
    """All diagnoses of what was observed, the root cause first, without the suppressed ones.

    A rule that raises is told to `on_error` and skipped: it can't stop the others. What a comment of the user
    silences is told to `on_suppressed`.
    """
    if isinstance(observed, Failure):
        found = _of_failure(observed, on_error)
    elif isinstance(observed, Trace):
        found = _of_trace(observed, on_error)
    elif isinstance(observed, Run):
        found = [d._replace(view=View.RUN) for d in _ask(observed, on_error) if d.at is not None]
    else:
        found = list(_ask(observed, on_error))
    kept = []
    for diagnosis in found:
        if is_suppressed(diagnosis):
            on_suppressed(diagnosis)
        else:
            kept.append(diagnosis)
    return kept


def _of_failure(failure: Failure, on_error: OnError) -> list[Diagnosis]:
    chain = [failure, *failure.causes]
    # `raise … from error` names the root cause; without `from` the earlier error was being handled on purpose.
    order = chain[::-1] if failure.is_cause_explicit else chain
    for link in order:
        found = list(_ask(link, on_error))
        if found:
            return found
    return []


def _of_trace(trace: Trace, on_error: OnError) -> list[Diagnosis]:
    """What the events tell, and what the rules say of each exception that the program certainly raises."""
    found: dict[tuple[str, Span | None], Diagnosis] = {}
    refused = set[tuple[object, ...]]()
    for failure in trace.failures:
        layer = failure.failing
        refusal = (failure.type, failure.message, layer.path, layer.made_at) if layer else ()
        if layer is not None and layer.made_at and refusal in refused:
            continue  # the same layer refuses the like again: until that is mended, nothing gets there
        refused.add(refusal)
        for diagnosis in [d for d in _ask(failure, on_error) if d.at is not None][:1]:
            found.setdefault((diagnosis.rule.code, diagnosis.at), diagnosis)
    for diagnosis in _ask(trace, on_error):
        found.setdefault((diagnosis.rule.code, diagnosis.at), diagnosis)
    in_view = [d._replace(view=View.SOURCE) for d in found.values()]
    return sorted(in_view, key=_place)


def _place(diagnosis: Diagnosis) -> tuple[str, int, int, int]:
    at = diagnosis.at or Span("", 0)
    return at.path, at.line, at.column, _RANK[diagnosis.rule.severity]


def _ask(observed: object, on_error: OnError) -> Iterator[Diagnosis]:
    found: list[Diagnosis] = []
    for rule in RULES.of(type(observed)):
        try:
            found += list(rule.detectors[type(observed)](observed))
        except Exception as error:
            on_error(rule, error)
    yield from sorted(found, key=lambda d: _RANK[d.rule.severity])


def is_suppressed(diagnosis: Diagnosis) -> bool:
    """True if a line it points to says `# torchmedic: ignore[name-or-code, …]`."""
    names = {diagnosis.rule.name, diagnosis.rule.code.lower()}
    return any(names & ignored_on(at) for at in (diagnosis.at, diagnosis.raised_at) if at)


def ignored_on(at: Span) -> set[str]:
    source = load(at.path)
    found = re.search(_IGNORE, source.line(at.line)) if source else None
    return {part.strip().lower() for part in found[1].split(",")} if found else set()
