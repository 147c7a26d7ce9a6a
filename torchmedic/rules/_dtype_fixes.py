"""The fixes for a wrong number type: where the type was decided, and where the tensor is used."""

from __future__ import annotations

import ast

from torchmedic.model import Evidence, Fix, Span, Text, show_value
from torchmedic.observed import Failure, Tensor
from torchmedic.observed.origin import Origin
from torchmedic.rules._dtypes import birth, converted, spelled
from torchmedic.rules._operands import Operand
from torchmedic.rules._trail import is_plain, way_of

_CHANGE = Text(
    en="make it {wanted} where its type is decided",
    ko="형식이 정해지는 곳에서 {wanted} 형식으로 만들기",
)
_USE = Text(en="convert where it is used: `{code}`", ko="쓰는 곳에서 바꾸기: `{code}`")
_OPPOSITE = Text(en="write the opposite: `{code}`", ko="반대값으로 쓰기: `{code}`")
_BORN = Text(en="`{code}` decides the type: {given}", ko="`{code}` 코드가 형식을 정합니다: {given}")
_HELD = Text(
    en="`{code}` is {given} {shape}; {expected} is needed",
    ko="`{code}` 텐서: {given} {shape}, 필요한 형식: {expected}",
)


def held(found: Operand, tensor: Tensor, wanted: str) -> Evidence:
    """What the operand holds, and what is needed."""
    shape = show_value(list(tensor.shape))
    return Evidence(
        _HELD.fill(code=found.code, given=tensor.dtype, shape=shape, expected=wanted), found.at
    )


def born_at(
    failure: Failure, found: Operand, facts: dict[str, object], wanted: str
) -> tuple[Span, tuple[Evidence, ...], tuple[Fix, ...]]:
    """Where the type was decided, the evidence of it, and the fixes there and at the use."""
    given = facts.get("given")
    layer = failure.failing
    is_image = given == "uint8" and layer is not None and "_ConvNd" in layer.bases
    use = converted(Origin(found.source, found.node), wanted, is_image)
    fixes = [Fix((use,), _USE.fill(code=found.code))]
    way = way_of(failure, found.frame, found.node, found.source)
    here = birth(failure, way, str(given) if given else None, wanted, is_image)
    if here is None or _is_asked_for(found):
        return found.at, (), tuple(fixes)
    fixes.insert(0, Fix((here.edit,), _CHANGE.fill(wanted=wanted)))
    if fixes[0].edits == fixes[1].edits:
        del fixes[1]
    born = Evidence(_BORN.fill(code=here.code, given=given), here.at)
    return here.at, (born,), tuple(fixes)


def _is_asked_for(found: Operand) -> bool:
    """True in an arm that is chosen by this tensor's dtype: the arm has to take it, and other code may need it so."""
    asked = {f"{found.code}.{name}" for name in ("dtype", "is_floating_point", "type")}
    arms = (up for up in found.source.parents(found.node) if isinstance(up, (ast.If, ast.IfExp)))
    tests = (part for arm in arms for part in ast.walk(arm.test))
    return any(isinstance(t, ast.Attribute) and found.source.code(t) in asked for t in tests)


def numeric(found: Operand) -> tuple[Fix, ...]:
    """An array of objects made numeric where it is handed to torch; text in it will still be refused."""
    if not is_plain(found.node):
        return ()
    text = f".astype({spelled(found.source, 'float32', None, for_torch=False)})"
    edit = found.source.insert_after(found.node, text)
    return (Fix((edit,), _USE.fill(code=found.code)),)


def opposite(found: Operand) -> tuple[Fix, ...]:
    """`~mask` in the place of `1 - mask`."""
    minus = found.source.parent(found.node)
    if not isinstance(minus, ast.BinOp) or not isinstance(minus.op, ast.Sub):
        return ()
    if not isinstance(minus.left, ast.Constant) or minus.left.value != 1:
        return ()
    text = found.code if is_plain(found.node) else f"({found.code})"
    edit = found.source.replace(minus, f"~{text}")
    return (Fix((edit,), _OPPOSITE.fill(code=f"~{text}")),)
