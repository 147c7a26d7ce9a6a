import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Source
from torchmedic.observed.run import Run
from torchmedic.observed.source import argument
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._activations import (
    Activation,
    activations,
    call_of,
    losses_of,
    name_of_loss,
    of_loss,
    renamed,
    with_method,
)
from torchmedic.rules._loss_inputs import Seen, activation_of, seen

_LOGS = ("NLLLoss", "KLDivLoss", "CTCLoss")
_INSTEAD = {
    "NLLLoss": "CrossEntropyLoss",
    "nll_loss": "cross_entropy",
    "BCELoss": "BCEWithLogitsLoss",
    "binary_cross_entropy": "binary_cross_entropy_with_logits",
}

rule = Rule(
    code="TM322",
    name="loss-inputs-wrong",
    severity=Severity.ERROR,
    summary=Text(
        en="A loss for log-probabilities or probabilities gets something else.",
        ko="로그 확률이나 확률을 받는 손실 함수에 다른 값을 줍니다.",
    ),
    title=Text(
        en="`{loss}` gets the scores of a layer: it falls below 0 and has no end",
        ko="`{loss}` 손실이 층의 점수를 그대로 받아 0 밑으로 끝없이 내려갑니다",
    ),
    why=Text(
        en="""
        `{loss}` takes log-probabilities and returns minus the one of the right class. The scores of a linear layer have
        no upper bound, so the model lowers the loss by raising all scores, and other classes cost nothing.
        """,
        ko="""
        `{loss}` 손실은 로그 확률을 받아 정답 클래스의 값에 음수를 붙여 돌려줍니다. 선형 층의 점수에는 위쪽 한계가
        없으므로 모델은 모든 점수를 키워 손실을 낮추고, 다른 클래스의 점수에는 아무 비용이 들지 않습니다.
        """,
    ),
    help=Text(
        en="Use the loss that takes logits, or apply `log_softmax` before `{loss}`.",
        ko="로짓을 받는 손실을 쓰거나 `{loss}` 손실 앞에서 `log_softmax`를 적용하세요.",
    ),
    lesson=Text(
        en="""
        Each loss takes one of three things: logits (CrossEntropyLoss, BCEWithLogitsLoss), log-probabilities (NLLLoss,
        KLDivLoss, CTCLoss) or probabilities (BCELoss). Print the smallest and the largest value of its input once:
        log-probabilities are never above 0, and their exp sums up to 1. A loss of classification that becomes
        negative has got the wrong input.
        """,
        ko="""
        손실 함수는 셋 중 하나를 받습니다. 로짓(CrossEntropyLoss, BCEWithLogitsLoss), 로그 확률(NLLLoss, KLDivLoss,
        CTCLoss), 확률(BCELoss)입니다. 입력의 최솟값과 최댓값을 한 번 출력해 보세요. 로그 확률은 0을 넘지 않고 exp의
        합이 1입니다. 분류 손실이 음수가 되면 입력이 잘못된 것입니다.
        """,
    ),
    example={"loss": "NLLLoss"},
    bad="""
    import torch
    import torch.nn as nn

    torch.manual_seed(0)
    inputs, labels = torch.randn(256, 20), torch.randint(0, 10, (256,))
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10))
    criterion = nn.NLLLoss()
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(3):
        optimizer.zero_grad()
        loss = criterion(model(inputs), labels)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())
    """,
    good="""
    import torch
    import torch.nn as nn

    torch.manual_seed(0)
    inputs, labels = torch.randn(256, 20), torch.randint(0, 10, (256,))
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(3):
        optimizer.zero_grad()
        loss = criterion(model(inputs), labels)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())
    """,
    variants=(
        Variant(
            "probabilities",
            Text(
                en="`{loss}` gets probabilities: it stays between -1 and 0",
                ko="`{loss}` 손실이 로그 확률 대신 확률을 받아 -1과 0 사이에 머뭅니다",
            ),
            Text(
                en="""
                `{loss}` takes log-probabilities and returns minus the one of the right class. Of a probability that is
                a value between -1 and 0, no logarithm: a confident mistake costs no more than a mild one.
                """,
                ko="""
                `{loss}` 손실은 로그 확률을 받아 정답 클래스의 값에 음수를 붙여 돌려줍니다. 확률을 주면 로그 없이 -1과 0
                사이의 값이 되어, 크게 확신한 오답도 가벼운 오답보다 비싸지 않습니다.
                """,
            ),
            Text(
                en="Use `log_softmax` instead of `softmax` before `{loss}`.",
                ko="`{loss}` 손실 앞에서는 `softmax` 대신 `log_softmax`를 쓰세요.",
            ),
        ),
        Variant(
            "logs",
            Text(
                en="`{loss}` gets no log-probabilities: its least value isn't where both agree",
                ko="`{loss}` 손실이 로그 확률이 아닌 값을 받아 두 분포가 같을 때 최소가 되지 않습니다",
            ),
            Text(
                en="""
                `{loss}` takes the logarithms of the model's probabilities as its first argument. It doesn't apply one
                itself, and raises no error: with other values it is no distance of distributions any more.
                """,
                ko="""
                `{loss}` 손실은 첫 인수로 모델 확률의 로그를 받습니다. 로그를 직접 적용하지도 않고 오류도 내지 않으므로,
                다른 값을 주면 두 분포 사이의 거리가 아니게 됩니다.
                """,
            ),
            Text(
                en="Apply `log_softmax` to the scores before `{loss}`.",
                ko="`{loss}` 손실 앞에서 점수에 `log_softmax`를 적용하세요.",
            ),
        ),
        Variant(
            "unsquashed",
            Text(
                en="`{loss}` gets the scores of a layer, but takes values between 0 and 1",
                ko="0과 1 사이의 값을 받는 `{loss}` 손실에 층의 점수를 그대로 줍니다",
            ),
            Text(
                en="""
                `{loss}` takes probabilities. The scores of a linear layer can be negative or above 1, which it refuses as
                soon as one occurs; until then it takes the logarithm of a number that is no probability.
                """,
                ko="""
                `{loss}` 손실은 확률을 받습니다. 선형 층의 점수는 음수이거나 1보다 클 수 있어, 그런 값이 나오는 순간 거부하고
                그전까지는 확률이 아닌 수의 로그를 계산합니다.
                """,
            ),
            Text(
                en="Use the binary loss with logits, or apply a sigmoid before `{loss}`.",
                ko="로짓을 받는 이진 손실을 쓰거나 `{loss}` 손실 앞에서 sigmoid를 적용하세요.",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        import torch.nn as nn
        import torch.nn.functional as F

        torch.manual_seed(0)
        inputs, labels = torch.randn(64, 20), torch.randint(0, 10, (64,))
        model = nn.Linear(20, 10)
        optimizer = torch.optim.Adam(model.parameters())
        for epoch in range(2):
            optimizer.zero_grad()
            scores = model(inputs)
            loss = F.nll_loss(F.log_softmax(scores, dim=1), labels)
            loss = loss + F.nll_loss(torch.log(F.softmax(scores, dim=1)), labels)
            loss = loss + F.nll_loss(F.softmax(scores, dim=1).clamp(min=1e-8).log(), labels)
            loss = loss + F.binary_cross_entropy(torch.sigmoid(scores), torch.ones(64, 10))
            uniform = torch.full((64, 10), 0.1)
            loss = loss + F.kl_div(scores.log_softmax(dim=1), uniform, reduction="batchmean")
            loss.backward()
            optimizer.step()
        """,
        """
        import torch
        import torch.nn as nn

        torch.manual_seed(0)
        inputs = torch.randn(50, 16, 20)
        targets, lengths = torch.randint(1, 10, (16, 12)), torch.full((16,), 12)
        model = nn.Sequential(nn.Linear(20, 10), nn.LogSoftmax(dim=-1))
        criterion = nn.CTCLoss()
        optimizer = torch.optim.Adam(model.parameters())
        for epoch in range(2):
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets, torch.full((16,), 50), lengths)
            loss.backward()
            optimizer.step()
        """,
    ),
    search=(
        "pytorch NLLLoss negative loss",
        "KLDivLoss negative expects log probabilities",
        "BCELoss all elements of input should be between 0 and 1",
        "CTCLoss log_softmax input",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.CTCLoss.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html",
    ),
)


@rule.on(Trace)
def wrong_inputs(trace: Trace) -> Iterator[Diagnosis]:
    known = activations(trace)
    told = set()
    for loss in trace.of("loss"):
        name = _mistake(loss)
        if name is None:
            continue
        found = _told(trace, loss, of_loss(trace, loss, known), name)
        if found.at not in told:
            told.add(found.at)
            yield found


@rule.on(Run)
def wrong_inputs_in_run(run: Run) -> Iterator[Diagnosis]:
    for loss in seen(run, "nll_loss", "kl_div", "ctc_loss"):
        name = _mistake(loss.event) if _is_certain(loss) else None
        if name is not None:
            yield _told(loss.trace, loss.event, activation_of(loss), name)


def _is_certain(loss: Seen) -> bool:
    """In every look a value was above 0, which no log-probability is, or all were probabilities."""
    data = loss.run
    count = data.sums_to_one if data.activation == "softmax" else data.above_zero
    return 0 < data.looked == count and not data.is_log and not data.is_log_target


def _told(trace: Trace, loss: Event, one: Activation | None, name: str) -> Diagnosis:
    at, fix = _mend(trace, loss, one)
    evidence: tuple[Evidence, ...] = ()
    if at != loss.at:
        source = trace.source_of(loss.at)
        text = Text(en="it is called in `{code}`", ko="`{code}` 안에서 호출합니다")
        node = source.at(loss.at, ast.expr)
        shown = source.code(node).split("\n")[0] if node is not None else ""
        evidence = (Evidence(text.fill(code=shown), loss.at),)
    return Diagnosis(
        rule,
        at,
        {"loss": name_of_loss(trace, loss)},
        evidence,
        (fix,) if fix else (),
        variant=rule.variant(name) if name else None,
    )


def _mistake(loss: Event) -> str | None:
    """The variant's name ("" for the rule's own title), or None if this loss gets what it takes."""
    kind, through = loss.facts["loss"], loss.facts["through"]
    if kind == "BCELoss" and through == ("linear",):
        return "unsquashed"
    if kind not in _LOGS or through not in (("linear",), ("softmax",)):
        return None
    if kind != "NLLLoss":
        return "logs"
    return "probabilities" if through == ("softmax",) else ""


def _mend(trace: Trace, loss: Event, one: Activation | None) -> tuple[Span, Fix | None]:
    """The place to change, and the change."""
    made = loss.facts["made"]
    kind = str(loss.facts["loss"])
    if loss.facts["through"] == ("softmax",):
        if one is None:
            return loss.at, None
        return one.at, _logged(trace, one)
    if kind in ("NLLLoss", "BCELoss"):
        at = made if isinstance(made, Span) else loss.at
        return at, _other_loss(trace, loss, at)
    source = trace.source_of(loss.at)
    call = call_of(source, loss)
    fed = argument(call, 0, "input", "log_probs") if call is not None else None
    tensor = getattr(loss.facts["input"], "tensor", None)
    is_flat = tensor is not None and len(tensor.shape) == 2
    if fed is None or (kind == "KLDivLoss" and not is_flat):
        return loss.at, None
    title = Text(en="apply `log_softmax` to `{code}`", ko="`{code}` 값에 `log_softmax` 적용")
    dim = -1 if kind == "CTCLoss" else 1
    edits = with_method(source, fed, f".log_softmax(dim={dim})")
    return loss.at, Fix(edits, title.fill(code=source.code(fed)))


def _logged(trace: Trace, one: Activation) -> Fix | None:
    """`softmax` becomes `log_softmax`, where all losses that get it take logarithms."""
    if not one.is_only_for_losses or any(
        loss.facts["loss"] not in _LOGS for loss in losses_of(trace, one)
    ):
        return None
    layer = one.made
    node = layer if layer is not None else one.call
    if node is None:
        return None
    source = one.source if layer is None else trace.source_of(_made(one))
    edit = renamed(source, node, "LogSoftmax" if layer is not None else "log_softmax")
    title = Text(
        en="use `log_softmax` instead of `softmax`", ko="`softmax` 대신 `log_softmax` 쓰기"
    )
    return Fix((edit,), title) if edit else None


def _made(one: Activation) -> Span:
    made = one.events[0].facts["made"]
    return made if isinstance(made, Span) else one.at


def _other_loss(trace: Trace, loss: Event, at: Span) -> Fix | None:
    """The loss that takes logits, where all its calls give it logits."""
    source: Source = trace.source_of(at)
    node = source.at(at, ast.Call)
    if node is None or source.span(node) != at or not isinstance(node.func, ast.Attribute):
        return None
    same = [e for e in trace.of("loss") if e.facts["made"] == at or e.at == at]
    name = _INSTEAD.get(node.func.attr)
    if name is None or any(e.facts["through"] != ("linear",) for e in same):
        return None
    edit: Edit | None = renamed(source, node, name)
    title = Text(en="use `{name}`, which takes logits", ko="로짓을 받는 `{name}` 쓰기")
    return Fix((edit,), title.fill(name=name)) if edit else None
