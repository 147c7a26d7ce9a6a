"""What to change where a map is not flat, a view has the wrong sizes, or the batch dimension was lost."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

from torchmedic.model import Edit, Evidence, Fix, Span, Text, show_value
from torchmedic.observed import Failure, Frame, ModuleCall, Source
from torchmedic.observed.construction import constructor
from torchmedic.observed.origin import Origin
from torchmedic.rules._flattening import METHODS, flattening, kept_batch, swallower
from torchmedic.rules._flow import (
    direct_caller,
    failing_call,
    is_functional,
    method_calls,
    passed,
    value_of,
)
from torchmedic.rules._resize import constant
from torchmedic.rules._sizes import output_of, producer, product_text

_FLATTEN = Text(en="flatten each sample before `{layer}`", ko="`{layer}` 층 앞에서 샘플마다 펼치기")
_INSERT = Text(
    en="insert `nn.Flatten()` before `{layer}`", ko="`{layer}` 층 앞에 `nn.Flatten()` 넣기"
)
_KEEP = Text(en="keep the batch dimension: `{code}`", ko="배치 차원 남기기: `{code}`")
_RESHAPE = Text(
    en="use `reshape`, which copies where it must", ko="필요할 때 복사하는 `reshape` 쓰기"
)
_CONTIGUOUS = Text(
    en="copy into memory order before `view`", ko="`view` 앞에서 메모리 순서대로 복사하기"
)
_HELD = Text(en="`{code}` has the shape {shape}", ko="`{code}` 텐서의 크기는 {shape} 입니다")
_FIT = Text(
    en="keep the batch dimension: `{code}`, and set in_features to {features}",
    ko="배치 차원 남기기: `{code}`, in_features 값은 {features} 값으로 바꾸기",
)


class Change(NamedTuple):
    """The place to change, what was seen there, and the candidate fixes."""

    at: Span | None
    facts: Mapping[str, object] = {}
    evidence: tuple[Evidence, ...] = ()
    fixes: tuple[Fix, ...] = ()


def map_change(failure: Failure, layer: ModuleCall, facts: dict[str, object]) -> Change:
    """A map of three or more dimensions reached a linear layer: flatten its argument, or insert `nn.Flatten()`."""
    shape = list(layer.input.shape) if layer.input else []
    facts |= {"input_shape": shape, "given": shape[-1] if shape else facts.get("given")}
    features = _features_edit(failure, layer, shape[1:], prod(shape[1:]))
    argument = passed(failure)
    if argument is not None and direct_caller(failure, layer) and _names_layer(failure, layer):
        edit = argument.source.insert_after(argument.node, ".flatten(start_dim=1)")
        if isinstance(argument.node, (ast.BinOp, ast.UnaryOp, ast.IfExp, ast.Lambda)):
            text = f"({argument.code}).flatten(start_dim=1)"
            edit = argument.source.replace(argument.node, text)
        fix = Fix((edit, *features), _FLATTEN.fill(layer=layer.path or layer.type))
        return Change(argument.at, facts, (), (fix,))
    made = constructor(failure, layer)
    if made is None:
        return Change(failure.raised_at, facts)
    fix = Fix((_insertion(made.source, made.call), *features), _INSERT.fill(layer=layer.path))
    return Change(made.source.span(made.call), facts, (), (fix,))


def _names_layer(failure: Failure, layer: ModuleCall) -> bool:
    """True if the failing call's text names the layer, as `self.fc(x)` and `self.heads[0](x)` do."""
    found = failing_call(failure)
    function = found[0].code(found[2].func) if found else ""
    return not layer.path or function.endswith(layer.path.rpartition(".")[2]) or "[" in function


