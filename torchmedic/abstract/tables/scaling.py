"""Scaled losses of mixed precision, and clipped gradients. Source: https://docs.pytorch.org/docs/stable/amp.html"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import data_of, is_soft
from torchmedic.abstract.registry import constructor, function, made, method
from torchmedic.abstract.tables.optim import owners_of
from torchmedic.abstract.values import (
    Arguments,
    Const,
    Data,
    Object,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

SCALER = "torch.amp.GradScaler"
STEPPED = "stepped"  # ids of the optimizers since the last `update()`, "" for none, None if it can't be told
_IS_SCALER = r"(?i)scaler$"

constructor("device='cuda', init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True",
            SCALER)  # fmt: skip


def is_on(machine: Machine, thing: Value) -> bool | None:
    """False for `GradScaler(enabled=False)`; None if it can't be told."""
    given = thing.settings.get("enabled") if isinstance(thing, Object) else Unknown()
    if given is None:
        return True
    return None if is_soft(given) else machine.truth(given)


@made(SCALER)
def _made(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    thing.state[STEPPED] = ""
    return thing


@method(SCALER, "scale")
def _scale(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    given = arguments.get(0, "outputs") or Unknown()
    for data in data_of(given):
        machine.emit(
            "scale",
            thing,
            machine.name_of(arguments.node),
            data=data.id,
            is_on=is_on(machine, thing),
        )
    return given


@method("?", "scale")
def _unknown_scale(machine: Machine, thing: Value, arguments: Arguments) -> Value:
    """An argument that is called `scaler`, and gets a loss."""
    given = arguments.get(0)
    if re.search(_IS_SCALER, getattr(thing, "why", "")) and isinstance(given, Data) and given.calls:
        machine.emit("scale", thing, machine.name_of(arguments.node), data=given.id, is_on=None)
        return given
    return machine.unknown(thing, *arguments.all())


@method("?", "unscale_")
def _unknown_unscale(machine: Machine, thing: Value, arguments: Arguments) -> Value:
    machine.emit("unscale", thing, machine.name_of(arguments.node))
    return Const(None)


def _first_argument(arguments: Arguments) -> str:
    node = arguments.node
    return ast.unparse(node.args[0]) if isinstance(node, ast.Call) and node.args else ""


@method(SCALER, "step")
def _step(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    optimizer = arguments.get(0, "optimizer")
    if optimizer is None:
        return Unknown(False)
    _told_twice(
        machine, thing, optimizer, "step() has already been called since the last update()."
    )
    done = thing.state.get(STEPPED)
    if done is not None:
        machine.write(thing.state, STEPPED, f"{done}|{optimizer.id}|")
    is_known = isinstance(optimizer, Object)
    machine.emit(
        "step",
        optimizer,
        _first_argument(arguments),
        is_scaled=True,
        scaler=thing.id,
        holds=optimizer.state.get("holds") if isinstance(optimizer, Object) else None,
        type=optimizer.type_name if isinstance(optimizer, Object) else "",
        **(
            {"has_closure": len(arguments.args) > 1}
            if is_known
            else {"why": getattr(optimizer, "why", "")}
        ),
    )
    return Unknown(False)


def _told_twice(machine: Machine, thing: Object, optimizer: Value, message: str) -> None:
    """What a scaler that is on says in its second step without `update()`."""
    done = thing.state.get(STEPPED) or ""
    if f"|{optimizer.id}|" in done and is_on(machine, thing) and not thing.escaped:
        machine.fail("RuntimeError", message)
        machine.write(thing.state, STEPPED, None)


@method(SCALER, "unscale_")
def _unscale(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    optimizer = arguments.get(0, "optimizer")
    if optimizer is not None:
        _told_twice(machine, thing, optimizer, "unscale_() is being called after step().")
    machine.emit("unscale", thing, machine.name_of(arguments.node))
    return Const(None)


@method(SCALER, "update")
def _update(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    machine.write(thing.state, STEPPED, "")
    return Const(None)


@function(*(f"torch.nn.utils.{home}{name}" for home in ("", "clip_grad.")
            for name in ("clip_grad_norm_", "clip_grad_value_", "clip_grad_norm")))  # fmt: skip
def _clip(machine: Machine, arguments: Arguments) -> Value:
    given = arguments.get(0, "parameters")
    machine.emit("clip", given, _first_argument(arguments), holds=owners_of(given))
    return Unknown(False)
