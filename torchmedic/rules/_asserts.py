"""What is left when a check inside a CUDA kernel failed: its own words, if they were pasted, and the lines before."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from torchmedic.model import Evidence, Text
from torchmedic.observed import Failure, Source
from torchmedic.rules._place import user_frames

_PRINTED = r"Assertion [`'](.+?)['`] failed"
# What the rules about labels, embeddings, probabilities and samples know.
_KNOWN = (
    r"n_classes|srcIndex|input_val|target_val|input >= 0\.|val >= zero|ge\(val, zero\)|cumdist|accZero"
    r"|p[1-4] <= 1|probability tensor|vectorized gather"
)
_MOST = 4  # operations that are told
LABEL = Text(
    en="`{code}` checks its labels: 0 … C − 1",
    ko="`{code}` 연산은 레이블이 0 … C − 1인지 검사합니다",
)
ROW = Text(
    en="`{code}` checks its indices: 0 … rows − 1",
    ko="`{code}` 연산은 인덱스가 0 … (행 수 − 1)인지 검사합니다",
)
INDEX = Text(
    en="`{code}` checks its indices against the tensor's size",
    ko="`{code}` 연산은 인덱스를 텐서의 크기와 비교합니다",
)
PROBABILITY = Text(
    en="`{code}` checks that its input is between 0 and 1",
    ko="`{code}` 연산은 입력이 0과 1 사이인지 검사합니다",
)
WEIGHT = Text(
    en="`{code}` checks for NaN, infinity and values below 0",
    ko="`{code}` 연산은 NaN, 무한대, 0보다 작은 값이 있는지 검사합니다",
)
_CHECKS = {
    **dict.fromkeys(("cross_entropy", "nll_loss", "CrossEntropyLoss", "NLLLoss"), LABEL),
    **dict.fromkeys(("multi_margin_loss", "one_hot"), LABEL),
    **dict.fromkeys(("embedding", "embedding_bag", "Embedding", "EmbeddingBag"), ROW),
    **dict.fromkeys(("gather", "scatter", "scatter_", "scatter_add", "scatter_add_"), INDEX),
    **dict.fromkeys(("index_select", "index_add", "index_add_", "index_copy_", "take"), INDEX),
    **dict.fromkeys(("take_along_dim", "index_put_", "index_fill_"), INDEX),
    **dict.fromkeys(("binary_cross_entropy", "BCELoss"), PROBABILITY),
    **dict.fromkeys(("bernoulli", "bernoulli_"), PROBABILITY),
    "multinomial": WEIGHT,
}


def assertion(failure: Failure) -> str:
    """`t >= 0 && t < n_classes`, where the kernel's line is part of the message; else empty."""
    found = re.search(_PRINTED, failure.message)
    return found[1] if found else ""


def is_known(checked: str) -> bool:
    """Another rule says what this assertion checks."""
    return re.search(_KNOWN, checked) is not None


def is_of_embedding(failure: Failure) -> bool:
    """The frames or the line of the user speak of an embedding."""
    frame = failure.user_frame
    code = f"{frame.code} {frame.expression}" if frame is not None else ""
    is_called = failure.library_frame("embedding", "embedding_bag") is not None
    return is_called or re.search(r"(?i)embed|\bemb\b|\bwte\b|\bwpe\b", code) is not None


def suspects(failure: Failure, *kinds: Text) -> Iterator[Evidence]:
    """Operations with checks (of these kinds, or any), from the failing line backwards in the user's functions."""
    told = 0
    for source, frame in user_frames(failure):
        line = frame.at.end_line or frame.at.line
        for node, text in _checked(source, frame.function, line):
            if told < _MOST and (not kinds or text in kinds):
                told += 1
                yield Evidence(text.fill(code=source.code(node).split("\n")[0]), source.span(node))


def _checked(source: Source, function: str, line: int) -> list[tuple[ast.expr, Text]]:
    found = list[tuple[ast.expr, Text]]()
    made = _made(source)
    for node in source.nodes(ast.Call):
        owner = source.function_of(node)
        if (owner.name if owner else "<module>") != function.rpartition(".")[
            2
        ] or node.lineno > line:
            continue
        name = _last(node.func)
        text = _CHECKS.get(made.get(name, "")) or _CHECKS.get(name)
        if text is not None and name[:1].islower():
            found.append((node, text))
    for part in source.nodes(ast.Subscript):
        owner = source.function_of(part)
        where = owner.name if owner else "<module>"
        if where == function.rpartition(".")[2] and part.lineno <= line and _is_by_tensor(part):
            found.append((part, INDEX))
    return sorted(found, key=lambda one: -one[0].lineno)


def _is_by_tensor(node: ast.Subscript) -> bool:
    """`scores[torch.arange(n), labels]`, which no list and no dict takes."""
    return isinstance(node.slice, ast.Tuple) and any(
        isinstance(part, (ast.Name, ast.Call, ast.Attribute)) for part in node.slice.elts
    )


def _made(source: Source) -> dict[str, str]:
    """The classes of `self.embedding = nn.Embedding(…)` and `criterion = nn.CrossEntropyLoss()`."""
    return {
        _last(target): _last(node.value.func)
        for node in source.nodes(ast.Assign)
        if isinstance(node.value, ast.Call)
        for target in node.targets
        if isinstance(target, (ast.Name, ast.Attribute))
    }


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
