"""Whatever stands in a file, `check` neither fails nor hangs: generated, mutilated, deep, long and recursive programs."""

from __future__ import annotations

import ast
import random
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchmedic.abstract import execute
from torchmedic.abstract.machine import MOST_STEPS
from torchmedic.checking.files import Files
from torchmedic.checking.look import Asked, Looked, look
from torchmedic.engine import diagnose
from torchmedic.model import Diagnosis, Rule
from torchmedic.observed import Source
from torchmedic.observed.trace import Trace

HERE = Path(__file__).parent
PROGRAMS = [
    path.read_text("utf-8")
    for folder in ("source", "crashes")
    for path in sorted((HERE / folder).rglob("*.py"))
]
TREES = [ast.parse(text) for text in PROGRAMS]
EXPRESSIONS = [
    node
    for tree in TREES
    for node in ast.walk(tree)
    if isinstance(node, ast.expr) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
]
STATEMENTS = [node for tree in TREES for node in ast.walk(tree) if isinstance(node, ast.stmt)]


def answered(text: str) -> tuple[Trace, list[Diagnosis]]:
    """What the engine and all rules say. Raises what any of them raises."""

    def on_error(rule: Rule, error: Exception) -> None:
        raise AssertionError(f"{rule.code} failed") from error

    trace = execute(Source(text, "program.py"))
    return trace, list(diagnose(trace, on_error))


def looked_at(path: Path, data: bytes) -> Looked:
    path.write_bytes(data)
    return look(Asked(str(path), is_explicit=True), Files())


def is_ours(looked: Looked) -> list[str]:
    """The problems that are ours, not the file's."""
    return [p.text.en for p in looked.problems if "torchmedic failed" in p.text.en]


class Grafted(ast.NodeTransformer):
    """Puts parts of other programs in the place of one in so many expressions and statements."""

    def __init__(self, seed: int, one_in: int) -> None:
        self.random = random.Random(seed)
        self.one_in = one_in

    def visit(self, node: ast.AST) -> ast.AST:
        is_hit = self.random.randrange(self.one_in) == 0
        if isinstance(node, ast.expr) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            return self.random.choice(EXPRESSIONS) if is_hit else self.generic_visit(node)
        if isinstance(node, ast.stmt) and is_hit:
            return self.random.choice(STATEMENTS)
        return self.generic_visit(node)


def grafted(text: str, seed: int, one_in: int) -> str | None:
    """The program with parts of others in it; None if that is no program any more."""
    tree = Grafted(seed, one_in).visit(ast.parse(text))
    try:
        made = ast.unparse(ast.fix_missing_locations(tree))
        ast.parse(made)
    except (SyntaxError, ValueError):
        return None
    return made


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PROGRAMS), st.integers(0, 2**32), st.sampled_from([10, 40, 150]))
def test_parts_of_programs_in_each_other(text: str, seed: int, one_in: int) -> None:
    made = grafted(text, seed, one_in)
    if made is not None:
        answered(made)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(PROGRAMS),
    st.floats(0, 1),
    st.sampled_from(["", "\n", "\r\n", "\t", '"""', "(", "\\"]),
)
def test_truncated(
    tmp_path_factory: pytest.TempPathFactory, text: str, share: float, end: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "truncated.py"
    cut = text[: round(share * len(text))] + end
    assert is_ours(looked_at(path, cut.encode())) == []


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(PROGRAMS),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3)), max_size=8),
)
def test_damaged_bytes(
    tmp_path_factory: pytest.TempPathFactory, text: str, hits: list[tuple[float, bytes]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.py"
    data = text.encode()
    for share, put in hits:
        at = round(share * len(data))
        data = data[:at] + put + data[at + len(put) :]
    assert is_ours(looked_at(path, data)) == []


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PROGRAMS), st.integers(0, 2**32))
def test_lines_in_another_order(text: str, seed: int) -> None:
    tree = ast.parse(text)
    chosen = random.Random(seed)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and chosen.random() < 0.3:
            chosen.shuffle(body)
    try:
        made = ast.unparse(tree)
        ast.parse(made)
    except SyntaxError:
        return
    answered(made)


