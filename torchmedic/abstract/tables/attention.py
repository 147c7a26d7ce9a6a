"""Attention and transformers.

Source: https://docs.pytorch.org/docs/stable/nn.html#transformer-layers
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.registry import made
from torchmedic.abstract.tables.layers import FACTORY, dtypes_of, parameter, setting, trains
from torchmedic.abstract.tables.operation import (
    Call,
    Shape,
    Untold,
    layer,
    operation,
    plain_number,
    text,
)
from torchmedic.abstract.values import Arguments, Const, Object, Sequence, Tensor, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

_ATTENTION = "embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False, kdim=None, vdim=None, batch_first=False"  # fmt: skip
_LAYER = "d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=None, layer_norm_eps=1e-05, batch_first=False, norm_first=False, bias=True"  # fmt: skip


@made("torch.nn.MultiheadAttention")
def _attention_weight(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    width, heads = size_of(setting(layer, "embed_dim")), size_of(setting(layer, "num_heads"))
    parameter(machine, layer, width, width)
    if (
        width is not None
        and heads is not None
        and width.constant
        and heads.constant
        and width.constant % heads.constant
    ):
        machine.fail("AssertionError", "embed_dim must be divisible by num_heads")
    return layer


@made(
    "torch.nn.TransformerEncoderLayer", "torch.nn.TransformerDecoderLayer", "torch.nn.Transformer"
)
def _transformer_weight(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    width, heads = size_of(setting(layer, "d_model")), size_of(setting(layer, "nhead"))
    parameter(machine, layer, width, width)
    if (
        width is not None
        and heads is not None
        and width.constant
        and heads.constant
        and width.constant % heads.constant
    ):
        machine.fail("AssertionError", "embed_dim must be divisible by num_heads")
    return layer


@made("torch.nn.TransformerEncoder", "torch.nn.TransformerDecoder")
def _stack_weight(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    parameter(machine, layer, None)
    return layer


@layer(
    _ATTENTION + FACTORY,
    "query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True, is_causal=False",
    "torch.nn.MultiheadAttention",
    is_many=True,
)
def _attention(call: Call) -> Value:
    query, key, value = (call.shape(n) for n in ("query", "key", "value"))
    width = call.set_size("embed_dim")
    _check_ranks(call, query, key, value)
    is_first = call.set_flag("batch_first") and len(query) == 3
    for name in ("kdim", "vdim"):
        other = call.setting(name)
        if not (isinstance(other, Const) and other.value is None):
            raise Untold
    if query[-1].is_different(width):
        if call.layer is not None and call.layer.training and not is_first:
            call.refuse(
                "AssertionError",
                f"was expecting embedding dimension of {plain_number(width)}, but got {plain_number(query[-1])}",
            )
        raise Untold
    if any(a.is_different(b) for a, b in zip(key, value, strict=True)) or key[-1].is_different(
        width
    ):
        raise Untold
    at = 0 if is_first else 1
    batch: Shape = () if len(query) == 2 else (query[at],)
    if batch and batch[0].is_different(key[at]):
        raise Untold
    if call.has("attn_mask") or call.has("key_padding_mask"):
        _check_masks(call, query, key, is_first)
    if any(dtypes_of(call, n) != ("", "") for n in ("query", "key", "value")):
        raise Untold
    rows = query[1 if is_first else 0]
    columns = key[1 if is_first else 0]
    inputs = [call.tensor(n) for n in ("query", "key", "value")]
    dtype = inputs[0].dtype
    output = call.made(query, dtype, *inputs, is_contiguous=None, has_parameters=trains(call))
    if not call.flag("need_weights"):
        return Sequence("tuple", (output, Const(None)))
    heads = () if call.flag("average_attn_weights") else (call.set_size("num_heads"),)
    weights = call.made(
        (*batch, *heads, rows, columns),
        dtype,
        *inputs,
        is_contiguous=None,
        has_parameters=trains(call),
    )
    return Sequence("tuple", (output, weights))


def _check_ranks(call: Call, query: Shape, key: Shape, value: Shape) -> None:
    if len(query) not in (2, 3):
        call.refuse(
            "AssertionError",
            f"query should be unbatched 2D or batched 3D tensor but received {len(query)}-D query tensor",
        )
    if len(key) != len(query) or len(value) != len(query):
        if len(query) == 2:
            raise Untold
        call.refuse(
            "AssertionError",
            "For batched (3-D) `query`, expected `key` and `value` to be 3-D but found "
            f"{len(key)}-D and {len(value)}-D tensors respectively",
        )


def _check_masks(call: Call, query: Shape, key: Shape, is_first: bool) -> None:
    if len(query) == 2:
        raise Untold
    rows, columns = (s[1 if is_first else 0] for s in (query, key))
    if call.has("attn_mask"):
        mask = call.shape("attn_mask")
        if len(mask) == 2 and (mask[0].is_different(rows) or mask[1].is_different(columns)):
            call.refuse(
                "RuntimeError",
                f"The shape of the 2D attn_mask is torch.Size({text(mask)}), but should be ({plain_number(rows)}, "
                f"{plain_number(columns)}).",
            )
        if len(mask) != 2:
            raise Untold
    if call.has("key_padding_mask"):
        batch, mask = query[0 if is_first else 1], call.shape("key_padding_mask")
        if len(mask) != 2 or mask[1].is_different(columns):
            raise Untold
        if mask[0].is_different(batch):
            call.refuse(
                "AssertionError",
                f"Expected key_padded_mask.shape[0] to be {plain_number(batch)}, but got {plain_number(mask[0])}",
            )


@layer(_LAYER + FACTORY, "src, src_mask=None, src_key_padding_mask=None, is_causal=False", "torch.nn.TransformerEncoderLayer")  # fmt: skip
@layer(_LAYER + FACTORY, "tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None, tgt_is_causal=False, memory_is_causal=False", "torch.nn.TransformerDecoderLayer")  # fmt: skip
def _transformer_layer(call: Call) -> Value:
    assert call.layer is not None
    name = call.signature.names[0]
    shape, width = call.shape(name), call.set_size("d_model")
    is_plain = call.layer.training and not call.set_flag("norm_first")
    if len(shape) not in (2, 3):
        if is_plain:
            call.refuse(
                "AssertionError",
                f"query should be unbatched 2D or batched 3D tensor but received {len(shape)}-D query tensor",
            )
        raise Untold
    if shape[-1].is_different(width):
        if is_plain and not call.set_flag("batch_first"):
            call.refuse(
                "AssertionError",
                f"was expecting embedding dimension of {plain_number(width)}, but got {plain_number(shape[-1])}",
            )
        raise Untold
    if dtypes_of(call, name) != ("", ""):
        raise Untold
    inputs = [
        v for v in call.given.values() if isinstance(v, Tensor) and v.dtype.startswith("float")
    ]
    return call.made(
        shape, call.tensor(name).dtype, *inputs, is_contiguous=None, has_parameters=trains(call)
    )


@layer("encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True", "src, mask=None, src_key_padding_mask=None, is_causal=None", "torch.nn.TransformerEncoder")  # fmt: skip
@layer("decoder_layer, num_layers, norm=None", "tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None, tgt_is_causal=None, memory_is_causal=False", "torch.nn.TransformerDecoder")  # fmt: skip
def _transformer_stack(call: Call) -> Value:
    assert call.layer is not None
    kind = "encoder_layer" if call.name.endswith("Encoder") else "decoder_layer"
    one = call.setting(kind)
    if not isinstance(one, Object) or not one.type.startswith("torch.nn.Transformer"):
        raise Untold
    if call.has("src_key_padding_mask"):
        raise Untold  # in evaluation the nested tensor may cut the padding off
    name = call.signature.names[0]
    shape, width = call.shape(name), size_of(setting(one, "d_model"))
    if width is None or len(shape) not in (2, 3) or shape[-1].is_different(width):
        raise Untold
    train = None if one.frozen is not False or call.layer.frozen is not False else True
    return call.made(
        shape, call.tensor(name).dtype, call.tensor(name), is_contiguous=None, has_parameters=train
    )


@layer("d_model=512, nhead=8, num_encoder_layers=6, num_decoder_layers=6, dim_feedforward=2048, dropout=0.1, activation=None, custom_encoder=None, custom_decoder=None, layer_norm_eps=1e-05, batch_first=False, norm_first=False, bias=True" + FACTORY, "src, tgt, src_mask=None, tgt_mask=None, memory_mask=None, src_key_padding_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None, src_is_causal=None, tgt_is_causal=None, memory_is_causal=False", "torch.nn.Transformer")  # fmt: skip
def _transformer(call: Call) -> Value:
    source, target = call.shape("src"), call.shape("tgt")
    width = call.set_size("d_model")
    at = 0 if call.set_flag("batch_first") else 1
    if len(source) == 3 and len(target) == 3 and source[at].is_different(target[at]):
        call.refuse("RuntimeError", "the batch number of src and tgt must be equal")
    if not source or not target or len(source) != len(target) or len(source) not in (2, 3):
        raise Untold
    if source[-1].is_different(width) or target[-1].is_different(width):
        call.refuse("RuntimeError", "the feature number of src and tgt must be equal to d_model")
    if call.has("src_key_padding_mask") or any(
        dtypes_of(call, n) != ("", "") for n in ("src", "tgt")
    ):
        raise Untold
    inputs = [call.tensor("src"), call.tensor("tgt")]
    return call.made(
        target, inputs[1].dtype, *inputs, is_contiguous=None, has_parameters=trains(call)
    )


@operation("sz, device=None, dtype=None", "torch.nn.Transformer.generate_square_subsequent_mask")
def _square_mask(call: Call) -> Value:
    size = call.size("sz")
    return Tensor(False, shape=(size, size), dtype=call.dtype("float32"), is_leaf=True)


@operation("query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False", "torch.nn.functional.scaled_dot_product_attention")  # fmt: skip
def _dot_product(call: Call) -> Value:
    query, key, value = (call.shape(n) for n in ("query", "key", "value"))
    dtypes = {call.tensor(n).dtype for n in ("query", "key", "value")}
    if len(dtypes) > 1 or any(len(s) < 2 for s in (query, key, value)) or call.flag("enable_gqa"):
        raise Untold
    if query[-1].is_different(key[-1]) or key[-2].is_different(value[-2]):
        raise Untold
    if (
        len({len(s) for s in (query, key, value)}) > 1
        or query[:-2] != key[:-2]
        or key[:-2] != value[:-2]
    ):
        raise Untold
    dtype = dtypes.pop()
    if not dtype.startswith(("float", "bfloat")):
        raise Untold
    inputs = [call.tensor(n) for n in ("query", "key", "value")]
    return call.made((*query[:-1], value[-1]), dtype, *inputs, is_contiguous=None)
