"""Fixes applied until nothing more changes. Everything happens in memory; writing is the last step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from torchmedic.checking.files import Files
from torchmedic.checking.look import Asked, Looked, look
from torchmedic.checking.notebook import Notebook
from torchmedic.checking.problems import CannotLook, Problem
from torchmedic.checking.reading import Program
from torchmedic.fix import patch
from torchmedic.model import Diagnosis, Edit, Fix, Text
from torchmedic.render import cell_of, cell_path

ROUNDS = 10
_END = 1 << 30  # a column behind every line

NOT_WRITTEN = Text("was not mended: {reason}", "고치지 못했습니다: {reason}")
CHANGED = Text(
    "was not mended, because it changed in the meantime",
    "그 사이에 파일이 바뀌어 고치지 않았습니다",
)

Results = dict[str, Looked]
Findings = Callable[[Results], list[Diagnosis]]


@dataclass
class Outcome:
    """What mending did: the bytes of each changed file before and after, and how many findings had their fix applied.

    `together` are sets of files that one fix touched: they are written all or not at all.
    """

    changed: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    applied: Counter[str] = field(default_factory=Counter)
    together: list[set[str]] = field(default_factory=list)


def mend(
    results: Results,
    asked: Mapping[str, Asked],
    files: Files,
    findings: Findings,
    is_allowed: Callable[[Fix], bool],
) -> Outcome:
    """Applies the first allowed fix of every finding, looks again, and repeats until nothing changes.

    Of edits that overlap, the first are made; the others get their turn in the next round. A fix after which
    there are as many of the same findings as before is not tried again. `results` and `files` are brought up to date; the
    disk stays as it is.
    """
    outcome = Outcome()
    originals: dict[str, bytes] = {}
    frozen = set[Kind]()
    for _ in range(ROUNDS):
        found = findings(results)
        chosen = _chosen(found, asked, is_allowed, frozen)
        accepted, contents = _combined(chosen, files)
        if not contents:
            break
        for path, data in contents.items():
            originals.setdefault(path, files.read(path))
            files.put(path, data)
        for d, fix in accepted:
            paths = {cell_of(edit.span.path)[0] for edit in fix.edits}
            outcome.applied[_file(d)] += 1
            _join(outcome.together, paths)
        before = _counts(found)
        for path, looked in results.items():
            if not contents.keys().isdisjoint((path, *looked.reads)):
                results[path] = look(asked[path], files)
        after = _counts(findings(results))
        frozen |= {k for k in {_kind(d) for d, _ in accepted} if after[k] >= before[k]}
    for path, old in originals.items():
        if files.read(path) != old:
            outcome.changed[path] = old, files.read(path)
    return outcome


def _file(d: Diagnosis) -> str:
    return cell_of(d.at.path)[0] if d.at else ""


Kind = tuple[str, str, str]


def _kind(d: Diagnosis) -> Kind:
    """What tells a finding that came back from another one of the same rule."""
    texts = [edit.text for fix in d.fixes for edit in fix.edits]
    return d.rule.code, _file(d), repr((sorted(d.facts.items()), texts))


def _counts(found: Iterable[Diagnosis]) -> Counter[Kind]:
    return Counter(map(_kind, found))


def _join(groups: list[set[str]], paths: set[str]) -> None:
    joined = set(paths)
    for group in [g for g in groups if g & paths]:
        groups.remove(group)
        joined |= group
    groups.append(joined)


Choice = tuple[Diagnosis, Fix]


def _chosen(
    found: Iterable[Diagnosis],
    asked: Mapping[str, Asked],
    is_allowed: Callable[[Fix], bool],
    frozen: set[Kind],
) -> list[Choice]:
    """The first allowed fix of each finding, if all its files are among those that were asked for."""
    chosen = []
    for d in found:
        fix = next((f for f in d.fixes if is_allowed(f)), None)
        if fix is None or _kind(d) in frozen:
            continue
        if all(cell_of(edit.span.path)[0] in asked for edit in fix.edits):
            chosen.append((d, fix))
    return chosen


def _combined(chosen: Sequence[Choice], files: Files) -> tuple[list[Choice], dict[str, bytes]]:
    """The choices that go together, and the contents that they give."""
    taken: dict[str, list[Edit]] = {}
    accepted = []
    for choice in chosen:
        edits = choice[1].edits
        if any(_clash(edit, other) for edit in edits for other in taken.get(edit.span.path, ())):
            continue
        accepted.append(choice)
        for edit in edits:
            taken.setdefault(edit.span.path, []).append(edit)
    contents = contents_with(taken.values(), files)
    if contents is not None:
        return accepted, contents
    # Together they don't parse: one by one, each on top of those that do.
    kept: list[Choice] = []
    contents = {}
    for choice in accepted:
        tried = contents_with([fix.edits for _, fix in (*kept, choice)], files)
        if tried is not None:
            kept.append(choice)
            contents = tried
    return kept, contents


def _clash(one: Edit, other: Edit) -> bool:
    """True if the edits can't both be made. The same edit twice is one edit."""
    if one == other:
        return False
    (start, end), (first, last) = _extent(one), _extent(other)
    if (start, end) == (first, last):
        return True
    return start < last and first < end


