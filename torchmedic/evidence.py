"""What in a trace shows that something is right: for `checklist`. Where nothing shows it, a reason why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Literal

from torchmedic.model import Span, Text
from torchmedic.observed import Source
from torchmedic.observed.trace import Event, Kind, Trace

Seen = Literal["right", "wrong", "unseen"]
Answer = tuple[Text, Span | None]  # the place is None where nothing was seen

NO_DATASET = Text("no Dataset class in this program", "이 프로그램에 Dataset 클래스가 없습니다")
NO_TRAINING = Text("no training in this program", "이 프로그램에 학습이 없습니다")
NO_EVALUATION = Text("no evaluation in this program", "이 프로그램에 평가가 없습니다")
NO_LAYER = Text("no such layer is called", "해당하는 층을 호출하지 않습니다")
UNKNOWN_SIZE = Text(
    "the sizes that arrive at `{name}` can't be told from the source",
    "`{name}` 층에 오는 크기를 소스만으로는 알 수 없습니다",
)
UNKNOWN_DTYPE = Text(
    "the dtype that arrives at `{name}` can't be told from the source",
    "`{name}` 층에 오는 dtype을 소스만으로는 알 수 없습니다",
)
OTHER_LENGTH = Text(
    "`{name}` does not return the length of what it reads; it can't be told",
    "`{name}` 클래스의 길이가 읽는 대상의 길이인지 알 수 없습니다",
)


# --- the Dataset


def length(trace: Trace) -> Answer:
    """`__len__` returns the length of the container that `__getitem__` indexes."""
    return _dataset(trace, is_length=True)


def index(trace: Trace) -> Answer:
    """`__getitem__` reads the container whose length was promised at the index that it is asked for."""
    return _dataset(trace, is_length=False)


def _dataset(trace: Trace, is_length: bool) -> Answer:
    answer: Answer = (NO_DATASET, None)
    for source in _sources(trace):
        for cls in source.nodes(ast.ClassDef):
            if not any((source.name(_plain(b)) or "").endswith("Dataset") for b in cls.bases):
                continue
            if source.method(cls, "__getitem__") is None:
                continue
            found = _read_as_long(source, cls)
            if found is None:
                return OTHER_LENGTH.fill(name=cls.name), None
            node = found[0] if is_length else found[1]
            said = Text(f"`{source.code(node)}`", f"`{source.code(node)}`")
            if answer[1] is None:
                answer = said, source.span(node)
    return answer


def _plain(base: ast.expr) -> ast.expr:
    """`Dataset` of `Dataset[Sample]`."""
    return base.value if isinstance(base, ast.Subscript) else base


def _read_as_long(source: Source, cls: ast.ClassDef) -> tuple[ast.expr, ast.expr] | None:
    """The expression that `__len__` returns, and where `__getitem__` reads the same container at its plain index."""
    told, read = source.method(cls, "__len__"), source.method(cls, "__getitem__")
    if told is None or read is None or len(read.args.args) != 2:
        return None
    returns = [n for n in ast.walk(told) if isinstance(n, ast.Return)]
    if len(returns) != 1 or returns[0].value is None:
        return None
    value, wanted = returns[0].value, read.args.args[1].arg
    container = _measured(value)
    if container is None:
        return None
    exact = None
    for node in ast.walk(read):
        if isinstance(node, ast.Assign) and any(_is_name(t, wanted) for t in node.targets):
            return None
        if isinstance(node, ast.BinOp) and (_is_name(node.left, wanted) or _is_name(node.right, wanted)):  # fmt: skip
            return None
        if isinstance(node, ast.Subscript) and _is_name(_first_index(node.slice), wanted):
            owner = node.value
            if isinstance(owner, ast.Attribute) and owner.attr in ("iloc", "values"):
                owner = owner.value
            if ast.unparse(owner) == container:
                exact = exact or node
    return (value, exact) if exact is not None else None


def _measured(value: ast.expr) -> str | None:
    """`self.images` of `len(self.images)` and of `self.images.shape[0]`."""
    if isinstance(value, ast.Call) and _is_name(value.func, "len") and len(value.args) == 1:
        return ast.unparse(value.args[0])
    if (
        isinstance(value, ast.Subscript)
        and isinstance(value.value, ast.Attribute)
        and value.value.attr == "shape"
        and isinstance(value.slice, ast.Constant)
        and value.slice.value == 0
    ):
        return ast.unparse(value.value.value)
    return None


def _first_index(node: ast.expr) -> ast.expr:
    return node.elts[0] if isinstance(node, ast.Tuple) and node.elts else node


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _sources(trace: Trace) -> Iterator[Source]:
    yield from trace.sources.values() or (trace.source,)


# --- layers: events of calls whose input was checked


def dtypes(trace: Trace) -> Answer:
    said = Text(
        "`{name}` gets the dtype that it computes in", "`{name}` 층에 맞는 dtype이 들어옵니다"
    )
    return _every(trace, "dtype", said, UNKNOWN_DTYPE)


def features(trace: Trace) -> Answer:
    said = Text("`{name}` gets as many features as it takes", "`{name}` 층이 받는 수만큼 특성이 들어옵니다")  # fmt: skip
    return _every(trace, "features", said)


def flat(trace: Trace) -> Answer:
    said = Text("`{name}` gets (batch, features) after the convolutions", "합성곱 뒤 `{name}` 층에 (배치, 특성) 모양이 들어옵니다")  # fmt: skip
    return _every(trace, "flat", said)


def dimensions(trace: Trace) -> Answer:
    said = Text(
        "`{name}` gets the dimensions that it takes", "`{name}` 층이 받는 차원이 들어옵니다"
    )
    return _every(trace, "dimensions", said)


def _every(trace: Trace, fact: str, said: Text, unseen: Text = UNKNOWN_SIZE) -> Answer:
    """Right if it could be told of all these layers, in the program as it is started, if it is."""
    events = trace.when_started if trace.is_script else trace.events
    fits = [e for e in events if e.kind == "fit" and fact in e.facts]
    unknown = next((e for e in fits if not e.facts[fact]), None)
    if not fits:
        return NO_LAYER, None
    if unknown is not None:
        return unseen.fill(name=unknown.name or unknown.facts["type"]), None
    return said.fill(name=fits[0].name or fits[0].facts["type"]), fits[0].at


# --- training


def zero_grad(trace: Trace) -> Answer:
    """Gradients are cleared in the same turn of the loop in which they are computed."""
    if not _trains(trace):
        return NO_TRAINING, None
    cleared = list(trace.of("zero_grad"))
    turns = {event.loops for event in trace.of("backward")}
    right = next((event for event in cleared if event.loops in turns), None)
    if right is not None:
        code = _code(trace, right.at)
        return Text(f"`{code}`", f"`{code}`"), right.at
    if cleared:
        said = Text(
            "`zero_grad` is not called in the loop that calls `backward`",
            "`backward` 메서드를 부르는 반복문 안에 `zero_grad` 호출이 없습니다",
        )
        return said, None
    return Text("no call of `zero_grad` was found", "`zero_grad` 호출을 찾지 못했습니다"), None


def memory(trace: Trace) -> Answer:
    said = Text(
        "the source does not tell how much memory a step needs",
        "한 단계에 메모리가 얼마나 필요한지는 소스에서 알 수 없습니다",
    )
    return said, None


def seed(trace: Trace) -> Answer:
    """Every generator that is drawn from when the program is started has a seed before that."""
    if not _trains(trace):
        return NO_TRAINING, None
    seeds = [e for e in trace.when_started if e.kind == "seed"]
    if not seeds:
        return Text("no seed was found", "시드를 찾지 못했습니다"), None
    if seeds[0].branches:
        said = Text(
            "the seed in line {line} may be left out", "{line}번째 줄의 시드는 생략될 수 있습니다"
        )
        return said.fill(line=seeds[0].at.line), None
    covered = {str(e.facts["which"]) for e in seeds}
    drawn = {str(e.facts["which"]) for e in trace.when_started if e.kind == "draw"}
    if "all" not in covered and not drawn <= covered:
        said = Text("no seed for: {names}", "시드가 없는 생성기: {names}")
        return said.fill(names=", ".join(sorted(drawn - covered))), None
    code = _code(trace, seeds[0].at)
    return Text(f"`{code}`", f"`{code}`"), seeds[0].at


# --- evaluation


def eval_mode(trace: Trace) -> Answer:
    if not _evaluates(trace):
        return NO_EVALUATION, None
    switched = _first(trace, "eval")
    if switched is None:
        return Text("no call of `eval` was found", "`eval` 호출을 찾지 못했습니다"), None
    name = switched.name or "model"
    return Text(f"`{name}.eval()`", f"`{name}.eval()`"), switched.at


def no_grad(trace: Trace) -> Answer:
    if not _evaluates(trace):
        return NO_EVALUATION, None
    called = next((e for e in trace.of("call") if e.is_grad_enabled is False), None)
    if called is None:
        said = Text(
            "no call of a model without gradients was found",
            "기울기 없이 모델을 부르는 곳을 찾지 못했습니다",
        )
        return said, None
    said = Text("`{name}` is called without gradients", "기울기 없이 `{name}` 모델을 호출합니다")
    return said.fill(name=called.name or "model"), called.at


def numpy_order(trace: Trace) -> Answer:
    """A tensor that has left the graph becomes an array."""
    for event in trace.of("convert"):
        if event.facts.get("how") == "numpy" and event.facts.get("graph") is False:
            code = _code(trace, event.at)
            return Text(f"`{code}`", f"`{code}`"), event.at
    for source in _sources(trace):
        for call in source.calls(".numpy"):
            steps = list(_chain(call))
            if "detach" in steps:
                code = _short(source.code(call))
                return Text(f"`{code}`", f"`{code}`"), source.span(call)
    said = Text(
        "no output of a model becomes a NumPy array", "모델의 출력을 NumPy 배열로 바꾸지 않습니다"
    )
    return said, None


def _chain(call: ast.expr) -> Iterator[str]:
    """The methods called one after another, last first: numpy, cpu, detach of `x.detach().cpu().numpy()`."""
    node: ast.expr = call
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        yield node.func.attr
        node = node.func.value


def _trains(trace: Trace) -> bool:
    return {"backward", "step"} <= {event.kind for event in trace.events}


def _evaluates(trace: Trace) -> bool:
    """True if a model is called in evaluation mode or without gradients, or is put into evaluation mode."""
    return any(True for _ in trace.of("eval")) or any(
        e.is_grad_enabled is False or e.facts.get("training") is False for e in trace.of("call")
    )


def _first(trace: Trace, kind: Kind) -> Event | None:
    return next(trace.of(kind), None)


def _code(trace: Trace, at: Span) -> str:
    source = trace.source_of(at)
    node = source.at(at, ast.expr)
    return _short(source.code(node) if node is not None else source.line(at.line).strip())


def _short(code: str) -> str:
    line = " ".join(code.split())
    return line if len(line) <= 60 else line[:59] + "…"
