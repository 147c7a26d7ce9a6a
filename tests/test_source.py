"""Programs with one mistake, and what their source alone tells.

tests/source/<mistake>/<name>/ holds a program in `bad/`, the same program mended in `good/`, and expect.json:

    code, path, line   the finding: the stripped text of its line in that file
    occurrence         which of several lines with that text, from 1 (only where there are several)
    also               other places that are as right: a list of {"path", "line"}
    run                where a watched run shows it, if that is another place: {"path", "line"}
    main               the file that is started, if it is not `path`
    has_fix            false where no edit can be told
    error              a part of what the program raises; without it the mistake raises nothing

tests/source/innocent/<name>/ holds in `good/` a program that looks like a mistake and is right: {"main"}. `runs` is false
where a program needs a library that the tests don't have.

What a program does while it is watched tells some of these mistakes too: where their rule reads a `Run`, the watched
program shows exactly the same, at one of the same places; everything else stays silent. unseen_in_runs.json names the
programs whose run doesn't show it, with the reason. It may only shrink.

tests/run/ holds programs in the same form, for mistakes that only a run shows.

tests/source/known_misses.json names the programs whose mistake isn't found, with the reason. It may only shrink: a listed
one that is found is an error.
"""

from __future__ import annotations

import ast
import importlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from programs import execute as run
from torchmedic.abstract import execute
from torchmedic.engine import diagnose
from torchmedic.fix.patch import patched
from torchmedic.model import Diagnosis
from torchmedic.observed import load
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Trace
from torchmedic.rules import RULES
from torchmedic.silent import found_in

SOURCE = Path(__file__).parent / "source"
RUNS = Path(__file__).parent / "run"
UNSEEN: dict[str, str] = json.loads((SOURCE / "unseen_in_runs.json").read_text("utf-8"))
MISSED: dict[str, str] = json.loads((SOURCE / "known_misses.json").read_text("utf-8"))


@dataclass(frozen=True)
class Program:
    """One folder of the corpus. `places` are (path, line number) of the right findings, the best first."""

    folder: Path
    code: str
    main: str
    places: tuple[tuple[str, int], ...]
    has_fix: bool
    runs: bool = True
    error: str = ""
    in_run: tuple[tuple[str, int], ...] = ()

    @property
    def name(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"


def programs(home: Path = SOURCE) -> list[Program]:
    return [_program(path) for path in sorted(home.glob("*/*/expect.json"))]


def _program(path: Path) -> Program:
    told = json.loads(path.read_text("utf-8"))
    if "code" not in told:
        return Program(path.parent, "", told["main"], (), False, told.get("runs", True))
    places = [told, *told.get("also", ())]
    return Program(
        path.parent,
        told["code"],
        told.get("main", told["path"]),
        tuple((p["path"], _number(path.parent, p)) for p in places),
        told.get("has_fix", True),
        told.get("runs", True),
        told.get("error", ""),
        ((told["run"]["path"], _number(path.parent, told["run"])),) if "run" in told else (),
    )


def _number(folder: Path, place: dict[str, object]) -> int:
    lines = (folder / "bad" / str(place["path"])).read_text("utf-8").splitlines()
    found = [n for n, line in enumerate(lines, 1) if line.strip() == place["line"]]
    occurrence = place.get("occurrence")
    assert found and (len(found) == 1 or occurrence), f"{folder}: {place['line']} stands {found}"
    return found[int(str(occurrence or 1)) - 1]


PROGRAMS = programs()
faulty = pytest.mark.parametrize("program", [p for p in PROGRAMS if p.code], ids=lambda p: p.name)
seen = pytest.mark.parametrize(
    "program", [p for p in PROGRAMS if p.code and p.name not in MISSED], ids=lambda p: p.name
)
innocent = pytest.mark.parametrize(
    "program", [p for p in PROGRAMS if not p.code], ids=lambda p: p.name
)


def findings(folder: Path, main: str) -> list[Diagnosis]:
    source = load(str(folder / main))
    assert source is not None
    return diagnose(execute(source))


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("__pycache__"))
    return to


def shown(found: list[Diagnosis]) -> list[str]:
    return [f"{d.rule.code} {d.at and d.at.line}: {d.title('en')}" for d in found]


@seen
def test_exactly_the_mistake_is_found_at_its_line(program, tmp_path):
    folder = copied(program.folder / "bad", tmp_path / "bad")
    found = findings(folder, program.main)
    assert [d.rule.code for d in found] == [program.code], shown(found)
    at = found[0].at
    assert at is not None
    assert (Path(at.path).relative_to(folder).as_posix(), at.line) in program.places, shown(found)


