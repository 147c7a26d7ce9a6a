"""Where a run's sums and lists grew by a graph at every step: the statement that adds to them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from torchmedic.model import Evidence, Span, Text
from torchmedic.observed import Site, Source, load
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._run import event, loop_around, node_at, trace_of

if TYPE_CHECKING:
    from torchmedic.observed.run_memory import Holder

GIB = 1 << 30
CARD = 16 * GIB  # the memory for which the last step is told
SMALL = 4096  # bytes a step: no memory is filled by less
UNENDING = 24  # steps, for a chain that every backward pass goes through
LOOKS = 9  # at which it had grown every time
_ADDS = ("append", "extend", "appendleft")

_GREW = Text(
    en="it had grown at {grown} of {looks} looks, between steps {first} and {last}",
    ko="{first}번째와 {last}번째 단계 사이에 {looks}번 확인했고 그 가운데 {grown}번 늘어나 있었습니다",
)
_FREED = Text(
    en="a backward pass has been through these graphs: they can't be differentiated again",
    ko="이 그래프들은 이미 역전파에 쓰여 다시 미분할 수 없습니다",
)
_NODES = Text(
    en="each step leaves {nodes} autograd nodes and {bytes} of saved tensors",
    ko="단계마다 autograd 노드 {nodes}개와 저장된 텐서 {bytes} 분량이 남습니다",
)
_BARE = Text(
    en="each step leaves {nodes} autograd nodes, which pile up; the tensors that they had saved are freed",
    ko="단계마다 autograd 노드 {nodes}개가 남아 쌓입니다. 노드가 저장했던 텐서는 역전파가 해제했습니다",
)
_FULL = Text(
    en="at {bytes} a step a memory of 16 GiB would be full after about {steps} steps",
    ko="단계마다 {bytes} 분량이면 16 GiB 메모리는 약 {steps}번째 단계에서 가득 찹니다",
)


class Growth(NamedTuple):
    """`added`: the place as the Source view tells it, with the calls and the loop around it.

    `loop`: None where a library calls the function `called_by_library`.
    """

    form: str  # "sum", "list", "state" or "call"
    added: Event
    trace: Trace
    loop: Span | None
    called_by_library: str
    evidence: tuple[Evidence, ...]
    steps: int = 0  # that a state is made of


def growths(run: Run) -> Iterator[Growth]:
    """Each once, the innermost function's first. Without a proof that the graphs are useless nothing is told."""
    told: set[Span] = set()
    for holder in run.holders:
        is_endless = (
            run.is_over
            and holder.kind == "sum"
            and not holder.is_freed
            and holder.grown >= LOOKS
            and holder.last - holder.first >= UNENDING
            and not (holder.missed or holder.library)
            and holder.bytes > SMALL
        )
        if not holder.is_freed and not is_endless:
            continue
        for source, node, callers in _statements(holder):
            found = _growth(holder, source, node, callers, is_endless)
            if found is not None:
                if found.added.at not in told:
                    told.add(found.added.at)
                    yield found
                break


def _growth(
    holder: Holder,
    source: Source,
    node: ast.stmt | ast.Call,
    callers: tuple[Site, ...],
    is_endless: bool,
) -> Growth | None:
    function = source.function_of(node)
    here = Site(source.span(node), function.name if function else "<module>")
    anchor = _value(node)
    loop = (
        None
        if holder.library
        else loop_around((Site(source.span(anchor), here.function), *callers))
    )
    added = event("accumulate", (Site(source.span(anchor), here.function), *callers))
    trace = trace_of(added) if added is not None else None
    if added is None or trace is None or not (loop or holder.library):
        return None
    container = "list" if holder.kind == "container" else "number"
    form = "state" if is_endless else "list" if container == "list" else "sum"
    added = added._replace(at=here.at, name=_target(node), facts={"container": container})
    evidence = _evidence(holder, here.at)
    form, by = ("call", here.function) if holder.library else (form, "")
    return Growth(form, added, trace, loop, by, evidence, holder.last - holder.first)


