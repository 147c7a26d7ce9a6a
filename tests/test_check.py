"""`torchmedic check`: what it looks at, what it says, and its exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import torchmedic
from checks import Bench, command, process
from corpus import VALIDATOR

BAD = "import torch\n\nbad_safe = 1\n"
GOOD = "import torch\n\ngood = 1\n"


def test_clean_files_end_with_0_and_one_line(bench: Bench) -> None:
    bench.write(a=GOOD, b=GOOD)
    done = bench()
    assert (done.status, done.out) == (0, "")
    assert done.err == "All clear: 2 files looked at, no findings.\n"
    assert bench("--quiet").err == ""


def test_findings_end_with_1_and_stand_on_standard_output(bench: Bench) -> None:
    bench.write(a=BAD, b=GOOD)
    done = bench("--format", "concise")
    assert done.status == 1
    assert done.out == "a.py:3:1: error[TM981] name-wrong: `bad_safe` is wrong, 8 letters\n"
    assert "Found 1 mistake in 1 file." in done.err
    assert "1 can be mended with `--fix`." in done.err


def test_the_full_report_shows_code_and_diff(bench: Bench) -> None:
    bench.write(a=BAD)
    done = bench("a.py")
    assert done.status == 1
    for part in ("a.py:3:1", "3 | bad_safe = 1", "-bad_safe = 1", "+good = 1", "explain TM981"):
        assert part in done.out
    assert "이름이 틀립니다" in bench("--lang", "ko", "a.py").out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"import torch\nif x\n    y\n", "x.py:2: is not valid Python"),
        (b"import torch\n\xe9 = 1\n", "x.py:2: is not UTF-8 text (byte 0xe9)"),
        (b"# -*- coding: klingon -*-\nimport torch\n", "x.py:1: its coding line names no encoding"),
        (b"\xe9\nimport torch\n", "x.py:1: is not UTF-8 text (byte 0xe9)"),
        (b"import torch\n\n\0\0", "x.py:3: holds NUL bytes"),
        (b"import torch\nprint 'old'\n", "x.py:2: is written for Python 2"),
        (b"import torch\ntry:\n    pass\nexcept A, e:\n    pass\n", "x.py:4: is written for Pyth"),
        (b"import torch\nx = " + b"(" * 150 + b"1" + b")" * 150, None),
        (b"import torch\nx = " + b"(" * 5000 + b"1" + b")" * 5000, "x.py"),
        (b"import torch\nx = " + b"-" * 100_000 + b"1", "x.py: is nested too deeply"),
        (b"# coding: latin-1\nimport torch\nx = '\xe9'\n", None),
        (b"\xef\xbb\xbfimport torch\r\nx = 1\r\n", None),
        (b"import torch\n\x0c\nx = '\\d'\n", None),
        (b"", None),
    ],
)
def test_what_cannot_be_read_gets_one_sentence_and_the_others_are_checked(
    content: bytes, said: str | None, bench: Bench
) -> None:
    bench.write(a=BAD, x=content)
    done = bench("--format", "concise", "x.py", "a.py")
    assert done.out.startswith("a.py:3:1: error[TM981]")
    told = [line for line in done.err.splitlines() if line.startswith("x.py")]
    assert len(done.err.splitlines()) == len(told) + 1, done.err
    if said is None:
        assert (done.status, told) == (1, [])
    else:
        assert done.status == 2 and len(told) == 1 and told[0].startswith(said)


def test_a_path_that_is_not_there(bench: Bench) -> None:
    bench.write(a=BAD)
    done = bench("--format", "concise", "nowhere.py", "no*.py", "a.py", os.devnull)
    assert done.status == 2
    assert "nowhere.py: no such file or folder\n" in done.err
    assert "no*.py: no file matches this pattern\n" in done.err
    assert f"{os.devnull}: not a regular file\n" in done.err
    assert done.out.startswith("a.py:3:1")


def test_an_empty_folder_is_no_mistake(bench: Bench) -> None:
    done = bench()
    assert (done.status, done.out) == (0, "")
    assert done.err == "no Python file or notebook found here\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(bench: Bench) -> None:
    bench.put("a.py", BAD).chmod(0)
    assert "a.py: cannot be read: Permission denied" in bench("a.py").err


def test_files_without_torch_are_passed_over_unless_asked_for(bench: Bench) -> None:
    bench.write(a="bad_safe = 1\n", broken="if x\n")
    assert bench(".").status == 0
    done = bench("broken.py")
    assert done.status == 2 and done.err.startswith("broken.py:1: is not valid Python")


def test_a_file_without_torch_that_imports_one_with_it_is_looked_at(bench: Bench) -> None:
    bench.write(
        main="from pkg import trainer\nbad_safe = 1\n",
        pkg__trainer="from . import layers\n",
        pkg__layers="import torch\n",
        other="import json, pkg.nothing\nbad_safe = 2\n",
    )
    done = bench("--format", "concise")
    assert done.out.splitlines() == [
        "main.py:2:1: error[TM981] name-wrong: `bad_safe` is wrong, 8 letters"
    ]


def test_a_finding_that_two_scripts_reach_is_shown_once(bench: Bench) -> None:
    bench.write(a="import torch, shared\n", b="import torch, shared\n", shared=BAD)
    done = bench("--format", "concise")
    assert done.out.count("\n") == 1 and done.out.startswith("shared.py:3:1")


def test_a_finding_outside_of_what_was_asked_for_is_not_shown(bench: Bench) -> None:
    bench.write(a="import torch, shared\n", shared=BAD)
    assert bench("a.py").status == 0


def test_standard_input(bench: Bench, tmp_path: Path) -> None:
    text = BAD.encode()
    done = process("-", "--format", "concise", cwd=tmp_path, text=text)
    assert (done.status, done.out[:15]) == (1, "<stdin>:3:1: er")
    (tmp_path / "train.py").write_text("import torch\n" + "\n" * 9 + GOOD)
    comment = BAD.replace("= 1", "= 1  # torchmedic: ignore[TM981]").encode()
    words = ("-", "--format", "concise", "--stdin-filename", "train.py")
    done = process(*words, cwd=tmp_path, text=text)
    assert (done.status, done.out[:13]) == (1, "train.py:3:1:")
    assert process(*words, cwd=tmp_path, text=comment).status == 0
    done = process("-", "--fix", cwd=tmp_path, text=text)
    assert (done.status, done.out) == (0, GOOD)
    assert (tmp_path / "train.py").read_text().startswith("import torch\n\n\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-", "a.py"), "`-` stands alone"),
        (("--stdin-filename", "x.py", "a.py"), "--stdin-filename goes with `-`"),
        (("--unsafe-fixes",), "--unsafe-fixes goes with --fix or --diff"),
        (("--write-baseline",), "--baseline FILE --write-baseline"),
        (("--write-baseline", "--baseline", "b", "--fix"), "use one"),
        (("--statistics", "--format", "json"), "does not go with json"),
        (("--select", "TM7"), "no rule is called 'TM7'"),
        (
            ("--ignore", "TM1,name-wrogn"),
            "no rule is called 'name-wrogn': did you mean name-wrong?",
        ),
        (("--baseline", "none.json"), "there is no baseline none.json"),
        (("--jobs", "0"), "0 is not in the range"),
        (("--output", "no/where.txt", "a.py"), "cannot write no/where.txt: No such file"),
    ],
)
def test_usage_that_makes_no_sense(words: tuple[str, ...], said: str, bench: Bench) -> None:
    bench.write(a=BAD)
    done = bench(*words)
    assert (done.status, done.out) == (2, "")
    lines = [x for x in done.err.splitlines() if x and not x.startswith(("Usage", "Try"))]
    assert len(lines) == 1 and said in lines[0], done.err


def test_the_report_goes_into_a_file(bench: Bench) -> None:
    bench.write(a=BAD)
    done = bench("--output", "report.json", "--format", "json")
    assert (done.status, done.out, done.err) == (1, "", "")
    report = json.loads(bench.read("report.json"))
    VALIDATOR.validate(report)
    assert [d["name"] for d in report["diagnoses"]] == ["name-wrong"]
    assert report["command"] == "check" and report["diagnoses"][0]["view"] == "source"


def test_json_tells_what_could_not_be_looked_at(bench: Bench) -> None:
    bench.write(a=BAD, x="import torch\nif\n")
    done = bench("--format", "json")
    report = json.loads(done.out)
    VALIDATOR.validate(report)
    assert done.status == 2 and len(report["diagnoses"]) == 1
    assert report["notes"][0].startswith("x.py:2: is not valid Python")


def test_statistics(bench: Bench) -> None:
    bench.write(a="import torch\nbad_mild = 1\nbad_plain = 1\nbad_safe = 1\n")
    assert bench("--statistics").out == "2  TM981  name-wrong     fix 1\n1  TM982  name-doubtful\n"


def test_verbose_names_what_was_analysed_in_part(bench: Bench) -> None:
    bench.write(a="import torch\n# over budget\n", b="x = 1\n")
    done = bench("--verbose")
    assert "a.py: analysed only in part" in done.err
    assert "2 files looked at, 1 without torch, 0 from the cache" in done.err
    assert "a.py: analysed" not in bench().err


def test_the_function(bench: Bench) -> None:
    bench.write(a="import torch\nbad_safe = 1\nbad_mild = 1\n", x="import torch\nif\n")
    with pytest.warns(UserWarning, match=r"x\.py:2: is not valid Python"):
        found = torchmedic.check(".")
    assert [(d.rule.code, d.at and d.at.line) for d in found] == [("TM981", 2), ("TM982", 3)]
    assert found[0].fixes[0].diff.startswith("--- a/a.py")
    assert len(torchmedic.check("a.py", select=["TM982"])) == 1
    assert len(torchmedic.check([Path("a.py")], ignore=["name-doubtful"])) == 1
    with pytest.raises(FileNotFoundError):
        torchmedic.check("none.py")


def test_an_error_of_a_rule_is_one_line_and_stops_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from checks import MILD
    from torchmedic.observed.trace import Trace

    def broken(trace: Trace) -> list[object]:
        raise RuntimeError("planted\nsecond line")

    monkeypatch.setitem(MILD.detectors, Trace, broken)
    bench.write(a=BAD)
    done = bench("--format", "concise")
    assert done.status == 2 and done.out.startswith("a.py:3:1")
    assert (
        "a.py: torchmedic failed here (TM982, RuntimeError: planted). Please report it." in done.err
    )


def test_an_error_of_the_engine_is_one_line(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: object) -> None:
        raise RecursionError("planted")

    monkeypatch.setattr("torchmedic.abstract.execute", broken)
    bench.write(a=BAD)
    done = bench()
    assert done.status == 2 and done.err == (
        "a.py: torchmedic failed here (RecursionError: planted). Please report it.\n"
    )


def test_importing_the_package_stays_cheap() -> None:
    code = "import sys, torchmedic; torchmedic.check; print(len([m for m in sys.modules if m.startswith('torchmedic')]))"
    environment = {**os.environ, "PYTHONPATH": str(Path(torchmedic.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.stdout == "1\n", done.stderr


def test_a_clean_check_loads_neither_torch_nor_rich_nor_patterns(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(BAD)
    code = (
        "import sys\nfrom torchmedic.cli import cli\n"
        "try:\n    cli(['check', '--no-cache', '--format', 'concise', 'a.py'])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "print(sorted({'torch', 'rich', 'pathspec', 'multiprocessing', 'jsonschema'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(torchmedic.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "[]\n", done.stderr


def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import torch\n" + "bad_safe\n" * 3000)
    words = command("--format", "concise", "--no-cache", "-q", "a.py")
    environment = {**os.environ, "PYTHONPATH": str(Path(torchmedic.__file__).parent.parent)}
    process = subprocess.Popen(
        words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait(timeout=60)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_quietly_with_130(jobs: str, tmp_path: Path) -> None:
    for name in "abcdef":
        (tmp_path / f"{name}.py").write_text("import torch\n")
    slow = (
        "import checks, time, torchmedic.abstract\n"
        "def execute(source):\n"
        "    print('started', flush=True)\n"
        "    time.sleep(60)\n"
        "checks.execute = execute\n"
    )
    words = command("--no-cache", "--jobs", jobs)
    at = words.index("-c") + 1
    words[at] = words[at].replace("checks.install()", f"exec({slow!r}); checks.install()")
    environment = {**os.environ, "PYTHONPATH": str(Path(torchmedic.__file__).parent.parent)}
    process = subprocess.Popen(
        words,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout and process.stderr
    assert process.stdout.readline().startswith(b"started")
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert process.stderr.read() == b""
