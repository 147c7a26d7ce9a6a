"""Fixes are tried in copies: right ones pass, everything else is called by its name, and no file of the user changes."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from torchmedic.fix import verify as module
from torchmedic.fix.patch import apply_edits
from torchmedic.fix.verify import Goal, Launch, Outcome, Trial, try_fixes, verify
from torchmedic.model import Edit, Fix, Span, Text
from torchmedic.observed import Failure

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="trials need POSIX")
LIMIT = 30.0


class Project:
    """Files in a folder; a goal is found by the text of its line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)

    def add(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"))
        return path

    def place(self, name: str, text: str) -> tuple[int, int]:
        for number, line in enumerate((self.folder / name).read_text().splitlines(), 1):
            if text in line:
                return number, line.index(text)
        raise AssertionError(f"{text!r} is not in {name}")

    def fix(self, *changes: tuple[str, str, str]) -> Fix:
        edits = []
        for name, old, new in changes:
            line, column = self.place(name, old)
            span = Span(str(self.folder / name), line, column, line, column + len(old))
            edits.append(Edit(span, new))
        return Fix(tuple(edits), Text("Change it", "바꾸세요"))

    def goal(self, name: str, text: str, function: str, kind: str, message: str = "") -> Goal:
        line, _ = self.place(name, text)
        return Goal(str(self.folder / name), function, line, kind, message)

    def launch(self, *words: str, root: Path | None = None, **more: object) -> Launch:
        files = tuple(str(p) for p in self.folder.rglob("*.py"))
        values = {"cwd": str(self.folder), "files": files, **more}
        return Launch(words, root=str(root or self.folder), **values)  # type: ignore[arg-type]

    def state(self) -> dict[str, object]:
        return {
            str(p): (p.stat().st_mode, hashlib.sha1(p.read_bytes()).hexdigest())
            for p in sorted(self.folder.rglob("*"))
            if p.is_file()
        }


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def one(project: Project, fix: Fix, goal: Goal, *words: str, **more: object) -> Trial:
    before = project.state()
    (trial,) = try_fixes(project.launch(*words), [fix], goal, more.pop("limit", LIMIT), **more)  # type: ignore[arg-type]
    assert project.state() == before
    return trial


DIVIDES = """
    import sys

    def share(total, parts):
        half = 0
        return total / half

    print(share(10, 2))
    {after}
    """


def dividing(project: Project, after: str = "", name: str = "train.py") -> Goal:
    project.add(name, dedent(DIVIDES).format(after=after))
    return project.goal(name, "total / half", "share", "ZeroDivisionError")


RIGHT = ("train.py", "total / half", "total / parts")


def test_right_wrong_and_broken_fixes(project: Project) -> None:
    goal = dividing(project)
    before = project.state()
    fixes = [
        project.fix(RIGHT),
        project.fix(("train.py", "half = 0", "half = 0.0")),
        project.fix(("train.py", "total / half", "total / (")),
        project.fix(("train.py", "total / half", "total / parts.size")),
    ]
    right, wrong, broken, other = verify(project.launch("train.py"), fixes, goal, LIMIT)
    assert [f.edits for f in (right, wrong, broken, other)] == [f.edits for f in fixes]
    assert right.verified is True
    assert right.verification and right.verification.en == (
        "verified: ran past train.py:5 and to the end"
    )
    assert wrong.verified is False
    assert wrong.verification and wrong.verification.en.startswith(
        "not verified: the mended copy still fails: ZeroDivisionError:"
    )
    assert wrong.verification.en.endswith("at train.py:5")
    assert broken.verified is None
    assert other.verified is False
    assert other.verification and "AttributeError" in other.verification.en
    for fix in (right, wrong, broken, other):
        assert fix.verification and fix.verification.ko.startswith("검증")
        assert "…" not in fix.verification.ko + fix.verification.en
    assert project.state() == before


def test_the_next_error_comes_back_in_the_places_of_the_users_file(project: Project) -> None:
    goal = dividing(project, "\n\ndef later(값):\n    return 값[3]\n\n\nlater([1])")
    line, _ = project.place("train.py", "    return total")
    path = str(project.folder / "train.py")
    inserted = Edit(Span(path, line, 0, line, 0), "    half = parts\n    # a line more\n")
    trial = one(project, Fix((inserted,), Text("a", "b")), goal, "train.py")
    assert trial.outcome is Outcome.FAILED
    place = project.place("train.py", "값[3]")
    assert trial.sentence.en.startswith(
        "not verified: it runs past train.py:5, but then fails with IndexError"
    )
    assert trial.sentence.en.endswith(f"at train.py:{place[0]}")
    failure = trial.next_failure
    assert isinstance(failure, Failure) and failure.type == "IndexError"
    at = failure.raised_at
    assert at is not None and at.path == path
    assert at.line == place[0]
    if sys.version_info >= (3, 11):
        assert (at.line, at.column) == place
    # Edits found there fit together with the first fix.
    second = Edit(Span(path, at.line, place[1], at.line, place[1] + 4), "값[0]")
    both = Fix((inserted, second), Text("a", "b"))
    assert "값[0]" in apply_edits(Path(path).read_text(), both.edits)
    again = one(project, both, goal, "train.py", control=trial.control)
    assert again.outcome is Outcome.PASSED


def test_a_crash_that_does_not_come_again_verifies_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    goal = dividing(project)
    text = (project.folder / "train.py").read_text().replace("half = 0", "half = 1")
    (project.folder / "train.py").write_text(text)
    trial = one(project, project.fix(RIGHT), goal, "train.py")
    assert trial.outcome is Outcome.UNCLEAR
    assert trial.sentence.en == "not verified: the unmended copy does not crash here"


def test_an_unmended_copy_that_fails_differently_verifies_nothing(project: Project) -> None:
    goal = dividing(project)
    trial = one(project, project.fix(RIGHT), replace(goal, type="ValueError"), "train.py")
    assert trial.outcome is Outcome.UNCLEAR
    assert "fails differently here: ZeroDivisionError" in trial.sentence.en


def test_libraries_are_imported_untraced_and_the_program_is_traced_in_them(
    project: Project, tmp_path: Path
) -> None:
    """A trace doubles the time of `import torch`, and shows that the failing line was passed."""
    library = tmp_path / "site-packages"
    library.mkdir()
    (library / "registry.py").write_text("import sys\nassert not sys.gettrace()\nimport plugin\n")
    plugin = "import sys\nassert sys.gettrace()\ndef half():\n    return 1 / 0\nhalf()\n"
    project.add("plugin.py", plugin)
    project.add("train.py", "import sys\nassert sys.gettrace()\nimport registry\n")
    goal = project.goal("plugin.py", "1 / 0", "half", "ZeroDivisionError")
    environment = {**os.environ, "PYTHONPATH": str(library)}
    launch = project.launch("train.py", environment=environment)
    fix = project.fix(("plugin.py", "1 / 0", "1 / 2"))
    (trial,) = try_fixes(launch, [fix], goal, LIMIT)
    assert trial.outcome is Outcome.PASSED, trial.sentence.en
    assert trial.sentence.en == "verified: ran past plugin.py:4 and to the end"


def test_an_endless_loop_reaches_the_limit(project: Project) -> None:
    goal = dividing(project)
    fix = project.fix(("train.py", "half = 0", "while True: half = 0"))
    trial = one(project, fix, goal, "train.py", limit=1.5)
    assert trial.outcome is Outcome.UNCLEAR
    assert trial.sentence.en == (
        "not verified: the time limit of 1.5 s was reached before the failing line"
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("open('{out}/new.txt', 'w')", "write {out}/new.txt"),
        ("import os; os.open('{out}/new.txt', os.O_CREAT | os.O_WRONLY)", "write {out}/new.txt"),
        ("import os; os.remove('{out}/there.txt')", "remove {out}/there.txt"),
        ("import os; os.replace('{out}/there.txt', 'x')", "rename {out}/there.txt"),
        ("import os; os.link('{out}/there.txt', 'x')", "write {out}/there.txt"),
        ("import shutil; shutil.rmtree('{out}')", "remove "),
        ("import os; os.mkdir('{out}/sub')", "write {out}/sub"),
        ("import os; os.truncate('{out}/there.txt', 0)", "write {out}/there.txt"),
        ("import sqlite3; sqlite3.connect('{out}/new.db')", "write {out}/new.db"),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "connect to 127.0.0.1:9"),
        ("import socket; socket.getaddrinfo('pytorch.org', 80)", "connect to pytorch.org"),
        ("import subprocess; subprocess.run(['touch', 'x'])", "start `touch x`"),
        ("import os; os.system('touch x')", "start `touch x`"),
    ],
)
def test_what_reaches_outside_is_held_back(
    project: Project, tmp_path: Path, code: str, said: str
) -> None:
    out = tmp_path / "elsewhere"
    out.mkdir()
    (out / "there.txt").write_text("kept")
    code = code.format(out=out)
    # The program catches what the trial raises: the result is unclear all the same.
    caught = f"try:\n    {code}\nexcept OSError:\n    pass\n"
    goal = dividing(project, caught)
    trial = one(project, project.fix(RIGHT), goal, "train.py")
    assert trial.outcome is Outcome.UNCLEAR
    assert "the program tried to " + said.format(out=out) in trial.sentence.en
    assert [p.name for p in out.iterdir()] == ["there.txt"]
    assert (out / "there.txt").read_text() == "kept"


