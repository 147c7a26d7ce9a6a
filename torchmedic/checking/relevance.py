"""Does a file have to do with torch? Found by searching bytes, before anything is parsed.

A file without `torch` in it is looked at if it imports, directly or through others, a file of the same project that
has: `main.py` may hold the sizes, and `trainer.py` the layers.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

MOST_FILES = 60  # reached from one file through imports
_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+(\.*[^\s;#]*)[ \t]+import[ \t]*(?:\(([^)]*)\)|([^\r\n#;]*))"
    rb"|import[ \t]+([^\r\n#;]+))",
    re.M,
)
_COMMENT = re.compile(rb"#[^\r\n]*")

Read = Callable[[str], bytes | None]


def read_file(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def concerns_torch(path: str, data: bytes, read: Read = read_file) -> bool:
    """True if the file, or a file of the project that it imports, has `torch` in its bytes."""
    waiting, seen = [(path, data)], {path}
    while waiting:
        here, content = waiting.pop(0)
        if b"torch" in content:
            return True
        for found in project_imports(here, content, path):
            if found not in seen and len(seen) < MOST_FILES:
                seen.add(found)
                inner = read(found)
                if inner is not None:
                    waiting.append((found, inner))
    return False


def project_imports(path: str, data: bytes, main: str | None = None) -> list[str]:
    """The project's files that the file's import statements name, if `main` is the script that runs."""
    folder, root = os.path.dirname(path), os.path.dirname(main or path)
    found = (module_file(folder, name, root) for name in _imported(data))
    return list(dict.fromkeys(one for one in found if one is not None))


def imports_digest(path: str, data: bytes, main: str) -> str:
    """Changes when an import of the file leads to another file than before, or to one for the first time."""
    names = "\n".join(project_imports(path, data, main))
    return hashlib.blake2b(names.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def _imported(data: bytes) -> Iterator[str]:
    """Dotted names of modules, and of what may be modules: `from a import b` names `a` and `a.b`."""
    for module, inner, names, plain in _IMPORT.findall(data):
        if plain:
            yield from _names(plain)
            continue
        head = module.decode("utf-8", "replace")
        yield head
        stem = head if head.endswith(".") else f"{head}."
        yield from (stem + name for name in _names(_COMMENT.sub(b"", inner) or names))


def _names(listed: bytes) -> Iterable[str]:
    text = listed.decode("utf-8", "replace")
    return (part.split()[0] for part in text.replace("\\", " ").split(",") if part.split())


@lru_cache(maxsize=20_000)
def module_file(folder: str, dotted: str, root: str) -> str | None:
    """The file of a module as imported from a file in `folder`: in `root`, beside it, or up to two folders higher."""
    level = len(dotted) - len(dotted.lstrip("."))
    parts = [part for part in dotted.split(".") if part]
    if not parts and not level:
        return None
    if level:
        for _ in range(level - 1):
            folder = os.path.dirname(folder)
        bases = [folder]
    else:
        up = os.path.dirname(folder)
        bases = [root, folder, up, os.path.dirname(up)]
    for base in bases:
        if parts and not level and not _has_head(base, parts[0]):
            continue
        stem = os.path.join(base, *parts)
        for path in (f"{stem}.py", os.path.join(stem, "__init__.py")):
            if os.path.isfile(path):
                return path
    return None


@lru_cache(maxsize=20_000)
def _has_head(base: str, head: str) -> bool:
    stem = os.path.join(base, head)
    return os.path.isfile(f"{stem}.py") or os.path.isdir(stem)


def forget() -> None:
    """Files may have come and gone since the last question."""
    module_file.cache_clear()
    _has_head.cache_clear()
