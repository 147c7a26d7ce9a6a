"""The vocabulary: what the tool knows (`Rule`) and what it says (`Diagnosis`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar

Lang = Literal["en", "ko"]
LANGS: tuple[Lang, ...] = ("en", "ko")
T = TypeVar("T")


class Severity(Enum):
    ERROR = "error"  # the program fails, or its result is wrong
    WARNING = "warning"  # it runs, but hardly anyone wants this
    ADVICE = "advice"  # it is correct, and could be better: faster, smaller, repeatable


class View(Enum):
    """The four ways in which a program can be observed."""

    SOURCE = "source"
    FAILURE = "failure"
    RUN = "run"
    PLAN = "plan"


class Text(NamedTuple):
    """One passage for a reader, in every language the tool speaks.

    `{holes}` are filled from facts: by `show(lang, facts)` for the texts of a rule, or at once by `fill`.
    """

    en: str
    ko: str

    def show(self, lang: Lang, facts: Mapping[str, object] | None = None) -> str:
        """The passage without its indentation. With `facts`, holes are filled; an unknown one shows as "…"."""
        text = self.en if lang == "en" else self.ko
        if "\n" in text:
            from textwrap import dedent

            text = dedent(text)
        text = text.strip()
        return text if facts is None else text.format_map(_Shown(facts))

    def fill(self, **facts: object) -> Text:
        """The same passage with its holes filled in both languages; a fact that is a `Text` is shown in each."""
        shown = ({n: _in(lang, value) for n, value in facts.items()} for lang in LANGS)
        return Text(*(self.show(lang, each) for lang, each in zip(LANGS, shown, strict=True)))

    def holes(self, lang: Lang) -> set[str]:
        text = self.en if lang == "en" else self.ko
        return {name for _, name, _ in _parts(text) if name}


def _in(lang: Lang, value: object) -> object:
    return value.show(lang) if isinstance(value, Text) else value


class _Shown(dict[str, str]):
    """Facts as a reader sees them. Never raises: a missing fact must not hide a report."""

    def __init__(self, facts: Mapping[str, object]) -> None:
        super().__init__()
        self._facts = facts

    def __missing__(self, key: str) -> str:
        try:
            return show_value(self._facts[key])
        except Exception:  # no such fact, or a value whose `__str__` fails
            return "…"


def show_value(value: object) -> str:
    """A fact for a reader: sizes as `(32, 1, 28, 28)`, numbers with at most six digits."""
    if value is None:
        return "…"
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(map(show_value, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


class Span(NamedTuple):
    """A stretch of a file. Lines count from 1, columns in characters from 0. `end_line` 0 means: the line."""

    path: str
    line: int
    column: int = 0
    end_line: int = 0
    end_column: int = 0


class Edit(NamedTuple):
    """Replace what stands in `span` by `text`."""

    span: Span
    text: str


class Fix(NamedTuple):
    """Edits that belong together. `title` says what they do, as an imperative.

    `safe`: a program that was right computes the same as before. `verified`: None = not executed, True = the
    mended copy ran past the mistake, False = it did not; `verification` is the sentence about it.
    """

    edits: tuple[Edit, ...]
    title: Text
    safe: bool = False
    verified: bool | None = None
    verification: Text | None = None
    diff: str = ""


class Table(NamedTuple):
    """Evidence in rows: names and numbers as `str`, words as `Text`. `marked` is the row to look at."""

    columns: tuple[Text, ...]
    rows: tuple[tuple[str | Text, ...], ...]
    marked: int | None = None

    def shown(self, lang: Lang) -> list[list[str]]:
        """The rows for a reader of that language."""
        return [[c if isinstance(c, str) else c.show(lang) for c in row] for row in self.rows]


class Evidence(NamedTuple):
    """One thing that was observed, and where. The text is already filled."""

    text: Text
    at: Span | None = None
    table: Table | None = None


class Variant(NamedTuple):
    """One of the forms that a mistake takes: its own title, and the wordings by which it is recognised.

    Keywords and links of its own are shown instead of the rule's.
    """

    name: str
    title: Text
    why: Text | None = None
    help: Text | None = None
    messages: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


class Diagnosis(NamedTuple):
    """One mistake in one place: the only thing that detectors make and renderers read.

    `at` is what a person has to change; `raised_at` is where Python raised, if that is another place.
    """

    rule: Rule
    at: Span | None
    facts: Mapping[str, object] = {}
    evidence: tuple[Evidence, ...] = ()
    fixes: tuple[Fix, ...] = ()
    view: View = View.FAILURE
    variant: Variant | None = None
    raised_at: Span | None = None
    module_path: str | None = None

    def title(self, lang: Lang) -> str:
        return (self.variant or self.rule).title.show(lang, self.facts)

    def why(self, lang: Lang) -> str:
        return ((self.variant and self.variant.why) or self.rule.why).show(lang, self.facts)

    def help(self, lang: Lang) -> str:
        return ((self.variant and self.variant.help) or self.rule.help).show(lang, self.facts)

    @property
    def search(self) -> tuple[str, ...]:
        return (self.variant and self.variant.search) or self.rule.search

    @property
    def links(self) -> tuple[str, ...]:
        return (self.variant and self.variant.links) or self.rule.links


class Reading(NamedTuple):
    """What a message told: the form of the mistake, and the facts read from the message."""

    variant: Variant
    facts: dict[str, object]


Detector = Callable[[T], Iterable[Diagnosis]]


@dataclass(eq=False)
class Rule:
    """Everything the tool knows about one mistake. One file holds one rule.

    code, name   public for ever; the name says the bad thing ("ignore gradients-not-cleared")
    summary      what the mistake is, without numbers: the first line of its page
    title        the fact with its numbers in {holes}; why: the mechanism; help: what to do, imperative
    lesson       how to find it by hand, and how it does not happen again
    example      what the holes of `why` and `help` are for `bad`: its page and `explain CODE` show them
    bad, good    whole programs; the first fix of `bad` is `good`
    messages     templates in the error's own words; {holes} read facts ({n:d} digits, {s:shape} sizes)
    variants     other forms of the same mistake, with titles and messages of their own
    innocent     programs that look alike and are right
    says         recorded texts of other versions, and of machines we lack
    search       the keywords that a person would search for
    links        official documentation
    needs        what `bad` needs to fail ("cuda"): not executed where that is missing
    """

    code: str
    name: str
    severity: Severity
    summary: Text
    title: Text
    why: Text
    help: Text
    lesson: Text
    bad: str
    good: str
    messages: tuple[str, ...] = ()
    variants: tuple[Variant, ...] = ()
    innocent: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()
    example: Mapping[str, str] = field(default_factory=dict)
    detectors: dict[type, Detector[Any]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.bad, self.good = (program(text) for text in (self.bad, self.good))
        self.innocent = tuple(program(text) for text in self.innocent)

    def on(self, kind: type[T]) -> Callable[[Detector[T]], Detector[T]]:
        """Register the decorated function as this rule's detector for one kind of observation."""

        def register(detect: Detector[T]) -> Detector[T]:
            self.detectors[kind] = detect
            return detect

        return register

    def read(self, message: str) -> Reading | None:
        """The first variant whose template the message follows, with the facts in its holes."""
        own = Variant("", self.title, messages=self.messages)
        for variant in (own, *self.variants):
            for template in variant.messages:
                facts = read(template, message)
                if facts is not None:
                    return Reading(variant, facts)
        return None

    @property
    def all_search(self) -> tuple[str, ...]:
        """The keywords of the rule and of its variants, each once."""
        own = (one for variant in self.variants for one in variant.search)
        return tuple(dict.fromkeys((*self.search, *own)))

    @property
    def all_links(self) -> tuple[str, ...]:
        """The links of the rule and of its variants, each once."""
        own = (one for variant in self.variants for one in variant.links)
        return tuple(dict.fromkeys((*self.links, *own)))

    def variant(self, name: str) -> Variant:
        """The variant of that name. Raises StopIteration if there is none."""
        return next(v for v in self.variants if v.name == name)


