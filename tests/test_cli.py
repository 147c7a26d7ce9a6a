"""The command line: one sentence and exit status 2 for bad input, and every option does what it says."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from corpus import VALIDATOR, environment

ERROR = "RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x576 and 1600x10)"
TRACEBACK = f"""\
Traceback (most recent call last):
  File "/home/kim/공부/train.py", line 41, in <module>
    out = model(images)
  File "/opt/conda/lib/python3.11/site-packages/torch/nn/modules/linear.py", line 125, in forward
    return F.linear(input, self.weight, self.bias)
{ERROR}
"""
# Two layers that do not fit, and an argument that the program reads.
CRASH = """\
import sys

import torch
from torch import nn

net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(32, 10))
print("arguments", *sys.argv[1:])
print(tuple(net(torch.zeros(4, 8, 8)).shape))
"""
NO_FIX = """\
import torch

print("before")
torch.zeros(3).expand(2, 4)
"""
HANGUL = re.compile("[가-힣]")
ESCAPE = "\x1b["


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "torchmedic", *words]


def cli(
    *words: str, cwd: Path, text: str | bytes = b"", **more: str
) -> subprocess.CompletedProcess[str]:
    """The command's end, its output decoded; `more` are environment variables."""
    done = subprocess.run(
        command(*words),
        cwd=cwd,
        env=environment(**more),
        input=text.encode() if isinstance(text, str) else text,
        capture_output=True,
        timeout=180,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def refused(done: subprocess.CompletedProcess[str], *said: str) -> None:
    """Exit status 2 and one sentence that names what is wrong (a usage line may stand before it)."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    usage = ("Usage:", "Try ", "usage:")
    sentences = [x for x in done.stderr.splitlines() if x.strip() and not x.startswith(usage)]
    assert len(sentences) == 1, done.stderr
    for word in said:
        assert word in sentences[0], done.stderr


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "hello.py").write_text("import sys\nprint('hello', *sys.argv[1:])\n")
    (tmp_path / "train.py").write_text(CRASH)
    (tmp_path / "other.py").write_text(NO_FIX)
    (tmp_path / "log.txt").write_text(TRACEBACK, encoding="utf-8")
    (tmp_path / "model.pt").write_bytes(b"PK\x03\x04\0\0\0\0" + bytes(range(256)) * 8)
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "words, said",
    [
        (["run"], ["no program"]),
        (["run", "--no-verify"], ["no program"]),
        (["run", "missing.py"], ["missing.py"]),
        (["run", "-m"], ["-m"]),
        (["run", "-c"], ["-c"]),
        (["run", "--nonsense", "hello.py"], ["--nonsense"]),
        (["run", "--lang", "xx", "hello.py"], ["xx"]),
        (["run", "--format", "xml", "hello.py"], ["xml"]),
        (["run", "--limit", "soon", "hello.py"], ["soon"]),
        (["run", "--limit", "-1", "hello.py"], ["-1"]),
        (["run", "--output"], ["--output"]),
        (["run", "--output", "empty", "hello.py"], ["empty"]),
        (["explain", "missing.log"], ["missing.log"]),
        (["explain", "no/such/place/out.txt"], ["no/such/place/out.txt"]),
        (["explain", "model.pt"], ["model.pt", "binary"]),
        (["explain", "empty"], ["empty"]),
        (["explain", "--nonsense", "TM201"], ["--nonsense"]),
        (["explain", "--lang", "xx", "TM201"], ["xx"]),
        (["explain", "--output", "missing/report.txt", "TM201"], ["missing/report.txt"]),
        (["explain", "--output", "missing/report.txt", ERROR], ["missing/report.txt"]),
        (["explain", "--output", "empty", "TM201"], ["empty"]),
        (["nonsense"], ["nonsense"]),
    ],
    ids=" ".join,
)
def test_bad_input_gets_one_sentence(words, said, folder):
    refused(cli(*words, cwd=folder), *said)


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps the folder")
@pytest.mark.parametrize(
    "words",
    [("explain", "TM201"), ("run", "-c", "print(1)"), ("run", "-m", "this"), ("run", "gone.py")],
    ids=" ".join,
)
def test_a_removed_working_directory_is_no_error_of_ours(words, folder):
    here = folder / "empty"
    shell = f'cd "$0" && rmdir "$0" && exec {shlex.join(command(*words))}'
    done = subprocess.run(["sh", "-c", shell, here], env=environment(), capture_output=True)
    assert done.returncode == (2 if "gone.py" in words else 0)
    assert bool(done.stdout) == (done.returncode == 0)
    assert b"Traceback" not in done.stderr and done.stderr.count(b"\n") == (not done.stdout)


def test_a_folder_without_a_program_ends_as_in_python(folder):
    python = subprocess.run(
        [sys.executable, "empty"], cwd=folder, env=environment(), capture_output=True, text=True
    )
    done = cli("run", "empty", cwd=folder)
    assert (done.returncode, done.stdout) == (python.returncode, "")
    assert done.stderr.count("\n") == 1 and "__main__" in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "[tool.torchmedic\n",
        "[tool.torchmedic]\nlang = 3\n",
        "[tool.torchmedic]\nlang = 'xx'\n",
        "[tool.torchmedic]\nlang = ['en']\n",
        "[tool]\ntorchmedic = 'ko'\n",
        "[[tool.torchmedic]]\nlang = 'ko'\n",
        b"# torchmedic \xff\xfe\n",
    ],
)
@pytest.mark.parametrize("words", [["run", "hello.py"], ["explain", "log.txt"]], ids=" ".join)
def test_broken_settings_get_one_sentence(words, text, folder):
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "pyproject.toml").write_bytes(data)
    refused(cli(*words, cwd=folder))


@pytest.mark.parametrize(
    "text", ["[project]\nname = 'digits'\n", "[tool.torchmedic]\n", "[tool.other]\nx = 1\n", ""]
)
def test_other_settings_are_none_of_ours(text, folder):
    (folder / "pyproject.toml").write_text(text)
    done = cli("run", "hello.py", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")


@pytest.mark.parametrize("word", ["TM201", "tm201", "layer-size-mismatch", ERROR, "log.txt"])
def test_explain_answers(word, folder):
    done = cli("explain", word, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "TM201" in done.stdout


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp949"])
def test_explain_reads_other_encodings(encoding, folder):
    data = TRACEBACK.encode(encoding)
    (folder / "log.txt").write_bytes(data)
    for done in (
        cli("explain", "log.txt", cwd=folder),
        cli("explain", "-", cwd=folder, text=data),
    ):
        assert (done.returncode, done.stderr) == (0, "")
        assert "TM201" in done.stdout and "공부/train.py" in done.stdout


def test_explain_survives_bytes_of_no_encoding(folder):
    (folder / "log.txt").write_bytes(b"caf\xe9 \xff\xff\xfe\x80\n" + TRACEBACK.encode())
    done = cli("explain", "log.txt", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "TM201" in done.stdout


@pytest.mark.parametrize("text", ["", "\n\n", " \t\r\n", "12 of 40\n"])
@pytest.mark.parametrize("words", [["-"], []])
def test_explain_of_nothing(words, text, folder):
    done = cli("explain", *words, cwd=folder, text=text)
    assert done.returncode == 1
    assert done.stderr == "" and "no error message" in done.stdout
    report = cli("explain", "--format", "json", *words, cwd=folder, text=text)
    assert report.returncode == 1 and json.loads(report.stdout)["diagnoses"] == []


def test_explain_shows_the_lines_of_the_text(folder):
    """The file is on another machine; or it has changed since, and its line is another one now."""
    there = cli("explain", "log.txt", cwd=folder)
    assert "41 | out = model(images)" in there.stdout
    (folder / "train.py").write_text("# one\n# two\n")
    local = TRACEBACK.replace("/home/kim/공부/train.py", str(folder / "train.py")).replace(
        "41", "2"
    )
    changed = cli("explain", "-", cwd=folder, text=local)
    assert "2 | out = model(images)" in changed.stdout and "# two" not in changed.stdout
    far = cli("explain", "-", cwd=folder, text=TRACEBACK.replace("41", "987654321"))
    assert far.returncode == 0 and ":987654321" in far.stdout


def test_explain_finds_korean_words_with_their_particles(folder):
    done = cli("explain", "--lang", "ko", "합성곱 입력 차원", cwd=folder)
    assert done.returncode == 0 and "TM104" in done.stdout
    nothing = cli("explain", "--lang", "ko", "오늘 저녁 날씨", cwd=folder)
    assert nothing.returncode == 1


def test_a_lesson_shows_its_reason_on_the_first_screen(folder):
    from torchmedic.rules import RULES

    for code in RULES:
        lines = cli_page(code).splitlines()
        assert lines.index("Why it happens") <= 24, code


def cli_page(code):
    from torchmedic.render.page import terminal_page
    from torchmedic.rules import RULES

    return terminal_page(RULES[code], "en", 100, False)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a Linux device")
def test_explain_says_that_it_could_not_write(folder):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command("explain", "TM201"),
            cwd=folder,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr == "torchmedic: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize("columns, most", [("40", 40), ("0", 100), ("wide", 100)])
def test_the_width_that_the_environment_says(columns, most, folder):
    done = cli("explain", "log.txt", cwd=folder, COLUMNS=columns)
    prose = [line for line in done.stdout.splitlines() if "http" not in line and "/" not in line]
    assert most - 15 < max(map(len, prose)) <= most


def test_explain_without_standard_input(folder):
    shell = 'exec "$0" -m torchmedic explain - <&-'
    done = subprocess.run(
        ["sh", "-c", shell, sys.executable],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    refused(done, "standard input")


@pytest.mark.parametrize(
    "words",
    [["explain", "TM201"], ["explain", "--format", "json", ERROR], ["--help"]],
    ids=" ".join,
)
def test_a_closed_pipe_is_no_error_of_ours(words, folder):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            command(*words),
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.stderr == ""


@pytest.mark.parametrize("code", ["sys.stdout.close()", "os.close(1); print(1)"])
def test_a_program_that_closes_its_output_ends_as_in_python(code, folder):
    (folder / "closes.py").write_text(f"import os, sys\nprint('out')\n{code}\n")
    ended = [
        subprocess.run(words, cwd=folder, env=environment(), capture_output=True)
        for words in ([sys.executable, "closes.py"], command("run", "closes.py"))
    ]
    python, ours = [(done.returncode, done.stdout, done.stderr) for done in ended]
    assert ours == python


def test_ctrl_c_while_reading(folder):
    process = subprocess.Popen(
        command("explain", "-"),
        cwd=folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    # More than a pipe holds (64 KiB): when this is written, the command is reading.
    process.stdin.write(b"epoch 1\n" * 40_000)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode in (1, 130, -signal.SIGINT)
    assert out == b"" and b"Traceback" not in err and err.count(b"\n") <= 2


@pytest.mark.parametrize(
    "settings, words, is_korean",
    [
        ({}, [], False),
        ({}, ["--lang", "ko"], True),
        ({"LC_ALL": "", "LANG": "ko_KR.UTF-8"}, [], True),
        ({"LC_ALL": "ko_KR.UTF-8"}, [], True),
        ({"LC_ALL": "ko_KR.UTF-8"}, ["--lang", "en"], False),
        ({"LC_ALL": "C.UTF-8", "LANG": "ko_KR.UTF-8"}, [], False),
        ({"LC_ALL": "de_DE.UTF-8"}, [], False),
    ],
)
def test_the_language(settings, words, is_korean, folder):
    for what in ("TM201", ERROR):
        done = cli("explain", *words, what, cwd=folder, **settings)
        assert done.returncode == 0
        assert bool(HANGUL.search(done.stdout)) is is_korean


def test_the_language_of_the_project(folder):
    (folder / "pyproject.toml").write_text("[tool.torchmedic]\nlang = 'ko'\n")
    inner = folder / "empty"
    assert HANGUL.search(cli("explain", ERROR, cwd=inner).stdout)
    assert not HANGUL.search(cli("explain", "--lang", "en", ERROR, cwd=inner).stdout)


def on_terminal(folder: Path, *words: str, typed: bytes = b"", **more: str) -> str:
    """What a terminal shows of all three streams."""
    ours, theirs = pty.openpty()
    seen: list[bytes] = []

    def listen() -> None:
        try:
            while data := os.read(ours, 65536):
                seen.append(data)
        except OSError:  # the other side is closed
            return

    listener = threading.Thread(target=listen)
    listener.start()
    os.write(ours, typed)
    done = subprocess.run(
        command(*words),
        cwd=folder,
        env=environment(TERM="xterm-256color", **more),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        timeout=180,
    )
    os.close(theirs)
    listener.join(10)
    os.close(ours)
    return b"".join(seen).decode() + f"\nstatus {done.returncode}"


def test_colours_are_for_terminals(folder):
    assert ESCAPE in on_terminal(folder, "explain", ERROR)
    assert ESCAPE not in on_terminal(folder, "explain", ERROR, NO_COLOR="1")
    assert ESCAPE not in cli("explain", ERROR, cwd=folder).stdout
    on_terminal(folder, "explain", "--output", "report.txt", ERROR)
    assert ESCAPE not in (folder / "report.txt").read_text("utf-8")


def test_explain_writes_json(folder):
    done = cli("explain", "--format", "json", "-", cwd=folder, text=TRACEBACK)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    VALIDATOR.validate(report)
    assert report["command"] == "explain" and report["diagnoses"][0]["code"] == "TM201"
    cli("explain", "--format", "json", "--output", "report.json", "log.txt", cwd=folder)
    assert json.loads((folder / "report.json").read_text("utf-8")) == report


@pytest.mark.parametrize("what", ["TM201", "layer-size-mismatch"])
def test_a_lesson_in_json_keeps_the_contract(what, folder):
    done = cli("explain", "--format", "json", what, cwd=folder)
    assert done.returncode == 0
    VALIDATOR.validate(json.loads(done.stdout))


def test_run_writes_json_to_the_file_only(folder):
    words = ["--no-verify", "--format", "json", "--output", "report.json", "train.py", "a"]
    done = cli("run", *words, cwd=folder)
    assert (done.returncode, done.stdout) == (1, "arguments a\n")
    report = json.loads((folder / "report.json").read_text("utf-8"))
    VALIDATOR.validate(report)
    assert report["command"] == "run" and report["diagnoses"][0]["code"] == "TM201"
    assert '"schema_version"' not in done.stderr
    assert all(fix["verified"] is None for fix in report["diagnoses"][0]["fixes"])


def test_run_writes_text_to_the_file(folder):
    done = cli("run", "--no-verify", "--output", "report.txt", "train.py", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "arguments\n")
    assert "TM201" in (folder / "report.txt").read_text("utf-8")


def test_a_program_that_runs_leaves_no_report(folder):
    done = cli("run", "--format", "json", "--output", "report.json", "hello.py", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["--format", "x", "--lang", "ko", "--fix", "--yes", "-h", "--help"],
        ["-m", "-c", "-", "--", "--output", "missing/there"],
        ["--version"],
    ],
    ids=" ".join,
)
def test_what_follows_the_program_is_the_programs(words, folder):
    said = " ".join(["hello", *words]) + "\n"
    for start in (["hello.py"], ["-m", "hello"], ["--", "hello.py"]):
        done = cli("run", *start, *words, cwd=folder)
        assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


@pytest.mark.parametrize("way", ["-m", "-c", "-"])
def test_other_ways_to_start_get_reports_too(way, folder):
    words = {"-m": ["-m", "train"], "-c": ["-c", CRASH], "-": ["-"]}[way]
    done = cli("run", *words, "--lang", "x", cwd=folder, text=CRASH)
    assert (done.returncode, done.stdout) == (1, "arguments --lang x\n")
    assert "TM201" in done.stderr and "torchmedic failed" not in done.stderr
    assert done.stderr.count("Traceback") == 1


def test_fix_with_yes_mends_the_program(folder):
    done = cli("run", "--fix", "--yes", "train.py", cwd=folder)
    assert done.returncode == 1, done.stderr
    assert (folder / "train.py").read_text() == CRASH.replace("Linear(32, 10)", "Linear(16, 10)")
    assert "-" in done.stderr and "+net = nn.Sequential" in done.stderr  # the diff was shown
    again = cli("run", "train.py", cwd=folder)
    assert (again.returncode, again.stdout, again.stderr) == (0, "arguments\n(4, 10)\n", "")


def test_fix_asks_on_a_terminal(folder):
    shown = on_terminal(folder, "run", "--fix", "train.py", typed=b"n\n")
    assert "Apply this fix?" in shown and shown.endswith("status 1")
    assert (folder / "train.py").read_text() == CRASH
    shown = on_terminal(folder, "run", "--fix", "train.py", typed=b"y\n")
    assert shown.endswith("status 1")
    assert (folder / "train.py").read_text() != CRASH


@pytest.mark.parametrize(
    "words",
    [
        ["train.py"],
        ["--yes", "train.py"],
        ["--fix", "train.py"],  # nobody there to ask
        ["--fix", "--yes", "--no-verify", "train.py"],  # nothing is verified
        ["--fix", "--yes", "other.py"],  # nothing is proposed
    ],
    ids=" ".join,
)
def test_nothing_is_changed_otherwise(words, folder):
    before = {p.name: p.read_bytes() for p in folder.glob("*.py")}
    done = cli("run", *words, cwd=folder, text="y\n")
    assert done.returncode == 1
    assert {p.name: p.read_bytes() for p in folder.glob("*.py")} == before
    assert ("no file was changed" in done.stderr) is ("--fix" in words)


CAUGHT = """\
import sys

import torch

try:
    {code}
except Exception as error:
    print("failed:", error)
    sys.exit({status})
"""


def test_a_known_mistake_that_the_program_caught_before_it_gave_up(folder):
    code = "torch.nn.Linear(3, 4)(torch.zeros(2, 5))"
    (folder / "caught.py").write_text(CAUGHT.format(code=code, status=3))
    done = cli("run", "caught.py", cwd=folder)
    assert done.returncode == 3 and done.stdout.startswith("failed: mat1")
    assert "error[TM201]" in done.stderr and "Traceback" not in done.stderr
    assert "verified: ran past caught.py:6" in done.stderr


@pytest.mark.parametrize("code, status", [("torch.nn.Linear(3, 4)(0)", 0), ("{}[0]", 3)])
def test_what_a_program_caught_is_otherwise_its_own(code, status, folder):
    (folder / "caught.py").write_text(CAUGHT.format(code=code, status=status))
    done = cli("run", "caught.py", cwd=folder)
    assert (done.returncode, done.stderr) == (status, "")


SILENT_THEN_CAUGHT = """\
import sys

import torch

torch.manual_seed(0)
model = torch.nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
try:
    for step in range(12):
        loss = torch.nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.randint(3, (8,)))
        loss.backward()
        optimizer.step()
    {}[0]
except KeyError as error:
    print("failed:", error)
    sys.exit(3)
"""


def test_what_was_silent_is_told_although_the_caught_exception_is_unknown(folder):
    (folder / "caught.py").write_text(SILENT_THEN_CAUGHT)
    done = cli("run", "caught.py", cwd=folder)
    assert (done.returncode, done.stdout) == (3, "failed: 0\n")
    assert "error[TM402]" in done.stderr and "KeyError" not in done.stderr


def test_an_unknown_error_gets_an_honest_answer(folder):
    done = cli("run", "other.py", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "before\n")
    assert "no known mistake matches this error" in done.stderr
    assert "other.py:4" in done.stderr and "TM" not in done.stderr.partition("note:")[2]


def test_version_and_help(folder):
    version = cli("--version", cwd=folder)
    assert version.returncode == 0 and "torchmedic" in version.stdout
    for words in (["--help"], ["-h"], ["run", "--help"], ["explain", "-h"]):
        done = cli(*words, cwd=folder)
        assert (done.returncode, done.stderr) == (0, "") and "Usage:" in done.stdout
