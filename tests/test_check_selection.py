"""Which findings are shown: rules chosen on the command line, in the settings, by file, and in the code."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchmedic
from checks import Bench
from torchmedic.config import ConfigError
from torchmedic.engine import is_suppressed
from torchmedic.model import Diagnosis, Span
from torchmedic.observed.source import stand_in

BAD = "import torch\n\nbad_safe = 1\n"


def test_comments_silence(bench: Bench) -> None:
    comment = "  # torchmedic: ignore[name-wrong]"
    bench.write(a=f"import torch\nbad_safe = 1{comment}\nbad_plain = 1\n")
    assert bench("--format", "concise").out.startswith("a.py:3:1")


NAMES = st.sampled_from(["TM981", "tm981", "name-wrong", "Name-Wrong", "TM98", "TM982", "x y", ""])


@given(
    st.lists(NAMES, max_size=4),
    st.sampled_from(["", " ", "\t  "]),
    st.sampled_from(["#", "# ", "# why  # ", "#가 #  "]),
    st.sampled_from(["torchmedic:ignore", "torchmedic: ignore", "TorchMedic:  Ignore"]),
)
@settings(deadline=None)
def test_a_comment_silences_exactly_the_rules_that_it_names(
    names: list[str], space: str, start: str, word: str
) -> None:
    from checks import NAMES as RULE

    listed = f"{space},{space}".join(names)
    stand_in("<ignores>", f"x = 1  {start}{word}[{space}{listed}{space}]\n")
    try:
        silent = is_suppressed(Diagnosis(RULE, Span("<ignores>", 1, 0, 1, 5)))
    finally:
        stand_in("<ignores>", None)
    assert silent == bool({"tm981", "name-wrong"} & {name.lower() for name in names})


def test_choosing_rules(bench: Bench) -> None:
    bench.write(a="import torch\nbad_safe = 1\nbad_mild = 1\n")

    def codes(*words: str) -> list[str]:
        out = bench("--format", "concise", *words).out
        return [line.split("[")[1][:5] for line in out.splitlines()]

    assert codes() == ["TM981", "TM982"]
    assert codes("--select", "TM982") == codes("--select", "name-doubtful") == ["TM982"]
    assert codes("--ignore", "tm981") == ["TM982"]
    assert codes("--select", "TM9", "--ignore", "TM98") == []
    assert codes("--select", "TM9", "--ignore", "TM982") == ["TM981"]
    assert codes("--ignore", "TM9", "--select", "TM981,TM982") == ["TM981", "TM982"]
    assert codes("--ignore", "ALL") == []
    bench.put("pyproject.toml", '[tool.torchmedic]\nignore = ["TM981"]\n')
    assert codes() == ["TM982"]
    assert codes("--select", "TM9") == ["TM982"]
    assert codes("--select", "TM981") == ["TM981"]
    assert codes("--ignore", "TM982") == []
    bench.put("pyproject.toml", '[tool.torchmedic]\nselect = ["TM981"]\n')
    assert codes() == ["TM981"]
    assert codes("--select", "TM982") == ["TM982"]


def test_rules_silenced_by_file(bench: Bench) -> None:
    bench.write(a=BAD, tests__b=BAD, tests__deep__c=BAD, old_train=BAD)
    bench.put(
        "pyproject.toml",
        '[tool.torchmedic.per-file-ignores]\n"tests/**" = ["ALL"]\n"*_train.py" = ["name-wrong"]\n',
    )
    assert bench("--format", "concise").out.count("\n") == 1


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('ignor = ["TM1"]', "has no setting 'ignor': did you mean ignore?"),
        ('select = "TM1"', "select has to be a list of texts"),
        ("ignore = [1]", "ignore has to be a list of texts"),
        ('ignore = ["TM777"]', "no rule is called 'TM777'"),
        ("per-file-ignores = 1", "per-file-ignores has to be a table"),
        ('per-file-ignores = {"a.py" = "TM1"}', "per-file-ignores.'a.py' has to be a list"),
        ("select = [", "cannot read"),
    ],
)
def test_settings_that_cannot_be_used(table: str, said: str, bench: Bench) -> None:
    bench.write(a=BAD)
    bench.put("pyproject.toml", f"[tool.torchmedic]\n{table}\n")
    done = bench()
    assert (done.status, done.out) == (2, "") and done.err.count("\n") == 1
    assert said in done.err
    with pytest.raises(ConfigError):
        torchmedic.check(".")


def test_excluded_files_that_are_named(bench: Bench) -> None:
    bench.write(a=BAD, old__b=BAD, build__c=BAD)
    bench.put("pyproject.toml", '[tool.torchmedic]\nextend-exclude = ["old"]\n')
    words = ("--format", "concise", "a.py", "old/b.py", "build/c.py")
    assert bench(*words).out.count("\n") == 3
    assert bench(*words, "--force-exclude").out.startswith("a.py:3:1")
    assert bench(*words, "--force-exclude").out.count("\n") == 1
    bench.put("pyproject.toml", '[tool.torchmedic]\nexclude = ["old"]\n')
    assert bench(*words, "--force-exclude").out.count("\n") == 2