def _evidence(holder: Holder, at: Span) -> tuple[Evidence, ...]:
    looks = holder.grown + holder.missed
    told = [
        Evidence(
            _GREW.fill(grown=holder.grown, looks=looks, first=holder.first, last=holder.last), at
        )
    ]
    if holder.is_freed:
        told.append(Evidence(_FREED.fill()))
    if holder.nodes:
        size = shown(holder.bytes)
        is_bare = holder.is_freed and not holder.bytes
        left = (
            _BARE.fill(nodes=holder.nodes)
            if is_bare
            else _NODES.fill(nodes=holder.nodes, bytes=size)
        )
        told.append(Evidence(left))
        if holder.bytes > SMALL:
            told.append(Evidence(_FULL.fill(bytes=size, steps=f"{CARD // holder.bytes:,}")))
    return tuple(told)


def shown(count: int) -> str:
    """`1.5 MiB`."""
    for unit, size in (("GiB", GIB), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"


# --- the statement


def _statements(
    holder: Holder,
) -> Iterator[tuple[Source, ast.stmt | ast.Call, tuple[Site, ...]]]:
    """In the function that knows the name, then in the methods of its object, with the calls around."""
    site, *around = holder.by
    source = load(site.at.path)
    node = node_at(source, site.at) if source is not None else None
    if source is None or node is None:
        return
    inside = load(holder.file) if holder.file and holder.owner else None
    owner = inside.class_named(holder.type.rpartition(".")[2]) if inside is not None else None
    own = f"self{holder.text[len(holder.owner) :]}"
    if holder.library:  # it calls the method: whose frame that is, no frame tells any more
        added = list(_adding(owner, own)) if owner is not None else []
        if inside is None or owner is None or len(added) != 1 or _is_emptied(owner, own):
            return
        yield inside, added[0], ()
        return
    scope = source.function_of(node) or source.tree
    for found in _adding(scope, holder.text):
        yield source, found, tuple(around)
    if inside is None or owner is None:
        return
    for method in owner.body:
        if not isinstance(method, ast.FunctionDef):
            continue
        for found in _adding(method, own):
            calls = [
                n
                for n in ast.walk(scope)
                if isinstance(n, ast.Call)
                and ast.unparse(n.func) == f"{holder.owner}.{method.name}"
            ]
            if len(calls) == 1:
                yield inside, found, (Site(source.span(calls[0]), site.function), *around)
            elif scope is method:
                yield inside, found, tuple(around)


def _adding(scope: ast.AST, text: str) -> Iterator[ast.stmt | ast.Call]:
    for node in ast.walk(scope):
        if isinstance(node, (ast.AugAssign, ast.Assign)):
            if _target(node) == text and _keeps(node, text):
                yield node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_one = node.func.attr in _ADDS and len(node.args) == 1
            if is_one and _target(node) == text:
                yield node


def _is_emptied(owner: ast.ClassDef, text: str) -> bool:
    """True if a method begins anew: then memory is bounded by what a library's epoch holds."""
    for method in owner.body:
        if not isinstance(method, ast.FunctionDef) or method.name == "__init__":
            continue
        for node in ast.walk(method):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == f"{text}.clear":
                return True
            targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else []
            for target in targets:
                held = target.value if isinstance(target, ast.Subscript) else target
                is_new = isinstance(node, ast.Delete) or not _keeps(node, text)  # type: ignore[arg-type]
                if ast.unparse(held) == text and is_new:
                    return True
    return False


def _target(node: ast.stmt | ast.Call) -> str:
    if isinstance(node, ast.Call):
        return ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
    if isinstance(node, ast.AugAssign):
        return ast.unparse(node.target)
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        is_item = isinstance(target, ast.Subscript) and not isinstance(target.slice, ast.Constant)
        return ast.unparse(target.value if is_item else target)  # type: ignore[attr-defined]
    return ""


def _keeps(node: ast.AugAssign | ast.Assign, text: str) -> bool:
    """True if the new value has the old one in it, or if it becomes an item."""
    if isinstance(node, ast.AugAssign):
        return isinstance(node.op, ast.Add)
    if isinstance(node.targets[0], ast.Subscript) and ast.unparse(node.targets[0]) != text:
        return True
    parts = [p for p in ast.walk(node.value) if isinstance(p, ast.expr)]
    return any(ast.unparse(part) == text for part in parts)


def _value(node: ast.stmt | ast.Call) -> ast.expr:
    if isinstance(node, (ast.AugAssign, ast.Assign)):
        return node.value
    assert isinstance(node, ast.Call)
    return node
