"""Writes docs/rules from the rules. `--check` writes nothing and exits with 1 if a page there is not what it would write."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from torchmedic.model import LANGS, Lang, Rule  # noqa: E402
from torchmedic.render import page  # noqa: E402

NAMES: dict[Lang, str] = {"en": "English", "ko": "한국어"}


def pages(rules: Iterable[Rule]) -> Iterator[tuple[str, str]]:
    """Each file's name and content: a page and an index per language, each linked to its twins."""
    known = list(rules)
    for lang in LANGS:
        yield _name("index", lang), _with_twins("index", lang, page.index(known, lang))
        for rule in known:
            yield _name(rule.code, lang), _with_twins(rule.code, lang, page.page(rule, lang))


def stale(folder: Path, wanted: dict[str, str]) -> list[str]:
    """The names of pages that are missing, differ, or belong to no rule."""
    there = {path.name: path.read_text("utf-8") for path in folder.glob("*.md")}
    names = there.keys() | wanted.keys()
    return sorted(name for name in names if there.get(name) != wanted.get(name))


def write(folder: Path, wanted: dict[str, str]) -> list[str]:
    """Brings the folder up to date and tells which pages changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = stale(folder, wanted)
    for name in changed:
        if name in wanted:
            (folder / name).write_text(wanted[name], "utf-8", newline="\n")
        else:
            (folder / name).unlink()
    return changed


def main(arguments: list[str] | None = None) -> int:
    from torchmedic.rules import RULES

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if stale")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "rules")
    options = parser.parse_args(arguments)
    wanted = dict(pages(RULES.values()))
    if not options.check:
        print(f"{len(write(options.folder, wanted))} of {len(wanted)} pages written")
        return 0
    found = stale(options.folder, wanted)
    for name in found:
        print(f"stale: {options.folder / name}", file=sys.stderr)
    if found:
        print("Run python tools/docs.py to write them anew.", file=sys.stderr)
    return 1 if found else 0


def _name(stem: str, lang: Lang) -> str:
    return f"{stem}.md" if lang == "en" else f"{stem}.{lang}.md"


def _with_twins(stem: str, lang: Lang, content: str) -> str:
    """The page with links to its other languages under its first heading."""
    links = " · ".join(
        f"[{NAMES[other]}]({_name(stem, other)})" for other in LANGS if other != lang
    )
    heading, rest = content.split("\n", 1)
    return f"{heading}\n\n{links}\n{rest}"


if __name__ == "__main__":
    sys.exit(main())
