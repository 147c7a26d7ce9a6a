"""The laws that every rule obeys. A new rule is tested by existing: nothing here names one."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter

import pytest

import torchmedic
from programs import Outcome, execute
from torchmedic.abstract import execute as execute_abstractly
from torchmedic.engine import diagnose
from torchmedic.fix.patch import apply_edits
from torchmedic.model import LANGS, Diagnosis, Rule, Text, show_value
from torchmedic.observed import Failure, Source
from torchmedic.observed.text import failure_from_text
from torchmedic.observed.trace import Trace
from torchmedic.render import Report, json, page, text
from torchmedic.rules import RULES
from torchmedic.silent import found_in

# Rules whose example can't fail on a machine without this. The lists may only shrink.
NOT_EXECUTED_HERE: dict[str, set[str]] = {"cuda": {"items-on-gpu"}}
# Crashes that can't be told from the source, or not yet. The list may only shrink.
NOT_SEEN_IN_SOURCE: set[str] = {
    "dataloader-worker-died",
    "worker-pickling-refused",
    "main-guard-missing",
    "checkpoint-keys-mismatch",
    "checkpoint-loading-refused",
    "out-of-memory",
    "ranks-out-of-step",
    "distributed-parameters-unused",
    "graph-used-twice",
    "inplace-changes-saved-tensor",
    "class-label-out-of-range",
    "embedding-index-out-of-range",
    "training-data-not-shuffled",
    "distributed-epoch-not-set",
    "distributed-wrapper-bypassed",
    "tensor-index-out-of-range",
    "sampling-probabilities-invalid",
    "binary-loss-refused",
    "device-not-available",
    "items-on-gpu",
    "scaler-misused",
}
PARTICLES = "을|를|은|는|이|가|과|와|으로|로"
PARTICLE = re.compile(rf"\{{\w+\}}[`\"')\]]*(?:{PARTICLES})(?=[\s.,)]|$)")
ARTICLE = re.compile(r"\b[Aa]n? [`'\"]*\{\w+\}")
BANNED = re.compile(r"\b(simply|just|illegal|obviously)\b", re.I)
PLACEHOLDER = {"en": "3", "ko": "3"}

rules = list(RULES.values())
every_rule = pytest.mark.parametrize("rule", rules, ids=lambda r: r.name)
executed = pytest.mark.parametrize("rule", [r for r in rules if not r.needs], ids=lambda r: r.name)
failing = pytest.mark.parametrize(
    "rule", [r for r in rules if Failure in r.detectors and not r.needs], ids=lambda r: r.name
)


in_source = pytest.mark.parametrize(
    "rule",
    [
        r
        for r in rules
        if Trace in r.detectors or (Failure in r.detectors and r.name not in NOT_SEEN_IN_SOURCE)
    ],
    ids=lambda r: r.name,
)
silent = pytest.mark.parametrize(
    "rule", [r for r in rules if Failure not in r.detectors and not r.needs], ids=lambda r: r.name
)


def texts_of(rule: Rule) -> Iterator[tuple[str, Text]]:
    for part in ("summary", "title", "why", "help", "lesson"):
        yield part, getattr(rule, part)
    for variant in rule.variants:
        for part in ("title", "why", "help"):
            if (value := getattr(variant, part)) is not None:
                yield part, value


@cache
def run(program: str, folder: Path) -> Outcome:
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(program, encoding="utf-8")
    return execute("train.py", cwd=folder)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rules")


def seen(observed: object) -> list[Diagnosis]:
    """Every diagnosis that a test sees renders in both languages and all formats, without an empty hole."""
    found = diagnose(observed)
    report = Report("run", tuple(found))
    for lang in LANGS:
        for width in (40, 100):
            assert text.render(report, lang, width, False, lambda path: ()).strip() or not found
        assert json.render(report, lang)
        for diagnosis in found:
            for said in (diagnosis.title(lang), diagnosis.why(lang), diagnosis.help(lang)):
                assert said.strip() and "{" not in said
            for passage in (*diagnosis.evidence, *diagnosis.fixes):
                title = getattr(passage, "title", None) or passage.text
                assert not re.search(r"\{\w+\}", title.show(lang)), "a hole was never filled"
    return found


def test_codes_and_names_are_unique():
    assert len({r.code for r in rules}) == len({r.name for r in rules}) == len(rules) >= 1


@every_rule
def test_file_name_is_rule_name(rule):
    modules = [
        m
        for name, m in sys.modules.items()
        if name.startswith("torchmedic.rules.") and getattr(m, "rule", None) is rule
    ]
    assert [m.__name__.rpartition(".")[2] for m in modules] == [rule.name.replace("-", "_")]
    assert re.fullmatch(r"TM\d{3}", rule.code)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)


@every_rule
def test_both_languages_say_the_same(rule):
    for part, said in texts_of(rule):
        assert said.en.strip() and said.ko.strip(), part
        assert said.holes("en") == said.holes("ko"), part
        assert re.search("[가-힣]", said.ko), part
        assert not PARTICLE.search(said.ko), (
            f"{part}: a particle behind a hole fits one fact in two"
        )
    assert not rule.summary.holes("en") and not rule.lesson.holes("en")


@every_rule
def test_wording(rule):
    for part, said in texts_of(rule):
        assert not BANNED.search(said.en), part
        if part == "title":
            assert not said.en.rstrip().endswith(".")
            assert len(said.en) <= 80
            assert (
                said.en[0].islower() or said.en[0] in "`{0123456789" or said.en.split()[0].isupper()
            )
    assert rule.search and rule.links
    assert all(link.startswith("https://") for link in rule.links)


def test_no_article_stands_before_a_hole():
    """`a {type}` is right for `a GRU` and wrong for `an LSTM`."""
    found = []
    for path in Path(torchmedic.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            said = ""
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said = node.value
            elif isinstance(node, ast.JoinedStr):
                said = "".join(
                    getattr(p, "value", "") if isinstance(p, ast.Constant) else "{x}"
                    for p in node.values
                )
            if ARTICLE.search(said):
                found.append(f"{path.name}:{node.lineno}: {said.strip()[:60]}")
    assert found == []


@every_rule
def test_holes_are_filled_by_the_messages(rule):
    """A title's holes come from the rule's own detector or from every template that it stands for."""
    from torchmedic.rules import by_message

    detector = rule.detectors.get(Failure)
    if getattr(detector, "func", None) is not by_message:
        return
    for variant_title, messages in [
        (rule.title, rule.messages),
        *((v.title, v.messages) for v in rule.variants),
    ]:
        for template in messages:
            assert variant_title.holes("en") <= {
                n for _, n, _, _ in Formatter().parse(template) if n
            }


@every_rule
def test_examples_parse_and_are_formatted(rule, tmp_path):
    programs = [rule.bad, rule.good, *rule.innocent]
    for index, program in enumerate(programs):
        ast.parse(program)
        (tmp_path / f"p{index}.py").write_text(program, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "format",
            "--check",
            "--diff",
            "--isolated",
            "--line-length",
            "100",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@failing
def test_bad_raises_and_exactly_this_rule_answers(rule, bench):
    outcome = run(rule.bad, bench / rule.name)
    assert outcome.failure is not None and outcome.status == 1, outcome.stderr
    [diagnosis] = seen(outcome.failure)
    assert diagnosis.rule is rule
    assert diagnosis.at is not None and diagnosis.at.path.endswith("train.py")


@every_rule
def test_a_page_has_no_hole_and_says_what_bad_shows(rule, bench, tmp_path):
    """`explain CODE` knows no finding: what stands in the holes is what the rule's own `bad` shows."""
    assert rule.why.holes("en") | rule.help.holes("en") == set(rule.example)
    if not rule.example:
        return
    found: list[Diagnosis] = []
    if Trace in rule.detectors:
        found = traced(rule.bad, tmp_path)
    elif not rule.needs:
        outcome = run(rule.bad, bench / rule.name)
        found = seen(outcome.failure) if outcome.failure else list(found_in(outcome.run, _raise))
    for diagnosis in found:
        shown = {name: show_value(diagnosis.facts[name]) for name in rule.example}
        assert diagnosis.rule is rule and shown == rule.example
    assert found or rule.needs
    for lang in LANGS:
        said = " ".join(page.page(rule, lang).split())
        for part in (rule.why, rule.help):
            assert " ".join(part.show(lang, rule.example).split()) in said


