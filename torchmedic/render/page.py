"""A rule as a lesson: what the mistake is, how it looks, why, mended how, and how to find it by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from string import Formatter
from typing import Literal

from torchmedic.model import Diagnosis, Lang, Rule, Severity, Text
from torchmedic.render import words
from torchmedic.render.layout import (
    NARROWEST,
    PROSE_WIDTH,
    Paint,
    cells,
    clean,
    clean_line,
    flow,
    unwrapped,
    wrap,
)
from torchmedic.render.text import said

_WORDINGS = 12  # of a mistake, on a terminal: more push the reason off the screen


@dataclass(frozen=True)
class _Section:
    """`kind` tells what the parts are: prose, words to copy, programs, a diff, or addresses."""

    heading: Text
    kind: Literal["prose", "words", "python", "diff", "links"]
    parts: tuple[str, ...]


def page(rule: Rule, lang: Lang, example: Diagnosis | None = None) -> str:
    """The lesson in Markdown. `example`, a diagnosis of this rule, takes the place of the rule's own example."""
    out = [f"# {rule.code} {rule.name}"]
    for section in _sections(rule, lang, example):
        out += [f"## {section.heading.show(lang)}", *_markdown(section)]
    return "\n\n".join(out) + "\n"


def terminal_page(
    rule: Rule, lang: Lang, width: int, colour: bool, example: Diagnosis | None = None
) -> str:
    """The lesson for a terminal of `width` cells: headings at the margin, everything else indented."""
    paint, width = Paint(colour), min(max(width, NARROWEST), PROSE_WIDTH)
    out = [paint("strong", line) for line in wrap(f"{rule.code} {rule.name}", width, "", "  ")]
    for section in _sections(rule, lang, example):
        heading = wrap(section.heading.show(lang), width)
        out += ["", *(paint("strong", line) for line in heading)]
        out += _plain(section, width, paint, lang)
    return "\n".join(out) + "\n"


def index(rules: Iterable[Rule], lang: Lang) -> str:
    """The table of all rules in Markdown, with links to their pages beside it."""
    suffix = ".md" if lang == "en" else f".{lang}.md"
    columns = (words.CODE, words.NAME, words.KIND, words.WHAT_IT_IS)
    rows = [[column.show(lang) for column in columns], ["---"] * len(columns)]
    for rule in rules:
        summary = " ".join(rule.summary.show(lang).split()).replace("|", "\\|")
        severity = words.SEVERITY[rule.severity].show(lang)
        rows.append([f"[{rule.code}]({rule.code}{suffix})", f"`{rule.name}`", severity, summary])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"# {words.INDEX.show(lang)}\n\n{table}\n"


def wordings(rule: Rule) -> tuple[str, ...]:
    """The error messages of the mistake in all its forms, with … where numbers and names stand."""
    templates = [*rule.messages, *(m for variant in rule.variants for m in variant.messages)]
    return tuple(dict.fromkeys(map(_without_holes, templates)))


def _without_holes(template: str) -> str:
    parts = (
        literal + ("" if hole is None else "…")
        for literal, hole, _, _ in Formatter().parse(template)
    )
    return " ".join("".join(parts).split())


def _sections(rule: Rule, lang: Lang, example: Diagnosis | None) -> Iterator[_Section]:
    texts = example or Diagnosis(rule, None, rule.example)
    silent = words.NO_MESSAGE if rule.severity is Severity.ERROR else words.NO_MESSAGE_MILD
    messages = wordings(rule)
    yield _Section(words.WHAT_IT_IS, "prose", (rule.summary.show(lang),))
    if messages:
        yield _Section(words.WHAT_YOU_SEE, "words", messages)
    else:
        yield _Section(words.WHAT_YOU_SEE, "prose", (silent.show(lang),))
    yield _Section(words.WHY_IT_HAPPENS, "prose", (said(texts.why, rule.why, lang),))
    yield _Section(words.WHAT_TO_DO, "prose", (said(texts.help, rule.help, lang),))
    yield _Section(words.BAD, "python", (rule.bad,))
    if rule.good and rule.good != rule.bad:
        yield _Section(words.GOOD, "python", (rule.good,))
        yield _Section(words.DIFFERENCE, "diff", (_diff(rule.bad, rule.good),))
    yield _Section(words.BY_HAND, "prose", (rule.lesson.show(lang),))
    if rule.innocent:
        yield _Section(words.LOOK_ALIKES, "python", rule.innocent)
    if rule.search:
        yield _Section(words.KEYWORDS, "words", rule.all_search)
    if rule.links:
        yield _Section(words.LINKS, "links", rule.all_links)


def _diff(bad: str, good: str) -> str:
    """The changed lines with one line around them, without the file names that a patch would need."""
    from difflib import unified_diff  # 14 ms, needed for pages only

    lines = unified_diff(bad.splitlines(), good.splitlines(), n=1, lineterm="")
    return "\n".join(line for line in list(lines)[2:])


def _markdown(section: _Section) -> Iterator[str]:
    if section.kind == "prose":
        yield from map(unwrapped, section.parts)
    elif section.kind in ("words", "links"):
        quote = _code if section.kind == "words" else "<{}>".format
        yield "\n".join(f"- {quote(part)}" for part in section.parts)
    else:
        for part in section.parts:
            fence = "```" if "```" not in part else "````"
            yield f"{fence}{section.kind}\n{part.rstrip()}\n{fence}"


def _code(text: str) -> str:
    """The text as inline code, also if it has backticks in it."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _plain(section: _Section, width: int, paint: Paint, lang: Lang) -> Iterator[str]:
    parts = section.parts
    if section.kind == "words" and len(parts) > _WORDINGS:
        more = words.MORE_OF_THEM.show(lang, {"count": len(parts) - _WORDINGS})
        parts = (*parts[:_WORDINGS], more)
    for number, part in enumerate(parts):
        if section.kind == "prose":
            yield from flow(clean(part), width, "  ", "  ")
        elif section.kind == "words":
            yield from wrap(part, width, "  - ", "    ")
        elif section.kind == "links":
            yield f"  {clean_line(part)}"
        else:
            if number:
                yield ""
            lines = [clean_line(line) for line in part.rstrip().split("\n")]
            indent = "    " if max(map(cells, lines)) + 4 <= width else "  "
            for line in lines:
                painted = _changed(line, paint) if section.kind == "diff" else line
                yield (indent + painted).rstrip()


def _changed(line: str, paint: Paint) -> str:
    if line.startswith("@@"):
        return paint("quiet", line)
    style = {"-": "gone", "+": "new"}.get(line[:1])
    return paint(style, line) if style else line
