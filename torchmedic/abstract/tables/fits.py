"""Layers whose input fits: their call is an event, so that what is right can be shown and not only what is wrong.

An event has a `fact` for each thing that could be checked: "features", "dimensions", "dtype", "flat"; True = it
fits, None = it can't be told from the source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchmedic.abstract.operators import is_soft, size_of
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.layers import dtype_of, first, setting
from torchmedic.abstract.values import Arguments, Const, Object, Tensor

if TYPE_CHECKING:
    from torchmedic.abstract.notes import Notes

RECURRENT = ("RNN", "LSTM", "GRU")
ATTENDING = ("MultiheadAttention", "TransformerEncoderLayer", "TransformerEncoder")


def note_fit(machine: Notes, layer: Object, arguments: Arguments) -> None:
    """Called after a library's layer ran without failing."""
    kind = layer.type_name
    value = first(arguments)
    shape = value.shape if isinstance(value, Tensor) else None
    facts: dict[str, Any] = {}
    if kind == "Linear":
        needed = size_of(setting(layer, "in_features"))
        told = shape and needed is not None and shape[-1].constant is not None
        facts["features"] = True if told and shape and shape[-1] == needed else None
        if any(name.startswith("Conv") for name in machine.called_types):
            facts["flat"] = True if shape is not None and len(shape) == 2 else None
    elif kind.startswith("Conv") and kind[-2:] in ("1d", "2d", "3d"):
        channels, spatial = size_of(setting(layer, "in_channels")), int(kind[-2])
        told = shape is not None and len(shape) == spatial + 2 and channels is not None
        facts["dimensions"] = True if told and shape and shape[1] == channels else None
    elif kind in RECURRENT:
        width = size_of(setting(layer, "input_size"))
        told = shape is not None and len(shape) == 3 and width is not None
        facts["dimensions"] = True if told and shape and shape[-1] == width else None
    elif kind != "Embedding" and kind not in ATTENDING:
        return
    if shape is not None and len(shape) == 3 and (kind in RECURRENT or kind in ATTENDING):
        facts |= _layout(machine, layer, shape)
    facts["dtype"] = _dtype_fits(layer, value) if isinstance(value, Tensor) else None
    machine.emit("fit", layer, machine.name_of(machine.frame.node), type=kind, **facts)


def _layout(machine: Notes, layer: Object, shape: tuple[Size, ...]) -> dict[str, Any]:
    """Whether the samples of the DataLoader's batch lie along the axis of the steps, and where the layer was made."""
    inner = layer.settings.get("encoder_layer", layer)
    if not isinstance(inner, Object) or inner.escaped or not inner.made:
        return {}
    batch, first = machine.modes["batch"], setting(inner, "batch_first")
    if batch is None or not isinstance(first, Const) or first.value is not False or is_soft(first):
        return {}
    steps = shape[1]
    is_told = steps != batch if batch.constant is None else steps.is_different(batch)
    is_swapped = shape[0] == batch and is_told and steps.constant not in (None, 1)
    return (
        {"swapped": (shape[0].constant, steps.constant), "made": inner.made[0].at}
        if is_swapped
        else {}
    )


def _dtype_fits(layer: Object, value: Tensor) -> bool | None:
    if not value.dtype or value.library != "torch":
        return None
    if layer.type_name == "Embedding":
        return True if value.dtype in ("int64", "int32") else None
    return True if value.dtype == dtype_of(layer, "") else None
