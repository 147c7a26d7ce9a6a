"""A folder in which a program can be tried out: its code copied, everything big linked, the rest of the disk in reach.

Below `root` the user's disk is mirrored by absolute path: the copy of /home/me/net/train.py is
`root`/home/me/net/train.py. Relative paths, `..` and `__file__` lead to the same things as outside.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress

ENTRIES = 5000  # copied or linked one by one; a folder beyond that is one link
LINKS = 1000  # the same for folders that aren't the program's own
SMALL = 1 << 20  # bytes; larger files are linked
COPIED = 64 << 20  # bytes of other files than code, in all
NEARBY = 500  # entries that a folder above the program may have for its siblings to be in reach
UP = 2  # levels above the program whose entries are in reach: `../data`
SKIPPED = frozenset(
    {".git", ".hg", ".svn", "__pycache__", "node_modules", "wandb", "mlruns", "site-packages"}
    | {".mypy_cache", ".ruff_cache", ".pytest_cache", ".tox", ".nox"}
)
CODE = (".py", ".pyw", ".pyi")


class Box:
    """`program` are folders whose code is copied; `files` are copied wherever they are; `cwd` and `home` are in reach.

    Raises OSError if no temporary folder can be made. Call `remove` at the end.
    """

    def __init__(
        self,
        program: Iterable[str],
        files: Iterable[str] = (),
        cwd: str | None = None,
        home: str | None = None,
    ) -> None:
        # Short names: the socket of a DataLoader worker lies below, and its path is limited to 104 bytes.
        self.top = os.path.realpath(tempfile.mkdtemp(prefix="tm-"))
        self._boxes = os.path.dirname(self.top)
        self.root = os.path.join(self.top, "w")
        self.temporary = os.path.join(self.top, "t")
        self._copied = 0
        try:
            self._set_up(program, files, cwd, home)
        except BaseException:
            self.remove()
            raise

    def _set_up(
        self, program: Iterable[str], files: Iterable[str], cwd: str | None, home: str | None
    ) -> None:
        os.mkdir(self.root)
        os.mkdir(self.temporary)
        self._wanted = {os.path.realpath(f) for f in files}
        self._wanted_folders = {above for f in self._wanted for above in _above(f)}
        home = os.path.realpath(home) if home else None
        broad = broad_folders(home)
        roots = _outermost(os.path.realpath(p) for p in program)
        self.program = tuple(roots)
        for folder in roots:
            whole = folder not in broad
            self._fill(folder, ENTRIES if whole else LINKS, copies=whole)
        for file in sorted(self._wanted):
            self._take(file)
        for folder in roots:
            for above in list(_above(folder))[:UP]:
                self._link_entries(above)
        if cwd and os.path.isdir(cwd):
            here = os.path.realpath(cwd)
            if here in broad:
                self._link_entries(here)
            elif not self._is_below(here, roots):
                self._fill(here, LINKS, copies=False)
            os.makedirs(self.root + here, exist_ok=True)
        if home and os.path.isdir(home):
            os.makedirs(self.root + home, exist_ok=True)
            cache = os.path.join(home, ".cache")
            if os.path.isdir(cache):
                self._fill(os.path.realpath(cache), LINKS, copies=False)
            self._link_entries(home)

    def inside(self, path: str) -> str:
        """Where the path is in the box; the path itself if the box has no mirror of it."""
        mirrored = self.root + os.path.realpath(path)
        return mirrored if os.path.lexists(mirrored) else path

    def outside(self, text: str) -> str:
        """A text with the box's paths turned back into the user's."""
        return text.replace(self.root + os.sep, os.sep)

    def put(self, files: Mapping[str, bytes]) -> None:
        """Give the copies of these files other contents. Raises OSError if one isn't a copy."""
        for path, data in files.items():
            copy = self.root + os.path.realpath(path)
            if os.path.islink(copy) or not os.path.isfile(copy):
                raise FileNotFoundError(f"{path} has no copy in the trial's folder")
            with open(copy, "wb") as file:
                file.write(data)

    def remove(self) -> None:
        shutil.rmtree(self.top, ignore_errors=True)

    @staticmethod
    def _is_below(path: str, folders: Iterable[str]) -> bool:
        return any(path == f or path.startswith(f.rstrip(os.sep) + os.sep) for f in folders)

    def _fill(self, folder: str, budget: int, copies: bool) -> None:
        """Breadth first, so that what is near the program is real and what is deep is a link."""
        os.makedirs(self.root + folder, exist_ok=True)
        waiting = deque([folder])
        while waiting:
            here = waiting.popleft()
            must = here == folder or here in self._wanted_folders
            found = _entries(here, None if must else budget)
            if found is None:
                self._link(here)
                continue
            budget -= len(found)
            self._make(here)
            for entry in found:
                if entry.is_symlink():
                    self._follow(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    if entry.path in self._wanted_folders:
                        waiting.append(entry.path)
                    elif entry.path == self._boxes:  # this box lies there, and others do
                        self._link(entry.path)
                    elif not _is_skipped(entry) and entry.path != self.top:
                        waiting.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    if entry.path in self._wanted or (copies and self._is_small(entry)):
                        self._copy(entry.path)
                    else:
                        self._link(entry.path)

    def _is_small(self, entry: os.DirEntry[str]) -> bool:
        if entry.name.endswith(CODE):
            return True
        with suppress(OSError):
            size = entry.stat(follow_symlinks=False).st_size
            if size < SMALL and self._copied + size <= COPIED:
                self._copied += size
                return True
        return False

    def _take(self, file: str) -> None:
        """Copy one file, with real folders on the way to it."""
        copy = self.root + file
        if os.path.isfile(copy) and not os.path.islink(copy):
            return
        way = [*reversed(list(_above(file)))]
        for folder in way:
            if os.path.islink(self.root + folder):
                os.unlink(self.root + folder)
                self._make(folder)
                self._link_entries(folder)
        self._make(os.path.dirname(file))
        if os.path.islink(copy):
            os.unlink(copy)
        self._copy(file)

    def _make(self, folder: str) -> None:
        os.makedirs(self.root + folder, exist_ok=True)

    def _copy(self, file: str) -> None:
        try:
            shutil.copyfile(file, self.root + file)
            os.chmod(self.root + file, os.stat(file).st_mode & 0o777 | stat.S_IWUSR)
        except OSError:  # unreadable for us, so for the program too
            with suppress(OSError):
                os.unlink(self.root + file)
            self._link(file)

    def _link(self, path: str, target: str | None = None) -> None:
        with suppress(FileExistsError):
            os.symlink(target or path, self.root + path)

    def _follow(self, link: str) -> None:
        """A link leads to the mirror of its target if that is the program's, else to the target."""
        target = os.path.realpath(link)
        mine = self._is_below(target, self.program) or target in self._wanted
        self._link(link, self.root + target if mine else target)

    def _link_entries(self, folder: str) -> None:
        """The folder itself, with a link for every entry that has no mirror yet."""
        self._make(folder)
        for entry in _entries(folder, NEARBY) or ():
            if entry.path != self.top:
                self._link(entry.path)


def broad_folders(home: str | None) -> set[str]:
    """Folders that hold all sorts of things: never copied as a program, whatever runs in them."""
    folders = {os.sep, os.path.realpath(tempfile.gettempdir())}
    if home:
        real = os.path.realpath(home)
        folders |= {real, *_above(real)}
    return folders


def _above(path: str) -> Iterable[str]:
    """The folders above, nearest first."""
    up = os.path.dirname(path)
    while up and up != path:
        yield up
        path, up = up, os.path.dirname(up)


def _outermost(folders: Iterable[str]) -> list[str]:
    kept: list[str] = []
    for folder in sorted({f for f in folders if os.path.isdir(f)}):
        if not Box._is_below(folder, kept):
            kept.append(folder)
    return kept


def _entries(folder: str, most: int | None) -> list[os.DirEntry[str]] | None:
    """What is in the folder; None if that is more than `most`. Unreadable folders are empty."""
    found: list[os.DirEntry[str]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if most is not None and len(found) >= most:
                    return None
                found.append(entry)
    except OSError:
        return []
    return found


def _is_skipped(folder: os.DirEntry[str]) -> bool:
    return folder.name in SKIPPED or os.path.exists(os.path.join(folder.path, "pyvenv.cfg"))
