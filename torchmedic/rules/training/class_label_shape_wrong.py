from __future__ import annotations

import ast
from collections.abc import Iterator
from math import prod

from torchmedic.model import (
    Diagnosis,
    Evidence,
    Fix,
    Rule,
    Severity,
    Span,
    Text,
    Variant,
    show_value,
)
from torchmedic.observed import Failure
from torchmedic.rules._flow import Passed, method_calls
from torchmedic.rules._outputs import prediction, target, tensor_of
from torchmedic.rules._place import answer
from torchmedic.rules._squeezed import squeezed_batch
from torchmedic.rules._unbatched import unbatched

rule = Rule(
    code="TM317",
    name="class-label-shape-wrong",
    severity=Severity.ERROR,
    summary=Text(
        en="Class labels have not the shape that the loss expects beside the predictions.",
        ko="클래스 레이블의 모양이 손실 함수가 예측에 대해 기대하는 모양과 다릅니다.",
    ),
    title=Text(
        en="class labels have a dimension too many for the loss",
        ko="클래스 레이블의 차원이 손실 함수가 받는 것보다 많습니다",
    ),
    why=Text(
        en="""
        `cross_entropy` and `nll_loss` take scores (N, C) with labels (N), or (N, C, d…) with labels (N, d…): one class
        number where the scores have a whole column of classes. A column of labels (N, 1) is not the same as (N).
        """,
        ko="""
        `cross_entropy`와 `nll_loss`는 점수 (N, C)에 레이블 (N), 또는 점수 (N, C, d…)에 레이블 (N, d…)를 받습니다.
        점수에 클래스 차원이 있는 자리에 번호 하나씩입니다. 열 하나짜리 레이블 (N, 1)은 (N)과 다릅니다.
        """,
    ),
    help=Text(
        en="Give labels of shape (N): `labels.squeeze(1)`; of one-hot labels `labels.argmax(1)`.",
        ko="(N) 모양의 레이블을 주세요: `labels.squeeze(1)`. 원-핫 레이블이면 `labels.argmax(1)`을 쓰세요.",
    ),
    lesson=Text(
        en="""
        Print `scores.shape` and `labels.shape` before the loss. Labels read from a table with `df[["y"]]` are a column,
        with `df["y"]` a row of numbers. Sequences come out as (N, T, C): the classes have to be dimension 1, so
        `scores.transpose(1, 2)`, or flatten both. Different first numbers mean that rows were lost or mixed on the
        way: look for `view`, `squeeze` and `batch_first` in the model.
        """,
        ko="""
        손실 함수 앞에서 `scores.shape`와 `labels.shape`를 출력하세요. 표에서 `df[["y"]]`로 읽으면 열이 되고
        `df["y"]`로 읽으면 숫자들이 됩니다. 시퀀스의 출력은 (N, T, C)인데 클래스가 1번 차원이어야 하므로
        `scores.transpose(1, 2)`를 쓰거나 둘 다 펼치세요. 첫 숫자가 다르면 중간에 행이 사라졌거나 섞인 것이니 모델의
        `view`, `squeeze`, `batch_first`를 살펴보세요.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    model = nn.Linear(4, 3)
    labels = torch.tensor([[0], [1], [2], [1]])
    loss = nn.functional.cross_entropy(model(torch.ones(4, 4)), labels)
    print(loss.item())
    """,
    good="""
    import torch
    from torch import nn

    model = nn.Linear(4, 3)
    labels = torch.tensor([[0], [1], [2], [1]])
    loss = nn.functional.cross_entropy(model(torch.ones(4, 4)), labels.squeeze(1))
    print(loss.item())
    """,
    messages=(
        "0D or 1D target tensor expected, multi-target not supported",
        "1D target tensor expected, multi-target not supported",
        "multi-target not supported at",
    ),
    variants=(
        Variant(
            "shape",
            Text(
                en="class labels are {shape}, but the loss wants one number for each row",
                ko="클래스 레이블의 크기가 {shape} 인데 손실 함수는 행마다 번호 하나를 원합니다",
            ),
        ),
        Variant(
            "batch",
            Text(
                en="there are {rows} rows of predictions for {labels} labels",
                ko="레이블은 {labels}개인데 예측은 {rows}행입니다",
            ),
            help=Text(
                en="Keep one row for each sample in the model, and flatten labels as the predictions were flattened.",
                ko="모델에서 샘플마다 한 행을 유지하고, 예측을 펼쳤다면 레이블도 똑같이 펼치세요.",
            ),
            messages=(
                "Expected input batch_size ({rows:d}) to match target batch_size ({labels:d})",
                "Expected target size ({rows:d},), got torch.Size([{labels:d}])",
            ),
        ),
        Variant(
            "sequence",
            Text(
                en="the loss wants labels {expected}, but they are {given}",
                ko="손실 함수가 원하는 레이블의 크기는 {expected} 인데 실제 크기는 {given} 입니다",
            ),
            help=Text(
                en="Put the classes into dimension 1: `scores.transpose(1, 2)`, or flatten scores and labels.",
                ko="클래스를 1번 차원에 두세요: `scores.transpose(1, 2)`. 또는 점수와 레이블을 모두 펼치세요.",
            ),
            messages=("Expected target size {expected:shape}, got {given:shape}",),
        ),
        Variant(
            "map",
            Text(
                en="a map of labels has {dimensions} dimensions instead of 3: (N, H, W)",
                ko="레이블 맵의 차원이 (N, H, W)의 3개가 아니라 {dimensions}개입니다",
            ),
            help=Text(
                en="Take the channel dimension out: `masks.squeeze(1)`; of one-hot masks `masks.argmax(1)`.",
                ko="채널 차원을 없애세요: `masks.squeeze(1)`. 원-핫 마스크이면 `masks.argmax(1)`을 쓰세요.",
            ),
            messages=(
                "only batches of spatial targets supported (3D tensors) but got targets of dimension: {dimensions:d}",
                "only batches of spatial targets supported (non-empty 3D tensors) but got targets of size: : "
                "{shape:shape}",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn

        scores = torch.ones(2, 5, 3)
        labels = torch.zeros(2, 5, dtype=torch.long)
        print(nn.CrossEntropyLoss()(scores.transpose(1, 2), labels).item())
        """,
    ),
    says=(
        "RuntimeError: 1D target tensor expected, multi-target not supported",
        "RuntimeError: multi-target not supported at /pytorch/aten/src/THNN/generic/ClassNLLCriterion.c:22",
        "ValueError: Expected input batch_size (32) to match target batch_size (64).",
        "RuntimeError: Expected target size [2, 3], got [2, 5]",
        "ValueError: Expected target size (2, 3), got torch.Size([2, 5])",
        "RuntimeError: only batches of spatial targets supported (3D tensors) but got targets of dimension: 4",
    ),
    search=(
        "0D or 1D target tensor expected, multi-target not supported",
        "Expected input batch_size to match target batch_size",
        "Expected target size got CrossEntropyLoss",
    ),
    links=("https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html",),
)

_ADD = Text(en="write `{text}`", ko="`{text}` 쓰기")
_SHAPE = Text(en="`{code}` is {shape}", ko="`{code}` 크기: {shape}")


@rule.on(Failure)
def labels_have_another_shape(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None or squeezed_batch(failure) is not None or unbatched(failure) is not None:
        return
    scores, labels = prediction(failure), target(failure)
    if reading.variant.name == "batch" and scores and _is_mixed(failure, scores):
        return
    given, wanted = tensor_of(labels), tensor_of(scores)
    facts: dict[str, object] = {}
    at: Span | None = labels.at if labels else None
    evidence = tuple(
        Evidence(_SHAPE.fill(code=a.code, shape=show_value(list(t.shape))), a.at)
        for a, t in ((scores, wanted), (labels, given))
        if a and t
    )
    if reading.variant.name == "" and given is not None:
        reading = reading._replace(variant=rule.variant("shape"))
        facts["shape"] = list(given.shape)
    fixes = list[Fix]()
    kind, shape = reading.variant.name, given.shape if given else ()
    if labels is not None:
        if kind in ("", "shape", "map"):
            if not shape or (len(shape) > 1 and shape[1] == 1):
                fixes.append(_appended(labels, ".squeeze(1)"))
            elif len(shape) > 1 and wanted is not None and shape[1:2] == wanted.shape[1:2]:
                fixes.append(_appended(labels, ".argmax(1)"))
        elif kind == "batch" and len(shape) > 1 and prod(shape) == reading.facts["rows"]:
            fixes.append(_appended(labels, ".reshape(-1)"))
    if scores is not None and kind == "sequence":
        sizes = wanted.shape if wanted else ()
        if not sizes or (len(sizes) == 3 and sizes[:2] == shape):
            fixes.append(_appended(scores, ".transpose(1, 2)"))
            at = scores.at
    elif scores is not None and kind == "batch" and not fixes:
        at = scores.at
    yield answer(rule, failure, reading, at, tuple(fixes), evidence, **facts)


def _appended(argument: Passed, text: str) -> Fix:
    source, node = argument.source, argument.node
    is_plain = isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))
    code = f"{argument.code}{text}" if is_plain else f"({argument.code}){text}"
    edit = source.insert_after(node, text) if is_plain else source.replace(node, code)
    return Fix((edit,), _ADD.fill(text=code))


def _is_mixed(failure: Failure, scores: Passed) -> bool:
    """True if a `view(-1, 1024)` in the model can have made other rows than there are samples."""
    for origin, call in method_calls(scores.origins(failure), "view", "reshape"):
        sizes = call.args[-2:]
        if len(sizes) == 2 and ast.unparse(sizes[0]) == "-1":
            return origin.source.function_of(call) is not None
    return False
