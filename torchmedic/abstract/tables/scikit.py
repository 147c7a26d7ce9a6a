"""scikit-learn: its small data sets, splits, scalers and metrics. Sizes and dtypes as scikit-learn 1.9 gives them.

Source: https://scikit-learn.org/stable/api/index.html
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import from_size, size_of
from torchmedic.abstract.registry import constructor, function, method
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.events import constant, converted, drawn
from torchmedic.abstract.tables.iteration import length_of
from torchmedic.abstract.values import (
    Arguments,
    Const,
    Data,
    Iterator,
    Number,
    Object,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

BUNCH = "sklearn.utils.Bunch"
REFUSED = "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
constructor("", BUNCH)


def array(machine: Machine, dtype: str, *sizes: int | Size) -> Tensor:
    shape = tuple(Size.of(size) for size in sizes)
    return Tensor(False, shape=shape, dtype=dtype, library="numpy", made=machine.place())


# --- data sets that come with it: samples, features, dtype of the target, number of classes (0: a regression)

_LOADED = {
    "load_digits": (1797, 64, "int64", 10),
    "load_iris": (150, 4, "int64", 3),
    "load_wine": (178, 13, "int64", 3),
    "load_breast_cancer": (569, 30, "int64", 2),
    "load_diabetes": (442, 10, "float64", 0),
}


def _loader(name: str, samples: int, features: int, dtype: str, classes: int) -> None:
    @function(f"sklearn.datasets.{name}")
    def work(machine: Machine, arguments: Arguments) -> Value:
        options = set(arguments.keywords) - {"return_X_y", "scaled"}
        if options or arguments.args or not arguments.is_complete:
            return Unknown(False)  # fewer classes, or a frame
        pair = machine.truth(arguments.get(None, "return_X_y") or Const(False))
        data, target = array(machine, "float64", samples, features), array(machine, dtype, samples)
        if pair is None:
            return Unknown(False)
        if pair:
            return Sequence("tuple", (data, target))
        bunch = Object(type=BUNCH, attributes={"data": data, "target": target})
        bunch.attributes["frame"] = Const(None)
        names = [Const(f"feature {i}") for i in range(features)]
        bunch.attributes["feature_names"] = Sequence(
            "list", rest=Unknown(hint="str"), length=Size.of(len(names))
        )
        if classes:
            bunch.attributes["target_names"] = array(machine, "", classes)
        if name == "load_digits":
            bunch.attributes["images"] = array(machine, "float64", samples, 8, 8)
        return bunch


for _name, _facts in _LOADED.items():
    _loader(_name, *_facts)


@method(BUNCH, "__getitem__", "get")
def _entry(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    key = constant(arguments.get(0))
    held = thing.attributes.get(key) if isinstance(key, str) else None
    return held if isinstance(held, Value) else Unknown(False)


@function(
    "sklearn.datasets.fetch_openml",
    "sklearn.datasets.fetch_california_housing",
    "sklearn.datasets.fetch_20newsgroups",
)
def _fetched(machine: Machine, arguments: Arguments) -> Value:
    return Unknown(False)


# --- made data: samples, features (0: 2 that can't be chosen), dtype of the target

_MADE = {
    "make_classification": (100, 20, "int64"),
    "make_regression": (100, 100, "float64"),
    "make_blobs": (100, 2, "int64"),
    "make_moons": (100, 0, "int64"),
    "make_circles": (100, 0, "int64"),
}


def _maker(name: str, samples: int, features: int, dtype: str) -> None:
    @function(f"sklearn.datasets.{name}")
    def work(machine: Machine, arguments: Arguments) -> Value:
        if arguments.get(None, "random_state") is None:
            drawn(machine, "numpy")
        unusual = {"n_targets", "coef", "return_centers", "centers", "return_X_y"} & set(
            arguments.keywords
        )
        if not arguments.is_complete or unusual - {"centers"}:
            return Unknown(False)
        given = arguments.get(0, "n_samples")
        count = Size.of(samples) if given is None else size_of(given)
        width: Size | None = Size.of(features or 2)
        if features and (asked := arguments.get(1, "n_features")) is not None:
            width = size_of(asked)
        centers = arguments.get(2, "centers") if name == "make_blobs" else None
        if not isinstance(centers, (Const, Number, type(None))):
            width = None  # the centers have the features
        if isinstance(given, (Sequence, Tensor)):
            count = None
        if name == "make_moons" and count is not None and count.constant is None and given is None:
            count = None
        sizes = (
            count if count is not None else Size.fresh("samples"),
            width if width is not None else Size.fresh("features"),
        )
        return Sequence(
            "tuple", (array(machine, "float64", *sizes), array(machine, dtype, sizes[0]))
        )


for _name, _spec in _MADE.items():
    _maker(_name, *_spec)


@function("sklearn.datasets.make_multilabel_classification")
def _multilabel(machine: Machine, arguments: Arguments) -> Value:
    """Word counts and a 0 or 1 for each class."""
    if arguments.get(None, "random_state") is None:
        drawn(machine, "numpy")
    known = {"n_samples", "n_features", "n_classes", "n_labels", "length", "random_state"}
    known |= {"allow_unlabeled"}
    if not arguments.is_complete or set(arguments.keywords) - known or len(arguments.args) > 3:
        return Unknown(False)
    sizes = []
    for at, (name, default) in enumerate((("samples", 100), ("features", 20), ("classes", 5))):
        given = arguments.get(at, f"n_{name}")
        size = Size.of(default) if given is None else size_of(given)
        sizes.append(size if size is not None else Size.fresh(name))
    samples, features, classes = sizes
    return Sequence(
        "tuple",
        (
            array(machine, "float64", samples, features),
            array(machine, "int64", samples, classes),
        ),
    )


# --- splits


@function("sklearn.model_selection.train_test_split")
def _train_test_split(machine: Machine, arguments: Arguments) -> Value:
    """Two parts of every argument, in the same sizes for all."""
    is_shuffled = constant(arguments.get(None, "shuffle")) is not False
    if is_shuffled and arguments.get(None, "random_state") is None:
        drawn(machine, "numpy")
    if not arguments.is_complete or not arguments.args:
        return Unknown(False)
    total = size_of(length_of(machine, arguments.args[0]))
    test, train = _split(arguments, total)
    if train is None or test is None:
        train = train if train is not None else Size.fresh("train")
        test = (
            test if test is not None else total - train if total is not None else Size.fresh("test")
        )
    parts: list[Value] = []
    for value in arguments.args:
        parts += [_rows(value, train), _rows(value, test)]
    return Sequence("list", tuple(parts))


def _split(arguments: Arguments, total: Size | None) -> tuple[Size | None, Size | None]:
    """(test, train) as numbers of samples."""
    given = {name: arguments.get(None, name) for name in ("test_size", "train_size")}
    plain = {k: constant(v) for k, v in given.items()}
    if any(v is not None and not isinstance(v, Const) for v in given.values()) or total is None:
        return None, None
    test, train = plain["test_size"], plain["train_size"]
    if test is None and train is None:
        test = 0.25
    n = total.constant
    count_test = _share(test, n, math.ceil)
    count_train = _share(train, n, math.floor)
    if test is None and count_train is not None:
        return total - count_train, count_train
    if train is None and count_test is not None:
        return count_test, total - count_test
    return count_test, count_train


def _share(size: object, total: int | None, rounded: object) -> Size | None:
    if isinstance(size, bool):
        return None
    if isinstance(size, int):
        return Size.of(size)
    if isinstance(size, float) and total is not None:
        return Size.of(
            math.ceil(size * total) if rounded is math.ceil else math.floor(size * total)
        )
    return None


def _rows(value: Value, count: Size) -> Value:
    """As many rows of it, in another order."""
    if isinstance(value, Tensor):
        shape = (count, *value.shape[1:]) if value.shape else None
        return Tensor(
            value.graph,
            value.calls,
            shape=shape,
            dtype=value.dtype,
            library=value.library,
            made=value.made,
        )
    if isinstance(value, Sequence):
        parts = [*value.items, *([value.rest] if value.rest is not None else [])]
        from torchmedic.abstract.joins import join_values

        return Sequence("list", rest=join_values(parts) if parts else Unknown(), length=count)
    result = Unknown(False, hint=value.hint if isinstance(value, Unknown) else "")
    result.__dict__["known_length"] = from_size(count)
    return result


_FOLDS = tuple(f"sklearn.model_selection.{n}" for n in ("KFold", "StratifiedKFold"))
constructor("n_splits=5, shuffle=False, random_state=None", *_FOLDS)


def _fold(kind: str) -> None:
    @method(kind, "split")
    def work(machine: Machine, thing: Object, arguments: Arguments) -> Value:
        value = arguments.get(0, "X")
        total = size_of(length_of(machine, value)) if value is not None else None

        def next_item() -> Value:
            train = Size.fresh("train")
            test = total - train if total is not None else Size.fresh("test")
            return Sequence(
                "tuple", (array(machine, "int64", train), array(machine, "int64", test))
            )

        return Iterator(next_item, length=size_of(thing.settings.get("n_splits") or Const(5)))


for _name in _FOLDS:
    _fold(_name)


# --- scalers: floats stay what they are, everything else becomes float64

_SCALERS = tuple(
    f"sklearn.preprocessing.{n}"
    for n in ("StandardScaler", "MinMaxScaler", "RobustScaler", "MaxAbsScaler", "Normalizer", "PowerTransformer",
              "QuantileTransformer")
)  # fmt: skip
for _name in _SCALERS:
    constructor("", _name)


def _scaled(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    value = arguments.get(0, "X")
    if isinstance(value, Tensor):
        _checked(machine, value)
        dtype = value.dtype
        if dtype and dtype not in ("float32", "float64", "float16"):
            dtype = "float64"
        return Tensor(
            False,
            shape=value.shape,
            dtype=dtype,
            library="numpy",
            made=value.made if dtype == value.dtype else machine.place(),
        )
    result = Unknown(False)
    if value is not None:
        result.__dict__["known_length"] = length_of(machine, value)
    return result


def _fitted(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    value = arguments.get(0, "X")
    if isinstance(value, Data):
        _checked(machine, value)
    return thing


for _name in _SCALERS:
    method(_name, "transform", "fit_transform", "inverse_transform")(_scaled)
    method(_name, "fit", "partial_fit")(_fitted)

constructor("", "sklearn.preprocessing.LabelEncoder")
method("sklearn.preprocessing.LabelEncoder", "fit")(_fitted)


@method("sklearn.preprocessing.LabelEncoder", "transform", "fit_transform")
def _encoded(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    value = arguments.get(0, "y")
    size = size_of(length_of(machine, value)) if value is not None else None
    return array(machine, "int64", size if size is not None else Size.fresh("n"))


# --- metrics: they make arrays of what they are given

_METRICS = (
    "accuracy_score", "balanced_accuracy_score", "f1_score", "precision_score", "recall_score", "roc_auc_score",
    "average_precision_score", "confusion_matrix", "classification_report", "log_loss", "mean_squared_error",
    "mean_absolute_error", "r2_score", "roc_curve", "precision_recall_curve", "matthews_corrcoef", "cohen_kappa_score",
    "mean_absolute_percentage_error", "root_mean_squared_error", "jaccard_score", "fbeta_score", "hamming_loss",
)  # fmt: skip


def _checked(machine: Machine, value: Data) -> None:
    if isinstance(value, Tensor) and value.library == "torch":
        if value.graph:
            machine.fail("RuntimeError", REFUSED)
        converted(machine, value, "numpy")


@function(*(f"sklearn.metrics.{name}" for name in _METRICS))
def _metric(machine: Machine, arguments: Arguments) -> Value:
    for value in (arguments.get(0, "y_true"), arguments.get(1, "y_pred", "y_score")):
        if isinstance(value, Data):
            _checked(machine, value)
            calls = value.calls | value.__dict__.get("calls_before", frozenset())
            if calls:
                machine.emit("convert", value, how="metric", graph=value.graph, calls=calls)
    return Unknown(False)
