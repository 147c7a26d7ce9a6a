"""What the callbacks for Lightning and for transformers share: they watch one fit, from its beginning to its end."""

from __future__ import annotations

import atexit
import types
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from torchmedic.model import Diagnosis, Lang
from torchmedic.watching import watch

if TYPE_CHECKING:
    # Of the framework's kind for whoever checks types; which framework that is, is known when one is made.
    _Framework: Any = object
else:
    _Framework = object


_Callback = TypeVar("_Callback", bound="FitCallback")


class FitCallback(_Framework):  # type: ignore[misc]
    """An instance belongs to a subclass of its class and of the framework's: nothing is imported until it is made."""

    _watching: watch | None = None
    _latest: watch | None = None

    def __new__(cls: type[_Callback], *args: object, **options: object) -> _Callback:
        made: _Callback = object.__new__(_joined(cls))
        return made

    def __init__(self, lang: Lang | None = None, report: bool = True) -> None:
        watch(lang)  # raises for a language that there isn't
        self._lang = lang
        self._is_told = report

    @classmethod
    def _bases(cls) -> tuple[type, ...]:
        """The framework's classes of callbacks."""
        raise NotImplementedError

    @property
    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """The mistakes that were seen in the latest fit so far, with the fixes that the source allows."""
        seen = self._watching or self._latest
        return seen.diagnoses if seen is not None else ()

    def _begin(self, is_first: bool) -> None:
        """`is_first`: the process whose report is written, if there are several."""
        if self._watching is not None:  # its end was not told
            return
        with suppress(Exception):
            begun = watch(self._lang, self._is_told and is_first)
            begun.__enter__()
            self._watching = self._latest = begun
            atexit.register(self._end)

    def _end(self) -> None:
        ended, self._watching = self._watching, None
        if ended is not None:
            with suppress(Exception):
                atexit.unregister(self._end)
                ended.__exit__()

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has what was asked for, and watches nothing yet."""
        running = ("_watching", "_latest")
        state = {name: value for name, value in vars(self).items() if name not in running}
        return _remade, (type(self).__mro__[1],), state


_JOINED: dict[tuple[type, ...], type] = {}


def _joined(cls: type[FitCallback]) -> type:
    parts = (cls, *cls._bases())
    if parts not in _JOINED:
        names = {
            "__module__": cls.__module__,
            "__qualname__": cls.__qualname__,
            "__doc__": cls.__doc__,
        }
        _JOINED[parts] = types.new_class(cls.__name__, parts, exec_body=lambda n: n.update(names))
    return _JOINED[parts]


def _remade(cls: type[FitCallback]) -> FitCallback:
    return cls.__new__(cls)
