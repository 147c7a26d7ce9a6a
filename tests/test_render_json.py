"""Reports as JSON: the published schema is the contract."""

from __future__ import annotations

import json
import math

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports import CASES, CWD, DIFF, FILES, ROOT, SIZES, TRAIN, read, reports
from torchmedic.model import (
    LANGS,
    Diagnosis,
    Severity,
    Span,
)
from torchmedic.render import Report
from torchmedic.render import json as as_json

SCHEMA = json.loads((ROOT / "torchmedic/render/report.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_schema_is_a_schema_and_describes_everything():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def walk(node, where):
        for name, field in node.get("properties", {}).items():
            assert "description" in field or "$ref" in field, f"{where}.{name}"
            walk(field, f"{where}.{name}")
        if node.get("type") == "object" and where != "#.facts":
            assert "additionalProperties" in node, where
        for part in (node.get("items"), *node.get("oneOf", ())):
            if part:
                walk(part, where)

    walk(SCHEMA, "#")
    for name, definition in SCHEMA["$defs"].items():
        assert "description" in definition
        walk(definition, name)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda report: report.update(extra=1),
        lambda report: report.update(schema_version=2),
        lambda report: report.pop("notes"),
        lambda report: report["diagnoses"][0].update(colour="red"),
        lambda report: report["diagnoses"][0].update(severity="fatal"),
        lambda report: report["diagnoses"][0].update(line="10"),
        lambda report: report["diagnoses"][0]["raised_at"].update(column=1),
        lambda report: report["diagnoses"][0]["fixes"][0].update(verified="yes"),
        lambda report: report["diagnoses"][0]["evidence"][0]["table"].pop("marked"),
    ],
)
def test_schema_refuses_what_the_contract_does_not_have(spoil):
    report = as_json.plain(CASES["mismatch"], "en", read, CWD)
    VALIDATOR.validate(report)
    spoil(report)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(report)


def test_json_says_everything_that_was_found():
    from torchmedic import __version__

    report = json.loads(as_json.render(CASES["mismatch"], "en", read, CWD))
    assert list(report) == ["schema_version", "tool", "command", "diagnoses", "notes"]
    assert report["tool"] == {"name": "torchmedic", "version": __version__}
    assert report["notes"] == ["Sizes from a re-run."]
    (found,) = report["diagnoses"]
    assert (found["path"], found["line"], found["column"]) == ("train.py", 10, 18)
    assert (found["end_line"], found["end_column"]) == (10, 42)
    assert found["raised_at"] == {"path": "train.py", "line": 14}
    assert found["title"] == "`fc` takes 1600 features, but 576 arrive"
    assert found["why"].endswith(
        "must be exactly 1600.\n\nThe convolution leaves 64 maps of 3 × 3, which is 576 numbers."
    )
    assert found["facts"]["shape"] == [32, 576]
    assert found["evidence"][0]["table"]["marked"] == 2
    assert found["evidence"][0]["path"] is None
    assert found["evidence"][1]["line"] == 8
    assert "table" not in found["evidence"][1]
    assert [fix["verified"] for fix in found["fixes"]] == [True, None, False]
    assert found["fixes"][0]["edits"] == [
        {
            "path": "train.py",
            "line": 10,
            "column": 28,
            "end_line": 10,
            "end_column": 32,
            "text": "64 * 3 * 3",
        }
    ]
    assert found["fixes"][0]["diff"] == DIFF


def test_json_facts_are_the_same_in_both_languages():
    english, korean = (as_json.plain(CASES["mismatch"], lang, read, CWD) for lang in LANGS)
    assert english["diagnoses"][0]["facts"] == korean["diagnoses"][0]["facts"]
    assert english["diagnoses"][0]["title"] != korean["diagnoses"][0]["title"]


def test_json_of_a_line_ends_where_the_line_ends():
    def ends(at, reader):
        (found,) = as_json.plain(Report("run", (Diagnosis(SIZES, at),)), "en", reader, CWD)[
            "diagnoses"
        ]
        return found["end_line"], found["end_column"]

    line = FILES[TRAIN].splitlines()[9]
    assert ends(Span(TRAIN, 10), read) == (10, len(line))
    assert ends(Span(TRAIN, 10), None) == (10, 0)
    assert ends(Span(TRAIN, 99), read) == (99, 0)
    assert ends(None, read) == (None, None)


def test_json_facts_that_json_lacks():
    loop = []
    loop.append(loop)
    given = {
        "a": math.nan,
        "b": -math.inf,
        "c": {3, 1},
        "d": Severity.ERROR,
        5: b"x",
        "e": loop,
        "f": "\ud800",
    }
    facts = as_json.safe(given)
    assert facts["a"] == "NaN"
    assert facts["b"] == "-Infinity"
    assert facts["c"] == [1, 3]
    assert facts["d"] == "error"
    assert facts["5"] == "b'x'"
    assert facts["f"] == "?"
    json.dumps(facts, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(reports, st.sampled_from(LANGS))
def test_any_report_is_json_that_keeps_the_contract(report, lang):
    written = as_json.render(report, lang, read, CWD)
    written.encode()
    VALIDATOR.validate(json.loads(written, parse_constant=pytest.fail))
