"""Where a module of the project stands: the one search for the file that an import names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable


def module_file(
    folder: str,
    dotted: str,
    first: Iterable[str] = (),
    last: Iterable[str] = (),
    is_file: Callable[[str], bool] = os.path.isfile,
    may_hold: Callable[[str, str], bool] | None = None,
) -> str | None:
    """The file of `pkg.mod` or `..mod` as imported by a file in `folder`; None if the project has none.

    A module without dots before it is looked for in the folders `first`, in `folder`, in the two above it, and in the
    folders `last`. `may_hold(folder, name)` is asked for the first part of its name, and spares the look into a folder.
    """
    parts = [part for part in dotted.split(".") if part]
    level = len(dotted) - len(dotted.lstrip("."))
    if not parts and not level:
        return None
    if level:
        for _ in range(level - 1):
            folder = os.path.dirname(folder)
        bases = [folder]
    else:
        up = os.path.dirname(folder)
        bases = [*first, folder, up, os.path.dirname(up), *last]
    for base in dict.fromkeys(bases):
        if parts and not level and may_hold is not None and not may_hold(base, parts[0]):
            continue
        stem = os.path.join(base, *parts)
        for path in (f"{stem}.py", os.path.join(stem, "__init__.py")):
            if is_file(path):
                return path
    return None
