"""The state of an abstract execution: frames, modes, the journal that lets arms be tried and joined, and the trace."""

from __future__ import annotations

import ast
import functools
import operator
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from torchmedic.abstract.values import (
    Bound,
    Choice,
    Class,
    Const,
    Content,
    Deferred,
    Entries,
    External,
    Function,
    Namespace,
    Number,
    Object,
    Place,
    Scope,
    Unknown,
    Value,
)
from torchmedic.model import Span
from torchmedic.observed import Failure, Site, Source
from torchmedic.observed.trace import Branch, Cut, Event, Kind, Loop

MOST_STEPS = 150_000  # expressions and statements of one file: about a second
MOST_SECONDS = 3.0
DEEPEST = 24  # calls of the user's functions in each other
MOST_FAILURES = 8
MISSING = object()
PLAIN = (Const, Number, Unknown, External, Function, Class, Namespace, Deferred)


class Flow(Enum):
    """How a statement ended."""

    NEXT = "next"
    RETURN = "return"
    BREAK = "break"
    CONTINUE = "continue"
    RAISE = "raise"


class OverBudget(Exception):
    """The file takes too long: what was seen so far stands."""


@dataclass(eq=False, repr=False)
class Frame:
    """A function of the user in execution. `node`: the expression in progress."""

    source: Source
    scope: Scope  # the globals
    local: Scope
    function: Function | None = None
    closure: tuple[Scope, ...] = ()
    node: ast.AST | None = None
    returned: list[Value] = field(default_factory=list)
    exits: list[Writes] = field(default_factory=list)
    yielded: list[Value] | None = None
    on_yield: Callable[[Value], None] | None = None
    global_names: frozenset[str] = frozenset()
    nonlocal_names: frozenset[str] = frozenset()
    is_chosen: bool = False  # a condition about the values decided whether it is still executed

    @property
    def qualname(self) -> str:
        return self.function.qualname if self.function else "<module>"


Writes = dict[
    tuple[int, Any], tuple[dict[Any, Any], Any, Any]
]  # (id of dict, key) -> dict, key, value


class Arm:
    """What one arm of a branch did: how it ended, and what it wrote."""

    def __init__(self, flow: Flow, writes: Writes) -> None:
        self.flow = flow
        self.writes = writes


