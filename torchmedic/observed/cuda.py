"""Figures of CUDA devices by compute capability, which both a replay and the table of cards need. Sizes are bytes."""

from __future__ import annotations

import re
from typing import NamedTuple

KIB, MIB = 1 << 10, 1 << 20
WORKSPACE = (4096 * 2 + 16 * 8) * KIB  # :4096:2:16:8
LARGE_WORKSPACE = 4096 * 8 * KIB

# Multiprocessors of the largest card of each capability that is trained on, and the threads that one of them holds.
# https://docs.nvidia.com/cuda/cuda-c-programming-guide/#compute-capabilities and the cards' data sheets.
MULTIPROCESSORS = {
    (6, 0): (56, 2048),
    (7, 0): (80, 2048),
    (7, 5): (68, 1024),
    (8, 0): (108, 2048),
    (8, 6): (84, 1536),
    (8, 9): (128, 1536),
    (9, 0): (132, 2048),
    (10, 0): (148, 2048),
    (12, 0): (170, 1536),
}


class Figure(NamedTuple):
    """Bytes, with the least and the most that they may be."""

    value: int
    low: int
    high: int


def multiprocessors(capability: tuple[int, int]) -> tuple[int, int]:
    """How many, and threads of each; of an unknown capability those of the one before it."""
    known = [key for key in MULTIPROCESSORS if key <= capability]
    return MULTIPROCESSORS[max(known, default=min(MULTIPROCESSORS))]


def cublas_workspace(capability: tuple[int, int], config: str = "") -> Figure:
    """The workspace that PyTorch keeps for each cuBLAS handle and stream.

    `config`: what CUBLAS_WORKSPACE_CONFIG says, pairs of KiB and count, ":4096:2:16:8"; ":0:0" for none. Without it, or
    if it has no pair, which PyTorch warns of and ignores, it is that very one, 8,519,680 bytes (sure:
    https://docs.pytorch.org/docs/stable/notes/cuda.html#cublas-workspaces and pytorch/pytorch#95668); on Hopper 32 MiB
    (measured on an H200); on Blackwell 32 MiB since early 2026, 8,519,680 before (likely: pytorch/pytorch#175344). As
    documented for torch 2.15, none is kept unless asked for (`torch.cuda.current_blas_handle`): there this is too much.
    """
    pairs = re.findall(r":([0-9]{1,15}):([0-9]{1,15})", config)
    if pairs:
        given = sum(int(size) * KIB * int(count) for size, count in pairs)
        return Figure(given, given, given)
    if capability[0] >= 10:
        return Figure(LARGE_WORKSPACE, WORKSPACE, LARGE_WORKSPACE)
    value = LARGE_WORKSPACE if capability[0] == 9 else WORKSPACE
    return Figure(value, value, value)
