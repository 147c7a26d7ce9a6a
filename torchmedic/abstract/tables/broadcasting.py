"""The common shape of several tensors. Source: https://docs.pytorch.org/docs/stable/notes/broadcasting.html"""

from __future__ import annotations

from torchmedic.abstract.sizes import Size

Shape = tuple[Size, ...]
ONE = Size.of(1)


def broadcast(left: Shape | None, right: Shape | None) -> tuple[Shape | None, int | None]:
    """(the common shape, the dimension from the right that certainly doesn't fit)."""
    if left is None or right is None:
        return None, None
    result: list[Size] = []
    for index in range(max(len(left), len(right))):
        a = left[-1 - index] if index < len(left) else ONE
        b = right[-1 - index] if index < len(right) else ONE
        if a == b or b.constant == 1:
            result.append(a)
        elif a.constant == 1:
            result.append(b)
        elif a.constant is not None and b.constant is not None:
            return None, index
        elif a.constant is not None or b.constant is not None:
            result.append(a if a.constant is not None else b)
        else:
            result.append(Size.fresh("n"))
    return tuple(reversed(result)), None


def clash_text(left: Shape, right: Shape, index: int) -> str:
    """What PyTorch says of the dimension `index`, counted from the right."""
    a, b = left[-1 - index], right[-1 - index]
    return (
        f"The size of tensor a ({a.constant}) must match the size of tensor b ({b.constant}) at non-singleton dimension "
        f"{max(len(left), len(right)) - 1 - index}"
    )
