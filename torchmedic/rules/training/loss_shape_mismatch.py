from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import (
    Diagnosis,
    Evidence,
    Fix,
    Reading,
    Rule,
    Severity,
    Span,
    Text,
    Variant,
    show_value,
)
from torchmedic.observed import Failure, Tensor
from torchmedic.rules._flow import Passed
from torchmedic.rules._outputs import loss_input, prediction, target, tensor_of
from torchmedic.rules._place import answer
from torchmedic.rules._squeezed import squeezed_batch
from torchmedic.rules._unbatched import unbatched

_LOSSES = (
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
    "poisson_nll_loss",
    "gaussian_nll_loss",
    "soft_margin_loss",
    "multilabel_soft_margin_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "triplet_margin_loss",
)

rule = Rule(
    code="TM318",
    name="loss-shape-mismatch",
    severity=Severity.ERROR,
    summary=Text(
        en="Predictions and targets of an element-wise loss have different shapes.",
        ko="원소별 손실 함수에 준 예측과 정답의 모양이 다릅니다.",
    ),
    title=Text(
        en="the target is {target}, but the prediction is {input}",
        ko="정답의 크기는 {target}, 예측의 크기는 {input} 입니다",
    ),
    why=Text(
        en="""
        MSE, L1 and the binary cross-entropies compare element with element. A column (N, 1) beside a row of numbers
        (N) would be spread into an N × N table, so the binary losses refuse it, and MSE warns and averages the table.
        """,
        ko="""
        MSE, L1, 이진 교차 엔트로피는 원소끼리 비교합니다. 열 (N, 1)과 숫자들 (N)을 비교하면 N × N 표로 펼쳐지므로,
        이진 손실은 거부하고 MSE는 경고만 하고 그 표의 평균을 냅니다.
        """,
    ),
    help=Text(
        en="Give both the same shape: `target.unsqueeze(1)`, or `prediction.squeeze(1)`.",
        ko="둘의 모양을 같게 하세요: `target.unsqueeze(1)` 또는 `prediction.squeeze(1)`.",
    ),
    lesson=Text(
        en="""
        A last layer `nn.Linear(…, 1)` gives (N, 1); labels from a column of a table are (N). Choose one shape where the
        data are loaded. Name the dimension in `squeeze(1)`: a bare `squeeze()` also drops a batch of one. Write
        `assert prediction.shape == target.shape` before the loss, since MSE does not raise for (N) and (N, 1).
        """,
        ko="""
        마지막 층 `nn.Linear(…, 1)`의 출력은 (N, 1)이고 표의 열에서 읽은 레이블은 (N)입니다. 데이터를 읽는 곳에서 한
        모양으로 정하세요. `squeeze(1)`처럼 차원을 적으세요. 그냥 `squeeze()`는 크기가 1인 배치까지 없앱니다. MSE는
        (N)과 (N, 1)에 오류를 내지 않으므로 손실 앞에 `assert prediction.shape == target.shape`를 쓰세요.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    model = nn.Linear(4, 1)
    labels = torch.tensor([0.0, 1.0, 1.0])
    loss = nn.BCEWithLogitsLoss()(model(torch.ones(3, 4)), labels)
    print(loss.item())
    """,
    good="""
    import torch
    from torch import nn

    model = nn.Linear(4, 1)
    labels = torch.tensor([0.0, 1.0, 1.0])
    loss = nn.BCEWithLogitsLoss()(model(torch.ones(3, 4)), labels.unsqueeze(1))
    print(loss.item())
    """,
    messages=(
        "Using a target size ({target:shape}) that is different to the input size ({input:shape})",
        "Target size ({target:shape}) must be the same as input size ({input:shape})",
        "Target and input must have the same number of elements. target nelement ({target:d}) != input nelement "
        "({input:d})",
    ),
    variants=(
        Variant(
            "broadcast",
            Text(
                en="a dimension of size {input} of the prediction meets size {target} of the target",
                ko="예측의 크기 {input} 차원이 정답의 크기 {target} 차원과 만납니다",
            ),
            messages=(
                "The size of tensor a ({input:d}) must match the size of tensor b ({target:d}) at non-singleton "
                "dimension {dim:d}",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn

        prediction = nn.Linear(4, 1)(torch.ones(3, 4)).squeeze(1)
        print(nn.MSELoss()(prediction, torch.zeros(3)).item())
        """,
    ),
    says=(
        "ValueError: Using a target size (torch.Size([8])) that is different to the input size (torch.Size([8, 1])) is "
        "deprecated. Please ensure they have the same size.",
        "ValueError: Target size (torch.Size([16])) must be the same as input size (torch.Size([16, 1]))",
        "ValueError: Target and input must have the same number of elements. target nelement (64) != input nelement "
        "(128)",
    ),
    search=(
        "Using a target size that is different to the input size",
        "Target size must be the same as input size BCEWithLogitsLoss",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html",
    ),
)

_WRITE = Text(en="write `{text}`", ko="`{text}` 쓰기")
_SHAPE = Text(en="`{code}` is {shape}", ko="`{code}` 크기: {shape}")


@rule.on(Failure)
def shapes_differ(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None or squeezed_batch(failure) is not None or unbatched(failure) is not None:
        return
    if reading.variant.name == "broadcast" and failure.library_frame(*_LOSSES) is None:
        return
    scores, labels = prediction(failure), target(failure)
    given, wanted = (
        _shape(argument, reading.facts[name], loss_input(failure, name))
        for name, argument in (("target", labels), ("input", scores))
    )
    evidence = tuple(
        Evidence(_SHAPE.fill(code=a.code, shape=show_value(list(s))), a.at)
        for a, s in ((scores, wanted), (labels, given))
        if a and s is not None
    )
    at: Span | None = labels.at if labels else None
    fixes = list[Fix]()
    if given is not None and wanted is not None:
        fixes = [
            *_fixes(labels, "unsqueeze", given, wanted),
            *_fixes(labels, "squeeze", given, wanted),
            *_fixes(scores, "squeeze", wanted, given),
            *_fixes(scores, "unsqueeze", wanted, given),
        ]
        if reading.variant.name == "broadcast":
            shapes: dict[str, object] = {"input": list(wanted), "target": list(given)}
            reading = Reading(Variant("", rule.title), shapes)
    yield answer(rule, failure, reading, at, tuple(fixes), evidence)


def _shape(argument: Passed | None, read: object, got: Tensor | None) -> tuple[int, ...] | None:
    tensor = tensor_of(argument) or got
    if tensor is not None:
        return tensor.shape
    return tuple(read) if isinstance(read, list) else None


def _fixes(
    argument: Passed | None, method: str, own: tuple[int, ...], other: tuple[int, ...]
) -> list[Fix]:
    """The one dimension of size 1 that `unsqueeze` adds, or `squeeze` takes away, to make both shapes equal."""
    longer, shorter = (other, own) if method == "unsqueeze" else (own, other)
    if argument is None or len(longer) != len(shorter) + 1:
        return []
    places = [
        i for i, n in enumerate(longer) if n == 1 and (*longer[:i], *longer[i + 1 :]) == shorter
    ]
    if not places:
        return []
    step = f".{method}({places[-1]})"
    node, source = argument.node, argument.source
    is_plain = isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))
    code = f"{argument.code}{step}" if is_plain else f"({argument.code}){step}"
    edit = source.insert_after(node, step) if is_plain else source.replace(node, code)
    return [Fix((edit,), _WRITE.fill(text=code))]
