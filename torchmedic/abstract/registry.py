"""Where the knowledge of libraries is entered: one table for each kind of thing, filled by `tables`."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from torchmedic.abstract.values import Arguments, Object, Tensor, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

FunctionHandler = Callable[["Machine", Arguments], Value]
ObjectHandler = Callable[["Machine", Object, Arguments], Value]
TensorHandler = Callable[["Machine", Tensor, Arguments], Value]
H = TypeVar("H")
K = TypeVar("K")

FUNCTIONS: dict[str, FunctionHandler] = {}  # by dotted name
CLASSES: dict[str, tuple[str, ...]] = {}  # dotted name -> names of the constructor's arguments
_SIGNATURES: dict[str, str] = {}  # dotted name -> the constructor's, as it is documented
BASES: dict[str, tuple[str, ...]] = {}  # short name of a layer -> short names of its library bases
MADE: dict[str, ObjectHandler] = {}  # what a constructor does besides holding its arguments
CALLS: dict[str, ObjectHandler] = {}  # what calling an instance does
DRAWS: dict[str, str] = {}  # class or function that draws random numbers -> from which generator
METHODS: dict[tuple[str, str], ObjectHandler] = {}  # (class, method)
MODULE_METHODS: dict[str, ObjectHandler] = {}  # of every nn.Module
TENSOR_METHODS: dict[str, TensorHandler] = {}
ARRAY_METHODS: dict[str, TensorHandler] = {}  # of NumPy's arrays
CONSTANTS: dict[str, Any] = {}  # dotted name -> its value
TENSOR_ATTRIBUTES: dict[str, Callable[[Machine, Tensor], Value]] = {}

# Where a thing may stand, the pattern of what may follow there, and where it is documented.
_HOMES = (
    ("torch.nn.modules.", r"\w+\.(?=[A-Z])", "torch.nn."),
    ("torch.optim.", r"(?!lr_scheduler)[a-z_]+\.(?=[A-Z])", "torch.optim."),
    (
        "torch.utils.data.",
        r"(?:dataset|dataloader|sampler|distributed)\.(?=[A-Z])",
        "torch.utils.data.",
    ),
    ("torch.functional.", "", "torch."),
    ("torch.nn.parameter.", "", "torch.nn."),
    (
        "torch.autograd.",
        r"(?:grad_mode\.)?(?=(?:no_grad|enable_grad|set_grad_enabled|inference_mode)\b)",
        "torch.",
    ),
    ("torch.cuda.amp.", r"(?=GradScaler)", "torch.amp."),
    ("torchvision.datasets.", r"\w+\.(?=[A-Z])", "torchvision.datasets."),
    ("torchvision.transforms.", r"(?:v2|transforms)\.", "torchvision.transforms."),
)


@cache
def canonical(name: str) -> str:
    """The documented name of a thing that has several: `torch.nn.modules.linear.Linear` is `torch.nn.Linear`."""
    for there, following, home in _HOMES:
        if name.startswith(there):
            name = re.sub(f"^{re.escape(there)}{following}", home, name)
    return name


def names_in(signature: str) -> tuple[str, ...]:
    return tuple(part.split("=")[0].strip() for part in signature.split(",") if part.strip())


def defaults_in(signature: str) -> dict[str, Any]:
    """The constants behind `=`; a default that is no constant is left out."""
    found = {}
    for part in signature.split(","):
        name, equals, text = part.partition("=")
        if equals:
            found[name.strip()] = ast.literal_eval(text.strip())
    return found


@cache
def defaults_of(name: str) -> dict[str, Any]:
    """The documented defaults of a class's constructor. Of 650 a program needs a few: they are read when asked for."""
    return defaults_in(_SIGNATURES.get(name, ""))


def function(*names: str) -> Callable[[FunctionHandler], FunctionHandler]:
    """Registers what calling these functions does."""
    return _into(FUNCTIONS, names)


def constructor(signature: str, *names: str) -> None:
    """Registers classes whose constructor has this signature: their instances hold the arguments by name."""
    CLASSES.update(dict.fromkeys(names, names_in(signature)))
    _SIGNATURES.update(dict.fromkeys(names, signature))


def draws(which: str, *names: str) -> None:
    """Registers what draws from a global generator ("torch", "numpy", "random") when it is called or constructed."""
    DRAWS.update(dict.fromkeys(names, which))


def called(signature: str, *names: str) -> Callable[[ObjectHandler], ObjectHandler]:
    """Registers classes, and what calling an instance does: a layer's `forward`."""
    constructor(signature, *names)
    return _into(CALLS, names)


def made(*names: str) -> Callable[[ObjectHandler], ObjectHandler]:
    """Registers what constructing these classes does: parameters, children, events. Its result is ignored."""
    return _into(MADE, names)


def method(kind: str, *names: str) -> Callable[[ObjectHandler], ObjectHandler]:
    return _into(METHODS, [(kind, name) for name in names])


def module_method(*names: str) -> Callable[[ObjectHandler], ObjectHandler]:
    return _into(MODULE_METHODS, names)


def tensor_method(*names: str) -> Callable[[TensorHandler], TensorHandler]:
    return _into(TENSOR_METHODS, names)


def _into(table: dict[K, H], names: Iterable[K]) -> Callable[[H], H]:
    def enter(handler: H) -> H:
        for name in names:
            table[name] = handler
        return handler

    return enter
