"""Which of several joined values another one got its dtype from."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from torchmedic.observed.failure import Frame


def dtype_in(frame: Frame | None, node: ast.AST) -> str:
    """The dtype that the frame shows for this expression; "" if it shows none."""
    if frame is None or not isinstance(node, (ast.Name, ast.Attribute)):
        return ""
    code = ast.unparse(node)
    value = frame.names.get(code) or frame.values.get(code)
    return value.tensor.dtype if value is not None and value.tensor is not None else ""


def alike_first(
    frames: Sequence[Frame], at: int | None, nodes: Sequence[ast.expr], dtype: str
) -> list[ast.expr]:
    """The operands, those first that certainly have this dtype in the frame of that number."""
    frame = frames[at] if at is not None else None
    return sorted(nodes, key=lambda node: not dtype or dtype_in(frame, node) != dtype)
