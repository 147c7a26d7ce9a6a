from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Source
from torchmedic.observed.run import Run
from torchmedic.observed.source import argument
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._growing import growths
from torchmedic.rules._order import Timeline, has_other_duties, numbers, timelines, with_graphs
from torchmedic.rules._statements import statement_at
from torchmedic.rules._sums import kept

rule = Rule(
    code="TM302",
    name="graph-kept-alive",
    severity=Severity.WARNING,
    summary=Text(
        en="A sum or a list over the steps holds losses or outputs with their computation graphs.",
        ko="단계마다 더하는 합이나 리스트가 손실이나 출력을 계산 그래프와 함께 붙잡고 있습니다.",
    ),
    title=Text(
        en="`{total}` keeps the graph of every pass of the loop in line {loop} alive",
        ko="`{total}` 변수가 {loop}번 줄 반복문의 모든 그래프를 붙잡고 있습니다",
    ),
    why=Text(
        en="""
        A loss is a tensor that knows how it was computed. A sum or a list of losses knows all of them, so nothing that
        belongs to their graphs can be freed: memory grows with every step until it runs out.
        """,
        ko="""
        손실은 자기가 어떻게 계산되었는지 아는 텐서입니다. 손실의 합이나 리스트는 그 전부를 알고 있으므로 그래프에 속한
        것을 해제할 수 없고, 메모리가 단계마다 늘어나다가 바닥납니다.
        """,
    ),
    help=Text(
        en="Keep the number: `.item()` for one value, `.detach()` for a tensor.",
        ko="숫자만 남기세요. 값 하나는 `.item()`, 텐서는 `.detach()`입니다.",
    ),
    lesson=Text(
        en="""
        What outlives a step must carry no graph. Statistics take numbers: `total += loss.item()`. Outputs that are kept
        take `.detach()`, and `.cpu()` if they are many. `.item()` waits for the GPU, so in a tight loop sum
        `loss.detach()` and convert once at the end. To find what holds memory, print `total.grad_fn` after a few steps:
        a chain of `AddBackward0` is the sign. A sum that is differentiated later, as an auxiliary loss, has to keep its
        graph.
        """,
        ko="""
        한 단계보다 오래 사는 값은 그래프를 가지면 안 됩니다. 통계에는 숫자를 쓰세요. `total += loss.item()`처럼 씁니다.
        모아 두는 출력에는 `.detach()`를, 많으면 `.cpu()`도 붙이세요. `.item()`은 GPU를 기다리므로 짧은 반복문에서는
        `loss.detach()`를 더하고 끝에서 한 번만 바꾸세요. 몇 단계 뒤에 `total.grad_fn`을 출력해서 `AddBackward0`이 이어져
        있으면 이 실수입니다. 보조 손실처럼 나중에 미분할 합은 그래프를 가지고 있어야 합니다.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    inputs = torch.randn(64, 4)
    targets = inputs.sum(dim=1, keepdim=True)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    total = 0.0
    for step in range(20):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss
    print(total / 20)
    """,
    good="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    inputs = torch.randn(64, 4)
    targets = inputs.sum(dim=1, keepdim=True)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    total = 0.0
    for step in range(20):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(total / 20)
    """,
    variants=(
        Variant(
            "list",
            Text(
                en="the list `{total}` keeps the graph of every pass of the loop in line {loop}",
                ko="`{total}` 리스트가 {loop}번 줄 반복문의 모든 그래프를 붙잡고 있습니다",
            ),
        ),
        Variant(
            "call",
            Text(
                en="`{total}` keeps the graph of every call of `{function}` alive",
                ko="`{total}` 변수가 `{function}` 호출마다 생긴 그래프를 모두 붙잡고 있습니다",
            ),
        ),
        Variant(
            "state",
            Text(
                en="`{total}` is computed from its own past: {steps} steps and no `detach()`",
                ko="`{total}` 값이 `detach()` 없이 지난 {steps}단계의 자기 값에서 계산됩니다",
            ),
            Text(
                en="""
                A state that goes from step to step has all its earlier steps in its graph. With `retain_graph=True` every
                backward pass goes through all of them again: memory and time grow with every step.
                """,
                ko="""
                단계에서 단계로 넘기는 상태의 그래프에는 지난 단계가 모두 들어 있습니다. `retain_graph=True`를 쓰면 역전파가
                매번 그 전부를 다시 지나가므로 메모리와 시간이 단계마다 늘어납니다.
                """,
            ),
            Text(
                en="Cut it where a step begins: `{total} = {total}.detach()`; drop `retain_graph=True`.",
                ko="단계를 시작할 때 `{total} = {total}.detach()`로 끊고 `retain_graph=True`를 빼세요.",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs = torch.randn(8, 5, 4)
        model = nn.Linear(4, 4)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for step in range(3):
            state, total = inputs[:, 0], 0
            for time in range(1, 5):
                state = model(state)
                total = total + (state - inputs[:, time]).pow(2).mean()
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        """,
        """
        import torch
        from torch import nn


        def train_step(model, optimizer, inputs, targets):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(inputs), targets)
            loss.backward()
            optimizer.step()
            return loss.item()


        torch.manual_seed(0)
        inputs = torch.randn(64, 4)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        total_loss = 0
        for step in range(20):
            total_loss += train_step(model, optimizer, inputs, inputs.sum(dim=1, keepdim=True))
        print(total_loss / 20)
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs = torch.randn(64, 4)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for step in range(3):
            outputs = []
            for part in inputs.split(16):
                outputs.append(model(part))
            loss = (torch.cat(outputs) - inputs.sum(dim=1, keepdim=True)).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            total = 0
            for part in inputs.split(16):
                total += model(part).sum()
        print(total)
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs = torch.randn(64, 4)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        total, history = torch.zeros(()), []
        for step in range(20):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(inputs), inputs.sum(dim=1, keepdim=True))
            loss.backward()
            optimizer.step()
            total += loss.detach()
            history.append(loss.data)
        print(total / 20, torch.stack(history).min())
        """,
    ),
    search=(
        "pytorch memory increases every iteration total_loss += loss",
        "pytorch list append loss memory leak",
        "loss.item() vs loss accumulate history",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/notes/faq.html#my-model-reports-cuda-runtime-error-2-out-of-memory",
        "https://docs.pytorch.org/docs/stable/generated/torch.Tensor.item.html",
    ),
)

