"""The plan of a step that died for want of a card's memory: what it takes, the batch that would fit, and what saves most.

The user's own loop is replayed without memory, from the frames that the traceback holds. Whatever prevents that costs the
plan, never the report.
"""

from __future__ import annotations

import re
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from torchmedic.fix.child import Launch
from torchmedic.model import LANGS, Diagnosis, Evidence, Fix, Table, Text
from torchmedic.observed import Failure
from torchmedic.observed.plan import Card, Change, NotReplayable, Plan, Step
from torchmedic.plan_fixes import Place, fixes_of
from torchmedic.planned import planned
from torchmedic.planning.amounts import amount
from torchmedic.planning.cards import with_memory
from torchmedic.planning.options import options_of
from torchmedic.planning.report import CATEGORIES, plain_plan
from torchmedic.planning.report_remedies import SETTINGS, grown, title_of

CODE = "TM301"
SECONDS = 20.0  # for all of it
FOR_REMEDIES = 0.5  # of the time
LEAST = 0.3  # seconds that a replay is begun with
MOST_LOOPS = 3
MOST_REMEDIES = 8
_SIZE = r"([\d.]+ [KMGT]iB)"
_ON_CARD = ("CUDA", "HIP", "CUBLAS", "CUDNN")

NEEDS = Text(
    en="replayed without memory, this step takes {allocated} at its peak{batch}, in {phase}; the card has {usable} for it",
    ko="메모리 없이 다시 실행해 보면 이 스텝은 최대{batch} {allocated} 크기가 필요합니다({phase}). 카드에서 쓸 수 있는 "
    "메모리는 {usable} 크기입니다",
)
SHOULD_FIT = Text(
    en="replayed without memory, this step takes {allocated} at its peak{batch}, which should fit into {usable}: look for "
    "other programs on the card, and for what earlier steps left behind",
    ko="메모리 없이 다시 실행해 보면 이 스텝은 최대{batch} {allocated} 크기로, {usable} 크기에 들어가야 합니다. 카드를 쓰는 "
    "다른 프로그램과 앞선 스텝이 남긴 것을 찾아보세요",
)
_BATCH = Text("with a batch of {size}", "배치 {size}개로")
_LARGEST = Text(
    en="the largest batch that fits is {fits} ({does_not} does not; both simulated)",
    ko="들어가는 가장 큰 배치는 {fits}개입니다({does_not}개는 들어가지 않음. 둘 다 시뮬레이션)",
)
_NONE = Text("not even one sample fits", "샘플 하나도 들어가지 않습니다")
_WHAT, _SIZES = Text("at the peak", "최대 시점"), Text("size", "크기")
_SAVES = Text("what would save memory, each simulated", "메모리를 줄이는 방법(각각 시뮬레이션)")
_CHANGE, _SAVED = Text("change", "바꿀 것"), Text("saves", "줄어드는 양")
_FITS = Text("then it", "그러면")
_DOES, _DOES_NOT = Text("fits", "들어감"), Text("does not fit", "들어가지 않음")
ASK = Text(
    en="`{command}` runs the first step on the CPU, then tells what a step takes, and what would make it fit",
    ko="`{command}` 명령은 첫 스텝을 CPU에서 실행한 뒤, 스텝에 필요한 메모리와 줄이는 방법을 알려 줍니다",
)


def with_plan(
    diagnosis: Diagnosis,
    failure: Failure,
    error: BaseException,
    words: Sequence[str],
    cwd: str,
    environment: Mapping[str, str],
    seconds: float = SECONDS,
    launch: Launch | None = None,
) -> Diagnosis:
    """The diagnosis with the plan in its evidence and facts, or with the command that would tell it.

    `launch`: to try the fixes of the loop.
    """
    card = _card(diagnosis, failure)
    if card is None:
        return diagnosis
    found = None
    with suppress(NotReplayable, ValueError):
        found = _plan(error, card, environment, seconds)
    if found is None:
        said = _advice(words, card)
        return diagnosis._replace(evidence=(*diagnosis.evidence, *said))
    plan, place = found
    facts = {**diagnosis.facts, "plan": plain_plan(plan, cwd)}
    fixes = [fix for fix in diagnosis.fixes if not _is_too_large(fix, plan)]
    if not plan.fits:
        fixes += fixes_of(plan, place, launch and replace(launch, is_on_cpu=True))
    evidence = (*diagnosis.evidence, *_told(plan, cwd))
    return diagnosis._replace(facts=facts, evidence=evidence, fixes=tuple(fixes))


def _is_too_large(fix: Fix, plan: Plan) -> bool:
    """A batch size that the rule proposed from one tensor, and that does not fit by the whole step."""
    size = fix.edits[0].text if len(fix.edits) == 1 else ""
    return plan.largest is not None and size.isdecimal() and int(size) > plan.largest.fits


