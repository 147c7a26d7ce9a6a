"""Tensors without memory in the place of real ones: parameters, buffers, what optimizers hold, a batch of any size.

Everything is swapped in place and never back: this runs in a child process.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass
from torch.utils._pytree import tree_leaves, tree_map

from torchmedic.observed.plan import NotReplayable
from torchmedic.observed.plan_notes import LAYOUT, LAZY, STRANGE_TENSOR
from torchmedic.probes.planner.ledger import Ledger


class Twins:
    """Twins on `device`, made under the fake mode that is active, noted in the ledger."""

    def __init__(self, device: Any, ledger: Ledger) -> None:
        self.device = device
        self.ledger = ledger
        self.has_sparse = False  # gradients
        self._made: dict[int, Any] = {}
        self._twins: set[int] = set()  # their ids: a module may be reached in two ways
        self._originals: list[Any] = []  # held, so that an id stays its own

    def of(self, tensor: Any) -> Any:
        """The one twin of this tensor, with its strides: channels_last and tied weights survive."""
        found = self._made.get(id(tensor))
        if found is None and id(tensor) in self._twins:
            return tensor
        if found is None:
            if isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin):
                raise NotReplayable(LAZY)
            found = like(tensor, self.device)
            if isinstance(tensor, torch.nn.Parameter):
                found = torch.nn.Parameter(found, requires_grad=tensor.requires_grad)
            elif tensor.requires_grad and tensor.is_leaf:
                found.requires_grad_()
            self._made[id(tensor)] = found
            self._twins.add(id(found))
            self._originals.append(tensor)
        return found

    def take_model(self, model: Any) -> None:
        self.swap(model)
        self.own(model)

    def swap(self, model: Any) -> None:
        for module in model.modules():
            for named in (module._parameters, module._buffers):
                for name, tensor in named.items():
                    if tensor is not None:
                        named[name] = self.of(tensor)
            for name, value in list(module.__dict__.items()):
                if name in ("_parameters", "_buffers", "_modules"):
                    continue
                module.__dict__[name] = self._replaced(value)

    def own(self, model: Any) -> None:
        """Tells the ledger what the model holds, and from now on its gradients."""
        self.ledger.owns(model.buffers(), "buffers")
        self.ledger.owns(model.parameters(), "parameters")
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(self._has_gradient)

    def take_optimizer(self, optimizer: Any) -> None:
        """Its parameters become their twins; the state is dropped, to be made anew by the first step."""
        for group in optimizer.param_groups:
            group["params"] = [self.of(parameter) for parameter in group["params"]]
            for name, value in group.items():
                if isinstance(value, torch.Tensor):  # a learning rate, say
                    group[name] = self.of(value)
        optimizer.state = defaultdict(dict)

    def note_state(self, optimizer: Any) -> None:
        self.ledger.owns(_tensors(list(optimizer.state.values())), "optimizer state")

    def _has_gradient(self, parameter: Any) -> None:
        if parameter.grad is not None:
            self.ledger.owns([parameter.grad], "gradients")
            self.has_sparse |= parameter.grad.layout is not torch.strided

    def _replaced(self, value: Any) -> Any:
        """Lists of parameters that a module keeps beside them, as `nn.LSTM` does (`_flat_weights`)."""
        if isinstance(value, torch.Tensor):
            return self._made.get(id(value), value)
        if type(value) in (list, tuple):
            return type(value)(self._made.get(id(each), each) for each in value)
        if type(value) is dict:
            return {name: self._made.get(id(each), each) for name, each in value.items()}
        return value


def like(tensor: Any, device: Any, first: int | None = None) -> Any:
    """An empty tensor with these strides, and another first size if one is given."""
    size = list(tensor.shape)
    if is_traceable_wrapper_subclass(tensor):
        raise NotReplayable(STRANGE_TENSOR.fill(kind=type(tensor).__name__))
    if tensor.layout is not torch.strided:
        raise NotReplayable(LAYOUT.fill(layout=tensor.layout))
    if first is None or not size or first == size[0]:
        return torch.empty_strided(size, tensor.stride(), dtype=tensor.dtype, device=device)
    size[0] = first
    is_last = tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    if is_last and not tensor.is_contiguous():
        layout = torch.channels_last
    else:
        layout = torch.contiguous_format
    return torch.empty(size, dtype=tensor.dtype, device=device, memory_format=layout)


def batch_size_of(batch: Any) -> int | None:
    """First size of the first tensor that has one."""
    return next((int(tensor.shape[0]) for tensor in _tensors(batch) if tensor.dim()), None)


def batch_like(batch: Any, device: Any, size: int | None) -> Any:
    """Tensors whose first size is that of the batch get `size`; others, and what is no tensor, stay as they are."""
    found = batch_size_of(batch)

    def twin(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        is_batched = value.dim() > 0 and int(value.shape[0]) == found
        return like(value, device, size if is_batched else None)

    return tree_map(twin, batch)


def tensors_of(value: Any) -> Iterable[Any]:
    return list(_tensors(value))


def _tensors(value: Any) -> Iterator[Any]:
    return (leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor))
