"""Gradients and autocast switched without a `with`: `manager.__enter__()`, `ExitStack`, the functions below `torch._C`.

Sources: https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation,
https://docs.python.org/3/library/contextlib.html#contextlib.ExitStack
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from torchmedic.abstract.decorators import AUTOCAST, ENABLE_GRAD, NO_GRAD, SET_GRAD
from torchmedic.abstract.registry import CALLS, constructor, function, method
from torchmedic.abstract.values import Arguments, Const, Function, Object, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

_SWITCHES = (*NO_GRAD, ENABLE_GRAD, SET_GRAD, *AUTOCAST, "contextlib.manager")
_STACK = "contextlib.ExitStack"
_MODES = ("grad", "autocast", "cast")


def _enter(machine: Machine, manager: Value) -> Value:
    """What the manager switches stays so after this."""
    before = dict(machine.modes)
    switched: dict[str, Any] = {}

    def inside(value: Value) -> None:
        switched.update(machine.modes, value=value)

    if isinstance(manager, Object) and manager.type == "contextlib.manager":
        machine.unknown_manager(Unknown(), inside)
    else:
        machine.with_manager(manager, inside)
    if isinstance(manager, Object):
        given = manager.state.get("before") if manager.type == SET_GRAD else before["grad"]
        machine.write(manager.state, "modes", {**before, "grad": given})
    for mode in _MODES:
        if mode in switched:
            machine.write(machine.modes, mode, switched[mode])
    held = switched.get("value")
    return held if isinstance(held, Value) else Unknown()


def _restore(machine: Machine, manager: Value) -> None:
    before = manager.state.get("modes") if isinstance(manager, Object) else None
    for mode in _MODES:
        machine.write(machine.modes, mode, before[mode] if before else None)


@method("contextlib.manager", "__enter__")
def _enter_by_hand(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    return _enter(machine, thing)


@method("contextlib.manager", "__exit__")
def _exit_by_hand(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    _restore(machine, thing)
    return Const(None)


for _name in _SWITCHES:
    method(_name, "__enter__")(_enter_by_hand)
    method(_name, "__exit__")(_exit_by_hand)


def _wrapped(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    """`torch.no_grad()(function)`: another function, the old one stays as it is."""
    given = arguments.get(0)
    if not isinstance(given, Function):
        return machine.call_unknown(thing, arguments)
    return machine.decorated(thing, copy(given), arguments.node)


for _name in _SWITCHES:
    CALLS[_name] = _wrapped

constructor("", _STACK)


@method(_STACK, "enter_context", "push")
def _enter_context(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    if "modes" not in thing.state:
        machine.write(thing.state, "modes", dict(machine.modes))
    manager = arguments.get(0)
    return _enter(machine, manager) if manager is not None else Unknown()


@method(_STACK, "close", "__exit__")
def _close(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    if "modes" in thing.state:
        _restore(machine, thing)
    return Const(None)


@method(_STACK, "__enter__")
def _enter_stack(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    return thing


@method(_STACK, "pop_all")
def _pop_all(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    """Another stack has the duty of leaving by now."""
    other = Object(type=_STACK, state=dict(thing.state))
    machine.write(thing.state, "modes", dict(machine.modes))
    return other


@function("torch._C._set_grad_enabled")
def _set_grad_enabled(machine: Machine, arguments: Arguments) -> Value:
    given = arguments.get(0)
    machine.write(machine.modes, "grad", machine.truth(given) if given is not None else None)
    return Const(None)
