"""A replay as one rank of many: PyTorch's own DistributedDataParallel and fully_shard, in a process group that isn't there.

`torch.testing._internal.distributed.fake_pg` is PyTorch's group for such ends: collectives return at once and move
nothing. The model object stays the program's own, since a loop may hold it: what `DistributedDataParallel` does before
and after `forward` is done by hooks, and `fully_shard` works in place anyway. For a child process; nothing is undone.
"""

from __future__ import annotations

import contextlib
import inspect
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

import torch
from torch.utils import _python_dispatch as python_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

from torchmedic.model import Text
from torchmedic.observed.plan import NotReplayable, Ranks
from torchmedic.observed.plan_notes import (
    IN_GROUP,
    NO_DISTRIBUTED,
    NO_FULLY_SHARD,
    NO_GROUP,
    OTHER_DDP,
    REFUSED,
    SHARDED,
    UNUSED,
    WRAPPED,
)
from torchmedic.probes.planner.ledger import Ledger
from torchmedic.probes.planner.twins import Twins
from torchmedic.probes.planner.variations import repeated

MOST_NAMES = 4
CPU = torch.device("cpu")
_disable_current_modes: Any = python_dispatch._disable_current_modes


def unavailable(ranks: Ranks) -> Text | None:
    """Why this build of PyTorch can't replay that, in one sentence."""
    if not torch.distributed.is_available():
        return NO_DISTRIBUTED
    if ranks.kind == "fsdp" and not hasattr(_fsdp(), "fully_shard"):
        return NO_FULLY_SHARD.fill(version=torch.__version__)
    return None


def refusal(model: Any) -> Text | None:
    """Why this model can't be spread, in one sentence."""
    for module in model.modules():
        if isinstance(module, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
            return WRAPPED.fill(kind=type(module).__name__)
        if any(
            kind.__name__.startswith(("FSDP", "FullyShardedDataParallel"))
            for kind in type(module).__mro__
        ):
            return SHARDED
    return None


def spread(
    ranks: Ranks, models: Iterable[Any], optimizers: Iterable[Any], twins: Twins
) -> set[str]:
    """Models and optimizers, twins already, become those of rank 0. The keys of `NOT_MODELLED` that hold.

    Only models whose parameters an optimizer holds are spread, and no model inside of another one. Raises NotReplayable.
    """
    because = unavailable(ranks)
    if because is not None:
        raise NotReplayable(because)
    chosen = _trained(list(models), list(optimizers))
    for model in chosen:
        because = refusal(model)
        if because is not None:
            raise NotReplayable(because)
    with _disable_current_modes():
        _join(ranks.world_size)
    if ranks.kind == "ddp":
        for model in chosen:
            _replicate(model, twins.ledger)
        return {"ddp", "nccl"}
    _prepare_sharding(twins.ledger)
    with _disable_current_modes():
        mesh = torch.distributed.device_mesh.init_device_mesh(
            twins.device.type, (ranks.world_size,)
        )
    with twins.ledger.paused():
        moved: dict[int, tuple[Any, str]] = {}
        for model in chosen:
            moved.update(_places_of_parameters(model))
            _shard(model, mesh)
        for optimizer in optimizers:
            _repoint(optimizer, moved)
    return {"fsdp", "nccl", "streams"}


def _join(count: int) -> None:
    if torch.distributed.is_initialized():
        raise NotReplayable(IN_GROUP)
    try:
        from torch.testing._internal.distributed.fake_pg import FakeStore
    except ImportError as error:
        raise NotReplayable(NO_GROUP.fill(error=error)) from None
    torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=count)


def _trained(models: list[Any], optimizers: list[Any]) -> list[Any]:
    held = {
        id(p)
        for optimizer in optimizers
        for group in optimizer.param_groups
        for p in group["params"]
    }
    trained = [
        model
        for model in models
        if any(p.requires_grad and id(p) in held for p in model.parameters())
    ]
    inside = {id(part) for model in trained for part in list(model.modules())[1:]}
    outermost = [model for model in trained if id(model) not in inside]
    return [part for model in outermost for part in _callable(model) if _has_gradients(part)]


def _has_gradients(model: Any) -> bool:
    return any(parameter.requires_grad for parameter in model.parameters())


def _callable(model: Any) -> Iterator[Any]:
    """A container without a `forward` is never called: its children are."""
    if type(model).forward is torch.nn.Module.forward:
        for child in model.children():
            yield from _callable(child)
    else:
        yield model


# --- DistributedDataParallel


