"""What is drawn from DataLoaders: who made them, what their datasets hold, and how their first passes went.

No `__len__`, `__getitem__` or property of the user's is called. Of batches only the first passes are looked at, and
only tensors in the memory of the CPU, by their bytes: no operation of torch is executed.
"""

from __future__ import annotations

import ctypes
import random
import sys
import weakref
from collections.abc import Iterator, Mapping
from types import CodeType, FrameType
from typing import Any, Literal

from torchmedic.model import Span
from torchmedic.observed import Value, load
from torchmedic.observed.run_data import DatasetRun, LoaderRun, PassRun
from torchmedic.probes.frames import is_user
from torchmedic.probes.observer.stack import Call, owner_of, sites, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher
from torchmedic.probes.values import describe, plain_attributes

MOST_LOADERS = 64
PASSES = 4  # of one loader that are noted
LOOKED = 3  # of these whose labels are read
MOST_LABELS = 4096  # batches
ATTRIBUTES = 40
MOST_INDICES = 100_000
ROUNDS = 8
BYTES = 4096  # of one tensor that are compared
_LABELS = ("label", "labels", "target", "targets", "y")
_CLASSIFIES = ("cross_entropy", "nll_loss")
_WIDTHS: dict[str, Literal["q", "i"]] = {"torch.int64": "q", "torch.int32": "i"}


class _Pass:
    __slots__ = (
        "batches", "by", "is_classified", "labels", "looks", "number", "pointer", "prints", "shape", "start", "step",
    )  # fmt: skip

    def __init__(self, number: int, by: tuple[Call, ...], start: int) -> None:
        self.number = number
        self.by = by
        self.start = self.step = start
        self.batches = 0
        self.labels: list[tuple[int, int]] = []
        self.prints: list[int] = []
        self.looks = ""  # "labels", "workers", or nothing
        self.is_classified = False
        self.pointer = 0
        self.shape: tuple[int, ...] = ()

    def told(self, workers: int) -> PassRun:
        rounds, repeats = _repeats(self.prints, workers)
        return PassRun(
            self.number,
            sites(self.by),
            self.batches,
            self.step - self.start,
            tuple(self.labels),
            self.is_classified,
            rounds,
            repeats,
        )


def _repeats(prints: list[int], workers: int) -> tuple[int, int]:
    """Rounds of one batch from each worker, and those with equal batches that differ from the round before."""
    if workers < 2:
        return 0, 0
    rounds = [prints[i : i + workers] for i in range(0, len(prints) - workers + 1, workers)]
    same = [len(set(r)) == 1 and r[0] not in (p[0] for p in rounds[:i]) for i, r in enumerate(rounds)]  # fmt: skip
    return len(rounds), sum(same)


class _Loader:
    def __init__(self, loader: Any, by: tuple[Call, ...], shuffle: object, owner: str) -> None:
        self.ref = weakref.ref(loader)
        self.by = by
        self.is_shuffle_given = shuffle is not None
        self.owner = owner
        self.count = 0
        self.passes: list[_Pass] = []
        self.settings: dict[str, Any] = {}
        self.dataset: _Dataset | None = None

    def read(self, loader: Any) -> None:
        """What it is made of: once, when its first pass begins."""
        held = plain_attributes(loader)
        data: Any = sys.modules["torch.utils.data"]
        sampler, batches = held.get("sampler"), held.get("batch_sampler")
        is_usual = batches is None or type(batches) is data.BatchSampler
        kind = type(sampler) if is_usual else None
        self.settings = {
            "batch_size": held["batch_size"] if isinstance(held.get("batch_size"), int) else None,
            "drop_last": bool(held.get("drop_last")),
            "sampler": kind.__name__ if kind and kind.__module__.startswith("torch.utils") else "",
            "workers": int(held.get("num_workers") or 0),
            "has_worker_init": held.get("worker_init_fn") is not None,
            "has_collate_fn": held.get("collate_fn") is not data.default_collate,
        }
        self.dataset = _Dataset(held.get("dataset"), data)

    def wants(self) -> str:
        """What to look at in the batches of the pass that begins."""
        if self.dataset is None or self.count > LOOKED:
            return ""
        said = self.settings
        if self.dataset.is_iterable:
            return "workers" if said["workers"] > 1 and self.count == 1 else ""
        is_plain = said["sampler"] == "SequentialSampler" and not self.is_shuffle_given
        return "labels" if is_plain and (said["batch_size"] or 0) > 1 else ""

    def told(self) -> LoaderRun | None:
        if self.dataset is None:
            return None
        return LoaderRun(
            sites(self.by),
            self.dataset.told(),
            is_shuffle_given=self.is_shuffle_given,
            owner=self.owner,
            begun=self.count,
            passes=tuple(p.told(self.settings["workers"]) for p in self.passes),
            **self.settings,
        )


