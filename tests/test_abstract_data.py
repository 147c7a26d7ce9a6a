"""Where data come from, in the Source view: whatever the machine claims of a value is true of the real one."""

from __future__ import annotations

from textwrap import dedent

import numpy as np
import pytest
import torch

from torchmedic.abstract.program import Machine
from torchmedic.abstract.values import Const, Dict, Namespace, Sequence, Tensor, Value
from torchmedic.observed import Source


def told(program: str) -> dict[str, Value]:
    """The global names of the program as the machine knows them."""
    source = Source(program, "train.py")
    machine = Machine(source)
    space = Namespace("__main__", {"__name__": Const("__main__")}, source)
    machine._execute_file(space)
    return {name: value for name, value in space.scope.items() if isinstance(value, Value)}


def check(claimed: Value, real: object, name: str) -> int:
    """How many facts were claimed; each of them has to be true."""
    if isinstance(claimed, Const):
        assert type(claimed.value) is type(real) and claimed.value == real, name
        return 1
    if isinstance(claimed, Tensor):
        assert isinstance(real, (torch.Tensor, np.ndarray, np.generic)), name
        facts = 0
        if claimed.shape is not None:
            assert len(claimed.shape) == len(real.shape), name
            for size, number in zip(claimed.shape, real.shape, strict=True):
                assert size.constant in (None, number), name
                facts += size.constant is not None
        if claimed.dtype:
            assert claimed.dtype == str(real.dtype).removeprefix("torch."), name
            facts += 1
        assert claimed.library == ("torch" if isinstance(real, torch.Tensor) else "numpy"), name
        return facts
    if isinstance(claimed, Sequence):
        assert claimed.kind == ("tuple" if isinstance(real, tuple) else type(real).__name__), name
        assert isinstance(real, (list, tuple, set))
        if claimed.size is not None:
            assert claimed.size.constant in (None, len(real)), name
        parts = claimed.items if claimed.is_exact else [claimed.rest] * len(real)
        return 1 + sum(check(p, r, name) for p, r in zip(parts, real, strict=True) if p is not None)
    if isinstance(claimed, Dict):
        assert isinstance(real, dict), name
        held = ((k, v) for k, v in claimed.items.items() if k in real)
        return sum(check(v, real[k], f"{name}[{k!r}]") for k, v in held)
    return 0


def agree(program: str) -> dict[str, int]:
    """Executes both, and counts the facts that were claimed of each name."""
    program = dedent(program)
    space: dict[str, object] = {"__name__": "__main__"}
    exec(compile(program, "train.py", "exec"), space)
    known = told(program)
    return {n: check(v, space[n], n) for n, v in known.items() if n in space and n[0] != "_"}


COLLATED = {
    "floats": "1.5",
    "integers": "3",
    "booleans": "True",
    "texts": "'a'",
    "tensors": "torch.zeros(2, 3)",
    "halves": "torch.zeros(2, dtype=torch.float16)",
    "arrays": "np.zeros((4, 2))",
    "bytes": "np.zeros((4, 2), dtype=np.uint8)",
    "pairs": "(np.ones(3), 1)",
    "lists": "[torch.ones(2), 2.0]",
    "dicts": "{'x': np.ones(3), 'y': 1, 'name': 'n'}",
    "nested": "((torch.ones(2), 1.0), {'k': [np.ones(1), 2]})",
}


@pytest.mark.parametrize("sample", COLLATED.values(), ids=COLLATED.keys())
@pytest.mark.parametrize("size", [1, 4])
def test_default_collate(sample: str, size: int) -> None:
    facts = agree(f"""
        import numpy as np
        import torch
        from torch.utils.data import DataLoader, Dataset

        class Samples(Dataset):
            def __len__(self):
                return 8

            def __getitem__(self, index):
                return {sample}

        loader = DataLoader(Samples(), batch_size={size})
        batch = next(iter(loader))
        count = len(loader)
        one = Samples()[0]
        alone = next(iter(DataLoader(Samples(), batch_size=None)))
    """)
    assert facts["batch"] and facts["count"]