def _replicate(model: Any, ledger: Ledger) -> None:
    kind: Any = torch.nn.parallel.DistributedDataParallel
    if not hasattr(kind, "_pre_forward") or not hasattr(kind, "_post_forward"):
        raise NotReplayable(OTHER_DDP.fill(version=torch.__version__))
    unsynced = {"init_sync": False} if "init_sync" in inspect.signature(kind).parameters else {}
    with ledger.named("communication"):
        wrapped = kind(model, **unsynced)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    wrapped.register_comm_hook(None, lambda state, bucket: _reduced(bucket.buffer()))

    def before(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with ledger.named("communication"), _RealIndices(), _unused_told(names):
            return wrapped._pre_forward(*args, **kwargs)

    def after(module: Any, args: tuple[Any, ...], output: Any) -> Any:
        return wrapped._post_forward(output)

    model.register_forward_pre_hook(before, with_kwargs=True)
    model.register_forward_hook(after)


@contextlib.contextmanager
def _unused_told(names: list[str]) -> Iterator[None]:
    """PyTorch's several sentences about parameters without gradients become one, with their names."""
    try:
        yield
    except RuntimeError as error:
        found = re.search(r"did not receive grad for rank \d+: ([\d ]+)", str(error))
        if found is None:
            raise
        unused = [names[int(index)] for index in found[1].split()]
        said = ", ".join(unused[:MOST_NAMES]) + (", …" if len(unused) > MOST_NAMES else "")
        raise NotReplayable(UNUSED.fill(names=said)) from None


def _reduced(buffer: Any) -> Any:
    """In the place of all-reduce, which works in place, and whose work has no future without a real group."""
    future: Any = torch.futures.Future()
    future.set_result(buffer)
    return future


class _RealIndices(TorchDispatchMode):  # type: ignore[misc]
    """When buckets are made anew rank 0 tells the others which parameters are in which: integers that C++ reads."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        aten = torch.ops.aten
        is_index = func is aten.empty.memory_format and kwargs.get("dtype") is torch.int32
        if is_index and (kwargs.get("device") or CPU).type == "cpu":
            with _disable_current_modes():
                return func(*args, **kwargs)
        if func is aten.copy_.default and type(args[0]) is torch.Tensor:
            return args[0]
        return func(*args, **kwargs)


# --- fully_shard


def _fsdp() -> Any:
    import torch.distributed.fsdp

    return torch.distributed.fsdp


def units(model: Any) -> list[Any]:
    """Repeated blocks, none inside of another, and none with a parameter that is tied to one outside of it."""
    uses = Counter(_uses(model))
    return [
        block
        for block in repeated(model)
        if (own := Counter(_uses(block)))
        and all(uses[parameter] == count for parameter, count in own.items())
    ]


def _uses(model: Any) -> Iterator[int]:
    for module in model.modules():
        yield from (
            id(parameter) for parameter in module._parameters.values() if parameter is not None
        )


def _shard(model: Any, mesh: Any) -> None:
    """Each unit, then what is left. Errors of PyTorch become its first sentence."""
    try:
        for unit in units(model):
            _fsdp().fully_shard(unit, mesh=mesh)
        _fsdp().fully_shard(model, mesh=mesh)
    except (ValueError, NotImplementedError) as error:
        raise NotReplayable(REFUSED.fill(error=str(error).splitlines()[0])) from None


def _places_of_parameters(model: Any) -> dict[int, tuple[Any, str]]:
    return {
        id(parameter): (module, name)
        for module in model.modules()
        for name, parameter in module._parameters.items()
        if parameter is not None
    }


def _repoint(optimizer: Any, moved: dict[int, tuple[Any, str]]) -> None:
    """An optimizer that was made before the sharding holds the whole parameters."""
    for group in optimizer.param_groups:
        group["params"] = [
            moved[id(p)][0]._parameters[moved[id(p)][1]] if id(p) in moved else p
            for p in group["params"]
        ]


def _prepare_sharding(ledger: Ledger) -> None:
    """The ledger sees the local parts, storages that are resized, and which of them are gathered. For good."""
    from torch.distributed.fsdp._fully_shard import _fsdp_param_group
    from torch.distributed.tensor import DTensor
    from torch.distributed.tensor._sharding_prop import ShardingPropagator

    ledger.wrappers = (DTensor,)
    storage: Any = torch.UntypedStorage
    resize = storage.resize_

    def resize_(self: Any, size: int) -> Any:
        found = resize(self, size)
        ledger.resized(self)
        return found

    storage.resize_ = resize_
    propagator: Any = ShardingPropagator
    propagate = propagator._propagate_tensor_meta_non_cached

    def unseen(self: Any, *args: Any, **kwargs: Any) -> Any:
        with ledger.paused():  # whole tensors that only tell a size
            return propagate(self, *args, **kwargs)

    propagator._propagate_tensor_meta_non_cached = unseen
    for name in (
        "device",
        "is_cuda",
        "is_cpu",
        "is_meta",
    ):  # C++ was told the other face of the local part
        setattr(DTensor, name, property(attrgetter(f"_local_tensor.{name}")))
    group: Any = _fsdp_param_group.FSDPParamGroup
    group._validate_no_meta_params = lambda self: None  # asks C++
    for name in ("unshard", "wait_for_unshard", "post_backward"):
        setattr(group, name, _named(getattr(group, name), ledger))


def _named(function: Any, ledger: Ledger) -> Any:
    def named(self: Any, *args: Any, **kwargs: Any) -> Any:
        with ledger.named("communication"):
            return function(self, *args, **kwargs)

    return named
