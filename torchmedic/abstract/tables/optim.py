"""Optimizers, schedulers, and losses. Source: https://docs.pytorch.org/docs/stable/optim.html"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from torchmedic.abstract.decorators import AUTOCAST
from torchmedic.abstract.registry import CLASSES, constructor, made, method
from torchmedic.abstract.tables.backward import backward
from torchmedic.abstract.values import (
    Arguments,
    Bound,
    Const,
    Data,
    Dict,
    Function,
    Object,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

OPTIMIZERS = tuple(
    f"torch.optim.{name}"
    for name in ("SGD", "Adam", "AdamW", "Adagrad", "Adadelta", "Adamax", "ASGD", "LBFGS", "NAdam", "RAdam", "RMSprop",
                 "Rprop", "SparseAdam", "Adafactor", "Muon")
)  # fmt: skip
constructor("params, lr=None", *OPTIMIZERS, "torch.optim.Optimizer")
SCHEDULERS = tuple(
    f"torch.optim.lr_scheduler.{name}"
    for name in ("StepLR", "MultiStepLR", "ConstantLR", "LinearLR", "ExponentialLR", "PolynomialLR", "CosineAnnealingLR",
                 "LambdaLR", "MultiplicativeLR", "ReduceLROnPlateau", "CyclicLR", "OneCycleLR",
                 "CosineAnnealingWarmRestarts", "SequentialLR", "ChainedScheduler")
)  # fmt: skip
constructor("optimizer", *SCHEDULERS)


def owners_of(value: Value | None) -> frozenset[int] | None:
    """Ids of the modules whose parameters these are; None if they can't be told."""
    if isinstance(value, Sequence):
        if value.owners:
            return value.owners
        parts = [*value.items, *([value.rest] if value.rest else [])]
        held = [owners_of(part) for part in parts]
        if None in held or not held:
            return None
        return frozenset().union(*(h for h in held if h is not None))
    if isinstance(value, Dict):
        return owners_of(value.items.get("params"))
    if isinstance(value, Tensor):
        return value.owners or None
    return None


def is_whole(value: Value | None) -> bool:
    """True for all parameters of modules: `model.parameters()`, sums and groups of those, not a choice among them."""
    if isinstance(value, Sequence):
        parts = [*value.items, *([value.rest] if value.rest else [])]
        if value.is_part:
            return False
        return bool(value.owners) or (bool(parts) and all(map(is_whole, parts)))
    return isinstance(value, Dict) and is_whole(value.items.get("params"))


@made(*OPTIMIZERS)
def _made(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    given = arguments.get(0, "params")
    thing.state["holds"] = owners_of(given)
    if isinstance(given, Sequence) and given.is_exact and not given.items:
        machine.fail("ValueError", "optimizer got an empty parameter list")
    machine.emit(
        "optimizer",
        thing,
        type=thing.type_name,
        holds=thing.state["holds"],
        is_whole=is_whole(given),
    )
    return thing


def _held(thing: Value) -> frozenset[int] | None:
    held: frozenset[int] | None = thing.state.get("holds") if isinstance(thing, Object) else None
    return held


def _step(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    closure = arguments.get(0, "closure")
    is_seen = isinstance(closure, (Function, Bound))
    result: Value = Unknown(False)
    if closure is not None and is_seen:
        result = machine.call(closure, Arguments(arguments.node, [], {}))
    machine.emit(
        "step",
        thing,
        machine.name_of(arguments.node),
        holds=_held(thing),
        type=thing.type_name if isinstance(thing, Object) else "Optimizer",
        why=getattr(thing, "why", ""),
        has_closure=closure is not None,
        is_closure_seen=is_seen,
    )
    return result


def _zero_grad(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    machine.emit("zero_grad", thing, machine.name_of(arguments.node), holds=_held(thing))
    return Const(None)


def _add_group(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    held, more = _held(thing), owners_of(arguments.get(0, "param_group"))
    holds = held | more if held is not None and more is not None else None
    machine.write(thing.state, "holds", holds)
    return Const(None)


for _name in (*OPTIMIZERS, "torch.optim.Optimizer"):
    method(_name, "add_param_group")(_add_group)
    method(_name, "step", "super.step")(_step)
    method(_name, "zero_grad", "super.zero_grad")(_zero_grad)


@made(*SCHEDULERS)
def _scheduler(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    machine.emit("scheduler", thing, type=thing.type_name)
    return thing


def _scheduler_step(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    optimizer = thing.settings.get("optimizer")
    if thing.type_name == "ReduceLROnPlateau" and arguments.is_complete and not arguments.all():
        machine.fail(
            "TypeError",
            "ReduceLROnPlateau.step() missing 1 required positional argument: 'metrics'",
        )
    machine.emit(
        "scheduler_step",
        thing,
        machine.name_of(arguments.node),
        type=thing.type_name,
        optimizer=optimizer.id if optimizer is not None else 0,
        has_argument=bool(arguments.all()),
    )
    return Const(None)


for _name in SCHEDULERS:
    method(_name, "step")(_scheduler_step)


# --- what is unknown: an argument of a function that nobody calls


@method("?", "backward")
def _unknown_backward(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    assert isinstance(thing, Data)
    return backward(machine, thing, arguments)


@method("?", "step")
def _unknown_step(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    machine.emit(
        "step",
        thing,
        machine.name_of(arguments.node),
        holds=None,
        type="",
        why=getattr(thing, "why", ""),
    )
    return Unknown(False)


@method("?", "zero_grad")
def _unknown_zero(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    machine.emit("zero_grad", thing, machine.name_of(arguments.node), holds=None)
    return Const(None)


@method("?", "train", "eval")
def _unknown_mode(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    called = arguments.node.func if isinstance(arguments.node, ast.Call) else None
    is_train = isinstance(called, ast.Attribute) and called.attr == "train"
    mode = arguments.get(0, "mode")
    training = False if not is_train else machine.truth(mode) if mode is not None else True
    machine.write(machine.unknown_modes, thing.id, training)
    machine.emit(
        "train" if is_train else "eval",
        thing,
        machine.name_of(arguments.node),
        mode=training,
        inside=frozenset({thing.id}),
    )
    return thing


@method("?", "item", "detach", "numpy", "tolist", "cpu")
def _unknown_convert(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    assert isinstance(thing, Data)
    from torchmedic.abstract.tables.events import converted

    called = arguments.node.func if isinstance(arguments.node, ast.Call) else None
    name = called.attr if isinstance(called, ast.Attribute) else ""
    if name == "cpu":
        return machine.unknown(thing)
    cuts = converted(machine, thing, name)
    return Unknown(False, why=getattr(thing, "why", ""), cuts=cuts)


# --- gradients on and off

constructor("", "torch.no_grad", "torch.enable_grad")
constructor("mode=True", "torch.inference_mode", "torch.set_grad_enabled")
constructor(
    "device_type, dtype=None, enabled=True, cache_enabled=None",
    *(n for n in AUTOCAST if "cuda" not in n and "cpu" not in n),
)
constructor(
    "enabled=True, dtype=None, cache_enabled=True",
    *(n for n in AUTOCAST if "cuda" in n or "cpu" in n),
)


@made("torch.set_grad_enabled")
def _set_grad(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    """As a statement it switches for good; in a `with`, the manager puts the old mode back."""
    given = arguments.get(0, "mode")
    thing.state["before"] = machine.modes["grad"]
    machine.write(machine.modes, "grad", machine.truth(given) if given is not None else None)
    return thing


assert "torch.optim.Adam" in CLASSES
