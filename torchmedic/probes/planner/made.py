"""Batches that are made instead of loaded: every DataLoader of the program gives them, and asks its dataset for nothing."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, dataloader

from torchmedic.observed.plan_inputs import Input

BATCHES = 64  # of a pass: a program that evaluates first comes to its training


def batch_of(inputs: Sequence[Input]) -> Any:
    """A tensor, a tuple of them, or with names a tuple that is read by names too (`batch["x"]`, `**batch`).

    Integers are 0, which is an index and a label wherever there is one; other numbers are random.
    """
    tensors = [_tensor(one) for one in inputs]
    if not inputs[0].name:
        return tensors[0] if len(tensors) == 1 else tuple(tensors)
    names = [one.name for one in inputs]
    named: Any = namedtuple
    kind = named("Batch", names, rename=True)
    place = {name: at for at, name in enumerate(names)}
    by_place: Any = tuple.__getitem__
    kind.__getitem__ = lambda batch, key: by_place(batch, place.get(key, key))
    kind.__contains__ = lambda batch, key: key in place
    kind.keys = lambda batch: list(names)
    kind.values = lambda batch: list(batch)
    kind.items = lambda batch: list(zip(names, batch, strict=True))
    kind.get = lambda batch, key, default=None: batch[key] if key in place else default
    kind.to = lambda batch, *where, **how: kind(*(part.to(*where, **how) for part in batch))
    return kind(*tensors)


def _tensor(one: Input) -> torch.Tensor:
    dtype: torch.dtype = getattr(torch, one.dtype)
    if dtype.is_floating_point or dtype.is_complex:
        return torch.rand(one.size).to(dtype)
    return torch.zeros(one.size, dtype=dtype)


def install(inputs: Sequence[Input]) -> None:
    """For good: the program ends with the plan."""
    batch = batch_of(inputs)

    class Made(dataloader._BaseDataLoaderIter):  # type: ignore[misc]
        def __init__(self) -> None:
            self._profile_name = "made"
            self._sampler_iter: Iterator[Any] = iter(())
            self._num_yielded = 0
            self._dataset_kind = dataloader._DatasetKind.Map

        def __len__(self) -> int:
            return BATCHES

        def _next_data(self) -> Any:
            if self._num_yielded >= BATCHES:
                raise StopIteration
            return batch

    loader: Any = DataLoader
    loader.__iter__ = lambda self: Made()
    loader.__len__ = lambda self: BATCHES
