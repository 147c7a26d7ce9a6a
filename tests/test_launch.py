"""A program can't tell whether `python` or the launcher started it: the same bytes, the same exit status."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from torchmedic.probes.launch import LaunchError, Program, strip

ROOT = Path(__file__).parent
PROGRAMS = ROOT / "launch"
DRIVER = str(ROOT / "launch_driver.py")
REPORT = re.compile(rb"REPORT \w+\n")


class Ended(NamedTuple):
    out: bytes
    err: bytes
    status: int


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return kept | {"PYTHONPATH": str(ROOT.parent), "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "1"}


def start(command: Sequence[str], cwd: Path, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=options.pop("stderr", subprocess.PIPE),  # type: ignore[call-overload]
        **options,
    )


def pair(
    words: Sequence[str],
    cwd: Path = PROGRAMS,
    flags: Sequence[str] = (),
    text: bytes = b"",
    **options: object,
) -> tuple[Ended, Ended]:
    """(python, launched): both at the same time."""
    commands = ([*flags, *words], [*flags, DRIVER, *words])
    running = [start(command, cwd, **options) for command in commands]
    ended = []
    for process in running:
        out, err = process.communicate(text, timeout=120)
        ended.append(Ended(out, err or b"", process.returncode))
    return ended[0], ended[1]


def same(words: Sequence[str], **options: object) -> Ended:
    """Both ran alike and without a report."""
    python, launched = pair(words, **options)  # type: ignore[arg-type]
    assert launched == python
    return python


def same_crash(words: Sequence[str], **options: object) -> Ended:
    """Both ran alike, and the launched one ends with one report."""
    python, launched = pair(words, **options)  # type: ignore[arg-type]
    shown, report = launched.err[: len(python.err)], launched.err[len(python.err) :]
    assert (launched.out, shown, launched.status) == python
    assert REPORT.fullmatch(report)
    return python


def test_a_script_reads_the_same_names() -> None:
    assert same(["names.py", "a", "b c", "--flag"]).status == 0
    same(["./names.py"])
    same([str(PROGRAMS / "names.py")])
    same(["names.py"], flags=["-P"])
    same(["names.py"], flags=["-X", "utf8", "-X", "own=3", "-W", "error::UserWarning", "-O"])
    same(["launch/names.py", "-m"], cwd=ROOT)
    same(["--", "names.py", "a"])


def test_code_from_elsewhere_reads_the_same_names(tmp_path: Path) -> None:
    source = (PROGRAMS / "names.py").read_bytes()
    same(["-c", source.decode(), "a"])
    same(["-", "a"], text=source)
    same(["-m", "names", "a"])
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "__main__.py").write_bytes(source)
    same(["folder", "a"], cwd=tmp_path)
    same(["./folder/"], cwd=tmp_path, flags=["-P"])
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("__main__.py", source)
    same(["archive.zip", "a"], cwd=tmp_path)
    (tmp_path / "link.py").symlink_to(PROGRAMS / "names.py")
    same(["link.py"], cwd=tmp_path)


def test_packages_and_their_modules() -> None:
    assert b"6 2" in same(["-m", "package", "a", "-m"]).out
    assert same(["-m", "package", "exit"]).status == 1
    assert b"[6]" in same(["-m", "package.inner.tool", "x"]).out
    assert b"runpy" in same_crash(["-m", "package", "crash"]).err
    assert same(["-m", "no_such_module"]).status == 1


def test_arguments_belong_to_the_program() -> None:
    assert same(["arguments.py", "--epochs", "2", "data", "-m", "0.5"]).status == 2
    assert same(["arguments.py", "-h"]).status == 0
    assert same(["arguments.py"]).status == 2


def test_workers_of_every_kind() -> None:
    ended = same(["pools.py"])
    assert ended.status == 0 and b"status 7" in ended.out
    ended = same(["pools.py", "crash"])
    assert b"status 1" in ended.out and ended.err.count(b"Traceback") == 1


def test_loader_workers_of_every_kind() -> None:
    assert same(["loaders.py"]).out.count(b"spawn") == 3


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ("number", 3),
        ("text", 1),
        ("none", 0),
        ("object", 1),
        ("large", 9),
        ("at once", 5),
        ("thread", 0),
        ("in a handler", 6),
        ("closed", 9),
        ("abort", -15),
    ],
)
def test_exit_status(how: str, status: int) -> None:
    assert same(["exits.py", how]).status == status
    assert same(["exits.py", how], stderr=subprocess.STDOUT).status == status


def test_a_hook_of_the_program_decides() -> None:
    assert same(["exits.py", "hook"]).status == 8
    assert b"own hook" in same_crash(["crash_chain.py", "hook"]).err
    assert b"Error in sys.excepthook" in same_crash(["crash_chain.py", "broken hook"]).err
    assert b"is missing" in same_crash(["crash_chain.py", "no hook"]).err
    assert b"'NoneType' object" in same_crash(["crash_chain.py", "none as hook"]).err


@pytest.mark.parametrize("how", ["main", "cause", "group", "exec", "base"])
def test_the_traceback_is_pythons(how: str) -> None:
    ended = same_crash(["crash_chain.py", how])
    assert ended.status == 1 and b"crash_chain.py" in ended.err


def test_the_traceback_comes_after_what_was_printed() -> None:
    code = "print('first')\nimport sys\nprint('second', file=sys.stderr)\n1/0\n"
    for words, text in ([["-c", code], b""], [["-"], code.encode()]):
        python, launched = pair(words, text=text, stderr=subprocess.STDOUT)
        assert REPORT.sub(b"", launched.out) == python.out and python.status == 1


def test_names_in_other_scripts() -> None:
    ended = same_crash(["두 번째 폴더/학습 하기.py", "가"])
    assert "안녕 세계".encode() in ended.out and "값[도우미.자리]".encode() in ended.err


def test_encodings_and_broken_sources(tmp_path: Path) -> None:
    sources = {
        "bom.py": "print('é', __doc__)\n".encode("utf-8-sig"),
        "korean.py": "# coding: euc-kr\nprint('한글')\n'값'[3]\n".encode("euc-kr"),
        "latin.py": "#!/usr/bin/python\n# -*- coding: latin-1 -*-\nprint('é')\n".encode("latin-1"),
        "undeclared.py": "x = 1\n# 한글\nprint(x)\n".encode("euc-kr"),
        "open.py": b"x = (\n",
        "indent.py": b"if 1:\n    x\n  y\n",
        "tabs.py": b"if 1:\n\tx=1\n        y=2\n",
        "crlf.py": b"print(1)\r\nraise ValueError(2)\r\n",
        "annotated.py": b"def f(x: unknown): pass\n",  # fails: our own future import doesn't reach it
    }
    for name, source in sources.items():
        (tmp_path / name).write_bytes(source)
    for name in ("bom.py", "latin.py"):
        assert same([name], cwd=tmp_path).status == 0
    for name in sorted(sources.keys() - {"bom.py", "latin.py"}):
        assert same_crash([name], cwd=tmp_path).status == 1


def test_units() -> None:
    assert b"FAILED (failures=1)" in same(["units.py"]).err


def test_training_is_bit_identical() -> None:
    assert same(["training.py"]).out.count(b"0x") == 9


def test_a_watched_module_looks_like_any_other() -> None:
    ended = same(["unseen.py"])
    assert ended.status == 0 and b"tensors freed [True]" in ended.out


def test_compiled_code_is_compiled_alike() -> None:
    python, launched = pair(["compiled.py", "crash"])
    assert (launched.out, launched.status) == (python.out, python.status)
    assert timeless(launched.err).startswith(timeless(python.err))
    assert python.status == 1 and python.out.count(b"\n") > 12


def timeless(text: bytes) -> bytes:
    """torch's log lines begin with the time and the process."""
    return re.sub(rb"[VIWE]\d{4} [\d:.]+ +\d+ ", b"", text)


