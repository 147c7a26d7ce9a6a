from collections.abc import Iterator

from torchmedic.model import Diagnosis, Rule, Severity, Text, Variant
from torchmedic.observed import Failure
from torchmedic.rules._reshape import (
    Change,
    batch_change,
    contiguous_change,
    map_change,
    shape_change,
    squeeze_change,
)
from torchmedic.rules._sizes import looks_unflattened, size_table, split
from torchmedic.rules._squeezed import BACKWARD, squeezed_batch
from torchmedic.rules._unbatched import unbatched

rule = Rule(
    code="TM202",
    name="flatten-missing",
    severity=Severity.ERROR,
    summary=Text(
        en="A map of several dimensions is not flattened into one row of features per sample.",
        ko="여러 차원의 특성 맵이 샘플마다 한 줄의 특성으로 펼쳐지지 않습니다.",
    ),
    title=Text(
        en="a map {input_shape} reaches `Linear`, which expects {in_features} features",
        ko="{input_shape} 크기의 특성 맵이 특성 {in_features}개를 기대하는 `Linear` 층에 들어옵니다",
    ),
    why=Text(
        en="""
        `nn.Linear` works on the last dimension alone. A map (batch, channels, height, width) has to become
        (batch, channels · height · width) first: one row per sample, the batch dimension kept.
        """,
        ko="""
        `nn.Linear` 층은 마지막 차원에만 작용합니다. (배치, 채널, 높이, 너비) 모양의 특성 맵은 먼저
        (배치, 채널 · 높이 · 너비) 모양, 곧 샘플마다 한 줄이 되어야 하며 배치 차원은 그대로 남아야 합니다.
        """,
    ),
    help=Text(
        en="Flatten right before the linear layer: `x.flatten(start_dim=1)`, or `nn.Flatten()` in a Sequential.",
        ko="선형 층 바로 앞에서 `x.flatten(start_dim=1)`로 펼치고, Sequential 안에서는 `nn.Flatten()`을 넣으세요.",
    ),
    lesson=Text(
        en="""
        Four ways do the same for a batch of maps: `x.view(x.size(0), -1)` (contiguous tensors only),
        `x.reshape(x.size(0), -1)` (copies where it must), `x.flatten(start_dim=1)`, and the layer `nn.Flatten()`.
        Bare `x.flatten()`, `x.view(-1)` and `x.squeeze()` touch the batch dimension too: name the dimension.
        To find it by hand, print `x.shape` before the first linear layer: it must be (batch, features).
        """,
        ko="""
        특성 맵의 배치를 펼치는 방법은 네 가지입니다. `x.view(x.size(0), -1)`(연속된 텐서만), 필요하면 복사하는
        `x.reshape(x.size(0), -1)`, `x.flatten(start_dim=1)`, 그리고 층으로 쓰는 `nn.Flatten()`입니다.
        인자 없는 `x.flatten()`, `x.view(-1)`, `x.squeeze()`는 배치 차원까지 건드리므로 차원을 적어 주세요.
        직접 찾으려면 첫 선형 층 앞에서 `x.shape`를 출력하세요. (배치, 특성) 모양이어야 합니다.
        """,
    ),
    bad="""
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 16, kernel_size=3)
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.fc = nn.Linear(16, 10)

        def forward(self, x):
            x = self.pool(torch.relu(self.conv(x)))
            return self.fc(x)


    images = torch.zeros(16, 1, 8, 8)
    scores = Net()(images)
    """,
    good="""
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 16, kernel_size=3)
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.fc = nn.Linear(16, 10)

        def forward(self, x):
            x = self.pool(torch.relu(self.conv(x)))
            return self.fc(x.flatten(start_dim=1))


    images = torch.zeros(16, 1, 8, 8)
    scores = Net()(images)
    """,
    messages=(
        "mat1 and mat2 shapes cannot be multiplied ({rows:d}x{given:d} and {in_features:d}x{out_features:d})",
        "a and b must have same reduction dim, but got [{rows:d}, {given:d}] X [{in_features:d}, {out_features:d}]",
        "size mismatch, m1: [{rows:d} x {given:d}], m2: [{in_features:d} x {out_features:d}]",
    ),
    variants=(
        Variant(
            "rows",
            Text(
                en="{rows} rows of {given} reach `Linear`, which expects {in_features} features",
                ko="특성 {in_features}개를 기대하는 `Linear` 층에 길이 {given} 크기의 행 {rows}개가 들어옵니다",
            ),
        ),
        Variant(
            "batch_swallowed",
            Text(
                en="`{code}` makes one row of {given} numbers out of the whole batch {map_shape}",
                ko="`{code}` 코드가 배치 전체 {map_shape} 크기를 숫자 {given}개의 한 줄로 만듭니다",
            ),
            why=Text(
                en="""
                Without a start dimension, flattening begins at dimension 0 and takes the batch along, so the
                linear layer sees a single row of all samples.
                """,
                ko="""
                시작 차원을 적지 않으면 0번 차원부터 펼쳐져 배치까지 합쳐집니다. 그래서 선형 층은 모든 샘플이
                이어진 한 줄을 받습니다.
                """,
            ),
            help=Text(
                en="Keep the batch dimension: `x.flatten(start_dim=1)`.",
                ko="배치 차원을 남기세요: `x.flatten(start_dim=1)`.",
            ),
        ),
        Variant(
            "squeezed",
            Text(
                en="`{code}` drops the batch dimension of a batch of one",
                ko="`{code}` 코드가 샘플이 하나인 배치의 배치 차원까지 없앱니다",
            ),
            why=Text(
                en="""
                `squeeze()` without a dimension removes every dimension of size 1. The last batch of an epoch may hold
                one sample: then the batch dimension goes too.
                """,
                ko="""
                차원을 적지 않은 `squeeze()`는 크기가 1인 차원을 모두 없앱니다. 에폭의 마지막 배치에 샘플이 하나만
                남으면 배치 차원까지 사라집니다.
                """,
            ),
            help=Text(
                en="Name the dimension: `squeeze(-1)`, or `squeeze(1)`.",
                ko="차원을 적어 주세요: `squeeze(-1)` 또는 `squeeze(1)`.",
            ),
        ),
        Variant(
            "unbatched",
            Text(
                en="the loss gets {input} for a batch of one: it has no batch dimension",
                ko="샘플이 하나인 배치의 손실 함수 입력이 {input} 크기입니다. 배치 차원이 없습니다",
            ),
            why=Text(
                en="""
                The prediction lacks the first dimension, as after a bare `squeeze()` of a batch of one. The loss reads
                it as the scores of a single sample; its backward compares the dimensions and refuses.
                """,
                ko="""
                샘플이 하나인 배치에 인자 없는 `squeeze()`를 쓴 것처럼 예측에 첫 차원이 없습니다. 손실 함수는 이것을
                샘플 하나의 점수로 읽지만, backward 단계는 차원을 비교하고 거부합니다.
                """,
            ),
            help=Text(
                en="Keep the batch dimension: name the one to drop, as in `squeeze(-1)`, or `flatten(start_dim=1)`.",
                ko="배치 차원을 남기세요. `squeeze(-1)`처럼 없앨 차원을 적거나 `flatten(start_dim=1)`을 쓰세요.",
            ),
            messages=(BACKWARD,),
        ),
        Variant(
            "not_contiguous",
            Text(
                en="`view` is called on a tensor whose memory is not in order",
                ko="메모리에 순서대로 놓이지 않은 텐서에 `view` 메서드를 호출합니다",
            ),
            why=Text(
                en="""
                `view` never copies: it needs the elements in memory in the order of the new shape. After
                `permute`, `transpose` or a slice they aren't.
                """,
                ko="""
                `view` 메서드는 복사하지 않으므로 원소가 새 모양의 순서대로 메모리에 있어야 합니다. `permute`,
                `transpose`, 슬라이스를 거친 텐서는 그렇지 않습니다.
                """,
            ),
            help=Text(
                en="Use `reshape` in place of `view`: it copies where it must.",
                ko="`view` 대신 필요할 때 복사하는 `reshape` 메서드를 쓰세요.",
            ),
            messages=("view size is not compatible with input tensor's size and stride",),
        ),
        Variant(
            "invalid_shape",
            Text(
                en="a tensor of {numel} elements cannot take the shape {shape}",
                ko="원소가 {numel}개인 텐서는 {shape} 모양이 될 수 없습니다",
            ),
            why=Text(
                en="""
                The product of the new sizes must equal the number of elements. A batch size or a number of features
                that is written as a constant fits one batch and one image size; the last batch is often smaller.
                """,
                ko="""
                새 크기들의 곱은 원소 수와 같아야 합니다. 배치 크기나 특성 수를 상수로 적으면 특정한 배치와 이미지
                크기에만 맞습니다. 마지막 배치는 더 작은 경우가 많습니다.
                """,
            ),
            help=Text(
                en="Take the batch size from the tensor and let PyTorch compute the rest: `x.view(x.size(0), -1)`.",
                ko="배치 크기는 텐서에서 얻고 나머지는 PyTorch가 계산하게 하세요: `x.view(x.size(0), -1)`.",
            ),
            messages=(
                "shape '{shape:shape}' is invalid for input of size {numel:d}",
                "shape '{shape}' is invalid for input of size {numel:d}",
                "invalid argument 2: size '{shape}' is invalid for input with {numel:d} elements",
            ),
        ),
    ),
    says=(
        "RuntimeError: view size is not compatible with input tensor's size and stride (at least one dimension spans "
        "across two contiguous subspaces). Use .reshape(...) instead.",
        "RuntimeError: invalid argument 2: view size is not compatible with input tensor's size and stride (at least "
        "one dimension spans across two contiguous subspaces). Call .contiguous() before .view(). at /pytorch/aten",
        "RuntimeError: size mismatch (got input: [10], target: [1])",
        "RuntimeError: shape '[-1, 1600]' is invalid for input of size 18432",
        "RuntimeError: invalid argument 2: size '[-1 x 400]' is invalid for input with 14400 elements at /pytorch/aten",
    ),
    search=(
        "pytorch flatten before linear layer",
        "view size is not compatible with input tensor's size and stride",
        "shape is invalid for input of size",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.flatten.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Flatten.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.Tensor.view.html",
    ),
)


