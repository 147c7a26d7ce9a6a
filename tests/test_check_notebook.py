"""Notebooks: findings by cell and line, and fixes that change nothing but the cell."""

from __future__ import annotations

import ast
import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks import Bench
from corpus import VALIDATOR
from torchmedic.checking.cells import masked
from torchmedic.checking.notebook import Notebook, apply
from torchmedic.checking.problems import CannotLook
from torchmedic.model import Edit, Span
from torchmedic.observed.source import lines_of


def cell(source: str | list[str], kind: str = "code") -> dict[str, object]:
    return {"cell_type": kind, "id": "x", "metadata": {}, "source": source}


def notebook(*cells: dict[str, object], indent: int | None = 1, **more: object) -> str:
    whole = {
        "cells": list(cells),
        "metadata": {"language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
        **more,
    }
    return json.dumps(whole, indent=indent, ensure_ascii=False) + "\n"


BOOK = notebook(
    cell("# Notes\nbad_safe", "markdown"),
    cell(["%matplotlib inline\n", "import torch\n", "!pip install x\n", "bad_plain = 1"]),
    cell([]),
    cell(["def f():\n", "    ls = !ls\n", "    return 1, bad_safe  # 값\n"]),
)


def test_findings_by_cell_and_line(bench: Bench) -> None:
    bench.put("n.ipynb", BOOK)
    done = bench("--format", "concise")
    assert [line.split(": ")[0] for line in done.out.splitlines()] == [
        "n.ipynb:cell 2:4:1",
        "n.ipynb:cell 4:3:15",
    ]
    assert (
        "n.ipynb:cell 4:3:15" in bench().out and "3 |     return 1, bad_safe  # 값" in bench().out
    )


def test_in_json_a_cell_is_a_number(bench: Bench) -> None:
    bench.put("n.ipynb", BOOK)
    report = json.loads(bench("--format", "json").out)
    VALIDATOR.validate(report)
    found = report["diagnoses"][1]
    assert (found["path"], found["cell"], found["line"], found["column"]) == ("n.ipynb", 4, 3, 14)
    assert found["evidence"][0]["cell"] == 4
    assert found["fixes"][0]["edits"][0]["cell"] == 4
    found["cell"] = "4"
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(report)


def test_sarif_and_github_give_no_place_in_the_json_text(bench: Bench) -> None:
    bench.put("n.ipynb", BOOK)
    (run,) = json.loads(bench("--format", "sarif").out)["runs"]
    (where,) = run["results"][1]["locations"]
    assert where == {
        "physicalLocation": {"artifactLocation": {"uri": "n.ipynb", "uriBaseId": "SRCROOT"}},
        "logicalLocations": [{"name": "cell 4"}],
    }
    assert run["results"][1]["message"]["text"].startswith("n.ipynb:cell 4:3: `bad_safe`")
    assert "fixes" not in run["results"][1]
    command = bench("--format", "github").out.splitlines()[1]
    assert ",file=n.ipynb::n.ipynb:cell 4:3: " in command and "line=" not in command


@pytest.mark.parametrize("indent", [None, 1, 2, 4])
@pytest.mark.parametrize("is_string", [False, True])
def test_a_fix_changes_its_cell_and_no_other_byte(
    indent: int | None, is_string: bool, bench: Bench
) -> None:
    source = ["%time\n", "import torch\n", "x = '값'\n", "bad_import = bad_import"]
    given = "".join(source) if is_string else source
    text = notebook(
        cell("import os"), cell(given), cell(["y = 1"]), indent=indent, zz=[1.50, "\u2028", {}]
    )
    path = bench.put("n.ipynb", text)
    assert bench("--fix").status == 0
    new = path.read_text("utf-8")
    mended = [*source[:3], "good = good"]
    cells = json.loads(text)["cells"]
    cells[0]["source"] = "import good\nimport os"
    cells[1]["source"] = "".join(mended) if is_string else mended
    assert json.loads(new) == {**json.loads(text), "cells": cells}
    old_source = json.dumps("bad_import = bad_import")[1:-1]
    assert new == text.replace(old_source, "good = good").replace(
        '"import os"', '"import good\\nimport os"'
    )
    assert bench("--fix").status == 0 and path.read_text("utf-8") == new


def test_escapes_and_missing_line_ends_are_kept(bench: Bench) -> None:
    text = '{"cells":[{"source":["import torch # \\uac12\\n",\r\n  "bad_safe\\u0020= 1 "],"cell_type":"code"}]}'
    path = bench.put("n.ipynb", text)
    assert bench("--fix").status == 0
    assert path.read_bytes().decode() == text.replace("bad_safe\\u0020= 1 ", "good = 1 ")


def test_a_diff_names_the_cell(bench: Bench) -> None:
    bench.put("n.ipynb", BOOK)
    done = bench("--diff")
    assert "--- a/n.ipynb:cell 4\n+++ b/n.ipynb:cell 4\n" in done.out
    assert "-    return 1, bad_safe  # 값\n+    return 1, good  # 값\n" in done.out
    assert done.status == 1


def test_a_cell_that_is_no_python_is_told_and_the_others_are_checked(bench: Bench) -> None:
    bench.put("n.ipynb", notebook(cell("import torch"), cell("x = 1\nif x"), cell("bad_plain = 1")))
    done = bench("--format", "concise")
    assert done.status == 2 and done.out.startswith("n.ipynb:cell 3:1:1: ")
    assert done.err.startswith("n.ipynb:cell 2:2: is not valid Python")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("torch", "n.ipynb:1: is not a notebook: "),
        ('{"cells": [torch', "n.ipynb:1: is not a notebook: "),
        ("[1] torch", "n.ipynb:1: is not a notebook: a JSON object is expected"),
        ('{"a": "torch"}', "n.ipynb: is not a notebook of format 4"),
        ('{"cells": "torch"}', "n.ipynb: is not a notebook of format 4"),
        ('{"cells": [' + "[" * 100_000 + " torch", "n.ipynb"),
        ('{"cells": [1, {}, {"cell_type": "code", "source": 1}], "torch": 1}', None),
        (notebook(cell("library(torch)"), metadata={"kernelspec": {"language": "R"}}), None),
        (notebook(cell("import torch"), metadata=[]), None),
    ],
)
def test_what_is_no_notebook(text: str, said: str | None, bench: Bench) -> None:
    bench.put("n.ipynb", text)
    done = bench("n.ipynb")
    if said is None:
        assert done.status == 0, done.err
    else:
        assert done.status == 2 and done.err.count("\n") == 1 and done.err.startswith(said)


