"""Which rules are asked for, and where: codes, names and prefixes of codes, from the settings and the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torchmedic.model import Diagnosis, Rule
from torchmedic.render import cell_of

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_PREFIX = r"(?i)tm\d{0,3}"
ALL = "all"


class UnknownRule(Exception):
    """A selector that fits no rule; the text is one sentence for the user."""


class Selectors(NamedTuple):
    """Chosen and ignored rules of one source. `select` None: nothing was said."""

    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()


class Selection(NamedTuple):
    """`layers` from the weakest to the strongest: the settings, then the command line.

    Of the selectors that fit a rule, the most specific decides; of equally specific ones that of the stronger layer,
    and in one layer the ignoring one.
    """

    layers: tuple[Selectors, ...] = ()
    per_file: Mapping[str, tuple[str, ...]] = {}
    folder: str = ""  # where the patterns of `per_file` start

    def check(self) -> None:
        """Raises UnknownRule for the first selector that fits nothing."""
        words = [w for layer in self.layers for w in (*(layer.select or ()), *layer.ignore)]
        words += [word for listed in self.per_file.values() for word in listed]
        for word in words:
            check_word(word)

    def wants(self, d: Diagnosis) -> bool:
        return self.has(d.rule) and not (d.at and self.is_ignored_in(d.rule, d.at.path))

    def has(self, rule: Rule) -> bool:
        """True if the rule is chosen, whatever the file."""
        chosen, ignored = (-1, -1), (-1, -1)
        if all(layer.select is None for layer in self.layers):
            chosen = (0, -1)
        strongest = max(
            (n for n, layer in enumerate(self.layers) if layer.select is not None), default=0
        )
        for number, layer in enumerate(self.layers):
            if layer.select is not None and number == strongest:
                chosen = max(chosen, *((specific(w, rule), number) for w in layer.select), (-1, -1))
            if layer.ignore:
                ignored = max(ignored, *((specific(w, rule), number) for w in layer.ignore))
        if chosen[0] < 0:
            return False
        return ignored[0] < 0 or chosen > ignored

    def is_ignored_in(self, rule: Rule, path: str) -> bool:
        """True if a per-file table silences the rule in this file or notebook."""
        if not self.per_file:
            return False
        name, _ = cell_of(path)
        try:
            relative = os.path.relpath(name, self.folder).replace(os.sep, "/")
        except ValueError:
            relative = name
        return any(
            any(specific(word, rule) >= 0 for word in words) and _pattern(glob).match_file(relative)
            for glob, words in self.per_file.items()
        )


def specific(word: str, rule: Rule) -> int:
    """How closely a selector fits: -1 not at all, 0 for `ALL`, else the length of the code it gives."""
    wanted, code = word.strip().lower(), rule.code.lower()
    if wanted == rule.name or wanted == code:
        return len(code)
    if wanted == ALL:
        return 0
    return len(wanted) if re.fullmatch(_PREFIX, wanted) and code.startswith(wanted) else -1


def words_of(given: Iterable[str]) -> tuple[str, ...]:
    """`("TM1,TM201", "flatten-missing")` as single selectors."""
    return tuple(word.strip() for part in given for word in part.split(",") if word.strip())


def check_word(word: str) -> None:
    """Raises UnknownRule if the selector fits no rule."""
    from torchmedic.rules import RULES

    if word.strip().lower() == ALL or any(specific(word, rule) >= 0 for rule in RULES.values()):
        return
    import difflib

    names = [*(rule.name for rule in RULES.values()), *RULES]
    near = difflib.get_close_matches(word.lower(), names, 1) or difflib.get_close_matches(
        word.upper(), names, 1
    )
    hint = (
        f": did you mean {near[0]}?" if near else ". Give a code, a name, or a prefix such as TM1"
    )
    raise UnknownRule(f"no rule is called {word!r}{hint}")


_PATTERNS: dict[str, GitIgnoreSpec] = {}


def _pattern(glob: str) -> GitIgnoreSpec:
    if glob not in _PATTERNS:
        from pathspec import GitIgnoreSpec

        _PATTERNS[glob] = GitIgnoreSpec.from_lines([glob])
    return _PATTERNS[glob]


def listed(value: object, where: str) -> tuple[str, ...]:
    """A list of texts from the settings. Raises ValueError with one sentence for anything else."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"{where} has to be a list of texts")
    if not all(isinstance(item, str) for item in value):
        raise ValueError(f"{where} has to be a list of texts")
    return tuple(value)
