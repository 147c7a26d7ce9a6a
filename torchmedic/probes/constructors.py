"""Where modules are constructed: the user's frames at that moment, small enough to be noted for every module.

`frame.f_locals` is never left filled: until Python 3.12 it is one dict per frame, which keeps deleted values alive
and is the very object that the program's own `locals()` returned.
"""

from __future__ import annotations

import sys
import weakref
from types import CodeType, FrameType
from typing import Any, NamedTuple

from torchmedic.observed import Site
from torchmedic.probes.frames import OWN, is_user, qualname, span_of

MOST_MODULES = 200_000
MOST_WITH_NAMES = 20_000  # names of integers take most of the memory: about 0.3 KiB a frame
MOST_SITES = 6
MOST_NAMES = 40
DEEPEST = 100  # frames searched
_HAS_PROXY = sys.version_info >= (3, 13)  # there f_locals is a view that holds nothing
_LOCALS_IN_USE = frozenset({"locals", "vars", "dir", "exec", "eval", "_getframe", "currentframe"})
_INITS = ("__init__", "__post_init__")
_OPTIMIZED = (
    0x1  # CO_OPTIMIZED: the frame of a function; of others, f_locals is the namespace itself
)


class Raw(NamedTuple):
    """A frame in progress, without keeping it or its values alive."""

    code: CodeType
    lasti: int
    names: tuple[tuple[str, int], ...]


class _Known(NamedTuple):
    """What is to be known of a code object, asked once: its hash alone costs more than all of this."""

    code: CodeType  # held, so that its id stays its own
    is_user: bool | None  # None: our own, under which nothing is the program's
    is_init: bool
    has_names: bool  # its locals may be looked at


class Constructors:
    """id of a module -> the frames that constructed it. About 9 µs each; a small `nn.Linear` takes 38."""

    def __init__(self) -> None:
        self._sites: dict[int, tuple[weakref.ref[Any], tuple[Raw, ...]]] = {}
        self._shared: dict[tuple[int, int, tuple[tuple[str, int], ...]], Raw] = {}
        self._codes: dict[int, _Known] = {}
        # A class of the program holds its functions, and these all its globals.
        self._ranks: weakref.WeakKeyDictionary[type, dict[int, int | None]]
        self._ranks = weakref.WeakKeyDictionary()

    def note(self, module: object, frame: FrameType | None) -> None:
        """To be called at the beginning of `Module.__init__`, with the frame that called it.

        An `__init__` of the module itself isn't a place that constructed it. Whose `__init__` a frame runs is told
        by the order of the classes: constructors of one object are entered from its class towards the bases, so
        going outwards the rank falls; where it doesn't, the frame belongs to another object.
        """
        sites = self._sites
        seen = sites.get(id(module))
        if seen is not None and seen[0]() is module:
            return
        if len(sites) >= MOST_MODULES and not self._prune():
            return
        found: list[Raw] = []
        last = sys.maxsize
        with_names = len(sites) < MOST_WITH_NAMES and sys.gettrace() is None
        for _ in range(DEEPEST):
            if frame is None:
                break
            code = frame.f_code
            known = self._codes.get(id(code)) or self._know(code)
            if known.is_init and not found:
                rank = self._rank(type(module), code)
                if rank is not None and rank < last:
                    last = rank
                    frame = frame.f_back
                    continue
            if known.is_user:
                found.append(self._raw(frame, with_names and known.has_names))
                if len(found) == MOST_SITES:
                    break
            elif known.is_user is None:
                break
            frame = frame.f_back
        sites[id(module)] = (weakref.ref(module), tuple(found))

    def _know(self, code: CodeType) -> _Known:
        name = code.co_filename
        known = self._codes[id(code)] = _Known(
            code,
            None if name.startswith(OWN) else is_user(name),
            code.co_name in _INITS,
            bool(code.co_flags & _OPTIMIZED) and _LOCALS_IN_USE.isdisjoint(code.co_names),
        )
        return known

    def _raw(self, frame: FrameType, with_names: bool) -> Raw:
        """The frame, with the local names that hold integers. Module-level names would be too many."""
        names: tuple[tuple[str, int], ...] = ()
        if with_names:
            held = frame.f_locals
            names = tuple([pair for pair in held.items() if type(pair[1]) is int][:MOST_NAMES])
            if not _HAS_PROXY:
                held.clear()
        key = (id(frame.f_code), frame.f_lasti, names)
        raw = self._shared.get(key)
        if raw is None:
            raw = self._shared[key] = Raw(frame.f_code, frame.f_lasti, names)
        return raw

    def _rank(self, kind: type, code: CodeType) -> int | None:
        known = self._ranks.setdefault(kind, {})
        if id(code) not in known:
            known[id(code)] = _rank(kind, code)
        return known[id(code)]

    def made_by(self, module: object) -> tuple[Site, ...]:
        """The construction call of the module, then the calls around it; empty if it wasn't seen."""
        sites = self._sites.get(id(module))
        if sites is None or sites[0]() is not module:
            return ()
        return tuple(
            Site(
                span_of(raw.code, raw.lasti, _line(raw.code, raw.lasti)),
                qualname(raw.code),
                dict(raw.names),
            )
            for raw in sites[1]
        )

    def count(self) -> int:
        return len(self._sites)

    def order_of(self, module: object) -> int:
        """A number that no module made later falls below, unless it took over the id of a dead one; -1: not seen."""
        sites = self._sites.get(id(module))
        if sites is None or sites[0]() is not module:
            return -1
        return list(self._sites).index(id(module))

    def _prune(self) -> bool:
        """Forgets dead modules; False if nearly all of them are alive."""
        self._sites = {k: v for k, v in self._sites.items() if v[0]() is not None}
        self._shared = {
            (id(raw.code), raw.lasti, raw.names): raw
            for _, sites in self._sites.values()
            for raw in sites
        }
        return len(self._sites) < MOST_MODULES * 3 // 4


def _rank(kind: type, code: CodeType) -> int | None:
    """The place of a constructor's class among the bases; `__post_init__` is entered after its `__init__`."""
    for place, base in enumerate(kind.__mro__):
        own = vars(base).get(code.co_name)
        while own is not None:
            if getattr(own, "__code__", None) is code:
                return 2 * place + (1 if code.co_name == "__post_init__" else 0)
            own = getattr(own, "__wrapped__", None)
    return None


def _line(code: CodeType, lasti: int) -> int:
    """Read when it is asked for: in a long file, finding the line takes as long as all the rest."""
    for start, end, line in code.co_lines():
        if start <= lasti < end and line is not None:
            return line
    return code.co_firstlineno
