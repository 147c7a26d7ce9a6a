from collections.abc import Iterator
from typing import cast

from torchmedic.model import Diagnosis, Evidence, Rule, Severity, Span, Text
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Trace
from torchmedic.rules._iterables import Walk, is_repeated, split, walk_of

rule = Rule(
    code="TM119",
    name="iterable-dataset-not-split",
    severity=Severity.ERROR,
    summary=Text(
        en="Every worker of a DataLoader yields all of an IterableDataset, so samples are repeated.",
        ko="DataLoader의 워커마다 IterableDataset 전체를 내놓아 샘플이 중복됩니다.",
    ),
    title=Text(
        en="{workers} workers each yield all of `{dataset}`: every sample {workers} times",
        ko="워커 {workers}개가 각각 `{dataset}` 전체를 내놓아 모든 샘플이 {workers}번 나옵니다",
    ),
    why=Text(
        en="""
        Each worker gets a copy of the dataset and calls `__iter__` on it. There are no indices that a sampler could deal
        out, so nothing shares the work: an epoch is as many times too long as there are workers, batches come in equal
        groups, and a metric counts each sample several times.
        """,
        ko="""
        워커는 저마다 데이터셋의 사본을 받아 `__iter__`를 부릅니다. 샘플러가 나누어 줄 인덱스가 없으므로 일이 나뉘지
        않습니다. 에폭은 워커 수만큼 길어지고, 같은 배치가 묶음으로 나오며, 지표는 샘플 하나를 여러 번 셉니다.
        """,
    ),
    help=Text(
        en="In `__iter__`, ask `torch.utils.data.get_worker_info()` and yield only this worker's part.",
        ko="`__iter__` 안에서 `torch.utils.data.get_worker_info()` 값을 보고 그 워커의 몫만 내놓으세요.",
    ),
    lesson=Text(
        en="""
        Count what an epoch yields once with `num_workers=0` and once with two workers: both numbers must be equal. Inside a
        worker `get_worker_info()` tells its number and how many there are; outside it is None. With several processes of
        distributed training the rank has to be taken into account as well. Where the data are files, deal out files
        instead of lines. A map-style Dataset needs none of this.
        """,
        ko="""
        `num_workers=0`일 때와 워커 두 개일 때 한 에폭에 나오는 개수를 세어 보세요. 두 수가 같아야 합니다. 워커 안에서
        `get_worker_info()`는 자기 번호와 전체 워커 수를 알려 주고, 밖에서는 None입니다. 분산 학습에서는 rank도 함께
        고려해야 합니다. 데이터가 파일이라면 줄이 아니라 파일을 나누세요. map 방식 Dataset에는 필요 없는 일입니다.
        """,
    ),
    bad="""
    import torch
    from torch.utils.data import DataLoader, IterableDataset


    class Measurements(IterableDataset):
        def __init__(self, rows):
            self.rows = rows

        def __iter__(self):
            for row in self.rows:
                yield torch.tensor(row)


    data = Measurements([[n / 8, n / 4] for n in range(64)])
    count = 0
    for rows in DataLoader(data, batch_size=8, num_workers=2):
        count += len(rows)
    print(count)
    """,
    good="""
    from itertools import islice
    import torch
    from torch.utils.data import DataLoader, IterableDataset


    class Measurements(IterableDataset):
        def __init__(self, rows):
            self.rows = rows

        def __iter__(self):
            worker = torch.utils.data.get_worker_info()
            first, step = (worker.id, worker.num_workers) if worker else (0, 1)
            for row in islice(self.rows, first, None, step):
                yield torch.tensor(row)


    data = Measurements([[n / 8, n / 4] for n in range(64)])
    count = 0
    for rows in DataLoader(data, batch_size=8, num_workers=2):
        count += len(rows)
    print(count)
    """,
    innocent=(
        """
        import torch
        from torch.utils.data import DataLoader, IterableDataset


        class Noise(IterableDataset):
            def __init__(self, count):
                self.count = count

            def __iter__(self):
                for _ in range(self.count):
                    yield torch.randn(4)


        for batch in DataLoader(Noise(32), batch_size=8, num_workers=2):
            print(batch.shape)
        """,
        """
        import torch
        from torch.utils.data import DataLoader, IterableDataset


        class Rows(IterableDataset):
            def __init__(self, rows):
                self.rows = rows
                self.start, self.every = 0, 1

            def __iter__(self):
                for row in self.rows[self.start :: self.every]:
                    yield torch.tensor(row)


        def own_part(number):
            info = torch.utils.data.get_worker_info()
            info.dataset.start, info.dataset.every = number, info.num_workers


        data = Rows([float(n) for n in range(64)])
        for batch in DataLoader(data, batch_size=8, num_workers=2, worker_init_fn=own_part):
            print(batch.shape)
        """,
        """
        import torch
        from torch.utils.data import DataLoader, IterableDataset


        class Lines(IterableDataset):
            def __init__(self, lines):
                self.lines = lines

            def __iter__(self):
                for line in self.lines:
                    yield len(line)


        for lengths in DataLoader(Lines(["one", "two", "three"] * 8), batch_size=4, num_workers=1):
            print(lengths)
        """,
    ),
    search=(
        "pytorch IterableDataset duplicate data num_workers",
        "IterableDataset get_worker_info split",
        "DataLoader returns same batch multiple times",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset",
        "https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.get_worker_info",
    ),
)

_EQUAL = Text(
    en="{workers} workers gave equal batches, {rounds} times in a row",
    ko="워커 {workers}개가 내놓은 배치가 {rounds}번 잇달아 서로 같았습니다",
)
_MADE = Text(en="starts {workers} workers", ko="워커 {workers}개를 시작합니다")


@rule.on(Trace)
def goes_through_everything(trace: Trace) -> Iterator[Diagnosis]:
    seen = set[Span]()
    for event in trace.of("loader"):
        found, settings = event.facts["iterable"], event.facts["settings"]
        workers = settings.get("num_workers") if isinstance(settings, dict) else None
        if type(workers) is not int or workers < 2 or not isinstance(found, tuple):
            continue
        if isinstance(settings, dict) and "worker_init_fn" in settings:
            continue
        name, at, plain = cast(tuple[str, Span, frozenset[str]], found)
        walk = walk_of(at)
        if walk is not None and walk.at not in seen and is_repeated(walk, plain):
            seen.add(walk.at)
            yield _diagnosis(walk, name, workers, Evidence(_MADE.fill(workers=workers), event.at))


@rule.on(Run)
def gave_equal_batches(run: Run) -> Iterator[Diagnosis]:
    for loader in run.loaders:
        first = loader.passes[0] if loader.passes else None
        if first is None or loader.owner or first.rounds < 2 or first.repeats < first.rounds:
            continue
        walk = walk_of(loader.dataset.at)
        said = _EQUAL.fill(workers=loader.workers, rounds=first.rounds)
        evidence = Evidence(said, loader.made_by[0].at if loader.made_by else None)
        if walk is not None:
            yield _diagnosis(walk, loader.dataset.type, loader.workers, evidence)


def _diagnosis(walk: Walk, dataset: str, workers: int, evidence: Evidence) -> Diagnosis:
    facts = {"dataset": dataset, "workers": workers}
    return Diagnosis(rule, walk.at, facts, (evidence,), split(walk))