_ADDED = Text(
    en="what is added here requires grad: its graph stays as long as `{total}` does",
    ko="여기서 더하는 값은 기울기를 추적하므로 그 그래프가 `{total}` 변수와 함께 남습니다",
)
_BACKWARD = Text(
    en="no backward pass goes through the sum", ko="이 합을 지나가는 역전파는 없습니다"
)
_LOOP = Text(en="each pass adds a graph", ko="반복마다 그래프가 하나씩 늘어납니다")
_ITEM = Text(en="add the number: `.item()`", ko="`.item()`으로 숫자를 더하기")
_DETACH = Text(en="keep it without its graph: `.detach()`", ko="`.detach()`로 그래프 없이 남기기")


@rule.on(Run)
def grew(run: Run) -> Iterator[Diagnosis]:
    for one in growths(run):
        added = one.added
        where = _origin(one.trace, added) if one.form != "state" else None
        facts: dict[str, object] = {"total": added.name, "steps": one.steps}
        if one.loop is not None:
            facts["loop"] = one.loop.line
        else:
            facts["function"] = one.called_by_library
        yield Diagnosis(
            rule,
            where[1] if where else added.at,
            facts,
            one.evidence,
            variant=rule.variant(one.form) if one.form != "sum" else None,
        )


@rule.on(Trace)
def sums_hold_graphs(trace: Trace) -> Iterator[Diagnosis]:
    if has_other_duties(trace):
        return
    for timeline in timelines(trace):
        # Without gradients there is no graph to keep: that rule answers.
        evaluated = [one for group in with_graphs(timeline) for one in group]
        told = frozenset(c.facts["call"] for one in evaluated for c in one.calls)
        seen = set()
        for event in kept(timeline):
            if event.at in seen or numbers(event, "calls") & told:
                continue
            seen.add(event.at)
            total, loop = event.name, event.loops[-1].at
            where = _origin(trace, event)
            evidence = (
                Evidence(_ADDED.fill(total=total), event.at),
                Evidence(_LOOP, loop),
                Evidence(_BACKWARD),
            )
            is_list = event.facts.get("container") == "list"
            yield Diagnosis(
                rule,
                where[1] if where else event.at,
                {"total": total, "loop": loop.line},
                evidence,
                _mended(trace, timeline, event, where),
                variant=rule.variant("list") if is_list else None,
            )


