"""Find, explain and mend the mistakes in PyTorch programs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from torchmedic.model import Diagnosis
    from torchmedic.planned import plan as plan
    from torchmedic.seeding import seed_everything as seed_everything
    from torchmedic.watching import install as install
    from torchmedic.watching import watch as watch

__version__ = "0.1.0"
__all__ = ["__version__", "check", "install", "plan", "seed_everything", "watch"]
_PLACES = {
    "seed_everything": "seeding",
    "install": "watching",
    "plan": "planned",
    "watch": "watching",
}


def check(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    jobs: int = 1,
    cache: bool = False,
) -> list[Diagnosis]:
    """The mistakes in files, notebooks and folders, found without running them: `torchmedic check` as a function.

    `select` and `ignore` take codes, names and prefixes of codes. Settings come from the nearest pyproject.toml. A
    file that can't be read or parsed is told by a warning; the others are checked.

    Raises FileNotFoundError for a path that does not exist, and torchmedic.config.ConfigError for settings that
    can't be used.
    """
    from torchmedic.checking import check_paths

    return check_paths(paths, select, ignore, jobs, cache)


def __getattr__(name: str) -> object:
    """What is only loaded when it is asked for."""
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(f"torchmedic.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
