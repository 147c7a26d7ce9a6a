"""The child process of a trial: run the copied program and tell the parent, line by line, how far it came."""

from __future__ import annotations

import importlib
import importlib.machinery
import json
import os
import pickle
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from types import CodeType, FrameType, ModuleType
from typing import TYPE_CHECKING, Any

from torchmedic.fix import guard
from torchmedic.fix.course import Course
from torchmedic.probes.launch import Program, run

if TYPE_CHECKING:
    from torchmedic.probes.record import Recorder

FAILURE = "failure.pickle"  # in the box's top folder: what the trial crashed with
MESSAGE = 1500  # characters of an error's message that are told
QUIET = 0.02  # seconds between two reports of steps, after the first ones
FIRST = 20


class Trial:
    """One run. `spec` is what `verify` wrote; everything goes out through the pipe `spec["pipe"]`."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.spec = spec
        self.root: str = spec["root"]
        self.pid = os.getpid()
        self.recorder: Recorder | None = None
        self.steps = 0
        self._told = 0.0
        self._has_optimizer = False

    def tell(self, event: str, **facts: object) -> None:
        """One line, shorter than a pipe's atomic write. Only from the process that the parent started."""
        if os.getpid() == self.pid:
            with suppress(OSError):
                line = json.dumps({"event": event, "steps": self.steps, **facts})
                os.write(self.spec["pipe"], line.encode() + b"\n")

    def stepped(self, *_: object) -> None:
        if os.getpid() != self.pid:
            return
        self.steps += 1
        now = time.monotonic()
        if self.steps <= FIRST or now - self._told > QUIET:
            self._told = now
            self.tell("step", compiled=_is_compiled())

    def crashed(self, error: BaseException) -> None:
        """Tell what was raised and where; leave the whole `Failure` behind if somebody is to read it."""
        if os.getpid() != self.pid:
            return
        stop_tracing()
        kind = type(error).__name__
        try:
            message = str(error)
        except Exception:  # the user's own __str__
            message = ""
        path, line, is_copy = self._user_place(error)
        is_same = self._is_the_crash(kind, message, path, line)
        has_failure = False
        if self.spec["on_crash"]:
            with suppress(Exception):
                has_failure = self._leave(error)
        self.tell(
            "error",
            type=kind,
            message=message.replace(self.root + os.sep, os.sep)[:MESSAGE],
            file=path,
            line=line,
            is_copy=is_copy,
            is_same=is_same,
            compiled=_is_compiled(),
            has_failure=has_failure,
        )
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(1)

    def _is_the_crash(self, kind: str, message: str, path: str, line: int) -> bool:
        crash = self.spec["crash"]
        if kind != crash["type"]:
            return False
        if crash["file"] is None:  # in a worker, or nowhere: by what it said
            return bool(outline(message) == crash["message"])
        return bool(path == crash["file"] and (line in crash["lines"] or not crash["lines"]))

    def _user_place(self, error: BaseException) -> tuple[str, int, bool]:
        """File (in the user's own folders) and line of the deepest user frame; whether that is a copy's."""
        from torchmedic.probes.frames import entries, is_user, span_of

        for entry in reversed(entries(error.__traceback__)):
            code = entry.frame.f_code
            if is_user(code.co_filename):
                path = os.path.abspath(code.co_filename)
                line = span_of(code, entry.lasti, entry.line).line
                is_copy = path.startswith(self.root + os.sep)
                return path[len(self.root) :] if is_copy else path, line, is_copy
        return "", 0, True

    def _leave(self, error: BaseException) -> bool:
        module, _, name = self.spec["on_crash"].partition(":")
        read = getattr(importlib.import_module(module), name)
        found = read(error, self.recorder) if self.recorder is not None else read(error)
        data = found if isinstance(found, bytes) else pickle.dumps(found)
        with open(os.path.join(self.spec["top"], FAILURE), "wb") as file:
            file.write(data)
        return True

    def use_cpu(self, torch: ModuleType) -> None:
        """Called with `torch`, once it is loaded."""
        from torchmedic.probes import cuda_as_cpu

        cuda_as_cpu.install()

    def watch_optimizers(self, module: ModuleType) -> None:
        """Called with `torch.optim.optimizer` as soon as the program has imported it."""
        module.register_optimizer_step_post_hook(self.stepped)
        make = module.Optimizer.__init__

        def made(optimizer: Any, *args: Any, **kwargs: Any) -> None:
            if not self._has_optimizer:
                self._has_optimizer = True
                self.tell("optimizer")
            make(optimizer, *args, **kwargs)

        module.Optimizer.__init__ = made