def test_a_crash_inside_a_model() -> None:
    assert b"mat1 and mat2" in same_crash(["crash_model.py"]).err


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_end_it_as_they_end_python(sent: signal.Signals) -> None:
    ended = []
    for command in (
        ["waits.py"],
        [DRIVER, "waits.py"],
        ["waits.py", "hook"],
        [DRIVER, "waits.py", "hook"],
    ):
        process = start(command, PROGRAMS, start_new_session=True)
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(0.5)  # from the line that it printed to the one where it waits
        os.killpg(process.pid, sent)
        out, err = process.communicate(timeout=30)
        ended.append(Ended(first + out, err, process.returncode))
    assert ended[0] == ended[1] and ended[2] == ended[3]
    assert ended[0].status == -sent


def test_a_reader_that_goes_away() -> None:
    ended = []
    for command in (["lines.py"], [DRIVER, "lines.py"]):
        process = start(command, PROGRAMS)
        assert process.stdout is not None and process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        ended.append((first, REPORT.sub(b"", err), process.wait(30)))
    assert ended[0] == ended[1]
    assert b"BrokenPipeError" in ended[0][1]


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    assert same(["no such file.py"]).status == 2
    assert same(["folder"], cwd=tmp_path).status == 2
    (tmp_path / "folder").mkdir()
    assert b"can't find '__main__' module" in same(["folder"], cwd=tmp_path).err


