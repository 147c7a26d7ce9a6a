"""From a file's bytes to what is analysed: its text as Python, and what could not be read of it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from torchmedic.checking.problems import (
    NOT_DECODABLE,
    NUL_BYTES,
    PYTHON_2,
    SYNTAX,
    TOO_DEEP,
    UNKNOWN_CODING,
    CannotLook,
    Problem,
)
from torchmedic.model import Span
from torchmedic.observed import Source
from torchmedic.observed.source import decode, parsed
from torchmedic.render import cell_path

if TYPE_CHECKING:
    from torchmedic.checking.notebook import Notebook

_PYTHON_2 = (
    r"Missing parentheses in call to|multiple exception types must be parenthesized"
    r"|leading zeros in decimal integer|invalid (decimal|hexadecimal|octal) literal"
)
_PYTHON_2_LINE = (
    r"\s*(?:print\s+[^(\s=.,\[]|print\s*>>|exec\s+['\"]|raise\s+\w+\s*,|except\s+[\w.]+\s*,\s*\w+\s*:)"
    r"|.*<>|.*`.*`|.*\b0\d+\b|.*\b\d+[lL]\b|.*\bur['\"]"
)


class Program:
    """One file, or one notebook, ready for the engine.

    `data` are the bytes of `text`, `problems` the parts that could not be read. Raises CannotLook if all of it
    could not.
    """

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self.notebook: Notebook | None = None
        if path.endswith(".ipynb"):
            from torchmedic.checking.notebook import Notebook

            self.notebook = Notebook(path, data)
        self.data = data
        if self.notebook is None:
            self.text = _decoded(path, data)
        else:
            self.text = self.notebook.text
            self.data = self.text.encode("utf-8", "surrogatepass")
            for cell in self.notebook.cells:
                if cell.is_broken:
                    where = cell_path(path, cell.number)
                    self.problems.append(_why_not(where, cell.source))

    def source(self) -> Source:
        """The parsed text. Raises CannotLook if it can't be parsed."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = parsed(self.text, self.path)
        if source is None:
            raise CannotLook(_why_not(self.path, self.text))
        return source

    def place(self, span: Span) -> Span:
        """A span of the analysed text as one that a person knows."""
        return self.notebook.local(span) if self.notebook else span

    def can_edit(self, span: Span) -> bool:
        return self.notebook is None or span.path != self.path or self.notebook.can_edit(span)


def _decoded(path: str, data: bytes) -> str:
    if b"\0" in data:
        raise CannotLook(Problem(path, data[: data.index(b"\0")].count(b"\n") + 1, NUL_BYTES))
    try:
        return decode(data)
    except UnicodeDecodeError as error:
        raise CannotLook(_not_decodable(path, data, error)) from None
    except (SyntaxError, LookupError):
        # Either an unknown encoding, or a first line that is not UTF-8.
        with suppress(SyntaxError, LookupError):
            tokenize.detect_encoding(io.BytesIO(_ascii_start(data)).readline)
            try:
                data.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise CannotLook(_not_decodable(path, data, error)) from None
        raise CannotLook(Problem(path, _coding_line(data), UNKNOWN_CODING)) from None


def _ascii_start(data: bytes) -> bytes:
    return bytes(byte if byte < 0x80 else 0x3F for byte in b"\n".join(data.split(b"\n", 2)[:2]))


def _coding_line(data: bytes) -> int:
    return 1 if b"coding" in data.split(b"\n", 1)[0] else 2


def _not_decodable(path: str, data: bytes, error: UnicodeDecodeError) -> Problem:
    line = data[: error.start].count(b"\n") + 1
    byte = f"0x{error.object[error.start]:02x}"
    encoding = error.encoding.upper().replace("UTF8", "UTF-8")
    return Problem(path, line, NOT_DECODABLE.fill(encoding=encoding, byte=byte))


def _why_not(path: str, text: str) -> Problem:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        line = error.lineno or 0
        lines = text.splitlines()
        said = (error.msg or "invalid syntax").split(". Did you mean")[0].rstrip(".")
        code = lines[line - 1] if 0 < line <= len(lines) else ""
        is_old = (
            re.search(_PYTHON_2, said) is not None and re.match(_PYTHON_2_LINE, code) is not None
        )
        is_old = is_old or ("invalid" in said and re.match(_PYTHON_2_LINE, code) is not None)
        return Problem(path, line, (PYTHON_2 if is_old else SYNTAX).fill(reason=said))
    except ValueError as error:
        return Problem(path, 0, SYNTAX.fill(reason=str(error)))
    except (RecursionError, MemoryError):
        pass
    return Problem(path, 0, TOO_DEEP)
