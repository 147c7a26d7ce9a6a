from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Rule, Severity, Text, Variant
from torchmedic.observed import Failure
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Reading, Trace
from torchmedic.rules._dataset import OUT_OF_RANGE, Access
from torchmedic.rules._promises import Promise, next_step, promises, too_large, too_small, window
from torchmedic.rules._verdict import requirement, told_by_line, usual, verdict
from torchmedic.rules._walked import asked, is_whole, walked

rule = Rule(
    code="TM101",
    name="dataset-length-wrong",
    severity=Severity.ERROR,
    summary=Text(
        en="`__len__` of a Dataset returns another number than it has items.",
        ko="Dataset의 `__len__` 값이 실제로 가진 항목 수와 다릅니다.",
    ),
    title=Text(
        en="`__len__` returns {length}, but `{container}` holds {held}",
        ko="`__len__` 값은 {length}인데 `{container}` 안에는 {held}개가 있습니다",
    ),
    why=Text(
        en="""
        A DataLoader never looks into the data: its sampler draws every index from 0 to `len(dataset) - 1` and
        calls `__getitem__` with each. A `__len__` that is too large makes it ask for items that do not exist; one
        that is too small leaves the last items unused, without any error.
        """,
        ko="""
        DataLoader는 데이터를 들여다보지 않습니다. 샘플러가 0부터 `len(dataset) - 1`까지의 인덱스를 뽑아
        `__getitem__`을 부를 뿐입니다. `__len__` 값이 너무 크면 없는 항목을 요청하게 되고, 너무 작으면 마지막
        항목들이 오류 없이 쓰이지 않습니다.
        """,
    ),
    help=Text(
        en="Return from `__len__` the length of what `__getitem__` indexes: `{container}`.",
        ko="`__getitem__`이 인덱싱하는 `{container}` 컨테이너의 길이를 `__len__`에서 돌려주세요.",
    ),
    lesson=Text(
        en="""
        Compare `len(dataset)` with the length of every list, array and tensor that `__getitem__` indexes, and
        read `dataset[0]` and `dataset[len(dataset) - 1]` once before training: both have to work.
        A number written into `__len__` is wrong as soon as the data change, or a part is split off. Compute it from
        the container that is indexed. With windows of w rows there are len(data) - w + 1 of them, with pieces of
        k rows len(data) // k, and with a next-step target one less.
        """,
        ko="""
        `len(dataset)` 값을 `__getitem__`이 인덱싱하는 모든 리스트, 배열, 텐서의 길이와 비교하고, 학습 전에
        `dataset[0]`과 `dataset[len(dataset) - 1]`을 한 번씩 읽어 보세요. 둘 다 되어야 합니다.
        `__len__`에 적어 둔 숫자는 데이터가 바뀌거나 일부를 떼어 내는 순간 틀립니다. 인덱싱하는 컨테이너에서
        계산하세요. w행짜리 윈도라면 len(data) - w + 1개, k행짜리 조각이라면 len(data) // k개이고, 다음 시점을
        정답으로 쓰면 하나 줄어듭니다.
        """,
    ),
    example={"container": "self.inputs"},
    bad="""
    import torch
    from torch.utils.data import DataLoader, Dataset


    class Squares(Dataset):
        def __init__(self):
            self.inputs = torch.arange(90.0).unsqueeze(1)
            self.targets = self.inputs**2

        def __len__(self):
            return 100

        def __getitem__(self, index):
            return self.inputs[index], self.targets[index]


    for inputs, targets in DataLoader(Squares(), batch_size=20):
        print(inputs.shape)
    """,
    good="""
    import torch
    from torch.utils.data import DataLoader, Dataset


    class Squares(Dataset):
        def __init__(self):
            self.inputs = torch.arange(90.0).unsqueeze(1)
            self.targets = self.inputs**2

        def __len__(self):
            return len(self.inputs)

        def __getitem__(self, index):
            return self.inputs[index], self.targets[index]


    for inputs, targets in DataLoader(Squares(), batch_size=20):
        print(inputs.shape)
    """,
    variants=(
        Variant(
            "reach",
            Text(
                en="`__len__` returns {length}, but `{container}` has room for {items} items",
                ko="`__len__` 값은 {length}인데 `{container}` 안에는 항목 {items}개만 들어갑니다",
            ),
            why=Text(
                en="""
                One item reads more than one place of `{container}`, or a place further on, so there are fewer
                items than places. The DataLoader asks for every index from 0 to `len(dataset) - 1`, and the last ones
                reach past the end.
                """,
                ko="""
                항목 하나가 `{container}` 컨테이너의 여러 자리, 또는 더 뒤의 자리를 읽으므로 항목 수는 자리 수보다
                적습니다. DataLoader는 0부터 `len(dataset) - 1`까지의 모든 인덱스를 요청하고, 마지막 항목들은 끝을
                넘어갑니다.
                """,
            ),
            help=Text(
                en="Count in `__len__` how many items fit into `{container}`.",
                ko="`{container}` 안에 들어가는 항목의 수를 `__len__`에서 계산하세요.",
            ),
        ),
        Variant(
            "unused",
            Text(
                en="`__len__` returns {length}: the last {unused} of {held} items are never used",
                ko="`__len__` 값이 {length}이라 항목 {held}개 중 마지막 {unused}개가 쓰이지 않습니다",
            ),
        ),
        Variant(
            "left-out",
            Text(
                en="`__len__` returns `{expression}`: the last items of `{container}` are never used",
                ko="`__len__` 값이 `{expression}`이라 `{container}` 안의 마지막 항목들이 쓰이지 않습니다",
            ),
        ),
        Variant(
            "message",
            Text(
                en="`__len__` promises more items than `{container}` has",
                ko="`__len__` 값이 `{container}` 안에 있는 항목 수보다 큽니다",
            ),
            messages=OUT_OF_RANGE,
        ),
    ),
    innocent=(
        """
        import torch
        from torch.utils.data import DataLoader, Dataset


        class Repeated(Dataset):
            def __init__(self, rows, epoch_size):
                self.rows = rows
                self.epoch_size = epoch_size

            def __len__(self):
                return self.epoch_size

            def __getitem__(self, index):
                return self.rows[index % len(self.rows)]


        for rows in DataLoader(Repeated(torch.zeros(7, 2), 20), batch_size=4):
            print(rows.shape)
        """,
        """
        import torch
        from torch.utils.data import DataLoader, Dataset


        class Windows(Dataset):
            def __init__(self):
                self.series = torch.arange(60.0)
                self.past = 12

            def __len__(self):
                return len(self.series) - self.past

            def __getitem__(self, index):
                now = index + self.past
                return self.series[index:now], self.series[now]


        for past, following in DataLoader(Windows(), batch_size=16):
            print(past.shape, following.shape)
        """,
        """
        import torch
        from torch.utils.data import DataLoader, Dataset


        class Chosen(Dataset):
            def __init__(self):
                self.images = torch.zeros(50, 1, 8, 8)
                self.labels = torch.arange(50) % 10
                self.numbers = torch.nonzero(self.labels < 3).flatten().tolist()

            def __len__(self):
                return len(self.numbers)

            def __getitem__(self, index):
                number = self.numbers[index]
                return self.images[number], self.labels[number]


        for images, labels in DataLoader(Chosen(), batch_size=4):
            print(images.shape, labels)
        """,
    ),
    says=(
        "Traceback (most recent call last):\n"
        '  File "/home/kim/train.py", line 41, in <module>\n'
        "    for images, labels in loader:\n"
        '  File "/usr/lib/python3/dist-packages/torch/utils/data/dataloader.py", line 517, in __next__\n'
        "    data = self._next_data()\n"
        '  File "/usr/lib/python3/dist-packages/torch/utils/data/_utils/fetch.py", line 44, in <listcomp>\n'
        "    data = [self.dataset[idx] for idx in possibly_batched_index]\n"
        '  File "/home/kim/data.py", line 19, in __getitem__\n'
        "    image = self.images[idx]\n"
        "IndexError: list index out of range\n",
    ),
    search=(
        "IndexError list index out of range DataLoader",
        "index is out of bounds for dimension 0 with size __getitem__",
        "pytorch dataset __len__ __getitem__",
        "single positional indexer is out-of-bounds",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/data.html#map-style-datasets",
        "https://docs.pytorch.org/tutorials/beginner/basics/data_tutorial.html",
    ),
)


