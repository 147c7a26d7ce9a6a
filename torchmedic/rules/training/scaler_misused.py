from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Failure, Source
from torchmedic.rules._place import answer, method_call, removed, without

rule = Rule(
    code="TM362",
    name="scaler-misused",
    severity=Severity.ERROR,
    summary=Text(
        en="A gradient scaler unscales twice, or finds no gradients that it can unscale.",
        ko="그래디언트 스케일러가 기울기를 두 번 되돌리거나 되돌릴 기울기를 찾지 못합니다.",
    ),
    title=Text(
        en="the gradients of one step are unscaled twice",
        ko="한 단계의 기울기를 두 번 되돌립니다 (`unscale_`)",
    ),
    why=Text(
        en="""
        The scaler multiplied the loss by a large factor, and `unscale_` divides the gradients by it. Twice would make them
        far too small, so only `update()` allows it again.
        """,
        ko="""
        스케일러는 손실에 큰 수를 곱했고 `unscale_`은 기울기를 그 수로 나눕니다. 두 번 나누면 기울기가 너무 작아지므로
        `update()`를 부르기 전에는 다시 허용하지 않습니다.
        """,
    ),
    help=Text(
        en="Call once per step, in this order: `scale(loss).backward()`, `unscale_`, clip, `step`, `update`.",
        ko="단계마다 한 번씩 이 순서로 부르세요: `scale(loss).backward()`, `unscale_`, 자르기, `step`, `update`.",
    ),
    lesson=Text(
        en="""
        One step is: `scaler.scale(loss).backward()`; only for clipping `scaler.unscale_(optimizer)` and the clipping;
        `scaler.step(optimizer)`, which unscales if that wasn't done; `scaler.update()`. With several optimizers each one is
        unscaled and stepped once, and `update()` is called once at the end. When gradients are accumulated, unscale only
        in the iteration that steps. With bfloat16 no scaler is needed.
        """,
        ko="""
        한 단계는 `scaler.scale(loss).backward()`, 자를 때만 `scaler.unscale_(optimizer)`와 자르기, 아직이면 스스로
        되돌리는 `scaler.step(optimizer)`, `scaler.update()`입니다. 옵티마이저가 여럿이면 각각 한 번씩 되돌리고 진행한 다음
        `update()`를 마지막에 한 번 부르세요. 기울기를 누적할 때는 진행하는 반복에서만 되돌리세요. bfloat16에는 스케일러가
        필요 없습니다.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    for step in range(3):
        optimizer.zero_grad()
        scaler.scale(model(torch.ones(8, 4)).mean()).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
    """,
    good="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    for step in range(3):
        optimizer.zero_grad()
        scaler.scale(model(torch.ones(8, 4)).mean()).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    """,
    messages=("unscale_() has already been called on this optimizer since the last update()",),
    variants=(
        Variant(
            "empty",
            Text(
                en="the scaler finds no gradients in the optimizer's parameters",
                ko="스케일러가 옵티마이저의 파라미터에서 기울기를 찾지 못합니다",
            ),
            why=Text(
                en="""
                `step` looks for infinities in the gradients of this optimizer's parameters, and all are None: there was no
                backward pass, they were cleared after it, they are frozen, or the optimizer holds other parameters than
                the loss depends on.
                """,
                ko="""
                `step`은 이 옵티마이저 파라미터의 기울기에서 무한대를 찾는데 모두 None입니다. backward를 하지 않았거나, 그
                뒤에 지웠거나, 고정된 파라미터이거나, 옵티마이저의 파라미터에 손실이 의존하지 않습니다.
                """,
            ),
            help=Text(
                en="Print `[p.grad is None for p in model.parameters()]` before `scaler.step`; call `zero_grad` before backward.",
                ko="`scaler.step` 앞에서 `[p.grad is None for p in model.parameters()]`를 출력하고, `zero_grad`는 backward 앞에서 부르세요.",
            ),
            messages=(
                "No inf checks were recorded for this optimizer",
                "No inf checks were recorded prior to update",
            ),
            search=("AssertionError No inf checks were recorded for this optimizer",),
        ),
        Variant(
            "half",
            Text(
                en="the parameters themselves are float16, which a scaler can't train",
                ko="파라미터 자체가 float16이라 스케일러로 학습할 수 없습니다",
            ),
            why=Text(
                en="""
                Mixed precision keeps parameters and their gradients in float32; autocast converts copies of them for
                each operation. An update of a float16 parameter is mostly smaller than its last digit.
                """,
                ko="""
                혼합 정밀도는 파라미터와 그 기울기를 float32로 두고, autocast가 연산마다 그 복사본을 변환합니다. float16
                파라미터에서는 갱신량이 대개 마지막 자리보다 작습니다.
                """,
            ),
            help=Text(
                en="Leave out `model.half()` (or load in float32), and let `torch.autocast` choose the types.",
                ko="`model.half()`를 빼거나 float32로 불러오고, dtype은 `torch.autocast`에 맡기세요.",
            ),
            messages=("Attempting to unscale FP16 gradients",),
            search=("ValueError Attempting to unscale FP16 gradients",),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        model, critic = nn.Linear(4, 2), nn.Linear(4, 1)
        optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (model, critic)]
        scaler = torch.amp.GradScaler("cpu")
        for step in range(3):
            for optimizer in optimizers:
                optimizer.zero_grad()
            inputs = torch.ones(8, 4)
            scaler.scale(model(inputs).mean() + critic(inputs).mean()).backward()
            for optimizer in optimizers:
                scaler.unscale_(optimizer)
                scaler.step(optimizer)
            scaler.update()
        """,
    ),
    says=(
        "RuntimeError: unscale_() has already been called on this optimizer since the last update().",
        "AssertionError: No inf checks were recorded for this optimizer.",
        "AssertionError: No inf checks were recorded prior to update.",
        "ValueError: Attempting to unscale FP16 gradients.",
    ),
    search=(
        "unscale_() has already been called on this optimizer since the last update",
        "pytorch GradScaler order of calls",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/notes/amp_examples.html",
        "https://docs.pytorch.org/docs/stable/amp.html#gradient-scaling",
    ),
)

