"""What a trial may not do: write, remove or rename outside its box, use the network, start programs.

This file stands alone (standard library only): worker processes that are started afresh execute it by its path.
Python's own audit events tell the reader what was held back; on Linux the kernel (Landlock) also refuses writes
that bypass Python, such as those of C++ extensions.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

COPIED = 256 << 20  # bytes; a linked file up to this size is copied when a trial wants to change it
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
LOOPBACK = ("localhost", "127.0.0.1", "::1", "")
# Programs that only tell something about the machine.
QUERIES = frozenset(
    {
        "arch",
        "fc-list",
        "getconf",
        "ldconfig",
        "lscpu",
        "nproc",
        "nvidia-smi",
        "rocm-smi",
        "sw_vers",
    }
    | {"sysctl", "system_profiler", "uname"}
)
# Who may start others: compilers and their checks (`torch.compile`, C++ extensions), and look-ups of libraries.
STARTERS = ("torch", "triton", "ctypes.util", "platform", "uuid", "numba", "sysconfig")
HELD = (
    "held"  # the file in the box's top folder that lists what was held back, one JSON object a line
)


class Guard:
    """The rules of one box; `check` is an audit hook, which stays for the life of the process and its forks."""

    def __init__(self, top: str) -> None:
        self.top = top
        self.allowed = tuple(p + os.sep for p in (top, "/dev", "/proc"))
        self.checks: dict[str, Callable[[tuple[Any, ...]], None]] = {
            "open": self._open,
            "os.remove": lambda a: self._entry("remove", a[0], a[1], exists=True),
            "os.rmdir": lambda a: self._entry("remove", a[0], a[1], exists=True),
            "os.mkdir": lambda a: self._entry("write", a[0], a[2], exists=False),
            "os.rename": self._rename,
            "os.link": self._link,
            "os.symlink": lambda a: self._entry("write", a[1], a[2]),
            "os.truncate": lambda a: self._change(a[0]),
            "os.chmod": lambda a: self._change(a[0], a[2]),
            "os.chown": lambda a: self._change(a[0], a[3]),
            "os.utime": lambda a: self._change(a[0], a[3]),
            "os.setxattr": lambda a: self._change(a[0]),
            "os.removexattr": lambda a: self._change(a[0]),
            "sqlite3.connect": self._database,
            "socket.connect": lambda a: self._reach(a[1]),
            "socket.sendto": lambda a: self._reach(a[1]),
            "socket.sendmsg": lambda a: self._reach(a[1]),
            "socket.getaddrinfo": lambda a: self._reach((a[0],)),
            "socket.gethostbyname": lambda a: self._reach((a[0],)),
            "subprocess.Popen": lambda a: self._start(a[1] or a[0]),
            "os.system": lambda a: self._start(a[0]),
            "os.exec": lambda a: self._start(a[1] or a[0]),
            "os.posix_spawn": lambda a: self._start(a[1] or a[0]),
            "os.spawn": lambda a: self._start(a[2] or a[1]),
            "pty.spawn": lambda a: self._start(a[0]),
            "webbrowser.open": lambda a: self._start(("webbrowser", a[0])),
        }

    def check(self, event: str, args: tuple[Any, ...]) -> None:
        check = self.checks.get(event)
        if check is not None:
            check(args)

    def hold(self, kind: str, what: str) -> None:
        """Note it down and refuse it. `kind` is "write", "remove", "rename", "connect" or "start"."""
        line = json.dumps({"kind": kind, "what": what[:300], "pid": os.getpid()}) + "\n"
        with suppress(OSError):
            handle = os.open(os.path.join(self.top, HELD), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(handle, line.encode())
            os.close(handle)
        raise PermissionError(errno.EACCES, f"a trial run holds this back: {kind} {what}")

    def _is_allowed(self, path: str) -> bool:
        return path.startswith(self.allowed) or path == self.top

    def _open(self, args: tuple[Any, ...]) -> None:
        path, _, flags = args
        if isinstance(path, int) or not (flags or 0) & WRITES:
            return
        self.write(path, bool(flags & os.O_TRUNC))

    def write(self, path: Any, truncates: bool) -> None:
        """Allow or refuse opening for writing. A link in the box gives way to a file of its own."""
        name = os.path.abspath(_text(path))
        real = os.path.realpath(name)
        if self._is_allowed(real):
            return
        link = _place(name)
        if self._is_allowed(link) and os.path.islink(link):
            if truncates or not os.path.exists(real):
                os.unlink(link)
                return
            if os.path.isfile(real) and os.path.getsize(real) <= COPIED:
                os.unlink(link)
                shutil.copyfile(real, link)
                return
        self.hold("write", real)

    def _change(self, path: Any, folder: Any = -1) -> None:
        """Attributes and sizes: through links, to the file itself."""
        if isinstance(path, int):
            return
        name = _resolved(path, folder)
        if self._is_allowed(os.path.realpath(name)) or not os.path.exists(name):
            return
        self.write(name, truncates=False)

    def _entry(self, kind: str, path: Any, folder: Any = -1, exists: bool | None = None) -> None:
        """Names in a folder: links aren't followed. What fails by itself (`exists` is wrong) may fail by itself."""
        name = _place(_resolved(path, folder))
        if self._is_allowed(name) or (exists is not None and os.path.lexists(name) != exists):
            return
        self.hold(kind, name)

    def _rename(self, args: tuple[Any, ...]) -> None:
        self._entry("rename", args[0], args[2], exists=True)
        self._entry("rename", args[1], args[3])

    def _link(self, args: tuple[Any, ...]) -> None:
        # A second name in the box for a file outside would let its contents be changed.
        self._entry("write", os.path.realpath(_resolved(args[0], args[2])), exists=True)
        self._entry("write", args[1], args[3])

    def _database(self, args: tuple[Any, ...]) -> None:
        name = _text(args[0])
        if not name or ":memory:" in name or "mode=ro" in name or "mode=memory" in name:
            return
        self.write(name.removeprefix("file:").split("?")[0], truncates=False)

    def _reach(self, address: Any) -> None:
        if not isinstance(address, tuple):  # a local socket, by its path
            return
        host = _text(address[0]) if address[0] is not None else ""
        if host in LOOPBACK and (len(address) == 1 or _called_from("multiprocessing")):
            return
        self.hold("connect", ":".join(map(str, address[:2])))

    def _start(self, words: Any) -> None:
        if isinstance(words, (str, bytes, os.PathLike)):
            words = _text(words).split()
        shown = [_text(word) for word in words]
        if shown and os.path.basename(shown[0]) in QUERIES:
            return
        starter = _starter()
        known = starter in STARTERS or starter.split(".")[0] in STARTERS
        if not known or starter.startswith("torch.distributed"):
            self.hold("start", " ".join(shown))


