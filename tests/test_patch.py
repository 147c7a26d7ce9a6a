"""Edits touch nothing but their spans, in any encoding and with any line ends."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchmedic.fix import patch
from torchmedic.model import Edit, Fix, Span, Text
from torchmedic.observed.source import lines_of

TITLE = Text("Change it", "바꾸세요")
PIECES = st.sampled_from(
    ["x = 1", "값 = '한글'", "\t", "    ", "\f", "\u2028", "\x85", "é", "\n", "\r\n", "\r", "#", ""]
)
TEXTS = st.lists(PIECES, max_size=25).map("".join)


def fix(*edits: Edit) -> Fix:
    return Fix(edits, TITLE)


def replaced(path: str, line: int, column: int, end: int, text: str) -> Edit:
    return Edit(Span(path, line, column, line, end), text)


def place(text: str, offset: int) -> tuple[int, int]:
    """(line, column) of an offset, by the definition of lines and nothing else."""
    line = 0
    for line, content in enumerate(lines_of(text), 1):
        if offset < len(content) or (offset == len(content) and not content.endswith(("\n", "\r"))):
            return line, offset
        offset -= len(content)
    return line + 1, offset


@st.composite
def texts_with_edits(draw: st.DrawFn) -> tuple[str, list[tuple[int, int, str]]]:
    text = draw(TEXTS)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    stretches = list(zip(cuts[::2], cuts[1::2], strict=False))
    return text, [(start, end, draw(TEXTS)) for start, end in stretches]


def as_edit(text: str, start: int, end: int, new: str) -> Edit:
    return Edit(Span("f.py", *place(text, start), *place(text, end)), new)


@given(texts_with_edits(), st.randoms())
def test_edits_in_any_order_replace_exactly_their_stretches(
    case: tuple[str, list[tuple[int, int, str]]], rng: random.Random
) -> None:
    text, stretches = case
    expected, done = "", 0
    for start, end, new in stretches:
        expected += text[done:start] + new
        done = end
    expected += text[done:]
    edits = [as_edit(text, *stretch) for stretch in stretches]
    rng.shuffle(edits)
    assert patch.apply_edits(text, edits) == expected


@given(texts_with_edits())
def test_places_move_there_and_back(case: tuple[str, list[tuple[int, int, str]]]) -> None:
    text, stretches = case
    mended = patch.Mended(text, [as_edit(text, *stretch) for stretch in stretches])
    moved = 0
    bounds = [0]
    for start, end, new in stretches:
        bounds += [start, end]
        for offset in (start, end):
            # An edge of a replaced stretch stays its edge.
            at = start + moved + (len(new) if offset == end else 0)
            if start < end:
                assert mended.forward(*place(text, offset)) == place(mended.text, at)
        moved += len(new) - (end - start)
    for start, end in zip([*bounds[::2]], [*bounds[1::2], len(text)], strict=True):
        for offset in range(start + 1, end):
            here = place(text, offset)
            assert mended.back(*mended.forward(*here)) == here


@given(texts_with_edits(), st.booleans())
def test_disjoint_edits_commute(case: tuple[str, list[tuple[int, int, str]]], after: bool) -> None:
    text, stretches = case
    first = [as_edit(text, *s) for s in stretches[::2]]
    second = [as_edit(text, *s) for s in stretches[1::2]]
    one = patch.Mended(text, first)
    moved = [
        Edit(
            Span(
                "f.py",
                *one.forward(e.span.line, e.span.column, True),
                *one.forward(e.span.end_line, e.span.end_column, False),
            ),
            e.text,
        )
        for e in second
    ]
    assert patch.apply_edits(one.text, moved) == patch.apply_edits(text, first + second)


@given(TEXTS, st.sampled_from(["utf-8", "utf-8-sig", "latin-1", "cp949"]), st.data())
@settings(max_examples=60)
def test_bytes_outside_the_edit_stay(text: str, encoding: str, data: st.DataObject) -> None:
    head = "" if encoding.startswith("utf") else f"# coding: {encoding}\n"
    body = head + text.encode(encoding, "ignore").decode(encoding)
    offset = data.draw(st.integers(len(head), len(body)))
    old = body.encode(encoding)
    edit = as_edit(body, offset, offset, "added")
    (result,) = patch.rewritten(fix(edit), lambda _: old)
    cut = len(body[:offset].encode(encoding))
    if encoding == "utf-8-sig" or offset:
        assert result.new == old[:cut] + b"added" + old[cut:]
    else:
        assert result.new == b"added" + old


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (replaced("f.py", 1, 0, 3, "a"), replaced("f.py", 1, 2, 5, "b")),
        (replaced("f.py", 1, 2, 2, "a"), replaced("f.py", 1, 2, 2, "b")),
        (replaced("f.py", 1, 1, 4, "a"), replaced("f.py", 1, 2, 2, "b")),
    ],
)
def test_overlapping_edits_are_refused(first: Edit, second: Edit) -> None:
    for edits in ([first, second], [second, first]):
        with pytest.raises(ValueError, match="overlap"):
            patch.apply_edits("abcdef\n", edits)


@pytest.mark.parametrize("span", [(9, 0, 9, 0), (1, 99, 1, 99), (1, 3, 1, 1), (0, 0, 0, 1)])
def test_edits_outside_the_text_are_refused(span: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError):
        patch.apply_edits("abc\n", [Edit(Span("f.py", *span), "x")])


def test_a_span_without_an_end_is_its_line() -> None:
    assert patch.apply_edits("a = 1\r\nb\r\n", [Edit(Span("f", 1), "c")]) == "c\r\nb\r\n"


def test_an_edit_that_an_encoding_cannot_hold_is_refused() -> None:
    edit = replaced("f.py", 2, 0, 0, "값")
    with pytest.raises(ValueError):
        patch.patched(fix(edit), lambda _: b"# coding: latin-1\nx\n")
    assert not patch.parses(fix(edit), lambda _: b"# coding: latin-1\nx\n")


def test_a_fix_that_breaks_the_syntax_does_not_parse() -> None:
    assert patch.parses(fix(replaced("f.py", 1, 4, 5, "2")), lambda _: b"x = 1\n")
    assert not patch.parses(fix(replaced("f.py", 1, 4, 5, "(")), lambda _: b"x = 1\n")
    assert patch.parses(fix(replaced("f.yaml", 1, 4, 5, "(")), lambda _: b"x = 1\n")


def test_several_files_get_one_diff(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    outside = tmp_path.parent / f"{tmp_path.name}-outside.py"
    (tmp_path / "a.py").write_bytes(b"one\ntwo\nthree\nfour\nfive")
    outside.write_bytes(b"x\n")
    made = patch.with_diff(
        fix(
            replaced(str(tmp_path / "a.py"), 5, 0, 4, "FIVE"),
            replaced(str(outside), 1, 0, 1, "y"),
        )
    )
    assert "--- a/a.py\n+++ b/a.py\n@@ -2,4 +2,4 @@\n" in made.diff
    assert "-five\n\\ No newline at end of file\n+FIVE\n\\ No newline at end of file\n" in made.diff
    assert f"--- {outside}\n" in made.diff
    assert not patch.is_applied(made)
    patch.write(made)
    assert patch.is_applied(made)
    assert (tmp_path / "a.py").read_bytes().endswith(b"\nFIVE")


@pytest.mark.skipif(not shutil.which("patch"), reason="needs the patch program")
@pytest.mark.parametrize(
    "old",
    [
        b"a\r\nb\r\nc\r\n",
        b"\xef\xbb\xbfa\nb\n",
        "가\n나\f\n\u2028\n다".encode(),
        b"\tx\n\n\n\ny\n",
    ],
)
def test_the_diff_is_one_that_patch_takes(tmp_path, monkeypatch, old: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "f.py"
    file.write_bytes(old)
    made = patch.with_diff(fix(replaced(str(file), 1, 0, 1, "new")))
    (result,) = patch.rewritten(made)
    subprocess.run(
        ["patch", "--binary", "-p1"], input=made.diff.encode(), check=True, capture_output=True
    )
    assert file.read_bytes() == result.new
    assert patch.is_applied(made)


def test_writing_keeps_the_mode_and_the_link(tmp_path) -> None:
    real = tmp_path / "real.py"
    real.write_bytes(b"x = 1\n")
    real.chmod(0o751)
    link = tmp_path / "link.py"
    link.symlink_to(real)
    patch.write(fix(replaced(str(link), 1, 4, 5, "2")))
    assert link.is_symlink()
    assert real.read_bytes() == b"x = 2\n"
    assert real.stat().st_mode & 0o777 == 0o751
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.py", "real.py"]


def test_a_fix_of_a_file_that_changed_is_refused(tmp_path) -> None:
    file = tmp_path / "f.py"
    file.write_text("x = 1\n")
    made = patch.with_diff(fix(replaced(str(file), 1, 4, 5, "2")))
    file.write_text("y = 3\n")
    with pytest.raises(ValueError, match="changed"):
        patch.write(made)
    assert file.read_text() == "y = 3\n"


def test_all_files_or_none(tmp_path, monkeypatch) -> None:
    files = [tmp_path / name for name in ("a.py", "b.py")]
    for file in files:
        file.write_text("x = 1\n")
    real, calls = os.replace, []

    def failing(source: str, target: str) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="No space"):
        patch.write(fix(*(replaced(str(file), 1, 4, 5, "2") for file in files)))
    assert [file.read_text() for file in files] == ["x = 1\n"] * 2
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_takes_no_file_is_named(tmp_path, monkeypatch) -> None:
    file = tmp_path / "f.py"
    file.write_text("x = 1\n")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Root may write everywhere, so the refusal itself is put in.
    monkeypatch.setattr(tempfile, "mkstemp", refused)
    with pytest.raises(PermissionError, match=f"no file can be made in {tmp_path}"):
        patch.write(fix(replaced(str(file), 1, 4, 5, "2")))
    assert file.read_text() == "x = 1\n"
