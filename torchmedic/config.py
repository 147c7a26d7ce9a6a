"""The user's settings: command line, then `[tool.torchmedic]` of the nearest pyproject.toml, then the locale."""

from __future__ import annotations

import os
import sys
from typing import Any, NamedTuple

from torchmedic.model import LANGS, Lang


class ConfigError(Exception):
    """A setting that can't be used; its text is one sentence for the user."""


class Config(NamedTuple):
    lang: Lang = "en"


def settings(start: str | None = None) -> dict[str, Any]:
    """The table `[tool.torchmedic]` of the nearest pyproject.toml, upwards from `start` (default: the working
    directory); empty if there's none.

    Raises ConfigError if that file is not TOML.
    """
    return settings_file(start)[1]


def settings_file(start: str | os.PathLike[str] | None = None) -> tuple[str | None, dict[str, Any]]:
    """The path of the nearest pyproject.toml and its table. Raises as `settings` does."""
    try:
        folder = os.path.realpath(start or os.getcwd())
    except FileNotFoundError:  # the working directory was removed
        return None, {}
    while True:
        path = os.path.join(folder, "pyproject.toml")
        if os.path.isfile(path):
            return path, _table(path)
        if folder == os.path.dirname(folder):
            return None, {}
        folder = os.path.dirname(folder)


def _table(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            data = file.read()
        if b"torchmedic" not in data:
            return {}
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
        tool = tomllib.loads(data.decode("utf-8")).get("tool", {})
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    table = tool.get("torchmedic", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: [tool.torchmedic] is not a table")
    return table


def config(lang: str | None = None) -> Config:
    """The settings in force. Raises ConfigError for a language that isn't spoken."""
    chosen = lang or settings().get("lang") or locale_lang()
    if chosen not in LANGS:
        raise ConfigError(f"unknown language {chosen!r}: choose one of {', '.join(LANGS)}")
    return Config(chosen)


def locale_lang() -> Lang:
    """The language of the environment's locale, as gettext looks it up."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "ko" if value.lower().startswith("ko") else "en"
    return "en"
