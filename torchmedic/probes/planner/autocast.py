"""CUDA's autocast in Python, for the pretend card: which operation runs in which type.

PyTorch's own kernels ask C++ whether a tensor is on a card, and these aren't.

The lists are those of aten/src/ATen/autocast_mode.h, torch 2.13; a test compares them with the header that is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


LOWER = _names(
    """_convolution.deprecated _convolution conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d.input
conv_transpose3d.input convolution prelu addmm addmv addr matmul einsum mm mv linalg_vecdot linear addbmm baddbmm bmm
chain_matmul linalg_multi_dot _thnn_fused_lstm_cell _thnn_fused_gru_cell lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell
_scaled_dot_product_flash_attention scaled_dot_product_attention"""
)
FLOAT = _names(
    """acos asin cosh erfinv exp expm1 log log10 log2 log1p reciprocal rsqrt sinh tan pow.Tensor_Scalar
pow.Tensor_Tensor pow.Scalar softplus layer_norm native_layer_norm rms_norm group_norm frobenius_norm.dim nuclear_norm
nuclear_norm.dim cosine_similarity poisson_nll_loss cosine_embedding_loss nll_loss nll_loss2d hinge_embedding_loss kl_div
l1_loss smooth_l1_loss huber_loss mse_loss margin_ranking_loss multilabel_margin_loss soft_margin_loss
triplet_margin_loss multi_margin_loss binary_cross_entropy_with_logits dist pdist cdist renorm logsumexp
upsample_nearest1d _upsample_nearest_exact1d upsample_nearest2d _upsample_nearest_exact2d upsample_nearest3d
_upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d _upsample_bilinear2d_aa upsample_trilinear3d
upsample_bicubic2d _upsample_bicubic2d_aa"""
)
FLOAT_OUTPUT = _names(
    """prod prod.dim_int softmax.int log_softmax.int cumprod cumsum linalg_vector_norm linalg_matrix_norm
linalg_matrix_norm.str_ord sum sum.dim_IntList"""
)
WIDEST = _names(
    "addcdiv addcmul atan2 bilinear cross dot vdot grid_sampler index_put tensordot scatter_add"
)
FLOAT_APPENDED = ("norm.Scalar", "norm.ScalarOpt_dim")
FORBIDDEN = "binary_cross_entropy"

Kernel = Callable[..., Any]
_CASTS: dict[int, tuple[Any, Any]] = {}  # weights that were cast since the outermost autocast began


def register_autocast(library: Any) -> None:
    clear = torch.clear_autocast_cache

    def clear_both() -> None:
        _CASTS.clear()
        clear()

    torch.clear_autocast_cache = clear_both
    kinds = (
        (LOWER, _in_lower),
        (FLOAT, _in_float),
        (FLOAT_OUTPUT, _with_float_output),
        (FLOAT_APPENDED, _with_float_appended),
        (WIDEST, _in_widest),
        ((FORBIDDEN,), _refusing),
    )
    for names, make in kinds:
        for name in names:
            found = _overload(name)
            if found is not None:
                library.impl(name, make(found), "AutocastCUDA")


def _overload(name: str) -> Any:
    """None if this version of torch has no such operation."""
    packet, _, overload = name.partition(".")
    found = getattr(torch.ops.aten, packet, None)
    return getattr(found, overload or "default", None)


def _outside() -> Any:
    return torch._C._ExcludeDispatchKeyGuard(
        torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCUDA)
    )


def _is_castable(value: Any) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.device.type == "cuda"
        and value.is_floating_point()
        and value.dtype is not torch.float64
    )


def _cast(value: Any, dtype: Any) -> Any:
    """`cached_cast`: leaves that want gradients are cast once, if it is to a lower type."""
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(each, dtype) for each in value)
    if not _is_castable(value) or value.dtype is dtype:
        return value
    is_kept = (
        dtype is torch.get_autocast_dtype("cuda")
        and value.dtype is torch.float32
        and value.requires_grad
        and value.is_leaf
        and torch.is_autocast_cache_enabled()
    )
    if not is_kept:
        return value.to(dtype)
    found = _CASTS.get(id(value))
    if found is None or found[0] is not value:
        found = _CASTS[id(value)] = (value, value.to(dtype))
    return found[1]


def _called(operation: Kernel, dtype: Any, args: Iterable[Any], kwargs: dict[str, Any]) -> Any:
    return operation(
        *(_cast(value, dtype) for value in args),
        **{name: _cast(value, dtype) for name, value in kwargs.items()},
    )


def _in_lower(operation: Any) -> Kernel:
    def kernel(*args: Any, **kwargs: Any) -> Any:
        with _outside():
            return _called(operation, torch.get_autocast_dtype("cuda"), args, kwargs)

    return kernel


def _in_float(operation: Any) -> Kernel:
    def kernel(*args: Any, **kwargs: Any) -> Any:
        with _outside():
            return _called(operation, torch.float32, args, kwargs)

    return kernel


def _with_float_output(operation: Any) -> Kernel:
    names = [argument.name for argument in operation._schema.arguments]
    place = names.index("dtype")

    def kernel(*args: Any, **kwargs: Any) -> Any:
        with _outside():
            given = args[place] if len(args) > place else kwargs.get("dtype")
            if given is None and _is_castable(args[0]):
                args, kwargs = args[:place], {**kwargs, "dtype": torch.float32}
            return operation(*args, **kwargs)

    return kernel


def _with_float_appended(operation: Any) -> Kernel:
    """`norm(x, p)` becomes `norm(x, p, dtype=float32)`."""

    def kernel(tensor: Any, p: Any = 2, *args: Any, **kwargs: Any) -> Any:
        with _outside():
            if _is_castable(tensor):
                kwargs = {**kwargs, "dtype": torch.float32}
                return torch.ops.aten.norm(tensor, p, *args, **kwargs)
            return operation(tensor, p, *args, **kwargs)

    return kernel


def _in_widest(operation: Any) -> Kernel:
    def kernel(*args: Any, **kwargs: Any) -> Any:
        with _outside():
            dtype = torch.get_autocast_dtype("cuda")
            tensors = _castables((*args, *kwargs.values()))
            if any(tensor.dtype is torch.float32 for tensor in tensors):
                dtype = torch.float32
            return _called(operation, dtype, args, kwargs)

    return kernel


def _castables(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _castables(value)
        elif _is_castable(value):
            yield value


def _refusing(operation: Any) -> Kernel:
    def kernel(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast"
        )

    return kernel
