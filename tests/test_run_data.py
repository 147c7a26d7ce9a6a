"""What the Run view notes of DataLoaders, datasets and seeds, and that the program can't tell."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from torchmedic.observed.run import Run
from torchmedic.probes.observer.hooks import Observer
from torchmedic.probes.observer.loaders import Loaders, _highest, _print_of, _repeats
from torchmedic.probes.observer.seeds import Seeds
from torchmedic.probes.record import Recorder
from torchmedic.rules import RULES
from torchmedic.rules.dataset.training_data_not_shuffled import in_blocks


class Counting(Dataset):
    """Counts what is asked of it."""

    def __init__(self, count: int) -> None:
        self.rows = torch.arange(count * 1.0)
        self.asked = {"len": 0, "item": 0, "property": 0}

    def __len__(self) -> int:
        self.asked["len"] += 1
        return len(self.rows)

    def __getitem__(self, index):
        self.asked["item"] += 1
        return self.rows[index], index // 4

    @property
    def names(self) -> list[str]:
        self.asked["property"] += 1
        return ["row"] * len(self.rows)


@pytest.fixture
def watched() -> Iterator[Observer]:
    observer = Observer(lambda now: [Loaders(now), Seeds(now)])
    recorder = Recorder(observer)
    recorder.install()
    yield observer
    recorder.uninstall()
    assert observer.error is None


def walk(data: Dataset, passes: int = 2, **options: object) -> None:
    loader = DataLoader(data, **options)
    for _ in range(passes):
        for _ in loader:
            pass


def test_the_dataset_is_asked_nothing_more():
    alone, seen = Counting(20), Counting(20)
    walk(alone, batch_size=4)
    observer = Observer(lambda now: [Loaders(now), Seeds(now)])
    recorder = Recorder(observer)
    recorder.install()
    try:
        walk(seen, batch_size=4)
        observer.read()
    finally:
        recorder.uninstall()
    assert seen.asked == alone.asked


def test_a_loader_is_told_with_its_passes(watched):
    walk(Counting(20), batch_size=4, passes=6)
    [loader] = watched.read().loaders
    assert (loader.batch_size, loader.sampler, loader.is_shuffle_given) == (4, "SequentialSampler", False)  # fmt: skip
    assert loader.begun == 6 and [p.batches for p in loader.passes] == [5] * 4
    assert loader.passes[0].labels == tuple((n, n) for n in range(5))
    assert loader.dataset.type == "Counting" and loader.dataset.containers["rows"].length == 20
    assert loader.made_by[0].function == "walk"


def test_options_are_told(watched):
    walk(Subset(Counting(20), [3, 1, 9]), batch_size=2, shuffle=True, drop_last=True)
    walk(Counting(4), sampler=[0, 1, 2])
    subset, own = watched.read().loaders
    assert subset.dataset.wraps == ("Subset",) and subset.dataset.most == 10
    assert subset.is_shuffle_given and subset.drop_last and subset.passes[0].labels == ()
    assert own.sampler == ""  # a list, whose indices nobody knows


def test_containers_that_grow_have_no_length(watched):
    data = Counting(8)
    loader = DataLoader(data, batch_size=4)
    next(iter(loader))
    data.rows = torch.arange(12.0)
    [told] = watched.read().loaders
    assert "rows" not in told.dataset.containers


def test_nothing_is_kept_alive(watched):
    data = Counting(8)
    loader = DataLoader(data, batch_size=4)
    for _ in loader:
        pass
    refs = weakref.ref(data), weakref.ref(loader)
    del data, loader
    gc.collect()
    assert [ref() for ref in refs] == [None, None]
    assert watched.read().loaders


def test_generators_stay_where_they_are():
    def states() -> tuple[bytes, object]:
        torch.manual_seed(1)
        random.seed(1)
        model = nn.Linear(2, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for rows, _ in DataLoader(Counting(8), batch_size=4, shuffle=True):
            model(rows.view(2, 2)).sum().backward()
            optimizer.step()
        return torch.get_rng_state().numpy().tobytes(), random.getstate()

    alone = states()
    observer = Observer(lambda now: [Loaders(now), Seeds(now)])
    recorder = Recorder(observer)
    recorder.install()
    try:
        assert states() == alone
    finally:
        recorder.uninstall()


def trained(seed_first: bool = False, seed_late: bool = False) -> None:
    if seed_first:
        torch.manual_seed(2)
    model = nn.Linear(2, 1)
    if seed_late:
        torch.manual_seed(2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(4, 2)).sum().backward()
        optimizer.step()


def test_who_draws_before_a_seed(watched):
    trained()
    seeds = watched.read().seeds
    assert seeds.is_whole and seeds.is_drawn and seeds.is_first and not seeds.is_seeded
    assert seeds.first[0].function == "trained"


def test_a_seed_before_the_first_number(watched):
    trained(seed_first=True)
    seeds = watched.read().seeds
    assert seeds.is_seeded and not seeds.is_drawn and not seeds.seeds[0].is_late


def test_a_seed_after_the_first_number(watched):
    trained(seed_late=True)
    [seed] = watched.read().seeds.seeds
    assert seed.is_late and seed.generator == "torch"


def test_a_generator_seeded_past_torch_counts(watched):
    torch.default_generator.manual_seed(5)
    trained()
    assert watched.read().seeds.is_seeded


def test_what_began_before_the_watching_is_not_judged(watched):
    watched.now.is_whole = False
    trained()
    run = watched.read()
    assert not run.seeds.is_whole
    assert list(RULES["TM401"].detectors[Run](run)) == []


def test_functions_of_torch_are_put_back():
    functions = (DataLoader.__init__, torch.random.manual_seed, torch.cuda.manual_seed, nn.init.kaiming_uniform_)  # fmt: skip
    before = [f.__code__ for f in functions]
    observer = Observer(lambda now: [Loaders(now), Seeds(now)])
    recorder = Recorder(observer)
    recorder.install()
    assert all(f.__code__ is not code for f, code in zip(functions, before, strict=True))
    recorder.uninstall()
    assert [f.__code__ for f in functions] == before


@pytest.mark.parametrize(
    ("labels", "is_sorted"),
    [
        ([0, 0, 0, 1, 1, 1], True),
        ([2, 2, 0, 0, 1, 1], True),
        ([0, 0, 1, 1, 0, 0], False),  # a class that comes again
        ([0, 1, 0, 1], False),
        ([0, 1, 2, 3], False),  # one batch of each: a sampler may do that
        ([0, 0, 0, 0], False),
        ([], False),
    ],
)
def test_blocks_of_classes(labels: list[int], is_sorted: bool):
    assert in_blocks([(n, n) for n in labels]) is is_sorted


def test_blocks_may_meet_in_a_batch():
    assert in_blocks([(0, 0), (0, 0), (0, 0), (0, 1), (1, 1), (1, 1)])
    assert not in_blocks([(0, 0), (0, 1), (0, 1), (1, 1), (0, 1)])


@pytest.mark.parametrize(
    ("prints", "told"),
    [
        ([1, 1, 2, 2, 3, 3], (3, 3)),
        ([1, 1, 1, 1], (2, 1)),  # constant data prove nothing
        ([1, 2, 3, 4], (2, 0)),
        ([1, 1, 2], (1, 1)),
    ],
)
def test_rounds_of_two_workers(prints: list[int], told: tuple[int, int]):
    assert _repeats(prints, 2) == told


def test_equal_batches_have_equal_prints():
    assert _print_of([torch.ones(3), {"a": torch.zeros(2)}]) == _print_of([torch.ones(3), {"a": torch.zeros(2)}])  # fmt: skip
    assert _print_of([torch.ones(3)]) != _print_of([torch.zeros(3)])


def test_indices_of_a_subset():
    assert _highest(range(5)) == 5 and _highest([4, 2]) == 5 and _highest([]) == 0
    assert _highest(torch.tensor([1])) is None and _highest([torch.tensor(1)]) is None


def test_a_library_dataset_is_not_opened(watched):
    walk(TensorDataset(torch.ones(6)), batch_size=2)
    [loader] = watched.read().loaders
    assert loader.dataset.at is None and not loader.dataset.containers
