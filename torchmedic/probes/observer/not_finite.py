"""Where the first NaN or infinity comes from: the data, a parameter, an operation of the model, or code around it."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torchmedic.model import Span
from torchmedic.observed import Site
from torchmedic.observed.run_numbers import NotFinite
from torchmedic.probes.frames import is_user
from torchmedic.probes.observer.looks import is_plain
from torchmedic.probes.observer.replay import Operation, Replay, RootCall, can_replay, tensors_in
from torchmedic.probes.observer.stack import sites

MadeBy = Callable[[Any], tuple[Site, ...]]
_FILLS = re.compile(
    r"(masked_)?fill_?|full(_like)?|where|tensor|scatter_?|triu|tril|__setitem__|index_fill_?"
)
# Operations whose saved input explains a result that isn't finite: log(0), 1 / 0, sqrt of a negative number.
_SAVED = {
    "Log": "_saved_self",
    "Div": "_saved_other",
    "Sqrt": "_saved_result",
    "Exp": "_saved_result",
}
MOST_NODES = 400
_ENTRY = re.compile(r'File "(.*)", line (\d+), in (.*)')


class _Made(NamedTuple):
    """The operation that gave the first value of its kind that isn't finite."""

    name: str
    by: tuple[Site, ...]
    is_direct: bool
    layer: str
    is_fill: bool
    has_nan: bool
    bad_values: int
    size: int
    cause: Any = None  # the `_Made` of the infinity that it made a NaN of


def origin_of(
    found: NotFinite, tensor: Any, calls: Sequence[RootCall], made_by: MadeBy
) -> NotFinite:
    """With what the replays of the step's forward passes show. `tensor`: the loss, or a gradient."""
    for call in calls:
        module = call.module
        if module is None:
            continue
        found = found._replace(root=type(module).__name__, called_by=sites(call.by))
        bad = next((t for t in tensors_in((call.args, dict(call.kwargs))) if _has_nan(t)), None)
        if bad is not None:
            return _counted(found, bad)._replace(origin="input")
        for name, parameter in module.named_parameters():
            if is_plain(parameter) and not _is_finite(parameter):
                return _counted(found, parameter)._replace(origin="parameter", name=name)
        if not can_replay(call):
            return found
    for call in calls:
        found = found._replace(root=type(call.module).__name__, called_by=sites(call.by))
        made = _backward(call) if found.kind == "gradient" else _forward(call)
        if made == "failed":
            return found
        if isinstance(made, _Made):
            layer = made.layer
            if made.is_direct or not layer:
                found = found._replace(origin="operation", name=made.name, origin_by=made.by)
            else:
                built = made_by(call.module.get_submodule(layer))
                found = found._replace(origin="layer", name=layer, origin_by=built)
            return found._replace(bad_values=made.bad_values, size=made.size)
    if calls:
        node = _explained(tensor) if found.kind == "loss" else ""
        return found._replace(origin="outside", node=node)
    return found


def _is_finite(tensor: Any) -> bool:
    torch: Any = sys.modules["torch"]
    is_real = tensor.is_floating_point() or tensor.is_complex()
    return not is_real or bool(torch.isfinite(tensor.detach()).all())


def _has_nan(tensor: Any) -> bool:
    torch: Any = sys.modules["torch"]
    return tensor.is_floating_point() and bool(torch.isnan(tensor.detach()).any())


def _counted(found: NotFinite, tensor: Any) -> NotFinite:
    torch: Any = sys.modules["torch"]
    count = int((~torch.isfinite(tensor.detach())).sum())
    return found._replace(bad_values=count, size=int(tensor.numel()), batch=found.step + 1)


def _forward(call: RootCall) -> _Made | str | None:
    """The operation that made the result of the call not finite; None if it is finite."""
    torch: Any = sys.modules["torch"]
    makers: dict[int, _Made] = {}
    held: list[Any] = []

    def told(one: Operation) -> None:
        with torch.no_grad():
            bad = [t for t in one.result if not _is_finite(t)]
            if not bad or id(bad[0]) in makers:
                return
            inputs = [t for t in one.given if not _is_finite(t) and all(t is not b for b in bad)]
            known = [makers[id(t)] for t in inputs if id(t) in makers]
            has_nan = _has_nan(bad[0])
            if inputs and not (has_nan and not any(map(_has_nan, inputs))):
                if known:
                    makers[id(bad[0])] = known[0]
                    held.append(bad[0])
                return
            count = int((~torch.isfinite(bad[0])).sum())
            makers[id(bad[0])] = _Made(
                one.function,
                sites((one.call,)) if one.call else (),
                one.is_direct,
                one.layer,
                _FILLS.fullmatch(one.function) is not None,
                has_nan,
                count,
                int(bad[0].numel()),
                known[0] if known else None,
            )
            held.append(bad[0])

    replay = Replay(call, told)
    if not replay.run():
        return "failed"
    for tensor in tensors_in(replay.result):
        made = makers.get(id(tensor))
        if made is None:
            continue
        if made.cause is not None and not made.cause.is_fill:
            made = made.cause
        return None if made.is_fill else made
    return None


def _backward(call: RootCall) -> _Made | str | None:
    """The operation of the model whose derivative isn't finite, for a gradient of 1 at the model's result."""
    torch: Any = sys.modules["torch"]
    noted: list[_Made] = []

    def back(result: Any) -> None:
        outputs = [t for t in tensors_in(result) if t.requires_grad]
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                torch.autograd.backward(outputs, [torch.ones_like(t) for t in outputs])
            except RuntimeError as error:
                match = re.search(r"Function '(\w+)' returned nan values", str(error))
                if match:
                    noted.append(_noted(match[1], "".join(str(w.message) for w in said)))

    replay = Replay(call, lambda one: None)
    before = torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()
    torch.set_anomaly_enabled(True, True)
    try:
        with torch.enable_grad():
            is_complete = replay.run(back)
    finally:
        torch.set_anomaly_enabled(*before)
    if not is_complete:
        return "failed"
    return noted[0] if noted else None


def _noted(node: str, text: str) -> _Made:
    by: tuple[Site, ...] = ()
    for path, line, function in reversed(_ENTRY.findall(text)):
        if is_user(path):
            by = (Site(Span(path, int(line)), function),)
            break
    name = re.sub(r"Backward\d*$", "", node).lower()
    return _Made(name, by, True, "", False, True, 0, 0)


def _explained(loss: Any) -> str:
    """The first operation between the loss and the model that got what it can't give a finite result for."""
    torch: Any = sys.modules["torch"]
    waiting, seen = [loss.grad_fn], set[int]()
    held = []
    while waiting and len(seen) < MOST_NODES:
        node = waiting.pop(0)
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        held.append(node)
        waiting += [n for n, _ in node.next_functions]
        name = re.sub(r"Backward\d*$", "", node.name())
        try:
            saved = getattr(node, _SAVED[name]) if name in _SAVED else None
        except RuntimeError:  # freed, or changed in place
            saved = None
        if isinstance(saved, torch.Tensor) and _is_cause(name, saved):
            return name.lower()
    return ""


def _is_cause(name: str, saved: Any) -> bool:
    if name == "Exp":
        return bool((saved == float("inf")).any())
    if name == "Sqrt":
        return bool(saved.isnan().any())
    bad = saved == 0 if name == "Div" else saved <= 0
    return _is_finite(saved) and bool(bad.any())
