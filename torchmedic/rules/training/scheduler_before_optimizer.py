import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Rule, Severity, Span, Text
from torchmedic.observed import Source
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._activations import deleted
from torchmedic.rules._run import event as event_at
from torchmedic.rules._run import loop_around, receiver

rule = Rule(
    code="TM325",
    name="scheduler-before-optimizer",
    severity=Severity.WARNING,
    summary=Text(
        en="The scheduler steps before the optimizer, so the first learning rate is never used.",
        ko="스케줄러가 옵티마이저보다 먼저 진행해 첫 학습률이 쓰이지 않습니다.",
    ),
    title=Text(
        en="`{scheduler}.step()` before `{optimizer}.step()`: the first rate is skipped",
        ko="`{optimizer}.step()` 앞의 `{scheduler}.step()`: 첫 번째 학습률을 건너뜁니다",
    ),
    why=Text(
        en="""
        `{type}` sets the first learning rate when it is made, and each `{scheduler}.step()` sets the next one. Called
        at the beginning of the loop it moves on before the optimizer has made a step, so the schedule is
        one step ahead all the time. Since version 1.1 PyTorch expects the other order, and warns.
        """,
        ko="""
        `{type}` 스케줄러는 만들어질 때 첫 학습률을 정하고, `{scheduler}.step()` 호출마다 다음 값으로 넘어갑니다. 반복문
        맨 앞에서 호출하면 옵티마이저가 한 번도 진행하기 전에 넘어가므로 일정이 내내 한 단계 앞섭니다. PyTorch 1.1부터는
        반대 순서여야 하고, 아니면 경고가 나옵니다.
        """,
    ),
    help=Text(
        en="Call `{scheduler}.step()` behind `{optimizer}.step()`, at the end of the loop.",
        ko="`{scheduler}.step()` 호출은 반복문 끝, `{optimizer}.step()` 다음으로 옮기세요.",
    ),
    lesson=Text(
        en="""
        Print `scheduler.get_last_lr()` beside the loss in the first two rounds: the first value has to be the
        learning rate that the optimizer was made with. The order of a step is zero_grad, backward, optimizer.step,
        and once per epoch, or per batch for a schedule of batches, scheduler.step. Code from before 2019 has it
        at the beginning of the epoch.
        """,
        ko="""
        처음 두 번의 반복에서 손실과 함께 `scheduler.get_last_lr()`를 출력해 보세요. 첫 값은 옵티마이저를 만들 때 준
        학습률이어야 합니다. 순서는 zero_grad, backward, optimizer.step이고, scheduler.step은 에포크마다 한 번, 배치
        단위 일정이라면 배치마다 한 번 그 뒤에 옵니다. 2019년 이전 코드에는 에포크 맨 앞에 있습니다.
        """,
    ),
    example={"optimizer": "optimizer", "scheduler": "scheduler", "type": "StepLR"},
    bad="""
    import torch
    import torch.nn as nn

    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    for epoch in range(4):
        scheduler.step()
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        print(epoch, optimizer.param_groups[0]["lr"], loss.item())
    """,
    good="""
    import torch
    import torch.nn as nn

    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    for epoch in range(4):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        print(epoch, optimizer.param_groups[0]["lr"], loss.item())
        scheduler.step()
    """,
    innocent=(
        """
        import torch
        import torch.nn as nn

        torch.manual_seed(0)
        inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
        model = nn.Linear(5, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        by_epoch = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
        for epoch in range(4):
            if epoch > 0:
                by_epoch.step()
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(inputs), targets)
            loss.backward()
            optimizer.step()
            plateau.step(loss.item())
        """,
        """
        import torch
        import torch.nn as nn

        torch.manual_seed(0)
        inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
        model = nn.Linear(5, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=8)
        for _ in range(2):
            scheduler.step()  # continues behind two epochs of an earlier run
        for epoch in range(4):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(inputs), targets)
            loss.backward()
            optimizer.step()
            scheduler.step()
        """,
    ),
    search=(
        "Detected call of lr_scheduler.step() before optimizer.step()",
        "pytorch scheduler step order",
        "first value of the learning rate schedule is skipped",
    ),
    links=("https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate",),
)


