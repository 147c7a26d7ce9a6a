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
from torchmedic.rules._dtype_fixes import born_at, held, numeric, opposite
from torchmedic.rules._dtype_needs import form_of, is_bad, is_meant, wanted_by
from torchmedic.rules._dtype_wordings import (
    INDEX,
    INDICES,
    LABELS,
    MASK,
    MINUS,
    MIXED,
    PAIRS,
    WHOLE,
)
from torchmedic.rules._dtypes import dtype_of
from torchmedic.rules._operands import offender

_INT_WHY = Text(
    en="""
    Positions and class numbers pick rows of a table, so PyTorch reads them as whole numbers of 64 bits (`torch.long`).
    A list of floats, `torch.Tensor(…)`, or `np.zeros(…)` without a dtype makes floating numbers.
    """,
    ko="""
    위치와 클래스 번호는 표의 행을 고르므로 PyTorch는 64비트 정수(`torch.long`)로 읽습니다. 실수 목록,
    `torch.Tensor(…)`, dtype 없는 `np.zeros(…)` 코드는 실수를 만듭니다.
    """,
)
_INT_HELP = Text(
    en="Make them whole numbers where they are made: `dtype=torch.long`, or `.long()`.",
    ko="값을 만드는 곳에서 정수로 만드세요: `dtype=torch.long` 또는 `.long()`.",
)

