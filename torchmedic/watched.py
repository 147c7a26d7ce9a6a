"""`torchmedic checklist SCRIPT --run ARGS…`: the program is run once, and what that showed answers what the source could not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from torchmedic import silent
from torchmedic.engine import diagnose
from torchmedic.evidence import Answer
from torchmedic.model import Diagnosis, Text
from torchmedic.observed.run import Run
from torchmedic.rules._roles import Roles

PASSED = Text("in the run: {count} calls of `{model}` went through", "실행에서 `{model}` 호출 {count}번이 끝까지 갔습니다")  # fmt: skip
CLEARED = Text(
    "in the run: no step of {count} found gradients that were used before",
    "실행에서 {count}번의 갱신 가운데 이미 쓰인 기울기를 쓴 적이 없습니다",
)
ENDED = Text("the run went to its end: {count} steps", "실행이 끝까지 갔습니다. 갱신 {count}번")
IN_EVALUATION = Text(
    "in the run: {count} calls that evaluate, all in evaluation mode",
    "실행에서 평가하는 호출 {count}번이 모두 평가 모드였습니다",
)
WITHOUT_GRAPH = Text(
    "in the run: {count} calls that evaluate, none with gradients on",
    "실행에서 평가하는 호출 {count}번이 모두 기울기를 기록하지 않았습니다",
)


class Watched(NamedTuple):
    """What one run showed. `status` is the program's own; `is_whole`: it did not crash."""

    run: Run
    found: tuple[Diagnosis, ...]
    status: int
    is_whole: bool

    def answer(self, key: str) -> Answer | None:
        """What shows that a box is right; None where the run shows nothing."""
        ask = _ANSWERS.get(key)
        return ask(self) if ask is not None else None


def watched(script: str, arguments: tuple[str, ...]) -> Watched:
    """Runs the script as `python` would. Raises LaunchError if it can't be started."""
    from torchmedic.probes import launch
    from torchmedic.probes.crash import read_error
    from torchmedic.probes.record import Recorder

    observer = silent.observer()
    recorder = Recorder(observer)
    program = launch.Program.parse(("--", script, *arguments))
    found: list[Diagnosis] = []
    crashes: list[BaseException] = []

    def on_crash(error: BaseException) -> None:
        crashes.append(error)
        found.extend(diagnose(read_error(error, recorder), lambda rule, failure: None))

    words = list(sys.argv)
    with suppress(Exception):
        recorder.install()
    try:
        status = launch.run(program, on_crash, on_crash)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.argv[:] = words
        recorder.uninstall()
    run = observer.read()
    if observer.error is None:
        found += silent.found_in(run, lambda rule, error: None)
    return Watched(run, tuple(found), status, not crashes)


def _passed(watched: Watched) -> Answer | None:
    """No layer refused its input in any call."""
    calls = [f for f in watched.run.forwards if not f.owner]
    if not watched.is_whole or not calls:
        return None
    first = max(calls, key=lambda f: f.calls)
    count = sum(f.calls for f in calls if f.root == first.root)
    return PASSED.fill(count=count, model=first.type), first.by[0].at


def _cleared(watched: Watched) -> Answer | None:
    own = [o for o in watched.run.optimizers if o.steps > 1 and not o.owner and o.stepped_by]
    if not own or any(o.stale for o in own):
        return None
    return CLEARED.fill(count=sum(o.steps for o in own)), own[0].stepped_by[0].at


def _ended(watched: Watched) -> Answer | None:
    own = [o for o in watched.run.optimizers if o.stepped_by]
    if not watched.is_whole or not watched.run.steps or not own:
        return None
    return ENDED.fill(count=watched.run.steps), own[0].stepped_by[0].at


def _evaluated(watched: Watched) -> Answer | None:
    places = list(Roles(watched.run).places("evaluate"))
    if not places or any(f.in_training for place in places for f in place.forwards):
        return None
    return IN_EVALUATION.fill(count=sum(p.calls for p in places)), places[0].at


def _without_graph(watched: Watched) -> Answer | None:
    places = list(Roles(watched.run).places("evaluate"))
    if not places or any(f.with_grad for place in places for f in place.forwards):
        return None
    return WITHOUT_GRAPH.fill(count=sum(p.calls for p in places)), places[0].at


_ANSWERS: dict[str, Callable[[Watched], Answer | None]] = {
    "dtypes": _passed,
    "features": _passed,
    "flatten": _passed,
    "dimensions": _passed,
    "zero_grad": _cleared,
    "memory": _ended,
    "eval": _evaluated,
    "no_grad": _without_graph,
}
