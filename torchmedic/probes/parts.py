"""Shapes of the unnamed parts of the failing expression, by evaluating them on fake copies of its names."""

from __future__ import annotations

import ast
import logging
import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from torchmedic.observed import Frame, Value, load
from torchmedic.probes.frames import Entry, header
from torchmedic.probes.sizes import undisturbed
from torchmedic.probes.values import describe, torch_if_loaded

MOST = 24
_NOT_METHODS = {
    "numpy",
    "tolist",
    "item",
    "backward",
    "cuda",
    "cpu",
    "to",
    "register_hook",
    "retain_grad",
}
_NOT_FUNCTIONS = (
    "rand",
    "manual",
    "set_",
    "load",
    "save",
    "normal",
    "bernoulli",
    "dropout",
    "seed",
    "multinomial",
)
_FORBIDDEN = (
    ast.Lambda,
    ast.Await,
    ast.Yield,
    ast.YieldFrom,
    ast.NamedExpr,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.JoinedStr,
    ast.Starred,
)


def parts_of(entry: Entry, frame: Frame) -> dict[str, Value]:
    """Pure torch sub-expressions of the failing statement -> their value. Calls of user code are never made."""
    torch = torch_if_loaded()
    source = load(frame.at.path)
    statement = (
        source.at(frame.at._replace(column=0, end_line=0, end_column=0), ast.stmt)
        if source
        else None
    )
    if torch is None or statement is None:
        return {}
    names = {**entry.frame.f_globals, **entry.frame.f_locals}
    wanted = [
        node
        for part in header(statement)
        for node in ast.walk(part)
        if isinstance(node, (ast.BinOp, ast.Call, ast.Subscript, ast.UnaryOp))
        and is_pure(node, names, torch)
    ][:MOST]
    if not wanted or not any(isinstance(v, torch.Tensor) for v in names.values()):
        return {}
    try:
        return _evaluated(torch, wanted, names)
    except Exception:  # fake tensors do not work everywhere
        return {}


def is_pure(node: ast.expr, names: Mapping[str, Any], torch: Any) -> bool:
    """True if evaluating it calls nothing but tensor methods and functions of torch that neither draw nor write."""
    for part in ast.walk(node):
        if isinstance(part, _FORBIDDEN):
            return False
        if isinstance(part, ast.Name) and not _is_harmless(names.get(part.id), torch):
            return False
        if isinstance(part, ast.Attribute) and not _is_plain_attribute(part, names, torch):
            return False
        if isinstance(part, ast.Call) and not _is_pure_call(part.func, names, torch):
            return False
    return True


def _is_harmless(value: object, torch: Any) -> bool:
    """Values whose operators are not the user's code."""
    if isinstance(value, (torch.Tensor, ModuleType, torch.dtype, torch.device)):
        return type(value).__module__.startswith(("torch", "builtins"))
    if type(value) in (tuple, list):
        return all(type(v) in (int, float, bool) for v in value)  # type: ignore[attr-defined]
    return type(value) in (int, float, bool)


def _is_plain_attribute(node: ast.Attribute, names: Mapping[str, Any], torch: Any) -> bool:
    if isinstance(node.value, ast.Name):
        value = names.get(node.value.id)
        return isinstance(value, (torch.Tensor, ModuleType))
    return isinstance(node.value, (ast.Call, ast.BinOp, ast.Subscript, ast.Attribute))


def _is_pure_call(function: ast.expr, names: Mapping[str, Any], torch: Any) -> bool:
    if not isinstance(function, ast.Attribute):
        return False
    name = function.attr
    if isinstance(function.value, ast.Name):
        owner = names.get(function.value.id)
        if owner is torch or owner is torch.nn.functional:
            return not name.endswith("_") and not name.startswith(_NOT_FUNCTIONS)
    return hasattr(torch.Tensor, name) and not name.endswith("_") and name not in _NOT_METHODS


def _evaluated(torch: Any, nodes: list[Any], names: Mapping[str, Any]) -> dict[str, Value]:
    from torch._subclasses.fake_tensor import FakeTensorMode

    mode = FakeTensorMode(allow_non_fake_inputs=True)
    used = {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}
    twins = {
        k: mode.from_tensor(v, static_shapes=True) if isinstance(v, torch.Tensor) else v
        for k, v in names.items()
        if k in used
    }
    found: dict[str, Value] = {}
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with undisturbed(), warnings.catch_warnings(), mode, torch.no_grad():
            warnings.simplefilter("ignore")
            for node in nodes:
                code = compile(ast.Expression(node), "<torchmedic>", "eval")
                try:
                    found[ast.unparse(node)] = describe(eval(code, {}, twins))
                except Exception:  # the failing part itself, among others
                    continue
    finally:
        logging.disable(before)
    return found
