"""Lesson pages, and the documentation made of them."""

from __future__ import annotations

import importlib.util
import re

import pytest

from reports import ANSI, DTYPE, MISMATCH, ROOT, SILENT, SIZES, stored
from torchmedic.model import (
    LANGS,
    Text,
)
from torchmedic.render import page, words


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("rule", [SIZES, DTYPE, SILENT], ids=lambda rule: rule.code)
def test_pages_look_as_they_did(rule, lang):
    stored(f"page-{rule.code}-{lang}.md", page.page(rule, lang))
    for width in (40, 100):
        plain = page.terminal_page(rule, lang, width, colour=False)
        coloured = page.terminal_page(rule, lang, width, colour=True)
        assert plain != coloured
        assert ANSI.sub("", coloured) == plain
        stored(f"page-{rule.code}-{lang}-{width}.txt", plain)


def test_a_page_fills_its_holes_from_an_example():
    assert "must be exactly …." in page.page(SIZES, "en")
    assert "must be exactly 1600." in page.page(SIZES, "en", MISMATCH)
    assert "must be exactly 1600." in page.terminal_page(SIZES, "en", 200, False, MISMATCH)


def test_wordings_of_all_variants():
    assert page.wordings(SIZES) == (
        "mat1 and mat2 shapes cannot be multiplied (…x… and …x…)",
        "running_mean should contain … elements not …",
        "weight of `…`",
    )
    assert "- `` weight of `…` ``" in page.page(SIZES, "en")


def test_silent_rules_say_so():
    assert words.NO_MESSAGE_MILD.en in page.page(SILENT, "en")


def test_index_links_to_the_pages_of_its_language():
    assert page.index([SIZES, DTYPE], "en").count(".md)") == 2
    korean = page.index([SIZES, DTYPE], "ko")
    assert "[TM901](TM901.ko.md)" in korean
    assert "The data are \\| float64." in page.index([DTYPE], "en")


def test_docs_are_written_and_checked(tmp_path):
    spec = importlib.util.spec_from_file_location("docs_tool", ROOT / "tools/docs.py")
    docs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(docs)
    wanted = dict(docs.pages([SIZES, DTYPE]))
    assert set(wanted) == {
        f"{n}{s}" for n in ("index", "TM901", "TM902") for s in (".md", ".ko.md")
    }
    assert wanted["TM901.md"].startswith(
        "# TM901 sizes-disagree\n\n[한국어](TM901.ko.md)\n\n## What it is"
    )
    assert len(docs.stale(tmp_path, wanted)) == 6
    assert len(docs.write(tmp_path, wanted)) == 6
    assert docs.stale(tmp_path, wanted) == []
    (tmp_path / "TM901.md").write_text("old")
    (tmp_path / "TM000.md").write_text("of no rule")
    assert docs.stale(tmp_path, wanted) == ["TM000.md", "TM901.md"]
    docs.write(tmp_path, wanted)
    assert docs.stale(tmp_path, wanted) == []


def test_tool_words_hold_no_bare_particles():
    for name, value in vars(words).items():
        for text in value.values() if isinstance(value, dict) else [value]:
            if isinstance(text, Text):
                assert text.en and text.ko, name
                assert text.holes("en") == text.holes("ko"), name
                assert not re.search(r"\}(을|를|은|는|이|가|와|과|로|으로)(\s|$)", text.ko), name
