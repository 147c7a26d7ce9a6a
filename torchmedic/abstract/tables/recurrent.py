"""Recurrent layers and cells.

Source: https://docs.pytorch.org/docs/stable/nn.html#recurrent-layers
"""

from __future__ import annotations

from torchmedic.abstract.registry import BASES, made
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.layers import FACTORY, dtypes_of, of_sizes, trains, weight_dtype
from torchmedic.abstract.tables.operation import Call, Shape, Untold, layer, plain_number, text
from torchmedic.abstract.tables.padded import packed_from, padded_of
from torchmedic.abstract.values import Const, Object, Sequence, Tensor, Value

_TAIL = (
    "num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False, proj_size=0"
    + FACTORY
)
_RNN = "input_size, hidden_size, num_layers=1, nonlinearity='tanh', bias=True, batch_first=False, dropout=0.0, bidirectional=False" + FACTORY  # fmt: skip
for _kind in ("RNN", "LSTM", "GRU"):
    BASES[_kind] = ("RNNBase",)
    made(f"torch.nn.{_kind}", f"torch.nn.{_kind}Cell")(of_sizes("hidden_size", "input_size"))


def _recurrent(call: Call) -> Value:
    assert call.layer is not None
    kind = call.layer.type_name
    value = call.value("input")
    packed = padded_of(value)
    if packed is not None:
        return _of_packed(call, value, *packed)
    if not isinstance(value, Tensor):
        raise Untold
    shape = call.shape()
    _check_input(call, kind, shape)
    hidden, count = call.set_size("hidden_size"), call.set_size("num_layers")
    is_both, is_first = call.set_flag("bidirectional"), call.set_flag("batch_first")
    projected = hidden
    if kind == "LSTM" and call.set_size("proj_size").constant != 0:
        projected = call.set_size("proj_size")
    rows = count * (2 if is_both else 1)
    batch: Shape = ()
    if len(shape) == 3:
        batch = (shape[0] if is_first else shape[1],)
    _check_state(call, kind, shape, (rows, *batch, projected), (rows, *batch, hidden))
    steps = shape[:-1]
    out = projected * (2 if is_both else 1)
    train = trains(call)
    dtype = weight_dtype(call)
    inputs = [v for v in (call.given.get("input"), call.given.get("hx")) if v is not None]

    def made_of(sizes: Shape) -> Tensor:
        return call.made(sizes, dtype, *inputs, is_contiguous=None, has_parameters=train)

    output = made_of((*steps, out))
    last: Value = made_of((rows, *batch, projected))
    if kind == "LSTM":
        last = Sequence("tuple", (last, made_of((rows, *batch, hidden))))
    return Sequence("tuple", (output, last))


def _of_packed(call: Call, value: Value, padded: Tensor, is_first: bool) -> Value:
    """The same of the sequences that were packed; the output is packed as they were."""
    if call.has("hx"):
        raise Untold
    call.given["input"] = padded
    layer = call.layer
    assert layer is not None and isinstance(value, Object)
    alike = Object(type=layer.type, settings={**layer.settings, "batch_first": Const(is_first)})
    alike.state, alike.frozen = layer.state, layer.frozen
    call.layer = alike
    try:
        result = _recurrent(call)
    finally:
        call.layer = layer
    assert isinstance(result, Sequence)
    return Sequence("tuple", (packed_from(result.items[0], is_first), *result.items[1:]))


def _check_input(call: Call, kind: str, shape: Shape) -> None:
    if len(shape) not in (2, 3):
        end = " tensor instead" if kind == "RNN" else " instead"
        call.refuse("ValueError", f"{kind}: Expected input to be 2D or 3D, got {len(shape)}D{end}")
    given, own = dtypes_of(call)
    if given:
        call.refuse(
            "ValueError",
            f"RNN input dtype (torch.{given}) does not match weight dtype (torch.{own}). Convert input: input.to(torch.{own}), "
            f"or convert model: model.to(torch.{given})",
        )
    needed = call.set_size("input_size")
    if shape[-1].is_different(needed):
        call.refuse(
            "RuntimeError",
            f"input.size(-1) must be equal to input_size. Expected {plain_number(needed)}, got {plain_number(shape[-1])}",
        )


