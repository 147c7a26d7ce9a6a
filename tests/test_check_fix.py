"""`check --fix`: the edits, nothing but the edits, and an end to it."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks import Bench
from torchmedic.checking.files import Files
from torchmedic.checking.mend import contents_with
from torchmedic.model import Edit, Span
from torchmedic.observed.source import lines_of

BAD = "import torch\n\nbad_safe = 1  # keep\nbad_unsafe = 2\nbad_plain = 3\n"


def test_safe_fixes_only(bench: Bench) -> None:
    bench.write(a=BAD)
    done = bench("--fix", "--format", "concise")
    assert bench.read("a.py") == BAD.replace("bad_safe", "good")
    assert done.status == 1 and "Mended 1 mistake in 1 file." in done.err
    assert [line.split("`")[1] for line in done.out.splitlines()] == ["bad_unsafe", "bad_plain"]
    assert "1 can be mended with `--fix --unsafe-fixes`" in done.err


def test_the_summary_tells_both_kinds_apart(bench: Bench) -> None:
    bench.write(a=BAD)
    said = bench().err
    assert "1 can be mended with `--fix`. 1 more with `--fix --unsafe-fixes`" in said


def test_unsafe_fixes_too(bench: Bench) -> None:
    bench.write(a=BAD)
    assert bench("--fix", "--unsafe-fixes", "--ignore", "TM982").status == 1
    assert bench.read("a.py") == BAD.replace("bad_safe", "good").replace("bad_unsafe", "good")


def test_the_first_safe_fix_is_taken_if_only_safe_ones_are_allowed(bench: Bench) -> None:
    bench.write(a="import torch\nbad_both = 1\n")
    assert bench("--fix").status == 0 and bench.read("a.py") == "import torch\ngood = 1\n"
    bench.write(a="import torch\nbad_both = 1\n")
    bench("--fix", "--unsafe-fixes")
    assert bench.read("a.py") == "import torch\nfair = 1\n"


def test_when_all_is_mended_the_status_is_0(bench: Bench) -> None:
    bench.write(a="import torch\nbad_safe = bad_safe\n", b="import torch\n")
    done = bench("--fix")
    assert (done.status, done.out) == (0, "")
    assert done.err.splitlines() == [
        "Mended 2 mistakes in 1 file.",
        "All clear: 2 files looked at, no findings.",
    ]
    again = bench("--fix")
    assert again.status == 0 and again.err.startswith("No fix to apply.")


def test_diff_shows_and_writes_nothing(bench: Bench) -> None:
    bench.write(a=BAD, pkg__b="import torch\nbad_chain = 1\n", c="import torch\n")
    before = bench.read("a.py")
    done = bench("--diff")
    assert done.status == 1 and bench.read("a.py") == before
    assert "Would mend 3 mistakes in 2 files." in done.err
    patch = done.out
    assert patch.count("--- ") == 2 and "+good = 1  # keep" in patch
    applied = subprocess.run(["git", "apply", "-p1", "-"], input=patch.encode(), cwd=bench.folder)
    assert applied.returncode == 0
    assert bench.read("pkg/b.py") == "import torch\ngood = 1\n"
    assert bench("--diff").status == 0 and bench("--diff").out == ""


def test_a_fix_that_makes_room_for_another_takes_more_rounds(bench: Bench) -> None:
    bench.write(a="import torch\nbad_chain = bad_wide\n")
    assert bench("--fix").status == 0
    assert bench.read("a.py") == "import torch\ngood = [good,\n good]\n"


def test_a_fix_that_does_not_help_is_made_once(bench: Bench) -> None:
    bench.write(a="import torch\nx = bad_stubborn\n")
    assert bench("--fix", "--format", "concise").out.startswith("a.py:2:6")
    assert bench.read("a.py") == "import torch\nx = (bad_stubborn)\n"


def test_a_fix_that_would_not_parse_is_not_offered(bench: Bench) -> None:
    bench.write(a="import torch\nx = bad_unparsable\n")
    done = bench("--fix", "--format", "concise")
    assert done.status == 1 and bench.read("a.py") == "import torch\nx = bad_unparsable\n"
    assert "fix:" not in bench().out


def test_the_same_insertion_of_two_fixes_is_made_once(bench: Bench) -> None:
    bench.write(a="import torch\nx = bad_import, bad_import\n")
    assert bench("--fix").status == 0
    assert bench.read("a.py") == "import good\nimport torch\nx = good, good\n"


def test_whole_lines(bench: Bench) -> None:
    bench.write(a="import torch\r\nbad_line = bad_line  # two findings\r\n")
    assert bench("--fix").status == 0
    assert bench.read("a.py") == "import torch\r\nline = good\r\n"


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfimport torch\r\n\r\nbad_safe = '\xea\xb0\x80'\r\n\tx = 1\r\n".replace(
            b"\t", b""
        ),
        b"# coding: euc-kr\nimport torch\nbad_safe = '\xb0\xa1\xb3\xaa' # \xb0\xa1\n",
        b"# coding: latin-1\nimport torch\nx = '\xe9'; bad_safe = 1",
        b"import torch\n\x0cif 1:\n\tbad_safe = 1\n\t\x0c\n\rpass\n",
        b"import torch\rbad_safe = 1\rpass",
        "import torch\nx = '값'; y = bad_safe  # '\u2028'\n".encode(),
    ],
)
def test_bytes_outside_of_the_edit_stay(content: bytes, bench: Bench) -> None:
    path = bench.put("a.py", content)
    assert bench("--fix").status == 0
    assert path.read_bytes() == content.replace(b"bad_safe", b"good")


def test_mode_and_links_are_kept(bench: Bench) -> None:
    bench.write(a=BAD)
    (bench.folder / "a.py").chmod(0o750)
    (bench.folder / "link.py").symlink_to("a.py")
    bench("--fix", "link.py")
    assert (bench.folder / "link.py").is_symlink()
    assert stat.S_IMODE((bench.folder / "a.py").stat().st_mode) == 0o750
    assert "good = 1" in bench.read("a.py")
    assert sorted(path.name for path in bench.folder.iterdir()) == ["a.py", "link.py"]


def test_what_cannot_be_written_is_told_and_the_others_are_mended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write(a=BAD, b=BAD)
    real = os.access
    monkeypatch.setattr(os, "access", lambda p, mode: not str(p).endswith("a.py") and real(p, mode))
    done = bench("--fix", "--format", "concise")
    assert done.status == 2
    assert sum("a.py: was not mended: " in line for line in done.err.splitlines()) == 1
    assert "it is read-only" in done.err
    assert bench.read("a.py") == BAD and "good = 1" in bench.read("b.py")
    assert "a.py:3:1" in done.out and "b.py:3:1" not in done.out
    assert "Mended 1 mistake in 1 file." in done.err


def test_a_file_that_changed_meanwhile_is_left_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchmedic.checking import mend

    def late(outcome: mend.Outcome) -> list[object]:
        bench.write(a=BAD + "# typed meanwhile\n")
        return list(real(outcome))

    real = mend.write
    monkeypatch.setattr(mend, "write", late)
    bench.write(a=BAD)
    done = bench("--fix")
    assert done.status == 2 and "a.py: was not mended, because it changed" in done.err
    assert bench.read("a.py") == BAD + "# typed meanwhile\n"


def test_a_fix_in_another_file_is_made_only_if_that_was_asked_for(bench: Bench) -> None:
    bench.write(a="import torch, shared\n", shared="bad_safe = 1\n")
    bench("--fix", "a.py")
    assert bench.read("shared.py") == "bad_safe = 1\n"
    assert bench("--fix", "a.py", "shared.py").status == 0
    assert bench.read("shared.py") == "good = 1\n"


def test_unchosen_and_silenced_findings_are_not_mended(bench: Bench) -> None:
    text = "import torch\nbad_safe = 1  # torchmedic: ignore[TM981]\n"
    bench.write(a=text, b="import torch\nbad_safe = 1\n")
    bench.put("pyproject.toml", '[tool.torchmedic.per-file-ignores]\n"b.py" = ["TM981"]\n')
    assert bench("--fix").status == 0
    assert bench.read("a.py") == text and "bad_safe" in bench.read("b.py")


PIECES = st.sampled_from(
    [
        "x = 1",
        "값 = '한글'",
        "bad_safe",
        "good",
        "\t",
        " ",
        "\f",
        "\u2028",
        "\n",
        "\r\n",
        "\r",
        "#",
        "",
    ]
)


@given(
    st.lists(PIECES, max_size=30).map("".join),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80), PIECES), max_size=4),
)
@settings(max_examples=300, deadline=None)
def test_contents_change_inside_of_edits_only(
    text: str, stretches: list[tuple[int, int, str]]
) -> None:
    """Either nothing is said to change, or the text is the old one with exactly these stretches replaced."""
    files = Files()
    files.instead["a.py"] = text.encode()

    def place(offset: int) -> tuple[int, int]:
        line = 0
        for line, content in enumerate(lines_of(text), 1):
            if offset < len(content):
                return line, offset
            offset -= len(content)
        return (line + 1, 0) if text.endswith(("\n", "\r")) or not line else (line, len(content))

    edits, cuts = [], []
    for one, other, new in stretches:
        start, end = sorted(min(n, len(text)) for n in (one, other))
        cuts.append((start, end, new))
        edits.append(Edit(Span("a.py", *place(start), *place(end)), new))
    contents = contents_with([edits], files)
    if not contents:
        return
    expected, moved = text, 0
    for start, end, new in sorted(set(cuts)):
        expected = expected[: start + moved] + new + expected[end + moved :]
        moved += len(new) - (end - start)
    assert contents["a.py"] == expected.encode()
    compile(expected, "a.py", "exec", 0x400)
