"""Autograd's graph, walked without touching what it computes: which nodes are new, what they keep, what they end in.

A node's sequence number grows with the order in which nodes are made, and edges lead from later to earlier ones.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

MOST_NODES = 5000
MOST_TRIED = 400  # to see whether a backward pass has freed a graph
_FREED = "second time"
_SAVED: WeakKeyDictionary[type, tuple[str, ...]] = WeakKeyDictionary()


class Kept(NamedTuple):
    nodes: int
    bytes: int


def number(node: Any) -> int:
    return int(node._sequence_nr())


def walk(node: Any, after: int = -1, most: int = MOST_NODES) -> Iterator[Any]:
    """The node and what it was computed from, the nearest first: only what was made after that number."""
    waiting, seen = deque([node]), {node}
    while waiting and most:
        most -= 1
        found = waiting.popleft()
        yield found
        for parent, _ in found.next_functions:
            if parent is not None and parent not in seen and number(parent) > after:
                seen.add(parent)
                waiting.append(parent)


def reached(node: Any, wanted: int) -> Any:
    """The node with that number, if this one was computed from it; else None."""
    for found in walk(node, wanted - 1):
        if number(found) == wanted:
            return found
    return None


def is_freed(node: Any) -> bool:
    """True if a backward pass has gone through, after which no other can. Hooks on saved tensors must not be in use."""
    for found in walk(node, most=MOST_TRIED):
        for name in _saved_names(type(found)):
            try:
                getattr(found, name)
            except RuntimeError as error:
                if _FREED in str(error):
                    return True
    return False


def kept(node: Any, after: int = -1) -> Kept:
    """How many nodes there are, and the bytes that they save: each part of a storage once, without parameters.

    Reading a saved tensor unpacks it, so hooks on saved tensors must not be in use: they are the program's own code.
    """
    torch: Any = sys.modules["torch"]
    parts: dict[int, set[tuple[int, int]]] = {}  # of each storage: offset and bytes
    leaves: set[int] = set()
    nodes = 0
    for found in walk(node, after):
        nodes += 1
        leaf = getattr(found, "variable", None)
        if isinstance(leaf, torch.Tensor):
            leaves.add(_storage(leaf))
        for name in _saved_names(type(found)):
            try:
                saved = getattr(found, name)
            except RuntimeError:  # freed, or changed in place
                continue
            for tensor in saved if isinstance(saved, (tuple, list)) else (saved,):
                if isinstance(tensor, torch.Tensor) and not isinstance(tensor, torch.nn.Parameter):
                    size = int(tensor.numel() * tensor.element_size())
                    part = (int(tensor.storage_offset()), size) if _storage(tensor) else (0, 0)
                    parts.setdefault(_storage(tensor), set()).add(part)
    held = {key: sum(size for _, size in own) for key, own in parts.items() if key not in leaves}
    return Kept(nodes, sum(held.values()))


def _saved_names(kind: type) -> tuple[str, ...]:
    names = _SAVED.get(kind)
    if names is None:
        found = [n for n in dir(kind) if n.startswith("_saved_")]
        if "saved_tensors" in dir(kind):
            found = ["saved_tensors"]
        names = _SAVED[kind] = tuple(found)
    return names


def _storage(tensor: Any) -> int:
    """Its address; 0 for a layout without storage."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (RuntimeError, NotImplementedError):
        return 0
