"""The remedies of a plan that can be written into the user's own loop, as diffs that were tried: copies of the program make
a few steps on the CPU, with small batches, and their parameters are compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from torchmedic.fix.alike import STEPS, Compared, compared
from torchmedic.fix.child import Launch
from torchmedic.fix.memory_fixes import Mend, accumulated, autocasted
from torchmedic.fix.patch import parses, with_diff
from torchmedic.model import Edit, Fix, Text
from torchmedic.observed import Source, load
from torchmedic.observed.plan import Plan

SHORTEST, LONGEST = 15.0, 60.0  # seconds for the copies of one fix
SMALL = 64  # samples of a batch in the trial, or a few for each part
ROUNDING = 1e-3  # of the way that the parameters went
HALF = 0.3  # the same for bfloat16, which has 8 bits of mantissa

SAME = Text(
    en="verified: {steps} steps with batches of {size} and with {parts} times {part} samples lead to the same "
    "parameters within rounding ({apart} of their way){besides}",
    ko="검증됨: 배치 {size}개로, 그리고 {part}개씩 {parts}번으로 {steps}스텝을 진행한 파라미터가 반올림 오차 안에서 "
    "같습니다(이동 거리의 {apart}){besides}",
)
CLOSE = Text(
    en="verified: {steps} steps run, and the parameters stay close to those in float32 ({apart} of their way apart){besides}",
    ko="검증됨: {steps}스텝을 실행했고, 파라미터가 float32 결과와 가깝습니다(이동 거리의 {apart}){besides}",
)
NORM = Text(
    en="runs {steps} steps; not the same computation, since batch norm sees the parts of the batch ({apart} of the "
    "parameters' way apart)",
    ko="{steps}스텝을 실행합니다. batch norm이 나뉜 배치를 보므로 같은 계산은 아닙니다(파라미터 이동 거리의 {apart} 차이)",
)
NOT_TRIED = Text(
    en="not verified: copies of the program did not come to {steps} steps on the CPU",
    ko="검증 안 됨: 프로그램 사본이 CPU에서 {steps}스텝까지 가지 못했습니다",
)
_NO_DROPOUT = Text(", dropout left out", ". dropout은 뺐습니다")


class Place(NamedTuple):
    """Where the training loop begins."""

    path: str
    line: int


def fixes_of(plan: Plan, place: Place, launch: Launch | None) -> Iterator[Fix]:
    """`launch`: how to start the program for a trial, None to try nothing. A fix that isn't what it should be is left out."""
    source = load(place.path)
    if source is None or plan.batch_size is None:
        return
    limit = min(SHORTEST + 3 * launch.seconds, LONGEST) if launch else 0.0
    for mend, parts in _mends(plan, source, place.line, plan.batch_size):
        if not parses(mend.fix):
            continue
        with suppress(OSError, ValueError):
            fix = _tried(mend, parts, source, plan.batch_size, launch, limit)
            if fix is not None:
                yield with_diff(fix)


def _mends(plan: Plan, source: Source, line: int, batch: int) -> Iterator[tuple[Mend, int]]:
    """With the number of parts, 1 for autocast."""
    helpful = [one for one in plan.remedies if one.saved > 0]
    split = [
        one for one in helpful if one.name.startswith("accumulate") and batch % int(one.detail) == 0
    ]
    enough = [one for one in split if one.fits]
    parts = min((int(one.detail) for one in enough), default=0)
    parts = parts or max((int(one.detail) for one in split), default=0)
    mend = accumulated(source, line, parts, batch) if parts else None
    if mend is not None:
        yield mend, parts
    mend = autocasted(source, line) if any(one.name == "bf16" for one in helpful) else None
    if mend is not None:
        yield mend, 1


def _tried(
    mend: Mend, parts: int, source: Source, batch: int, launch: Launch | None, limit: float
) -> Fix | None:
    if launch is None:
        return mend.fix
    size = min(batch, parts * max(2, SMALL // parts))
    before = [source.replace(mend.size, str(size))]
    after: list[Edit] = [*mend.rest, source.replace(mend.size, str(size // parts))]
    found = compared(launch, before, after, limit)
    verdict = _verdict(found, parts, size)
    if verdict is None:
        return None
    is_verified, said = verdict
    return mend.fix._replace(verified=is_verified, verification=said)


def _verdict(found: Compared, parts: int, size: int) -> tuple[bool | None, Text] | None:
    """None for a fix that computes something else."""
    if not found.has_ended:
        return None, NOT_TRIED.fill(steps=STEPS)
    if found.apart is None:
        return None
    facts: dict[str, object] = {"steps": STEPS, "size": size, "parts": parts}
    facts |= {"part": size // parts, "apart": f"{found.apart:.1g}"}
    if found.apart <= (ROUNDING if parts > 1 else HALF):
        said = SAME if parts > 1 else CLOSE
        shown = [
            said.show("en", {**facts, "besides": _NO_DROPOUT.en if found.has_dropout else ""}),
            said.show("ko", {**facts, "besides": _NO_DROPOUT.ko if found.has_dropout else ""}),
        ]
        return True, Text(*shown)
    if parts > 1 and found.has_batch_norm:
        return None, NORM.fill(**facts)
    return None
