from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torchmedic.model import (
    Diagnosis,
    Evidence,
    Fix,
    Rule,
    Severity,
    Span,
    Text,
    Variant,
    show_value,
)
from torchmedic.observed import Source, Value, load
from torchmedic.observed.run import Run
from torchmedic.observed.source import argument
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._activations import call_of, name_of_loss, with_method
from torchmedic.rules._differences import differences_on, is_averaged, is_axis_made, sides
from torchmedic.rules._loss_inputs import FEWEST, FEWEST_LIVE, seen

if TYPE_CHECKING:
    from torchmedic.observed.run_numbers import Spread

rule = Rule(
    code="TM323",
    name="loss-shapes-broadcast",
    severity=Severity.ERROR,
    summary=Text(
        en="A column (N, 1) is compared with N numbers, and both are spread into an N x N table.",
        ko="열 (N, 1)을 숫자 N개와 비교해 둘 다 N x N 표로 펼쳐집니다.",
    ),
    title=Text(
        en="prediction {input} and target {target} are spread into {spread}",
        ko="예측 {input} 크기와 정답 {target} 크기가 {spread} 크기로 펼쳐집니다",
    ),
    why=Text(
        en="""
        `{loss}` compares element with element, and broadcasting makes the shapes equal first: the column is repeated to
        the right, the numbers downwards. So each prediction is compared with the targets of all samples, and
        the best that the model can learn is their mean. PyTorch only warns.
        """,
        ko="""
        `{loss}` 손실은 원소끼리 비교하는데, 그 전에 브로드캐스팅이 모양을 맞춥니다. 열은 오른쪽으로, 숫자들은 아래로
        반복됩니다. 그래서 예측 하나가 모든 샘플의 정답과 비교되고, 모델이 배울 수 있는 최선은 정답의 평균입니다.
        PyTorch는 경고만 합니다.
        """,
    ),
    help=Text(
        en="Give both the same shape: `.squeeze(1)` on the column, or `.unsqueeze(1)` on the other.",
        ko="둘의 모양을 같게 하세요. 열에 `.squeeze(1)`을 쓰거나 다른 쪽에 `.unsqueeze(1)`을 쓰세요.",
    ),
    lesson=Text(
        en="""
        Print `prediction.shape` and `target.shape` before the loss: they have to be equal, not only compatible. A
        regression whose predictions all become the mean of the targets is the sign. `nn.Linear(n, 1)` gives a
        column, a list of targets gives N numbers. Don't silence the warning "Using a target size that is different
        to the input size". Write `squeeze(1)`, not `squeeze()`, which would drop a batch of one as well.
        """,
        ko="""
        손실 앞에서 `prediction.shape`와 `target.shape`를 출력해 보세요. 호환되는 것으로는 부족하고 같아야 합니다. 회귀의
        예측이 모두 정답의 평균이 되면 이 실수의 신호입니다. `nn.Linear(n, 1)`은 열을 내고 정답 목록은 숫자 N개가 됩니다.
        "Using a target size that is different to the input size" 경고를 끄지 마세요. 배치가 1개일 때 배치 차원까지
        없애는 `squeeze()` 대신 `squeeze(1)`을 쓰세요.
        """,
    ),
    example={"loss": "MSELoss"},
    bad="""
    import torch
    import torch.nn as nn

    torch.manual_seed(0)
    inputs = torch.randn(64, 5)
    targets = inputs.sum(dim=1)
    model = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1))
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(3):
        optimizer.zero_grad()
        predictions = model(inputs)
        loss = criterion(predictions, targets)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())
    """,
    good="""
    import torch
    import torch.nn as nn

    torch.manual_seed(0)
    inputs = torch.randn(64, 5)
    targets = inputs.sum(dim=1)
    model = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1))
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(3):
        optimizer.zero_grad()
        predictions = model(inputs)
        loss = criterion(predictions.squeeze(1), targets)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())
    """,
    variants=(
        Variant(
            "difference",
            Text(
                en="`-` spreads prediction {input} and target {target} into {spread}",
                ko="`-` 연산에서 예측 {input} 크기와 정답 {target} 크기가 {spread} 크기로 펼쳐집니다",
            ),
            Text(
                en="""
                Broadcasting makes the shapes equal before `-`: the column is repeated to the right, the numbers downwards.
                The loss is then taken over all pairs, so each prediction is compared with the targets of all samples, and
                the best that the model can learn is one number for all of them. PyTorch doesn't warn.
                """,
                ko="""
                `-` 연산 앞에서 브로드캐스팅이 모양을 맞춥니다. 열은 오른쪽으로, 숫자들은 아래로 반복됩니다. 그러면 손실을 모든
                짝에 대해 구하므로 예측 하나가 모든 샘플의 정답과 비교되고, 모델이 배울 수 있는 최선은 모두에게 같은 숫자 하나입니다.
                PyTorch는 경고하지 않습니다.
                """,
            ),
        ),
        Variant(
            "accuracy",
            Text(
                en="`==` compares {input} with {target} as {spread}",
                ko="`==` 비교에서 {input} 크기와 {target} 크기가 {spread} 크기로 펼쳐집니다",
            ),
            Text(
                en="""
                Broadcasting makes the shapes equal before `==`: the column is repeated to the right, the numbers
                downwards. Each prediction is compared with the labels of all samples, so the number of hits can be
                larger than the batch.
                """,
                ko="""
                `==` 비교 앞에서 브로드캐스팅이 모양을 맞춥니다. 열은 오른쪽으로, 숫자들은 아래로 반복됩니다. 예측 하나가 모든
                샘플의 레이블과 비교되므로 맞힌 개수가 배치보다 커질 수 있습니다.
                """,
            ),
        ),
    ),
    innocent=(
        """
        import torch
        import torch.nn as nn
        import torch.nn.functional as F

        torch.manual_seed(0)
        inputs, labels = torch.randn(64, 5), torch.randint(0, 2, (64,))
        model = nn.Linear(5, 1)
        optimizer = torch.optim.Adam(model.parameters())
        same_label = labels.view(-1, 1) == labels
        for epoch in range(2):
            optimizer.zero_grad()
            predictions = model(inputs)
            loss = F.mse_loss(predictions.squeeze(1), labels.float())
            loss = loss + F.l1_loss(predictions, labels.float().unsqueeze(1))
            loss = loss + F.smooth_l1_loss(model(inputs[:1]), labels[:1].float())
            loss.backward()
            optimizer.step()
            hits = (predictions.squeeze(-1) > 0.5) == labels
            print(hits.sum().item(), same_label.sum().item())
        """,
        """
        import torch
        import torch.nn as nn

        torch.manual_seed(0)
        inputs = torch.randn(32, 5)
        targets = inputs.sum(dim=1)
        model = nn.Linear(5, 1)
        optimizer = torch.optim.Adam(model.parameters())
        is_above = (targets.unsqueeze(1) > targets).float()
        for epoch in range(4):
            optimizer.zero_grad()
            predictions = model(inputs)
            apart = predictions - targets
            loss = (apart**2).min(dim=1).values.mean() + (apart**2).diagonal().mean()
            loss = loss + ((predictions - predictions.T) ** 2).mean()
            loss = loss + (is_above * (predictions - targets[None, :]) ** 2).mean()
            loss.backward()
            optimizer.step()
        """,
    ),
    search=(
        "Using a target size that is different to the input size",
        "MSELoss shape (N, 1) and (N) broadcasting",
        "regression predicts the mean pytorch",
        "accuracy larger than 1 pytorch",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/notes/broadcasting.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html",
    ),
)


