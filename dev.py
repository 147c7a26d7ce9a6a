"""The two commands of a working copy. They need Python 3.10 or newer with pip, and nothing else.

python3 dev.py demo                 make .venv, install everything, explain the crash of a real program
python3 dev.py test [PYTEST ARGS]   make .venv, install everything, run all checks and all tests

Both may be repeated: what is there already is not installed again. Exit status 0: it worked. 1: a check or a test
failed. 2: something is missing; one sentence says what.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
OLDEST = (3, 10)
OLDEST_FOR_FRAMEWORKS = (3, 11)
EXAMPLE = "examples/digits_cnn_layer_size_mismatch.py"

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy", "--strict"),
    ("tools/docs.py", "--check"),
)


class Missing(Exception):
    """Something that these commands need isn't there; the text is one sentence for the user."""


def main(arguments: list[str]) -> int:
    command, *rest = arguments or [""]
    if command not in ("demo", "test") or (command == "demo" and rest):
        print(__doc__.strip(), file=sys.stderr)
        return 0 if command in ("-h", "--help", "help") else 2
    try:
        if sys.version_info < OLDEST:
            raise Missing(
                f"Python {sys.version_info[0]}.{sys.version_info[1]} runs this, and "
                f"{OLDEST[0]}.{OLDEST[1]} or newer is needed: start it with another python3."
            )
        install(command)
        if command == "demo":
            return demo()
        add_frameworks()
        return test(rest)
    except Missing as missing:
        print(f"dev.py: {missing}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def demo() -> int:
    """One broken example under `torchmedic run`. 0 if the report came out, whatever the example's own status."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ("--format", "json", "--output", str(report))
        say(f"$ torchmedic run {EXAMPLE}\n")
        call("-m", "torchmedic", "run", *options, EXAMPLE)
        try:
            diagnoses = json.loads(report.read_text("utf-8"))["diagnoses"]
        except (OSError, ValueError, KeyError):
            diagnoses = []
    if not diagnoses:
        say("\ndev.py: no report came out. Please report this with the text above.")
        return 1
    say(
        "\nAbove: Python's own traceback of a digit classifier that crashes, then the report: the line to change "
        "first, the line that raised second."
    )
    say(
        "The fix below them was verified: a mended copy was executed until it had passed the crash. "
        "Your files were not touched."
    )
    return 0


def test(arguments: list[str]) -> int:
    """Every check, then every test. A failed check doesn't hide the ones after it."""
    failed = []
    for check in CHECKS:
        say(f"$ {' '.join(check)}")
        script = check[0].endswith(".py")
        if call(*check) if script else call("-m", *check):
            failed.append(" ".join(check))
    is_told = any(a.startswith(("-n", "--numprocesses")) for a in arguments)
    jobs = [] if is_told else ["-n", "2", "--dist", "worksteal"]
    words = ("pytest", *jobs, *arguments)
    say(f"$ {' '.join(words)}")
    if call("-m", *words):
        failed.append("pytest")
    if failed:
        say(f"dev.py: failed: {', '.join(failed)}", sys.stderr)
    return 1 if failed else 0


def install(name: str) -> None:
    """Brings .venv up to date with requirements/NAME.txt and this working copy.

    Stamps hold a hash of all that the environment depends on; where they agree, nothing is done.
    """
    made, filled = VENV / "made.stamp", VENV / f"{name}.stamp"
    if not (PYTHON.exists() and read(made) == interpreter()):
        make_venv()
        made.write_text(interpreter(), "utf-8")
    wanted = content(name)
    if read(filled) == wanted:
        return
    say(f"dev.py: installing requirements/{name}.txt into .venv (minutes the first time)")
    pip("install", "--requirement", str(ROOT / "requirements" / f"{name}.txt"))
    # Its dependencies stand in the file above, and so does what builds it: nothing more is downloaded.
    pip("install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    filled.write_text(wanted, "utf-8")
    if name == "test":  # it holds everything that the demo needs
        (VENV / "demo.stamp").write_text(content("demo"), "utf-8")


def add_frameworks() -> None:
    """Lightning, transformers and others. Where they can't be had, the tests of them are skipped and all others run."""
    filled = VENV / "frameworks.stamp"
    wanted = content("frameworks")
    if sys.version_info < OLDEST_FOR_FRAMEWORKS or read(filled) == wanted:
        return
    say("dev.py: installing requirements/frameworks.txt into .venv (half a minute the first time)")
    try:
        pip("install", "--requirement", str(ROOT / "requirements" / "frameworks.txt"))
    except Missing:
        say(
            "dev.py: that did not work: the tests that need these packages are skipped.", sys.stderr
        )
    else:
        filled.write_text(wanted, "utf-8")


def make_venv() -> None:
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        raise Missing(
            "this Python lacks the modules `venv` and `ensurepip`: install them "
            "(Debian and Ubuntu: apt install python3-venv)."
        ) from None
    say("dev.py: making .venv")
    try:
        venv.create(VENV, clear=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Missing(f"the environment .venv could not be made: {error}.") from None


def pip(*arguments: str) -> None:
    quiet = ("-qq", "--disable-pip-version-check", "--no-input")
    if call("-m", "pip", *arguments, *quiet):
        raise Missing(
            "pip could not install what is needed; its own words stand above: "
            "check the network and the settings of pip, then repeat the command."
        )


def call(*arguments: str) -> int:
    """The exit status of `.venv/bin/python ARGUMENTS`, started in the working copy."""
    sys.stdout.flush()
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "PYTHONPATH")}
    environment["PATH"] = os.pathsep.join([str(BIN), environment.get("PATH", "")])
    environment["VIRTUAL_ENV"] = str(VENV)
    return subprocess.run([str(PYTHON), *arguments], cwd=ROOT, env=environment).returncode


def content(name: str) -> str:
    """A hash of all files that say what is installed."""
    names = ("demo", "test", "frameworks")
    files = [ROOT / "requirements" / f"{n}.txt" for n in names[: names.index(name) + 1]]
    digest = hashlib.sha256(str(ROOT).encode())
    for path in (*files, ROOT / "pyproject.toml"):
        try:
            digest.update(path.read_bytes())
        except OSError as error:
            raise Missing(f"{path.name} can't be read: {error}.") from None
    return digest.hexdigest()


def interpreter() -> str:
    return f"{sys.version}\n{sys.base_prefix}\n{VENV}\n"


def read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""


def say(text: str, stream: object = None) -> None:
    print(text, file=stream or sys.stdout, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
