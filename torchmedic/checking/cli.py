"""The command `torchmedic check` and its options."""

from __future__ import annotations

import sys
from typing import Any

import click

FORMATS = ("text", "concise", "json", "sarif", "github")


@click.command(short_help="Find mistakes in source files before anything runs.")
@click.argument("paths", nargs=-1, metavar="[PATHS]…")
@click.option(
    "--format", "format", type=click.Choice(FORMATS), default="text", help="Form of the report."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write the report to FILE.",
)
@click.option(
    "--lang",
    type=click.Choice(["en", "ko"]),
    help="Language of the report (default: the locale's).",
)
@click.option(
    "--select",
    multiple=True,
    metavar="RULES",
    help="Only these: codes, names, prefixes (TM1), with commas between.",
)
@click.option("--ignore", multiple=True, metavar="RULES", help="All but these.")
@click.option("--fix", is_flag=True, help="Apply the safe fixes.")
@click.option(
    "--unsafe-fixes", is_flag=True, help="With --fix or --diff: also fixes that can change results."
)
@click.option("--diff", is_flag=True, help="Show what --fix would change, and change nothing.")
@click.option(
    "--statistics", is_flag=True, help="Count the findings of each rule instead of listing them."
)
@click.option("--baseline", metavar="FILE", help="Report only findings that FILE does not record.")
@click.option(
    "--write-baseline", is_flag=True, help="Record today's findings in the baseline FILE."
)
@click.option(
    "--force-exclude", is_flag=True, help="Leave out excluded files even if they are named."
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes (default: one for each core, if it pays).",
)
@click.option("--no-cache", is_flag=True, help="Neither use nor keep answers of earlier runs.")
@click.option(
    "--cache-dir", metavar="DIR", help="Where they are kept (default: the user's cache folder)."
)
@click.option(
    "--stdin-filename", metavar="NAME", help="With `-`: the name that standard input goes by."
)
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Say what was analysed only in part, and how long it took.",
)
@click.option("-q", "--quiet", is_flag=True, help="No summary.")
def check(paths: tuple[str, ...], no_cache: bool, lang: str | None, **given: Any) -> None:
    """Find mistakes in Python files, notebooks and folders (default: here). Nothing is executed.

    `-` reads standard input. Exit status 0: nothing was found. 1: findings. 2: something could not be looked at, or
    the usage is wrong.
    """
    import gc

    from torchmedic.cli import Refused
    from torchmedic.config import ConfigError, config

    # Syntax trees are many objects and no garbage: collecting after every 700 of them takes a tenth of the time.
    gc.set_threshold(100_000, 20, 50)
    try:
        from torchmedic.checking import command
        from torchmedic.checking.problems import BadBaseline
        from torchmedic.checking.report import OutputError

        try:
            _refuse_nonsense(given)
            options = command.Options(cache=not no_cache, lang=config(lang).lang, **given)
            status = command.run(paths, options)
        except (command.Refused, ConfigError, BadBaseline, OutputError) as error:
            raise Refused(str(error)) from None
    except (click.ClickException, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        said = str(error).strip().split("\n")[0][:200]
        kind = type(error).__name__
        raise Refused(f"failed while checking ({kind}: {said}). Please report it.") from None
    sys.exit(status)


def _refuse_nonsense(given: dict[str, Any]) -> None:
    """Raises command.Refused for options that don't go together."""
    from torchmedic.checking.command import Refused

    if given["unsafe_fixes"] and not (given["fix"] or given["diff"]):
        raise Refused("--unsafe-fixes goes with --fix or --diff")
    if given["write_baseline"] and not given["baseline"]:
        raise Refused("say where the baseline goes: --baseline FILE --write-baseline")
    if given["write_baseline"] and (given["fix"] or given["diff"]):
        raise Refused("--write-baseline records findings; --fix and --diff mend them: use one")
    if given["statistics"] and given["format"] not in ("text", "concise"):
        raise Refused(f"--statistics is a table for people: it does not go with {given['format']}")
