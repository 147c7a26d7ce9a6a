"""Runs the user's program as `python` would, in a fresh `__main__` that stays, and hands over its crash.

Everything above the frames of this package is what the program sees without us: `sys.argv`, `sys.path[0]`, the
dunder names of `__main__`, pickling, workers, exit status, the order of flushing, the text of the traceback.
"""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import BuiltinImporter, SourceFileLoader, SourcelessFileLoader
from types import CodeType, ModuleType
from typing import Any, Literal

from torchmedic.probes.stripped import OWN, strip

_ENCODING_PEP = "https://peps.python.org/pep-0263/"
_ENCODING_PEP_BEFORE_3_11 = "https://python.org/dev/peps/pep-0263/"


class LaunchError(Exception):
    """The program can't be started. The text is one sentence for the user; the exit status is 2."""


class Interrupted(BaseException):
    """Ctrl-C ended the program, and its traceback is printed: raise `KeyboardInterrupt` at the outermost level.

    Python then dies by SIGINT as it would without us (exit status 130 in a shell). It is no KeyboardInterrupt
    itself, because command-line libraries turn that into an exit status of their own.
    """


@dataclass(frozen=True)
class Program:
    """What stands behind our options: a script, folder or zip file, `-m module`, `-c code`, or `-`."""

    kind: Literal["script", "module", "command", "stdin"]
    target: str
    arguments: tuple[str, ...] = ()

    @classmethod
    def parse(cls, words: Sequence[str]) -> Program:
        """Reads the words as `python` reads its own. Raises LaunchError if they name no program."""
        if words and words[0] == "--":
            words = words[1:]
            if words and words[0] != "-":
                return cls("script", words[0], tuple(words[1:]))
        if not words:
            raise LaunchError("no program given. Name a script, or use -m MODULE, -c CODE or -.")
        first, rest = words[0], tuple(words[1:])
        if first == "-":
            return cls("stdin", "-", rest)
        for option, kind in _OPTIONS.items():
            if first.startswith(option):
                attached = first[len(option) :]
                if not attached and not rest:
                    raise LaunchError(f"Argument expected for the {option} option.")
                target, arguments = (attached, rest) if attached else (rest[0], rest[1:])
                return cls(kind, target, arguments)
        if first.startswith("-"):
            raise LaunchError(
                f"{first} is no option of ours. Give Python's own options to Python: "
                f"python {first} -m torchmedic run …"
            )
        return cls("script", first, rest)


_OPTIONS: dict[str, Literal["module", "command"]] = {"-m": "module", "-c": "command"}
OnError = Callable[[BaseException], None]
OnEnd = Callable[[], None]


def run(
    program: Program,
    on_crash: OnError,
    on_exit: OnError | None = None,
    on_end: OnEnd = lambda: None,
) -> int:
    """Executes the program; returns 0, or 1 after an uncaught exception that was shown and given to `on_crash`.

    `on_exit` gets the exception in whose handler the program ended itself with another status than 0.
    `on_end` is called after every other end: of its last line, by SystemExit, by Ctrl-C. The traceback is printed by the program's own `sys.excepthook`, without frames of this package. Raises
    LaunchError before anything ran; SystemExit as the program raised it; Interrupted after Ctrl-C.
    """
    start = _prepare(program)
    process, path = os.getpid(), list(sys.path)
    error = _outcome(start, program)
    is_here = (
        os.getpid() == process
    )  # a forked child shows its traceback; the report is the parent's
    if error is None:
        if is_here:
            _hand_over(on_end, path, "this run")
        _forget_file(program)
        return 0
    if program.kind in ("script", "stdin"):
        _flush()
    if isinstance(error, SystemExit):
        handled = error.__context__
        if on_exit and handled is not None and _is_failure(error) and is_here:
            strip(error)
            _hand_over(lambda: on_exit(handled), path)
        elif is_here:
            _hand_over(on_end, path, "this run")
        raise error
    strip(error)
    _show(error)
    if type(error) is KeyboardInterrupt:
        if is_here:
            _hand_over(on_end, path, "this run")
        _forget_file(program)
        sys.excepthook = _silent_once(getattr(sys, "excepthook", None))
        raise Interrupted
    if is_here:
        _hand_over(lambda: on_crash(error), path)
    _forget_file(program)
    return 1


