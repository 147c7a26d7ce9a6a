"""One line for a terminal, commands for GitHub, SARIF for code hosts: complete, escaped, in the right columns."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote, urlparse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks import Bench
from reports import CASES, CWD, HANGUL, MISMATCH, TRAIN, read, reports
from torchmedic.model import LANGS, Diagnosis, Edit, Fix, Span, Text
from torchmedic.render import Report, cell_of, cell_path, concise, github, sarif

LEVELS = {"error": "error", "warning": "warning", "advice": "note"}


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """Workflow commands read as the runner reads them."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"::(error|warning|notice) ([^:]*)::(.*)", line)
        assert match, line
        values = dict(pair.split("=", 1) for pair in match[2].split(","))
        for key, value in values.items():
            for code, mark in (("3A", ":"), ("2C", ","), ("0D", "\r"), ("0A", "\n"), ("25", "%")):
                value = value.replace(f"%{code}", mark)
            values[key] = value
        message = match[3].replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
        found.append((match[1], values, message))
    return found


def region(found: dict[str, object], lines: list[str]) -> str:
    """The text of a region of one line, its columns counted in code points."""
    line = lines[int(str(found["startLine"])) - 1].rstrip("\r\n")
    if "startColumn" not in found:
        return line
    assert found["endLine"] == found["startLine"]
    return line[int(str(found["startColumn"])) - 1 : int(str(found["endColumn"])) - 1]


def valid(log: dict[str, object]) -> dict[str, object]:
    """The rules of SARIF 2.1.0 for what we write; returns the run."""
    assert set(log) == {"$schema", "version", "runs"} and log["version"] == "2.1.0"
    (run,) = log["runs"]  # type: ignore[misc]
    assert set(run) <= {"tool", "columnKind", "invocations", "results", "originalUriBaseIds"}
    driver = run["tool"]["driver"]
    assert driver["name"] == "torchmedic" and run["columnKind"] == "unicodeCodePoints"
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids))
    for rule in driver["rules"]:
        assert {*rule["shortDescription"], *rule["fullDescription"]} == {"text"}
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", rule["name"])
        assert rule["defaultConfiguration"]["level"] in LEVELS.values()
    for base in run.get("originalUriBaseIds", {}).values():
        assert base["uri"].endswith("/") and urlparse(base["uri"]).scheme == "file"
    assert isinstance(run["invocations"][0]["executionSuccessful"], bool)
    for result in run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in LEVELS.values() and isinstance(result["message"]["text"], str)
        places = [*result["locations"], *result.get("relatedLocations", [])]
        for place in places:
            check_place(place["physicalLocation"], run)
        for fix in result.get("fixes", []):
            assert fix["artifactChanges"]
            for change in fix["artifactChanges"]:
                check_artifact(change["artifactLocation"], run)
                assert change["replacements"]
                for replacement in change["replacements"]:
                    check_region(replacement["deletedRegion"])
                    assert isinstance(replacement["insertedContent"]["text"], str)
    return dict(run)


def check_place(place: dict[str, dict[str, object]], run: dict[str, object]) -> None:
    check_artifact(place["artifactLocation"], run)
    if "region" in place:
        check_region(place["region"])


def check_artifact(artifact: dict[str, object], run: dict[str, object]) -> None:
    uri = str(artifact["uri"])
    assert re.fullmatch(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*", uri), uri
    assert not re.search(r"%(?![0-9A-Fa-f]{2})", uri)
    if "uriBaseId" in artifact:
        assert not urlparse(uri).scheme and not uri.startswith("/")
        assert artifact["uriBaseId"] in run["originalUriBaseIds"]  # type: ignore[operator]


def check_region(found: dict[str, object]) -> None:
    numbers = {key: int(str(value)) for key, value in found.items()}
    assert all(number >= 1 for number in numbers.values())
    if "endLine" in numbers:
        start = (numbers["startLine"], numbers["startColumn"])
        assert start <= (numbers["endLine"], numbers["endColumn"])


@given(reports, st.sampled_from(LANGS), st.none() | st.just(CWD))
@settings(max_examples=150, deadline=None)
def test_every_report_can_be_said_in_every_form(report: Report, lang: str, cwd: str | None) -> None:
    count = len(report.diagnoses)
    assert concise.render(report, lang, False, cwd).count("\n") == count  # type: ignore[arg-type]
    assert len(commands(github.render(report, lang, cwd))) == count  # type: ignore[arg-type]
    run = valid(json.loads(sarif.render(report, lang, cwd)))  # type: ignore[arg-type]
    assert len(run["results"]) == count  # type: ignore[arg-type]
    total = sum(int(x.split()[0]) for x in concise.statistics(report, lang).splitlines())  # type: ignore[arg-type]
    assert total == count


def test_a_line_has_a_column_where_the_span_means_the_whole_line() -> None:
    at = MISMATCH.at
    assert at is not None
    whole = MISMATCH._replace(at=Span(at.path, at.line))
    (line,) = concise.render(Report("check", (whole,)), "en", cwd=CWD).splitlines()
    assert re.match(rf"[^:]+:{at.line}:1: ", line)


def test_one_line() -> None:
    lines = concise.render(Report("check", (MISMATCH, HANGUL)), "en", cwd=CWD).splitlines()
    assert lines == [
        "train.py:10:19: error[TM901] sizes-disagree: `fc` takes 1600 features, but 576 arrive",
        "자료/읽기.py:3:29: warning[TM902] wrong-dtype: the data are float64, the layers float32",
    ]
    coloured = concise.render(Report("check", (MISMATCH,)), "en", colour=True, cwd=CWD)
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured).rstrip("\n") == lines[0] != coloured.rstrip("\n")


