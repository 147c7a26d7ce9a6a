from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Fix, Rule, Severity, Span, Text
from torchmedic.observed import Source
from torchmedic.observed.trace import Trace

rule = Rule(
    code="TM336",
    name="conversion-result-dropped",
    severity=Severity.WARNING,
    summary=Text(
        en="The result of `x.to(device)`, `x.float()` or the like is thrown away: the tensor stays as it was.",
        ko="`x.to(device)`, `x.float()` 등의 결과를 버려서 텐서가 그대로입니다.",
    ),
    title=Text(
        en="`{tensor}.{method}(…)` has no effect: its result is dropped",
        ko="`{tensor}.{method}(…)`: 결과를 버려 효과가 없습니다",
    ),
    why=Text(
        en="""
        `{method}` of a tensor returns another tensor and leaves `{tensor}` as it is. Only methods whose names end with
        `_`, and `to` of an nn.Module, change what they are called on.
        """,
        ko="""
        텐서의 `{method}` 메서드는 다른 텐서를 돌려주고 `{tensor}` 텐서는 그대로 둡니다. 호출한 대상을 바꾸는 것은 이름이
        `_`로 끝나는 메서드와 nn.Module의 `to`뿐입니다.
        """,
    ),
    help=Text(
        en="Assign it: `{tensor} = {tensor}.{method}(…)`.",
        ko="`{tensor} = {tensor}.{method}(…)`처럼 대입하세요.",
    ),
    lesson=Text(
        en="""
        Print `x.device`, `x.dtype` and `x.shape` behind the statement: they are what they were. A call that stands alone
        on its line should end with `_`, print, or belong to a module, an optimizer or a container.
        """,
        ko="""
        그 문장 뒤에서 `x.device`, `x.dtype`, `x.shape`를 출력해 보면 달라진 것이 없습니다. 한 줄에 홀로 서 있는 호출은
        이름이 `_`로 끝나거나, 출력을 하거나, 모듈, 옵티마이저, 컨테이너의 메서드여야 합니다.
        """,
    ),
    example={"method": "clamp", "tensor": "counts"},
    bad="""
    import torch
    import torch.nn as nn

    torch.manual_seed(0)
    counts = torch.randint(0, 256, (64, 5))
    counts.clamp(0, 200)
    targets = torch.randn(64, 1)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(4):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(counts / 255), targets)
        loss.backward()
        optimizer.step()
    """,
    good="""
    import torch
    import torch.nn as nn

    torch.manual_seed(0)
    counts = torch.randint(0, 256, (64, 5))
    counts = counts.clamp(0, 200)
    targets = torch.randn(64, 1)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(4):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(counts / 255), targets)
        loss.backward()
        optimizer.step()
    """,
    innocent=(
        """
        import torch
        import torch.nn as nn

        device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(0)
        inputs = torch.randn(64, 5).to(device)
        targets = torch.randn(64, 1, device=device)
        inputs.clamp_(-2, 2)
        model = nn.Linear(5, 1)
        model.to(device)
        model.float()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(4):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(inputs), targets)
            loss.backward()
            optimizer.step()
        """,
    ),
    search=(
        "tensor.to(device) does not move the tensor",
        "x.cuda() has no effect pytorch",
        "tensor.float() does not change dtype",
    ),
    links=("https://docs.pytorch.org/docs/stable/generated/torch.Tensor.to.html",),
)

_TITLE = Text(en="keep what `{code}` returns", ko="`{code}` 호출의 결과를 대입하기")


@rule.on(Trace)
def dropped(trace: Trace) -> Iterator[Diagnosis]:
    if trace.failures:
        return  # an exception that this may be the cause of says more
    seen = set()
    for event in trace.of("unused"):
        if not event.facts.get("is_called") or event.at in seen:
            continue
        seen.add(event.at)
        source = trace.source_of(event.at)
        call = source.at(event.at, ast.Call)
        called = call.func if call is not None else None
        if not isinstance(called, ast.Attribute) or not _is_read_later(source, called.value):
            continue
        assert call is not None
        if _may_be_meant(source, call):
            continue
        name = source.code(called.value)
        facts: dict[str, object] = {"tensor": name, "method": event.facts["method"]}
        here = source.span(call)
        start = Span(source.path, here.line, here.column, here.line, here.column)
        fix = Fix((Edit(start, f"{name} = "),), _TITLE.fill(code=source.code(call)))
        yield Diagnosis(rule, event.at, facts, (), (fix,))


def _is_read_later(source: Source, receiver: ast.expr) -> bool:
    """True if the tensor has a name, and is used behind the statement as if it were converted."""
    if not isinstance(receiver, (ast.Name, ast.Attribute)):
        return False
    name = source.code(receiver)
    scope = source.function_of(receiver) or source.tree
    return any(
        isinstance(node, type(receiver))
        and node.lineno > receiver.lineno
        and isinstance(node.ctx, ast.Load)
        and source.code(node) == name
        for node in ast.walk(scope)
    )


def _may_be_meant(source: Source, call: ast.Call) -> bool:
    """In a `try` or `with`, alone in a loop, or in one that only repeats: whether it raises, or how long it takes, may be what is asked."""
    statement = source.statement(call)
    up = source.parent(statement)
    if isinstance(up, (ast.Try, ast.With)):
        return True
    if isinstance(up, ast.For) and isinstance(up.target, ast.Name) and up.target.id == "_":
        return True  # warming up
    return isinstance(up, (ast.For, ast.While)) and len(up.body) == 1
