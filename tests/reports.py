"""Made-up rules and reports, and strategies for any other."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from hypothesis import strategies as st

from torchmedic.model import (
    Diagnosis,
    Edit,
    Evidence,
    Fix,
    Rule,
    Severity,
    Span,
    Table,
    Text,
    Variant,
    View,
)
from torchmedic.render import Report
from torchmedic.render import text as as_text

ROOT = Path(__file__).parent.parent
SNAPSHOTS = Path(__file__).parent / "snapshots"
CWD = "/home/kim/digits"
ANSI = re.compile(r"\x1b\[[0-9;]*m")

FILES = {
    "/home/kim/digits/train.py": """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv = nn.Conv2d(1, 64, kernel_size=3)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(1600, classes)

    def forward(self, x):
        x = self.conv(x)
        return self.fc(self.flatten(x))
""",
    "/home/kim/digits/자료/읽기.py": """\
def 읽기(경로):
\t표 = np.loadtxt(경로)  # 실수(實數) 표
\t라벨, 특성 = torch.tensor(표[:, 0]), torch.tensor(표[:, 1:], dtype=torch.float64, requires_grad=False)
\treturn DataLoader(
\t\tTensorDataset(특성, 라벨),
\t\tbatch_size=32,
\t\tshuffle=True,
\t\tnum_workers=2,
\t\tdrop_last=True,
\t)
""",
}
TRAIN, READER = FILES


def read(path):
    return FILES.get(path, "").splitlines(keepends=True)


SIZES = Rule(
    code="TM901",
    name="sizes-disagree",
    severity=Severity.ERROR,
    summary=Text(
        "One layer's output size and the next layer's input size disagree.",
        "한 층의 출력 크기와 다음 층의 입력 크기가 다릅니다.",
    ),
    title=Text(
        "`{layer}` takes {expected} features, but {given} arrive",
        "`{layer}` 층은 특성 {expected}개를 받지만 {given}개가 들어옵니다",
    ),
    why=Text(
        """
        `nn.Linear(in, out)` multiplies its input by a matrix with `in` rows, so the last dimension of the
        input must be exactly {expected}.

        The convolution leaves 64 maps of 3 × 3, which is {given} numbers.
        """,
        """
        `nn.Linear(in, out)` 층은 `in`개의 행을 가진 행렬을 입력에 곱합니다. 그래서 입력의 마지막 차원은 정확히
        {expected} 값이어야 합니다.

        합성곱이 3 × 3 크기의 맵 64개를 남기므로 실제로는 숫자 {given}개입니다.
        """,
    ),
    help=Text(
        "Write {given} as the layer's first argument.", "층의 첫 인자로 {given} 값을 쓰세요."
    ),
    lesson=Text(
        """
        Print the size in front of the layer:

            print(x.shape)

        1. Read the two numbers in the message; the first pair is the input.
        2. Follow the sizes from the input on, layer by layer, until they differ
           from what the constructor says.

        - `nn.LazyLinear` reads the number from the first batch.
        - `torch.fx` can tell the sizes too.
        """,
        """
        층 앞에서 크기를 출력하세요.

            print(x.shape)

        1. 메시지의 두 쌍을 읽으세요. 첫째 쌍이 입력입니다.
        2. 입력부터 층마다 크기를 따라가면서 생성자에 적힌 값과 다른 곳을
           찾으세요.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    model = nn.Linear(1600, 10)
    model(torch.zeros(2, 576))
    """,
    good="""
    import torch
    from torch import nn

    model = nn.Linear(576, 10)
    model(torch.zeros(2, 576))
    """,
    messages=(
        "mat1 and mat2 shapes cannot be multiplied ({rows:d}x{given:d} and {expected:d}x{made:d})",
    ),
    variants=(
        Variant(
            "norm",
            Text(
                "`{layer}` keeps {expected} means, but {given} channels arrive",
                "`{layer}` 층의 평균은 {expected}개인데 채널 {given}개가 들어옵니다",
            ),
            messages=(
                "running_mean should contain {given:d} elements\n not {expected:d}",
                "weight of `{name}`",
            ),
        ),
    ),
    innocent=(
        "import torch\n\ntorch.nn.LazyLinear(10)(torch.zeros(2, 576))\n",
        "import torch\n\ntorch.nn.Linear(576, 10)(torch.zeros(2, 3, 576))\n",
    ),
    search=("pytorch mat1 and mat2 shapes cannot be multiplied", "nn.Linear in_features"),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyLinear.html",
    ),
)
DTYPE = Rule(
    code="TM902",
    name="wrong-dtype",
    severity=Severity.WARNING,
    summary=Text("The data are | float64.", "자료가 float64 형식입니다."),
    title=Text(
        "the data are {dtype}, the layers float32",
        "자료는 {dtype} 형식이고 층은 float32 형식입니다",
    ),
    why=Text("NumPy reads numbers as float64.", "NumPy는 숫자를 float64 형식으로 읽습니다."),
    help=Text("Convert the data once.", "자료를 한 번만 변환하세요."),
    lesson=Text("Print `x.dtype`.", "`x.dtype` 값을 출력하세요."),
    bad="x = 1.0\n",
    good="x = 1\n",
)
SILENT = Rule(
    code="TM903",
    name="slow-loop",
    severity=Severity.ADVICE,
    summary=Text("The loop waits for the GPU.", "반복문이 GPU를 기다립니다."),
    title=Text("`.item()` is called every step", "매 단계 `.item()` 메서드를 호출합니다"),
    why=Text("It waits.", "기다립니다."),
    help=Text("Collect the losses.", "손실을 모으세요."),
    lesson=Text("Measure.", "측정하세요."),
    bad="x = 1\n",
    good="x = 1\n",
)

SIZE_TABLE = Table(
    (Text("layer", "층"), Text("type", "종류"), Text("in", "입력"), Text("out", "출력")),
    (
        ("conv", "Conv2d", "(32, 1, 5, 5)", "(32, 64, 3, 3)"),
        ("flatten", "Flatten", "(32, 64, 3, 3)", "(32, 576)"),
        ("fc", "Linear", "(32, 576)", "1600 → 10"),
    ),
    2,
)
DIFF = """\
--- train.py
+++ train.py
@@ -10 +10 @@
-        self.fc = nn.Linear(1600, classes)
+        self.fc = nn.Linear(64 * 3 * 3, classes)
"""
CHANGE = Edit(Span(TRAIN, 10, 28, 10, 32), "64 * 3 * 3")
MENDED = Fix(
    (CHANGE,),
    Text("Give `fc` 64 * 3 * 3 input features", "`fc` 층의 입력 특성을 64 * 3 * 3 값으로 바꾸세요"),
    verified=True,
    verification=Text(
        "verified: ran past the failing line and 3 training steps",
        "검증됨: 실패한 줄을 지나 학습 3단계를 실행했습니다",
    ),
    diff=DIFF,
)
FAILED = Fix(
    (Edit(Span(TRAIN, 9, 23, 9, 35), "nn.Identity()"),),
    Text("Leave the maps as they are", "맵을 그대로 두세요"),
    verified=False,
    verification=Text(
        "failed its trial: RuntimeError in line 14", "14번째 줄에서 RuntimeError 예외"
    ),
)
UNTRIED = Fix((CHANGE,), Text("Use `nn.LazyLinear`", "`nn.LazyLinear` 층을 쓰세요"))

MISMATCH = Diagnosis(
    SIZES,
    Span(TRAIN, 10, 18, 10, 42),
    {"layer": "fc", "expected": 1600, "given": 576, "shape": (32, 576)},
    (
        Evidence(
            Text("The size after every layer, from the input on:", "입력부터 각 층을 지난 크기:"),
            table=SIZE_TABLE,
        ),
        Evidence(
            Text("64 × 3 × 3 = 576, the layer says 1600.", "64 × 3 × 3 = 576, 층에는 1600."),
            Span(TRAIN, 8),
        ),
    ),
    (FAILED, MENDED, UNTRIED),
    raised_at=Span(TRAIN, 14, 15, 14, 39),
    module_path="model.fc",
)
HANGUL = Diagnosis(
    DTYPE,
    Span(READER, 3, 28, 3, 98),
    {"dtype": "float64"},
    (Evidence(Text("It was born here.", "여기서 생겼습니다."), Span(READER, 2)),),
    raised_at=Span(READER, 4, 8, 10, 2),
    view=View.SOURCE,
)
CASES = {
    "mismatch": Report("run", (MISMATCH,), (Text("Sizes from a re-run.", "다시 실행한 크기."),)),
    "hangul": Report("check", (HANGUL,)),
    "nowhere": Report(
        "explain",
        (Diagnosis(SILENT, None), Diagnosis(SILENT, Span("<stdin>", 3))),
        (
            Text("Two remarks follow one another.", "참고 사항이 둘입니다."),
            Text("This is the second of them.", "이것이 둘째입니다."),
        ),
    ),
}


def shown(report, lang="en", width=100, colour=False):
    return as_text.render(report, lang, width, colour, read, CWD)


def stored(name, text):
    """Compares with the snapshot, or writes it."""
    path = SNAPSHOTS / name
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8"), "UPDATE_SNAPSHOTS=1 rewrites the snapshots"


def width_of(text):
    """Terminal cells by the Unicode standard, computed without the tool's own function."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


