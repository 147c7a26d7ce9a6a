"""Tracebacks in rich's boxes: drawn here by rich itself, they tell the same as Python's own."""

from __future__ import annotations

import io
import itertools
import runpy
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.traceback import Traceback

from torchmedic.observed import Failure
from torchmedic.observed.text import failure_from_text

MESSAGE = "mat1 and mat2 shapes cannot be multiplied (32x128 and 512x64)"
PROGRAM = f"""
def layer(sizes):
    table = {{"rows": sizes}}
    if sizes:
        raise RuntimeError(
            "{MESSAGE}"
        )


def forward(sizes):
    for size in sizes:
        if size:
            layer(sizes)


def train(sizes):
    try:
        {{}}["sizes"]
    except KeyError as error:
        forward(sizes)


train([32, 128])
"""


@pytest.fixture(scope="module")
def raised(tmp_path_factory) -> BaseException:
    path = tmp_path_factory.mktemp("a folder with a long name") / "train_the_network.py"
    path.write_text(PROGRAM)
    with pytest.raises(RuntimeError) as found:
        runpy.run_path(str(path), run_name="__main__")
    entry = found.value.__traceback__
    while entry is not None and entry.tb_frame.f_code.co_filename != str(path):
        entry = entry.tb_next
    return found.value.with_traceback(entry)


def drawn(error: BaseException, *, ascii: bool = False, windows: bool = False, **how) -> str:
    raw = io.BytesIO()
    encoding = "ascii" if ascii else "utf-8"
    file = io.TextIOWrapper(raw, encoding=encoding, errors="replace", write_through=True)
    colours = None if ascii or windows else True
    width = how.get("width", 100)
    console = Console(file=file, width=width, legacy_windows=windows, force_terminal=colours)
    console.print(Traceback.from_exception(type(error), error, error.__traceback__, **how))
    return raw.getvalue().decode(encoding)


def told(failure: Failure | None) -> list[tuple[object, ...]]:
    assert failure is not None
    return [
        (
            link.type,
            " ".join(link.message.split()),
            [(f.at.path, f.at.line, f.function) for f in link.frames],
        )
        for link in (failure, *failure.causes)
    ]


def expected(error: BaseException) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    link: BaseException | None = error
    while link is not None:
        frames, entry = [], link.__traceback__
        while entry is not None:
            code = entry.tb_frame.f_code
            frames.append((code.co_filename, entry.tb_lineno, code.co_name))
            entry = entry.tb_next
        found.append((type(link).__name__, str(link), frames))
        link = link.__context__
    return found


WAYS = {
    "coloured": {},
    "narrow": {"width": 38},
    "wide": {"width": 230},
    "locals": {"show_locals": True},
    "wide locals": {"show_locals": True, "width": 230},
    "wrapped": {"word_wrap": True, "width": 60},
    "ascii": {"ascii": True},
    "ascii locals": {"ascii": True, "show_locals": True},
    "windows": {"windows": True},
    "a line of code": {"extra_lines": 0},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_panel_tells_what_python_tells(way: str, raised: BaseException) -> None:
    failure = failure_from_text(drawn(raised, **WAYS[way]))
    assert told(failure) == expected(raised)
    assert failure is not None and failure.user_frame is not None
    assert [f.code for f in failure.frames] == [
        "train([32, 128])",
        "forward(sizes)",
        "layer(sizes)",
        "raise RuntimeError(",
    ]


def test_a_panel_in_a_log(raised: BaseException) -> None:
    plain = told(failure_from_text(drawn(raised)))
    lines = drawn(raised).splitlines()
    log = "\n".join(["epoch 1 loss 0.3", *lines, "2026-01-03 12:00:09,000 INFO stopping"])
    assert told(failure_from_text(log)) == plain
    ranked = "\n".join(f"[rank1]: {line}" for line in lines)
    assert told(failure_from_text(ranked)) == plain


def test_hidden_frames_leave_the_ends() -> None:
    def again(n: int) -> None:
        if n:
            again(n - 1)
        raise ValueError("deep")

    with pytest.raises(ValueError) as found:
        again(30)
    failure = failure_from_text(drawn(found.value, max_frames=6))
    assert failure is not None
    assert [f.function for f in failure.frames] == [
        "test_hidden_frames_leave_the_ends",
        *["again"] * 5,
    ]


def test_a_cell_whose_file_is_gone(tmp_path: Path) -> None:
    namespace: dict[str, object] = {}
    exec(compile("def cell():\n    raise ValueError('gone')\n", "<string>", "exec"), namespace)
    with pytest.raises(ValueError) as found:
        namespace["cell"]()  # type: ignore[operator]
    failure = failure_from_text(drawn(found.value))
    assert failure is not None and [f.at.path for f in failure.frames] == [__file__]


def test_a_table_is_no_traceback() -> None:
    table = "╭──── Results ────╮\n│ loss:3 in epoch │\n╰─────────────────╯\n"
    assert failure_from_text(table) is None


def test_time_is_linear() -> None:
    """A limit far above what is measured: only a quadratic search exceeds it."""
    top = "╭──── Traceback (most recent call last) ────╮\n"
    lines = [
        "│ a.py:3 in f                               │\n",
        "│ a folder that goes on and on and on an │\n",
    ]
    text = top + "".join(itertools.islice(itertools.cycle(lines), 20_000)) + top * 5_000
    start = time.perf_counter()
    failure_from_text(text)
    assert time.perf_counter() - start < 3.0
