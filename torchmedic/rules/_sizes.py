"""What rules about sizes share: the table of layers, and new values for a constructor's argument."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from math import prod

from torchmedic.model import Evidence, Table, Text, show_value
from torchmedic.observed import Failure, ModuleCall, Source, Tensor, Value

MOST_ROWS = 14
COLUMNS = (
    Text(en="layer", ko="층"),
    Text(en="kind", ko="종류"),
    Text(en="input", ko="입력"),
    Text(en="output", ko="출력"),
)
_SHOWN = {
    "Linear": ("in_features", "out_features"),
    "Bilinear": ("in1_features", "in2_features", "out_features"),
    "Embedding": ("num_embeddings", "embedding_dim"),
    "RNN": ("input_size", "hidden_size"),
    "LSTM": ("input_size", "hidden_size"),
    "GRU": ("input_size", "hidden_size"),
}
_SHOWN |= {f"Conv{n}d": ("in_channels", "out_channels", "kernel_size") for n in (1, 2, 3)}
_SHOWN |= {f"ConvTranspose{n}d": ("in_channels", "out_channels", "kernel_size") for n in (1, 2, 3)}
_SHOWN |= {f"BatchNorm{n}d": ("num_features",) for n in (1, 2, 3)}
_SHOWN |= {"LayerNorm": ("normalized_shape",), "GroupNorm": ("num_groups", "num_channels")}
_SHOWN |= {
    f"{kind}{n}d": ("kernel_size", "stride") for kind in ("MaxPool", "AvgPool") for n in (1, 2, 3)
}
_SHOWN |= {f"Adaptive{k}Pool{n}d": ("output_size",) for k in ("Avg", "Max") for n in (1, 2, 3)}

_SCRIPTED = Text(
    en="the model is scripted or traced: the sizes between its layers can't be seen",
    ko="스크립트로 변환되었거나 추적(trace)된 모델이라 층 사이의 크기를 볼 수 없습니다",
)
_OUTSIDE = Text(
    en="`forward` uses files or the network, so it was not repeated to learn the sizes",
    ko="`forward`가 파일이나 네트워크를 쓰므로 크기를 알아보려고 다시 실행하지 않았습니다",
)


def described(layer: ModuleCall) -> str:
    """`Linear(1600 → 10)`, `Conv2d(1 → 32, 3)`, `Dropout`."""
    names = next((_SHOWN[base] for base in layer.bases if base in _SHOWN), ())
    values = [_short(layer.settings[name]) for name in names if name in layer.settings]
    if len(values) >= 2 and names[0].startswith(("in_", "input", "num_emb")):
        values = [f"{values[0]} → {values[1]}", *values[2:]]
    return f"{layer.type}({', '.join(values)})" if values else layer.type


def _short(value: object) -> str:
    if isinstance(value, list) and value and all(v == value[0] for v in value):
        return str(value[0])
    return show_value(value)


def shape_of(value: Value | None) -> str:
    """The shape of the first tensor in a value: `(32, 64, 5, 5)`; "" if there is none."""
    tensor = next(value.tensors(), None) if value else None
    return show_value(list(tensor.shape)) if tensor else ""


def leaves(failure: Failure) -> list[ModuleCall]:
    """The calls of layers without children, in order, and the failing call."""
    return [layer for layer in failure.layers if not layer.has_children or layer.output is None]


def size_table(failure: Failure) -> tuple[Evidence, ...]:
    """The sizes from the input to the failing layer as evidence; empty if they aren't known."""
    rows = [layer for layer in failure.layers if not layer.has_children]
    root = failure.root
    if root is not None and "ScriptModule" in root.bases:
        return (Evidence(_SCRIPTED),)
    if not rows:
        return (Evidence(_OUTSIDE),) if failure.layers_note == "outside" else ()
    marked = next((i for i, r in enumerate(rows) if _fails(failure, r)), None)
    cut = max(0, len(rows) - MOST_ROWS)
    cells = [
        (
            r.path or r.type,
            described(r),
            show_value(list(r.input.shape)) if r.input else "",
            shape_of(r.output) or "—",
        )
        for r in rows
    ]
    if cut:
        cells = [*cells[:2], ("…", "", "", ""), *cells[cut + 3 :]]
    if marked is not None:
        marked = len(cells) - (len(rows) - marked)
    text = {
        "recorded": Text(
            en="sizes recorded during the failing call", ko="실패한 호출에서 기록한 크기"
        ),
        "fake": Text(
            en="sizes from re-running the call on fake tensors",
            ko="가짜 텐서로 다시 실행해 얻은 크기",
        ),
        "copied": Text(
            en="sizes from re-running the call on a copy", ko="복사본으로 다시 실행해 얻은 크기"
        ),
    }.get(failure.layers_from, Text(en="sizes of the failing call", ko="실패한 호출의 크기"))
    return (Evidence(text, table=Table(COLUMNS, tuple(cells), marked)),)


