"""Dropout and embeddings. Source: https://docs.pytorch.org/docs/stable/nn.html#sparse-layers"""

from __future__ import annotations

from torchmedic.abstract.registry import FUNCTIONS
from torchmedic.abstract.tables.dtypes import is_integral, scalar_type
from torchmedic.abstract.tables.layers import FACTORY, trains, weight_dtype
from torchmedic.abstract.tables.operation import Call, Untold, layer, operation
from torchmedic.abstract.values import Const, Value

# --- Dropout

_DROPOUTS = (
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "AlphaDropout",
    "FeatureAlphaDropout",
)


@layer("p=0.5, inplace=False", "input", *(f"torch.nn.{n}" for n in _DROPOUTS))
def _dropout_layer(call: Call) -> Value:
    assert call.layer is not None
    return dropped(call, call.layer.training, call.set_constant("p"))


def dropped(call: Call, training: bool | None, p: object) -> Value:
    dtype = call.tensor().dtype
    if is_integral(dtype) and training is not False:
        if training and type(p) is float and 0 < p < 1 and call.name.lower().endswith("dropout") and "lpha" not in call.name:  # fmt: skip
            call.refuse(
                "RuntimeError",
                f"result type Float can't be cast to the desired output type {scalar_type(dtype)}",
            )
        raise Untold
    result = call.kept(dtype, is_cast=False)
    result.through = call.tensor().through
    return result


def _dropout_function(name: str) -> None:
    @operation("input, p=0.5, training=True, inplace=False", f"torch.nn.functional.{name}")
    def work(call: Call) -> Value:
        given = call.given.get("training")
        training = call.machine.truth(given) if given is not None else True
        call.drawn("torch")
        p = call.given.get("p", Const(0.5))
        active = [row.module for row in call.machine._active]
        call.machine.emit(
            "dropout",
            call.value("input"),
            training=training,
            is_given=given is not None,
            is_off=not (isinstance(p, Const) and p.value),
            call=call.machine._call_number if active else 0,
            modes=tuple(module.training for module in active),
        )
        return dropped(call, training, p.value if isinstance(p, Const) else None)


for _name in (
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "alpha_dropout",
    "feature_alpha_dropout",
):
    _dropout_function(_name)
FUNCTIONS["torch.dropout"] = FUNCTIONS["torch.nn.functional.dropout"]


# --- Embedding: (*) -> (*, embedding_dim)


def check_indices(call: Call, name: str = "embedding") -> None:
    tensor = call.tensor()
    if tensor.dtype and tensor.dtype not in ("int64", "int32") and tensor.library == "torch":
        given = f"torch.{scalar_type(tensor.dtype)}Tensor"
        if tensor.dtype == "bool":
            given = "CPUBoolType"
        call.refuse(
            "RuntimeError",
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{given} instead (while checking arguments for {name})",
            name,
        )


@layer(
    "num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, "
    "sparse=False, _weight=None, _freeze=False" + FACTORY,
    "input",
    "torch.nn.Embedding",
)
def _embedding(call: Call) -> Value:
    check_indices(call)
    return call.made(
        (*call.shape(), call.set_size("embedding_dim")),
        weight_dtype(call),
        call.tensor(),
        has_parameters=trains(call),
        is_cast=False,
    )


@operation("input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False", "torch.nn.functional.embedding")  # fmt: skip
def _embedding_function(call: Call) -> Value:
    check_indices(call)
    weight = call.tensor("weight")
    if weight.shape is None or len(weight.shape) != 2:
        raise Untold
    return call.made((*call.shape(), weight.shape[1]), weight.dtype, is_cast=False)


@layer(
    "num_embeddings, embedding_dim, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode='mean', sparse=False, "
    "_weight=None, include_last_offset=False, padding_idx=None" + FACTORY,
    "input, offsets=None, per_sample_weights=None",
    "torch.nn.EmbeddingBag",
)
def _embedding_bag(call: Call) -> Value:
    shape = call.shape()
    width = call.set_size("embedding_dim")
    if len(shape) == 2 and not call.has("offsets"):
        check_indices(call, "embedding_bag")
        rows = shape[0]
    elif len(shape) == 1 and call.has("offsets") and not call.set_flag("include_last_offset"):
        offsets = call.shape("offsets")
        if len(offsets) != 1 or call.tensor().dtype not in ("int64", "int32"):
            raise Untold
        rows = offsets[0]
    elif len(shape) == 1 and not call.has("offsets"):
        call.refuse("ValueError", "offsets has to be a 1D Tensor but got None")
    else:
        raise Untold
    return call.made((rows, width), weight_dtype(call), has_parameters=trains(call), is_cast=False)