class State:
    """Everything that is true at one moment of the execution."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.sources: dict[str, Source] = {source.path: source}
        self.frames: list[Frame] = []
        self.events: list[Event] = []
        self.failures: list[Failure] = []
        self.loops: list[Loop] = []
        self.branches: list[Branch] = []
        self.frameworks: set[str] = set()
        self.modes: dict[str, Any] = {
            "grad": True,
            "autocast": False,
            "cast": None,
            "workers": False,
            "device": "cpu",
            "batch": None,
        }
        self.unknown_modes: dict[int, Any] = {}  # id of an unknown module -> its mode
        self.parts: dict[int, Object] = {}  # modules whose parameters were asked for, by id
        self.entry = ""
        self.is_complete = True
        self.guards = 0  # `try` bodies and the like around: what fails there may be meant
        self.strict: list[
            tuple[int, int, list[Any]]
        ] = []  # numbers of branches and frames, and exits
        self.used: set[int] = set()  # numbers of activations whose results go elsewhere than a loss
        self.growths: list[Any] = []  # loops whose lists are watched, outermost first
        self.bits: dict[
            int, int
        ] = {}  # id of a layer or a parameter -> its bit's number in `reach`
        self.held: list[Value] = []  # those layers and parameters, by that number
        self.born: dict[int, Span] = {}  # id of a parameter -> where it was made
        self.cut_numbers: dict[tuple[Any, ...], int] = {}  # a place that cuts -> its bit's number
        self.cuts: list[Cut] = []  # those places, by that number
        self.same_memory: dict[int, Any] = {}  # id of `p.data` and the like -> the parameter
        self.leaked = 0  # layers whose results are in code that can't be seen, with their graph
        self.requests: list[Any] = []  # items that loaders ask for, outermost first
        self.reported: set[int] = set()  # class statements of Datasets whose event was emitted
        self._journals: list[Writes] = []
        self._news = 0  # so many writes wrote what something may go wrong with
        self._came_to_nothing: dict[ast.AST, int] = {}  # functions, and how often they did
        self._steps = 0
        self._pause = 512  # the step after which the clock is looked at
        self._deadline = time.process_time() + MOST_SECONDS
        self.failed: set[tuple[str, int, int, str]] = set()

    def tick(self) -> None:
        """Counts one step. Raises OverBudget."""
        self._steps += 1
        if self._steps > self._pause:
            self.check_budget()

    def check_budget(self) -> None:
        """Looks at the clock, once in 512 steps. Raises OverBudget."""
        if self._steps > MOST_STEPS or time.process_time() > self._deadline:
            self.is_complete = False
            raise OverBudget
        self._pause = min(self._steps + 512, MOST_STEPS)

    def renew(self, share: float) -> None:
        """A new, smaller budget: for what nobody calls."""
        self._steps = self._pause = int(MOST_STEPS * (1 - share))
        self._deadline = time.process_time() + MOST_SECONDS * share

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    def news(self) -> tuple[int, int, int]:
        """If it is the same after one pass of a loop as before, another pass would tell nothing new."""
        return self._news, len(self.events), len(self.failures)

    def is_growth_watched(self) -> bool:
        """True if the length of a list that has grown will be told from several passes."""
        return any(g.length is not None and g.lists for g in self.growths)

    # --- the heap: every change goes through `write`, so that it can be taken back

    def write(self, where: dict[Any, Any], key: Any, value: Any) -> None:
        if not isinstance(value, PLAIN) and not is_dull(value):
            self._news += 1
        if self._journals:
            self._journals[-1].setdefault((id(where), key), (where, key, where.get(key, MISSING)))
        if value is MISSING:
            where.pop(key, None)
        else:
            where[key] = value

    def set(self, thing: Value, name: str, value: object) -> None:
        """A field of a value; `items`, `rest` and `length` of a container are parts of its content."""
        content = getattr(thing, "content", None)
        if content is not None and name in content._fields:
            name, value = "content", content._replace(**{name: value})
        self.write(vars(thing), name, value)

    def arm(self, at: Branch, work: Callable[[], Flow]) -> Arm:
        """Executes one arm and takes its changes back."""
        journal: Writes = {}
        self._journals.append(journal)
        self.branches.append(at)
        try:
            flow = work()
        finally:
            self.branches.pop()
            self._journals.pop()
            after: Writes = {k: (d, key, d.get(key, MISSING)) for k, (d, key, _) in journal.items()}
            for where, key, old in reversed(list(journal.values())):
                if old is MISSING:
                    where.pop(key, None)
                else:
                    where[key] = old
        return Arm(flow, after)

    def join(self, arms: list[Arm]) -> None:
        """The state after one of these arms, it can't be told which."""
        if len(arms) == 1:
            for where, key, value in arms[0].writes.values():
                self.write(where, key, value)
            return
        keys: dict[tuple[int, Any], tuple[dict[Any, Any], Any]] = {}
        for one in arms:
            for k, (where, key, _) in one.writes.items():
                keys[k] = (where, key)
        for k, (where, key) in keys.items():
            now = where.get(key, MISSING)
            told = [one.writes[k][2] for one in arms if k in one.writes]
            if len(told) == 1 and now is MISSING:
                self.write(where, key, told[0])  # most writes: a new object of one arm
                continue
            values = [one.writes[k][2] if k in one.writes else now for one in arms]
            self.write(where, key, _merged(key, values))

    def weakly(self, writes: Writes) -> None:
        """What may have been written."""
        for where, key, value in writes.values():
            now = where.get(key, MISSING)
            self.write(where, key, _merged(key, [now, value]))

    @contextmanager
    def mode(self, name: str, value: object) -> Iterator[None]:
        old = self.modes[name]
        self.write(self.modes, name, value)
        try:
            yield
        finally:
            self.write(self.modes, name, old)

    @contextmanager
    def kept_modes(self) -> Iterator[None]:
        """What is switched in here for good is put back behind it."""
        old = dict(self.modes)
        try:
            yield
        finally:
            for name, value in old.items():
                self.write(self.modes, name, value)

    @contextmanager
    def guarded(self, is_guarded: bool = True) -> Iterator[None]:
        """What fails in here may be meant, or isn't certain."""
        self.guards += is_guarded
        try:
            yield
        finally:
            self.guards -= is_guarded

    # --- places

    def span(self, node: ast.AST | None = None, source: Source | None = None) -> Span:
        """Of the node, or of the expression in progress."""
        frame = self.frame
        node = node if node is not None else frame.node
        source = source or frame.source
        if isinstance(node, (ast.expr, ast.stmt, ast.keyword, ast.arg)):
            return source.span(node)
        return Span(source.path, 1)

    def place(self, node: ast.AST | None = None) -> Place | None:
        node = node if node is not None else self.frame.node
        return Place(self.frame.source, node) if node is not None else None

    def callers(self) -> tuple[Span, ...]:
        return tuple(self.span(f.node, f.source) for f in self.frames[:-1] if f.node is not None)

    def sites(self) -> tuple[Site, ...]:
        """The call in progress, then the calls around it, with the integers that each frame can see."""
        found = []
        for frame in reversed(self.frames):
            if frame.node is None:
                continue
            names = {k: n for k, v in frame.local.items() if (n := integer(v)) is not None}
            found.append(Site(self.span(frame.node, frame.source), frame.qualname, names))
        return tuple(found)

    # --- the trace

    def emit(
        self,
        kind: Kind,
        subject: Value | None = None,
        name: str = "",
        node: ast.AST | None = None,
        **facts: object,
    ) -> None:
        self.events.append(
            Event(
                kind,
                self.span(node),
                subject.id if subject is not None else 0,
                name,
                self.frame.qualname,
                self.callers(),
                tuple(self.loops),
                tuple(self.branches),
                self.modes["grad"],
                facts,
                self.entry,
            )
        )

    def note_use(self, *values: Value) -> None:
        """Something else than a loss, or the order of the elements, depends on these values."""
        for value in values:
            for number in getattr(value, "activations", ()):
                if number not in self.used:
                    self.used.add(number)
                    self.emit("use", value, number=number)

    def is_new_failure(self, kind: str) -> bool:
        """True once for each place, and not in a `try`: what fails there may be meant."""
        if self.guards or len(self.failures) >= MOST_FAILURES:
            return False
        if any(frame.is_chosen for frame in self.frames):
            return False
        for branches, frames, exits in self.strict:
            if len(self.branches) > branches or exits or any(f.exits for f in self.frames[frames:]):
                return False  # this may be meant for another pass of the loop
        at = self.span()
        key = (at.path, at.line, at.column, kind)
        if key in self.failed:
            return False
        self.failed.add(key)
        return True


