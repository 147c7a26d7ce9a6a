"""How many mistakes of each kind `check` finds: right programs get one mistake each, and are looked at before and after.

.venv/bin/python benchmarks/mutations.py [--missed] [--only CODE] [--execute] [FILE…]    default: examples and the mended programs of the tests

The unchanged program is the negative: what is said of it counts as a false alarm. A mutant without effect is no mistake:
`--execute` runs every mutant beside the right program (effects.py, about 10 minutes) and writes the proven ones into
without_effect.json, found by `check` or not.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
HARMLESS = Path(__file__).parent / "without_effect.json"

from torchmedic.abstract import execute  # noqa: E402
from torchmedic.engine import diagnose  # noqa: E402
from torchmedic.model import Edit, Span  # noqa: E402
from torchmedic.observed import Source, load  # noqa: E402

Mutator = Callable[[Source], Iterator[list[Edit]]]
MUTATORS: list[tuple[str, str, Mutator]] = []


def mistake(code: str, what: str) -> Callable[[Mutator], Mutator]:
    def enter(mutator: Mutator) -> Mutator:
        MUTATORS.append((code, what, mutator))
        return mutator

    return enter


def calls(source: Source, *names: str) -> Iterator[ast.Call]:
    """Calls of methods of these names."""
    for call in source.nodes(ast.Call):
        if isinstance(call.func, ast.Attribute) and call.func.attr in names:
            yield call


def gone(source: Source, node: ast.AST) -> list[Edit]:
    """The statement replaced by `pass`; nothing for a call inside of a larger one."""
    statement = source.statement(node)
    is_whole = isinstance(statement, ast.Expr) and statement.value is node
    return [source.replace(statement, "pass")] if is_whole else []


def receiver_only(source: Source, call: ast.Call) -> list[Edit]:
    """`x.item()` becomes `x`."""
    assert isinstance(call.func, ast.Attribute)
    return [source.replace(call, source.code(call.func.value))]


@mistake("TM402", "zero_grad removed")
def zero_grad(source: Source) -> Iterator[list[Edit]]:
    found = list(calls(source, "zero_grad"))
    if found:
        yield [edit for call in found for edit in gone(source, call)]


@mistake("TM403", "eval() removed")
def evaluation(source: Source) -> Iterator[list[Edit]]:
    for call in calls(source, "eval"):
        yield gone(source, call)


@mistake("TM404", "no_grad removed")
def no_grad(source: Source) -> Iterator[list[Edit]]:
    names = ("torch.no_grad", "torch.inference_mode")
    for call in source.nodes(ast.Call):
        if source.name(call.func) not in names:
            continue
        if isinstance(source.parent(call), (ast.withitem, ast.FunctionDef)):
            yield [source.replace(call, "torch.enable_grad()")]


@mistake("TM405", "train() removed")
def training(source: Source) -> Iterator[list[Edit]]:
    for call in calls(source, "train"):
        if not call.args:
            yield gone(source, call)


@mistake("TM302", ".item() dropped from a sum or list")
def item(source: Source) -> Iterator[list[Edit]]:
    for call in calls(source, "item", "detach"):
        statement = source.statement(call)
        is_append = isinstance(source.parent(call), ast.Call) and "append" in source.code(statement)
        if "loss" in source.code(call) and (isinstance(statement, ast.AugAssign) or is_append):
            yield receiver_only(source, call)


@mistake("TM303", ".detach() dropped before .numpy()")
def detach(source: Source) -> Iterator[list[Edit]]:
    for call in calls(source, "detach"):
        if ".numpy()" in source.code(source.statement(call)):
            yield receiver_only(source, call)


@mistake("TM401", "seeds removed")
def seeds(source: Source) -> Iterator[list[Edit]]:
    found = [c for c in source.nodes(ast.Call) if "seed" in source.code(c.func)]
    edits = [edit for call in found for edit in gone(source, call)]
    if edits:
        yield edits


@mistake("TM102", "index shifted")
def index(source: Source) -> Iterator[list[Edit]]:
    for function in source.nodes(ast.FunctionDef):
        names = [a.arg for a in function.args.args]
        if function.name != "__getitem__" or len(names) < 2:
            continue
        for part in ast.walk(function):
            if (
                isinstance(part, ast.Subscript)
                and isinstance(part.slice, ast.Name)
                and part.slice.id == names[1]
            ):
                yield [source.replace(part.slice, f"{names[1]} + 1")]


@mistake("TM101", "__len__ one too large")
def length(source: Source) -> Iterator[list[Edit]]:
    for function in source.nodes(ast.FunctionDef):
        last = function.body[-1]
        if function.name == "__len__" and isinstance(last, ast.Return) and last.value is not None:
            yield [source.insert_after(last.value, " + 1")]


@mistake("TM201", "in_features changed")
def in_features(source: Source) -> Iterator[list[Edit]]:
    for call in source.nodes(ast.Call):
        if source.name(call.func) == "torch.nn.Linear" and call.args:
            yield [source.replace(call.args[0], f"{source.code(call.args[0])} + 3")]


@mistake("TM202", "flatten removed")
def flatten(source: Source) -> Iterator[list[Edit]]:
    for call in source.nodes(ast.Call):
        if source.name(call.func) == "torch.nn.Flatten":
            yield [source.replace(call, "nn.Identity()")]
        elif source.name(call.func) == "torch.flatten" and len(call.args + call.keywords) > 1:
            yield [source.replace(call, source.code(call.args[0]))]
        elif isinstance(call.func, ast.Attribute) and call.func.attr == "flatten":
            given = [*call.args, *(k.value for k in call.keywords)]
            if [ast.unparse(value) for value in given] == ["1"]:
                yield receiver_only(source, call)


@mistake("TM103", "conversion of a dtype dropped")
def dtype(source: Source) -> Iterator[list[Edit]]:
    for call in calls(source, "float", "long", "astype"):
        yield receiver_only(source, call)


@mistake("TM104", "unsqueeze or permute dropped")
def dimensions(source: Source) -> Iterator[list[Edit]]:
    for call in calls(source, "unsqueeze", "permute"):
        if "__getitem__" in [f.name for f in [source.function_of(call)] if f is not None]:
            yield receiver_only(source, call)


@mistake("TM311", "detach() put into a forward")
def cut(source: Source) -> Iterator[list[Edit]]:
    for assign in source.nodes(ast.Assign):
        function = source.function_of(assign)
        is_forward = function is not None and function.name == "forward"
        if isinstance(assign.targets[0], (ast.Tuple, ast.List)):
            continue  # a tuple has no `detach`: that is another mistake, and Python says so
        if is_forward and "self." in source.code(assign) and isinstance(assign.value, ast.Call):
            yield [source.insert_after(assign.value, ".detach()")]


@mistake("TM328", "ModuleList made a list")
def plain_list(source: Source) -> Iterator[list[Edit]]:
    for call in source.nodes(ast.Call):
        if source.name(call.func) in ("torch.nn.ModuleList", "torch.nn.ModuleDict"):
            empty = "[]" if str(source.name(call.func)).endswith("List") else "{}"
            yield [source.replace(call, source.code(call.args[0]) if call.args else empty)]


@mistake("TM328", "model made again after the optimizer")
def again(source: Source) -> Iterator[list[Edit]]:
    for call in calls(source, "parameters"):
        assert isinstance(call.func, ast.Attribute)
        optimizer, model = source.statement(call), source.code(call.func.value)
        if "optim." not in source.code(optimizer) or not isinstance(optimizer, ast.Assign):
            continue
        for assign in source.nodes(ast.Assign):
            is_made = source.code(assign.targets[0]) == model and isinstance(assign.value, ast.Call)
            if is_made and source.parent(assign) is source.parent(optimizer):
                text = f"\n{' ' * optimizer.col_offset}{source.code(assign)}"
                yield [source.insert_after(optimizer, text)]
                break


class Program(NamedTuple):
    folder: Path
    main: str  # relative
    name: str
    options: tuple[str, ...] = ()

    def files(self) -> list[Path]:
        return sorted(p.relative_to(self.folder) for p in self.folder.rglob("*.py"))


def right_programs(place: Path, files: list[str]) -> Iterator[Program]:
    for name in files:
        path = Path(name).resolve()
        yield Program(
            _copied(path.parent, place / f"given{path.stem}", [path.name]), path.name, path.name
        )
    if files:
        return
    for name in ("digits_cnn", "tabular", "text_embedding"):
        yield Program(_copied(ROOT / "examples", place / name, [f"{name}.py"]), f"{name}.py", name)
    for told in sorted((ROOT / "tests" / "source").glob("*/*/good")):
        expected = json.loads((told.parent / "expect.json").read_text("utf-8"))
        main = expected.get("main", expected.get("path", ""))
        if (told / main).is_file():
            name = f"{told.parent.parent.name}/{told.parent.name}"
            yield Program(_copied(told, place / name.replace("/", "+")), main, name)
    for expect in sorted((ROOT / "tests" / "crashes").glob("*/*/expect.json")):
        told_crash = json.loads(expect.read_text("utf-8"))
        if not told_crash.get("mended") or told_crash["run"][0] == "-m":
            continue
        name = f"{expect.parent.parent.name}/{expect.parent.name}"
        folder = _copied(expect.parent, place / name.replace("/", "+"))
        for change in told_crash["mended"]:
            path = folder / change["path"]
            text = path.read_text("utf-8")
            path.write_text(text.replace(change["old"], change["new"], 1), "utf-8")
        main, *options = told_crash["run"]
        yield Program(folder, main, name, tuple(options))


def _copied(source: Path, target: Path, only: list[str] | None = None) -> Path:
    target.mkdir(parents=True)
    for path in source.rglob("*.py"):
        relative = path.relative_to(source)
        if only is None or str(relative) in only:
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target / relative)
    return target


def codes(program: Program) -> Counter[str]:
    source = load(str(program.folder / program.main))
    return Counter(d.rule.code for d in diagnose(execute(source))) if source else Counter()


class Mutant(NamedTuple):
    program: Program
    code: str
    what: str
    path: Path  # of the changed file
    line: int
    text: str  # of the changed file, with the mistake
    others: tuple[int, ...] = ()  # lines that are executed with it

    @property
    def key(self) -> str:
        """Of the mistake and all files of the program."""
        texts = [self.code, self.text]
        texts += [(self.program.folder / p).read_text("utf-8") for p in self.program.files()]
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]

    @property
    def shown(self) -> str:
        place = self.path.relative_to(self.program.folder)
        return f"{self.program.name} {place}:{self.line} {self.code} {self.what}"


def mutants_of(program: Program) -> Iterator[Mutant]:
    from torchmedic.fix.patch import apply_edits

    for relative in program.files():
        path = program.folder / relative
        text = path.read_text("utf-8")
        source = Source(text, str(path))
        for code, what, mutator in MUTATORS:
            for edits in mutator(source):
                changed = apply_edits(text, edits) if edits else text
                if changed != text:
                    line = edits[0].span.line
                    others = executed_with(source, line)
                    yield Mutant(program, code, what, path, line, changed, others)


def executed_with(source: Source, line: int) -> tuple[int, ...]:
    """The lines of the statement; of a decorator the first one of the function."""
    for function in source.nodes(ast.FunctionDef):
        if any(d.lineno <= line <= (d.end_lineno or 0) for d in function.decorator_list):
            return (function.body[0].lineno, function.body[-1].lineno)
    statement = source.at(Span(source.path, line), ast.stmt)
    body = getattr(statement, "body", None)
    end = body[0].lineno - 1 if body else getattr(statement, "end_lineno", line)
    return tuple(range(getattr(statement, "lineno", line), max(line, end) + 1))


class Swapped:
    """The program with the mistake in it, as long as it lasts."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        self.text = mutant.path.read_text("utf-8")

    def __enter__(self) -> None:
        self.mutant.path.write_text(self.mutant.text, "utf-8")

    def __exit__(self, *error: object) -> None:
        self.mutant.path.write_text(self.text, "utf-8")


