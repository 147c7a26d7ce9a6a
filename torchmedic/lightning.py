"""`Trainer(callbacks=[TorchmedicCallback()])`: a fit of Lightning, watched as by `with torchmedic.watch():`."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from torchmedic.callbacks import FitCallback

_PACKAGES = ("lightning.pytorch", "pytorch_lightning")


class TorchmedicCallback(FitCallback):
    """Watches `trainer.fit(…)`, and reports its silent mistakes when it ends, also when an exception ends it.

    For the Trainer of `lightning.pytorch` and of `pytorch_lightning`. The report goes to standard error, if there is
    anything to say; `report=False` keeps it quiet, and `diagnoses` has what was found. Of several processes, the first
    one reports. Inside `torchmedic.watch()`, or under `torchmedic run`, the outer one reports. Raises ValueError for a
    `lang` that isn't "en" or "ko", and ImportError where neither package is installed.
    """

    @classmethod
    def _bases(cls) -> tuple[type, ...]:
        loaded = [name for name in _PACKAGES if sys.modules.get(name)]
        if not loaded:
            loaded = [_first_installed()]
        return tuple(import_module(name).Callback for name in loaded)

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Before optimizers are made."""
        if stage == "fit":
            self._begin(bool(trainer.is_global_zero))

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage == "fit":
            self._end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._end()


def _first_installed() -> str:
    for name in _PACKAGES:
        try:
            import_module(name)
        except ImportError:
            continue
        return name
    raise ImportError("torchmedic.lightning needs the package lightning: pip install lightning")