@pytest.mark.parametrize("name", sorted(MISSED))
def test_known_miss_is_still_missed(name, tmp_path):
    [program] = [p for p in PROGRAMS if p.name == name]
    folder = copied(program.folder / "bad", tmp_path / "bad")
    codes = {d.rule.code for d in findings(folder, program.main)}
    assert program.code not in codes, f"{name} is found by now: take it off known_misses.json"
    assert MISSED[name] and not codes


@faulty
def test_mended_twin_is_silent(program, tmp_path):
    folder = copied(program.folder / "good", tmp_path / "good")
    assert shown(findings(folder, program.main)) == []


@innocent
def test_innocent_program_is_silent(program, tmp_path):
    folder = copied(program.folder / "good", tmp_path / "innocent")
    assert shown(findings(folder, program.main)) == []


@seen
def test_first_fix_makes_it_silent(program, tmp_path):
    folder = copied(program.folder / "bad", tmp_path / "bad")
    [found] = findings(folder, program.main)
    assert bool(found.fixes) is program.has_fix
    for index, texts in enumerate([patched(fix) for fix in found.fixes]):
        for text in texts.values():
            ast.parse(text)
        if index == 0:
            for path, text in texts.items():
                Path(path).write_bytes(text.encode())
            assert shown(findings(folder, program.main)) == []
            for path, text in texts.items():
                assert Path(path).read_bytes().decode() == text


@pytest.fixture(scope="session")
def torch_in_the_parent() -> None:
    """What torch imports at the first step of an optimizer takes seconds in every child."""
    importlib.import_module("torch._dynamo")


@pytest.mark.trials
@pytest.mark.parametrize("program", [p for p in PROGRAMS if p.runs], ids=lambda p: p.name)
def test_programs_run(program, tmp_path, torch_in_the_parent):
    """A silent mistake raises nothing, another what `error` says; the mended copies run, and so do innocent programs."""
    folder = copied(program.folder / ("bad" if program.code else "good"), tmp_path / "program")
    if program.error:
        outcome = run(program.main, cwd=folder)
        assert outcome.failure is not None and program.error in outcome.failure.message
        assert_runs(copied(program.folder / "good", tmp_path / "good"), program.main)
    else:
        assert_shown(assert_runs(folder, program.main), program, folder)
    fixes = [found.fixes[0] for found in findings(folder, program.main) if found.fixes]
    for fix in fixes:
        for path, text in patched(fix).items():
            Path(path).write_bytes(text.encode())
    if fixes:
        assert shown(in_run(assert_runs(folder, program.main))) == []


def assert_runs(folder: Path, main: str) -> Run:
    outcome = run(main, cwd=folder)
    assert outcome.status == 0 and outcome.failure is None, outcome.stderr
    return outcome.run


def in_run(watched: Run) -> list[Diagnosis]:
    def reraise(rule, error):
        raise error

    return list(found_in(watched, reraise))


def assert_shown(watched: Run, program: Program, folder: Path) -> None:
    """The run shows exactly the program's mistake if its rule can read a run, and nothing else."""
    found = in_run(watched)
    codes = [d.rule.code for d in found]
    if not program.code or Run not in RULES[program.code].detectors:
        assert codes == [], shown(found)
    elif program.name in UNSEEN:
        assert codes == [], f"{program.name} is seen by now: take it off unseen_in_runs.json"
    else:
        assert codes == [program.code], shown(found)
        at = found[0].at
        assert at is not None
        place = Path(at.path).relative_to(folder).as_posix(), at.line
        assert place in (program.in_run or program.places), shown(found)


@pytest.mark.trials
@pytest.mark.parametrize("program", programs(RUNS), ids=lambda p: p.name)
def test_the_run_shows_it(program, tmp_path, torch_in_the_parent):
    """And nothing of the program without the mistake."""
    if program.code:
        folder = copied(program.folder / "bad", tmp_path / "bad")
        assert_shown(assert_runs(folder, program.main), program, folder)
    folder = copied(program.folder / "good", tmp_path / "good")
    assert shown(in_run(assert_runs(folder, program.main))) == []


def with_tabs(text: str) -> str:
    """Indented by tabs instead of four spaces."""
    lines = text.splitlines(keepends=True)
    return "".join("\t" * ((len(s) - len(s.lstrip(" "))) // 4) + s.lstrip(" ") for s in lines)


silent = pytest.mark.parametrize(
    "rule", [r for r in RULES.values() if Trace in r.detectors], ids=lambda r: r.name
)


@silent
@pytest.mark.parametrize("change", [with_tabs, lambda text: text.replace("\n", "\r\n")])
def test_fixes_keep_tabs_and_line_ends(rule, change, tmp_path):
    path = tmp_path / "train.py"
    path.write_bytes(change(rule.bad).encode())
    [found] = findings(tmp_path, "train.py")
    if not found.fixes:
        pytest.skip("no fix")
    assert patched(found.fixes[0])[str(path)] == change(rule.good)
