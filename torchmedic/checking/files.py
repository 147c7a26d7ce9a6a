"""The files as this run sees them: on the disk, or what stands in for them: standard input, texts mended so far."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from torchmedic.checking.problems import CannotLook
from torchmedic.model import Diagnosis, Fix
from torchmedic.observed.source import decode, lines_of, stand_in
from torchmedic.render import cell_of


class Files:
    """Bytes, lines and cells by path. A path may name a notebook's cell."""

    def __init__(self) -> None:
        self.instead: dict[str, bytes] = {}
        self._lines: dict[str, list[str]] = {}

    def put(self, path: str, data: bytes) -> None:
        """From now on the path holds these bytes, for everybody in this process who reads sources."""
        self.instead[path] = data
        self._lines.clear()
        if not path.endswith(".ipynb"):
            with suppress(SyntaxError, ValueError, LookupError):
                stand_in(path, decode(data))

    def drop(self) -> None:
        """Back to what the disk holds."""
        for path in self.instead:
            stand_in(path, None)
        self.instead.clear()
        self._lines.clear()

    def read(self, path: str) -> bytes:
        """The bytes of a file, or the source of a cell as UTF-8. Raises OSError."""
        name, cell = cell_of(path)
        data = self.instead.get(name)
        if data is None:
            with open(name, "rb") as file:
                data = file.read()
        if cell is None:
            return data
        from torchmedic.checking.notebook import Notebook

        try:
            return Notebook(name, data).source_of(cell).encode("utf-8", "surrogatepass")
        except CannotLook:
            return b""

    def maybe(self, path: str) -> bytes | None:
        """The same; None if it can't be read."""
        try:
            return self.read(path)
        except OSError:
            return None

    def lines(self, path: str) -> Sequence[str]:
        """The lines of a file or cell with their ends; none if it can't be read."""
        if path not in self._lines:
            data = self.maybe(path) or b""
            try:
                text = decode(data)
            except (SyntaxError, ValueError, LookupError):
                text = data.decode("utf-8", "replace")
            self._lines[path] = lines_of(text)
        return self._lines[path]

    def line(self, path: str, number: int) -> str:
        lines = self.lines(path)
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def with_diffs(self, d: Diagnosis) -> Diagnosis:
        """The diagnosis with the diff of each fix; without those that don't fit the files any more."""
        from torchmedic.fix.patch import with_diff

        fixes: list[Fix] = []
        for fix in d.fixes:
            with suppress(OSError, ValueError):
                fixes.append(with_diff(fix, self.read))
        return d._replace(fixes=tuple(fixes))
