from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Text
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._clearing import moved_before
from torchmedic.rules._order import (
    Timeline,
    has_other_duties,
    is_sure,
    numbers,
    passes,
    timelines,
)
from torchmedic.rules._run import callee, receiver
from torchmedic.rules._run import event as event_at

rule = Rule(
    code="TM348",
    name="gradients-clipped-after-step",
    severity=Severity.WARNING,
    summary=Text(
        en="Gradients are clipped after the optimizer has used them, and cleared before the next step.",
        ko="옵티마이저가 기울기를 쓴 뒤에 클리핑하고, 다음 단계 전에 그 기울기를 지웁니다.",
    ),
    title=Text(
        en="`{function}` comes after `{optimizer}.step()`: it clips nothing that is used",
        ko="`{function}` 호출이 `{optimizer}.step()` 뒤에 있어 쓰이는 기울기를 자르지 않습니다",
    ),
    why=Text(
        en="""
        `{optimizer}.step()` reads `.grad` as `backward()` left it. Clipping changes `.grad` in place, and here that happens
        when the step is done; the clearing that follows throws the result away. The updates are not limited at all.
        """,
        ko="""
        `{optimizer}.step()`은 `backward()`가 남긴 `.grad` 값을 그대로 읽습니다. 클리핑은 `.grad` 값을 제자리에서 바꾸는데
        여기서는 갱신이 끝난 뒤에 바뀌고, 이어지는 초기화가 그 결과를 버립니다. 갱신 크기는 전혀 제한되지 않습니다.
        """,
    ),
    help=Text(
        en="Call `{function}` between `backward()` and `{optimizer}.step()`.",
        ko="`{function}` 호출을 `backward()`와 `{optimizer}.step()` 사이에 두세요.",
    ),
    lesson=Text(
        en="""
        Everything that changes gradients belongs between `backward()` and `step()`: unscaling, clipping, noise, averaging
        over machines. To see whether clipping works, log its return value, the norm before clipping: with a limit of 1.0
        and norms of 50 a working clip makes the loss curve visibly calmer. To measure only, call it with
        `max_norm=float("inf")`.
        """,
        ko="""
        기울기를 바꾸는 일은 모두 `backward()`와 `step()` 사이에 둡니다. 배율 되돌리기, 클리핑, 잡음 더하기, 여러 기계의 평균
        내기가 그렇습니다. 클리핑이 되는지 보려면 반환값인 클리핑 전 노름을 기록하세요. 한계가 1.0이고 노름이 50이면 클리핑이
        될 때 손실 곡선이 눈에 띄게 차분해집니다. 재기만 하려면 `max_norm=float("inf")`로 호출하세요.
        """,
    ),
    example={"function": "clip_grad_norm_", "optimizer": "optimizer"},
    bad="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(8):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    print(loss.item())
    """,
    good="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(8):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    print(loss.item())
    """,
    innocent=(
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
        body, head = nn.Linear(5, 5), nn.Linear(5, 1)
        slow = torch.optim.SGD(body.parameters(), lr=0.01)
        fast = torch.optim.SGD(head.parameters(), lr=0.1)
        for step in range(8):
            slow.zero_grad()
            fast.zero_grad()
            loss = nn.functional.mse_loss(head(torch.relu(body(inputs))), targets)
            loss.backward()
            fast.step()
            nn.utils.clip_grad_norm_(body.parameters(), 1.0)
            slow.step()
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
        model = nn.Linear(5, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(8):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(inputs), targets)
            loss.backward()
            optimizer.step()
            norm = nn.utils.clip_grad_norm_(model.parameters(), float("inf"))
            print(step, loss.item(), norm.item())
        """,
    ),
    search=(
        "clip_grad_norm_ before or after optimizer.step",
        "gradient clipping has no effect pytorch",
        "where to put clip_grad_norm_ in the training loop",
    ),
    links=("https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html",),
)

_USED = Text(en="has used the gradients here", ko="여기서 이미 기울기를 썼습니다")
_CLEARED = Text(en="clears what was clipped", ko="클리핑한 것을 여기서 지웁니다")
_COUNTED = Text(
    en="{late} of {calls} calls came after the step, and a clearing followed",
    ko="{calls}번의 호출 가운데 {late}번이 갱신 뒤였고 이어서 기울기가 지워졌습니다",
)
_MOVE = Text(en="clip before `{optimizer}.step()`", ko="`{optimizer}.step()` 앞에서 클리핑하기")
_UNLIMITED = r"\binf\b|1e\d{2}|1e[6-9]\b"


@rule.on(Run)
def had_no_effect(run: Run) -> Iterator[Diagnosis]:
    """Every call that was seen, but the last: nothing follows that."""
    for one in run.clips:
        if one.late < 3 or one.calls - one.late > 1 or not one.stepped_by:
            continue
        clip, step = event_at("clip", one.by), event_at("step", one.stepped_by)
        name = callee(one.by[0]).rpartition(".")[2]
        optimizer = receiver(one.stepped_by[0])
        if clip is None or step is None or not name or not optimizer:
            continue
        counted = _COUNTED.fill(late=one.late, calls=one.calls)
        evidence = [Evidence(counted, clip.at), Evidence(_USED, step.at)]
        if one.cleared_by:
            evidence.append(Evidence(_CLEARED, one.cleared_by[0].at))
        facts: dict[str, object] = {"function": name, "optimizer": optimizer}
        yield Diagnosis(rule, clip.at, facts, tuple(evidence))


@rule.on(Trace)
def has_no_effect(trace: Trace) -> Iterator[Diagnosis]:
    if has_other_duties(trace):
        return
    told = set()
    for timeline in timelines(trace):
        places: dict[object, list[Event]] = {}
        for clip in timeline.of("clip"):
            places.setdefault((clip.sites, clip.branches), []).append(clip)
        for clips in places.values():
            found = [_around(timeline, clip) for clip in clips]
            sure = [pair for pair in found if pair]
            is_last_open = found[-1] is None and len(found) == len(sure) + 1
            if sure and (len(sure) == len(found) or is_last_open) and clips[0].at not in told:
                told.add(clips[0].at)
                yield from _told(trace, clips[0], *sure[0])


def _around(timeline: Timeline, clip: Event) -> tuple[Event, Event] | None:
    """The step before it in the same round, and the clearing after it, if nothing else is near."""
    at = timeline.index[id(clip)]
    wanted = ("backward", "step", "zero_grad", "escape", "unscale")
    before = next((e for e in reversed(timeline.events[:at]) if e.kind in wanted), None)
    after = next((e for e in timeline.events[at + 1 :] if e.kind in wanted), None)
    if before is None or before.kind != "step" or after is None or after.kind != "zero_grad":
        return None
    if before.subject != after.subject or before.facts.get("escaped"):
        return None
    is_near = passes(before) == passes(clip) and bool(clip.loops) and is_sure(before, clip)
    own, held = numbers(clip, "holds"), numbers(before, "holds")
    others = {e.subject for e in timeline.of("step", "optimizer")} - {before.subject}
    is_own = not others or bool(own and own <= held)
    return (before, after) if is_near and is_own and is_sure(after, clip) else None


def _told(trace: Trace, clip: Event, step: Event, clearing: Event) -> Iterator[Diagnosis]:
    source = trace.source_of(clip.at)
    call = source.at(clip.at, ast.Call)
    optimizer = step.name
    if call is None or not optimizer or re.search(_UNLIMITED, source.code(call)):
        return
    facts: dict[str, object] = {
        "function": ast.unparse(call.func).rpartition(".")[2],
        "optimizer": optimizer,
    }
    moved = moved_before(trace, clip, step, behind=False)
    fixes = tuple(Fix(f.edits, _MOVE.fill(optimizer=optimizer)) for f in moved)
    evidence = (Evidence(_USED, step.at), Evidence(_CLEARED, clearing.at))
    yield Diagnosis(rule, clip.at, facts, evidence, fixes)
