"""Diagnoses for other programs. `report.schema.json` beside this file is the contract."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from enum import Enum
from typing import Any

from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Lang, Span
from torchmedic.render import Read, Report, cell_of, ranked, shown_path, verification
from torchmedic.render.layout import unwrapped
from torchmedic.render.text import said

SCHEMA_VERSION = 1
_DEEPEST = 12  # levels of nested facts; what lies deeper is given as text


def render(report: Report, lang: Lang, read: Read | None = None, cwd: str | None = None) -> str:
    """The report as one JSON object that ends with a line end.

    `read` gives the lines of a file; without it, a span that means a whole line ends where it starts.
    """
    import json

    return json.dumps(plain(report, lang, read, cwd), ensure_ascii=False, indent=2) + "\n"


def plain(
    report: Report, lang: Lang, read: Read | None = None, cwd: str | None = None
) -> dict[str, Any]:
    """The same as dicts, lists and constants."""
    from torchmedic import __version__

    writer = _Writer(lang, read or (lambda path: ()), cwd)
    whole = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "torchmedic", "version": __version__},
        "command": report.command,
        "diagnoses": [writer.diagnosis(diagnosis) for diagnosis in report.diagnoses],
        "notes": [unwrapped(note.show(lang)) for note in report.notes],
    }
    encodable: dict[str, Any] = safe(whole, -math.inf)
    return encodable


class _Writer:
    def __init__(self, lang: Lang, read: Read, cwd: str | None) -> None:
        self.lang = lang
        self.read = read
        self.cwd = cwd

    def diagnosis(self, d: Diagnosis) -> dict[str, Any]:
        nowhere = dict.fromkeys(("path", "line", "column", "end_line", "end_column"))
        return {
            "code": d.rule.code,
            "name": d.rule.name,
            "severity": d.rule.severity.value,
            "view": d.view.value,
            "title": " ".join(said(d.title, d.rule.title, self.lang).split()),
            "why": unwrapped(said(d.why, d.rule.why, self.lang)),
            "help": unwrapped(said(d.help, d.rule.help, self.lang)),
            **(self.span(d.at) if d.at else nowhere),
            "raised_at": self.place(d.raised_at) if d.raised_at else None,
            "module_path": d.module_path,
            "facts": safe(d.facts),
            "evidence": [self.evidence(evidence) for evidence in d.evidence],
            "fixes": [self.fix(fix) for fix in ranked(d.fixes)],
            "search": list(d.search),
            "links": list(d.links),
        }

    def place(self, at: Span | None) -> dict[str, Any]:
        if at is None:
            return {"path": None, "line": None}
        name, cell = cell_of(at.path)
        inside = {} if cell is None else {"cell": cell}
        return {"path": shown_path(name, self.cwd), **inside, "line": at.line}

    def span(self, at: Span) -> dict[str, Any]:
        end_line, end_column = at.end_line, at.end_column
        if not end_line:
            lines = self.read(at.path)
            is_there = 0 < at.line <= len(lines)
            end_line = at.line
            end_column = len(lines[at.line - 1].rstrip("\r\n")) if is_there else at.column
        return {
            **self.place(at),
            "column": at.column,
            "end_line": end_line,
            "end_column": end_column,
        }

    def evidence(self, evidence: Evidence) -> dict[str, Any]:
        out = {"text": unwrapped(evidence.text.show(self.lang)), **self.place(evidence.at)}
        if evidence.table:
            out["table"] = {
                "columns": [column.show(self.lang) for column in evidence.table.columns],
                "rows": evidence.table.shown(self.lang),
                "marked": evidence.table.marked,
            }
        return out

    def fix(self, fix: Fix) -> dict[str, Any]:
        return {
            "title": unwrapped(fix.title.show(self.lang)),
            "safe": fix.safe,
            "verified": fix.verified,
            "verification": verification(fix, self.lang),
            "edits": [self.edit(edit) for edit in fix.edits],
            "diff": fix.diff,
        }

    def edit(self, edit: Edit) -> dict[str, Any]:
        return {**self.span(edit.span), "text": edit.text}


def safe(value: object, depth: float = 0) -> Any:
    """The value as JSON can hold it: sequences as lists, "NaN" and "Infinity" as strings, all else as its `str`."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return safe(value.value, depth + 1)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str):
        return str(value).encode("utf-8", "replace").decode()
    if depth < _DEEPEST:
        if isinstance(value, Mapping):
            return {text(key): safe(item, depth + 1) for key, item in value.items()}
        if isinstance(value, Set):
            return sorted((safe(item, depth + 1) for item in value), key=text)
        if isinstance(value, (list, tuple)):
            return [safe(item, depth + 1) for item in value]
    return text(value)


def text(value: object) -> str:
    """`str(value)` that can be encoded; the type's name if the object can't be shown."""
    try:
        return str(value).encode("utf-8", "replace").decode()
    except Exception:
        return f"<{type(value).__name__}>"
