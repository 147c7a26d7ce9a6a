"""The settings of `PYTORCH_CUDA_ALLOC_CONF` (or `PYTORCH_ALLOC_CONF`) that change what is allocated and reserved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

MIB = 1 << 20
INTERVALS = 16  # of `roundup_power2_divisions`: from 1 MiB, each twice the one before
VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")


class Options(NamedTuple):
    """`max_split_size`: bytes, None if blocks of any size may be split. `divisions`: of each interval between powers of
    two, from 1 MiB upwards; 0: sizes are rounded to 512 bytes only. `not_modelled`: settings that change the outcome
    and are not simulated."""

    expandable: bool = False
    max_split_size: int | None = None
    divisions: tuple[int, ...] = (0,) * INTERVALS
    not_modelled: tuple[str, ...] = ()


class OptionError(ValueError):
    """A setting that PyTorch refuses; the text says which."""


def options_of(environment: Mapping[str, str]) -> Options:
    """The options that a process with this environment would have. Raises OptionError as `parse` does."""
    for name in VARIABLES:
        if environment.get(name):
            return parse(environment[name])
    return Options()


def parse(text: str) -> Options:
    """The options of a string such as "expandable_segments:True,max_split_size_mb:128".

    Raises OptionError for a setting without a value, a value that is no number where one is due, and a split size of
    20 MiB or less, which PyTorch refuses (`AcceleratorAllocatorConfig`).
    """
    options = Options()
    for name, value in re.findall(
        r"\s*([^:,\[\]]+?)\s*(?::\s*(\[[^\]]*\]|[^,]*))?\s*(?:,|$)", text
    ):
        if not value:
            raise OptionError(f"{name} has no value")
        if name == "expandable_segments":
            options = options._replace(expandable=value.strip().lower() in ("true", "1"))
        elif name == "max_split_size_mb":
            size = _number(name, value)
            if size <= 20:
                raise OptionError(f"{name} must be more than 20, not {size}")
            options = options._replace(max_split_size=size * MIB)
        elif name == "roundup_power2_divisions":
            options = options._replace(divisions=_divisions(value))
        elif name in ("garbage_collection_threshold", "backend") and value.strip() != "native":
            said = f"{name}:{value.strip()}"
            options = options._replace(not_modelled=(*options.not_modelled, said))
    return options


def _number(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise OptionError(f"{name} must be a number, not {value.strip()!r}") from None


def _divisions(value: str) -> tuple[int, ...]:
    """One number for all sizes, or `[256:1,512:2,>:4]`: megabytes, from which on a number holds."""
    if not value.startswith("["):
        return (_power(value),) * INTERVALS
    found = [0] * INTERVALS
    start = 0
    for size, divisions in re.findall(r"([>\d]+)\s*:\s*(\d+)", value):
        end = INTERVALS if size == ">" else min(int(size).bit_length() - 1, INTERVALS - 1)
        if size == ">":
            found[start:] = [_power(divisions)] * (INTERVALS - start)
            break
        if not start:
            found[:end] = [_power(divisions)] * end
        found[end] = _power(divisions)
        start = end + 1
    return tuple(found)


def _power(value: str) -> int:
    divisions = _number("roundup_power2_divisions", value)
    if divisions and divisions & (divisions - 1):
        raise OptionError(f"roundup_power2_divisions must be powers of two, not {divisions}")
    return divisions
