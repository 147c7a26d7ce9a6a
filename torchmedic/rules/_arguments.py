"""The constructor's argument that holds a layer's input size, and the size that arrives."""

from __future__ import annotations

import ast
from typing import NamedTuple

from torchmedic.model import Evidence, Text, show_value
from torchmedic.observed import Failure, ModuleCall
from torchmedic.rules._flow import value_of
from torchmedic.rules._place import failing_expression
from torchmedic.rules._sizes import arithmetic, output_of, producer


class Argument(NamedTuple):
    """The constructor's argument that holds the wrong size."""

    name: str
    position: int
    fact: str


_ARGUMENTS = {
    "Linear": Argument("in_features", 0, "in_features"),
    "_BatchNorm": Argument("num_features", 0, "expected"),
    "GroupNorm": Argument("num_channels", 1, "expected"),
    "LayerNorm": Argument("normalized_shape", 0, "expected"),
    "_ConvNd": Argument("in_channels", 0, "expected"),
    "RNNBase": Argument("input_size", 0, "expected"),
    "MultiheadAttention": Argument("embed_dim", 0, "expected"),
}
_OPERAND = Text(en="`{code}` is {shape}", ko="`{code}` 모양: {shape}")
_PRODUCTS = {"matmul", "mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "dot"}


def argument_of(layer: ModuleCall) -> Argument | None:
    """The argument of this kind of layer; None if its input size stands in none."""
    return next((_ARGUMENTS[b] for b in layer.bases if b in _ARGUMENTS), None)


def is_product(failure: Failure) -> bool:
    """True if the user's own line multiplies matrices (`a @ b`, `torch.matmul(a, b)`): no layer is to blame."""
    found = failing_expression(failure)
    if found is not None:
        node: ast.AST | None = found[2]
    else:
        frame = failure.user_frame
        try:
            node = ast.parse(frame.expression or frame.code) if frame else None
        except (SyntaxError, ValueError):
            node = None
    last = failure.frames[-1] if failure.frames else None
    if node is None or last is None or not last.is_user:
        return False
    return any(
        (isinstance(n, ast.BinOp) and isinstance(n.op, ast.MatMult))
        or (isinstance(n, ast.Call) and _last_name(n.func) in _PRODUCTS)
        for n in ast.walk(node)
    )


def operand_shapes(failure: Failure) -> tuple[Evidence, ...]:
    """The shapes of what the failing expression multiplies or is called with; from a live failure only."""
    found = failing_expression(failure) if failure.is_live else None
    if found is None:
        return ()
    source, frame, node = found
    parts: list[ast.expr] = []
    if isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Call):
        receiver = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        parts = [*receiver, *node.args]
    known = [(source.code(part), value_of(frame, source, part)) for part in parts]
    return tuple(
        Evidence(_OPERAND.fill(code=code, shape=show_value(list(value.tensor.shape))))
        for code, value in known
        if value is not None and value.tensor is not None
    )


def _last_name(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def single(fact: object) -> int:
    """The one number of a fact: `64`, or `[64]` for a normalized_shape."""
    last = fact[-1] if isinstance(fact, list) and fact else fact
    return last if isinstance(last, int) else 0


def given_size(layer: ModuleCall, facts: dict[str, object]) -> int | None:
    """The size that arrives: from the call's own input where it is known, else from the message."""
    shape = layer.input.shape if layer.input is not None else ()
    if shape:
        facts["input_shape"] = list(shape)
        at = -1
        if "_ConvNd" in layer.bases:  # with and without a batch in front
            at = -1 - next((n for n in (1, 2, 3) if any(f"{n}d" in b for b in layer.bases)), 0)
        elif {"_BatchNorm", "GroupNorm"} & set(layer.bases) and len(shape) > 1:
            at = 1
        if -at <= len(shape):
            facts["given"] = shape[at]
            return shape[at]
    found = facts.get("given")
    return found if isinstance(found, int) else None


def map_sizes(failure: Failure, layer: ModuleCall, given: int) -> list[int]:
    """(C, H, W) of the map that was flattened into the `given` features, if that is what happened."""
    before = output_of(producer(failure, layer))
    if "Linear" not in layer.bases or before is None or len(before.shape) < 3:
        return []
    sizes = list(before.shape[1:])
    total = 1
    for size in sizes:
        total *= size
    return sizes if total == given else []


def sum_of(sizes: list[int], layer: ModuleCall, expected: object) -> Evidence:
    return Evidence(
        Text(
            en="{arithmetic}, the layer says {expected}",
            ko="{arithmetic} 값인데 층에는 {expected} 값이 적혀 있습니다",
        ).fill(arithmetic=arithmetic(sizes), expected=show_value(expected))
    )
