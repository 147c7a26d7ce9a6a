"""Methods that every `nn.Module` has. Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.devices import device_of
from torchmedic.abstract.registry import function, method, module_method
from torchmedic.abstract.tables.devices import move
from torchmedic.abstract.tables.sequences import fill_container
from torchmedic.abstract.tables.tensors import DTYPES, dtype_named
from torchmedic.abstract.values import (
    Arguments,
    Const,
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


@module_method("train", "super.train")
def _train(machine: Machine, module: Object, arguments: Arguments) -> Value:
    mode = arguments.get(0, "mode")
    training = machine.truth(mode) if mode is not None else True
    machine.set_mode(module, training)
    machine.emit(
        "train",
        module,
        machine.name_of(arguments.node),
        mode=training,
        inside=machine.inside(module),
    )
    return module


@module_method("eval", "super.eval")
def _eval(machine: Machine, module: Object, arguments: Arguments) -> Value:
    machine.set_mode(module, False)
    machine.emit(
        "eval", module, machine.name_of(arguments.node), mode=False, inside=machine.inside(module)
    )
    return module


@module_method(
    "to",
    "to_empty",
    "cuda",
    "cpu",
    "xpu",
    "share_memory",
    "compile",
    "float",
    "double",
    "half",
    "bfloat16",
    "type",
)
def _to(machine: Machine, module: Object, arguments: Arguments) -> Value:
    called = machine.name_of(arguments.node).rpartition(".")[2]
    dtype = DTYPES.get(called, "")
    for value in arguments.all():
        dtype = dtype_named(value) or dtype
    if dtype:
        module.state.setdefault("half", False)
        machine.write(module.state, "half", dtype == "float16")
    device = _device_asked(called, arguments)
    if device != "":
        move(machine, module, device)
    if dtype.startswith(("float", "bfloat")):
        for part in machine.parts_of(module):
            for weight in (*part.state.get("parameters", {}).values(), *part.attributes.values()):
                if isinstance(weight, Tensor) and weight.dtype.startswith(("float", "bfloat")):
                    machine.set(weight, "dtype", dtype)
    return module


def _device_asked(called: str, arguments: Arguments) -> str | None:
    """The device that a module is moved to; "" if only its dtype is changed, None if it can't be told."""
    if called in ("cuda", "cpu", "xpu"):
        return called
    if called not in ("to", "to_empty"):
        return ""
    for value in arguments.all():
        if isinstance(value, Tensor):
            return value.device or None
        if isinstance(value, Const) and type(value.value) is int:
            return "cuda"
        if device := device_of(value):
            return device
        if not isinstance(value, Const) and not dtype_named(value):
            return None
    return "" if arguments.is_complete else None


@module_method("parameters")
def _parameters(machine: Machine, module: Object, arguments: Arguments) -> Value:
    owners = machine.inside(module)
    if machine.is_without_parameters(module):
        return Sequence("list", owners=owners)
    return Sequence("list", rest=_any_parameter(machine, module), owners=owners)


def _any_parameter(machine: Machine, module: Object) -> Tensor:
    """Stands for all of them: what is written to it makes these modules' state unknown."""
    holders = machine.__dict__.setdefault("holders", {})
    holders.update({part.id: part for part in machine.parts_of(module)})
    return Tensor(
        True, shape=None, dtype="", is_leaf=True, is_parameter=True, owners=machine.inside(module)
    )


@module_method("named_parameters")
def _named_parameters(machine: Machine, module: Object, arguments: Arguments) -> Value:
    pair = Sequence("tuple", (Unknown(False, hint="str"), _any_parameter(machine, module)))
    return Sequence("list", rest=pair, owners=machine.inside(module))


@module_method("children", "modules")
def _children(machine: Machine, module: Object, arguments: Arguments) -> Value:
    is_deep = machine.name_of(arguments.node).endswith("modules")
    pairs = list(machine.tree_of(module)) if is_deep else list(machine.children_of(module))
    found: list[Value] = [part for _, part in pairs]
    if machine.is_open(module):
        return Sequence("list", rest=machine.either([*found, Unknown()]))
    return Sequence("list", tuple(found))


@module_method("named_children", "named_modules")
def _named(machine: Machine, module: Object, arguments: Arguments) -> Value:
    is_deep = machine.name_of(arguments.node).endswith("modules")
    pairs = list(machine.tree_of(module)) if is_deep else list(machine.children_of(module))
    if machine.is_open(module):
        any_part = machine.either([*(m for _, m in pairs), Unknown()])
        return Sequence("list", rest=Sequence("tuple", (Unknown(False, hint="str"), any_part)))
    return Sequence("list", tuple(Sequence("tuple", (Const(n), m)) for n, m in pairs))


@module_method("state_dict")
def _state_dict(machine: Machine, module: Object, arguments: Arguments) -> Value:
    machine.emit("state", module, machine.name_of(arguments.node), inside=machine.inside(module))
    return Dict({}, Tensor(False, dtype="", is_parameter=True))


@module_method("load_state_dict", "get_parameter", "extra_repr", "buffers", "named_buffers", "get_buffer")  # fmt: skip
def _other(machine: Machine, module: Object, arguments: Arguments) -> Value:
    if machine.name_of(arguments.node).endswith("load_state_dict"):
        machine.emit("load", module, machine.name_of(arguments.node), inside=machine.inside(module))
    return Unknown(False)


@module_method("zero_grad")
def _zero_grad(machine: Machine, module: Object, arguments: Arguments) -> Value:
    machine.emit("zero_grad", module, machine.name_of(arguments.node), holds=machine.inside(module))
    return Const(None)


