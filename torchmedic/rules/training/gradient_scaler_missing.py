from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Rule, Severity, Text, Variant
from torchmedic.observed import Source
from torchmedic.observed.source import argument
from torchmedic.observed.trace import Cast, Event, Trace
from torchmedic.rules._order import Timeline, has_other_duties, numbers, timelines
from torchmedic.rules._place import alias_of
from torchmedic.rules._scaling import (
    casts,
    distinct,
    in_one_function,
    own_statement,
    unscaled_before,
)
from torchmedic.rules._statements import loops_around, put_after, put_before

rule = Rule(
    code="TM330",
    name="gradient-scaler-missing",
    severity=Severity.WARNING,
    summary=Text(
        en="A model is trained under float16 autocast, and no GradScaler keeps its small gradients.",
        ko="float16 autocast로 학습하면서 작은 그래디언트를 지켜 줄 GradScaler를 쓰지 않습니다.",
    ),
    title=Text(
        en="float16 without GradScaler: gradients below 6e-8 become 0 in `{loss}.backward()`",
        ko="GradScaler 없는 float16: `{loss}.backward()`에서 6e-8보다 작은 그래디언트가 0이 됩니다",
    ),
    why=Text(
        en="""
        The smallest number above 0 in float16 is 6e-8. Under `autocast` the gradients of matrix products and convolutions
        are float16, and many of them are smaller than that: they become 0, and their weights learn nothing. Nothing is
        raised. A GradScaler multiplies the loss before the backward pass and divides the gradients before the step.
        """,
        ko="""
        float16이 나타낼 수 있는 0보다 큰 가장 작은 수는 6e-8입니다. `autocast` 안에서 행렬곱과 합성곱의 그래디언트는
        float16이고, 그보다 작은 값이 많습니다. 그런 값은 0이 되어 해당 가중치가 배우지 못하지만 오류는 나지 않습니다.
        GradScaler는 역전파 전에 손실을 키우고, 옵티마이저 진행 전에 그래디언트를 되돌립니다.
        """,
    ),
    help=Text(
        en="""
        Scale: `scaler.scale({loss}).backward()`, `scaler.step(optimizer)`, `scaler.update()`. Where the GPU has
        bfloat16 (Ampere and later), `dtype=torch.bfloat16` needs no scaler.
        """,
        ko="""
        `scaler.scale({loss}).backward()`, `scaler.step(optimizer)`, `scaler.update()` 순서로 스케일링하세요. bfloat16을
        지원하는 GPU(Ampere 이후)라면 `dtype=torch.bfloat16`을 쓰세요. 그러면 GradScaler가 필요 없습니다.
        """,
    ),
    lesson=Text(
        en="""
        Count the zeros: `sum((p.grad == 0).sum().item() for p in model.parameters())` after a backward pass, with and
        without autocast. Mixed precision in float16 is always a pair: `torch.autocast` around forward pass and
        loss, and one `torch.amp.GradScaler` for the whole training, made before the loop. Save it in the checkpoint
        with `scaler.state_dict()`.
        """,
        ko="""
        역전파 뒤에 `sum((p.grad == 0).sum().item() for p in model.parameters())` 값을 autocast가 있을 때와 없을 때로
        비교해 보세요. float16 혼합 정밀도에는 항상 두 가지가 함께 필요합니다. 순전파와 손실을 감싸는
        `torch.autocast`, 그리고 반복문 앞에서 한 번만 만드는 `torch.amp.GradScaler`입니다. 체크포인트에는
        `scaler.state_dict()`도 저장하세요.
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
        with torch.autocast("cuda"):
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
    scaler = torch.amp.GradScaler("cuda")
    for epoch in range(4):
        optimizer.zero_grad()
        with torch.autocast("cuda"):
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
        for epoch in range(4):
            optimizer.zero_grad()
            with torch.autocast("cuda", dtype=torch.bfloat16):
                loss = nn.functional.mse_loss(model(inputs), targets)
            loss.backward()
            optimizer.step()
        """,
        """
        import torch
        import torch.nn as nn

        torch.manual_seed(0)
        inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
        model = nn.Linear(5, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(4):
            optimizer.zero_grad()
            with torch.autocast("cpu"):
                loss = nn.functional.mse_loss(model(inputs), targets)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad(), torch.autocast("cuda", dtype=torch.float16):
            print(nn.functional.mse_loss(model(inputs), targets).item())
        """,
    ),
    variants=(
        Variant(
            "half",
            Text(
                en="float16 weights: a step below 0.02 % of a weight changes nothing",
                ko="float16 가중치: 가중치의 0.02 %보다 작은 갱신은 사라집니다",
            ),
            Text(
                en="""
                `half()` makes the weights themselves float16, which has 11 binary digits: a step smaller than 0.02 % of
                a weight is rounded away, and gradients below 6e-8 are 0. A GradScaler refuses float16 gradients.
                """,
                ko="""
                `half()` 호출은 가중치 자체를 float16으로 바꿉니다. 유효 자릿수가 이진수 11자리라서 가중치의 0.02 %보다 작은
                갱신은 반올림으로 사라지고, 6e-8보다 작은 그래디언트는 0이 됩니다. GradScaler는 float16 그래디언트를 받지
                않습니다.
                """,
            ),
            Text(
                en="""
                Leave the weights in float32: remove `half()`, put `torch.autocast` around forward pass and loss, and scale
                the loss with a GradScaler. `half()` is for inference.
                """,
                ko="""
                가중치는 float32로 두세요. `half()`를 지우고, 순전파와 손실을 `torch.autocast`로 감싸고, GradScaler로 손실을
                스케일링하세요. `half()`는 추론용입니다.
                """,
            ),
        ),
    ),
    search=(
        "pytorch autocast float16 without GradScaler",
        "mixed precision gradients underflow to zero",
        "loss does not decrease with autocast",
    ),
    links=("https://docs.pytorch.org/docs/stable/amp.html#gradient-scaling",),
)

