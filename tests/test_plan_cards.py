"""GPUs by name and by memory: every spelling has one card, every figure a source, every amount a size or a sentence."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchmedic.observed.cuda import cublas_workspace
from torchmedic.planning.cards import (
    BARE_CONTEXTS,
    TABLE,
    BadMemory,
    UnknownCard,
    amount_of,
    card_of,
    context,
    names,
    plain,
    row_of,
    spellings,
    usable,
    with_memory,
)

MIB, GIB = 1 << 20, 1 << 30
ROWS = [(capability, row) for capability, rows in TABLE.items() for row in rows]


@pytest.mark.parametrize(
    "said, name",
    [
        ("A100", "a100-40"),
        ("a100-sxm4-40gb", "a100-40"),
        ("NVIDIA A100-SXM4-40GB", "a100-40"),
        ("A100 80GB", "a100-80"),
        ("NVIDIA A100 80GB PCIe", "a100-80"),
        ("NVIDIA A100-SXM4-80GB", "a100-80"),
        ("Tesla T4", "t4"),
        ("Tesla V100-SXM2-16GB", "v100-16"),
        ("V100", "v100-16"),
        ("v100 32gb", "v100-32"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        (" rtx_4090 ", "rtx-4090"),
        ("4090", "rtx-4090"),
        ("3090 24GB", "rtx-3090"),
        ("NVIDIA RTX A6000", "rtx-a6000"),
        ("A6000", "rtx-a6000"),
        ("NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada"),
        ("NVIDIA A10", "a10"),
        ("NVIDIA A10G", "a10g"),
        ("NVIDIA L4", "l4"),
        ("NVIDIA L40", "l40"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA H100 80GB HBM3", "h100-80"),
        ("NVIDIA H100 PCIe", "h100-80"),
        ("H100 NVL", "h100-nvl"),
        ("NVIDIA GH200 480GB", "gh200"),
        ("NVIDIA B200", "b200"),
    ],
)
def test_a_card_is_found_as_people_and_drivers_write_it(said, name):
    assert card_of(said).name == name


@pytest.mark.parametrize(
    "said", ["4060 Ti", "RTX 6000", "RTX 4090 Laptop GPU", "RTX 3090 Ti", "A1000", "L", "", "١"]
)
def test_what_may_be_another_card_is_not_taken_for_one(said):
    with pytest.raises(UnknownCard):
        card_of(said)


def test_an_unknown_card_names_its_neighbours():
    with pytest.raises(UnknownCard, match=r"`h1000`.*h100-80.*--memory") as raised:
        card_of("h1000")
    assert set(raised.value.closest) <= set(names())
    with pytest.raises(UnknownCard, match=r"^No card `abacus` is known\. ") as raised:
        card_of("abacus")
    assert not raised.value.closest


@given(st.text(max_size=90))
def test_any_name_has_a_card_or_one_sentence(name):
    try:
        assert card_of(name).name in names()
    except UnknownCard as error:
        assert len(str(error)) < 250


@given(st.sampled_from(names()), st.data())
def test_case_spaces_and_makers_do_not_matter(name, data):
    spelling = data.draw(st.sampled_from(sorted(spellings(row_of(name)))))
    case = data.draw(st.sampled_from([str.upper, str.lower, str.title]))
    gap = data.draw(st.sampled_from(["", " ", "-", "_", "."]))
    maker = data.draw(st.sampled_from(["", "nvidia", "GeForce ", "Tesla-", "NVIDIA GeForce "]))
    assert card_of(maker + case(gap.join(spelling))).name == name


def test_no_spelling_has_two_cards():
    written = [spelling for _, row in ROWS for spelling in spellings(row)]
    assert len(written) == len(set(written))
    assert all(spelling and plain(spelling) == spelling for spelling in written)


@pytest.mark.parametrize("capability, row", ROWS, ids=names())
def test_every_card_has_a_source_and_less_than_it_is_sold_with(capability, row):
    assert re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/[1-9]\d*", row.source)
    # ECC takes a sixteenth of GDDR, the driver some more.
    assert 0.9 * row.gigabytes * 10**9 < row.total < row.gigabytes * GIB
    card = card_of(row.name)
    assert (card.total, card.capability) == (row.total, capability)
    assert 0.88 * card.total < card.usable < card.total - context(capability).low


def test_the_table_has_no_card_twice():
    assert len(set(names())) == len(ROWS)
    assert len({row.source for _, row in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    "said, size",
    [
        ("24GiB", 24 * GIB),
        ("24 gib", 24 * GIB),
        ("24GB", 24 * 10**9),
        ("24G", 24 * 10**9),
        ("24576MiB", 24 * GIB),
        ("25769803776", 24 * GIB),
        ("1.5 GiB", 3 * GIB // 2),
        ("0.1GB", 10**8),
        ("1 TiB", 1 << 40),
        ("1048576KiB", GIB),
        ("7 B", 7),
    ],
)
def test_an_amount(said, size):
    assert amount_of(said) == size


@pytest.mark.parametrize(
    "said, sentence",
    [
        ("", "no amount"),
        ("GiB", "no amount"),
        ("24 apples", "no amount"),
        ("24GiBiB", "no amount"),
        ("1e3GB", "no amount"),
        ("24iB", "no amount"),
        ("24,5GiB", "no amount"),
        ("nan", "no amount"),
        ("٢٤GiB", "no amount"),
        ("0", "needs more"),
        ("0.0GiB", "needs more"),
        ("-24GiB", "needs more"),
        ("1025GiB", "more than 1 TiB"),
        ("9" * 59, "more than 1 TiB"),
        ("9" * 9000, "more than 1 TiB"),
        ("24", "24 bytes, and CUDA itself"),
        ("300MiB", "CUDA itself"),
    ],
)
def test_what_is_no_memory_of_a_card(said, sentence):
    with pytest.raises(BadMemory, match=sentence):
        with_memory(said)


@given(st.text(max_size=30))
def test_any_text_is_an_amount_or_one_sentence(text):
    try:
        assert 0 < amount_of(text) <= 1 << 40
    except BadMemory as error:
        assert str(error).endswith(".")


@given(st.integers(1, 1 << 40), st.sampled_from(["", "b", " B"]))
def test_bytes_are_read_as_written(size, unit):
    assert amount_of(f"{size}{unit}") == size


@given(st.integers(1, 1000), st.integers(0, 99))
def test_decimal_units_are_smaller_than_binary_ones(whole, part):
    said = f"{whole}.{part:02d}"
    assert amount_of(f"{said}GB") == (100 * whole + part) * 10**7
    assert amount_of(f"{said}GiB") == (100 * whole + part) * GIB // 100


def test_a_card_of_which_only_the_memory_is_known_says_so():
    card = with_memory("24GB")
    assert card.total == 24 * 10**9 and card.capability == (8, 0)
    assert card.name == "22.35 GiB, compute capability taken as 8.0"
    assert card.usable == usable(card.total, (8, 0))


@given(st.integers(0, 1 << 40), st.sampled_from([*TABLE, (5, 2), (11, 0)]))
def test_the_context_and_a_fiftieth_are_not_usable(total, capability):
    left = usable(total, capability)
    taken = context(capability).value + int(total * 0.02)
    assert left == max(0, total - taken)


@pytest.mark.parametrize("capability", [*TABLE, (5, 2), (11, 0)])
def test_figures_lie_between_their_bounds(capability):
    for figure in (context(capability), cublas_workspace(capability)):
        assert 0 < figure.low <= figure.value <= figure.high
    assert context(capability).low < context(capability).value


def test_a_context_that_nobody_measured_is_as_large_as_any():
    largest = max(context(capability).value for capability in BARE_CONTEXTS)
    assert context((11, 0)).value >= largest


def test_the_context_of_an_rtx_6000_ada():
    found = context((8, 9))  # 426 MiB: pytorch/pytorch#107667
    assert found.low < 426 * MIB < found.high and abs(found.value - 426 * MIB) < 50 * MIB


def test_workspaces_of_cublas():
    assert cublas_workspace((8, 6)).value == 8_519_680  # of an A10G: pytorch/pytorch#95668
    assert cublas_workspace((9, 0)) == (32 * MIB, 32 * MIB, 32 * MIB)
    assert cublas_workspace((10, 0)) == (32 * MIB, 8_519_680, 32 * MIB)


@pytest.mark.parametrize(
    "config, size",
    [
        (":4096:2:16:8", 8_519_680),
        (":4096:8", 32 * MIB),
        (":16:8", 128 << 10),
        (":0:0", 0),
        (":4096:2:16", 8 * MIB),  # a pair and a half: as PyTorch reads it
    ],
)
def test_a_configured_workspace_is_exact_on_every_card(config, size):
    for capability in TABLE:
        assert cublas_workspace(capability, config) == (size, size, size)


@pytest.mark.parametrize("config", ["", "4096", ":4096", "::", "large", ":-1:2"])
def test_a_configuration_without_a_pair_changes_nothing(config):
    for capability in TABLE:
        assert cublas_workspace(capability, config) == cublas_workspace(capability)
