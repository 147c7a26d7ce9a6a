"""Where a size should be changed: from the layer's constructor outwards to the literal that the number came from."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torchmedic.model import Fix, Span, Text
from torchmedic.observed import Failure, ModuleCall, Site, Source
from torchmedic.observed.construction import Made
from torchmedic.observed.origin import origins
from torchmedic.observed.scopes import default, parameters, passed
from torchmedic.rules._loops import Round, fits, fitting, rounds, value
from torchmedic.rules._sizes import product_text

SET = Text(en="set `{name}` to `{value}`", ko="`{name}` 값을 `{value}` 값으로 바꾸기")
SET_AT = Text(
    en="change `{old}` to `{value}`, where `{name}` comes from",
    ko="`{name}` 값의 출처인 `{old}` 코드를 `{value}` 값으로 바꾸기",
)


class Place(NamedTuple):
    """An expression that can be changed, and its new text. `is_shared`: other code reads the same value."""

    source: Source
    node: ast.expr
    text: str
    is_shared: bool = False

    @property
    def at(self) -> Span:
        return self.source.span(self.node)


def resize_fixes(
    failure: Failure,
    layer: ModuleCall,
    made: Made,
    node: ast.expr,
    name: str,
    expected: int,
    given: int,
    sizes: Sequence[int] = (),
) -> tuple[Fix, ...]:
    """Fixes that turn the constructor's argument `node` from `expected` into `given`, the likeliest first."""
    places = _ranked(_places(failure, layer, made, node, name, expected, given, sizes))
    fixes = []
    for place in places:
        old = place.source.code(place.node)
        title = SET.fill(name=name, value=place.text)
        if place.node is not node:
            title = SET_AT.fill(name=name, old=old, value=place.text)
        fixes.append(Fix((place.source.replace(place.node, place.text),), title))
    return tuple(fixes)


def _ranked(places: Iterator[Place]) -> list[Place]:
    found: dict[tuple[Span, str], Place] = {}
    for place in places:
        found.setdefault((place.at, place.text), place)
    return sorted(found.values(), key=lambda p: p.is_shared)[:4]


def _places(
    failure: Failure,
    layer: ModuleCall,
    made: Made,
    node: ast.expr,
    argument: str,
    expected: int,
    given: int,
    sizes: Sequence[int],
) -> Iterator[Place]:
    source, level, is_shared = made.source, 0, False
    while True:
        if constant(node) is not None:
            yield Place(source, node, product_text(source, node, sizes, given), is_shared)
            return
        read_elsewhere = _is_read_elsewhere(source, node)
        seen = rounds(failure, layer, level, argument, given)
        for text in (*fitting(source, node, seen), *_without_factor(source, node, seen)):
            yield Place(source, node, text)
        for name in _same_value(seen, node):
            yield Place(source, node, name)
        outer = _outer(source, node, layer.made_by, level)
        if outer is None or read_elsewhere:
            literal = _literal(failure, source, node, expected, given, sizes)
            if literal is not None and not read_elsewhere and not is_shared:
                yield literal
            for text in _rewritten(source, node, expected, given, sizes):
                if len(seen) < 2 or fits(ast.parse(text, mode="eval").body, seen):
                    yield Place(source, node, text, is_shared)
            if literal is not None:
                yield literal._replace(is_shared=True)
        if outer is None:
            return
        is_shared = is_shared or read_elsewhere
        source, node, level = outer


def _outer(
    source: Source, node: ast.expr, sites: Sequence[Site], level: int
) -> tuple[Source, ast.expr, int] | None:
    """The argument that the next frame outwards passed for the parameter `node`; else the parameter's default."""
    function = source.function_of(node)
    if not isinstance(node, ast.Name) or function is None or node.id not in parameters(function):
        return None
    if level + 1 >= len(sites):
        return None
    site = sites[level + 1]
    where = source if site.at.path == source.path else _load(site.at.path)
    call = where.at(site.at, ast.Call) if where else None
    handed = passed(source, function, node.id, call, where) if where and call else None
    if where is not None and handed is not None and not handed[1]:
        return where, handed[0], level + 1
    value = default(function, node.id) if handed is None else None
    return (source, value, level) if value is not None else None


def _load(path: str) -> Source | None:
    from torchmedic.observed import load

    return load(path)


def _same_value(seen: Sequence[Round], node: ast.expr) -> list[str]:
    """Local names that hold the size that is needed, in each round."""
    names = seen[-1].names if seen else {}
    used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return [n for n in names if n not in used and fits(ast.Name(n), seen)][:1]


def _without_factor(source: Source, node: ast.expr, seen: Sequence[Round]) -> Iterator[str]:
    """`hidden` of `hidden * 2`, if that is the size that is needed."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and seen:
        yield from (source.code(n) for n in (node.left, node.right) if fits(n, seen))


def _rewritten(
    source: Source,
    node: ast.expr,
    expected: int,
    given: int,
    sizes: Sequence[int],
) -> Iterator[str]:
    if isinstance(node, ast.BinOp) and len(sizes) > 1:
        yield product_text(source, node, sizes, given)
    code = source.code(node)
    inner = f"({code})" if isinstance(node, (ast.BinOp, ast.IfExp)) else code
    if expected and given % expected == 0 and given // expected <= 16:
        yield f"{given // expected} * {inner}"
    elif given and expected % given == 0 and not source.enclosing(node, ast.For):
        yield f"{inner} // {expected // given}"
    else:
        yield str(given)


def _literal(
    failure: Failure,
    source: Source,
    node: ast.expr,
    expected: int,
    given: int,
    sizes: Sequence[int],
) -> Place | None:
    """The literal that the value came from."""
    frame = next((f for f in failure.frames if f.is_user), None)
    if frame is None or isinstance(node, ast.BinOp):
        return None
    for origin in origins(failure, frame, node, source):
        if constant(origin.node) == expected:
            text = product_text(origin.source, origin.node, sizes, given)
            return Place(origin.source, origin.node, text)
    return None


def _is_read_elsewhere(source: Source, node: ast.expr) -> bool:
    """True if the same expression is read at another place of its function (of its class, for `self.x`)."""
    scope: ast.AST = source.function_of(node) or source.tree
    name = node.attr if isinstance(node, ast.Attribute) else None
    root: ast.AST = source.tree if name else scope
    same = 0
    for other in ast.walk(root):
        if isinstance(other, ast.Attribute) and name:
            same += other.attr == name and isinstance(other.ctx, ast.Load)
        elif isinstance(other, ast.Name) and isinstance(node, ast.Name):
            same += other.id == node.id and isinstance(other.ctx, ast.Load)
        elif isinstance(other, ast.Subscript) and isinstance(node, ast.Subscript):
            same += source.code(other.value) == source.code(node.value)
    return same > 1


def constant(node: ast.expr) -> int | None:
    """The value of an integer literal or a product of such; None for anything else."""
    return value(node, {})
