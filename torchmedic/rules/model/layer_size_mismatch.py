from collections.abc import Iterator

from torchmedic.model import (
    Diagnosis,
    Evidence,
    Fix,
    Rule,
    Severity,
    Text,
    Variant,
)
from torchmedic.observed import Failure
from torchmedic.observed.construction import constructor
from torchmedic.rules._arguments import (
    argument_of,
    given_size,
    is_product,
    map_sizes,
    operand_shapes,
    single,
    sum_of,
)
from torchmedic.rules._dimensions import is_input
from torchmedic.rules._reshape import mixed_change
from torchmedic.rules._resize import resize_fixes
from torchmedic.rules._sizes import looks_unflattened, size_table, split
from torchmedic.rules._unbatched import unbatched
from torchmedic.rules._weights import weight_change

rule = Rule(
    code="TM201",
    name="layer-size-mismatch",
    severity=Severity.ERROR,
    summary=Text(
        en="The output size of one layer and the input size of the next one disagree.",
        ko="한 층의 출력 크기와 다음 층의 입력 크기가 서로 다릅니다.",
    ),
    title=Text(
        en="`Linear` has in_features={in_features}, but {given} features arrive",
        ko="`Linear` 층은 in_features={in_features} 값인데 특성 {given}개가 들어옵니다",
    ),
    why=Text(
        en="""
        `nn.Linear(in_features, out_features)` multiplies by a matrix with `in_features` rows, so the last
        dimension of its input must be exactly that number. After convolutions it is
        channels × height × width of the last map, and each convolution and pooling changes height and width.
        """,
        ko="""
        `nn.Linear(in_features, out_features)` 층은 행이 `in_features`개인 행렬을 곱하므로 입력의 마지막 차원이
        정확히 그 수와 같아야 합니다. 합성곱 뒤에서는 마지막 특성 맵의 채널 × 높이 × 너비가 그 수이고,
        합성곱과 풀링을 지날 때마다 높이와 너비가 달라집니다.
        """,
    ),
    help=Text(
        en="Set `in_features` to the {given} that arrive, or change what the layer before puts out.",
        ko="`in_features` 값을 들어오는 {given} 값에 맞추거나, 앞 층의 출력 크기를 바꾸세요.",
    ),
    lesson=Text(
        en="""
        Write the size after every layer beside the model: convolution and pooling give
        floor((size + 2·padding − kernel) / stride) + 1. To find it by hand, print `x.shape` right before the
        layer that fails, or run the convolutional part once on `torch.zeros(1, channels, height, width)`.
        Let the code compute the number, or use `nn.LazyLinear(out_features)`, which reads it from the first batch.
        """,
        ko="""
        모델 옆에 층마다의 출력 크기를 적어 두세요. 합성곱과 풀링의 출력은
        floor((크기 + 2·padding − kernel) / stride) + 1 입니다. 직접 찾으려면 실패하는 층 바로 앞에서 `x.shape`를
        출력하거나, 합성곱 부분만 `torch.zeros(1, channels, height, width)`로 한 번 실행해 보세요.
        숫자를 코드가 계산하게 하거나, 첫 배치에서 크기를 읽는 `nn.LazyLinear(out_features)`를 쓰세요.
        """,
    ),
    example={"given": "72"},
    bad="""
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 8, kernel_size=3)
            self.pool = nn.MaxPool2d(2)
            self.fc = nn.Linear(8 * 4 * 4, 10)

        def forward(self, x):
            x = self.pool(torch.relu(self.conv(x)))
            return self.fc(x.flatten(start_dim=1))


    images = torch.zeros(16, 1, 8, 8)
    scores = Net()(images)
    """,
    good="""
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 8, kernel_size=3)
            self.pool = nn.MaxPool2d(2)
            self.fc = nn.Linear(8 * 3 * 3, 10)

        def forward(self, x):
            x = self.pool(torch.relu(self.conv(x)))
            return self.fc(x.flatten(start_dim=1))


    images = torch.zeros(16, 1, 8, 8)
    scores = Net()(images)
    """,
    messages=(
        "mat1 and mat2 shapes cannot be multiplied ({rows:d}x{given:d} and {in_features:d}x{out_features:d})",
        "size mismatch, m1: [{rows:d} x {given:d}], m2: [{in_features:d} x {out_features:d}]",
        "size mismatch, got {rows:d}, {rows:d}x{in_features:d},{given:d}",
        "a and b must have same reduction dim, but got [{rows:d}, {given:d}] X [{in_features:d}, {out_features:d}]",
        "input and weight.T shapes cannot be multiplied ({rows:d}x{given:d} and {in_features:d}x{out_features:d})",
        "size mismatch, got input ({out_features:d}), mat ({out_features:d}x{in_features:d}), vec ({given:d})",
    ),
    variants=(
        Variant(
            "never",
            Text(
                en="`Linear` has in_features={in_features}, no multiple of the {channels} channels",
                ko="`Linear` 층의 in_features={in_features} 값은 채널 {channels}개로 나누어지지 않습니다",
            ),
            why=Text(
                en="""
                A flattened map has channels × height × width features. Height and width depend on the input, but the
                channels don't: with {channels} of them every input gives a multiple of {channels}, and {in_features}
                is none.
                """,
                ko="""
                펼친 특성 맵의 특성 수는 채널 × 높이 × 너비입니다. 높이와 너비는 입력에 따라 달라지지만 채널은 그렇지
                않습니다. 채널이 {channels}개이면 어떤 입력에서도 {channels}의 배수가 나오는데, {in_features} 값은 배수가
                아닙니다.
                """,
            ),
            help=Text(
                en="Set `in_features` to channels × height × width of the last map.",
                ko="`in_features` 값을 마지막 특성 맵의 채널 × 높이 × 너비로 바꾸세요.",
            ),
        ),
        Variant(
            "norm",
            Text(
                en="the norm layer has num_features={expected}, but {given} channels arrive",
                ko="정규화 층은 num_features={expected} 값인데 채널 {given}개가 들어옵니다",
            ),
            why=Text(
                en="""
                A batch norm keeps one mean and one variance for each channel (dimension 1 of its input), so
                `num_features` must be the number of channels that the layer before puts out.
                """,
                ko="""
                배치 정규화는 채널(입력의 1번 차원)마다 평균과 분산을 하나씩 가집니다. 그래서 `num_features` 값은
                앞 층이 내보내는 채널 수와 같아야 합니다.
                """,
            ),
            help=Text(
                en="Set `num_features` to the {given} channels that arrive.",
                ko="`num_features` 값을 들어오는 채널 수 {given} 값에 맞추세요.",
            ),
            messages=(
                "running_mean should contain {given:d} elements not {expected:d}",
                "equal to the number of channels in input, but got weight of shape [{expected:d}] and input of shape {shape:shape}",
            ),
            search=("running_mean should contain elements not", "pytorch BatchNorm2d num_features"),
            links=("https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html",),
        ),
        Variant(
            "mixed",
            Text(
                en="`{code}` mixes samples: {expected} come in, {given} rows come out",
                ko="`{code}` 코드가 샘플을 섞습니다. 샘플 {expected}개가 들어가 행 {given}개가 나옵니다",
            ),
            why=Text(
                en="""
                `view(-1, N)` lets PyTorch choose the number of rows. Where N is not the number of features of one
                sample, rows hold pieces of several samples, and nothing complains until the loss counts them.
                """,
                ko="""
                `view(-1, N)`은 행의 수를 PyTorch가 정하게 합니다. N이 샘플 하나의 특성 수와 다르면 한 행에 여러 샘플의
                조각이 섞이고, loss가 행의 수를 셀 때까지 아무 오류도 나지 않습니다.
                """,
            ),
            help=Text(
                en="Keep the batch dimension: `x.view(x.size(0), -1)`, and set `in_features` to what follows.",
                ko="배치 차원을 남기세요: `x.view(x.size(0), -1)`. `in_features` 값은 그 결과에 맞추세요.",
            ),
            messages=(
                "Expected input batch_size ({given:d}) to match target batch_size ({expected:d})",
            ),
        ),
        Variant(
            "product",
            Text(
                en="a product of matrices: {given} columns meet {in_features} rows",
                ko="행렬 곱에서 왼쪽의 열은 {given}개인데 오른쪽의 행은 {in_features}개입니다",
            ),
            why=Text(
                en="""
                A product of matrices multiplies the rows of the left one by the columns of the right one, so the last
                dimension of the left one must equal the last but one of the right one.
                """,
                ko="""
                행렬 곱은 왼쪽의 행과 오른쪽의 열을 곱합니다. 그래서 왼쪽의 마지막 차원은 오른쪽의 끝에서 두 번째
                차원과 같아야 합니다.
                """,
            ),
            help=Text(
                en="Print both shapes; transpose the one that lies the wrong way with `.mT`, or make it of another size.",
                ko="두 모양을 출력해 보고, 방향이 바뀐 쪽은 `.mT`로 전치하거나 다른 크기로 만드세요.",
            ),
        ),
        Variant(
            "unsaid",
            Text(
                en="the last dimension of an input differs from the layer's `in_features`",
                ko="입력의 마지막 차원이 층의 `in_features` 값과 다릅니다",
            ),
            help=Text(
                en="Print `x.shape` before the layer and set `in_features` to its last number.",
                ko="층 앞에서 `x.shape`를 출력하고 `in_features` 값을 그 마지막 수에 맞추세요.",
            ),
            messages=("mat1 dim 1 must match mat2 dim 0",),
        ),
        Variant(
            "layer_norm",
            Text(
                en="`LayerNorm` has normalized_shape={expected}, but the input is {shape}",
                ko="`LayerNorm` 층은 normalized_shape={expected} 값인데 입력 크기는 {shape} 입니다",
            ),
            why=Text(
                en="`nn.LayerNorm` normalises the last dimensions of its input, which must equal `normalized_shape`.",
                ko="`nn.LayerNorm` 층은 입력의 마지막 차원들을 정규화하며, 그 크기는 `normalized_shape` 값과 같아야 합니다.",
            ),
            help=Text(
                en="Set `normalized_shape` to the last dimension of the input {shape}.",
                ko="`normalized_shape` 값을 입력 {shape} 크기의 마지막 차원에 맞추세요.",
            ),
            messages=(
                "Given normalized_shape={expected:shape}, expected input with shape {wanted}, but got input of size{shape:shape}",
            ),
        ),
        Variant(
            "channels",
            Text(
                en="the convolution has in_channels={expected}, but {given} channels arrive",
                ko="합성곱 층은 in_channels={expected} 값인데 채널 {given}개가 들어옵니다",
            ),
            why=Text(
                en="""
                A convolution has one slice of its kernel for each input channel, so `in_channels` must equal the
                `out_channels` of the layer before, or the sum of the parts where maps are concatenated.
                """,
                ko="""
                합성곱은 입력 채널마다 커널 조각을 하나씩 가집니다. 그래서 `in_channels` 값은 앞 층의 `out_channels` 값,
                또는 이어 붙인 특성 맵들의 채널 수의 합과 같아야 합니다.
                """,
            ),
            help=Text(
                en="Set `in_channels` to the {given} channels that arrive, or change the layer before.",
                ko="`in_channels` 값을 들어오는 채널 수 {given} 값에 맞추거나 앞 층을 바꾸세요.",
            ),
            messages=(
                "weight of size {weight:shape}, expected input{shape:shape} to have {expected:d} channels, but got {given:d} channels instead",
            ),
            search=(
                "expected input to have channels but got channels instead",
                "pytorch Conv2d in_channels",
            ),
            links=(
                "https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html",
                "https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html",
            ),
        ),
        Variant(
            "recurrent",
            Text(
                en="the recurrent layer has input_size={expected}, but {given} features arrive",
                ko="순환 층은 input_size={expected} 값인데 특성 {given}개가 들어옵니다",
            ),
            why=Text(
                en="`input_size` of an RNN, LSTM or GRU is the number of features of each time step, its input's last dimension.",
                ko="RNN, LSTM, GRU의 `input_size` 값은 각 시점의 특성 수, 곧 입력의 마지막 차원입니다.",
            ),
            help=Text(
                en="Set `input_size` to the {given} features that arrive.",
                ko="`input_size` 값을 들어오는 특성 수 {given} 값에 맞추세요.",
            ),
            messages=(
                "input.size(-1) must be equal to input_size. Expected {expected:d}, got {given:d}",
            ),
        ),
        Variant(
            "embedding",
            Text(
                en="the attention has embed_dim={expected}, but {given} features arrive",
                ko="어텐션 층은 embed_dim={expected} 값인데 특성 {given}개가 들어옵니다",
            ),
            help=Text(
                en="Set `embed_dim` to the {given} features that arrive, or change what makes them.",
                ko="`embed_dim` 값을 들어오는 특성 수 {given} 값에 맞추거나, 그 값을 만드는 층을 바꾸세요.",
            ),
            why=Text(
                en="Multi-head attention projects vectors of `embed_dim` features: the last dimension of the query.",
                ko="멀티헤드 어텐션은 특성이 `embed_dim`개인 벡터, 곧 query의 마지막 차원을 변환합니다.",
            ),
            messages=("was expecting embedding dimension of {expected:d}, but got {given:d}",),
        ),
    ),
    says=(
        "RuntimeError: size mismatch, m1: [64 x 3136], m2: [1024 x 10] at /pytorch/aten/src/TH/generic/THTensorMath.cpp:41",
        "RuntimeError: size mismatch, got 64, 64x1024,3136",
        "RuntimeError: running_mean should contain 64 elements not 32",
        "RuntimeError: Given normalized_shape=[64], expected input with shape [*, 64], but got input of size[8, 10, 128]",
        "RuntimeError: input.size(-1) must be equal to input_size. Expected 32, got 28",
    ),
    search=(
        "mat1 and mat2 shapes cannot be multiplied",
        "pytorch calculate in_features after conv2d",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyLinear.html",
    ),
)


