"""The sizes through every layer, by re-running the failed root call on a clone of the model.

The clone shares nothing that a forward pass could write: parameters, buffers and tensor attributes are fake
tensors or copies, containers are copied, the user's hooks are left out. Random generators are put back.
"""

from __future__ import annotations

import copy
import io
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from typing import Any, NamedTuple

from torchmedic.observed import ModuleCall, Value
from torchmedic.probes.modules import Call, MadeBy, module_call
from torchmedic.probes.values import describe, torch_if_loaded

MOST_ROWS = 2000
MOST_COPIED_BYTES = 512 << 20
_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_always_called",
)
# Names in a forward's code that reach outside the process: such a model is not run again.
_OUTSIDE = {
    "open",
    "requests",
    "urlopen",
    "savefig",
    "save",
    "add_scalar",
    "system",
    "Popen",
    "wandb",
    "input",
}


class Rerun(NamedTuple):
    """The layers up to the failing one; `source` is "fake", "copied" or "", `note` says why it is short: "outside"
    if the forward reaches files or the network, else the error of the re-run."""

    layers: tuple[ModuleCall, ...]
    source: str
    note: str


def rerun(root: Call, made_by: MadeBy | None, failing: str) -> Rerun:
    """Layers of the failed root call. `failing` is the path of the layer that raised: reached means complete."""
    if reaches_outside(root.module):
        return Rerun((), "", "outside")
    layers, reason = _trial(root, made_by, fake=True)
    if _reached(layers, failing):
        return Rerun(layers, "fake", "")
    if _on_cpu(root) and _bytes(root) <= MOST_COPIED_BYTES:
        copied, reason = _trial(root, made_by, fake=False)
        if len(copied) >= len(layers):
            return Rerun(copied, "copied", "" if _reached(copied, failing) else reason)
    return Rerun(layers, "fake" if layers else "", reason)


def _reached(layers: Sequence[ModuleCall], failing: str) -> bool:
    return any(layer.path == failing and layer.output is None for layer in layers)


def reaches_outside(module: Any) -> bool:
    """True if the forward of the model or of one of its parts mentions files, the network or a logger."""
    for part in module.modules():
        code = getattr(type(part).forward, "__code__", None)
        names = set(code.co_names) if code is not None else set()
        if _OUTSIDE & names and not type(part).__module__.startswith("torch."):
            return True
    return False


def _tensors(root: Call) -> Iterator[Any]:
    yield from root.module.parameters()
    yield from root.module.buffers()
    torch = torch_if_loaded()
    for leaf in torch.utils._pytree.tree_leaves((root.args, dict(root.kwargs))):
        if isinstance(leaf, torch.Tensor):
            yield leaf


def _on_cpu(root: Call) -> bool:
    return all(t.device.type == "cpu" for t in _tensors(root))


def _bytes(root: Call) -> int:
    return sum(t.element_size() * t.numel() for t in _tensors(root))


def _trial(root: Call, made_by: MadeBy | None, fake: bool) -> tuple[tuple[ModuleCall, ...], str]:
    torch = torch_if_loaded()
    mode: Any = nullcontext()
    if fake:
        from torch._subclasses.fake_tensor import FakeTensorMode

        mode = FakeTensorMode(allow_non_fake_inputs=True)
    memo: dict[int, Any] = {}

    def converted(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) not in memo:
            if fake:
                memo[id(value)] = mode.from_tensor(value, static_shapes=True)
            else:
                memo[id(value)] = value.detach().clone().requires_grad_(value.requires_grad)
        return memo[id(value)]

    rows: list[Row] = []
    reason = ""
    try:
        with quiet(), undisturbed():
            originals: dict[int, Any] = {}
            clone = stripped(root.module, converted, originals)
            args, kwargs = torch.utils._pytree.tree_map(converted, (root.args, dict(root.kwargs)))
            _watch(clone, rows)
            with mode:
                try:
                    clone(*args, **kwargs)
                except Exception as error:
                    reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
    except Exception as error:
        return (), f"{type(error).__name__}: {error}"
    return tuple(_layers(clone, rows, originals, made_by)), reason


