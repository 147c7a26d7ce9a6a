"""Files of the project that have nothing to do with what a trace tells: their code gets few steps."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

from torchmedic.abstract.notes import Notes
from torchmedic.abstract.values import Arguments, Function, Value
from torchmedic.observed import Source

T = TypeVar("T")

MOST_STEPS_ASIDE = 4_000  # of one call, or of one module's body
FRAMEWORKS = (
    "lightning", "pytorch_lightning", "accelerate", "transformers", "ignite", "skorch", "fastai", "catalyst",
    "deepspeed", "composer", "torchtitan", "megatron", "colossalai", "torchrl", "opacus", "higher", "learn2learn",
)  # fmt: skip
_MATTERS = rf"torch|numpy|random|seed|(import|from) +({'|'.join(FRAMEWORKS)})\b"


class TooLong(Exception):
    """Code that can't matter takes more steps than it is worth."""


class Limit(NamedTuple):
    """`steps`: where it ends. `frames` and `events`: how many there were when it began."""

    steps: int
    frames: int
    events: int


class Asides(Notes):
    """Cuts short what can't matter. What comes to other files, or emits an event, is never cut."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._limit: Limit | None = None
        self._asides: dict[Source, bool] = {source: False}
        self._too_long: set[ast.AST] = set()

    def is_aside(self, source: Source) -> bool:
        """True for a file, other than the main one, in which no word has to do with training."""
        known = self._asides.get(source)
        if known is None:
            known = self._asides[source] = re.search(_MATTERS, source.text) is None
        return known

    def aside(self, work: Callable[[], T], otherwise: Callable[[], T]) -> T:
        """What the work comes to, or the other thing if it takes too long."""
        if self._limit is not None:
            return work()
        self._limit = Limit(self._steps + MOST_STEPS_ASIDE, len(self.frames), len(self.events))
        try:
            return work()
        except TooLong:
            self._limit = None
            return otherwise()
        finally:
            self._limit = None

    def check_budget(self) -> None:
        super().check_budget()
        limit = self._limit
        if limit is None or self._steps <= limit.steps or len(self.events) > limit.events:
            return
        if all(self.is_aside(frame.source) for frame in self.frames[limit.frames :]):
            raise TooLong

    def call_function(
        self, function: Function, arguments: Arguments, receiver: Value | None = None
    ) -> Value:
        follow = super().call_function
        if self._limit is not None or not self.is_aside(function.source):
            return follow(function, arguments, receiver)
        if function.node in self._too_long:
            return self._unfollowed(function, arguments)
        return self.aside(
            partial(follow, function, arguments, receiver),
            partial(self._unfollowed, function, arguments),
        )

    def _unfollowed(self, function: Function, arguments: Arguments) -> Value:
        self._too_long.add(function.node)
        return self.call_unknown(function, arguments)
