"""Which names of the program hold more graphs after every step: sums, lists and attributes that live on.

Looked at after a step in windows, from the user's frames outwards. Nothing is kept of what is found but numbers, and no
code of the program runs: attributes are read from `__dict__`, and only of containers of exactly Python's own kinds.
"""

from __future__ import annotations

import sys
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

from torchmedic.observed.run_memory import Holder
from torchmedic.probes.frames import OWN, is_user
from torchmedic.probes.observer.nodes import Kept, is_freed, kept, number, reached
from torchmedic.probes.observer.stack import (
    DEEPEST,
    MOST_SITES,
    TORCH,
    Call,
    _known,
    local_names,
    owner_of,
    sites,
    user_calls,
)
from torchmedic.probes.observer.watcher import Now, Watcher

EACH = 8  # steps of a window that are looked at; a look takes about 40 µs
THEN = 8  # and after them every eighth of the first window; of the later ones, the 2nd, 4th, 8th … are looked at
FEWEST = 2  # looks at which it has grown, before its graph is looked into
MOST_VALUES = 400  # of one look
MOST_HELD = 64  # names followed
MOST_KEYS = 16  # of a dict that is looked into
TRIES = 3
_SKIP, _TENSOR, _LIST, _DICT, _OBJECT = range(5)
Found = tuple[
    str, "_Owner | None", Any, Any
]  # text, owner, tensor, items of the container that it ends


class _Owner:
    """An object of the program's own class, by what can be said of it later."""

    __slots__ = ("file", "kind", "text")

    def __init__(self, text: str, kind: type) -> None:
        self.text = text
        self.kind = kind.__qualname__
        self.file = getattr(sys.modules.get(kind.__module__), "__file__", None)


class _State:
    __slots__ = (
        "by", "first", "grown", "is_freed", "kind", "last", "length", "library", "missed", "owner", "seen", "text", "tries", "weight",
    )  # fmt: skip

    def __init__(self, text: str, kind: str, owner: _Owner | None, first: int) -> None:
        self.text = text
        self.kind = kind
        self.owner = owner
        self.first = self.last = first
        self.by: tuple[Call, ...] = ()
        self.library = ""
        self.seen = -1  # number of the node at the last look
        self.length = 0
        self.grown = self.missed = self.tries = 0
        self.is_freed = False
        self.weight = Kept(0, 0)


