"""The commands. Exit status 2 and one sentence for bad usage or unreadable input."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar, NoReturn, TypeVar

import click

from torchmedic import __version__
from torchmedic.config import ConfigError, config

F = TypeVar("F", bound=Callable[..., Any])
LANG = click.Choice(["en", "ko"])


class Refused(click.ClickException):
    """Bad usage or unreadable input: one sentence, exit status 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(f"torchmedic: {self.message}", err=True)


def shared(command: F) -> F:
    """The options that every command has."""
    for option in (
        click.option("--lang", type=LANG, help="Language of the report (default: the locale's)."),
        click.option(
            "--output",
            type=click.Path(dir_okay=False),
            metavar="FILE",
            help="Write the report to FILE.",
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice(["text", "json"]),
            default="text",
            help="Form of the report.",
        ),
    ):
        command = option(command)
    return command


class Commands(click.Group):
    """Commands with many options are imported when they are asked for: `check` costs every other command 4 ms."""

    LATER: ClassVar = {"check": "torchmedic.checking.cli"}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.LATER})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = self.LATER.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        found: click.Command = getattr(import_module(place), cmd_name)
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="torchmedic")
def cli() -> None:
    """Find, explain and mend the mistakes in PyTorch programs."""


@cli.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    short_help="Run a program as python would; explain its crash.",
)
@shared
@click.option("--fix", is_flag=True, help="Apply the best verified fix after showing it.")
@click.option("--yes", is_flag=True, help="With --fix: do not ask.")
@click.option("--verify/--no-verify", default=True, help="Execute mended copies (default: yes).")
@click.option(
    "--limit", type=click.FloatRange(min=1), metavar="SECONDS", help="Time limit of each trial."
)
@click.option("--strict", is_flag=True, help="Exit with 1 if a clean run has findings.")
@click.option(
    "--overfit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Train a copy on one batch N times: can the loss fall?",
)
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="[-m] PROGRAM [ARGS]…")
def run(
    program: tuple[str, ...],
    form: str,
    output: str | None,
    lang: str | None,
    fix: bool,
    yes: bool,
    verify: bool,
    limit: float | None,
    strict: bool,
    overfit: int | None,
) -> None:
    """Run PROGRAM as `python` would: `torchmedic run train.py ARGS…`, `-m package.module`, `-c CODE`, `-`.

    Options of torchmedic stand before the program; everything after it is the program's. Its output, its exit
    status and its results stay what they are. When it crashes, the report follows Python's traceback.
    """
    from torchmedic.probes.launch import LaunchError
    from torchmedic.session import Options
    from torchmedic.session import run as run_program

    if not program:
        raise Refused("no program given. Say: torchmedic run train.py ARGS…")
    if form == "json" and output is None:
        raise Refused(
            "the program owns standard output: say where the JSON goes, with --output FILE"
        )
    options = Options(
        form,
        output,
        _lang(lang),
        fix,
        yes,
        verify,
        limit,
        overfit=overfit or 0,
        strict=strict,
    )
    try:
        status = run_program(program, options)
    except LaunchError as error:
        raise Refused(str(error)) from None
    sys.exit(status)


@cli.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    short_help="Predict the memory of a program's training step on a GPU.",
)
@shared
@click.option("--gpu", metavar="NAME", help="The card: a100-40, rtx-4090, t4, …")
@click.option("--memory", metavar="AMOUNT", help="Any other card, by its memory: 24GiB.")
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="Ask about this batch size.")
@click.option(
    "--search/--no-search", default=True, help="Look for the largest batch (default: yes)."
)
@click.option(
    "--remedies/--no-remedies",
    default=None,
    help="Try what would save memory (default: if the step doesn't fit).",
)
@click.option("--snapshot", metavar="FILE", help="Write what PyTorch's memory visualiser reads.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="TENSOR",
    help='Batches of this instead of the program\'s data: "x:float32[32,3,224,224]". Once for each tensor.',
)
@click.option(
    "--limit",
    type=click.FloatRange(min=1),
    default=600.0,
    metavar="SECONDS",
    help="How long the program may take to its first step (default: 600).",
)
@click.option(
    "--ddp",
    type=click.IntRange(min=1),
    metavar="N",
    help="One rank of N under DistributedDataParallel.",
)
@click.option(
    "--fsdp", type=click.IntRange(min=1), metavar="N", help="One rank of N under fully_shard."
)
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="[-m] PROGRAM [ARGS]…")
def plan(
    program: tuple[str, ...],
    form: str,
    output: str | None,
    lang: str | None,
    gpu: str | None,
    memory: str | None,
    batch: int | None,
    search: bool,
    remedies: bool | None,
    snapshot: str | None,
    inputs: tuple[str, ...],
    limit: float,
    ddp: int | None,
    fsdp: int | None,
) -> None:
    """Run PROGRAM up to its first training step, replay the next two on tensors without memory, and tell what they would
    take on a GPU: `torchmedic plan --gpu a100-40 train.py ARGS…`. No GPU is needed.

    Options of torchmedic stand before the program. What it prints goes to standard error.
    """
    if not program:
        raise Refused("no program given. Say: torchmedic plan --gpu a100-40 train.py ARGS…")
    if gpu is not None and memory is not None:
        raise Refused("give --gpu or --memory, not both.")
    if ddp is not None and fsdp is not None:
        raise Refused("give --ddp or --fsdp, not both.")
    from torchmedic.observed.plan_inputs import BadInput, inputs_of
    from torchmedic.planning.cards import card_of, with_memory

    try:
        card = card_of(gpu) if gpu else with_memory(memory) if memory else None
        made = inputs_of(inputs)
    except BadInput as error:
        raise Refused(error.said.show(_lang(lang))) from None
    except ValueError as error:
        raise Refused(str(error)) from None
    if find_spec("torch") is None:
        raise Refused("a plan needs PyTorch: pip install torch")
    from torchmedic.plan_script import Wish
    from torchmedic.plan_script import run as plan_program
    from torchmedic.planned import ranks_of
    from torchmedic.planning.options import OptionError
    from torchmedic.probes.launch import LaunchError

    ranks = ranks_of(ddp, fsdp)
    wish = Wish(form, output, _lang(lang), card, batch, search, snapshot, remedies, ranks)
    wish = wish._replace(inputs=made, limit=limit)
    try:
        status = plan_program(program, wish)
    except (LaunchError, OptionError) as error:
        raise Refused(str(error)) from None
    sys.exit(status)


