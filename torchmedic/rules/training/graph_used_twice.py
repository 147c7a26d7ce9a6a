from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Failure, Frame, Source
from torchmedic.observed.scopes import own_nodes
from torchmedic.rules._place import (
    added_argument,
    answer,
    method_call,
    receiver,
    removed,
    user_frames,
)

rule = Rule(
    code="TM312",
    name="graph-used-twice",
    severity=Severity.ERROR,
    summary=Text(
        en="`backward()` goes through a graph that an earlier `backward()` has freed.",
        ko="앞선 `backward()`가 이미 해제한 그래프를 `backward()`가 다시 지나갑니다.",
    ),
    title=Text(
        en="`backward()` goes a second time through the same graph",
        ko="`backward()`가 같은 그래프를 두 번째로 지나갑니다",
    ),
    why=Text(
        en="""
        `backward()` frees what the forward pass saved as it goes. A second pass over the same part finds nothing:
        because the loss is used twice, or because a value of an earlier step hangs on to that step's graph.
        """,
        ko="""
        `backward()`는 지나가면서 순전파가 저장해 둔 값을 해제합니다. 같은 부분을 다시 지나가면 남은 것이 없습니다.
        손실을 두 번 썼거나, 앞 단계의 값이 그 단계의 그래프에 매달려 있기 때문입니다.
        """,
    ),
    help=Text(
        en="Detach what is carried from one step to the next, or add the losses and call `backward()` once.",
        ko="단계 사이에 넘기는 값은 `detach()` 하거나, 손실을 더해 `backward()`를 한 번만 호출하세요.",
    ),
    lesson=Text(
        en="""
        Ask what lives longer than one step: a hidden state, a running sum of losses, a tensor computed before the
        loop. `retain_graph=True` silences the message; in a loop it makes every step longer than the last, as it goes
        back through all earlier steps. It is right only for several losses of one and the same forward pass.
        """,
        ko="""
        한 단계보다 오래 사는 값이 무엇인지 살펴보세요. 은닉 상태, 손실의 누적 합, 반복문 앞에서 계산한 텐서입니다.
        `retain_graph=True`는 메시지만 없앱니다. 반복문에서 쓰면 앞의 모든 단계를 거슬러 올라가 단계마다 느려집니다.
        같은 순전파에서 나온 여러 손실에만 맞는 방법입니다.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    cell = nn.GRUCell(3, 4)
    optimizer = torch.optim.SGD(cell.parameters(), lr=0.1)
    hidden = torch.zeros(2, 4)
    for step in range(3):
        optimizer.zero_grad()
        hidden = cell(torch.ones(2, 3), hidden)
        loss = hidden.pow(2).mean()
        loss.backward()
    """,
    good="""
    import torch
    from torch import nn

    cell = nn.GRUCell(3, 4)
    optimizer = torch.optim.SGD(cell.parameters(), lr=0.1)
    hidden = torch.zeros(2, 4)
    for step in range(3):
        optimizer.zero_grad()
        hidden = cell(torch.ones(2, 3), hidden.detach())
        loss = hidden.pow(2).mean()
        loss.backward()
    """,
    messages=(
        "Trying to backward through the graph a second time",
        "Trying to backward through the graph second time",
    ),
    variants=(
        Variant(
            "carried",
            Text(
                en="`{name}` carries the graph of one step into the next",
                ko="`{name}` 값이 한 단계의 그래프를 다음 단계로 가져갑니다",
            ),
            help=Text(
                en="Detach `{name}` between the steps: `.detach()`.",
                ko="단계 사이에서 `{name}` 값을 떼어 내세요: `.detach()`.",
            ),
        ),
        Variant(
            "outside",
            Text(
                en="`{name}` is computed once before the loop, and every step goes back through it",
                ko="`{name}` 값을 반복문 앞에서 한 번만 계산하는데 단계마다 그 그래프를 되돌아갑니다",
            ),
            help=Text(
                en="Compute `{name}` inside the loop, in every step.",
                ko="`{name}` 값을 반복문 안에서 단계마다 계산하세요.",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn

        model = nn.Linear(3, 2)
        out = model(torch.ones(4, 3))
        out[:, 0].mean().backward(retain_graph=True)
        out[:, 1].mean().backward()
        """,
    ),
    says=(
        "RuntimeError: Trying to backward through the graph a second time, but the buffers have already been freed. "
        "Specify retain_graph=True when calling backward the first time.",
        "RuntimeError: Trying to backward through the graph a second time, but the saved intermediate results have "
        "already been freed. Specify retain_graph=True when calling .backward() or autograd.grad() the first time.",
        "RuntimeError: Trying to backward through the graph a second time (or directly access saved tensors after "
        "they have already been freed).",
    ),
    search=(
        "Trying to backward through the graph a second time",
        "retain_graph=True hidden state detach",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html",
    ),
)

_DETACH = Text(en="start each step with `{text}`", ko="단계마다 `{text}` 값으로 시작하기")
_ONCE = Text(en="call `{code}` once", ko="`{code}` 한 번만 호출하기")
_RETAIN = Text(en="keep the graph for the second loss", ko="두 번째 손실을 위해 그래프 유지하기")
_OWN_LOSS = Text(
    en="call `backward()` on the step's own `{name}`",
    ko="그 단계의 `{name}` 값에 `backward()` 호출하기",
)
_INSIDE = Text(en="compute `{name}` in every step", ko="`{name}` 값을 단계마다 계산하기")
Change = tuple[Span, tuple[Fix, ...], str, str]


@rule.on(Failure)
def graph_is_gone(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    change = _change(failure)
    if change is None:
        yield answer(rule, failure, reading)
        return
    at, fixes, name, variant = change
    if variant:
        reading = reading._replace(variant=rule.variant(variant))
        yield answer(rule, failure, reading, at, fixes, name=name)
    else:
        yield answer(rule, failure, reading, at, fixes)


def _change(failure: Failure) -> Change | None:
    found = method_call(failure, "backward", "grad")
    if found is not None:
        twice = _called_twice(found[0], found[2])
        twice = twice or _running_sum(found[0], found[2])
        if twice is not None:
            return twice
    for source, frame in user_frames(failure):
        statement = source.at(Span(source.path, frame.at.line), ast.stmt)
        loop = _loop(source, statement) if statement else None
        while loop is not None:
            change = _carried(source, frame, loop) or _outside(source, frame, loop)
            if change is not None:
                return change
            loop = _loop(source, loop)
    return _attribute(failure)


def _loop(source: Source, node: ast.AST) -> ast.For | ast.While | None:
    for up in source.parents(node):
        if isinstance(up, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            return None
        if isinstance(up, (ast.For, ast.While)):
            return up
    return None


def _called_twice(source: Source, call: ast.Call) -> Change | None:
    """An earlier `backward()` in the same block, on the same loss or on another one of the same forward pass."""
    statement = source.statement(call)
    block = getattr(source.parent(statement), "body", [])
    code = source.code(receiver(call) or call)
    for other in block:
        if other is statement:
            break
        value = other.value if isinstance(other, ast.Expr) else None
        if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)):
            continue
        if value.func.attr != "backward":
            continue
        between = block[block.index(other) + 1 : block.index(statement)]
        if source.code(value.func.value) == code:
            if any(_assigns(b, code) for b in between):
                continue
            title = _ONCE.fill(code=source.code(call))
            return source.span(call), (Fix((removed(source, statement),), title),), "", ""
        if not any(k.arg == "retain_graph" for k in value.keywords):
            edit = added_argument(source, value, "retain_graph=True")
            return source.span(value), (Fix((edit,), _RETAIN),), "", ""
    return None


def _running_sum(source: Source, call: ast.Call) -> Change | None:
    """`total += loss` in the loop, and `total.backward()`: every step goes back through all steps before."""
    total, loop = receiver(call), _loop(source, call)
    if not isinstance(total, ast.Name) or loop is None:
        return None
    for node in own_nodes(loop):
        added: ast.expr | None = None
        if isinstance(node, ast.AugAssign) and ast.unparse(node.target) == total.id:
            added = node.value
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
            sides = [node.value.left, node.value.right]
            if total.id in map(ast.unparse, sides) and total.id in map(ast.unparse, node.targets):
                added = next((s for s in sides if ast.unparse(s) != total.id), None)
        if isinstance(added, ast.Name) and _loop(source, node) is loop:
            edits = (source.insert_after(added, ".detach()"), source.replace(total, added.id))
            fix = Fix(edits, _OWN_LOSS.fill(name=added.id))
            at = source.span(source.statement(added))
            return at, (fix,), total.id, "carried"
    return None


def _assigns(node: ast.AST, name: str) -> bool:
    return any(
        isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store)
        for n in ast.walk(node)
    )


def _stored(body: list[ast.stmt]) -> dict[str, ast.Name]:
    names: dict[str, ast.Name] = {}
    for statement in body:
        for node in [statement, *own_nodes(statement)]:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.setdefault(node.id, node)
    return names


def _carried(source: Source, frame: Frame, loop: ast.For | ast.While) -> Change | None:
    """A tensor that the loop's body reads before it assigns it: the value of the step before."""
    stored = _stored(loop.body)
    for statement in loop.body:
        if isinstance(statement, ast.AugAssign):
            continue
        for node in own_nodes(statement):
            if not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)):
                continue
            target = stored.get(node.id)
            if target is None or source.statement(target).lineno < source.statement(node).lineno:
                continue
            if source.statement(target).end_lineno == node.lineno and _is_loop_target(
                source, target
            ):
                continue
            parent = source.parent(node)
            if isinstance(parent, ast.Attribute) and parent.attr in ("detach", "item", "data"):
                continue
            value = frame.values.get(node.id)
            if frame.values and (
                value is None or not any(t.requires_grad and t.grad_fn for t in value.tensors())
            ):
                continue
            if not frame.values and not _is_state(node.id):
                continue
            return _detached(source, loop, node, bool(value and value.tensor is None))
    return None


def _is_state(name: str) -> bool:
    """From text alone the name has to tell what it is."""
    return name.lower().strip("_") in ("hidden", "h", "state", "hx", "hc", "memory", "hidden_state")


def _is_loop_target(source: Source, node: ast.Name) -> bool:
    return isinstance(source.parent(node), (ast.For, ast.comprehension))


def _detached(source: Source, loop: ast.For | ast.While, node: ast.Name, is_group: bool) -> Change:
    name, at = node.id, source.span(node)
    before = [
        n.value
        for n in ast.walk(source.function_of(loop) or source.tree)
        if isinstance(n, ast.Assign)
        and n.lineno < loop.lineno
        and any(isinstance(t, ast.Name) and t.id == name for t in n.targets)
    ]
    starts_none = bool(before) and isinstance(before[-1], ast.Constant)
    text = f"tuple(h.detach() for h in {name})" if is_group else f"{name}.detach()"
    if not is_group and not starts_none:
        edit = source.insert_after(node, ".detach()")
        return at, (Fix((edit,), _DETACH.fill(text=text)),), name, "carried"
    last = loop.body[-1]
    indent = source.line(last.lineno)[: last.col_offset]
    line = (last.end_lineno or last.lineno) + 1
    if line > len(source.lines):
        edit = source.insert_after(last, f"\n{indent}{name} = {text}")
    else:
        edit = Edit(Span(source.path, line, 0, line, 0), f"{indent}{name} = {text}\n")
    return at, (Fix((edit,), _DETACH.fill(text=text)),), name, "carried"


def _outside(source: Source, frame: Frame, loop: ast.For | ast.While) -> Change | None:
    """A result computed before the loop and used in every step of it."""
    stored = _stored(loop.body)
    read = {
        n.id: n
        for n in reversed(list(ast.walk(loop)))
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }
    block = getattr(source.parent(loop), "body", [])
    for statement in block[: block.index(loop)] if loop in block else []:
        if not (isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)):
            continue
        name = statement.targets[0].id
        value = frame.values.get(name)
        if name in stored or name not in read or value is None or value.tensor is None:
            continue
        if not (value.tensor.requires_grad and value.tensor.grad_fn):
            continue
        first = loop.body[0]
        indent = source.line(first.lineno)[: first.col_offset]
        moved = Edit(
            Span(source.path, first.lineno, 0, first.lineno, 0),
            f"{indent}{source.code(statement)}\n",
        )
        fix = Fix((removed(source, statement), moved), _INSIDE.fill(name=name))
        fixes = (fix,) if statement.lineno == statement.end_lineno else ()
        return source.span(statement.value), fixes, name, "outside"
    return None


def _attribute(failure: Failure) -> Change | None:
    """`self.hidden` that a module's forward reads and sets: the state of the batch before."""
    for source, _ in user_frames(failure):
        found = list(_kept(source))
        if len(found) == 1:
            node, is_group = found[0]
            name = source.code(node)
            if is_group:
                text = f"tuple(h.detach() for h in {name})"
                edit = source.replace(node, text)
            else:
                text = f"{name}.detach()"
                edit = source.insert_after(node, ".detach()")
            return source.span(node), (Fix((edit,), _DETACH.fill(text=text)),), name, "carried"
    return None


def _kept(source: Source) -> Iterator[tuple[ast.Attribute, bool]]:
    for function in source.nodes(ast.FunctionDef):
        if function.name == "__init__":
            continue
        held = [
            n
            for n in own_nodes(function)
            if isinstance(n, ast.Attribute)
            and isinstance(n.value, ast.Name)
            and n.value.id == "self"
        ]
        written = {n.attr for n in held if isinstance(n.ctx, ast.Store)}
        for node in held:
            up = source.parent(node)
            is_argument = isinstance(up, ast.Call) and node in up.args
            if isinstance(node.ctx, ast.Load) and node.attr in written and is_argument:
                owner = source.enclosing(function, ast.ClassDef)
                yield node, bool(owner and "LSTM(" in source.code(owner))