def is_unknown(size: int) -> bool:
    """True for a stand-in: it is shown by its name."""
    return str(size) != int.__repr__(size)


@rule.on(Failure)
def sizes_disagree(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is not None and reading.variant.name == "mixed":
        change = mixed_change(failure, dict(reading.facts))
        if change is not None:
            at, raised = change.at, failure.raised_at
            yield Diagnosis(
                rule, at, change.facts, (), change.fixes, variant=reading.variant, raised_at=raised
            )
        return
    if reading is None or split(failure) != "layer" or unbatched(failure) is not None:
        return
    if not failure.modules and looks_unflattened(reading.facts):
        return
    if reading.variant.name == "channels" and is_input(failure, reading.facts):
        return
    layer = failure.failing
    argument = argument_of(layer) if layer else None
    variant = reading.variant
    if argument is None and variant.name == "" and is_product(failure):
        variant = rule.variant("product")
    facts = dict(reading.facts)
    shape = facts.get("shape")
    if "given" not in facts and isinstance(shape, list) and len(shape) > 1:
        facts["given"] = shape[1]
    at, fixes = failure.raised_at, tuple[Fix, ...]()
    evidence: tuple[Evidence, ...] = size_table(failure)
    if argument is None and not evidence:
        evidence = operand_shapes(failure)
    if layer is not None and argument is not None:
        facts["layer"] = layer.type
        given = given_size(layer, facts)
        made = constructor(failure, layer)
        if made is not None and given is not None:
            old = made.argument(argument.position, argument.name)
            at = made.source.span(old if old is not None else made.call)
            sizes = map_sizes(failure, layer, given)
            if is_unknown(given) and sizes and not is_unknown(sizes[0]):
                facts["channels"] = sizes[0]
                yield Diagnosis(
                    rule, at, facts, evidence, variant=rule.variant("never"), raised_at=failure.raised_at,
                    module_path=layer.path,
                )  # fmt: skip
                return
            if len(sizes) > 1:
                evidence = (*evidence, sum_of(sizes, layer, facts[argument.fact]))
            if old is not None:
                expected = single(facts[argument.fact])
                fixes = resize_fixes(
                    failure, layer, made, old, argument.name, expected, given, sizes
                )
                at = fixes[0].edits[0].span if fixes else at
        elif layer.made_at is not None:
            at = layer.made_at
    elif weight := weight_change(failure, facts.get("in_features"), facts.get("given")):
        at, fixes = weight[0], (weight[1],)
    module_path, raised = layer.path if layer else None, failure.raised_at
    yield Diagnosis(
        rule, at, facts, evidence, fixes, variant=variant, raised_at=raised, module_path=module_path
    )
