"""What could not be looked at, and why: one sentence each."""

from __future__ import annotations

import sys
from typing import NamedTuple

from torchmedic.model import Lang, Text
from torchmedic.render import shown_path


class Problem(NamedTuple):
    """Why a file, or a part of it, was not looked at. `line` 0: no certain line."""

    path: str
    line: int
    text: Text

    def sentence(self, lang: Lang, cwd: str | None = None) -> str:
        line = f":{self.line}" if self.line else ""
        return f"{shown_path(self.path, cwd)}{line}: {' '.join(self.text.show(lang).split())}"


class CannotLook(Exception):
    """A file that can't be looked at; carries the problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence("en"))
        self.problem = problem


PYTHON = "{}.{}".format(*sys.version_info)

NOT_FOUND = Text("no such file or folder", "파일이나 폴더가 없습니다")
NO_MATCH = Text("no file matches this pattern", "이 패턴과 맞는 파일이 없습니다")
NOT_REGULAR = Text("not a regular file", "일반 파일이 아닙니다")
UNREADABLE = Text("cannot be read: {reason}", "읽을 수 없습니다: {reason}")
NUL_BYTES = Text(
    "holds NUL bytes, so it is not a Python program", "NUL 바이트가 있어 Python 프로그램이 아닙니다"
)
UNKNOWN_CODING = Text(
    "its coding line names no encoding that Python knows",
    "coding 줄에 적힌 인코딩을 Python이 알지 못합니다",
)
NOT_DECODABLE = Text(
    "is not {encoding} text (byte {byte}); a coding line can name another encoding",
    "{encoding} 텍스트가 아닙니다(바이트 {byte}). 다른 인코딩은 coding 줄에 적으세요",
)
SYNTAX = Text(
    f"is not valid Python {PYTHON}: {{reason}}", f"Python {PYTHON} 문법에 맞지 않습니다: {{reason}}"
)
PYTHON_2 = Text(
    "is written for Python 2, and torchmedic reads Python 3: {reason}",
    "Python 2 프로그램입니다. torchmedic은 Python 3을 읽습니다: {reason}",
)
TOO_DEEP = Text("is nested too deeply to be parsed", "중첩이 너무 깊어 구문을 분석할 수 없습니다")
NOT_JSON = Text("is not a notebook: {reason}", "노트북이 아닙니다: {reason}")
NO_CELLS = Text(
    "is not a notebook of format 4: it has no list of cells",
    "형식 4의 노트북이 아닙니다: 셀 목록이 없습니다",
)
INTERNAL = Text(
    "torchmedic failed here ({kind}: {said}). Please report it.",
    "여기서 torchmedic 내부 오류가 났습니다({kind}: {said}). 신고해 주세요.",
)
WORKER_DIED = Text(
    "the process that looked at it ended without an answer. Please report it.",
    "검사하던 프로세스가 답 없이 끝났습니다. 신고해 주세요.",
)


class BadBaseline(Exception):
    """A baseline that can't be used; the text is one sentence for the user."""


def internal(path: str, error: BaseException, where: str = "") -> Problem:
    """A failure of ours, in one sentence; `where` names the rule."""
    said = str(error).strip().split("\n")[0][:200]
    kind = f"{where}, {type(error).__name__}" if where else type(error).__name__
    return Problem(path, 0, INTERNAL.fill(kind=kind, said=said))
