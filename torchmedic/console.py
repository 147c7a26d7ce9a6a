"""The streams of the terminal: what is written to them, how wide and how coloured. None of it may fail."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from torchmedic.model import Text

if TYPE_CHECKING:
    from torchmedic.session import Options


def terminal_width(stream: Any = None) -> int:
    """Cells of a line: as the environment says (COLUMNS), else the terminal's, else 100."""
    with suppress(ValueError):
        if (said := int(os.environ.get("COLUMNS", ""))) > 0:
            return said
    try:
        return os.get_terminal_size((stream or sys.stderr).fileno()).columns or 100
    except (OSError, ValueError, AttributeError):
        return 100


def use_colour(stream: object = None, asked: bool | None = None) -> bool:
    """As asked; else if the stream (standard error) is a terminal that isn't dumb and NO_COLOR is not set."""
    if asked is not None:
        return asked
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(getattr(stream or sys.stderr, "isatty", lambda: False)())


def emit(text: str, stream: object) -> OSError | None:
    """Writes to a stream that may be closed, missing, full, or unable to encode Hangul. Returns why the system refused it.

    What is refused isn't left in the stream's buffer: Python would fail to flush it at its end, with exit status 120.
    """
    write = getattr(stream, "write", None)
    if write is None:
        return None
    try:
        getattr(stream, "flush", lambda: None)()
        if not _past_buffers(text, stream):
            _encoded(text, stream, write)
            getattr(stream, "flush", lambda: None)()
    except OSError as error:
        return error
    except ValueError:  # closed
        pass
    return None


def _past_buffers(text: str, stream: object) -> bool:
    """Straight to the file below a text stream of Python's own. False if it is another kind of stream."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    if type(stream) is not io.TextIOWrapper or not isinstance(raw, io.FileIO):
        return False
    data = text.replace("\n", os.linesep).encode(stream.encoding, "replace")
    while data:
        data = data[raw.write(data) or 0 :]
    return True


def _encoded(text: str, stream: object, write: Callable[[str], object]) -> None:
    try:
        write(text)
    except UnicodeEncodeError:
        encoding = getattr(stream, "encoding", None) or "ascii"
        write(text.encode(encoding, "replace").decode(encoding))


def write_output(path: str, text: str, cwd: str) -> None:
    """Raises OSError where the report can't be written."""
    with open(os.path.join(cwd, path), "w", encoding="utf-8") as file:
        file.write(text)


class Waiting:
    """One line on a terminal while the trials run; nothing elsewhere."""

    TEXT = Text(
        en="torchmedic: executing mended copies (fixes to try: {count}) …",
        ko="torchmedic: 고친 복사본을 실행하는 중입니다(수정안 {count}개) …",
    )

    def __init__(self, options: Options, count: int = 0, text: Text = TEXT) -> None:
        self.line = text.fill(count=count).show(options.lang)
        self.is_shown = bool(getattr(sys.stderr, "isatty", lambda: False)())
        self.is_erased = use_colour(asked=options.colour)

    def __enter__(self) -> None:
        if self.is_shown:
            emit(self.line + ("" if self.is_erased else "\n"), sys.stderr)

    def __exit__(self, *details: object) -> None:
        if self.is_shown and self.is_erased:
            emit("\r\x1b[2K", sys.stderr)


def tell_failure(where: str, error: Exception) -> None:
    """One line about an error of our own."""
    emit(
        f"torchmedic failed {where} ({in_one_line(error)}); "
        "the traceback above is complete. Please report it.\n",
        sys.stderr,
    )


def in_one_line(error: Exception) -> str:
    """Its type and the beginning of what it says."""
    said = str(error).strip().split("\n")[0][:200]
    return f"{type(error).__name__}: {said}"
