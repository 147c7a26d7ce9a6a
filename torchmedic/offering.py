"""`run --fix`: the verified fix is shown, agreed to, applied."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from torchmedic.console import emit
from torchmedic.model import Text

if TYPE_CHECKING:
    from torchmedic.render import Report
    from torchmedic.session import Options


def offer_fix(report: Report, options: Options) -> None:
    """Applies the best verified fix after its diff was shown: asks on a terminal, needs `--yes` elsewhere."""
    from torchmedic.fix.patch import write

    best = next((f for d in report.diagnoses for f in d.fixes if f.verified), None)
    if best is None:
        emit(NOTHING_VERIFIED.show(options.lang) + "\n", sys.stderr)
        return
    if not options.yes and not _agreed(options):
        emit(NOT_APPLIED.show(options.lang) + "\n", sys.stderr)
        return
    try:
        write(best)
    except OSError as error:
        emit(CANNOT_WRITE.fill(reason=error).show(options.lang) + "\n", sys.stderr)
        return
    emit(APPLIED.show(options.lang) + "\n", sys.stderr)


def _agreed(options: Options) -> bool:
    if not (sys.stdin and sys.stdin.isatty()):
        return False
    emit(ASK.show(options.lang) + " ", sys.stderr)
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes", "예", "네")
    except (OSError, KeyboardInterrupt):
        return False


ASK = Text(en="Apply this fix? [y/N]", ko="이 수정을 적용할까요? [y/N]")
APPLIED = Text(en="torchmedic: the fix was applied.", ko="torchmedic: 수정을 적용했습니다.")
NOT_APPLIED = Text(
    en="torchmedic: no file was changed. Add `--yes` to apply the fix without being asked.",
    ko="torchmedic: 파일을 바꾸지 않았습니다. 묻지 않고 적용하려면 `--yes` 옵션을 쓰세요.",
)
NOTHING_VERIFIED = Text(
    en="torchmedic: no file was changed, because no fix was verified.",
    ko="torchmedic: 검증된 수정안이 없어 파일을 바꾸지 않았습니다.",
)
CANNOT_WRITE = Text(
    en="torchmedic: the fix could not be written: {reason}",
    ko="torchmedic: 수정을 저장하지 못했습니다: {reason}",
)