def _check_state(call: Call, kind: str, shape: Shape, first: Shape, second: Shape) -> None:
    """The hidden state that was given."""
    if not call.has("hx"):
        return
    given = call.given["hx"]
    if kind == "LSTM":
        if not isinstance(given, Sequence) or not given.is_exact or len(given.items) != 2:
            raise Untold
        parts = [p for p in given.items if isinstance(p, Tensor) and p.shape is not None]
        if len(parts) != 2:
            raise Untold
        ranks = [len(p.shape or ()) for p in parts]
        if any(r != len(shape) for r in ranks):
            word = "unbatched" if len(shape) == 2 else "batched"
            call.refuse(
                "RuntimeError",
                f"For {word} {len(shape)}-D input, hx and cx should also be {len(shape)}-D but got "
                f"({ranks[0]}-D, {ranks[1]}-D) tensors",
            )
        for index, (part, wanted) in enumerate(zip(parts, (first, second), strict=True)):
            _check_hidden(call, part, wanted, f"hidden[{index}]", shape)
        return
    if not isinstance(given, Tensor) or given.shape is None:
        raise Untold
    if len(given.shape) != len(shape):
        word = "unbatched" if len(shape) == 2 else "batched"
        call.refuse(
            "RuntimeError",
            f"For {word} {len(shape)}-D input, hx should also be {len(shape)}-D but got {len(given.shape)}-D tensor",
        )
    _check_hidden(call, given, first, "hidden", shape)


def _check_hidden(call: Call, part: Tensor, wanted: Shape, name: str, shape: Shape) -> None:
    held = part.shape or ()
    if any(a.is_different(b) for a, b in zip(held, wanted, strict=True)):
        if len(shape) == 2:  # the message shows it with a batch dimension
            held = (held[0], Size.of(1), held[1])
            wanted = (wanted[0], Size.of(1), wanted[1])
        call.refuse(
            "RuntimeError",
            f"Expected {name} size ({', '.join(plain_number(w) for w in wanted)}), got {text(held)}",
        )
    if part.dtype and weight_dtype(call) and part.dtype != weight_dtype(call):
        raise Untold


layer("input_size, hidden_size, " + _TAIL, "input, hx=None", "torch.nn.LSTM", is_many=True)(
    _recurrent
)
layer("input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False" + FACTORY, "input, hx=None", "torch.nn.GRU", is_many=True)(_recurrent)  # fmt: skip
layer(_RNN, "input, hx=None", "torch.nn.RNN", is_many=True)(_recurrent)


# --- cells


def _cell(call: Call) -> Value:
    assert call.layer is not None
    kind = call.layer.type_name
    shape = call.shape()
    if len(shape) not in (1, 2):
        call.refuse(
            "ValueError", f"{kind}: Expected input to be 1D or 2D, got {len(shape)}D instead"
        )
    needed, hidden = call.set_size("input_size"), call.set_size("hidden_size")
    if dtypes_of(call) != ("", ""):
        raise Untold
    if shape[-1].is_different(needed):
        call.refuse(
            "RuntimeError",
            f"input has inconsistent input_size: got {plain_number(shape[-1])} expected {plain_number(needed)}",
        )
    _check_cell_state(call, kind, shape, hidden)
    result = (*shape[:-1], hidden)
    inputs = [v for v in (call.given.get("input"), call.given.get("hx")) if v is not None]
    parts = [
        call.made(result, weight_dtype(call), *inputs, has_parameters=trains(call))
        for _ in range(2)
    ]
    return Sequence("tuple", tuple(parts)) if kind == "LSTMCell" else parts[0]


def _check_cell_state(call: Call, kind: str, shape: Shape, hidden: Size) -> None:
    if not call.has("hx"):
        return
    given = call.given["hx"]
    parts = given.items if kind == "LSTMCell" and isinstance(given, Sequence) else (given,)
    for index, part in enumerate(parts):
        if not isinstance(part, Tensor) or part.shape is None or len(part.shape) != len(shape):
            raise Untold
        if len(shape) == 2 and part.shape[0].is_different(shape[0]):
            call.refuse(
                "RuntimeError",
                f"Input batch size {plain_number(shape[0])} doesn't match hidden{index} batch size "
                f"{plain_number(part.shape[0])}",
            )
        if part.shape[-1].is_different(hidden):
            if len(shape) == 1:
                raise Untold
            call.refuse(
                "RuntimeError",
                f"hidden{index} has inconsistent hidden_size: got {plain_number(part.shape[-1])}, expected "
                f"{plain_number(hidden)}",
            )


layer(
    "input_size, hidden_size, bias=True" + FACTORY,
    "input, hx=None",
    "torch.nn.LSTMCell",
    is_many=True,
)(_cell)
layer("input_size, hidden_size, bias=True" + FACTORY, "input, hx=None", "torch.nn.GRUCell")(_cell)
layer("input_size, hidden_size, bias=True, nonlinearity='tanh'" + FACTORY, "input, hx=None", "torch.nn.RNNCell")(_cell)  # fmt: skip
