"""Models that are trained together with others and that no optimizer holds: when it is no purpose, and edits.

A model that gets gradients and is never stepped may be meant: a judge, a simulator, a body under a head that learns alone.
What is told is the last part of a model, which turns into the prediction what the optimizer's models computed, and is
called like such a part; or one in whose place a second optimizer holds what another one holds already.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torchmedic.model import Fix, Text
from torchmedic.observed import Source
from torchmedic.observed.trace import Event
from torchmedic.rules._order import numbers
from torchmedic.rules._reach import PURPOSE, Training

if TYPE_CHECKING:
    from torchmedic.rules._held import Missing

# What the last part of a model is called, and what may judge others as well: it counts behind such a first part only.
_LAST = r"(?i)(^|_)(heads?|fc|readout|outputs?|out|logits|top|last)(_|\d|$)"
_PARTNER = r"(?i)(^|_)(classifier|clf|decoder|dec|regressor|predictor)(_|\d|$)"
_FIRST = r"(?i)enc|backbone|feature|extract|body|trunk|embed|stem|conv|cnn|rnn|lstm|gru|bert"
# What learns through a model that is meant to stay as it is, and such models.
_THROUGH = (
    r"(?i)prompt|adapter|lora|patch|perturb|delta|noise|attack|adver|control|policy|actor|agent|latent|image|style"
    r"|judge|oracle|reward|plant|system|environ|simulat|world|physic|render|invers|perceptual|probe|mask|(?<![a-z])codes?(?![a-z])"
)
_GROUPS = r"param_groups.{0,20}params"  # parameters put into an optimizer by hand
_OF_MODULE = ("parameters", "named_parameters", "requires_grad_", "load_state_dict")
_OF_WEIGHTS = ("weight", "bias", "apply")  # first values, or values, of its own
_COUNTS = r"numel|clip_grad"
_JOIN = Text(en="give it the parameters of `{text}` as well", ko="`{text}` 파라미터도 함께 넘기기")


def is_forgotten(one: Missing) -> bool:
    """False where names or other lines of the program tell that it may be meant."""
    sources = {s.path: s for s in (one.source, *(one.trace.sources.values() if one.trace else ()))}
    last = _last(one.layer)
    names = (*_OF_MODULE, *_OF_WEIGHTS) if one.form == "beside" else _OF_MODULE
    if re.search(PURPOSE, one.layer) or any(_is_used(s, last, names) for s in sources.values()):
        return False
    if any(re.search(_GROUPS, s.text) for s in sources.values()):
        return False
    if one.form != "beside":
        return True
    statement = one.source.code(one.source.statement(one.node))
    whole, _, _ = one.layer.rpartition(".")
    if whole and whole != "self" and f"{whole}." in statement:
        return False  # a part of one model was chosen for the optimizer
    if re.search(_THROUGH, f"{one.layer} {statement}"):
        return False
    is_partner = re.search(_PARTNER, last) and re.search(_FIRST, statement)
    return bool(re.search(_LAST, last) or is_partner)


def _last(name: str) -> str:
    """`head` of `self.heads[0].head`."""
    return re.sub(r"\[.*?\]", "", name).rpartition(".")[2]


def _is_used(source: Source, last: str, names: tuple[str, ...]) -> bool:
    """True where the program takes its parameters, freezes or loads it: only not in the way that was executed."""
    for node in source.nodes(ast.Attribute):
        if node.attr in names and _last(ast.unparse(node.value)) == last:
            around = source.statement(node)
            line = ast.unparse(around) if isinstance(around, (ast.Expr, ast.Assign)) else ""
            if not re.search(_COUNTS, line):
                return True
    return False


# --- from the source alone


def beside(training: Training) -> Iterator[tuple[str, Event, Event, bool]]:
    """The form, a call of the model, the construction of an optimizer, and whether that is the only one with a part in it."""
    for call in _models(training):
        layers = _layers(training, call)
        wrong = _wrong(training, call, layers)
        if wrong is not None:
            yield "other", call, wrong, True
            continue
        made = [
            o.made
            for o in training.optimizers
            if o.made is not None and (o.holds or frozenset()) & training.trained
        ]
        if made and _is_together(training, call, layers):
            index = training.timeline.index
            last = max(made, key=lambda event: index[id(event)])
            yield "beside", call, last, len(made) == 1


def _models(training: Training) -> Iterator[Event]:
    """A call of each root model that is known as a whole, trains, and is held by nobody."""
    told = set[int]()
    for call in training.timeline.of("call"):
        if call.subject in told or not call.name:
            continue
        told.add(call.subject)
        facts = call.facts
        layers = _layers(training, call)
        inside = numbers(call, "inside")
        is_known = not facts.get("is_open") and not facts.get("escaped") and bool(layers)
        if not is_known or inside & training.held or any(map(training.is_held, layers)):
            continue
        if layers <= training.trained and all(map(training.is_plain, layers)):
            yield call


def _layers(training: Training, call: Event) -> frozenset[int]:
    return numbers(call, "inside") & frozenset(training.trace.layers)


def _is_together(training: Training, call: Event, layers: frozenset[int]) -> bool:
    """Every call takes what a held model computed, and every backward pass to those comes through this one."""
    timeline = training.timeline
    if any(training.layer(n).owners & training.held for n in layers):
        return False
    for one in timeline.of("call"):
        if one.subject != call.subject:
            continue
        before = [timeline.calls.get(n) for n in numbers(one, "inputs")]
        if one.is_grad_enabled is not False and one.facts.get("training") is not True:
            return False
        if not any(b is not None and numbers(b, "inside") & training.held for b in before):
            return False
    return all(
        layers <= numbers(b, "reach")
        for b in training.backwards
        if numbers(b, "reach") & training.held
    )


def _is_taken(training: Training, call: Event) -> bool:
    """A model that an optimizer holds is called with its result."""
    timeline = training.timeline
    return any(
        (before := timeline.calls.get(n)) is not None and before.subject == call.subject
        for one in timeline.of("call")
        if numbers(one, "inside") & training.held
        for n in numbers(one, "inputs")
    )


def _wrong(training: Training, call: Event, layers: frozenset[int]) -> Event | None:
    """Of two optimizers that hold the same, that whose backward passes come to these layers."""
    passes: dict[int, list[frozenset[int]]] = {}
    reached: frozenset[int] = frozenset()
    for event in training.timeline.of("backward", "step"):
        if event.kind == "backward":
            reached |= numbers(event, "reach")
        else:
            passes.setdefault(event.subject, []).append(reached)
            reached = frozenset()
    for one in training.optimizers:
        for other in training.optimizers:
            made, holds = one.made, one.holds
            if one is other or made is None or not holds or holds != other.holds:
                continue
            mine, others = passes.get(one.subject, []), passes.get(other.subject, [])
            if not mine or not others or not all(layers <= found for found in mine):
                continue
            is_apart = not any(layers & found for found in others)
            is_empty = not any(holds & found for found in mine)
            if (is_apart and _is_taken(training, call)) or (
                is_empty and all(holds & found for found in others)
            ):
                return made
    return None


# --- edits


def joined(one: Missing) -> tuple[Fix, ...]:
    """`Adam(first.parameters())` becomes `Adam([*first.parameters(), *second.parameters()])`."""
    source, node = one.source, one.node
    given = node.args[0] if isinstance(node, ast.Call) and node.args else None
    names = (one.layer, *one.others)
    if given is None or not one.is_alone or not all(is_known_at(source, node, n) for n in names):
        return ()
    text = source.code(given)
    if isinstance(given, ast.Call) and _is_parameters(given):
        parts = [f"*{text}", *(f"*{name}.parameters()" for name in names)]
        new = f"[{', '.join(parts)}]"
    elif isinstance(given, ast.BinOp) and isinstance(given.op, ast.Add):
        new = text + "".join(f" + list({name}.parameters())" for name in names)
    elif isinstance(given, ast.List) and given.elts and _is_starred(given.elts):
        new = f"{text[:-1].rstrip().rstrip(',')}, {', '.join(f'*{n}.parameters()' for n in names)}]"
    else:
        return ()
    told = "`, `".join(names)
    return (Fix((source.replace(given, new),), _JOIN.fill(text=told)),)


def _is_parameters(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "parameters"


def _is_starred(items: list[ast.expr]) -> bool:
    return all(
        isinstance(i, ast.Starred) and isinstance(i.value, ast.Call) and _is_parameters(i.value)
        for i in items
    )


def is_known_at(source: Source, node: ast.AST, name: str) -> bool:
    """True if the function of the node assigns that name or attribute before the node, or has such an argument."""
    scope = source.function_of(node) or source.tree
    if not isinstance(scope, ast.Module):
        arguments = scope.args
        if name in [
            a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        ]:
            return True
    line = getattr(node, "lineno", 0)
    return any(
        isinstance(n, (ast.Name, ast.Attribute))
        and isinstance(n.ctx, ast.Store)
        and n.lineno < line
        and ast.unparse(n) == name
        for n in ast.walk(scope)
    )
