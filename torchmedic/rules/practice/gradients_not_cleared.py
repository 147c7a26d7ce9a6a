from __future__ import annotations

from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Rule, Severity, Span, Text, Variant
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._clearing import called, cleared_before, moved_before, moved_inside, stepped
from torchmedic.rules._gradients import Cycle, Optimizer, innermost, optimizers
from torchmedic.rules._order import Timeline, has_other_duties, passes, timelines
from torchmedic.rules._steps import misused

rule = Rule(
    code="TM402",
    name="gradients-not-cleared",
    severity=Severity.ERROR,
    summary=Text(
        en="An optimizer steps with gradients that were not cleared, or that were cleared at the wrong moment.",
        ko="옵티마이저가 지워지지 않은 기울기, 또는 잘못된 때에 지워진 기울기로 갱신합니다.",
    ),
    title=Text(
        en="the gradients of `{optimizer}` are never cleared in the loop of line {loop}",
        ko="{loop}번 줄의 반복문에서 `{optimizer}` 옵티마이저의 기울기를 한 번도 지우지 않습니다",
    ),
    why=Text(
        en="""
        `backward()` adds to `.grad`; it does not replace what is there. Without clearing, every step uses the sum of the
        gradients of all batches so far: its direction is out of date and its length grows with the number of steps.
        """,
        ko="""
        `backward()`는 `.grad`에 있던 값을 바꾸지 않고 거기에 더합니다. 지우지 않으면 매 단계가 지금까지 나온 모든 배치의
        기울기 합을 쓰게 되어 방향은 낡고 크기는 단계 수만큼 커집니다.
        """,
    ),
    help=Text(
        en="Call `{optimizer}.zero_grad()` once for every step, before `backward()`.",
        ko="단계마다 한 번, `backward()` 앞에서 `{optimizer}.zero_grad()` 호출을 하세요.",
    ),
    lesson=Text(
        en="""
        A training step is one fixed sequence: `zero_grad`, forward, loss, `backward`, `step`. Keep the five lines together
        in one function, so that none gets lost. A loss that falls at first and then jumps, or a gradient norm that grows
        from step to step, is the usual sign: print `p.grad.norm()` of one parameter over ten steps. Accumulating over k
        batches on purpose still clears: once after each `step`. Every optimizer clears only the parameters that it holds,
        so two optimizers need two calls.
        """,
        ko="""
        학습 단계는 `zero_grad`, 순전파, 손실, `backward`, `step`의 정해진 순서입니다. 하나도 빠지지 않도록 다섯 줄을 한
        함수에 모아 두세요. 손실이 처음에 내려가다가 튀거나 기울기 크기가 단계마다 커지면 이 실수를 의심하세요. 파라미터
        하나의 `p.grad.norm()` 값을 열 단계 동안 출력해 보면 보입니다. 일부러 k개 배치를 누적할 때도 `step` 뒤에 한 번씩
        지웁니다. 옵티마이저는 자기가 가진 파라미터만 지우므로 옵티마이저가 둘이면 호출도 두 번입니다.
        """,
    ),
    example={"optimizer": "optimizer"},
    bad="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    inputs = torch.randn(64, 4)
    targets = inputs.sum(dim=1, keepdim=True)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    criterion = nn.MSELoss()
    for step in range(20):
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
    print(loss.item())
    """,
    good="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    inputs = torch.randn(64, 4)
    targets = inputs.sum(dim=1, keepdim=True)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    criterion = nn.MSELoss()
    for step in range(20):
        loss = criterion(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(loss.item())
    """,
    variants=(
        Variant(
            "rarely",
            Text(
                en="`{optimizer}` steps in the loop of line {loop}, but is cleared outside of it",
                ko="`{optimizer}` 옵티마이저는 {loop}번 줄의 반복문 안에서 갱신하는데 기울기는 그 밖에서 지웁니다",
            ),
            help=Text(
                en="Move `{optimizer}.zero_grad()` into the loop of line {loop}, before `backward()`.",
                ko="`{optimizer}.zero_grad()` 호출을 {loop}번 줄의 반복문 안, `backward()` 앞으로 옮기세요.",
            ),
        ),
        Variant(
            "thrown-away",
            Text(
                en="the gradients of `{optimizer}` are cleared between `backward()` and `step()`",
                ko="`backward()`와 `step()` 사이에서 `{optimizer}` 옵티마이저의 기울기를 지웁니다",
            ),
            Text(
                en="""
                `step()` reads `.grad`. Clearing right before it throws away what `backward()` in line {backward} has
                computed, so the step finds nothing and the parameters do not learn.
                """,
                ko="""
                `step()`은 `.grad` 값을 읽습니다. 바로 앞에서 지우면 {backward}번 줄의 `backward()`가 계산한 값이 버려져
                갱신할 것이 없고 파라미터가 학습되지 않습니다.
                """,
            ),
            Text(
                en="Clear before `backward()`: `zero_grad`, `backward`, `step`.",
                ko="`backward()` 앞에서 지우세요. 순서는 `zero_grad`, `backward`, `step`입니다.",
            ),
        ),
        Variant(
            "step-before-backward",
            Text(
                en="`{optimizer}.step()` comes before `backward()` of line {backward}",
                ko="`{optimizer}.step()` 호출이 {backward}번 줄의 `backward()`보다 먼저 나옵니다",
            ),
            Text(
                en="""
                At the step the gradients have been cleared and not yet computed; what `backward()` computes afterwards is
                cleared at the start of the next pass. No step ever sees a gradient.
                """,
                ko="""
                갱신할 때 기울기는 지워졌고 아직 계산되지 않았습니다. 그 뒤에 `backward()`가 계산한 값은 다음 반복을 시작할
                때 지워지므로 어떤 단계도 기울기를 보지 못합니다.
                """,
            ),
            Text(
                en="Put `{optimizer}.step()` behind `backward()`.",
                ko="`{optimizer}.step()` 호출을 `backward()` 뒤에 두세요.",
            ),
        ),
        Variant(
            "never-stepped",
            Text(
                en="`{optimizer}` is cleared in the loop of line {loop}, but never steps",
                ko="{loop}번 줄의 반복문에서 `{optimizer}` 옵티마이저의 기울기를 지우지만 갱신은 하지 않습니다",
            ),
            Text(
                en="`backward()` only fills `.grad`. Without `{optimizer}.step()` the parameters stay as they were.",
                ko="`backward()`는 `.grad` 값을 채울 뿐입니다. `{optimizer}.step()` 호출이 없으면 파라미터가 그대로입니다.",
            ),
            Text(
                en="Call `{optimizer}.step()` after `backward()`.",
                ko="`backward()` 뒤에서 `{optimizer}.step()` 호출을 하세요.",
            ),
        ),
        Variant(
            "not-called",
            Text(
                en="`{optimizer}.{method}` is named, but not called",
                ko="`{optimizer}.{method}` 이름만 쓰고 호출하지 않았습니다",
            ),
            Text(
                en="Without parentheses Python looks the method up and does nothing with it.",
                ko="괄호가 없으면 Python은 메서드를 찾기만 하고 아무것도 하지 않습니다.",
            ),
            Text(
                en="Write `{optimizer}.{method}()`.",
                ko="`{optimizer}.{method}()` 형태로 쓰세요.",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs = torch.randn(32, 4)
        targets = inputs.sum(dim=1, keepdim=True)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        every = 4
        for index in range(10):
            loss = nn.functional.mse_loss(model(inputs), targets) / every
            loss.backward()
            if (index + 1) % every == 0 or index == 9:
                optimizer.step()
                optimizer.zero_grad()
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs = torch.randn(32, 4)
        targets = inputs.sum(dim=1, keepdim=True)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1)


        def closure():
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(inputs), targets)
            loss.backward()
            return loss


        for step in range(5):
            optimizer.step(closure)
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs = torch.randn(32, 4)
        targets = inputs.sum(dim=1, keepdim=True)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for step in range(5):
            for parameter in model.parameters():
                parameter.grad = None
            nn.functional.mse_loss(model(inputs), targets).backward()
            optimizer.step()
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        noise, real = torch.randn(16, 2), torch.randn(16, 3)
        generator, critic = nn.Linear(2, 3), nn.Linear(3, 1)
        opt_g = torch.optim.Adam(generator.parameters())
        opt_c = torch.optim.Adam(critic.parameters())
        for step in range(4):
            fake = generator(noise)
            loss_c = critic(fake).mean() - critic(real).mean()
            opt_c.zero_grad()
            loss_c.backward(retain_graph=True)
            opt_c.step()
            opt_g.zero_grad()
            loss_g = -critic(generator(noise)).mean()
            loss_g.backward()
            opt_g.step()
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs = torch.randn(32, 4)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for step in range(5):
            gradients = torch.autograd.grad(model(inputs).pow(2).mean(), list(model.parameters()))
            for parameter, gradient in zip(model.parameters(), gradients):
                parameter.grad = gradient
            optimizer.step()
        """,
    ),
    search=(
        "pytorch zero_grad missing loss increases",
        "why do we need to call zero_grad in pytorch",
        "pytorch gradients accumulate every step",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html",
        "https://docs.pytorch.org/tutorials/recipes/recipes/zeroing_out_gradients.html",
    ),
)

_STALE = Text(
    en="adds to the gradients that the step in line {step} has already used",
    ko="{step}번 줄의 갱신에 이미 쓰인 기울기에 더합니다",
)
_STEPS = Text(en="steps once in every pass", ko="반복마다 한 번 갱신합니다")
_CLEARS = Text(en="clears here", ko="여기서 지웁니다")


@rule.on(Trace)
def order_is_wrong(trace: Trace) -> Iterator[Diagnosis]:
    if has_other_duties(trace):
        return
    for timeline in timelines(trace):
        for optimizer in optimizers(timeline):
            if optimizer.is_certain:
                yield from _judge(trace, timeline, optimizer)


@rule.on(Run)
def stepped_with_wrong_gradients(run: Run) -> Iterator[Diagnosis]:
    for one in misused(run):
        variant = rule.variant(one.form) if one.form else None
        yield Diagnosis(rule, one.at, one.facts, one.evidence, one.fixes, variant=variant)


def _judge(trace: Trace, timeline: Timeline, optimizer: Optimizer) -> Iterator[Diagnosis]:
    named = [e for e in timeline.of("unused") if e.subject == optimizer.subject]
    if named:
        yield _not_called(trace, named[0])
        return
    thrown = optimizer.thrown
    if thrown is not None:
        yield _thrown(trace, optimizer, *thrown)
        return
    stale = optimizer.stale
    if stale is not None:
        yield _stale(trace, timeline, optimizer, stale)
        return
    if trace.is_complete:
        yield from _never_stepped(trace, timeline, optimizer)


def _stale(trace: Trace, timeline: Timeline, optimizer: Optimizer, cycle: Cycle) -> Diagnosis:
    backwards = optimizer.backwards(cycle)
    near = [b for b in backwards if passes(b) == passes(cycle.step)]
    backward = (near or backwards)[0]
    loop = (innermost(cycle.step) or cycle.step.at).line
    facts = {"optimizer": cycle.step.name, "loop": loop}
    evidence = [
        Evidence(_STALE.fill(step=cycle.step.at.line), backward.at),
        Evidence(_STEPS.fill(), cycle.step.at),
    ]
    outside = [e for e in optimizer.clearings if e.subject == optimizer.subject]
    if not outside:
        fix = cleared_before(trace, backward, cycle.step)
        return Diagnosis(rule, backward.at, facts, tuple(evidence), fix)
    clearing = outside[0]
    evidence.append(Evidence(_CLEARS.fill(), clearing.at))
    fix = moved_inside(trace, clearing, backward, cycle.step)
    variant = rule.variant("rarely")
    return Diagnosis(rule, clearing.at, facts, tuple(evidence), fix, variant=variant)


def _thrown(trace: Trace, optimizer: Optimizer, cycle: Cycle, clearing: Event) -> Diagnosis:
    backwards = optimizer.backwards(cycle)
    first, last = backwards[0], backwards[-1]
    facts: dict[str, object] = {"optimizer": cycle.step.name, "backward": first.at.line}
    evidence = (
        Evidence(Text(en="computes gradients", ko="기울기를 계산합니다"), first.at),
        Evidence(_CLEARS.fill(), clearing.at),
        Evidence(_STEPS.fill(), cycle.step.at),
    )
    # What runs between clearing and step is the next pass's forward: then the step comes too early.
    is_early = cycle.step.at.path == last.at.path and any(
        e.kind in ("call", "loss") for e in cycle.events[cycle.events.index(clearing) :]
    )
    if is_early:
        fix = moved_before(trace, cycle.step, last, behind=True)
        variant = rule.variant("step-before-backward")
        return Diagnosis(rule, cycle.step.at, facts, evidence, fix, variant=variant)
    fix = moved_before(trace, clearing, first, behind=False)
    variant = rule.variant("thrown-away")
    return Diagnosis(rule, clearing.at, facts, evidence, fix, variant=variant)


def _not_called(trace: Trace, event: Event) -> Diagnosis:
    facts: dict[str, object] = {"optimizer": event.name, "method": event.facts["method"]}
    return Diagnosis(
        rule, event.at, facts, (), called(trace, event.at), variant=rule.variant("not-called")
    )


def _never_stepped(trace: Trace, timeline: Timeline, optimizer: Optimizer) -> Iterator[Diagnosis]:
    """Cleared in a loop in which a backward pass reaches its parameters; others step, it does not."""
    made = optimizer.made
    known = {e.subject for e in timeline.of("optimizer")}
    stepped_here = {e.subject for e in timeline.of("step")}
    if made is None or optimizer.subject in stepped_here or not stepped_here <= known:
        return
    if not stepped_here:
        return  # nothing is trained: a demonstration of gradients
    for clearing in optimizer.clearings:
        if clearing.subject != optimizer.subject or not clearing.loops or clearing.branches:
            continue
        backwards = [
            e
            for e in timeline.of("backward")
            if e.loops == clearing.loops and not e.branches and optimizer.reached_by(e)
        ]
        behind = [e for e in backwards if timeline.index[id(e)] > timeline.index[id(clearing)]]
        backwards = behind or backwards
        if backwards:
            loop: Span = clearing.loops[-1].at
            yield Diagnosis(
                rule,
                backwards[0].at,
                {"optimizer": clearing.name, "loop": loop.line},
                (Evidence(_CLEARS.fill(), clearing.at),),
                stepped(trace, backwards[0], clearing.name),
                variant=rule.variant("never-stepped"),
            )
            return