def harmless(program: Program, mutants: list[Mutant]) -> dict[str, str]:
    """The mutants without effect, proven by executing them: what they are, by their key."""
    from effects import TOLD, executed, is_without_effect

    asked = [m for m in mutants if m.code in TOLD]
    words = (program.main, *program.options)
    right = executed(program.folder, words) if asked else None
    if right is None or right.end:
        return {}
    found = {}
    for mutant in asked:
        key = mutant.key
        with Swapped(mutant):
            run = executed(program.folder, words)
        place = str(mutant.path.relative_to(program.folder))
        lines = {(place, line) for line in mutant.others}
        if is_without_effect(mutant.code, right, run, lines):
            found[key] = mutant.shown
    return found


def different(programs: Iterator[Program]) -> Iterator[Program]:
    """Each text once: several mistakes of the tests have the same program without the mistake."""
    seen = set[tuple[str, ...]]()
    for program in programs:
        texts = tuple((program.folder / p).read_text("utf-8") for p in program.files())
        if texts not in seen:
            seen.add(texts)
            yield program


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("files", nargs="*")
    parser.add_argument(
        "--missed", action="store_true", help="name the mutants that were not found"
    )
    parser.add_argument("--execute", action="store_true", help="find those without effect anew")
    parser.add_argument(
        "--only", action="append", default=[], metavar="CODE", help="mutants of these mistakes"
    )
    options = parser.parse_args()
    if options.only and options.execute:
        parser.error("--execute is for all mistakes")

    known: dict[str, str] = {}
    if not options.execute and HARMLESS.is_file():
        known = json.loads(HARMLESS.read_text("utf-8"))
    found, other, made, idle = (Counter[str]() for _ in range(4))
    alarms: list[str] = []
    count = 0
    with tempfile.TemporaryDirectory() as place:
        for program in different(right_programs(Path(place), options.files)):
            count += 1
            before = codes(program)
            alarms += [f"{program.name}: {code}" for code in before]
            mutants = [m for m in mutants_of(program) if m.code in (options.only or [m.code])]
            if options.execute:
                known |= harmless(program, mutants)
            for mutant in mutants:
                row = f"{mutant.code} {mutant.what}"
                made[row] += 1
                is_idle = mutant.key in known
                idle[row] += is_idle
                with Swapped(mutant):
                    after = codes(program)
                is_found = after[mutant.code] > before[mutant.code]
                new = after - before
                if is_idle and is_found:
                    alarms.append(f"{mutant.shown}: without effect")
                elif is_found:
                    found[row] += 1
                elif not is_idle and new:
                    other[row] += 1
                    if options.missed:
                        print(f"as another: {mutant.shown} {' '.join(new)}")
                elif options.missed and not is_idle:
                    print(f"missed: {mutant.shown}")
    if options.execute:
        HARMLESS.write_text(json.dumps(known, indent=0, sort_keys=True) + "\n", "utf-8")
    print_table(made, idle, found, other)
    print(
        f"\n{count} unchanged programs, {len(alarms)} findings in them or in mutants without effect"
        + "".join(f"\n- {a}" for a in alarms)
    )


def print_table(
    made: Counter[str], idle: Counter[str], found: Counter[str], other: Counter[str]
) -> None:
    """`as another`: `check` says something new of the mutant, but calls it another mistake."""
    print("| mistake | mutants | no mistake | mistakes | found | as another | share of both |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for row in (*sorted(made), "all"):
        numbers = [c.total() if row == "all" else c[row] for c in (made, idle, found, other)]
        total, without, seen, named = numbers
        left = total - without
        share = 100 * (seen + named) / max(left, 1)
        print(f"| {row} | {total} | {without} | {left} | {seen} | {named} | {share:.0f} % |")


if __name__ == "__main__":
    main()
