from __future__ import annotations

from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Rule, Severity, Text, Variant
from torchmedic.observed.run import Run
from torchmedic.rules._numbers import divergence, thrown
from torchmedic.rules._run import receiver

FEWEST = 10  # steps
rule = Rule(
    code="TM342",
    name="learning-rate-out-of-range",
    severity=Severity.ERROR,
    summary=Text(
        en="The learning rate is 0 in every step, or so large that the loss grows, or never falls.",
        ko="학습률이 모든 단계에서 0이거나, 너무 커서 손실이 끝없이 커지거나 내려가지 않습니다.",
    ),
    title=Text(
        en="with lr={lr} the loss grew from {first} to {last} in {steps} steps",
        ko="lr={lr} 설정으로 손실이 {steps}번의 단계 동안 {first} 값에서 {last} 값으로 커졌습니다",
    ),
    why=Text(
        en="""
        A step moves every parameter by the learning rate times its gradient. Where that is further than twice the way to
        the minimum, the step lands higher than it began: the next gradient is larger, and so is the next step. From then
        on the loss grows by a factor in each step, until it is infinite.
        """,
        ko="""
        한 단계는 파라미터를 학습률 × 기울기만큼 옮깁니다. 그것이 최솟값까지 거리의 두 배를 넘으면 시작한 곳보다 높은 곳에
        도착합니다. 다음 기울기는 더 크고 다음 걸음도 더 큽니다. 그때부터 손실은 단계마다 몇 배씩 커져 결국 무한대가 됩니다.
        """,
    ),
    help=Text(
        en="Divide the learning rate by 10 until the loss falls, and bring inputs and targets to about -1 to 1.",
        ko="손실이 내려갈 때까지 학습률을 10으로 나누고, 입력과 정답을 -1에서 1 정도의 크기로 맞추세요.",
    ),
    lesson=Text(
        en="""
        Print the loss of the first twenty steps. It has to fall within them; a loss that grows by a factor in each step
        is a matter of the learning rate, not of the model. What is too large depends on the scale of the inputs: with
        inputs a hundred times as large, the largest lr is ten thousand times smaller, so normalise first. Usual starting
        points are 1e-3 for Adam, 0.1 to 0.01 for SGD. A parameter that is the same before and after `step()`, though it
        has a gradient, tells of lr=0: print `optimizer.param_groups[0]["lr"]`.
        """,
        ko="""
        처음 스무 단계의 손실을 출력해 보세요. 그 안에 내려가야 합니다. 단계마다 몇 배씩 커지는 손실은 모델이 아니라 학습률의
        문제입니다. 얼마가 큰지는 입력의 크기에 달렸습니다. 입력이 백 배 크면 쓸 수 있는 lr은 만 배 작아지므로 먼저
        정규화하세요. 보통 Adam은 1e-3, SGD는 0.1에서 0.01 정도로 시작합니다. 기울기가 있는데 `step()` 앞뒤로 값이 같은
        파라미터는 lr=0이라는 뜻입니다. `optimizer.param_groups[0]["lr"]` 값을 출력해 보세요.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    sizes = torch.rand(64, 3) * 100
    prices = (sizes * torch.tensor([2.0, 1.0, 3.0])).sum(dim=1, keepdim=True)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    criterion = nn.MSELoss()
    for epoch in range(20):
        loss = criterion(model(sizes), prices)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())
    """,
    good="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    sizes = torch.rand(64, 3) * 100
    prices = (sizes * torch.tensor([2.0, 1.0, 3.0])).sum(dim=1, keepdim=True)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.00001)
    criterion = nn.MSELoss()
    for epoch in range(20):
        loss = criterion(model(sizes), prices)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())
    """,
    variants=(
        Variant(
            "thrown",
            Text(
                en="{type}, lr={lr}: the loss rose from {first} to {highest} and ended at {last}",
                ko="{type} lr={lr} 설정에서 손실이 {first} 값에서 {highest} 값으로 올라 {last} 값으로 끝났습니다",
            ),
            Text(
                en="""
                {type} divides each gradient by its own size, so a step moves every weight by about lr, however small its gradient
                is. Weights are drawn at about 0.01 to 0.5: one step of {lr} replaces what was drawn by something far larger, and the
                steps after it are as long again.
                """,
                ko="""
                {type} 옵티마이저는 기울기를 그 크기로 나누므로, 기울기가 아무리 작아도 한 단계가 모든 가중치를 lr만큼 옮깁니다.
                가중치의 처음 값은 0.01에서 0.5 정도입니다. {lr} 크기의 한 단계가 처음 값을 훨씬 큰 값으로 바꾸고, 다음
                단계도 똑같이 깁니다.
                """,
            ),
            Text(
                en="Start {type} at lr=1e-3, and change it by factors of 3.",
                ko="{type} 옵티마이저를 lr=1e-3 값에서 시작하고 3배씩 바꿔 보세요.",
            ),
        ),
        Variant(
            "zero",
            Text(
                en="`{optimizer}` has lr=0 in all {steps} steps: nothing changes",
                ko="`{optimizer}` 옵티마이저의 lr이 {steps}번의 단계 모두에서 0이라 아무것도 바뀌지 않습니다",
            ),
            Text(
                en="""
                A step moves every parameter by the learning rate times its gradient. With 0 it moves none: the program
                computes gradients and the model stays as it was drawn. An integer division such as `1 // 1000`, or a schedule
                whose factor rounds down to 0, gives 0 without an error.
                """,
                ko="""
                한 단계는 파라미터를 학습률 × 기울기만큼 옮깁니다. 0이면 움직이지 않습니다. 프로그램은 기울기를 계산하지만 모델은
                처음 값 그대로입니다. `1 // 1000` 같은 정수 나눗셈이나 배율이 0으로 내려가는 스케줄은 오류 없이 0을 냅니다.
                """,
            ),
            Text(
                en="Print `{optimizer}.param_groups[0]['lr']` and follow where its value comes from.",
                ko="`{optimizer}.param_groups[0]['lr']` 값을 출력하고 그 값이 어디서 오는지 따라가세요.",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        model = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 10))
        for step in range(24):
            inputs = torch.randn(16, 4)
            loss = nn.functional.cross_entropy(model(inputs), (inputs[:, 0] > 0).long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            warmup.step()
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        critic, actor = nn.Linear(4, 1), nn.Linear(4, 4)
        critic_optimizer = torch.optim.SGD(critic.parameters(), lr=1.0)
        actor_optimizer = torch.optim.SGD(actor.parameters(), lr=0.1)
        for step in range(24):
            noise = torch.randn(32, 4)
            critic_loss = critic(actor(noise).detach()).mean() - critic(noise + 1).mean()
            critic_optimizer.zero_grad()
            critic_loss.backward()
            critic_optimizer.step()
            actor_loss = -critic(actor(noise)).mean()
            actor_optimizer.zero_grad()
            actor_loss.backward()
            actor_optimizer.step()
        """,
    ),
    search=(
        "pytorch loss explodes learning rate too high",
        "loss increases every epoch nan",
        "model does not train learning rate 0",
        "lr scheduler learning rate is zero",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/optim.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html",
    ),
)
_LOSS = Text(
    en="the loss of step {step} is {loss}, the last finite one",
    ko="{step}번째 단계의 손실 {loss} 값이 마지막으로 유한합니다",
)
_NEVER = Text(
    en="none of {looked} losses that were looked at is a tenth below the first, {first}",
    ko="살펴본 손실 {looked}개 가운데 처음의 {first} 값보다 십분의 일 낮은 것이 없습니다",
)
_STEPS = Text(en="steps here", ko="여기서 갱신합니다")


