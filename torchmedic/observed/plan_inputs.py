"""Batches by description, where a program's data are slow or not there: "x:float32[32,3,224,224]", "y:int64[32]"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from torchmedic.model import Text

DTYPES = (
    *(
        "float64",
        "float32",
        "float16",
        "bfloat16",
        "int64",
        "int32",
        "int16",
        "int8",
        "uint8",
        "bool",
    ),
    *("complex64", "complex128"),
)
UNREADABLE = Text(
    en='`{said}` describes no tensor: write `"x:float32[32,3,224,224]"`, with one of {dtypes}',
    ko='`{said}` 표기는 텐서를 나타내지 않습니다. `"x:float32[32,3,224,224]"`처럼 쓰세요. 쓸 수 있는 dtype: {dtypes}',
)
TWICE = Text("two inputs have the name `{name}`", "이름이 `{name}`인 입력이 둘입니다")
SOME = Text(
    en="give every input a name, or none of them",
    ko="모든 입력에 이름을 붙이거나 하나에도 붙이지 마세요",
)
_FORM = re.compile(r"\s*(?:([A-Za-z_]\w*)\s*:)?\s*(?:torch\.)?(\w+)\s*\[\s*([\d\s,]*)\]\s*")
_LONGEST = 60


class Input(NamedTuple):
    """One tensor of a batch. `name`: "" for one that has only its place."""

    name: str
    dtype: str
    size: tuple[int, ...]


class BadInput(ValueError):
    """`said`: what is wrong, in both languages."""

    def __init__(self, said: Text) -> None:
        super().__init__(said.en)
        self.said = said


def inputs_of(words: Sequence[str]) -> tuple[Input, ...]:
    """Raises BadInput."""
    found = tuple(map(_input, words))
    names = [one.name for one in found if one.name]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(TWICE.fill(name=name))
    if names and len(names) < len(found):
        raise BadInput(SOME)
    return found


def _input(word: str) -> Input:
    found = _FORM.fullmatch(word)
    sizes = [part.strip() for part in found[3].split(",")] if found else []
    if sizes and not sizes[-1]:
        sizes.pop()  # [32,] as Python writes it
    if found is None or found[2] not in DTYPES or not all(s.isdecimal() for s in sizes):
        raise BadInput(UNREADABLE.fill(said=word[:_LONGEST], dtypes=", ".join(DTYPES)))
    return Input(found[1] or "", found[2], tuple(map(int, sizes)))
