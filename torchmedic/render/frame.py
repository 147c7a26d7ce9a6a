"""The lines of code that a diagnosis is about, with the span underlined."""

from __future__ import annotations

from torchmedic.model import Span
from torchmedic.render import Read, shown_path
from torchmedic.render.layout import Paint, cells, clean_line, clip, wrap

_SPAN_LINES = 5  # a longer span shows its first two lines and its last


def location(span: Span, cwd: str | None, is_whole: bool = False) -> str:
    """`path:line:column`, the column from 1 as editors count; for a span that means the line, only if `is_whole`."""
    column = f":{span.column + 1}" if is_whole or span.end_line or span.column else ""
    return clean_line(f"{shown_path(span.path, cwd)}:{span.line}{column}")


def code_line(span: Span, read: Read) -> str:
    """The span's first line, without its indentation; "" if it can't be read."""
    lines = read(span.path)
    return clean_line(lines[span.line - 1].strip()) if 0 < span.line <= len(lines) else ""


def gutter(*spans: Span | None) -> int:
    """How many cells line numbers need, so that frames that belong together stand in one column."""
    last = (max(span.line, span.end_line) + 2 for span in spans if span)
    return max((len(str(number)) for number in last), default=1)


def frame(
    span: Span,
    read: Read,
    width: int,
    paint: Paint,
    *,
    style: str,
    margin: int,
    before: int,
    after: int,
    label: str = "",
    cwd: str | None = None,
) -> list[str]:
    """Where the span is, and its code with `before` and `after` lines of context in at most `width` cells.

    `margin` is the room for line numbers, `label` a remark beside the underlining.
    """
    numbers, lines = _numbers(span, read, before, after)
    arrow = f"{' ' * margin}--> "
    head = paint("gutter", arrow) + location(span, cwd)
    if not lines:
        return [head + (f" ({label})" if label else "")]
    room = max(width - margin - 3, 12)
    shown = {number: clean_line(lines[number]) for number in numbers if number}
    indent = 0
    if any(cells(line) > room for line in shown.values()):
        indent = min(len(line) - len(line.lstrip()) for line in shown.values() if line.strip())
    bar = " " * margin + " |"
    out = [head, paint("gutter", bar)]
    last = max(number for number in numbers if number and _marked(span, number, lines[number]))
    for number in numbers:
        if not number:
            out.append(paint("gutter", "." * max(margin, 3)))
            continue
        mark = _marked(span, number, lines[number])
        text = shown[number][indent:]
        if mark:
            start, end = (len(clean_line(lines[number][:column])) - indent for column in mark)
            text, start, end = _cut(text, max(start, 0), max(end, 0), room)
        start_of_line = paint("gutter", f"{number:>{margin}} |")
        out.append(f"{start_of_line} {clip(text, room)}".rstrip())
        if mark:
            carets = "^" * max(cells(text[start:end]), 1)
            offset = cells(text[:start])
            under = " " * offset + paint(style, carets)
            remark = f" {label}" if label and number == last else ""
            if remark and offset + len(carets) + cells(remark) <= room:
                under += paint(style, remark)
                remark = ""
            out.append(f"{paint('gutter', bar)} {under}")
            if remark:
                out += [
                    f"{paint('gutter', bar)} {paint(style, part)}" for part in wrap(label, room)
                ]
    return out


def _numbers(span: Span, read: Read, before: int, after: int) -> tuple[list[int], dict[int, str]]:
    """The line numbers to show (0: some are left out), and the lines."""
    file = read(span.path)
    if not 0 < span.line <= len(file):
        return [], {}
    last = min(max(span.end_line, span.line), len(file))
    start = max(span.line - before, 1)
    stop = min(last + after, len(file))
    numbers = list(range(start, stop + 1))
    if last - span.line >= _SPAN_LINES:
        numbers = [n for n in numbers if n <= span.line + 1 or n >= last]
    lines = {n: file[n - 1].rstrip("\r\n") for n in numbers}
    while numbers[0] < span.line and not lines[numbers[0]].strip():
        del numbers[0]
    while numbers[-1] > last and not lines[numbers[-1]].strip():
        del numbers[-1]
    if last - span.line >= _SPAN_LINES:
        numbers.insert(numbers.index(last), 0)
    return numbers, lines


def _marked(span: Span, number: int, line: str) -> tuple[int, int] | None:
    """The columns of this line to underline, in characters; None if the span is elsewhere."""
    last = max(span.end_line, span.line)
    if not span.line <= number <= last:
        return None
    code_end = len(line.rstrip())
    code_start = min(len(line) - len(line.lstrip()), code_end)
    start, end = code_start, code_end
    if number == span.line and (span.end_line or span.column):
        start = min(max(span.column, 0), len(line))
    if number == span.end_line:
        end = min(max(span.end_column, 0), len(line))
    if number > span.line and end <= start:  # a blank line, or the span ends before the code
        return None
    return start, max(end, start)


def _cut(text: str, start: int, end: int, room: int) -> tuple[str, int, int]:
    """At most `room` cells of the text, around the characters from `start` to `end`, and where those went."""
    if cells(text) <= room:
        return text, start, end
    marked = cells(text[start:end])
    first = 0
    if cells(text[:end]) > room - 1:
        lead = max((room - 2 - marked) * 2 // 3, 0)
        first = start
        while first and lead >= (wide := cells(text[first - 1])):
            lead -= wide
            first -= 1
    lead_sign = "…" if first else ""
    shown = clip(text[first:], room - len(lead_sign))
    shift = len(lead_sign) - first
    whole = lead_sign + shown
    return whole, start + shift, min(end + shift, len(whole))