def _fails(failure: Failure, layer: ModuleCall) -> bool:
    failing = failure.failing
    return failing is not None and layer.path == failing.path and layer.output is None


def producer(failure: Failure, layer: ModuleCall) -> ModuleCall | None:
    """The last layer without children that finished before this one and changed the sizes."""
    before: ModuleCall | None = None
    for call in failure.layers:
        if call.path == layer.path and call.output is None:
            break
        if not call.has_children and call.output is not None:
            before = call
    return before


def output_of(layer: ModuleCall | None) -> Tensor | None:
    if layer is None or layer.output is None:
        return None
    return next(layer.output.tensors(), None)


def product_text(source: Source, old: ast.expr | None, sizes: Sequence[int], total: int) -> str:
    """`total` as the code would write it: `64 * 3 * 3` where a product stood and the sizes are known, else the number.

    A name that stood for the channels stays: `channels * 5 * 5` becomes `channels * 3 * 3`.
    """
    factors = _factors(old)
    if len(factors) < 2 or prod(sizes) != total or len(sizes) < 2:
        return str(total)
    named = isinstance(factors[0], (ast.Name, ast.Attribute)) and len(factors) == len(sizes)
    first = source.code(factors[0]) if named else str(sizes[0])
    return " * ".join([first, *map(str, sizes[1:])])


def _factors(node: ast.expr | None) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*_factors(node.left), *_factors(node.right)]
    return [] if node is None else [node]


def arithmetic(sizes: Sequence[int]) -> str:
    """`64 × 3 × 3 = 576`; the number alone if there's one."""
    return " × ".join(map(str, sizes)) + (f" = {prod(sizes)}" if len(sizes) > 1 else "")


def split(failure: Failure) -> str:
    """Which mistake a size that doesn't fit is: "flatten" (the map was never flattened), "input" (the data don't
    fit the first layer) or "layer" (two layers disagree).
    """
    layer = failure.failing
    given = layer.input if layer else None
    if layer is None or given is None:
        return "layer"
    shape, kinds = given.shape, set(layer.bases)
    if "Linear" in kinds:
        features = layer.settings.get("in_features")
        if len(shape) >= 3 and (
            len(shape) == 4 or prod(shape[1:]) == features or prod(shape) == features
        ):
            return "flatten"
        if len(shape) == 1 and _swallowed_batch(failure, shape[0]):
            return "flatten"
    if any(k.startswith("Conv") for k in kinds) and _is_first(failure, layer):
        return "input"
    if kinds & {"RNN", "LSTM", "GRU"} and _is_first(failure, layer):
        size = layer.settings.get("input_size")
        return "input" if len(shape) != 3 or size in shape[:-1] else "layer"
    return "layer"


def _swallowed_batch(failure: Failure, size: int) -> bool:
    """True if a row of `size` numbers is a whole batch: a map of several samples was flattened from dimension 0."""
    root = failure.root.input if failure.root else None
    batch = root.shape[0] if root is not None and len(root.shape) > 1 else 1
    return batch > 1 and size % batch == 0


def _is_first(failure: Failure, layer: ModuleCall) -> bool:
    """True if what reaches the layer comes from the data: nothing before it decided how many channels there are."""
    given = layer.input
    done = [c for c in failure.layers if not c.has_children and c.output is not None]
    if given is not None and failure.root is not None and failure.root.path != layer.path:
        values = (*failure.root.inputs, *failure.root.keywords.values())
        arrived = {tensor.shape for value in values for tensor in value.tensors()}
        made = {tensor.shape for call in done if (tensor := output_of(call))}
        if given.shape in arrived and given.shape not in made:
            return True
    n = next((n for n in (1, 2, 3) if any(b.endswith(f"{n}d") for b in layer.bases)), 0)
    return all(_keeps_front(call, n) for call in done)


def _keeps_front(call: ModuleCall, n: int) -> bool:
    """True if the layer left all dimensions but the last n as they were: padding, pooling and norms do."""
    given, made = call.input, output_of(call)
    if given is None or made is None or len(given.shape) != len(made.shape):
        return False
    if call.parameters and not {"_NormBase", "LayerNorm", "GroupNorm"} & set(call.bases):
        return False
    front = len(given.shape) - n
    return given.shape[:front] == made.shape[:front]


def looks_unflattened(facts: Mapping[str, object]) -> bool:
    """From the message alone: (batch · C · H) rows of W numbers where C · H · W are expected, or one row of a batch."""
    rows, given, features = (facts.get(k) for k in ("rows", "given", "in_features"))
    if not (isinstance(rows, int) and isinstance(given, int) and isinstance(features, int)):
        return False
    if rows == 1 and features and given >= 8 * features:  # 3 times as much is RGB in place of grey
        return given % features == 0
    per_sample = features // given if given and features % given == 0 else 0
    return given <= 32 and per_sample >= 16 and rows % per_sample == 0
