from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Text
from torchmedic.observed import Source
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._order import has_other_duties, is_sure, timelines
from torchmedic.rules._scaling import (
    Scaled,
    Scaling,
    in_one_function,
    is_by_hand,
    is_scaled_step,
    own_statement,
    scaler_of,
)
from torchmedic.rules._statements import put_after

rule = Rule(
    code="TM332",
    name="scaler-step-missing",
    severity=Severity.ERROR,
    summary=Text(
        en="The loss is scaled, and the optimizer steps with the scaled gradients.",
        ko="손실을 스케일링한 뒤, 커진 그래디언트 그대로 옵티마이저를 진행합니다.",
    ),
    title=Text(
        en="`{optimizer}.step()` uses gradients that are 65,536 times too large",
        ko="`{optimizer}.step()`이 65,536배 커진 그래디언트를 씁니다",
    ),
    why=Text(
        en="""
        `{scaler}.scale(loss)` multiplies the loss, and with it every gradient, by 65,536 at first. Only `{scaler}.step`
        divides them again, and leaves the step out where one is infinite. `{optimizer}.step()` knows nothing of it: SGD
        diverges, Adam hides the factor and steps on infinities.
        """,
        ko="""
        `{scaler}.scale(loss)` 호출은 손실과 모든 그래디언트를 처음에 65,536배로 키웁니다. 이를 되돌리고 무한대가 있으면
        진행을 건너뛰는 것은 `{scaler}.step`뿐입니다. `{optimizer}.step()` 호출은 배율을 모르므로 SGD는 발산하고, Adam은
        배율을 감춘 채 무한대로도 진행합니다.
        """,
    ),
    help=Text(
        en="Replace `{optimizer}.step()` by `{scaler}.step({optimizer})`, and call `{scaler}.update()` behind it.",
        ko="`{optimizer}.step()` 대신 `{scaler}.step({optimizer})`, 그다음에 `{scaler}.update()` 호출을 쓰세요.",
    ),
    lesson=Text(
        en="""
        Three calls belong together, in this order: `scaler.scale(loss).backward()`, `scaler.step(optimizer)`,
        `scaler.update()`. To see it by hand, print the norm of the gradients before the step with the scaler on and with
        `GradScaler(enabled=False)`.
        """,
        ko="""
        `scaler.scale(loss).backward()`, `scaler.step(optimizer)`, `scaler.update()` 세 호출은 이 순서로 함께 씁니다.
        직접 확인하려면 GradScaler를 켰을 때와 `GradScaler(enabled=False)`로 껐을 때, 진행 직전의 그래디언트 노름을
        출력해 비교하세요.
        """,
    ),
    example={"optimizer": "optimizer", "scaler": "scaler"},
    bad="""
    import torch
    import torch.nn as nn

    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cuda")
    for epoch in range(4):
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype=torch.float16):
            loss = nn.functional.mse_loss(model(inputs), targets)
        scaler.scale(loss).backward()
        optimizer.step()
    """,
    good="""
    import torch
    import torch.nn as nn

    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cuda")
    for epoch in range(4):
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype=torch.float16):
            loss = nn.functional.mse_loss(model(inputs), targets)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    """,
    innocent=(
        """
        import torch
        import torch.nn as nn

        torch.manual_seed(0)
        inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
        model = nn.Linear(5, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cuda") if torch.cuda.is_available() else None
        for epoch in range(4):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(inputs), targets)
            if scaler is not None:
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
            else:
                loss.backward()
                optimizer.step()
        """,
    ),
    search=(
        "GradScaler optimizer.step() instead of scaler.step(optimizer)",
        "loss explodes with GradScaler",
        "gradients are 65536 times too large",
    ),
    links=("https://docs.pytorch.org/docs/stable/notes/amp_examples.html",),
)

_SCALED = Text(en="the loss is scaled here", ko="여기서 손실을 스케일링합니다")
_TITLE = Text(
    en="step by `{scaler}.step({optimizer})`", ko="`{scaler}.step({optimizer})` 호출로 진행하기"
)


@rule.on(Trace)
def stepped_directly(trace: Trace) -> Iterator[Diagnosis]:
    if not any(trace.of("scale")) or has_other_duties(trace) or is_by_hand(trace):
        return
    if any(is_scaled_step(e) for e in trace.of("step")) or any(trace.of("unscale")):
        return
    seen = set()
    for timeline in timelines(trace):
        scaling = Scaling(timeline)
        for one in scaling.passes:
            for step in scaling.behind(one.backward, "step"):
                is_plain = not step.facts.get("escaped") and is_sure(one.backward, step)
                if is_plain and scaling.meets(one.backward, step) and step.at not in seen:
                    seen.add(step.at)
                    yield _told(trace, one, step)


def _told(trace: Trace, one: Scaled, step: Event) -> Diagnosis:
    source = trace.source_of(step.at)
    scaler = scaler_of(trace.source_of(one.scale.at), one.scale)
    facts: dict[str, object] = {
        "scaler": scaler or "scaler",
        "optimizer": step.name or "optimizer",
    }
    fix = _fix(source, one.scale, step, scaler)
    return Diagnosis(
        rule, step.at, facts, (Evidence(_SCALED, one.scale.at),), (fix,) if fix else ()
    )


def _fix(source: Source, scale: Event, step: Event, scaler: str) -> Fix | None:
    statement = own_statement(source, step.at)
    call = source.at(scale.at, ast.Call) if scale.at.path == source.path else None
    if (
        statement is None
        or call is None
        or not scaler
        or not in_one_function(source, call, statement)
    ):
        return None
    if step.facts.get("has_closure") or not step.name:
        return None
    edits = [source.replace(statement.value, f"{scaler}.step({step.name})")]
    if f"{scaler}.update(" not in source.text:
        behind = put_after(source, statement, f"{scaler}.update()")
        if not behind:
            return None
        edits += behind
    return Fix(tuple(edits), _TITLE.fill(scaler=scaler, optimizer=step.name))
