"""`torchmedic checklist SCRIPT`: twelve questions to one's own program, answered from its source.

Nothing is executed, unless `--run` asks for it: then a run answers what the source leaves open.

A box is right only if something in the program shows that it is, wrong only if a rule says so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from torchmedic import evidence, silent
from torchmedic.abstract import execute
from torchmedic.console import emit, tell_failure, use_colour, write_output
from torchmedic.engine import diagnose
from torchmedic.model import Diagnosis, Lang, Text
from torchmedic.observed import Source
from torchmedic.observed.source import decode
from torchmedic.observed.trace import Trace
from torchmedic.render.checklist import Box, Checklist, as_json, markdown, render

if TYPE_CHECKING:
    from torchmedic.watched import Watched

DATASET, MODEL = Text("Dataset", "데이터셋"), Text("Model", "모델")
TRAINING, EVALUATION = Text("Training", "학습"), Text("Evaluation", "평가")


class Unreadable(Exception):
    """The input can't be read; the text is one sentence for the user."""


class Question(NamedTuple):
    """One box: the rules whose findings make it wrong, and what can show that it is right."""

    key: str
    area: Text
    label: Text
    codes: tuple[str, ...]
    answer: Callable[[Trace], evidence.Answer]


QUESTIONS = (
    Question("length", DATASET, Text("length is real", "길이가 실제와 같음"),
             ("TM101",), evidence.length),
    Question("index", DATASET, Text("index in range", "인덱스가 범위 안"),
             ("TM102",), evidence.index),
    Question("dtypes", DATASET, Text("dtypes are right", "dtype이 맞음"),
             ("TM103",), evidence.dtypes),
    Question("features", MODEL, Text("conv output = FC input", "합성곱 출력 = FC 입력"),
             ("TM201",), evidence.features),
    Question("flatten", MODEL, Text("flatten where needed", "필요한 곳에서 flatten"),
             ("TM202",), evidence.flat),
    Question("dimensions", MODEL, Text("input dimensions (CNN 4-D, RNN 3-D)", "입력 차원(CNN 4-D, RNN 3-D)"),
             ("TM104",), evidence.dimensions),
    Question("zero_grad", TRAINING, Text("zero_grad() is called", "zero_grad() 호출"),
             ("TM402",), evidence.zero_grad),
    Question("memory", TRAINING, Text("batch fits the memory", "배치가 메모리에 들어감"),
             ("TM301", "TM302"), evidence.memory),
    Question("seed", TRAINING, Text("seed is set", "시드 설정"),
             ("TM401",), evidence.seed),
    Question("eval", EVALUATION, Text("eval() is called", "eval() 호출"),
             ("TM403", "TM405"), evidence.eval_mode),
    Question("no_grad", EVALUATION, Text("no_grad() is used", "no_grad() 사용"),
             ("TM404",), evidence.no_grad),
    Question("numpy", EVALUATION, Text("detach → cpu → numpy", "detach → cpu → numpy"),
             ("TM303",), evidence.numpy_order),
)  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """How the answer is wanted. `form`: text, json or markdown."""

    form: str = "text"
    output: str | None = None
    lang: Lang = "en"


def run(path: str, wish: Wish, arguments: tuple[str, ...] | None = None) -> int:
    """Prints the boxes. 0: none is wrong; 1: one is. With `arguments` the script is run with them. Raises Unreadable."""
    source = source_of(path)
    checked = checklist(source, None if arguments is None else _watched(path, arguments))
    _print(_rendered(checked, wish), wish)
    return 1 if checked.count("wrong") else 0


def source_of(path: str) -> Source:
    """The script, parsed. Raises Unreadable."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot read {path}: {error.strerror or error}") from None
    try:
        return Source(decode(data), path)
    except SyntaxError as error:
        at = f", line {error.lineno}" if error.lineno else ""
        raise Unreadable(f"cannot parse {path}{at}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError, LookupError) as error:
        raise Unreadable(f"cannot parse {path}: {error or type(error).__name__}") from None


def _watched(path: str, arguments: tuple[str, ...]) -> Watched:
    from torchmedic.probes.launch import LaunchError
    from torchmedic.watched import watched

    try:
        return watched(path, arguments)
    except LaunchError as error:
        raise Unreadable(str(error)) from None


def checklist(source: Source, watched: Watched | None = None) -> Checklist:
    """The twelve boxes of one program."""
    trace = execute(source)
    found = diagnose(trace, lambda rule, error: tell_failure(f"in the rule {rule.code}", error))
    if watched is not None:
        told = set(map(silent.key, found))
        found += [d for d in watched.found if d.at is not None and silent.key(d) not in told]
    boxes = tuple(_here(_box(question, trace, found, watched), source) for question in QUESTIONS)
    asked = {code for question in QUESTIONS for code in question.codes}
    return Checklist(source.path, boxes, sum(d.rule.code not in asked for d in found))


def _box(question: Question, trace: Trace, found: list[Diagnosis], watched: Watched | None) -> Box:
    wrong = next(_of(found, question.codes), None)
    if wrong is not None:
        said = Text(wrong.title("en"), wrong.title("ko"))
        return Box(question.key, question.area, question.label, "wrong", said, wrong.at, wrong.rule.code)  # fmt: skip
    said, at = question.answer(trace)
    if at is None and watched is not None and said != evidence.NO_LAYER:
        said, at = watched.answer(question.key) or (said, at)
    state: evidence.Seen = "unseen" if at is None else "right"
    return Box(question.key, question.area, question.label, state, said, at)


def _here(box: Box, source: Source) -> Box:
    """A run tells absolute paths; the source is called as the user called it."""
    at = box.at
    if at is None or at.path == source.path or at.path != os.path.abspath(source.path):
        return box
    return replace(box, at=at._replace(path=source.path))


def _of(found: list[Diagnosis], codes: tuple[str, ...]) -> Iterator[Diagnosis]:
    return (diagnosis for diagnosis in found if diagnosis.rule.code in codes)


def _rendered(checked: Checklist, wish: Wish) -> str:
    if wish.form == "json":
        return as_json(checked, wish.lang)
    if wish.form == "markdown":
        return markdown(checked, wish.lang)
    colour = wish.output is None and use_colour(sys.stdout)
    return render(checked, wish.lang, _width(), colour)


def _width() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError, AttributeError):
        return 100


def _print(text: str, wish: Wish) -> None:
    if wish.output is None:
        emit(text, sys.stdout)
        return
    try:
        write_output(wish.output, text, os.getcwd())
    except OSError as error:
        raise Unreadable(f"cannot write {wish.output}: {error.strerror or error}") from None