def is_dull(value: object, depth: int = 2) -> bool:
    """True if nothing can be seen to go wrong with the value: neither a tensor nor an instance is in it."""
    if isinstance(value, PLAIN):
        return True
    if isinstance(value, Bound):
        return is_dull(value.receiver, depth)
    if isinstance(value, Choice):
        return all(is_dull(v, depth) for v in value.values)
    content = getattr(value, "content", value)
    if not isinstance(content, (Content, Entries)) or not depth or len(content.items) > 8:
        return False
    items = content.items.values() if isinstance(content, Entries) else content.items
    return all(is_dull(v, depth - 1) for v in (*items, content.rest) if v is not None)


def integer(value: object) -> int | None:
    if isinstance(value, Const) and type(value.value) is int:
        return value.value
    return None


def _merged(key: object, values: list[Any]) -> Any:
    """As `joined`; sets that are kept as bits are united."""
    if key in ("reach", "cuts") and all(type(v) is int for v in values):
        return functools.reduce(operator.or_, values)
    return joined(values)


def joined(values: list[Any]) -> Any:
    """One value for several that are possible: equal ones stay, objects become a choice, the rest is unknown."""
    first = values[0]
    for value in values:
        if value is not first:
            break
    else:
        return first
    held: list[Any] = [v.settled() if isinstance(v, Deferred) else v for v in values]
    known = [v for v in held if v is not MISSING]
    if len(known) < len(values) and known:
        return joined(known)  # a name that one arm doesn't set is used where it was set
    if not all(isinstance(v, Value) for v in known):
        if all(v == known[0] for v in known):
            return known[0]
        if all(isinstance(v, (Content, Entries)) for v in known):
            from torchmedic.abstract.joins import join_contents

            return join_contents(known)
        if all(isinstance(v, dict) for v in known):
            keys = dict.fromkeys(key for v in known for key in v)
            return {key: joined([v.get(key, MISSING) for v in known]) for key in keys}
        if all(isinstance(v, tuple) for v in known):
            return max(known, key=len)
        if all(isinstance(v, frozenset) for v in known):
            return frozenset().union(*known)
        return None
    from torchmedic.abstract.joins import join_values

    return join_values(known)
