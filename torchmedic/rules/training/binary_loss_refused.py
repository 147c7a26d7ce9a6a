from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Fix, Rule, Severity, Text, Variant
from torchmedic.observed import Failure, Source
from torchmedic.rules._activations import renamed
from torchmedic.rules._place import answer, failing_expression, without

rule = Rule(
    code="TM361",
    name="binary-loss-refused",
    severity=Severity.ERROR,
    summary=Text(
        en="Binary cross entropy gets values that are no probabilities, or is computed in half precision.",
        ko="이진 교차 엔트로피가 확률이 아닌 값을 받거나 반정밀도로 계산됩니다.",
    ),
    title=Text(
        en="binary cross entropy gets values outside 0 to 1",
        ko="이진 교차 엔트로피가 0과 1 사이를 벗어난 값을 받습니다",
    ),
    why=Text(
        en="""
        `binary_cross_entropy` and `BCELoss` take probabilities. The scores of a layer have no bounds, and NaN is between
        no two numbers.
        """,
        ko="""
        `binary_cross_entropy` 함수와 `BCELoss` 손실은 확률을 받습니다. 층의 점수에는 한계가 없고, NaN은 어떤 두 수
        사이에도 있지 않습니다.
        """,
    ),
    help=Text(
        en="Give scores to `binary_cross_entropy_with_logits` or `BCEWithLogitsLoss`; look for NaN if there is a sigmoid.",
        ko="점수는 `binary_cross_entropy_with_logits` 함수나 `BCEWithLogitsLoss` 손실에 주세요. sigmoid가 있다면 NaN을 찾으세요.",
    ),
    lesson=Text(
        en="""
        Leave the sigmoid out of the model and use `BCEWithLogitsLoss`: it computes both at once, is exact for large
        scores, and works under autocast. Apply `torch.sigmoid` only where you want probabilities to look at. Targets
        are numbers between 0 and 1 as well: 0 and 1, not 1 and 2, and not 0 and 255.
        """,
        ko="""
        모델에서 sigmoid를 빼고 `BCEWithLogitsLoss` 손실을 쓰세요. 둘을 한 번에 계산해 큰 점수에서도 정확하고 autocast
        안에서도 동작합니다. 확률을 보고 싶은 곳에서만 `torch.sigmoid`를 적용하세요. 정답도 0과 1 사이의 수여야 하므로
        1과 2나 0과 255가 아니라 0과 1로 두세요.
        """,
    ),
    bad="""
    import torch
    import torch.nn.functional as F

    scores = torch.tensor([1.7, -0.4])
    loss = F.binary_cross_entropy(scores, torch.tensor([1.0, 0.0]))
    print(loss)
    """,
    good="""
    import torch
    import torch.nn.functional as F

    scores = torch.tensor([1.7, -0.4])
    loss = F.binary_cross_entropy_with_logits(scores, torch.tensor([1.0, 0.0]))
    print(loss)
    """,
    messages=(
        "all elements of input should be between 0 and 1",
        "Assertion `input_val >= zero && input_val <= one` failed",
        "Assertion `x >= 0. && x <= 1.' failed. input value should be between 0~1",
        "Assertion `input >= 0. && input <= 1.` failed",
    ),
    variants=(
        Variant(
            "target",
            Text(
                en="the targets of binary cross entropy are not all between 0 and 1",
                ko="이진 교차 엔트로피의 정답이 모두 0과 1 사이에 있지는 않습니다",
            ),
            why=Text(
                en="A target says how likely the class is. 0 and 1 are answers, and whatever is between; 2 and −1 are none.",
                ko="정답은 그 클래스일 가능성을 뜻합니다. 0과 1, 그리고 그 사이의 수만 답이 되고 2나 −1은 아닙니다.",
            ),
            help=Text(
                en="Look at `targets.unique()`: divide pixels by 255, count classes from 0, and one-hot encode more than two.",
                ko="`targets.unique()`를 보세요. 픽셀은 255로 나누고, 클래스는 0부터 세고, 셋 이상이면 원-핫으로 바꾸세요.",
            ),
            messages=(
                "all elements of target should be between 0 and 1",
                "Assertion `target_val >= zero && target_val <= one` failed",
            ),
        ),
        Variant(
            "autocast",
            Text(
                en="binary cross entropy of probabilities is refused under autocast",
                ko="autocast 안에서는 확률을 받는 이진 교차 엔트로피를 쓸 수 없습니다",
            ),
            why=Text(
                en="""
                In float16 a probability near 0 or 1 rounds to 0 or 1, and its logarithm is infinite. With logits both
                steps are one, which is exact.
                """,
                ko="""
                float16에서는 0이나 1에 가까운 확률이 0이나 1로 반올림되어 로그가 무한대가 됩니다. 로짓을 받는 손실은 두
                단계를 하나로 계산해 정확합니다.
                """,
            ),
            help=Text(
                en="Take the sigmoid out of the model and use `BCEWithLogitsLoss` or `binary_cross_entropy_with_logits`.",
                ko="모델에서 sigmoid를 빼고 `BCEWithLogitsLoss` 손실이나 `binary_cross_entropy_with_logits` 함수를 쓰세요.",
            ),
            messages=(
                "binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast",
                "binary_cross_entropy or torch.nn.BCELoss are unsafe to autocast",
            ),
            search=("binary_cross_entropy and BCELoss are unsafe to autocast",),
            links=("https://docs.pytorch.org/docs/stable/amp.html",),
        ),
    ),
    innocent=(
        """
        import torch
        import torch.nn.functional as F

        loss = F.binary_cross_entropy(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.25]))
        print(loss)
        """,
    ),
    says=(
        "RuntimeError: all elements of input should be between 0 and 1",
        "RuntimeError: all elements of target should be between 0 and 1",
        "RuntimeError: Assertion `x >= 0. && x <= 1.' failed. input value should be between 0~1, but got -0.204107 at "
        "/pytorch/aten/src/THNN/generic/BCECriterion.c:60",
        "/pytorch/aten/src/ATen/native/cuda/Loss.cu:90: operator(): block: [0,0,0], thread: [8,0,0] Assertion "
        "`input_val >= zero && input_val <= one` failed.",
        "/pytorch/aten/src/ATen/native/cuda/Loss.cu:95: operator(): block: [0,0,0], thread: [8,0,0] Assertion "
        "`target_val >= zero && target_val <= one` failed.",
        "RuntimeError: torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast.\n"
        "Many models use a sigmoid layer right before the binary cross entropy layer.\n"
        "In this case, combine the two layers using torch.nn.functional.binary_cross_entropy_with_logits\n"
        "or torch.nn.BCEWithLogitsLoss.  binary_cross_entropy_with_logits and BCEWithLogits are\n"
        "safe to autocast.",
    ),
    search=(
        "all elements of input should be between 0 and 1",
        "input_val >= zero && input_val <= one failed",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html",
    ),
)

