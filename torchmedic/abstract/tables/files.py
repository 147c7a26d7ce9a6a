"""What is read from files: of unknown size, but the same unknown wherever it goes.

Sources: https://numpy.org/doc/stable/reference/routines.io.html and
https://pandas.pydata.org/docs/reference/frame.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.registry import constructor, function, method
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.creation import made
from torchmedic.abstract.tables.events import constant
from torchmedic.abstract.values import Arguments, Const, Number, Object, Tensor, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

FRAME = "pandas.DataFrame"
constructor("", FRAME)
_READERS = (
    "read_csv",
    "read_table",
    "read_excel",
    "read_parquet",
    "read_json",
    "read_pickle",
    "read_feather",
)


@function("numpy.loadtxt", "numpy.genfromtxt")
def _loadtxt(machine: Machine, arguments: Arguments) -> Value:
    """One or two dimensions, float64 unless `dtype` says otherwise."""
    given = arguments.get(1, "dtype")
    if constant(arguments.get(None, "unpack")) is True:
        return Unknown(False)
    keywords = {"dtype": given} if given is not None else {}
    shape = None
    if constant(arguments.get(None, "ndmin")) == 2:
        shape = (Size.fresh("rows"), Size.fresh("columns"))
    dtype = "" if isinstance(given, Const) and given.value is None else "float64"
    return made(machine, shape, dtype, Arguments(arguments.node, [], keywords), "numpy")


@function("numpy.load", "numpy.memmap", "numpy.fromfile")
def _load(machine: Machine, arguments: Arguments) -> Value:
    return Unknown(False)


@function(*(f"pandas.{name}" for name in _READERS), FRAME)
def _read_frame(machine: Machine, arguments: Arguments) -> Value:
    rows = Number(Size.fresh("rows"))
    values = Tensor(False, dtype="", library="numpy")
    values.__dict__["known_length"] = rows
    return Object(type=FRAME, state={"rows": rows}, attributes={"values": values})


@method(FRAME, "__len__")
def _rows(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    held = thing.state["rows"]
    assert isinstance(held, Number)
    return held


@method(FRAME, "to_numpy")
def _to_numpy(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    result = Tensor(False, dtype="", library="numpy")
    result.__dict__["known_length"] = thing.state["rows"]
    return result


@method(FRAME, "__getitem__")
def _column(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    """A column has the frame's rows; a mask or a list of columns may be anything."""
    result = Unknown(False)
    if isinstance(constant(arguments.get(0)), str):
        result.__dict__["known_length"] = thing.state["rows"]
    return result
