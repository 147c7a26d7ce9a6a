"""Diagnoses as JSON and back: what crosses from one process to another, and what the cache keeps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Rule, Span, Table, Text, Variant, View

Plain = dict[str, Any]


def plain(d: Diagnosis) -> Plain:
    """The diagnosis as dicts, lists and constants. Facts that JSON lacks become their text."""
    from torchmedic.render.json import safe

    return {
        "code": d.rule.code,
        "at": d.at,
        "facts": safe(d.facts),
        "evidence": [
            {"text": _text(e.text), "at": e.at, "table": _table(e.table) if e.table else None}
            for e in d.evidence
        ],
        "fixes": [_fix(fix) for fix in d.fixes],
        "view": d.view.value,
        "variant": _variant(d.variant) if d.variant else None,
        "raised_at": d.raised_at,
        "module_path": d.module_path,
    }


def revived(stored: Iterable[Plain]) -> list[Diagnosis]:
    """The diagnoses. Raises KeyError if a rule does not exist; other errors if this was never a diagnosis."""
    stored = list(stored)
    if not stored:
        return []
    from torchmedic.rules import RULES

    return [_diagnosis(RULES[one["code"]], one) for one in stored]


def _diagnosis(rule: Rule, one: Plain) -> Diagnosis:
    return Diagnosis(
        rule,
        _span(one["at"]),
        one["facts"],
        tuple(
            Evidence(Text(*e["text"]), _span(e["at"]), _revived_table(e["table"]))
            for e in one["evidence"]
        ),
        tuple(
            Fix(
                tuple(Edit(Span(*span), text) for span, text in fix["edits"]),
                Text(*fix["title"]),
                fix["safe"],
                fix["verified"],
                Text(*fix["verification"]) if fix["verification"] else None,
                fix["diff"],
            )
            for fix in one["fixes"]
        ),
        View(one["view"]),
        _revived_variant(rule, one["variant"]),
        _span(one["raised_at"]),
        one["module_path"],
    )


def _fix(fix: Fix) -> Plain:
    return {
        "edits": list(fix.edits),
        "title": _text(fix.title),
        "safe": fix.safe,
        "verified": fix.verified,
        "verification": _text(fix.verification) if fix.verification else None,
        "diff": fix.diff,
    }


def _text(text: Text) -> list[str]:
    return [text.show("en"), text.show("ko")]


def _table(table: Table) -> Plain:
    return {
        "columns": list(map(_text, table.columns)),
        "rows": list(map(list, table.rows)),
        "marked": table.marked,
    }


def _variant(variant: Variant) -> Plain:
    return {
        "name": variant.name,
        "title": _text(variant.title),
        "why": _text(variant.why) if variant.why else None,
        "help": _text(variant.help) if variant.help else None,
    }


def _span(span: Any) -> Span | None:
    return None if span is None else Span(*span)


def _revived_table(table: Any) -> Table | None:
    if table is None:
        return None
    columns = tuple(Text(*column) for column in table["columns"])
    return Table(columns, tuple(map(tuple, table["rows"])), table["marked"])


def _revived_variant(rule: Rule, stored: Any) -> Variant | None:
    if stored is None:
        return None
    own = next((v for v in rule.variants if v.name == stored["name"]), None)
    if own is not None:
        return own
    why, help_ = (Text(*stored[key]) if stored[key] else None for key in ("why", "help"))
    return Variant(stored["name"], Text(*stored["title"]), why, help_)
