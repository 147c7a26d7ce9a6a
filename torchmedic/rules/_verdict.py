"""Which of the dataset mistakes a failed access is, and what `__len__` should have returned."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torchmedic.observed import Failure, Value
from torchmedic.rules._containers import container_of, size_of
from torchmedic.rules._dataset import (
    Access,
    accesses,
    amount,
    demand,
    from_loader,
    item_frames,
    told,
)
from torchmedic.rules._indexing import Index, Reader
from torchmedic.rules._length import known_value


def usual(failure: Failure) -> Access | None:
    """The access that a verdict is about, if there is one."""
    for access in accesses(failure):
        if verdict(failure, access):
            return access
        if access.position.lookup is not None:
            return None
    return None


def is_readable(failure: Failure) -> bool:
    """True if the failing subscript was found in the user's files: the text alone has nothing to add."""
    return next(accesses(failure), None) is not None


def verdict(failure: Failure, access: Access) -> str:
    """ "shift": the index is off by a constant. "ids": the numbers looked up start at 1. "length": `__len__` promises
    too much. "": nothing of these, or not known well enough.
    """
    index, number, held, item = access.position, access.number, access.held, access.item
    promised = access.length.number if access.length else None
    if item is not None and (item < 0 or (promised is not None and item >= promised)):
        return ""  # the item that was asked for does not exist
    if index.lookup is not None:
        return "ids" if _counts_from_one(access) else ""
    if failure.type == "KeyError" and not _is_outside(failure, access):
        return ""
    if index.shift is not None and not (index.terms or index.extents):
        too_far = item is not None and held is not None and item >= held
        reaches = index.offset > 0 or (number is not None and number < 0)
        if reaches and not too_far and not _is_next_step(access):
            return "shift"
    if access.length is None or (number is not None and number < 0):
        return ""
    text, needed = requirement(access)
    if _plain(text) == _plain(access.length.source.code(access.length.returned)):
        return ""
    if promised is not None and needed is not None and needed >= promised:
        return ""
    return "length"


def _is_outside(failure: Failure, access: Access) -> bool:
    """True if a key that is missing is none of 0 … N - 1. Others are labels of a table with gaps."""
    if access.number is None or access.number < 0:
        return access.number is not None
    if access.held is None:
        return access.position.shift is not None and not failure.is_live
    return access.number >= access.held


def _plain(code: str) -> str:
    return "".join(code.split())


def _counts_from_one(access: Access) -> bool:
    """True if the looked-up number is the container's length: the last of 1 … N."""
    if access.number is not None:
        return access.number == access.held
    lookup = access.position.lookup
    node = lookup.node if lookup else None
    code = ast.unparse(node.value) if isinstance(node, ast.Subscript) else ""
    known = known_value(code, access.reader.owner, access.values)
    numbers = [v.constant for v in known.items if type(v.constant) is int] if known else []
    if known is None or len(numbers) < 2 or len(numbers) != len(known.items):
        return False
    if numbers == list(range(1, len(numbers) + 1)) and known.length == access.held:
        return True
    return min(numbers) == 1 and max(numbers) == access.held


def _is_next_step(access: Access) -> bool:
    """True if the container is read unshifted as well, or a window ends where the index points: the next step."""
    shift, reader = access.position.shift, access.reader
    for level in range(access.level + 1):
        for node in reader.starts(level):
            if container_of(reader, level, node) == access.container:
                return True
        if shift is not None and any(
            ast.unparse(end) == ast.unparse(shift.node) for end in _ends(reader, level)
        ):
            return True
    return _is_called_unshifted(access)


def _ends(reader: Reader, level: int) -> Iterator[ast.expr]:
    """The ends of the windows that begin at the bare item: `item + 10` of `self.x[item : item + 10]`."""
    for node in ast.walk(reader.levels[level].function):
        if isinstance(node, ast.Slice) and node.lower is not None and node.upper is not None:
            begin = reader.read(node.lower, level)
            if begin is not None and begin.is_item:
                yield node.upper


