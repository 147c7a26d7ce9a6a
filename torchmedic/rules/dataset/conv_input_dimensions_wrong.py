from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Text, Variant
from torchmedic.observed import Failure
from torchmedic.rules._channels import channels_of, input_shape, resized, spatial
from torchmedic.rules._dimensions import (
    Plan,
    is_input,
    plan_convolution,
    plan_recurrent,
    read_layout,
)
from torchmedic.rules._layout import changes
from torchmedic.rules._norms import norm_fixes, norm_plan
from torchmedic.rules._sizes import size_table, split
from torchmedic.rules._unbatched import Unbatched, batched, unbatched

rule = Rule(
    code="TM104",
    name="conv-input-dimensions-wrong",
    severity=Severity.ERROR,
    summary=Text(
        en="The input has too few or too many dimensions for the layer, or they stand in another order.",
        ko="입력의 차원이 층이 요구하는 것보다 적거나 많거나, 순서가 다릅니다.",
    ),
    title=Text(
        en="the convolution takes {expected} input channels, and the data bring {given}",
        ko="합성곱 층은 입력 채널 {expected}개를 받는데 데이터의 채널 수는 {given} 입니다",
    ),
    why=Text(
        en="""
        A convolution reads dimension 1 of a batch as the channels: B × C × H × W. Grey images have one channel, RGB
        images three, and `in_channels` of the first layer has to say the same.
        """,
        ko="""
        합성곱은 배치의 1번 차원을 채널로 읽습니다: B × C × H × W. 흑백 이미지는 채널이 하나, RGB 이미지는 셋이며 첫
        층의 `in_channels` 값도 그와 같아야 합니다.
        """,
    ),
    help=Text(
        en="Set `in_channels` of the first layer to what the data bring, or load images with as many as it takes.",
        ko="첫 층의 `in_channels` 값을 데이터의 채널 수로 바꾸거나, 층이 받는 채널 수의 이미지로 읽으세요.",
    ),
    lesson=Text(
        en="""
        Conv1d wants (B, C, L), Conv2d (B, C, H, W), Conv3d (B, C, D, H, W); an LSTM with `batch_first=True` (B, T,
        features). Cameras, NumPy and matplotlib keep the channels last; `permute` moves them, `view` doesn't.
        To find it by hand, print `x.shape` in the first line of `forward` and write the letters beneath the numbers.
        Fix it once, in the Dataset: a sample is (C, H, W) there, and the loader puts the batch in front.
        For one sample outside of a loader, add the batch: `model(x.unsqueeze(0))`.
        """,
        ko="""
        Conv1d는 (B, C, L), Conv2d는 (B, C, H, W), Conv3d는 (B, C, D, H, W), `batch_first=True` LSTM은 (B, T, 특성)
        순서를 받습니다. 카메라, NumPy, matplotlib에서는 채널이 마지막입니다. 옮길 때는 `view`가 아니라 `permute`를 쓰세요.
        직접 찾으려면 `forward` 첫 줄에서 `x.shape`를 출력하고 숫자 아래에 글자를 적어 보세요.
        Dataset에서 한 번만 고치세요. 거기서 샘플은 (C, H, W)이고 배치 차원은 DataLoader가 앞에 붙입니다.
        DataLoader 없이 샘플 하나를 넣을 때는 배치 차원을 더하세요: `model(x.unsqueeze(0))`.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    pixels = [[[0.5] * 8] * 8] * 6
    images = torch.tensor(pixels)
    conv = nn.Conv2d(1, 2, kernel_size=3)
    print(conv(images).shape)
    """,
    good="""
    import torch
    from torch import nn

    pixels = [[[0.5] * 8] * 8] * 6
    images = torch.tensor(pixels).unsqueeze(1)
    conv = nn.Conv2d(1, 2, kernel_size=3)
    print(conv(images).shape)
    """,
    messages=(
        "expected input{shape:shape} to have {expected:d} channels, but got {given:d} channels instead",
    ),
    variants=(
        Variant(
            "channel_last",
            Text(
                en="channels stand last in {shape}; a convolution reads them from dimension 1",
                ko="{shape} 크기에서 채널이 마지막인데 합성곱은 1번 차원을 채널로 읽습니다",
            ),
            Text(
                en="""
                Image files, NumPy and matplotlib store height × width × channels; PyTorch wants channels × height ×
                width. So the height was taken for the number of channels.
                """,
                ko="""
                이미지 파일, NumPy, matplotlib은 높이 × 너비 × 채널 순서로 저장하고 PyTorch는 채널 × 높이 × 너비 순서를
                받습니다. 그래서 높이가 채널 수로 읽혔습니다.
                """,
            ),
            Text(
                en="Move the channels to the front: `.permute(2, 0, 1)` for one image, `.permute(0, 3, 1, 2)` for a batch.",
                ko="채널을 앞으로 옮기세요: 이미지 하나는 `.permute(2, 0, 1)`, 배치는 `.permute(0, 3, 1, 2)`.",
            ),
        ),
        Variant(
            "channel_missing",
            Text(
                en="the input {shape} has no channel dimension, so the batch is read as channels",
                ko="{shape} 입력에 채널 차원이 없어 배치가 채널로 읽힙니다",
            ),
            Text(
                en="""
                Without its channel dimension a batch of samples looks like one sample with many channels: PyTorch puts
                a 1 in front, and the batch size is compared with `in_channels`.
                """,
                ko="""
                채널 차원이 없는 배치는 채널이 많은 샘플 하나처럼 보입니다. PyTorch가 앞에 1을 붙이고 배치 크기를
                `in_channels` 값과 비교합니다.
                """,
            ),
            Text(
                en="Add the channel: `.unsqueeze(0)` for one sample in the Dataset, `.unsqueeze(1)` for a batch.",
                ko="채널 차원을 더하세요: Dataset의 샘플 하나에는 `.unsqueeze(0)`, 배치에는 `.unsqueeze(1)`.",
            ),
        ),
        Variant(
            "dimensions",
            Text(
                en="the input {shape} has the wrong number of dimensions for the convolution",
                ko="{shape} 크기의 입력은 합성곱 층이 받는 차원 수와 다릅니다",
            ),
            Text(
                en="A convolution wants channels and its spatial dimensions, with a batch in front: (B, C, H, W) for 2-D.",
                ko="합성곱은 채널과 공간 차원을, 그 앞에 배치를 받습니다. 2차원이면 (B, C, H, W) 순서입니다.",
            ),
            Text(
                en="Add what is missing, `.unsqueeze(0)` for the batch or the channel; remove what is too much.",
                ko="빠진 배치나 채널 차원은 `.unsqueeze(0)`으로 더하고 남는 차원은 빼세요.",
            ),
            messages=(
                "(batched) input to {function:word}, but got input of size: {shape:shape}",
                "-dimensional input of size {shape:shape} instead",
                "-dimensional weight {weight}, but got input of size {shape:shape} instead",
            ),
        ),
        Variant(
            "stride",
            Text(
                en="an input has the wrong number of dimensions for the layer",
                ko="입력의 차원 수가 층이 받는 것과 다릅니다",
            ),
            messages=("xpected stride to be a single integer value or a list of",),
        ),
        Variant(
            "norm",
            Text(
                en="a norm layer for {expected} inputs gets {given} dimensions",
                ko="{expected} 입력을 위한 정규화 층이 {given}차원 입력을 받습니다",
            ),
            Text(
                en="""
                BatchNorm1d takes (B, C) and (B, C, L), BatchNorm2d (B, C, H, W), BatchNorm3d (B, C, D, H, W). The number
                in its name has to match the layers around it, and the batch must be there, even of one.
                """,
                ko="""
                BatchNorm1d는 (B, C)와 (B, C, L), BatchNorm2d는 (B, C, H, W), BatchNorm3d는 (B, C, D, H, W) 입력을 받습니다.
                이름의 숫자는 주변 층과 맞아야 하고, 샘플이 하나라도 배치 차원이 있어야 합니다.
                """,
            ),
            Text(
                en="Use the norm of the input's dimensions, or give a single sample its batch dimension: `.unsqueeze(0)`.",
                ko="입력의 차원에 맞는 정규화 층을 쓰거나, 샘플 하나에는 `.unsqueeze(0)`으로 배치 차원을 더하세요.",
            ),
            messages=(
                "expected {expected} input (got {given:d}D input)",
                "expected {expected} input (got {given:d} D input)",
            ),
        ),
        Variant(
            "features",
            Text(
                en="each step has {given} features, and the recurrent layer takes {expected}",
                ko="각 시점의 특성은 {given}개인데 순환 층은 {expected}개를 받습니다",
            ),
            Text(
                en="""
                An RNN, LSTM or GRU reads the last dimension as the features of one step. In this input another
                dimension has that size: time and features have changed places.
                """,
                ko="""
                RNN, LSTM, GRU는 마지막 차원을 한 시점의 특성으로 읽습니다. 이 입력에서는 다른 차원이 그 크기이므로 시간과
                특성의 자리가 바뀌었습니다.
                """,
            ),
            Text(
                en="Move the features to the end: `.permute(0, 2, 1)` for a batch, `.transpose(0, 1)` for one sample.",
                ko="특성을 마지막으로 옮기세요: 배치는 `.permute(0, 2, 1)`, 샘플 하나는 `.transpose(0, 1)`.",
            ),
            messages=(
                "input.size(-1) must be equal to input_size. Expected {expected:d}, got {given:d}",
            ),
        ),
        Variant(
            "recurrent",
            Text(
                en="a recurrent layer gets an input of {given} dimensions",
                ko="순환 층이 {given}차원 입력을 받습니다",
            ),
            Text(
                en="An RNN, LSTM or GRU takes (B, T, features) with `batch_first=True`, else (T, B, features).",
                ko="RNN, LSTM, GRU는 `batch_first=True`이면 (B, T, 특성), 아니면 (T, B, 특성) 입력을 받습니다.",
            ),
            Text(
                en="Bring the input to three dimensions: `squeeze(1)` a channel, `unsqueeze(-1)` a single feature.",
                ko="입력을 3차원으로 만드세요: 채널은 `squeeze(1)`로 빼고, 특성이 하나면 `unsqueeze(-1)`로 더하세요.",
            ),
            messages=(
                "Expected input to be 2D or 3D, got {given:d}D",
                "Expected input to be 2-D or 3-D but received {given:d}-D tensor",
                "input must have 3 dimensions, got {given:d}",
            ),
        ),
        Variant(
            "unbatched",
            Text(
                en="`{layer}` reads the 2-D input {input_shape} as one sequence of {steps} steps",
                ko="`{layer}` 층이 2차원 입력 {input_shape} 값을 시점 {steps}개의 시퀀스 하나로 읽습니다",
            ),
            Text(
                en="""
                Without a batch dimension an RNN, LSTM or GRU takes the first dimension for the time and goes on; its
                output then has one dimension less than the code behind it expects.
                """,
                ko="""
                배치 차원이 없으면 RNN, LSTM, GRU는 첫 차원을 시간으로 읽고 계속합니다. 그래서 출력의 차원이 뒤의 코드가
                기대하는 것보다 하나 적습니다.
                """,
            ),
            Text(
                en="""
                Give it three dimensions: of a batch of rows each is a sequence of one step (`.unsqueeze(1)` under
                `batch_first=True`); a single sequence needs a batch of one (`.unsqueeze(0)`).
                """,
                ko="""
                3차원으로 만드세요. 행으로 된 배치는 행마다 시점이 하나인 시퀀스입니다(`batch_first=True`이면
                `.unsqueeze(1)`). 시퀀스 하나에는 크기가 1인 배치 차원을 더하세요(`.unsqueeze(0)`).
                """,
            ),
        ),
        Variant(
            "pool",
            Text(
                en="an input has the wrong number of dimensions for the pooling layer",
                ko="입력의 차원 수가 풀링 층이 받는 것과 다릅니다",
            ),
            Text(
                en="Pooling takes the channels and its spatial dimensions, with or without a batch in front.",
                ko="풀링은 채널과 공간 차원을 받으며 배치는 앞에 있어도 없어도 됩니다.",
            ),
            messages=(
                "(batch mode) tensor expected for input",
                "(batch mode) tensor with optional 0 dim batch size for input, but got:{shape:shape}",
                "pool{which:word}(): Expected {wanted} tensor, but got {shape:shape}",
                "pool{which:word}(): Expected {wanted} tensor, but got: {shape:shape}",
            ),
        ),
    ),
    says=(
        "RuntimeError: Expected 4-dimensional input for 4-dimensional weight [32, 1, 3, 3], but got 3-dimensional input of size [64, 28, 28] instead",
        "RuntimeError: Expected 4-dimensional input for 4-dimensional weight 64 3 3 3, but got 3-dimensional input of size [3, 32, 32] instead",
        "RuntimeError: expected 4-dimensional input for 4-dimensional weight [8, 1, 3, 3], but got input of size [28, 28] instead",
        "RuntimeError: Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [28, 28]",
        "RuntimeError: expected stride to be a single integer value or a list of 0 values to match the convolution dimensions, but got stride=[1, 1]",
        "ValueError: expected 4D input (got 2D input)",
        "RuntimeError: input must have 3 dimensions, got 2",
        "ValueError: LSTM: Expected input to be 2D or 3D, got 4D instead",
        "RuntimeError: non-empty 3D or 4D (batch mode) tensor expected for input",
    ),
    search=(
        "expected input to have 3 channels but got 1 channels instead",
        "Expected 4-dimensional input for 4-dimensional weight",
        "pytorch channel last to channel first permute",
        "pytorch lstm input dimensions batch_first",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html",
    ),
)

_PLAN_VARIANTS = {"channel_last", "channel_missing"}


@rule.on(Failure)
def dimensions_do_not_fit(failure: Failure) -> Iterator[Diagnosis]:
    sequence = unbatched(failure)
    if sequence is not None:
        yield _read_as_sequence(failure, sequence)
        return
    reading = rule.read(failure.message)
    if reading is None:
        return
    facts, name = dict(reading.facts), reading.variant.name
    if name == "" and not is_input(failure, facts):
        return
    layer = failure.failing
    if name == "features" and split(failure) != "input":
        return
    shape = input_shape(failure, facts)
    plan: Plan | None = None
    if name == "norm":
        plan = norm_plan(failure)
    elif name in ("features", "recurrent"):
        size = layer.settings.get("input_size") if layer else None
        plan = plan_recurrent(shape, size) if isinstance(size, int) else None
    elif name == "pool":
        n = spatial(failure, facts, layer)
        plan = Plan("", ".unsqueeze(0)", ".unsqueeze(0)", (1, *shape)) if len(shape) == n else None
    else:
        n, channels = spatial(failure, facts, layer), channels_of(facts, layer)
        if n and channels:
            plan = plan_convolution(n, shape, channels)
    yield _diagnosed(failure, name, facts, shape, plan)


def _diagnosed(
    failure: Failure, name: str, facts: dict[str, object], shape: list[int], plan: Plan | None
) -> Diagnosis:
    layer = failure.failing
    if shape:
        facts["input_shape"] = shape
    at, evidence, fixes = failure.raised_at, tuple[Evidence, ...](), tuple[Fix, ...]()
    if plan is not None:
        if name in ("", "dimensions"):
            n = spatial(failure, facts, layer)
            evidence = (read_layout(shape, plan, n),) if n else ()
            name = plan.kind if plan.kind in _PLAN_VARIANTS else name
        places = changes(failure, plan)
        fixes = tuple(place.fix for place in places)
        at = places[0].at if places else at
    if name == "norm":
        at, fixes = norm_fixes(failure, at, fixes)
    elif plan is None and layer is not None:
        at, fixes = resized(failure, layer, facts, shape, at)
    if name in _PLAN_VARIANTS:
        facts["shape"] = shape
    diagnosis = Diagnosis(
        rule,
        at,
        facts,
        (*evidence, *size_table(failure)),
        _distinct(fixes),
        variant=rule.variant(name) if name else None,
        raised_at=failure.raised_at,
        module_path=layer.path if layer else None,
    )
    return diagnosis._replace(facts={k: v for k, v in facts.items() if v is not None})


def _read_as_sequence(failure: Failure, found: Unbatched) -> Diagnosis:
    layer = failure.failing
    return Diagnosis(
        rule,
        found.source.span(found.input),
        found.facts,
        (found.evidence, *size_table(failure)),
        batched(failure, found),
        variant=rule.variant("unbatched"),
        raised_at=failure.raised_at,
        module_path=layer.path if layer else None,
    )


def _distinct(fixes: tuple[Fix, ...]) -> tuple[Fix, ...]:
    found = {fix.edits: fix for fix in reversed(fixes)}
    return tuple(reversed(found.values()))
