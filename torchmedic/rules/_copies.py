"""One module under two names: where the second one comes from, and a copy in its place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from torchmedic.model import Edit, Span
from torchmedic.observed import Source
from torchmedic.observed.source import argument
from torchmedic.observed.trace import Event, Trace

PARAMETERS = ("parameters", "named_parameters")
_IN_PLACE = ("mul_", "add_", "sub_", "lerp_", "copy_", "set_")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef)
Name = ast.Name | ast.Attribute


class Update(NamedTuple):
    """`for p, q in zip(average.parameters(), model.parameters()):` whose body writes into p what it reads from q."""

    source: Source
    average: Name
    model: Name
    written: ast.stmt
    at: Span  # the `zip`


class Alias(NamedTuple):
    """`average = model`."""

    source: Source
    at: Span
    value: ast.expr


def update_at(source: Source, at: Span) -> Update | None:
    """The loop whose `zip` begins on that line, if it mixes the parameters of two names."""
    loops = [
        loop
        for loop in source.nodes(ast.For)
        if loop.iter.lineno <= at.line <= (loop.iter.end_lineno or 0)
    ]
    if len(loops) != 1:
        return None
    [loop] = loops
    pair = loop.target.elts if isinstance(loop.target, ast.Tuple) else []
    both = list(_asked(loop.iter))
    targets = [t.elts[-1] if isinstance(t, ast.Tuple) and t.elts else t for t in pair]
    if len(both) != 2 or len(targets) != 2 or ast.dump(both[0]) == ast.dump(both[1]):
        return None
    names = [t.id for t in targets if isinstance(t, ast.Name)]
    if len(names) != 2:
        return None
    for first, second in ((0, 1), (1, 0)):
        for statement in loop.body:
            if _is_written(statement, names[first], names[second]):
                return Update(source, both[first], both[second], statement, source.span(loop.iter))
    return None


def _asked(node: ast.expr) -> Iterator[Name]:
    """`a` and `b` of `zip(a.parameters(), b.parameters())`."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return
    for given in node.args if node.func.id == "zip" and not node.keywords else ():
        function = given.func if isinstance(given, ast.Call) and not given.args else None
        if not isinstance(function, ast.Attribute) or function.attr not in PARAMETERS:
            return
        if isinstance(function.value, (ast.Name, ast.Attribute)):
            yield function.value


def _is_written(statement: ast.stmt, name: str, other: str) -> bool:
    """True if the values of `name` are replaced by something that is computed from those of `other`."""
    if not any(isinstance(n, ast.Name) and n.id == other for n in ast.walk(statement)):
        return False
    if isinstance(statement, (ast.Assign, ast.AugAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return any(isinstance(t, ast.Attribute) and _is_data(t, name) for t in targets)
    return any(
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in _IN_PLACE
        and _is_values(call.func.value, name)
        for call in ast.walk(statement)
    )


def _is_values(node: ast.expr, name: str) -> bool:
    """`p`, `p.data`, and what its methods that write in place return."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in (*_IN_PLACE, "detach") and _is_values(node.func.value, name)
    if isinstance(node, ast.Attribute):
        return _is_data(node, name)
    return isinstance(node, ast.Name) and node.id == name


def _is_data(node: ast.Attribute, name: str) -> bool:
    return node.attr == "data" and isinstance(node.value, ast.Name) and node.value.id == name


def alias_of(trace: Trace, update: Update, event: Event) -> Alias | None:
    """The one statement that gives the module its second name: `ema = model`, here or in a caller of the loop."""
    source, name = update.source, update.average
    callers = list(event.callers)
    while True:
        found = list(_assigned(source, name))
        if found:
            return found[0] if len(found) == 1 else None
        function = source.function_of(name)
        given = _argument(function, name, trace, callers.pop()) if function and callers else None
        if given is None:
            return None
        source, name = given


def _assigned(source: Source, name: Name) -> Iterator[Alias]:
    for node in source.nodes(ast.Assign):
        is_target = any(ast.unparse(t) == ast.unparse(name) for t in node.targets)
        if is_target and isinstance(node.value, (ast.Name, ast.Attribute)):
            yield Alias(source, source.span(node), node.value)
        elif is_target:
            yield from (
                Alias(source, source.span(node), node.value),
            ) * 2  # another object, sometimes


def _argument(
    function: ast.AST, name: Name, trace: Trace, caller: Span
) -> tuple[Source, Name] | None:
    if not isinstance(function, _SCOPES) or not isinstance(name, ast.Name):
        return None
    names = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    outer = trace.source_of(caller)
    call = outer.at(caller, ast.Call)
    if call is None or name.id not in names:
        return None
    is_method = names[0] == "self" and isinstance(call.func, ast.Attribute)
    given = argument(call, names.index(name.id) - is_method, name.id)
    return (outer, given) if isinstance(given, (ast.Name, ast.Attribute)) else None


def deepcopied(source: Source, node: ast.expr) -> tuple[Edit, ...]:
    """The value replaced by a deep copy of it; none where `copy` can't be imported at the top."""
    imports = [s for s in source.tree.body if isinstance(s, (ast.Import, ast.ImportFrom))]
    imports = [s for s in imports if getattr(s, "module", "") != "__future__"]
    names = {dotted: name for name, dotted in source.imported.items()}
    edits: list[Edit] = []
    if "copy.deepcopy" in names:
        function = names["copy.deepcopy"]
    elif "copy" in names:
        function = f"{names['copy']}.deepcopy"
    elif imports and not any(n.id == "copy" for n in source.nodes(ast.Name)):
        function = "copy.deepcopy"
        edits.append(source.insert_statement(imports[0], "import copy"))
    else:
        return ()
    return (*edits, source.replace(node, f"{function}({source.code(node)})"))