@pytest.mark.parametrize(
    ("source", "python"),
    [
        ("%load x\ny = 1", "pass\ny = 1"),
        ("x = 5\nx %\\\n 2", "x = 5\nx %\\\n 2"),
        ("!ls\nx = (a\n% b)\n", "pass\nx = (a\n% b)\n"),
        ("!ls\nx = '''\n%time\n!ls\n'''\n%y", "pass\nx = '''\n%time\n!ls\n'''\npass"),
        ("!ls \\\n  -l\nx = 1", "pass\n\nx = 1"),
        ("if x:\n    !ls\n", "if x:\n    pass\n"),
        ("files = !ls *.py\n", "files = get_ipython()\n"),
        ("a, b = %magic x", "a, b = get_ipython()"),
        ("torch.nn?", "pass"),
        ("?torch\n??torch", "pass\npass"),
        ("%%time\nx = 1\n%y\n", "\nx = 1\npass\n"),
        ("\n%%bash\nls -l\n", "\n\n\n"),
        ("%%writefile a.py\nimport torch", "\n"),
        ("!echo '''\nx = 1", "pass\nx = 1"),
        ("!ls\nx = \"it's\"  # don't\n!y", "pass\nx = \"it's\"  # don't\npass"),
    ],
)
def test_magics_become_python_line_by_line(source: str, python: str) -> None:
    found = masked(source)
    assert found.text == python
    old, new = lines_of(source), lines_of(found.text)
    changed = {n for n, line in enumerate(old, 1) if [line] != new[n - 1 : n]}
    assert changed <= found.hidden
    assert not any(old[n - 1].strip() for n in found.hidden - changed)


