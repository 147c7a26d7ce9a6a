"""Fixes for modes: `eval()` before an evaluation, `train()` where training goes on, gradients off around a loop."""

from __future__ import annotations

import ast

from torchmedic.model import Fix, Span, Text
from torchmedic.observed import Source
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._order import Evaluation, Timeline, numbers
from torchmedic.rules._place import added_argument, alias_of
from torchmedic.rules._statements import (
    Edits,
    decorated,
    first_of,
    indented,
    outside_of_with,
    put_before,
    start_of_training,
    statement_at,
    wrapped,
)

_EVAL = Text(en="insert `{name}.eval()`", ko="`{name}.eval()` 넣기")
_BOTH = Text(
    en="insert `{name}.eval()`, and `{name}.train()` where training goes on",
    ko="`{name}.eval()` 넣고, 학습을 이어 가는 곳에 `{name}.train()` 넣기",
)
_TRAIN = Text(en="insert `{name}.train()`", ko="`{name}.train()` 넣기")
_DECORATE = Text(en="decorate the function with `@{name}()`", ko="함수에 `@{name}()` 붙이기")
_WRAP = Text(en="wrap the loop in `with {name}():`", ko="반복문을 `with {name}():`으로 감싸기")
_ENTER = Text(en="write `with {name}:`", ko="`with {name}:` 블록으로 쓰기")
_ARGUMENT = Text(en="pass `training=self.training`", ko="`training=self.training` 인자 주기")


def evaluation_statement(
    trace: Trace, evaluation: Evaluation
) -> tuple[Source, ast.stmt, ast.stmt] | None:
    """Where the evaluation begins in the function that names the model, and what belongs to it.

    That is the loop that evaluates, or the function, or the statement that calls the model.
    """
    at = evaluation.first.at
    source = trace.source_of(at)
    call = statement_at(source, at)
    if call is None:
        return None
    loop = evaluation.loop
    if loop is not None and loop.path == at.path:
        statement = source.at(loop, ast.stmt)
        if statement is not None and source.function_of(statement) is source.function_of(call):
            return source, statement, statement
    function = source.function_of(call)
    if loop is not None and function is not None:
        return source, first_of(source, function.body), function
    return source, call, call


def evaluated(
    trace: Trace, timeline: Timeline, evaluation: Evaluation, roots: list[Event]
) -> tuple[Fix, ...]:
    """`model.eval()` before the evaluation; `model.train()` as well, if training goes on and nothing switches back."""
    found = evaluation_statement(trace, evaluation)
    names = [root.name for root in roots]
    if found is None or not all(names):
        return ()
    source, statement, scope = found
    if not _only_evaluates(source, scope, timeline):
        return ()
    statement = outside_of_with(source, statement)
    put = _lines(source, statement, [f"{name}.eval()" for name in names])
    if not put:
        return ()
    back: Edits = ()
    for root in roots:
        later = next_training(timeline, root)
        if later is not None and later.name:
            back = (
                *back,
                *start_of_training(
                    trace.source_of(later.at),
                    later.at,
                    evaluation.first.sites,
                    f"{later.name}.train()",
                ),
            )
    name = names[0]
    return (Fix((*put, *_merged(back)), (_BOTH if back else _EVAL).fill(name=name)),)


def _lines(source: Source, statement: ast.stmt, texts: list[str]) -> Edits:
    """Several statements before one, as a single edit."""
    edits = [edit for text in texts for edit in put_before(source, statement, text)]
    return _merged(tuple(edits))


def _merged(edits: Edits) -> Edits:
    """Edits at the same place put together, in order."""
    found: dict[Span, str] = {}
    for edit in edits:
        found[edit.span] = found.get(edit.span, "") + edit.text
    return tuple(type(edits[0])(span, text) for span, text in found.items()) if edits else ()


