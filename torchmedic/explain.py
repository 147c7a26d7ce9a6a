"""`torchmedic explain`: a rule as a lesson, a pasted error as a report, or the pages that words lead to."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from torchmedic.console import emit, tell_failure, terminal_width, use_colour, write_output
from torchmedic.engine import diagnose
from torchmedic.model import Diagnosis, Lang, Rule, Text
from torchmedic.observed import Failure
from torchmedic.observed.text import failure_from_text
from torchmedic.render import Read, Report
from torchmedic.rules import RULES
from torchmedic.session import Options, read_lines, with_diffs

MOST_WORDS = 12  # a longer text is an error to be read, not a search
PAGES = 5
MOST_LINES = 100_000  # of a file that a pasted traceback may name

NO_ERROR = Text(
    en="no error message was found in this text, and no page matches its words",
    ko="이 글에서 오류 메시지를 찾지 못했고, 낱말과 맞는 페이지도 없습니다",
)


class Unreadable(Exception):
    """The input can't be read; the text is one sentence for the user."""


def explanation(words: Sequence[str], form: str, output: str | None, lang: Lang) -> int:
    """Prints what is known. 0: a rule answered; 1: none did. Raises Unreadable."""
    rule = rule_named(words[0]) if len(words) == 1 else None
    options = Options(form, output, lang)
    if rule is not None and form == "text":
        return _print(_lesson(rule, lang, output), options)
    if rule is not None:
        report = Report("explain", (), (rule.summary,))
        return _print(_rendered(report, options, read_lines), options)
    text = _input(words)
    failure = failure_from_text(text)
    found = _read(failure) if failure else ()
    notes: tuple[Text, ...] = ()
    if not found:
        is_search = bool(words) and words[0] != "-" and len(text.split()) <= MOST_WORDS
        pages = nearest(text) if is_search else []
        notes = tuple(map(_pointer, pages))
        if failure is not None and not pages:
            from torchmedic.unknown import honest_answer

            notes = honest_answer(failure)
        elif not pages:
            notes = (NO_ERROR,)
    read = read_lines if failure is None else _reader(failure)
    _print(_rendered(Report("explain", found, notes), options, read), options)
    return 0 if found or (notes and notes != (NO_ERROR,) and failure is None) else 1


def _pointer(rule: Rule) -> Text:
    return Text(
        f"{rule.code} {rule.name}: {rule.summary.show('en')} Read more: torchmedic explain {rule.code}",
        f"{rule.code} {rule.name}: {rule.summary.show('ko')} 더 읽기: torchmedic explain {rule.code}",
    )


def rule_named(name: str) -> Rule | None:
    """The rule of that code or name, in any case."""
    wanted = name.strip().lower()
    if not re.fullmatch(r"[\w-]+", wanted):
        return None
    return next((r for r in RULES.values() if wanted in (r.code.lower(), r.name)), None)


def _read(failure: Failure) -> tuple[Diagnosis, ...]:
    found = diagnose(failure, lambda rule, error: tell_failure(f"in the rule {rule.code}", error))
    return tuple(map(with_diffs, found))


def _input(words: Sequence[str]) -> str:
    if list(words) == ["-"] or not words:
        if not words and sys.stdin is not None and sys.stdin.isatty():
            raise Unreadable(
                'nothing to explain. Say: torchmedic explain TM201, "an error text", a file, or -'
            )
        if sys.stdin is None:
            raise Unreadable("standard input is closed")
        return _decoded(sys.stdin.buffer.read(), "standard input")
    if len(words) == 1 and _is_path(words[0]):
        try:
            with open(words[0], "rb") as file:
                return _decoded(file.read(), words[0])
        except OSError as error:
            raise Unreadable(f"cannot read {words[0]}: {error.strerror or error}") from None
    return " ".join(words)


def _is_path(word: str) -> bool:
    """An existing path, or what can only be meant as one."""
    if "\n" in word or len(word) > 1000:
        return False
    return os.path.exists(word) or bool(re.fullmatch(r"[\w./\\~-]+\.(log|txt|out|err|py|md)", word))


def _decoded(data: bytes, name: str) -> str:
    if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable(f"{name} is a binary file, not a text")
    for encoding in ("utf-8-sig", "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp949"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("utf-8", "replace")


def nearest(text: str) -> list[Rule]:
    """The rules whose names, keywords and messages share the most words with the text, best first."""
    wanted = _words(text)
    scored = [(_common(wanted, _vocabulary(rule)), rule.code, rule) for rule in RULES.values()]
    enough = max(1, (len(wanted) + 1) // 2)
    best = sorted((s for s in scored if s[0] >= enough), key=lambda s: (-s[0], s[1]))
    return [rule for _, _, rule in best[:PAGES]] if wanted else []


_COMMON = {
    "the",
    "and",
    "for",
    "with",
    "not",
    "error",
    "pytorch",
    "torch",
    "how",
    "what",
    "why",
    "does",
    "can",
}


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z_]{3,}|[가-힣]{2,}", text.lower())) - _COMMON


def _common(wanted: set[str], vocabulary: set[str]) -> int:
    """How many of the wanted words occur. Korean words carry particles: their beginnings are compared."""
    missing = [word for word in wanted - vocabulary if word[0] >= "가"]
    alike = (any(v.startswith(w) or w.startswith(v) for v in vocabulary) for w in missing)
    return len(wanted & vocabulary) + sum(alike)


def _vocabulary(rule: Rule) -> set[str]:
    parts = [rule.name.replace("-", " "), *rule.all_search, *rule.summary, *rule.messages]
    parts += [text for v in rule.variants for text in (*v.messages, v.title.ko)]
    return _words(" ".join([*parts, rule.title.ko]))


def _lesson(rule: Rule, lang: Lang, output: str | None) -> str:
    from torchmedic.render import page

    if output is not None:
        return page.page(rule, lang)
    return page.terminal_page(rule, lang, terminal_width(sys.stdout), use_colour(sys.stdout))


def _reader(failure: Failure) -> Read:
    """The files as the text shows them: its own lines where a file is not here, or has changed since."""
    shown: dict[str, dict[int, str]] = {}
    for frame in (f for link in (failure, *failure.causes) for f in link.frames):
        if frame.code and 0 < frame.at.line <= MOST_LINES:
            shown.setdefault(frame.at.path, {})[frame.at.line] = frame.code

    def read(path: str) -> Sequence[str]:
        lines, known = read_lines(path), shown.get(path, {})
        if all(n <= len(lines) and lines[n - 1].strip() == known[n].strip() for n in known):
            return lines
        return [known.get(n, "") for n in range(1, max(known) + 1)]

    return read


def _rendered(report: Report, options: Options, read: Read) -> str:
    if options.format == "json":
        from torchmedic.render import json

        return json.render(report, options.lang, read_lines)
    from torchmedic.render import text

    colour = options.output is None and use_colour(sys.stdout, options.colour)
    return text.render(report, options.lang, terminal_width(sys.stdout), colour, read)


def _print(text: str, options: Options) -> int:
    """Raises Unreadable where the report can't be written. A reader that went away is no error."""
    refused: OSError | None = None
    if options.output is None:
        refused = emit(text, sys.stdout)
    else:
        try:
            write_output(options.output, text, os.getcwd())
        except OSError as error:
            refused = error
    if refused is not None and not isinstance(refused, BrokenPipeError):
        where = options.output or "to standard output"
        raise Unreadable(f"cannot write {where}: {refused.strerror or refused}")
    return 0