rule = Rule(
    code="TM103",
    name="tensor-dtype-wrong",
    severity=Severity.ERROR,
    summary=Text(
        en="A tensor has another number type (dtype) than the layer or loss that receives it needs.",
        ko="텐서의 숫자 형식(dtype)이 그 텐서를 받는 층이나 손실 함수가 요구하는 형식과 다릅니다.",
    ),
    title=Text(
        en="{given} numbers meet {expected} numbers, and PyTorch doesn't convert",
        ko="{given} 텐서가 {expected} 텐서와 만나는데 PyTorch는 자동으로 변환하지 않습니다",
    ),
    why=Text(
        en="""
        A layer multiplies its input by parameters of one type, float32 unless said otherwise, and doesn't convert.
        NumPy and pandas compute in float64, and `torch.from_numpy` keeps that; images are read as uint8.
        """,
        ko="""
        층은 입력을 한 가지 형식(따로 정하지 않으면 float32)의 파라미터와 곱하며 형식을 바꾸지 않습니다. NumPy와
        pandas는 float64 형식으로 계산하고 `torch.from_numpy`는 그대로 유지합니다. 이미지는 uint8 형식으로 읽힙니다.
        """,
    ),
    help=Text(
        en="Convert where the tensor is made: `.float()`, `dtype=torch.float32`, or `astype(np.float32)` before.",
        ko="텐서를 만드는 곳에서 바꾸세요: `.float()`, `dtype=torch.float32`, 또는 그 전에 `astype(np.float32)`.",
    ),
    lesson=Text(
        en="""
        Inputs of Linear, Conv and RNN layers: float32. Indices of Embedding, gather and one_hot: int64. Class labels of
        CrossEntropyLoss: int64. Targets of BCE, MSE and class probabilities: float32, in the shape of the prediction.
        To find it by hand, print `x.dtype` before the failing line, then one step earlier, until it changes.
        Set the type once, where the data become tensors, and check one batch: `next(iter(loader))`.
        """,
        ko="""
        Linear, Conv, RNN 층의 입력은 float32 형식입니다. Embedding, gather, one_hot 인덱스와 CrossEntropyLoss의 클래스
        레이블은 int64 형식입니다. BCE, MSE의 정답과 클래스 확률은 예측과 같은 크기의 float32 형식입니다.
        직접 찾으려면 실패한 줄 앞에서, 그다음 한 단계씩 앞에서 `x.dtype`를 출력해 값이 달라지는 곳을 찾으세요.
        데이터가 텐서가 되는 곳에서 한 번만 형식을 정하고 `next(iter(loader))`로 배치 하나를 확인하세요.
        """,
    ),
    bad="""
    import numpy as np
    import torch
    from torch import nn

    table = np.linspace(0, 1, 24).reshape(8, 3)
    features = torch.from_numpy(table)
    model = nn.Linear(3, 1)
    print(model(features).mean())
    """,
    good="""
    import numpy as np
    import torch
    from torch import nn

    table = np.linspace(0, 1, 24).reshape(8, 3)
    features = torch.from_numpy(table).float()
    model = nn.Linear(3, 1)
    print(model(features).mean())
    """,
    messages=PAIRS,
    variants=(
        Variant(
            "mixed",
            Text(
                en="the tensors of one operation have different number types",
                ko="한 연산의 텐서들이 서로 다른 숫자 형식입니다",
            ),
            messages=MIXED,
        ),
        Variant(
            "indices",
            Text(
                en="the indices of an embedding are {given}, not whole numbers (int64)",
                ko="임베딩의 인덱스가 정수(int64)가 아니라 {given} 형식입니다",
            ),
            _INT_WHY,
            _INT_HELP,
            messages=INDICES,
        ),
        Variant(
            "labels",
            Text(
                en="the class labels are {given}, and the loss takes class numbers as int64",
                ko="클래스 레이블이 {given} 형식인데 손실 함수는 클래스 번호를 int64 형식으로 받습니다",
            ),
            _INT_WHY,
            _INT_HELP,
            messages=LABELS,
        ),
        Variant(
            "target",
            Text(
                en="the target is {given}, the prediction {expected}",
                ko="{given} 정답이 {expected} 예측과 만납니다",
            ),
            Text(
                en="""
                Binary cross entropy and regression losses compute with the target, so it must be floating, of the
                prediction's own type. Labels read from a table are whole numbers; NumPy's floats are float64.
                """,
                ko="""
                이진 교차 엔트로피와 회귀 손실은 정답으로 계산하므로 정답도 예측과 같은 실수 형식이어야 합니다.
                표에서 읽은 레이블은 정수이고 NumPy의 실수는 float64 형식입니다.
                """,
            ),
            Text(
                en="Make the target float32 where it is made: `.float()`, or `dtype=torch.float32`.",
                ko="정답을 만드는 곳에서 float32 형식으로 만드세요: `.float()` 또는 `dtype=torch.float32`.",
            ),
            messages=("Found dtype {given:word} but expected {expected:word}",),
        ),
        Variant(
            "cast",
            Text(
                en="a result in {expected} can't be stored as {given}",
                ko="{expected} 결과를 {given} 텐서에 저장할 수 없습니다",
            ),
            Text(
                en="""
                Mixing both types gives {expected}, and the operation stores its result in the {given} tensor: a loss
                does that with its target, `+=` with its left side. Fractions would be lost, so PyTorch refuses.
                """,
                ko="""
                두 형식을 섞으면 {expected} 결과가 나오는데, 이 연산은 결과를 {given} 텐서에 저장합니다. 손실 함수는
                정답에, `+=` 연산은 왼쪽 텐서에 저장합니다. 소수 부분을 잃게 되므로 PyTorch가 거부합니다.
                """,
            ),
            Text(
                en="Make that tensor floating where it is made: `.float()`, or `dtype=torch.float32`.",
                ko="그 텐서를 만드는 곳에서 실수로 만드세요: `.float()` 또는 `dtype=torch.float32`.",
            ),
            messages=(
                "result type {expected:word} can't be cast to the desired output type {given:word}",
            ),
        ),
        Variant(
            "index",
            Text(
                en="an index or a count is not a tensor of whole numbers (int64)",
                ko="인덱스나 개수가 정수(int64) 텐서가 아닙니다",
            ),
            _INT_WHY,
            _INT_HELP,
            messages=INDEX,
        ),
        Variant(
            "mask",
            Text(
                en="a mask is not a tensor of truth values (bool)",
                ko="마스크가 참과 거짓(bool) 텐서가 아닙니다",
            ),
            Text(
                en="""
                A mask says yes or no for each element. PyTorch once took whole numbers for that and now wants `bool`;
                zeros and ones from NumPy, or from `torch.zeros(…)`, are numbers.
                """,
                ko="""
                마스크는 원소마다 예와 아니요를 말합니다. 예전의 PyTorch는 정수도 받았지만 지금은 `bool` 형식만 받습니다.
                NumPy의 0과 1, `torch.zeros(…)` 값은 숫자입니다.
                """,
            ),
            Text(
                en="Make it `bool` where it is made: a comparison, `dtype=torch.bool`, or `.bool()`.",
                ko="만드는 곳에서 `bool` 형식으로 만드세요: 비교식, `dtype=torch.bool` 또는 `.bool()`.",
            ),
            messages=MASK,
        ),
        Variant(
            "minus",
            Text(
                en="a minus sign meets a tensor of truth values (bool)",
                ko="참과 거짓(bool) 텐서에 빼기 연산을 합니다",
            ),
            Text(
                en="Truth values have no difference: PyTorch refuses to guess whether the opposite or a number is meant.",
                ko="참과 거짓에는 차가 없습니다. 반대값인지 숫자인지 알 수 없으므로 PyTorch가 거부합니다.",
            ),
            Text(
                en="Write `~mask` for the opposite; compute with `mask.float()`.",
                ko="반대값은 `~mask`로 쓰고, 계산에는 `mask.float()` 값을 쓰세요.",
            ),
            messages=MINUS,
        ),
        Variant(
            "probabilities",
            Text(
                en="the class probabilities are {given}, not floating numbers",
                ko="클래스 확률이 실수가 아니라 {given} 형식입니다",
            ),
            Text(
                en="""
                A target with the shape of the prediction is read as one probability for each class, and those are
                floating. Class numbers have one dimension less.
                """,
                ko="""
                예측과 같은 크기의 정답은 클래스마다의 확률로 읽히며 확률은 실수입니다. 클래스 번호는 차원이 하나 적습니다.
                """,
            ),
            Text(
                en="Convert a one-hot target with `.float()`, or pass class numbers (int64) without the class dimension.",
                ko="원-핫 정답은 `.float()`로 바꾸거나, 클래스 차원이 없는 클래스 번호(int64)를 넘기세요.",
            ),
            messages=(
                "Expected floating point type for target with class probabilities, got {given:word}",
            ),
        ),
        Variant(
            "whole",
            Text(
                en="an operation for floating numbers gets {given} numbers",
                ko="실수를 위한 연산이 {given} 텐서를 받습니다",
            ),
            Text(
                en="Means, softmax and layers need fractions, which whole numbers don't have; some have no float16 code on a CPU.",
                ko="평균, softmax, 층의 계산에는 정수에 없는 소수가 필요합니다. 일부 연산은 CPU에서 float16 형식을 지원하지 않습니다.",
            ),
            Text(
                en="Convert before: `.float()`, or `dtype=torch.float32` where the tensor is made.",
                ko="그 전에 바꾸세요: `.float()` 또는 텐서를 만드는 곳에서 `dtype=torch.float32`.",
            ),
            messages=WHOLE,
        ),
        Variant(
            "gradient",
            Text(
                en="a tensor of whole numbers is told to require gradients",
                ko="정수 텐서에 기울기를 요구합니다(requires_grad)",
            ),
            messages=("nly Tensors of floating point",),
        ),
        Variant(
            "object",
            Text(
                en="a NumPy array of {given} values can't become a tensor",
                ko="{given} 값의 NumPy 배열은 텐서가 될 수 없습니다",
            ),
            Text(
                en="""
                Rows of unequal length, None, text, or a table column of mixed kinds make an array of Python objects;
                a tensor holds numbers only.
                """,
                ko="""
                길이가 다른 행, None, 글자, 여러 종류가 섞인 표의 열은 파이썬 객체의 배열이 됩니다. 텐서는 숫자만 담습니다.
                """,
            ),
            Text(
                en="Make the array numeric before: `.astype(np.float32)`; encode text columns, pad unequal rows.",
                ko="먼저 숫자 배열로 만드세요: `.astype(np.float32)`. 글자 열은 번호로 바꾸고 길이가 다른 행은 채우세요.",
            ),
            messages=("can't convert np.ndarray of type numpy.{given:word}. The only",),
        ),
        Variant(
            "mps",
            Text(
                en="a float64 tensor is moved to an Apple GPU (MPS), which has no float64",
                ko="float64 형식이 없는 Apple GPU(MPS)로 float64 텐서를 옮깁니다",
            ),
            messages=("MPS framework doesn't support float64",),
        ),
    ),
    says=(
        "RuntimeError: Expected tensor for argument #1 'indices' to have scalar type Long; but got CPUFloatTensor instead (while checking arguments for embedding)",
        "RuntimeError: Expected object of type torch.cuda.LongTensor but found type torch.cuda.FloatTensor for argument #2 'target'",
        "RuntimeError: Expected object of scalar type Float but got scalar type Double for argument #4 'mat1'",
        "RuntimeError: Input type (torch.cuda.ByteTensor) and weight type (torch.cuda.FloatTensor) should be the same",
        "RuntimeError: expected scalar type Long but found Float",
        "RuntimeError: expected scalar type Byte but found Float",
        "RuntimeError: \"nll_loss_forward_reduce_cuda_kernel_2d_index\" not implemented for 'Float'",
        "RuntimeError: expected m1 and m2 to have the same dtype, but got: double != float",
        "RuntimeError: mat1 and mat2 must have the same dtype",
        "RuntimeError: Found dtype Double but expected Float",
        "RuntimeError: one_hot is only applicable to index tensor of type LongTensor.",
        "TypeError: Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. Please use float32 instead.",
        "RuntimeError: Input and parameter tensors are not the same dtype, found input tensor with Double and parameter tensor with Float",
    ),
    search=(
        "mat1 and mat2 must have the same dtype",
        "expected scalar type Long but found Float",
        "expected scalar type Float but found Double",
        "pytorch which dtype for labels and inputs",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/tensor_attributes.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html",
    ),
)


