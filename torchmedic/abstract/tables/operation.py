"""Registers what operations and layers do, by the signatures that PyTorch documents."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from torchmedic.abstract.devices import common_device
from torchmedic.abstract.registry import (
    ARRAY_METHODS,
    CALLS,
    FUNCTIONS,
    TENSOR_METHODS,
    constructor,
    defaults_in,
    names_in,
)
from torchmedic.abstract.tables.calling import (
    ALIASES,
    Call,
    Refused,
    Shape,
    Untold,
    constant_of,
    plain_number,
    sizes_of,
    text,
    unknown_tensor,
    viewed,
    with_strides_of,
)
from torchmedic.abstract.tables.devices import check_layer
from torchmedic.abstract.tables.dtypes import dtype_named
from torchmedic.abstract.values import Arguments, Data, Object, Tensor, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

Handler = Callable[[Call], Value]


class Signature:
    """Names and defaults as PyTorch documents them: "input, dim=None, keepdim=False"; `*size` takes the rest."""

    def __init__(self, signature: str, name: str, dtype: str, is_method: bool = False) -> None:
        self._text = signature
        self.name = name
        self.dtype = dtype
        self.is_method = is_method

    # Of a thousand signatures a program needs a few: they are read when they are asked for.

    @cached_property
    def names(self) -> tuple[str, ...]:
        return names_in(self._text)

    @cached_property
    def defaults(self) -> dict[str, Any]:
        return defaults_in(self._text)

    @cached_property
    def star(self) -> str:
        return next((n[1:] for n in self.names if n.startswith("*")), "")


def answered(call: Call, handler: Handler, is_many: bool = False) -> Value:
    """What the handler says; where it can't, an unknown tensor, or an unknown value if it may be several."""
    try:
        call.check()
        if call.layer is not None:
            if call.layer.state.get("is_changed"):
                raise Untold
            check_layer(call)
        return handler(call)
    except (Untold, Refused) as why:
        is_many = is_many and not _gives_no_indices(call)
        if isinstance(why, Untold) and not is_many and (told := _without_shape(call)) is not None:
            return told
        result: Value = call.machine.unknown(*call.inputs()) if is_many else call.unknown()
        if (
            call.layer is not None
            and isinstance(result, Data)
            and call.machine.modes["grad"] is not False
        ):
            result.graph = None  # its parameters
            if not call.layer.state.get("is_function"):
                result.reach |= call.machine.bit_of(call.layer)
            if isinstance(result, Tensor):
                result.is_leaf = None
                result.device = common_device([v for v in call.inputs() if isinstance(v, Tensor)])
        return result


def _gives_no_indices(call: Call) -> bool:
    """True for a pooling that gives one tensor: it could give the indices of the largest values too."""
    try:
        return call.layer is not None and not call.set_flag("return_indices")
    except Untold:
        return False


def _without_shape(call: Call) -> Tensor | None:
    """What is certain of a result whose shape can't be told: the dtype, and whether it carries a graph."""
    held = call.given.get("input")
    if call.layer is not None:
        weight = call.layer.state.get("parameters", {}).get("weight")
        is_untold = isinstance(held, Unknown) or (
            isinstance(held, Tensor) and held.library == "torch" and held.shape is None
        )
        if held is None or weight is None or not is_untold or call.layer.type_name not in _STRICT:
            return None
        frozen = call.layer.frozen
        trains = None if frozen is None else not frozen
        return call.made(None, weight.dtype, held, has_parameters=trains, is_contiguous=None)
    if not isinstance(held, Tensor) or not held.library or held.shape is not None:
        return None
    if any(dtype_named(value) for value in call.inputs()):
        return None  # `x.view(torch.int32)`
    if held.dtype and call.signature.name.rpartition(".")[2] in _REARRANGING:
        return viewed(call.machine, held, None)
    return None


