"""What `explain` and `check` import, and what those modules do at that. No test here measures time."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from corpus import environment
from torchmedic.abstract import tables
from torchmedic.abstract.registry import CLASSES, defaults_of

PACKAGE = Path(__file__).parent.parent / "torchmedic"
MESSAGE = "mat1 and mat2 shapes cannot be multiplied (32x576 and 1600x10)"
EXAMPLE = PACKAGE.parent / "examples" / "tabular.py"
COMMAND = """
import sys
import torchmedic.cli
def leave(status):
    print("", *sys.modules, sep="\\n", file=sys.stderr)
torchmedic.cli.os._exit = leave
sys.argv = ["torchmedic", *{words}]
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
    code = COMMAND.format(words=["explain", MESSAGE])
    done = python(code, tmp_path_factory.mktemp("explain"))
    assert "TM201" in done.stdout
    found = set(done.stderr.split())
    assert "torchmedic.rules.model.layer_size_mismatch" in found
    return found


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every module that the check of one script without a mistake needs, in a folder without settings."""
    code = COMMAND.format(words=["check", "--no-cache", str(EXAMPLE)])
    found = set(python(code, tmp_path_factory.mktemp("check")).stderr.split())
    assert "torchmedic.rules.practice.random_seed_not_set" in found
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
        "hashlib",
        "textwrap",
        "multiprocessing",
        "pathspec",
        "torchmedic.session",
        "torchmedic.fix.patch",
        "torchmedic.checking.fitting",
        "torchmedic.checking.cache",
        "torchmedic.checking.notebook",
        "torchmedic.observed.run_data",
        "torchmedic.observed.run_memory",
        "torchmedic.observed.run_numbers",
        "torchmedic.observed.run_training",
        "torchmedic.observed.run_distributed",
        "torchmedic.rules.training.out_of_memory",
    ],
)
def test_a_check_does_without(name, checked):
    assert name not in checked


def made(modules: set[str]) -> list[tuple[str, str]]:
    """(place, decorator or value) of what these modules of ours make with `re.compile` and `dataclass`."""
    found = []
    for name in sorted(modules):
        path = PACKAGE.parent / f"{name.replace('.', '/')}.py"
        if not name.startswith("torchmedic") or not path.is_file():
            continue
        for node in ast.parse(path.read_text("utf-8")).body:
            said = ast.unparse(node.value) if isinstance(node, ast.Assign) else ""
            if isinstance(node, ast.ClassDef):
                said = " ".join(map(ast.unparse, node.decorator_list))
            if said.startswith(("re.compile", "dataclass")) and getattr(node, "name", "") != "Rule":
                found.append((f"{name}:{node.lineno}", said))
    return found


def test_an_explanation_makes_no_patterns_and_no_dataclasses(imported):
    """A pattern takes 0.2 ms, a dataclass 0.25 (frozen: 0.5), a NamedTuple 0.12; an explanation has 60 of them."""
    assert made(imported) == []


def test_a_check_makes_no_patterns_and_only_plain_dataclasses(checked):
    """One without `==` and `repr` takes 0.14 ms."""
    assert [one for one in made(checked) if one[1] != "dataclass(eq=False, repr=False)"] == []


@pytest.mark.parametrize("kind", ["Failure", "Trace"])
def test_rules_that_are_not_imported_have_nothing_to_say(kind, tmp_path):
    """A module that doesn't name a kind of observation has no detector for it."""
    assert python(SAME.format(kind=kind), tmp_path).stdout.strip()


def test_the_defaults_that_are_read_when_asked_for_can_be_read():
    tables.fill()
    assert len(CLASSES) > 200
    for name in CLASSES:
        assert set(defaults_of(name)) <= set(CLASSES[name])
    assert defaults_of("torch.nn.Conv2d")["stride"] == 1


def test_one_rule_is_found_without_the_others(tmp_path):
    code = """
import sys
from torchmedic.rules import RULES
assert RULES["TM403"].code == "TM403"
assert "torchmedic.rules.training.out_of_memory" not in sys.modules
assert RULES.get("TM000") is None
assert [RULES[code].code for code in RULES] == sorted(RULES)
"""
    python(code, tmp_path)