@rule.on(Failure)
def number_type_is_wrong(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    facts, name = dict(reading.facts), reading.variant.name
    for fact in ("given", "expected"):
        if fact in facts:
            facts[fact] = dtype_of(facts[fact]) or str(facts[fact])
    if not is_meant(name, facts):
        return
    name = form_of(failure, name, facts)
    variant = rule.variant(name) if name else None
    wanted = wanted_by(failure, name, facts)
    found = offender(
        failure,
        lambda tensor: is_bad(tensor, name, facts, wanted),
        is_target=name in ("labels", "target", "cast", "probabilities"),
        is_index=name == "index",
        is_mask=name == "mask",
    )
    at, evidence, fixes = failure.raised_at, tuple[Evidence, ...](), tuple[Fix, ...]()
    if found is not None and name == "object":
        at, fixes = found.at, numeric(found)
    elif found is not None:
        if found.tensor is not None:
            facts["given"] = found.tensor.dtype
            facts["expected"] = wanted
            evidence = (held(found, found.tensor, wanted),)
        facts["argument"] = found.code
        at, born, fixes = born_at(failure, found, facts, wanted)
        turned = opposite(found) if name == "minus" else ()
        at, fixes = (turned[0].edits[0].span, (*turned, *fixes)) if turned else (at, fixes)
        evidence = (*evidence, *born)
    layer = failure.failing
    if layer is not None:
        facts["layer"] = layer.type
    yield Diagnosis(
        rule,
        at,
        facts,
        evidence,
        fixes,
        variant=variant,
        raised_at=failure.raised_at,
        module_path=layer.path if layer else None,
    )