@cli.command(short_help="Explain a rule, an error message, a traceback or a whole log.")
@shared
@click.argument("words", nargs=-1, metavar="[CODE | NAME | TEXT | FILE | -]")
def explain(words: tuple[str, ...], form: str, output: str | None, lang: str | None) -> None:
    """Explain TM201 or a rule's name as a lesson; or read an error message, a log file, or standard input (`-`).

    Exit status 0 when a rule answered, 1 when none did.
    """
    import gc

    gc.disable()  # it is over soon; collecting while the rules are imported takes 3 of 80 ms
    chosen = _lang(lang)
    try:
        from torchmedic.explain import Unreadable, explanation

        try:
            status = explanation(words, form, output, chosen)
        except Unreadable as error:
            raise Refused(str(error)) from None
    except (click.ClickException, BrokenPipeError):
        raise
    except Exception as error:
        said = str(error).strip().split("\n")[0][:200]
        kind = type(error).__name__
        raise Refused(f"failed while explaining ({kind}: {said}). Please report it.") from None
    sys.exit(status)


class WithProgram(click.Command):
    """Everything behind `--run` belongs to the program."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--run" in args:
            place = args.index("--run")
            ctx.obj = tuple(args[place + 1 :])
            args = args[:place]
        return super().parse_args(ctx, args)


@cli.command(cls=WithProgram, short_help="Answer twelve questions to your own training script.")
@click.option("--lang", type=LANG, help="Language of the report (default: the locale's).")
@click.option(
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write the report to FILE.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    help="Form of the report.",
)
@click.argument("script", metavar="SCRIPT [--run ARGS…]")
@click.pass_obj
def checklist(
    arguments: tuple[str, ...] | None, script: str, form: str, output: str | None, lang: str | None
) -> None:
    """Twelve boxes for SCRIPT and the modules that it imports: right, wrong or not seen, each with its line.

    The source is read and nothing is executed, unless `--run` stands behind SCRIPT: then SCRIPT is run once, with all
    that follows as its arguments, and the run answers what the source leaves open. Exit status 0 when no box is
    wrong, 1 otherwise.
    """
    chosen = _lang(lang)
    if arguments is not None and form == "json" and output is None:
        raise Refused(
            "the program owns standard output: say where the JSON goes, with --output FILE"
        )
    try:
        from torchmedic.checklist import Unreadable, Wish
        from torchmedic.checklist import run as run_checklist

        try:
            status = run_checklist(script, Wish(form, output, chosen), arguments)
        except Unreadable as error:
            raise Refused(str(error)) from None
    except (click.ClickException, BrokenPipeError):
        raise
    except Exception as error:
        said = str(error).strip().split("\n")[0][:200]
        kind = type(error).__name__
        raise Refused(f"failed while checking ({kind}: {said}). Please report it.") from None
    sys.exit(status)


def _lang(given: str | None) -> Any:
    try:
        return config(given).lang
    except ConfigError as error:
        raise Refused(str(error)) from None


def main() -> None:
    """The `torchmedic` command. A closed pipe ends it without a traceback; Ctrl-C as it ends `python`."""
    command = sys.argv[1:2]  # asked now: a program under `run` gets a `sys.argv` of its own
    try:
        cli(prog_name="torchmedic", standalone_mode=True)
    except BrokenPipeError:
        _leave_closed_pipe()
    except SystemExit as end:
        if command != ["run"]:
            try:
                sys.stdout.flush()
            except (OSError, ValueError, AttributeError):
                _leave_closed_pipe(end.code or 1)
        if command in (["explain"], ["check"]) and isinstance(end.code, int):
            sys.stderr.flush()
            os._exit(end.code)  # all is written; to free what was imported takes 5 of 80 ms
        raise
    except BaseException as error:
        if type(error).__name__ != "Interrupted":
            raise
        raise KeyboardInterrupt from None


def _leave_closed_pipe(status: Any = 1) -> NoReturn:
    """Python flushes standard output once more at its end: let that go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(status)
