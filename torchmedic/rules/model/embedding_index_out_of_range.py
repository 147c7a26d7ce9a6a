from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Rule, Severity, Text, Variant
from torchmedic.observed import Failure
from torchmedic.observed.construction import constructor
from torchmedic.rules._asserts import assertion, is_of_embedding
from torchmedic.rules._place import answer

rule = Rule(
    code="TM319",
    name="embedding-index-out-of-range",
    severity=Severity.ERROR,
    summary=Text(
        en="An embedding is asked for a row that its table does not have.",
        ko="임베딩 표에 없는 행을 찾습니다.",
    ),
    title=Text(
        en="an index is larger than the embedding table, or negative",
        ko="인덱스가 임베딩 표보다 크거나 음수입니다",
    ),
    why=Text(
        en="""
        `nn.Embedding(n, d)` has the rows 0 … n − 1. Ids that start at 1, an id reserved for padding or unknown words,
        or a vocabulary counted before it grew, ask for row n or beyond.
        """,
        ko="""
        `nn.Embedding(n, d)`의 행은 0부터 n − 1까지입니다. 1부터 시작하는 번호, 패딩이나 모르는 단어를 위해 남겨 둔
        번호, 어휘가 늘기 전에 센 개수는 n번 행이나 그 너머를 찾게 합니다.
        """,
    ),
    help=Text(
        en="Set `num_embeddings` to the largest id + 1.",
        ko="`num_embeddings` 값을 가장 큰 번호 + 1로 설정하세요.",
    ),
    lesson=Text(
        en="""
        Compare `ids.min()` and `ids.max()` with `embedding.num_embeddings` before the call. Count the vocabulary after
        the special tokens were added: `len(vocab)`, not the number of words. On a GPU the same mistake is a
        device-side assert at some later line: run the batch on the CPU to see the true place.
        """,
        ko="""
        호출하기 전에 `ids.min()`, `ids.max()`를 `embedding.num_embeddings`와 비교하세요. 어휘는 특수 토큰을 더한 뒤에
        세세요. 단어 수가 아니라 `len(vocab)`입니다. GPU에서는 같은 실수가 나중 줄의 device-side assert로 나타나므로,
        CPU에서 배치를 실행해 실제 위치를 보세요.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    table = nn.Embedding(5, 3)
    ids = torch.tensor([1, 2, 3, 4, 5])
    print(table(ids).shape)
    """,
    good="""
    import torch
    from torch import nn

    table = nn.Embedding(6, 3)
    ids = torch.tensor([1, 2, 3, 4, 5])
    print(table(ids).shape)
    """,
    messages=(
        "index out of range in self",
        "Assertion `srcIndex < srcSelectDimSize` failed",
        "Assertion 'srcIndex < srcSelectDimSize' failed",
        "vectorized gather kernel index out of bounds",
    ),
    variants=(
        Variant(
            "row",
            Text(
                en="row {index} is asked of an embedding with {rows} rows",
                ko="행이 {rows}개인 임베딩에서 {index}번 행을 찾습니다",
            ),
            messages=(
                "Tried to access index {index:d} out of table with {rows:d} rows",
                "input takes value {index:d} which is not in the valid range [0, {rows:d})",
            ),
        ),
        Variant(
            "table",
            Text(
                en="an index does not fit an embedding with {rows} rows: 0 to {last}",
                ko="행이 {rows}개(0번부터 {last}번까지)인 임베딩에 맞지 않는 인덱스가 있습니다",
            ),
        ),
    ),
    innocent=(
        """
        letters = ["a", "b"]
        try:
            letters[2]
        except IndexError:
            print("no third letter")
        """,
    ),
    says=(
        "IndexError: index out of range in self",
        "RuntimeError: index out of range: Tried to access index 1000 out of table with 999 rows. at "
        "/pytorch/aten/src/TH/generic/THTensorEvenMoreMath.cpp:418",
        "RuntimeError: Index 3 of input takes value 50257 which is not in the valid range [0, 50257)",
        "/pytorch/aten/src/ATen/native/cuda/Indexing.cu:1292: indexSelectLargeIndex: block: [12,0,0], thread: [31,0,0] "
        "Assertion `srcIndex < srcSelectDimSize` failed.",
    ),
    search=(
        "index out of range in self embedding",
        "srcIndex < srcSelectDimSize failed",
        "num_embeddings vocabulary size",
    ),
    links=("https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html",),
)

_ROWS = Text(en="write `{new}` rows where `{old}` is", ko="행 수 `{old}` 자리에 `{new}` 쓰기")
_MADE = Text(
    en="`{layer}` has {rows} rows: indices 0 to {last} fit",
    ko="`{layer}` 층의 행은 {rows}개이며 0번부터 {last}번까지의 인덱스가 맞습니다",
)


@rule.on(Failure)
def row_is_not_there(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    if "vectorized gather" in assertion(failure) and not is_of_embedding(failure):
        return
    layer = failure.failing
    rows = layer.settings.get("num_embeddings") if layer else None
    if layer is None or not isinstance(rows, int):
        is_elsewhere = failure.library_frame("embedding", "embedding_bag") is None
        if failure.is_live and is_elsewhere and failure.type == "IndexError":
            return
        yield answer(rule, failure, reading)
        return
    text = _MADE.fill(layer=layer.path or layer.type, rows=rows, last=rows - 1)
    evidence = (Evidence(text, layer.made_at),)
    if not reading.variant.name:
        reading = reading._replace(variant=rule.variant("table"))
    at, fixes = layer.made_at, tuple[Fix, ...]()
    made = constructor(failure, layer)
    old = made.argument(0, "num_embeddings") if made else None
    if made is not None and old is not None:
        at = made.source.span(old)
        index = reading.facts.get("index")
        wanted = max(rows, index if isinstance(index, int) else 0) + 1
        code = made.source.code(old)
        is_number = isinstance(old, ast.Constant)
        new = str(wanted) if is_number else f"{code} + {wanted - rows}"
        fixes = (Fix((Edit(at, new),), _ROWS.fill(old=code, new=new)),)
    yield answer(rule, failure, reading, at, fixes, evidence, rows=rows, last=rows - 1)
