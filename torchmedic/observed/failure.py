"""An exception as plain data: live (with the values in its frames) or pasted (text only)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torchmedic.model import Span
from torchmedic.observed.source import Source, load


class Tensor(NamedTuple):
    """A tensor or NumPy array, without its data. `shape` in elements, `bytes` of its storage view."""

    shape: tuple[int, ...]
    dtype: str  # "float32", "int64", … as both PyTorch and NumPy write it
    device: str = "cpu"
    requires_grad: bool = False
    contiguous: bool = True
    layout: str = "strided"
    is_leaf: bool = True
    grad_fn: str | None = None
    library: str = "torch"  # or "numpy"
    bytes: int = 0


class Value(NamedTuple):
    """A Python value as far as it can be told without calling the user's code."""

    type: str  # "Tensor", "int", "DataLoader", the class's __qualname__
    tensor: Tensor | None = None
    constant: int | float | str | bool | None = None
    length: int | None = None
    items: tuple[Value, ...] = ()  # of a tuple or list, the first eight; of a dict, its values
    keys: tuple[str, ...] = ()  # of a dict, parallel to items
    attributes: Mapping[str, Value] = {}

    def tensors(self) -> Iterator[Tensor]:
        """The tensor itself, or those in the items, depth first."""
        if self.tensor is not None:
            yield self.tensor
        for item in self.items:
            yield from item.tensors()


class Frame(NamedTuple):
    """One entry of the traceback, outermost first in `Failure.frames`.

    `at` spans the very expression that raised where Python tells it (3.11), else its line.
    """

    at: Span
    function: str = ""
    code: str = ""  # the source line as the traceback shows it
    expression: str = ""
    is_user: bool = True
    values: Mapping[str, Value] = {}  # f_locals
    names: Mapping[str, Value] = {}  # names and attribute chains of its statement
    parts: Mapping[str, Value] = {}  # its unnamed sub-expressions, on fake copies
    is_quoted: bool = False  # read out of a live error's message: compiled code, a worker process


class Site(NamedTuple):
    """A user's frame while a layer was being constructed: the call in progress, and the integers it could see."""

    at: Span
    function: str = ""
    names: Mapping[str, int] = {}


class ModuleCall(NamedTuple):
    """One call of an `nn.Module`: what went in, what came out, how the layer was made."""

    path: str  # "features.3"; "" for the root
    type: str  # "Linear"
    bases: tuple[str, ...] = ()  # class names of its MRO, itself first
    settings: Mapping[str, object] = {}  # in_features=…, kernel_size=…
    parameters: Mapping[str, Tensor] = {}  # its own, not its children's
    inputs: tuple[Value, ...] = ()
    keywords: Mapping[str, Value] = {}
    output: Value | None = None
    made_at: Span | None = None  # the call that constructed it: `nn.Linear(1600, 10)`
    made_by: tuple[
        Site, ...
    ] = ()  # that call, the call of the function around it, and so on outwards
    class_at: Span | None = None  # where the user's class of it is defined
    is_owned: bool = True  # False: not registered in its parent (a plain list of layers, say)
    is_training: bool = True
    depth: int = 0
    has_children: bool = False

    @property
    def input(self) -> Tensor | None:
        """The first tensor that went in."""
        for value in (*self.inputs, *self.keywords.values()):
            for tensor in value.tensors():
                return tensor
        return None


class Loader(NamedTuple):
    """A DataLoader found in the frames, and its dataset."""

    name: str = ""  # the user's expression for it: "train_loader", "self.loader"
    dataset_type: str = ""
    dataset_at: Span | None = None  # the class statement
    dataset_length: int | None = None
    containers: Mapping[str, Value] = {}  # the dataset's attributes with a length
    attributes: Mapping[str, Value] = {}  # its other plain attributes
    batch_size: int | None = None
    num_workers: int = 0
    is_shuffled: bool | None = None
    has_collate_fn: bool = False
    is_current: bool = False  # the exception passed through its iterator
    wraps: tuple[str, ...] = ()  # Subset, ConcatDataset … around the dataset, outermost first


class Culprit(NamedTuple):
    """The autograd node that a failing backward pass complained about."""

    node: str  # "SigmoidBackward0"
    saved: str = ""  # "_saved_result"
    frames: tuple[Frame, ...] = ()  # where the forward made it, if recorded


class Failure(NamedTuple):
    """What is known of one exception. From text only `type`, `message`, `frames` and `is_worker` are known."""

    type: str
    message: str
    frames: tuple[Frame, ...] = ()
    is_live: bool = False
    is_worker: bool = False  # it happened in a DataLoader worker process and came as text
    modules: tuple[ModuleCall, ...] = ()  # on the stack: root first, the failing one last
    layers: tuple[
        ModuleCall, ...
    ] = ()  # the size table: every call up to the failing one, in order of entry
    layers_from: str = (
        ""  # "recorded", "fake" (re-run on fake tensors), "copied" (on real copies) or ""
    )
    layers_note: str = ""  # why the table is short or missing
    loaders: tuple[Loader, ...] = ()
    culprits: tuple[Culprit, ...] = ()
    causes: tuple[Failure, ...] = ()  # the chain below, nearest first
    is_cause_explicit: bool = False  # `raise … from`
    memory: Mapping[str, int] = {}  # bytes by kind, when memory ran out

    @property
    def user_frame(self) -> Frame | None:
        """The deepest frame of the user's own code."""
        return next((f for f in reversed(self.frames) if f.is_user), None)

    @property
    def raised_at(self) -> Span | None:
        frame = self.user_frame
        return frame.at if frame else None

    @property
    def own_frame(self) -> Frame | None:
        """The deepest frame of the user's own code that was on this process's stack, of Python."""
        return next((f for f in reversed(self.frames) if f.is_user and not f.is_quoted), None)

    @property
    def failing(self) -> ModuleCall | None:
        """The innermost module on the stack."""
        return self.modules[-1] if self.modules else None

    @property
    def root(self) -> ModuleCall | None:
        return self.modules[0] if self.modules else None

    def library_frame(self, *functions: str) -> Frame | None:
        """The innermost frame of a library whose function has one of these names (any, if none given)."""
        for frame in reversed(self.frames):
            if not frame.is_user and (not functions or frame.function.split(".")[-1] in functions):
                return frame
        return None

    def source(self, at: Span | None) -> Source | None:
        """The parsed file that the span lies in, or None where it can't be read or parsed."""
        return load(at.path) if at else None
