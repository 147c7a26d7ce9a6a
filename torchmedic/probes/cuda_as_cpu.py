"""A program that asks for CUDA gets the CPU: what it computes is computed here, where errors are exact.

`torch.cuda` answers as on a machine with one card, so the program takes the way that it takes there, and
`torch.device("cuda")` stays what it is. Where a device is used, it is the CPU: tensors say `cpu` of themselves.
Copies to and from the card are none: what is written into one tensor is seen in the other, as on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from importlib import import_module
from types import MappingProxyType
from typing import Any

# To be set before torch is loaded: nothing may reach a card behind PyTorch's back.
HIDDEN: Mapping[str, str] = MappingProxyType({"CUDA_VISIBLE_DEVICES": ""})
CAPABILITY = (8, 0)
_FACTORIES = """
    arange as_tensor asarray bartlett_window blackman_window empty empty_like empty_permuted empty_strided eye from_file
    full full_like hamming_window hann_window kaiser_window linspace logspace normal ones ones_like rand rand_like
    randint randint_like randn randn_like randperm range scalar_tensor sparse_bsc_tensor sparse_bsr_tensor
    sparse_compressed_tensor sparse_coo_tensor sparse_csc_tensor sparse_csr_tensor tensor tril_indices triu_indices
    zeros zeros_like
"""
_METHODS = "new_empty new_empty_strided new_full new_ones new_tensor new_zeros"
_TYPES = "BFloat16 Bool Byte Char Double Float Half Int Long Short"
_QUIET = """
    caching_allocator_delete memory._record_memory_history nvtx.mark nvtx.range_pop nvtx.range_push
    reset_accumulated_memory_stats set_per_process_memory_fraction set_rng_state_all set_stream set_sync_debug_mode
"""


def install() -> Callable[[], None]:
    """Torch is loaded, and nothing of the program has used CUDA yet. Returns what puts everything back.

    Tensors, generators and modules that were made meanwhile stay what they are.
    """
    patches = _Patches()
    for put in (_put_devices, _put_types, _put_cuda, _put_accelerator, _put_pinning, _put_wrappers):
        put(patches)
    return patches.undo


class _Patches:
    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []
        self._scripted: list[tuple[dict[int, str], int]] = []

    def put(self, owner: Any, name: str, value: Any) -> None:
        self._before.append((owner, name, vars(owner).get(name, _Patches)))
        setattr(owner, name, value)

    def wrap(self, owner: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
        """Nothing where this version of PyTorch has no such name."""
        function = getattr(owner, name, None)
        if function is not None:
            ours = wrapper(function)
            self.put(owner, name, ours)
            self._script(function, ours)

    def _script(self, function: Any, ours: Any) -> None:
        """TorchScript finds operators by the identity of functions."""
        builtins: Any = import_module("torch.jit._builtins")
        table: dict[int, str] = builtins._get_builtin_table()
        if id(function) in table:
            table[id(ours)] = table[id(function)]
            self._scripted.append((table, id(ours)))

    def undo(self) -> None:
        while self._scripted:
            table, key = self._scripted.pop()
            table.pop(key, None)
        while self._before:
            owner, name, value = self._before.pop()
            if value is _Patches:  # it had been inherited
                delattr(owner, name)
            else:
                setattr(owner, name, value)


def on_cpu(device: Any) -> Any:
    """The CPU where a card is meant by `"cuda:1"`, `torch.device("cuda")` or a number; anything else as it is."""
    import torch

    if isinstance(device, torch.device):
        return torch.device("cpu") if device.type == "cuda" else device
    if isinstance(device, str):
        return "cpu" if device.partition(":")[0] == "cuda" else device
    return "cpu" if isinstance(device, int) and not isinstance(device, bool) else device


def _named(function: Any) -> Any:
    """For a function that takes its device by name only."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            if "device" in kwargs:
                kwargs["device"] = on_cpu(kwargs["device"])
            kwargs.pop("pin_memory", None)
        return function(*args, **kwargs)

    return call


def _at(place: int) -> Callable[[Any], Any]:
    """For a function that takes its device as the argument at this place, or by name."""

    def wrapper(function: Any) -> Any:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if len(args) > place:
                args = (*args[:place], on_cpu(args[place]), *args[place + 1 :])
            if "device" in kwargs:
                kwargs["device"] = on_cpu(kwargs["device"])
            return function(*args, **kwargs)

        return call

    return wrapper


