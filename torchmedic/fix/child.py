"""One trial as its parent sees it: a box with the (mended) copy, a process group in it, and what it told."""

from __future__ import annotations

import ast
import json
import os
import pickle
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from torchmedic.fix import guard
from torchmedic.fix.box import Box, broad_folders
from torchmedic.fix.course import COURSE
from torchmedic.fix.patch import Rewritten
from torchmedic.fix.trial import FAILURE, outline
from torchmedic.model import Span
from torchmedic.observed import Failure, Source, load
from torchmedic.probes.cuda_as_cpu import HIDDEN

TAIL = 1 << 16  # bytes of the program's output that are kept
# The package itself is loaded by its place, so that `sys.path` stays as the program would find it.
BOOT = """\
import importlib.util, sys
_spec = importlib.util.spec_from_file_location("torchmedic", {init!r}, submodule_search_locations=[{folder!r}])
_module = importlib.util.module_from_spec(_spec)
sys.modules["torchmedic"] = _module
_spec.loader.exec_module(_module)
from torchmedic.fix.trial import main
main(sys.argv[1])
"""
QUIETED = {
    "WANDB_MODE": "disabled",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "MPLBACKEND": "Agg",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",  # compiles in the process itself
}


@dataclass(frozen=True)
class Launch:
    """A program as it was started, so that it can be started again elsewhere.

    words        what stood after `torchmedic run`: a script, `-m` and a module, or `-c` and code; then arguments
    cwd, root    the working directory at the start; `sys.path[0]`, as absolute paths
    environment  the variables at the start
    files        the user's own files that were loaded, as absolute paths
    seconds      how long it ran until it crashed
    memory       bytes that it held at most
    is_on_cpu    what asks for CUDA gets the CPU
    """

    words: tuple[str, ...]
    cwd: str
    root: str
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    files: tuple[str, ...] = ()
    seconds: float = 0.0
    memory: int = 0
    is_on_cpu: bool = False


@dataclass(frozen=True)
class Goal:
    """The crash that a fix has to get past. `file` None: it happened in a worker process, or the place is unknown.

    `type` and `message` are those of the exception that ended the program; `ended_at` is where it was raised, if it
    wraps the one of the failing line.
    """

    file: str | None
    function: str
    line: int
    type: str
    message: str = ""
    ended_at: tuple[str, int] | None = None  # file and line


@dataclass
class Told:
    """What one run has told so far. `steps` are optimizer steps."""

    steps: int = 0
    site_at: float | None = (
        None  # when the failing statement completed, in seconds of `time.monotonic`
    )
    has_site: bool = False  # there is a failing statement to look for
    is_compiled: bool = False
    has_optimizer: bool = False
    error: dict[str, Any] | None = None
    held: tuple[str, str] | None = None  # kind and what
    code: int | None = None  # the exit status; below 0 a signal
    seconds: float = 0.0
    is_over: bool = False  # the time limit was reached


