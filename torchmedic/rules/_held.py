"""Parameters that get gradients and that no optimizer holds: what hides them, and edits that bring them in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from torchmedic.model import Edit, Fix, Span, Text
from torchmedic.observed import Source
from torchmedic.observed.trace import Event, Hidden, Trace
from torchmedic.rules._beside import beside, is_forgotten, is_known_at, joined
from torchmedic.rules._gradients import Optimizer
from torchmedic.rules._order import numbers
from torchmedic.rules._reach import Training
from torchmedic.rules._statements import is_alone, put_after, statement_at, taken_out

_CONTAINERS = {"list": "nn.ModuleList", "tuple": "nn.ModuleList", "dict": "nn.ModuleDict"}
_REGISTER = Text(en="register the layers: `{text}`", ko="층 등록하기: `{text}`")
_WRAP = Text(en="wrap the result: `{text}`", ko="결과를 감싸기: `{text}`")
_MOVE = Text(
    en="make the optimizer after the last change of the model",
    ko="모델을 마지막으로 바꾼 다음에 옵티마이저 만들기",
)
_OWN = Text(en="take `{text}`", ko="`{text}` 넘기기")


class Missing(NamedTuple):
    """Layers that no optimizer holds. `form`: "list", "parameters" (in a list), "result", "leaf", "late", "other", "beside".

    `made`: of the optimizer. `others`: models that are missing as well as `layer`. `is_alone`: no other optimizer has a
    part in what is trained with them.
    """

    form: str
    source: Source
    node: ast.expr
    made: Event
    attribute: str = ""
    kind: str = ""
    layer: str = ""
    trace: Trace | None = None
    others: tuple[str, ...] = ()
    is_alone: bool = True


def missing(training: Training) -> Iterator[Missing]:
    wanted = [n for n in sorted(training.trained) if _is_missing(training, n)]
    told = set[tuple[object, ...]]()
    late: list[int] = []
    for number in wanted:
        layer = training.layer(number)
        hidden = [h for h in layer.hidden if h.module in training.held]
        if layer.owners - {number}:
            late.append(number)
        elif hidden and len({(h.owner, h.path, h.attribute) for h in hidden}) == 1:
            found = _hidden(training, hidden[0])
            key = (hidden[0].path, hidden[0].owner, hidden[0].attribute)
            if found is not None and key not in told:
                told.add(key)
                yield found
        else:
            late.append(number)
    other = _other(training, wanted)
    if other is not None:
        yield other
        return
    yield from _models(training)
    for number in late:
        found = _late(training, number)
        if found is not None and found.source.span(found.node) not in told:
            told.add(found.source.span(found.node))
            yield found


def _is_missing(training: Training, number: int) -> bool:
    return number in training.trace.layers and (
        training.is_plain(number) and not training.is_held(number)
    )


def _optimizer(training: Training, module: int) -> Event | None:
    """That which was given all parameters of the module, and steps."""
    for optimizer in training.optimizers:
        made = optimizer.made
        if made and module in numbers(made, "holds") and made.facts.get("is_whole") is True:
            return made
    return None


# --- held in a way that registers nothing


def _hidden(training: Training, hidden: Hidden) -> Missing | None:
    made = _optimizer(training, hidden.module)
    source = training.trace.sources.get(hidden.path)
    if made is None or source is None or (hidden.items < 2 and hidden.kind in _CONTAINERS):
        return None
    owner = next((c for c in source.nodes(ast.ClassDef) if c.name == hidden.owner), None)
    values = list(assigned(owner, hidden.attribute)) if owner is not None else []
    if len(values) != 1 or owner is None or "_modules" in source.code(owner):
        return None
    node = values[0]
    if hidden.kind in _CONTAINERS:
        form = "list" if hidden.of == "layers" else "parameters"
        return Missing(form, source, node, made, hidden.attribute, hidden.kind)
    form = "leaf" if hidden.kind == "leaf" else "result"
    if form == "result" and not _is_parameter(source, _innermost(node)):
        return None
    if hidden.kind == "moved" and not _is_moved(node):
        return None
    return Missing(form, source, node, made, hidden.attribute, "tensor")


def assigned(owner: ast.ClassDef, attribute: str) -> Iterator[ast.expr]:
    """The values that methods of the class give to `self.attribute`."""
    for node in ast.walk(owner):
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            targets = [node.target]
        for target in targets:
            if ast.unparse(target) == f"self.{attribute}":
                assert isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None
                yield node.value


def _innermost(node: ast.expr) -> ast.expr:
    """`nn.Parameter(x)` of `nn.Parameter(x).to(device)` and of `nn.Parameter(x) * 0.1`."""
    while True:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if isinstance(node.func.value, ast.Call):
                node = node.func.value
                continue
        elif isinstance(node, ast.BinOp):
            node = node.left if isinstance(node.left, (ast.Call, ast.BinOp)) else node.right
            continue
        return node


def _is_moved(node: ast.expr) -> bool:
    """True for `.cuda()` and `.to(device)`: on a GPU they copy."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    given = " ".join(map(ast.unparse, node.args))
    return node.func.attr == "cuda" or (
        node.func.attr == "to" and bool(given) and not re.search(r"cpu|float|double|dtype", given)
    )