@rule.on(Failure)
def map_is_not_flat(failure: Failure) -> Iterator[Diagnosis]:
    squeezed = squeezed_batch(failure)
    if squeezed is not None:
        yield _found(failure, squeeze_change(*squeezed), "squeezed")
        return
    reading = rule.read(failure.message)
    if reading is None or unbatched(failure) is not None:
        return
    facts, variant, layer = dict(reading.facts), reading.variant.name, failure.failing
    if variant == "unbatched":
        yield _found(failure, Change(failure.raised_at, facts), variant)
    elif variant == "not_contiguous":
        yield _found(failure, contiguous_change(failure), variant)
    elif variant == "invalid_shape":
        yield _found(failure, shape_change(failure, facts), variant)
    elif layer is not None and split(failure) == "flatten":
        facts["in_features"] = layer.settings.get("in_features", facts.get("in_features"))
        if layer.input is not None and len(layer.input.shape) == 1:
            yield _found(failure, batch_change(failure, layer, facts), "batch_swallowed")
        else:
            yield _found(failure, map_change(failure, layer, facts), "")
    elif not failure.modules and looks_unflattened(facts):
        yield _found(failure, Change(failure.raised_at, facts), "rows")


def _found(failure: Failure, change: Change, variant: str) -> Diagnosis:
    layer = failure.failing
    return Diagnosis(
        rule,
        change.at or failure.raised_at,
        change.facts,
        (*size_table(failure), *change.evidence),
        change.fixes,
        variant=rule.variant(variant) if variant else None,
        raised_at=failure.raised_at,
        module_path=layer.path if layer else None,
    )