def nested(opening: str, depth: int, inside: str = "pass") -> str:
    lines = [f"{' ' * level}{opening.format(level)}" for level in range(depth)]
    return "\n".join([*lines, " " * depth + inside, ""])


TRAINING = dedent(
    """
    import torch
    from torch import nn
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(10):
        loss = model(torch.randn(8, 4)).sum()
        loss.backward()
        optimizer.step()
    """
)
DEEP = {
    "blocks": nested("if x{}:", 90),
    "loops": nested("for i{} in range(n):", 19),
    "functions": nested("def f{}(x):", 90),
    "classes": nested("class C{}:", 90),
    "with": nested("with open(p{}):", 19),
    "try": "\n".join(f"{' ' * i}try:" for i in range(19)) + "\n" + " " * 19 + "pass\n"
    + "\n".join(f"{' ' * i}except E{i}: pass" for i in reversed(range(19))) + "\n",
    "parentheses": "x = " + "(" * 90 + "1" + ")" * 90 + "\n",
    "lists": "x = " + "[" * 90 + "]" * 90 + "\n",
    "lambdas": "x = " + "lambda: " * 90 + "1\n",
    "not": "x = " + "not " * 200 + "y\n",
    "sum": "x = " + " + ".join(["1"] * 900) + "\n",
    "text": "x = " + " + ".join(["'a'"] * 900) + "\n",
    "and": "x = " + " and ".join(f"a{i}" for i in range(3_000)) + "\n",
    "methods": "import torch\nx = torch.zeros(2)" + ".abs()" * 900 + "\n",
    "attributes": "import torch\nx = torch" + ".a" * 900 + "\n",
    "subscripts": "x = y" + "[0]" * 900 + "\n",
    "calls": "x = f" + "()" * 900 + "\n",
    "elif": "import sys\nx = len(sys.argv)\nif x == 0:\n    y = 0\n"
    + "".join(f"elif x == {i}:\n    y = {i}\n" for i in range(1, 900)),
    "conditional expressions": "x = " + "".join(f"{i} if a{i} else " for i in range(300)) + "0\n",
}  # fmt: skip


@pytest.mark.parametrize("name", DEEP)
def test_deep(name: str) -> None:
    answered(DEEP[name] + TRAINING)


LONG = {
    "statements": TRAINING + "x = 1\n" * 60_000,
    "numbers": TRAINING + "table = [" + "1.5, " * 600_000 + "]\n",
    "text": TRAINING + f"text = {'x' * 5_000_000!r}\n",
    "keys": TRAINING + "table = {" + "".join(f"'key{i}': {i}, " for i in range(80_000)) + "}\n",
    "functions": TRAINING + "".join(f"def f{i}(x):\n    return f{i - 1}(x) + 1\n" for i in range(20_000)),
    "branches": TRAINING + "".join(f"if a{i}:\n    b{i} = f(b{i - 1})\n" for i in range(20_000)),
    "layers": TRAINING + "net = nn.Sequential(" + "nn.Linear(4, 4), " * 20_000 + ")\nnet(torch.zeros(1, 4))\n",
    "programs": TRAINING * 60,
}  # fmt: skip


@pytest.mark.parametrize("name", LONG)
def test_long(name: str, tmp_path: Path) -> None:
    looked = looked_at(tmp_path / "long.py", LONG[name].encode())
    assert is_ours(looked) == []
    # What stands first has been analysed, whatever comes behind it.
    assert "TM402" in {d["code"] for d in looked.diagnoses}


