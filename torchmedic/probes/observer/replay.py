"""One forward pass again, on a copy that shares nothing with the model: what each operation got and gave.

It runs with the random state and autocast of the call, which was made with gradients enabled. Models that could leave traces elsewhere (files,
the network, variables of their file) and large ones are not run again, nor is anything that isn't on the CPU.
"""

from __future__ import annotations

import sys
import types
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FrameType
from typing import Any, NamedTuple

from torchmedic.probes.frames import is_user
from torchmedic.probes.observer.looks import is_plain
from torchmedic.probes.observer.stack import Call, user_call
from torchmedic.probes.sizes import quiet, reaches_outside, stripped, undisturbed

MOST_BYTES = 64 << 20  # of parameters, buffers and inputs
MOST_OPERATIONS = 20_000
RELUS = ("relu", "relu_", "relu6")
DEEPEST = 3  # functions of the program that a forward calls, looked into


class RootCall(NamedTuple):
    """A call of a model, with what it takes to repeat it. Holds its inputs: to be dropped after the step."""

    ref: weakref.ref[Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    at: Call | None
    random: Any
    autocast: tuple[bool, Any]

    @property
    def module(self) -> Any:
        """None if it is gone."""
        return self.ref()

    @property
    def by(self) -> tuple[Call, ...]:
        return (self.at,) if self.at is not None else ()


class Operation(NamedTuple):
    """A call of one of torch's functions while the copy runs."""

    function: str
    given: list[Any]  # tensors among the arguments
    result: list[Any]
    call: Call | None  # in the model's code; None where only torch's layers are around
    is_direct: bool  # called by the model's own code, not by a layer of torch
    layer: str  # path of the innermost layer
    largest: float | None = None  # value that a ReLU got: it may write over its input


def noted(module: Any, args: Any, kwargs: Any, frame: FrameType) -> RootCall:
    """To be called when the model is: the random state changes afterwards."""
    torch: Any = sys.modules["torch"]
    return RootCall(
        weakref.ref(module),
        args,
        kwargs,
        user_call(frame.f_back),
        torch.get_rng_state(),
        (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
    )


def tensors_in(value: Any, depth: int = 3) -> Iterator[Any]:
    torch: Any = sys.modules["torch"]
    if isinstance(value, torch.Tensor):
        yield value
    elif depth and isinstance(value, (list, tuple)):
        for item in value[:64]:
            yield from tensors_in(item, depth - 1)
    elif depth and isinstance(value, dict):
        for item in list(value.values())[:64]:
            yield from tensors_in(item, depth - 1)


def can_replay(call: RootCall) -> bool:
    torch: Any = sys.modules["torch"]
    core = torch._C
    if call.module is None:
        return False
    held = [*call.module.parameters(), *call.module.buffers()]
    held += tensors_in((call.args, dict(call.kwargs)))
    if core._len_torch_dispatch_stack() or core._len_torch_function_stack():
        return False
    if any(t.device.type != "cpu" or t.layout is not torch.strided for t in held):
        return False
    if any(type(t) not in (torch.Tensor, torch.nn.Parameter) for t in held):
        return False
    if sum(t.element_size() * t.numel() for t in held) > MOST_BYTES:
        return False
    return not reaches_outside(call.module) and not any(map(_leaves_traces, call.module.modules()))


def _leaves_traces(part: Any) -> bool:
    kind = type(part)
    if kind.__module__.startswith("torch.") and "parallel" not in kind.__module__:
        return bool(part._forward_hooks or part._forward_pre_hooks)
    methods = [
        v for c in kind.__mro__ for v in vars(c).values() if isinstance(v, types.FunctionType)
    ]
    mine = [m for m in methods if is_user(m.__code__.co_filename)]
    if mine and not all(map(_is_copied, part.__dict__.values())):
        return True
    if not mine and kind.forward.__module__.partition(".")[0] != "torch":
        return True  # another library's: what it does besides isn't known
    return any(_writes(m, DEEPEST) for m in mine) or bool(
        part._forward_hooks or part._forward_pre_hooks
    )


def _writes(function: types.FunctionType, depth: int) -> bool:
    """True if the function assigns global names, or reads ones that hold something changeable."""
    for code in _codes(function.__code__):
        for name in code.co_names:
            held = function.__globals__.get(name)
            if isinstance(held, types.FunctionType) and is_user(held.__code__.co_filename):
                if not depth or _writes(held, depth - 1):
                    return True
            elif held is not None and not _is_harmless(held):
                return True
    return any(not _is_harmless(_content(cell)) for cell in function.__closure__ or ())


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty yet
        return None


def _is_harmless(value: Any) -> bool:
    plain = (type(None), bool, int, float, complex, str, bytes, type, types.ModuleType, range)
    functions = (types.BuiltinFunctionType, types.FunctionType)
    if isinstance(value, (tuple, frozenset)):
        return all(map(_is_harmless, value))
    if isinstance(value, (*plain, *functions)):
        return True
    kind = type(value)
    is_setting = (kind.__module__, kind.__name__) == ("argparse", "Namespace")
    return is_setting or (kind.__module__ in ("torch", "typing") and kind.__name__ != "Tensor")


def _is_copied(value: Any, depth: int = 3) -> bool:
    """True if the copy of a module gets its own of this attribute, or can't change it."""
    torch: Any = sys.modules["torch"]
    if isinstance(value, (torch.Tensor, torch.nn.Module)) or _is_harmless(value):
        return True
    if isinstance(value, dict):
        value = list(value.values())
    is_container = isinstance(value, (list, tuple, set, frozenset))
    return is_container and bool(depth) and all(_is_copied(v, depth - 1) for v in value)


def _largest(func: Any, args: Any) -> float | None:
    if getattr(func, "__name__", "") not in RELUS or not args or not is_plain(args[0]):
        return None
    given = args[0].detach()
    return float(given.max()) if given.numel() and given.is_floating_point() else None


class Replay:
    """`told` is called after every operation, with tensors of the copy; `result` is what the copy returned."""

    def __init__(self, call: RootCall, told: Callable[[Operation], None]) -> None:
        self._call = call
        self._told = told
        self._layers: list[str] = []
        self._frame: FrameType | None = None
        self._count = 0
        self.originals: dict[int, Any] = {}  # id of the copy's parameter or buffer -> the model's
        self.result: Any = None
        self.error = ""

    def run(self, then: Callable[[Any], None] = lambda result: None) -> bool:
        """True if the copy returned. `then` gets its result, while random states are still guarded."""
        torch: Any = sys.modules["torch"]
        call = self._call
        with quiet(), undisturbed():
            try:
                copies: dict[int, Any] = {}

                def copied(value: Any) -> Any:
                    if not isinstance(value, torch.Tensor):
                        return value
                    if id(value) not in copies:
                        twin = value.detach().clone().requires_grad_(value.requires_grad)
                        copies[id(value)] = twin
                        self.originals[id(twin)] = value
                    return copies[id(value)]

                clones: dict[int, Any] = {}
                with torch.autocast("cpu", enabled=False):
                    clone = stripped(call.module, copied, clones)
                    args, kwargs = torch.utils._pytree.tree_map(
                        copied, (call.args, dict(call.kwargs))
                    )
                self._name_layers(clone)
                torch.set_rng_state(call.random)
                is_cast, dtype = call.autocast
                with (
                    torch.enable_grad(),
                    torch.autocast("cpu", dtype=dtype, enabled=is_cast),
                ):
                    self._frame = sys._getframe()
                    with self._mode(torch):
                        self.result = clone(*args, **kwargs)
                then(self.result)
                return True
            except Exception as error:
                self.error = type(error).__name__
                return False
            finally:
                self._frame = None

    def _name_layers(self, clone: Any) -> None:
        def named(path: str) -> tuple[Any, Any]:
            def before(module: Any, args: Any) -> None:
                self._layers.append(path)

            def after(module: Any, args: Any, output: Any) -> None:
                if self._layers:
                    self._layers.pop()

            return before, after

        for path, module in clone.named_modules():
            before, after = named(path)
            module.register_forward_pre_hook(before)
            module.register_forward_hook(after)

    def _mode(self, torch: Any) -> Any:
        replay = self

        class Mode(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
            def __torch_function__(
                self, func: Any, types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                largest = _largest(func, args)
                result = func(*args, **(kwargs or {}))
                frame = sys._getframe(1)
                replay._operation(func, args, kwargs or {}, result, frame, largest)
                return result

        return Mode()

    def _operation(
        self, func: Any, args: Any, kwargs: Any, result: Any, frame: Any, largest: float | None
    ) -> None:
        self._count += 1
        if self._count > MOST_OPERATIONS:
            return
        given = [*tensors_in(args), *tensors_in(kwargs)]
        found = list(tensors_in(result))
        if not given and not found:
            return
        call, is_direct = self._place(frame)
        name = getattr(func, "__name__", "") or str(func)
        layer = self._layers[-1] if self._layers else ""
        self._told(Operation(name, given, found, call, is_direct, layer, largest))

    def _place(self, frame: FrameType | None) -> tuple[Call | None, bool]:
        """The nearest frame of the model's own code that is in progress in the copy."""
        is_direct = True
        while frame is not None and frame is not self._frame:
            if is_user(frame.f_code.co_filename):
                return Call(frame.f_code, frame.f_lasti), is_direct
            is_direct = is_direct and frame.f_code.co_filename.endswith("overrides.py")
            frame = frame.f_back
        return None, False
