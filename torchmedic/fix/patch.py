"""Edits as text, as a diff, and as written files. Outside the edits every byte of a file stays as it was."""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate, pairwise
from typing import NamedTuple

from torchmedic.model import Edit, Fix, Span
from torchmedic.observed.source import lines_of

Read = Callable[[str], bytes]
CONTEXT = 3
BOM = "\ufeff"


class Change(NamedTuple):
    """Characters of a text that are replaced."""

    start: int  # in characters from the start of the text
    end: int
    text: str


class Lines:
    """A text and where its lines start: edits as changes between two offsets."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = _line_starts(text)

    def changes(self, edits: Iterable[Edit]) -> list[Change]:
        """The edits in the order of the text, each once.

        Raises ValueError for edits that overlap, that insert different texts at one place, or that lie outside the text.
        """
        found = sorted({Change(*self._extent(edit.span), edit.text) for edit in edits})
        for one, other in pairwise(found):
            if other.start < one.end or (one.start, one.end) == (other.start, other.end):
                raise ValueError(f"edits overlap at line {bisect_right(self.starts, other.start)}")
        return found

    def mended(self, changes: Iterable[Change], start: int = 0, end: int | None = None) -> str:
        """The text between two offsets with these changes, all of them in there."""
        parts, done = [], start
        for change in changes:
            parts += [self.text[done : change.start], change.text]
            done = change.end
        return "".join((*parts, self.text[done:end]))

    def _extent(self, span: Span) -> tuple[int, int]:
        if not span.end_line:
            start = self.offset(span.line, 0)
            rest = re.compile(r"[^\r\n]*").match(self.text, start)
            return start, rest.end() if rest else start
        start = self.offset(span.line, span.column)
        end = self.offset(span.end_line, span.end_column)
        if end < start:
            raise ValueError(f"an edit at line {span.line} ends before it starts")
        return start, end

    def offset(self, line: int, column: int) -> int:
        """Raises ValueError for a place that is not in the text."""
        if not 0 < line <= len(self.starts):
            raise ValueError(f"an edit lies outside the file: line {line}")
        start = self.starts[line - 1]
        after = self.starts[line] if line < len(self.starts) else len(self.text)
        if column < 0 or start + column > after:
            raise ValueError(f"an edit lies outside line {line}: column {column}")
        return start + column


class Mended:
    """A text with edits applied, and where the places of one are in the other. Raises ValueError as `Lines.changes` does."""

    def __init__(self, text: str, edits: Iterable[Edit]) -> None:
        self.before = text
        lines = Lines(text)
        self._offset, self._starts = lines.offset, lines.starts
        self._changes = lines.changes(edits)
        self.text = lines.mended(self._changes)
        self._new_starts = _line_starts(self.text)

    @staticmethod
    def _place(starts: Sequence[int], offset: int) -> tuple[int, int]:
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1]

    def forward(self, line: int, column: int, after: bool = True) -> tuple[int, int]:
        """Where a place of the old text is in the new one, as (line, column).

        Where text was put in, or inside a replaced stretch: behind the new text if `after`, else before it.
        """
        offset, moved = self._offset(line, column), 0
        for change in self._changes:
            if change.start == change.end == offset and not after:
                break
            if (
                change.end <= offset and change.start < offset
            ) or change.start == change.end == offset:
                moved += len(change.text) - (change.end - change.start)
                continue
            if change.start < offset:
                inside = change.start + moved + (len(change.text) if after else 0)
                return self._place(self._new_starts, inside)
            break
        return self._place(self._new_starts, offset + moved)

    def back(self, line: int, column: int) -> tuple[int, int]:
        """Where a place of the new text was in the old one; a place in new text is where that was put."""
        line = max(1, min(line, len(self._new_starts)))
        offset = min(self._new_starts[line - 1] + column, len(self.text))
        for change in reversed(self._changes):
            start = change.start + self._moved_before(change)
            if offset >= start + len(change.text):
                return self._place(self._starts, offset - start - len(change.text) + change.end)
            if offset >= start:
                return self._place(self._starts, change.start)
        return self._place(self._starts, offset)

    def _moved_before(self, change: Change) -> int:
        return sum(len(c.text) - (c.end - c.start) for c in self._changes if c < change)


def _line_starts(text: str) -> list[int]:
    """Where each line starts; one more behind a final newline, so that text can be put there."""
    starts = [0, *accumulate(map(len, lines_of(text)))]
    if len(starts) > 1 and not text.endswith(("\n", "\r")):
        starts.pop()
    return starts


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits applied; the same in whatever order they come. Raises ValueError as `Mended` does."""
    return Mended(text, edits).text


