"""Answers of earlier runs: valid while every file that was read, and torchmedic itself, are the same byte for byte.

Entries are files that are replaced as a whole, so runs beside each other cannot harm one another. A cache that can't be
read or written is as good as none.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from torchmedic import __version__
from torchmedic.checking.relevance import imports_digest, read_file

_STALE = 14 * 24 * 3600  # seconds after which the entries of another version are removed


class Cache:
    """Entries by path. `folder` is made when the first entry is written."""

    def __init__(self, folder: str) -> None:
        self.root = folder
        self.folder = os.path.join(folder, f"{__version__}-{own_digest()}")
        self.is_usable = True

    def load(self, path: str, data: bytes) -> dict[str, Any] | None:
        """What was stored for the path, if every file that it depends on still holds the same."""
        try:
            with open(self._file(path), "rb") as file:
                digest, body = file.read().split(b"\n", 1)
            if digest != _digest(body):
                return None
            entry = json.loads(body)
            if entry["path"] != path or _state(path, data, path) != entry["states"][path]:
                return None
            for other, state in entry["states"].items():
                if other != path and _state(other, read_file(other), path) != state:
                    return None
            kept = entry["kept"]
            return kept if isinstance(kept, dict) else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def store(self, path: str, data: bytes, reads: tuple[str, ...], kept: dict[str, Any]) -> None:
        """Keeps the answer. Does nothing where it can't be written."""
        if not self.is_usable:
            return
        states = {path: _state(path, data, path)}
        states.update(
            {other: _state(other, read_file(other), path) for other in reads if other != path}
        )
        target = self._file(path)
        temporary = f"{target}.{os.getpid()}.tmp"
        try:
            if not os.path.isdir(os.path.dirname(target)):
                self._make(os.path.dirname(target))
            body = json.dumps({"path": path, "states": states, "kept": kept}).encode("ascii")
            with open(temporary, "wb") as file:
                file.write(_digest(body) + b"\n" + body)
            os.replace(temporary, target)
        except (OSError, ValueError, TypeError):
            self.is_usable = os.path.isdir(os.path.dirname(target))
            with suppress(OSError):
                os.unlink(temporary)

    def _file(self, path: str) -> str:
        name = hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        return os.path.join(self.folder, name[:2], f"{name[2:]}.json")

    def _make(self, folder: str) -> None:
        is_new = not os.path.isdir(self.folder)
        os.makedirs(folder, exist_ok=True)
        if is_new:
            with suppress(OSError):
                (Path(self.root) / ".gitignore").write_text("*\n", "ascii")
            self._sweep()

    def _sweep(self) -> None:
        """Removes what other versions left, if it is old."""
        import shutil

        with suppress(OSError), os.scandir(self.root) as entries:
            for entry in entries:
                is_ours = entry.name.startswith(tuple("0123456789")) and "-" in entry.name
                is_old = time.time() - entry.stat().st_mtime > _STALE
                if is_ours and is_old and entry.is_dir() and entry.path != self.folder:
                    shutil.rmtree(entry.path, ignore_errors=True)


def default_folder() -> str:
    """The user's folder for what can be made again, as the system names it."""
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser(r"~\AppData\Local")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "torchmedic")


def own_digest() -> str:
    """A hash of this package's source, and of the Python that parses."""
    digest = hashlib.blake2b(f"{sys.version_info[:3]}".encode(), digest_size=8)
    waiting = [os.path.dirname(os.path.dirname(__file__))]
    while waiting:
        folder = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.is_dir() and not entry.name.startswith("__"):
                    waiting.append(entry.path)
                elif entry.name.endswith(".py"):
                    digest.update(entry.name.encode())
                    digest.update(read_file(entry.path) or b"")
    return digest.hexdigest()


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).hexdigest().encode()


def _state(path: str, data: bytes | None, main: str) -> list[str]:
    """What an answer depends on in one file: its bytes, and where its imports lead."""
    if data is None:
        return ["", ""]
    return [_digest(data).decode(), imports_digest(path, data, main)]
