"""Reports on a terminal: what a person reads. `UPDATE_SNAPSHOTS=1` rewrites tests/snapshots."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reports import (
    ANSI,
    CASES,
    CWD,
    FAILED,
    MENDED,
    MISMATCH,
    ROOT,
    SILENT,
    SIZES,
    TRAIN,
    UNTRIED,
    Unprintable,
    read,
    reports,
    shown,
    stored,
    texts,
    width_of,
)
from torchmedic.model import (
    LANGS,
    Diagnosis,
    Edit,
    Evidence,
    Fix,
    Rule,
    Severity,
    Span,
    Table,
    Text,
)
from torchmedic.render import Report, ranked, shown_path, verification
from torchmedic.render import json as as_json
from torchmedic.render.frame import frame
from torchmedic.render.layout import Paint, cells

PLAIN = {"style": "error", "margin": 2, "before": 0, "after": 0}


@pytest.mark.parametrize("width", [40, 80, 100])
@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("case", CASES)
def test_reports_look_as_they_did(case, lang, width):
    plain = shown(CASES[case], lang, width)
    coloured = shown(CASES[case], lang, width, colour=True)
    assert "\x1b" not in plain
    assert "\x1b[" in coloured
    assert ANSI.sub("", coloured) == plain
    stored(f"{case}-{lang}-{width}.txt", plain)


def test_nothing_to_say_is_nothing():
    assert shown(Report("run")) == ""


def test_parts_come_in_the_order_show_then_tell():
    text = shown(CASES["mismatch"])
    parts = (
        "error[TM901] sizes-disagree: `fc` takes 1600",
        "--> train.py:10:19",
        "10 |",
        "raised here",
    )
    parts += (
        "module: model.fc",
        "seen:",
        "> fc",
        "train.py:8 |",
        "why:",
        "help:",
        "fix 1:",
        "fix 2:",
    )
    parts += ("fix 3:", "search:", "docs:", "more:   torchmedic explain TM901", "note:")
    places = [text.find(part) for part in parts]
    assert -1 not in places
    assert places == sorted(places)


def test_a_fix_that_failed_comes_last_and_says_so():
    assert ranked(MISMATCH.fixes) == [MENDED, UNTRIED, FAILED]
    text = shown(CASES["mismatch"])
    assert "fix 1:  Give `fc`" in text
    assert "verified: ran past the failing line and 3 training steps" in text
    assert "not verified\n" in text
    assert text.count("failed its trial") == 1
    assert verification(FAILED, "ko").startswith("14번째")


def test_one_fix_has_no_number():
    report = Report("run", (Diagnosis(SIZES, None, fixes=(MENDED,)),))
    assert "\nfix:    Give" in shown(report)


def test_the_raising_line_is_shown_once_if_it_is_the_line_to_change():
    at = Span(TRAIN, 14, 15, 14, 39)
    text = shown(Report("run", (Diagnosis(SIZES, at, raised_at=at),)))
    assert text.count("-->") == 1
    assert "raised here" not in text
    assert "change this" not in text


def test_a_file_that_cannot_be_read_leaves_its_place():
    at, raised = Span("/gone.py", 3, 4, 3, 5), Span("/gone.py", 9)
    text = shown(Report("run", (Diagnosis(SIZES, at, raised_at=raised),)))
    assert "--> /gone.py:3:5 (change this)" in text
    assert "--> /gone.py:9 (raised here)" in text


def test_a_span_that_means_the_line_underlines_its_code():
    lines = frame(Span(TRAIN, 10), read, 100, Paint(False), **PLAIN)
    assert lines[-1] == "   |" + " " * 9 + "^" * len("self.fc = nn.Linear(1600, classes)")
    assert lines[0] == f"  --> {TRAIN}:10"


def test_a_span_over_many_lines_keeps_its_ends():
    text = shown(CASES["hangul"])
    assert re.search(r"5 \|.*\n.*\n\.\.\.\n10 \|", text)


def test_long_tables_keep_the_marked_row_and_its_neighbours():
    rows = tuple((f"layer{n}", str(n)) for n in range(200))
    table = Table((Text("layer", "층"), Text("n", "수")), rows, 150)
    report = Report(
        "run", (Diagnosis(SIZES, None, evidence=(Evidence(Text("a", "b"), table=table),)),)
    )
    text = shown(report)
    names = re.findall(r"^ *(?:> )?(layer\d+)", text, re.M)
    assert len(names) == 20
    assert names[:5] == ["layer0", "layer1", "layer2", "layer3", "layer4"]
    assert names[5:] == [f"layer{n}" for n in range(137, 152)]
    assert "> layer150" in text
    assert "… 132 rows left out" in text
    assert "… 48 rows left out" in text
    assert "… 48개 행 생략" in shown(report, "ko")


def test_table_columns_stand_below_each_other():
    lines = shown(CASES["mismatch"], "ko").splitlines()
    rows = [line for line in lines if re.search(r"conv  |flatten  |> fc", line)]
    assert len(rows) == 3
    starts = [
        width_of(line[: re.search(r"\(32", line).start()])
        - width_of(rows[0][: rows[0].index("(32")])
        for line in rows
    ]
    assert starts == [0, 0, 0]


@pytest.mark.parametrize("lang", LANGS)
def test_tables_fit_at_every_width(lang):
    report = Report("run", (Diagnosis(SIZES, None, evidence=MISMATCH.evidence[:1]),))
    for width in range(40, 100):
        lines = shown(report, lang, width).splitlines()
        assert max(width_of(line) for line in lines if "https" not in line) <= width


def test_a_fact_that_cannot_be_shown_does_not_hide_the_report():
    report = Report("run", (Diagnosis(SIZES, None, {"layer": Unprintable(), "given": 5}),))
    assert "`…` takes … features" in shown(report)
    facts = as_json.plain(report, "en")["diagnoses"][0]["facts"]
    assert facts == {"layer": "<Unprintable>", "given": 5}


def test_control_characters_cannot_reach_the_terminal():
    evil = "\x1b[31mred\x07\u202e\r\x9b"
    text = shown(Report("run", (Diagnosis(SIZES, Span(evil, 1), {"layer": evil}),)))
    assert not set("\x1b\x07\u202e\r\x9b") & set(text)


def test_plain_english_needs_no_rich():
    code = "import sys, torchmedic.render.text, torchmedic.render.json; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_paths():
    assert shown_path("/home/kim/digits/a/b.py", CWD) == "a/b.py"
    assert shown_path("/home/kim/digits2/b.py", CWD) == "/home/kim/digits2/b.py"
    assert shown_path("/home/kim/b.py", CWD) == "/home/kim/b.py"
    assert shown_path("/home/kim/digits/..b.py", CWD) == "..b.py"
    assert shown_path("<stdin>", CWD) == "<stdin>"
    assert shown_path("train.py", CWD) == "train.py"


@settings(max_examples=60, deadline=None)
@given(reports, st.sampled_from(LANGS), st.integers(0, 130))
def test_any_report_can_be_shown(report, lang, width):
    plain = shown(report, lang, width)
    assert ANSI.sub("", shown(report, lang, width, colour=True)) == plain
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", plain)
    assert not plain or plain.endswith("\n")


@settings(max_examples=40, deadline=None)
@given(texts, texts, st.sampled_from(LANGS), st.integers(40, 120))
def test_prose_stays_within_the_width(why, note, lang, width):
    assume(
        "    " not in (why + note)[0].expandtabs(4) + (why + note)[1]
        and "```" not in str(why + note)
    )
    rule = Rule("TM999", "any", Severity.ERROR, why, why, why, why, why, "", "")
    report = Report("run", (Diagnosis(rule, None, evidence=(Evidence(note),)),), (note, why))
    for line in shown(report, lang, width).splitlines():
        assert cells(line) <= min(width, 100)


def test_a_mark_says_where_the_fix_is_if_it_is_elsewhere():
    here = Span(f"{CWD}/train.py", 3)
    at_mark, below, beside = (
        Fix((Edit(Span(path, line), "x\n"),), Text("fix", "수정"))
        for path, line in ((here.path, 3), (here.path, 9), (f"{CWD}/model.py", 2))
    )

    def said(*fixes: Fix, lang="en") -> str:
        return shown(Report("check", (Diagnosis(SILENT, here, fixes=fixes),)), lang)

    assert "mended in" not in said(at_mark, below) + said()
    assert "mended in line 9" in said(below, at_mark) and "9번 줄에서" in said(below, lang="ko")
    assert "mended in model.py:2" in said(beside)
