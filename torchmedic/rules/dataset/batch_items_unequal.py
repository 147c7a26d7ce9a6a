import re
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Rule, Severity, Text, Variant
from torchmedic.observed import Failure
from torchmedic.rules._loaders import in_loader, loop_frame, made

rule = Rule(
    code="TM111",
    name="batch-items-unequal",
    severity=Severity.ERROR,
    summary=Text(
        en="The items of one batch have different sizes, so they can't be stacked.",
        ko="한 배치에 든 항목들의 크기가 서로 달라 하나로 쌓을 수 없습니다.",
    ),
    title=Text(
        en="items of one batch differ in size: {first} at entry 0, {other} at entry {entry}",
        ko="한 배치의 항목 크기가 다릅니다: 0번은 {first}, {entry}번은 {other} 크기",
    ),
    why=Text(
        en="""
        The DataLoader's default `collate_fn` puts the items of a batch into one tensor with `torch.stack`, which needs
        equal sizes. Images of different height or width, and sentences of different length, do not have them.
        """,
        ko="""
        DataLoader의 기본 `collate_fn` 함수는 배치의 항목들을 `torch.stack`으로 한 텐서에 쌓으므로 크기가 모두
        같아야 합니다. 높이나 너비가 다른 이미지, 길이가 다른 문장은 그렇지 않습니다.
        """,
    ),
    help=Text(
        en="""
        Bring images to one size in the Dataset (`Resize`, or a crop). For sequences, give the DataLoader a `collate_fn`
        that pads them with `torch.nn.utils.rnn.pad_sequence(items, batch_first=True)` and keeps their lengths.
        """,
        ko="""
        이미지는 Dataset 안에서 한 크기로 맞추세요(`Resize` 또는 자르기). 시퀀스라면
        `torch.nn.utils.rnn.pad_sequence(items, batch_first=True)`로 채우고 길이를 함께 돌려주는 `collate_fn`
        함수를 DataLoader에 주세요.
        """,
    ),
    lesson=Text(
        en="""
        Print `set(item.shape for item in dataset)` for the first hundred items: more than one size means that the default
        `collate_fn` will fail sooner or later, at the first batch that mixes them. With `batch_size=1` the
        error is gone but not the cause. Padding belongs in `collate_fn`, because only there the longest item of
        the batch is known; `Resize((height, width))` takes both numbers, with one number only the shorter side is fixed.
        """,
        ko="""
        처음 백 개 항목의 `set(item.shape for item in dataset)` 값을 출력해 보세요. 크기가 둘 이상이면 기본
        `collate_fn` 함수는 서로 다른 크기가 섞이는 첫 배치에서 실패합니다. `batch_size=1`로 하면 오류만 사라지고
        원인은 남습니다. 배치에서 가장 긴 항목은 `collate_fn` 안에서만 알 수 있으므로 패딩은 그곳에서 하세요.
        `Resize((height, width))`에는 숫자를 둘 다 주세요. 하나만 주면 짧은 변만 고정됩니다.
        """,
    ),
    bad="""
    import torch
    from torch.utils.data import DataLoader, Dataset


    class Sentences(Dataset):
        def __init__(self):
            self.sentences = [torch.arange(3), torch.arange(5)]

        def __len__(self):
            return len(self.sentences)

        def __getitem__(self, index):
            return self.sentences[index]


    loader = DataLoader(Sentences(), batch_size=2)
    for batch in loader:
        print(batch.shape)
    """,
    good="""
    import torch
    from torch.nn.utils.rnn import pad_sequence
    from torch.utils.data import DataLoader, Dataset


    class Sentences(Dataset):
        def __init__(self):
            self.sentences = [torch.arange(3), torch.arange(5)]

        def __len__(self):
            return len(self.sentences)

        def __getitem__(self, index):
            return self.sentences[index]


    def pad(batch):
        return pad_sequence(batch, batch_first=True)


    loader = DataLoader(Sentences(), batch_size=2, collate_fn=pad)
    for batch in loader:
        print(batch.shape)
    """,
    messages=(
        "stack expects each tensor to be equal size, but got {first:shape} at entry 0 and {other:shape} at entry {entry:d}",
    ),
    variants=(
        Variant(
            "sizes",
            Text(
                en="items of one batch differ in size: {first} and {other} in dimension {dimension}",
                ko="한 배치의 항목 크기가 {dimension}번 차원에서 다릅니다: {first} 크기와 {other} 크기",
            ),
            messages=(
                "Sizes of tensors must match except in dimension 0. Got {first:d} and {other:d} in dimension {dimension:d}",
                "Sizes of tensors must match except in dimension 0. Got {first:d} and {other:d} (The offending index is {entry:d})",
            ),
        ),
        Variant(
            "lists",
            Text(
                en="items of one batch differ in length",
                ko="한 배치의 항목들이 길이가 서로 다릅니다",
            ),
            messages=(
                "each element in list of batch should be of equal size",
                "Trying to resize storage that is not resizable",
                "all input arrays must have the same shape",
                "inconsistent tensor sizes at",
            ),
        ),
    ),
    says=(
        "RuntimeError: stack expects each tensor to be equal size, but got [3, 40] at entry 0 and [3, 28] at entry 1",
        "RuntimeError: each element in list of batch should be of equal size",
        "Traceback (most recent call last):\n"
        '  File "/usr/lib/python3/dist-packages/torch/utils/data/_utils/collate.py", line 43, in default_collate\n'
        "    return torch.stack(batch, 0, out=out)\n"
        "RuntimeError: invalid argument 0: Sizes of tensors must match except in dimension 0. "
        "Got 480 and 640 in dimension 2 at /pytorch/aten/src/TH/generic/THTensor.cpp:711\n",
    ),
    search=(
        "stack expects each tensor to be equal size",
        "each element in list of batch should be of equal size",
        "pytorch dataloader variable length collate_fn pad_sequence",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/data.html#working-with-collate-fn",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.pad_sequence.html",
    ),
)

# Wordings that other calls than the loader's use too.
_COMMON = r"Sizes of tensors must match|same shape|inconsistent tensor|not resizable"


@rule.on(Failure)
def sizes_differ(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None or not _in_batch(failure):
        return
    call = made(failure) if in_loader(failure) else None
    frame = loop_frame(failure)
    yield Diagnosis(
        rule,
        call.at if call else failure.raised_at or (frame.at if frame else None),
        reading.facts,
        variant=reading.variant,
        raised_at=failure.raised_at,
    )


def _in_batch(failure: Failure) -> bool:
    """True if it was a batch that was put together: below a loader, and not in its dataset."""
    if not failure.frames:
        return not re.search(_COMMON, failure.message)
    below = [f.function.rpartition(".")[2] for f in failure.frames]
    return in_loader(failure) and "__getitem__" not in below[-3:]
