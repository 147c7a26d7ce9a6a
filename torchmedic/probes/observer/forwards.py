"""Which calls of a model train, and what the others do: told by whether a backward pass comes through their results."""

from __future__ import annotations

import dis
import sys
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

from torchmedic.observed.run_training import Forward
from torchmedic.probes.observer.nodes import kept
from torchmedic.probes.observer.stack import Call, owner_of, sites, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher

RESULTS = 4  # whose storage is remembered, to see it flow into another model
MOST_SITES = 400
MOST_TAGS = 64
ITEMS = 8  # of a container among arguments or results


class Place:
    """One call site, model and pass over a loader."""

    __slots__ = (
        "by", "calls", "consumed", "eval_by", "first", "flowed", "frozen", "graph_bytes", "in_training", "is_dropped", "later", "layers",
        "loader", "looked", "meant", "most", "owner", "root", "row", "site", "step", "tags", "with_grad",
    )  # fmt: skip

    def __init__(self, root: _Root, loader: int, first: int, site: tuple[int, int, int]) -> None:
        self.site = site
        self.root = root
        self.loader = loader
        self.first = first
        self.by: tuple[Call, ...] = ()
        self.owner = ""
        self.layers: tuple[str, ...] = ()
        self.graph_bytes: int | None = None
        self.is_dropped = False
        self.calls = self.looked = self.consumed = self.flowed = 0
        self.with_grad = self.in_training = self.later = self.frozen = 0
        self.most = self.row = self.meant = 0
        self.eval_by: tuple[Call, ...] = ()
        self.tags: list[weakref.ref[Tag]] = []
        self.step = -1


class _Root:
    """A model that was called. Its layers are looked for once."""

    def __init__(self, module: Any, number: int) -> None:
        self.module = weakref.ref(module)
        self.number = number  # ids of modules that are gone are used again
        self.type = type(module).__name__
        self.modules = frozenset(map(id, module.modules()))
        self.parameters = frozenset(id(p) for p in module.parameters())
        self.layers = [
            (name, weakref.ref(m)) for name, m in module.named_modules() if _has_modes(m)
        ]

    def in_training(self) -> tuple[str, ...]:
        return tuple(n for n, ref in self.layers if (m := ref()) is not None and m.training)


class _Mode:
    """The last `train()` or `eval()` of a module."""

    def __init__(self, module: Any) -> None:
        self.module = weakref.ref(module)
        self.modules = frozenset(map(id, module.modules()))
        self.mode = True
        self.step = -1  # how many steps there had been
        self.by: tuple[Call, ...] = ()


def _has_modes(module: Any) -> bool:
    """True for a layer of torch's whose result depends on the mode."""
    torch = _torch()
    nn = torch.nn
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return bool(module.p)
    if isinstance(module, nn.modules.batchnorm._NormBase):  # and InstanceNorm
        return bool(module.track_running_stats)
    return isinstance(module, nn.RNNBase) and bool(module.dropout) and module.num_layers > 1


class Tag:
    """Hangs on an autograd node and lives as long as that: autograd calls it when it comes through."""

    __slots__ = ("__weakref__", "is_used", "place")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.is_used = False

    def __call__(self, gradients: Any) -> None:
        if not self.is_used:
            self.is_used = True
            self.place.consumed += 1


def _is_waiting(ref: weakref.ref[Tag]) -> bool:
    tag = ref()
    return tag is not None and not tag.is_used


