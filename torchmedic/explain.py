"""`torchmedic explain`: a rule as a lesson, a pasted error as a report, or the pages that words lead to."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from torchmedic.engine import diagnose
from torchmedic.model import Diagnosis, Lang, Rule, Text
from torchmedic.observed import Failure
from torchmedic.observed.text import failure_from_text
from torchmedic.render import Report
from torchmedic.rules import RULES
from torchmedic.session import (
    Options,
    emit,
    read_lines,
    tell_failure,
    use_colour,
    with_diffs,
    write_output,
)

MOST_WORDS = 12  # a longer text is an error to be read, not a search
PAGES = 5

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
        return _print(_rendered(report, options), options)
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
    _print(_rendered(Report("explain", found, notes), options), options)
    return 0 if found or (notes and notes != (NO_ERROR,) and failure is None) else 1


def _pointer(rule: Rule) -> Text:
    return Text(
        f"{rule.code} {rule.name}: {rule.summary.show('en')} Read more: torchmedic explain {rule.code}",
        f"{rule.code} {rule.name}: {rule.summary.show('ko')} 더 읽기: torchmedic explain {rule.code}",
    )


def rule_named(name: str) -> Rule | None:
    """The rule of that code or name, in any case."""
    wanted = name.strip().lower()
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
    scored = [(len(wanted & _vocabulary(rule)), rule.code, rule) for rule in RULES.values()]
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


def _vocabulary(rule: Rule) -> set[str]:
    parts = [rule.name.replace("-", " "), *rule.search, *rule.summary, *rule.messages]
    return _words(" ".join([*parts, *(m for v in rule.variants for m in v.messages)]))


def _lesson(rule: Rule, lang: Lang, output: str | None) -> str:
    from torchmedic.render import page

    if output is not None:
        return page.page(rule, lang)
    return page.terminal_page(rule, lang, _width(), use_colour(Options(), sys.stdout))


def _rendered(report: Report, options: Options) -> str:
    if options.format == "json":
        from torchmedic.render import json

        return json.render(report, options.lang, read_lines)
    from torchmedic.render import text

    colour = options.output is None and use_colour(options, sys.stdout)
    return text.render(report, options.lang, _width(), colour, read_lines)


def _width() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError, AttributeError):
        return 100


def _print(text: str, options: Options) -> int:
    if options.output is None:
        emit(text, sys.stdout)
        return 0
    try:
        write_output(options.output, text, os.getcwd())
    except OSError as error:
        raise Unreadable(f"cannot write {options.output}: {error.strerror or error}") from None
    return 0
