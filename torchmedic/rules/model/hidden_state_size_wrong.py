from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Failure, ModuleCall, Source
from torchmedic.observed.construction import constructor
from torchmedic.rules._flow import Passed, method_calls, passed
from torchmedic.rules._place import added_argument, answer

rule = Rule(
    code="TM213",
    name="hidden-state-size-wrong",
    severity=Severity.ERROR,
    summary=Text(
        en="The hidden state given to an RNN, LSTM or GRU does not fit its input or its settings.",
        ko="RNN, LSTM, GRU에 준 은닉 상태의 크기가 입력이나 설정과 맞지 않습니다.",
    ),
    title=Text(
        en="the hidden state is {given}, but the recurrent layer expects {expected}",
        ko="은닉 상태의 크기가 {given} 인데 순환 층이 기대하는 크기는 {expected} 입니다",
    ),
    why=Text(
        en="""
        A hidden state is (layers × directions, batch, hidden size), also under `batch_first=True`, which moves the
        batch of inputs and outputs only. The layer reads the batch from its input: dimension 1, or 0 with
        `batch_first=True`.
        """,
        ko="""
        은닉 상태의 크기는 (층 수 × 방향 수, 배치, 은닉 크기)입니다. `batch_first=True`를 써도 마찬가지이며, 이 설정은
        입력과 출력의 배치 위치만 바꿉니다. 층은 배치 크기를 입력의 1번 차원(`batch_first=True`이면 0번)에서 읽습니다.
        """,
    ),
    help=Text(
        en="Make the state for the batch that arrives, and set `batch_first=True` if the batch comes first.",
        ko="들어오는 배치 크기로 상태를 만들고, 배치가 첫 차원이면 `batch_first=True`를 설정하세요.",
    ),
    lesson=Text(
        en="""
        Leave the state out and PyTorch makes zeros of the right size. If you make it yourself, take the batch from
        the input (`x.size(0)`), never from a constant: the last batch of an epoch is smaller. Two directions double
        the first dimension. To find it by hand, print `x.shape`, `h.shape` and the layer before the call.
        """,
        ko="""
        상태를 주지 않으면 PyTorch가 알맞은 크기의 0을 만듭니다. 직접 만든다면 배치 크기를 상수가 아니라
        입력(`x.size(0)`)에서 얻으세요. 에포크의 마지막 배치는 더 작습니다. 양방향이면 첫 차원이 두 배입니다.
        직접 찾으려면 호출 앞에서 `x.shape`, `h.shape`와 층을 출력해 보세요.
        """,
    ),
    bad="""
    import torch
    from torch import nn


    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(5, 6)

        def forward(self, x):
            state = torch.zeros(1, x.size(0), 6)
            out, state = self.rnn(x, state)
            return out


    print(Reader()(torch.ones(4, 7, 5)).shape)
    """,
    good="""
    import torch
    from torch import nn


    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(5, 6, batch_first=True)

        def forward(self, x):
            state = torch.zeros(1, x.size(0), 6)
            out, state = self.rnn(x, state)
            return out


    print(Reader()(torch.ones(4, 7, 5)).shape)
    """,
    messages=(
        "Expected hidden[0] size {expected:shape}, got {given:shape}",
        "Expected hidden[1] size {expected:shape}, got {given:shape}",
        "Expected hidden size {expected:shape}, got {given:shape}",
    ),
    variants=(
        Variant(
            "dimensions",
            Text(
                en="the hidden state's number of dimensions does not fit the recurrent layer's input",
                ko="은닉 상태의 차원 수가 순환 층의 입력과 맞지 않습니다",
            ),
            messages=(
                "For batched 3-D input, hx should also be 3-D but got",
                "For batched 3-D input, hx and cx should also be 3-D but got",
                "For unbatched 2-D input, hx should also be 2-D but got",
                "For unbatched 2-D input, hx and cx should also be 2-D but got",
            ),
        ),
        Variant(
            "cell",
            Text(
                en="the cell's input has a batch of {given}, its hidden state one of {expected}",
                ko="셀의 입력은 배치가 {given}개인데 은닉 상태는 {expected}개입니다",
            ),
            messages=(
                "Input batch size {given:d} doesn't match hidden0 batch size {expected:d}",
                "Input batch size {given:d} doesn't match hidden1 batch size {expected:d}",
                "Input batch size {given:d} doesn't match hidden batch size {expected:d}",
                "input has inconsistent batch size: {given:d} vs hidden: {expected:d}",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn

        rnn = nn.LSTM(5, 6, batch_first=True, bidirectional=True)
        x = torch.ones(4, 7, 5)
        state = torch.zeros(2, x.size(0), 6), torch.zeros(2, x.size(0), 6)
        print(rnn(x, state)[0].shape)
        """,
    ),
    says=(
        "RuntimeError: Expected hidden[0] size (2, 32, 64), got (2, 20, 64)",
        "RuntimeError: Expected hidden[0] size (2, 32, 64), got [2, 20, 64]",
        "RuntimeError: Expected hidden size (1, 20, 128), got (1, 64, 128)",
        "RuntimeError: For batched 3-D input, hx should also be 3-D but got 2-D tensor",
        "RuntimeError: Input batch size 32 doesn't match hidden0 batch size 64",
    ),
    search=(
        "Expected hidden[0] size got",
        "LSTM hidden state wrong batch size last batch",
        "batch_first hidden state shape",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html",
    ),
)

_BATCH_FIRST = Text(en="say `batch_first=True`", ko="`batch_first=True` 설정하기")
_SIZE = Text(en="write `{new}` where `{old}` is", ko="`{old}` 자리에 `{new}` 쓰기")
_LEAVE_OUT = Text(
    en="leave the state out: zeros are the default", ko="상태 생략하기: 기본값이 0입니다"
)
_INPUT = Text(
    en="the input is {shape}; `batch_first` is {first}, so its batch is {batch}",
    ko="입력 크기는 {shape}, `batch_first` 값은 {first} 이므로 배치는 {batch}개입니다",
)
_FACTORIES = ("zeros", "ones", "randn", "rand", "empty", "new_zeros")


@rule.on(Failure)
def state_does_not_fit(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    layer = failure.failing
    expected, given = reading.facts.get("expected"), reading.facts.get("given")
    if layer is None or "RNNBase" not in layer.bases:
        yield answer(rule, failure, reading)
        return
    evidence, at, fixes = _seen(layer), None, list[Fix]()
    if isinstance(expected, list) and isinstance(given, list):
        if _is_batch_first_left_out(layer, expected, given):
            made = constructor(failure, layer)
            if made is not None:
                at = made.source.span(made.call)
                edit = added_argument(made.source, made.call, "batch_first=True")
                fixes.append(Fix((edit,), _BATCH_FIRST))
        state = _state(failure, layer, expected, given)
        if state is not None:
            at = at or state[0]
            fixes.append(state[1])
    yield answer(rule, failure, reading, at, tuple(fixes), evidence)


def _seen(layer: ModuleCall) -> tuple[Evidence, ...]:
    if layer.input is None or len(layer.input.shape) != 3:
        return ()
    first = bool(layer.settings.get("batch_first"))
    text = _INPUT.fill(
        shape=list(layer.input.shape), first=first, batch=layer.input.shape[0 if first else 1]
    )
    return (Evidence(text, layer.made_at),)


def _is_batch_first_left_out(layer: ModuleCall, expected: list[int], given: list[int]) -> bool:
    """True if the state fits the input's dimension 0, which the layer takes for the time."""
    shape = layer.input.shape if layer.input else ()
    return (
        not layer.settings.get("batch_first")
        and len(shape) == len(expected) == len(given) == 3
        and given[1] == shape[0] != shape[1] == expected[1]
        and given[::2] == expected[::2]
    )


def _state(
    failure: Failure, layer: ModuleCall, expected: list[int], given: list[int]
) -> tuple[Span, Fix] | None:
    """The argument of `torch.zeros(…)` that made the state's wrong dimension."""
    wrong = [i for i, (e, g) in enumerate(zip(expected, given, strict=False)) if e != g]
    state = passed(failure, 1, "hx")
    inputs = passed(failure, 0, "input")
    if state is None or inputs is None or len(wrong) != 1 or len(expected) != len(given):
        return None
    parts = state.node.elts if isinstance(state.node, ast.Tuple) else [state.node]
    found: list[tuple[Source, ast.expr, str]] = []
    for part in parts:
        made = _made(failure, layer, expected, wrong[0], state._replace(node=part), inputs)
        if made is not None:
            found.append(made)
    if len(found) < len(parts) or not found:
        return _left_out(failure, state) if wrong == [1] else None
    edits = {source.span(old): source.replace(old, new) for source, old, new in found}
    source, old, new = found[0]
    title = _SIZE.fill(old=source.code(old), new=new)
    return source.span(old), Fix(tuple(edits.values()), title)


def _left_out(failure: Failure, state: Passed) -> tuple[Span, Fix] | None:
    """A state of zeros need not be given."""
    for _, call in method_calls(state.origins(failure), "zeros", "new_zeros"):
        before = state.call.args[state.call.args.index(state.node) - 1 : -1]
        if call and state.node in state.call.args and before:
            start, end = state.source.span(before[-1]), state.at
            at = Span(start.path, start.end_line, start.end_column, end.end_line, end.end_column)
            return state.at, Fix((Edit(at, ""),), _LEAVE_OUT)
    return None


def _made(
    failure: Failure,
    layer: ModuleCall,
    expected: list[int],
    wrong: int,
    state: Passed,
    inputs: Passed,
) -> tuple[Source, ast.expr, str] | None:
    for origin, call in method_calls(state.origins(failure), *_FACTORIES):
        source, sizes = origin.source, _sizes(call)
        if wrong >= len(sizes):
            return None
        new = str(expected[wrong])
        if wrong == 1:
            if source.function_of(call) is not inputs.source.function_of(inputs.call):
                return None
            new = f"{inputs.code}.size({0 if layer.settings.get('batch_first') else 1})"
        return source, sizes[wrong], new
    return None


def _sizes(call: ast.Call) -> list[ast.expr]:
    if len(call.args) == 1 and isinstance(call.args[0], (ast.Tuple, ast.List)):
        return call.args[0].elts
    return call.args