def _raise(rule: Rule, error: Exception) -> None:
    raise error


@failing
def test_good_and_innocent_run(rule, bench):
    for program in (rule.good, *rule.innocent):
        outcome = run(program, bench / rule.name)
        assert outcome.failure is None and outcome.status == 0, outcome.stderr


@failing
def test_first_fix_of_bad_is_good(rule, bench):
    outcome = run(rule.bad, bench / rule.name)
    (bench / rule.name / "train.py").write_text(rule.bad, encoding="utf-8")
    [diagnosis] = seen(outcome.failure)
    if not diagnosis.fixes:
        pytest.skip("no fix")
    assert apply_edits(rule.bad, diagnosis.fixes[0].edits) == rule.good
    for fix in diagnosis.fixes:
        ast.parse(apply_edits(rule.bad, fix.edits))


@failing
def test_views_agree(rule, bench):
    """The live crash and its printed traceback are answered by the same rule with the same facts."""
    outcome = run(rule.bad, bench / rule.name)
    pasted = failure_from_text(outcome.stderr)
    assert pasted is not None
    [told] = seen(pasted)
    [live] = seen(outcome.failure)
    assert told.rule is live.rule
    assert told.raised_at is not None and told.raised_at.line == live.raised_at.line
    for fact in told.facts.keys() & live.facts.keys():
        assert told.facts[fact] == live.facts[fact], fact


