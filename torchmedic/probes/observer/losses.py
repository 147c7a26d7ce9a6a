"""What losses get: by the operation that made it, its shape, and in a few calls by its values."""

from __future__ import annotations

import re
import sys
import weakref
from collections.abc import Mapping
from functools import cache
from types import FrameType
from typing import Any

from torchmedic.model import Span
from torchmedic.observed import Site
from torchmedic.observed.failure import Tensor
from torchmedic.observed.run_numbers import LossRun
from torchmedic.probes.frames import is_user
from torchmedic.probes.observer.looks import can_read, is_due, is_plain
from torchmedic.probes.observer.root_calls import has_layers
from torchmedic.probes.observer.stack import Call, owner_of, sites, user_call, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher
from torchmedic.probes.values import tensor_of

MOST_PLACES = 100
ALL = 8  # calls of a place, each of them watched
TOLERANCE = 1e-3
DEEPEST = 6  # operations that only reshape, between the one that made the input and the loss
_RESHAPES = re.compile(
    r"(Unsafe)?(View|Reshape\w*|Squeeze|Unsqueeze|Permute|Transpose|T|ToCopy|Clone|Alias)Backward\d"
)
_KINDS = {
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Sigmoid": "sigmoid",
    "Addmm": "linear",
    "Mm": "linear",
    "Linear": "linear",
    "MkldnnLinear": "linear",
    "Convolution": "linear",
}
_LAYERS = {"softmax": "Softmax", "sigmoid": "Sigmoid"}
# What a loss applies or expects itself: where such a result comes in, the place of the operation is wanted.
_SUSPECT = {
    "cross_entropy": "softmax",
    "nll_loss": "softmax",
    "kl_div": "softmax",
    "ctc_loss": "softmax",
    "binary_cross_entropy_with_logits": "sigmoid",
}
_LOGS = ("nll_loss", "kl_div", "ctc_loss")  # whose values tell what they are
_ENTRY = re.compile(r'\s*File "(.*)", line (\d+), in (.*)')


class _Loss:
    """One place."""

    def __init__(self, function: str, frame: FrameType, made_by: tuple[Site, ...], layer: str):
        self.function = function
        self.by = user_calls(frame)
        self.owner = owner_of(frame)
        self.layer = layer
        self.made_by = made_by
        self.met = self.calls = self.columns = self.looked = 0
        self.in_unit = self.above_zero = self.sums = self.logs = 0
        self.input: Tensor | None = None
        self.target: Tensor | None = None
        self.is_log_target = False
        self.nodes: dict[str, int] = {}
        self.activated_by: tuple[Site, ...] = ()
        self.activation_made_by: tuple[Site, ...] = ()
        self.is_traced = False