@rule.on(Trace)
def spread(trace: Trace) -> Iterator[Diagnosis]:
    told = set()
    for event in trace.of("loss", "compare", "subtract"):
        side = event.facts["column"]
        if not side or event.at in told:
            continue
        if event.kind == "subtract" and not _is_loss(trace.source_of(event.at), event.at):
            continue
        if event.kind == "compare" and True not in event.facts["from_model"]:  # type: ignore[operator]
            continue  # all pairs of two data columns may be meant
        told.add(event.at)
        yield _told(trace, event, str(side))


@rule.on(Run)
def spread_in_run(run: Run) -> Iterator[Diagnosis]:
    for loss in seen(run, "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        shapes = [t.shape for t in (loss.run.input, loss.run.target) if t is not None]
        if loss.run.columns * 2 > loss.run.calls and len({len(s) for s in shapes}) == 2:
            side = "input" if len(shapes[0]) > len(shapes[1]) else "target"
            yield _told(loss.trace, loss.event, side)
    for one in run.spreads:
        found = _difference(one, FEWEST if run.is_over else FEWEST_LIVE)
        if found is not None:
            yield found


def _difference(one: Spread, fewest: int) -> Diagnosis | None:
    """One that was spread in every look, and whose text shows no axis that was made for it."""
    at = one.by[0].at
    source = load(at.path)
    if source is None or one.spread < fewest or one.spread < one.looked:
        return None
    nodes = differences_on(source, at.line)
    both = [side for node in nodes for side in sides(node) or ()]
    if len(nodes) != 1 or any(is_axis_made(source, side) for side in both):
        return None
    shapes = [one.prediction, one.target][:: 1 if one.is_left else -1]
    facts: dict[str, object] = {
        "left": shapes[0],
        "right": shapes[1],
        "from_model": (one.is_left, not one.is_left),
    }
    here = Event("subtract", source.span(nodes[0]), function=one.by[0].function, facts=facts)
    return _told(
        Trace(source, (here,)), here, "left" if len(shapes[0]) > len(shapes[1]) else "right"
    )


def _is_loss(source: Source, at: Span) -> bool:
    """True if the difference comes to one number, and no axis was made for all pairs."""
    node = source.at(at, ast.BinOp)
    both = sides(node) if node is not None else None
    if node is None or both is None or not is_averaged(source, node):
        return False
    return not any(is_axis_made(source, side) for side in both)


def _told(trace: Trace, event: Event, side: str) -> Diagnosis:
    source = trace.source_of(event.at)
    names = ("input", "target") if event.kind == "loss" else ("left", "right")
    shapes = [_shape(event.facts[name]) for name in names]
    if event.kind != "loss" and event.facts["from_model"] == (False, True):
        shapes.reverse()
    size = max(shapes, key=len)[0]
    facts: dict[str, object] = {"input": shapes[0], "target": shapes[1], "spread": [size, size]}
    if event.kind == "loss":
        facts["loss"] = name_of_loss(trace, event)
    nodes = _nodes(source, event)
    fixes: tuple[Fix, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    if nodes is not None:
        tall, flat = nodes if side in ("input", "left") else nodes[::-1]
        fixes = (_with(source, tall, ".squeeze(1)"), _with(source, flat, ".unsqueeze(1)"))
        text = Text(
            en="`{tall}` is {column}, `{flat}` is {numbers}",
            ko="`{tall}` 크기는 {column}, `{flat}` 크기는 {numbers}",
        ).fill(
            tall=source.code(tall),
            flat=source.code(flat),
            column=show_value(max(shapes, key=len)),
            numbers=show_value(min(shapes, key=len)),
        )
        evidence = (Evidence(text, event.at),)
    name = {"compare": "accuracy", "subtract": "difference"}.get(event.kind)
    variant = rule.variant(name) if name is not None else None
    return Diagnosis(rule, event.at, facts, evidence, fixes, variant=variant)


def _shape(side: object) -> tuple[int, ...]:
    """Of a value that was described, or the shape itself."""
    if isinstance(side, Value):
        return side.tensor.shape if side.tensor is not None else ()
    return tuple(side) if isinstance(side, tuple) else ()


def _nodes(source: Source, event: Event) -> tuple[ast.expr, ast.expr] | None:
    """What is compared."""
    if event.kind == "loss":
        return _loss_sides(source, event)
    if event.kind == "compare":
        return _compared(source, event.at)
    node = source.at(event.at, ast.BinOp, ast.Call)
    return sides(node) if isinstance(node, ast.expr) else None


def _loss_sides(source: Source, event: Event) -> tuple[ast.expr, ast.expr] | None:
    call = call_of(source, event)
    if call is None:
        return None
    given, target = argument(call, 0, "input"), argument(call, 1, "target")
    return (given, target) if given is not None and target is not None else None


def _compared(source: Source, at: Span) -> tuple[ast.expr, ast.expr] | None:
    """The sides of the one comparison at this place."""
    found = [
        node
        for node in source.nodes(ast.Compare)
        if isinstance(node.ops[0], ast.Eq) and _is_in(source.span(node), at)
    ]
    return (found[0].left, found[0].comparators[0]) if len(found) == 1 else None


def _is_in(inner: Span, outer: Span) -> bool:
    return (outer.line, outer.column) <= (inner.line, inner.column) and (
        inner.end_line,
        inner.end_column,
    ) <= (outer.end_line, outer.end_column)


def _with(source: Source, node: ast.expr, method: str) -> Fix:
    title = Text(en="call `{method}` on `{code}`", ko="`{code}` 값에 `{method}` 쓰기")
    return Fix(
        with_method(source, node, method), title.fill(method=method[1:], code=source.code(node))
    )
