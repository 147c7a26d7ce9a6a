"""The fixes of a plan: what they do, what their trial came to, and the diff. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchmedic.model import Fix, Lang, Text
from torchmedic.render import verification
from torchmedic.render.layout import clean_line, wrap

_TITLE = Text("In your own loop:", "직접 작성한 루프에서:")


def fixes_as_text(fixes: Sequence[Fix], lang: Lang, width: int) -> str:
    out: list[str] = []
    for fix in fixes:
        out += ["", *wrap(f"{_TITLE.show(lang)} {fix.title.show(lang)}", width)]
        out += wrap(verification(fix, lang), width, "  ", "  ")
        out += ["", *("  " + clean_line(line) for line in fix.diff.splitlines())]
    return "\n".join([*out, ""]) if out else ""


def plain_fixes(fixes: Sequence[Fix], lang: Lang) -> list[dict[str, Any]]:
    return [
        {
            "title": fix.title.show(lang),
            "verified": fix.verified,
            "verification": verification(fix, lang),
            "diff": fix.diff,
        }
        for fix in fixes
    ]