@pytest.mark.parametrize(
    ("words", "program"),
    [
        (["a.py", "-m", "x"], Program("script", "a.py", ("-m", "x"))),
        (["-m", "a.b", "-c"], Program("module", "a.b", ("-c",))),
        (["-ma.b", "x"], Program("module", "a.b", ("x",))),
        (["-c", "x = 1", "y"], Program("command", "x = 1", ("y",))),
        (["-", "y"], Program("stdin", "-", ("y",))),
        (["--", "-odd.py"], Program("script", "-odd.py", ())),
    ],
)
def test_words_are_read_as_python_reads_them(words: list[str], program: Program) -> None:
    assert Program.parse(words) == program


@pytest.mark.parametrize("words", [[], ["-m"], ["-c"], ["-u", "a.py"]])
def test_words_that_name_no_program(words: list[str]) -> None:
    with pytest.raises(LaunchError):
        Program.parse(words)


def test_a_failing_report_changes_nothing(tmp_path: Path) -> None:
    driver = tmp_path / "driver.py"
    driver.write_text(
        "import sys\nfrom torchmedic.probes.launch import Program, run\n"
        "def on_crash(error):\n    import shadowed\n"
        "sys.exit(run(Program.parse(sys.argv[1:]), on_crash))\n"
    )
    program = tmp_path / "elsewhere" / "program.py"
    program.parent.mkdir()
    (program.parent / "shadowed.py").write_text("print('imported from the program')")
    program.write_text("import sys\nprint(sys.path[0])\n[][1]\n")
    process = start([str(driver), str(program)], tmp_path)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1 and out.decode() == f"{program.parent}\n"
    lines = err.decode().splitlines()
    assert lines[-2] == "IndexError: list index out of range"
    assert lines[-1] == (
        "torchmedic failed while reading this crash (ModuleNotFoundError: No module named 'shadowed'); "
        "the traceback above is complete. Please report it."
    )


def test_own_frames_are_taken_out_of_the_whole_chain() -> None:
    launch = sys.modules[Program.__module__]
    call = launch._failure_of  # a frame of the package between two of the program's

    def inner() -> None:
        raise KeyError("inner")

    def outer() -> None:
        failure = call(inner)
        raise ValueError("outer") from failure

    error = call(outer)
    assert error is not None
    strip(error)
    for link, names in ((error, ["outer"]), (error.__cause__, ["inner"])):
        entry, found = link.__traceback__, []
        while entry is not None:
            found.append(entry.tb_frame.f_code.co_name)
            entry = entry.tb_next
        assert found == names
