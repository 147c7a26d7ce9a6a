"""The simulated caching allocator: its rules one by one, then laws over any sequence of requests."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchmedic.planning.allocator import CachingAllocator, OutOfMemory
from torchmedic.planning.options import OptionError, Options, options_of, parse

MIB = 1 << 20


def counted(*sizes, limit=None, options=None):
    allocator = CachingAllocator(limit, options)
    for key, size in enumerate(sizes):
        allocator.alloc(key, size)
    return allocator


@pytest.mark.parametrize(
    "size, allocated, reserved",
    [
        (1, 512, 2 * MIB),
        (513, 1024, 2 * MIB),
        (MIB, MIB, 2 * MIB),
        (MIB + 1, MIB + 512, 20 * MIB),
        (10 * MIB - 512, 10 * MIB - 512, 20 * MIB),
        (10 * MIB, 10 * MIB, 10 * MIB),
        (11 * MIB, 12 * MIB, 12 * MIB),  # 1 MiB is left: too little to be split off
        (21 * MIB, 22 * MIB, 22 * MIB),
        (19 * MIB + 512, 20 * MIB, 20 * MIB),
        (1000 * MIB + 1, 1000 * MIB + 512, 1002 * MIB),
    ],
)
def test_one_block(size, allocated, reserved):
    found = counted(size)
    assert (found.allocated, found.reserved, found.requested) == (allocated, reserved, size)


def test_resnet18_takes_what_a_gpu_reported():
    """44.6904296875 MiB after `resnet18().cuda()`: a maintainer's figure in pytorch issue 107667."""

    def conv(of, into, kernel):
        return [of * into * kernel**2 * 4]

    def norm(channels):
        return [channels * 4] * 4 + [8]  # weight, bias, mean, variance, and the number of batches

    sizes = conv(3, 64, 7) + norm(64)
    of = 64
    for into in (64, 128, 256, 512):
        for _ in range(2):
            sizes += conv(of, into, 3) + norm(into) + conv(into, into, 3) + norm(into)
            if of != into:
                sizes += conv(of, into, 1) + norm(into)
            of = into
    sizes += [512 * 1000 * 4, 1000 * 4]
    assert counted(*sizes).allocated / MIB == 44.6904296875


def test_best_fit_then_split():
    found = counted(30 * MIB, 24 * MIB, 40 * MIB)
    for key in range(3):
        found.free(key)
    found.alloc(9, 23 * MIB)
    assert found.reserved == 94 * MIB
    assert found.allocated == 24 * MIB, "the smallest that fits, whole"
    found.alloc(10, 25 * MIB)
    assert found.allocated == 49 * MIB, "30 MiB were split"


def test_small_and_large_do_not_mix():
    found = counted(20 * MIB)
    found.free(0)
    found.alloc(1, 512)
    assert found.reserved == 22 * MIB


def test_full_card_gives_back_what_is_wholly_free():
    found = counted(30 * MIB, limit=50 * MIB)
    found.free(0)
    found.alloc(1, 40 * MIB)
    assert (found.reserved, found.retries) == (40 * MIB, 1)


def test_a_block_in_use_keeps_its_segment():
    found = counted(2 * MIB, 2 * MIB, limit=30 * MIB)
    found.free(0)
    with pytest.raises(OutOfMemory) as caught:
        found.alloc(2, 19 * MIB)
    assert (caught.value.wanted, caught.value.reserved) == (19 * MIB, 20 * MIB)
    assert caught.value.allocated == 2 * MIB


def test_expandable_segments_grow_by_pages():
    found = counted(21 * MIB, 3 * MIB, options=Options(expandable=True))
    assert (found.allocated, found.reserved) == (24 * MIB, 40 * MIB)
    found.free(0)
    found.alloc(2, 30 * MIB)
    assert found.reserved == 60 * MIB, "21 MiB free, 16 MiB free behind: neither fits"
    found.free(1)
    found.free(2)
    assert found.empty_cache() == 60 * MIB and not found.segments


def test_expandable_segments_fit_where_pieces_do_not():
    sizes = (14 * MIB,) * 4
    plain = counted(*sizes, limit=64 * MIB)
    growing = counted(*sizes, limit=64 * MIB, options=Options(expandable=True))
    for found in (plain, growing):
        for key in (0, 1, 2):
            found.free(key)
    growing.alloc(9, 42 * MIB)
    plain.alloc(9, 42 * MIB)
    assert plain.retries == 1 and growing.retries == 0


def test_oversized_blocks_are_not_split():
    found = counted(100 * MIB, options=Options(max_split_size=32 * MIB))
    found.free(0)
    found.alloc(1, 10 * MIB)
    assert found.reserved == 110 * MIB
    found.alloc(2, 90 * MIB)
    assert found.allocated == 110 * MIB