def program(text: str) -> str:
    """Without the indentation of its first line. `dedent` finds the smallest one, and takes ten times as long."""
    text = text.lstrip("\n")
    margin = text[: len(text) - len(text.lstrip())]
    return text.removeprefix(margin).replace(f"\n{margin}", "\n") if margin else text


_HOLES = {
    "d": r"-?\d+",
    "shape": r"(?:torch\.Size\()?[\[(][\d, ]*[\])]\)?",
    "word": r"[\w.]+",
    "": r"[^\n]+?",
    "all": r"[\s\S]+?",
}


def _parts(template: str) -> Iterator[tuple[str, str | None, str | None]]:
    """Each stretch of text, the name of the hole behind it, and what stands there behind the colon."""
    from string import Formatter

    for text, hole, kind, _ in Formatter().parse(template):
        yield text, hole, kind


def read(template: str, message: str) -> dict[str, object] | None:
    """The opposite of `format`: what the template's holes hold in this message, or None.

    White space in the template stands for any white space. `{n:d}` reads an integer, `{s:shape}` a list of
    sizes, `{w:word}` a dotted name, `{t:all}` text over several lines, `{t}` text within a line.
    """
    if _anchor(template) not in message:
        return None
    compiled = _PATTERNS.get(template)
    if compiled is None:
        compiled = _PATTERNS[template] = re.compile(_pattern(template))
    found = compiled.search(message)
    return None if found is None else {k: _value(v) for k, v in found.groupdict().items()}


_PATTERNS: dict[str, re.Pattern[str]] = {}


@cache
def _anchor(template: str) -> str:
    """The longest word that every message of this template holds: spares compiling patterns that can't match."""
    return max(
        (word for text, _, _ in _parts(template) for word in text.split()), key=len, default=""
    )


def _pattern(template: str) -> str:
    pattern, seen, hole, kind = "", set[str](), None, None
    for literal, hole, kind in _parts(template):
        pattern += r"\s+".join(re.escape(part) for part in re.split(r"\s+", literal))
        if hole:
            pattern += f"(?P={hole})" if hole in seen else f"(?P<{hole}>{_HOLES[kind or '']})"
            seen.add(hole)
    if hole and not kind:
        pattern += r"(?=\s*(?:\n|$))"
    return pattern


def _value(text: str) -> object:
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if re.fullmatch(_HOLES["shape"], text):
        return [int(n) for n in re.findall(r"\d+", text)]
    return text