_EARLY = Text(
    en="the first `{optimizer}.step()` came after it, here",
    ko="첫 `{optimizer}.step()` 호출은 그 뒤에 여기서 있었습니다",
)


@rule.on(Run)
def stepped_first(run: Run) -> Iterator[Diagnosis]:
    """One step ahead, in a loop that steps the optimizer too. More steps ahead of it go on behind an earlier run."""
    for one in run.schedules:
        if one.early != 1 or one.calls < 2 or one.has_epoch or not one.stepped_by:
            continue
        scheduled = event_at("scheduler_step", one.by)
        loop = loop_around(one.by[:1])
        if scheduled is None or loop is None or scheduled.branches:
            continue
        is_inside = any(
            s.at.path == loop.path and loop.line <= s.at.line <= loop.end_line
            for s in one.stepped_by
        )
        if is_inside:
            facts: dict[str, object] = {
                "scheduler": receiver(one.by[0]) or "scheduler",
                "optimizer": receiver(one.stepped_by[0]) or "optimizer",
                "type": one.type,
            }
            seen = Evidence(_EARLY.fill(**facts), one.stepped_by[0].at)
            yield Diagnosis(rule, scheduled.at, facts, (seen,))


@rule.on(Trace)
def before(trace: Trace) -> Iterator[Diagnosis]:
    if trace.frameworks:
        return
    seen = set()
    for index, event in enumerate(trace.events):
        if event.kind != "scheduler_step" or event.subject in seen:
            continue
        seen.add(event.subject)
        if event.branches or not event.loops or event.facts["has_argument"]:
            continue
        if event.facts["type"] in ("ReduceLROnPlateau", "SequentialLR", "ChainedScheduler"):
            continue
        optimizer = event.facts["optimizer"]
        steps = [e for e in trace.events[:index] if e.kind == "step"]
        if any(e.subject == optimizer or not e.facts.get("type") for e in steps):
            continue
        later = next((e for e in trace.events[index:] if _follows(e, event, optimizer)), None)
        if later is not None:
            yield _told(trace, event, later)


def _follows(step: Event, scheduled: Event, optimizer: object) -> bool:
    """A step of that optimizer in the same round of the same loop."""
    return (
        step.kind == "step"
        and step.subject == optimizer
        and not step.facts.get("escaped")
        and _rounds(step)[: len(scheduled.loops)] == _rounds(scheduled)
    )


def _rounds(event: Event) -> list[tuple[Span, int]]:
    return [(loop.at, loop.iteration) for loop in event.loops]


def _told(trace: Trace, event: Event, step: Event) -> Diagnosis:
    source = trace.source_of(event.at)
    facts: dict[str, object] = {
        "scheduler": event.name or "scheduler",
        "optimizer": step.name or "optimizer",
        "type": event.facts["type"],
    }
    text = Text(
        en="`{optimizer}.step()` comes here, later in the same round",
        ko="`{optimizer}.step()` 호출은 같은 반복 안에서 나중에 여기 있습니다",
    ).fill(**facts)
    fix = _moved(source, event)
    return Diagnosis(rule, event.at, facts, (Evidence(text, step.at),), (fix,) if fix else ())


def _moved(source: Source, event: Event) -> Fix | None:
    """The statement at the end of the loop's body, where every round comes to that end."""
    call = source.at(event.at, ast.Call)
    statement = source.statement(call) if call is not None else None
    loop = source.parent(statement) if statement is not None else None
    if not isinstance(statement, ast.Expr) or not isinstance(loop, (ast.For, ast.While)):
        return None
    leaves = (ast.Continue, ast.Break, ast.Return)
    if statement not in loop.body or any(isinstance(n, leaves) for n in ast.walk(loop)):
        return None
    gone = deleted(source, statement)
    if gone is None:
        return None
    here, last = source.span(statement), source.span(loop.body[-1])
    newline = "\r\n" if source.lines[0].endswith("\r\n") else "\n"
    end = len(source.line(last.end_line))
    text = f"{newline}{source.line(here.line)[: here.column]}{source.code(statement)}"
    added = Edit(Span(source.path, last.end_line, end, last.end_line, end), text)
    title = Text(en="move `{code}` to the loop's end", ko="`{code}` 문장을 반복문 끝으로 옮기기")
    return Fix((gone, added), title.fill(code=source.code(statement)))
