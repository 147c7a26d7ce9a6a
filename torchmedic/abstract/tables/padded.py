"""Sequences of unequal length: padded to one tensor, packed for a recurrent layer, and padded again.

Source: https://docs.pytorch.org/docs/stable/nn.html#utility-functions
"""

from __future__ import annotations

from torchmedic.abstract.registry import constructor
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.operation import Call, Untold, operation
from torchmedic.abstract.values import Object, Sequence, Tensor, Value

PACKED = "torch.nn.utils.rnn.PackedSequence"
constructor("", PACKED)


@operation(
    "sequences, batch_first=False, padding_value=0.0, padding_side='right'",
    "torch.nn.utils.rnn.pad_sequence",
)
def _pad_sequence(call: Call) -> Value:
    """(batch, longest, …) or (longest, batch, …)."""
    given = call.value("sequences")
    if not isinstance(given, Sequence):
        raise Untold
    parts = [*given.items, *([given.rest] if given.rest is not None else [])]
    tensors = [p for p in parts if isinstance(p, Tensor) and p.library == "torch"]
    if not parts or len(tensors) < len(parts):
        raise Untold
    dtypes = {t.dtype for t in tensors}
    dtype = dtypes.pop() if len(dtypes) == 1 else ""
    shapes = [t.shape for t in tensors]
    trails = {s[1:] for s in shapes if s}
    if None in shapes or () in shapes or len(trails) != 1:
        return call.made(None, dtype, *tensors, is_contiguous=None)
    lengths = {s[0] for s in shapes if s}
    is_one = len(lengths) == 1 and next(iter(lengths)).constant is not None
    longest = lengths.pop() if is_one else Size.fresh("longest")
    batch = given.size if given.size is not None else Size.fresh("batch")
    ends = (batch, longest) if call.flag("batch_first") else (longest, batch)
    return call.made((*ends, *trails.pop()), dtype, *tensors, is_cast=False)


@operation(
    "input, lengths, batch_first=False, enforce_sorted=True",
    "torch.nn.utils.rnn.pack_padded_sequence",
    is_many=True,
)
def _pack(call: Call) -> Value:
    return packed_from(call.tensor(), call.flag("batch_first"))


@operation(
    "sequence, batch_first=False, padding_value=0.0, total_length=None",
    "torch.nn.utils.rnn.pad_packed_sequence",
    is_many=True,
)
def _pad_packed(call: Call) -> Value:
    held = padded_of(call.value("sequence"))
    if held is None or call.has("total_length"):
        raise Untold
    padded, was_first = held
    shape, is_first = padded.shape, call.flag("batch_first")
    batch = Size.fresh("batch")
    if shape is not None and len(shape) >= 2:
        batch, steps = (shape[0], shape[1]) if was_first else (shape[1], shape[0])
        shape = (*((batch, steps) if is_first else (steps, batch)), *shape[2:])
    else:
        shape = None
    result = call.made(shape, padded.dtype, padded, is_contiguous=None)
    return Sequence("tuple", (result, Tensor(False, shape=(batch,), dtype="int64")))


def packed_from(padded: Value, is_first: bool) -> Object:
    """Holds the padded tensor; its longest sequence may be shorter than that was."""
    made = Object(type=PACKED)
    if isinstance(padded, Tensor) and padded.shape is not None and len(padded.shape) >= 2:
        shape = list(padded.shape)
        shape[1 if is_first else 0] = Size.fresh("longest")
        padded = Tensor(
            padded.graph,
            padded.calls,
            padded.sums,
            shape=tuple(shape),
            dtype=padded.dtype,
            made=padded.made,
            is_contiguous=None,
            is_leaf=padded.is_leaf,
        )
    made.state["padded"] = (padded, is_first)
    return made


def padded_of(value: Value) -> tuple[Tensor, bool] | None:
    """(the padded tensor, is the batch its first dimension) of a packed sequence."""
    if not isinstance(value, Object) or value.type != PACKED:
        return None
    padded, is_first = value.state["padded"]
    return (padded, is_first) if isinstance(padded, Tensor) else None
