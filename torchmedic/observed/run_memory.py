"""What a watched run kept, and what its optimizers held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from torchmedic.observed.failure import Site


class Holder(NamedTuple):
    """A name of the program whose value grew by a graph of its own at every step that was looked at.

    `text`: the expression as it was found from the local names of the function of `by[0]`; `owner`: what of it is an
    object of the program's own class (`meter` of `meter.total`), which `file` and `type` tell. `is_freed`: a backward
    pass has been through one of the graphs. `bytes`: what the graph of one step keeps, and nothing else does.
    """

    by: tuple[Site, ...]
    text: str
    kind: Literal["sum", "container"]
    owner: str = ""
    file: str = ""
    type: str = ""
    grown: int = 0  # looks at which it had grown since the one before
    missed: int = 0  # looks at which it had not
    first: int = 0  # step of the first look
    last: int = 0
    is_freed: bool = False
    nodes: int = 0
    bytes: int = 0
    library: str = ""  # whose loop makes the steps; "" if it is the program's own


class Unheld(NamedTuple):
    """Parameters that got gradients in at least three steps, that no optimizer held, and that did not change.

    `form`: "list" and "parameters" (of them) for a container that registers nothing, "leaf" for a tensor that is no
    `nn.Parameter`, "late" for a layer that was made after the optimizer, "other" if the optimizer holds nothing that
    gets gradients, or only what another one holds; "beside" for a model that is trained together with those that it holds.
    `file` and `owner` tell the class of the module that has the attribute.
    """

    form: Literal["list", "parameters", "leaf", "late", "other", "beside"]
    attribute: str = ""
    kind: str = ""  # "list", "tuple", "dict", "tensor"
    items: int = 0  # of the container; "beside": optimizers of what is trained with it
    file: str = ""
    owner: str = ""
    layer: str = ""  # name in the model that is called
    called_by: tuple[Site, ...] = ()  # the call of that model
    made_by: tuple[Site, ...] = ()  # the construction of the layer
    optimizer_by: tuple[Site, ...] = ()
    parameters: int = 0  # how many numbers they have


class ScheduleRun(NamedTuple):
    """A learning rate scheduler. `early`: steps of it before its optimizer had made one, with no backward pass before.

    `made_by` is known for one of torch's own that has its optimizer for itself, begins at 0 and steps at one place.
    """

    type: str
    by: tuple[Site, ...]  # the first call of `step`
    calls: int = 0  # from that place
    early: int = 0
    stepped_by: tuple[Site, ...] = ()  # the first step of its optimizer
    has_epoch: bool = False  # `step(epoch)`: the program counts itself
    owner: str = ""
    made_by: tuple[Site, ...] = ()
    total: int = 0  # steps of it, watched or not
    numbers: Mapping[str, int | float] = {}  # "T_max", "total_steps", "step_size", "gamma"
    milestones: tuple[int, ...] = ()
    rates: tuple[float, float] = (0.0, 0.0)  # before its first step and before its last


class Clip(NamedTuple):
    """A place that clips gradients. `late`: calls after a step, whose gradients were then cleared before any other."""

    by: tuple[Site, ...]
    function: str
    calls: int = 0
    late: int = 0
    stepped_by: tuple[Site, ...] = ()
    cleared_by: tuple[Site, ...] = ()


class Freezing(NamedTuple):
    """An attribute that was set to False to freeze something, and that autograd doesn't know.

    `trained`: parameters of it that got gradients all the same and that an optimizer held. `files`: where it may have
    been set.
    """

    attribute: str
    of: Literal["parameter", "module"]
    trained: int
    files: tuple[str, ...]


class Reloaded(NamedTuple):
    """A state dict that its module got back while its tensors still were the parameters themselves.

    `steps`: of any optimizer in between, which wrote to these parameters, and nobody else did.
    """

    by: tuple[Site, ...]  # the call of `state_dict`
    loaded_by: tuple[Site, ...] = ()
    steps: int = 0
    owner: str = ""  # the library that makes one of the calls


class Paired(NamedTuple):
    """A line that walked the parameters of one module twice at once, `times` times."""

    by: tuple[Site, ...]
    times: int = 0


class Unconnected(NamedTuple):
    """A place that calls `backward` on a number that nothing was computed for.

    `leaves`: calls on one that requires a gradient, or comes from a tensor that does, which then is all that gets one;
    `refused`: on one that doesn't, which raises;
    `others`: all other calls there. `steps`: of optimizers behind such a call alone, without a gradient in any of their
    parameters. `fed`: steps of any optimizer in the run that found a gradient.
    """

    by: tuple[Site, ...]
    leaves: int = 0
    refused: int = 0
    others: int = 0
    steps: int = 0
    fed: int = 0
    owner: str = ""