def test_files_of_its_own_may_be_written(project: Project) -> None:
    project.add("logs/old.txt", "old\n")
    with open(project.folder / "big.bin", "wb") as file:
        file.truncate(2 << 20)
    goal = dividing(
        project,
        dedent("""
            import os, shutil, tempfile
            from pathlib import Path

            os.makedirs("runs/a", exist_ok=True)
            Path("runs/a/log.txt").write_text("x")
            with open("logs/old.txt", "a") as file:
                file.write("more")
            with open("big.bin", "r+b") as file:
                file.write(b"changed")
            assert os.path.getsize("big.bin") == 2 << 20
            with open(Path(__file__).parent / "big.bin", "wb") as file:
                file.write(b"new")
            os.remove("logs/old.txt")
            shutil.rmtree("logs")
            os.rename("runs", "done")
            os.chdir("done/a")
            open("there.txt", "w").close()
            (Path.home() / "mine.txt").write_text("x")
            with tempfile.TemporaryDirectory() as folder:
                open(os.path.join(folder, "f"), "w").close()
            """),
    )
    trial = one(project, project.fix(RIGHT), goal, "train.py")
    assert trial.sentence.en == "verified: ran past train.py:5 and to the end"
    assert not (Path.home() / "mine.txt").exists()


def test_data_is_found_where_the_program_looks_for_it(project: Project, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("found")
    images = project.folder / "images"
    images.mkdir()
    for i in range(module_entries() + 1):
        (images / f"{i}.txt").touch()
    goal = dividing(
        project,
        dedent(f"""
            import os
            assert open("../data/a.txt").read() == "found"
            assert open({str(tmp_path / "data" / "a.txt")!r}).read() == "found"
            assert len(os.listdir("images")) == {module_entries() + 1}
            assert sys.argv == ["train.py", "--data", "../data"], sys.argv
            """),
    )
    trial = one(project, project.fix(RIGHT), goal, "train.py", "--data", "../data")
    assert trial.outcome is Outcome.PASSED, trial.sentence.en


def module_entries() -> int:
    from torchmedic.fix.box import ENTRIES

    return ENTRIES


def test_a_program_that_swallows_its_errors_is_not_verified(project: Project) -> None:
    project.add(
        "train.py",
        """
        import sys

        def share(total, parts):
            return total / parts

        def main(parts):
            try:
                share(1, parts)
            except ValueError:
                sys.exit(0)

        main(0)
        """,
    )
    goal = project.goal("train.py", "return total / parts", "share", "ZeroDivisionError")
    fix = project.fix(("train.py", "total / parts", "total / int('x')"))
    trial = one(project, fix, goal, "train.py")
    assert trial.outcome is Outcome.FAILED
    assert trial.sentence.en == (
        "not verified: the mended copy ended without completing train.py:4"
    )


def test_the_line_of_a_one_line_function_counts_only_when_it_is_called(project: Project) -> None:
    project.add(
        "train.py",
        """
        import sys

        class Net:
            def forward(self, x): return x / 0

        if len(sys.argv) < 2:
            sys.exit(0)
        Net().forward(1)
        """,
    )
    goal = project.goal("train.py", "def forward", "Net.forward", "ZeroDivisionError")
    fix = project.fix(("train.py", "len(sys.argv) < 2", "len(sys.argv) < 3"))
    trial = one(project, fix, goal, "train.py", "1")
    assert trial.outcome is Outcome.FAILED
    assert "without completing train.py:4" in trial.sentence.en


def test_a_statement_over_several_lines_and_a_loop(project: Project) -> None:
    project.add(
        "train.py",
        """
        def items():
            yield 1
            yield 1 / 0

        def main():
            total = 0
            for item in (
                items()
            ):
                total += item
            return total

        main()
        """,
    )
    # `items` completes its own first statement; the loop's header is passed before the crash as well.
    goal = project.goal("train.py", "yield 1 / 0", "items", "ZeroDivisionError")
    trial = one(project, project.fix(("train.py", "1 / 0", "2")), goal, "train.py")
    assert trial.sentence.en == "verified: ran past train.py:3 and to the end"


def test_a_module_of_a_package_from_another_folder(project: Project, tmp_path: Path) -> None:
    project.add("net/__init__.py", "")
    project.add("net/parts/__init__.py", "")
    project.add("net/parts/layers.py", "def width(n):\n    return n / 0\n")
    project.add(
        "net/train.py",
        """
        import argparse
        from .parts.layers import width

        parser = argparse.ArgumentParser()
        parser.add_argument("--n", type=int, required=True)
        n = parser.parse_args().n
        assert __name__ == "__main__" and __package__ == "net"
        open("out.txt", "w").write(str(width(n)))
        """,
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    goal = project.goal("net/parts/layers.py", "n / 0", "width", "ZeroDivisionError")
    fix = project.fix(("net/parts/layers.py", "n / 0", "n / 2"))
    trial = one(project, fix, goal, "-m", "net.train", "--n", "3")
    assert trial.sentence.en == "verified: ran past layers.py:2 and to the end"
    environment = {**os.environ, "PYTHONPATH": str(project.folder)}
    launch = project.launch(
        "-m", "net.train", "--n=3", cwd=str(elsewhere), root=elsewhere, environment=environment
    )
    (fixed,) = verify(launch, [fix], goal, LIMIT)
    assert fixed.verified is True, fixed.verification
    assert list(elsewhere.iterdir()) == []


def test_code_that_is_loaded_from_its_own_place_is_not_verified(project: Project) -> None:
    goal = dividing(project, name="parts.py")
    project.add(
        "train.py", f"import sys\nsys.path.insert(0, {str(project.folder)!r})\nimport parts\n"
    )
    fix = project.fix(("parts.py", "total / half", "total / parts"))
    trial = one(project, fix, goal, "train.py")
    assert trial.outcome is Outcome.UNCLEAR
    assert "loads" in trial.sentence.en


def test_hard_ends_are_told(project: Project) -> None:
    goal = dividing(project)
    kill = project.fix(
        ("train.py", "half = 0", "import os; os.kill(os.getpid(), 11)"),
    )
    leave = project.fix(("train.py", "half = 0", "import os; os._exit(5)"))
    killed, left = try_fixes(project.launch("train.py"), [kill, leave], goal, LIMIT)
    assert killed.outcome is left.outcome is Outcome.FAILED
    assert killed.sentence.en.endswith("was ended by the signal SIGSEGV")
    assert left.sentence.en.endswith("ended with exit status 5")


def test_ctrl_c_ends_the_trials_and_leaves_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    goal = dividing(project, "import time; time.sleep(60)")
    monkeypatch.setattr(module, "TELL", 0.0)
    children = []
    real = module.Child

    def remembered(*args: object) -> object:
        children.append(real(*args))  # type: ignore[arg-type]
        return children[-1]

    monkeypatch.setattr(module, "Child", remembered)

    def interrupt(progress: object) -> None:
        if len(children) > 1:
            raise KeyboardInterrupt

    start = time.monotonic()
    launch = project.launch("train.py")
    (fixed,) = verify(launch, [project.fix(RIGHT)], goal, LIMIT, interrupt)
    assert time.monotonic() - start < 20
    assert fixed.verified is None
    assert fixed.verification and fixed.verification.en == "not verified: stopped by you"
    for child in children:
        assert not os.path.exists(child.box.top)
        with pytest.raises(ProcessLookupError):
            os.killpg(child._process.pid, 0)


def test_the_folder_for_temporary_files_may_be_the_programs(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Boxes lie in it: one must not mirror itself, nor its neighbour."""
    goal = dividing(project)
    (project.folder / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(project.folder / "temporary"))
    trial = one(project, project.fix(RIGHT), goal, "train.py")
    assert trial.outcome is Outcome.PASSED, trial.sentence
    assert not list((project.folder / "temporary").iterdir())


def test_without_an_optimizer_time_is_enough(project: Project) -> None:
    goal = dividing(project, "import time; time.sleep(60)")
    trial = one(project, project.fix(RIGHT), goal, "train.py", enough=0.5)
    assert trial.outcome is Outcome.PASSED
    assert trial.sentence.en.startswith("verified: ran past train.py:5 and ")
    assert trial.sentence.en.endswith(" s more")


TRAINS = """
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, Dataset

    class Numbers(Dataset):
        def __len__(self):
            return 12

        def __getitem__(self, i):
            x = torch.zeros({size})
            return x, i % 2

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear({width}, 2)

        def forward(self, x):
            return self.layer(x)

    def main():
        model = Net()
        {compile}
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        loader = DataLoader(Numbers(), 2, num_workers={workers}, multiprocessing_context={context})
        for epoch in range(1000000):
            for x, y in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
                torch.save(model.state_dict(), "model.pt")

    if __name__ == "__main__":
        main()
    """


def training(project: Project, **values: object) -> None:
    defaults = {"workers": 0, "context": "None", "compile": "pass", "width": 4, "size": "4"}
    text = dedent(TRAINS).format(**{**defaults, **values})
    project.add("train.py", text)


def test_training_is_verified_by_steps_beyond_the_crash(project: Project) -> None:
    """The line works in four steps before the crash. A linked checkpoint stays: `torch.save` writes in C++."""
    pytest.importorskip("torch")
    training(project, size="4 if i < 8 else 5")
    with open(project.folder / "model.pt", "wb") as file:
        file.truncate(2 << 20)
    goal = project.goal("train.py", "return self.layer", "Net.forward", "RuntimeError")
    right = project.fix(("train.py", "4 if i < 8 else 5", "4"))
    later = project.fix(("train.py", "i < 8", "i < 10"))
    before = project.state()
    fine, late = try_fixes(project.launch("train.py"), [right, later], goal, LIMIT, on_crash="")
    assert project.state() == before
    assert fine.outcome is Outcome.PASSED
    assert fine.control and fine.control.is_passing and fine.control.steps == 4
    made = re.fullmatch(
        r"verified: made (\d+) training steps; the unmended copy crashed after 4",
        fine.sentence.en,
    )
    assert made and int(made[1]) > 4
    # It puts the crash off by one batch: the same error, later, is no mending.
    assert late.outcome is not Outcome.UNCLEAR


@pytest.mark.parametrize(
    ("context", "mended", "said"),
    [
        ("fork", "0", r"verified: made ([4-9]|\d\d+) training steps; the unmended .* after 3"),
        (
            "spawn",
            "open('/var/x', 'w').write('')",
            "not verified: the program tried to write /var/x, which a trial holds back",
        ),
    ],
)
def test_a_mistake_in_a_worker(project: Project, context: str, mended: str, said: str) -> None:
    pytest.importorskip("torch")
    training(project, workers=1, context=repr(context))
    broken = "[0, 0, 0, 0, 0, 0][i]"
    text = (project.folder / "train.py").read_text().replace("zeros(4", f"zeros(4 + {broken}")
    (project.folder / "train.py").write_text(text)
    message = (
        "Caught IndexError in DataLoader worker process 0.\n"
        "Original Traceback (most recent call last):\n  …\n"
        "IndexError: list index out of range"
    )
    goal = Goal(None, "", 0, "IndexError", message)
    trial = one(project, project.fix(("train.py", broken, mended)), goal, "train.py")
    assert re.fullmatch(said, trial.sentence.en)


def test_a_compiled_model(project: Project) -> None:
    pytest.importorskip("torch")
    training(project, width=3, compile="model = torch.compile(model, backend='eager')")
    # Compiled frames are not in the traceback: the deepest one of the user is the call.
    goal = project.goal("train.py", "model(x)", "main", "TorchRuntimeError")
    trial = one(project, project.fix(("train.py", "nn.Linear(3", "nn.Linear(4")), goal, "train.py")
    assert re.fullmatch(
        rf"verified: ran past train.py:{goal.line} and \d+ training steps?", trial.sentence.en
    )