def outline(message: str) -> str:
    """The last line of a message without its numbers, to compare what two processes raised."""
    lines = [line for line in message.splitlines() if line.strip()]
    return re.sub(r"\d+", "#", lines[-1].strip()) if lines else ""


def _is_compiled() -> bool:
    """True once `torch.compile` took over a function: its lines can no longer be followed."""
    module = sys.modules.get("torch._dynamo.utils")
    counters = getattr(module, "counters", None)
    return bool(counters and "frames" in counters and counters["frames"]["total"])


class Site:
    """Finds out that the statement which raised was completed, by tracing its one code object until then."""

    def __init__(
        self, path: str, function: str, lines: Sequence[int], passed: Callable[[], None]
    ) -> None:
        self.path = path
        self.function = function
        self.lines = frozenset(lines)
        self._passed = passed
        self._files: dict[str, bool] = {}
        self._in: FrameType | None = None  # the frame that is executing the statement
        self._stopped = (
            False  # a StopIteration went by: a loop that ends, or an error on its way out
        )
        self.is_done = False

    def start(self) -> None:
        threading.settrace(self.trace)
        sys.settrace(self.trace)

    def trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if self.is_done:
            sys.settrace(None)
            return None
        return self._line if self._is_ours(frame.f_code) else None

    def _is_ours(self, code: CodeType) -> bool:
        # By name and file: by line alone, a class body that executes a one-line `def` would count.
        if code.co_name != self.function.rpartition(".")[2]:
            return False
        name = getattr(code, "co_qualname", code.co_name)
        if "." in self.function and "." in name and name != self.function:
            return False
        known = self._files.get(code.co_filename)
        if known is None:
            known = os.path.realpath(code.co_filename) == self.path
            self._files[code.co_filename] = known
        return known

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if self.is_done:
            frame.f_trace = None
            return None
        if event == "line":
            if frame.f_lineno in self.lines:
                self._in, self._stopped = frame, False
            elif self._in is frame:
                return self._done(frame)
        elif event == "exception" and self._in is frame:
            if issubclass(arg[0], (StopIteration, StopAsyncIteration)):
                self._stopped = True
            else:
                self._in = None
        elif event == "return" and self._in is frame:
            if arg is not None or not self._stopped:
                return self._done(frame)
            self._in = None
        return self._line

    def _done(self, frame: FrameType) -> None:
        self.is_done = True
        frame.f_trace = None
        stop_tracing()
        self._passed()


def stop_tracing() -> None:
    threading.settrace(None)  # type: ignore[arg-type,unused-ignore]
    sys.settrace(None)


class AfterImport(MetaPathFinder):
    """Calls a function with a module right after the program's own import executed it.

    With a `site`, modules outside `root` are executed untraced: importing torch takes twice as long under a trace.
    """

    def __init__(
        self,
        then: Mapping[str, Callable[[ModuleType], None]],
        site: Site | None = None,
        root: str = "",
    ) -> None:
        self._then = dict(then)
        self._site = site
        self._root = root + os.sep
        for name in [n for n in self._then if n in sys.modules]:
            self._then.pop(name)(sys.modules[name])

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        then = self._then.pop(fullname, None)
        if then is None and (self._site is None or self._site.is_done):
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                if not isinstance(spec.loader, type):  # the classes of built-in modules are shared
                    self._wrap(spec.loader, spec.origin or "", then)
                return spec
        return None

    def _wrap(self, loader: Any, origin: str, then: Callable[[ModuleType], None] | None) -> None:
        execute = loader.exec_module
        site = self._site
        is_traced = site is not None and origin.startswith(self._root)

        def exec_module(module: ModuleType) -> None:
            before = sys.gettrace()
            if site is not None and not site.is_done:
                sys.settrace(site.trace if is_traced else None)
            try:
                execute(module)
            finally:
                if site is not None:
                    sys.settrace(None if site.is_done else before)
            if then is not None:
                with suppress(
                    Exception
                ):  # another version of it: the trial goes on with less to tell
                    then(module)

        with suppress(AttributeError):
            loader.exec_module = exec_module


