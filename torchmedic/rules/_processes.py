"""What rules about worker processes share: how they were started, and by which line."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable

from torchmedic.observed import Failure, Frame, Source
from torchmedic.observed.project import Project
from torchmedic.rules._loaders import Made, in_loader

_PROCESSES = r"torch[\\/](?:multiprocessing|utils[\\/]data)[\\/]"


def starts_processes(failure: Failure) -> bool:
    """True if a DataLoader or `torch.multiprocessing` was starting or using processes."""
    every = (failure, *failure.causes)
    return any(in_loader(link) for link in every) or any(
        not f.is_user and re.search(_PROCESSES, f.at.path) for link in every for f in link.frames
    )


def module_level(failure: Failure) -> tuple[Source, Frame, ast.stmt] | None:
    """The statement of the main file, outside of every function and every guard, from which the error came."""
    frame = next((f for f in failure.frames if f.is_user and f.function == "<module>"), None)
    source = failure.source(frame.at) if frame else None
    if frame is None or source is None:
        return None
    if not failure.is_live and source.line(frame.at.line).strip() != frame.code.strip():
        return None
    for statement in source.tree.body:
        if statement.lineno <= frame.at.line <= (statement.end_lineno or 0):
            return None if is_guard(statement) else (source, frame, statement)
    return None


def is_guard(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)


def starts_afresh(failure: Failure, loaders: Iterable[Made]) -> bool:
    """True if workers import the main file again: the code asks for spawn or forkserver, or it is the default."""
    wanted = [made.argument(None, "multiprocessing_context") for made in loaders]
    if any(n is not None and re.search("spawn|forkserver", ast.unparse(n)) for n in wanted):
        return True
    for source in Project(failure).sources():
        for call in source.calls(".set_start_method", "set_start_method"):
            if re.search("spawn|forkserver", ast.unparse(call)):
                return True
    is_default = sys.platform in ("win32", "darwin") or sys.version_info >= (3, 14)
    return failure.is_live and is_default