def _is_called_unshifted(access: Access) -> bool:
    """`self._load(i), self._load(i + 1)`: the helper that fails is called with the bare item too."""
    reader = access.reader
    for level in range(1, access.level + 1):
        call = reader.call(level)
        if not isinstance(call, ast.Call):
            continue
        for other in ast.walk(reader.levels[level - 1].function):
            if isinstance(other, ast.Call) and ast.unparse(other.func) == ast.unparse(call.func):
                given = [reader.read(a, level - 1) for a in other.args]
                if other is not call and any(g is not None and g.is_item for g in given):
                    return True
    return False


def requirement(access: Access) -> tuple[str, int | None]:
    """What `__len__` has to return at most: as code, and as a number where it is known."""
    reader, values = access.reader, access.values
    best_index, best_container = access.position, access.container
    best = _room(best_index, access.held, reader, values)
    for level in range(access.level + 1):
        for node, index in reader.subscripts(level):
            container = container_of(reader, level, node)
            if container is None or (level and container != access.container):
                continue
            size = size_of(container, reader.owner, values)
            room = _room(index, size, reader, values)
            if room is not None and best is not None and 0 < room < best:
                best, best_index, best_container = room, index, container
            elif (
                best is None and container == best_container and _reaches_further(index, best_index)
            ):
                best_index = index
    dimension = access.dimension if best_container == access.container else 0
    size_code = f"{best_container}.shape[{dimension}]" if dimension else f"len({best_container})"
    if " in " in best_container:
        name = best_container.partition(" in ")[0]
        size_code = f"min(len({name}) for {best_container})"
    return _written(best_index, size_code), best


def _reaches_further(one: Index, other: Index) -> bool:
    same = (one.scale, one.terms, one.extents) == (other.scale, other.terms, other.extents)
    return same and one.offset > other.offset


def _room(
    index: Index, size: int | None, reader: Reader, values: Mapping[str, Value]
) -> int | None:
    """How many items the container has room for."""
    factor = amount(index.scale, reader.owner, values)
    if size is None or not factor:
        return None
    if factor > 1 or index.scale != "1":
        return size // factor
    above = demand(index, reader.owner, values)
    return None if above is None else size - above


def _written(index: Index, size: str) -> str:
    if index.scale != "1":
        return f"{size} // {index.scale}"
    rest = index.offset - len(index.extents)
    code = size
    for term in (*index.terms, *index.extents):
        if term.isdigit():
            rest += int(term)
        else:
            code += f" - {term}"
    return code + (f" - {rest}" if rest > 0 else f" + {-rest}" if rest < 0 else "")


_NAME = r"[^\W\d]\w*"
_HEAD = r"(self(?:\.\w+)+(?:\[[\"']\w+[\"']\])?)\[\s*"
_BARE = rf"{_HEAD}{_NAME}\s*(?:,[^\]]*)?\]"
_SHIFTED = rf"{_HEAD}({_NAME} ?[+-] ?\d+|\d+ ?\+ ?{_NAME})\s*(?:,[^\]]*)?\]"


class Told(NamedTuple):
    """What the line alone tells where the files are missing. `expression` is the shifted index, if it is."""

    container: str
    expression: str
    numbers: dict[str, object]


def told_by_line(failure: Failure) -> Told | None:
    """An attribute of a Dataset that was indexed by a plain name, or by a name plus or minus a number."""
    numbers, frames = told(failure), item_frames(failure)
    if failure.is_live or numbers is None or not frames or not from_loader(failure):
        return None
    if is_readable(failure):  # the text alone has nothing to add
        return None
    code = frames[-1].expression or frames[-1].code
    known = {k: v for k, v in numbers.items() if k in ("index", "held")}
    bare = [_name(m) for m in re.finditer(_BARE, code) if not _is_nested(code, m)]
    for found in re.finditer(_SHIFTED, code):
        if not _is_nested(code, found) and _name(found) not in bare:
            return Told(_name(found), found[2], known)
    return Told(bare[0], "", known) if bare and failure.type == "IndexError" else None


def _name(found: re.Match[str]) -> str:
    return re.sub(r"(self\.\w.*)\.(?:iloc|loc|iat|at|values)$", r"\1", found[1])


def _is_nested(code: str, found: re.Match[str]) -> bool:
    """`self.names[self.labels[i]]`: which of the two failed can't be told."""
    return code[: found.start()].rstrip().endswith("[")
