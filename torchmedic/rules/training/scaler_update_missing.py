from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Fix, Rule, Severity, Text, Variant
from torchmedic.observed import Failure, Source
from torchmedic.rules._place import answer, method_call, receiver
from torchmedic.rules._statements import put_after

rule = Rule(
    code="TM333",
    name="scaler-update-missing",
    severity=Severity.ERROR,
    summary=Text(
        en="A GradScaler steps a second time, and nothing called its `update()` in between.",
        ko="GradScaler의 `update()` 호출 없이 두 번째로 진행합니다.",
    ),
    title=Text(
        en="second `{scaler}.step()` without `{scaler}.update()`",
        ko="`{scaler}.update()` 없이 두 번째로 호출한 `{scaler}.step()`",
    ),
    why=Text(
        en="""
        A GradScaler notes for each optimizer whether its gradients were divided and whether it stepped. `update()` clears
        these notes and chooses the next scale. Without it the second step is refused, and the scale would stay as it was.
        """,
        ko="""
        GradScaler는 옵티마이저마다 그래디언트를 되돌렸는지, 진행했는지를 기록합니다. `update()` 호출이 이 기록을 지우고
        다음 배율을 정합니다. 호출하지 않으면 두 번째 진행이 거부되고, 배율도 바뀌지 않습니다.
        """,
    ),
    help=Text(
        en="Call `{scaler}.update()` once at the end of each step, behind `{scaler}.step(…)` of the last optimizer.",
        ko="각 단계 끝에서 마지막 옵티마이저의 `{scaler}.step(…)` 다음에 `{scaler}.update()` 호출을 한 번 넣으세요.",
    ),
    lesson=Text(
        en="""
        Scale, step, update: the three calls stand in the same block, and `update()` comes once however many optimizers
        there are. With accumulated gradients `step` and `update` both stand below the `if` that ends the
        accumulation. The scaler of a machine without CUDA is off, so the error first shows on the GPU.
        """,
        ko="""
        scale, step, update 세 호출은 같은 블록에 두고, 옵티마이저가 여럿이어도 `update()` 호출은 한 번입니다.
        그래디언트를 누적할 때는 `step`과 `update`를 모두 누적이 끝나는 `if` 아래에 둡니다. CUDA가 없는 컴퓨터에서는
        GradScaler가 꺼지므로 이 오류는 GPU에서 처음 보입니다.
        """,
    ),
    example={"scaler": "scaler"},
    bad="""
    import torch
    import torch.nn as nn

    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    for epoch in range(4):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = nn.functional.mse_loss(model(inputs), targets)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
    """,
    good="""
    import torch
    import torch.nn as nn

    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    for epoch in range(4):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
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
        scaler = torch.amp.GradScaler("cpu")
        for step in range(1, 9):
            loss = nn.functional.mse_loss(model(inputs), targets) / 2
            scaler.scale(loss).backward()
            if step % 2 == 0:
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
        """,
    ),
    messages=("step() has already been called since the last update().",),
    variants=(
        Variant(
            "unscaled",
            Text(
                en="`{scaler}.unscale_()` after `{scaler}.step()`, without `{scaler}.update()`",
                ko="`{scaler}.update()` 없이 `{scaler}.step()` 뒤에 호출한 `{scaler}.unscale_()`",
            ),
            messages=("unscale_() is being called after step().",),
        ),
    ),
    search=(
        "step() has already been called since the last update()",
        "GradScaler update missing",
        "unscale_() is being called after step()",
    ),
    links=("https://docs.pytorch.org/docs/stable/amp.html#torch.amp.GradScaler",),
)


@rule.on(Failure)
def without_update(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    found = method_call(failure, "step", "unscale_")
    own = receiver(found[2]) if found else None
    if found is None or own is None:
        yield answer(rule, failure, reading, scaler="scaler")
        return
    source, _, call = found
    scaler = source.code(own)
    fix = _updated(source, call, scaler)
    yield answer(rule, failure, reading, fixes=(fix,) if fix else (), scaler=scaler)


def _updated(source: Source, node: ast.expr, scaler: str) -> Fix | None:
    """`update()` behind the only `step` of that scaler in the function."""
    if f"{scaler}.update(" in source.text:
        return None
    scope = source.function_of(node) or source.tree
    steps = [c for c in ast.walk(scope) if _is_step(source, c, scaler)]
    statement = source.statement(steps[0]) if len(steps) == 1 else None
    edits = put_after(source, statement, f"{scaler}.update()") if statement is not None else ()
    title = Text(
        en="call `{scaler}.update()` behind the step", ko="진행 뒤에 `{scaler}.update()` 호출하기"
    )
    return Fix(edits, title.fill(scaler=scaler)) if edits else None


def _is_step(source: Source, node: ast.AST, scaler: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "step"
        and source.code(node.func.value) == scaler
    )
