"""From a loss without a graph, whose `backward` was watched, to where its graph was cut."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from torchmedic.model import Span
from torchmedic.observed import Failure, Frame, Source
from torchmedic.observed.failure import Site
from torchmedic.observed.scopes import is_module, returned
from torchmedic.observed.source import Function
from torchmedic.rules._cuts import Cut, Search, guarded, is_cut
from torchmedic.rules._place import method_call, receiver
from torchmedic.rules._run import called

_DEPTH = 20
_EXPECTS = ("raises", "suppress", "assertRaises", "assertRaisesRegex")


def as_failure(by: Sequence[Site]) -> Failure:
    """The calls in progress as the frames of a traceback, for searches that begin there."""
    return Failure("", "", tuple(Frame(s.at, s.function) for s in reversed(by)), is_live=True)


def loss_of(failure: Failure) -> tuple[Source, Frame, ast.expr] | None:
    """`loss` of `loss.backward()`, and of `torch.autograd.backward(loss)`."""
    found = method_call(failure, "backward", "grad")
    if found is None:
        return None
    source, frame, call = found
    loss = receiver(call)
    if loss is None or is_module(source, loss):
        loss = call.args[0] if call.args else None
    return (source, frame, loss) if loss is not None else None


def nearest_cut(failure: Failure) -> Cut | None:
    """The first one on the way back from the loss."""
    found = loss_of(failure)
    if found is None:
        return None
    source, frame, loss = found
    return Search(failure, frame).cut(source, loss, _DEPTH)


def first_cut(failure: Failure, models: frozenset[Span]) -> Cut | None:
    """The first one on the way from a model's call to the loss; the nearest one if no such way is found."""
    found = loss_of(failure)
    if found is None:
        return None
    source, frame, loss = found
    return _Way(failure, frame, models).first(source, loss, _DEPTH)[0]


class _Way(Search):
    def __init__(self, failure: Failure, frame: Frame, models: frozenset[Span]) -> None:
        super().__init__(failure, frame)
        self.models = models

    def first(self, source: Source, node: ast.expr, depth: int) -> tuple[Cut | None, bool]:
        """A cut, and whether the way comes from a model's call."""
        if source.span(node) in self.models:
            return None, True
        if depth == 0 or id(node) in self.seen:
            return None, False
        self.seen.add(id(node))
        here = nearest = None
        if is_cut(source, node):
            here = nearest = self._appended(source, node) or Cut(source, node, "cut")
        for step_source, step in self._back(source, node):
            guard = guarded(step_source, step, node)
            found, is_reached = self.first(step_source, step, depth - 1)
            if is_reached:
                return found or guard or here, True
            nearest = nearest or guard or found
        return nearest, False

    def _back(self, source: Source, node: ast.expr) -> Iterator[tuple[Source, ast.expr]]:
        if isinstance(node, ast.Compare):
            yield source, node.left
        method = _own_method(source, node)
        if method is not None:
            yield from ((source, value) for value in returned(method)[:1])
        yield from self._next(source, node)


def _own_method(source: Source, node: ast.expr) -> Function | None:
    """`loss` of `self.loss(…)`, if the class has it."""
    function = node.func if isinstance(node, ast.Call) else None
    owner = source.enclosing(node, ast.ClassDef)
    if owner is None or not isinstance(function, ast.Attribute):
        return None
    return source.method(owner, function.attr) if ast.unparse(function.value) == "self" else None


def is_expected(by: Sequence[Site]) -> bool:
    """True if somebody may catch what is raised there."""
    for site in by:
        found = called(site)
        if found is None:
            return True
        source, call = found
        for up in source.parents(call):
            if isinstance(up, ast.Try):
                return True
            for item in up.items if isinstance(up, (ast.With, ast.AsyncWith)) else ():
                if any(word in ast.unparse(item.context_expr) for word in _EXPECTS):
                    return True
        if site.function == "<module>":  # what is around that has started the program
            break
    return False