class LossInputs(Watcher):
    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self._places: dict[tuple[str, int, int], _Loss] = {}
        self._held: list[Call] = []  # whose ids are keys
        self._root: weakref.ref[Any] | None = None
        self._traced: _Loss | None = None
        self._until = 0

    def called(
        self, module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        if self._traced is not None and has_layers(module):
            self._root = weakref.ref(module)

    def lost(self, name: str, names: Mapping[str, Any], frame: FrameType) -> None:
        given: Any = names.get("input", names.get("log_probs"))
        target: Any = names.get("target", names.get("targets"))
        if not is_plain(given) or not is_plain(target) or not given.requires_grad:
            return
        place = self._place(name, names, frame)
        if place is None:
            return
        place.met += 1
        if place.met > ALL and not is_due(place.met):
            return
        place.calls += 1
        if place.input is None:
            place.input, place.target = tensor_of(given), tensor_of(target)
            place.is_log_target = bool(names.get("log_target"))
        place.columns += _is_column(given, target) or _is_column(target, given)
        node = _maker(given.grad_fn)
        kind = _kind(node)
        place.nodes[kind] = place.nodes.get(kind, 0) + 1
        if self._traced is place:
            self._locate(place, node, kind)
        is_suspect = _SUSPECT.get(name) == kind
        if is_due(place.met) and (is_suspect or name in _LOGS):
            self._look(place, given)
            if is_suspect and not place.is_traced and self._traced is None:
                self._trace(place)

    def _place(self, name: str, names: Mapping[str, Any], frame: FrameType) -> _Loss | None:
        call = user_call(frame)
        if call is None:
            return None
        key = (name, id(call.code), call.lasti)
        found = self._places.get(key)
        if found is None and len(self._places) < MOST_PLACES:
            above = frame.f_back
            layer = None
            if above is not None and above.f_code.co_name == "forward":
                layer = above.f_locals.get("self")
                known = getattr(type(layer), "__module__", "") == "torch.nn.modules.loss"
                layer = layer if known else None
            made = self.now.made_by(layer) if layer is not None else ()
            kind = type(layer).__name__ if layer is not None else ""
            found = self._places[key] = _Loss(name, frame, made, kind)
            self._held.append(call)
        return found

    def _look(self, place: _Loss, given: Any) -> None:
        if not can_read(given) or not given.is_floating_point() or not given.numel():
            return
        torch: Any = sys.modules["torch"]
        with torch.no_grad():
            values = given.detach()
            low, high = (float(v) for v in torch.aminmax(values))
            place.looked += 1
            place.in_unit += low >= 0 and high <= 1 + TOLERANCE
            place.above_zero += high > 0
            if values.dim() < 2 or values.size(1) < 2:
                return
            if low >= 0 and high <= 1 + TOLERANCE:
                rest = (values.sum(dim=1) - 1).abs().max()
                place.sums += float(rest) < TOLERANCE * values.size(1)
            elif high <= TOLERANCE:
                rest = values.logsumexp(dim=1).abs().max()
                place.logs += float(rest) < TOLERANCE * values.size(1)

    # --- where the operation stands: one step with autograd's own notes of the forward pass

    def _trace(self, place: _Loss) -> None:
        torch: Any = sys.modules["torch"]
        place.is_traced = True
        if not torch.is_anomaly_enabled():
            torch.set_anomaly_enabled(True, False)
            self._traced, self._until = place, self.now.steps + 2

    def _end_trace(self) -> None:
        if self._traced is not None:
            torch: Any = sys.modules["torch"]
            self._traced = None
            if torch.is_anomaly_enabled() and not torch.is_anomaly_check_nan_enabled():
                torch.set_anomaly_enabled(False)

    def backward_begins(self, tensors: Any, frame: FrameType) -> None:
        if self._traced is not None and self.now.steps >= self._until:
            self._end_trace()

    def closed(self) -> None:
        self._end_trace()

    def _locate(self, place: _Loss, node: Any, kind: str) -> None:
        noted = node.metadata.get("traceback_", ()) if node is not None else ()
        self._end_trace()
        if kind != _SUSPECT.get(place.function):
            return
        entries = [found for text in noted if (found := _ENTRY.match(text))]
        mine = [i for i, e in enumerate(entries) if is_user(e[1])]
        if not mine:
            return
        at = [entries[i] for i in reversed(mine)]
        place.activated_by = tuple(Site(Span(e[1], int(e[2])), e[3]) for e in at[:6])
        files = [e[1].replace("\\", "/") for e in entries[mine[-1] + 1 :]]
        through = [f for f in files if not f.endswith(("modules/module.py", "nn/functional.py"))]
        if through and not through[0].endswith("modules/activation.py"):
            root = self._root() if self._root is not None else None
            layers = [
                m for m in (root.modules() if root is not None else ()) if _is(m, _LAYERS[kind])
            ]
            if len(layers) == 1:
                place.activation_made_by = self.now.made_by(layers[0])
            if not place.activation_made_by:
                place.activated_by = ()

    def read(self) -> dict[str, Any]:
        self._end_trace()
        return {"losses": tuple(_told(p) for p in self._places.values() if p.by)}


def _is(module: Any, name: str) -> bool:
    kind = type(module)
    return kind.__name__ == name and kind.__module__ == "torch.nn.modules.activation"


def _is_column(tall: Any, flat: Any) -> bool:
    shape = tall.shape
    return (
        len(shape) == 2 and shape[1] == 1 and len(flat.shape) == 1 and shape[0] == flat.shape[0] > 1
    )


def _maker(node: Any) -> Any:
    """The operation whose result it is, behind those that only give it another shape or type."""
    for _ in range(DEEPEST):
        if node is None or not _reshapes(node.name()):
            break
        node = node.next_functions[0][0] if node.next_functions else None
    return node


@cache
def _reshapes(name: str) -> bool:
    return _RESHAPES.fullmatch(name) is not None


def _kind(node: Any) -> str:
    return _kind_of(str(node.name())) if node is not None else ""


@cache
def _kind_of(name: str) -> str:
    return _KINDS.get(re.sub(r"Backward\d*$", "", name), name)


def _told(place: _Loss) -> LossRun:
    return LossRun(
        sites(place.by),
        place.function,
        place.layer,
        place.made_by,
        place.owner,
        place.calls,
        place.columns,
        place.input,
        place.target,
        place.is_log_target,
        place.looked,
        dict(place.nodes),
        place.in_unit,
        place.above_zero,
        place.sums,
        place.logs,
        place.activated_by,
        place.activation_made_by,
    )