def _insertion(source: Source, call: ast.Call) -> Edit:
    """`nn.Flatten(), ` before an argument of Sequential, on a line of its own where the argument has one; a Sequential
    of both where the layer stands alone.
    """
    here = source.span(call)
    function = source.code(call.func)
    head = function[: -len("Linear")] if function.endswith("Linear") else "nn."
    parent = source.parent(call)
    if isinstance(parent, ast.Call) and source.code(parent.func).endswith(".append"):
        return source.insert_statement(parent, f"{source.code(parent.func)}({head}Flatten())")
    is_item = isinstance(parent, (ast.List, ast.Tuple)) and not any(
        isinstance(item, ast.Constant) for item in parent.elts
    )
    if not is_item and not (
        isinstance(parent, ast.Call) and source.code(parent.func).endswith("Sequential")
    ):
        return source.replace(call, f"{head}Sequential({head}Flatten(), {source.code(call)})")
    indent = source.line(here.line)[: here.column]
    gap = " " if indent.strip() else "\n" + indent
    text = f"{head}Flatten(),{gap}"
    return Edit(Span(here.path, here.line, here.column, here.line, here.column), text)


def _features_edit(
    failure: Failure, layer: ModuleCall, sizes: Sequence[int], total: int
) -> tuple[Edit, ...]:
    """The constructor's in_features, where flattening gives another number than it says."""
    if total == layer.settings.get("in_features"):
        return ()
    made = constructor(failure, layer)
    old = made.argument(0, "in_features") if made else None
    if made is None or old is None:
        return ()
    return (made.source.replace(old, product_text(made.source, old, sizes, total)),)


def batch_change(failure: Failure, layer: ModuleCall, facts: dict[str, object]) -> Change:
    """A whole batch was flattened into one row: let the flattening begin at dimension 1."""
    given = layer.input.shape[0] if layer.input else 0
    module, root = swallower(failure, layer), failure.root.input if failure.root else None
    first = module.input if module is not None else root
    before = module.input if module is not None else output_of(producer(failure, layer))
    per_sample = given // first.shape[0] if first is not None and first.shape else given
    shape = list(before.shape) if before is not None else []
    facts |= {"given": given, "map_shape": list(first.shape) if first else [given]}
    found = flattening(failure, module) if module is not None else None
    argument = passed(failure)
    if module is None and argument is not None:
        for origin, call in method_calls(argument.origins(failure), *METHODS):
            found = origin, kept_batch(origin.source, call)
            break
    if found is None:
        facts["code"] = module.path if module is not None else "flatten"
        facts["code"] = argument.code if argument and module is None else facts["code"]
        return Change(failure.raised_at, facts)
    origin, edit = found
    facts["code"] = origin.code
    features = _features_edit(failure, layer, shape[1:], per_sample)
    return Change(origin.at, facts, (), (Fix((edit, *features), _KEEP.fill(code=edit.text)),))


def mixed_change(failure: Failure, facts: dict[str, object]) -> Change | None:
    """A `view(-1, N)` on the way of the prediction that made other rows than samples; None if there is none."""
    argument = passed(failure)
    trail = argument.origins(failure) if argument and failure.is_live else []
    for origin, call in method_calls(trail, "view", "reshape"):
        is_free = len(call.args) == 2 and origin.source.code(call.args[0]) == "-1"
        if is_free and constant(call.args[1]) is not None and isinstance(call.func, ast.Attribute):
            facts["code"] = origin.code
            if not isinstance(call.func.value, (ast.Name, ast.Attribute)):
                return Change(origin.at, facts)
            receiver = origin.source.code(call.func.value)
            text = f"{origin.source.code(call.func)}({receiver}.size(0), -1)"
            fix = Fix((origin.source.replace(call, text),), _KEEP.fill(code=text))
            return Change(origin.at, facts, (), (fix,))
    return None


def squeeze_change(origin: Origin, call: ast.Call) -> Change:
    """A bare `squeeze()`: name the dimension, or flatten what has more than one of size 1."""
    here = origin.source.span(call)
    gap = ", " if call.args else ""
    end = Span(here.path, here.end_line, here.end_column - 1, here.end_line, here.end_column - 1)
    fixes = tuple(
        Fix((Edit(end, f"{gap}{dim}"),), _KEEP.fill(code=f"{origin.code[:-1]}{gap}{dim})"))
        for dim in ("-1", "1")
    )
    flat = kept_batch(origin.source, call)
    return Change(
        here, {"code": origin.code}, (), (*fixes, Fix((flat,), _KEEP.fill(code=flat.text)))
    )


