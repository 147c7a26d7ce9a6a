"""Operators, comparisons and truth on abstract values."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable
from typing import Any

from torchmedic.abstract.machine import State
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.values import (
    NOTHING,
    Bound,
    Choice,
    Class,
    Const,
    Data,
    Dict,
    External,
    Function,
    Iterator,
    Namespace,
    Number,
    Object,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_UNARY: dict[type, Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
_EQUALS = {ast.Eq: True, ast.Is: True, ast.NotEq: False, ast.IsNot: False}
LONGEST_TEXT = 10_000
LONGEST_NUMBER = 1_000  # bits
MOST_ITEMS = 4_000  # of a sequence that are told one by one


def size_of(value: object) -> Size | None:
    """The integer as a size; None if it is no integer."""
    if isinstance(value, Number):
        return value.size
    if isinstance(value, Const) and type(value.value) is int:
        return Size.of(value.value)
    return None


def real(graph: bool | None = False) -> Unknown:
    """A Python float that is not known."""
    return Unknown(graph, hint="builtins.float")


def is_real(value: object) -> bool:
    """True for a float that is known or not."""
    if isinstance(value, Const):
        return type(value.value) is float
    return isinstance(value, Unknown) and value.hint == "builtins.float"


def from_size(size: Size, soft: bool = False) -> Value:
    constant = size.constant
    return Const(constant, soft) if constant is not None else Number(size, soft)


def is_soft(*values: Value) -> bool:
    return any(getattr(v, "soft", False) for v in values)


def data_of(*values: Value, depth: int = 3) -> list[Data]:
    """The tensors and unknowns in these values, and in the containers among them."""
    found: list[Data] = []
    for value in values:
        if isinstance(value, Data):
            found.append(value)
        elif depth and isinstance(value, Sequence):
            found += data_of(*value.items, *([value.rest] if value.rest else ()), depth=depth - 1)
        elif depth and isinstance(value, Dict):
            found += data_of(
                *value.items.values(), *([value.rest] if value.rest else ()), depth=depth - 1
            )
        elif depth and isinstance(value, Choice):
            found += data_of(*value.values, depth=depth - 1)
        elif isinstance(value, Bound):
            found += data_of(value.receiver, depth=depth) or [Unknown()]
        elif isinstance(value, (Object, Iterator)):
            found.append(Unknown())
    return found


def calls_and_sums(data: list[Data]) -> tuple[frozenset[int], frozenset[int]]:
    """What `calls` and `sums` of something are that was computed from these."""
    if len(data) == 1:
        return data[0].calls, data[0].sums
    return NOTHING.union(*(d.calls for d in data)), NOTHING.union(*(d.sums for d in data))


def way_back_of(data: Iterable[Data]) -> int:
    """The layers that a backward pass comes to from one of these, as bits."""
    found = 0
    for one in data:
        if one.graph is not False:
            found |= one.reach
    return found


def cuts_of(data: Iterable[Data]) -> int:
    found = 0
    for one in data:
        found |= one.cuts
    return found


def are_same(left: Value, right: Value, is_identity: bool) -> bool | None:
    """Whether two names of libraries mean the same: `torch.long` and `torch.int64`; None if that can't be told.

    Two dtypes of PyTorch are one object if they are equal; those of NumPy are not.
    """
    if not isinstance(left, External) or not isinstance(right, External):
        return None
    if left.name == right.name:
        return True
    from torchmedic.abstract.tables.dtypes import dtype_of_torch, plain_dtype

    read = dtype_of_torch if left.name.startswith("torch.") else plain_dtype
    if read is plain_dtype and is_identity:
        return None
    one, other = read(left.name), read(right.name)
    return one == other if one and other else None


class Operators(State):
    """What operators give. What can't be told is `Unknown`."""

    def evaluate(self, node: ast.expr) -> Value:
        raise NotImplementedError

    def unknown(self, *inputs: Value, why: str = "", hint: str = "") -> Unknown:
        raise NotImplementedError

    def either(self, values: list[Value]) -> Value:
        raise NotImplementedError

    def _binop(self, node: ast.BinOp) -> Value:
        return self.binary(node.op, self.evaluate(node.left), self.evaluate(node.right))

    def binary(self, op: ast.operator, left: Value, right: Value) -> Value:
        if isinstance(left, Choice) or isinstance(right, Choice):
            return self.unknown(left, right)
        if isinstance(left, Tensor) or isinstance(right, Tensor):
            return self.tensor_binary(op, left, right)
        soft = is_soft(left, right)
        if isinstance(left, Const) and isinstance(right, Const):
            return self._constants(op, left.value, right.value, soft)
        a, b = size_of(left), size_of(right)
        if a is not None and b is not None:
            result = self._sizes(op, a, b)
            if result is None and isinstance(op, ast.Div):
                return Unknown(False, hint="builtins.float", soft=soft)
            return from_size(result, soft) if result is not None else Number(Size.fresh("n"), soft)
        if not isinstance(op, ast.Pow) and all(
            is_real(v) or n is not None for v, n in ((left, a), (right, b))
        ):
            return Unknown(False, hint="builtins.float", soft=soft)
        if isinstance(op, ast.Add) and isinstance(left, Sequence) and isinstance(right, Sequence):
            return self._concatenated(left, right)
        if isinstance(op, ast.Mult):
            for seq, times in ((left, right), (right, left)):
                if isinstance(seq, Sequence):
                    return self._repeated(seq, size_of(times))
        told = self.unknown(left, right)
        told.soft = soft
        return told

    def tensor_binary(self, op: ast.operator, left: Value, right: Value) -> Value:
        raise NotImplementedError

    def _constants(self, op: ast.operator, left: Any, right: Any, soft: bool) -> Value:
        try:
            if isinstance(op, ast.Pow):
                small = isinstance(right, (int, float)) and abs(right) <= 64
                return Const(left**right, soft) if small else Unknown()
            work = _ARITHMETIC[type(op)]
            if isinstance(op, (ast.Mult, ast.LShift)) and (
                isinstance(left, (str, bytes)) or isinstance(right, (str, bytes))
            ):
                return Unknown(hint="str")
            if isinstance(op, ast.LShift) and right > LONGEST_NUMBER:
                return Unknown(False, soft=soft)
            result = work(left, right)
        except Exception:
            return Unknown(False, soft=soft)
        if isinstance(result, (str, bytes)) and len(result) > LONGEST_TEXT:
            return Unknown(hint="str")
        if isinstance(result, int) and result.bit_length() > LONGEST_NUMBER:
            return Unknown(False, soft=soft)
        return Const(result, soft)

    def _sizes(self, op: ast.operator, left: Size, right: Size) -> Size | None:
        if isinstance(op, ast.Add):
            return left + right
        if isinstance(op, ast.Sub):
            return left - right
        if isinstance(op, ast.Mult):
            return left * right
        if isinstance(op, ast.FloorDiv):
            return left // right
        return None

    def _concatenated(self, left: Sequence, right: Sequence) -> Sequence:
        owners = left.owners | right.owners
        is_part = left.is_part or right.is_part
        if left.is_exact and right.is_exact and len(left.items) + len(right.items) <= MOST_ITEMS:
            return _marked(Sequence(left.kind, left.items + right.items, owners=owners), is_part)
        parts = [*left.items, *right.items, *(r for r in (left.rest, right.rest) if r)]
        a, b = left.size, right.size
        length = a + b if a is not None and b is not None else None
        result = Sequence(left.kind, rest=self.either(parts), length=length, owners=owners)
        return _marked(result, is_part)

    def _repeated(self, value: Sequence, times: Size | None) -> Sequence:
        count = times.constant if times is not None else None
        if value.is_exact and count is not None and 0 <= count * len(value.items) <= 64:
            return Sequence(value.kind, value.items * count)
        length = value.size * times if value.size is not None and times is not None else None
        rest = [*value.items, *([value.rest] if value.rest else [])]
        return Sequence(value.kind, rest=self.either(rest), length=length)

    def _unaryop(self, node: ast.UnaryOp) -> Value:
        value = self.evaluate(node.operand)
        if isinstance(node.op, ast.Not):
            truth = self.truth(value)
            return (
                Unknown(soft=is_soft(value)) if truth is None else Const(not truth, is_soft(value))
            )
        if isinstance(value, Const):
            try:
                return Const(_UNARY[type(node.op)](value.value), value.soft)
            except Exception:
                return Unknown()
        if isinstance(value, Number) and isinstance(node.op, ast.USub):
            return Number(-value.size)
        if isinstance(value, Tensor):
            return self.tensor_unary(node.op, value)
        if is_real(value) and not isinstance(node.op, ast.Invert):
            return real()
        return self.unknown(value)

    def tensor_unary(self, op: ast.unaryop, value: Tensor) -> Value:
        raise NotImplementedError

    def _boolop(self, node: ast.BoolOp) -> Value:
        stops = isinstance(node.op, ast.Or)
        values: list[Value] = []
        for part in node.values:
            value = self.evaluate(part)
            truth = self.truth(value)
            if truth is stops and not is_soft(value):
                return self.either([*values, value])
            if truth is None or is_soft(value) or part is node.values[-1]:
                values.append(value)
        return self.either(values)

    def _compare(self, node: ast.Compare) -> Value:
        left = self.evaluate(node.left)
        rights = [self.evaluate(c) for c in node.comparators]
        if len(rights) == 1:
            return self.compare(node.ops[0], left, rights[0])
        return self.unknown(left, *rights)

    def compare(self, op: ast.cmpop, left: Value, right: Value) -> Value:
        soft = is_soft(left, right)
        if isinstance(left, Tensor) or isinstance(right, Tensor):
            if isinstance(op, (ast.Is, ast.IsNot, ast.In, ast.NotIn)):
                none = any(isinstance(v, Const) and v.value is None for v in (left, right))
                return Const(isinstance(op, ast.IsNot)) if none else Unknown(False)
            return self.tensor_compare(left, right)
        if isinstance(op, (ast.In, ast.NotIn)):
            return self._contains(left, right, isinstance(op, ast.In), soft)
        if isinstance(left, Const) and isinstance(right, Const):
            try:
                return Const(bool(_COMPARE[type(op)](left.value, right.value)), soft)
            except Exception:
                return Unknown(False, soft=soft)
        a, b = size_of(left), size_of(right)
        if a is not None and b is not None:
            difference = (a - b).constant
            if difference is not None and type(op) in _COMPARE:
                return Const(bool(_COMPARE[type(op)](difference, 0)), soft)
        known = (Object, Class, Function, External, Sequence, Dict, Namespace, Iterator)
        is_identity = isinstance(op, (ast.Is, ast.IsNot))
        if is_identity and isinstance(right, Const) and isinstance(left, known):
            return Const(isinstance(op, ast.IsNot))
        same = are_same(left, right, is_identity)
        if same is not None and type(op) in _EQUALS:
            return Const(same is _EQUALS[type(op)])
        calls = frozenset[int]().union(*(d.calls for d in data_of(left, right)))
        return Unknown(False, calls, soft=soft)

    def tensor_compare(self, left: Value, right: Value) -> Value:
        return self.unknown(left, right)

    def _contains(self, item: Value, holder: Value, wanted: bool, soft: bool) -> Value:
        if isinstance(item, Const):
            try:
                if isinstance(holder, Const) and isinstance(holder.value, str):
                    return Const((item.value in holder.value) is wanted, soft or holder.soft)
                if isinstance(holder, Sequence) and holder.is_exact:
                    held = [i.value for i in holder.items if isinstance(i, Const)]
                    if len(held) == len(holder.items):
                        return Const((item.value in held) is wanted, soft)
                if isinstance(holder, Dict) and holder.rest is None:
                    return Const((item.value in holder.items) is wanted, soft)
            except TypeError:
                return Unknown()
        if isinstance(item, External) and isinstance(holder, Sequence) and holder.is_exact:
            same = [are_same(item, one, False) for one in holder.items]
            if True in same or None not in same:
                return Const((True in same) is wanted, soft)
        return Unknown(False, soft=soft)

    def truth(self, value: Value) -> bool | None:
        """Whether `if value` is taken; None if that can't be told."""
        if isinstance(value, Const):
            return bool(value.value)
        if isinstance(value, (Function, Class, Namespace, External)):
            return True
        if isinstance(value, Sequence) and value.is_exact:
            return bool(value.items)
        if isinstance(value, Dict) and value.rest is None:
            return bool(value.items)
        if isinstance(value, Object) and not (value.cls and value.cls.lookup("__len__")):
            return True if value.type != "builtins.dict" else None
        return None


def _marked(value: Sequence, is_part: bool) -> Sequence:
    value.is_part = is_part
    return value
