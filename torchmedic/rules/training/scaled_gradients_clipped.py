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
    unscaled_before,
)
from torchmedic.rules._statements import taken_out

rule = Rule(
    code="TM334",
    name="scaled-gradients-clipped",
    severity=Severity.WARNING,
    summary=Text(
        en="Gradients are clipped while they are still multiplied by the GradScaler's scale.",
        ko="GradScaler의 배율이 곱해진 그래디언트를 되돌리기 전에 클리핑합니다.",
    ),
    title=Text(
        en="clipped before `{scaler}.unscale_({optimizer})`: 65,536 times too large",
        ko="`{scaler}.unscale_({optimizer})` 전의 클리핑: 그래디언트가 65,536배 큽니다",
    ),
    why=Text(
        en="""
        After `{scaler}.scale(loss).backward()` every gradient is larger by the scale, 65,536 at first. A limit of 1.0 clips
        nearly every step, and `{scaler}.step` divides by the scale afterwards: what is left has a norm of 1.0 / 65,536.
        """,
        ko="""
        `{scaler}.scale(loss).backward()` 뒤의 그래디언트는 배율만큼, 처음에는 65,536배 큽니다. 한계값 1.0은 거의 모든
        단계를 자르고, 그 뒤 `{scaler}.step` 안에서 다시 배율로 나누므로 남는 노름은 1.0 / 65,536입니다.
        """,
    ),
    help=Text(
        en="Call `{scaler}.unscale_({optimizer})` once between the backward pass and the clipping.",
        ko="역전파와 클리핑 사이에 `{scaler}.unscale_({optimizer})` 호출을 한 번 넣으세요.",
    ),
    lesson=Text(
        en="""
        The order is backward, `unscale_`, clip, `scaler.step`, `scaler.update`; `scaler.step` notices that the gradients
        are divided already. Print what `clip_grad_norm_` returns: the norm before the clipping. Values of tens of
        thousands in a program with a scaler are scaled ones.
        """,
        ko="""
        순서는 backward, `unscale_`, 클리핑, `scaler.step`, `scaler.update`입니다. `scaler.step` 안에서는 이미 되돌린
        그래디언트를 다시 나누지 않습니다. 클리핑 전의 노름인 `clip_grad_norm_`의 반환값을 출력해 보세요. GradScaler를
        쓰는 프로그램에서 수만이 나오면 배율이 곱해진 값입니다.
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
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
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
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
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
        scaler = torch.amp.GradScaler("cuda")
        for epoch in range(4):
            optimizer.zero_grad()
            with torch.autocast("cuda", dtype=torch.float16):
                loss = nn.functional.mse_loss(model(inputs), targets)
            scaler.scale(loss).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0 * scaler.get_scale())
            scaler.step(optimizer)
            scaler.update()
        """,
    ),
    search=(
        "clip_grad_norm_ with GradScaler unscale_",
        "gradient clipping mixed precision pytorch",
        "training does not learn with GradScaler and clipping",
    ),
    links=("https://docs.pytorch.org/docs/stable/notes/amp_examples.html#gradient-clipping",),
)

_SCALED = Text(
    en="the gradients are scaled from here on", ko="여기부터 그래디언트에 배율이 곱해져 있습니다"
)
_LATER = Text(en="they are divided only here", ko="여기서야 배율로 나눕니다")
_TITLE = Text(
    en="call `{scaler}.unscale_({optimizer})` before the clipping",
    ko="클리핑 전에 `{scaler}.unscale_({optimizer})` 호출하기",
)


@rule.on(Trace)
def clipped(trace: Trace) -> Iterator[Diagnosis]:
    if not any(trace.of("scale")) or has_other_duties(trace) or is_by_hand(trace):
        return
    seen = set()
    for timeline in timelines(trace):
        scaling = Scaling(timeline)
        for one in scaling.passes:
            steps = [s for s in scaling.behind(one.backward, "step") if is_scaled_step(s)]
            is_divided = False
            for event in scaling.behind(one.backward, "unscale", "clip"):
                is_divided = is_divided or event.kind == "unscale"
                if event.kind == "unscale" or is_divided or event.at in seen:
                    continue
                own = [s for s in steps if timeline.index[id(s)] > timeline.index[id(event)]]
                if own and is_sure(one.backward, event) and scaling.meets(one.backward, event):
                    seen.add(event.at)
                    later = [
                        e
                        for e in scaling.behind(event, "unscale")
                        if timeline.index[id(e)] < timeline.index[id(own[0])]
                    ]
                    yield _told(trace, one, event, own[0], later)


def _told(trace: Trace, one: Scaled, clip: Event, step: Event, later: list[Event]) -> Diagnosis:
    source = trace.source_of(clip.at)
    scaler = scaler_of(trace.source_of(one.scale.at), one.scale)
    optimizer = _optimizer(trace, step)
    facts: dict[str, object] = {
        "scaler": scaler or "scaler",
        "optimizer": optimizer or "optimizer",
    }
    evidence = [Evidence(_SCALED, one.backward.at), *(Evidence(_LATER, e.at) for e in later[:1])]
    fix = _fix(source, one, clip, scaler, optimizer, later)
    return Diagnosis(rule, clip.at, facts, tuple(evidence), (fix,) if fix else ())


def _optimizer(trace: Trace, step: Event) -> str:
    """`optimizer` of `scaler.step(optimizer)`."""
    source = trace.source_of(step.at)
    call = source.at(step.at, ast.Call)
    return source.code(call.args[0]) if call is not None and call.args else ""


def _fix(
    source: Source, one: Scaled, clip: Event, scaler: str, optimizer: str, later: list[Event]
) -> Fix | None:
    call = source.at(one.scale.at, ast.Call) if one.scale.at.path == source.path else None
    node = source.at(clip.at, ast.Call)
    if call is None or node is None or not scaler or not optimizer:
        return None
    if not in_one_function(source, call, node):
        return None
    edits = unscaled_before(source, clip, scaler, optimizer)
    for event in later:
        statement = own_statement(source, event.at)
        gone = taken_out(source, statement) if statement is not None else ()
        if not gone:
            return None
        edits += gone
    title = _TITLE.fill(scaler=scaler, optimizer=optimizer)
    return Fix(edits, title) if edits else None
