"""What `check` keeps between runs (cache, baseline) and shares between processes: never wrong, never in the way."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks import Bench, process
from torchmedic.checking import pool
from torchmedic.checking.baseline import Baseline, fingerprints, write
from torchmedic.checking.cache import Cache
from torchmedic.checking.files import Files
from torchmedic.checking.look import Asked
from torchmedic.checking.stored import plain, revived
from torchmedic.model import Diagnosis, Span

BAD = "import torch\nbad_safe = 1\n"
KEPT = ("--cache-dir", "kept")
FORMATS = ("text", "concise", "json", "sarif", "github")


def cached(bench: Bench, *words: str) -> int:
    """How many answers came from the cache."""
    said = bench(*KEPT, "--verbose", *words).err
    line = next(line for line in said.splitlines() if "from the cache" in line)
    return int(line.split(" from the cache")[0].split(", ")[-1])


def test_answers_from_the_cache_are_the_same_in_every_form(bench: Bench) -> None:
    bench.write(a=BAD, b="import torch\nbad_both = bad_mild = 1\n", c="import torch\n")
    for form in FORMATS:
        fresh = bench("--format", form)
        first, second = bench(*KEPT, "--format", form), bench(*KEPT, "--format", form)
        assert fresh.out and fresh.out == first.out == second.out
        assert fresh.status == second.status == 1
    assert cached(bench) == 3


def test_a_change_is_seen(bench: Bench) -> None:
    bench.write(a="import torch, shared\n", shared="x = 1\n")
    assert cached(bench, "a.py", "shared.py") == 0
    assert cached(bench, "a.py", "shared.py") == 1
    bench.write(shared="bad_safe = 1\n")
    assert cached(bench, "a.py", "shared.py") == 0
    assert bench(*KEPT, "a.py", "shared.py").status == 1
    bench.write(a="import torch\n")
    assert bench(*KEPT, "a.py", "shared.py").status == 0


def test_a_file_that_appears_where_an_import_leads_is_seen(bench: Bench) -> None:
    bench.write(a="import torch, shared\n")
    assert cached(bench, "a.py") == 0 and cached(bench, "a.py") == 1
    bench.write(shared="bad_safe = 1\n")
    assert cached(bench, "a.py") == 0


def test_what_could_not_be_looked_at_is_told_each_time(bench: Bench) -> None:
    bench.write(a="import torch\nif\n")
    assert [bench(*KEPT).status for _ in range(2)] == [2, 2]


def test_a_comment_in_another_file_counts(bench: Bench) -> None:
    bench.write(a="import torch, shared\n", shared="bad_safe = 1\n")
    assert bench(*KEPT, "a.py", "shared.py").status == 1
    bench.write(shared="bad_safe = 1  # torchmedic: ignore[TM981]\n")
    assert bench(*KEPT, "a.py", "shared.py").status == 0


@pytest.mark.parametrize(
    "spoil",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"path": 1}',
        b'{"path": "", "states": [], "kept": {}}',
        None,
    ],
)
def test_a_spoiled_cache_is_as_good_as_none(spoil: bytes | None, bench: Bench) -> None:
    bench.write(a=BAD)
    first = bench(*KEPT)
    entries = list((bench.folder / "kept").rglob("*.json"))
    assert len(entries) == 1
    if spoil is None:
        spoil = entries[0].read_bytes().replace(b"bad_safe", b"bad_sage")
    entries[0].write_bytes(spoil)
    again = bench(*KEPT)
    assert (again.status, again.out, again.err) == (first.status, first.out, first.err)
    assert cached(bench) == 1


def test_a_cache_that_cannot_be_written_makes_no_noise(bench: Bench) -> None:
    bench.write(a=BAD, b=BAD)
    bench.put("kept", "a file, no folder")
    assert bench(*KEPT, "-q").err == "" and bench(*KEPT).status == 1


def test_nothing_is_kept_if_nobody_wants_it(bench: Bench, tmp_path: Path) -> None:
    bench.write(a=BAD)
    bench("--no-cache")
    assert not (tmp_path / "cache").exists() and not (bench.folder / "kept").exists()


def test_another_version_uses_nothing_of_this_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write(a=BAD)
    assert cached(bench) == 0 and cached(bench) == 1
    monkeypatch.setattr("torchmedic.checking.cache.own_digest", lambda: "other")
    assert cached(bench) == 0 and cached(bench) == 1


def test_runs_beside_each_other(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"f{number}.py").write_text(BAD)
    outputs = []

    def one(jobs: str) -> None:
        outputs.append(
            process("--format", "concise", "--cache-dir", ".kept", "-j", jobs, cwd=tmp_path)
        )

    threads = [threading.Thread(target=one, args=(jobs,)) for jobs in ("1", "2", "3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(done.status, done.out) for done in outputs} == {(1, outputs[0].out)}
    assert outputs[0].out.count("\n") == 12
    assert list(tmp_path.rglob("*.tmp")) == []


def test_several_processes_say_the_same_as_one(bench: Bench) -> None:
    for number in range(20):
        bench.put(f"d{number % 3}/f{number}.py", BAD if number % 2 else "import torch\nif\n")
    one, more = (bench("-j", jobs, "--format", "concise") for jobs in ("1", "3"))
    assert (one.status, one.out, one.err) == (more.status, more.out, more.err)
    assert one.out.count("\n") == 10


def test_a_worker_that_dies_costs_its_file_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torchmedic.abstract

    real = torchmedic.abstract.execute

    def deadly(source: object) -> object:
        if "deadly" in getattr(source, "text", ""):
            os._exit(9)
        return real(source)  # type: ignore[arg-type]

    monkeypatch.setattr(torchmedic.abstract, "execute", deadly)
    for number in range(9):
        bench.put(f"f{number}.py", BAD)
    bench.put("g1.py", "import torch # deadly\n" * 20)
    bench.put("g2.py", "import torch # deadly\n")
    done = bench("-j", "2", "--format", "concise")
    assert done.status == 2 and done.out.count("\n") == 9
    assert [line.split(":")[0] for line in done.err.splitlines()[:-1]] == ["g1.py", "g2.py"]


def test_small_runs_stay_in_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "cores", lambda: 8)
    asked = []
    for number in range(pool.ENOUGH_FILES):
        path = tmp_path / f"{number}.py"
        path.write_text("#" * (pool.ENOUGH_BYTES // pool.ENOUGH_FILES + 1))
        asked.append(Asked(str(path)))
    assert pool._count(asked, None) == pool.ENOUGH_FILES
    assert pool._count(asked[1:], None) == 1 and pool._count(asked, 1) == 1
    assert pool._count(asked, 2) == 2
    shutil.rmtree(tmp_path)
    assert pool._count(asked, None) == 1


def test_diagnoses_survive_being_stored(bench: Bench) -> None:
    from reports import CASES, SIZES
    from torchmedic.rules import RULES

    RULES[SIZES.code] = SIZES
    try:
        (d,) = CASES["mismatch"].diagnoses
        (back,) = revived(json.loads(json.dumps([plain(d)])))
        for lang in ("en", "ko"):
            assert (back.title(lang), back.why(lang)) == (d.title(lang), d.why(lang))
        assert (back.at, back.raised_at, back.fixes) == (d.at, d.raised_at, d.fixes)
        assert back.evidence == d.evidence
        assert plain(back) == plain(d)
    finally:
        del RULES[SIZES.code]


def test_a_baseline_silences_what_it_records(bench: Bench) -> None:
    bench.write(a=BAD, pkg__b="import torch\nbad_plain = 1\nbad_plain = 1\n")
    done = bench("--baseline", "known.json", "--write-baseline")
    assert (done.status, done.out) == (0, "") and "Recorded 3 mistakes in known.json" in done.err
    known = ("--baseline", "known.json")
    done = bench(*known)
    assert (done.status, done.out) == (0, "") and "3 known from the baseline" in done.err
    moved = "import torch\n\n\nif 1:\n    bad_plain  =  1\nbad_plain = 1\nbad_plain = 1\n"
    bench.write(pkg__b=moved)
    done = bench(*known, "--format", "concise")
    assert done.out.split(": ")[0] == "pkg/b.py:7:1" and done.out.count("\n") == 1
    os.chdir("pkg")
    assert bench("--baseline", "../known.json", "--format", "concise").out.startswith("b.py:7:1")
    os.chdir("..")
    bench.write(a=BAD + "bad_safe = 2\n")
    bench("--fix", *known)
    assert bench.read("a.py") == BAD + "good = 2\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not a baseline"),
        ("[]", "is not a baseline"),
        ('{"torchmedic_baseline": 1, "findings": [1]}', "is not a baseline"),
        ('{"torchmedic_baseline": 2, "findings": []}', "of another version"),
    ],
)
def test_a_baseline_that_is_none(content: str, said: str, bench: Bench) -> None:
    bench.write(a=BAD)
    bench.put("known.json", content)
    done = bench("--baseline", "known.json")
    assert done.status == 2 and said in done.err and done.err.count("\n") == 1
    assert bench("--baseline", "no/where", "--write-baseline").status == 2


LINES = st.lists(st.sampled_from(["a", "b", "  a", "a  b", "\ta\tb", "값", ""]), max_size=12)


@given(LINES, LINES, st.data())
@settings(max_examples=150, deadline=None)
def test_recorded_findings_stay_known_when_lines_move(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], more: list[str], data: st.DataObject
) -> None:
    """However the lines are shuffled, the known ones are known; of others exactly the surplus is new."""
    from checks import NAMES

    folder = tmp_path_factory.mktemp("baseline")
    path, recorded = str(folder / "a.py"), str(folder / "known.json")

    def found(texts: list[str]) -> tuple[list[Diagnosis], Files]:
        files = Files()
        files.instead[path] = "".join(f"{text}\n" for text in texts).encode()
        return [Diagnosis(NAMES, Span(path, n)) for n in range(1, len(texts) + 1)], files

    assert write(recorded, *found(lines)) == len(lines)
    baseline = Baseline(recorded)
    moved = data.draw(st.permutations(lines + more))
    new = baseline.new(*found(moved))
    folded = sorted(" ".join(moved[d.at.line - 1].split()) for d in new if d.at)
    assert folded == sorted(" ".join(text.split()) for text in more)
    diagnoses, files = found(moved)
    marks = fingerprints(diagnoses, files, str(folder))
    assert len(set(marks)) == len(moved)


def test_a_cache_of_another_path_is_not_taken(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path))
    cache.store("/a.py", b"x", ("/a.py",), {"diagnoses": []})
    assert cache.load("/a.py", b"x") == {"diagnoses": []}
    assert cache.load("/a.py", b"y") is None and cache.load("/b.py", b"x") is None


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_long_run_shows_progress_on_a_terminal(
    is_terminal: bool, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchmedic.checking import report

    monkeypatch.setattr(report, "use_colour", lambda stream: is_terminal)
    monkeypatch.setattr(report, "_PATIENCE", 0.0)
    monkeypatch.setattr(report, "_EVERY", 0.0)
    bench.write(a=BAD, b="import torch\n")
    lines = bench("--format", "json").err.split("\r")
    if is_terminal:
        told = ["\x1b[2Ktorchmedic: 1 of 2 files", "\x1b[2Ktorchmedic: 2 of 2 files", "\x1b[2K"]
        assert lines == ["", *told]
    else:
        assert lines == [""]
    assert "of 2 files" not in bench("--quiet").err
