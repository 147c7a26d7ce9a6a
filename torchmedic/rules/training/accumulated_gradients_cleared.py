from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from torchmedic.model import Diagnosis, Evidence, Rule, Severity, Text
from torchmedic.observed import Source
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._accumulation import loss_of, may_be_one, stepping
from torchmedic.rules._clearing import moved_behind_step
from torchmedic.rules._order import has_other_duties, timelines
from torchmedic.rules._run import event as event_at
from torchmedic.rules._run import receiver, trace_of

rule = Rule(
    code="TM350",
    name="accumulated-gradients-cleared",
    severity=Severity.ERROR,
    summary=Text(
        en="Gradients are to be accumulated over several batches, and are cleared in each of them.",
        ko="여러 배치의 기울기를 누적하려 하지만 배치마다 기울기를 지웁니다.",
    ),
    title=Text(
        en="`{optimizer}` steps once in `{every}` batches, and is cleared in each",
        ko="`{optimizer}` 옵티마이저는 배치 `{every}`개마다 갱신하는데 기울기는 배치마다 지웁니다",
    ),
    why=Text(
        en="""
        `backward()` adds to `.grad` until it is cleared. Cleared in every pass, only the last batch before the step is
        left, and since the loss is divided by `{every}`, that one counts a fraction: the other batches are computed and
        thrown away.
        """,
        ko="""
        `backward()`는 지울 때까지 `.grad` 값에 더합니다. 반복마다 지우면 갱신 직전의 마지막 배치만 남고, 손실을
        `{every}` 값으로 나누었으므로 그 배치마저 일부만 반영됩니다. 나머지 배치의 계산은 버려집니다.
        """,
    ),
    help=Text(
        en="Clear behind the step: put `{optimizer}.zero_grad()` after `{optimizer}.step()`, inside of the `if`.",
        ko="갱신한 뒤에 지우세요. `{optimizer}.zero_grad()` 호출을 `if` 안의 `{optimizer}.step()` 뒤로 옮기세요.",
    ),
    lesson=Text(
        en="""
        Accumulation is `backward` in each pass, and `step` and `zero_grad` together every k-th. Print the norm of a
        gradient in each pass: it grows up to the step, and starts anew after it. Take the step once more after the loop
        if the number of batches is no multiple of k.
        """,
        ko="""
        기울기 누적은 반복마다 `backward`를 부르고 k번째마다 `step`과 `zero_grad`를 함께 부르는 것입니다. 반복마다
        기울기의 norm을 출력해 보세요. 갱신까지 커졌다가 그 뒤에 다시 시작해야 합니다. 배치 수가 k의 배수가 아니라면
        반복이 끝난 뒤 한 번 더 갱신하세요.
        """,
    ),
    example={"every": "every", "optimizer": "optimizer"},
    bad="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    batches = torch.randn(16, 8, 4)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    every = 4
    for index, batch in enumerate(batches):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(batch), batch.sum(1, keepdim=True)) / every
        loss.backward()
        if (index + 1) % every == 0:
            optimizer.step()
    """,
    good="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    batches = torch.randn(16, 8, 4)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    every = 4
    for index, batch in enumerate(batches):
        loss = nn.functional.mse_loss(model(batch), batch.sum(1, keepdim=True)) / every
        loss.backward()
        if (index + 1) % every == 0:
            optimizer.step()
            optimizer.zero_grad()
    """,
    innocent=(
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        real = torch.randn(16, 8, 4)
        critic, maker = nn.Linear(4, 1), nn.Linear(2, 4)
        slow = torch.optim.SGD(maker.parameters(), lr=0.1)
        fast = torch.optim.SGD(critic.parameters(), lr=0.1)
        every = 4
        for index, batch in enumerate(real):
            fake = maker(torch.randn(8, 2))
            fast.zero_grad()
            (critic(fake.detach()).mean() - critic(batch).mean()).backward()
            fast.step()
            slow.zero_grad()
            (-critic(fake).mean()).backward()
            if (index + 1) % every == 0:
                slow.step()
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        states = torch.randn(16, 8, 4)
        actor, critic = nn.Linear(4, 2), nn.Linear(6, 1)
        slow = torch.optim.SGD(actor.parameters(), lr=0.1)
        delay, mean = 4, 0.0
        for index, state in enumerate(states):
            slow.zero_grad()
            loss = -critic(torch.cat([state, actor(state)], dim=1)).mean()
            mean += loss.item() / delay
            loss.backward()
            if (index + 1) % delay == 0:
                slow.step()
                print(mean)
                mean = 0.0
        """,
    ),
    search=(
        "pytorch gradient accumulation zero_grad every iteration",
        "gradient accumulation where to call zero_grad",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/notes/amp_examples.html#gradient-accumulation",
        "https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html",
    ),
)

_SCOPES = (ast.For, ast.AsyncFor, ast.While, ast.FunctionDef, ast.AsyncFunctionDef)
FEWEST = 3  # steps before a run is judged
_STEPS = Text(en="steps every `{every}` batches", ko="배치 `{every}`개마다 갱신합니다")
_DIVIDES = Text(en="the loss is divided by their number", ko="손실을 그 수로 나눕니다")
_DROPPED = Text(
    en="{dropped} backward passes were cleared unused, {steps} steps used one each",
    ko="역전파 {dropped}번의 결과가 쓰이지 않고 지워졌고, 갱신 {steps}번은 각각 하나만 썼습니다",
)


@rule.on(Run)
def was_cleared_in_each(run: Run) -> Iterator[Diagnosis]:
    for one in run.optimizers:
        if one.owner or one.is_closure or len(one.backward_by) != 1 or len(one.dropped_by) != 1:
            continue
        if one.narrow < FEWEST or 2 * one.narrow <= one.steps or one.most_used > 1:
            continue
        name = receiver(one.stepped_by[0]) if one.stepped_by else ""
        step = event_at("step", one.stepped_by, name)
        backward = event_at("backward", one.backward_by[0])
        cleared_by = one.dropped_by[0]
        clearing = event_at("zero_grad", cleared_by, receiver(cleared_by[0]))
        if step is None or backward is None or clearing is None or not name:
            continue
        trace = trace_of(step, backward, clearing)
        if trace is not None and _beside([backward], step) and _around([clearing], step):
            seen = Evidence(_DROPPED.fill(dropped=one.dropped, steps=one.narrow), clearing.at)
            yield from _told(trace, clearing, backward, step, seen)


@rule.on(Trace)
def cleared_in_each(trace: Trace) -> Iterator[Diagnosis]:
    if has_other_duties(trace):
        return
    told = set()
    for timeline in timelines(trace):
        for step in timeline.of("step"):
            clearing = _around(timeline.of("zero_grad"), step)
            backward = _beside(timeline.of("backward"), step)
            if clearing is None or backward is None or clearing.subject != step.subject:
                continue
            if step.loops and clearing.at not in told and not _may_be_one(trace, step):
                for found in _told(trace, clearing, backward, step):
                    told.add(clearing.at)
                    yield found


def _beside(events: Sequence[Event], step: Event) -> Event | None:
    """The only one in the same pass of the same loop, outside of the step's condition, before it."""
    return _around([e for e in events if e.at.line < step.at.line], step)


def _around(events: Sequence[Event], step: Event) -> Event | None:
    """The only one in the same pass of the same loop, outside of the step's condition."""
    near = [
        e
        for e in events
        if e.at.path == step.at.path
        and e.function == step.function
        and e.loops == step.loops
        and e.branches == step.branches[:-1]
    ]
    return near[0] if step.branches and len(near) == 1 else None


def _told(
    trace: Trace, clearing: Event, backward: Event, step: Event, *seen: Evidence
) -> Iterator[Diagnosis]:
    found = _divided(trace.source_of(step.at), backward, step)
    if found is None:
        return
    every, division = found
    evidence = (
        Evidence(_STEPS.fill(every=every), step.at),
        Evidence(_DIVIDES, trace.source_of(step.at).span(division)),
        *seen,
    )
    facts: dict[str, object] = {"optimizer": step.name, "every": every}
    yield Diagnosis(rule, clearing.at, facts, evidence, moved_behind_step(trace, clearing, step))


def _may_be_one(trace: Trace, step: Event) -> bool:
    source = trace.source_of(step.at)
    every = _every(source, step)
    return every is not None and may_be_one(source, every)


def _every(source: Source, step: Event) -> ast.expr | None:
    """What the condition of the step counts to."""
    stepped = source.at(step.at, ast.Call)
    condition = source.enclosing(stepped, ast.If) if stepped is not None else None
    if stepped is None or condition is None or source.statement(stepped) not in condition.body:
        return None
    return stepping(condition.test)


def _divided(
    source: Source, backward: Event, step: Event
) -> tuple[str, ast.BinOp | ast.AugAssign] | None:
    """What the step's condition counts to, and where the pass divides by that: so much is meant to be accumulated."""
    every = _every(source, step)
    call = source.at(backward.at, ast.Call)
    stepped = source.at(step.at, ast.Call)
    condition = source.enclosing(stepped, ast.If) if stepped is not None else None
    scope = source.enclosing(condition, *_SCOPES) if condition is not None else None
    if scope is None or every is None or call is None:
        return None
    number = ast.unparse(every)
    for node in _parts_of_loss(call, scope):
        if isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Div):
            whole, divisor = _parts(node)
            is_mean_of_terms = isinstance(every, ast.Constant) and isinstance(whole, ast.BinOp)
            if ast.unparse(divisor) == number and not is_mean_of_terms:
                return number, node
    return None


def _parts(node: ast.BinOp | ast.AugAssign) -> tuple[ast.expr, ast.expr]:
    """What is divided, and by what."""
    return (node.left, node.right) if isinstance(node, ast.BinOp) else (node.target, node.value)


def _parts_of_loss(call: ast.Call, scope: ast.stmt) -> Iterator[ast.AST]:
    """Of what `backward` is called on, and of what the pass assigns to that name. A mean for the log is no part of it."""
    loss = loss_of(call)
    if loss is None:
        yield from ast.walk(call)
        return
    for node in ast.walk(scope):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == loss.id for target in targets):
            yield from ast.walk(node)