def _text(path: Any) -> str:
    return os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else str(path)


def _resolved(path: Any, folder: Any) -> str:
    """The path, seen from the folder that a file descriptor stands for (-1: the working directory)."""
    name = _text(path)
    if isinstance(folder, int) and folder >= 0 and not os.path.isabs(name):
        with suppress(OSError):
            return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name)
        with suppress(ImportError, OSError):
            import fcntl

            get_path: int = fcntl.F_GETPATH  # type: ignore[attr-defined,unused-ignore]  # macOS
            found = fcntl.fcntl(folder, get_path, bytes(1024))
            return os.path.join(os.fsdecode(found.rstrip(b"\0")), name)
    return os.path.abspath(name)


def _place(name: str) -> str:
    """The name itself in its real folder."""
    folder, last = os.path.split(name.rstrip(os.sep) or os.sep)
    return os.path.join(os.path.realpath(folder), last)


def _modules() -> list[str]:
    names, frame = [], sys._getframe(1)
    while frame is not None:
        names.append(str(frame.f_globals.get("__name__", "")))
        frame = frame.f_back  # type: ignore[assignment]
    return names


def _called_from(package: str) -> bool:
    return any(name.split(".")[0] == package for name in _modules())


def _starter() -> str:
    """The module that asks for a program: the first one outside `subprocess`, `os` and this file."""
    own = {__name__, "subprocess", "os", "pty"}
    return next((name for name in _modules() if name not in own), "")


def install(top: str) -> None:
    """Hold this process, and those that it forks or that `multiprocessing` starts, to the box's rules."""
    sys.addaudithook(Guard(top).check)


def worker_code(top: str) -> str:
    """Code that a fresh worker process has to run first."""
    path = os.path.abspath(__file__)
    return (
        f"_g = {{'__name__': 'torchmedic_guard', '__file__': {path!r}}}; "
        f"exec(compile(open({path!r}, 'rb').read(), {path!r}, 'exec'), _g); "
        f"_g['install']({top!r}); del _g; "
    )


_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the landlock_* system calls, on every architecture
_WRITE_FILE, _MAKE, _REFER, _TRUNCATE = (
    1 << 1,
    sum(1 << bit for bit in range(4, 13)),
    1 << 13,
    1 << 14,
)
_NO_NEW_PRIVILEGES, _DEATH_SIGNAL = 38, 1  # options of prctl


def wall(top: str) -> bool:
    """Let the kernel refuse writes outside the box, for this process and all that come from it. False if it can't."""
    if sys.platform != "linux":
        return False
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        version = libc.syscall(_CREATE, None, 0, 1)
        if version < 2:  # the first one refuses every move between folders
            return False
        handled = _WRITE_FILE | _MAKE | _REFER | (_TRUNCATE if version > 2 else 0)
        rules = libc.syscall(_CREATE, struct.pack("=Q", handled), 8, 0)
        if rules < 0:
            return False
        for folder in (top, "/dev", "/proc"):
            handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
            libc.syscall(_ADD, rules, 1, struct.pack("=Qi", handled, handle), 0)
            os.close(handle)
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        done = bool(libc.syscall(_RESTRICT, rules, 0) == 0)
        os.close(rules)
    except (OSError, AttributeError):
        return False
    return done


def die_with_parent() -> None:
    """Linux: end this process when the one that started it ends, however that happens."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_DEATH_SIGNAL, 9, 0, 0, 0)
