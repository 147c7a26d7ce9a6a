from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Text
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._copies import alias_of, deepcopied, update_at
from torchmedic.rules._run import trace_of

rule = Rule(
    code="TM222",
    name="averaged-model-aliased",
    severity=Severity.ERROR,
    summary=Text(
        en="A model that is meant as a running average or a target is the trained model under a second name.",
        ko="이동 평균이나 타깃으로 쓰려는 모델이 학습 중인 모델의 다른 이름일 뿐입니다.",
    ),
    title=Text(
        en="`{average}` is `{model}` itself: its weights are mixed with themselves",
        ko="`{average}` 모델은 `{model}` 모델 자신이어서 가중치가 자기 자신과 섞입니다",
    ),
    why=Text(
        en="""
        Assigning a model gives the same object a second name. Both sides of the update are the same tensors, so there is
        no second set of weights: `{average}` is always the newest model. And `p.mul_(d).add_(q, alpha=1 - d)` reads what
        `mul_` has left there, which makes the trained weights a little smaller each time.
        """,
        ko="""
        모델을 대입하면 같은 객체에 이름이 하나 더 생길 뿐입니다. 갱신의 양쪽이 같은 텐서이므로 가중치가 한 벌뿐이고
        `{average}` 모델은 언제나 가장 새로운 모델입니다. `p.mul_(d).add_(q, alpha=1 - d)`는 방금 쓴 값을 읽으므로 학습 중인
        가중치가 매번 조금씩 작아집니다.
        """,
    ),
    help=Text(
        en="Begin with a copy: `copy.deepcopy({model})`.",
        ko="사본으로 시작하세요: `copy.deepcopy({model})`.",
    ),
    lesson=Text(
        en="""
        `a is b` tells whether two names mean one object, and `a.weight.data_ptr() == b.weight.data_ptr()` whether two
        modules share memory. A running average needs a copy that no optimizer holds: deepcopy, then
        `.requires_grad_(False)`, and an update under `torch.no_grad()`. `torch.optim.swa_utils.AveragedModel` does all of
        it. To check: after some steps, average and model must give different outputs for the same batch.
        """,
        ko="""
        `a is b`는 두 이름이 한 객체인지, `a.weight.data_ptr() == b.weight.data_ptr()`는 두 모듈이 메모리를 함께 쓰는지
        알려 줍니다. 이동 평균에는 옵티마이저가 가지고 있지 않은 사본이 필요합니다. deepcopy로 복사하고
        `.requires_grad_(False)`를 호출한 다음 `torch.no_grad()` 안에서 갱신하세요. `torch.optim.swa_utils.AveragedModel`이 이 일을
        모두 합니다. 확인하려면 몇 단계 뒤에 같은 배치에서 두 모델의 출력이 다른지 보세요.
        """,
    ),
    example={"average": "average", "model": "model"},
    bad="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    inputs = torch.randn(64, 4)
    targets = inputs.sum(dim=1, keepdim=True)
    model = nn.Linear(4, 1)
    average = model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for step in range(20):
        loss = nn.functional.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), model.parameters()):
                slow.mul_(0.9).add_(fast, alpha=0.1)
    """,
    good="""
    import copy
    import torch
    from torch import nn

    torch.manual_seed(0)
    inputs = torch.randn(64, 4)
    targets = inputs.sum(dim=1, keepdim=True)
    model = nn.Linear(4, 1)
    average = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for step in range(20):
        loss = nn.functional.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), model.parameters()):
                slow.mul_(0.9).add_(fast, alpha=0.1)
    """,
    innocent=(
        """
        import copy

        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs = torch.randn(64, 4)
        targets = inputs.sum(dim=1, keepdim=True)
        model = nn.Linear(4, 1)
        trained = model
        target = copy.deepcopy(trained).requires_grad_(False)
        optimizer = torch.optim.SGD(trained.parameters(), lr=0.01)
        start = [p.detach().clone() for p in trained.parameters()]
        for step in range(20):
            loss = nn.functional.mse_loss(model(inputs), targets + 0.1 * target(inputs))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for slow, fast in zip(target.parameters(), trained.parameters()):
                    slow.lerp_(fast, 0.1)
        same = all(a is b for a, b in zip(model.parameters(), trained.parameters()))
        moved = [(a - b).norm().item() for a, b in zip(start, trained.parameters())]
        print(same, moved)
        """,
    ),
    search=(
        "pytorch ema model deepcopy",
        "exponential moving average weights same as model",
        "target network not updating same object pytorch",
        "copy a pytorch model assignment reference",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/optim.html#weight-averaging-swa-and-ema",
        "https://docs.python.org/3/library/copy.html",
    ),
)
_MIXED = Text(
    en="both sides of this `zip` are the parameters of one object",
    ko="이 `zip`의 양쪽이 한 객체의 파라미터입니다",
)
_WRITTEN = Text(
    en="writes into `{average}` what it reads from `{model}`",
    ko="`{model}` 모델에서 읽은 값을 `{average}` 모델에 씁니다",
)
_COPY = Text(en="make a copy", ko="사본 만들기")
FEWEST = 2  # updates


@rule.on(Trace)
def averages_itself(trace: Trace) -> Iterator[Diagnosis]:
    told = set()
    for one in trace.of("pair"):
        found = _told(trace, one)
        if found is not None and found.at not in told:
            told.add(found.at)
            yield found


@rule.on(Run)
def averaged_itself(run: Run) -> Iterator[Diagnosis]:
    for one in run.paired:
        at, *around = [site.at for site in one.by]
        here = Event("pair", at, callers=tuple(reversed(around)))
        trace = trace_of(here) if one.times >= FEWEST else None
        found = _told(trace, here) if trace is not None else None
        if found is not None:
            yield found


def _told(trace: Trace, here: Event) -> Diagnosis | None:
    update = update_at(trace.source_of(here.at), here.at)
    if update is None:
        return None
    facts: dict[str, object] = {
        "average": ast.unparse(update.average),
        "model": ast.unparse(update.model),
    }
    evidence = (
        Evidence(_MIXED, update.at),
        Evidence(_WRITTEN.fill(**facts), update.source.span(update.written)),
    )
    alias = alias_of(trace, update, here)
    if alias is None:
        return Diagnosis(rule, update.at, facts, evidence)
    edits = deepcopied(alias.source, alias.value)
    fixes = (Fix(edits, _COPY),) if edits else ()
    return Diagnosis(rule, alias.at, facts, evidence, fixes)
