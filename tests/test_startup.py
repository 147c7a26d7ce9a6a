"""What `explain` imports, and what those modules do when they are imported. No test here measures time."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from corpus import environment

PACKAGE = Path(__file__).parent.parent / "torchmedic"
MESSAGE = "mat1 and mat2 shapes cannot be multiplied (32x576 and 1600x10)"
EXPLAIN = f"""
import sys
import torchmedic.cli
def leave(status):
    print("\\n".join(sys.modules), file=sys.stderr)
torchmedic.cli.os._exit = leave
sys.argv = ["torchmedic", "explain", {MESSAGE!r}]
torchmedic.cli.main()
"""
SAME = """
from torchmedic.observed import Failure
from torchmedic.observed.trace import Trace
from torchmedic.rules import RULES
kind = {kind}
early = [rule.code for rule in RULES.of(kind)]
unread = list(RULES._waiting)
assert early == [rule.code for rule in RULES.values() if kind in rule.detectors] and early
assert early == sorted(early)
print(*unread)
"""


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every module that one explanation needs, in a folder without settings."""
    done = python(EXPLAIN, tmp_path_factory.mktemp("explain"))
    assert "TM201" in done.stdout
    found = set(done.stderr.split())
    assert "torchmedic.rules.model.layer_size_mismatch" in found
    return found


@pytest.mark.parametrize(
    "name",
    [
        "torch",
        "numpy",
        "rich",
        "difflib",
        "tomllib",
        "tomli",
        "json",
        "torchmedic.abstract",
        "torchmedic.checking.cli",
        "torchmedic.fix.patch",
        "torchmedic.rules.practice.random_seed_not_set",
    ],
)
def test_an_explanation_does_without(name, imported):
    assert name not in imported


def test_its_modules_make_no_patterns_and_no_dataclasses(imported):
    """A pattern takes 0.2 ms, a dataclass 0.6, a NamedTuple 0.15; an explanation has 60 of them."""
    found = []
    for name in sorted(imported):
        path = PACKAGE.parent / f"{name.replace('.', '/')}.py"
        if not name.startswith("torchmedic") or not path.is_file():
            continue
        for node in ast.parse(path.read_text("utf-8")).body:
            made = ast.unparse(node.value) if isinstance(node, ast.Assign) else ""
            if isinstance(node, ast.ClassDef):
                made = " ".join(map(ast.unparse, node.decorator_list))
            if made.startswith(("re.compile", "dataclass")) and getattr(node, "name", "") != "Rule":
                found.append(f"{name}:{node.lineno}")
    assert found == []


@pytest.mark.parametrize("kind", ["Failure", "Trace"])
def test_rules_that_are_not_imported_have_nothing_to_say(kind, tmp_path):
    """A module that doesn't name a kind of observation has no detector for it."""
    assert python(SAME.format(kind=kind), tmp_path).stdout.strip()
