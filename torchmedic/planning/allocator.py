"""PyTorch's CUDA caching allocator in numbers: what it counts as allocated, and what it reserves.

A model of `c10/cuda/CUDACachingAllocator.cpp` (its constants are also in `c10/core/AllocatorConfig.h` of torch 2.13):
one device, one stream, no graphs. Sizes and addresses are bytes; nothing is really allocated.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Literal, NamedTuple

from torchmedic.planning.options import INTERVALS, Options

ROUNDING = 512  # kMinBlockSize: every size is a multiple of it
SMALL = 1 << 20  # kSmallSize: up to here a size belongs to the pool of small blocks
SMALL_SEGMENT = 2 << 20  # kSmallBuffer
LARGE_SEGMENT = 20 << 20  # kLargeBuffer: what a size below 10 MiB makes the allocator reserve
OWN_SEGMENT = 10 << 20  # kMinLargeAlloc: from here on a size gets a segment of its own …
SEGMENT_ROUNDING = 2 << 20  # kRoundLarge: … rounded up to this
ADDRESS_SPACE = 1 << 40  # of an expandable range

Action = Literal["segment_alloc", "segment_free", "alloc", "free", "oom"]
OnAction = Callable[[Action, int, int], None]  # with an address and a size


class OutOfMemory(Exception):
    """`wanted` more bytes than the limit allows; `allocated` and `reserved` at that moment."""

    def __init__(self, wanted: int, allocated: int, reserved: int) -> None:
        super().__init__(f"{wanted} bytes wanted, {reserved} reserved")
        self.wanted = wanted
        self.allocated = allocated
        self.reserved = reserved


class Block:
    """A part of a segment, in a row with its neighbours. Only a part of an expandable range may be unmapped."""

    __slots__ = (
        "address",
        "is_free",
        "is_mapped",
        "is_small",
        "next",
        "previous",
        "requested",
        "segment",
        "size",
    )

    def __init__(self, address: int, size: int, is_small: bool, segment: Segment) -> None:
        self.address = address
        self.size = size
        self.is_small = is_small
        self.segment = segment
        self.requested = 0
        self.is_free = self.is_mapped = True
        self.previous: Block | None = None
        self.next: Block | None = None


class Segment:
    """What one cudaMalloc gave, or an expandable range."""

    __slots__ = ("first", "is_expandable")

    def __init__(self, is_expandable: bool) -> None:
        self.is_expandable = is_expandable
        self.first: Block


class Pool:
    """The free blocks of one kind, ordered by size, then address."""

    def __init__(self, is_small: bool) -> None:
        self.is_small = is_small
        self.free: list[tuple[int, int, Block]] = []
        self.unmapped: list[tuple[int, Block]] = []  # by address

    def add(self, block: Block) -> None:
        insort(self.free, (block.size, block.address, block))

    def remove(self, block: Block) -> None:
        at = bisect_left(self.free, (block.size, block.address))
        assert self.free[at][2] is block
        del self.free[at]


class Peaks(NamedTuple):
    allocated: int = 0
    reserved: int = 0
    requested: int = 0


class CachingAllocator:
    """Counts as `torch.cuda.memory_stats` does: `allocated` in blocks, `requested` as asked for, `reserved` in segments.

    `limit`: bytes that may be reserved, None: any number. `retries`: how often cached segments had to be given back
    before a request could be met (`num_alloc_retries`).
    """

    def __init__(
        self,
        limit: int | None = None,
        options: Options | None = None,
        on_action: OnAction = lambda action, address, size: None,
    ) -> None:
        self.limit = limit
        self.options = options or Options()
        self.on_action = on_action
        self.allocated = self.reserved = self.requested = self.retries = 0
        self.peaks = Peaks()
        self.blocks: dict[int, Block] = {}
        self.segments: dict[Segment, None] = {}
        self._pools = {True: Pool(True), False: Pool(False)}
        self._address = ADDRESS_SPACE

    def alloc(self, key: int, size: int) -> None:
        """Under a key of the caller's. Nothing is done for 0 bytes. Raises OutOfMemory."""
        if size <= 0:
            return
        rounded = self.rounded(size)
        pool = self._pools[rounded <= SMALL]
        block = self._best_fit(pool, rounded) or self._reserved(pool, rounded)
        if self._is_split(block, rounded):
            rest = Block(
                block.address + rounded, block.size - rounded, pool.is_small, block.segment
            )
            _insert_after(block, rest)
            block.size = rounded
            pool.add(rest)
        block.is_free = False
        block.requested = size
        self.blocks[key] = block
        self.allocated += block.size
        self.requested += size
        self._note_peaks()
        self.on_action("alloc", block.address, size)

    def free(self, key: int) -> None:
        """Of a key that is unknown, nothing: it held 0 bytes."""
        block = self.blocks.pop(key, None)
        if block is None:
            return
        self.allocated -= block.size
        self.requested -= block.requested
        self.on_action("free", block.address, block.requested)
        block.is_free, block.requested = True, 0
        self._merged(block)

    def empty_cache(self) -> int:
        """Gives back what is wholly free; the bytes of it."""
        before = self.reserved
        for pool in self._pools.values():
            for _, _, block in list(pool.free):
                if block.segment.is_expandable:
                    self._unmap(pool, block)
                elif block.previous is None and block.next is None:
                    self._release(pool, block)
        return before - self.reserved

    def rounded(self, size: int) -> int:
        """The size of the block that a request gets (`round_size`)."""
        if size < ROUNDING:
            return ROUNDING
        interval = min(max(size.bit_length() - 21, 0), INTERVALS - 1)
        divisions = self.options.divisions[interval]
        if divisions > 1 and size > ROUNDING * divisions:
            part = max(1 << (size.bit_length() - 1) >> (divisions.bit_length() - 1), 1)
            return -(-size // part) * part
        return -(-size // ROUNDING) * ROUNDING

    # --- from the cache

    def _best_fit(self, pool: Pool, size: int) -> Block | None:
        at = bisect_left(pool.free, (size, -1))
        if at == len(pool.free):
            return None
        if self.options.expandable:
            # What can grow counts with the size that it can grow to.
            while at + 1 < len(pool.free) and _room(pool.free[at + 1][2]) < _room(pool.free[at][2]):
                at += 1
        block = pool.free[at][2]
        most = self.options.max_split_size
        if most is not None:
            if size < most <= block.size:
                return None
            if size >= most and block.size >= size + LARGE_SEGMENT:
                return None
        del pool.free[at]
        return block

    def _is_split(self, block: Block, size: int) -> bool:
        rest = block.size - size
        if block.is_small or self.options.expandable:
            return rest >= ROUNDING
        most = self.options.max_split_size
        return rest > SMALL and (most is None or size < most)

    def _merged(self, block: Block) -> None:
        pool = self._pools[block.is_small]
        for neighbour in (block.previous, block.next):
            if neighbour is not None and neighbour.is_free and neighbour.is_mapped:
                pool.remove(neighbour)
                _absorb(block, neighbour)
        pool.add(block)

    # --- from the card

    def _reserved(self, pool: Pool, size: int) -> Block:
        for attempt in (None, self._release_oversized, self._retry):
            if attempt is None or attempt(pool, size):
                found = (
                    self._expanded(pool, size)
                    if self.options.expandable
                    else self._malloc(pool, size)
                )
                if found is not None:
                    return found
        self.on_action("oom", 0, size)
        raise OutOfMemory(size, self.allocated, self.reserved)

    def _retry(self, pool: Pool, size: int) -> bool:
        self.retries += 1
        self.empty_cache()
        return True

    def _release_oversized(self, pool: Pool, size: int) -> bool:
        """With `max_split_size_mb`, blocks that may not be split are given back first, no more than is needed."""
        most = self.options.max_split_size
        if most is None:
            return False
        wanted = max(size, most)
        at = bisect_left(pool.free, (wanted, -1))
        if at < len(pool.free):
            block = pool.free[at][2]
            is_whole = block.previous is None and block.next is None
            if is_whole:
                self._release(pool, block)
            return is_whole
        freed = 0
        for found_size, _, block in reversed(list(pool.free)):
            if freed >= wanted or found_size < most:
                break
            if block.previous is None and block.next is None:
                freed += found_size
                self._release(pool, block)
        return freed >= wanted

    def _malloc(self, pool: Pool, size: int) -> Block | None:
        if size <= SMALL:
            wanted = SMALL_SEGMENT
        elif size < OWN_SEGMENT:
            wanted = LARGE_SEGMENT
        else:
            wanted = -(-size // SEGMENT_ROUNDING) * SEGMENT_ROUNDING
        if not self._take(wanted):
            return None
        segment = Segment(is_expandable=False)
        segment.first = Block(self._address, wanted, pool.is_small, segment)
        self.segments[segment] = None
        self.on_action("segment_alloc", self._address, wanted)
        self._address += wanted
        return segment.first

    def _release(self, pool: Pool, block: Block) -> None:
        pool.remove(block)
        del self.segments[block.segment]
        self.reserved -= block.size
        self.on_action("segment_free", block.address, block.size)

    def _take(self, size: int) -> bool:
        if self.limit is not None and self.reserved + size > self.limit:
            return False
        self.reserved += size
        self._note_peaks()
        return True

    def _note_peaks(self) -> None:
        now = (self.allocated, self.reserved, self.requested)
        self.peaks = Peaks(*map(max, self.peaks, now))

    # --- expandable segments

    def _expanded(self, pool: Pool, size: int) -> Block | None:
        """`try_allocate_expandable_block`: free room and unmapped room behind it become one block."""
        block = self._growing(pool, size)
        if not block.is_mapped and not self._map(pool, block, min(block.size, size)):
            return None
        while block.size < size:
            behind = block.next
            assert behind is not None
            if not self._map(pool, behind, min(size - block.size, behind.size)):
                return None
            block = behind  # it has taken in what was mapped before it
        pool.remove(block)
        return block

    def _growing(self, pool: Pool, size: int) -> Block:
        """`find_expandable_block`: the lowest place with enough free or unmapped bytes in a row."""
        for _, unmapped in pool.unmapped:
            before = unmapped.previous
            first = before if before is not None and before.is_free else unmapped
            room, block = 0, first
            while room < size:
                room += block.size
                if block.next is None or not block.next.is_free:
                    break
                block = block.next
            if room >= size:
                return first
        segment = Segment(is_expandable=True)
        segment.first = block = Block(self._address, ADDRESS_SPACE, pool.is_small, segment)
        block.is_mapped = False
        self.segments[segment] = None
        self._address += ADDRESS_SPACE
        insort(pool.unmapped, (block.address, block))
        return block

    def _map(self, pool: Pool, block: Block, size: int) -> bool:
        """The beginning of an unmapped block, in pages; it merges with free neighbours. False beyond the limit."""
        page = SMALL_SEGMENT if pool.is_small else LARGE_SEGMENT
        wanted = -(-size // page) * page
        if not self._take(wanted):
            return False
        pool.unmapped.remove((block.address, block))
        self.on_action("segment_alloc", block.address, wanted)
        if block.size > wanted:
            rest = Block(block.address + wanted, block.size - wanted, pool.is_small, block.segment)
            rest.is_mapped = False
            _insert_after(block, rest)
            block.size = wanted
            insort(pool.unmapped, (rest.address, rest))
        block.is_mapped = True
        self._merged(block)
        return True

    def _unmap(self, pool: Pool, block: Block) -> None:
        """The whole pages inside of a free block."""
        page = SMALL_SEGMENT if pool.is_small else LARGE_SEGMENT
        origin = block.segment.first.address
        start = origin + -(-(block.address - origin) // page) * page
        end = origin + (block.address + block.size - origin) // page * page
        if end <= start:
            return
        pool.remove(block)
        behind = block.address + block.size - end
        if behind:
            rest = Block(end, behind, pool.is_small, block.segment)
            _insert_after(block, rest)
            pool.add(rest)
        if start > block.address:
            middle = Block(start, end - start, pool.is_small, block.segment)
            block.size = start - block.address
            _insert_after(block, middle)
            pool.add(block)
            block = middle
        block.size = end - start
        block.is_mapped = False
        self.reserved -= block.size
        self.on_action("segment_free", block.address, block.size)
        for neighbour in (block.previous, block.next):
            if neighbour is not None and not neighbour.is_mapped:
                pool.unmapped.remove((neighbour.address, neighbour))
                _absorb(block, neighbour)
        if block.previous is None and block.next is None:
            del self.segments[block.segment]
        else:
            insort(pool.unmapped, (block.address, block))


def _room(block: Block) -> int:
    behind = block.next
    return block.size + (behind.size if behind is not None and not behind.is_mapped else 0)


def _insert_after(block: Block, rest: Block) -> None:
    rest.previous, rest.next = block, block.next
    if block.next is not None:
        block.next.previous = rest
    block.next = rest


def _absorb(block: Block, neighbour: Block) -> None:
    """The neighbour's bytes become the block's."""
    if neighbour is block.previous:
        block.address = neighbour.address
        block.previous = neighbour.previous
        if neighbour.previous is not None:
            neighbour.previous.next = block
        if block.segment.first is neighbour:
            block.segment.first = block
    else:
        block.next = neighbour.next
        if neighbour.next is not None:
            neighbour.next.previous = block
    block.size += neighbour.size
