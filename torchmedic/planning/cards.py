"""GPUs by name: how much memory PyTorch finds on them, and what of it is left for a training step.

A total is what `torch.cuda.get_device_properties(0).total_memory` says, and what an out-of-memory message calls "total
capacity": it is less than what is sold as 24 GB, less still with ECC, and differs by driver. Each stands in the public
thread named beside it, the smallest that was found. Compute capabilities: CAPABILITIES and LEGACY_CAPABILITIES.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from torchmedic.observed.cuda import Figure
from torchmedic.observed.plan import Card

KIB, MIB, GIB, TIB = (1 << power for power in (10, 20, 30, 40))
CAPABILITIES = "https://developer.nvidia.com/cuda-gpus"
LEGACY_CAPABILITIES = "https://developer.nvidia.com/cuda-legacy-gpus"  # of P100 and V100
UNKNOWN_CAPABILITY = (8, 0)  # of a card of which only the memory is known
MARGIN = 0.02  # of the total, kept free: our choice, for other drivers and rounding
KERNELS = 150 * MIB  # of PyTorch, loaded when first used: 100 to 270 MiB on an H200, by what ran
LONGEST_NAME = 60


class Row(NamedTuple):
    """`gigabytes`: as it is sold; `total`: bytes; `source`: an address where the figure stands."""

    name: str
    gigabytes: int
    total: int
    source: str
    note: str = ""


class UnknownCard(ValueError):
    """A name that isn't in the table; the text is a sentence with the closest names, which `closest` has too."""

    def __init__(self, name: str, closest: tuple[str, ...]) -> None:
        meant = f"; did you mean {' or '.join(closest)}?" if closest else "."
        super().__init__(f"No card `{name}` is known{meant} `--memory 24GiB` works for any card.")
        self.closest = closest


class BadMemory(ValueError):
    """An amount of memory that can't be one; the text is a sentence that says why."""


def _gib(number: float) -> int:
    return int(number * GIB)


def _thread(name: str, gigabytes: int, total: int, thread: str, note: str = "") -> Row:
    return Row(name, gigabytes, total, f"https://github.com/{thread}", note)


_ON = "ECC on, by its size"
_ONE_DECIMAL = "the thread has 44.4 GiB, which is 44.35 or more; ECC on, by its size"

TABLE: dict[tuple[int, int], tuple[Row, ...]] = {
    (6, 0): (_thread("p100", 16, 16280 * MIB, "brichard19/BitCrack/issues/40"),),
    (7, 0): (
        _thread("v100-16", 16, _gib(15.78), "kchengiva/Shift-GCN/issues/34"),
        _thread("v100-32", 32, _gib(31.72), "tensorflow/tensorflow/issues/45571"),
    ),
    (7, 5): (
        _thread("t4", 16, _gib(14.56), "Zheng-Chong/CatVTON/issues/133", _ON),
        _thread("rtx-2080-ti", 11, _gib(10.76), "JDAI-CV/image-captioning/issues/11"),
    ),
    (8, 0): (
        _thread("a30", 24, _gib(23.53), "google/RB-Modulation/issues/5"),
        _thread("a100-40", 40, 42298834944, "bottlerocket-os/bottlerocket/pull/3873", "ECC on"),
        _thread("a100-80", 80, _gib(79.14), "lianqi1008/Control-GIC/issues/6"),
    ),
    (8, 6): (
        _thread("rtx-3060", 12, _gib(11.76), "TencentARC/PhotoMaker/issues/47"),
        _thread("rtx-3080", 10, _gib(9.78), "zai-org/CogVideo/issues/34"),
        _thread("rtx-3090", 24, _gib(23.59), "bytedance/X-Portrait/issues/7"),
        _thread(
            "rtx-a6000",
            48,
            48670 * MIB,
            "ultralytics/ultralytics/issues/19084",
            "ECC off, by its size",
        ),
        _thread("a10", 24, _gib(22.02), "ssbuild/chatglm3_finetuning/issues/31", _ON),
        _thread(
            "a10g",
            24,
            _gib(22.20),
            "XavierXiao/Dreambooth-Stable-Diffusion/issues/18",
            "an AWS g5, which has this card; ECC on, by its size",
        ),
        _thread("a40", 48, _gib(44.35), "ollama/ollama/issues/9858", _ONE_DECIMAL),
    ),
    (8, 9): (
        _thread("rtx-4080", 16, 15981 * MIB, "hashcat/hashcat/pull/4271"),
        _thread("rtx-4090", 24, 23995 * MIB, "ollama/ollama/issues/9639"),
        _thread("rtx-6000-ada", 48, _gib(44.43), "DINGYANB/MTVCrafter/issues/21", _ON),
        _thread("l4", 24, _gib(22.03), "ArcInstitute/evo2/issues/190", _ON),
        _thread("l40", 48, _gib(44.40), "QwenLM/Qwen3-VL/issues/2097", _ON),
        _thread("l40s", 48, _gib(44.42), "stepfun-ai/Step-Video-T2V/issues/8", _ON),
    ),
    (9, 0): (
        _thread("h100-80", 80, _gib(79.11), "vllm-project/vllm/issues/27508"),
        _thread("h100-nvl", 94, _gib(93.00), "ali-vilab/VACE/issues/56"),
        _thread("h200", 141, _gib(139.72), "liziniu/GEM/issues/4"),
        _thread("gh200", 96, _gib(94.50), "vllm-project/vllm/issues/9630"),
    ),
    (10, 0): (
        _thread("b200", 180, _gib(178.35), "pytorch/ao/pull/4002", "ECC on"),
        _thread("gb200", 186, _gib(184.31), "vllm-project/vllm/issues/43951"),
    ),
    (12, 0): (_thread("rtx-5090", 32, 33677180928, "aikitoria/open-gpu-kernel-modules/issues/1"),),
}