# Scalers by other names, of other libraries, and losses that are scaled by hand.
_SCALES = (
    r"(?i)scaler|loss.*scal|scal.*loss|\bapex\b|amp\.initialize|set_autocast|master|fp16_?optim"
)
_HERE = Text(en="float16 from here on", ko="여기부터 float16입니다")


@rule.on(Trace)
def unscaled(trace: Trace) -> Iterator[Diagnosis]:
    if not any(trace.of("backward")) or has_other_duties(trace):
        return
    if any(re.search(_SCALES, s.text) for s in trace.sources.values()):
        return
    for timeline in timelines(trace):
        found = distinct(e for e in timeline.of("backward") if _region(timeline, e) is not None)
        if found and (steps := distinct(iter(timeline.of("step")))):
            backward = found[0]
            cast = _region(timeline, backward)
            assert cast is not None
            source = trace.source_of(backward.at)
            fix = None
            if len(found) == 1 and len(distinct(iter(timeline.of("backward")))) == 1:
                fix = _scaled(source, timeline, backward, steps, cast)
            facts: dict[str, object] = {"loss": backward.name or "loss"}
            fixes = (fix,) if fix else ()
            yield Diagnosis(rule, backward.at, facts, (Evidence(_HERE, cast.at),), fixes)
            return
        if any(_is_half(timeline, e) for e in timeline.of("backward")) and timeline.of("step"):
            first = next(e for e in timeline.of("backward") if _is_half(timeline, e))
            yield Diagnosis(rule, first.at, {"loss": first.name}, variant=rule.variant("half"))
            return


def _is_half(timeline: Timeline, backward: Event) -> bool:
    """True if a trained model whose weights are float16 was called for this backward pass."""
    calls = [timeline.calls.get(number) for number in numbers(backward, "calls")]
    return not backward.branches and any(
        c is not None and c.facts.get("half") is True and timeline.is_trained(c) for c in calls
    )


def _region(timeline: Timeline, backward: Event) -> Cast | None:
    """The float16 region in which a trained model was called for this backward pass."""
    if "*" in backward.name or backward.facts.get("is_stored") is False or backward.branches:
        return None
    for number in sorted(numbers(backward, "calls")):
        call = timeline.calls.get(number)
        cast = casts(call) if call is not None else None
        if call is None or cast is None or cast.dtype != "float16" or cast.is_enabled is not True:
            continue
        if timeline.is_trained(call) and timeline.has_graph(number):
            return cast
    return None


def _scaled(
    source: Source, timeline: Timeline, backward: Event, steps: list[Event], cast: Cast
) -> Fix | None:
    """A scaler before the outermost loop, where the whole training stands in one function."""
    first = own_statement(source, backward.at)
    last = own_statement(source, steps[0].at)
    if first is None or last is None or len(steps) > 1 or steps[0].facts.get("has_closure"):
        return None
    loops = loops_around(source, first)
    clips = distinct(iter(timeline.of("clip")))
    torch = alias_of(source, "torch")
    is_whole = len(loops) == len({loop.at for loop in backward.loops})
    if not loops or not is_whole or torch not in source.imported or len(clips) > 1:
        return None
    if not in_one_function(source, first, last) or not steps[0].name:
        return None
    call, step = first.value, last.value
    assert isinstance(call, ast.Call) and isinstance(step, ast.Call)
    loss = call.func.value if isinstance(call.func, ast.Attribute) else None
    region = source.at(cast.at, ast.Call)
    device = argument(region, 0, "device_type") if region is not None else None
    is_old = region is not None and ".cuda." in (source.name(region.func) or "")
    code = '"cuda"' if device is None or is_old else source.code(device)
    made = put_before(source, loops[-1], f"scaler = {torch}.amp.GradScaler({code})")
    behind = put_after(source, last, "scaler.update()")
    if loss is None or not made or not behind:
        return None
    between: tuple[Edit, ...] = ()
    for clip in clips:
        between = unscaled_before(source, clip, "scaler", steps[0].name)
        if not between or clip.at.path != source.path:
            return None
    edits = (
        *made,
        source.replace(loss, f"scaler.scale({source.code(loss)})"),
        *between,
        source.replace(step, f"scaler.step({steps[0].name})"),
        *behind,
    )
    return Fix(
        edits, Text(en="scale the loss with a GradScaler", ko="GradScaler로 손실을 스케일링하기")
    )
