"""The standard library as training scripts use it: argparse, random, functools, collections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchmedic.abstract.registry import called, constructor, function, method
from torchmedic.abstract.tables.events import constant, drawn
from torchmedic.abstract.values import Arguments, Const, External, Object, Sequence, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

PARSER = "argparse.ArgumentParser"
constructor("prog=None, usage=None, description=None", PARSER)
constructor("", "argparse.Namespace", "types.SimpleNamespace")


@method(PARSER, "add_argument")
def _add_argument(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    """The default is what the program runs with, but whoever starts it may say otherwise: a soft value."""
    names = [str(v.value) for v in arguments.args if isinstance(v, Const)]
    given = arguments.get(None, "dest")
    chosen = next((n for n in names if n.startswith("--")), names[0] if names else "")
    dest = str(constant(given)) if given is not None else chosen.lstrip("-").replace("-", "_")
    default = arguments.get(None, "default")
    action = constant(arguments.get(None, "action"))
    kind = arguments.get(None, "type")
    value: Value = Unknown(False, soft=True, why=dest)
    if isinstance(default, Const) and default.value is not None:
        plain = default.value
        if isinstance(kind, External) and isinstance(plain, (int, float, str)):
            plain = _typed(kind.name, plain)
        value = Const(plain, soft=True)
    elif default is not None and not isinstance(default, Const):
        value = default
    elif action in ("store_true", "store_false"):
        value = Const(action == "store_false", soft=True)
    held = dict(thing.state.get("arguments", {}))
    held[dest] = value
    machine.write(thing.state, "arguments", held)
    return Unknown(False)


def _typed(name: str, value: object) -> object:
    work: Any = {"builtins.int": int, "builtins.float": float, "builtins.str": str}.get(name)
    try:
        return work(value) if work else value
    except (TypeError, ValueError):
        return value


@method(PARSER, "parse_args", "parse_known_args")
def _parse_args(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    made = Object(type="argparse.Namespace")
    made.attributes.update(thing.state.get("arguments", {}))
    given = arguments.get(0, "args")
    is_empty = isinstance(given, Sequence) and given.is_exact and not given.items
    if given is not None and not is_empty and not (isinstance(given, Const) and not given.value):
        made.attributes.update((k, Unknown(False, soft=True, why=k)) for k in made.attributes)
    called = machine.name_of(arguments.node)
    if called.endswith("parse_known_args"):
        return Sequence("tuple", (made, Sequence("list", rest=Unknown())))
    return made


@method(PARSER, "set_defaults")
def _set_defaults(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    soft = {
        k: Const(v.value, True) if isinstance(v, Const) else v
        for k, v in arguments.keywords.items()
    }
    machine.write(thing.state, "arguments", {**thing.state.get("arguments", {}), **soft})
    return Const(None)


@method(PARSER, "add_argument_group", "add_mutually_exclusive_group")
def _group(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    return thing


@function("argparse.Namespace", "types.SimpleNamespace", "addict.Dict", "easydict.EasyDict")
def _namespace(machine: Machine, arguments: Arguments) -> Value:
    made = Object(type="argparse.Namespace")
    made.attributes.update(arguments.keywords)
    return made


@function("dataclasses.field", "attrs.field", "attr.ib")
def _field(machine: Machine, arguments: Arguments) -> Value:
    """What an instance starts with."""
    factory = arguments.get(None, "default_factory", "factory")
    if factory is not None:
        return machine.call(factory, Arguments(arguments.node, [], {}))
    return arguments.get(None, "default") or Unknown()


@function("functools.partial")
def _partial(machine: Machine, arguments: Arguments) -> Value:
    made = Object(type="functools.partial")
    made.state["arguments"] = arguments
    return made


@called("", "functools.partial")
def _call_partial(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    held = thing.state.get("arguments")
    if not isinstance(held, Arguments) or not held.args:
        return machine.unknown(thing, *arguments.all())
    whole = Arguments(
        arguments.node,
        [*held.args[1:], *arguments.args],
        {**held.keywords, **arguments.keywords},
        held.is_complete and arguments.is_complete,
    )
    return machine.call(held.args[0], whole)


@function("builtins.vars")
def _vars(machine: Machine, arguments: Arguments) -> Value:
    from torchmedic.abstract.values import Dict

    thing = arguments.get(0)
    return Dict(dict(thing.attributes)) if isinstance(thing, Object) else Unknown()


# --- generators of random numbers


def _seed(which: str, *names: str) -> None:
    @function(*names)
    def work(machine: Machine, arguments: Arguments) -> Value:
        machine.emit("seed", which=which, value=constant(arguments.get(0)))
        return Unknown(False)


_seed("torch", "torch.manual_seed", "torch.random.manual_seed", "torch.seed", "torch.default_generator.manual_seed",
      "torch.random.default_generator.manual_seed", "torch.set_rng_state", "torch.random.set_rng_state",
      "torch.default_generator.set_state")  # fmt: skip
_seed("cuda", "torch.cuda.manual_seed", "torch.cuda.manual_seed_all", "torch.mps.manual_seed")
_seed("numpy", "numpy.random.seed", "numpy.random.set_state")
_seed("random", "random.seed", "random.setstate")
_seed("all", "torchmedic.seed_everything", "lightning.seed_everything", "pytorch_lightning.seed_everything", "transformers.set_seed",
      "transformers.enable_full_determinism", "accelerate.utils.set_seed", "lightning.fabric.seed_everything", "monai.utils.set_determinism",
      "fastai.basics.set_seed", "ignite.utils.manual_seed", "lightning_fabric.seed_everything")  # fmt: skip


def _state(which: str, *names: str) -> None:
    @function(*names)
    def work(machine: Machine, arguments: Arguments) -> Value:
        """The state that the generator has in this run, put back, fixes nothing."""
        given = arguments.get(0)
        if not getattr(given, "why", "").endswith(("get_rng_state", "get_state", "getstate")):
            machine.emit("seed", which=which, value=None, is_unseen=True)
        return Const(None)


_state("torch", "torch.set_rng_state", "torch.random.set_rng_state", "torch.default_generator.set_state",
       "torch.random.default_generator.set_state")  # fmt: skip
_state("cuda", "torch.cuda.set_rng_state", "torch.cuda.set_rng_state_all")
_state("numpy", "numpy.random.set_state")
_state("random", "random.setstate")


@function(
    *(
        f"random.{n}"
        for n in (
            "random",
            "randint",
            "choice",
            "choices",
            "shuffle",
            "sample",
            "uniform",
            "gauss",
            "randrange",
        )
    )
)
def _random(machine: Machine, arguments: Arguments) -> Value:
    drawn(machine, "random")
    return machine.unknown(*arguments.all())
