from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Span, Text
from torchmedic.observed import Source
from torchmedic.observed.source import argument
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._place import added_argument

rule = Rule(
    code="TM337",
    name="batch-first-missing",
    severity=Severity.WARNING,
    summary=Text(
        en="A layer that wants the steps first gets the batch first: it runs along the samples.",
        ko="시간 축이 먼저여야 하는 층에 배치가 먼저인 입력을 주어, 층이 샘플을 따라 계산합니다.",
    ),
    title=Text(
        en="`{layer}` reads the {batch} samples of a batch as one sequence of {batch} steps",
        ko="`{layer}` 층이 배치의 샘플 {batch}개를 {batch}단계짜리 시퀀스로 읽습니다",
    ),
    why=Text(
        en="""
        Without `batch_first=True`, {type} wants (steps, batch, features). The DataLoader gives (batch, steps, features), so
        the {steps} steps count as samples, and each sample is computed from the samples before it in the batch.
        The sizes of the output are the same both ways, so nothing is raised.
        """,
        ko="""
        `batch_first=True`가 없는 {type} 층의 입력은 (시간, 배치, 특징) 순서입니다. DataLoader의 배치는 (배치, 시간, 특징)
        순서이므로 {steps}개의 시간 단계가 샘플로 여겨지고, 각 샘플이 배치의 다른 샘플로부터 계산됩니다. 출력 크기는 어느
        쪽이든 같아서 오류가 나지 않습니다.
        """,
    ),
    help=Text(
        en="Make the layer with `batch_first=True`.",
        ko="층을 만들 때 `batch_first=True`를 주세요.",
    ),
    lesson=Text(
        en="""
        Change one sample of a batch and compare the outputs of the others: they may not change. Write the layout beside
        each tensor of three dimensions, (B, T, F) or (T, B, F). `h_n` of a recurrent layer is (layers, B, H) in both layouts.
        """,
        ko="""
        배치의 샘플 하나를 바꾸고 다른 샘플의 출력을 비교해 보세요. 달라지면 안 됩니다. 3차원 텐서 옆에는 (B, T, F)인지
        (T, B, F)인지 적어 두세요. 순환층의 `h_n` 크기는 어느 쪽이든 (층 수, B, H)입니다.
        """,
    ),
    example={"steps": "10", "type": "LSTM"},
    bad="""
    import torch
    import torch.nn as nn
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(0)
    data = TensorDataset(torch.randn(64, 10, 3), torch.randn(64, 1))
    lstm, head = nn.LSTM(3, 8), nn.Linear(8, 1)
    optimizer = torch.optim.SGD([*lstm.parameters(), *head.parameters()], lr=0.1)
    for inputs, targets in DataLoader(data, batch_size=16, shuffle=True):
        optimizer.zero_grad()
        outputs, _ = lstm(inputs)
        loss = nn.functional.mse_loss(head(outputs[:, -1]), targets)
        loss.backward()
        optimizer.step()
    """,
    good="""
    import torch
    import torch.nn as nn
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(0)
    data = TensorDataset(torch.randn(64, 10, 3), torch.randn(64, 1))
    lstm, head = nn.LSTM(3, 8, batch_first=True), nn.Linear(8, 1)
    optimizer = torch.optim.SGD([*lstm.parameters(), *head.parameters()], lr=0.1)
    for inputs, targets in DataLoader(data, batch_size=16, shuffle=True):
        optimizer.zero_grad()
        outputs, _ = lstm(inputs)
        loss = nn.functional.mse_loss(head(outputs[:, -1]), targets)
        loss.backward()
        optimizer.step()
    """,
    innocent=(
        """
        import torch
        import torch.nn as nn
        from torch.utils.data import DataLoader, TensorDataset

        torch.manual_seed(0)
        data = TensorDataset(torch.randn(64, 10, 3), torch.randn(64, 1))
        lstm, head = nn.LSTM(3, 8), nn.Linear(8, 1)
        optimizer = torch.optim.SGD([*lstm.parameters(), *head.parameters()], lr=0.1)
        for inputs, targets in DataLoader(data, batch_size=16, shuffle=True):
            optimizer.zero_grad()
            outputs, _ = lstm(inputs.transpose(0, 1))
            loss = nn.functional.mse_loss(head(outputs[-1]), targets)
            loss.backward()
            optimizer.step()
        """,
    ),
    search=(
        "pytorch LSTM batch_first",
        "LSTM output depends on batch size pytorch",
        "nn.TransformerEncoderLayer batch_first False input shape",
    ),
    links=("https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html",),
)

