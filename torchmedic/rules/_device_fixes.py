"""Devices that disagree: a whole batch to be moved, a generator, and what an optimizer keeps."""

from __future__ import annotations

import ast
import re

from torchmedic.model import Edit, Fix, Span, Text
from torchmedic.observed import Failure, Frame, Source, Value
from torchmedic.observed.origin import Origin
from torchmedic.observed.project import Defined, Project
from torchmedic.observed.settings import own_attribute
from torchmedic.rules._devices import spelled
from torchmedic.rules._flow import method_calls
from torchmedic.rules._place import user_frames

_BATCH = Text(
    en="move the batch at the head of the loop: `{text}`",
    ko="반복문 첫머리에서 배치 옮기기: `{text}`",
)
_BUFFER = Text(
    en="register it, so that it moves with the model", ko="모델과 함께 옮겨지도록 버퍼로 등록하기"
)
_GENERATOR = Text(en="make the generator there: `{text}`", ko="그 장치에 생성기 만들기: `{text}`")
_FACTORIES = (
    "zeros",
    "ones",
    "randn",
    "rand",
    "empty",
    "full",
    "arange",
    "linspace",
    "eye",
    "tensor",
    "randint",
    "randperm",
)
_STEPS = ("state_steps", "steps", "step", "step_t")  # on the CPU, whatever the parameters are on


def whole_batch(
    source: Source, frame: Frame, argument: ast.expr, others: list[str], target: str
) -> tuple[Span, Fix] | None:
    """Where the loop draws several tensors that are on the CPU, and its body gives more than one of them to calls."""
    loop = source.enclosing(argument, ast.For)
    drawn = loop.target if loop is not None else None
    if loop is None or not isinstance(drawn, ast.Tuple) or not isinstance(argument, ast.Name):
        return None
    names = [e.id for e in drawn.elts if isinstance(e, ast.Name)]
    left = [n for n in names if _device(frame.values.get(n)) == "cpu"]
    given = _given(loop)
    moved = [n for n in left if n == argument.id or n in given]
    if argument.id not in left or len(moved) < 2 or _is_bound(loop, moved):
        return None
    device = spelled(source, argument, [n for n in others if n not in names], target)
    text = f"{', '.join(moved)} = {', '.join(f'{n}.to({device})' for n in moved)}"
    head = source.span(loop.iter)
    rest = source.line(head.end_line)[head.end_column :]
    if not re.match(r":\s*(?:#|$)", rest):
        return None
    margin = " " * source.span(loop.body[0]).column
    end = head.end_column + len(rest.rstrip("\n"))
    edit = Edit(Span(source.path, head.end_line, end, head.end_line, end), f"\n{margin}{text}")
    return source.span(drawn), Fix((edit,), _BATCH.fill(text=text))


def _device(value: Value | None) -> str:
    return value.tensor.device if value is not None and value.tensor is not None else ""


def _given(loop: ast.For) -> set[str]:
    """Names that calls in the body get as they are."""
    calls = [node for part in loop.body for node in ast.walk(part) if isinstance(node, ast.Call)]
    given = [a for call in calls for a in (*call.args, *(k.value for k in call.keywords))]
    return {a.id for a in given if isinstance(a, ast.Name)}


def _is_bound(loop: ast.For, names: list[str]) -> bool:
    """The body gives one of them another value: it may be meant to stay, or be moved there."""
    nodes = [node for part in loop.body for node in ast.walk(part) if isinstance(node, ast.Name)]
    return any(n.id in names and isinstance(n.ctx, ast.Store) for n in nodes)


def with_generator(failure: Failure, device: str) -> tuple[Span | None, tuple[Fix, ...]]:
    """The only generator that the file makes, on the device that draws."""
    for source, _ in user_frames(failure):
        made = [c for c in source.nodes(ast.Call) if source.name(c.func) == "torch.Generator"]
        if len(made) != 1:
            continue
        call = made[0]
        code = source.code(call.func)
        there = spelled(source, call, [], device) if device != "cpu" else ""
        text = f"{code}(device={there})" if there else f"{code}()"
        edit = source.replace(call, text)
        return source.span(call), (Fix((edit,), _GENERATOR.fill(text=text)),)
    return None, ()


def state_and_parameters(failure: Failure) -> tuple[str, str] | None:
    """The devices of what an optimizer keeps and of its parameters, where its step failed because they differ."""
    for frame in reversed(failure.frames):
        path = frame.at.path.replace("\\", "/")
        if "torch/optim/" not in path or "params" not in frame.values:
            continue
        home = _devices(frame.values["params"])
        kept = [
            device
            for name, value in frame.values.items()
            if name not in ("params", "grads", *_STEPS)
            for device in _devices(value) - home
        ]
        return (kept[0], min(home)) if len(home) == 1 and kept else None
    return None


def _devices(value: Value) -> set[str]:
    return {tensor.device for tensor in value.tensors()}


def dropped(source: Source, argument: ast.expr) -> ast.Call | None:
    """`x.to(device)` as a statement of its own before the use: its result is lost."""
    code = source.code(argument)
    scope = source.function_of(argument) or source.tree
    for node in ast.walk(scope):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            function = node.value.func
            if (
                isinstance(function, ast.Attribute)
                and function.attr in ("to", "cuda", "mps", "xpu")
                and source.code(function.value) == code
                and node.lineno < argument.lineno
            ):
                return node.value
    return None


def kept(failure: Failure, source: Source, argument: ast.expr) -> tuple[Span, Fix] | None:
    """`self.mean = torch.zeros(…)` in `__init__` of a module: a plain attribute, which stays behind."""
    owner = source.enclosing(argument, ast.ClassDef)
    if owner is None or not isinstance(argument, ast.Attribute):
        return None
    held = own_attribute(Project(failure), Defined(source, owner), argument.attr)
    if source.code(argument.value) != "self" or held is None or held[2]:
        return None
    where, value, _ = held
    statement = where.statement(value)
    is_module = any("Module" in m.bases and owner.name in m.bases for m in failure.modules)
    is_simple = isinstance(statement, ast.Assign) and len(statement.targets) == 1
    if not is_module or not is_simple or not isinstance(value, ast.Call):
        return None
    text = f'self.register_buffer("{argument.attr}", {where.code(value)})'
    return where.span(statement), Fix((where.replace(statement, text),), _BUFFER)


def born(trail: list[Origin], source: Source, argument: ast.expr) -> Origin | None:
    scope = source.function_of(argument)
    for origin, call in method_calls(trail, *_FACTORIES):
        name = origin.source.name(call.func) or ""
        has_device = any(k.arg == "device" for k in call.keywords)
        if name.startswith("torch.") and not has_device:
            return (
                origin if scope is not None and origin.source.function_of(call) is scope else None
            )
    return None