_ONCE = Text(en="leave out the second call", ko="두 번째 호출 빼기")
_FULL = Text(
    en="keep the parameters in float32: leave out `.half()`",
    ko="`.half()`를 빼고 파라미터를 float32로 두기",
)


@rule.on(Failure)
def gradients_cant_be_unscaled(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    name = reading.variant.name
    found = method_call(failure, "unscale_", "step")
    at: Span | None = None
    fixes = tuple[Fix, ...]()
    if found is not None and name == "":
        source, _, call = found
        if _is_repeated(source, call):
            fixes = (Fix((removed(source, source.statement(call)),), _ONCE),)
    elif found is not None and name == "half":
        at, fixes = _in_full(found[0])
    yield answer(rule, failure, reading, at, fixes)


def _is_repeated(source: Source, call: ast.Call) -> bool:
    """The same call is a statement before it in the same block."""
    statement = source.statement(call)
    body = getattr(source.parent(statement), "body", [])
    if statement not in body:
        return False
    before = body[: body.index(statement)]
    return any(source.code(one) == source.code(statement) for one in before)


def _in_full(source: Source) -> tuple[Span | None, tuple[Fix, ...]]:
    """The one `.half()` of the file, as a statement of its own or behind a module."""
    halves = [
        c
        for c in source.nodes(ast.Call)
        if isinstance(c.func, ast.Attribute) and c.func.attr == "half" and not c.args
    ]
    if len(halves) != 1:
        return None, ()
    call = halves[0]
    assert isinstance(call.func, ast.Attribute)
    statement = source.statement(call)
    if isinstance(statement, ast.Expr) and statement.value is call:
        edit = removed(source, statement)
    else:
        edit = without(source, call, call.func.value)
    return source.span(call), (Fix((edit,), _FULL),)
