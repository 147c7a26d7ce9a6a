"""Wrapping, clipping and underlining in terminal cells."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from reports import width_of
from torchmedic.model import Span
from torchmedic.render.frame import frame
from torchmedic.render.layout import (
    _PLAIN,
    Paint,
    blocks,
    cells,
    clean,
    clip,
    flow,
    unwrapped,
    wrap,
)

PLAIN = {"style": "error", "margin": 2, "before": 0, "after": 0}

words_of_prose = st.text("ab한글é—()`", min_size=1, max_size=50)


@settings(deadline=None)
@given(
    st.lists(words_of_prose, max_size=12), st.integers(24, 60), st.sampled_from(["", "why:    "])
)
def test_wrapping_breaks_at_spaces_only(prose, width, prefix):
    rest = " " * len(prefix)
    lines = wrap(" ".join(prose), width, prefix, rest)
    assert all(cells(line) <= width for line in lines)
    assert lines[0].startswith(prefix)
    content = [line[len(prefix) :] for line in lines]
    assert "".join(content).replace(" ", "") == "".join(prose)
    if all(cells(word) <= width - len(prefix) for word in prose):
        assert " ".join(content).split() == prose


def test_what_is_not_looked_up_takes_one_cell():
    assert len(_PLAIN) > 500 and "×" in _PLAIN and "가" not in _PLAIN
    assert {cell_len(c) for c in _PLAIN} == {1}
    assert all(clean(f"\t{c}") == f"    {c}" for c in _PLAIN)


def test_a_product_is_one_word():
    assert wrap("as many as 64 × 3 × 3 numbers", 20) == ["as many as", "64 × 3 × 3 numbers"]


def test_blocks_of_a_text():
    text = "one\ntwo\n\n    x = 1\n\n    y = 2\n\n- a\n  b\n- c\n```python\nz\n```\nthree - four\n- five"
    assert list(blocks(text)) == [
        ("prose", "one two"),
        ("code", "x = 1\n\ny = 2"),
        ("item", "- a b"),
        ("item", "- c"),
        ("code", "z"),
        ("prose", "three - four - five"),
    ]
    assert unwrapped(text).startswith(
        "one two\n\n    x = 1\n\n    y = 2\n\n- a b\n- c\n\n    z\n\nthree"
    )
    assert [kind for kind, _ in blocks("1. a\n2. b\n- c")] == ["step", "step", "item"]
    assert unwrapped("1. a\n2. b\n- c") == "1. a\n2. b\n\n- c"
    assert flow("- a\n- b\n\nc", 40, "see: ", "     ") == ["see: - a", "     - b", "", "     c"]


@given(st.text("a한é…", max_size=30), st.integers(1, 30))
def test_clipping_fits(text, room):
    clipped = clip(text, room)
    assert cells(clipped) <= room
    assert clipped == text or (clipped.endswith("…") and text.startswith(clipped[:-1]))


@settings(deadline=None)
@given(
    st.text("ab \t한글漢,(", min_size=1, max_size=120), st.integers(0, 119), st.integers(1, 30), st.integers(30, 100)
)  # fmt: skip
def test_carets_stand_below_what_they_mean(line, start, length, width):
    assume(line.strip() and start + length <= len(line) and line[start : start + length].strip())
    span = Span("f.py", 1, start, 1, start + length)
    _, _, code, under = frame(span, lambda _: [line], width, Paint(False), **PLAIN)
    grid = [character for character in code for _ in range(width_of(character))]
    first, last = under.index("^"), under.rindex("^")
    above = grid[first : last + 1]
    token = [c for c in clean(line[start : start + length]) for _ in range(width_of(c))]
    above += [" "] * (len(token) - len(above))  # trailing spaces of the line are not printed
    if width_of(code) + 1 < width and "…" not in code:
        assert above == token
    else:  # cut: the beginning is always there
        visible = min(len(token), 8)
        assert above[:visible] == token[:visible]
    assert width_of(code) <= width
