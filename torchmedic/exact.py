"""What a failed check on the GPU was about: the program runs once more in a copy, on the CPU, where errors are exact."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from torchmedic.engine import diagnose
from torchmedic.fix.again import crash_of
from torchmedic.fix.child import Launch
from torchmedic.model import Diagnosis, Evidence, Text
from torchmedic.observed import Failure

LONGEST = 300.0  # seconds; a program that took longer on the GPU gets there on no CPU in a time to wait for
WAITING = Text(
    en="torchmedic: executing a copy on the CPU, where the error is exact …",
    ko="torchmedic: 오류가 정확히 나타나는 CPU에서 복사본을 실행하는 중입니다 …",
)
_FOUND = Text(
    en="found by running the program once more on the CPU; the GPU reported it here, which may be later",
    ko="프로그램을 CPU에서 한 번 더 실행해 찾았습니다. GPU는 여기에서 알렸고, 잘못된 줄보다 뒤일 수 있습니다",
)
_FOUND_HERE = Text(
    en="found by running the program once more on the CPU; the GPU reported it at the same line",
    ko="프로그램을 CPU에서 한 번 더 실행해 찾았습니다. GPU도 같은 줄에서 알렸습니다",
)
# The rules about what kernels check. Another error of the copy says nothing of this one.
_CHECKED = {
    "class-label-out-of-range",
    "embedding-index-out-of-range",
    "tensor-index-out-of-range",
    "sampling-probabilities-invalid",
    "binary-loss-refused",
}


class Exact(NamedTuple):
    """The copy's failure, in the places of the user's own files, and the launch that its fixes are to be tried with."""

    failure: Failure
    found: tuple[Diagnosis, ...]
    launch: Launch


def exact(failure: Failure, launch: Launch, limit: float) -> Exact | None:
    """None if the copy doesn't fail at such a check within `limit` seconds."""
    on_cpu = replace(launch, is_on_cpu=True)
    crash = crash_of(on_cpu, limit)
    found = tuple(diagnose(crash, lambda rule, error: None)) if crash is not None else ()
    if crash is None or not found or found[0].rule.name not in _CHECKED:
        return None
    first, *rest = found
    here, there = failure.raised_at, crash.raised_at
    is_same = here is not None and there is not None and here[:2] == there[:2]
    said = Evidence(_FOUND_HERE) if is_same else Evidence(_FOUND, here)
    return Exact(crash, (first._replace(evidence=(*first.evidence, said)), *rest), on_cpu)