def _card(diagnosis: Diagnosis, failure: Failure) -> Card | None:
    """The card of the message, with what this process could have of it. None where no card is said to be full."""
    message = failure.message
    if diagnosis.rule.code != CODE or not any(word in message for word in _ON_CARD):
        return None
    total = str(diagnosis.facts.get("total") or failure.memory.get("device_total") or "")
    try:
        card = with_memory(total)
    except ValueError:
        return None
    cuda: Any = getattr(sys.modules.get("torch"), "cuda", None)
    with suppress(Exception):
        if cuda.is_initialized():
            card = card._replace(capability=tuple(cuda.get_device_capability()))
    usable = min(card.usable, *_limits(message)) if _limits(message) else card.usable
    return card._replace(name=f"GPU {diagnosis.facts.get('gpu', 0)}", usable=usable)


def _limits(message: str) -> list[int]:
    """What the process may have, in bytes: what is free and what it holds, or what it allowed itself."""
    free = _read(rf"of which {_SIZE} is free", message)
    held = _read(rf"{_SIZE} is allocated by PyTorch", message)
    cached = _read(rf"{_SIZE} is reserved by PyTorch but unallocated", message)
    allowed = _read(rf"{_SIZE} allowed", message)
    found = [allowed] if allowed is not None else []
    if free is not None and held is not None:
        found.append(free + held + (cached or 0))
    return found


def _read(pattern: str, message: str) -> int | None:
    from torchmedic.planning.cards import amount_of

    found = re.search(pattern, message)
    return amount_of(found[1]) if found else None


def _plan(
    error: BaseException, card: Card, environment: Mapping[str, str], seconds: float
) -> tuple[Plan, Place] | None:
    """And where its loop begins. Raises NotReplayable, and ValueError for settings of the allocator that PyTorch refuses."""
    torch: Any = sys.modules.get("torch")
    if torch is None or (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return None
    from torchmedic.probes.planner.crashed import CrashedLoop, crashed_loops

    options = options_of(environment)
    until = time.monotonic() + seconds
    search_until = until - seconds * FOR_REMEDIES
    reason = NotReplayable("no training loop is in the traceback")
    for number, loop in enumerate(crashed_loops(error, card.capability, seconds)):
        if number >= MOST_LOOPS:
            break

        def replayed(size: int | None, loop: CrashedLoop = loop) -> Step:
            loop.seconds = _left(until if size is None else search_until)
            return loop(size)

        def changes(step: Step, loop: CrashedLoop = loop) -> Iterator[Change]:
            for change in loop.changes(step):
                with suppress(NotReplayable):
                    loop.seconds = _left(until)
                    yield change

        try:
            plan = planned(replayed, None, card, options, True, changes)
            return plan, Place(*loop.at)
        except NotReplayable as failed:
            reason = failed
    raise reason


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left < LEAST:
        raise NotReplayable("no time is left")
    return left


def _told(plan: Plan, cwd: str) -> Iterator[Evidence]:
    batch = _BATCH.fill(size=plan.batch_size or 0)
    needs = SHOULD_FIT if plan.fits else NEEDS
    moment, usable = plan.moment, plan.card.usable if plan.card else 0
    said = [
        needs.show(
            lang,
            {
                "allocated": amount(plan.allocated),
                "batch": f" {batch.show(lang)}" if plan.batch_size else "",
                "usable": amount(usable),
                "phase": moment.phase if moment else "",
            },
        )
        for lang in LANGS
    ]
    at = moment.site.at if moment and moment.site else None
    rows = tuple((CATEGORIES[name], amount(size)) for name, size in plan.by_category if size)
    yield Evidence(Text(*said), at, Table((_WHAT, _SIZES), rows))
    found = plan.largest
    if found is not None and not found.fits:
        yield Evidence(_NONE)
    elif found is not None and found.does_not is not None:
        yield Evidence(_LARGEST.fill(fits=f"{found.fits:,}", does_not=f"{found.does_not:,}"))
    if plan.growth is not None:
        yield Evidence(Text(grown(plan.growth, "en", cwd), grown(plan.growth, "ko", cwd)))
    helpful = [one for one in plan.remedies if one.saved > 0 and one.name not in SETTINGS]
    changed = tuple(
        (title_of(one), amount(one.saved), _DOES if one.fits else _DOES_NOT)
        for one in helpful[:MOST_REMEDIES]
    )
    if changed and not plan.fits:
        yield Evidence(_SAVES, table=Table((_CHANGE, _SAVED, _FITS), changed))


def _advice(words: Sequence[str], card: Card) -> tuple[Evidence, ...]:
    if not words or words[0] in ("-", "-c"):
        return ()
    said = f"torchmedic plan --memory {card.total >> 20}MiB {shlex.join(words)}"
    return (Evidence(ASK.fill(command=said.replace("{", "{{").replace("}", "}}"))),)
