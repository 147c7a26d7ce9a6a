"""Numbers that a run drew from torch's generator before a seed, as the Source view would tell them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torchmedic.observed import Site, Source, load
from torchmedic.observed.run import Run
from torchmedic.observed.source import Function
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._run import event, loop_around
from torchmedic.rules._seeding import Draws, is_exempt, is_seed_optional, under_import

if TYPE_CHECKING:
    from torchmedic.observed.run_data import SeedsRun

_FUNCTIONS = (
    r"^torch\.(rand|randn|randint|randperm|normal|bernoulli|multinomial|poisson|rand_like|randn_like|randint_like)$"
    r"|(^|\.)random_split$"
)
_METHODS = {"normal_", "uniform_", "random_", "bernoulli_", "exponential_", "cauchy_", "geometric_"}
_SEEDS = {"numpy": "numpy.random.seed", "random": "random.seed"}
_RESETS = r"\.apply\(|reset_parameters|init\.|load_state_dict|torch\.load"
_DEPTH = 4


def unseeded(run: Run) -> tuple[Draws, Trace] | None:
    """None where no seed is missing, where the program owes none, and where it isn't certain who draws."""
    seen = run.seeds
    if seen is None or not seen.is_whole or not seen.is_drawn or not _trains(run):
        return None
    main = load(seen.files[0]) if seen.files else None
    if main is None:
        return None
    sources = {path: found for path in seen.files if (found := load(path)) is not None}
    trace = Trace(main, sources=sources, is_script=True)
    if is_exempt(trace):
        return None
    if seen.is_seeded:
        return _late(seen, trace)
    if _may_be_overwritten(run, trace):
        return None
    first = _first(seen, trace)
    if first is None or under_import(first, trace) or is_seed_optional(trace):
        return None
    seeds = [_seed(s.generator, s.by, trace) for s in seen.seeds]
    seeds += [_elsewhere(name, trace) for name in seen.others]
    if not all(seeds):
        return None
    return Draws({"torch": first}, tuple(s for s in seeds if s is not None)), trace


def _trains(run: Run) -> bool:
    """True if the program's own loop makes optimizer steps with the results of backward passes."""
    stepping = [o for o in run.optimizers if o.steps]
    if any(o.owner for o in stepping):
        return False
    return any(o.steps > 1 and o.backwards and loop_around(o.stepped_by) for o in stepping)


def _may_be_overwritten(run: Run, trace: Trace) -> bool:
    """True if the numbers may have gone into weights alone that the program then sets, and no loader shuffles."""
    if not any(re.search(_RESETS, source.text) for source in trace.sources.values()):
        return False
    return not any(loader.sampler == "RandomSampler" for loader in run.loaders)


def _inside(sites: Sequence[Site], trace: Trace) -> tuple[Site, ...]:
    """The sites up to the main file's own statement; empty if that is not around them."""
    for index, site in enumerate(sites):
        if site.function == "<module>" and site.at.path == trace.source.path:
            return tuple(sites[: index + 1])
    return ()


def _told(sites: Sequence[Site], name: str, trace: Trace) -> Event | None:
    return event("draw", sites, name) if sites else None


def _first(seen: SeedsRun, trace: Trace) -> Event | None:
    """The first draw: by a layer, by a call between two places that were seen, or at least the first layer's."""
    by = _inside(seen.first, trace)
    if not seen.is_first:
        located = _between(_inside(seen.before, trace), _inside(seen.after, trace), trace)
        if located is not None:
            return located
    node = trace.source_of(by[0].at).at(by[0].at, ast.Call) if by else None
    if node is None:
        return None
    return _told(by, trace.source_of(by[0].at).code(node.func), trace)


def _seed(which: str, by: Sequence[Site], trace: Trace) -> Event | None:
    told = event("seed", _inside(by, trace))
    return told._replace(facts={"which": which}) if told is not None else None


def _elsewhere(which: str, trace: Trace) -> Event | None:
    """The call that seeds another library's generator, if there is one."""
    for source in trace.sources.values():
        for call in source.nodes(ast.Call):
            if source.name(call.func) == _SEEDS[which]:
                return Event("seed", source.span(call), facts={"which": which})
    return None


def _late(seen: SeedsRun, trace: Trace) -> tuple[Draws, Trace] | None:
    """A layer that was constructed before the first seed, and that nothing initialises again."""
    of_torch = [s for s in seen.seeds if s.generator == "torch"]
    if not of_torch or not of_torch[0].is_late:
        return None
    if any(re.search(_RESETS, source.text) for source in trace.sources.values()):
        return None
    by, seed = _inside(seen.first, trace), _seed("torch", of_torch[0].by, trace)
    node = trace.source_of(by[0].at).at(by[0].at, ast.Call) if by else None
    if seed is None or node is None or seed.loops or seed.branches:
        return None
    name = trace.source_of(by[0].at).code(node.func)
    first = _told(by, name, trace)
    is_layer = name.rpartition(".")[2][:1].isupper()
    if first is None or not is_layer or first.loops or first.branches or under_import(first, trace):
        return None
    return Draws({"torch": first}, (seed,), seed), trace


