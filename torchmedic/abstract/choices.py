"""Conditions, managers and choices under which an exception may be no mistake, or isn't certain."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torchmedic.observed.source import within

if TYPE_CHECKING:
    from torchmedic.abstract.machine import State
    from torchmedic.observed import Failure

# What tells values apart. An arm behind such a condition is made for values that the other arm is not made for.
_KINDS = frozenset({
    "isinstance", "issubclass", "hasattr", "callable", "type", "__class__", "dtype", "shape", "ndim", "dim", "size",
    "device", "is_cuda", "is_floating_point", "is_tensor", "numel", "requires_grad", "is_contiguous",
})  # fmt: skip
_EXPECTING = ("suppress", "raises", "assertRaises", "assertRaisesRegex", "ignored")


def chooses_by_data(test: ast.expr) -> bool:
    """True if a condition asks for the type, dtype or shape of a value, or for a mode by its name: which arm is taken may
    depend on what the values are that meet in it, so that an exception in it isn't certain."""
    known: bool | None = getattr(test, "_torchmedic_chooses", None)
    if known is None:
        known = any(map(_asks, within(test)))
        test._torchmedic_chooses = known  # type: ignore[attr-defined]
    return known


def _asks(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in _KINDS
    if isinstance(node, ast.Name):
        return node.id in _KINDS
    if isinstance(node, ast.Compare):
        parts = [p for side in (node.left, *node.comparators) for p in within(side)]
        return any(isinstance(p, ast.Constant) and isinstance(p.value, str) for p in parts)
    return False


def expects_failure(manager: ast.expr) -> bool:
    """`with suppress(RuntimeError):`, `with pytest.raises(ValueError):`."""
    called = manager.func if isinstance(manager, ast.Call) else manager
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name in _EXPECTING


class Shared:
    """Exceptions of calls of which one is made, it can't be told which: certain is what every one of them raises."""

    def __init__(self, machine: State) -> None:
        self._machine = machine
        self._first: list[Failure | None] = []
        self._failed = machine.failed

    @contextmanager
    def one_of_them(self) -> Iterator[None]:
        machine, before = self._machine, len(self._machine.failures)
        machine.failed = set(self._failed)
        try:
            yield
        finally:
            found = machine.failures[before:]
            del machine.failures[before:]
            self._first.append(found[0] if found else None)

    def settle(self) -> None:
        """The exception counts if all calls raise it with the same words at the same place."""
        raised = {(f.type, f.message, f.raised_at) if f else None for f in self._first}
        if len(raised) == 1 and self._first[0] is not None:
            self._machine.failures.append(self._first[0])
        else:
            self._machine.failed = self._failed