class Row:
    """One call while it is being watched."""

    def __init__(
        self, module: Any, inputs: tuple[Value, ...], keywords: Mapping[str, Value], depth: int
    ) -> None:
        self.module = module
        self.inputs = inputs
        self.keywords = keywords
        self.depth = depth
        self.output: Value | None = None


def _watch(clone: Any, rows: list[Row]) -> None:
    """Hooks on the clone only: the user's modules stay as they are."""
    thread = threading.get_ident()
    stack: list[Row] = []

    def before(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if threading.get_ident() == thread and len(rows) < MOST_ROWS:
            inputs = tuple(describe(a) for a in args)
            row = Row(module, inputs, {k: describe(v) for k, v in kwargs.items()}, len(stack))
            rows.append(row)
            stack.append(row)

    def after(module: Any, args: Any, output: Any) -> None:
        if threading.get_ident() == thread and stack and stack[-1].module is module:
            stack.pop().output = describe(output)

    for module in set(clone.modules()):
        module.register_forward_pre_hook(before, with_kwargs=True)
        module.register_forward_hook(after)


def _layers(
    clone: Any, rows: Sequence[Row], originals: Mapping[int, Any], made_by: MadeBy | None
) -> Iterator[ModuleCall]:
    names: dict[int, str] = {}
    for name, module in clone.named_modules(remove_duplicate=False):
        names.setdefault(id(module), name)
    for row in rows:
        original = originals.get(id(row.module), row.module)
        yield module_call(
            original,
            names.get(id(row.module), type(original).__name__),
            inputs=row.inputs,
            keywords=row.keywords,
            output=row.output,
            made_by=made_by,
            is_owned=id(row.module) in names,
            depth=row.depth,
        )


def stripped(module: Any, converted: Callable[[Any], Any], originals: dict[int, Any]) -> Any:
    """A clone of the module tree with converted tensors; `originals` maps id(clone) to the module it stands for."""
    torch = torch_if_loaded()
    kind = torch.nn.Module
    memo: dict[int, Any] = {}

    def value_of(value: Any, depth: int) -> Any:
        if isinstance(value, kind):
            return cloned(value)
        if isinstance(value, torch.Tensor):
            return converted(value)
        if depth and type(value) in (list, tuple):
            return type(value)(value_of(v, depth - 1) for v in value)
        if depth and type(value) is dict:
            return {k: value_of(v, depth - 1) for k, v in value.items()}
        if type(value) in (list, dict, set):
            return copy.copy(value)
        return value

    def cloned(part: Any) -> Any:
        if type(part).__name__ == "OptimizedModule":
            part = part._orig_mod
        if id(part) in memo:
            return memo[id(part)]
        twin = part.__class__.__new__(part.__class__)
        memo[id(part)] = twin
        originals[id(twin)] = part
        held: dict[str, Any] = {}
        for name, value in part.__dict__.items():
            if name in _HOOKS:
                held[name] = type(value)()
            elif name == "_compiled_call_impl":
                held[name] = None
            elif name in ("_parameters", "_buffers"):
                held[name] = {k: converted(v) for k, v in value.items()}
            elif name == "_modules":
                held[name] = {k: None if v is None else cloned(v) for k, v in value.items()}
            elif name == "_flat_weights":
                held[name] = [converted(t) for t in value]
            elif name == "_flat_weight_refs":
                held[name] = [None] * len(value)
            else:
                held[name] = value_of(value, 2)
        twin.__dict__.update(held)
        return twin

    return cloned(module)


@contextmanager
def quiet() -> Iterator[None]:
    """What forward() prints a second time is nobody's business."""
    import logging

    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Puts the random generators of Python, NumPy and PyTorch (all CUDA devices in use) back."""
    torch = torch_if_loaded()
    numpy = sys.modules.get("numpy")
    numpy_random = getattr(numpy, "random", None)
    states = (torch.get_rng_state(), random.getstate(), numpy_random and numpy_random.get_state())
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        if numpy_random is not None:
            numpy_random.set_state(states[2])
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