def _is_parameter(source: Source, node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and (source.name(node.func) or "").endswith("nn.Parameter")


# --- made after the optimizer


def _late(training: Training, number: int) -> Missing | None:
    """A layer of a module whose parameters were all given to the optimizer, before it had this one."""
    layer = training.layer(number)
    held = [made for o in layer.owners if (made := _optimizer(training, o))]
    if not held or layer.at is None:
        return None
    made = held[0]
    source = training.trace.source_of(layer.at)
    node = source.at(layer.at, ast.expr)
    name = training.name_of(number)
    return Missing("late", source, node, made, layer=name, trace=training.trace) if node else None


# --- of another model


def _other(training: Training, wanted: list[int]) -> Missing | None:
    """An optimizer holds nothing that any backward pass reaches; one model has all that is reached and held by none."""
    held = training.held
    owners = [training.layer(n).owners | {n} for n in wanted]
    calls = [
        c
        for c in training.timeline.of("call")
        if all(numbers(c, "inside") & owned for owned in owners)
    ]
    if not wanted or not calls or any(numbers(c, "inside") & held for c in calls):
        return None
    for optimizer in training.optimizers:
        made = optimizer.made
        if made is None or made.facts.get("is_whole") is not True:
            continue
        if any(training.holds(optimizer, n) for n in training.reached & set(training.trace.layers)):
            continue
        if len(training.optimizers) > 1 and not _is_remade(training, optimizer, wanted):
            continue
        source = training.trace.source_of(made.at)
        node = source.at(made.at, ast.expr)
        if node is not None:
            name = calls[0].name
            return Missing("other", source, node, made, layer=name, trace=training.trace)
    return None


# --- of a model beside others


def _models(training: Training) -> Iterator[Missing]:
    found: dict[tuple[str, Span], Missing] = {}
    for form, call, made, is_only in beside(training):
        source = training.trace.source_of(made.at)
        node = source.at(made.at, ast.expr)
        if node is None:
            continue
        one = Missing(form, source, node, made, layer=call.name, trace=training.trace)
        one = one._replace(is_alone=is_only)
        before = found.get((form, made.at))
        if is_forgotten(one):
            others = (*before.others, one.layer) if before is not None else ()
            found[form, made.at] = (before or one)._replace(others=others)
    yield from found.values()


def _is_remade(training: Training, optimizer: Optimizer, wanted: list[int]) -> bool:
    """True if it holds layers that the same lines made."""
    layers = training.trace.layers
    held = {layers[n].at for n in layers if training.holds(optimizer, n)}
    return {layers[n].at for n in wanted} <= held


# --- edits


def fixes(one: Missing) -> tuple[Fix, ...]:
    source, node = one.source, one.node
    if one.form in ("list", "parameters"):
        return _registered(one)
    if one.form == "leaf":
        text = f"nn.Parameter({source.code(node)})"
        if not _has_nn(source):
            return ()
        return (Fix((source.replace(node, text),), _WRAP.fill(text="nn.Parameter(…)")),)
    if one.form == "result":
        return _wrapped(one)
    if one.form == "late":
        return _moved(one)
    return joined(one) if one.form == "beside" else _taken(one)


def _has_nn(source: Source) -> bool:
    return source.imported.get("nn") == "torch.nn"


def _registered(one: Missing) -> tuple[Fix, ...]:
    source, node, made = one.source, one.node, _CONTAINERS[one.kind]
    if one.form == "parameters":
        made = made.replace("Module", "Parameter")
    is_told = isinstance(node, (ast.List, ast.ListComp, ast.Tuple, ast.Dict, ast.DictComp))
    if not is_told or not _has_nn(source):
        return ()
    is_empty = isinstance(node, (ast.List, ast.Dict)) and not ast.unparse(node).strip("[]{}")
    text = f"{made}()" if is_empty else f"{made}({source.code(node)})"
    return (Fix((source.replace(node, text),), _REGISTER.fill(text=f"{made}(…)")),)


def _wrapped(one: Missing) -> tuple[Fix, ...]:
    """`nn.Parameter(x).to(device)` becomes `nn.Parameter(x.to(device))`."""
    source, node = one.source, one.node
    inner = _innermost(node)
    if not isinstance(inner, ast.Call) or len(inner.args) != 1 or inner.keywords:
        return ()
    value = inner.args[0]
    outer = source.span(node)
    start = source.span(inner)
    if (outer.line, outer.column) != (start.line, start.column) or not isinstance(node, ast.Call):
        return ()
    if not isinstance(value, (ast.Call, ast.Name, ast.Attribute, ast.Subscript)):
        return ()
    tail = source.code(node)[len(source.code(inner)) :]
    head = source.code(inner.func)
    text = f"{head}({source.code(value)}{tail})"
    return (Fix((source.replace(node, text),), _WRAP.fill(text=f"{head}(…{tail})")),)


def _moved(one: Missing) -> tuple[Fix, ...]:
    """The optimizer's statement behind that which makes the layer, in the same block."""
    assert one.trace is not None
    source, late = one.source, one.source.statement(one.node)
    if one.made.at.path != source.path:
        return ()
    early = statement_at(source, one.made.at)
    up = source.parent(late)
    if early is None or source.parent(early) is not up or not isinstance(early, ast.Assign):
        return ()
    if not is_alone(source, early) or early.lineno > late.lineno:
        return ()
    return _behind(source, early, late)


def _behind(source: Source, early: ast.stmt, late: ast.stmt) -> tuple[Fix, ...]:
    """Nothing between may need it."""
    names = {n.id for n in ast.walk(early) if isinstance(n, ast.Name) and _is_store(n)}
    block = next(
        (
            b
            for b in (getattr(source.parent(early), f, None) for f in ("body", "orelse"))
            if isinstance(b, list) and early in b
        ),
        [],
    )
    between = block[block.index(early) + 1 : block.index(late) + 1] if late in block else []
    uses = {n.id for s in between for n in ast.walk(s) if isinstance(n, ast.Name)}
    if not between or names & uses:
        return ()
    edits = (*taken_out(source, early), *put_after(source, late, source.code(early)))
    return (Fix(edits, _MOVE.fill()),) if len(edits) == 2 else ()


def _is_store(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _taken(one: Missing) -> tuple[Fix, ...]:
    """`first.parameters()` becomes `second.parameters()`; where both have one name, the statement moves."""
    source, node = one.source, one.node
    given = node.args[0] if isinstance(node, ast.Call) and node.args else None
    if not isinstance(given, ast.Call) or not isinstance(given.func, ast.Attribute):
        return ()
    held = given.func.value
    if not isinstance(held, (ast.Name, ast.Attribute)) or not re.match(r"[\w.]+$", one.layer):
        return ()
    early = statement_at(source, one.made.at)
    if source.code(held) != one.layer:
        if not is_known_at(source, node, one.layer):
            return ()
        edit: Edit = source.replace(held, one.layer)
        return (Fix((edit,), _OWN.fill(text=f"{one.layer}.parameters()")),)
    later = [
        s
        for s in source.nodes(ast.Assign)
        if early is not None
        and s.lineno > early.lineno
        and source.parent(s) is source.parent(early)
        and any(isinstance(t, ast.Name) and t.id == one.layer for t in s.targets)
    ]
    return _behind(source, early, later[-1]) if early is not None and later else ()
