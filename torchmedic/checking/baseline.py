"""Findings that are known already: recorded once, so that later runs report what is new.

A finding is known by its rule, its file, and the text of its line without the white space around it; of equal ones,
as many as were recorded. So it stays known when lines above it come and go.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence

from torchmedic.checking.files import Files
from torchmedic.checking.problems import BadBaseline
from torchmedic.model import Diagnosis
from torchmedic.render import cell_of

VERSION = 1
Key = tuple[str, str, str]  # code, path, hash of the line


def key(d: Diagnosis, files: Files, folder: str) -> Key:
    """What makes the finding known again; paths are relative to `folder`."""
    if d.at is None:
        return d.rule.code, "", ""
    name, _ = cell_of(d.at.path)
    try:
        relative = os.path.relpath(name, folder)
    except ValueError:  # another drive
        relative = name
    line = " ".join(files.line(d.at.path, d.at.line).split())
    digest = hashlib.blake2b(line.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return d.rule.code, relative.replace(os.sep, "/"), digest


def fingerprints(found: Sequence[Diagnosis], files: Files, folder: str) -> list[str]:
    """A text for each finding that stays the same when its line moves; equal ones are numbered."""
    seen: Counter[Key] = Counter()
    out = []
    for d in found:
        one = key(d, files, folder)
        seen[one] += 1
        out.append(
            hashlib.blake2b(
                "\0".join((*one, str(seen[one]))).encode("utf-8", "replace"), digest_size=16
            ).hexdigest()
        )
    return out


def write(path: str, found: Iterable[Diagnosis], files: Files) -> int:
    """Records the findings, one line for each kind, and returns how many there are. Raises OSError."""
    folder = os.path.dirname(os.path.abspath(path))
    counts = Counter(key(d, files, folder) for d in found)
    rows = [json.dumps([*one, count], ensure_ascii=False) for one, count in sorted(counts.items())]
    body = ",\n".join(f"    {row}" for row in rows)
    listed = f"[\n{body}\n  ]" if rows else "[]"
    text = f'{{\n  "torchmedic_baseline": {VERSION},\n  "findings": {listed}\n}}\n'
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
        file.write(text)
    os.replace(temporary, path)
    return counts.total()


class Baseline:
    """A recorded baseline. Raises BadBaseline if the file can't be read."""

    def __init__(self, path: str) -> None:
        self.folder = os.path.dirname(os.path.abspath(path))
        try:
            with open(path, encoding="utf-8", errors="surrogatepass") as file:
                whole = json.load(file)
            if whole["torchmedic_baseline"] != VERSION:
                raise BadBaseline(f"{path} is a baseline of another version of torchmedic")
            self.counts: Counter[Key] = Counter()
            for code, name, digest, count in whole["findings"]:
                self.counts[str(code), str(name), str(digest)] += int(count)
        except FileNotFoundError:
            raise BadBaseline(
                f"there is no baseline {path}: record one with --write-baseline"
            ) from None
        except OSError as error:
            raise BadBaseline(f"cannot read {path}: {error.strerror or error}") from None
        except (ValueError, KeyError, TypeError):
            raise BadBaseline(f"{path} is not a baseline of torchmedic") from None

    def new(self, found: Iterable[Diagnosis], files: Files) -> list[Diagnosis]:
        """The findings that were not recorded. Of equal ones, the first are the known ones."""
        left = Counter(self.counts)
        kept = []
        for d in found:
            one = key(d, files, self.folder)
            if left[one] > 0:
                left[one] -= 1
            else:
                kept.append(d)
        return kept
