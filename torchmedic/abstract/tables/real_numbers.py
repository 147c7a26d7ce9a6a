"""Python's floats: their constants, and functions whose result is a float that isn't known.

Source: https://docs.python.org/3/library/math.html
"""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING

from torchmedic.abstract.operators import is_real, is_soft, real, size_of
from torchmedic.abstract.registry import CONSTANTS, function, names_in
from torchmedic.abstract.values import Arguments, Const, Value
from torchmedic.observed.source import written

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

for _home in ("math", "numpy", "torch"):
    for _name in ("pi", "e", "inf", "nan"):
        CONSTANTS[f"{_home}.{_name}"] = getattr(math, _name)
CONSTANTS |= {"math.tau": math.tau, "numpy.newaxis": None}

_OF_FLOATS = names_in(
    "sqrt, exp, expm1, log, log2, log10, log1p, sin, cos, tan, asin, acos, atan, atan2, sinh, cosh, tanh, hypot, pow, radians,"
    "degrees, erf, erfc, gamma, lgamma, fabs, fmod, copysign, dist, cbrt, exp2"
)


@function(*(f"math.{name}" for name in _OF_FLOATS))
def _float(machine: Machine, arguments: Arguments) -> Value:
    values, node = arguments.args, arguments.node
    name = written(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
    work = getattr(math, name, None)
    if work is not None and values and all(isinstance(v, Const) for v in values):
        try:
            return Const(work(*(v.value for v in values if isinstance(v, Const))), is_soft(*values))
        except Exception:
            return machine.unknown(*values)
    if values and all(is_real(v) or size_of(v) is not None for v in values):
        told = real()
        told.soft = is_soft(*values)
        return told
    return machine.unknown(*values)
