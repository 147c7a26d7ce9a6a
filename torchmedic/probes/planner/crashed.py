"""The training loop that a crash ended, replayed: its body is executed again with the names that its frame held.

The program is over, so its loop can't go on; but its traceback still has the frames. Candidates are the loops around the
line in each of the user's frames above the model's own call; the one in which an optimizer steps is the training loop.
"""

from __future__ import annotations

import ast
import gc
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import CodeType, TracebackType
from typing import Any, NamedTuple, NoReturn

import torch

from torchmedic.observed import Source, load
from torchmedic.observed.plan import Change, NotReplayable, Step
from torchmedic.probes.frames import Entry, entries, is_user
from torchmedic.probes.planner.child import Child, forked
from torchmedic.probes.planner.script import ITERATIONS, MOST_BATCHES, _Replay
from torchmedic.probes.planner.targets import batch_of, is_own_batch
from torchmedic.probes.planner.variations import Variation, variations

WITHOUT_STEP = 32  # passes after which a loop is taken to be another than the training loop
_NAME = "_torchmedic_pass"
_CALLED = torch.nn.Module._call_impl.__code__.co_filename


class Body(NamedTuple):
    """One pass of a loop. `batch`: the names that the loop draws, with what they held."""

    code: CodeType
    names: dict[str, Any]
    batch: dict[str, Any]
    counters: tuple[str, ...]  # names of the pass's number
    line: int


class CrashedLoop:
    """Called with a batch size, as `script.Loop`. `seconds`: for one replay."""

    def __init__(self, body: Body, capability: tuple[int, int], seconds: float) -> None:
        self.body = body
        self.at = body.code.co_filename, body.line
        self.seconds = seconds
        self._capability = capability
        self._models, self._optimizers = _alive()

    def __call__(self, size: int | None) -> Step:
        return self._replay(size, Variation())

    def changes(self, step: Step) -> Iterator[Change]:
        found = variations(self._models, self._optimizers, self._capability, step.batch_size)
        for name, detail, size, variation in found:
            yield Change(name, partial(self._replay, size, variation), detail)

    def _replay(self, size: int | None, variation: Variation) -> Step:
        found = forked(self.seconds)
        if isinstance(found, Child):
            alive = self._models, self._optimizers
            _BodyReplay(found, alive, self.body, size, self._capability, variation).run()
        return found  # type: ignore[no-any-return]


class _BodyReplay(_Replay):
    def __init__(
        self,
        child: Child,
        alive: tuple[list[Any], list[Any]],
        body: Body,
        size: int | None,
        capability: tuple[int, int],
        variation: Variation,
    ) -> None:
        super().__init__(child, alive, body.batch, size, capability, variation)
        self._body = body
        self._names = dict(body.names)
        self._has_backward = False
        self._steps = {}  # of those that step in this loop

    def run(self) -> NoReturn:
        try:
            self._rest()
        except BaseException as error:
            self.child.fail(error)

    def _rest(self) -> NoReturn:
        names = self._names
        data = self._begin()
        exec(self._body.code, names)
        one_pass = names[_NAME]
        for number in range(MOST_BATCHES):
            names.update(dict.fromkeys(self._body.counters, number))
            names.update(data)
            one_pass()
            if not self._has_backward:
                raise NotReplayable("no backward pass in this loop")
            if not self._steps and number + 1 >= WITHOUT_STEP:
                raise NotReplayable("no optimizer steps in this loop")
            if max(self._steps.values(), default=0) >= ITERATIONS:
                break
            data = self._next(self._data)
        self._finish(is_complete=max(self._steps.values(), default=0) >= ITERATIONS)

    def _batch(self, data: Any) -> Any:
        self.child.fail(NotReplayable("the loop draws a batch in its body"))

    def _in_backward(self, function: Callable[..., Any]) -> Callable[..., Any]:
        inner = super()._in_backward(function)

        def backward(*arguments: Any, **keywords: Any) -> Any:
            self._has_backward = True
            return inner(*arguments, **keywords)

        return backward


def crashed_loops(
    error: BaseException, capability: tuple[int, int], seconds: float
) -> Iterator[CrashedLoop]:
    """The likeliest first. Of an error whose traceback still has its frames."""
    for body in _bodies(error.__traceback__):
        yield CrashedLoop(body, capability, seconds)