@rule.on(Failure)
def too_long(failure: Failure) -> Iterator[Diagnosis]:
    access = usual(failure)
    if access is not None:
        if verdict(failure, access) == "length":
            yield _diagnosis(failure, access)
    elif (line := told_by_line(failure)) is not None and not line.expression:
        yield Diagnosis(
            rule,
            failure.raised_at,
            {**line.numbers, "container": line.container},
            variant=rule.variant("message"),
            raised_at=failure.raised_at,
        )


def _diagnosis(failure: Failure, access: Access) -> Diagnosis:
    length = access.length
    assert length is not None
    code, items = requirement(access)
    facts = access.facts
    single = code.startswith("len(") and code.endswith(")")
    bare = single or code.startswith("min(")
    if single:
        facts["container"] = code[4:-1]
    if bare and items is not None:
        facts["held"] = items
    name = "" if bare else "reach"
    if length.number is None or items is None:
        name = "message"
    elif not bare:
        facts["items"] = items
    fixes = tuple[Fix, ...]()
    if access.can_be_written(code):
        fixes = (
            Fix(
                (Edit(length.source.span(length.returned), code),),
                Text(en="return `{code}`", ko="`{code}` 값 돌려주기").fill(code=code),
            ),
        )
    return Diagnosis(
        rule,
        length.source.span(length.returned),
        facts,
        tuple(_evidence(access)),
        fixes,
        variant=rule.variant(name) if name else None,
        raised_at=failure.raised_at,
    )