def read_bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


class Rewritten(NamedTuple):
    """One file before and after a fix."""

    path: str
    old: bytes
    new: bytes
    mended: Mended


def rewritten(fix: Fix, read: Read = read_bytes) -> list[Rewritten]:
    """Every file that the fix touches, by path.

    Raises OSError for a file that can't be read; ValueError for edits that don't fit it, and for text that the
    file's encoding can't hold or can't give back unchanged.
    """
    edits: dict[str, list[Edit]] = {}
    for edit in fix.edits:
        edits.setdefault(edit.span.path, []).append(edit)
    return [_rewrite(path, edits[path], read(path)) for path in sorted(edits)]


def _rewrite(path: str, edits: list[Edit], data: bytes) -> Rewritten:
    text, encoding = decoded(path, data)
    mended = Mended(text, edits)
    return Rewritten(path, data, mended.text.encode(encoding), mended)


def decoded(path: str, data: bytes) -> tuple[str, str]:
    """The text of a file and its encoding. Raises ValueError if the text doesn't give back the same bytes."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
        same = text.encode(encoding) == data
    except (SyntaxError, LookupError) as error:
        raise ValueError(f"{path} can't be decoded: {error}") from error
    if not same:
        raise ValueError(
            f"{path} can't be rewritten in its encoding {encoding} without other changes"
        )
    return text, encoding


def patched(fix: Fix, read: Read = read_bytes) -> dict[str, str]:
    """The new text of every file that the fix touches. Raises as `rewritten` does."""
    return {file.path: file.mended.text for file in rewritten(fix, read)}


def parses(fix: Fix, read: Read = read_bytes) -> bool:
    """True if the edits fit and every Python file still parses: other fixes are not to be shown."""
    try:
        texts = patched(fix, read)
        for path, text in texts.items():
            if path.endswith((".py", ".pyw")):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def with_diff(fix: Fix, read: Read = read_bytes) -> Fix:
    """The fix with its unified diff, which `patch -p1` and `git apply` take. Raises as `rewritten` does."""
    return fix._replace(diff="".join(map(_diff, rewritten(fix, read))))


def _diff(file: Rewritten) -> str:
    mark = BOM if file.old.startswith(BOM.encode()) else ""
    return diff(file.path, mark + file.mended.before, mark + file.mended.text)


def diff(path: str, before: str, after: str) -> str:
    """The unified diff between two texts of a file; "" if they are the same."""
    import difflib

    name, inside = _shown(path)
    old, new = _physical(before), _physical(after)
    start, end = _alike(old, new), _alike(old[::-1], new[::-1])
    end = min(end, min(len(old), len(new)) - start)
    start, end = max(0, start - CONTEXT), max(0, end - CONTEXT)
    lines = difflib.unified_diff(
        old[start : len(old) - end],
        new[start : len(new) - end],
        f"a/{name}" if inside else name,
        f"b/{name}" if inside else name,
        n=CONTEXT,
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in _shifted(lines, start)
    )


def _alike(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines they have in common at their start: `difflib` would take its time over the whole file."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(old), len(new)))


def _shifted(lines: Iterable[str], by: int) -> Iterator[str]:
    """The diff of two texts that begin so many lines further down."""
    for line in lines:
        if by and (found := re.match(_HUNK, line)):
            old, new = (int(found[name]) + by for name in ("old", "new"))
            line = f"@@ -{old}{line[found.end('old') : found.start('new')]}{new}{line[found.end('new') :]}"
        yield line


def _physical(text: str) -> list[str]:
    """Lines as diff tools count them: a lone carriage return doesn't end one."""
    return io.StringIO(text, newline="\n").readlines()