def _put_devices(patches: _Patches) -> None:
    import torch
    from torch.utils import _device

    known: Any = getattr(_device, "_device_constructors", None)
    if known is not None:
        known()  # a cache of PyTorch's own functions; `with torch.device(…):` looks into it
    for name in _FACTORIES.split():
        patches.wrap(torch, name, _named)
    for name in ("fftfreq", "rfftfreq"):
        patches.wrap(torch.fft, name, _named)
    for name in ("nested_tensor", "as_nested_tensor"):
        patches.wrap(getattr(torch, "nested", None), name, _named)
    for name in _METHODS.split():
        patches.wrap(torch.Tensor, name, _named)
    patches.wrap(torch.Tensor, "to", _at(1))
    patches.wrap(torch._C._nn, "_parse_to", _at(0))
    patches.wrap(_device.DeviceContext, "__init__", _at(1))
    patches.wrap(torch, "set_default_device", _at(0))
    patches.put(torch.Tensor, "cuda", _to_card)
    patches.put(torch, "Generator", _generators(torch.Generator))
    _restore_to_cpu(patches)


def _to_card(tensor: Any, *_: Any, **options: Any) -> Any:
    options.pop("device", None)
    return tensor.to("cpu", **options)


def _generators(original: Any) -> Any:
    """In the place of the class: it makes PyTorch's own objects, and knows them."""

    class Known(type(original)):  # type: ignore[misc]
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, original)

    class Generator(original, metaclass=Known):  # type: ignore[misc]
        def __new__(cls, device: Any = "cpu") -> Any:
            return original(on_cpu(device))

    return Generator


def _restore_to_cpu(patches: _Patches) -> None:
    """A checkpoint's storages of a card are left where they were read."""
    import torch

    def location(original: Any) -> Any:
        @wraps(original)
        def restore(storage: Any, place: Any) -> Any:
            return original(storage, on_cpu(place) if isinstance(place, str) else place)

        return restore

    def mapped(original: Any) -> Any:
        @wraps(original)
        def load(file: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
            return original(file, "cpu", *args, **kwargs)

        return load

    patches.wrap(torch.serialization, "default_restore_location", location)
    patches.wrap(torch.jit, "load", mapped)
    patches.put(torch.UntypedStorage, "cuda", lambda storage, *_, **__: storage)


def _put_types(patches: _Patches) -> None:
    """`torch.cuda.FloatTensor`, as a class and as a name."""
    import torch

    for kind in _TYPES.split():
        patches.put(torch.cuda, f"{kind}Tensor", getattr(torch, f"{kind}Tensor"))

    def without_cuda(function: Any) -> Any:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            words = [a.replace("torch.cuda.", "torch.") if isinstance(a, str) else a for a in args]
            return function(*words, **kwargs)

        return call

    patches.wrap(torch.Tensor, "type", without_cuda)
    patches.wrap(torch, "set_default_tensor_type", without_cuda)


def _put_cuda(patches: _Patches) -> None:
    import torch

    from torchmedic.probes.planner.patched import answers_of

    for name, answer in answers_of(CAPABILITY).items():
        patches.put(torch.cuda, name, answer)
    for name in _QUIET.split():
        module, _, function = name.rpartition(".")
        patches.wrap(getattr(torch.cuda, module) if module else torch.cuda, function, _nothing)
    states: Any = torch.cuda.get_rng_state
    patches.put(torch.cuda, "get_rng_state_all", lambda: [states()])
    patches.put(torch.cuda, "initial_seed", torch.initial_seed)
    patches.put(torch.cuda, "default_generators", (torch.default_generator,))
    if hasattr(torch.amp, "GradScaler"):  # since 2.3 it scales on a CPU as well
        patches.put(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)


def _nothing(function: Any) -> Any:
    return wraps(function)(lambda *args, **kwargs: None)


def _put_accelerator(patches: _Patches) -> None:
    import torch

    accelerator: Any = getattr(torch, "accelerator", None)
    if accelerator is None:
        return
    card, stream = torch.device("cuda"), torch.cuda.current_stream()
    answers = {
        "is_available": True,
        "device_count": 1,
        "current_accelerator": card,
        "current_device_index": 0,
        "current_device_idx": 0,
        "current_stream": stream,
        **dict.fromkeys(
            ["synchronize", "set_device_index", "set_device_idx", "set_stream", "empty_cache"]
        ),
    }
    for name, answer in answers.items():
        if hasattr(accelerator, name):
            patches.put(accelerator, name, lambda *_, _answer=answer, **__: _answer)


def _put_pinning(patches: _Patches) -> None:
    import torch
    from torch.utils.data import DataLoader

    patches.put(torch.Tensor, "pin_memory", lambda tensor, *_, **__: tensor)
    patches.put(torch.Tensor, "is_pinned", lambda tensor, *_, **__: False)
    patches.put(torch.Tensor, "record_stream", lambda tensor, *_, **__: None)
    # A loader that pins starts a thread, which asks the driver.
    never = property(lambda loader: False, lambda loader, value: None)
    patches.put(DataLoader, "pin_memory", never)


def _put_wrappers(patches: _Patches) -> None:
    """`nn.DataParallel` then calls its module, as it does without a card."""
    module = import_module(
        "torch.nn.parallel.data_parallel"
    )  # the package has a function of that name
    patches.wrap(module, "_get_available_device_type", _nothing)
