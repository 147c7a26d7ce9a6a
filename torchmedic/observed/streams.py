"""A pasted log as clean lines: without colours, quotation marks and prefixes, one stream a process."""

from __future__ import annotations

import re

from torchmedic.observed.panels import HEADER, has_panel, without_panels

LOOK = 2000  # characters of a line that patterns look at; a line may be megabytes long
_MAX_PREFIX = 200
_MAX_SHAPES = 16  # kinds of prefix in one log; each makes the pattern below longer

_COLOUR = (
    r"(?:\x1b|\x9b|\^\[)\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\^_a-z]?"
)
_COLOUR_REST = r"\\?(?:x1b|u001b|033)?\[\d{1,2}(?:;\d{1,3}){0,4}m"  # the escape character was lost
_DATE = r"\d{2,4}[-/]\d\d[-/]\d{2,4}|\d\d:\d\d:\d\d(?:[.,]\d+)?Z?|\b[IWEF]\d{4}\b"

# What stands before a message on lines that no traceback explains.
_KNOWN = (
    r"(?:"
    r"\[(?:rank|default|trainer|worker|proc(?:ess)?|gpu)[-_ ]?\d+\]:?(?:<std(?:err|out)>:)?"
    r"|\[\d+,\d+\]<std(?:err|out)>:"
    r"|[\w.-]{1,60}[-_]\d+ {0,20}\| "
    r"|\(\w{1,60} pid=\d+(?:, ip=[\d.]+)?\)"
    r"|\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]?"
    r"|\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?"
    r"|[IWEF]\d{4} \S+ +\d+ \S+\]"
    r"|std(?:err|out) [FP] "
    r"|[\[(]?(?:ERROR|CRITICAL|FATAL|WARNING|INFO|DEBUG)[\])]?(?::[\w.]{1,60}:|:| -| \||(?= ))"
    r"|> |E {3,}|[-|:] "
    r")[ \t]*"
)


class Stream:
    """The lines of one process, and at which line of the whole text each stood."""

    def __init__(self, key: tuple[str, ...] = ()) -> None:
        self.key = key
        self.lines: list[str] = []
        self.at: list[int] = []


def clean(text: str) -> list[str]:
    """The lines without terminal codes; a carriage return ends a line, as a progress bar's does."""
    if "\x1b" in text or "\x9b" in text or "^[[" in text:
        text = re.sub(_COLOUR, "", text)
    if "[0m" in text:
        text = re.sub(_COLOUR_REST, "", text)
    if "&quot;" in text or "&lt;module" in text or "&#39;" in text:
        from html import unescape

        text = unescape(text)
    if "\r" in text:
        text = re.sub(r"\r+\n", "\n", text).replace("\r", "\n")
    text = text.replace("\xa0", " ").replace("\0", "")
    if f"{HEADER}:\\n" in text:  # a JSON log: one record on one line
        text = "\n".join(_unescaped(line) for line in text.split("\n"))
    lines = text.split("\n")
    return without_panels(lines) if has_panel(text) else lines


def _unescaped(line: str) -> str:
    """The traceback out of a record that holds it as an escaped string."""
    if f"{HEADER}:\\n" not in line:
        return line
    string = re.compile(r'(?:[^"\\]|\\.)*').match(line, line.index(HEADER))
    marks = {"n": "\n", "t": "\t", "r": ""}
    body = string[0] if string else line
    return re.sub(r"\\(.)", lambda m: marks.get(m[1], m[1]), body)


def streams(text: str) -> list[Stream]:
    """The text's lines without their prefixes, each process's lines together, in order of appearance."""
    lines = clean(text)
    pattern = _prefix_pattern(lines)
    plain = Stream()
    found: dict[tuple[str, ...], Stream] = {(): plain}
    if pattern is None:
        plain.lines, plain.at = lines, list(range(len(lines)))
    else:
        match = re.compile(pattern).match
        for number, line in enumerate(lines):
            prefix = match(line[:LOOK])
            stream = plain
            if prefix is not None:
                key = _process(prefix[0])
                stream = found.get(key) or found.setdefault(key, Stream(key))
                line = line[prefix.end() :]
            stream.lines.append(line)
            stream.at.append(number)
    for stream in found.values():
        stream.lines = [_without_start(line) if HEADER in line else line for line in stream.lines]
    return list(found.values())


def _process(prefix: str) -> tuple[str, ...]:
    """What in a prefix tells processes apart: "rank1", "worker-0", "pid=123"; not its time."""
    words = re.findall(r"[A-Za-z]\w*[-_=]?\d+|\[\d+,\d+\]", re.sub(_DATE, " ", prefix))
    return tuple(words)


def _without_start(line: str) -> str:
    """A traceback's first line alone: what a progress bar or a logger wrote before it is dropped."""
    head = _head(line)
    if head.strip() and "| " not in head[-3:]:
        return line[len(head) :]
    return line


def _head(line: str) -> str:
    """What stands before the words that begin a traceback (in a notebook: the type is one of them)."""
    head = line[: line.index(HEADER)]
    own = re.search(r"(?:\b[A-Za-z_][\w.]{0,99}(?<!:) {2,})$|\bOriginal $", head[-LOOK:])
    return head[: len(head) - len(own[0])] if own else head


def _prefix_pattern(lines: list[str]) -> str | None:
    """A pattern for the prefixes that stand on every line of some traceback, or None."""
    shapes: dict[str, None] = {}
    for number, line in enumerate(lines):
        if HEADER in line:
            prefix = _head(line)
            group = re.match(r"(\s*)\+ Exception Group $", prefix)
            prefix = group[1] + "| " if group else prefix
            if not prefix.strip() or len(prefix) > _MAX_PREFIX:
                continue
            shape = _shape(prefix)
            if shape not in shapes and _continues(lines, number + 1, shape):
                shapes[shape] = None
        elif 'File "' in line and ", line " in line:
            prefix = line[: line.index('File "')][:_MAX_PREFIX]
            bare = prefix.rstrip()
            if not bare or any(re.fullmatch(s, p) for s in shapes for p in (prefix, prefix[:-2])):
                continue
            if len(shapes) < _MAX_SHAPES and not re.search(r"[\w\"'({\[=]$", bare):
                shapes[_shape(prefix[:-2] if prefix.endswith("  ") else prefix)] = None
        if len(shapes) >= _MAX_SHAPES:
            break
    return "|".join(sorted(shapes, key=len, reverse=True)) or None


def _shape(prefix: str) -> str:
    """A pattern for prefixes like this one: other numbers, and white space cut off at an empty line's end."""
    bare = prefix.rstrip()
    start = len(bare) - len(bare.lstrip())
    parts = []
    for part in re.findall(r"\d+|\s+|\D", bare[start:]):
        parts.append(
            r"\d+" if part[0] in "0123456789" else r"\s+" if part.isspace() else re.escape(part)
        )
    return rf"[ \t]{{0,{start}}}{''.join(parts)}[ \t]{{0,{len(prefix) - len(bare)}}}"


def _continues(lines: list[str], start: int, shape: str) -> bool:
    """True if the next frame of a traceback carries the prefix too."""
    for line in lines[start : start + 12]:
        if 'File "' in line[:LOOK] or re.search(r"\bIn ?\[|^\W*File .*:\d", line[:LOOK]):
            return re.match(shape, line[:LOOK]) is not None
    return False


def without_prefix(line: str) -> str:
    """A lone line without the rank, time, level or quotation marks before its message."""
    line = line.strip()
    for _ in range(8):
        found = re.match(_KNOWN, line[:LOOK])
        if found is None:
            return line
        line = line[found.end() :]
    return line
