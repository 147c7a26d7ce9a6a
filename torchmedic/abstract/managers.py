"""Context managers: gradients on and off, the user's own, and those that can't be seen."""

from __future__ import annotations

import sys
from collections.abc import Callable

from torchmedic.abstract.calls import Calls
from torchmedic.abstract.decorators import AUTOCAST, NO_GRAD
from torchmedic.abstract.devices import device_of
from torchmedic.abstract.operators import is_soft
from torchmedic.abstract.tables.dtypes import dtype_named
from torchmedic.abstract.values import (
    Arguments,
    Const,
    Device,
    Function,
    Object,
    Value,
)
from torchmedic.observed.trace import Cast

DEFAULT_CASTS = {"cuda": "float16", "cpu": "bfloat16"}

# Managers that have nothing to do with gradients.
UNRELATED = (
    "torch.profiler", "torch.autograd.profiler", "torch.autograd.set_detect_anomaly", "torch.cuda", "torch.random",
    "torch.device", "torch.backends", "torch.distributed", "torch.utils.tensorboard",
    "tqdm.", "numpy.", "matplotlib.", "PIL.", "h5py.", "mlflow.", "wandb.", "rich.", "zarr.", "pandas.",
)  # fmt: skip


class Managers(Calls):
    """What a `with` does around its body."""

    def with_manager(self, manager: Value, inside: Callable[[Value], None]) -> None:
        if isinstance(manager, Object):
            if manager.type == "contextlib.manager":
                self._generator_manager(manager, inside)
                return
            if manager.type in (*NO_GRAD, "torch.enable_grad", "torch.set_grad_enabled"):
                given = manager.settings.get("mode")
                on = manager.type == "torch.enable_grad"
                if manager.type == "torch.set_grad_enabled":
                    on = self.truth(given) if given is not None else None  # type: ignore[assignment]
                elif given is not None and self.truth(given) is False:
                    on = True
                with self.mode("grad", on):
                    inside(manager)
                return
            if manager.type in AUTOCAST:
                given = manager.settings.get("enabled")
                is_on = self.truth(given) if given is not None else True
                with self.mode("autocast", is_on), self.mode("cast", self.cast(manager, is_on)):
                    inside(manager)
                return
            if manager.type == "contextlib.ExitStack":
                with self.kept_modes():
                    inside(manager)
                return
            enter = self.own_method(manager, "__enter__")
            if enter is not None:
                value = self.call_function(enter, Arguments(enter.node, [], {}), manager)  # type: ignore[arg-type]
                inside(value)
                leave = self.own_method(manager, "__exit__")
                if leave is not None:
                    none: list[Value] = [Const(None)] * 3
                    self.call_function(leave, Arguments(leave.node, none, {}), manager)  # type: ignore[arg-type]
                return
            inside(manager)
            return
        if isinstance(manager, Device):
            with self.mode("device", ""):
                inside(manager)
            return
        self.unknown_manager(manager, inside)

    def cast(self, manager: Object, is_on: bool | None) -> Cast:
        """What `torch.autocast` casts to: float16 on CUDA, bfloat16 on the CPU, unless `dtype` says otherwise.

        Source: https://docs.pytorch.org/docs/stable/amp.html#torch.autocast
        """
        short = manager.type.removeprefix("torch.").partition(".")[0]
        given = manager.settings.get("device_type")
        names = (short if short in ("cuda", "cpu") else device_of(given)).split("|")
        device = "cuda" if "cuda" in names else names[0]
        dtype = DEFAULT_CASTS.get(device, "")
        asked = manager.settings.get("dtype")
        if asked is not None and getattr(asked, "value", asked) is not None:
            dtype = dtype_named(asked)
        is_on = None if is_soft(manager.settings.get("enabled", manager)) else is_on
        return Cast(self.span(manager.place.node if manager.place else None), device, dtype, is_on)

    def unknown_manager(self, manager: Value, inside: Callable[[Value], None]) -> None:
        """A manager that can't be seen may switch off gradients, or cast."""
        name = (
            getattr(manager, "why", "")
            or getattr(manager, "hint", "")
            or getattr(manager, "name", "")
        )
        root = name.split(".")[0]
        is_known = root in sys.stdlib_module_names or name.startswith(("builtins.", *UNRELATED))
        if is_known or not self.modes["grad"]:
            inside(self.unknown(manager))
            return
        with self.mode("grad", None), self.mode("autocast", None), self.mode("cast", None):
            inside(self.unknown(manager))

    def _generator_manager(self, manager: Object, inside: Callable[[Value], None]) -> None:
        function: Function = manager.state["function"]
        local = self._bound_parameters(function, manager.state["arguments"])
        callers = self.frames[:]

        def at_yield(value: Value) -> None:
            running, self.frames = self.frames, callers[:]
            try:
                inside(value)
            finally:
                self.frames = running

        self._run(function, local, at_yield)
