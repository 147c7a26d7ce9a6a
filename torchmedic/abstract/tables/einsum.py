"""`torch.einsum` of an equation that stands in the program.

Source: https://docs.pytorch.org/docs/stable/generated/torch.einsum.html
"""

from __future__ import annotations

from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.operation import Call, Shape, Untold, operation, plain_number
from torchmedic.abstract.values import Const, Sequence, Tensor, Value

DOTS = "..."


@operation("equation, *operands", "torch.einsum")
def _einsum(call: Call) -> Value:
    equation = call.value("equation")
    if not isinstance(equation, Const) or not isinstance(equation.value, str):
        raise Untold
    values = call.many
    if len(values) == 1 and isinstance(values[0], Sequence) and values[0].is_exact:
        values = list(values[0].items)
    operands = [v for v in values if isinstance(v, Tensor) and v.shape is not None]
    if len(operands) != len(values):
        raise Untold
    left, arrow, right = equation.value.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(operands) < len(terms):
        call.refuse(
            "RuntimeError", "einsum(): fewer operands were provided than specified in the equation"
        )
    if len(operands) > len(terms):
        call.refuse(
            "RuntimeError", "einsum(): more operands were provided than specified in the equation"
        )
    if not all(c.isalpha() or c == "." for c in left.replace(",", "") + right):
        raise Untold
    sizes, dots = _sizes(call, terms, operands)
    if not arrow:
        letters = "".join(terms).replace(".", "")
        right = DOTS * bool(dots) + "".join(
            sorted(c for c in set(letters) if letters.count(c) == 1)
        )
    shape: list[Size] = []
    for letter in right.replace(DOTS, "."):
        if letter == ".":
            shape += dots
        elif letter not in sizes:
            call.refuse(
                "RuntimeError",
                f"einsum(): output subscript {letter} does not appear in the equation for any input operand",
            )
        else:
            shape.append(sizes[letter])
    dtypes = {o.dtype for o in operands}
    return call.made(
        tuple(shape), dtypes.pop() if len(dtypes) == 1 else "", *operands, is_contiguous=None
    )


def _sizes(
    call: Call, terms: list[str], operands: list[Tensor]
) -> tuple[dict[str, Size], list[Size]]:
    """The size of each letter, and those of the ellipsis."""
    sizes: dict[str, Size] = {}
    dots: list[Size] = []
    for index, (term, operand) in enumerate(zip(terms, operands, strict=True)):
        shape: Shape = operand.shape or ()
        letters = term.replace(DOTS, "")
        if "." in letters:
            raise Untold
        has_dots = DOTS in term
        if len(letters) > len(shape) or (len(letters) < len(shape) and not has_dots):
            if has_dots:
                raise Untold
            call.refuse(
                "RuntimeError",
                f"einsum(): the number of subscripts in the equation ({len(letters)}) does not match the number of "
                f"dimensions ({len(shape)}) for operand {index} and no ellipsis was given",
            )
        head = term.index(DOTS) if has_dots else len(letters)
        covered = len(shape) - len(letters)
        dots = _merged(dots, list(shape[head : head + covered]))
        for letter, size in zip(letters, shape[:head] + shape[head + covered :], strict=True):
            held = sizes.get(letter)
            if held is None or held.constant == 1:
                sizes[letter] = size
            elif size.constant not in (None, 1) and held.is_different(size):
                call.refuse(
                    "RuntimeError",
                    f"einsum(): subscript {letter} has size {plain_number(size)} for operand {index} which does not broadcast "
                    f"with previously seen size {plain_number(held)}",
                )
            elif held.constant is None and size.constant not in (None, 1):
                sizes[letter] = size
    return sizes, dots


def _merged(held: list[Size], new: list[Size]) -> list[Size]:
    from torchmedic.abstract.tables.broadcasting import broadcast

    shape, clash = broadcast(tuple(held), tuple(new))
    if shape is None or clash is not None:
        raise Untold
    return list(shape)
