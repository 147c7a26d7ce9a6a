from collections.abc import Iterator

from torchmedic.model import Diagnosis, Fix, Rule, Severity, Text, Variant
from torchmedic.observed import Failure
from torchmedic.rules._flow import failing_call
from torchmedic.rules._loaders import Made, is_loader

rule = Rule(
    code="TM117",
    name="sampler-with-shuffle",
    severity=Severity.ERROR,
    summary=Text(
        en="A DataLoader gets a sampler and, besides, an option that the sampler decides.",
        ko="DataLoader가 sampler와 함께, sampler가 정하는 옵션도 받습니다.",
    ),
    title=Text(
        en="the DataLoader has both `sampler` and `shuffle=True`",
        ko="DataLoader에 `sampler`와 `shuffle=True` 옵션이 함께 있습니다",
    ),
    why=Text(
        en="""
        Both decide the order in which items are drawn: `shuffle=True` makes the DataLoader build a RandomSampler of
        its own, and a sampler that is given takes its place. Only one of them can be used.
        """,
        ko="""
        둘 다 항목을 뽑는 순서를 정합니다. `shuffle=True` 옵션은 DataLoader가 RandomSampler를 직접 만들게 하고,
        주어진 sampler는 그 자리를 차지합니다. 하나만 쓸 수 있습니다.
        """,
    ),
    help=Text(
        en="Remove `shuffle=True`; shuffle in the sampler if it does not draw at random already.",
        ko="`shuffle=True` 옵션을 지우고, sampler가 무작위로 뽑지 않는다면 sampler 안에서 섞으세요.",
    ),
    lesson=Text(
        en="""
        WeightedRandomSampler, SubsetRandomSampler and RandomSampler draw at random by themselves. DistributedSampler
        shuffles by default, and `sampler.set_epoch(epoch)` gives every epoch another order. A `batch_sampler` decides
        the batches as well, so `batch_size` and `drop_last` belong to it.
        """,
        ko="""
        WeightedRandomSampler, SubsetRandomSampler, RandomSampler는 스스로 무작위로 뽑습니다. DistributedSampler는
        기본으로 섞으며, `sampler.set_epoch(epoch)`을 불러야 에폭마다 순서가 달라집니다. `batch_sampler`는 배치까지
        정하므로 `batch_size`와 `drop_last`는 그쪽에 주세요.
        """,
    ),
    bad="""
    import torch
    from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

    data = TensorDataset(torch.arange(10.0))
    sampler = WeightedRandomSampler([1.0] * 5 + [4.0] * 5, num_samples=10)
    loader = DataLoader(data, batch_size=4, shuffle=True, sampler=sampler)
    """,
    good="""
    import torch
    from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

    data = TensorDataset(torch.arange(10.0))
    sampler = WeightedRandomSampler([1.0] * 5 + [4.0] * 5, num_samples=10)
    loader = DataLoader(data, batch_size=4, sampler=sampler)
    """,
    messages=("sampler option is mutually exclusive with shuffle",),
    variants=(
        Variant(
            "batch_sampler",
            Text(
                en="the DataLoader has `batch_sampler` and options that it decides",
                ko="DataLoader에 `batch_sampler`와, 그것이 정하는 옵션이 함께 있습니다",
            ),
            why=Text(
                en="A `batch_sampler` yields whole batches of indices: size, order and last batch are its decision.",
                ko="`batch_sampler`는 인덱스를 배치째로 내놓으므로 배치 크기, 순서, 마지막 배치를 모두 스스로 정합니다.",
            ),
            help=Text(
                en="Remove `batch_size`, `shuffle`, `sampler` and `drop_last` from the DataLoader.",
                ko="DataLoader에서 `batch_size`, `shuffle`, `sampler`, `drop_last` 옵션을 지우세요.",
            ),
            messages=("batch_sampler option is mutually exclusive with",),
        ),
        Variant(
            "iterable",
            Text(
                en="an IterableDataset is given to a DataLoader with `shuffle=True`",
                ko="IterableDataset을 쓰는 DataLoader에 `shuffle=True` 옵션이 있습니다",
            ),
            why=Text(
                en="An IterableDataset decides the order by itself: there are no indices that could be drawn at random.",
                ko="IterableDataset은 순서를 스스로 정합니다. 무작위로 뽑을 인덱스가 없습니다.",
            ),
            help=Text(
                en="Remove `shuffle=True` and shuffle inside of the dataset's `__iter__`.",
                ko="`shuffle=True` 옵션을 지우고 데이터셋의 `__iter__` 안에서 섞으세요.",
            ),
            messages=("DataLoader with IterableDataset: expected unspecified shuffle option",),
        ),
    ),
    says=(
        "ValueError: sampler option is mutually exclusive with shuffle",
        "ValueError: batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last",
    ),
    search=(
        "sampler option is mutually exclusive with shuffle",
        "WeightedRandomSampler shuffle DataLoader",
    ),
    links=("https://docs.pytorch.org/docs/stable/data.html#data-loading-order-and-sampler",),
)


@rule.on(Failure)
def both_given(failure: Failure) -> Iterator[Diagnosis]:
    readings = [rule.variant("batch_sampler"), rule.variant("iterable")]
    reading = rule.read(failure.message)
    if reading is None:
        return
    chosen = next((v for v in readings if any(m in failure.message for m in v.messages)), None)
    found = failing_call(failure)
    at, fixes = failure.raised_at, tuple[Fix, ...]()
    if found is not None and is_loader(found[0], found[2]):
        made = Made(found[0], found[2])
        names: tuple[str, ...] = ("shuffle",)
        if chosen is not None and chosen.name == "batch_sampler":
            names = ("batch_size", "shuffle", "sampler", "drop_last")
        given = [k for k in made.call.keywords if k.arg in names]
        if given:
            at = made.source.span(given[0])
        edit = made.without(*names)
        listed = ", ".join(made.source.code(k) for k in given)
        if edit is not None:
            title = Text(en="remove `{listed}`", ko="`{listed}` 삭제").fill(listed=listed)
            fixes = (Fix((edit,), title),)
    yield Diagnosis(rule, at, {}, (), fixes, variant=chosen, raised_at=failure.raised_at)