class Holders(Watcher):
    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self._states: dict[tuple[int, str], _State] = {}
        self._codes: dict[int, CodeType] = {}  # held, so that their ids stay their own
        self._kinds: weakref.WeakKeyDictionary[type, int] = weakref.WeakKeyDictionary()
        self._clock: weakref.ref[Any] | None = None  # looked at once per step of this optimizer
        self._left = 0
        self._library = ""  # whose loop makes the steps
        self._windows = self._steps = 0

    def opened(self) -> None:
        self._windows += 1
        self._steps = 0
        for state in self._states.values():
            state.seen = -1

    def step_ends(self, optimizer: Any) -> None:
        if not self.now.is_open or sys.gettrace() is not None:
            return
        clock = self._clock and self._clock()
        if clock is None:
            self._clock = weakref.ref(optimizer)
        elif clock is not optimizer:
            return
        self._steps += 1
        if self._windows & (self._windows - 1):
            return
        if self._steps > EACH and (self._windows or self._steps % THEN):
            return
        frame: FrameType | None = sys._getframe(1)
        self._left = MOST_VALUES
        self._library = owner_of(frame)
        frames = 0
        held: set[int] = set()
        for _ in range(DEEPEST):
            if frame is None or frames == MOST_SITES:
                return
            known = _known(frame.f_code)
            if known.is_user:
                frames += 1
                self._look(frame, local_names(frame))
            elif self._library and known.library not in ("", TORCH) and not frames:
                self._look(frame, self._handed(frame, held))
            frame = frame.f_back

    def _handed(self, frame: FrameType, held: set[int]) -> list[tuple[str, Any]]:
        """The program's own objects that a library's loop was given, each once."""
        found = []
        for name, value in local_names(frame):
            if self._kind(value) == _OBJECT and id(value) not in held:
                held.add(id(value))
                found.append((name, value))
        return found

    def _look(self, frame: FrameType, pairs: list[tuple[str, Any]]) -> None:
        for text, owner, tensor, items in self._graphs(pairs):
            self._note(frame, text, owner, tensor, items)

    def _kind(self, value: Any) -> int:
        found = self._kinds.get(type(value))
        if found is None:
            found = self._kinds[type(value)] = _kind(type(value))
        return found

    # --- what has a graph

    def _graphs(
        self, pairs: list[tuple[str, Any]], owner: _Owner | None = None, depth: int = 3
    ) -> Iterator[Found]:
        """The text, its owner, and the tensor, or the items of the container that end in a tensor with a graph."""
        head = f"{owner.text}." if owner is not None else ""
        for name, value in pairs:
            kind = self._kind(value)
            if kind == _SKIP or self._left <= 0 or not isinstance(name, str):
                continue
            self._left -= 1
            if kind == _TENSOR:
                if value.grad_fn is not None:
                    yield head + name, owner, value, None
            elif kind == _OBJECT:
                if depth and name not in _MODULES:
                    inner = list(object.__getattribute__(value, "__dict__").items())
                    yield from self._graphs(inner, _Owner(head + name, type(value)), depth - 1)
            else:
                yield from self._items(head + name, owner, value, kind == _DICT)

    def _items(self, text: str, owner: _Owner | None, value: Any, is_dict: bool) -> Iterator[Found]:
        if is_dict and 0 < len(value) <= MOST_KEYS:
            for key, item in list(value.items()):
                kind = self._kinds.get(type(item), _SKIP)
                where = f"{text}[{key!r}]" if type(key) in (str, int) else ""
                if type(item) in (list, deque) and where:
                    yield from self._items(where, owner, item, False)
                elif kind == _TENSOR and where and item.grad_fn is not None:
                    yield where, owner, item, None
        if value and (type(value) is not deque or value.maxlen is None):
            items = list(value.values()) if is_dict else value
            tensor = _last(items[-1])
            if tensor is not None:
                yield text, owner, tensor, items

    # --- what has grown

    def _note(
        self, frame: FrameType, text: str, owner: _Owner | None, tensor: Any, items: Any
    ) -> None:
        key = (id(frame.f_code), text)
        state = self._states.get(key)
        if state is None:
            if len(self._states) >= MOST_HELD:
                self._prune()
                return
            self._codes[id(frame.f_code)] = frame.f_code
            kind = "sum" if items is None else "container"
            state = self._states[key] = _State(text, kind, owner, self.now.steps)
        node = tensor.grad_fn
        seen = number(node)
        if seen == state.seen:
            return
        if state.seen >= 0:
            older = _older(state, node, items)
            if older is None:
                state.missed += 1
            else:
                state.grown += 1
                self._weigh(state, node, older)
            if not state.by:
                state.by, state.library = user_calls(frame), self._library
        state.seen = seen
        state.length = 0 if items is None else len(items)
        state.last = self.now.steps

    def _weigh(self, state: _State, node: Any, older: Any) -> None:
        if self.now.has_saved_hooks or state.grown < FEWEST or state.tries >= TRIES:
            return
        state.tries += 1
        state.is_freed = is_freed(older)
        state.weight = kept(node, state.seen)
        if state.is_freed:
            state.tries = TRIES

    def _prune(self) -> None:
        """Forgets what does not grow: loop variables and results."""
        grown = {k: s for k, s in self._states.items() if s.grown > s.missed}
        self._states = grown if len(grown) < MOST_HELD else self._states

    def read(self) -> dict[str, Any]:
        found = [s for s in self._states.values() if s.by and s.grown >= FEWEST]
        return {"holders": tuple(map(_told, found))}


_MODULES = frozenset({"_parameters", "_buffers", "_modules"})


def _kind(kind: type) -> int:
    torch: Any = sys.modules["torch"]
    if kind is torch.Tensor:
        return _TENSOR
    if kind in (list, deque):
        return _LIST
    if kind in (dict, defaultdict, OrderedDict):
        return _DICT
    if kind.__name__ == "SimpleNamespace" or _is_own(kind):
        return _OBJECT if getattr(kind, "__dictoffset__", 0) else _SKIP
    return _SKIP


def _is_own(kind: type) -> bool:
    """True for a class of the program's: of its own files."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None) if module is not None else None
    if kind.__module__ == "__main__" and file is None:
        return True
    return isinstance(file, str) and not file.startswith(OWN) and is_user(file)


def _last(item: Any, depth: int = 1) -> Any:
    """The tensor with a graph that an item is, or holds."""
    torch: Any = sys.modules["torch"]
    if type(item) is torch.Tensor:
        return item if item.grad_fn is not None else None
    if depth and type(item) in (tuple, list, dict) and len(item) <= MOST_KEYS:
        for part in item.values() if type(item) is dict else item:
            found = _last(part, depth - 1)
            if found is not None:
                return found
    return None


def _older(state: _State, node: Any, items: Any) -> Any:
    """The node of the last look, if it is still held: in the container, or as a part of the sum."""
    if items is None:
        return reached(node, state.seen)
    if not 0 < state.length < len(items):
        return None
    before = _last(items[state.length - 1])
    is_kept = before is not None and number(before.grad_fn) == state.seen
    return before.grad_fn if is_kept else None


def _told(state: _State) -> Holder:
    owner = state.owner
    return Holder(
        sites(state.by),
        state.text,
        "sum" if state.kind == "sum" else "container",
        owner.text if owner is not None else "",
        str(owner.file or "") if owner is not None else "",
        owner.kind if owner is not None else "",
        state.grown,
        state.missed,
        state.first,
        state.last,
        state.is_freed,
        state.weight.nodes,
        state.weight.bytes,
        state.library,
    )