# Names beside those that `spellings` makes: as the driver says them, and short ones. Where a name stands for cards of
# two sizes, it is the smaller one's.
ALIASES: dict[str, tuple[str, ...]] = {
    "p100": ("p100-pcie-16gb", "p100-sxm2-16gb", "p100-pcie", "p100-sxm2"),
    "v100-16": ("v100", "v100-sxm2", "v100-pcie", "v100-sxm2-16gb", "v100-pcie-16gb"),
    "v100-32": (
        *("v100-sxm2-32gb", "v100-sxm3-32gb", "v100-pcie-32gb", "v100-dgxs-32gb"),
        *("v100s", "v100s-pcie-32gb"),
    ),
    "a100-40": (
        *("a100", "a100-sxm", "a100-sxm4", "a100-pcie", "a100-pcie-40gb"),
        *("a100-sxm-40gb", "a100-sxm4-40gb"),
    ),
    "a100-80": ("a100-pcie-80gb", "a100-80gb-pcie", "a100-sxm-80gb", "a100-sxm4-80gb"),
    "rtx-6000-ada": ("rtx 6000 ada generation",),
    "h100-80": (
        *("h100", "h100-80gb-hbm3", "h100-pcie", "h100-pcie-80gb", "h100-sxm", "h100-sxm5"),
        *("h100-sxm-80gb", "h100-sxm5-80gb"),
    ),
    "h100-nvl": ("h100-94",),
    "h200": ("h200-sxm", "h200-sxm-141gb"),
    "gh200": ("gh200-480gb", "gh200-96gb-hbm3"),  # the driver's name has the CPU's 480 GB
    "b200": ("b200-192gb",),
    "gb200": ("gb200-192gb",),
}

# Total less free bytes where a program had a context and no kernels of PyTorch: the least and the most found.
BARE_CONTEXTS = {
    (7, 0): (309 * MIB, 310 * MIB),  # V100: ollama/ollama#16533, #8963
    (7, 5): (102 * MIB, 102 * MIB),  # T4: hashcat/hashcat#3136
    (8, 6): (155 * MIB, 534 * MIB),  # RTX 3070: hashcat/hashcat#2986; A40: ollama/ollama#9858
    (8, 9): (245 * MIB, 265 * MIB),  # RTX 4080: hashcat/hashcat#4271, ollama/ollama#9245
    (9, 0): (527 * MIB, 527 * MIB),  # H200: measured, with PyTorch 2.11 and CUDA 13.0
    (12, 0): (513 * MIB, 513 * MIB),  # RTX 5090: ollama/ollama#9415
}
LEAST_CONTEXT = 287_000_000  # of PyTorch, with kernels: pytorch/pytorch#86509