def _extent(edit: Edit) -> tuple[tuple[int, int], tuple[int, int]]:
    _, line, column, end_line, end_column = edit.span
    if not end_line:
        return (line, 0), (line, _END)
    return (line, column), (end_line, end_column)


def contents_with(edits: Iterable[Iterable[Edit]], files: Files) -> dict[str, bytes] | None:
    """The new bytes of every file that changes; None if an edit does not fit, or a file would not parse."""
    by_path: dict[str, list[Edit]] = {}
    for listed in edits:
        for edit in listed:
            by_path.setdefault(cell_of(edit.span.path)[0], []).append(edit)
    contents = {}
    for path, own in by_path.items():
        try:
            old = files.read(path)
            new = _mended(path, old, own)
            Program(path, new).source()
        except (OSError, ValueError, CannotLook):
            return None
        if new != old:
            contents[path] = new
    return contents


def _mended(path: str, data: bytes, edits: Sequence[Edit]) -> bytes:
    if not path.endswith(".ipynb"):
        fix = Fix(tuple(edits), Text("", ""))
        return patch.rewritten(fix, lambda _: data)[0].new
    notebook = Notebook(path, data)
    cells: dict[int, list[Edit]] = {}
    for edit in edits:
        cells.setdefault(cell_of(edit.span.path)[1] or 0, []).append(edit)
    new = notebook.edited(cells)
    broken = [sum(cell.is_broken for cell in n.cells) for n in (notebook, Notebook(path, new))]
    if broken[1] > broken[0]:
        raise ValueError("a cell would not parse")
    return new


def diffs(outcome: Outcome) -> str:
    """What mending changes, as one unified diff; a notebook's cells each as a file of their own."""
    return "".join(_diff(path, *outcome.changed[path]) for path in sorted(outcome.changed))


def _diff(path: str, old: bytes, new: bytes) -> str:
    if not path.endswith(".ipynb"):
        mark = patch.BOM if old.startswith(patch.BOM.encode()) else ""
        before, after = (mark + Program(path, data).text for data in (old, new))
        return patch.diff(path, before, after)
    before_cells, after_cells = Notebook(path, old), Notebook(path, new)
    return "".join(
        patch.diff(cell_path(path, cell.number), cell.source, after_cells.source_of(cell.number))
        for cell in before_cells.cells
    )


def write(outcome: Outcome) -> list[Problem]:
    """Writes what changed; files that belong together all or not at all. What could not be written is told, and is
    no part of the outcome any more.
    """
    problems = []
    for group in outcome.together:
        contents = {path: outcome.changed[path] for path in sorted(group & outcome.changed.keys())}
        problem = _written(contents)
        if problem is not None:
            problems.append(problem)
            for path in group:
                outcome.changed.pop(path, None)
                outcome.applied.pop(path, None)
    return problems


def _written(contents: Mapping[str, tuple[bytes, bytes]]) -> Problem | None:
    try:
        for path, (old, _) in contents.items():
            if patch.read_bytes(path) != old:
                return Problem(path, 0, CHANGED)
        patch.write_all(contents)
    except OSError as error:
        reason = error.strerror or str(error)
        return Problem(min(contents), 0, NOT_WRITTEN.fill(reason=reason))
    return None
