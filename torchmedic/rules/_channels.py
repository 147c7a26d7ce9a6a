"""The number of input channels or features that the data bring, and where the first layer's number is written."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Fix, Span, Text
from torchmedic.observed import Failure, ModuleCall, Source
from torchmedic.observed.construction import constructor
from torchmedic.observed.origin import origins
from torchmedic.rules._layout import USED, argument, behind
from torchmedic.rules._resize import SET_AT, constant, resize_fixes
from torchmedic.rules._trail import NOWHERE

_REPEAT = Text(en="repeat the grey channel: `{text}`", ko="흑백 채널을 반복하기: `{text}`")


def input_shape(failure: Failure, facts: dict[str, object]) -> list[int]:
    """The input's own sizes; from the message without the 1 that PyTorch puts before an unbatched input."""
    layer = failure.failing
    if layer is not None and layer.input is not None and not layer.has_children:
        return list(layer.input.shape)
    found = argument(failure)
    if found is not None and found.tensor is not None:
        return list(found.tensor.shape)
    said = facts.get("shape")
    if not isinstance(said, list):
        return []
    is_image = facts.get("given") in (3, 4)
    if said[:1] == [1] and facts.get("expected") == 1 and len(said) >= 3 and not is_image:
        return said[1:]
    return list(said)


def spatial(failure: Failure, facts: dict[str, object], layer: ModuleCall | None) -> int:
    """1, 2 or 3 for the layer's spatial dimensions; 0 if they aren't known."""
    kinds = [*(layer.bases if layer else ()), str(facts.get("function", ""))]
    frame = failure.library_frame()
    kinds.append(frame.code if frame is not None else "")
    for kind in kinds:
        for n in (1, 2, 3):
            if f"{n}d" in kind:
                return n
    said = facts.get("shape")
    is_channels = "expected" in facts and isinstance(said, list)
    return len(said) - 2 if isinstance(said, list) and is_channels and 3 <= len(said) <= 5 else 0


def channels_of(facts: dict[str, object], layer: ModuleCall | None) -> int:
    """What the layer says, else the message; 0 if neither tells."""
    own = layer.settings.get("in_channels") if layer else None
    found = own if isinstance(own, int) else facts.get("expected")
    return found if isinstance(found, int) else 0


def resized(
    failure: Failure,
    layer: ModuleCall,
    facts: dict[str, object],
    shape: list[int],
    at: Span | None,
) -> tuple[Span | None, tuple[Fix, ...]]:
    """The data are laid out right: the first layer's own number changes."""
    recurrent = "RNNBase" in layer.bases
    name = "input_size" if recurrent else "in_channels"
    expected, made = layer.settings.get(name), constructor(failure, layer)
    old = made.argument(0, name) if made else None
    if made is None or old is None or not isinstance(expected, int) or len(shape) < 2:
        return at, ()
    n = spatial(failure, facts, layer)
    given = shape[-1] if recurrent else shape[1 if len(shape) == n + 2 else 0]
    if given == expected:
        return at, ()
    fixes = resize_fixes(failure, layer, made, old, name, expected, given)
    fixes = (*_literal(failure, made.source, old, name, expected, given), *fixes)
    at = fixes[0].edits[0].span if fixes else made.source.span(old)
    found = argument(failure)
    if not recurrent and given == 1 and len(shape) == n + 2 and found is not None:
        text = f".repeat(1, {expected}{', 1' * n})"
        edit = behind(found.source, found.node, text)
        fixes = (*fixes, Fix((edit,), _REPEAT.fill(text=text)))
    elif not recurrent and given == 4 and expected == 3 and found is not None:
        edit = behind(found.source, found.node, "[:, :3]")
        fixes = (*fixes, Fix((edit,), USED.fill(text="[:, :3]", code=found.code)))
    return at, fixes


def _literal(
    failure: Failure, source: Source, old: ast.expr, name: str, expected: int, given: int
) -> Iterator[Fix]:
    """The number in a call, a default or a settings file that the first layer's size was handed down from."""
    for origin in origins(failure, NOWHERE, old, source)[1:]:
        if constant(origin.node) == expected:
            title = SET_AT.fill(name=name, old=origin.code, value=given)
            yield Fix((origin.source.replace(origin.node, str(given)),), title)
            return
        if not isinstance(origin.node, (ast.Name, ast.Attribute, ast.Subscript, ast.Dict)):
            return
