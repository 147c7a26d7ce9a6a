"""Comprehensions: loops that are expressions."""

from __future__ import annotations

import ast
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torchmedic.abstract.expressions import Expressions
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.values import Const, Dict, Sequence, Unknown, Value


class Comprehensions(Expressions):
    """Evaluates comprehensions in a scope of their own. Where the items can't be told one by one, two stand for many."""

    def _listcomp(self, node: ast.ListComp) -> Value:
        return self._comprehension(node.generators, node.elt, "list")

    def _generatorexp(self, node: ast.GeneratorExp) -> Value:
        found = self._comprehension(node.generators, node.elt, "tuple")
        if isinstance(found, Sequence):
            found.is_once = True
        return found

    def _setcomp(self, node: ast.SetComp) -> Value:
        from torchmedic.abstract.joins import distinct

        found = self._comprehension(node.generators, node.elt, "set")
        return distinct(found) if isinstance(found, Sequence) else found

    def _dictcomp(self, node: ast.DictComp) -> Value:
        pair = ast.Tuple([node.key, node.value], ast.Load())
        ast.copy_location(pair, node)
        pairs = self._comprehension(node.generators, pair, "list")
        if not isinstance(pairs, Sequence):
            return Dict({}, Unknown())
        items: dict[Any, Value] = {}
        rest: list[Value] = []
        for entry in (*pairs.items, *([pairs.rest] if pairs.rest else ())):
            key, value = (
                entry.items
                if isinstance(entry, Sequence) and len(entry.items) == 2
                else (None, Unknown())
            )
            if isinstance(key, Const) and pairs.is_exact:
                items[key.value] = value
            else:
                rest.append(value)
        return Dict(items, self.either(rest) if rest else None)

    def _comprehension(
        self, generators: list[ast.comprehension], element: ast.expr, kind: str
    ) -> Value:
        frame = self.frame
        inner = dict(frame.local)
        outer, frame.local = frame.local, inner
        found: list[Value] = []
        lengths: list[Size | None] = []

        def walk(depth: int) -> bool:
            if depth == len(generators):
                found.append(self.evaluate(element))
                return True
            generator = generators[depth]
            source = self.evaluate(generator.iter)
            items, is_all = self.iterate(source)
            lengths.append(getattr(source, "size", None) or getattr(source, "length", None))
            for number, item in enumerate(items):
                with self.pass_over(source, number):
                    self.assign(generator.target, item)
                    truths = [self.truth(self.evaluate(test)) for test in generator.ifs]
                    if False in truths:
                        continue
                    is_all = is_all and None not in truths
                    is_all = walk(depth + 1) and is_all
            return is_all

        try:
            is_all = walk(0)
        finally:
            frame.local = outer
        if is_all:
            return Sequence(kind, tuple(found))
        plain = len(generators) == 1 and not generators[0].ifs
        return Sequence(
            kind,
            rest=self.either(found) if found else Unknown(),
            length=lengths[0] if plain else None,
        )

    def pass_over(self, source: Value, number: int) -> AbstractContextManager[None]:
        """One pass of a comprehension; of one that walks a DataLoader the events tell."""
        return nullcontext()
