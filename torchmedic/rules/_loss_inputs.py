"""Losses of a run as events of the source, with what was seen of their inputs: the same facts, the same places."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from torchmedic.observed import Source, Value, load
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._activations import Activation
from torchmedic.rules._run import event, trace_of

if TYPE_CHECKING:
    from torchmedic.observed.run_numbers import LossRun

FEWEST = 2  # calls
FEWEST_LIVE = 8  # while the program may go on with other inputs
_CLASSES = {
    "cross_entropy": "CrossEntropyLoss",
    "nll_loss": "NLLLoss",
    "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    "mse_loss": "MSELoss",
    "l1_loss": "L1Loss",
    "smooth_l1_loss": "SmoothL1Loss",
    "huber_loss": "HuberLoss",
    "kl_div": "KLDivLoss",
    "ctc_loss": "CTCLoss",
}
_NAMES = {
    "softmax": ("softmax", "Softmax"),
    "sigmoid": ("sigmoid", "Sigmoid", "expit"),
}


class Seen(NamedTuple):
    """A loss in a run: `kind` is its class, also where the function is called."""

    run: LossRun
    kind: str
    event: Event
    trace: Trace


def seen(run: Run, *functions: str) -> Iterator[Seen]:
    """Losses of the program's own code whose input needed a gradient in at least two calls."""
    fewest = FEWEST if run.is_over else FEWEST_LIVE
    for one in run.losses:
        if one.owner or one.function not in functions or one.calls < fewest or not one.by:
            continue
        kind = one.layer or _CLASSES[one.function]
        made = one.made_by[0].at if one.made_by else None
        found = event("loss", one.by)
        trace = trace_of(found) if found is not None else None
        if found is None or trace is None or one.input is None or one.target is None:
            continue
        places = [s[0].at for s in (one.made_by, one.activated_by, one.activation_made_by) if s]
        others = {at.path: source for at in places if (source := load(at.path))}
        facts: dict[str, object] = {
            "loss": kind,
            "made": made if one.layer else None,
            "through": (one.activation,),
            "input": Value("Tensor", tensor=one.input),
            "target": Value("Tensor", tensor=one.target),
            "activations": frozenset(),
        }
        found = found._replace(facts=facts)
        sources = {**trace.sources, **others}
        yield Seen(one, kind, found, trace._replace(events=(found,), sources=sources))


def activation_of(one: Seen) -> Activation | None:
    """The expression that made the loss's input: what a person would change."""
    loss = one.run
    kind = loss.activation
    if kind not in _NAMES or not loss.activated_by:
        return None
    if loss.activation_made_by:
        at = loss.activation_made_by[0].at
        source = load(at.path)
        made = source.at(at, ast.Call) if source is not None else None
        if source is None or made is None:
            return None
        return Activation(source, source.span(made), None, made, kind, (), False)
    site = loss.activated_by[0]
    source = load(site.at.path)
    call = _call_on(source, site.at.line, _NAMES[kind]) if source is not None else None
    if source is None or call is None:
        return None
    return Activation(source, source.span(call), call, None, kind, (), False)


def _call_on(source: Source, line: int, names: tuple[str, ...]) -> ast.Call | None:
    """The one call of a statement that begins there whose name is one of these; else its one call of such a layer."""
    calls = [n for n in source.nodes(ast.Call) if n.lineno <= line <= (n.end_lineno or n.lineno)]
    named = [n for n in calls if _last(n.func) in names]
    if len(named) == 1:
        return named[0]
    if named:
        return None
    made = _attributes(source, names)
    held = [n for n in calls if isinstance(n.func, ast.Attribute) and _is_self(n.func.value)]
    held = [n for n in held if _last(n.func) in made]
    return held[0] if len(held) == 1 else None


def _attributes(source: Source, names: tuple[str, ...]) -> set[str]:
    """`x` of `self.x = nn.Sigmoid()`."""
    return {
        _last(target)
        for node in source.nodes(ast.Assign)
        if isinstance(node.value, ast.Call) and _last(node.value.func) in names
        for target in node.targets
        if isinstance(target, ast.Attribute) and _is_self(target.value)
    }


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _last(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]