_INSTEAD = {
    "binary_cross_entropy": "binary_cross_entropy_with_logits",
    "BCELoss": "BCEWithLogitsLoss",
}
_ROUNDED = r"[<>]=?\s*0?\.\d|\bround(?:_)?\("
_WITH_LOGITS = Text(en="use `{name}`, which takes logits", ko="로짓을 받는 `{name}` 쓰기")
_WITHOUT_SIGMOID = Text(
    en="use `{name}`, and leave the sigmoid out", ko="`{name}` 쓰고 sigmoid 빼기"
)


@rule.on(Failure)
def loss_takes_probabilities(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    fixes = tuple[Fix, ...]()
    found = failing_expression(failure)
    if found is not None and reading.variant.name != "target":
        source = found[0]
        made = _losses(source)
        if len(made) == 1 and (edits := _edits(source, made[0], reading.variant.name)):
            name = _INSTEAD[_last(made[0].func)]
            text = _WITHOUT_SIGMOID if len(edits) > 1 else _WITH_LOGITS
            fixes = (Fix(edits, text.fill(name=name)),)
    yield answer(rule, failure, reading, fixes=fixes)


def _losses(source: Source) -> list[ast.Call]:
    return [call for call in source.nodes(ast.Call) if _last(call.func) in _INSTEAD]


def _edits(source: Source, loss: ast.Call, variant: str) -> tuple[Edit, ...]:
    """The loss with logits, and no sigmoid before it. Empty where it can't be told where the sigmoid is."""
    edit = renamed(source, loss, _INSTEAD[_last(loss.func)])
    sigmoids = [
        call for call in source.nodes(ast.Call) if _last(call.func) in ("sigmoid", "Sigmoid")
    ]
    if edit is None or (variant != "autocast" and sigmoids):
        return ()
    if not sigmoids:
        return (edit,)
    if re.search(
        _ROUNDED, source.text
    ):  # what the model puts out is taken for a probability elsewhere
        return ()
    taken = _taken_out(source, sigmoids[0]) if len(sigmoids) == 1 else None
    return (edit, taken) if taken is not None else ()


def _taken_out(source: Source, sigmoid: ast.Call) -> Edit | None:
    """Of `nn.Sequential(…, nn.Sigmoid())` the last layer, of `torch.sigmoid(x)` the call."""
    outer = source.parent(sigmoid)
    if _last(sigmoid.func) == "Sigmoid":
        if not isinstance(outer, ast.Call) or len(outer.args) < 2 or outer.args[-1] is not sigmoid:
            return None
        if _last(outer.func) != "Sequential":
            return None
        before, own = source.span(outer.args[-2]), source.span(sigmoid)
        start = before._replace(line=before.end_line, column=before.end_column)
        return Edit(start._replace(end_line=own.end_line, end_column=own.end_column), "")
    if isinstance(sigmoid.func, ast.Attribute) and not sigmoid.args:
        return without(source, sigmoid, sigmoid.func.value)
    if len(sigmoid.args) == 1 and not sigmoid.keywords:
        return source.replace(sigmoid, source.code(sigmoid.args[0]))
    return None


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
