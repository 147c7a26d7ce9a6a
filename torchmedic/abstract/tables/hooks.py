"""Functions of the user that PyTorch calls during a pass or a step. What they do there isn't followed: they may clear.

Sources: https://docs.pytorch.org/docs/stable/optim.html, https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.registry import function, method, module_method, tensor_method
from torchmedic.abstract.tables.optim import OPTIMIZERS
from torchmedic.abstract.values import Arguments, Object, Tensor, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

_OF_OPTIMIZERS = ("register_step_pre_hook", "register_step_post_hook")
_OF_TENSORS = ("register_hook", "register_post_accumulate_grad_hook")
_OF_MODULES = (
    "register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook",
    "register_full_backward_pre_hook", "register_backward_hook",
)  # fmt: skip


def _of_optimizer(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    machine.emit("hook", thing, holds=frozenset({thing.id}))
    return Unknown(False)


for _name in (*OPTIMIZERS, "torch.optim.Optimizer"):
    method(_name, *_OF_OPTIMIZERS)(_of_optimizer)


@tensor_method(*_OF_TENSORS)
def _of_tensor(machine: Machine, tensor: Tensor, arguments: Arguments) -> Value:
    machine.emit("hook", tensor, holds=tensor.owners or None)
    return Unknown(False)


@module_method(*_OF_MODULES)
def _of_module(machine: Machine, module: Object, arguments: Arguments) -> Value:
    """One around the forward pass may change what goes in or comes out."""
    if "backward" not in machine.name_of(arguments.node):
        machine.write(module.state, "is_changed", True)
    machine.emit("hook", module, holds=machine.inside(module))
    return Unknown(False)


@method("?", *_OF_OPTIMIZERS, *_OF_TENSORS, *_OF_MODULES)
def _of_unknown(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    machine.emit("hook", thing, holds=None)
    return Unknown(False)


@function(
    "torch.optim.optimizer.register_optimizer_step_pre_hook",
    "torch.optim.optimizer.register_optimizer_step_post_hook",
    "torch.autograd.graph.register_multi_grad_hook",
    *(f"torch.nn.modules.module.{name.replace('register_', 'register_module_')}" for name in _OF_MODULES),
)  # fmt: skip
def _of_all(machine: Machine, arguments: Arguments) -> Value:
    machine.emit("hook", holds=None)
    return Unknown(False)
