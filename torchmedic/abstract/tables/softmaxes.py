"""Softmax, sigmoid and their logarithms: events, because a loss may apply them itself.

Source: https://docs.pytorch.org/docs/stable/nn.functional.html#non-linear-activation-functions
"""

from __future__ import annotations

from torchmedic.abstract.expressions import size_of
from torchmedic.abstract.tables import activations
from torchmedic.abstract.tables.dtypes import FLOATS, is_integral, scalar_type
from torchmedic.abstract.tables.layers import activated_dtype
from torchmedic.abstract.tables.operation import Call, Untold, layer, operation
from torchmedic.abstract.values import Const, Tensor, Value


def remembered(call: Call, name: str, dim: Value | None) -> Tensor:
    """The result before anything is checked, of the same shape: it remembers what it went through."""
    given = call.given.get("input")
    result = activations.activated(call.machine, given, name, dim, call.layer)
    assert isinstance(result, Tensor)
    return result


def _soft(call: Call, name: str, given: Value | None) -> Value:
    """A softmax over a dimension."""
    result = remembered(call, name, given)
    if not isinstance(call.given.get("input"), Tensor) or call.given.get("dtype") is not None:
        result.dtype = ""
        return result
    tensor = call.tensor()
    dim = given.value if isinstance(given, Const) else None
    if tensor.shape is not None and type(dim) is int:
        at = call.dim_in(dim, len(tensor.shape))
        if is_integral(tensor.dtype) and tensor.shape and at != len(tensor.shape) - 1:
            raise Untold
    if is_integral(tensor.dtype) and (tensor.shape is None or type(dim) is not int):
        raise Untold
    return _as_activated(call, name, result)


def _as_activated(call: Call, name: str, result: Tensor) -> Tensor:
    """With the dtype that the activation gives; refused as it is."""
    tensor = call.tensor()
    result.dtype = activated_dtype(call, name)
    if call.machine.modes["autocast"] is not False and result.dtype in FLOATS:
        result.dtype = ""
    if is_integral(tensor.dtype):
        result.graph = False
    result.is_contiguous = (
        True if tensor.is_contiguous and not call.machine.modes.get("memory_format") else None
    )
    return result


def _register(name: str, kind: str) -> None:
    @layer("dim=None", "input", f"torch.nn.{kind}")
    def on_layer(call: Call) -> Value:
        return _soft(call, name, call.setting("dim"))

    @operation("input, dim=None, dtype=None", f"torch.{name}", f"Tensor.{name}")
    @operation("input, dim=None, _stacklevel=3, dtype=None", f"torch.nn.functional.{name}")
    def on_call(call: Call) -> Value:
        return _soft(call, name, call.given.get("dim"))


_register("softmax", "Softmax")
_register("log_softmax", "LogSoftmax")


@layer("dim=None", "input", "torch.nn.Softmin")
def _softmin(call: Call) -> Value:
    return _soft(call, "softmax", call.setting("dim"))


@layer("", "input", "torch.nn.Softmax2d")
def _softmax2d(call: Call) -> Value:
    shape = call.tensor().shape
    if shape is not None and len(shape) not in (3, 4):
        call.refuse(
            "ValueError", f"Softmax2d: expected input to be 3D or 4D, got {len(shape)}D instead"
        )
    return _soft(call, "softmax", Const(-3))


@layer("", "input", "torch.nn.Sigmoid")
@operation(
    "input", "torch.sigmoid", "Tensor.sigmoid", "torch.nn.functional.sigmoid", "torch.special.expit"
)
def _sigmoid(call: Call) -> Value:
    result = remembered(call, "sigmoid", None)
    if not isinstance(call.given.get("input"), Tensor):
        return result
    return _as_activated(call, "sigmoid", result)


@operation("input, tau=1, hard=False, eps=1e-10, dim=-1", "torch.nn.functional.gumbel_softmax")
def _gumbel(call: Call) -> Value:
    return call.kept(call.tensor().dtype)


@operation("input, p=2.0, dim=1, eps=1e-12", "torch.nn.functional.normalize")
def _normalize(call: Call) -> Value:
    tensor = call.tensor()
    if tensor.shape is not None and not is_integral(tensor.dtype):
        for at in call.integers("dim"):
            call.dim_in(at, len(tensor.shape))
    if is_integral(tensor.dtype):
        call.refuse(
            "RuntimeError",
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{scalar_type(tensor.dtype)}",
        )
    return call.kept(tensor.dtype)


@operation("tensor, num_classes=-1", "torch.nn.functional.one_hot", dtype="int64")
def _one_hot(call: Call) -> Value:
    from torchmedic.abstract.sizes import Size

    tensor = call.tensor("tensor")
    if tensor.dtype and tensor.dtype != "int64" and tensor.library == "torch":
        call.refuse(
            "RuntimeError", "one_hot is only applicable to index tensor of type LongTensor."
        )
    count = size_of(call.value("num_classes"))
    last = count if count is not None and count.constant != -1 else Size.fresh("n")
    return call.made((*call.shape("tensor"), last), "int64")
