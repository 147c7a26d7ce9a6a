"""The `nn.Module` calls on the stack: their paths in the model, their inputs, their settings."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torchmedic.model import Span
from torchmedic.observed import ModuleCall, Site, Value, load
from torchmedic.probes.frames import Entry, is_user
from torchmedic.probes.values import describe, plain_attributes, tensor_of, torch_if_loaded

MadeBy = Callable[[object], "tuple[Site, ...]"]


class Call(NamedTuple):
    """A module on the stack and the arguments that it was called with."""

    module: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


def calls_on(stack: Sequence[Entry]) -> list[Call]:
    """The module calls in progress, outermost first. A module that calls itself through wrappers counts once."""
    torch = torch_if_loaded()
    if torch is None:
        return []
    module = torch.nn.Module
    codes = {
        getattr(function, "__code__", None)
        for name in ("_call_impl", "_wrapped_call_impl")
        if (function := getattr(module, name, None))
    }
    found: list[Call] = []
    for entry in stack:
        if entry.frame.f_code not in codes:
            continue
        held = entry.frame.f_locals
        owner = held.get("self")
        if found and found[-1].module is owner:
            continue
        found.append(Call(owner, tuple(held.get("args", ())), held.get("kwargs") or {}))
    return found


def unwrapped(calls: Sequence[Call]) -> list[Call]:
    """Without the wrapper that `torch.compile` puts around a model."""
    kept = [c for c in calls if type(c.module).__name__ != "OptimizedModule"]
    return kept or list(calls)


def path_below(parent: Any, child: Any) -> str | None:
    """`body.2` of a module in its parent; the first of its names if it is shared; None if it isn't in there."""
    try:
        for name, module in parent.named_modules(remove_duplicate=False):
            if module is child:
                return str(name)
    except Exception:  # the user's own named_modules may fail
        return None
    return None


def paths(calls: Sequence[Call]) -> list[tuple[str, bool]]:
    """(dotted path from the root, registered in its parent) for each call."""
    found: list[tuple[str, bool]] = []
    for index, call in enumerate(calls):
        if index == 0:
            found.append(("", True))
            continue
        parent, (prefix, owned) = calls[index - 1], found[-1]
        name = path_below(parent.module, call.module)
        if name is None:
            found.append((f"{prefix}.{type(call.module).__name__}".lstrip("."), False))
        else:
            found.append((f"{prefix}.{name}".strip("."), owned))
    return found


def module_call(
    module: Any,
    path: str,
    *,
    inputs: tuple[Value, ...] = (),
    keywords: Mapping[str, Value] | None = None,
    output: Value | None = None,
    made_by: MadeBy | None = None,
    is_owned: bool = True,
    depth: int = 0,
) -> ModuleCall:
    """A module and one call of it as plain data."""
    kind = type(module)
    sites = made_by(module) if made_by else ()
    own = plain_attributes(module)
    parameters = {
        str(name): facts
        for name, value in (own.get("_parameters") or {}).items()
        if (facts := tensor_of(value)) is not None
    }
    return ModuleCall(
        path,
        kind.__name__,
        tuple(c.__name__ for c in kind.__mro__),
        settings(own),
        parameters,
        inputs,
        dict(keywords or {}),
        output,
        sites[0].at if sites else None,
        sites,
        class_span(kind),
        is_owned,
        bool(own.get("training", True)),
        depth,
        bool(own.get("_modules")),
    )


def settings(own: Mapping[str, Any]) -> dict[str, object]:
    """The module's public attributes that are numbers, strings, flags, or tuples of them."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in own.items()
        if not name.startswith("_") and name != "training" and _is_plain(value)
    }


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return len(value) < 8 and all(_is_plain(v) for v in value)
    return isinstance(value, (bool, int, float, str))


def class_span(kind: type) -> Span | None:
    """The class statement of the user's class; None for a library's."""
    codes = (getattr(f, "__code__", None) for f in vars(kind).values())
    code = next((c for c in codes if c is not None and is_user(c.co_filename)), None)
    if code is not None:
        source = load(code.co_filename)
        node = source.class_at(Span(code.co_filename, code.co_firstlineno)) if source else None
        return source.span(node)._replace(end_line=0, end_column=0) if source and node else None
    path = getattr(sys.modules.get(kind.__module__), "__file__", None)
    source = load(path) if path and is_user(path) else None
    named = source.class_named(kind.__name__) if source else None
    return source.span(named)._replace(end_line=0, end_column=0) if source and named else None


def on_stack(
    stack: Sequence[Entry], made_by: MadeBy | None
) -> tuple[list[Call], tuple[ModuleCall, ...]]:
    """The live calls, and the same as plain data."""
    live = unwrapped(calls_on(stack))
    data = tuple(
        module_call(
            call.module,
            path,
            inputs=tuple(describe(a) for a in call.args),
            keywords={k: describe(v) for k, v in call.kwargs.items()},
            made_by=made_by,
            is_owned=owned,
            depth=depth,
        )
        for depth, (call, (path, owned)) in enumerate(zip(live, paths(live), strict=True))
    )
    return live, data