def traced(program: str, folder: Path) -> list[Diagnosis]:
    """What the source alone tells. The file is there because rules read the lines around a finding."""
    folder.mkdir(exist_ok=True)
    path = folder / "train.py"
    path.write_text(program, encoding="utf-8")
    return seen(execute_abstractly(Source(program, str(path))))


@in_source
def test_source_of_bad_shows_exactly_this_rule(rule, tmp_path):
    assert [d.rule.code for d in traced(rule.bad, tmp_path)] == [rule.code]


@every_rule
def test_source_of_good_and_innocent_shows_nothing(rule, tmp_path):
    for program in (rule.good, *rule.innocent):
        assert [d.rule.code for d in traced(program, tmp_path)] == [], program


def test_what_is_not_seen_in_source_is_still_unseen(tmp_path):
    for name in NOT_SEEN_IN_SOURCE:
        rule = next(r for r in rules if r.name == name)
        assert rule.code not in {d.rule.code for d in traced(rule.bad, tmp_path)}, (
            f"{name} is seen by now: take it off the list"
        )


@in_source
def test_first_fix_from_source_is_good(rule, tmp_path):
    [diagnosis] = traced(rule.bad, tmp_path)
    if not diagnosis.fixes:
        pytest.skip("no fix")
    mended = apply_edits(rule.bad, diagnosis.fixes[0].edits)
    assert mended == rule.good
    assert traced(mended, tmp_path) == []
    for fix in diagnosis.fixes:
        ast.parse(apply_edits(rule.bad, fix.edits))


@in_source
def test_source_and_crash_agree(rule, bench, tmp_path):
    """Where two views see the same mistake, they point at the same place and give the same facts."""
    if Failure not in rule.detectors or rule.needs:
        pytest.skip("it does not crash here")
    [live] = seen(run(rule.bad, bench / rule.name).failure)
    [told] = traced(rule.bad, tmp_path)
    assert told.at is not None and live.at is not None
    assert told.at[1:] == live.at[1:]
    for fact in told.facts.keys() & live.facts.keys():
        assert told.facts[fact] == live.facts[fact], fact


@silent
def test_silent_mistakes_run(rule, bench):
    for program in (rule.bad, rule.good, *rule.innocent):
        outcome = run(program, bench / rule.name)
        assert outcome.failure is None and outcome.status == 0, outcome.stderr


@every_rule
def test_recorded_texts_have_one_answer(rule):
    for said in rule.says:
        failure = failure_from_text(said)
        assert failure is not None, said
        assert [d.rule.code for d in seen(failure)] == [rule.code], said


def test_what_is_not_executed_here_is_listed():
    for need, names in NOT_EXECUTED_HERE.items():
        assert {r.name for r in rules if need in r.needs} == names
    assert {need for r in rules for need in r.needs} <= NOT_EXECUTED_HERE.keys()


def test_rules_are_found_by_being_there():
    package = Path(importlib.import_module("torchmedic.rules").__file__).parent
    files = {p.stem for p in package.rglob("*.py") if not p.stem.startswith("_")}
    assert files == {r.name.replace("-", "_") for r in rules}