@module_method("requires_grad_")
def _requires_grad(machine: Machine, module: Object, arguments: Arguments) -> Value:
    given = arguments.get(0, "requires_grad")
    wanted = machine.truth(given) if given is not None else True
    for part in machine.parts_of(module):
        machine.set(part, "frozen", None if wanted is None else not wanted)
    return module


@module_method("apply")
def _apply(machine: Machine, module: Object, arguments: Arguments) -> Value:
    work = arguments.get(0)
    if isinstance(work, Function):
        for part in machine.parts_of(module):
            machine.call(work, Arguments(arguments.node, [part], {}))
    return module


@module_method("register_buffer", "register_parameter", "add_module", "register_module")
def _register(machine: Machine, module: Object, arguments: Arguments) -> Value:
    name, value = arguments.get(0, "name"), arguments.get(1, "tensor", "param", "module")
    is_named = isinstance(name, Const) and isinstance(name.value, str)
    if module.items and not (is_named and machine.is_container(module)):
        machine.blurred(module)
    if isinstance(name, Const) and isinstance(name.value, str):
        if machine.put_part(module, name.value, value or Const(None)):
            return Const(None)
        machine.write(module.attributes, name.value, value or Const(None))
        if isinstance(value, Tensor):
            machine.set(value, "device", "")  # it moves with the module
    else:
        machine.write(module.state, "is_open", True)
    return Const(None)


@module_method("set_submodule", "get_submodule")
def _submodule(machine: Machine, module: Object, arguments: Arguments) -> Value:
    """Whoever asks for a part by its path may put another in its place."""
    machine.rebuilt(module)
    return Unknown()


@module_method("insert", "pop", "popitem", "clear", "__delitem__", "__setitem__")
def _replaced(machine: Machine, module: Object, arguments: Arguments) -> Value:
    """Other children by now: which, and in what order, isn't told."""
    machine.blurred(module)
    return machine.either(list(module.items)) if module.items else Unknown()


@module_method("append", "extend", "update")
def _append(machine: Machine, module: Object, arguments: Arguments) -> Value:
    if machine.name_of(arguments.node).endswith("update"):
        machine.blurred(module)
        return Const(None)
    added = Object(type=module.type)
    if machine.name_of(arguments.node).endswith("append") or (
        len(arguments.args) == 1 and isinstance(arguments.args[0], Object)
    ):
        added.items = tuple(arguments.args)
    else:
        fill_container(machine, added, arguments)
    counted = any(loop.iteration >= 0 for loop in machine.loops)
    machine.set(module, "items", (*module.items, *added.items))
    machine.set(module, "keys", (*module.keys, *added.keys))
    if counted or added.state.get("is_open"):
        machine.write(module.state, "is_open", True)
    return module


@module_method("items", "keys", "values")
def _entries(machine: Machine, module: Object, arguments: Arguments) -> Value:
    name = machine.name_of(arguments.node).rpartition(".")[2]
    if module.state.get("is_shuffled"):
        return Sequence("list", rest=machine.unknown(*module.items))
    if name == "values":
        return Sequence("list", module.items)
    if name == "keys":
        return Sequence("list", tuple(Const(k) for k in module.keys))
    pairs = zip(module.keys, module.items, strict=False)
    return Sequence("list", tuple(Sequence("tuple", (Const(k), v)) for k, v in pairs))


@module_method("super.__init__")
def _base_init(machine: Machine, module: Object, arguments: Arguments) -> Value:
    machine.write(module.state, "is_set_up", True)
    machine.construct_base(module, arguments)
    return Const(None)


@function("torch.nn.Module.__init__")
def _module_init(machine: Machine, arguments: Arguments) -> Value:
    thing = arguments.get(0)
    if isinstance(thing, Object):
        machine.write(thing.state, "is_set_up", True)
    return Const(None)


@module_method("forward", "super.forward", "__call__")
def _forward(machine: Machine, module: Object, arguments: Arguments) -> Value:
    from torchmedic.abstract.registry import CALLS

    for kind in module.kinds:
        if handler := CALLS.get(kind):
            return handler(machine, module, arguments)
    return machine.unknown(*arguments.all())


@function("torch.compile", "torch.jit.script")
def _compile(machine: Machine, arguments: Arguments) -> Value:
    return arguments.get(0, "model", "obj") or Unknown()


@function("copy.deepcopy", "copy.copy")
def _deepcopy(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0) or Unknown()
    return copied(machine, value)


def copied(machine: Machine, value: Value, depth: int = 8) -> Value:
    """A copy with an identity of its own, of the containers and objects in it too."""
    if isinstance(value, Object) and depth:
        return Object(
            type=value.type,
            cls=value.cls,
            attributes={
                k: copied(machine, v, depth - 1) if isinstance(v, Value) else v
                for k, v in value.attributes.items()
            },
            settings=dict(value.settings),
            items=tuple(copied(machine, v, depth - 1) for v in value.items),
            keys=value.keys,
            training=value.training,
            frozen=value.frozen,
            escaped=value.escaped,
            made=value.made,
            place=value.place,
            state={**value.state, "is_copy": True},
        )
    if isinstance(value, Sequence) and value.is_exact and depth:
        return Sequence(value.kind, tuple(copied(machine, v, depth - 1) for v in value.items))
    return value


@method("torch.nn.ParameterList", "append")
def _append_parameter(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    machine.set(thing, "items", (*thing.items, *arguments.args))
    return thing
