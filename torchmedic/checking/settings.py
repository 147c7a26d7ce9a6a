"""What `[tool.torchmedic]` and the command line say about a check, put together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torchmedic.checking.discover import Excludes
from torchmedic.checking.selection import Selection, Selectors, UnknownRule, listed, words_of
from torchmedic.config import ConfigError, settings_file

KEYS = ("select", "ignore", "exclude", "extend-exclude", "per-file-ignores", "lang")


class Settings(NamedTuple):
    selection: Selection
    excludes: Excludes


def read_settings(select: Sequence[str], ignore: Sequence[str]) -> Settings:
    """The settings in force in the working directory. Raises ConfigError with one sentence for the user."""
    path, table = settings_file()
    folder = os.path.dirname(path) if path else os.getcwd()
    try:
        return _settings(folder, table, select, ignore)
    except UnknownRule as error:
        raise ConfigError(str(error)) from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def _settings(
    folder: str, table: Mapping[str, Any], select: Sequence[str], ignore: Sequence[str]
) -> Settings:
    for key in table:
        if key not in KEYS:
            import difflib

            near = difflib.get_close_matches(key, KEYS, 1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise ValueError(f"[tool.torchmedic] has no setting {key!r}{hint}")
    lists = {
        key: listed(table[key], key)
        for key in ("select", "ignore", "exclude", "extend-exclude")
        if key in table
    }
    per_file = table.get("per-file-ignores", {})
    if not isinstance(per_file, dict):
        raise ValueError("per-file-ignores has to be a table from patterns to lists of rules")
    layers = (
        Selectors(lists.get("select"), lists.get("ignore", ())),
        Selectors(words_of(select) if select else None, words_of(ignore)),
    )
    selection = Selection(
        layers,
        {glob: listed(words, f"per-file-ignores.{glob!r}") for glob, words in per_file.items()},
        folder,
    )
    selection.check()
    return Settings(
        selection, Excludes(folder, lists.get("exclude"), lists.get("extend-exclude", ()))
    )
