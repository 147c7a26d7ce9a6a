"""Whether random numbers are drawn before a seed is set: told by the state of the generators, which is only compared."""

from __future__ import annotations

import ctypes
import os
import random
import sys
from collections.abc import Iterator
from types import FrameType, ModuleType
from typing import Any

from torchmedic.observed.run_data import Seeded, SeedsRun
from torchmedic.probes.frames import is_user
from torchmedic.probes.observer.stack import Call, sites, user_calls
from torchmedic.probes.observer.watcher import Now, Watcher

MOST_SEEDS = 8
MOST_FILES = 60
WORDS = 624  # numbers in the state of a Mersenne Twister, made anew all at once
TURNS = 200  # of the state that Python's generator is followed for


class Seeds(Watcher):
    """Busy until the first number is drawn or seeded, and done with the first step."""

    def __init__(self, now: Now) -> None:
        super().__init__(now)
        self._python = now.python
        self._generator: Any = None
        self._state = b""
        self._number = 0  # that the generator began with
        self._first: tuple[Call, ...] = ()
        self._before: tuple[Call, ...] = ()
        self._after: tuple[Call, ...] = ()
        self._seeds: list[tuple[str, tuple[Call, ...], bool]] = []
        self._is_first = False
        self._is_drawn = False
        self._is_settled = False  # drawn from or seeded: where the first number came from is known
        self._is_over = False  # a step was made
        self._is_seeded = False
        self._others: tuple[str, ...] = ()
        self._files: tuple[str, ...] = ()

    def installed(self) -> None:
        self._generator = sys.modules["torch.random"].default_generator
        self._number = self._generator.initial_seed()
        self._state = self._now()

    def _now(self) -> bytes:
        state = self._generator.get_state()
        return ctypes.string_at(state.data_ptr(), state.numel())

    def _look(self, frame: FrameType) -> None:
        """Between which two places the first number was drawn."""
        if self._is_settled or not self._state:
            return
        if self._now() == self._state:
            self._before = user_calls(frame)
        elif self._number != self._generator.initial_seed():
            self._is_settled = self._is_seeded = True
        else:
            self._is_settled = self._is_drawn = True
            self._after = user_calls(frame)

    def optimizer_made(self, optimizer: Any, frame: FrameType) -> None:
        self._look(frame)

    def loader_made(self, loader: Any, shuffle: object, frame: FrameType) -> None:
        self._look(frame)

    def pass_begins(self, loader: Any, number: int, frame: FrameType) -> None:
        self._look(frame)

    def initialised(self, tensor: Any, generator: Any, frame: FrameType) -> None:
        if self._first or self._is_seeded or self._is_over or not self._state:
            return
        self._look(frame)
        torch: Any = sys.modules["torch"]
        is_plain = type(tensor) in (torch.Tensor, torch.nn.Parameter)
        if self._is_seeded or generator is not None or not is_plain:
            return
        if tensor.device.type == "cpu" and tensor.numel():
            self._first = user_calls(frame)
            if not self._is_drawn:
                self._is_drawn = self._is_settled = self._is_first = True
                self._after = self._first

    def seeded(self, generator: str, frame: FrameType) -> None:
        if self._is_over or len(self._seeds) >= MOST_SEEDS or not self._state:
            return
        if generator == "cuda" and self._is_seeded:
            return  # by torch's, whose seed is for every device
        self._look(frame)
        self._seeds.append((generator, user_calls(frame), self._is_drawn))
        if generator == "torch":
            self._is_settled = self._is_seeded = True

    def step_begins(self, optimizer: Any, args: Any, kwargs: Any, frame: FrameType) -> None:
        if self._is_over or not self._state:
            return
        self._look(frame)
        self._is_over = True
        self._files = _files() if self._is_drawn else ()
        self._is_seeded = self._is_seeded or self._number != self._generator.initial_seed()
        if self._is_drawn and not self._is_seeded:
            self._others = tuple(self._seeded_elsewhere())

    def _seeded_elsewhere(self) -> Iterator[str]:
        numpy = sys.modules.get("numpy.random.mtrand")
        bits = getattr(getattr(numpy, "_rand", None), "_bit_generator", None)
        if getattr(bits, "_seed_seq", bits) is None:  # only a generator of its own has one
            yield "numpy"
        follower = random.Random()
        follower.setstate(self._python)
        wanted = random.getstate()[1][:WORDS]
        for _ in range(TURNS):
            if follower.getstate()[1][:WORDS] == wanted:
                return
            follower.getrandbits(32 * WORDS)
        yield "random"

    def read(self) -> dict[str, Any]:
        return {
            "seeds": SeedsRun(
                self.now.is_whole and self._is_over,
                self._is_drawn,
                self._is_seeded,
                sites(self._first),
                self._is_first,
                sites(self._before),
                sites(self._after),
                tuple(Seeded(name, sites(by), is_late) for name, by, is_late in self._seeds),
                self._others,
                self._files,
            )
        }


def _files() -> tuple[str, ...]:
    """The program's own: the main file, and the modules in its folder."""
    main = _file(sys.modules.get("__main__"))
    if not main:
        return ()
    home = os.path.dirname(main) + os.sep
    found = [f for m in list(sys.modules.values()) if (f := _file(m)).startswith(home)]
    return tuple(dict.fromkeys([main, *filter(is_user, found)]))[:MOST_FILES]


def _file(module: object) -> str:
    held = vars(module) if isinstance(module, ModuleType) else {}
    path = held.get("__file__")
    return path if isinstance(path, str) else ""