class _Dataset:
    """Only numbers of it are kept: nothing that it holds stays alive."""

    def __init__(self, dataset: Any, data: Any) -> None:
        self.wraps: list[str] = []
        self.most: int | None = None
        while type(dataset) is data.Subset:
            self.wraps.append("Subset")
            held = plain_attributes(dataset)
            self.most = _highest(held.get("indices"))
            dataset = held.get("dataset")
        kind = type(dataset)
        self.id = id(dataset)
        self.type = kind.__name__
        self.code = _own_code(kind)
        self.is_iterable = isinstance(dataset, data.IterableDataset)
        try:
            self.ref: weakref.ref[Any] | None = weakref.ref(dataset)
        except TypeError:
            self.ref = None
        held = dict(list(plain_attributes(dataset).items())[:ATTRIBUTES]) if self.code else {}
        self.values: dict[str, Value] = {k: describe(v) for k, v in held.items()}
        self.generators = tuple(k for k, v in held.items() if _is_generator(v))
        self.ids = {k: id(v) for k, v in held.items() if self.values[k].length is not None}

    def told(self) -> DatasetRun:
        now = self.ref() if self.ref is not None else None
        held = plain_attributes(now) if now is not None else {}
        changed = {k for k, v in held.items() if k in self.ids and describe(v, 0).length != self.values[k].length}  # fmt: skip
        sized = {k: v for k, v in self.values.items() if v.length is not None and v.type != "str"}
        return DatasetRun(
            self.id,
            self.type,
            _class_at(self.code),
            self.is_iterable,
            {k: v for k, v in sized.items() if k not in changed},
            {k: v for k, v in self.values.items() if k not in sized},
            self.ids,
            tuple(self.wraps),
            self.most,
            self.generators,
        )


def _is_generator(value: Any) -> bool:
    """One of its own: those that a worker seeds are not."""
    torch: Any = sys.modules["torch"]
    kind, home = type(value), sys.modules.get("numpy.random")
    numpy = (getattr(home, "Generator", None), getattr(home, "RandomState", None))
    if kind not in (random.Random, torch.Generator, *numpy):
        return False
    seeded = (getattr(random, "_inst", None), torch.default_generator)
    return not any(
        value is s for s in (*seeded, getattr(getattr(home, "mtrand", None), "_rand", None))
    )


def _own_code(kind: type) -> CodeType | None:
    """A function that stands in the class statement, if that is the user's."""
    codes = (getattr(f, "__code__", None) for f in vars(kind).values())
    return next((c for c in codes if isinstance(c, CodeType) and is_user(c.co_filename)), None)


def _class_at(code: CodeType | None) -> Span | None:
    source = load(code.co_filename) if code is not None else None
    if source is None or code is None:
        return None
    node = source.class_at(Span(code.co_filename, code.co_firstlineno))
    return source.span(node)._replace(end_line=0, end_column=0) if node is not None else None


def _highest(indices: Any) -> int | None:
    """One more than the highest of plain integers."""
    if type(indices) is range:
        return max(indices[0], indices[-1]) + 1 if indices else 0
    if type(indices) not in (list, tuple) or len(indices) > MOST_INDICES:
        return None
    return max(indices, default=-1) + 1 if all(type(i) is int for i in indices) else None