@rule.on(Run)
def out_of_range(run: Run) -> Iterator[Diagnosis]:
    if not run.is_at_rest:
        return
    found = divergence(run)
    if found is not None:
        facts: dict[str, object] = {
            "lr": f"{found.rates.highest:g}",
            "first": f"{found.first:.3g}",
            "last": f"{found.last:.3g}",
            "steps": found.steps,
        }
        text = _LOSS.fill(step=found.steps, loss=f"{found.last:.3g}")
        evidence = (Evidence(text, found.losses.by[0].at),) if found.is_over else ()
        yield Diagnosis(rule, found.rates.made_by[0].at, facts, evidence)
    jump = thrown(run)
    if jump is not None:
        facts = {
            "type": jump.rates.type,
            "lr": f"{jump.rates.highest:g}",
            "first": f"{jump.first:.3g}",
            "highest": f"{jump.highest:.3g}",
            "last": f"{jump.last:.3g}",
        }
        text = _NEVER.fill(looked=len(jump.losses.values), first=f"{jump.first:.3g}")
        evidence = (Evidence(text, jump.losses.by[0].at),)
        at, variant = jump.rates.made_by[0].at, rule.variant("thrown")
        yield Diagnosis(rule, at, facts, evidence, variant=variant)
    stepped = [r for r in run.rates if r.steps]
    if not run.is_over or any(r.highest or r.lowest or not r.is_torch or r.owner for r in stepped):
        return  # an optimizer may rest on purpose, but not all of them
    for one in stepped:
        if one.steps >= FEWEST and one.made_by and one.stepped_by:
            facts = {"optimizer": receiver(one.stepped_by[0]) or one.type, "steps": one.steps}
            seen = (Evidence(_STEPS, one.stepped_by[0].at),)
            at = one.made_by[0].at
            yield Diagnosis(rule, at, facts, seen, variant=rule.variant("zero"))