def _is_failure(end: SystemExit) -> bool:
    """True for a status that is a number other than 0, or a text."""
    return type(end.code) in (int, str) and end.code != 0


def _outcome(start: Callable[[], None], program: Program) -> BaseException | None:
    """Returned, not handled: `sys.exc_info()` has to be empty while the excepthook runs."""
    try:
        _become(program)
        start()
    except BaseException as error:
        return error
    return None


def _become(program: Program) -> None:
    """A new `__main__` with the names that Python gives it at its own start."""
    main = ModuleType("__main__")
    names = main.__dict__
    names["__loader__"] = BuiltinImporter
    if sys.version_info < (3, 14):
        names["__annotations__"] = {}
    names["__builtins__"] = builtins
    sys.modules["__main__"] = main
    first = {"script": program.target, "module": "-m", "command": "-c", "stdin": "-"}
    sys.argv[:] = [first[program.kind], *program.arguments]


def _prepare(program: Program) -> Callable[[], None]:
    """What is to be called for this program. Raises LaunchError."""
    if program.kind == "command":
        return lambda: _command(program.target)
    if program.kind == "stdin":
        return _stdin
    if program.kind == "module":
        return lambda: _module(program.target)
    path = _full(program.target)
    if _has_importer(path):
        return lambda: _folder(path)
    try:
        import io

        with io.open_code(path) as file:
            data = file.read()
    except OSError as error:
        raise LaunchError(
            f"{sys.executable}: can't open file {path!r}: [Errno {error.errno}] {error.strerror}"
        ) from None
    return lambda: _script(path, data)


def _full(path: str) -> str:
    """Absolute as Python makes it: joined to the working directory if that is still there, never normalised."""
    if os.name == "nt" or os.path.isabs(path):
        return os.path.abspath(path) if os.name == "nt" else path
    here = _working_directory()
    return f"{here}{os.sep}{path}" if here else path