class Loaders(Watcher):
    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self.loaders: list[_Loader] = []
        self._known: dict[int, _Loader] = {}
        self._passes: dict[int, tuple[_Loader, _Pass]] = {}

    def loader_made(self, loader: Any, shuffle: object, frame: FrameType) -> None:
        if len(self.loaders) >= MOST_LOADERS:
            return
        made = _Loader(loader, user_calls(frame), shuffle, owner_of(frame))
        self._known[id(loader)] = made

    def pass_begins(self, loader: Any, number: int, frame: FrameType) -> None:
        known = self._known.get(id(loader))
        if known is None or known.ref() is not loader:
            return
        known.count += 1
        if known.count == 1:
            known.read(loader)
            self.loaders.append(known)
        if known.count <= PASSES:
            begun = _Pass(number, user_calls(frame), self.now.steps)
            begun.looks = known.wants()
            known.passes.append(begun)
            self._passes[number] = known, begun

    def batch(self, iterator: Any, number: int, data: Any) -> None:
        found = self._passes.get(number)
        if found is None:
            return
        known, this = found
        this.batches += 1
        this.step = self.now.steps
        if this.looks == "labels":
            _look_at_labels(this, data)
        elif this.looks == "workers":
            this.prints.append(_print_of(data))
            if len(this.prints) >= ROUNDS * known.settings["workers"]:
                this.looks = ""

    def lost(self, name: str, names: Mapping[str, Any], frame: FrameType) -> None:
        found = self._passes.get(self.now.loader) if name in _CLASSIFIES else None
        if found is None or not found[1].pointer or found[1].is_classified:
            return
        target: Any = names.get("target")
        if type(target) is not sys.modules["torch"].Tensor:
            return
        if target.device.type == "cpu":
            found[1].is_classified = _pointer(target) == found[1].pointer
        else:
            found[1].is_classified = tuple(target.shape) == found[1].shape

    def read(self) -> dict[str, Any]:
        told = (known.told() for known in self.loaders)
        return {"loaders": tuple(t for t in told if t is not None)}


def _look_at_labels(this: _Pass, data: Any) -> None:
    """Until it is clear that the batches mix their classes."""
    labels = _labels(data)
    found = _range(labels) if labels is not None else None
    if found is None or len(this.labels) >= MOST_LABELS:
        this.looks = ""
        return
    this.labels.append(found)
    this.pointer, this.shape = _pointer(labels), tuple(labels.shape)
    if len(this.labels) == 4 and not any(low == high for low, high in this.labels):
        this.looks = ""


def _labels(data: Any) -> Any:
    """The second of a pair, or what a dict calls a label."""
    if type(data) in (tuple, list) and len(data) == 2:
        return data[1]
    if type(data) is dict:
        return next((data[name] for name in _LABELS if name in data), None)
    return None


def _range(labels: Any) -> tuple[int, int] | None:
    """The lowest and the highest of a vector of integers."""
    width = _WIDTHS.get(str(getattr(labels, "dtype", "")))
    if width is None or len(labels.shape) != 1 or labels.shape[0] < 2:
        return None
    held = _bytes(labels, 1 << 19)
    numbers = memoryview(held).cast(width) if held else None
    return (min(numbers), max(numbers)) if numbers is not None else None


def _pointer(tensor: Any) -> int:
    try:
        return int(tensor.data_ptr())
    except RuntimeError:  # under a transform, which hides its memory
        return 0


def _bytes(tensor: Any, most: int) -> bytes:
    """The beginning of a plain tensor's memory; nothing where it isn't plain, or not the CPU's."""
    torch: Any = sys.modules["torch"]
    if type(tensor) is not torch.Tensor or tensor.device.type != "cpu":
        return b""
    if tensor.layout is not torch.strided or not tensor.is_contiguous():
        return b""
    size = min(tensor.numel() * tensor.element_size(), most)
    at = _pointer(tensor)
    return ctypes.string_at(at, size) if at and size else b""


def _print_of(data: Any) -> int:
    """A number that equal batches share, and others hardly ever."""
    return hash(tuple(_parts(data, 3)))


def _parts(data: Any, depth: int) -> Iterator[object]:
    if type(data) in (str, int, float, bytes):
        yield data
    elif depth and type(data) in (tuple, list):
        for item in data[:64]:
            yield from _parts(item, depth - 1)
    elif depth and type(data) is dict:
        for item in list(data.values())[:64]:
            yield from _parts(item, depth - 1)
    elif held := _bytes(data, BYTES):
        yield held