RECURSIVE = {
    "itself": "def f(n):\n    return f(n - 1) if n else 0\nf(10)\n",
    "without end": "def f(n):\n    return f(n + 1)\nf(0)\n",
    "each other": "def f(n):\n    return g(n)\ndef g(n):\n    return f(n)\nf(0)\n",
    "twice each": "def f(n):\n    return f(n - 1) + f(n - 2) + f(n - 3) + f(n - 4)\nf(30)\n",
    "method": "class A:\n    def f(self):\n        return self.f()\nA().f()\n",
    "property": "class A:\n    @property\n    def f(self):\n        return self.f\nA().f\n",
    "constructor": "class A:\n    def __init__(self):\n        self.a = A()\nA()\n",
    "call": "class A:\n    def __call__(self):\n        return self()\nA()()\n",
    "decorator": "def d(f):\n    return d(f)\n@d\ndef g():\n    pass\ng()\n",
    "generator": "def g(n):\n    yield n\n    yield from g(n + 1)\nfor x in g(0):\n    print(x)\n",
    "list of itself": "a = []\na.append(a)\nfor x in a:\n    print(len(x), x == a)\n",
    "dict of itself": "d = {}\nd['d'] = d\nprint(d['d']['d'], d == d)\n",
    "class of itself": "class A(A):\n    pass\nA()\n",
    "bases in a circle": "class A:\n    pass\nclass B(A):\n    pass\nA = B\nclass B(A):\n    pass\nA()\n",
    "module in itself": "import torch\nfrom torch import nn\nclass N(nn.Module):\n    def __init__(self):\n"
    "        super().__init__()\n        self.me = self\n        self.inner = N()\n    def forward(self, x):\n"
    "        return self.me(x)\nn = N()\nn(torch.zeros(1))\nn.eval()\n",
    "closure": "def f():\n    def g():\n        return g\n    return g()\nf()()()\n",
    "lambda": "f = lambda x: f(x)\nf(1)\n",
    "default": "def f(x=lambda: f()):\n    return x()\nf()\n",
    "star": "a = [1]\ndef f(*a):\n    return f(*a, *a)\nf(*a)\n",
    "len": "class D:\n    def __len__(self):\n        return len(self)\n    def __getitem__(self, i):\n        return self[i]\n"
    "d = D()\nfor x in d:\n    print(x, len(d))\n",
    "growth": "a = [1]\nfor i in range(40):\n    a = a + a\nb = [a] * 10**9\n",
    "text": "a = 'x'\nfor i in range(100):\n    a = a * 10**6\n",
    "number": "a = 10\nfor i in range(100):\n    a = a ** a\nb = 1 << 10**9\n",
}


@pytest.mark.parametrize("name", RECURSIVE)
def test_recursive(name: str) -> None:
    answered(RECURSIVE[name] + TRAINING)


def test_a_list_grows_in_the_else_of_a_loop() -> None:
    answered(f"a = []\nfor x in open('f'):\n    pass\nelse:\n    a.append(1)\n{TRAINING}")


def test_arms_that_multiply() -> None:
    """Two arms, each with two, …: the number of paths is no measure of the work."""
    tests = "".join(
        f"    if a{i}:\n        x = g(x)\n    else:\n        x = h(x)\n" for i in range(400)
    )
    trace, _ = answered(f"def f(x):\n{tests}    return x\nf(1)\n{TRAINING}")
    assert trace.is_complete


def test_what_was_seen_before_the_budget_ended_stands() -> None:
    calls = "".join(
        f"def f{i}(x):\n    return {' + '.join([f'f{i - 1}(x)'] * 4) if i else 'x'}\n"
        for i in range(12)
    )
    trace, found = answered(f"{TRAINING}{calls}for i in [1, 2, 3]:\n    f11(i)\n")
    assert not trace.is_complete
    assert [d.rule.code for d in found if d.rule.code == "TM402"] == ["TM402"]
    assert MOST_STEPS < 10**6


def test_import_in_a_loop(tmp_path: Path) -> None:
    """The module's own statements are in no loop."""
    (tmp_path / "names.py").write_text("found = []\nfound.append(1)\n", "utf-8")
    text = "import torch\nfor name in open('names.txt'):\n    import names\n    names.found.append(name)\n"
    assert is_ours(looked_at(tmp_path / "main.py", text.encode())) == []