@pytest.mark.parametrize(
    "text, size, rounded",
    [
        ("roundup_power2_divisions:4", 1200 * 1024, 1280 * 1024),
        ("roundup_power2_divisions:4", 1024, 1024),
        ("roundup_power2_divisions:1", 5 * MIB, 5 * MIB),
        ("roundup_power2_divisions:[64:8,256:4,>:2]", 300 * MIB, 320 * MIB),
        ("roundup_power2_divisions:[64:8,256:4,>:2]", 33 * MIB, 36 * MIB),
        ("roundup_power2_divisions:[64:8,256:4,>:2]", 130 * MIB, 130 * MIB),
    ],
)
def test_rounding_to_parts_of_powers_of_two(text, size, rounded):
    assert CachingAllocator(options=parse(text)).rounded(size) == rounded


def test_options():
    text = "expandable_segments:True, max_split_size_mb:128,garbage_collection_threshold:0.8"
    found = parse(text)
    assert found.expandable and found.max_split_size == 128 * MIB
    assert found.not_modelled == ("garbage_collection_threshold:0.8",)
    assert options_of({"PYTORCH_CUDA_ALLOC_CONF": text}) == found
    assert options_of({}) == options_of({"PYTORCH_ALLOC_CONF": ""}) == Options()
    assert parse("backend:native,pinned_use_background_threads:True") == Options()
    for broken in (
        "max_split_size_mb:20",
        "max_split_size_mb:much",
        "max_split_size_mb",
        "roundup_power2_divisions:3",
    ):
        with pytest.raises(OptionError):
            parse(broken)


OPTIONS = st.builds(
    Options,
    expandable=st.booleans(),
    divisions=st.just(Options().divisions),
    not_modelled=st.just(()),
    max_split_size=st.sampled_from([None, 21 * MIB, 64 * MIB]),
)
SIZES = st.one_of(
    st.integers(0, 4096),
    st.integers(0, 3 * MIB),
    st.integers(0, 60 * MIB),
    st.sampled_from([512, MIB, MIB + 1, 2 * MIB, 10 * MIB, 20 * MIB, 21 * MIB]),
)
REQUESTS = st.lists(
    st.one_of(
        SIZES.map(lambda n: ("alloc", n)),
        st.tuples(st.just("free"), st.integers(0, 60)),
        st.just(("empty", 0)),
    ),
    max_size=120,
)


def check(allocator):
    """Blocks lie side by side in their segments, and the counts are what the blocks say."""
    allocated = reserved = requested = 0
    free, unmapped = set(), set()
    for segment in allocator.segments:
        block, before = segment.first, None
        assert block.previous is None
        while block is not None:
            assert block.size > 0 and block.segment is segment
            assert before is None or before.address + before.size == block.address
            if before is not None and before.is_free and block.is_free:
                assert before.is_mapped is not block.is_mapped, "neighbours that are free are one"
            allocated += 0 if block.is_free else block.size
            requested += block.requested
            reserved += block.size if block.is_mapped else 0
            if block.is_free:
                (free if block.is_mapped else unmapped).add(id(block))
            before, block = block, block.next
    assert (allocated, reserved, requested) == (
        allocator.allocated,
        allocator.reserved,
        allocator.requested,
    )
    pools = allocator._pools.values()
    assert free == {id(b) for pool in pools for _, _, b in pool.free}
    assert unmapped == {id(b) for pool in pools for _, b in pool.unmapped}
    assert all(pool.free == sorted(pool.free, key=lambda f: f[:2]) for pool in pools)
    assert allocator.limit is None or reserved <= allocator.limit
    assert allocator.requested <= allocator.allocated <= allocator.reserved


@settings(max_examples=150, deadline=None)
@given(REQUESTS, OPTIONS, st.sampled_from([None, 40 * MIB, 150 * MIB]))
def test_laws(requests, options, limit):
    allocator = CachingAllocator(limit, options)
    keys = []
    for key, (what, size) in enumerate(requests):
        if what == "alloc":
            try:
                allocator.alloc(key, size)
                keys.append(key)
            except OutOfMemory as error:
                assert limit is not None and error.reserved == allocator.reserved
        elif what == "free" and keys:
            allocator.free(keys.pop(size % len(keys)))
        elif what == "empty":
            allocator.empty_cache()
        check(allocator)
    for key in keys:
        allocator.free(key)
    allocator.empty_cache()
    check(allocator)
    assert (allocator.allocated, allocator.reserved) == (0, 0)