# --- which call between two places drew


class _Stretch(NamedTuple):
    """Statements of one body that were executed one after another, below these call sites (the nearest first)."""

    source: Source
    statements: tuple[ast.stmt, ...]
    function: str
    around: tuple[Site, ...]


def _between(before: Sequence[Site], after: Sequence[Site], trace: Trace) -> Event | None:
    """The only call between the two places that can have drawn, or the first one if nothing decides about it."""
    if not after:
        return None
    found: list[tuple[bool, Event]] = []
    for stretch in _stretches(tuple(reversed(before)), tuple(reversed(after)), trace):
        for statement in stretch.statements:
            calls = list(_draws(stretch.source, statement, trace, 0))
            if any(chain is None for chain in calls):
                return None
            for chain in calls:
                assert chain is not None
                sites = [Site(source.span(call), _around(source, call)) for source, call in chain]
                source, call = chain[-1]
                told = _told((*reversed(sites), *stretch.around), source.code(call.func), trace)
                if told is not None:
                    is_sure = all(_is_certain(s, c, statement) for s, c in chain[:1])
                    found.append((is_sure and len(chain) < _DEPTH, told))
    if not found:
        return None
    is_sure, first = found[0]
    return first if is_sure or len(found) == 1 else None


def _stretches(
    before: tuple[Site, ...], after: tuple[Site, ...], trace: Trace
) -> Iterator[_Stretch]:
    """What ran between them, in order. Both are given with the outermost site first."""
    level = 0
    while level < min(len(before), len(after)) - 1 and before[level] == after[level]:
        level += 1
    for deep in range(len(before) - 1, level, -1):
        yield from _part(before, deep, trace, (before[deep].at.line, None))
    start = before[level].at.line if level < len(before) else None
    if level < len(before) and before[level].function != after[level].function:
        return
    yield from _part(after, level, trace, (start, after[level].at.line))
    for deep in range(level + 1, len(after)):
        yield from _part(after, deep, trace, (None, after[deep].at.line))


def _part(
    sites: tuple[Site, ...], level: int, trace: Trace, lines: tuple[int | None, int | None]
) -> Iterator[_Stretch]:
    """The statements of the body around `sites[level]` between these lines, both excluded."""
    here = sites[level]
    source = trace.sources.get(here.at.path)
    node = source.at(here.at, ast.expr) if source is not None else None
    if source is None or node is None:
        return
    statement: ast.AST = source.statement(node)
    around = source.function_of(node) if here.function != "<module>" else None
    body = around.body if around is not None else source.tree.body
    while statement not in body:
        up = source.parent(statement)
        if up is None:
            return
        statement = up
    start, end = lines
    chosen = tuple(
        s
        for s in body
        if (start is None or s.lineno > start) and (end is None or (s.end_lineno or 0) < end)
    )
    yield _Stretch(source, chosen, here.function, tuple(reversed(sites[:level])))


def _draws(
    source: Source, node: ast.AST, trace: Trace, depth: int
) -> Iterator[tuple[tuple[Source, ast.Call], ...] | None]:
    """Calls that draw, each with the calls that lead to it; None for a call that can't be followed."""
    calls = [n for n in _executed(node) if isinstance(n, ast.Call)]
    for call in sorted(calls, key=lambda c: (c.end_lineno or 0, c.end_col_offset or 0)):
        name = source.name(call.func) or ""
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if any(k.arg == "generator" for k in call.keywords):
            continue
        if re.search(_FUNCTIONS, name) or method in _METHODS:
            yield ((source, call),)
            continue
        target = _definition(source, name)
        if target is not None and depth < _DEPTH:
            for statement in target.body:
                for chain in _draws(source, statement, trace, depth + 1):
                    yield None if chain is None else ((source, call), *chain)
        elif _is_projects(name, trace):
            yield None


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """The node and those in it, without the bodies of functions and classes that it defines."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _executed(child)


def _definition(source: Source, name: str) -> Function | None:
    """A function of the same file, or the constructor of a class of it."""
    for item in source.tree.body:
        if getattr(item, "name", None) == name:
            if isinstance(item, ast.ClassDef):
                return source.method(item, "__init__")
            return item if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)) else None
    return None


def _is_projects(name: str, trace: Trace) -> bool:
    """True for a name that another file of the program defines."""
    stems = {re.split(r"[\\/]", path)[-1].removesuffix(".py") for path in trace.sources}
    return not stems.isdisjoint(name.split(".")[:-1])


def _around(source: Source, call: ast.Call) -> str:
    function = source.function_of(call)
    return function.name if function is not None else "<module>"


def _is_certain(source: Source, call: ast.Call, statement: ast.stmt) -> bool:
    """True if nothing in the statement decides whether the call is executed."""
    decides = (ast.If, ast.IfExp, ast.While, ast.Try, ast.BoolOp, ast.Match)
    node: ast.AST | None = call
    while node is not None and node is not statement:
        node = source.parent(node)
        if isinstance(node, decides):
            return False
    return True
