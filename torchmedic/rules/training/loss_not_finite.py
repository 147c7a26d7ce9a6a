from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torchmedic.model import Diagnosis, Evidence, Rule, Severity, Span, Text, Variant
from torchmedic.observed import load
from torchmedic.observed.run import Run
from torchmedic.rules._numbers import diverging, scales_gradients
from torchmedic.rules._run import node_at

if TYPE_CHECKING:
    from torchmedic.observed.run_numbers import NotFinite

FEWEST = 2  # looks in a row: a single one may be what the program waits for
NEAR = 4  # steps before the last loss
FEWEST_SCALED = 8  # a GradScaler needs some steps to find its scale
_STAYS = Text(
    en="""
    Every operation that takes a NaN gives a NaN, and `backward()` writes it into the gradients of all parameters. One
    step later the parameters are NaN themselves, and no later batch can bring them back.
    """,
    ko="""
    NaN을 받은 연산은 모두 NaN을 내고, `backward()`는 그것을 모든 파라미터의 기울기에 적습니다. 한 단계 뒤에는 파라미터
    자체가 NaN이 되어, 뒤에 오는 어떤 배치로도 되돌릴 수 없습니다.
    """,
)
rule = Rule(
    code="TM341",
    name="loss-not-finite",
    severity=Severity.ERROR,
    summary=Text(
        en="The loss or a gradient becomes NaN or infinite, and stays so.",
        ko="손실이나 기울기가 NaN 또는 무한대가 되어 그대로 남습니다.",
    ),
    title=Text(
        en="the loss is {value} in step {step} and is never finite again",
        ko="{step}번째 단계에서 손실이 {value} 값이 되어 다시 유한해지지 않습니다",
    ),
    why=_STAYS,
    help=Text(
        en="Look for the first logarithm, root, division or empty mean that gives it, above all between model and loss.",
        ko="그 값을 처음 내는 로그, 제곱근, 나눗셈, 빈 평균을 찾으세요. 특히 모델과 손실 사이를 살펴보세요.",
    ),
    lesson=Text(
        en="""
        Stop at the first value that isn't finite; the later ones tell nothing. `torch.autograd.set_detect_anomaly(True)`
        names the line of the forward pass whose derivative is NaN. The usual sources: `log` of a probability that
        underflowed to 0, a division by a norm or a count that is 0, `sqrt` at 0 (its derivative there is infinite), `exp`
        of a large score, a mean over nothing. Use the stable form: `log_softmax`, `logsigmoid`, `logsumexp`, `normalize`
        with its `eps`, or add a small number inside the root. `where` doesn't help: the branch that isn't taken still
        gets a gradient of 0 × infinity. Check the data once with `torch.isfinite(x).all()`.
        """,
        ko="""
        유한하지 않은 첫 값에서 멈추고 찾으세요. 그 뒤의 값은 알려 주는 것이 없습니다.
        `torch.autograd.set_detect_anomaly(True)`는 도함수가 NaN인 순전파 줄을 알려 줍니다. 흔한 원인은 0으로 언더플로된
        확률의 `log`, 0인 노름이나 개수로 나누기, 0에서의 `sqrt`(도함수가 무한대), 큰 점수의 `exp`, 원소가 없는 평균입니다.
        안정한 형태인 `log_softmax`, `logsigmoid`, `logsumexp`, `eps`가 있는 `normalize`를 쓰거나 제곱근 안에 작은 수를
        더하세요. `where`는 소용이 없습니다. 고르지 않은 쪽도 0 × 무한대인 기울기를 받습니다. 데이터는
        `torch.isfinite(x).all()`로 한 번 확인하세요.
        """,
    ),
    bad="""
    import torch
    import torch.nn as nn
    import torch.nn.functional as F


    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Linear(20, 64)
            self.scores = nn.Linear(64, 10)

        def forward(self, x):
            scores = self.scores(torch.relu(self.hidden(x)))
            return torch.log(torch.softmax(scores, dim=1))


    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (128, 20)).float()
    labels = torch.randint(0, 10, (128,))
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(8):
        optimizer.zero_grad()
        loss = F.nll_loss(model(pixels), labels)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())
    """,
    good="""
    import torch
    import torch.nn as nn
    import torch.nn.functional as F


    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Linear(20, 64)
            self.scores = nn.Linear(64, 10)

        def forward(self, x):
            scores = self.scores(torch.relu(self.hidden(x)))
            return F.log_softmax(scores, dim=1)


    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (128, 20)).float()
    labels = torch.randint(0, 10, (128,))
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(8):
        optimizer.zero_grad()
        loss = F.nll_loss(model(pixels), labels)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())
    """,
    variants=(
        Variant(
            "operation",
            Text(
                en="`{code}` is the first to give {value}, in step {step}",
                ko="{step}번째 단계에서 `{code}` 계산이 처음으로 {value} 값을 냅니다",
            ),
            help=Text(
                en="Write it in its stable form, or keep its input away from the value where it has no finite result.",
                ko="안정한 형태로 바꾸거나, 유한한 결과가 없는 값이 입력되지 않게 하세요.",
            ),
        ),
        Variant(
            "layer",
            Text(
                en="layer `{layer}` is the first to give {value}, in step {step}",
                ko="{step}번째 단계에서 `{layer}` 층이 처음으로 {value} 값을 냅니다",
            ),
            help=Text(
                en="Look at the sizes of the values that go into `{layer}`: normalise them, or lower the learning rate.",
                ko="`{layer}` 층에 들어가는 값의 크기를 살펴보세요. 정규화하거나 학습률을 낮추세요.",
            ),
        ),
        Variant(
            "input",
            Text(
                en="the inputs of step {step} hold {bad} of {size} values that are NaN or infinite",
                ko="{step}번째 단계의 입력 값 {size}개 가운데 {bad}개가 NaN 또는 무한대입니다",
            ),
            help=Text(
                en="Find these values in the data and replace or drop them before training.",
                ko="데이터에서 이런 값을 찾아 학습 전에 바꾸거나 빼세요.",
            ),
        ),
        Variant(
            "parameter",
            Text(
                en="`{parameter}` is not finite before step {step}: an earlier step broke it",
                ko="{step}번째 단계 전에 `{parameter}` 값이 이미 유한하지 않습니다: 앞의 단계가 망가뜨렸습니다",
            ),
            help=Text(
                en="Lower the learning rate, clip the gradients, and look at the losses of the steps before.",
                ko="학습률을 낮추고 기울기를 자르고, 그 전 단계들의 손실을 살펴보세요.",
            ),
        ),
        Variant(
            "gradient",
            Text(
                en="the gradients are {value} in step {step}, though the loss is finite",
                ko="{step}번째 단계에서 손실은 유한한데 기울기가 {value} 값입니다",
            ),
            Text(
                en="""
                A value can be finite where its derivative is not: `sqrt`, `norm` and `pow` below 1 have an infinite slope at 0,
                and infinity times 0 is NaN. The step writes it into the parameters, and the next loss is NaN.
                """,
                ko="""
                값은 유한한데 도함수는 그렇지 않은 곳이 있습니다. `sqrt`, `norm`, 1보다 작은 지수의 `pow`는 0에서 기울기가
                무한대이고, 무한대에 0을 곱하면 NaN입니다. 갱신이 그것을 파라미터에 적어 다음 손실이 NaN이 됩니다.
                """,
            ),
            Text(
                en="Keep the argument of roots and norms away from 0: add a small number inside.",
                ko="제곱근과 노름의 인수가 0이 되지 않게, 안에 작은 수를 더하세요.",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        import torch.nn as nn
        import torch.nn.functional as F

        torch.manual_seed(0)
        tokens = torch.randn(16, 12, 8)
        lengths = torch.randint(4, 12, (16,))
        padding = torch.arange(12) >= lengths[:, None]
        scorer, head = nn.Linear(8, 1), nn.Linear(8, 3)
        labels = torch.randint(0, 3, (16,))
        optimizer = torch.optim.Adam([*scorer.parameters(), *head.parameters()])
        for step in range(12):
            scores = scorer(tokens).squeeze(2).masked_fill(padding, float("-inf"))
            pooled = (scores.softmax(dim=1).unsqueeze(2) * tokens).sum(dim=1)
            loss = F.cross_entropy(head(pooled), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        """
        import torch
        import torch.nn as nn

        torch.manual_seed(0)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for step in range(12):
            inputs = torch.randn(16, 4)
            if step == 5:
                inputs[3, 2] = float("nan")
            loss = (model(inputs) - inputs.sum(dim=1, keepdim=True)).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            if torch.isfinite(norm):
                optimizer.step()
        """,
    ),
    search=(
        "pytorch loss is nan",
        "loss becomes nan after a few iterations",
        "log softmax nan inf",
        "sqrt gradient nan at zero pytorch",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/autograd.html#anomaly-detection",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.log_softmax.html",
    ),
)
_BEFORE = Text(
    en="the loss of step {step} was {loss}, the last finite one",
    ko="{step}번째 단계의 손실 {loss} 값이 마지막으로 유한했습니다",
)
_COUNT = Text(
    en="{bad} of its {size} values are not finite",
    ko="값 {size}개 가운데 {bad}개가 유한하지 않습니다",
)
_SLOPE = Text(
    en="on a copy of `{root}`, the derivative of `{operation}` is not finite",
    ko="`{root}` 모델의 복사본에서 `{operation}` 연산의 도함수가 유한하지 않습니다",
)
_NODE = Text(
    en="behind the model, `{node}` got a value for which it has no finite result",
    ko="모델 뒤에서 `{node}` 연산이 유한한 결과가 없는 값을 받았습니다",
)
_USED = Text(en="this loss is {value}", ko="이 손실이 {value} 값입니다")


@rule.on(Run)
def not_finite(run: Run) -> Iterator[Diagnosis]:
    found = run.not_finite
    if found is None or not run.is_over or not found.by:
        return
    is_scaled = bool(found.owner) or scales_gradients(found.by)
    if found.lasted < (FEWEST_SCALED if is_scaled else FEWEST):
        return
    last = max((one.values[-1].step for one in run.values if one.values), default=0)
    if found.until + NEAR < last:
        return  # the program went on with something else
    if diverging(run) is not None:
        return  # the learning rate is the cause
    facts: dict[str, object] = {
        "value": found.value,
        "step": found.step + 1,
        "bad": found.bad_values,
        "size": found.size,
    }
    name, at, more = _form(found)
    if found.owner and (found.kind != "loss" or name not in ("operation", "layer", "input")):
        return  # a library's loop has its own ways with gradients, and no line of the program to name
    facts |= more
    evidence = list(_evidence(found, at))
    yield Diagnosis(rule, at, facts, tuple(evidence), variant=rule.variant(name) if name else None)


def _form(found: NotFinite) -> tuple[str, Span, dict[str, object]]:
    backward = found.by[0].at
    if found.kind == "gradient":
        return "gradient", found.origin_by[0].at if found.origin_by else backward, {}
    if found.origin == "operation":
        at = found.origin_by[0].at if found.origin_by else backward
        return "operation", at, {"code": _code(at) or found.name}
    if found.origin == "layer" and found.origin_by:
        return "layer", found.origin_by[0].at, {"layer": found.name}
    if found.origin == "input" and found.called_by:
        return "input", found.called_by[0].at, {}
    if found.origin == "parameter":
        return "parameter", backward, {"parameter": found.name}
    return "", backward, {}


def _code(at: Span) -> str:
    source = load(at.path)
    node = node_at(source, at) if source is not None else None
    code = " ".join(source.code(node).split()) if source is not None and node is not None else ""
    return code if len(code) <= 40 else ""


def _evidence(found: NotFinite, at: Span) -> Iterator[Evidence]:
    if found.origin in ("operation", "layer") and found.size:
        yield Evidence(_COUNT.fill(bad=found.bad_values, size=found.size), at)
    if found.kind == "gradient" and found.name:
        yield Evidence(_SLOPE.fill(operation=found.name, root=found.root), at)
    if found.node:
        yield Evidence(_NODE.fill(node=found.node), at)
    if found.before is not None:
        text = _BEFORE.fill(step=found.before.step + 1, loss=f"{found.before.value:.4g}")
        yield Evidence(text, found.by[0].at)
    elif found.kind == "loss" and at != found.by[0].at:
        yield Evidence(_USED.fill(value=found.value), found.by[0].at)
