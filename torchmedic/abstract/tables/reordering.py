"""What a `view` or `reshape` does to the order of dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.sizes import Size, number
from torchmedic.abstract.values import Tensor, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

Shape = tuple[Size, ...]


def noted(machine: Machine, tensor: Tensor, result: Value) -> Value:
    """Emits the event of a `view` with this result."""
    after = result.shape if isinstance(result, Tensor) else None
    machine.emit(
        "view",
        tensor,
        order=reordering(tensor.shape, after, is_model=bool(machine._active)),
        library=tensor.library,
        before=[number(s) for s in tensor.shape or ()],
        after=[number(s) for s in after or ()],
    )
    return result


def reordering(before: Shape | None, after: Shape | None, is_model: bool) -> tuple[int, ...] | None:
    """The order of dimensions that `permute` would need for this shape, where just that seems to be meant.

    None if a size is moved past nothing but ones, or, outside of a model, if all sizes are plain numbers: that may
    be a demonstration.
    """
    if not before or not after or len(before) != len(after) or before == after:
        return None
    if not is_model and all(s.constant is not None for s in before):
        return None
    left = list(range(len(before)))
    order = []
    for size in after:
        place = next((i for i in left if before[i] == size), None)
        if place is None:
            return None
        left.remove(place)
        order.append(place)
    is_moved = [s for s in before if s.constant != 1] != [s for s in after if s.constant != 1]
    return tuple(order) if is_moved else None


def merges(old: Shape, new: Shape) -> bool:
    """True if dimensions are put together: a permuted tensor can't be viewed so."""
    return len(new) < len(old) and all(s.constant != 1 for s in old)