def _announce_saves(module: ModuleType) -> None:
    """`torch.save` opens its file in C++; the guard is to hear of it as of every other."""
    opener: Any = module._open_zipfile_writer_file  # type: ignore[attr-defined,unused-ignore]
    make = opener.__init__

    def opened(self: Any, name: Any, *args: Any, **kwargs: Any) -> None:
        sys.audit("open", name, "wb", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        make(self, name, *args, **kwargs)

    opener.__init__ = opened


def _guard_workers(top: str) -> Callable[[ModuleType], None]:
    def wrap(util: ModuleType) -> None:
        start: Any = util.spawnv_passfds  # type: ignore[attr-defined,unused-ignore]

        def spawnv_passfds(path: Any, args: Sequence[Any], passfds: Any) -> Any:
            words = list(args)
            for i, word in enumerate(words[1:-1], 1):
                code = words[i + 1]
                if word == "-c" and "resource_tracker" not in code:
                    words[i + 1] = guard.worker_code(top) + code
                    break
            return start(path, words, passfds)

        util.spawnv_passfds = spawnv_passfds  # type: ignore[attr-defined,unused-ignore]

    return wrap


def _use_copies(root: str, program: Sequence[str]) -> None:
    """Folders of the program that are on `sys.path` (PYTHONPATH, editable installs) give way to their copies."""
    for i, entry in enumerate(sys.path):
        real = os.path.realpath(entry) if entry else ""
        if any(real == p or real.startswith(p + os.sep) for p in program) and os.path.isdir(
            root + real
        ):
            sys.path[i] = root + real


def main(path: str) -> None:
    """Run the trial whose specification lies at `path`. Ends the process itself if the program crashed."""
    guard.die_with_parent()
    with open(path, encoding="utf-8") as file:
        spec = json.load(file)
    os.set_inheritable(spec["pipe"], False)
    trial = Trial(spec)
    # Unseeded draws should be the same ones in every trial; PyTorch's own generators already start alike.
    random.seed(0)
    place = spec["site"]
    site: Site | None = None
    if place:
        site = Site(place["path"], place["function"], place["lines"], lambda: trial.tell("site"))
    course = Course(spec["top"], spec["record"]) if spec["record"] else None
    after = AfterImport(
        {
            **({"torch": trial.use_cpu} if spec["is_on_cpu"] else {}),
            **(course.after if course is not None else {}),
            "torch.optim.optimizer": course.watch if course is not None else trial.watch_optimizers,
            "torch.serialization": _announce_saves,
            "multiprocessing.util": _guard_workers(spec["top"]),
            "numpy.random": lambda module: module.seed(0),  # type: ignore[attr-defined,unused-ignore]
        },
        site,
        trial.root,
    )
    sys.meta_path.insert(0, after)
    if spec["is_on_cpu"] and spec["on_crash"]:
        from torchmedic.probes.record import Recorder

        trial.recorder = Recorder()
        trial.recorder.install()
    _use_copies(trial.root, spec["program"])
    trial.tell("started", walled=guard.wall(spec["top"]))
    guard.install(spec["top"])
    if site is not None:
        site.start()
    try:
        raise SystemExit(run(Program.parse(spec["words"]), trial.crashed, trial.crashed))
    finally:
        stop_tracing()