anything = st.text(st.characters(exclude_categories=()), max_size=40)
texts = st.builds(Text, anything, anything)
numbers = st.integers(-1, 20)
spans = st.builds(
    Span, st.sampled_from([*FILES, "/gone.py", "<stdin>", "\ud800\n"]), *[numbers] * 4
)


class Unprintable:
    def __str__(self):
        raise RuntimeError("no")

    __repr__ = __str__


facts = st.dictionaries(
    st.sampled_from(["layer", "expected", "given", "other"]),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | anything
        | st.binary(max_size=3)
        | st.builds(Unprintable)
        | st.builds(object)
        | st.sampled_from(Severity)
        | st.complex_numbers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.tuples(inner, inner)
            | st.dictionaries(st.integers() | anything, inner, max_size=2)
            | st.frozensets(st.integers(), max_size=3)
        ),
        max_leaves=5,
    ),
    max_size=4,
)
tables = st.builds(
    Table,
    st.lists(texts, max_size=3).map(tuple),
    st.lists(st.lists(anything, max_size=4).map(tuple), max_size=25).map(tuple),
    st.none() | numbers,
)
evidence = st.builds(Evidence, texts, st.none() | spans, st.none() | tables)
fixes = st.builds(
    Fix,
    st.lists(st.builds(Edit, spans, anything), max_size=2).map(tuple),
    texts,
    st.booleans(),
    st.none() | st.booleans(),
    st.none() | texts,
    anything,
)
rules = st.builds(
    lambda severity, title, why: Rule(
        "TM999", "any-rule", severity, title, title, why, title, why, "x = 1\n", "x = 2\n",
        search=("a b",), links=("https://docs.pytorch.org/",),
    ),
    st.sampled_from(Severity), texts, texts,
) | st.sampled_from([SIZES, DTYPE, SILENT])  # fmt: skip
diagnoses = st.builds(
    Diagnosis,
    rules,
    st.none() | spans,
    facts,
    st.lists(evidence, max_size=2).map(tuple),
    st.lists(fixes, max_size=2).map(tuple),
    st.sampled_from(View),
    st.none() | st.builds(Variant, anything, texts, st.none() | texts),
    st.none() | spans,
    st.none() | anything,
)
reports = st.builds(
    Report,
    st.just("run"),
    st.lists(diagnoses, max_size=2).map(tuple),
    st.lists(texts, max_size=2).map(tuple),
)
