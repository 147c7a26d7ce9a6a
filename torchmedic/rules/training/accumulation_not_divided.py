from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Text
from torchmedic.observed import Source
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._accumulation import every_of, loss_of
from torchmedic.rules._order import has_other_duties, timelines
from torchmedic.rules._run import event as event_at
from torchmedic.rules._run import trace_of

rule = Rule(
    code="TM347",
    name="accumulation-not-divided",
    severity=Severity.ADVICE,
    summary=Text(
        en="Gradients of several batches are added up for one step, and the mean loss is not divided by their number.",
        ko="여러 배치의 기울기를 더해 한 번 갱신하면서 평균 손실을 배치 수로 나누지 않습니다.",
    ),
    title=Text(
        en="`{every}` batches add up their gradients, and `{loss}` is not divided by it",
        ko="배치 `{every}`개의 기울기를 더하지만 `{loss}` 손실을 그 수로 나누지 않습니다",
    ),
    why=Text(
        en="""
        `backward()` adds to `.grad`. A mean over each batch, added `{every}` times, is as many times as large as the mean
        over all of them: SGD makes a step as if the learning rate were multiplied by `{every}`.
        """,
        ko="""
        `backward()`는 `.grad` 값에 더합니다. 배치마다 낸 평균을 `{every}`번 더하면 전체 평균의 그만큼 배가 되므로, SGD는
        학습률에 `{every}` 값을 곱한 것처럼 갱신합니다.
        """,
    ),
    help=Text(
        en="Call backward on `{loss} / {every}`, unless the learning rate was chosen for the sum.",
        ko="학습률을 합에 맞춰 고른 것이 아니라면 `{loss} / {every}` 값으로 역전파하세요.",
    ),
    lesson=Text(
        en="""
        Accumulation replaces a large batch by several small ones. It is the same computation only if each mean is divided
        by the number of small batches; then the learning rate of the large batch can be kept. With a `reduction="sum"`
        loss divide by all samples instead. Adam hardly notices a constant factor, SGD and gradient clipping do. To check:
        one step with batch 64 and one with 4 × 16 must change a parameter by the same amount.
        """,
        ko="""
        누적은 큰 배치 하나를 작은 배치 여러 개로 바꾸는 일입니다. 작은 평균을 배치 수로 나눌 때만 같은 계산이 되고, 큰 배치에서
        쓰던 학습률을 그대로 쓸 수 있습니다. 손실이 `reduction="sum"`이면 전체 샘플 수로 나누세요. Adam은 일정한 배수에 거의
        영향을 받지 않지만 SGD와 기울기 클리핑은 영향을 받습니다. 확인하려면 배치 64로 한 번, 16개씩 4번으로 한 번 갱신해 보세요.
        파라미터가 같은 만큼 바뀌어야 합니다.
        """,
    ),
    example={"every": "every", "loss": "loss"},
    bad="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    inputs = torch.randn(64, 4)
    targets = inputs.sum(dim=1, keepdim=True)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    every = 4
    for index in range(32):
        part = slice(index % 8 * 8, index % 8 * 8 + 8)
        loss = nn.functional.mse_loss(model(inputs[part]), targets[part])
        loss.backward()
        if (index + 1) % every == 0:
            optimizer.step()
            optimizer.zero_grad()
    """,
    good="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    inputs = torch.randn(64, 4)
    targets = inputs.sum(dim=1, keepdim=True)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    every = 4
    for index in range(32):
        part = slice(index % 8 * 8, index % 8 * 8 + 8)
        loss = nn.functional.mse_loss(model(inputs[part]), targets[part])
        (loss / every).backward()
        if (index + 1) % every == 0:
            optimizer.step()
            optimizer.zero_grad()
    """,
    innocent=(
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs = torch.randn(64, 4)
        targets = inputs.sum(dim=1, keepdim=True)
        model = nn.Linear(4, 1)
        every = 4
        optimizer = torch.optim.SGD(model.parameters(), lr=0.04 / every)
        for index in range(32):
            part = slice(index % 8 * 8, index % 8 * 8 + 8)
            loss = nn.functional.mse_loss(model(inputs[part]), targets[part])
            loss.backward()
            if (index + 1) % every == 0:
                optimizer.step()
                optimizer.zero_grad()
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs = torch.randn(64, 4)
        targets = inputs.sum(dim=1, keepdim=True)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        every = 4
        for index in range(32):
            part = slice(index % 8 * 8, index % 8 * 8 + 8)
            loss = nn.functional.mse_loss(model(inputs[part]), targets[part])
            loss.backward()
            if (index + 1) % every == 0:
                optimizer.step()
                optimizer.zero_grad()
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs = torch.randn(64, 4)
        targets = inputs.sum(dim=1, keepdim=True)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for task in range(8):
            optimizer.zero_grad()
            for part in (slice(0, 32), slice(32, 64)):
                loss = nn.functional.mse_loss(model(inputs[part]), targets[part])
                loss.backward()
            optimizer.step()
        """,
    ),
    search=(
        "gradient accumulation divide loss by accumulation steps",
        "pytorch gradient accumulation learning rate",
        "loss / accumulation_steps",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/notes/amp_examples.html#gradient-accumulation",
        "https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html",
    ),
)

_STEPS = Text(en="steps once for `{every}` batches", ko="배치 `{every}`개마다 한 번 갱신합니다")
_COUNTED = Text(
    en="{backwards} backward passes, {steps} steps",
    ko="역전파 {backwards}번에 갱신 {steps}번",
)
_DIVIDE = Text(en="divide by `{every}`", ko="`{every}` 값으로 나누기")
_SCALED_BY = ("div", "div_", "mul", "mul_", "clip_grad_norm_", "clip_grad_value_")


@rule.on(Run)
def summed(run: Run) -> Iterator[Diagnosis]:
    for one in run.optimizers:
        if one.type != "SGD" or one.owner or one.is_closure or len(one.backward_by) != 1:
            continue
        if one.steps < 3 or one.backwards < 2 * one.steps or not one.stepped_by:
            continue
        step, backward = event_at("step", one.stepped_by), event_at("backward", one.backward_by[0])
        trace = trace_of(backward, step) if step and backward else None
        if trace is None or step is None or backward is None:
            continue
        counted = Evidence(_COUNTED.fill(backwards=one.backwards, steps=one.steps))
        yield from _told(trace.source_of(step.at), backward, step, counted)


@rule.on(Trace)
def sums(trace: Trace) -> Iterator[Diagnosis]:
    if has_other_duties(trace):
        return
    told = set()
    for timeline in timelines(trace):
        for step in timeline.of("step"):
            near = [
                e
                for e in timeline.of("backward")
                if e.at.path == step.at.path and e.function == step.function
            ]
            kinds = {e.facts.get("type") for e in timeline.of("step", "optimizer")}
            sites = {e.sites for e in near}
            if len(sites) == 1 and kinds == {"SGD"} and near[0].at not in told:
                told.add(near[0].at)
                yield from _told(trace.source_of(step.at), near[0], step)


def _told(source: Source, backward: Event, step: Event, *seen: Evidence) -> Iterator[Diagnosis]:
    found = _undivided(source, backward, step)
    if found is None:
        return
    loss, every = found
    facts: dict[str, object] = {"loss": source.code(loss), "every": source.code(every)}
    text = f"({source.code(loss)} / {source.code(every)})"
    is_argument = isinstance(source.parent(loss), ast.Call)
    edit = source.replace(loss, text[1:-1] if is_argument else text)
    fix = Fix((edit,), _DIVIDE.fill(**facts))
    evidence = (Evidence(_STEPS.fill(**facts), step.at), *seen)
    yield Diagnosis(rule, backward.at, facts, evidence, (fix,))


def _undivided(source: Source, backward: Event, step: Event) -> tuple[ast.Name, ast.expr] | None:
    """The loss and the number of batches: in `if … % every == 0:`, in the loop of the backward pass."""
    call, stepped = source.at(backward.at, ast.Call), source.at(step.at, ast.Call)
    if call is None or stepped is None or backward.at.path != step.at.path:
        return None
    condition = source.enclosing(stepped, ast.If)
    loop = source.enclosing(call, ast.For)
    every = every_of(condition) if condition is not None else None
    loss = loss_of(call)
    if condition is None or loop is None or every is None or loss is None:
        return None
    is_inside = condition in loop.body and source.statement(call) in loop.body
    clears = any(
        isinstance(n, ast.Attribute) and n.attr == "zero_grad" for n in ast.walk(condition)
    )
    if not is_inside or not clears or not _is_mean(source, loop, loss.id, every):
        return None
    return loss, every


def _is_mean(source: Source, loop: ast.For, loss: str, every: ast.expr) -> bool:
    """False if anything may scale the loss, the gradients or the learning rate by the number of batches."""
    number = ast.unparse(every)
    if any("sum" in ast.unparse(k) for k in source.nodes(ast.keyword) if k.arg == "reduction"):
        return False
    if any(
        isinstance(n.op, (ast.Div, ast.Mult, ast.FloorDiv)) and number in ast.unparse(n)
        for n in source.nodes(ast.BinOp)
    ):
        return False
    made = [
        n.value
        for n in ast.walk(loop)
        if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == loss
    ]
    if len(made) != 1 or not isinstance(made[0], ast.Call) or _is_own(source, made[0]):
        return False
    if any(isinstance(n, ast.AugAssign) and ast.unparse(n.target) == loss for n in ast.walk(loop)):
        return False
    names = [n.attr for n in ast.walk(loop) if isinstance(n, ast.Attribute)]
    return not any(name in _SCALED_BY for name in names)


def _is_own(source: Source, call: ast.Call) -> bool:
    """True for a function of the program's, which may divide."""
    name = ast.unparse(call.func).rpartition(".")[2]
    if any(n.name == name for n in source.nodes(ast.FunctionDef)):
        return True
    where = source.name(call.func) or ""
    return name in source.imported and not where.startswith("torch.")
