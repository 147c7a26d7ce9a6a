"""What a program does as its syntax tree tells: events in order, and the exceptions that it certainly raises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from torchmedic.model import Span
from torchmedic.observed.failure import Failure
from torchmedic.observed.source import Source

Kind = Literal[
    "argmax",  # of the result of a softmax or the like
    "accumulate",  # `total += loss`, `losses.append(loss)`: subject is the container
    "backward",
    "call",  # of a root module: a model or a loss with parameters
    "clip",  # of gradients
    "compare",  # `==` between two tensors
    "convert",  # `.item()`, `.detach()`, `.numpy()`, …
    "dataset",  # a Dataset of the user, with what its `__len__` returns and what its `__getitem__` reads
    "dropout",  # `F.dropout`
    "draw",  # random numbers
    "escape",  # an object, a result or a sum is handed to code that can't be seen
    "eval",
    "freeze",  # an attribute that autograd doesn't know is set to False; `of`: "parameter" or "module"
    "fit",  # a layer's call, with what of its input fits
    "hook",  # the user has it called during a pass or a step; `holds`: ids of what it is registered on, None if unknown
    "load",
    "loader",  # a DataLoader was constructed
    "loss",
    "optimizer",  # was constructed
    "overwrite",  # of parameters, with what isn't computed from them; `inside`: of all of these modules
    "pair",  # `zip` of the parameters of one module with themselves
    "save",
    "scale",  # of a loss by a GradScaler, which is the subject; `data`: id of the loss
    "scheduler",  # was constructed
    "scheduler_step",
    "seed",
    "softmax",
    "state",  # a module's `state_dict()`; `inside`: ids of its layers
    "step",
    "subtract",  # a column (N, 1) and N numbers, one of them from a model
    "train",
    "unscale",  # of an optimizer's gradients by a GradScaler, which is the subject
    "unused",  # a statement that only names a method: `model.eval`, makes a manager: `torch.no_grad()`, or drops a result
    "use",  # the result of a softmax or the like goes elsewhere than into a loss or an order of its elements
    "view",  # or `reshape`; `order`: what `permute` would need
    "zero_grad",
]


class Loop(NamedTuple):
    """One pass through the body of a loop. `over`: id of the DataLoader or container that it walks; 0 if unknown."""

    at: Span
    iteration: int
    over: int = 0
    is_loader: bool = False


class Cast(NamedTuple):
    """A region of `torch.autocast`. `device` and `dtype` are "" where they can't be told, `is_enabled` None."""

    at: Span
    device: str
    dtype: str
    is_enabled: bool | None


class Branch(NamedTuple):
    """An arm that may not be executed: of an `if` whose condition can't be told, or an `except`."""

    at: Span
    arm: int


class Reading(NamedTuple):
    """`container[index]` in what a Dataset's `__getitem__` executes for one item.

    `offset`: the index minus the number of the item; `held`: the container's length; `spare`: that minus
    `len(dataset)`; `share`: k where `len(dataset)` is the container's length // k. None: this can't be told.
    """

    at: Span
    container: str
    index_at: Span
    offset: int | None = None
    held: int | None = None
    spare: int | None = None
    kind: str = ""  # "tensor" (of torch or NumPy), "list", "tuple", or "" for anything else
    is_certain: bool = False  # it is executed for every item
    share: int | None = None


class Event(NamedTuple):
    """One thing that the program does. `at` is the expression; `callers` the call sites around it, outermost first.

    `subject` is the id of the object it happens to, `name` what the user calls that. `entry`: the function in which
    the execution began, of those that nobody calls; "" for the file itself.
    """

    kind: Kind
    at: Span
    subject: int = 0
    name: str = ""
    function: str = ""
    callers: tuple[Span, ...] = ()
    loops: tuple[Loop, ...] = ()
    branches: tuple[Branch, ...] = ()
    is_grad_enabled: bool | None = True
    facts: Mapping[str, object] = {}
    entry: str = ""

    @property
    def sites(self) -> tuple[Span, ...]:
        """The call sites and the place itself: a helper called in two places has two."""
        return (*self.callers, self.at)


class Cut(NamedTuple):
    """A place where values leave the graph. `layers`: ids of those (or of parameters) that they were computed by.

    `how`: "detach", "item", "numpy", "data", "tensor", "float", "discrete" (an argmax, a comparison), "round", "no_grad".
    """

    at: Span
    how: str
    layers: frozenset[int]
    function: str = ""
    callers: tuple[Span, ...] = ()
    branches: tuple[Branch, ...] = ()


class Hidden(NamedTuple):
    """Where an `nn.Module` holds a layer or a parameter in a way that does not register it.

    `owner`: the class, in the file `path`. `kind`: "list", "tuple", "dict"; "tensor" = it is a result of the
    parameter, "moved" = perhaps the parameter itself; "leaf" = a tensor that requires grad and is no `nn.Parameter`.
    """

    module: int
    owner: str
    path: str
    attribute: str
    kind: str
    items: int = 1
    of: str = "layers"  # or "parameters"


class Layer(NamedTuple):
    """A library's layer, or a parameter, whose results the program uses; as it is at the end.

    `is_sure`: it trains, and nobody loads, copies or keeps it whom the trace does not show. `owners`: ids of the modules
    it is registered in. `path`: its name in the outermost of them, `root`.
    """

    type: str
    at: Span | None
    is_sure: bool
    owners: frozenset[int] = frozenset()
    root: int = 0
    path: str = ""
    hidden: tuple[Hidden, ...] = ()


class Trace(NamedTuple):
    """The execution of one file as `__main__`, and of what nobody calls, with unknown arguments.

    `is_script`: it trains or evaluates when started, it does not only define. `frameworks`: libraries in the
    program that own duties of a training loop ("lightning", "accelerate"). `started`: how many of the events happen
    when the file is started; None = it took too long to tell. `cuts` are numbered, `layers` by id.
    """

    source: Source
    events: tuple[Event, ...] = ()
    failures: tuple[Failure, ...] = ()
    is_complete: bool = True
    is_script: bool = False
    frameworks: frozenset[str] = frozenset()
    sources: Mapping[str, Source] = {}
    started: int | None = None
    cuts: tuple[Cut, ...] = ()
    layers: Mapping[int, Layer] = {}

    @property
    def when_started(self) -> tuple[Event, ...]:
        """The events of the file as `__main__`, without those of what nobody calls."""
        return self.events[: self.started]

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file of the project that was read."""
        return tuple(self.sources)

    def of(self, *kinds: Kind) -> Iterator[Event]:
        return (event for event in self.events if event.kind in kinds)

    def source_of(self, at: Span) -> Source:
        return self.sources.get(at.path, self.source)
