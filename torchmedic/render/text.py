"""Diagnoses on a terminal: show, then tell. The same text with and without colour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from torchmedic.model import Diagnosis, Evidence, Fix, Lang, Span, Table, Text, View
from torchmedic.render import Read, Report, ranked, shown_path, verification, words
from torchmedic.render.frame import code_line, frame, gutter
from torchmedic.render.layout import (
    NARROWEST,
    PROSE_WIDTH,
    Paint,
    cells,
    clean,
    clean_line,
    clip,
    flow,
    one_line,
    pad,
    wrap,
)

_NARROW = 60  # below this, labels stand in the text instead of a column of their own
_ROWS = 20  # a longer table shows its first rows and those around the marked one
_RECORDS = 6  # the same, where each row takes several lines


def render(
    report: Report,
    lang: Lang,
    width: int,
    colour: bool,
    read: Read,
    cwd: str | None = None,
) -> str:
    """The report as text that ends with a line end; "" if there is nothing to say.

    `width` is the terminal's in cells (100 where there is none). `colour` adds ANSI codes and changes nothing
    else. `read` gives the lines of a file, and nothing for one that can't be read. Paths below `cwd` (default:
    the current directory) are shown from there.
    """
    page = _Page(lang, max(width, NARROWEST), Paint(colour), read, cwd)
    parts = [page.diagnosis(diagnosis) for diagnosis in report.diagnoses]
    if report.notes:
        parts.append(page.notes(report.notes))
    return "\n".join("\n".join(part) + "\n" for part in parts)


class _Page(NamedTuple):
    lang: Lang
    width: int
    paint: Paint
    read: Read
    cwd: str | None

    @property
    def prose(self) -> int:
        return min(self.width, PROSE_WIDTH)

    @property
    def hang(self) -> str:
        """The indentation of everything that stands behind a label."""
        if self.width < _NARROW:
            return "  "
        return " " * (max(cells(label.show(self.lang)) for label in words.LABELS) + 2)

    def diagnosis(self, d: Diagnosis) -> list[str]:
        fixes = ranked(d.fixes)
        blocks = [
            self.headline(d) + self.frames(d) + self.seen(d),
            self.labelled(words.WHY, said(d.why, d.rule.why, self.lang)),
            self.labelled(words.HELP, said(d.help, d.rule.help, self.lang)),
            *(self.fix(fix, n if len(fixes) > 1 else 0) for n, fix in enumerate(fixes, 1)),
            [
                *self.labelled(words.SEARCH, ", ".join(d.search)),
                *self.verbatim(words.DOCS, d.links),
                *self.verbatim(words.MORE, [f"torchmedic explain {d.rule.code}"]),
            ],
        ]
        lines: list[str] = []
        for block in blocks:
            lines += ["", *block] if lines and block else block
        return lines

    def headline(self, d: Diagnosis) -> list[str]:
        kind = f"{words.SEVERITY[d.rule.severity].show(self.lang)}[{d.rule.code}]"
        title = said(d.title, d.rule.title, self.lang)
        lines = wrap(f"{kind} {d.rule.name}: {title}", self.prose, "", "  ")
        kind = kind if lines[0].startswith(kind) else ""
        first = self.paint(d.rule.severity.value, kind) + self.paint(
            "strong", lines[0][len(kind) :]
        )
        return [first, *(self.paint("strong", line) for line in lines[1:])]

    def frames(self, d: Diagnosis) -> list[str]:
        raised = d.raised_at
        if d.at and raised and (d.at.path, d.at.line) == (raised.path, raised.line):
            raised = None
        margin = gutter(d.at, raised)
        lines: list[str] = []
        raises = words.RAISES_HERE if d.view is View.SOURCE else words.RAISED_HERE
        mended = self.mended_elsewhere(d)
        for at, label in ((d.at, mended or words.CHANGE_HERE), (raised, raises)):
            if at is None:
                continue
            if lines:
                lines.append(self.paint("gutter", " " * margin + " |"))
            needs_label = label is raises or raised is not None or mended is not None
            lines += frame(
                at,
                self.read,
                self.width,
                self.paint,
                style=d.rule.severity.value,
                margin=margin,
                before=2 if at is d.at else 1,
                after=1 if at is d.at else 0,
                label=label.show(self.lang) if needs_label else "",
                cwd=self.cwd,
            )
        return lines

    def mended_elsewhere(self, d: Diagnosis) -> Text | None:
        """The line that the first fix changes, if it is none of those that are marked."""
        fixes = ranked(d.fixes)
        if d.at is None or not fixes or not fixes[0].edits:
            return None
        last = max(d.at.line, d.at.end_line)
        spans = [edit.span for edit in fixes[0].edits]
        if any(s.path == d.at.path and d.at.line - 1 <= s.line <= last + 1 for s in spans):
            return None
        first = spans[0]
        if first.path == d.at.path:
            return words.MENDED_IN.fill(
                place=words.LINE_NUMBER.fill(line=first.line).show(self.lang)
            )
        return words.MENDED_IN.fill(
            place=one_line(f"{shown_path(first.path, self.cwd)}:{first.line}")
        )

    def notes(self, notes: tuple[Text, ...]) -> list[str]:
        bullet = "- " if len(notes) > 1 else ""
        lines: list[str] = []
        for note in notes:
            prefix = self.hang if lines else self.label(words.NOTE)
            lines += self.told(note, prefix, bullet)
        return lines

    def told(self, text: Text, prefix: str, bullet: str) -> list[str]:
        """One of several remarks under the same label."""
        rest = self.hang + " " * len(bullet)
        shown = clean(text.show(self.lang))
        return self.painted(flow(shown, self.prose, prefix + bullet, rest), prefix)

    def seen(self, d: Diagnosis) -> list[str]:
        """The failing module's path, and the evidence."""
        lines: list[str] = []
        if d.module_path:
            lines += self.labelled(words.MODULE, d.module_path)
        bullet = "- " if len(d.evidence) > 1 else ""
        for number, evidence in enumerate(d.evidence):
            prefix = self.hang if number else self.label(words.SEEN)
            lines += self.evidence(evidence, prefix, bullet)
        while lines and not lines[-1]:
            lines.pop()
        return ["", *lines] if lines else []

    def evidence(self, evidence: Evidence, prefix: str, bullet: str) -> list[str]:
        rest = self.hang + " " * len(bullet)
        lines = self.told(evidence.text, prefix, bullet)
        if evidence.at:
            lines += self.quote(evidence.at, rest)
        if evidence.table and evidence.table.rows:
            lines += ["", *self.table(evidence.table, rest), ""]
        return lines

    def quote(self, at: Span, indent: str) -> list[str]:
        """`path:line | code`, or the code below where both don't fit."""
        place = clean_line(f"{shown_path(at.path, self.cwd)}:{at.line}")
        code = code_line(at, self.read)
        head = indent + self.paint("gutter", place)
        if not code:
            return [head]
        beside = self.width - cells(indent) - cells(place) - 3
        if cells(code) <= beside or beside >= 40:
            return [head + self.paint("gutter", " | ") + clip(code, beside)]
        below = clip(code, max(self.width - cells(indent) - 2, 12))
        return [head, f"{indent}{self.paint('gutter', '| ')}{below}"]

    def table(self, table: Table, indent: str) -> list[str]:
        names = [one_line(column.show(self.lang)) for column in table.columns]
        rows = [[one_line(cell) for cell in row] for row in table.shown(self.lang)]
        count = max(len(names), *(len(row) for row in rows))
        grid = [row + [""] * (count - len(row)) for row in [names, *rows]]
        widths = [max(cells(row[n]) for row in grid) for n in range(count)]
        whole = sum(widths) + 2 * count  # two cells before each column: the mark, or the gap
        room = self.width - whole
        if room < 0:
            return self.records(names, rows, table.marked, indent)
        indent = indent if cells(indent) <= room else " " * min(2, room)
        lines = [indent + self.paint("quiet", self.row(grid[0], widths, "  "))]
        for number in self.shown(len(rows), table.marked, _ROWS):
            if isinstance(number, str):
                lines.append(f"{indent}  {number}")
                continue
            is_marked = number == table.marked
            line = self.row(grid[number + 1], widths, "> " if is_marked else "  ")
            lines.append(indent + (self.paint("strong", line) if is_marked else line))
        return lines

    def row(self, row: list[str], widths: list[int], mark: str) -> str:
        return (mark + "  ".join(map(pad, row, widths))).rstrip()

    def records(
        self, names: list[str], rows: list[list[str]], marked: int | None, indent: str
    ) -> list[str]:
        """The table for a terminal that is too narrow for it: `name: value` lines, row by row."""
        lines: list[str] = []
        for number in self.shown(len(rows), marked, _RECORDS):
            if isinstance(number, str):
                lines.append(f"{indent}  {number}")
                continue
            for column, value in enumerate(rows[number]):
                name = names[column] if column < len(names) else ""
                if not value:
                    continue
                mark = "  " if column else "> " if number == marked else "- "
                start = f"{indent}{mark}"
                text = f"{name}: {value}" if name else value
                wrapped = wrap(text, self.width, start, f"{indent}    ")
                lines += [
                    self.paint("strong", line) if number == marked else line for line in wrapped
                ]
        return lines

    def shown(self, count: int, marked: int | None, limit: int) -> Iterator[int | str]:
        """The numbers of the rows to show, and a remark where some of `count` are left out."""
        around = marked if marked is not None and 0 <= marked < count else count - 1
        head = limit // 4
        stop = min(max(around + 2, limit), count)
        start = stop - (limit - head)
        if count <= limit:
            head, start, stop = 0, 0, count
        yield from range(head)
        if start > head:
            yield words.ROWS_LEFT_OUT.show(self.lang, {"count": start - head})
        yield from range(start, stop)
        if stop < count:
            yield words.ROWS_LEFT_OUT.show(self.lang, {"count": count - stop})

    def fix(self, fix: Fix, number: int) -> list[str]:
        prefix = self.label(words.FIX, str(number) if number else "")
        title = clean(fix.title.show(self.lang))
        lines = self.painted(flow(title, self.prose, prefix, self.hang), prefix)
        style = {True: "new", None: "quiet", False: "warning"}[fix.verified]
        for line in wrap(verification(fix, self.lang), self.prose, self.hang, self.hang):
            lines.append(self.hang + self.paint(style, line[len(self.hang) :]))
        diff = [clean_line(line) for line in fix.diff.rstrip("\n").split("\n")]
        if any(diff):
            widest = max(map(cells, diff))
            indent = self.hang if widest + len(self.hang) <= self.width else "  "
            lines += ["", *((indent + self.changed(line)).rstrip() for line in diff)]
        return lines

    def changed(self, line: str) -> str:
        if line.startswith(("---", "+++", "@@")):
            return self.paint("quiet", line)
        style = {"-": "gone", "+": "new"}.get(line[:1])
        return self.paint(style, line) if style else line

    def labelled(self, label: Text, body: Text | str) -> list[str]:
        text = clean(body.show(self.lang) if isinstance(body, Text) else body)
        if not text.strip():
            return []
        prefix = self.label(label)
        return self.painted(flow(text, self.prose, prefix, self.hang), prefix)

    def verbatim(self, label: Text, items: Iterable[str]) -> list[str]:
        """Lines to copy: never wrapped."""
        lines: list[str] = []
        for item in items:
            prefix = self.hang if lines else self.label(label)
            lines += self.painted([prefix + one_line(item)], prefix)
        return lines

    def label(self, label: Text, number: str = "") -> str:
        text = f"{label.show(self.lang)}{' ' if number else ''}{number}: "
        return pad(text, len(self.hang))

    def painted(self, lines: list[str], prefix: str) -> list[str]:
        """The lines with the label at their start in bold."""
        label = prefix.rstrip()
        return [self.paint("strong", label) + lines[0][len(label) :], *lines[1:]]


def said(fill: Callable[[Lang], str], template: Text, lang: Lang) -> str:
    """A text of a rule with its facts; without them if a fact can't be shown; as written if nothing else works."""
    for attempt in (fill, lambda lang: template.show(lang, {})):
        try:
            return attempt(lang)
        except Exception:  # a value of the user's with a broken __str__ must not hide the report
            continue
    return template.show(lang)
