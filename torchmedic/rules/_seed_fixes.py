"""Seeds as edits: a call of `seed_everything` with its import, the same written out, or the missing line beside a seed."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from torchmedic.model import Edit, Fix, Span, Text
from torchmedic.observed.source import Source
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._seeding import (
    Draws,
    entry_of,
    named_seed,
    own_seeders,
    parsed_seed,
)

NAME = "seed_everything"
_MODULES = {"torch": "torch", "numpy": "numpy", "random": "random"}
_CALLS = {"torch": "manual_seed", "numpy": "random.seed", "random": "seed"}


class Insertions:
    """Whole lines before lines of a file; what goes to the same place stays in order."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._at: defaultdict[int, str] = defaultdict(str)

    def put(self, line: int, *statements: str) -> None:
        self._at[line] += "".join(f"{s}\n" for s in statements)

    def edits(self) -> tuple[Edit, ...]:
        lines = self.source.lines
        is_crlf = bool(lines) and lines[0].endswith("\r\n")
        made = []
        for line, text in sorted(self._at.items()):
            text = text.replace("\n", "\r\n") if is_crlf else text
            if line > len(lines) and lines and not lines[-1].endswith("\n"):
                return ()
            made.append(Edit(Span(self.source.path, line, 0, line, 0), text))
        return tuple(made)


def seed_first(draws: Draws, trace: Trace) -> Iterator[Fix]:
    """Everything is seeded before the first number is drawn: where `main` begins, or after the imports."""
    first = next(iter(draws.unseeded.values()))
    source = trace.source
    index, around = entry_of(first, trace)
    body = around.body if around is not None else source.tree.body
    before = first.sites[index].line
    imports = [s for s in source.tree.body if isinstance(s, (ast.Import, ast.ImportFrom)) and s.lineno < before]  # fmt: skip
    if not imports or (around is not None and body[0].lineno == around.lineno):
        return
    value, line, indent = _seed_and_place(body, around, imports, before, source)
    own = next(own_seeders(trace), None)
    if own is not None:
        made = Insertions(source)
        _call(made, line, indent, f"{own}({value})", around is None)
        title = Text(en="call `{own}` first", ko="`{own}` 함수를 먼저 호출").fill(own=own)
        yield from _fix(made, title)
        return
    is_free = NAME not in {n.id for n in source.nodes(ast.Name)} | set(source.imported)
    if not is_free or any(f.name == NAME for f in source.nodes(ast.FunctionDef)):
        return
    made = Insertions(source)
    of_torch = [s for s in imports if _roots(s) & {"torch"}] or imports
    made.put(_end(of_torch[-1]) + 1, f"from torchmedic import {NAME}")
    _call(made, line, indent, f"{NAME}({value})", around is None)
    yield from _fix(
        made,
        Text(en="seed every generator first, with `torchmedic.seed_everything`",
             ko="`torchmedic.seed_everything` 함수로 모든 난수 생성기에 시드를 먼저 설정"),
    )  # fmt: skip
    yield from _written_out(source, imports, line, indent, value, around is None)


def _written_out(source: Source, imports: list[ast.Import | ast.ImportFrom], line: int, indent: str, value: str,
                 is_module: bool) -> Iterator[Fix]:  # fmt: skip
    uses_numpy = "numpy" in source.imported.values()
    wanted = ("random", "numpy", "torch") if uses_numpy else ("random", "torch")
    made = Insertions(source)
    missing = [f"import {m}" for m in wanted if _alias(source, m) is None]
    top = next((s for s in imports if getattr(s, "module", "") != "__future__"), None)
    if missing and top is not None:
        made.put(top.lineno, *missing)
    body = [f"    {_seed_call(source, which, 'seed')}" for which in wanted]
    made.put(_end(imports[-1]) + 1, "", "", f"def {NAME}(seed: int) -> None:", *body)
    call = f"{NAME}({value})"
    if is_module and line == _end(imports[-1]) + 1:
        made.put(line, "", "", call)
    else:
        _call(made, line, indent, call, False)
    title = Text(
        en="write the function out, without the dependency", ko="의존성 없이 함수를 직접 작성"
    )
    yield from _fix(made, title)


def _seed_and_place(body: list[ast.stmt], around: ast.AST | None, imports: list[ast.Import | ast.ImportFrom], before: int,
                    source: Source) -> tuple[str, int, str]:  # fmt: skip
    """The seed as text, the line before which the call goes, and its indentation."""
    indent = source.line(body[0].lineno)[: body[0].col_offset] if around is not None else ""
    line = _end(imports[-1]) + 1 if around is None else _start(body, source)
    for found in (parsed_seed(body, source), named_seed(body)):
        if found is not None and _end(found[0]) < before:
            return found[1], max(line, _end(found[0]) + 1), indent
    outside = named_seed(source.tree.body) if around is not None else None
    return (outside[1] if outside is not None else "0"), line, indent