@pytest.mark.parametrize(
    ("options", "batches"),
    [
        ("batch_size=4", 3),
        ("batch_size=5", 2),
        ("batch_size=4, drop_last=True", 2),
        ("batch_size=20", 1),
        ("", 10),
        ("batch_size=4, sampler=RandomSampler(data, num_samples=6)", 2),
        ("batch_size=3, sampler=SubsetRandomSampler([1, 2, 3, 4])", 2),
        ("batch_sampler=BatchSampler(SequentialSampler(data), 4, False)", None),
        ("batch_size=4, collate_fn=lambda items: torch.stack([x for x, _ in items])", 3),
        ("batch_size=4, shuffle=True", 3),
        ("batch_size=None", 10),
    ],
)
def test_loaders(options: str, batches: int | None) -> None:
    program = f"""
        import torch
        from torch.utils.data import *

        data = TensorDataset(torch.randn(10, 3), torch.arange(10))
        loader = DataLoader(data, {options})
        count = len(loader)
        first = next(iter(loader))
        for number, last in enumerate(loader):
            held = len(data)
        sample = data[0]
    """
    facts = agree(program.replace("import *", "import BatchSampler, DataLoader, RandomSampler, "
                                  "SequentialSampler, SubsetRandomSampler, TensorDataset"))  # fmt: skip
    assert facts["sample"]
    if batches is not None:
        count = told(dedent(program))["count"] if "*" not in program else None
        assert count is None or isinstance(count, Const)
        assert facts["count"] == 1


def test_datasets_of_datasets() -> None:
    facts = agree("""
        import torch
        from torch.utils.data import ConcatDataset, DataLoader, Subset, TensorDataset, random_split

        data = TensorDataset(torch.randn(10, 3), torch.arange(10))
        part = Subset(data, [1, 2, 5])
        both = ConcatDataset([data, part])
        train, test = random_split(data, [7, 3])
        a, b, c = random_split(data, [0.5, 0.25, 0.25])
        sizes = [len(part), len(both), len(train), len(test), len(a), len(b), len(c)]
        batch = next(iter(DataLoader(train, batch_size=2)))
        other = next(iter(DataLoader(both, batch_size=2)))
        item = part[0]
        fourth = both[3]
    """)
    assert facts["sizes"] >= 8 and facts["batch"] and facts["other"] and facts["item"]


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer", "diabetes"])
def test_sklearn_data(name: str) -> None:
    facts = agree(f"""
        from sklearn.datasets import load_{name}

        bunch = load_{name}()
        data, target = bunch.data, bunch["target"]
        images = bunch.images if "{name}" == "digits" else 0
        X, y = load_{name}(return_X_y=True)
        first = X[0]
        count = len(bunch.feature_names)
    """)
    assert facts["data"] == facts["X"] == 3 and facts["target"] == facts["y"] == 2


@pytest.mark.parametrize(
    "call",
    [
        "make_classification(n_samples=60, n_features=8)",
        "make_classification()",
        "make_regression(50, 7)",
        "make_regression(n_samples=50, n_features=7, noise=0.1)",
        "make_blobs(n_samples=40, centers=3, n_features=5)",
        "make_blobs(40, centers=[[0, 0, 0], [1, 1, 1]])",
        "make_blobs([10, 20])",
        "make_moons(n_samples=30, noise=0.1)",
        "make_moons((10, 15))",
        "make_circles(30)",
    ],
)
def test_sklearn_made_data(call: str) -> None:
    name = call.partition("(")[0]
    facts = agree(f"""
        from sklearn.datasets import {name}

        X, y = {call}
        half = X[:5]
    """)
    assert facts["X"] and facts["y"]


