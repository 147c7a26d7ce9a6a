"""Integers that may be unknown, but are the same unknown wherever they go: polynomials over symbols.

The batch size B stays B through `x.size(0)`, and `B * 4 * 4 // B` is 16.
"""

from __future__ import annotations

import itertools
from math import gcd
from typing import NamedTuple, Union

# Stand-ins where a number is needed to go on: primes, so that no divisibility comes about by accident.
_PRIMES = (10007, 10037, 10061, 10079, 10091, 10103, 10133, 10141, 10151, 10163, 10177, 10193)
_serial = itertools.count()


class Opaque(NamedTuple):
    """An operation that polynomials don't have, on known operands: equal operands give an equal result."""

    operation: str
    left: Size
    right: Size


class Symbol(NamedTuple):
    """One unknown integer, at least 0. Equal only to itself, or to the same operation on the same operands."""

    name: str
    serial: int = -1
    origin: Opaque | None = None

    def stand_in(self) -> int:
        if self.origin is not None:
            left, right = self.origin.left.stand_in(), self.origin.right.stand_in()
            return left // right if self.origin.operation == "//" and right else left
        return _PRIMES[self.serial % len(_PRIMES)]


Monomial = tuple[Symbol, ...]
Sizeable = Union["Size", int]


def _key(symbol: Symbol) -> tuple[str, int, int]:
    return symbol.name, symbol.serial, hash(symbol.origin) if symbol.origin else 0


class Size:
    """A polynomial with integer coefficients; `terms` maps a sorted product of symbols to its coefficient."""

    __slots__ = ("terms",)

    def __init__(self, terms: tuple[tuple[Monomial, int], ...] = ()) -> None:
        self.terms = terms

    def __eq__(self, other: object) -> bool:
        return self.terms == other.terms if isinstance(other, Size) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.terms)

    @staticmethod
    def of(value: Sizeable) -> Size:
        return value if isinstance(value, Size) else Size((((), value),) if value else ())

    @staticmethod
    def fresh(name: str) -> Size:
        return Size((((Symbol(name, next(_serial)),), 1),))

    @property
    def constant(self) -> int | None:
        """The number, if there is no unknown in it."""
        if not self.terms:
            return 0
        if len(self.terms) == 1 and not self.terms[0][0]:
            return self.terms[0][1]
        return None

    def symbols(self) -> set[Symbol]:
        return {symbol for product, _ in self.terms for symbol in product}

    def __add__(self, other: Sizeable) -> Size:
        terms = dict(self.terms)
        for product, factor in Size.of(other).terms:
            terms[product] = terms.get(product, 0) + factor
        return _sorted(terms)

    def __neg__(self) -> Size:
        return Size(tuple((product, -factor) for product, factor in self.terms))

    def __sub__(self, other: Sizeable) -> Size:
        return self + -Size.of(other)

    def __mul__(self, other: Sizeable) -> Size:
        terms: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in Size.of(other).terms:
                product = tuple(sorted(left + right, key=_key))
                terms[product] = terms.get(product, 0) + a * b
        return _sorted(terms)

    def __floordiv__(self, other: Sizeable) -> Size:
        """Exact where it can be told; else a symbol of its own. By zero: the symbol."""
        other = Size.of(other)
        mine, theirs = self.constant, other.constant
        if mine is not None and theirs:
            return Size.of(mine // theirs)
        exact = self.divided_by(other)
        if exact is not None:
            return exact
        name = f"{self.shown()}//{other.shown()}"
        return Size((((Symbol(name, -1, Opaque("//", self, other)),), 1),))

    def divided_by(self, other: Size) -> Size | None:
        """The quotient if the divisor is one product that divides every term; None otherwise."""
        if len(other.terms) != 1:
            return Size.of(1) if self == other and self.terms else None
        divisor, by = other.terms[0]
        terms: dict[Monomial, int] = {}
        for product, factor in self.terms:
            rest = list(product)
            for symbol in divisor:
                if symbol not in rest:
                    return None
                rest.remove(symbol)
            if factor % by:
                return None
            terms[tuple(rest)] = factor // by
        return _sorted(terms)

    def is_same(self, other: Sizeable) -> bool:
        return self == Size.of(other)

    def is_different(self, other: Sizeable) -> bool:
        """True if they differ whatever the unknowns are."""
        difference = (self - other).constant
        return difference is not None and difference != 0

    def is_never(self, other: Sizeable) -> bool:
        """The same, also by divisibility: 32 * h * w is never 1601. A dimension of 1 isn't told apart."""
        difference = self - other
        if difference.constant is not None:
            return difference.constant != 0
        fixed = sum(factor for product, factor in difference.terms if not product)
        return fixed % gcd(*(factor for product, factor in difference.terms if product)) != 0

    def is_less(self, other: Sizeable) -> bool | None:
        difference = (self - other).constant
        return None if difference is None else difference < 0

    def stand_in(self) -> int:
        """A number for it: the number itself, or one made of the symbols' primes."""
        total = 0
        for product, factor in self.terms:
            for symbol in product:
                factor *= symbol.stand_in()
            total += factor
        return total

    def shown(self) -> str:
        parts = []
        for product, factor in sorted(self.terms, key=lambda term: -len(term[0])):
            names = [symbol.name for symbol in product]
            if factor != 1 or not names:
                names.insert(0, str(factor))
            parts.append("*".join(names))
        return " + ".join(parts).replace("+ -", "- ") or "0"


def _sorted(terms: dict[Monomial, int]) -> Size:
    kept = [(p, f) for p, f in terms.items() if f]
    kept.sort(key=lambda term: [_key(s) for s in term[0]])
    return Size(tuple(kept))


def product(sizes: tuple[Size, ...] | list[Size]) -> Size:
    """1 for no sizes at all."""
    result = Size.of(1)
    for size in sizes:
        result = result * size
    return result


class NamedInt(int):
    """The stand-in of an unknown size, shown by its name."""

    name: str

    def __new__(cls, value: int, name: str) -> NamedInt:
        self = super().__new__(cls, value)
        self.name = name
        return self

    def __repr__(self) -> str:
        return self.name

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(self.name, spec) if not spec.endswith("d") else int.__format__(self, spec)


def number(size: Size) -> int:
    """The size as `observed` holds it: an `int`; for an unknown one a stand-in that is shown by its name."""
    constant = size.constant
    return constant if constant is not None else NamedInt(size.stand_in(), size.shown())