def _shown(path: str) -> tuple[str, bool]:
    """The path relative to the working directory, and whether it lies below it."""
    absolute = os.path.abspath(path)
    with suppress(ValueError, OSError):  # another drive; a working directory that was removed
        relative = os.path.relpath(absolute)
        if not relative.startswith(os.pardir):
            return relative.replace(os.sep, "/"), True
    return absolute.replace(os.sep, "/"), False


_HUNK = r"(?m)^@@ -(?P<old>\d+)(?:,\d+)? \+(?P<new>\d+)(?:,(?P<count>\d+))? @@"


def is_applied(fix: Fix, read: Read = read_bytes) -> bool:
    """True if the new side of the fix's diff already stands in the files. Needs the diff (`with_diff`)."""
    paths = sorted({edit.span.path for edit in fix.edits})
    sections = re.split(r"^--- .*\n\+\+\+ .*\n", fix.diff, flags=re.M)[1:]
    if not paths or len(sections) != len(paths):
        return False
    return all(_stands(read(path), section) for path, section in zip(paths, sections, strict=True))


def _stands(data: bytes, section: str) -> bool:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode("utf-8" if encoding == "utf-8-sig" else encoding)
    except (SyntaxError, LookupError, ValueError):
        return False
    lines = _physical(text)
    hunks = list(re.finditer(_HUNK, section))
    for found, end in zip(hunks, [*hunks[1:], None], strict=True):
        body = section[found.end() + 1 : end.start() if end else len(section)]
        new = _new_side(body)
        # A hunk without lines names the line before it.
        first = int(found["new"]) - (1 if found["count"] != "0" else 0)
        if lines[first : first + len(new)] != new:
            return False
    return True


def _new_side(hunk: str) -> list[str]:
    new: list[str] = []
    last = ""
    for line in _physical(hunk):
        if line[0] == "\\" and last in " +":
            new[-1] = new[-1].removesuffix("\n")
        elif line[0] in " +":
            new.append(line[1:])
        last = line[0]
    return new


def write(fix: Fix) -> tuple[str, ...]:
    """Write the fix into its files, all or none of them, and return their real paths.

    Links are followed and modes kept. Raises ValueError as `rewritten` does, and if a file changed since the fix's
    diff was made; OSError if a file or its folder can't be written.
    """
    files = rewritten(fix)
    if fix.diff and _hunks("".join(map(_diff, files))) != _hunks(fix.diff):
        raise ValueError("a file changed after the fix was made: run again for a new one")
    return write_all({file.path: (file.old, file.new) for file in files})


def write_all(contents: Mapping[str, tuple[bytes, bytes]]) -> tuple[str, ...]:
    """Write (old, new) bytes by path, all files or none of them, and return their real paths.

    Links are followed and modes kept. Raises OSError if a file or its folder can't be written.
    """
    ready: list[tuple[str, str, bytes]] = []  # temporary file, its target, the target's old bytes
    done: list[tuple[str, bytes]] = []
    try:
        for path, (old, new) in contents.items():
            target = os.path.realpath(path)
            ready.append((_beside(target, new), target, old))
        for temporary, target, old in ready:
            os.replace(temporary, target)
            done.append((target, old))
    except OSError:
        for target, old in done:
            os.replace(_beside(target, old), target)
        raise
    finally:
        for temporary, _, _ in ready:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
    return tuple(target for target, _ in done)


def _hunks(diff: str) -> str:
    return re.sub(r"^(---|\+\+\+) .*\n", "", diff, flags=re.M)


def _beside(target: str, data: bytes) -> str:
    """A file with these bytes and the target's mode, in the target's folder."""
    import tempfile

    folder, name = os.path.split(target)
    if not os.access(target, os.W_OK):
        raise PermissionError(f"{target} can't be changed: it is read-only")
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
    except OSError as error:
        why = error.strerror or str(error)
        raise type(error)(
            error.errno, f"{target} can't be changed: no file can be made in {folder} ({why})"
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, os.stat(target).st_mode & 0o7777)
    except OSError:
        os.unlink(temporary)
        raise
    return temporary
