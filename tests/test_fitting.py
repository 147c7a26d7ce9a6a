"""Fixes against the text that they change: what is parsed alone is judged as the whole file would be."""

from __future__ import annotations

import ast
import random
import warnings

import pytest

from torchmedic.checking.files import Files
from torchmedic.checking.fitting import Fitting
from torchmedic.checking.reading import Program
from torchmedic.fix.patch import Mended
from torchmedic.model import Edit, Fix, Span, Text
from torchmedic.observed.source import lines_of
from torchmedic.rules import RULES

AWKWARD = '''# a comment
import os; import sys
@staticmethod
def first(a,
          b=(1,
             2)):
    """A text
that goes on at the margin."""
    if a: return b
    elif b:
        x = 1; y = 2
        for i in range(3): pass
    else:
        x = \\
            3
    try:
        z = f"{a!r:>{10}} {'quoted'}"  # kept
    except (ValueError, OSError):
        z = 4
    finally:
\twith open(a) as f: pass
    match a:
        case [1, *rest]:
            x = rest
        case _:
            pass

    return x, \\
        y

class Kept:
    @property
    def one(self):  # ünïcödé
        return "ä", self

    two = 2
if os.name == "nt" \\
   and sys: pass
last = [
    1,
]'''
PIECES = ("", "x", ")", "(", "\n", "\n\n", "    ", "\t", "else:\n", "    else:\n", "elif x:\n", "\\\n", "\\", "'", '"""',
          "#", ":", ";", " = 1", "pass\n", "    pass\n", "        pass\n", "with x:\n", "    with x:\n", "@d\n", "    return 1\n",
          "except E:\n", "case 1:\n", "ö", "\f", ", 1", "x = 1", "\n    x = 1", "\n        x = 1", "\r\n")  # fmt: skip


def parses(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text)
        except (SyntaxError, ValueError):
            return False
    return True


def changed(draw: random.Random, text: str) -> list[Edit]:
    """One edit to three at any places: an insertion, a replaced stretch of a line, or whole lines."""
    lines, edits = lines_of(text), []
    for _ in range(draw.choice((1, 1, 2, 3))):
        line = draw.randrange(len(lines))
        width = len(lines[line].rstrip("\r\n"))
        indent = len(lines[line]) - len(lines[line].lstrip(" "))
        start = draw.choice((0, min(indent, width), draw.randint(0, width), width))
        end_line, end = line, draw.choice((start, start, draw.randint(start, width), width))
        if draw.random() < 0.2 and line + 1 < len(lines):
            start, end_line, end = 0, line + 1, 0
        span = Span("p.py", line + 1, start, end_line + 1, end)
        edits.append(Edit(span, draw.choice(PIECES)))
    return edits


def judged(fitting: Fitting, text: str, edits: list[Edit]) -> tuple[bool, bool]:
    """(what is said, what the whole file says)."""
    fix = Fix(tuple(edits), Text("", ""))
    try:
        mended = Mended(text, edits).text
    except ValueError:
        return fitting.fits(fix), False
    return fitting.fits(fix), mended != text and parses(mended)


@pytest.mark.parametrize(
    "text", [AWKWARD, AWKWARD.replace("\n", "\r\n"), *(r.bad for r in list(RULES.values())[::12])]
)
def test_parts_are_judged_as_the_whole_file(text):
    draw = random.Random(0)
    fitting = Fitting(Program("p.py", text.encode()), Files())
    told = [judged(fitting, text, changed(draw, text)) for _ in range(2_000)]
    assert [said for said, _ in told] == [right for _, right in told]
    assert {right for _, right in told} == {True, False}


def test_what_is_parsed_does_not_grow_with_the_file(monkeypatch):
    """Of a long file only the statements are parsed again that a fix changes."""
    text = "import torch\n" + "".join(
        f"def f{i}(x):\n    for y in x:\n        y = y.float()\n    return y\n" for i in range(300)
    )
    fitting = Fitting(Program("p.py", text.encode()), Files())
    parsed = []
    ast_parse = ast.parse
    monkeypatch.setattr(
        ast, "parse", lambda text, *a, **k: parsed.append(len(text)) or ast_parse(text, *a, **k)
    )
    for i in range(300):
        line = 4 + 4 * i
        edit = Edit(Span("p.py", line, 8, line, 9), "z")
        assert fitting.fits(Fix((edit,), Text("", "")))
    assert sum(parsed) < 3 * len(text)
