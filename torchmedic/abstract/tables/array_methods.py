"""Methods and functions of NumPy's arrays. Source: https://numpy.org/doc/stable/reference/routines.html"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.registry import ARRAY_METHODS
from torchmedic.abstract.sizes import Size, product
from torchmedic.abstract.tables.arrays import array, given_array
from torchmedic.abstract.tables.dtypes import dtype_named, is_integral, numpy_promoted
from torchmedic.abstract.tables.operation import Call, Shape, Untold, operation, sizes_of
from torchmedic.abstract.tables.tensors import same
from torchmedic.abstract.values import Arguments, Const, Sequence, Tensor, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

ONE = Size.of(1)


def homes(*names: str) -> list[str]:
    return [f"{home}.{name}" for name in names for home in ("numpy", "ndarray")]


def own(call: Call, name: str = "input") -> Tensor:
    """The array; a list or tensor is made one."""
    value = call.value(name)
    if isinstance(value, Tensor):
        if value.library == "numpy":
            return value
        raise Untold
    shape, dtype = given_array(call, value)
    return Tensor(False, shape=shape, dtype=dtype, library="numpy")


def _own_shape(call: Call) -> Shape:
    shape = own(call).shape
    if shape is None:
        raise Untold
    return shape


def result(call: Call, shape: Shape | None, dtype: str) -> Tensor:
    made = array(call, shape, "")
    made.dtype = dtype
    return made


@operation("input, dtype, copy=True, order='K'", "ndarray.astype")
def _astype(call: Call) -> Value:
    value = own(call)
    changed = same(call.machine, value, value.shape, dtype=dtype_named(call.value("dtype")))
    changed.made = call.machine.place()
    return changed


@operation("input, *shape", "ndarray.reshape")
@operation("input, shape, order='C'", "numpy.reshape")
def _reshape(call: Call) -> Value:
    from torchmedic.abstract.tables.views import new_shape

    value = own(call)
    values = call.many or [call.value("shape")]
    if value.shape is None:
        return result(call, None, value.dtype)
    try:
        sizes = sizes_of(values)
    except Untold:
        return result(call, new_shape(call, Tensor(shape=None), values), value.dtype)
    total = product(list(value.shape))
    known = product([s for s in sizes if s.constant != -1])
    if not any(s.constant == -1 for s in sizes):
        if known.is_different(total):
            raise Untold
        return result(call, tuple(sizes), value.dtype)
    exact = total.divided_by(known)
    return result(call, tuple((exact or Size.fresh("n")) if s.constant == -1 else s for s in sizes), value.dtype)  # fmt: skip


@operation("input", *homes("ravel", "copy"), "ndarray.flatten", "ndarray.tolist")
def _flatten(call: Call) -> Value:
    value = own(call)
    if call.name.endswith("tolist"):
        return Unknown(False)
    if call.name.endswith("copy"):
        return same(call.machine, value, value.shape)
    return result(call, (product(list(_own_shape(call))),), value.dtype)


@operation("input, *axes", "ndarray.transpose")
@operation("input, axes=None", "numpy.transpose")
def _transpose(call: Call) -> Value:
    shape = _own_shape(call)
    rank = len(shape)
    given = call.many or ([call.given["dims"]] if call.has("dims") else [])
    given = given or ([call.given["axes"]] if call.has("axes") else [])
    order = [s.constant for s in sizes_of(given)] if given else list(reversed(range(rank)))
    if len(order) != rank or any(o is None or not -rank <= o < rank for o in order):
        raise Untold
    return result(call, tuple(shape[o % rank] for o in order if o is not None), own(call).dtype)


@operation("input, dim", "numpy.expand_dims")
def _expand_dims(call: Call) -> Value:
    shape = _own_shape(call)
    at = call.dim_in(call.integer("dim"), len(shape), 1)
    return result(call, (*shape[:at], ONE, *shape[at:]), own(call).dtype)


@operation("input, dim=None", *homes("squeeze"))
def _squeeze(call: Call) -> Value:
    shape = _own_shape(call)
    if call.has("dim"):
        at = call.integer("dim")
        if not -len(shape) <= at < len(shape) or shape[at].constant != 1:
            raise Untold
        at %= len(shape)
        return result(call, shape[:at] + shape[at + 1 :], own(call).dtype)
    return result(call, tuple(s for s in shape if s.constant != 1), own(call).dtype)


def _reduced(call: Call, dtype: str) -> Value:
    shape = _own_shape(call)
    keep = call.flag("keepdim")
    if not call.has("dim"):
        return result(call, (ONE,) * len(shape) if keep else (), dtype)
    places = call.integers("dim")
    if any(not -len(shape) <= p < len(shape) for p in places):
        raise Untold
    gone = {p % len(shape) for p in places}
    return result(
        call,
        tuple(ONE if i in gone else s for i, s in enumerate(shape) if keep or i not in gone),
        dtype,
    )


@operation("input, dim=None, dtype=None, out=None, keepdim=False", *homes("sum", "prod"))
def _sum(call: Call) -> Value:
    dtype = own(call).dtype
    return _reduced(call, call.dtype("int64" if is_integral(dtype) and dtype[0] != "u" else "" if is_integral(dtype) else dtype))  # fmt: skip


@operation("input, dim=None, dtype=None, out=None, keepdim=False", *homes("mean"), "numpy.nanmean")
@operation("input, dim=None, dtype=None, out=None, ddof=0, keepdim=False", *homes("std", "var"))
def _mean(call: Call) -> Value:
    dtype = own(call).dtype
    return _reduced(call, call.dtype("float64" if is_integral(dtype) else dtype))


@operation("input, dim=None, keepdim=False", "numpy.median")
def _median(call: Call) -> Value:
    dtype = own(call).dtype
    return _reduced(call, "float64" if is_integral(dtype) else dtype)


@operation(
    "input, dim=None, out=None, keepdim=False", *homes("max", "min"), "numpy.amax", "numpy.amin"
)
def _max(call: Call) -> Value:
    return _reduced(call, own(call).dtype)


@operation("input, dim=None, out=None, keepdim=False", *homes("argmax", "argmin"))
def _argmax(call: Call) -> Value:
    found = _reduced(call, "int64")
    assert isinstance(found, Tensor)
    found.through = ("argmax",)
    return found


@operation("input, dim=None, out=None, keepdim=False", *homes("all", "any"))
def _all(call: Call) -> Value:
    return _reduced(call, "bool")


@operation("input, dim=-1", *homes("argsort"))
def _argsort(call: Call) -> Value:
    return result(call, _own_shape(call) if call.has("dim") else None, "int64")


@operation("input, dim=-1", "numpy.sort")
def _sort(call: Call) -> Value:
    return result(call, _own_shape(call) if call.has("dim") else None, own(call).dtype)


@operation("input, dim=None", *homes("cumsum"))
def _cumsum(call: Call) -> Value:
    shape, dtype = _own_shape(call), own(call).dtype
    if is_integral(dtype) and dtype != "int64":
        raise Untold
    return result(call, shape if call.has("dim") else (product(list(shape)),), dtype)


def _parts(call: Call) -> list[Tensor]:
    value = call.value("arrays")
    if not isinstance(value, Sequence) or not value.is_exact or not value.items:
        raise Untold
    found = []
    for item in value.items:
        shape, dtype = given_array(call, item)
        if shape is None:
            raise Untold
        found.append(Tensor(False, shape=shape, dtype=dtype, library="numpy"))
    return found


def _common(parts: list[Tensor]) -> str:
    dtype = parts[0].dtype
    for one in parts[1:]:
        dtype = numpy_promoted(dtype, one.dtype)
    return dtype


@operation("arrays, dim=0", "numpy.concatenate")
def _concatenate(call: Call) -> Value:
    parts = _parts(call)
    shapes = [p.shape or () for p in parts]
    rank, at = len(shapes[0]), call.integer("dim")
    if not rank or not -rank <= at < rank or any(len(s) != rank for s in shapes):
        raise Untold
    at %= rank
    total = Size.of(0)
    for shape in shapes:
        if any(
            i != at and a.is_different(b)
            for i, (a, b) in enumerate(zip(shape, shapes[0], strict=True))
        ):
            raise Untold
        total = total + shape[at]
    return result(call, (*shapes[0][:at], total, *shapes[0][at + 1 :]), _common(parts))


@operation("arrays, dim=0", "numpy.stack")
def _stack(call: Call) -> Value:
    value = call.value("arrays")
    if isinstance(value, Sequence) and not value.is_exact:
        one = value.rest
        if not isinstance(one, Tensor) or one.shape is None or call.integer("dim") != 0:
            raise Untold
        count = value.size if value.size is not None else Size.fresh("n")
        return result(call, (count, *one.shape), one.dtype)
    parts = _parts(call)
    sizes = list(parts[0].shape or ())
    at = call.dim_in(call.integer("dim"), len(sizes), 1)
    if any(len(p.shape or ()) != len(sizes) for p in parts):
        raise Untold
    sizes.insert(at, Size.of(len(parts)))
    return result(call, tuple(sizes), _common(parts))


# --- element by element


def _unary(name: str, floating: bool, fixed: str = "") -> None:
    @operation("x", f"numpy.{name}")
    def work(call: Call) -> Value:
        call.given.setdefault("input", call.given.pop("x", Unknown()))
        value = own(call)
        if not value.dtype or value.shape is None or (floating and is_integral(value.dtype) and value.dtype not in ("int64", "int32")):  # fmt: skip
            raise Untold
        dtype = fixed or ("float64" if floating and is_integral(value.dtype) else value.dtype)
        return result(call, value.shape, dtype)


for _name in (
    "exp",
    "log",
    "log2",
    "log10",
    "log1p",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "tanh",
    "arctan",
):
    _unary(_name, True)
for _name in ("abs", "absolute", "square", "negative", "sign"):
    _unary(_name, False)
for _name in ("isnan", "isinf", "isfinite"):
    _unary(_name, False, "bool")


@operation("input, min=None, max=None", *homes("clip"))
def _clip(call: Call) -> Value:
    value = own(call)
    if any(isinstance(v, Const) and type(v.value) is float for v in call.inputs()) and is_integral(
        value.dtype
    ):
        raise Untold
    return result(call, value.shape, value.dtype)


def _item(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    return Unknown(False)


ARRAY_METHODS["item"] = _item