def _evidence(access: Access) -> Iterator[Evidence]:
    length = access.length
    if length is not None and length.number is not None:
        yield Evidence(
            Text(
                en="`{code}` is {number}: items 0 to {last} may be asked for",
                ko="`{code}` 값은 {number}이므로 0번부터 {last}번까지 요청될 수 있습니다",
            ).fill(
                code=length.source.code(length.returned),
                number=length.number,
                last=length.number - 1,
            ),
            length.source.span(length.returned),
        )
    if access.held is not None:
        yield Evidence(
            Text(
                en="`{container}` holds {held}", ko="`{container}` 안에는 {held}개가 있습니다"
            ).fill(container=access.shown, held=access.held),
            access.place.at,
        )
    if access.number is not None:
        yield Evidence(
            Text(
                en="index {index} of `{container}` was read",
                ko="`{container}` 컨테이너의 {index}번 인덱스를 읽었습니다",
            ).fill(index=access.number, container=access.shown),
            access.place.at,
        )


@rule.on(Trace)
def promised(trace: Trace) -> Iterator[Diagnosis]:
    """What needs no crash: items that nothing can ask for, and items that are promised but not there."""
    for promise in promises(trace):
        yield from _judged(trace, promise)


@rule.on(Run)
def asked_for(run: Run) -> Iterator[Diagnosis]:
    """The same of the datasets that a DataLoader walked, with the sizes that they had."""
    for walk in walked(run):
        for told in _judged(walk.trace, walk.promise):
            seen = (asked(walk),) if is_whole(walk) else ()
            yield told._replace(evidence=(*told.evidence, *seen))


def _judged(trace: Trace, promise: Promise) -> Iterator[Diagnosis]:
    if (read := too_large(promise)) is not None:
        yield _of_promise(promise, read, "")
    elif (read := next_step(promise)) is not None:
        yield _of_promise(promise, read, "reach")
    elif (reached := window(trace, promise)) is not None:
        yield _of_promise(promise, reached[0], "reach", reached[1])
    elif (read := too_small(promise)) is not None:
        yield _of_promise(promise, read, "unused")


def _of_promise(promise: Promise, read: Reading, name: str, spared: str = "") -> Diagnosis:
    facts: dict[str, object] = {"dataset": promise.dataset, "container": read.container}
    reach = read.offset or 0
    is_told = promise.length is not None and read.held is not None
    if promise.length is not None and read.held is not None:
        facts |= {"length": promise.length, "held": read.held}
        if name == "unused":
            facts["unused"] = read.held - promise.length
        elif name == "reach":
            facts["items"] = read.held - reach
    elif name == "unused":
        facts["expression"] = promise.code
        name = "left-out"
    else:
        name = "message"
    code = f"len({read.container})" + (f" - {spared or reach}" if reach else "")
    fixes = tuple[Fix, ...]()
    if promise.can_be_written(read.container):
        title = Text(en="return `{code}`", ko="`{code}` 값 돌려주기").fill(code=code)
        fixes = (Fix((Edit(promise.at, code),), title),)
    evidence = [_READ.fill(container=read.container)]
    if is_told:
        evidence = [_HELD.fill(container=read.container, held=read.held)]
    return Diagnosis(
        rule,
        promise.at,
        facts,
        tuple(Evidence(text, read.at) for text in evidence),
        fixes,
        variant=rule.variant(name) if name else None,
    )


_HELD = Text(en="`{container}` holds {held}", ko="`{container}` 안에는 {held}개가 있습니다")
_READ = Text(
    en="every item reads `{container}` at its own number",
    ko="모든 항목이 `{container}` 컨테이너를 자기 번호로 읽습니다",
)
