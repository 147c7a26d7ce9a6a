"""`Trainer(…, callbacks=[TorchmedicCallback()])`: a training of transformers, watched as by `with torchmedic.watch():`."""

from __future__ import annotations

import sys
import weakref
from contextlib import suppress
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any

from torchmedic.callbacks import FitCallback
from torchmedic.model import Lang


class TorchmedicCallback(FitCallback):
    """Watches `trainer.train()`, and reports its silent mistakes when it ends, also when an exception ends it.

    The report goes to standard error, if there is anything to say; `report=False` keeps it quiet, and `diagnoses` has
    what was found. Of several processes, the first one reports. Inside `torchmedic.watch()`, or under `torchmedic run`,
    the outer one reports. Raises ValueError for a `lang` that isn't "en" or "ko", and ImportError where transformers
    isn't installed.
    """

    def __init__(self, lang: Lang | None = None, report: bool = True) -> None:
        super().__init__(lang, report)
        self._await_end()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._await_end()

    @classmethod
    def _bases(cls) -> tuple[type, ...]:
        try:
            return (import_module("transformers").TrainerCallback,)
        except ImportError:
            raise ImportError(
                "torchmedic.transformers needs the package transformers: pip install transformers"
            ) from None

    def on_init_end(self, args: Any, state: Any, control: Any, **objects: Any) -> None:
        self._await_end()

    def on_train_begin(self, args: Any, state: Any, control: Any, **objects: Any) -> None:
        self._begin(bool(state.is_world_process_zero))

    def on_train_end(self, args: Any, state: Any, control: Any, **objects: Any) -> None:
        self._end()

    def _await_end(self) -> None:
        """No event tells of an exception: `Trainer.train` gets a second body as long as there are callbacks."""
        if id(self) in _ENDINGS.waiting:
            return
        with suppress(Exception):  # then an exception is noticed at the end of the process
            if _ENDINGS.begin():
                _ENDINGS.waiting.add(id(self))
                weakref.finalize(self, _ENDINGS.forget, id(self)).atexit = False


class _Endings:
    def __init__(self) -> None:
        self.waiting: set[int] = set()  # ids of callbacks
        self._swapped: tuple[FunctionType, CodeType, CodeType] | None = None  # …, its own, ours

    def begin(self) -> bool:
        """False as long as transformers hasn't defined its Trainer."""
        trainer = getattr(sys.modules.get("transformers.trainer"), "Trainer", None)
        if self._swapped is not None or trainer is None:
            return trainer is not None
        from torchmedic.probes.splice import guarded

        train = trainer.train
        train.__globals__["_torchmedic_left"] = self._left
        ours = guarded(train, "_torchmedic_left(self)")
        self._swapped = train, train.__code__, ours
        train.__code__ = ours
        return True

    def forget(self, which: int) -> None:
        self.waiting.discard(which)
        if self.waiting or self._swapped is None:
            return
        (train, original, ours), self._swapped = self._swapped, None
        if train.__code__ is ours:
            train.__code__ = original

    def _left(self, trainer: Any) -> None:
        with suppress(Exception):
            for callback in trainer.callback_handler.callbacks:
                if isinstance(callback, TorchmedicCallback):
                    callback._end()


_ENDINGS = _Endings()
