"""A rule that the engine does not need: it flags names, so that what `check` does around it can be tested alone."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from torchmedic.checking.cli import check as check_command
from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Rule, Severity, Span, Text, View
from torchmedic.observed import Source, load
from torchmedic.observed.trace import Trace
from torchmedic.rules import RULES

ROOT = Path(__file__).parent.parent


def rule(code: str, name: str, severity: Severity) -> Rule:
    return Rule(
        code, name, severity,
        Text("A name is wrong.", "이름이 틀립니다."),
        Text("`{name}` is wrong, {count} letters", "`{name}` 이름이 틀립니다, {count}글자"),
        Text("Names matter.", "이름이 중요합니다."),
        Text("Write `good`.", "`good` 이름을 쓰세요."),
        Text("Read it aloud.", "소리 내어 읽으세요."),
        bad="bad = 1\n", good="good = 1\n",
        links=("https://docs.pytorch.org/",),
    )  # fmt: skip


NAMES = rule("TM981", "name-wrong", Severity.ERROR)
MILD = rule("TM982", "name-doubtful", Severity.WARNING)
RULES_HERE = (NAMES, MILD)
USE = Text("use `{text}`", "`{text}` 이름을 쓰세요")


def fix(source: Source, node: ast.Name, text: str, safe: bool) -> Fix:
    return Fix((source.replace(node, text),), USE.fill(text=text), safe=safe)


def fixes(source: Source, node: ast.Name) -> tuple[Fix, ...]:
    kinds = {
        "bad_safe": [("good", True)],
        "bad_unsafe": [("good", False)],
        "bad_both": [("fair", False), ("good", True)],
        "bad_stubborn": [("(bad_stubborn)", True)],
        "bad_unparsable": [("good good", True)],
        "bad_chain": [("bad_safe", True)],
        "bad_wide": [("[good,\n bad_safe]", True)],
    }
    own = [fix(source, node, text, safe) for text, safe in kinds.get(node.id, ())]
    if node.id == "bad_import":
        top = Edit(Span(source.path, 1, 0, 1, 0), "import good\n")
        own.append(Fix((top, source.replace(node, "good")), USE.fill(text="good"), safe=True))
    if node.id.startswith("bad_line"):
        whole = Edit(Span(source.path, node.lineno), f"{node.id[4:]} = good")
        own.append(Fix((whole,), USE.fill(text="good"), safe=True))
    return tuple(own)


def detect(trace: Trace) -> Iterator[Diagnosis]:
    """Names that start with `bad_`, in the file and in every other file of the trace."""
    for source in (trace.source, *trace.sources.values()):
        for node in source.nodes(ast.Name):
            if node.id.startswith("bad_"):
                here = MILD if node.id == "bad_mild" else NAMES
                seen = Evidence(Text("It stands here.", "여기 있습니다."), source.span(node))
                yield Diagnosis(
                    here,
                    source.span(node),
                    {"name": node.id, "count": len(node.id)},
                    (seen,),
                    fixes(source, node),
                    View.SOURCE,
                )


def execute(source: Source) -> Trace:
    """The file, and the project's files that it imports."""
    from torchmedic.checking.relevance import project_imports

    found = {path: load(path) for path in project_imports(source.path, source.text.encode())}
    sources = {path: one for path, one in found.items() if one is not None}
    return Trace(source, sources=sources, is_complete="over budget" not in source.text)


def install(patch: pytest.MonkeyPatch | None = None) -> None:
    """Makes the names the only thing that is known of a source."""
    import torchmedic.abstract

    for known in RULES.values():
        if Trace in known.detectors:
            known.detectors.pop(Trace) if patch is None else patch.delitem(known.detectors, Trace)
    for own in RULES_HERE:
        RULES.__setitem__(own.code, own) if patch is None else patch.setitem(RULES, own.code, own)
    NAMES.detectors[Trace] = detect
    if patch is None:
        torchmedic.abstract.execute = execute
    else:
        patch.setattr(torchmedic.abstract, "execute", execute)


@dataclass
class Ended:
    status: int
    out: str
    err: str


class Bench:
    """A folder, and the command run in it within this process."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capture = capture

    def write(self, **files: str | bytes) -> None:
        """`write(a="…")` makes a.py; `b__c` is b/c.py."""
        for name, content in files.items():
            self.put(name.replace("__", "/") + ".py", content)

    def put(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def read(self, name: str) -> str:
        return (self.folder / name).read_bytes().decode()

    def __call__(self, *words: str | Path) -> Ended:
        self.capture.readouterr()
        arguments = [*map(str, words)]
        if not any(word.startswith(("--cache-dir", "--no-cache")) for word in arguments):
            arguments.append("--no-cache")
        try:
            check_command.main(arguments, prog_name="check", standalone_mode=True)
        except SystemExit as end:
            out, err = self.capture.readouterr()
            return Ended(int(end.code or 0), out, err)
        raise AssertionError("the command ended without a status")


START = "import sys; sys.path.insert(0, {tests!r}); import checks; checks.install(); from torchmedic.cli import main; main()"


def command(*words: str) -> list[str]:
    """The whole command in a process of its own."""
    code = START.format(tests=str(ROOT / "tests"))
    return [sys.executable, "-W", "error::ResourceWarning", "-c", code, "check", *words]


def process(*words: str, cwd: Path, text: bytes = b"", **more: str) -> Ended:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", **more}
    environment.setdefault("XDG_CACHE_HOME", str(cwd / ".cache"))
    done = subprocess.run(
        command(*words), cwd=cwd, env=environment, input=text, capture_output=True, timeout=120
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())