def context(capability: tuple[int, int]) -> Figure:
    """Bytes of the CUDA context, which the card holds beside everything that PyTorch counts.

    The middle of BARE_CONTEXTS, and KERNELS; for 8.9 that is 405 MiB, and an RTX 6000 Ada has 426. A capability that
    isn't there was not found and gets the largest. PyTorch's developers speak of some 300 and 400 MB (pytorch#107667,
    #109888), and of more than 1,000 before CUDA 11.7, which loads kernels when they are first used. Unsure: the card's
    size matters more than its capability. Displays and other processes are not in it.
    """
    every = [size for sizes in BARE_CONTEXTS.values() for size in sizes]
    least, most = BARE_CONTEXTS.get(capability, (min(every), max(every)))
    middle = (least + most) // 2 if capability in BARE_CONTEXTS else most
    return Figure(middle + KERNELS, min(least, LEAST_CONTEXT), most + 2 * KERNELS)


def usable(total: int, capability: tuple[int, int]) -> int:
    """Bytes left of `total` for what PyTorch allocates: less the context's likeliest size and MARGIN; 0 at least."""
    return max(0, total - context(capability).value - int(total * MARGIN))


def names() -> tuple[str, ...]:
    """Of all cards, by compute capability."""
    return tuple(row.name for row in _rows())


def row_of(name: str) -> Row:
    """What the table has of a card: case, spaces, punctuation, "NVIDIA", "GeForce", "Tesla" don't matter.

    Raises UnknownCard.
    """
    said = name.strip()[:LONGEST_NAME]
    short = plain(said)
    if short in _BY_SPELLING:
        return _BY_SPELLING[short]
    near = (_BY_SPELLING[key].name for key in get_close_matches(short, list(_BY_SPELLING), 9, 0.6))
    raise UnknownCard(said, tuple(dict.fromkeys(near))[:3])


def card_of(name: str) -> Card:
    """The card of this name, "RTX 4090" or "NVIDIA A100-SXM4-40GB". Raises UnknownCard."""
    row = row_of(name)
    capability = next(key for key, rows in TABLE.items() if row in rows)
    return Card(row.name, row.total, usable(row.total, capability), capability)


def with_memory(text: str) -> Card:
    """A card of which only the memory is known, "24GiB", "24 GB", "24576MiB" or bytes: GB is 10^9, GiB 2^30 bytes.

    Its compute capability is taken as UNKNOWN_CAPABILITY, which its name says. Raises BadMemory, also for a card that
    the CUDA context would fill.
    """
    total = amount_of(text)
    left = usable(total, UNKNOWN_CAPABILITY)
    if not left:
        needed = context(UNKNOWN_CAPABILITY).value // MIB
        said = text.strip()[:LONGEST_NAME]
        raise BadMemory(f"`{said}` is {total:,} bytes, and CUDA itself needs some {needed} MiB.")
    major, minor = UNKNOWN_CAPABILITY
    name = f"{total / GIB:.2f} GiB, compute capability taken as {major}.{minor}"
    return Card(name, total, left, UNKNOWN_CAPABILITY)


def amount_of(text: str) -> int:
    """Bytes. Raises BadMemory for what is no amount, zero, less than zero, or more than 1 TiB."""
    said = text.strip()[:LONGEST_NAME]
    found = re.fullmatch(r"(-?)([0-9]+)(?:\.([0-9]+))?\s*(?:([kmgt])(i?))?b?", said.lower())
    if found is None:
        raise BadMemory(f"`{said}` is no amount of memory: write `24GiB`, `24GB` or `24576MiB`.")
    minus, whole, part, prefix, binary = found.groups(default="")
    factor: int = (KIB if binary else 1000) ** " kmgt".index(prefix or " ")
    size: int = int(whole + part) * factor // 10 ** len(part)
    if minus or not size:
        raise BadMemory(f"A card needs more memory than `{said}`.")
    if size > TIB:
        raise BadMemory(f"`{said}` is more than 1 TiB, which no card has.")
    return size


def plain(name: str) -> str:
    """A name without what doesn't matter in it."""
    return re.sub(r"nvidia|geforce|tesla|[^a-z0-9]", "", name.lower())


def _rows() -> Iterator[Row]:
    for rows in TABLE.values():
        yield from rows


def spellings(row: Row) -> set[str]:
    """Every way to write a card, as `plain` leaves it: with and without "rtx" and the gigabytes it is sold with."""
    base = row.name.removesuffix(f"-{row.gigabytes}")
    sizes = ("", "gb", "g")
    written = {row.name, *ALIASES.get(row.name, ()), *(f"{base}{row.gigabytes}{s}" for s in sizes)}
    short = {plain(name) for name in written}
    return short | {name.removeprefix("rtx") for name in short}


_BY_SPELLING = {spelling: row for row in _rows() for spelling in spellings(row)}
