"""`torchmedic.seed_everything`: the random numbers of a program, the same in every run. Imports torch when called."""

from __future__ import annotations

import operator
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsIndex

if TYPE_CHECKING:
    import torch

LARGEST_SEED = 2**32 - 1  # NumPy's legacy generator takes no larger one
# The setting with the larger buffer of the two that are documented:
# https://docs.nvidia.com/cuda/cublas/index.html#results-reproducibility
CUBLAS_WORKSPACE = ":4096:8"


def seed_worker(worker_id: int) -> None:
    """Seeds Python's and NumPy's generators in a DataLoader worker from the seed that PyTorch gave the worker.

    A plain function of a module, so that it can be sent to a spawned process.
    Source: https://docs.pytorch.org/docs/stable/notes/randomness.html#dataloader
    """
    import torch

    seed = torch.initial_seed() % (LARGEST_SEED + 1)
    random.seed(seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed)


@dataclass(frozen=True)
class Seeded:
    """What a DataLoader needs besides: `DataLoader(data, shuffle=True, **seeded)`, or attribute by attribute.

    `generator` is a `torch.Generator` on the CPU with the same seed. With it, the order of the batches does not
    depend on how many random numbers the rest of the program draws. Loaders that share it draw from it in turn.
    """

    seed: int
    worker_init_fn: Callable[[int], None]
    generator: torch.Generator

    def keys(self) -> Iterator[str]:
        """The names of the arguments for a DataLoader: what `**` asks for."""
        return iter(("worker_init_fn", "generator"))

    def __getitem__(self, name: str) -> Any:
        if name not in self.keys():
            raise KeyError(name)
        return getattr(self, name)


def seed_everything(seed: SupportsIndex, deterministic: bool = False) -> Seeded:
    """Seeds Python's `random`, NumPy's global generator if NumPy is there, and torch on all devices.

    Call it before the first random number is drawn: layers draw their weights when they are constructed. Returns
    what a DataLoader takes besides: `DataLoader(data, shuffle=True, num_workers=2, **seeded)`.

    deterministic=True also asks for algorithms that give the same result in every run: `torch.backends.cudnn`
    without benchmark, `torch.use_deterministic_algorithms(True)`, and `CUBLAS_WORKSPACE_CONFIG` in the environment
    unless it is set. An operation that has no such algorithm then raises RuntimeError; others may be slower. cuBLAS
    reads its setting when the first CUDA context is made, so call this before anything is moved to a GPU; a warning
    tells if it is too late. deterministic=False leaves these settings as they are.

    What it can't do:

    - `np.random.default_rng()`, `random.Random()` and `torch.Generator()` make generators of their own. Give each
      one its seed.
    - The order of a `set` of strings depends on `PYTHONHASHSEED`, which Python reads when it starts. Set it outside:
      `PYTHONHASHSEED=0 python train.py`.
    - Other releases of PyTorch, other GPUs and other numbers of threads may still give other results.

    Raises TypeError if seed is not an integer, ValueError if it is negative or larger than 2**32 - 1.
    """
    number = _checked(seed)
    import torch

    random.seed(number)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(number)
    torch.manual_seed(number)
    if deterministic:
        _make_deterministic()
    return Seeded(number, seed_worker, torch.Generator().manual_seed(number))


def _checked(seed: object) -> int:
    if isinstance(seed, bool):
        raise TypeError("seed must be an integer, not bool")
    try:
        number = operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"seed must be an integer, not {type(seed).__name__}") from None
    if not 0 <= number <= LARGEST_SEED:
        raise ValueError(f"seed must be between 0 and 2**32 - 1 = {LARGEST_SEED}, not {number}")
    return number


def _make_deterministic() -> None:
    import torch

    if "CUBLAS_WORKSPACE_CONFIG" not in os.environ:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = CUBLAS_WORKSPACE
        if torch.cuda.is_initialized():
            warnings.warn(
                "CUBLAS_WORKSPACE_CONFIG was set after CUDA started, which is too late for cuBLAS: call "
                "seed_everything before anything is moved to a GPU",
                RuntimeWarning,
                stacklevel=3,
            )
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True)
