"""What `torchmedic check` says of other people's programs, against what a person said of each finding.

python tools/corpus.py fetch FOLDER    clones the repositories of tests/corpus.tsv into FOLDER, at their commits
python tools/corpus.py score FOLDER    checks them and compares with tests/verdicts.tsv: the false alarms per 100 files

Exit status 0: every finding has a verdict, and every finding that was called true is still there. 1: a difference.
2: the folder lacks a repository.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "tests" / "corpus.tsv"
VERDICTS = ROOT / "tests" / "verdicts.tsv"
HOST = "https://github.com"


class Repository(NamedTuple):
    name: str
    commit: str

    def folder(self, corpus: Path) -> Path:
        return corpus / self.name.replace("/", "+")


class Finding(NamedTuple):
    repository: str
    file: str
    line: int
    code: str


def repositories() -> list[Repository]:
    with CORPUS.open(encoding="utf-8", newline="") as file:
        return [
            Repository(row["repo"], row["commit"]) for row in csv.DictReader(file, delimiter="\t")
        ]


def verdicts() -> dict[Finding, tuple[str, str]]:
    """(true or false, one sentence) of every finding that a person read."""
    with VERDICTS.open(encoding="utf-8", newline="") as file:
        return {
            Finding(row["repository"], row["file"], int(row["line"]), row["code"]): (
                row["verdict"],
                row["why"],
            )
            for row in csv.DictReader(file, delimiter="\t")
        }


def fetch(corpus: Path) -> int:
    for repository in repositories():
        folder = repository.folder(corpus)
        if not folder.exists():
            git = ["git", "-C", str(folder)]
            subprocess.run(["git", "init", "-q", str(folder)], check=True)
            source = f"{HOST}/{repository.name}"
            subprocess.run(
                [*git, "fetch", "-q", "--depth", "1", source, repository.commit], check=True
            )
            subprocess.run([*git, "checkout", "-q", "FETCH_HEAD"], check=True)
    return 0


def findings(corpus: Path) -> Iterator[Finding]:
    """Errors and warnings; advice is no alarm."""
    for repository in repositories():
        folder = repository.folder(corpus)
        done = subprocess.run(
            [sys.executable, "-m", "torchmedic", "check", "--format", "json", "--no-cache", "."],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        for found in json.loads(done.stdout)["diagnoses"]:
            if found["severity"] in ("error", "warning"):
                yield Finding(repository.name, found["path"], found["line"], found["code"])


def files(corpus: Path) -> int:
    """Python files with torch in them."""
    count = 0
    for repository in repositories():
        for path in repository.folder(corpus).rglob("*.py"):
            count += path.is_file() and b"torch" in path.read_bytes()
    return count


def score(corpus: Path) -> int:
    missing = [r.name for r in repositories() if not r.folder(corpus).is_dir()]
    if missing:
        print(f"{corpus} lacks {', '.join(missing)}: run `fetch` first", file=sys.stderr)
        return 2
    known = verdicts()
    found = set(findings(corpus))
    counts = Counter((known[f][0] if f in known else "unread", f.code) for f in found)
    total = files(corpus)
    for (verdict, code), count in sorted(counts.items()):
        print(f"{verdict:7} {code} {count}")
    alarms = sum(count for (verdict, _), count in counts.items() if verdict == "false")
    print(
        f"{len(found)} findings in {total} files; {100 * alarms / max(total, 1):.2f} false alarms per 100 files"
    )
    unread = sorted(found - known.keys())
    lost = sorted(f for f, (verdict, _) in known.items() if verdict == "true" and f not in found)
    for title, some in (("unread", unread), ("true before, not found now", lost)):
        for one in some:
            print(f"{title}: {one.repository} {one.file}:{one.line} {one.code}")
    return 1 if unread or lost else 0


def main(words: list[str]) -> int:
    if len(words) != 2 or words[0] not in ("fetch", "score"):
        print((__doc__ or "").strip(), file=sys.stderr)
        return 2
    return fetch(Path(words[1])) if words[0] == "fetch" else score(Path(words[1]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
