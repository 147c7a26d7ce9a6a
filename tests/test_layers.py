"""Imports point one way, looking never imports torch, and no file grows beyond what one can hold in mind."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "torchmedic"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 400  # lines

# What each layer may import beside itself. Files that aren't named here are edges: they may import everything.
ALLOWED = {
    "model": set(),
    "observed": {"model"},
    "abstract": {"model", "observed"},
    "rules": {"model", "observed"},
    "engine": {"model", "observed", "rules"},
    "probes": {"model", "observed"},
    "fix": {"model", "observed", "probes"},
    "render": {"model"},
    "seeding": set(),
    "planning": {"model", "observed", "render"},
}
TORCH_USERS = {"probes", "seeding"}  # lazily: nothing that only looks loads it
EDGES = {"__init__", "__main__", "cli", "config", "session", "explain", "unknown", "mending"}
EDGES |= {
    "callbacks",
    "lightning",
    "transformers",
    "alone",
    "checking",
    "checklist",
    "console",
    "crash_plan",
    "evidence",
    "exact",
    "offering",
    "overfit",
    "plan_fixes",
    "plan_script",
    "planned",
    "ranks",
    "silent",
    "watched",
    "watching",
}
TORCHLESS = (
    "torchmedic",
    *(f"torchmedic.{name}" for name in ("engine", "rules", "observed", "cli", "checking.command")),
    *(f"torchmedic.{name}" for name in ("seeding", "checklist", "lightning", "transformers")),
)
TORCHLESS += tuple(
    f"torchmedic.render.{name}"
    for name in ("text", "json", "page", "concise", "github", "sarif", "checklist")
)


def layer_of(path, package):
    return path.relative_to(package).with_suffix("").parts[0]


def imports(path, package):
    """Every module that the file imports, with its absolute name; `from a import b` counts as `a.b`."""
    here = [package.name, *path.relative_to(package).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def forbidden(path, package):
    """The file's imports that its layer must not have."""
    layer = layer_of(path, package)
    found = []
    for name in imports(path, package):
        head, *rest = name.split(".")
        if head == "torch" and layer not in TORCH_USERS:
            found.append(name)
        if head != package.name or layer in EDGES or rest == ["__version__"]:
            continue
        if not rest or rest[0] not in ALLOWED[layer] | {layer}:
            found.append(name)
    return found


def imports_torch(module, *path):
    """True if importing the module in a fresh interpreter imports torch too."""
    code = f"import sys, {module}; sys.exit(42 if 'torch' in sys.modules else 0)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, path), str(ROOT)])}
    status = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT).returncode
    assert status in (0, 42), f"{module} can't be imported"
    return status == 42


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    assert layer_of(path, PACKAGE) in ALLOWED.keys() | EDGES, (
        "give the new module a place in the table"
    )
    assert forbidden(path, PACKAGE) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_short(path):
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("module", TORCHLESS)
def test_looking_does_not_import_torch(module):
    assert not imports_torch(module)


@pytest.mark.parametrize(
    ("file", "code", "found"),
    [
        ("render/text.py", "from torchmedic.observed import load", ["torchmedic.observed.load"]),
        ("render/text.py", "from torchmedic import engine", ["torchmedic.engine"]),
        ("render/text.py", "from ..probes import crash", ["torchmedic.probes.crash"]),
        ("render/text.py", "from . import words\nfrom .. import __version__", []),
        ("render/text.py", "def f():\n    import torch.nn", ["torch.nn"]),
        ("probes/crash.py", "import torch\nfrom torchmedic.model import Span", []),
        ("probes/crash.py", "import torchmedic.render.text", ["torchmedic.render.text"]),
        ("model.py", "from torchmedic.observed import Failure", ["torchmedic.observed.Failure"]),
        ("model.py", "import torchmedic", ["torchmedic"]),
        ("cli.py", "import torchmedic.render.text", []),
        ("cli.py", "import torch", ["torch"]),
        ("seeding.py", "import torch", []),
        ("seeding.py", "from torchmedic.model import Span", ["torchmedic.model.Span"]),
    ],
)
def test_the_table_can_be_broken(tmp_path, file, code, found):
    package = tmp_path / "torchmedic"
    path = package / file
    path.parent.mkdir(parents=True)
    path.write_text(code)
    assert forbidden(path, package) == found


def test_an_import_of_torch_is_seen(tmp_path):
    (tmp_path / "torch.py").write_text("")
    (tmp_path / "loads_torch.py").write_text("import torch")
    (tmp_path / "loads_nothing.py").write_text("")
    assert imports_torch("loads_torch", tmp_path)
    assert not imports_torch("loads_nothing", tmp_path)