_READ = Text(
    en="the output is read as (batch, steps, features)",
    ko="출력을 (배치, 시간, 특징) 순서로 읽습니다",
)
_TITLE = Text(en="make it with `batch_first=True`", ko="`batch_first=True`로 만들기")
_OVER_STEPS = ("mean", "sum", "max", "amax", "min")


@rule.on(Trace)
def batch_as_steps(trace: Trace) -> Iterator[Diagnosis]:
    seen = set()
    for event in trace.of("fit"):
        swapped, made = event.facts.get("swapped"), event.facts.get("made")
        if not isinstance(swapped, tuple) or not isinstance(made, Span) or made in seen:
            continue
        read = _reading(trace.source_of(event.at), event)
        if read is None:
            continue
        seen.add(made)
        source = trace.source_of(made)
        facts: dict[str, object] = {
            "layer": event.name or event.facts["type"],
            "type": event.facts["type"],
            "batch": swapped[0] if swapped[0] is not None else "B",
            "steps": swapped[1],
        }
        fix = _first(source, made)
        evidence = (Evidence(_READ, read),)
        yield Diagnosis(rule, made, facts, evidence, (fix,) if fix else ())


def _reading(source: Source, event: Event) -> Span | None:
    """`out[:, -1]`, `out.mean(dim=1)`: where axis 1 of the output is read as that of the steps."""
    call = source.at(event.at, ast.Call)
    name = _bound(source, call) if call is not None else None
    if call is None or name is None:
        return None
    scope = source.function_of(call) or source.tree
    for node in ast.walk(scope):
        if not isinstance(node, (ast.Subscript, ast.Call)) or node.lineno < call.lineno:
            continue
        if isinstance(node, ast.Subscript):
            own, is_read = node.value, _takes_a_step(node.slice)
        elif isinstance(node.func, ast.Attribute) and node.func.attr in _OVER_STEPS:
            at = argument(node, 0, "dim")
            own, is_read = node.func.value, isinstance(at, ast.Constant) and at.value == 1
        else:
            continue
        if is_read and isinstance(own, ast.Name) and own.id == name:
            return source.span(node)
    return None


def _bound(source: Source, call: ast.Call) -> str | None:
    """`out` of `out, _ = lstm(x)` or `out = encoder(x)`."""
    statement = source.parent(call)
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target = statement.targets[0]
    if isinstance(target, ast.Tuple) and target.elts:
        target = target.elts[0]
    return target.id if isinstance(target, ast.Name) else None


def _takes_a_step(key: ast.expr) -> bool:
    """`:, -1` or `:, 0, :`."""
    if not isinstance(key, ast.Tuple) or len(key.elts) < 2:
        return False
    first, second = key.elts[:2]
    is_all = isinstance(first, ast.Slice) and not (first.lower or first.upper or first.step)
    return is_all and ast.unparse(second) in ("-1", "0")


def _first(source: Source, made: Span) -> Fix | None:
    call = source.at(made, ast.Call)
    if call is None or any(k.arg is None for k in call.keywords):
        return None
    given = argument(call, None, "batch_first")
    edit = (
        source.replace(given, "True")
        if given is not None
        else added_argument(source, call, "batch_first=True")
    )
    return Fix((edit,), _TITLE)
