"""Decorators: those that leave a function as it is, and those that switch gradients or autocast around its body."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torchmedic.abstract.definitions import Definitions
from torchmedic.abstract.registry import canonical
from torchmedic.abstract.values import (
    Arguments,
    Bound,
    Class,
    Const,
    External,
    Function,
    Object,
    Unknown,
    Value,
)

NO_GRAD = ("torch.no_grad", "torch.inference_mode")
ENABLE_GRAD, SET_GRAD = "torch.enable_grad", "torch.set_grad_enabled"
AUTOCAST = ("torch.autocast", "torch.amp.autocast", "torch.cuda.amp.autocast", "torch.cpu.amp.autocast",
            "torch.amp.autocast_mode.autocast", "torch.cuda.amp.autocast_mode.autocast",
            "torch.cpu.amp.autocast_mode.autocast")  # fmt: skip
_PASSING = ("staticmethod", "classmethod", "property")
_OF_FUNCTIONS = ("setter", "getter", "deleter", "register")  # of a property, of `singledispatch`
UNSEEN = "?"
# Libraries whose decorators have nothing to do with gradients.
_UNRELATED = frozenset(sys.stdlib_module_names) | {
    "", "builtins", "torch", "torchvision", "numpy", "numba", "hydra", "click", "typer", "fire", "absl", "sacred", "ray", "pytest",
    "jaxtyping", "beartype", "typeguard", "overrides", "tenacity", "wandb", "mlflow", "tqdm", "rich", "einops", "gin", "attr", "attrs",
}  # fmt: skip
# What a decorator does that can't be seen, by its name.
_NAMES_A_DUTY = r"(?i)^(register|command|automain|main|record|fixture|task|flow|time|log|profile|trace|cache|retry|catch|deprecated)"


class Decorators(Definitions):
    """Applies decorators to functions and classes."""

    def call(self, function: Value, arguments: Arguments) -> Value:
        raise NotImplementedError

    def decorated(self, decorator: Value, function: Value, node: object) -> Value:
        if isinstance(decorator, Function):
            return self.call(decorator, Arguments(node, [function], {}))  # type: ignore[arg-type]
        if isinstance(decorator, Object) and decorator.cls and decorator.cls.lookup("__call__"):
            return self.call(decorator, Arguments(node, [function], {}))  # type: ignore[arg-type]
        name = self._name_of(decorator)
        if isinstance(function, Function):
            plain = name.removeprefix("builtins.").removeprefix("functools.")
            name = (
                plain if plain in _PASSING else "property" if plain == "cached_property" else name
            )
            self.set(function, "decorators", (*function.decorators, name))
        elif isinstance(function, Class) and name.endswith("dataclass"):
            self.write(function.attributes, "__dataclass__", Const(True))
        elif isinstance(function, Class):
            self.escape(function, name)
        return function

    def escape(self, value: Value, to: str) -> None:
        raise NotImplementedError

    def _name_of(self, decorator: Value) -> str:
        if isinstance(decorator, External):
            return canonical(decorator.name)
        if isinstance(decorator, Object):
            return self._mode_named(decorator)
        if isinstance(decorator, Unknown):
            return decorator.why or UNSEEN
        return decorator.name if isinstance(decorator, Bound) else ""

    def _mode_named(self, decorator: Object) -> str:
        """The manager with the same effect that takes no argument. One that switched when it was made puts that back."""
        given = decorator.settings.get("mode")
        if decorator.type == SET_GRAD:
            self.write(self.modes, "grad", decorator.state.get("before"))
            is_on = self.truth(given) if given is not None else None
            return UNSEEN if is_on is None else ENABLE_GRAD if is_on else NO_GRAD[0]
        if decorator.type in NO_GRAD and given is not None and self.truth(given) is not True:
            return UNSEEN
        return UNSEEN if decorator.cls or decorator.type == "contextlib.manager" else decorator.type

    @contextmanager
    def switched_by(self, decorators: tuple[str, ...]) -> Iterator[None]:
        """The modes in the body of a function with these decorators, outermost last."""
        with ExitStack() as modes:
            for name in reversed(decorators):
                if name in (*NO_GRAD, ENABLE_GRAD):
                    modes.enter_context(self.mode("grad", name == ENABLE_GRAD))
                elif name in AUTOCAST and not self.modes["autocast"]:
                    modes.enter_context(self.mode("autocast", True))
                elif may_switch(name):
                    for mode in ("grad", "autocast", "cast"):
                        if mode != "grad" or self.modes["grad"]:
                            modes.enter_context(self.mode(mode, None))
            yield


def is_switch(name: str) -> bool:
    return name in (*NO_GRAD, ENABLE_GRAD, *AUTOCAST) or may_switch(name)


def may_switch(name: str) -> bool:
    """True for a decorator that can't be seen, unless its name says that it has another duty."""
    if re.match(_NAMES_A_DUTY, name.rpartition(".")[2]):
        return False
    return name == UNSEEN or name.partition(".")[0] not in {*_UNRELATED, *_PASSING, *_OF_FUNCTIONS}
