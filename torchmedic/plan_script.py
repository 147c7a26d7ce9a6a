"""`torchmedic plan SCRIPT`: the script runs up to its first training step; its next two are replayed without memory."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from torchmedic.console import emit, in_one_line, terminal_width, use_colour, write_output
from torchmedic.fix.child import Launch
from torchmedic.mending import launch_of
from torchmedic.model import Fix, Lang, Text
from torchmedic.observed.plan import Card, NotReplayable, Plan, Ranks, Step
from torchmedic.observed.plan_notes import ENDED
from torchmedic.planned import CAPABILITY, SECONDS, planned
from torchmedic.planning.options import Options, options_of
from torchmedic.planning.report import WIDTH, as_plain, render
from torchmedic.planning.report_fixes import fixes_as_text, plain_fixes
from torchmedic.planning.snapshot import snapshot
from torchmedic.render import shown_path

if TYPE_CHECKING:
    from torchmedic.observed.plan_inputs import Input
    from torchmedic.probes.planner.script import Capture, Loop

REFUSED = Text(
    en="this step can't be replayed: {reason}{place}",
    ko="이 스텝은 다시 실행할 수 없습니다: {reason}{place}",
)
TOO_LATE = Text(
    en="no training step was reached within {limit} s (--limit)",
    ko="{limit}초 안에 학습 스텝에 이르지 못했습니다(--limit)",
)
NO_STEP = Text(
    en="the program ended before an optimizer had taken a step: there is nothing to plan",
    ko="optimizer가 한 스텝도 진행하기 전에 프로그램이 끝났습니다. 예측할 것이 없습니다",
)


class Wish(NamedTuple):
    """The options of the command. `batch_size` None: as the program draws it. `remedies` None: if it doesn't fit.

    `inputs`: of a batch that stands for the program's data, () for its own. `limit`: seconds to the first step.
    """

    form: str = "text"
    output: str | None = None
    lang: Lang = "en"
    card: Card | None = None
    batch_size: int | None = None
    search: bool = True
    snapshot: str | None = None
    remedies: bool | None = None
    ranks: Ranks | None = None
    inputs: tuple[Input, ...] = ()
    limit: float = 600.0


def run(words: Sequence[str], wish: Wish) -> int:
    """2 if no training step was reached, or it can't be replayed; one sentence says why. Raises LaunchError for words
    that name no program, and OptionError for settings of the allocator that PyTorch refuses."""
    options = options_of(os.environ)
    from torchmedic.probes import launch
    from torchmedic.probes.cuda_as_cpu import HIDDEN

    os.environ.update(HIDDEN)
    from torchmedic.probes.planner.script import Capture, end_parent

    program = launch.Program.parse(words)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
    os.dup2(2, 1)  # what the program prints is no part of the plan
    cwd = os.getcwd()

    started, environment = time.monotonic(), dict(os.environ)

    def launched() -> Launch:
        found = launch_of(words, cwd, environment, time.monotonic() - started)
        return replace(found, is_on_cpu=True)

    def on_step(loop: Loop) -> None:
        try:
            status = _tell(loop, wish, options, out, cwd, launched)
        except Exception as error:
            emit(
                f"torchmedic failed while planning ({in_one_line(error)}). Please report it.\n",
                sys.stderr,
            )
            status = 2
        out.close()
        end_parent(status)

    capability = wish.card.capability if wish.card else CAPABILITY
    capture = Capture(on_step, capability, SECONDS, wish.ranks)
    capture.install()
    if wish.inputs:
        from torchmedic.probes.planner import made

        made.install(wish.inputs)
    alarm = threading.Timer(wish.limit, _give_up, (capture, wish))
    alarm.daemon = True
    alarm.start()
    status = 0
    try:
        status = launch.run(program, lambda error: None)
    finally:
        if capture.child is not None:
            capture.child.fail(NotReplayable(ENDED))
    if status == 0:
        emit(f"torchmedic: {NO_STEP.show(wish.lang)}\n", sys.stderr)
    return status or 2


def _give_up(capture: Capture, wish: Wish) -> None:
    """In a thread of its own. Once the first step is over, each replay has a limit of its own."""
    if not capture.is_over:
        emit(f"torchmedic: {TOO_LATE.fill(limit=f'{wish.limit:g}').show(wish.lang)}\n", sys.stderr)
        os._exit(2)


def _tell(
    loop: Loop,
    wish: Wish,
    options: Options,
    out: object,
    cwd: str,
    launched: Callable[[], Launch],
) -> int:
    kept: list[Step] = []

    def replayed(size: int | None) -> Step:
        step = loop(size)
        kept[:] = kept or [step]
        return step

    try:
        changes = loop.changes if wish.remedies is not False else None
        always = wish.remedies is True
        plan = planned(replayed, wish.batch_size, wish.card, options, wish.search, changes, always)
    except NotReplayable as error:
        at = error.site.at if error.site else None
        place = f" ({shown_path(at.path, cwd)}:{at.line})" if at else ""
        refused = REFUSED.fill(reason=error.said, place=place).show(wish.lang)
        emit(f"torchmedic: {refused}\n", sys.stderr)
        return 2
    try:
        if wish.snapshot is not None:
            limit = wish.card.usable if wish.card and not plan.fits else None
            with open(os.path.join(cwd, wish.snapshot), "wb") as file:
                file.write(snapshot(kept[0], limit, options))
        fixes = _fixes(plan, loop, launched)
        text = _shown(plan, wish, kept[0], cwd, out, fixes)
        if wish.output is None:
            emit(text, out)
        else:
            write_output(wish.output, text, cwd)
    except OSError as error:
        emit(f"torchmedic: cannot write: {error}\n", sys.stderr)
        return 2
    return 0


def _fixes(plan: Plan, loop: Loop, launched: Callable[[], Launch]) -> tuple[Fix, ...]:
    """Of the user's own loop, tried. Without them the plan is told all the same."""
    if not plan.remedies or loop.at is None:
        return ()
    from torchmedic.plan_fixes import Place, fixes_of

    with suppress(Exception):
        return tuple(fixes_of(plan, Place(*loop.at), launched()))
    return ()


def _shown(
    plan: Plan, wish: Wish, step: Step, cwd: str, out: object, fixes: tuple[Fix, ...]
) -> str:
    if wish.form == "json":
        plain = {**as_plain(plan, step, cwd), "fixes": plain_fixes(fixes, wish.lang)}
        return json.dumps(plain, ensure_ascii=False, indent=2) + "\n"
    if wish.output is not None:
        return render(plan, wish.lang, WIDTH, False, cwd) + fixes_as_text(fixes, wish.lang, WIDTH)
    width = min(terminal_width(out), WIDTH)
    told = render(plan, wish.lang, width, use_colour(out), cwd)
    return told + fixes_as_text(fixes, wish.lang, width)
