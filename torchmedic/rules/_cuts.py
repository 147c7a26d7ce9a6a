"""What cuts a graph: the search from the loss back to the model, and edits that leave the cut out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from torchmedic.model import Edit, Fix, Span, Text
from torchmedic.observed import Failure, Frame, Source
from torchmedic.observed.origin import origins
from torchmedic.observed.project import Project
from torchmedic.observed.scopes import binding, is_module, parameters, passed, returned
from torchmedic.rules._place import shifted, without

_LEAVE_OUT = Text(en="leave out `{text}`", ko="`{text}` 빼기")
_KEEP = Text(en="keep the tensor itself: `{text}`", ko="텐서를 그대로 쓰기: `{text}`")
_OUTSIDE = Text(en="compute it outside of `{code}`", ko="`{code}` 밖에서 계산하기")
_METHODS = (
    "item",
    "detach",
    "detach_",
    "numpy",
    "tolist",
    "argmax",
    "argmin",
    "long",
    "int",
    "bool",
)
_NEW = ("tensor", "as_tensor", "from_numpy", "Tensor", "FloatTensor", "LongTensor", "Variable")
_GUARDS = ("no_grad", "inference_mode")


class Cut(NamedTuple):
    """The expression behind which no graph is left. `kind`: "cut" or "no_grad"."""

    source: Source
    node: ast.expr
    kind: str
    statement: ast.With | None = None
    collected: ast.Call | None = None  # the `torch.tensor(losses)` of a list


class Search:
    """Walks from the loss back to the model: the predictions of a call, not its labels."""

    def __init__(self, failure: Failure, frame: Frame) -> None:
        self.failure, self.frame = failure, frame
        self.project = Project(failure)
        self.seen: set[int] = set()

    def cut(self, source: Source, node: ast.expr, depth: int) -> Cut | None:
        if depth == 0 or id(node) in self.seen:
            return None
        self.seen.add(id(node))
        if is_cut(source, node):
            return self._appended(source, node) or Cut(source, node, "cut")
        for step_source, step in self._next(source, node):
            found = guarded(step_source, step, node) or self.cut(step_source, step, depth - 1)
            if found is not None:
                return found
        return None

    def _appended(self, source: Source, node: ast.expr) -> Cut | None:
        """The numbers in a list of which `torch.tensor(losses)` makes a new tensor."""
        value = node.args[0] if isinstance(node, ast.Call) and len(node.args) == 1 else None
        if not isinstance(value, ast.Name) or not isinstance(node, ast.Call):
            return None
        for call in source.calls(".append"):
            if source.code(call.func) == f"{value.id}.append" and call.args:
                item = call.args[0]
                return Cut(source, item, "cut", None, node) if is_cut(source, item) else None
        return None

    def _next(self, source: Source, node: ast.expr) -> Iterator[tuple[Source, ast.expr]]:
        if isinstance(node, ast.Name):
            yield from self._bound(source, node)
        elif isinstance(node, ast.Call):
            yield from self._called(source, node)
        elif isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
            yield source, node.value
        elif isinstance(node, ast.BinOp):
            yield source, node.left
            yield source, node.right
        elif isinstance(node, ast.UnaryOp):
            yield source, node.operand
        elif isinstance(node, (ast.Tuple, ast.List)):
            yield from ((source, item) for item in node.elts)
        elif isinstance(node, ast.IfExp):
            yield source, node.body

    def _bound(self, source: Source, node: ast.Name) -> Iterator[tuple[Source, ast.expr]]:
        scope = source.function_of(node)
        found = binding(source, scope or source.tree, node)
        if found is not None:
            value, path, iterated = found
            if isinstance(value, ast.Tuple) and path and isinstance(path[0], int):
                value = value.elts[path[0]] if path[0] < len(value.elts) else value
            if not iterated:
                yield source, value
            for added in source.nodes(ast.AugAssign):
                if ast.unparse(added.target) == node.id and source.function_of(added) is scope:
                    yield source, added.value
        elif scope is not None and node.id in parameters(scope):
            for frame in reversed(self.failure.frames):
                other = self.failure.source(frame.at) if frame.is_user else None
                call = other.at(frame.at, ast.Call) if other and frame.at.end_line else None
                given = passed(source, scope, node.id, call, other) if call and other else None
                if given is not None and other is not None:
                    yield other, given[0]
                    return

    def _called(self, source: Source, call: ast.Call) -> Iterator[tuple[Source, ast.expr]]:
        name = source.name(call.func)
        defined = self.project.definition(source, name) if name else None
        if defined is not None and not isinstance(defined.node, ast.ClassDef):
            for value in returned(defined.node)[:1]:
                yield defined.source, value
        elif isinstance(call.func, ast.Name) and defined is None:
            yield from self._forward(source, call.func)
        arguments = [a for a in call.args if not isinstance(a, ast.Starred)]
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        is_method = owner is not None and not is_module(source, owner)
        if owner is not None and is_method and ast.unparse(owner) not in ("self", "super()"):
            yield source, owner
        if arguments:
            yield source, arguments[0]

    def _forward(self, source: Source, function: ast.expr) -> Iterator[tuple[Source, ast.expr]]:
        for origin in origins(self.failure, self.frame, function, source):
            name = origin.source.name(origin.node.func) if isinstance(origin.node, ast.Call) else ""
            owner = self.project.definition(origin.source, name) if name else None
            if owner is not None and isinstance(owner.node, ast.ClassDef):
                forward = owner.source.method(owner.node, "forward")
                if forward is not None:
                    yield from ((owner.source, v) for v in returned(forward)[:1])
                return


def is_cut(source: Source, node: ast.expr) -> bool:
    if isinstance(node, ast.Compare):
        return True
    if isinstance(node, ast.Attribute):
        return node.attr == "data" and ast.unparse(node.value) not in ("self", "cls")
    if not isinstance(node, ast.Call):
        return False
    name = source.name(node.func) or ""
    last = name.rpartition(".")[2]
    if isinstance(node.func, ast.Attribute) and not is_module(source, node.func.value):
        return node.func.attr in _METHODS
    if name.startswith("torch.") and last in ("argmax", "argmin"):
        return True
    is_new = name.startswith("torch.") and last in _NEW
    return is_new and bool(node.args) and not _is_data(node.args[0])


def _is_data(node: ast.expr) -> bool:
    """True for literals, from which a tensor has to be made."""
    return all(
        isinstance(
            n, (ast.Constant, ast.List, ast.Tuple, ast.UnaryOp, ast.unaryop, ast.expr_context)
        )
        for n in ast.walk(node)
    )


def guarded(source: Source, value: ast.expr, use: ast.expr | None = None) -> Cut | None:
    """The `with torch.no_grad():` or decorator around a value, if the use is outside of it."""
    outside = set(map(id, source.parents(use))) if use is not None else set()
    for up in source.parents(value):
        if isinstance(up, ast.With) and id(up) not in outside:
            for item in up.items:
                if _is_guard(source, item.context_expr):
                    return Cut(source, item.context_expr, "no_grad", up)
        if isinstance(up, (ast.FunctionDef, ast.AsyncFunctionDef)) and id(up) not in outside:
            for decorator in up.decorator_list:
                if _is_guard(source, decorator):
                    return Cut(source, decorator, "no_grad")
    return None


def _is_guard(source: Source, node: ast.expr) -> bool:
    function = node.func if isinstance(node, ast.Call) else node
    return (source.name(function) or "").rpartition(".")[2] in _GUARDS


_CHAIN = ("cpu", "numpy", "item", "tolist", "detach", "copy")
_NUMBERS = ("numpy", "item", "tolist", "copy")


def whole_fixes(cut: Cut) -> tuple[Fix, ...]:
    """As `fixes`, where what follows in the expression cuts as well: `torch.tensor(loss.item(), requires_grad=True)`."""
    source, node = cut.source, cut.node
    if cut.kind == "no_grad":
        return fixes(cut)
    value = node.value if isinstance(node, ast.Attribute) else _receiver(node)
    top, is_new = _top_of_chain(source, node)
    if value is None or (not is_new and _is_cut_later(source, top)):
        return ()
    collected = _collected(source, top)
    if collected:
        is_one = len(collected) == 1 and top is node and isinstance(node, ast.Call)
        return fixes(cut._replace(collected=collected[0])) if is_one else ()
    if top is node:
        return fixes(cut)
    is_number = isinstance(top, ast.Call) and isinstance(top.func, ast.Attribute)
    if not is_new or (is_number and top.func.attr in _NUMBERS):  # type: ignore[attr-defined]
        return ()
    text = source.code(value)
    return (Fix((source.replace(top, text),), _KEEP.fill(text=" ".join(text.split()))),)


def _collected(source: Source, node: ast.expr) -> list[ast.Call]:
    """What makes a new tensor of the list that the value is appended to."""
    call = source.parent(node)
    if not isinstance(call, ast.Call) or call.args != [node]:
        return []
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "append":
        return []
    held = source.code(call.func.value)
    calls = source.nodes(ast.Call)
    return [c for c in calls if _is_new(source, c) and c.args and source.code(c.args[0]) == held]


def _receiver(node: ast.expr) -> ast.expr | None:
    """`x` of `x.detach()` and of `torch.tensor(x)`."""
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Attribute) and node.func.attr not in _NEW:
        return node.func.value
    return node.args[0] if len(node.args) == 1 else None


def _top_of_chain(source: Source, node: ast.expr) -> tuple[ast.expr, bool]:
    """The conversions around it that follow at once, and whether one makes a tensor again."""
    is_new = False
    while True:
        up = source.parent(node)
        call = source.parent(up) if isinstance(up, ast.Attribute) else up
        if isinstance(up, ast.Attribute) and up.attr in _CHAIN:
            if not isinstance(call, ast.Call) or call.func is not up:
                return node, is_new
            node = call
        elif isinstance(up, ast.Call) and up.args == [node] and _is_new(source, up):
            node, is_new = up, True
        else:
            return node, is_new


def _is_new(source: Source, call: ast.Call) -> bool:
    name = source.name(call.func) or ""
    return name.startswith("torch.") and name.rpartition(".")[2] in _NEW


def _is_cut_later(source: Source, node: ast.expr) -> bool:
    """True if the expression, or the name that it gets, is converted elsewhere: leaving out this one is not enough."""
    for up in source.parents(node):
        if isinstance(up, ast.stmt):
            break
        if isinstance(up, ast.expr) and (is_cut(source, up) or _is_number(source, up)):
            return True
    statement = source.statement(node)
    if not isinstance(statement, ast.Assign):
        return False
    names = {n.id for t in statement.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    scope = source.function_of(node) or source.tree
    return any(
        isinstance(n, ast.Call)
        and is_cut(source, n)
        and not (isinstance(n.func, ast.Attribute) and n.func.attr in ("item", "detach"))
        and source.statement(n) is not statement
        and names & {m.id for m in ast.walk(n) if isinstance(m, ast.Name)}
        for n in ast.walk(scope)
    )


def _is_number(source: Source, node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and source.name(node.func) in ("float", "int")


def fixes(cut: Cut) -> tuple[Fix, ...]:
    source, node = cut.source, cut.node
    if cut.kind == "no_grad":
        title = _OUTSIDE.fill(code=source.code(node))
        if cut.statement is None:
            line = source.span(node).line
            return (Fix((Edit(Span(source.path, line, 0, line + 1, 0), ""),), title),)
        body = cut.statement.body
        by = cut.statement.col_offset - body[0].col_offset
        edits = shifted(source, body[0].lineno, cut.statement.end_lineno or 0, by)
        if len(cut.statement.items) > 1 or body[0].lineno == cut.statement.lineno or not edits:
            return ()
        head = Edit(Span(source.path, cut.statement.lineno, 0, body[0].lineno, 0), "")
        return (Fix((head, *edits), title),)
    if isinstance(node, ast.Attribute):
        edit = without(source, node, node.value)
        return (Fix((edit,), _LEAVE_OUT.fill(text=".data")),)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if cut.collected is not None and not node.args:
            given = source.code(cut.collected.args[0])
            stack = source.replace(cut.collected, f"torch.stack({given})")
            title = _KEEP.fill(text=source.code(node.func.value))
            return (Fix((without(source, node, node.func.value), stack), title),)
        if node.func.attr in ("item", "detach", "detach_", "long", "int") and not node.args:
            edit = without(source, node, node.func.value)
            return (Fix((edit,), _LEAVE_OUT.fill(text=f".{node.func.attr}()")),)
        last = node.func.attr
        if last in _NEW and len(node.args) == 1:
            inner = node.args[0]
            while isinstance(inner, ast.Call) and not inner.args and is_cut(source, inner):
                assert isinstance(inner.func, ast.Attribute)
                inner = inner.func.value
            text = source.code(inner)
            return (Fix((source.replace(node, text),), _KEEP.fill(text=text)),)
    return ()
