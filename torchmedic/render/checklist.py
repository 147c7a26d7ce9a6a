"""The twelve boxes of `torchmedic checklist` as text, Markdown and JSON. Pure functions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from torchmedic.model import Lang, Span, Text
from torchmedic.render import shown_path
from torchmedic.render.layout import NARROWEST, PROSE_WIDTH, Paint, cells, clean_line, pad, wrap

State = Literal["right", "wrong", "unseen"]
SCHEMA_VERSION = 1
MARKS: dict[State, str] = {"right": "✓", "wrong": "✗", "unseen": "·"}
_STYLES: dict[State, str] = {"right": "gutter", "wrong": "error", "unseen": "quiet"}
STATES: dict[State, Text] = {
    "right": Text("right", "맞음"),
    "wrong": Text("wrong", "틀림"),
    "unseen": Text("not seen", "보이지 않음"),
}
_COUNT = Text(
    en="{right} right, {wrong} wrong, {unseen} not seen",
    ko="맞음 {right}개, 틀림 {wrong}개, 보이지 않음 {unseen}개",
)
_OTHERS = Text(
    en="{count} more findings outside of these boxes: torchmedic check {path}",
    ko="이 항목 밖에서 찾은 것 {count}개: torchmedic check {path}",
)
_LINE = Text("line {line}", "{line}번째 줄")
_BOX, _EVIDENCE = Text("Box", "항목"), Text("Evidence", "근거")


@dataclass(frozen=True)
class Box:
    """One question. `said`: the evidence, or why nothing was seen; `code`: the rule that found it wrong."""

    key: str
    area: Text
    label: Text
    state: State
    said: Text
    at: Span | None = None
    code: str = ""


@dataclass(frozen=True)
class Checklist:
    """The boxes of one script in order; `others`: how many findings belong to none of them."""

    path: str
    boxes: tuple[Box, ...]
    others: int = 0

    def count(self, state: State) -> int:
        return sum(box.state == state for box in self.boxes)


def render(checked: Checklist, lang: Lang, width: int, colour: bool, cwd: str | None = None) -> str:
    """For a terminal of `width` cells: one box a line, what was seen behind it."""
    paint, width = Paint(colour), min(max(width, NARROWEST), PROSE_WIDTH)
    out = [paint("strong", clean_line(shown_path(checked.path, cwd)))]
    room = max(cells(box.label.show(lang)) for box in checked.boxes)
    area = ""
    for box in checked.boxes:
        if (named := box.area.show(lang)) != area:
            area = named
            out += ["", paint("strong", area)]
        head = (
            f"  {paint(_STYLES[box.state], MARKS[box.state])} {pad(box.label.show(lang), room)}  "
        )
        start = " " * (room + 6)
        if width - room - 6 < NARROWEST:
            out.append(head.rstrip())
            start = " " * 6
            lines = wrap(_said(box, checked.path, lang, cwd), width, start, start)
        else:
            lines = wrap(_said(box, checked.path, lang, cwd), width, start, start)
            lines[0] = head + lines[0][len(start) :]
        out += [line.rstrip() for line in lines]
    out += ["", *wrap(_counted(checked, lang), width)]
    if checked.others:
        out += wrap(_others(checked, lang, cwd), width)
    return "\n".join(out) + "\n"


def markdown(checked: Checklist, lang: Lang, cwd: str | None = None) -> str:
    """A table for a report or an issue."""
    out = [f"# {clean_line(shown_path(checked.path, cwd))}", ""]
    out += [f"| | {_BOX.show(lang)} | {_EVIDENCE.show(lang)} |", "|---|---|---|"]
    for box in checked.boxes:
        label = f"{box.area.show(lang)}: {box.label.show(lang)}"
        said = _said(box, checked.path, lang, cwd).replace("|", "\\|")
        out.append(f"| {MARKS[box.state]} | {label} | {said} |")
    out += ["", f"{_counted(checked, lang)}"]
    if checked.others:
        out += ["", _others(checked, lang, cwd)]
    return "\n".join(out) + "\n"


def as_json(checked: Checklist, lang: Lang, cwd: str | None = None) -> str:
    """One object: `state` is "right", "wrong" or "not seen"; lines count from 1, prose is in `lang`."""
    from torchmedic import __version__

    whole = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "torchmedic", "version": __version__},
        "command": "checklist",
        "path": shown_path(checked.path, cwd),
        "boxes": [_plain(box, lang, cwd) for box in checked.boxes],
        "other_findings": checked.others,
    }
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _plain(box: Box, lang: Lang, cwd: str | None) -> dict[str, Any]:
    return {
        "key": box.key,
        "area": box.area.show(lang),
        "label": box.label.show(lang),
        "state": STATES[box.state].en,
        "said": box.said.show(lang),
        "code": box.code or None,
        "path": shown_path(box.at.path, cwd) if box.at else None,
        "line": box.at.line if box.at else None,
    }


def _said(box: Box, path: str, lang: Lang, cwd: str | None) -> str:
    said = clean_line(box.said.show(lang))
    if box.code:
        said = f"{said} ({box.code})"
    if box.state == "unseen":
        said = f"{STATES['unseen'].show(lang)}: {said}"
    if box.at is None:
        return said
    where = f"{shown_path(box.at.path, cwd)}:{box.at.line}"
    if box.at.path == path:
        where = _LINE.show(lang, {"line": box.at.line})
    return f"{where}: {said}"


def _counted(checked: Checklist, lang: Lang) -> str:
    numbers: dict[str, object] = {state: checked.count(state) for state in MARKS}
    return _COUNT.show(lang, numbers)


def _others(checked: Checklist, lang: Lang, cwd: str | None) -> str:
    facts = {"count": checked.others, "path": shown_path(checked.path, cwd)}
    return _OTHERS.show(lang, facts)
