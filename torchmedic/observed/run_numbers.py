"""What a watched run computed: losses and their inputs, learning rates, gradients, and the first value that isn't finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from torchmedic.observed.failure import Site, Tensor


class LossRun(NamedTuple):
    """The watched calls of a loss from one place whose input needed a gradient: the first eight, then powers of two.

    `columns`: calls that compared (N, 1) with (N), N > 1. The counts of data are of the `looked` calls only.
    `activation`: "softmax", "sigmoid", "log_softmax", "linear" where every looked input came out of that operation.
    """

    by: tuple[Site, ...]
    function: str  # "cross_entropy"
    layer: str = ""  # "CrossEntropyLoss", if a layer calls it
    made_by: tuple[Site, ...] = ()  # where that layer was constructed
    owner: str = ""
    calls: int = 0
    columns: int = 0
    input: Tensor | None = None
    target: Tensor | None = None
    is_log_target: bool = False
    looked: int = (
        0  # only where the operation, or what the loss takes, makes the values of interest
    )
    nodes: Mapping[str, int] = {}  # name of the operation that made the input -> calls
    in_unit: int = 0  # all values of the input in [0, 1]
    above_zero: int = 0  # a value of the input above 0
    sums_to_one: int = 0  # along the classes
    is_log: int = 0  # the exponentials of the input sum up to 1
    activated_by: tuple[Site, ...] = ()  # the call of that operation; lines without columns
    activation_made_by: tuple[
        Site, ...
    ] = ()  # where its layer was constructed, if a container calls it

    @property
    def activation(self) -> str:
        return next(iter(self.nodes)) if len(self.nodes) == 1 else ""


class Spread(NamedTuple):
    """A difference of predictions and targets, (N, 1) against (N), whose N x N pairs a loss is the mean or the sum of.

    `by`: its lines, without columns. `looked`: backward passes of the place whose loss was looked at, `spread`: those
    whose loss held it. `is_left`: the prediction stands on the left.
    """

    by: tuple[Site, ...]
    looked: int = 0
    spread: int = 0
    prediction: tuple[int, ...] = ()
    target: tuple[int, ...] = ()
    is_left: bool = True


class Value(NamedTuple):
    """One loss at the beginning of its backward pass. `step`: how many steps there had been."""

    step: int
    value: float


class Losses(NamedTuple):
    """The scalar losses of one call of `backward`, in order: all of the first steps, then a sample."""

    by: tuple[Site, ...]
    values: tuple[Value, ...] = ()
    owner: str = ""


class Rates(NamedTuple):
    """The learning rates that an optimizer stepped with, among the watched steps."""

    type: str
    made_by: tuple[Site, ...] = ()
    stepped_by: tuple[Site, ...] = ()
    steps: int = 0
    lowest: float = 0.0
    highest: float = 0.0
    is_torch: bool = False  # one of torch's own classes, without closure
    owner: str = ""


Origin = Literal["input", "parameter", "operation", "layer", "outside", ""]


class NotFinite(NamedTuple):
    """The first loss or gradient that was NaN or infinite.

    `origin`: where it comes from as a replay of the forward pass on a copy showed; "outside": the model's result
    was finite; "": it could not be replayed. `lasted`: how many looks in a row, up to the last one, were not finite.
    """

    kind: Literal["loss", "gradient"]
    step: int
    value: str  # "nan", "inf", "-inf"
    by: tuple[Site, ...] = ()  # the call of backward
    root: str = ""
    called_by: tuple[Site, ...] = ()
    before: Value | None = None  # the last finite loss
    origin: Origin = ""
    name: str = ""  # a layer's path, a parameter's name, an operation
    origin_by: tuple[Site, ...] = ()
    bad_values: int = 0  # values of it that are not finite
    size: int = 0
    node: str = ""  # an operation outside the model whose saved input explains it
    batch: int = 0
    lasted: int = 0
    until: int = 0  # the step of the last look that was not finite
    owner: str = ""


class Silent(NamedTuple):
    """Parameters of one layer that an optimizer holds and that got no gradient, or nothing but zeros, in every look."""

    name: str  # the layer's path in the model
    type: str
    kind: Literal["none", "zero"]
    values: int
    root: str = ""
    called_by: tuple[Site, ...] = ()
    made_by: tuple[Site, ...] = ()
    looked: int = 0
    until: int = 0  # the step of the last look
    is_used: bool | None = None  # by the forward pass; None: not known
    is_library: bool = False  # the module that holds the layer is of a library
    is_choice: bool = False  # held in a list or dict whose other members do learn


class Dead(NamedTuple):
    """A ReLU that gave nothing but zeros in every batch looked at, though not for an empty or zero input."""

    name: str  # a layer's path, "" for a function
    root: str
    by: tuple[Site, ...] = ()  # the call in the model's code
    made_by: tuple[Site, ...] = ()
    units: int = 0  # size of dimension 1
    batches: int = 0
    largest: float = 0.0  # of the values that went in
    until: int = 0


class Constant(NamedTuple):
    """Inputs of a model that were one and the same number in every batch looked at."""

    by: tuple[Site, ...]
    root: str
    value: float
    shape: tuple[int, ...]
    batches: int = 0
    loader: int = 0
    loader_by: tuple[Site, ...] = ()
    is_target_varied: bool = False  # another tensor of the loader's batches is not constant
