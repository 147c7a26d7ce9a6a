"""What the abstract machine says of tensors is what PyTorch does: shapes, dtypes, strides, gradients and exceptions.

Each line of `shapes/*.txt` is one expression. `known` has to be known, `refused` has to be refused in PyTorch's own words,
and of `open` nothing wrong may be said. A `\\n` in a line stands for a line end; such a program is executed as it is.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from differential import Outcome, execute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CASES = Path(__file__).parent / "shapes"


def cases(name: str) -> list[str]:
    lines = (CASES / f"{name}.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def outcome_of(case: str, **sizes: int) -> Outcome:
    program = case.replace("\\n", "\n")
    outcome = execute(program if "\n" in program else f"r = {program}", **sizes)
    assert not outcome.wrong, outcome.wrong
    return outcome


@pytest.mark.parametrize("case", cases("known"))
def test_result_is_known(case):
    outcome = outcome_of(case)
    assert outcome.error is None
    assert not outcome.unknown


@pytest.mark.parametrize("case", cases("refused"))
def test_exception_is_foreseen_in_the_same_words(case):
    outcome = outcome_of(case)
    assert outcome.error is not None
    assert outcome.failures


@pytest.mark.parametrize("case", cases("open"))
def test_nothing_wrong_is_claimed(case):
    outcome_of(case)


# --- sizes that the program doesn't know

SYMBOLIC = (
    "z(B, 3, 8, 8).flatten(1)",
    "z(B, 3, 8, 8).view(B, -1)",
    "z(B, 3, 8, 8).view(-1, 192)",
    "z(B, 4, 6).permute(0, 2, 1)",
    "z(B, 4, 6).transpose(1, 2).reshape(B, 24)",
    "z(B, 4, 6)[:, 0]",
    "z(B, 4, 6)[:, -1, :3]",
    "z(B, 4, 6)[1:]",
    "z(B, 4, 6)[:-1]",
    "z(B, 4, 6)[-1]",
    "z(B, 4).unsqueeze(1)",
    "z(B, 1, 4).squeeze(1)",
    "torch.cat([z(B, 4), z(B, 2)], 1)",
    "torch.cat([z(B, 4), z(3, 4)])",
    "torch.stack([z(B, 4)] * 3)",
    "z(B, 4) @ z(4, 2)",
    "z(B, 3, 4) @ z(B, 4, 5)",
    "torch.bmm(z(B, 3, 4), z(B, 4, 5))",
    "z(B, 4) + z(4)",
    "z(B, 4) * z(B, 1)",
    "z(B, 4).sum(1)",
    "z(B, 4).mean(0, keepdim=True)",
    "z(B, 4).repeat(1, 2)",
    "z(1, 4).expand(B, -1)",
    "z(2 * B, 4).chunk(2)",
    "z(B, 4).split(2, dim=1)",
    "z(B, 4).shape",
    "z(B, 4).size(0) * z(B, 4).size(1)",
    "z(B, 4).numel() // 4",
    "len(z(B, 4))",
    "nn.Linear(4, 2)(z(B, 4))",
    "nn.Conv2d(3, 8, 3)(z(B, 3, 9, 9))",
    "nn.MaxPool2d(2)(z(B, 3, 9, 9))",
    "nn.AdaptiveAvgPool2d(1)(z(B, 3, 9, 9)).flatten(1)",
    "nn.BatchNorm2d(3).eval()(z(B, 3, 4, 4))",
    "nn.LayerNorm(4)(z(B, 3, 4))",
    "nn.Embedding(10, 4)(i(B, 3))",
    "nn.LSTM(4, 5, batch_first=True)(z(B, 3, 4))",
    "nn.GRU(4, 5, bidirectional=True)(z(7, B, 4))",
    "nn.MultiheadAttention(4, 2, batch_first=True)(z(B, 3, 4), z(B, 3, 4), z(B, 3, 4))",
    "nn.Conv1d(4, 8, 3, padding=1)(z(2, 4, B))",
    "nn.ConvTranspose2d(3, 4, 2, stride=2)(z(B, 3, 4, 4))",
    "nn.CrossEntropyLoss()(z(B, 3), i(B))",
    "F.one_hot(i(B), 3)",
    "F.pad(z(B, 4), (1, 2))",
    "F.interpolate(z(B, 3, 4, 4), scale_factor=2)",
    "torch.einsum('bij,bjk->bik', z(B, 2, 3), z(B, 3, 4))",
    "torch.arange(B)",
    "torch.zeros(B).new_ones(B, 2)",
)


@pytest.mark.parametrize("case", SYMBOLIC)
@pytest.mark.parametrize("size", [2, 5])
def test_unknown_sizes_stay_the_same_unknown(case, size):
    assert not outcome_of(case, B=size).unknown


@pytest.mark.parametrize("size", [1, 2, 3])
def test_of_unknown_sizes_only_certain_exceptions_are_foreseen(size):
    for case in ("z(B, 4).t().view(-1)", "z(B, 4) + z(3, 4)", "z(B, 4).view(3, -1)", "z(B, 4)[2]",
                 "z(B, 4).squeeze()", "z(B, 4).view(2, 2)"):  # fmt: skip
        outcome_of(case, B=size)


# --- chains that nobody wrote down

LETTERS = st.integers(-3, 3)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)
STEPS = st.one_of(
    st.builds(".unsqueeze({})".format, LETTERS),
    st.builds(".squeeze({})".format, LETTERS),
    st.builds(".transpose({}, {})".format, LETTERS, LETTERS),
    st.builds(".flatten({}, {})".format, LETTERS, LETTERS),
    st.builds(".sum({}, keepdim={})".format, LETTERS, st.booleans()),
    st.builds(".mean({})".format, LETTERS),
    st.builds(".max({}).values".format, LETTERS),
    st.builds(".argmax({})".format, LETTERS),
    st.builds(".view({}, -1)".format, st.integers(1, 4)),
    st.builds(".reshape({}, {})".format, st.integers(-1, 4), st.integers(-1, 4)),
    st.builds(".chunk({}, {})[0]".format, st.integers(1, 3), LETTERS),
    st.builds(".select({}, {})".format, LETTERS, LETTERS),
    st.builds(".narrow({}, 0, {})".format, LETTERS, st.integers(0, 3)),
    st.builds(".repeat_interleave({}, {})".format, st.integers(1, 3), LETTERS),
    st.builds("[{}]".format, LETTERS),
    st.builds("[{}:{}]".format, LETTERS, LETTERS),
    st.builds("[..., {}]".format, LETTERS),
    st.builds("[:, {}:]".format, LETTERS),
    st.builds("[None, ..., ::{}]".format, st.integers(1, 3)),
    st.sampled_from((
        ".t()", ".T", ".mT", ".view(-1)", ".reshape(-1)", ".contiguous()", ".clone()", ".squeeze()", ".permute(1, 0)",
        ".permute(2, 0, 1)", ".permute(0, 2, 1)", ".movedim(0, -1)", ".expand(2, -1, -1)", ".expand_as(z(2, 3, 4))",
        ".repeat(2, 1)", ".float()", ".long()", ".double()", ".bool()", ".half()", ".relu()", ".exp()", ".softmax(-1)",
        ".cumsum(0)", ".sort().values", ".flip(0)", ".unbind()[0]", " + 1", " * 2.5", " / 2", " // 2", " > 0", " + z(4)", " * z(3, 1)",
        " @ z(4, 2)", " @ z(3)", ".diagonal()", ".unfold(0, 1, 1)", ".std()", ".var(0)", ".norm()", ".detach()",
        ".unsqueeze(0).expand(3, -1)", "[[0]]", "[i(2)]", ".topk(1).indices", ".tile(2)",
    )),
)  # fmt: skip
LAYERS = st.sampled_from((
    "nn.Linear(4, 3)({})", "nn.Conv1d(3, 2, 2)({})", "nn.Conv2d(3, 2, 2, padding=1)({})", "nn.MaxPool2d(2)({})",
    "nn.AvgPool1d(2)({})", "nn.BatchNorm1d(3)({})", "nn.LayerNorm(4)({})", "nn.Flatten()({})", "nn.Dropout()({})",
    "nn.LSTM(4, 3, batch_first=True)({})[0]", "nn.GRU(4, 3)({})[1]", "nn.Embedding(5, 2)({})", "nn.GroupNorm(1, 3)({})",
    "F.relu({})", "F.log_softmax({}, -1)", "F.pad({}, (1, 1))", "F.normalize({})", "torch.cat([{}, z(2, 3)])",
    "torch.stack([{}, z(3)])", "F.mse_loss({}, z(3))", "F.cross_entropy({}, i(3))", "torch.where({} > 0, 1.0, 0.0)",
    "torch.bmm({}, z(2, 4, 3))", "F.adaptive_avg_pool1d({}, 2)", "torch.tensor([1, 2]) * {}",
))  # fmt: skip
STARTS = st.sampled_from(("z{}", "i{}", "g{}", "torch.ones({}, dtype=torch.float64)"))


@st.composite
def chains(draw):
    text = draw(STARTS).format(repr(draw(SHAPES)))
    lines = [f"a = {text}"]
    for index in range(draw(st.integers(1, 5))):
        before = f"{'abcdef'[index]}"
        step = draw(st.one_of(STEPS, LAYERS))
        made = step.format(before) if "{}" in step else f"{before}{step}"
        lines.append(f"{'abcdef'[index + 1]} = {made}")
    return "\n".join(lines)


@settings(
    max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(chains())
def test_chains_of_operations(program):
    outcome = execute(program)
    assert not outcome.wrong, f"{program}\n{outcome.wrong}"


DTYPES = (
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
)
OPERATORS = ("+", "-", "*", "/", "//", "%", "**", "<", "==", "&", "|", "^")


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_of_all_dtypes(operator):
    operands = [f"torch.ones(2, dtype=torch.{d})" for d in DTYPES]
    others = [*operands, *(f"torch.ones((), dtype=torch.{d})" for d in DTYPES), "2", "2.5", "True"]
    for left in operands:
        for right in others:
            outcome_of(f"{left} {operator} {right}")
            outcome_of(f"a = {left}\nb = {right}\nb = a\na {operator.strip('<=') or '+'}= {right}")
        for right in ("2", "2.5", "True"):
            outcome_of(f"{right} {operator} {left}")


@pytest.mark.parametrize("operator", ("+", "-", "*", "/", "//", "%", "**", "<"))
def test_operators_of_arrays(operator):
    operands = [f"np.ones(2, dtype=np.{d})" for d in DTYPES if d != "bfloat16" and d != "bool"]
    for left in operands:
        for right in (*operands, "2", "2.5"):
            outcome_of(f"{left} {operator} {right}")