class Forwards(Watcher):
    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self.roots: dict[int, _Root] = {}
        self._made = 0
        self.places: dict[tuple[int, int, int, int], Place] = {}
        self._codes: dict[int, CodeType] = {}  # held, so that their ids stay their own
        self._weights: dict[tuple[int, int, int], int] = {}  # bytes of one result's graph
        # The weak reference keeps the address of a freed storage from being used again.
        self._results: OrderedDict[int, tuple[Any, Place]] = OrderedDict()
        self._running: list[tuple[int, Place]] = []
        self._passes: dict[int, tuple[int, tuple[Call, ...]]] = {}
        self._modes: dict[int, _Mode] = {}  # the latest at the end

    def root(self, module: Any) -> _Root:
        found = self.roots.get(id(module))
        if found is None or found.module() is not module:
            self._made += 1
            found = self.roots[id(module)] = _Root(module, self._made)
        return found

    def mode_set(self, module: Any, mode: bool, frame: FrameType) -> None:
        known = self._modes.pop(id(module), None)
        if known is None or known.module() is not module:
            known = _Mode(module)
        elif len(self._modes) >= MOST_SITES:
            return
        known.mode, known.step, known.by = mode, self.now.steps, user_calls(frame)
        self._modes[id(module)] = known

    def _mode(self, root: _Root, module: Any) -> _Mode | None:
        """What the program said last about this model, a model around it or one inside it."""
        for known in reversed(self._modes.values()):
            if id(module) in known.modules or id(known.module()) in root.modules:
                return known
        return None

    def pass_begins(self, loader: Any, number: int, frame: FrameType) -> None:
        if len(self._passes) < MOST_SITES:
            self._passes[number] = id(loader), user_calls(frame)

    def called(
        self, module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        root = self.root(module)
        self._running.clear()
        if not root.parameters:
            return
        place = self._place(root, frame)
        if place is None:
            return
        torch = _torch()
        now = self.now
        place.calls += 1
        if now.steps == place.step:
            place.row += 1
        else:
            place.row, place.step = 1, now.steps
        place.most = max(place.most, place.row)
        place.later += bool(now.steps)
        place.with_grad += torch.is_grad_enabled()
        said = self._mode(root, module)
        if module.training:
            place.in_training += 1
            place.meant += said is not None and said.mode and said.step == now.steps
        elif said is not None and not said.mode:
            place.eval_by = said.by
            place.frozen += bool(place.in_training) and torch.is_grad_enabled()
        if module.training and (place.calls < 4 or not place.calls & (place.calls - 1)):
            place.layers = root.in_training()
        if self._results:
            for tensor in _tensors(torch, (*args, *kwargs.values())):
                _, source = self._results.get(_storage(tensor), (None, None))
                if source is not None and source is not place:
                    source.flowed += 1
        self._running.append((id(frame), place))

    def returned(self, module: Any, result: Any, frame: FrameType) -> None:
        if not self._running or self._running[-1][0] != id(frame):
            return
        _, place = self._running.pop()
        torch = _torch()
        place.looked += 1
        found = list(_tensors(torch, result))
        with_node = next((t for t in found if t.grad_fn is not None), None)
        if with_node is not None:
            tag = Tag(place)
            with_node.grad_fn.register_prehook(tag)
            place.tags = [ref for ref in place.tags if _is_waiting(ref)][-MOST_TAGS:]
            place.tags.append(weakref.ref(tag))
            if place.graph_bytes is None and place.row == 2 and not self.now.has_saved_hooks:
                self._weigh(place, with_node.grad_fn)
        tensor = with_node if with_node is not None else next(iter(found), None)
        address = _storage(tensor) if tensor is not None else 0
        if tensor is not None and address:
            self._results[address] = _weak(tensor), place
            if len(self._results) > RESULTS:
                self._results.popitem(last=False)

    def _weigh(self, place: Place, node: Any) -> None:
        """Once for a call site: where a second call comes before a step, results may be there for no backward pass."""
        if place.site not in self._weights:
            self._weights[place.site] = kept(node).bytes
        place.graph_bytes = self._weights[place.site]

    def _place(self, root: _Root, frame: FrameType) -> Place | None:
        caller = frame.f_back
        if caller is None:
            return None
        code, lasti, loader = caller.f_code, caller.f_lasti, self.now.loader
        key = (id(code), lasti, root.number, loader)
        place = self.places.get(key)
        if place is None:
            if len(self.places) >= MOST_SITES:
                return None
            self._codes[id(code)] = code
            place = self.places[key] = Place(root, loader, self.now.forwards, key[:3])
            place.by = user_calls(caller)
            place.owner = owner_of(caller)
            place.is_dropped = _drops(code, lasti)
        return place

    def read(self) -> dict[str, Any]:
        places = sorted(self.places.values(), key=lambda p: p.first)
        return {"forwards": tuple(self._told(place) for place in places if place.by)}

    def _told(self, place: Place) -> Forward:
        root = place.root
        source, begun = self._passes.get(place.loader, (0, ()))
        return Forward(
            sites(place.by),
            root.number,
            root.type,
            root.parameters,
            place.loader,
            source,
            sites(begun),
            place.first,
            place.calls,
            place.looked,
            place.consumed,
            place.flowed,
            place.with_grad,
            place.in_training,
            place.frozen,
            place.later,
            place.most,
            place.is_dropped,
            place.layers,
            place.graph_bytes,
            place.owner,
            sum(map(_is_waiting, place.tags)),
            place.meant,
            sites(place.eval_by),
        )


@lru_cache(maxsize=MOST_SITES)
def _drops(code: CodeType, lasti: int) -> bool:
    """True if the program does nothing with what the call returns: it is thrown away, or named and never read."""
    instructions = list(dis.get_instructions(code))
    following = next((i for i in instructions if i.offset > lasti), None)
    if following is None or following.opname == "POP_TOP":
        return following is not None
    if following.opname != "STORE_FAST":
        return following.opname == "STORE_NAME" and following.argval == "_"
    reads = (i for i in instructions if i.opname.startswith("LOAD_FAST"))
    return not any(following.argval in (i.argval, *_both(i.argval)) for i in reads)


def _both(name: object) -> tuple[object, ...]:
    """From Python 3.13 on, one instruction may load two names."""
    return name if isinstance(name, tuple) else ()


def _torch() -> Any:
    return sys.modules["torch"]


def _storage(tensor: Any) -> int:
    """The address of its storage object: no data is read."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (RuntimeError, NotImplementedError):  # sparse, or another layout without storage
        return 0


def _weak(tensor: Any) -> Any:
    from torch.multiprocessing.reductions import StorageWeakRef

    return StorageWeakRef(tensor.untyped_storage())


def _tensors(torch: Any, value: Any, depth: int = 2) -> Iterator[Any]:
    """Tensors of torch's own kind in the value, in its items or in those of a library's result."""
    if isinstance(value, torch.Tensor):
        if type(value).__torch_dispatch__ is torch.Tensor.__torch_dispatch__:
            yield value
    elif depth and isinstance(value, (tuple, list)):
        for item in value[:ITEMS]:
            yield from _tensors(torch, item, depth - 1)
    elif depth and isinstance(value, dict):
        for item in list(value.values())[:ITEMS]:
            yield from _tensors(torch, item, depth - 1)
