"""What rules about losses share: which activation made a loss's input, and edits that take calls and layers out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from torchmedic.model import Edit, Span
from torchmedic.observed import Source
from torchmedic.observed.source import argument
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._place import removed

_SIMPLE = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.Constant)


class Activation(NamedTuple):
    """A softmax or the like in the program. `at`: what a person would change; `made`: its layer's construction.

    `numbers`: its executions; `is_only_for_losses`: nothing else depends on the values.
    """

    source: Source
    at: Span
    call: ast.Call | None
    made: ast.Call | None
    kind: str
    events: tuple[Event, ...]
    is_only_for_losses: bool

    @property
    def numbers(self) -> frozenset[object]:
        return frozenset(event.facts["number"] for event in self.events)

    @property
    def is_layer_in_container(self) -> bool:
        return self.made is not None and self.at == self.source.span(self.made)


def activations(trace: Trace) -> dict[int, Activation]:
    """By the number of each execution, the place in the program that it belongs to."""
    used = {event.facts["number"] for event in trace.of("use")}
    groups: dict[Span, list[Event]] = {}
    for event in trace.of("softmax"):
        groups.setdefault(_place(trace, event), []).append(event)
    found = {}
    for at, events in groups.items():
        source = trace.source_of(at)
        made = events[0].facts["made"]
        node = source.at(at, ast.Call)
        layer = trace.source_of(made).at(made, ast.Call) if isinstance(made, Span) else None
        is_free = trace.is_complete and not any(e.facts["number"] in used for e in events)
        kind = str(events[0].facts["function_kind"])
        one = Activation(source, at, node, layer, kind, tuple(events), is_free)
        found.update({int(str(event.facts["number"])): one for event in events})
    return found


def _place(trace: Trace, event: Event) -> Span:
    """Where it is called; for a layer that a container calls, where it is made."""
    made = event.facts["made"]
    if not isinstance(made, Span):
        return event.at
    source = trace.source_of(made)
    node = source.at(made, ast.Call)
    owner = source.statement(node) if node is not None else None
    is_attribute = isinstance(owner, (ast.Assign, ast.AnnAssign)) and owner.value is node
    return event.at if is_attribute else made


def of_loss(trace: Trace, loss: Event, known: dict[int, Activation]) -> Activation | None:
    """The one activation whose result is the loss's input."""
    numbers = loss.facts["activations"]
    held = {known[n].at: known[n] for n in numbers if n in known}  # type: ignore[attr-defined]
    return next(iter(held.values())) if len(held) == 1 else None


def losses_of(trace: Trace, one: Activation) -> Iterator[Event]:
    """Every loss whose input this activation made."""
    for event in trace.of("loss"):
        if one.numbers & event.facts["activations"]:  # type: ignore[operator]
            yield event


def call_of(source: Source, event: Event) -> ast.Call | None:
    """The event's own call expression."""
    node = source.at(event.at, ast.Call)
    return node if node is not None and source.span(node) == event.at else None


def name_of_loss(trace: Trace, loss: Event) -> str:
    """`nn.CrossEntropyLoss` or `F.cross_entropy`, as the user writes it without its module."""
    if isinstance(loss.facts["made"], Span):
        return str(loss.facts["loss"])
    call = call_of(trace.source_of(loss.at), loss)
    return (
        ast.unparse(call.func).rpartition(".")[2] if call is not None else str(loss.facts["loss"])
    )


def classes_of(loss: Event) -> int | None:
    tensor = getattr(loss.facts["input"], "tensor", None)
    shape: tuple[int, ...] = tuple(tensor.shape) if tensor is not None else ()
    return shape[1] if len(shape) > 1 and type(shape[1]) is int and shape[1] > 1 else None


def is_weighted(trace: Trace, loss: Event) -> bool:
    """With weights, or where the settings can't be read, no bound is told."""
    made = loss.facts["made"]
    source = trace.source_of(made if isinstance(made, type(loss.at)) else loss.at)
    call = source.at(made, ast.Call) if isinstance(made, type(loss.at)) else call_of(source, loss)
    if call is None or any(k.arg in ("weight", None) for k in call.keywords):
        return True
    return len(call.args) > (0 if isinstance(made, type(loss.at)) else 2)


def given_to(call: ast.Call) -> ast.expr | None:
    """What an activation's call is applied to: `x` of `softmax(x)`, `x.softmax(1)` and `self.act(x)`."""
    first = argument(call, 0, "input")
    is_method = isinstance(call.func, ast.Attribute) and call.func.attr in (
        "softmax",
        "log_softmax",
        "sigmoid",
    )
    if is_method and isinstance(call.func, ast.Attribute):
        owner = call.func.value
        is_module = isinstance(owner, ast.Name) and owner.id in ("F", "torch", "functional", "nn")
        is_module = is_module or ast.unparse(owner) in (
            "nn.functional",
            "torch.nn.functional",
            "torch.special",
            "self",
        )
        return first if is_module else owner
    return first


def is_simple(node: ast.expr) -> bool:
    """True if a method can be called on its text without parentheses."""
    return isinstance(node, _SIMPLE)


def with_method(source: Source, node: ast.expr, method: str) -> tuple[Edit, ...]:
    """`.method` called on the expression."""
    if is_simple(node):
        return (source.insert_after(node, method),)
    return (source.replace(node, f"({source.code(node)}){method}"),)


def renamed(source: Source, call: ast.Call, name: str) -> Edit | None:
    """Another function of the same module: None where the name was imported by itself."""
    if not isinstance(call.func, ast.Attribute):
        return None
    here = source.span(call.func)
    column = here.end_column - len(call.func.attr)
    return Edit(Span(source.path, here.end_line, column, here.end_line, here.end_column), name)


def deleted(source: Source, statement: ast.stmt) -> Edit | None:
    """The statement's lines taken out, where it stands alone on them and its block keeps another one."""
    here = source.span(statement)
    alone = source.line(here.line)[: here.column].strip() == ""
    alone = alone and source.line(here.end_line)[here.end_column :].strip() == ""
    if not alone or len(getattr(source.parent(statement), "body", ())) < 2:
        return None
    return removed(source, statement)


def taken_out(source: Source, node: ast.Call) -> Edit | None:
    """The last layer of a `Sequential(…)` removed with its comma."""
    owner = source.parent(node)
    if not isinstance(owner, ast.Call) or owner.keywords or owner.args[-1] is not node:
        return None
    name = source.name(owner.func) or ""
    if name.rpartition(".")[2] != "Sequential" or len(owner.args) < 2:
        return None
    here, before = source.span(node), source.span(owner.args[-2])
    head = source.line(here.line)[: here.column].strip()
    tail = source.line(here.end_line)[here.end_column :].strip()
    if not head and tail in ("", ","):
        return Edit(Span(source.path, here.line, 0, here.end_line + 1, 0), "")
    return Edit(
        Span(source.path, before.end_line, before.end_column, here.end_line, here.end_column), ""
    )


def without_layer(source: Source, call: ast.Call, made: ast.Call | None) -> Edit | None:
    """The statement that makes a layer nobody calls any more, once `call` is gone."""
    if made is None:
        return None
    statement = source.statement(made)
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    name = ast.unparse(statement.targets[0])
    mentions = [n for n in source.nodes(ast.Name, ast.Attribute) if ast.unparse(n) == name]
    if ast.unparse(call.func) != name or len(mentions) != 2:
        return None
    return deleted(source, statement)
