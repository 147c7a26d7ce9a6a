"""Which files are looked at."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchmedic.checking.discover import Discovery, Excludes
from torchmedic.checking.relevance import concerns_torch, forget, project_imports


def tree(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("import torch\n")


def found(
    folder: Path, *words: str, exclude: list[str] | None = None, extend: tuple[str, ...] = ()
) -> list[str]:
    discovery = Discovery(Excludes(str(folder), exclude, extend))
    discovery.add(words or (str(folder),))
    assert discovery.problems == []
    return [os.path.relpath(path, folder) for path in discovery.files]


def test_a_folder_is_walked(tmp_path: Path) -> None:
    tree(tmp_path, "b.py", "a.py", "z/c.pyw", "z/d.ipynb", "z/y/e.py", "t.txt", "s.pyi", "x.pyc")
    assert found(tmp_path) == ["a.py", "b.py", "z/c.pyw", "z/d.ipynb", "z/y/e.py"]


def test_what_is_left_out_by_default(tmp_path: Path) -> None:
    names = [".git", ".venv", "venv", "node_modules", "build", "dist", "__pycache__", ".tox"]
    names += ["site-packages", "my.egg-info", "src/build"]
    tree(tmp_path, "a.py", *(f"{name}/x.py" for name in names), "builder/b.py", "build.py")
    assert found(tmp_path) == ["a.py", "build.py", "builder/b.py"]
    assert sorted(found(tmp_path, exclude=["venv"])) == sorted(
        ["a.py", "build.py", "builder/b.py", *(f"{n}/x.py" for n in names if n != "venv")]
    )


def test_explicit_files_and_folders_are_always_looked_at(tmp_path: Path) -> None:
    tree(tmp_path, "build/x.py", "a.txt", "build/venv/y.py")
    (tmp_path / ".gitignore").write_text("*\n")
    here = str(tmp_path)
    assert found(tmp_path, f"{here}/build/x.py", f"{here}/a.txt") == ["build/x.py", "a.txt"]


def test_each_file_once(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "z/b.py")
    (tmp_path / "link.py").symlink_to("a.py")
    (tmp_path / "z/loop").symlink_to(tmp_path)
    (tmp_path / "dead.py").symlink_to("nowhere.py")
    here = str(tmp_path)
    assert found(tmp_path, f"{here}/a.py", here, f"{here}/z/../a.py") == ["a.py", "z/b.py"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    tree(tmp_path, "a.py")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    assert found(tmp_path) == ["a.py"]


def test_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a.py", "src/b.py", "src/deep/c.py", "venv/d.py", "src/x.txt")
    monkeypatch.chdir(tmp_path)
    assert found(tmp_path, "**/*.py") == ["a.py", "src/b.py", "src/deep/c.py"]
    assert found(tmp_path, "s*") == ["src/b.py", "src/deep/c.py"]
    assert found(tmp_path, "src/*") == ["src/b.py", "src/deep/c.py"]
    tree(tmp_path, "[x].py")
    assert found(tmp_path, "[x].py") == ["[x].py"]


def test_the_users_patterns(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "old/b.py", "old/keep/c.py", "x_test.py", "src/old/d.py")
    assert found(tmp_path, extend=("old/", "*_test.py")) == ["a.py"]
    assert found(tmp_path, extend=("/old",)) == ["a.py", "src/old/d.py", "x_test.py"]
    assert found(tmp_path, exclude=["src/**"]) == ["a.py", "old/b.py", "old/keep/c.py", "x_test.py"]


PATTERNS = [
    "*.py",
    "!a.py",
    "/a.py",
    "sub/",
    "/sub/*",
    "!sub/b.py",
    "**/c.py",
    "deep",
    "\\!a.py",
    "#x",
]
PATHS = ["a.py", "b.py", "sub/a.py", "sub/b.py", "sub/deep/c.py", "sub/deep/a.py", "deep/b.py"]


@given(
    st.lists(st.sampled_from(PATTERNS), max_size=4),
    st.lists(st.sampled_from(PATTERNS), max_size=3),
    st.lists(st.sampled_from(PATTERNS), max_size=2),
)
@settings(max_examples=40, deadline=None)
def test_ignore_files_mean_what_git_says(
    tmp_path_factory: pytest.TempPathFactory, top: list[str], inner: list[str], info: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("repository")
    tree(folder, *PATHS)
    git = ["git", "-C", str(folder), "-c", "core.excludesFile="]
    subprocess.run([*git, "init", "-q"], check=True)
    (folder / ".gitignore").write_text("\n".join(top))
    (folder / "sub/.gitignore").write_text("\n".join(inner))
    (folder / ".git/info").mkdir(exist_ok=True)
    (folder / ".git/info/exclude").write_text("\n".join(info))
    listed = [*git, "ls-files", "--others", "--exclude-standard", "--", "*.py"]
    said = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    assert sorted(found(folder)) == sorted(said)
    assert len(found(folder, str(folder / "deep"))) == 1 or "*.py" in top + info
    below = [path for path in said if path.startswith("sub/")]
    if below:  # git does not look into an ignored folder; somebody who names it wants it walked
        assert sorted(found(folder, str(folder / "sub"))) == sorted(below)


def test_imports_across_the_project(tmp_path: Path) -> None:
    tree(tmp_path, "lib/one.py", "lib/__init__.py", "lib/sub/two.py", "top.py", "json.py", "pkg.py")
    data = b"""\
import json, top as t  # comment
from lib import (
    one,  # the first
    nothing,
)
    from .lib.sub import two; from lib.sub.two import *
x = "import pkg"
import os.path
"""
    forget()
    here = str(tmp_path)
    names = [os.path.relpath(p, here) for p in project_imports(f"{here}/main.py", data)]
    assert names == ["json.py", "top.py", "lib/__init__.py", "lib/one.py", "lib/sub/two.py"]
    inner = [
        os.path.relpath(p, here)
        for p in project_imports(f"{here}/lib/sub/x.py", b"from .. import one\nimport top")
    ]
    assert inner == ["lib/__init__.py", "lib/one.py", "top.py"]
    far = project_imports(f"{here}/a/b/c/d/x.py", b"import top", f"{here}/main.py")
    assert [os.path.relpath(p, here) for p in far] == ["top.py"]


def test_imports_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import b\n")
    (tmp_path / "b.py").write_text("import a\n")
    forget()
    assert not concerns_torch(str(tmp_path / "a.py"), b"import b\n")
    (tmp_path / "b.py").write_text("import a, torchvision\n")
    forget()
    assert concerns_torch(str(tmp_path / "a.py"), b"import b\n")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(deadline=None)
def test_any_bytes_can_be_searched(data: bytes) -> None:
    project_imports("/nowhere/a.py", b"import " + data)
    concerns_torch("/nowhere/a.py", b"from " + data)
