"""A second body for a library's function: the same function object, file, lines and columns, with calls of ours in it.

A wrapper would be seen: one more frame in every traceback and under every `warnings.warn(stacklevel=…)`, another
object where `torch.compile` compares functions by identity. Here only `function.__code__` changes, and back.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from torchmedic.observed.source import decode, lines_of

_FUTURE = 0x1FF0000  # the compiler flags of `from __future__ import …`


def spliced(function: FunctionType, condition: str, enter: str, *leave: str) -> CodeType:
    """The function's code, beginning with `if {condition}: {enter}`; both are Python expressions.

    With `leave`, each returned value then passes through the global functions of these names. Names are looked up in
    the function's own globals. Raises OSError, ValueError, SyntaxError or LookupError where that can't be done.
    """
    code = function.__code__
    tree, definition = _definition(code)
    original = definition.body
    call: list[ast.stmt] = [ast.Expr(_expression(enter))]
    if leave:
        wrapper = _Returns(leave)
        copies = _definition(code)[1].body
        call += [wrapper.visit(statement) for statement in copies]
        call.append(wrapper.visit(ast.Return(ast.Constant(None))))
    first = ast.If(_expression(condition), call, [])
    _place(first, code.co_firstlineno)
    definition.body = [first, *original]
    return _compiled(tree, code)


def guarded(function: FunctionType, leave: str) -> CodeType:
    """The function's code, after which the expression `leave` is evaluated, whether it returns or raises.

    Raises what `spliced` raises.
    """
    code = function.__code__
    tree, definition = _definition(code)
    last = ast.Try(definition.body, [], [], [ast.Expr(_expression(leave))])
    _place(last, code.co_firstlineno)
    definition.body = [last]
    return _compiled(tree, code)


def _place(added: ast.AST, line: int) -> None:
    """Puts what has no place yet on this line."""
    for node in ast.walk(added):
        if isinstance(node, (ast.expr, ast.stmt, ast.keyword)) and not hasattr(node, "lineno"):
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = 0


def _compiled(tree: ast.Module, code: CodeType) -> CodeType:
    ast.fix_missing_locations(tree)
    module = compile(
        tree, code.co_filename, "exec", flags=code.co_flags & _FUTURE, dont_inherit=True
    )
    made = next(c for c in _codes(module) if c.co_name == code.co_name)
    if made.co_freevars != code.co_freevars or made.co_varnames[:3] != code.co_varnames[:3]:
        raise ValueError(f"{code.co_name} can't be compiled on its own")
    return made.replace(co_firstlineno=code.co_firstlineno)


def parameters(function: FunctionType) -> tuple[str, ...]:
    """`("self", "*args", "**kwargs")`: the names with their stars; empty if there are others than these kinds."""
    marks: dict[Any, str] = {
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.VAR_KEYWORD: "**",
    }
    found = inspect.signature(function).parameters.values()
    return tuple(marks.get(p.kind, "") + p.name for p in found)


@lru_cache(maxsize=2)
def _lines(path: str) -> list[str]:
    with open(path, "rb") as file:
        return lines_of(decode(file.read()))


def _definition(code: CodeType) -> tuple[ast.Module, ast.FunctionDef]:
    """A method in a class statement of its class's name, or a function, at its own lines and columns."""
    lines = _lines(code.co_filename)
    is_method = lines[code.co_firstlineno - 1][:1] in " \t"
    owner = getattr(code, "co_qualname", f"Module.{code.co_name}").split(".")[0]
    head = f"class {owner}:\n" if is_method else "\n"
    try:  # tokenizing the block takes longer than all the rest
        tree = ast.parse(head + "".join(lines[code.co_firstlineno - 1 : _last_line(code)]))
    except SyntaxError:
        block = inspect.getblock(lines[code.co_firstlineno - 1 :])
        tree = ast.parse(head + "".join(block))
    ast.increment_lineno(tree, code.co_firstlineno - 2)
    body = tree.body[0]
    definition = body.body[0] if isinstance(body, ast.ClassDef) and is_method else body
    if not isinstance(definition, ast.FunctionDef) or definition.name != code.co_name:
        raise ValueError(f"{code.co_filename} does not hold {code.co_name} where it should")
    return tree, definition


def _last_line(code: CodeType) -> int:
    """Where its last instruction stands; the first line where Python doesn't tell (before 3.11)."""
    tell: Any = getattr(code, "co_positions", tuple)
    inner = [_last_line(c) for c in code.co_consts if isinstance(c, CodeType)]
    return max([code.co_firstlineno, *inner, *(end or 0 for _, end, _, _ in tell())])


def _expression(text: str) -> ast.expr:
    parsed = ast.parse(text, mode="eval").body
    for node in ast.walk(parsed):
        for name in ("lineno", "col_offset", "end_lineno", "end_col_offset"):
            if hasattr(node, name):
                delattr(node, name)
    return parsed


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


class _Returns(ast.NodeTransformer):
    """`return X` becomes `return leave(X)`; functions inside keep theirs."""

    def __init__(self, leave: tuple[str, ...]) -> None:
        self.leave = leave

    def visit_Return(self, node: ast.Return) -> ast.Return:
        value = node.value or ast.Constant(None)
        for name in self.leave:
            value = ast.Call(ast.Name(name, ast.Load()), [value], [])
        node.value = value
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        return node
