from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Failure
from torchmedic.observed.project import Project
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Trace
from torchmedic.rules._cuts import Cut, fixes, whole_fixes
from torchmedic.rules._place import answer
from torchmedic.rules._run import callee
from torchmedic.rules._ways import as_failure, first_cut, is_expected, nearest_cut

_PART = Text(
    en="""
    Only values that autograd recorded lead back to parameters. Behind the cut there is no record, and the rest of the
    loss keeps its own, so `backward()` runs without an error. The optimizer skips parameters whose `.grad` is None:
    they stay as they were drawn.
    """,
    ko="""
    autograd가 기록한 값만 파라미터로 되돌아갑니다. 끊긴 곳 뒤에는 기록이 없고 손실의 나머지 부분에는 기록이 있어
    `backward()`는 오류 없이 실행됩니다. 옵티마이저는 `.grad` 값이 None인 파라미터를 건너뛰므로 그 파라미터는 처음 값
    그대로 남습니다.
    """,
)
_PART_HELP = Text(
    en="Leave the cut out. If the part shall not learn, freeze it and give the optimizer the others only.",
    ko="끊는 부분을 빼세요. 학습하지 않을 부분이라면 고정하고, 옵티마이저에는 나머지만 넘기세요.",
)

rule = Rule(
    code="TM311",
    name="graph-cut-before-backward",
    severity=Severity.ERROR,
    summary=Text(
        en="`backward()` is called on a value that has lost its graph on the way.",
        ko="가는 길에 그래프가 끊긴 값에 `backward()`를 호출합니다.",
    ),
    title=Text(
        en="the loss has no graph: nothing it was computed from requires grad",
        ko="손실에 그래프가 없습니다: 손실을 계산한 값 가운데 기울기를 추적하는 것이 없습니다",
    ),
    why=Text(
        en="""
        Autograd records operations on tensors that require grad. A number, a new tensor, an argmax, a detached tensor
        or work under `no_grad` has no record, so there is no way back to the parameters.
        """,
        ko="""
        autograd는 기울기를 추적하는 텐서의 연산을 기록합니다. 파이썬 숫자, 새로 만든 텐서, argmax, 떼어 낸(detach) 텐서,
        `no_grad` 안에서 한 계산에는 기록이 없어 파라미터까지 되돌아갈 길이 없습니다.
        """,
    ),
    help=Text(
        en="Compute the loss from the model's output by differentiable operations only, and detach copies for logging.",
        ko="모델 출력에서 손실까지 미분할 수 있는 연산만 쓰고, 기록용 값은 따로 떼어 내세요.",
    ),
    lesson=Text(
        en="""
        Print `.grad_fn` at each step from the output to the loss: the first `None` is behind the cut. Never set
        `requires_grad_(True)` on the loss: `backward` then runs and no parameter gets a gradient. `.item()`,
        `.detach()` and `.data` belong in logging lines, `torch.tensor(x)` around data only. `argmax` and comparisons
        measure accuracy and can't be a loss.
        """,
        ko="""
        출력에서 손실까지 단계마다 `.grad_fn`을 출력하세요. 처음 `None`이 나오는 곳 바로 앞에서 끊겼습니다. 손실에
        `requires_grad_(True)`를 붙이면 안 됩니다. `backward`는 실행되지만 어떤 파라미터도 기울기를 얻지 못합니다.
        `.item()`, `.detach()`, `.data`는 기록하는 줄에만, `torch.tensor(x)`는 데이터에만 쓰세요. `argmax`와 비교는
        정확도를 재는 연산이며 손실이 될 수 없습니다.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    model = nn.Linear(4, 1)
    inputs, targets = torch.ones(8, 4), torch.ones(8, 1)
    predictions = model(inputs).detach()
    loss = nn.functional.mse_loss(predictions, targets)
    loss.backward()
    """,
    good="""
    import torch
    from torch import nn

    model = nn.Linear(4, 1)
    inputs, targets = torch.ones(8, 4), torch.ones(8, 1)
    predictions = model(inputs)
    loss = nn.functional.mse_loss(predictions, targets)
    loss.backward()
    """,
    messages=(
        "of tensors does not require grad and does not have a grad_fn",
        "element 0 of variables does not require grad and does not have a grad_fn",
        "element 0 of variables tuple is volatile",
    ),
    variants=(
        Variant(
            "cut",
            Text(
                en="the loss has no graph: `{code}` cuts it off",
                ko="손실에 그래프가 없습니다: `{code}` 부분에서 끊깁니다",
            ),
        ),
        Variant(
            "no_grad",
            Text(
                en="the loss has no graph: it is computed under `{code}`",
                ko="손실에 그래프가 없습니다: `{code}` 안에서 계산합니다",
            ),
        ),
        Variant(
            "frozen",
            Text(
                en="the loss has no graph: every parameter on its way is frozen",
                ko="손실에 그래프가 없습니다: 지나온 파라미터가 모두 고정되어 있습니다",
            ),
            help=Text(
                en="Freeze only the part that has to stay, and make the new layers after freezing.",
                ko="바뀌지 않아야 할 부분만 고정하고, 새 층은 고정한 다음에 만드세요.",
            ),
        ),
        Variant(
            "number",
            Text(
                en="`backward()` is called on a Python number, not on a tensor",
                ko="텐서가 아니라 파이썬 숫자에 `backward()`를 호출합니다",
            ),
            messages=(
                "'float' object has no attribute 'backward'",
                "'int' object has no attribute 'backward'",
            ),
        ),
        Variant(
            "part",
            Text(
                en="no gradient reaches `{layer}`: `{code}` cuts it off",
                ko="`{layer}` 층에 기울기가 닿지 않습니다: `{code}` 부분에서 끊깁니다",
            ),
            why=_PART,
            help=_PART_HELP,
        ),
        Variant(
            "part-no_grad",
            Text(
                en="no gradient reaches `{layer}`: it is called under `{code}`",
                ko="`{layer}` 층에 기울기가 닿지 않습니다: `{code}` 안에서 호출합니다",
            ),
            why=_PART,
            help=_PART_HELP,
        ),
        Variant(
            "part-round",
            Text(
                en="no gradient reaches `{layer}`: the derivative of `{code}` is 0",
                ko="`{layer}` 층에 기울기가 닿지 않습니다: `{code}` 식의 도함수가 0입니다",
            ),
            why=Text(
                en="""
                A step function is flat between its jumps. Autograd passes it as a product with 0: `backward()` runs,
                and all parameters behind it get zeros.
                """,
                ko="""
                계단 함수는 뛰는 곳 사이에서 평평합니다. autograd는 0을 곱하며 지나갑니다. `backward()`는 실행되지만 그 뒤의
                파라미터는 모두 0을 받습니다.
                """,
            ),
            help=Text(
                en="Leave rounding to the evaluation, or pass the gradient straight: `x + (x.round() - x).detach()`.",
                ko="반올림은 평가할 때만 하거나, 기울기를 그대로 통과시키세요: `x + (x.round() - x).detach()`.",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn

        model = nn.Linear(4, 1)
        history = []
        loss = model(torch.ones(8, 4)).mean()
        history.append(loss.item())
        with torch.no_grad():
            history.append(model(torch.ones(8, 4)).mean())
        loss.backward()
        """,
        """
        import copy

        import torch
        from torch import nn

        torch.manual_seed(0)
        online, states = nn.Linear(4, 2), torch.randn(16, 4)
        target = copy.deepcopy(online)
        optimizer = torch.optim.SGD(online.parameters(), lr=0.1)
        for step in range(20):
            with torch.no_grad():
                wanted = 1.0 + 0.9 * target(states).max(dim=1).values
            loss = (online(states).max(dim=1).values - wanted).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            target.load_state_dict(online.state_dict())
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        encoder, codes, decoder = nn.Linear(8, 4), nn.Embedding(16, 4), nn.Linear(4, 8)
        parts = nn.ModuleList([encoder, codes, decoder])
        optimizer = torch.optim.Adam(parts.parameters())
        for step in range(5):
            inputs = torch.randn(32, 8)
            latent = encoder(inputs)
            nearest = codes(torch.cdist(latent, codes.weight).argmin(dim=1))
            straight = latent + (nearest - latent).detach()
            loss = (decoder(straight) - inputs).pow(2).mean()
            loss = loss + (nearest - latent.detach()).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
    ),
    says=(
        "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn",
        "RuntimeError: element 0 of variables does not require grad and does not have a grad_fn",
    ),
    search=(
        "element 0 of tensors does not require grad and does not have a grad_fn",
        "loss does not require grad detach item argmax",
        "pytorch parameters grad is None after backward",
        "model weights do not change during training detach",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/notes/autograd.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html",
    ),
)
_HELD = Text(
    en="holds these parameters and can't change them",
    ko="이 파라미터를 가지고 있지만 바꾸지 못합니다",
)
_STEPS = Text(
    en="{steps} steps behind it found no gradient in any parameter",
    ko="그 뒤의 갱신 {steps}번에서 기울기를 가진 파라미터가 없었습니다",
)
FEWEST = 3  # steps


@rule.on(Failure)
def graph_is_cut(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    cut = nearest_cut(failure)
    if cut is None:
        frozen = _frozen(failure)
        if frozen is not None:
            reading = reading._replace(variant=rule.variant("frozen"))
        yield answer(rule, failure, reading, frozen)
        return
    at = cut.source.span(cut.node)
    if not reading.variant.name:
        reading = reading._replace(variant=rule.variant(cut.kind))
    yield answer(rule, failure, reading, at, fixes(cut), code=_code(cut))


def _code(cut: Cut) -> str:
    return " ".join(cut.source.code(cut.node).split())


def _frozen(failure: Failure) -> Span | None:
    """The one place in the project that turns gradients off."""
    found = list[Span]()
    for source in Project(failure).sources():
        for assign in source.nodes(ast.Assign):
            target, value = assign.targets[0], assign.value
            is_flag = isinstance(target, ast.Attribute) and target.attr == "requires_grad"
            if is_flag and isinstance(value, ast.Constant) and value.value is False:
                found.append(source.span(assign))
        for call in source.calls(".requires_grad_", "torch.set_grad_enabled", ".set_grad_enabled"):
            if call.args and ast.unparse(call.args[0]) == "False":
                found.append(source.span(call))
    return found[0] if len(found) == 1 and failure.is_live else None


@rule.on(Trace)
def part_never_learns(trace: Trace) -> Iterator[Diagnosis]:
    """The silent form: `backward` runs, and layers that the optimizer holds get no gradient in the whole program."""
    from torchmedic.rules._lost import lost
    from torchmedic.rules._reach import common, trainings

    for training in trainings(trace):
        for cut, layers, held in lost(training):
            name = common([training.name_of(n) for n in layers])
            yield _lost(cut, name, Evidence(_HELD.fill(), held.at))


def _lost(cut: Cut, layer: str, *seen: Evidence) -> Diagnosis:
    kind = "part" if cut.kind == "cut" else f"part-{cut.kind}"
    return Diagnosis(
        rule,
        cut.source.span(cut.node),
        {"code": _code(cut), "layer": layer},
        seen,
        () if cut.kind == "round" else whole_fixes(cut),
        variant=rule.variant(kind),
    )


@rule.on(Run)
def nothing_is_reached(run: Run) -> Iterator[Diagnosis]:
    """The loss is a number that requires a gradient: it gets one, and no parameter does, in the whole run."""
    for one in run.unconnected:
        failure = as_failure(one.by)
        if one.owner or not run.is_at_rest:
            continue
        if one.refused and not is_expected(one.by):
            cut = nearest_cut(failure)
            if cut is not None:
                facts = {"code": _code(cut)}
                at, kind = cut.source.span(cut.node), rule.variant(cut.kind)
                yield Diagnosis(rule, at, facts, fixes=fixes(cut), variant=kind)
        if one.others or one.fed or min(one.leaves, one.steps) < FEWEST:
            continue
        held = [o for o in run.optimizers if o.steps and not o.owner]
        trained = frozenset[int]().union(*(o.holds for o in held))
        called = [f for f in run.forwards if f.by and f.parameters & trained]
        cut = first_cut(failure, frozenset(f.by[0].at for f in called))
        if cut is not None and called and held:
            named = callee(called[0].by[0])
            layer = named if named not in ("", "self") else called[0].type
            made = held[0].made_by[0].at if held[0].made_by else None
            seen = Evidence(_STEPS.fill(steps=one.steps), one.by[0].at)
            yield _lost(cut, layer, Evidence(_HELD.fill(), made), seen)