LINES = st.sampled_from(
    ["x = 1\n", "%magic\n", "!ls \\\n", "if x:\n", "    pass\n", "y = (\n", ")\n", "'''\n", "\n",
     "z = !ls\n", "f?\n", "%%time\n", "\r\n", "# bad\n", "값 = '값'\n", "bad_safe"]
)  # fmt: skip
SOURCES = st.lists(LINES, max_size=8).map("".join)


@given(SOURCES)
@settings(max_examples=300, deadline=None)
def test_every_line_keeps_its_number(source: str) -> None:
    found = masked(source)
    old, new = lines_of(source), lines_of(found.text)
    assert all(
        a == b for n, (a, b) in enumerate(zip(old, new, strict=False), 1) if n not in found.hidden
    )
    hidden_end = all(n in found.hidden for n in range(len(new) + 1, len(old) + 1))
    assert len(new) <= len(old) and hidden_end


@given(st.lists(st.tuples(st.sampled_from(["code", "markdown"]), SOURCES), max_size=5))
@settings(max_examples=200, deadline=None)
def test_places_lead_back_to_the_cell_and_edits_reach_it(cells: list[tuple[str, str]]) -> None:
    """Each line of the joined text is that line of that cell, or is masked; an edit there changes only it."""
    text = notebook(*(cell(source, kind) for kind, source in cells))
    book = Notebook("n.ipynb", text.encode())
    ast.parse(book.text)
    for number, line in enumerate(lines_of(book.text), 1):
        place = book.local(Span("n.ipynb", number, 0, number, 0))
        name, _, index = place.path.rpartition(":cell ")
        kind, source = cells[int(index) - 1]
        assert (name, kind) == ("n.ipynb", "code")
        own = next(c for c in book.cells if c.number == int(index))
        if place.line in own.hidden:
            continue
        assert lines_of(source)[place.line - 1].rstrip("\r\n") == line.rstrip("\r\n")
        assert book.can_edit(Span("n.ipynb", number, 0, number, 0))
        new = json.loads(book.edited({own.number: [Edit(place, "NEW ")]}))
        old = json.loads(text)
        lines = lines_of(source)
        lines[place.line - 1] = "NEW " + lines[place.line - 1]
        old["cells"][own.number - 1]["source"] = "".join(lines)
        assert new == old


def test_text_behind_a_last_line_without_an_end() -> None:
    behind = Edit(Span("n.ipynb:cell 1", 2, 0, 2, 0), "y = 2\n")
    gone = Edit(Span("n.ipynb:cell 1", 1, 0, 2, 0), "")
    assert apply("x = 1", [behind]) == "x = 1\ny = 2"
    assert apply("x = 1\n", [behind]) == "x = 1\ny = 2\n"
    assert apply("x = 1", [gone]) == ""


def test_masked_lines_cannot_be_edited() -> None:
    book = Notebook("n", notebook(cell("%m\nx = 1\n!l"), cell("%%bash\nls"), cell("y")).encode())
    assert book.text == "pass\nx = 1\npass\n\n\ny\n"

    def can(*place: int) -> bool:
        return book.can_edit(Span("n", *place))

    assert can(1, 0, 1, 0) and can(2, 0, 2, 5) and can(2, 0, 3, 0) and can(6, 0, 6, 1)
    assert not can(1, 0, 1, 2) and not can(1, 2, 1, 2) and not can(2, 0, 3, 1) and not can(1)
    assert not can(4, 0, 4, 0) and not can(5, 0, 6, 1) and not can(2, 0, 6, 1)


def test_bad_encoding_is_one_problem() -> None:
    with pytest.raises(CannotLook):
        Notebook("n.ipynb", b'{"cells": ["\xe9"]}')
