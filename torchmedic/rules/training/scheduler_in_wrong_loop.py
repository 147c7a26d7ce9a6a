from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Text, Variant
from torchmedic.observed.run import Run
from torchmedic.rules._run import called, receiver
from torchmedic.rules._statements import Loop, put_after, taken_out

if TYPE_CHECKING:
    from torchmedic.observed.failure import Site
    from torchmedic.observed.run_memory import ScheduleRun

SELDOM = 8  # times as many optimizer steps as steps of the scheduler
TURNS = 4  # through all of `T_max`
FEWEST = 3  # epochs
GONE = 1e-3  # of the rate at the beginning

rule = Rule(
    code="TM349",
    name="scheduler-in-wrong-loop",
    severity=Severity.ERROR,
    summary=Text(
        en="A scheduler that counts batches steps once an epoch, or one that counts epochs steps with each batch.",
        ko="배치를 세는 스케줄러가 에포크마다 한 번 갱신되거나, 에포크를 세는 스케줄러가 배치마다 갱신됩니다.",
    ),
    title=Text(
        en="`{scheduler}` is made for {total} steps and was stepped {calls} times",
        ko="`{scheduler}` 스케줄러는 {total}단계로 만들었지만 {calls}번만 갱신되었습니다",
    ),
    why=Text(
        en="""
        A scheduler counts the calls of its `step` and knows nothing else of the training. Called once an epoch, it has come
        only {calls} of {total} steps far at the end: the learning rate is still near the beginning of its curve.
        """,
        ko="""
        스케줄러는 `step` 호출만 세며 학습이 어디까지 왔는지는 모릅니다. 에포크마다 한 번만 부르면 끝날 때까지 {total}단계 가운데
        {calls}단계만 지나므로, 학습률은 여전히 곡선의 처음 근처에 있습니다.
        """,
    ),
    help=Text(
        en="Call `{scheduler}.step()` behind each step of the optimizer.",
        ko="옵티마이저가 갱신할 때마다 바로 뒤에 `{scheduler}.step()` 호출을 두세요.",
    ),
    lesson=Text(
        en="""
        Decide what one step of the scheduler is. `OneCycleLR` and warm-ups count optimizer steps: call them in the loop
        over batches, with `total_steps = epochs * len(loader)`. `StepLR`, `MultiStepLR` and `CosineAnnealingLR` count
        whatever you count in their arguments: epochs in most recipes. To check: print `scheduler.get_last_lr()` once an epoch;
        the last one must be the end of the curve that you had in mind.
        """,
        ko="""
        스케줄러의 한 단계가 무엇인지 먼저 정하세요. `OneCycleLR`과 웜업은 옵티마이저 갱신을 세므로 배치 반복문 안에서 부르고
        `total_steps = epochs * len(loader)`로 만드세요. `StepLR`, `MultiStepLR`, `CosineAnnealingLR`은 인자에서 센 것을 세며
        대개 에포크입니다. 확인하려면 에포크마다 `scheduler.get_last_lr()` 값을 출력하세요. 마지막 값이 생각한 곡선의 끝이어야
        합니다.
        """,
    ),
    variants=(
        Variant(
            "cycles",
            Text(
                en="`{scheduler}` is made for {total} epochs and was stepped {calls} times",
                ko="`{scheduler}` 스케줄러는 {total}에포크로 만들었지만 {calls}번 갱신되었습니다",
            ),
            why=Text(
                en="""
                A scheduler counts the calls of its `step` and knows nothing else of the training. Called with each batch,
                `CosineAnnealingLR` is at its lowest rate after {total} batches, goes up again, and down, {turns} times.
                """,
                ko="""
                스케줄러는 `step` 호출만 세며 학습이 어디까지 왔는지는 모릅니다. 배치마다 부르면 `CosineAnnealingLR`은 배치 {total}개
                뒤에 가장 낮은 학습률에 이르고, 다시 올라갔다 내려가기를 {turns}번 되풀이합니다.
                """,
            ),
            help=Text(
                en="Call `{scheduler}.step()` once an epoch, behind the loop over batches.",
                ko="`{scheduler}.step()` 호출을 배치 반복문 뒤로 옮겨 에포크마다 한 번만 하세요.",
            ),
        ),
        Variant(
            "gone",
            Text(
                en="`{scheduler}` steps each batch: epoch 1 took the rate to {share} of its start",
                ko="`{scheduler}` 스케줄러가 배치마다 갱신되어 첫 에포크에 학습률이 처음의 {share}배가 되었습니다",
            ),
            why=Text(
                en="""
                A scheduler counts the calls of its `step` and knows nothing else of the training. Its numbers fit the
                {epochs} epochs, but it counted {calls} batches: from the second epoch on nearly nothing is learned.
                """,
                ko="""
                스케줄러는 `step` 호출만 세며 학습이 어디까지 왔는지는 모릅니다. 인자는 에포크 {epochs}번에 맞지만 배치 {calls}개를
                세었습니다. 두 번째 에포크부터는 거의 배우지 못합니다.
                """,
            ),
            help=Text(
                en="Call `{scheduler}.step()` once an epoch, behind the loop over batches.",
                ko="`{scheduler}.step()` 호출을 배치 반복문 뒤로 옮겨 에포크마다 한 번만 하세요.",
            ),
        ),
    ),
    example={"calls": "4", "scheduler": "scheduler", "total": "48"},
    bad="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    inputs = torch.randn(96, 4)
    targets = inputs.sum(dim=1, keepdim=True)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    batches = list(zip(inputs.split(8), targets.split(8)))
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=4 * len(batches))
    for epoch in range(4):
        for batch, wanted in batches:
            loss = nn.functional.mse_loss(model(batch), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
    """,
    good="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    inputs = torch.randn(96, 4)
    targets = inputs.sum(dim=1, keepdim=True)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    batches = list(zip(inputs.split(8), targets.split(8)))
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=4 * len(batches))
    for epoch in range(4):
        for batch, wanted in batches:
            loss = nn.functional.mse_loss(model(batch), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    """,
    innocent=(
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs = torch.randn(96, 4)
        targets = inputs.sum(dim=1, keepdim=True)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=5)
        for epoch in range(4):
            for batch, wanted in zip(inputs.split(8), targets.split(8)):
                loss = nn.functional.mse_loss(model(batch), wanted)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            scheduler.step()
        """,
        """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset

        torch.manual_seed(0)
        inputs = torch.randn(96, 4)
        loader = DataLoader(TensorDataset(inputs, inputs.sum(dim=1, keepdim=True)), 4, shuffle=True)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12)
        for epoch in range(4):
            for batch, wanted in loader:
                loss = nn.functional.mse_loss(model(batch), wanted)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
        """,
        """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset

        torch.manual_seed(0)
        inputs = torch.randn(96, 4)
        loader = DataLoader(TensorDataset(inputs, inputs.sum(dim=1, keepdim=True)), 4, shuffle=True)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.98)
        for epoch in range(4):
            for batch, wanted in loader:
                loss = nn.functional.mse_loss(model(batch), wanted)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
        """,
    ),
    search=(
        "OneCycleLR step every batch or every epoch",
        "scheduler.step() inside or outside batch loop",
        "CosineAnnealingLR T_max epochs or iterations",
        "learning rate drops to zero in first epoch StepLR",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate",
        "https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html",
    ),
)

_MADE = Text(
    en="`{type}` is made for {total} steps here", ko="여기서 `{type}` 값을 {total}단계로 만듭니다"
)
_TYPE = Text(en="`{type}` is made here", ko="여기서 `{type}` 값을 만듭니다")
_RATES = Text(
    en="{steps} optimizer steps; the rate went from {first} to {last}",
    ko="옵티마이저 갱신 {steps}번, 학습률은 {first} 값에서 {last} 값으로",
)
_INTO = Text(en="step with each batch", ko="배치마다 갱신하기")
_OUT = Text(en="step once an epoch", ko="에포크마다 한 번 갱신하기")


@rule.on(Run)
def counts_otherwise(run: Run) -> Iterator[Diagnosis]:
    stepped = [o for o in run.optimizers if o.has_stepped]
    if not run.is_at_rest or len(stepped) != 1 or stepped[0].owner or stepped[0].is_closure:
        return
    epochs = _epochs(run)
    for one in run.schedules:
        if one.owner or one.has_epoch or one.early or not one.made_by or not one.stepped_by:
            continue
        facts: dict[str, object] = {
            "scheduler": receiver(one.by[0]) or "scheduler",
            "type": one.type,
            "calls": one.total,
        }
        found = _seldom(one, run.steps) or _often(one, run.steps, epochs)
        if found is None:
            continue
        name, numbers = found
        facts |= numbers
        first, last = (f"{rate:.3g}" for rate in one.rates)
        told = _RATES.fill(steps=run.steps, first=first, last=last)
        made = (_MADE if name == "" else _TYPE).fill(**facts)
        evidence = (Evidence(made, one.made_by[0].at), Evidence(told, one.stepped_by[0].at))
        fixes = _moved(one.by[0], one.stepped_by[0], is_inwards=name == "")
        variant = rule.variant(name) if name else None
        yield Diagnosis(rule, one.by[0].at, facts, evidence, fixes, variant=variant)


Found = tuple[str, dict[str, object]]


def _seldom(one: ScheduleRun, steps: int) -> Found | None:
    """Made for exactly the optimizer steps of the run, and stepped at most at every eighth of them."""
    total = one.numbers.get("total_steps" if one.type == "OneCycleLR" else "T_max")
    if total != steps or one.total < 2 or SELDOM * one.total > steps:
        return None
    if one.type == "OneCycleLR" or (one.type == "CosineAnnealingLR" and _is_of_batches(one)):
        return "", {"total": total}
    return None


def _often(one: ScheduleRun, steps: int, epochs: int) -> Found | None:
    """Stepped with the optimizer, while its numbers fit the epochs, and what comes of it can't be meant."""
    if epochs < FEWEST or abs(one.total - steps) > max(1, steps // 20):
        return None
    first, last = one.rates
    a_epoch = steps // epochs
    gamma, size = one.numbers.get("gamma", 1.0), one.numbers.get("step_size", 0)
    if one.type == "CosineAnnealingLR":
        if one.numbers.get("T_max") != epochs or one.total < TURNS * epochs:
            return None
        return "cycles", {"total": epochs, "turns": one.total // (2 * epochs)}
    if one.type == "StepLR" and 0 < size <= epochs:
        falls = a_epoch // int(size)
    elif one.type == "MultiStepLR" and one.milestones and one.milestones[-1] <= epochs:
        falls = sum(n <= a_epoch for n in one.milestones)
    else:
        return None
    share = gamma**falls
    if not 0 < gamma < 1 or share > 1.01 * GONE or last > 1.01 * GONE * first:
        return None
    return "gone", {"share": f"{share:.0e}", "epochs": epochs}


def _epochs(run: Run) -> int:
    """How often the only loader that is trained with was gone through; 0 if that can't be told."""
    trained = [one for one in run.loaders if any(p.steps for p in one.passes)]
    return trained[0].begun if len(trained) == 1 else 0


def _is_of_batches(one: ScheduleRun) -> bool:
    """The source says that `T_max` counts batches: a product, a length, or a name with steps in it."""
    found = called(one.made_by[0])
    if found is None:
        return False
    _, call = found
    given = [*call.args[1:2], *(k.value for k in call.keywords if k.arg == "T_max")]
    parts = [n for value in given for n in ast.walk(value)]
    names = [ast.unparse(n).lower() for n in parts if isinstance(n, (ast.Name, ast.Attribute))]
    has_product = any(isinstance(n, ast.BinOp) and isinstance(n.op, ast.Mult) for n in parts)
    return has_product or any(w in n for n in names for w in ("step", "iter", "batch", "len"))


def _moved(scheduled: Site, stepped: Site, is_inwards: bool) -> tuple[Fix, ...]:
    """Into the loop over batches, behind the optimizer's step, or out of it."""
    found, step = called(scheduled), called(stepped)
    if found is None or step is None or scheduled.at.path != stepped.at.path:
        return ()
    source, call = found
    statement, before = source.statement(call), source.statement(step[1])
    loop = source.enclosing(before if is_inwards else statement, *Loop)
    outer = source.enclosing(loop, *Loop) if loop is not None else None
    if not isinstance(loop, Loop) or not isinstance(outer, Loop) or loop.orelse:
        return ()
    if not isinstance(statement, ast.Expr) or not isinstance(before, ast.Expr):
        return ()
    inside = set(ast.walk(loop))
    if is_inwards:
        is_clear = statement not in inside and statement in outer.body
    else:
        is_clear = statement in loop.body and before in inside
    gone = taken_out(source, statement)
    put = put_after(source, before if is_inwards else loop, source.code(statement))
    if not is_clear or not gone or not put or scheduled.function != stepped.function:
        return ()
    return (Fix((*gone, *put), _INTO if is_inwards else _OUT),)
