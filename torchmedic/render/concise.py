"""One line for each diagnosis, for editors, `grep` and people who know the rules."""

from __future__ import annotations

from torchmedic.model import Diagnosis, Lang
from torchmedic.render import Report
from torchmedic.render.frame import location
from torchmedic.render.layout import Paint, one_line
from torchmedic.render.text import said


def render(report: Report, lang: Lang, colour: bool = False, cwd: str | None = None) -> str:
    """`path:line:column: error[TM201] layer-size-mismatch: title`, line by line; "" if there is nothing to say.

    Columns count from 1, in characters. Notes are left out.
    """
    paint = Paint(colour)
    return "".join(_line(d, lang, paint, cwd) + "\n" for d in report.diagnoses)


def _line(d: Diagnosis, lang: Lang, paint: Paint, cwd: str | None) -> str:
    where = one_line(location(d.at, cwd, is_whole=True)) if d.at else "-"
    kind = paint(d.rule.severity.value, f"{d.rule.severity.value}[{d.rule.code}]")
    title = one_line(said(d.title, d.rule.title, lang))
    return f"{paint('strong', where)}: {kind} {d.rule.name}: {title}"


def statistics(report: Report, lang: Lang) -> str:
    """How often each rule was found, the most frequent first: count, code, name, and how many have a fix."""
    counts: dict[str, int] = {}
    fixable: dict[str, int] = {}
    rules = {d.rule.code: d.rule for d in report.diagnoses}
    for d in report.diagnoses:
        counts[d.rule.code] = counts.get(d.rule.code, 0) + 1
        fixable[d.rule.code] = fixable.get(d.rule.code, 0) + bool(d.fixes)
    if not counts:
        return ""
    width = max(len(str(count)) for count in counts.values())
    names = max(len(rules[code].name) for code in counts)
    mark = "fix" if lang == "en" else "수정"
    lines = []
    for code in sorted(counts, key=lambda code: (-counts[code], code)):
        fixes = f"{mark} {fixable[code]}" if fixable[code] else ""
        row = f"{counts[code]:>{width}}  {code}  {rules[code].name:<{names}}  {fixes}"
        lines.append(row.rstrip() + "\n")
    return "".join(lines)
