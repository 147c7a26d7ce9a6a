from torchmedic.model import Rule, Severity, Text, Variant

rule = Rule(
    code="TM360",
    name="sampling-probabilities-invalid",
    severity=Severity.ERROR,
    summary=Text(
        en="Samples are drawn from probabilities that are NaN, infinite, negative or all zero.",
        ko="NaN이거나 무한하거나 음수이거나 모두 0인 확률에서 표본을 뽑습니다.",
    ),
    title=Text(
        en="samples are drawn from probabilities with NaN, infinity or a value below 0",
        ko="NaN, 무한대 또는 0보다 작은 값이 있는 확률에서 표본을 뽑습니다",
    ),
    why=Text(
        en="""
        `softmax` of one NaN or of infinities is NaN in the whole row: scores that overflowed (float16 ends at 65504),
        parameters that training has made NaN, or a row in which every entry is masked with −inf.
        """,
        ko="""
        `softmax` 연산은 NaN 하나나 무한대만 있어도 그 행 전체를 NaN으로 만듭니다. 범위를 넘은 점수(float16은 65504까지),
        학습 중에 NaN이 된 파라미터, 모든 칸이 −inf로 가려진 행이 원인입니다.
        """,
    ),
    help=Text(
        en="Check `torch.isfinite(scores).all()` step by step from the input on, and leave an entry of each row unmasked.",
        ko="입력에서부터 차례로 `torch.isfinite(scores).all()`을 확인하고, 행마다 가리지 않은 칸을 하나는 두세요.",
    ),
    lesson=Text(
        en="""
        Look first whether the parameters are finite: `all(p.isfinite().all() for p in model.parameters())`. If they are
        not, training went wrong earlier: lower the learning rate or clip the gradients. If they are, look at the
        scores: generate in float32 or bfloat16, divide by a temperature above 0, subtract nothing from
        probabilities, and give each row something to choose. On a GPU the same check is a device-side assert.
        """,
        ko="""
        먼저 파라미터가 유한한지 보세요. `all(p.isfinite().all() for p in model.parameters())`. 유한하지 않다면 학습이
        이미 잘못된 것이니 학습률을 낮추거나 기울기를 자르세요. 유한하다면 점수를 보세요. float32나 bfloat16으로
        생성하고, 0보다 큰 온도로 나누고, 확률에서 아무것도 빼지 말고, 행마다 고를 것을 남기세요. GPU에서는 같은
        검사가 device-side assert로 나타납니다.
        """,
    ),
    bad="""
    import torch

    scores = torch.zeros(2, 4)
    allowed = torch.tensor([[True, True, False, True], [False, False, False, False]])
    chances = torch.softmax(scores.masked_fill(~allowed, float("-inf")), dim=-1)
    print(torch.multinomial(chances, 1))
    """,
    good="""
    import torch

    scores = torch.zeros(2, 4)
    allowed = torch.tensor([[True, True, False, True], [False, False, False, True]])
    chances = torch.softmax(scores.masked_fill(~allowed, float("-inf")), dim=-1)
    print(torch.multinomial(chances, 1))
    """,
    messages=(
        "probability tensor contains either `inf`, `nan` or element < 0",
        "invalid multinomial distribution (encountering probability entry = infinity or NaN)",
        "invalid multinomial distribution (encountering probability entry < 0)",
        "Assertion `THCNumerics<T>::ge(val, zero)` failed",
        "Assertion `val >= zero` failed",
    ),
    variants=(
        Variant(
            "zero",
            Text(
                en="samples are drawn from probabilities that are all 0",
                ko="모두 0인 확률에서 표본을 뽑습니다",
            ),
            messages=(
                "invalid multinomial distribution (sum of probabilities <= 0)",
                "Assertion `cumdist[size - 1] > static_cast<scalar_t>(0)` failed",
                "Assertion `sum > accZero` failed",
            ),
        ),
        Variant(
            "chance",
            Text(
                en="`bernoulli` gets a value that is not between 0 and 1",
                ko="`bernoulli` 연산이 0과 1 사이가 아닌 값을 받습니다",
            ),
            why=Text(
                en="Each element is the chance of a 1. NaN, negative numbers and numbers above 1 are no chance.",
                ko="원소마다 1이 나올 확률입니다. NaN, 음수, 1보다 큰 수는 확률이 아닙니다.",
            ),
            help=Text(
                en="Give it probabilities: `torch.sigmoid(scores)`, and look for NaN in the scores.",
                ko="확률을 주세요: `torch.sigmoid(scores)`. 점수에 NaN이 있는지도 확인하세요.",
            ),
            messages=(
                "Expected p_in >= 0 && p_in <= 1 to be true",
                "Assertion `0 <= p4 && p4 <= 1` failed",
                "Assertion `0 <= p3 && p3 <= 1` failed",
                "Assertion `0 <= p2 && p2 <= 1` failed",
                "Assertion `0 <= p1 && p1 <= 1` failed",
            ),
        ),
    ),
    innocent=(
        """
        import torch

        print(torch.multinomial(torch.tensor([0.0, 3.0]), 1))
        """,
    ),
    says=(
        "RuntimeError: probability tensor contains either `inf`, `nan` or element < 0",
        "/pytorch/aten/src/ATen/native/cuda/TensorCompare.cu:109: _assert_async_cuda_kernel: block: [0,0,0], thread: "
        "[0,0,0] Assertion `probability tensor contains either `inf`, `nan` or element < 0` failed.",
        "RuntimeError: invalid multinomial distribution (encountering probability entry < 0)",
        "RuntimeError: invalid multinomial distribution (sum of probabilities <= 0)",
        "RuntimeError: Expected p_in >= 0 && p_in <= 1 to be true, but got false.  (Could this error message be "
        "improved?  If so, please report an enhancement request to PyTorch.)",
    ),
    search=(
        "probability tensor contains either inf nan or element < 0",
        "multinomial nan softmax generate",
        "Expected p_in >= 0 && p_in <= 1 to be true",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.multinomial.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.bernoulli.html",
    ),
)