def _working_directory() -> str:
    """Empty where it was removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _has_importer(path: str) -> bool:
    for hook in sys.path_hooks:
        with suppress(ImportError):
            hook(path)
            return True
    return False


def _set_path(entry: str, always: bool = False) -> None:
    """Python puts one entry in front unless told not to (-P, -I); ours stands there now."""
    flags: Any = sys.flags
    if not getattr(flags, "safe_path", flags.isolated):
        sys.path[0] = entry
    elif always:
        sys.path.insert(0, entry)


def _script(path: str, data: bytes) -> None:
    main = sys.modules["__main__"].__dict__
    _set_path(os.path.dirname(os.path.realpath(path)))
    main["__file__"] = path
    main["__cached__"] = None
    if path.endswith(".pyc"):
        loader = SourcelessFileLoader("__main__", path)
        main["__loader__"] = loader
        exec(loader.get_code("__main__"), main)  # type: ignore[arg-type]
        return
    main["__loader__"] = SourceFileLoader("__main__", path)
    exec(_compiled(data, path), main)


def _stdin() -> None:
    main = sys.modules["__main__"].__dict__
    _set_path("")
    main["__file__"] = "<stdin>"
    main["__cached__"] = None
    data = sys.stdin.buffer.read() if sys.stdin else b""
    try:
        exec(_compiled(data, "<stdin>"), main)
    finally:
        _remember("<stdin>", data.decode("utf-8", "replace"))


def _command(text: str) -> None:
    _set_path("")
    if sys.version_info >= (3, 14):
        from textwrap import dedent

        text = dedent(text)
    text += "\n"
    try:
        code = compile(text, "<string>", "exec", dont_inherit=True)
        if sys.version_info >= (3, 13):
            _show_lines_of(code, text)
        exec(code, sys.modules["__main__"].__dict__)
    finally:
        _remember("<string>", text)


def _module(name: str) -> None:
    """`runpy` runs it in the `__main__` that is there, as for `python -m`: that one is ours and stays."""
    import runpy

    _set_path(_working_directory())
    runpy._run_module_as_main(name)  # type: ignore[attr-defined]


def _folder(path: str) -> None:
    import runpy

    _set_path(path, always=True)
    runpy._run_module_as_main("__main__", alter_argv=False)  # type: ignore[attr-defined]


def _compiled(data: bytes, path: str) -> CodeType:
    """Python reads a program as a file, which tells more of a wrong encoding than `compile` does."""
    first_lines = data.split(b"\n", 2)[:2]
    declared = data.startswith(b"\xef\xbb\xbf") or any(b"coding" in line for line in first_lines)
    if not declared:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            pep = _ENCODING_PEP if sys.version_info >= (3, 11) else _ENCODING_PEP_BEFORE_3_11
            raise SyntaxError(
                f"Non-UTF-8 code starting with '\\x{data[error.start]:02x}' in file {path} on line {line}, "
                f"but no encoding declared; see {pep} for details"
            ) from None
    return compile(data, path, "exec", dont_inherit=True)


def _show_lines_of(code: CodeType, text: str) -> None:
    """From 3.13 on, tracebacks show the lines of `-c` code."""
    import linecache

    register: Any = getattr(linecache, "_register_code", None)
    try:
        register(code, text, "<string>")
    except Exception:  # a private function: without it the lines are missing, and nothing else
        return


_SOURCES: dict[str, str] = {}


def _remember(name: str, text: str) -> None:
    _SOURCES[name] = text


def _forget_file(program: Program) -> None:
    """Python takes these two names away after a script: exit handlers do not see them."""
    if program.kind in ("script", "stdin") and (main := sys.modules.get("__main__")):
        main.__dict__.pop("__file__", None)
        main.__dict__.pop("__cached__", None)


def _flush() -> None:
    for stream in (sys.stderr, sys.stdout):
        try:
            stream.flush()
        except Exception:
            continue


def _show(error: BaseException) -> None:
    """What Python does with an uncaught exception: `sys.last_…`, then the program's own excepthook."""
    kind, traceback = type(error), error.__traceback__
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    sys.last_type, sys.last_value, sys.last_traceback = kind, error, traceback
    hook: Any = getattr(sys, "excepthook", OWN)
    if hook is OWN:
        _say("sys.excepthook is missing\n")
        sys.__excepthook__(kind, error, traceback)
        return
    failure = _failure_of(lambda: hook(kind, error, traceback))
    if isinstance(failure, SystemExit):
        raise failure
    if failure is not None:
        strip(failure)
        _flush()
        _say("Error in sys.excepthook:\n")
        sys.__excepthook__(type(failure), failure, failure.__traceback__)
        _say("\nOriginal exception was:\n")
        sys.__excepthook__(kind, error, traceback)


def _failure_of(action: Callable[[], object]) -> BaseException | None:
    try:
        action()
    except BaseException as failure:
        return failure
    return None


def _hand_over(report: OnEnd, path: list[str], what: str = "this crash") -> None:
    """Calls `report` with the import path of our own start: the program's files must not shadow our imports."""
    if _SOURCES:
        import linecache

        for name, text in _SOURCES.items():
            linecache.cache.setdefault(name, (len(text), None, text.splitlines(True), name))
    theirs, sys.path = sys.path, path
    from torchmedic.probes.children import quiet_children

    loud_children = quiet_children()
    try:
        failure = _failure_of(report)
    finally:
        loud_children()
        sys.path = theirs
    if isinstance(failure, KeyboardInterrupt):
        _say(f"torchmedic was interrupted while reading {what}.\n")
    elif failure is not None:
        reason = f"{type(failure).__name__}: {str(failure).strip()}".split("\n")[0][:200]
        intact = "the traceback above is complete" if what == "this crash" else "its results stand"
        _say(
            f"torchmedic failed while reading {what} ({reason.rstrip(': ')}); {intact}. Please report it.\n"
        )


def _say(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except Exception:  # closed, missing, or replaced by the program
        return


def _silent_once(previous: Any) -> Callable[..., None]:
    """An excepthook that shows nothing: the traceback of the interrupt was shown already."""

    def silent(*details: object) -> None:
        if previous is not None:
            sys.excepthook = previous

    return silent
