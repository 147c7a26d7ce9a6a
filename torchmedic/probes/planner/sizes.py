"""Whole numbers of blocks."""

from __future__ import annotations


def divided_up(value: int, step: int) -> int:
    """How many steps hold the value."""
    return -(-value // step)


def rounded_up(value: int, step: int) -> int:
    """The value, up to the next multiple of the step."""
    return divided_up(value, step) * step