def test_commands_for_github() -> None:
    odd = Diagnosis(MISMATCH.rule, Span(f"{CWD}/a,b:c%d.py", 3, 1, 5, 2), MISMATCH.facts)
    line = Diagnosis(MISMATCH.rule, Span(TRAIN, 4), {"layer": "100%\n::warning::x"})
    text = github.render(Report("check", (MISMATCH, HANGUL, odd, line)), "en", CWD)
    first, hangul, strange, whole = commands(text)
    assert first[0] == "error" and hangul[0] == "warning"
    assert first[1] == {
        "title": "torchmedic (TM901 sizes-disagree)", "file": "train.py",
        "line": "10", "col": "19", "endColumn": "42", "endLine": "10",
    }  # fmt: skip
    assert first[2] == "train.py:10: `fc` takes 1600 features, but 576 arrive"
    assert strange[1]["file"] == "a,b:c%d.py" and strange[1]["endLine"] == "5"
    assert "col" not in strange[1]
    assert "::warning" in whole[2] and "\n" not in whole[2] and "100%" in whole[2]


def test_sarif_says_everything() -> None:
    report = CASES["mismatch"]
    log = json.loads(sarif.render(report, "en", CWD, ["abc"]))
    run = valid(log)
    (result,) = run["results"]  # type: ignore[misc]
    lines = list(read(TRAIN))
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "train.py", "uriBaseId": "SRCROOT"}
    assert region(place["region"], lines) == "nn.Linear(1600, classes)"
    related = result["relatedLocations"][0]["physicalLocation"]["region"]
    assert related == {"startLine": 8}
    assert result["partialFingerprints"] == {"torchmedic/v1": "abc"}
    changes = [fix["artifactChanges"][0]["replacements"][0] for fix in result["fixes"]]
    assert region(changes[0]["deletedRegion"], lines) == "1600"
    assert changes[0]["insertedContent"] == {"text": "64 * 3 * 3"}
    notes = run["invocations"][0]["toolExecutionNotifications"]  # type: ignore[index]
    assert notes[0]["message"]["text"] == "Sizes from a re-run."
    korean = json.loads(sarif.render(report, "ko", CWD))["runs"][0]
    assert "층은" in korean["results"][0]["message"]["text"]


def test_sarif_counts_code_points_and_escapes_paths() -> None:
    edit = Edit(Span(HANGUL.at.path, 3, 1, 3, 3), "특")  # type: ignore[union-attr]
    d = Diagnosis(HANGUL.rule, HANGUL.at, HANGUL.facts, fixes=(Fix((edit,), Text("a", "b")),))
    run = valid(json.loads(sarif.render(Report("check", (d,)), "en", CWD)))
    place = run["results"][0]["locations"][0]["physicalLocation"]  # type: ignore[index]
    lines = list(read(HANGUL.at.path))  # type: ignore[union-attr]
    assert region(place["region"], lines).startswith("0]), torch.tensor(표[:, 1:], dtype")
    assert unquote(place["artifactLocation"]["uri"]) == "자료/읽기.py"
    assert place["artifactLocation"]["uri"].isascii()


@pytest.mark.parametrize("path", ["a.ipynb", "/x/a b.ipynb", "x\n.ipynb", "a.ipynb:cell 3.ipynb"])
def test_a_cell_is_told_from_its_path(path: str) -> None:
    assert cell_of(path) == (path, None)
    assert cell_of(cell_path(path, 12)) == (path, 12)


def test_forms_of_a_whole_run(bench: Bench) -> None:
    bench.write(a="import torch\n값 = bad_safe\n", x="import torch\nif\n")
    (run,) = [valid(json.loads(bench("--format", "sarif").out))]
    (result,) = run["results"]  # type: ignore[misc]
    assert result["locations"][0]["physicalLocation"]["region"]["startColumn"] == 5
    assert len(result["partialFingerprints"]["torchmedic/v1"]) == 32
    assert not run["invocations"][0]["executionSuccessful"]  # type: ignore[index]
    done = bench("--format", "github")
    assert done.out.startswith("::error title=torchmedic (TM981 name-wrong),file=a.py,line=2,col=5")
    assert done.status == 2 and done.err.count("\n") == 1
