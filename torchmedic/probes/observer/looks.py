"""When values may be read, and what of them: on the CPU, in windows, at first steps and then at powers of two."""

from __future__ import annotations

import sys
from typing import Any

MOST_BYTES = 64 << 20  # of a tensor that is read whole


def is_due(number: int) -> bool:
    """For the first three looks, counted from 1, and every power of two after them."""
    return number < 4 or not number & (number - 1)


def is_plain(value: Any) -> bool:
    """True for torch's own kinds of tensors: of another kind, even a size may be the program's own code."""
    torch: Any = sys.modules["torch"]
    return type(value) in (torch.Tensor, torch.nn.Parameter)


def can_read(tensor: Any) -> bool:
    """True for a plain tensor in the memory of the CPU, where nobody but us would notice that it is read."""
    torch: Any = sys.modules["torch"]
    if not is_plain(tensor):
        return False
    core = torch._C
    is_watched = core._len_torch_dispatch_stack() or core._len_torch_function_stack()
    if is_watched or not tensor.is_cpu or tensor.layout is not torch.strided:
        return False
    is_wrapped = core._functorch.is_functorch_wrapped_tensor(tensor)
    return not is_wrapped and not tensor.is_quantized and tensor.nbytes <= MOST_BYTES


def number(tensor: Any) -> float | None:
    """The value of a tensor of one real number; None where it can't be read."""
    if not can_read(tensor) or tensor.numel() != 1 or tensor.is_complex():
        return None
    return float(tensor.item())


def is_elsewhere(tensor: Any) -> bool:
    """True for one real number on an accelerator: reading it at once would make the program wait."""
    torch: Any = sys.modules["torch"]
    if not is_plain(tensor) or tensor.device.type in ("cpu", "meta") or tensor.numel() != 1:
        return False
    if torch._C._len_torch_dispatch_stack() or torch._C._len_torch_function_stack():
        return False
    is_wrapped = torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    is_captured = tensor.device.type == "cuda" and torch.cuda.is_current_stream_capturing()
    return not is_wrapped and not is_captured and tensor.is_floating_point()


def is_finite(tensor: Any) -> bool:
    """True also where it can't be read. The sum tells it: NaN and infinities stay in it, and it seldom overflows."""
    torch: Any = sys.modules["torch"]
    if not can_read(tensor) or not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    plain = tensor.detach() if tensor.requires_grad else tensor
    total = plain.sum().item()
    return total - total == 0 or bool(torch.isfinite(plain).all())
