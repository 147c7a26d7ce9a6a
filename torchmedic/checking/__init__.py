"""`check`: from paths to files, from files to diagnoses, from diagnoses to a report or to mended files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchmedic.model import Diagnosis


def check_paths(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    jobs: int = 1,
    cache: bool = False,
) -> list[Diagnosis]:
    """What `torchmedic.check` does; its docstring is the contract."""
    from torchmedic.checking.command import Check, Options

    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    options = Options(
        select=tuple(select), ignore=tuple(ignore), jobs=jobs, cache=cache, quiet=True
    )
    check = Check([os.fspath(path) for path in given], options)
    if check.discovery.problems:
        raise FileNotFoundError(check.discovery.problems[0].sentence("en"))
    check.look()
    for problem in check.problems():
        warnings.warn(problem.sentence("en"), stacklevel=3)
    return [check.files.with_diffs(d) for d in check.findings(check.results)]
