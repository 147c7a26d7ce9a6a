from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Rule, Severity, Span, Text
from torchmedic.observed.run import Run
from torchmedic.rules._draws import methods_of, use_in_items

rule = Rule(
    code="TM120",
    name="generator-copied-to-workers",
    severity=Severity.WARNING,
    summary=Text(
        en="A Dataset keeps a random generator, and every worker draws the same numbers from its own copy.",
        ko="Dataset이 난수 생성기를 가지고 있어, 워커마다 자기 사본에서 똑같은 수를 뽑습니다.",
    ),
    title=Text(
        en="{workers} workers start with one state of `{attribute}` and draw equal numbers",
        ko="워커 {workers}개가 `{attribute}` 생성기의 같은 상태에서 시작해 같은 난수를 뽑습니다",
    ),
    why=Text(
        en="""
        Each worker gets a copy of the dataset, and with it a copy of the generator in the state that it has in the main
        process. All workers draw the same sequence for different items, and without `persistent_workers` they start with
        that state again in each epoch. A DataLoader seeds torch, `random` and `numpy.random` in its workers, but no
        generator that an object holds.
        """,
        ko="""
        워커는 저마다 데이터셋의 사본을 받고, 생성기도 메인 프로세스에서의 상태 그대로 복사됩니다. 그래서 모든 워커가 서로 다른
        항목에 같은 난수열을 쓰고, `persistent_workers`가 없으면 에포크마다 그 상태에서 다시 시작합니다. DataLoader는 워커에서
        torch, `random`, `numpy.random`의 시드를 정하지만 객체가 가진 생성기의 시드는 정하지 않습니다.
        """,
    ),
    help=Text(
        en="Seed it in each worker: pass `worker_init_fn`, or draw from a generator made of the seed and the index.",
        ko="`worker_init_fn`을 넘겨 워커마다 시드를 정하거나, 시드와 인덱스로 만든 생성기에서 뽑으세요.",
    ),
    lesson=Text(
        en="""
        A generator for each item, `np.random.default_rng((self.seed, index))`, gives the same item with any number of workers,
        but the same in each epoch as well; add the epoch to vary it. In `worker_init_fn` use
        `torch.initial_seed()`, which is another one in each worker and each epoch, and set
        `torch.utils.data.get_worker_info().dataset.rng`. Or draw from torch's own generator, which is seeded for you. To check:
        let items return the number that they drew and compare those of two workers.
        """,
        ko="""
        항목마다 `np.random.default_rng((self.seed, index))`로 생성기를 만들면 워커 수와 상관없이 같은 항목이 나오지만 에포크마다
        같습니다. 다르게 하려면 에포크도 넣으세요. `worker_init_fn` 안에서는 워커와 에포크마다 다른 `torch.initial_seed()` 값을 써서
        `torch.utils.data.get_worker_info().dataset.rng` 값을 바꾸세요. 알아서 시드가 정해지는 torch의 생성기에서 뽑아도 됩니다.
        확인하려면 항목이 뽑은 수를 함께 돌려주게 하고 두 워커의 수를 비교하세요.
        """,
    ),
    bad="""
    import random
    import torch
    from torch.utils.data import DataLoader, Dataset


    class Noisy(Dataset):
        def __init__(self, rows):
            self.rows = rows
            self.rng = random.Random(0)

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, index):
            return self.rows[index] + self.rng.gauss(0.0, 0.1)


    data = Noisy(torch.zeros(32, 4))
    for rows in DataLoader(data, batch_size=8, num_workers=2):
        print(rows[0, 0].item())
    """,
    good="""
    import random
    import torch
    from torch.utils.data import DataLoader, Dataset


    class Noisy(Dataset):
        def __init__(self, rows):
            self.rows = rows
            self.rng = random.Random(0)

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, index):
            return self.rows[index] + self.rng.gauss(0.0, 0.1)


    def seed_worker(number):
        torch.utils.data.get_worker_info().dataset.rng.seed(torch.initial_seed())


    data = Noisy(torch.zeros(32, 4))
    for rows in DataLoader(data, batch_size=8, num_workers=2, worker_init_fn=seed_worker):
        print(rows[0, 0].item())
    """,
    innocent=(
        """
        import random
        import torch
        from torch.utils.data import DataLoader, Dataset


        class Noisy(Dataset):
            def __init__(self, rows, seed):
                self.rows = rows
                self.seed = seed

            def __len__(self):
                return len(self.rows)

            def __getitem__(self, index):
                rng = random.Random(self.seed + index)
                return self.rows[index] + rng.gauss(0.0, 0.1)


        data = Noisy(torch.zeros(32, 4), seed=0)
        for rows in DataLoader(data, batch_size=8, num_workers=2):
            print(rows[0, 0].item())
        """,
        """
        import random
        import torch
        from torch.utils.data import DataLoader, Dataset


        class Shuffled(Dataset):
            def __init__(self, rows, augment):
                self.rng = random.Random(0)
                self.rows = list(rows)
                self.rng.shuffle(self.rows)
                self.augment = augment

            def __len__(self):
                return len(self.rows)

            def __getitem__(self, index):
                row = self.rows[index]
                if self.augment:
                    row = row + self.rng.gauss(0.0, 0.1)
                return row


        data = Shuffled(torch.zeros(32, 4), augment=False)
        for rows in DataLoader(data, batch_size=8, num_workers=2):
            print(rows[0, 0].item())
        """,
        """
        import torch
        from torch.utils.data import DataLoader, Dataset


        class Noisy(Dataset):
            def __init__(self, rows):
                self.rows = rows
                self.generator = torch.default_generator

            def __len__(self):
                return len(self.rows)

            def __getitem__(self, index):
                return self.rows[index] + torch.randn(4, generator=self.generator)


        data = Noisy(torch.zeros(32, 4))
        for rows in DataLoader(data, batch_size=8, num_workers=2):
            print(rows[0, 0].item())
        """,
    ),
    search=(
        "pytorch dataloader workers same random augmentation",
        "numpy random seed identical in DataLoader workers",
        "worker_init_fn seed generator dataset",
        "data augmentation repeats every epoch pytorch",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/data.html#data-loading-randomness",
        "https://docs.pytorch.org/docs/stable/notes/randomness.html#dataloader",
        "https://numpy.org/doc/stable/reference/random/parallel.html",
    ),
)

_DRAWS = Text(en="each item draws from it", ko="항목마다 여기서 뽑습니다")
_MADE = Text(
    en="starts {workers} workers, without `worker_init_fn`",
    ko="`worker_init_fn` 없이 워커 {workers}개를 시작합니다",
)


@rule.on(Run)
def draws_from_a_copy(run: Run) -> Iterator[Diagnosis]:
    told = set[Span]()
    for loader in run.loaders:
        data = loader.dataset
        if loader.workers < 2 or loader.has_worker_init or loader.owner or data.is_iterable:
            continue
        methods = methods_of(data.at) if data.generators else {}
        for attribute in data.generators:
            use = use_in_items(methods, attribute, {**data.containers, **data.attributes})
            at = use.made_at or use.at if use is not None else None
            if use is None or at is None or at in told:
                continue
            told.add(at)
            facts: dict[str, object] = {"attribute": attribute, "workers": loader.workers}
            made = Evidence(
                _MADE.fill(workers=loader.workers), loader.made_by[0].at if loader.made_by else None
            )
            yield Diagnosis(rule, at, facts, (Evidence(_DRAWS.fill(), use.at), made))
