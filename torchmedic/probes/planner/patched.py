"""`torch.cuda` and its neighbours, as they would answer on a machine with one card."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

NAME = "pretend card"
TOTAL = 80 << 30  # a program that asks how much is free is to take the way of one that has enough


class _Quiet:
    """A stream, an event or a device context of which nothing is modelled."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.device = torch.device("cuda:0")

    def __enter__(self) -> _Quiet:
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        answer = {"elapsed_time": 1.0, "is_capturing": False}.get(name, True)
        return lambda *_, **__: answer


def answers_of(capability: tuple[int, int]) -> dict[str, Any]:
    """What stands in the place of `torch.cuda`'s names, for a card that can do so much."""
    properties = SimpleNamespace(
        name=NAME,
        major=capability[0],
        minor=capability[1],
        total_memory=TOTAL,
        multi_processor_count=108,
        warp_size=32,
    )
    answers: dict[str, Any] = {
        "is_available": True,
        "is_initialized": True,
        "device_count": 1,
        "current_device": 0,
        "get_device_capability": capability,
        "get_device_name": NAME,
        "get_device_properties": properties,
        "_get_device_properties": properties,
        "get_arch_list": [f"sm_{capability[0]}{capability[1]}"],
        "mem_get_info": (TOTAL, TOTAL),
        "memory_allocated": 0,
        "memory_reserved": 0,
        "max_memory_allocated": 0,
        "max_memory_reserved": 0,
        "memory_stats": {},
        "memory_summary": "",
        "is_current_stream_capturing": False,
        "default_stream": _Quiet(),
        "current_stream": _Quiet(),
    }
    quiet = "synchronize empty_cache set_device manual_seed manual_seed_all seed seed_all init _lazy_init"
    quiet += " reset_peak_memory_stats reset_max_memory_allocated ipc_collect set_rng_state"
    answers |= dict.fromkeys(quiet.split())
    return {
        **{name: _saying(answer) for name, answer in answers.items()},
        **dict.fromkeys(("Stream", "Event", "device", "stream"), _Quiet),
        "get_rng_state": lambda *_: torch.zeros(16, dtype=torch.uint8),
        "is_bf16_supported": lambda including_emulation=True: (
            capability >= (8, 0) or including_emulation
        ),
    }


def patch_cuda(capability: tuple[int, int]) -> None:
    """For good."""
    cuda: Any = torch.cuda
    for name, answer in answers_of(capability).items():
        setattr(cuda, name, answer)
    cuda.amp.common.amp_definitely_not_available = lambda: False  # else GradScaler is off
    torch.backends.cudnn.is_acceptable = lambda tensor: False  # nn.LSTM would flatten its weights
    if hasattr(torch, "accelerator"):
        torch.accelerator.current_stream = _saying(_Quiet())
    _swap_without_memo()


def count_as_tensor(tensor_type: type) -> None:
    """Or foreach implementations are silently not chosen, which have another peak."""
    from torch.optim import optimizer
    from torch.utils import _foreach_utils

    for types in (optimizer._foreach_supported_types, _foreach_utils._foreach_supported_types):
        if tensor_type not in types:
            types.append(tensor_type)


def step_whatever_is_found() -> None:
    """Found infinities can't be known. A step that is skipped makes no optimizer state, and the peak too low."""
    scaler: Any = torch.amp.GradScaler
    scaler._maybe_opt_step = lambda self, optimizer, state, *a, **k: optimizer.step(*a, **k)


def _saying(answer: Any) -> Callable[..., Any]:
    return lambda *_, **__: answer


def _swap_without_memo() -> None:
    """`Module.to` swaps tensors, which it refuses where weak references exist: those of the fake mode's memo."""
    original = torch.utils.swap_tensors

    def swap(first: Any, second: Any) -> None:
        for tensor in (first, second):
            mode = getattr(tensor, "fake_mode", None)
            if mode is not None:
                memo = mode.fake_tensor_converter.meta_converter.tensor_memo
                for key in [key for key, value in memo.items() if value is tensor]:
                    del memo[key]
        original(first, second)

    torch.utils.swap_tensors = swap