def _bodies(traceback: TracebackType | None) -> Iterator[Body]:
    found: list[tuple[bool, Entry, Source, Any]] = []
    for entry in _above_the_model(entries(traceback)):
        code = entry.frame.f_code
        source = load(code.co_filename) if is_user(code.co_filename) else None
        if source is None:
            continue
        for loop in _around(source, entry):
            found.append((_has_step(loop), entry, source, loop))
    # The innermost first, in two groups: those that name a step, and the others.
    found.reverse()
    for _, entry, source, loop in sorted(found, key=lambda one: not one[0]):
        body = _body(source, entry, loop)
        if body is not None:
            yield body


def _above_the_model(found: list[Entry]) -> Iterator[Entry]:
    for entry in found:
        if entry.frame.f_code.co_filename == _CALLED:
            return
        yield entry


def _around(source: Source, entry: Entry) -> list[Any]:
    """Loops of the frame's own code around its line, the outer ones first."""
    first = entry.frame.f_code.co_firstlineno
    loops = []
    for node in source.nodes(ast.For, ast.While):
        loop: Any = node
        body = loop.body
        is_around = body[0].lineno <= entry.line <= (body[-1].end_lineno or 0)
        function = source.function_of(loop)
        starts = (
            min((function.lineno, *(d.lineno for d in function.decorator_list))) if function else 1
        )
        if is_around and starts == first:
            loops.append(loop)
    return sorted(loops, key=lambda loop: loop.lineno)


def _has_step(loop: Any) -> bool:
    calls = (node.func for node in ast.walk(loop) if isinstance(node, ast.Call))
    return any(isinstance(call, ast.Attribute) and call.attr == "step" for call in calls)


def _body(source: Source, entry: Entry, loop: Any) -> Body | None:
    """None for a loop that can't be executed by itself."""
    if any("autocast" in ast.dump(item) for item in _withs(source, loop)):
        return None
    names = {**entry.frame.f_globals, **entry.frame.f_locals}
    batch, counters = batch_of(loop, names)
    if not is_own_batch(loop, set(batch)):
        return None
    try:
        code = _compiled(loop.body, source.path)
    except (SyntaxError, ValueError):
        return None
    return Body(code, names, batch, counters, loop.lineno)


def _withs(source: Source, loop: Any) -> Iterator[Any]:
    function = source.function_of(loop)
    for node in source.parents(loop):
        if node is function:
            return
        if isinstance(node, ast.With):
            yield from node.items


def _compiled(body: list[ast.stmt], path: str) -> CodeType:
    """A function of one pass whose names are those of its namespace. `continue` and `break` need a loop, `return` a
    function. Raises SyntaxError for what stands in no function of its own: `nonlocal`, `await`."""
    statements = [one for one in body if not isinstance(one, ast.Global)]
    inner = _function(statements, []).co_consts
    local = next(one for one in inner if isinstance(one, CodeType))
    if local.co_flags & 0x2A0:  # a generator or a coroutine
        raise SyntaxError("it yields")
    return _function(statements, [*local.co_varnames, *local.co_cellvars], path)


def _function(body: list[ast.stmt], names: list[str], path: str = "<loop>") -> CodeType:
    outer = ast.parse(f"def {_NAME}():\n    for {_NAME}_ in (0,):\n        pass")
    function: Any = outer.body[0]
    function.body[0].body = body
    own = sorted({*names, f"{_NAME}_"})
    if names:
        function.body.insert(0, ast.Global(own))
    ast.copy_location(function, body[0])
    ast.copy_location(function.body[-1], body[0])
    return compile(ast.fix_missing_locations(outer), path, "exec", dont_inherit=True)


def _alive() -> tuple[list[Any], list[Any]]:
    """Whole models and optimizers, wherever the program holds them. On a real card, those that have something there."""
    modules = [one for one in _objects(torch.nn.Module) if "_parameters" in vars(one)]
    inner = {id(child) for module in modules for child in module._modules.values()}
    models = [one for one in modules if id(one) not in inner and _is_on_card(one.parameters())]
    optimizers = [
        one
        for one in _objects(torch.optim.Optimizer)
        if _is_on_card(p for group in vars(one).get("param_groups", ()) for p in group["params"])
    ]
    return models, optimizers


def _is_on_card(parameters: Iterable[Any]) -> bool:
    uses_card = torch.backends.cuda.is_built() and torch.cuda.is_initialized()
    return not uses_card or any(parameter.is_cuda for parameter in parameters)


def _objects(kind: type) -> list[Any]:
    """By their types: `isinstance` would ask proxies."""
    return [one for one in gc.get_objects() if issubclass(type(one), kind)]
