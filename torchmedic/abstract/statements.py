"""Statements: bindings, branches, loops, `with`, `try`, definitions."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Many
from contextlib import contextmanager
from copy import copy
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from torchmedic.abstract.bindings import Bindings
from torchmedic.abstract.choices import chooses_by_data, expects_failure
from torchmedic.abstract.expressions import is_soft, size_of
from torchmedic.abstract.growth import growing
from torchmedic.abstract.machine import Arm, Flow, Writes, is_dull, joined
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.values import (
    Const,
    Number,
    Object,
    Scope,
    Sequence,
    Tensor,
    Unknown,
    Value,
)
from torchmedic.observed.source import within
from torchmedic.observed.trace import Branch, Loop

if TYPE_CHECKING:
    from torchmedic.observed import Source

_Executor = Callable[[Any, Any], Flow | None]


@cache
def _executors(machine: Any) -> dict[type[ast.stmt], _Executor]:
    """What executes each kind of statement; the others do nothing."""
    found = {
        k: getattr(machine, f"_do_{k.__name__.lower()}", None) for k in ast.stmt.__subclasses__()
    }
    return {kind: method for kind, method in found.items() if method is not None}


class Statements(Bindings):
    """Executes statements. Branches that can't be told are both executed and joined; loops run twice."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        kind: Any = type(self)
        self._executors = _executors(kind)

    def body(self, statements: Many[ast.stmt]) -> Flow:
        for statement in statements:
            flow = self.execute(statement)
            if flow is not Flow.NEXT:
                return flow
        return Flow.NEXT

    def execute(self, node: ast.stmt) -> Flow:
        self.tick()
        method = self._executors.get(type(node))
        if method is None:
            return Flow.NEXT
        frame = self.frames[-1]
        outer, frame.node = frame.node, node
        try:
            return method(self, node) or Flow.NEXT
        finally:
            frame.node = outer

    # --- simple statements

    def _do_expr(self, node: ast.Expr) -> None:
        self.evaluate(node.value)

    def _do_assign(self, node: ast.Assign) -> None:
        value = self.evaluate(node.value)
        for target in node.targets:
            self.assign(target, value)

    def _do_annassign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.assign(node.target, self.evaluate(node.value))

    def _do_augassign(self, node: ast.AugAssign) -> None:
        load = _loaded(node.target)
        before = self.evaluate(load)
        value = self.evaluate(node.value)
        self.augmented(before)
        was = copy(before)  # a tensor is changed in place
        result = self.binary_into(node.op, before, value)
        if self._is_counted(before):
            soft = is_soft(before)
            result = Number(Size.fresh("n"), soft) if size_of(result) is not None else result
            if isinstance(result, Const):
                result = Unknown(False)
        if isinstance(node.op, ast.Add):
            result = self.accumulated(node, was, value, result)
        if isinstance(before, Sequence) and isinstance(result, Sequence):
            self.set(before, "items", result.items)
            self.set(before, "rest", result.rest)
            self.set(before, "length", result.length)
            self.set(before, "owners", result.owners)
            self.set(before, "is_part", result.is_part)
            result = before
        self.assign(node.target, result)

    def binary_into(self, op: ast.operator, before: Value, value: Value) -> Value:
        return self.binary(op, before, value)

    def _is_counted(self, value: Value) -> bool:
        """True for a number that a loop counts: its later values aren't known."""
        return any(not loop.iteration < 0 for loop in self.loops) and isinstance(
            value, (Const, Number)
        )

    def augmented(self, before: Value) -> None:
        """`x += …` changes a tensor in place."""

    def accumulated(self, node: ast.AugAssign, before: Value, value: Value, result: Value) -> Value:
        return result

    def _do_return(self, node: ast.Return) -> Flow:
        value = self.evaluate(node.value) if node.value else Const(None)
        self.frame.returned.append(value)
        return Flow.RETURN

    def _do_raise(self, node: ast.Raise) -> Flow:
        if node.exc is not None:
            self.evaluate(node.exc)
        return Flow.RAISE

    def _do_break(self, node: ast.Break) -> Flow:
        return Flow.BREAK

    def _do_continue(self, node: ast.Continue) -> Flow:
        return Flow.CONTINUE

    def _do_delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id in self.frame.local:
                self.write(self.frame.local, target.id, Unknown())
            elif isinstance(target, (ast.Subscript, ast.Attribute)):
                self.blurred(self.evaluate(target.value), target)

    def _do_assert(self, node: ast.Assert) -> Flow | None:
        test = self.evaluate(node.test)
        return Flow.RAISE if self.truth(test) is False and not is_soft(test) else None

    def _do_global(self, node: ast.Global) -> None:
        self.frame.global_names |= frozenset(node.names)

    def _do_nonlocal(self, node: ast.Nonlocal) -> None:
        self.frame.nonlocal_names |= frozenset(node.names)

    # --- branches

    def _do_if(self, node: ast.If) -> Flow:
        test = self.evaluate(node.test)
        truth = None if is_soft(test) else self.truth(test)
        if truth is not None:
            return self.body(node.body if truth else node.orelse)
        work = [lambda: self.body(node.body), lambda: self.body(node.orelse)]
        if not chooses_by_data(node.test):
            return self.branched(node, work)
        frame, before = self.frame, len(self.frame.exits)
        with self.guarded():
            flow = self.branched(node, work)
        frame.is_chosen = frame.is_chosen or len(frame.exits) > before
        return flow

    def branched(self, node: ast.stmt, arms: list[Callable[[], Flow]]) -> Flow:
        """Executes every arm from the same state. What ends in `return` or `break` joins where that leads."""
        at = self.span(node)
        done = [self.arm(Branch(at, index), work) for index, work in enumerate(arms)]
        going = [a for a in done if a.flow is Flow.NEXT]
        for one in done:
            if one.flow is Flow.RETURN:
                self.frame.exits.append(one.writes)
            elif one.flow in (Flow.BREAK, Flow.CONTINUE) and self._exits:
                self._exits[-1].append(one.writes)
        if going:
            self.join(going)
            return Flow.NEXT
        alive = [a for a in done if a.flow is not Flow.RAISE] or done
        self.join(alive if len({a.flow for a in alive}) == 1 else alive[:1])
        return alive[0].flow

    def _do_match(self, node: ast.Match) -> Flow:
        subject = self.evaluate(node.subject)
        for name in _captured(node):
            self.bind(name, self.unknown(subject))
        arms: list[Callable[[], Flow]] = [partial(self.body, case.body) for case in node.cases]
        return self.branched(node, [*arms, lambda: Flow.NEXT])

    # --- loops

    _exits: list[list[Writes]]

    def _do_for(self, node: ast.For) -> Flow:
        over = self.evaluate(node.iter)
        items, is_all = self.loop_items(node, over)
        with growing(self, node, over):
            flow = self._loop(node, items, is_all, self.loader_of(over))
        if not is_all:
            self.after_loop(node, over)
        return flow

    def after_loop(self, node: ast.For, over: Value) -> None:
        """What can be told only of the last pass."""

    _do_asyncfor = _do_for

    def loop_items(self, node: ast.For, over: Value) -> tuple[list[Value], bool]:
        return self.iterate(over)

    def loader_of(self, value: Value) -> Object | None:
        """The DataLoader below `enumerate`, `tqdm` and the like."""
        return None

    def _do_while(self, node: ast.While) -> Flow:
        return self._loop(node, [Const(None), Const(None)], False, None)

    def _loop(
        self,
        node: ast.For | ast.While | ast.AsyncFor,
        items: list[Value],
        is_all: bool,
        loader: Object | None,
    ) -> Flow:
        if not is_all:
            self._forget_counters(node)
        is_alike = not is_all and all(map(is_dull, items))
        at = self.span(node)
        exits: list[Writes] = []
        before: Scope = {}
        flow = Flow.NEXT
        for index, item in enumerate(items):
            loop = Loop(
                at, -1 - index if is_all else index, loader.id if loader else 0, loader is not None
            )
            self.loops.append(loop)
            self._exits = [*self._exits, exits]
            try:
                if isinstance(node, ast.While):
                    test = self.evaluate(node.test)
                    if self.truth(test) is False and not is_soft(test):
                        break
                else:
                    self.assign(node.target, item)
                if not is_all:
                    before = dict(self.frame.local)
                    news = self.news()
                flow = self.body(node.body)
            finally:
                self._exits = self._exits[:-1]
                self.loops.pop()
            while exits:
                self.weakly(exits.pop())
            if flow in (Flow.RETURN, Flow.RAISE):
                return flow
            if flow is Flow.BREAK:
                break
            if is_alike and news == self.news() and not self.is_growth_watched():
                break
        if not is_all:
            self._widen(before)
        if node.orelse and flow is not Flow.BREAK:
            return self.body(node.orelse)
        return Flow.NEXT

    @contextmanager
    def pass_over(self, source: Value, number: int) -> Iterator[None]:
        loader = self.loader_of(source)
        if loader is None:
            yield
            return
        self.loops.append(Loop(self.span(), number, loader.id, True))
        try:
            yield
        finally:
            self.loops.pop()

    def _forget_counters(self, node: ast.stmt) -> None:
        """Numbers that the loop changes are unknown from its second pass on; arms that test them are both taken."""
        for name in _counters(node):
            value = self.frame.local.get(name)
            if isinstance(value, Const) and type(value.value) is int:
                self.write(self.frame.local, name, Number(Size.fresh(name)))
            elif isinstance(value, Const) and type(value.value) is float:
                self.write(self.frame.local, name, Unknown(False))

    def _widen(self, before: Scope) -> None:
        """What another pass would change again is unknown after the loop."""
        local = self.frame.local
        for name, old in before.items():
            new = local.get(name)
            if new is old or not isinstance(new, Value) or not isinstance(old, Value):
                continue
            if (isinstance(new, (Const, Number)) and isinstance(old, (Const, Number))) or (
                isinstance(new, Tensor) and isinstance(old, Tensor) and new.shape != old.shape
            ):
                self.write(local, name, joined([old, new]))

    # --- with, try

    def _do_with(self, node: ast.With) -> Flow:
        return self._within(list(node.items), node.body)

    def _do_asyncwith(self, node: ast.AsyncWith) -> Flow:
        return self._within(list(node.items), node.body)

    def _within(self, items: list[ast.withitem], body: list[ast.stmt]) -> Flow:
        if not items:
            return self.body(body)
        first, *rest = items
        manager = self.evaluate(first.context_expr)
        flow = Flow.NEXT

        def inside(value: Value) -> None:
            nonlocal flow
            if first.optional_vars is not None:
                self.assign(first.optional_vars, value)
            flow = self._within(rest, body)

        with self.guarded(expects_failure(first.context_expr)):
            self.with_manager(manager, inside)
        return flow

    def with_manager(self, manager: Value, inside: Callable[[Value], None]) -> None:
        inside(self.unknown(manager))

    def _do_try(self, node: ast.Try) -> Flow:
        with self.guarded(bool(node.handlers)):
            flow = self.body(node.body)
        if flow is Flow.NEXT and node.orelse:
            flow = self.body(node.orelse)
        arms: list[Arm] = []
        for index, handler in enumerate(node.handlers):
            if handler.name:
                self.bind(handler.name, Unknown())
            at = Branch(self.span(handler.body[0]), index)
            arms.append(self.arm(at, lambda handler=handler: self.body(handler.body)))  # type: ignore[misc]
        if flow is Flow.RAISE and arms:
            going = [a for a in arms if a.flow is Flow.NEXT]
            self.join(going or arms[:1])
            flow = Flow.NEXT if going else arms[0].flow
        if node.finalbody:
            last = self.body(node.finalbody)
            flow = last if last is not Flow.NEXT else flow
        return flow

    _do_trystar = _do_try


def _loaded(target: ast.expr) -> ast.expr:
    """The target of `+=` as something to read: same place, other context."""
    if isinstance(target, ast.Name):
        load: ast.expr = ast.Name(target.id, ast.Load())
    elif isinstance(target, ast.Attribute):
        load = ast.Attribute(target.value, target.attr, ast.Load())
    elif isinstance(target, ast.Subscript):
        load = ast.Subscript(target.value, target.slice, ast.Load())
    else:
        return target
    return ast.copy_location(load, target)


def _counters(node: ast.stmt) -> frozenset[str]:
    """Names that `+=` and the like change in the loop."""
    known: frozenset[str] | None = getattr(node, "_torchmedic_counters", None)
    if known is None:
        targets = (p.target for p in within(node) if isinstance(p, ast.AugAssign))
        known = frozenset(t.id for t in targets if isinstance(t, ast.Name))
        node._torchmedic_counters = known  # type: ignore[attr-defined]
    return known


def _captured(node: ast.Match) -> list[str]:
    names: list[str] = []
    for part in within(node):
        if isinstance(part, (ast.MatchAs, ast.MatchStar)) and part.name:
            names.append(part.name)
        elif isinstance(part, ast.MatchMapping) and part.rest:
            names.append(part.rest)
    return names
