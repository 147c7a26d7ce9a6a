"""Diagnoses as workflow commands: GitHub shows them beside the lines of a pull request."""

from __future__ import annotations

from torchmedic.model import Diagnosis, Lang, Severity
from torchmedic.render import Report, cell_of, shown_path
from torchmedic.render.layout import clean_line, one_line
from torchmedic.render.text import said

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.ADVICE: "notice"}


def render(report: Report, lang: Lang, cwd: str | None = None) -> str:
    """One `::error file=…,line=…::message` for each diagnosis; "" if there is nothing to say.

    Columns count from 1. They are left out where a span has several lines, and the line where it lies in a
    notebook's cell, because the service takes them for places in the file.
    """
    return "".join(_command(d, lang, cwd) + "\n" for d in report.diagnoses)


def _command(d: Diagnosis, lang: Lang, cwd: str | None) -> str:
    values: dict[str, object] = {"title": f"torchmedic ({d.rule.code} {d.rule.name})"}
    message = one_line(said(d.title, d.rule.title, lang))
    if d.at is not None:
        name, cell = cell_of(d.at.path)
        values["file"] = shown_path(name, cwd)
        if cell is None:
            values["line"] = d.at.line
            if d.at.end_line == d.at.line:
                values["col"] = d.at.column + 1
                values["endColumn"] = max(d.at.end_column, d.at.column + 1)
            if d.at.end_line:
                values["endLine"] = d.at.end_line
            place = f"{values['file']}:{d.at.line}"
        else:
            place = f"{values['file']}:cell {cell}:{d.at.line}"
        message = f"{place}: {message}"
    listed = ",".join(f"{key}={_property(str(value))}" for key, value in values.items())
    return f"::{_LEVELS[d.rule.severity]} {listed}::{_data(clean_line(message))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