def next_training(timeline: Timeline, root: Event) -> Event | None:
    """The next call of the model that trains, if nothing puts it into training mode before."""
    events = timeline.events[timeline.index[id(root)] + 1 :]
    for event in events:
        is_same = event.subject == root.subject or root.subject in numbers(event, "inside")
        if event.kind == "train" and is_same and event.facts.get("mode") is not False:
            return None
        if event.kind == "call" and event.subject == root.subject and timeline.is_consumed(event):
            return event
    return None


def restored(trace: Trace, call: Event, switch: Event) -> tuple[Fix, ...]:
    """`model.train()` where a pass over the training data begins."""
    if not call.name:
        return ()
    source = trace.source_of(call.at)
    edits = start_of_training(source, call.at, switch.sites, f"{call.name}.train()")
    return (Fix(edits, _TRAIN.fill(name=call.name)),) if edits else ()


def without_gradients(trace: Trace, timeline: Timeline, evaluation: Evaluation) -> tuple[Fix, ...]:
    """The function decorated if it only evaluates, else its loop wrapped."""
    found = evaluation_statement(trace, evaluation)
    if found is None:
        return ()
    source, statement, scope = found
    name = f"{alias_of(source, 'torch')}.no_grad"
    if "torch" not in source.imported.values():
        return ()
    function = source.function_of(statement)
    if not _only_evaluates(source, scope, timeline):
        return ()
    if isinstance(function, ast.FunctionDef) and _can_be_decorated(source, function, timeline):
        edits = decorated(source, function, f"{name}()")
        return (Fix(edits, _DECORATE.fill(name=name), safe=True),)
    loop = evaluation.loop
    is_comprehension = loop is not None and source.at(loop, ast.expr) is not None
    if not isinstance(statement, (ast.For, ast.While, ast.With)) and not is_comprehension:
        return ()
    edits = wrapped(source, statement, f"with {name}():")
    return (Fix(edits, _WRAP.fill(name=name), safe=True),) if edits else ()


def _can_be_decorated(source: Source, function: ast.FunctionDef, timeline: Timeline) -> bool:
    is_generator = any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(function))
    is_plain = function.name != "forward" and not is_generator
    return is_plain and _only_evaluates(source, function, timeline)


def _only_evaluates(source: Source, node: ast.stmt, timeline: Timeline) -> bool:
    """True if nothing that happens in the statement or function takes part in training."""
    last = node.end_lineno or node.lineno

    def is_in(event: Event) -> bool:
        return any(at.path == source.path and node.lineno <= at.line <= last for at in event.sites)

    for event in timeline.events:
        trains = event.kind in ("backward", "step") or (
            event.kind == "call" and timeline.is_consumed(event)
        )
        if trains and is_in(event):
            return False
    return True


def training_argument(source: Source, at: Span) -> tuple[Fix, ...]:
    """`training=self.training` at the end of the call."""
    call = source.at(at, ast.Call)
    function = source.function_of(call) if call is not None else None
    if call is None or function is None or not function.args.args:
        return ()
    owner = function.args.args[0].arg
    if not isinstance(source.parent(function), ast.ClassDef):
        return ()
    return (Fix((added_argument(source, call, f"training={owner}.training"),), _ARGUMENT),)


def entered(trace: Trace, at: Span, manager: str) -> tuple[Fix, ...]:
    """`torch.no_grad()` on a line of its own becomes `with torch.no_grad():` around the rest of its block."""
    source = trace.source_of(at)
    statement = statement_at(source, at)
    up = source.parent(statement) if statement is not None else None
    block = next(
        (b for n in ("body", "orelse") if statement in (b := getattr(up, n, None) or [])), []
    )
    if statement is None or len(block) < 2 or block[-1] is statement:
        return ()
    rest = block[block.index(statement) + 1 :]
    if source.line(statement.lineno)[statement.col_offset :].partition("#")[0].strip() != (
        source.code(statement)
    ):
        return ()
    edits = indented(source, rest[0], rest[-1])
    if not edits:
        return ()
    head = source.replace(statement, f"with {manager}:")
    return (Fix((head, *edits), _ENTER.fill(name=manager)),)
