"""Diagnoses as SARIF 2.1.0, which code hosts and editors read."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from torchmedic.model import Diagnosis, Fix, Lang, Rule, Severity, Span
from torchmedic.render import Report, cell_of, ranked, shown_path
from torchmedic.render.json import safe
from torchmedic.render.layout import unwrapped
from torchmedic.render.text import said

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
ROOT = "SRCROOT"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.ADVICE: "note"}


def render(
    report: Report,
    lang: Lang,
    cwd: str | None = None,
    fingerprints: Sequence[str] = (),
) -> str:
    """The report as one SARIF log with one run.

    Lines and columns count from 1, in Unicode code points; the end column lies behind the last character. A place in
    a notebook has no region, because a region would count the lines of its JSON: its cell stands as logical location
    and its line in the message. `fingerprints` tell findings from one another over time, one for each diagnosis.
    """
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [_run(report, lang, cwd, fingerprints)],
    }
    return json.dumps(safe(log, -math.inf), ensure_ascii=False, indent=2) + "\n"


def _run(
    report: Report, lang: Lang, cwd: str | None, fingerprints: Sequence[str]
) -> dict[str, Any]:
    from torchmedic import __version__

    rules: dict[str, Rule] = {d.rule.code: d.rule for d in report.diagnoses}
    codes = sorted(rules)
    results = [_result(d, codes.index(d.rule.code), lang, cwd) for d in report.diagnoses]
    for result, fingerprint in zip(results, fingerprints, strict=False):
        result["partialFingerprints"] = {"torchmedic/v1": fingerprint}
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "torchmedic",
                "version": __version__,
                "semanticVersion": __version__,
                "language": lang,
                "rules": [_rule(rules[code], lang) for code in codes],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not report.notes,
                "toolExecutionNotifications": [
                    {"level": "error", "message": {"text": unwrapped(note.show(lang))}}
                    for note in report.notes
                ],
            }
        ],
        "results": results,
    }
    if cwd:
        uri = _file_uri(cwd)
        run["originalUriBaseIds"] = {ROOT: {"uri": uri if uri.endswith("/") else f"{uri}/"}}
    return run


def _rule(rule: Rule, lang: Lang) -> dict[str, Any]:
    why, lesson = (
        unwrapped(said(lambda lang: rule.why.show(lang, {}), rule.why, lang)),
        rule.lesson.show(lang),
    )
    shown: dict[str, Any] = {
        "id": rule.code,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": unwrapped(rule.summary.show(lang))},
        "fullDescription": {"text": unwrapped(rule.summary.show(lang))},
        "help": {"text": f"{why}\n\n{unwrapped(lesson)}", "markdown": f"{why}\n\n{lesson}"},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["pytorch", rule.name]},
    }
    if rule.links:
        shown["helpUri"] = rule.links[0]
    return shown


def _result(d: Diagnosis, index: int, lang: Lang, cwd: str | None) -> dict[str, Any]:
    title = " ".join(said(d.title, d.rule.title, lang).split())
    name, cell = cell_of(d.at.path) if d.at else ("", None)
    if d.at and cell is not None:
        title = f"{shown_path(name, cwd)}:cell {cell}:{d.at.line}: {title}"
    result: dict[str, Any] = {
        "ruleId": d.rule.code,
        "ruleIndex": index,
        "level": _LEVELS[d.rule.severity],
        "message": {"text": title},
        "locations": [_location(d.at, cwd)] if d.at else [],
    }
    related = [
        {
            **_location(e.at, cwd),
            "id": number,
            "message": {"text": unwrapped(e.text.show(lang))},
        }
        for number, e in enumerate(d.evidence, 1)
        if e.at
    ]
    if related:
        result["relatedLocations"] = related
    fixes = [_fix(fix, lang, cwd) for fix in ranked(d.fixes) if _is_in_files(fix)]
    if fixes:
        result["fixes"] = fixes
    return result


def _is_in_files(fix: Fix) -> bool:
    """False if an edit lies in a notebook's cell, where no region can say so."""
    return bool(fix.edits) and all(cell_of(edit.span.path)[1] is None for edit in fix.edits)


def _location(at: Span, cwd: str | None) -> dict[str, Any]:
    name, cell = cell_of(at.path)
    physical: dict[str, Any] = {"artifactLocation": _artifact(name, cwd)}
    if cell is None:
        physical["region"] = _region(at)
        return {"physicalLocation": physical}
    return {"physicalLocation": physical, "logicalLocations": [{"name": f"cell {cell}"}]}


def _artifact(path: str, cwd: str | None) -> dict[str, Any]:
    shown = shown_path(path, cwd)
    if PurePath(shown).is_absolute():
        return {"uri": _file_uri(shown)}
    return {"uri": _quoted(shown), "uriBaseId": ROOT} if cwd else {"uri": _quoted(shown)}


def _file_uri(path: str) -> str:
    quoted = _quoted(path.replace("\\", "/"))
    return f"file://{quoted}" if quoted.startswith("/") else f"file:///{quoted}"


def _quoted(path: str) -> str:
    """Percent-encoded; a name that is not UTF-8 by its own bytes."""
    try:
        data = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = path.encode("utf-8", "replace")
    return quote(data)


def _region(at: Span) -> dict[str, int]:
    """A span that means a whole line has no columns: that is what a region without them means, too."""
    line, column = max(at.line, 1), max(at.column, 0) + 1
    if not at.end_line:
        return {"startLine": line}
    end = max((line, column), (at.end_line, at.end_column + 1))
    return {
        "startLine": line,
        "startColumn": column,
        "endLine": end[0],
        "endColumn": max(end[1], 1),
    }


def _fix(fix: Fix, lang: Lang, cwd: str | None) -> dict[str, Any]:
    changes: dict[str, list[dict[str, Any]]] = {}
    for span, text in fix.edits:
        changes.setdefault(span.path, []).append(
            {"deletedRegion": _region(span), "insertedContent": {"text": text}}
        )
    return {
        "description": {"text": unwrapped(fix.title.show(lang))},
        "artifactChanges": [
            {"artifactLocation": _artifact(path, cwd), "replacements": replacements}
            for path, replacements in changes.items()
        ],
    }
