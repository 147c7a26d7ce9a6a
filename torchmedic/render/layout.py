"""Text on a terminal: widths in cells, lines wrapped at spaces, colours that carry no meaning of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator

PROSE_WIDTH = 100  # beyond this the eye loses the next line
NARROWEST = 24  # below this nothing can be laid out: lines overflow instead
TAB = "    "
_LISTED = ("item", "step")  # kinds of blocks that follow their like without an empty line

_STYLES = {
    "error": "1;31",
    "warning": "1;33",
    "advice": "1;36",
    "strong": "1",
    "gutter": "36",
    "gone": "31",
    "new": "32",
    "quiet": "2",
}

# One visible character for each that would move the cursor, hide text or can't be encoded: columns stay right.
_INVISIBLE = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
_INVISIBLE |= dict.fromkeys(
    (*range(0x80, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD
)
del _INVISIBLE[ord("\t")], _INVISIBLE[ord("\n")]
_SURROGATE = "[\ud800-\udfff]"
# One cell each, and nothing to clean: Latin letters, and what our own texts use beyond them.
_RANGES = ((0x20, 0x7F), (0xA1, 0xAD), (0xAE, 0x300), (0x2010, 0x2028), (0x2190, 0x2194))
_PLAIN = frozenset("−≤≥").union(*(map(chr, range(*r)) for r in _RANGES))


class Paint:
    """Puts ANSI colours around text, or nothing at all."""

    def __init__(self, colour: bool) -> None:
        self.colour = colour

    def __call__(self, style: str, text: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.colour and text else text


def clean(text: str) -> str:
    """The text without control characters; tabs become four spaces, line ends stay."""
    if _PLAIN.issuperset(text):
        return text
    text = text.translate(_INVISIBLE)
    return re.sub(_SURROGATE, "\ufffd", text).replace("\t", TAB)


def clean_line(text: str) -> str:
    """The same, with line ends made visible too: each character but the tab stays one character."""
    return clean(text).replace("\n", "␊")


def one_line(text: str) -> str:
    return clean(" ".join(text.split()))


def cells(text: str) -> int:
    """How many columns a terminal takes for it: Hangul two each."""
    if _PLAIN.issuperset(text):
        return len(text)
    from rich.cells import cell_len  # 4 ms, not needed for a report in English

    return cell_len(text)


def pad(text: str, width: int) -> str:
    return text + " " * (width - cells(text))


def clip(text: str, room: int) -> str:
    """The text's beginning in at most `room` cells, with … if something is missing."""
    return text if cells(text) <= room else _start(text, room - 1) + "…"


def _start(text: str, room: int) -> str:
    used = 0
    for index, character in enumerate(text):
        used += cells(character)
        if used > room:
            return text[:index]
    return text


def wrap(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Lines of at most `width` cells, broken at spaces, and inside a word if it fits on no line.

    `first` stands before the first line, `rest` before all others. A product (`64 × 3 × 3`) is one word.
    """
    lines: list[str] = []
    line, is_empty = first, True
    for word in _words(text):
        while True:
            room = width - cells(line) - (not is_empty)
            if cells(word) <= room:
                line += word if is_empty else f" {word}"
                is_empty = False
                break
            if is_empty and (lines or cells(first) <= cells(rest)):
                head = _start(word, room) or word[0]
                line, word = line + head, word[len(head) :]
            lines.append(line)
            line, is_empty = rest, True
            if not word:
                break
    return lines if is_empty and lines else [*lines, line]


def _words(text: str) -> Iterator[str]:
    held: list[str] = []
    for word in clean(text).split():
        if held and word != "×" and held[-1] != "×":
            yield " ".join(held)
            held.clear()
        held.append(word)
    if held:
        yield " ".join(held)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """The text's ("prose" | "item" | "step" | "code", content), where a step is a numbered item.

    A blank line ends a paragraph; four spaces or ``` mean code.
    """
    kind, held, is_fenced = "", list[str](), False

    def flush() -> Iterator[tuple[str, str]]:
        nonlocal kind
        if held:
            yield kind, "\n".join(held).strip("\n") if kind == "code" else " ".join(held)
        held.clear()
        kind = ""

    for line in text.expandtabs(4).split("\n"):
        stripped = line.strip()
        if stripped.startswith("```"):
            yield from flush()
            is_fenced = not is_fenced
        elif is_fenced or (line.startswith(TAB) and kind in ("", "code") and stripped):
            kind = "code"
            held.append(line if is_fenced else line[len(TAB) :])
        elif not stripped:
            if kind == "code":
                held.append("")
            else:
                yield from flush()
        else:
            opens = re.match(r"(?:(?P<item>[-*])|(?P<step>\d+\.)) ", stripped)
            if kind == "code" or (opens and kind != "prose"):
                yield from flush()
            kind = kind or (opens and opens.lastgroup) or "prose"
            held.append(stripped)
    yield from flush()


def unwrapped(text: str) -> str:
    """The text with each paragraph on one line, for readers that wrap by themselves."""
    out, before = "", ""
    for kind, content in blocks(text):
        if kind == "code":
            content = "\n".join(f"{TAB}{line}".rstrip() for line in content.split("\n"))
        gap = "\n" if kind == before and kind in _LISTED else "\n\n"
        out, before = out + (gap if out else "") + content, kind
    return out


def flow(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """A text of several paragraphs, wrapped: one line at least. `first`, `rest` as in `wrap`. Code is never wrapped."""
    lines: list[str] = []
    before = ""
    for kind, content in blocks(text):
        if lines and not (kind == before and kind in _LISTED):
            lines.append("")
        prefix = rest if lines else first
        if kind == "code":
            start = f"{prefix}  "
            for line in content.split("\n"):
                lines.append(f"{start}{clean(line)}".rstrip())
                start = f"{rest}  "
        elif kind in _LISTED:
            bullet, _, content = content.partition(" ")
            hang = rest + " " * (len(bullet) + 1)
            lines += wrap(content, width, f"{prefix}{bullet} ", hang)
        else:
            lines += wrap(content, width, prefix, rest)
        before = kind
    return lines or [first.rstrip()]
