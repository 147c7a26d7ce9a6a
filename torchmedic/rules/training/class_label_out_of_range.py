from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Failure
from torchmedic.rules._asserts import LABEL, suspects
from torchmedic.rules._outputs import head, loss_input, prediction, target
from torchmedic.rules._place import answer

rule = Rule(
    code="TM316",
    name="class-label-out-of-range",
    severity=Severity.ERROR,
    summary=Text(
        en="A class label is negative or not smaller than the number of outputs.",
        ko="클래스 레이블이 음수이거나 출력 수보다 작지 않습니다.",
    ),
    title=Text(
        en="class label {label} does not fit the model's outputs",
        ko="클래스 레이블 {label} 값이 모델의 출력에 맞지 않습니다",
    ),
    why=Text(
        en="""
        For a label the loss reads the score in that column. With C outputs the columns are 0 … C − 1: labels counted
        from 1, or more classes than outputs, point beside the table.
        """,
        ko="""
        손실 함수는 레이블을 번호로 삼아 그 열의 점수를 읽습니다. 출력이 C개이면 열은 0부터 C − 1까지이므로, 1부터 센
        레이블이나 출력보다 많은 클래스는 표 밖을 가리킵니다.
        """,
    ),
    help=Text(
        en="Count labels from 0, and give the last layer one output per class.",
        ko="레이블을 0부터 세고, 마지막 층의 출력을 클래스마다 하나씩 두세요.",
    ),
    lesson=Text(
        en="""
        Look at `labels.unique()` once, before training: it should be 0 … C − 1, with C the last layer's
        `out_features`. On a GPU the check is a device-side assert, which appears at a later line and breaks the
        process: run one batch on the CPU, or set `CUDA_LAUNCH_BLOCKING=1`. To skip unlabelled pixels or tokens give
        the loss `ignore_index`.
        """,
        ko="""
        학습하기 전에 `labels.unique()`를 한 번 확인하세요. 마지막 층의 `out_features`가 C라면 0부터 C − 1까지여야
        합니다. GPU에서는 device-side assert가 나중 줄에서 나타나고 프로세스를 쓸 수 없게 만듭니다. 배치 하나를 CPU에서
        실행하거나 `CUDA_LAUNCH_BLOCKING=1`을 설정하세요. 레이블이 없는 픽셀이나 토큰은 손실 함수의
        `ignore_index`로 건너뛰세요.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    model = nn.Linear(4, 3)
    labels = torch.tensor([1, 2, 3, 1])
    loss = nn.functional.cross_entropy(model(torch.ones(4, 4)), labels)
    print(loss.item())
    """,
    good="""
    import torch
    from torch import nn

    model = nn.Linear(4, 3)
    labels = torch.tensor([1, 2, 3, 1])
    loss = nn.functional.cross_entropy(model(torch.ones(4, 4)), labels - 1)
    print(loss.item())
    """,
    messages=("Target {label:d} is out of bounds",),
    variants=(
        Variant(
            "counted",
            Text(
                en="class label {label} does not fit {classes} outputs: 0 to {last}",
                ko="클래스 레이블 {label} 값이 출력 {classes}개(0번부터 {last}번까지)에 맞지 않습니다",
            ),
        ),
        Variant(
            "assert",
            Text(
                en="a class label does not fit the model's outputs (assert on the GPU)",
                ko="클래스 레이블이 모델의 출력에 맞지 않습니다 (GPU의 assert)",
            ),
            messages=(
                "Assertion `t >= 0 && t < n_classes` failed",
                "Assertion `t >= 0 && t < n_classes' failed",
                "Assertion `cur_target >= 0 && cur_target < n_classes` failed",
                "Assertion `cur_target >= 0 && cur_target < n_classes' failed",
            ),
        ),
        Variant(
            "old",
            Text(
                en="a class label does not fit the model's outputs",
                ko="클래스 레이블이 모델의 출력에 맞지 않습니다",
            ),
            messages=(
                "multi_margin_loss: target out of range",
                "Class values must be smaller than num_classes",
                "Class values must be non-negative",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn

        labels = torch.tensor([0, 2, -100])
        loss = nn.CrossEntropyLoss()(torch.ones(3, 3), labels)
        print(loss.item())
        """,
    ),
    says=(
        "IndexError: Target 10 is out of bounds.",
        "../aten/src/ATen/native/cuda/Loss.cu:242: nll_loss_forward_reduce_cuda_kernel_2d: block: [0,0,0], thread: "
        "[12,0,0] Assertion `t >= 0 && t < n_classes` failed.",
        "RuntimeError: Assertion `cur_target >= 0 && cur_target < n_classes' failed. at "
        "/pytorch/aten/src/THNN/generic/ClassNLLCriterion.c:94",
        "RuntimeError: Class values must be smaller than num_classes.",
    ),
    search=(
        "Target is out of bounds CrossEntropyLoss",
        "t >= 0 && t < n_classes failed",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html",
        "https://docs.pytorch.org/docs/stable/notes/cuda.html#asynchronous-execution",
    ),
)

_FROM_ZERO = Text(en="count labels from 0: `{text}`", ko="레이블을 0부터 세기: `{text}`")
_OUTPUTS = Text(en="give the last layer {count} outputs", ko="마지막 층의 출력을 {count}개로 하기")
_WIDTH = Text(
    en="the predictions are {shape}: {classes} classes, numbered 0 to {last}",
    ko="예측의 크기는 {shape}: 클래스 {classes}개, 번호는 0부터 {last}까지",
)


@rule.on(Failure)
def label_is_out_of_range(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    label, given = reading.facts.get("label"), loss_input(failure)
    labels, scores = target(failure), prediction(failure)
    if not isinstance(label, int):
        is_late = reading.variant.name == "assert" and "device-side assert" in failure.message
        known = tuple(suspects(failure, LABEL)) if is_late else ()
        yield answer(rule, failure, reading, evidence=known)
        return
    classes, evidence, facts = None, tuple[Evidence, ...](), dict[str, object]()
    if given is not None and given.shape:
        classes = given.shape[1 if len(given.shape) > 1 else 0]
        facts = {"classes": classes, "last": classes - 1}
        text = _WIDTH.fill(shape=list(given.shape), **facts)
        evidence = (Evidence(text, scores.at if scores else None),)
        reading = reading._replace(variant=rule.variant("counted"))
    at: Span | None = labels.at if labels else None
    fixes = list[Fix]()
    if labels is not None and (classes is None or label == classes) and label > 0:
        code = labels.code
        is_plain = isinstance(labels.node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))
        text_ = f"{code} - 1" if is_plain else f"({code}) - 1"
        edit = labels.source.replace(labels.node, text_)
        fixes.append(Fix((edit,), _FROM_ZERO.fill(text=text_)))
    made = head(failure, scores) if scores and label >= 0 else None
    old = made.argument(1, "out_features") if made else None
    if made is not None and old is not None:
        wide = made.source.span(old)
        fixes.append(Fix((Edit(wide, str(label + 1)),), _OUTPUTS.fill(count=label + 1)))
        if classes is not None and label > classes:
            at = wide
    yield answer(rule, failure, reading, at, tuple(fixes), evidence, **facts)
