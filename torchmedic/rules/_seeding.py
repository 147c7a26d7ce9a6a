"""Where a program draws random numbers, what it seeds, and whether it is one that should."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice, takewhile
from typing import NamedTuple

from torchmedic.observed.source import Function, Source
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._order import numbers

GENERATORS = ("torch", "numpy", "random")
NAMES = {"torch": "torch", "numpy": "NumPy", "random": "Python's `random`", "cuda": "CUDA"}
_SEED_SWITCHED_OFF = r"(?m)^[ \t]*#.*\b(manual_seed|seed_everything|set_seed|random\.seed)\s*\("
# Hydra and Sacred take the seed from the experiment's configuration.
_EXEMPT = ("pytest", "unittest", "hydra", "sacred")
_EXEMPT_FILE = r"(?i)^(test_|bench|conftest)|_test$|bench(mark)?s?$"
# Outside a training loop, other draws often make a port, a name or a choice of pictures.
_MAKES_DATA = (
    r"(shuffle|permutation|train_test_split|make_\w+|rand|randn|normal|standard_normal|uniform|multivariate_normal|"
    r"random_sample|sample)$"
)


class Draws(NamedTuple):
    """The first draw of each generator that is not seeded, in order, and the seeds that are set."""

    unseeded: dict[str, Event]
    seeds: tuple[Event, ...]
    late: Event | None = None  # the seed of torch, if torch's first numbers were drawn before it


def draws_of(trace: Trace) -> Draws | None:
    """None where no seed is missing, or where the program owes none."""
    events = trace.when_started
    if not trains(events, trace) or is_exempt(trace):
        return None
    steps = [index for index, event in enumerate(events) if event.kind == "step"]
    seeds = tuple(event for event in events if event.kind == "seed")
    covered = {seed.facts["which"] for seed in seeds}
    unseeded: dict[str, Event] = {}
    for index, event in enumerate(events):
        if event.kind != "draw" or index > steps[-1] or not _counts(event, trace):
            continue
        which = str(event.facts["which"])
        if which not in covered and "all" not in covered:
            if _is_overwritten(event, islice(events, index + 1, None)):
                continue
            known = unseeded.setdefault(which, event)
            if "transforms." in known.name and "transforms." not in event.name:
                unseeded[which] = (
                    event  # a transform draws when it is called, not yet when it is constructed
                )
    if unseeded:
        return Draws(unseeded, seeds) if not is_seed_optional(trace) else None
    return _late(events, seeds, trace)


def _is_overwritten(draw: Event, later: Iterable[Event]) -> bool:
    """True if other values certainly take the place of all numbers of this draw before anything is trained."""
    if not draw.subject:
        return False
    left = numbers(draw, "weights")
    for event in takewhile(lambda e: e.kind != "backward", later):
        if event.kind in ("load", "overwrite") and not event.branches:
            if draw.subject in numbers(event, "inside"):
                return True
            if event.subject in left:
                left -= {event.subject}
                if not left:
                    return True
    return False


def trains(events: tuple[Event, ...], trace: Trace) -> bool:
    """True if starting the file takes optimizer steps in a loop."""
    kinds = {event.kind for event in events if event.loops}
    return trace.is_script and {"backward", "step"} <= kinds


def is_exempt(trace: Trace) -> bool:
    stem = os.path.splitext(os.path.basename(trace.source.path))[0]
    if trace.frameworks or re.search(_EXEMPT_FILE, stem) or trace.source.path.endswith(".ipynb"):
        return True
    roots = {
        name.split(".")[0] for s in (trace.source, *trace.sources.values()) for name in s.imported.values()
    }  # fmt: skip
    return not roots.isdisjoint(_EXEMPT)


def _counts(event: Event, trace: Trace) -> bool:
    """True for numbers that are certainly drawn, by the program itself, and that training may depend on."""
    if event.branches or under_import(event, trace):
        return False
    is_own = event.facts["which"] == "torch" or bool(event.loops)
    return is_own or bool(re.search(_MAKES_DATA, event.name))


def under_import(event: Event, trace: Trace) -> bool:
    """True if an import of the main file leads to it."""
    outermost = event.sites[0]
    statement = trace.source_of(outermost).at(outermost, ast.stmt)
    return isinstance(statement, (ast.Import, ast.ImportFrom))


def _says_seed(text: str) -> bool:
    return "seed" in text.lower()


def is_seed_optional(trace: Trace) -> bool:
    """True if the program can seed, and was told not to: `if SEED is not None: torch.manual_seed(SEED)`, or a comment."""
    for source in trace.sources.values():
        if re.search(_SEED_SWITCHED_OFF, source.text):
            return True
        for call in source.nodes(ast.Call):
            name = source.name(call.func) or ""
            inside = source.function_of(call)
            if not _says_seed(name) or (inside is not None and _says_seed(inside.name)):
                continue
            tests = [up.test for up in source.parents(call) if isinstance(up, ast.If)]
            if any(_says_seed(source.code(test)) for test in tests):
                return True
    return False


def _late(events: tuple[Event, ...], seeds: tuple[Event, ...], trace: Trace) -> Draws | None:
    """Layers that were constructed before the only seed of torch: their weights differ from run to run."""
    of_torch = [seed for seed in seeds if seed.facts["which"] in ("torch", "all")]
    if not of_torch or of_torch[0].loops or of_torch[0].branches:
        return None
    seed = of_torch[0]
    if seed.facts.get("is_unseen") or any(event.kind == "load" for event in events):
        return None
    if any(re.search(r"\.apply\(|reset_parameters|init\.", s.text) for s in trace.sources.values()):
        return None
    for event in events[: events.index(seed)]:
        is_layer = event.kind == "draw" and event.name.rpartition(".")[2][:1].isupper()
        is_layer = is_layer and "transforms" not in event.name
        if is_layer and not event.branches and not event.loops and not under_import(event, trace):
            return Draws({"torch": event}, seeds, seed)
    return None


def own_seeders(trace: Trace) -> Iterator[str]:
    """Names in the main file of functions that seed: defined there or imported."""
    source = trace.source
    seeding = {e.function for e in trace.of("seed") if e.at.path == source.path}
    for node in source.tree.body:
        if isinstance(node, ast.FunctionDef) and _says_seed(node.name) and node.name in seeding:
            required = len(node.args.args) - len(node.args.defaults)
            if required <= 1 <= len(node.args.args) and not node.args.kwonlyargs:
                yield node.name
    for name in source.imported:
        if re.search(r"^(set_?(all_?)?(random_?)?seeds?|seed_(everything|all))$", name):
            yield name


def parsed_seed(body: list[ast.stmt], source: Source) -> tuple[ast.stmt, str] | None:
    """The statement `args = parser.parse_args()` and the text `args.seed`, if `--seed` has a number as default."""
    dest = next(filter(None, map(_seed_option, source.nodes(ast.Call))), None)
    if dest is None:
        return None
    for statement in body:
        if (
            isinstance(statement, ast.Assign)
            and isinstance(statement.value, ast.Call)
            and isinstance(statement.value.func, ast.Attribute)
            and statement.value.func.attr == "parse_args"
            and isinstance(statement.targets[0], ast.Name)
        ):
            return statement, f"{statement.targets[0].id}.{dest}"
    return None


def _seed_option(call: ast.Call) -> str | None:
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "add_argument":
        return None
    flags = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    chosen = next((f for f in flags if f.startswith("--") and _says_seed(f)), None)
    given = {k.arg: k.value for k in call.keywords}
    default, kind = given.get("default"), given.get("type")
    is_number = isinstance(default, ast.Constant) and type(default.value) is int
    if chosen is None or not is_number or "dest" in given:
        return None
    if kind is not None and not (isinstance(kind, ast.Name) and kind.id == "int"):
        return None
    return chosen[2:].replace("-", "_")


def named_seed(body: list[ast.stmt]) -> tuple[ast.stmt, str] | None:
    """`SEED = 42` among these statements."""
    for statement in body:
        if (
            isinstance(statement, ast.Assign)
            and isinstance(target := statement.targets[0], ast.Name)
            and re.fullmatch(r"(random_|rng_)?seed", target.id, re.I)
            and isinstance(statement.value, ast.Constant)
            and type(statement.value.value) is int
        ):
            return statement, target.id
    return None


def entry_of(event: Event, trace: Trace) -> tuple[int, Function | ast.If | None]:
    """Which of the event's sites stands where the seed belongs, and the body around it.

    That is `main`, if the file calls it in a statement of its own; else the guard; else None, the module.
    """
    source, sites = trace.source, event.sites
    statement = source.at(sites[0], ast.stmt)
    guard = source.enclosing(statement, ast.If) if statement is not None else None
    guard = guard if guard is not None and "__name__" in source.code(guard.test) else None
    if (
        isinstance(statement, (ast.Expr, ast.Raise))
        and len(sites) > 1
        and sites[1].path == source.path
    ):
        inner = source.at(sites[1], ast.stmt)
        function = source.function_of(inner) if inner is not None else None
        if function is not None and source.parent(function) is source.tree:
            return 1, function
    return 0, guard