def contiguous_change(failure: Failure) -> Change:
    """`view` on a tensor whose memory is not in order: `reshape`, or `contiguous()` before it."""
    found = failing_call(failure)
    view = _view_in(found[2], "view") if found else None
    if found is None or view is None or not isinstance(view.func, ast.Attribute):
        return Change(failure.raised_at)
    source, frame, _ = found
    here = source.span(view.func)
    column = here.end_column - len("view")
    name = Span(here.path, here.end_line, column, here.end_line, here.end_column)
    before = name._replace(end_column=column)
    shape, evidence = _shape(source, frame, view.func.value)
    fixes = (
        Fix((Edit(name, "reshape"),), _RESHAPE, safe=True),
        Fix((Edit(before, "contiguous()."),), _CONTIGUOUS, safe=True),
    )
    return Change(source.span(view), {"input_shape": shape} if shape else {}, evidence, fixes)


def shape_change(failure: Failure, facts: dict[str, object]) -> Change:
    """A view whose sizes do not multiply to the number of elements: take the batch size from the tensor."""
    found = failing_call(failure)
    view = _view_in(found[2], "view", "reshape") if found else None
    if found is None or view is None or not isinstance(view.func, ast.Attribute):
        return Change(failure.raised_at, facts)
    source, frame, _ = found
    if is_functional(source, view) or len(view.args) < 2:
        return Change(source.span(view), facts)
    receiver = view.func.value
    shape, evidence = _shape(source, frame, receiver)
    if not shape:
        return Change(source.span(view), facts, evidence)
    facts["input_shape"] = shape
    name: str | None = source.code(receiver)
    if not isinstance(receiver, (ast.Name, ast.Attribute)):
        same = (
            n for n, v in frame.values.items() if v.tensor and v.tensor.shape[:1] == (shape[0],)
        )
        name = next(same, None)
    fixes = _view_fixes(source, view, f"{name}.size(0)", shape, facts.get("shape")) if name else ()
    return Change(source.span(view), facts, evidence, fixes)


def _view_in(call: ast.Call, *names: str) -> ast.Call | None:
    for node in ast.walk(call):
        function = node.func if isinstance(node, ast.Call) else None
        if (
            isinstance(node, ast.Call)
            and isinstance(function, ast.Attribute)
            and function.attr in names
        ):
            return node
    return None


def _shape(source: Source, frame: Frame, node: ast.expr) -> tuple[list[int], tuple[Evidence, ...]]:
    value = value_of(frame, source, node)
    if value is None or value.tensor is None:
        return [], ()
    shape = list(value.tensor.shape)
    text = _HELD.fill(code=source.code(node), shape=show_value(shape))
    return shape, (Evidence(text, source.span(node)),)


def _view_fixes(
    source: Source, view: ast.Call, batch: str, shape: list[int], wanted: object
) -> tuple[Fix, ...]:
    sizes = list(wanted) if isinstance(wanted, list) else []
    numel, given = prod(shape), prod(s for s in sizes[1:] if s > 0)
    per_sample = numel // shape[0] if shape[0] else 0
    if given and per_sample % given == 0 and (-1 in sizes[1:] or per_sample == given):
        rest = [source.code(a) for a in view.args[1:]]
        text = f"{source.code(view.func)}({', '.join([batch, *rest])})"
        return (Fix((source.replace(view, text),), _KEEP.fill(code=text)),)
    if len(view.args) != 2:
        return ()
    text = f"{source.code(view.func)}({batch}, -1)"
    edit = source.replace(view, text)
    linear = [
        call.args[0]
        for call in source.nodes(ast.Call)
        if (source.name(call.func) or "").endswith("Linear") and call.args
        if sizes and constant(call.args[0]) == sizes[-1]
    ]
    if len(linear) != 1:
        return (Fix((edit,), _KEEP.fill(code=text)),)
    size = source.replace(linear[0], product_text(source, linear[0], shape[1:], per_sample))
    return (Fix((edit, size), _FIT.fill(code=text, features=per_sample)),)