class Child:
    """Raises OSError or ValueError if no box can be made. Close it at the end."""

    def __init__(
        self,
        launch: Launch,
        goal: Goal,
        mended: Sequence[Rewritten] = (),
        on_crash: str = "",
        record: int = 0,
    ) -> None:
        self._record = record  # optimizer steps whose course is kept, after which the process ends
        self.told = Told()
        self.mended = {os.path.realpath(file.path): file for file in mended}
        self.output = b""
        self._rest = b""
        self._process: subprocess.Popen[bytes] | None = None
        self._pipes: list[int] = []
        home = launch.environment.get("HOME")
        loaded = [*launch.files, *self.mended, *([goal.file] if goal.file else [])]
        program = [launch.root, launch.cwd, *map(_package_root, loaded)]
        if launch.cwd != launch.root and not _is_around(launch.cwd, [launch.root, *loaded], home):
            program.remove(launch.cwd)
        self.box = Box(program, [f for f in loaded if os.path.isfile(f)], launch.cwd, home)
        try:
            self.box.put({path: file.new for path, file in self.mended.items()})
            specification = self._specification(launch, goal, on_crash)
            self.told.has_site = specification["site"] is not None
            self._start(launch, specification)
        except BaseException:
            self.close()
            raise

    def _specification(self, launch: Launch, goal: Goal, on_crash: str) -> dict[str, Any]:
        file = os.path.realpath(goal.file) if goal.file else None
        lines = self._lines(goal.line, file) if file else []
        end, end_lines = file, lines
        if goal.ended_at is not None:
            end = os.path.realpath(goal.ended_at[0])
            end_lines = self._lines(goal.ended_at[1], end)
        return {
            "top": self.box.top,
            "root": self.box.root,
            "program": self.box.program,
            "words": self._words(launch.words),
            "crash": {
                "type": goal.type,
                "file": end,
                "lines": end_lines,
                "message": outline(goal.message),
            },
            "site": {
                "path": self.box.root + file,
                "function": goal.function,
                "lines": lines,
            }
            if file and lines and goal.function
            else None,
            "on_crash": on_crash,
            "is_on_cpu": launch.is_on_cpu,
            "record": self._record,
        }

    def _lines(self, line: int, file: str) -> list[int]:
        """The lines of the statement that raised, in the mended text; none if the fix removed it."""
        source = load(file)
        statement = _statement_at(source, line) if source else None
        change = self.mended.get(file)
        if source is None or statement is None:
            return [] if change else [line]
        span = source.span(statement)
        first, last = span.line, span.end_line
        column = span.end_column
        body: list[ast.stmt] = getattr(statement, "body", [])
        if body and body[0].lineno > first:
            last = max(first, body[0].lineno - 1)
            column = len(source.line(last))
        if change is None:
            return [*range(first, last + 1)]
        start = change.mended.forward(first, span.column)
        end = change.mended.forward(last, column)
        return [*range(start[0], end[0] + 1)] if start < end else []

    def _words(self, words: Sequence[str]) -> list[str]:
        """The program's words, with absolute paths into the program turned to the copies."""
        result = list(words)
        for i, word in enumerate(words):
            for folder in self.box.program:
                found = re.search(rf"(?:^|=)({re.escape(folder)})(?:/|$)", word)
                if found and not (i and words[0] == "-c" and i == 1):
                    result[i] = word[: found.start(1)] + self.box.root + word[found.start(1) :]
        if words and os.path.isabs(words[0]) and result[0] == words[0]:
            result[0] = self.box.inside(words[0])
        return result

    def _start(self, launch: Launch, specification: dict[str, Any]) -> None:
        events, pipe = os.pipe()
        self._pipes = [events]
        specification["pipe"] = pipe
        path = os.path.join(self.box.top, "trial.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(specification, file)
        folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        boot = BOOT.format(init=os.path.join(folder, "__init__.py"), folder=folder)
        flags: list[str] = getattr(subprocess, "_args_from_interpreter_flags", list)()
        self.started = time.monotonic()
        try:
            self._process = subprocess.Popen(
                [sys.executable, *flags, "-c", boot, path],
                cwd=self.box.inside(launch.cwd),
                env=self._environment(launch),
                pass_fds=[pipe],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            os.close(pipe)
        assert self._process.stdout is not None
        self._pipes.append(self._process.stdout.fileno())
        for handle in self._pipes:
            os.set_blocking(handle, False)

    def _environment(self, launch: Launch) -> dict[str, str]:
        variables = launch.environment
        result = {**variables, **QUIETED, **(HIDDEN if launch.is_on_cpu else {})}
        result.setdefault("PYTHONHASHSEED", "0")  # the order of sets is the same in all trials
        for name in ("TMPDIR", "TEMP", "TMP"):
            result[name] = self.box.temporary
        for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            if variables.get(name):
                result[name] = self.box.inside(variables[name])
        if "PYTHONPATH" in variables:
            parts = variables["PYTHONPATH"].split(os.pathsep)
            result["PYTHONPATH"] = os.pathsep.join(
                self.box.inside(p) if os.path.isabs(p) and self._is_program(p) else p for p in parts
            )
        return result

    def _is_program(self, path: str) -> bool:
        real = os.path.realpath(path)
        return any(real == p or real.startswith(p + os.sep) for p in self.box.program)

    def register(self, selector: selectors.BaseSelector) -> None:
        for handle in self._pipes:
            selector.register(handle, selectors.EVENT_READ, self)

    def unregister(self, selector: selectors.BaseSelector) -> None:
        for handle in self._pipes:
            selector.unregister(handle)

    def read(self) -> None:
        """Take in what has come, without waiting."""
        if self.told.code is None and self._process is not None:
            self.told.code = (
                self._process.poll()
            )  # before reading: what was written is then all there
        events, output = self._pipes
        self.output = (self.output + _drain(output))[-TAIL:]
        *lines, self._rest = (self._rest + _drain(events)).split(b"\n")
        for line in lines:
            with suppress(ValueError, KeyError):
                self._take(json.loads(line))
        if self.told.held is None:
            with suppress(OSError, ValueError, KeyError):
                with open(os.path.join(self.box.top, guard.HELD), encoding="utf-8") as file:
                    held = json.loads(file.readline())
                self.told.held = (held["kind"], self.box.outside(held["what"]))
        self.told.seconds = time.monotonic() - self.started

    def _take(self, event: dict[str, Any]) -> None:
        told = self.told
        told.steps = max(told.steps, event["steps"])
        told.is_compiled = told.is_compiled or bool(event.get("compiled"))
        if event["event"] == "site":
            told.site_at = time.monotonic()
        elif event["event"] == "optimizer":
            told.has_optimizer = True
        elif event["event"] == "error":
            change = self.mended.get(os.path.realpath(event["file"])) if event["file"] else None
            if change:
                event["line"] = change.mended.back(event["line"], 0)[0]
            told.error = event

    def course(self) -> Any:
        """What `fix.course` recorded, None if the program didn't come so far."""
        try:
            with open(os.path.join(self.box.top, COURSE), "rb") as file:
                return pickle.load(file)
        except (OSError, EOFError, pickle.UnpicklingError):
            return None

    def failure(self) -> Failure | None:
        """What the mended copy crashed with, as if the original had: in its paths, lines and columns."""
        try:
            with open(os.path.join(self.box.top, FAILURE), "rb") as file:
                found = pickle.load(file)
        except Exception:  # nothing there, or made by another version
            return None
        if not isinstance(found, Failure):
            return None
        result = self._at_home(found)
        return result if isinstance(result, Failure) else None

    def _at_home(self, value: Any) -> Any:
        if isinstance(value, Span):
            return self._span_at_home(value)
        if isinstance(value, str):
            return self.box.outside(value)
        if isinstance(value, tuple):
            items = [self._at_home(item) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        if isinstance(value, list):
            return [self._at_home(item) for item in value]
        if isinstance(value, Mapping):
            return {key: self._at_home(item) for key, item in value.items()}
        return value

    def _span_at_home(self, span: Span) -> Span:
        path = self.box.outside(span.path)
        change = self.mended.get(os.path.realpath(path))
        if change is None:
            return span._replace(path=path)
        line, column = change.mended.back(span.line, span.column)
        if not span.end_line:
            return Span(path, line)
        return Span(path, line, column, *change.mended.back(span.end_line, span.end_column))

    def close(self) -> None:
        """End the process with all that it started, and remove the box."""
        process = self._process
        if process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if self._pipes:
            with suppress(OSError):
                os.close(self._pipes[0])
            self._pipes = []
        self.box.remove()


def _drain(handle: int) -> bytes:
    data = b""
    with suppress(BlockingIOError, OSError):
        while part := os.read(handle, 1 << 16):
            data += part
            if len(data) > 1 << 20:
                break
    return data


def _statement_at(source: Source, line: int) -> ast.stmt | None:
    """The innermost statement that covers the line."""
    found: ast.stmt | None = None
    for node in ast.walk(source.tree):  # breadth first: outer ones come before inner ones
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno):
            found = node
    return found


def _package_root(file: str) -> str:
    """The folder that the file's outermost package lies in."""
    folder = os.path.dirname(os.path.realpath(file))
    while os.path.isfile(os.path.join(folder, "__init__.py")) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return folder


def _is_around(cwd: str, paths: Sequence[str], home: str | None) -> bool:
    """True if some of the program lies below the working directory, and that is no home or temporary folder."""
    here = os.path.realpath(cwd).rstrip(os.sep) + os.sep
    if here.rstrip(os.sep) in {f.rstrip(os.sep) for f in broad_folders(home)}:
        return False
    return any(os.path.realpath(path).startswith(here) for path in paths)