# --- the fix


def _origin(trace: Trace, event: Event) -> tuple[Source, Span, ast.expr] | None:
    """What is added, and the place where it was given: `meter.update(loss)` for the `value` that `update` adds."""
    source = trace.source_of(event.at)
    added = _added(source, event)
    if added is None:
        return None
    at = event.at
    for caller in reversed(event.callers):
        given = _given(source, added, trace.source_of(caller), caller)
        if given is None:
            break
        source, at, added = trace.source_of(caller), caller, given
    return source, at, added


def _given(source: Source, added: ast.expr, outer: Source, caller: Span) -> ast.expr | None:
    """The caller's argument, if what is added is made of one argument of its function."""
    function = source.function_of(added)
    call = outer.at(caller, ast.Call)
    if function is None or call is None:
        return None
    names = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    if isinstance(source.parent(function), ast.ClassDef):
        names = names[1:]
    used = [n.id for n in ast.walk(added) if isinstance(n, ast.Name) and n.id in names]
    if not used:
        return None
    return argument(call, names.index(used[0]), used[0])


def _mended(
    trace: Trace,
    timeline: Timeline,
    event: Event,
    where: tuple[Source, Span, ast.expr] | None,
) -> tuple[Fix, ...]:
    own = trace.source_of(event.at)
    here = _added(own, event)
    if where is None or here is None:
        return ()
    source, _, added = where
    names = {e.name for e in timeline.of("backward") if e.name}
    node = _factor(added, names)
    is_scalar = bool(event.facts.get("is_scalar")) or ast.unparse(node) in names
    is_number = is_scalar and not _is_tensor_later(own, here, event.name)
    text, title = (".item()", _ITEM) if is_number else (".detach()", _DETACH)
    if isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript)):
        edit = source.insert_after(node, text)
    else:
        edit = source.replace(node, f"({source.code(node)}){text}")
    return (Fix((edit,), title, safe=not is_number),)


def _added(source: Source, event: Event) -> ast.expr | None:
    """The expression that is added or appended."""
    if event.facts.get("container") == "list":
        call = source.at(event.at, ast.Call)
        return call.args[0] if call is not None and len(call.args) == 1 else None
    statement = statement_at(source, event.at)
    if isinstance(statement, ast.AugAssign):
        return statement.value
    if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.BinOp):
        left, right = statement.value.left, statement.value.right
        name = ast.unparse(statement.targets[0])
        is_left = name in {ast.unparse(n) for n in ast.walk(left) if isinstance(n, ast.expr)}
        return right if is_left else left
    return None


def _factor(added: ast.expr, names: set[str]) -> ast.expr:
    """The part of `loss * n` that has the graph, if it can be told; else the whole."""
    parts: list[ast.expr] = []

    def walk(node: ast.expr) -> None:
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
            walk(node.left)
            walk(node.right)
        else:
            parts.append(node)

    walk(added)
    told = [part for part in parts if ast.unparse(part) in names]
    return told[0] if len(told) == 1 else added


def _is_tensor_later(source: Source, node: ast.expr, total: str) -> bool:
    """True if the sum is used as a tensor: `total.item()`, `torch.stack(losses)`."""
    scope = source.function_of(node) or source.tree
    for part in ast.walk(scope):
        if isinstance(part, ast.Attribute) and _without_index(part.value) == total:
            if part.attr not in ("append", "clear", "pop", "extend"):
                return True
        elif isinstance(part, ast.Call) and (source.name(part.func) or "").startswith("torch."):
            if any(ast.unparse(argument) == total for argument in part.args):
                return True
        elif isinstance(part, (ast.For, ast.comprehension)) and ast.unparse(part.iter) == total:
            return True
    return False


def _without_index(node: ast.expr) -> str:
    """`losses` of `losses[-1]`."""
    return ast.unparse(node.value if isinstance(node, ast.Subscript) else node)
