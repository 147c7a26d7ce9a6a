"""What is known of libraries, as tables: one place for each thing, found by walking this package."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import walk_packages


@cache
def fill() -> None:
    """Imports every table, once."""
    for info in walk_packages(__path__, f"{__name__}."):
        import_module(info.name)