def _call(made: Insertions, line: int, indent: str, call: str, is_module: bool) -> None:
    """At module level an empty line keeps it from the imports."""
    above = made.source.line(line - 1).strip()
    gap = [""] if is_module and above.startswith(("import ", "from ", ")")) else []
    made.put(line, *gap, f"{indent}{call}")


def beside_seed(draws: Draws, trace: Trace) -> Iterator[Fix]:
    """The seeds that are missing, beside one that is there, with its argument."""
    seed = draws.seeds[0]
    source = trace.source_of(seed.at)
    call = source.at(seed.at, ast.Call)
    if call is None or len(call.args) != 1 or not isinstance(source.parent(call), ast.Expr):
        return
    statement = source.statement(call)
    made = Insertions(source)
    indent = source.line(statement.lineno)[: statement.col_offset]
    if indent.strip():
        return
    missing = [m for m in draws.unseeded if _alias(source, _MODULES[m]) is None]
    top = [s for s in source.tree.body if isinstance(s, (ast.Import, ast.ImportFrom)) and getattr(s, "module", "") != "__future__"]  # fmt: skip
    if missing and not top:
        return
    if missing:
        made.put(top[0].lineno, *(f"import {_MODULES[m]}" for m in missing))
    value = source.code(call.args[0])
    lines = [f"{indent}{_seed_call(source, which, value)}" for which in draws.unseeded]
    made.put(_end(statement) + 1, *lines)
    listed = ", ".join(f"`{line.strip()}`" for line in lines)
    yield from _fix(made, Text(en="add {listed}", ko="{listed} 추가").fill(listed=listed))


def _seed_call(source: Source, which: str, value: str) -> str:
    alias = _alias(source, _MODULES[which]) or _MODULES[which]
    return f"{alias}.{_CALLS[which]}({value})"


def _alias(source: Source, module: str) -> str | None:
    """The name under which the module itself is imported at the top of the file."""
    for statement in source.tree.body:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                if alias.name == module:
                    return alias.asname or alias.name
    return None


def moved(draws: Draws, trace: Trace) -> Iterator[Fix]:
    """The seed's statement before the statement that draws, where both stand in the same block."""
    seed, first = draws.late, draws.unseeded["torch"]
    source = trace.source
    if seed is None or seed.at.path != source.path:
        return
    call = source.at(seed.at, ast.Call)
    if call is None or not all(isinstance(a, ast.Constant) for a in call.args):
        return
    statement = source.statement(call)
    drawing = _sibling(first, statement, source)
    if drawing is None or statement.lineno != statement.end_lineno or statement.lineno < 2:
        return
    line = statement.lineno
    text = source.lines[line - 1]
    if not text.endswith("\n") or text.strip() != source.code(statement):
        return
    edits = (
        Edit(Span(source.path, drawing.lineno, 0, drawing.lineno, 0), text),
        Edit(Span(source.path, line, 0, line + 1, 0), ""),
    )
    yield Fix(edits, Text(en="set the seed first", ko="시드를 먼저 설정"))


def _sibling(first: Event, statement: ast.stmt, source: Source) -> ast.stmt | None:
    parent = source.parent(statement)
    for site in first.sites:
        found = source.at(site, ast.stmt) if site.path == source.path else None
        if found is not None and source.parent(found) is parent and found.lineno < statement.lineno:
            return found
    return None


def _fix(made: Insertions, title: Text) -> Iterator[Fix]:
    edits = made.edits()
    if edits:
        yield Fix(edits, title)


def _roots(statement: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(statement, ast.ImportFrom):
        return {(statement.module or "").split(".")[0]}
    return {alias.name.split(".")[0] for alias in statement.names}


def _end(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _start(body: list[ast.stmt], source: Source) -> int:
    """The line before which the body's first statement goes: behind a docstring, above comments."""
    first = body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):  # fmt: skip
        return _end(first) + 1
    decorators: list[ast.expr] = getattr(first, "decorator_list", [])
    line = min([first.lineno, *(d.lineno for d in decorators)])
    while line > 1 and (not source.line(line - 1).strip() or source.line(line - 1).lstrip().startswith("#")):  # fmt: skip
        line -= 1
    return line