# Their results have the dtype of the weight, or they raise.
_STRICT = frozenset(
    names_in("Linear, Embedding, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d")
)
_REARRANGING = frozenset(
    names_in(
        "unsqueeze, squeeze, view, reshape, permute, transpose, flatten, unflatten, contiguous, expand, repeat, tile, clone, t,"
        "movedim, swapaxes, swapdims, moveaxis, narrow, flip, roll, select, index_select, unfold, expand_as, view_as,"
        "reshape_as, repeat_interleave, rot90, fliplr, flipud, ravel, triu, tril, diagonal, diag, cpu, copy"
    )
)


def operation(
    signature: str, *names: str, dtype: str = "", is_many: bool = False
) -> Callable[[Handler], Handler]:
    """Registers functions and methods: "torch.sum", "Tensor.sum", "numpy.sum", "ndarray.sum".

    `dtype`: what the result has in any case. `is_many`: it may be several tensors.
    """

    def enter(handler: Handler) -> Handler:
        for name in names:
            home, _, short = name.rpartition(".")
            told = Signature(signature, name, dtype, home in ("Tensor", "ndarray"))
            if home in ("Tensor", "ndarray"):
                table = TENSOR_METHODS if home == "Tensor" else ARRAY_METHODS
                table[short] = _method(told, handler, is_many)
            else:
                FUNCTIONS[name] = _function(told, handler, is_many)
        return handler

    return enter


def _method(signature: Signature, handler: Handler, is_many: bool) -> Any:
    def work(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
        return answered(Call(machine, arguments, signature, tensor), handler, is_many)

    return work


def _function(signature: Signature, handler: Handler, is_many: bool) -> Any:
    def work(machine: Machine, arguments: Arguments) -> Value:
        return answered(Call(machine, arguments, signature), handler, is_many)

    return work


def layer(
    settings: str, inputs: str, *names: str, is_many: bool = False
) -> Callable[[Handler], Handler]:
    """Registers layers: the constructor's signature, and that of `forward`."""

    def enter(handler: Handler) -> Handler:
        for name in names:
            constructor(settings, name)
            told = Signature(inputs, name, "")

            def work(
                machine: Machine, thing: Object, arguments: Arguments, told: Signature = told
            ) -> Value:
                call = Call(machine, arguments, told, layer=thing)
                return answered(call, handler, is_many)

            CALLS[name] = work
        return handler

    return enter


def functional(inputs: str, layers: dict[str, str], settings: str = "") -> None:
    """Functions that take an input and then a layer's arguments: `F.max_pool2d(x, 2)`.

    `settings`: their order, if it isn't the layer's.
    """
    from torchmedic.abstract.registry import CLASSES, names_in

    count = len(Signature(inputs, "", "").names)
    order = names_in(settings)
    for name, kind in layers.items():

        def work(machine: Machine, arguments: Arguments, kind: str = kind) -> Value:
            held = Signature(inputs, "", "").names
            keywords = {ALIASES.get(k, k): v for k, v in arguments.keywords.items()}
            rest = {k: v for k, v in keywords.items() if k not in held}
            given = Arguments(arguments.node, arguments.args[count:], rest, arguments.is_complete)
            inner = {k: v for k, v in keywords.items() if k in held}
            thing = Object(
                type=f"torch.nn.{kind}", settings=given.bind(order or CLASSES[f"torch.nn.{kind}"])
            )
            thing.state["is_function"] = True
            inputs_given = Arguments(
                arguments.node, arguments.args[:count], inner, arguments.is_complete
            )
            return CALLS[f"torch.nn.{kind}"](machine, thing, inputs_given)

        FUNCTIONS[f"torch.nn.functional.{name}"] = work


__all__ = [
    "Call",
    "Refused",
    "Shape",
    "Untold",
    "constant_of",
    "functional",
    "layer",
    "operation",
    "plain_number",
    "sizes_of",
    "text",
    "unknown_tensor",
    "viewed",
    "with_strides_of",
]
