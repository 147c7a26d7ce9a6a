"""`torch.nn.functional`. Source: https://docs.pytorch.org/docs/stable/nn.functional.html"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.registry import (
    CALLS,
    CLASSES,
    DEFAULTS,
    FUNCTIONS,
    TENSOR_METHODS,
    function,
)
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.activations import activated
from torchmedic.abstract.tables.events import constant, drawn
from torchmedic.abstract.tables.layers import _CTYPES, linear
from torchmedic.abstract.tables.tensors import same
from torchmedic.abstract.values import Arguments, Const, Object, Sequence, Tensor, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

KEEPING = ("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish", "hardsigmoid", "hardtanh",
           "tanh", "softplus", "softsign", "threshold", "logsigmoid", "normalize", "tanhshrink", "relu_")  # fmt: skip


def _keeping(name: str) -> None:
    @function(f"torch.nn.functional.{name}")
    def work(machine: Machine, arguments: Arguments) -> Value:
        value = arguments.get(0, "input")
        if isinstance(value, Tensor):
            return machine.derived(value, shape=value.shape, dtype=value.dtype)
        return machine.derived(*arguments.all())


for _name in KEEPING:
    _keeping(_name)


def _activation(name: str) -> None:
    def work(machine: Machine, arguments: Arguments) -> Value:
        return activated(machine, arguments.get(0, "input"), name, arguments.get(1, "dim"))

    function(f"torch.nn.functional.{name}", f"torch.{name}")(work)

    def on_tensor(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
        return activated(machine, tensor, name, arguments.get(0, "dim"))

    TENSOR_METHODS[name] = on_tensor


for _name in ("softmax", "log_softmax", "sigmoid"):
    _activation(_name)


def _is_zero(p: Value | None) -> bool:
    """True if the probability may be 0."""
    return p is not None and not constant(p)


def _dropout(name: str) -> None:
    @function(f"torch.nn.functional.{name}")
    def work(machine: Machine, arguments: Arguments) -> Value:
        value = arguments.get(0, "input") or Unknown()
        training = arguments.get(2, "training")
        drawn(machine, "torch")
        active = [row.module for row in machine._active]
        machine.emit(
            "dropout",
            value,
            training=machine.truth(training) if training is not None else True,
            is_given=training is not None,
            is_off=_is_zero(arguments.get(1, "p")),
            call=machine._call_number if active else 0,
            modes=tuple(module.training for module in active),
        )
        if isinstance(value, Tensor):
            return machine.derived(value, shape=value.shape, dtype=value.dtype)
        return machine.derived(value)


for _name in ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"):
    _dropout(_name)


def _as_layer(name: str, layer: str) -> None:
    """A function with the arguments of a layer behind its input: `F.max_pool2d(x, 2)`."""

    @function(f"torch.nn.functional.{name}", f"torch.{name}")
    def work(machine: Machine, arguments: Arguments) -> Value:
        kind = f"torch.nn.{layer}"
        value = arguments.get(0, "input") or Unknown()
        given = Arguments(
            arguments.node,
            arguments.args[1:],
            {k: v for k, v in arguments.keywords.items() if k != "input"},
        )
        thing = Object(type=kind, settings=given.bind(CLASSES[kind]))
        handler = CALLS[kind]
        return handler(machine, thing, Arguments(arguments.node, [value], {}))


for _n in (1, 2, 3):
    for _kind in ("Max", "Avg"):
        _as_layer(f"{_kind.lower()}_pool{_n}d", f"{_kind}Pool{_n}d")
        _as_layer(f"adaptive_{_kind.lower()}_pool{_n}d", f"Adaptive{_kind}Pool{_n}d")


@function("torch.nn.functional.one_hot")
def _one_hot(machine: Machine, arguments: Arguments) -> Value:
    value, classes = arguments.get(0, "tensor"), arguments.get(1, "num_classes")
    if not isinstance(value, Tensor):
        return machine.derived(*arguments.all(), dtype="int64")
    if value.dtype and value.dtype != "int64" and value.library == "torch":
        machine.fail(
            "RuntimeError", "one_hot is only applicable to index tensor of type LongTensor."
        )
    count = constant(classes)
    last = Size.of(count) if type(count) is int and count > 0 else Size.fresh("n")
    shape = (*value.shape, last) if value.shape is not None else None
    return machine.derived(value, shape=shape, dtype="int64")


@function("torch.nn.functional.linear")
def _linear(machine: Machine, arguments: Arguments) -> Value:
    value, weight = arguments.get(0, "input"), arguments.get(1, "weight")
    if (
        isinstance(value, Tensor)
        and isinstance(weight, Tensor)
        and value.shape
        and weight.shape
        and len(weight.shape) == 2
    ):
        return machine.derived(
            value, weight, shape=(*value.shape[:-1], weight.shape[0]), dtype=value.dtype
        )
    return machine.derived(*arguments.all())


@function("torch.cat", "torch.concat", "numpy.concatenate")
def _cat(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0, "tensors")
    dim = constant(arguments.get(1, "dim", "axis"))
    dim = 0 if dim is None else dim
    if not isinstance(value, Sequence) or not value.is_exact or type(dim) is not int:
        return machine.derived(*arguments.all())
    parts = [v for v in value.items if isinstance(v, Tensor)]
    if len(parts) != len(value.items) or not parts:
        return machine.derived(*value.items)
    first = parts[0]
    if (
        any(p.shape is None or len(p.shape) != len(first.shape or ()) for p in parts)
        or not first.shape
    ):
        return machine.derived(*parts, dtype=first.dtype, library=first.library)
    if not -len(first.shape) <= dim < len(first.shape):
        return machine.derived(*parts, dtype=first.dtype, library=first.library)
    at = dim % len(first.shape)
    total = Size.of(0)
    for part in parts:
        assert part.shape is not None
        total = total + part.shape[at]
    shape = tuple(total if i == at else s for i, s in enumerate(first.shape))
    return machine.derived(*parts, shape=shape, dtype=first.dtype, library=first.library)


@function("torch.stack", "numpy.stack")
def _stack(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0, "tensors")
    dim = constant(arguments.get(1, "dim", "axis"))
    dim = 0 if dim is None else dim
    if not isinstance(value, Sequence) or type(dim) is not int:
        return machine.derived(*arguments.all())
    parts = [*value.items, *([value.rest] if value.rest else [])]
    first = parts[0] if parts else None
    if not isinstance(first, Tensor) or first.shape is None:
        return machine.derived(*parts)
    shape = list(first.shape)
    size = value.size if value.size is not None else Size.fresh("n")
    shape.insert(dim if dim >= 0 else len(shape) + 1 + dim, size)
    return machine.derived(*parts, shape=tuple(shape), dtype=first.dtype, library=first.library)


assert FUNCTIONS and DEFAULTS is not None
__all__ = ["_CTYPES", "Const", "linear", "same"]