@pytest.mark.parametrize(
    "sizes",
    ["", "test_size=0.2", "test_size=30", "train_size=0.6", "train_size=0.5, test_size=0.2",
     "test_size=0.33, random_state=1, shuffle=True"],
)  # fmt: skip
def test_splits(sizes: str) -> None:
    facts = agree(f"""
        import numpy as np
        import torch
        from sklearn.model_selection import KFold, train_test_split

        X, y, z, n = np.zeros((101, 3)), np.arange(101), torch.zeros(101, 2), list(range(101))
        parts = train_test_split(X, y, z, n, {sizes})
        a, b = train_test_split(X, {sizes})
        for train, test in KFold(4).split(X):
            fold = X[train]
    """)
    assert facts["a"] == facts["b"] == 3


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
@pytest.mark.parametrize(
    "scaler", ["StandardScaler", "MinMaxScaler", "RobustScaler", "MaxAbsScaler"]
)
def test_scalers(scaler: str, dtype: str) -> None:
    facts = agree(f"""
        import numpy as np
        from sklearn.preprocessing import LabelEncoder, {scaler}

        X = np.arange(30).reshape(10, 3).astype(np.{dtype})
        scaled = {scaler}().fit_transform(X)
        again = {scaler}().fit(X).transform(X)
        labels = LabelEncoder().fit_transform(["a", "b", "a"])
    """)
    assert facts["scaled"] == facts["again"] == 3 and facts["labels"] == 2


def test_generators() -> None:
    facts = agree("""
        import numpy as np

        rng = np.random.default_rng(0)
        old = np.random.RandomState(0)
        a = rng.random(5)
        b = rng.standard_normal((2, 3))
        c = rng.standard_normal((2, 3), dtype=np.float32)
        d = rng.integers(0, 10, (4, 2))
        e = rng.integers(0, 10, 4, dtype=np.uint8)
        f = rng.normal(0, 1, 6)
        g = rng.uniform(size=(3, 1))
        h = rng.permutation(9)
        i = rng.permutation(np.zeros((4, 2), dtype=np.float32))
        j = rng.choice(5, 3)
        k = rng.choice(np.ones(7), size=2)
        m = old.randn(3, 2)
        n = old.rand(4)
        o = old.randint(0, 3, size=(2, 2))
        p = rng.poisson(3.0, 4)
    """)
    assert all(facts[name] for name in "abcdefghijkmnop")


def test_pictures() -> None:
    pytest.importorskip("PIL")
    facts = agree("""
        import numpy as np
        from PIL import Image

        image = Image.new("RGB", (20, 10))
        array = np.array(image)
        grey = np.asarray(image.convert("L"))
        small = np.array(image.resize((8, 6)))
        floats = np.array(image, dtype=np.float32)
        size = image.size
        back = np.array(Image.fromarray(np.zeros((5, 4, 3), dtype=np.uint8)))
    """)
    assert facts["array"] == facts["small"] == 4 and facts["grey"] == 3


def test_lists_that_loops_fill() -> None:
    facts = agree("""
        xs, ys, odd, nested = [], [], [], []
        for index in range(200):
            xs.append(index)
            ys.append(index)
            ys.append(index)
            if index % 3:
                odd.append(index)
            for _ in range(2):
                nested.append(index)
        first = len(xs)
        second = len(ys)
        third = len(odd)
        fourth = len(nested)
        del xs[0]
        fifth = len(xs)
        ys.remove(3)
        sixth = len(ys)
        xs[2:4] = [1]
        seventh = len(xs)
        kinds = set([1, 2, 2])
        eighth = len({n % 2 for n in range(5)})
        ninth = len(set(ys))
    """)
    assert facts["first"] == facts["second"] == 1
    assert facts["third"] == facts["fourth"] == 0


def test_padded_sequences() -> None:
    facts = agree("""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        parts = [torch.ones(3, 2), torch.ones(5, 2)]
        a = pad_sequence(parts)
        b = pad_sequence(parts, batch_first=True)
        c = pad_sequence([torch.arange(4), torch.arange(4)], True)
    """)
    assert facts["a"] == facts["b"] == 3 and facts["c"] == 3


METRICS = ["accuracy_score", "f1_score", "roc_auc_score", "mean_squared_error", "confusion_matrix"]


@pytest.mark.parametrize("metric", METRICS)
def test_metrics_refuse_tensors_with_a_graph(metric: str) -> None:
    program = dedent(f"""
        import torch
        from sklearn.metrics import {metric}

        scores = torch.rand(6, requires_grad=True) * 1.0
        {metric}([0, 1, 0, 1, 1, 0], scores)
    """)
    with pytest.raises(RuntimeError) as raised:
        exec(compile(program, "train.py", "exec"), {})
    trace = Machine(Source(program, "train.py")).run()
    assert [(f.type, f.message) for f in trace.failures] == [("RuntimeError", str(raised.value))]
