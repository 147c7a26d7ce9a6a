from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Text
from torchmedic.observed import Source
from torchmedic.observed.trace import Cast, Event, Trace
from torchmedic.rules._order import has_other_duties
from torchmedic.rules._place import shifted
from torchmedic.rules._scaling import casts, own_statement
from torchmedic.rules._statements import is_alone

rule = Rule(
    code="TM331",
    name="backward-under-autocast",
    severity=Severity.ADVICE,
    summary=Text(
        en="The backward pass runs inside `autocast`, which is made for the forward pass and the loss.",
        ko="순전파와 손실을 위한 `autocast` 안에서 역전파를 실행합니다.",
    ),
    title=Text(
        en="`{loss}.backward()` inside the `autocast` of line {line}",
        ko="{line}번째 줄의 `autocast` 안에 있는 `{loss}.backward()`",
    ),
    why=Text(
        en="""
        Each backward operation runs in the dtype that autocast chose for its forward operation, without autocast around it.
        What runs inside as well is cast once more: gradients of own autograd functions, of recomputed layers, the norm of
        a clipping. PyTorch advises against it.
        """,
        ko="""
        역전파의 각 연산은 순전파에서 autocast가 고른 dtype으로 실행되며, 바깥에 autocast가 필요하지 않습니다. 그 안에서
        실행하면 직접 만든 autograd 함수의 그래디언트, 다시 계산하는 층, 클리핑의 노름까지 한 번 더 변환됩니다. PyTorch
        문서도 권하지 않습니다.
        """,
    ),
    help=Text(
        en="Close `autocast` behind the loss: `{loss}.backward()` and the step stand outside of the `with`.",
        ko="`autocast` 블록을 손실 계산에서 끝내세요. `{loss}.backward()` 호출과 옵티마이저 진행은 `with` 밖에 두세요.",
    ),
    lesson=Text(
        en="""
        Only two lines belong below `with torch.autocast(…)`: the call of the model and the loss. The backward pass,
        clipping, the step and the metrics follow at the indentation of the `with`. A profile shows casts in the
        backward pass as `aten::to` and `aten::_to_copy`.
        """,
        ko="""
        `with torch.autocast(…)` 아래에는 모델 호출과 손실, 두 줄만 둡니다. 역전파, 클리핑, 옵티마이저 진행, 지표 계산은
        `with`와 같은 들여쓰기로 그 뒤에 옵니다. 프로파일에서는 역전파 중의 변환이 `aten::to`와 `aten::_to_copy`로
        보입니다.
        """,
    ),
    example={"loss": "loss"},
    bad="""
    import torch
    import torch.nn as nn

    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(4):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = nn.functional.mse_loss(model(inputs), targets)
            loss.backward()
            optimizer.step()
    """,
    good="""
    import torch
    import torch.nn as nn

    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(4):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
    """,
    innocent=(
        """
        import torch
        import torch.nn as nn

        torch.manual_seed(0)
        inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
        model = nn.Linear(5, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(4):
            with torch.autocast("cpu", enabled=False):
                loss = nn.functional.mse_loss(model(inputs), targets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        """,
    ),
    search=(
        "pytorch backward inside autocast",
        "should backward be called under torch.autocast",
        "backward passes under autocast are not recommended",
    ),
    links=("https://docs.pytorch.org/docs/stable/amp.html#autocasting",),
)

_OPENED = Text(en="`autocast` is entered here", ko="여기서 `autocast` 안으로 들어갑니다")
_TITLE = Text(
    en="move `{code}` and what follows out of `autocast`",
    ko="`{code}`부터 뒤의 문장을 `autocast` 밖으로 옮기기",
)


@rule.on(Trace)
def inside(trace: Trace) -> Iterator[Diagnosis]:
    if has_other_duties(trace):
        return
    seen = set()
    for event in trace.of("backward"):
        cast = casts(event)
        if cast is None or cast.is_enabled is False or event.at in seen:
            continue
        seen.add(event.at)
        source = trace.source_of(event.at)
        facts: dict[str, object] = {"loss": event.name or "loss", "line": cast.at.line}
        fix = _moved(trace, source, event, cast)
        fixes = (fix,) if fix else ()
        yield Diagnosis(rule, event.at, facts, (Evidence(_OPENED, cast.at),), fixes)


def _moved(trace: Trace, source: Source, event: Event, cast: Cast) -> Fix | None:
    """The end of the `with` without its indentation, where no model is called and no loss computed in it."""
    statement = own_statement(source, event.at)
    block = source.parent(statement) if statement is not None else None
    if statement is None or not isinstance(block, ast.With) or len(block.items) > 1:
        return None
    if source.span(block.items[0].context_expr) != cast.at or statement is block.body[0]:
        return None
    first, last = source.span(statement).line, source.span(block.body[-1]).end_line
    if any(
        e.at.path == source.path and first <= e.at.line <= last for e in trace.of("call", "loss")
    ):
        return None
    inside = [n for part in block.body for n in ast.walk(part)]
    if any(
        isinstance(n, (ast.Constant, ast.JoinedStr)) and n.end_lineno != n.lineno for n in inside
    ):
        return None  # the spaces in a string of several lines belong to it
    by = source.span(statement).column - source.span(block).column
    if not is_alone(source, statement) or not is_alone(source, block.body[-1]):
        return None
    edits = shifted(source, first, last, -by)
    title = _TITLE.fill(code=source.code(statement))
    return Fix(edits, title) if edits else None
