"""A recurrent layer that reads a 2-D batch as one sequence: nothing fails there, only later, for a missing dimension."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from torchmedic.model import Evidence, Fix, Text, read, show_value
from torchmedic.observed import Failure, Source, Tensor
from torchmedic.observed.origin import Origin, origins
from torchmedic.observed.project import Defined, Project, expression_at
from torchmedic.observed.settings import own_attribute
from torchmedic.observed.source import argument
from torchmedic.rules._flow import passed, value_of
from torchmedic.rules._layout import USED, behind
from torchmedic.rules._operands import frame_of
from torchmedic.rules._trail import NOWHERE, is_torch, last_name

# What fails when the output has a dimension less than the code believes.
_LATER = (
    "too many indices for tensor of dimension {rank:d}",
    "number of dimensions in the tensor input does not match the length of the desired ordering",
    "Dimension out of range (expected to be in range of [{low:d}, {high:d}], but got {dim:d})",
    "not enough values to unpack (expected {wanted:d}, got {given:d})",
    "mat1 and mat2 shapes cannot be multiplied ({rows:d}x{given:d} and {expected:d}x{out:d})",
    "For 1D input, 1D target must have size 1, but got target size: {labels:d}",
    "Expected input batch_size ({rows:d}) to match target batch_size ({labels:d})",
    "Using a target size ({target:shape}) that is different to the input size ({input:shape})",
    "Target size ({target:shape}) must be the same as input size ({input:shape})",
)
_KINDS = {"LSTM", "GRU", "RNN"}
_KEEPING = {"float", "double", "half", "to", "cuda", "cpu", "contiguous", "clone", "detach", "long"}
_PLAIN = (ast.Name, ast.Attribute, ast.Call)
_SEEN = Text(
    en="`{code}` gets {shape}: two dimensions are one sequence of {steps} steps, {features} features each",
    ko="`{code}` 입력 크기는 {shape} 입니다. 2차원이면 특성이 {features}개인 시점 {steps}개의 시퀀스 하나입니다",
)


class Unbatched(NamedTuple):
    """The call of the recurrent layer, and the 2-D input that it got."""

    kind: str
    source: Source
    call: ast.Call
    made: ast.Call
    tensor: Tensor
    way: tuple[Origin, ...]  # of the input, the argument itself first

    @property
    def input(self) -> ast.expr:
        return self.call.args[0]

    @property
    def facts(self) -> dict[str, object]:
        shape = list(self.tensor.shape)
        return {"layer": self.kind, "input_shape": shape, "steps": shape[0]}

    @property
    def evidence(self) -> Evidence:
        steps, features = self.tensor.shape
        facts = {"shape": show_value([steps, features]), "steps": steps, "features": features}
        return Evidence(
            _SEEN.fill(code=self.source.code(self.call), **facts), self.source.span(self.call)
        )


def unbatched(failure: Failure) -> Unbatched | None:
    """The recurrent layer on the way of what failed, if it got two dimensions. None from text alone."""
    readings = (read(words, failure.message) for words in _LATER if failure.is_live)
    said = next((facts for facts in readings if facts is not None), None)
    if said is None:
        return None
    project = Project(failure)
    for trail in _trails(failure):
        for number, step in enumerate(trail):
            made = _recurrent(failure, project, step)
            if made is None or not isinstance(step.node, ast.Call) or not step.node.args:
                continue
            way = tuple(trail[number + 1 :])
            tensor = _tensor(failure, way)
            if tensor is None or len(tensor.shape) != 2 or not _is_of(said, tensor.shape[0]):
                return None
            kind = last_name(made.source, made.node)
            return Unbatched(kind, step.source, step.node, made.node, tensor, way)
    return None


def _is_of(said: Mapping[str, object], rows: int) -> bool:
    """True if the sizes of the message, where it tells some, are those of an output whose rows are taken for time."""
    for name, other in (("labels", "rows"), ("target", "input")):
        sizes = [said.get(name), said.get(other)]
        first, second = ((size[:1] or [0])[0] if isinstance(size, list) else size for size in sizes)
        if first is not None:
            return first == rows != second
    return said.get("given") in (None, rows) or "wanted" in said


class _Made(NamedTuple):
    source: Source
    node: ast.Call


def _trails(failure: Failure) -> Iterator[list[Origin]]:
    """The ways of the failing expression itself and of its first argument."""
    frame = failure.user_frame
    found = expression_at(failure, frame) if frame else None
    if frame is None or found is None:
        return
    yield origins(failure, frame, found[1], found[0])
    given = passed(failure)
    if given is not None:
        yield given.origins(failure)


def _recurrent(failure: Failure, project: Project, step: Origin) -> _Made | None:
    """`nn.LSTM(…)` behind the `self.lstm` or `lstm` that the step calls."""
    function = step.node.func if isinstance(step.node, ast.Call) else None
    found: list[tuple[Source, ast.expr]] = []
    if isinstance(function, ast.Attribute) and ast.unparse(function.value) == "self":
        owner = step.source.enclosing(function, ast.ClassDef)
        own = own_attribute(project, Defined(step.source, owner), function.attr) if owner else None
        found = [own[:2]] if own is not None else []
    elif isinstance(function, ast.Name):
        trail = origins(failure, frame_of(failure, step.source, function), function, step.source)
        found = [(origin.source, origin.node) for origin in trail[1:]]
    for source, node in found:
        is_kind = isinstance(node, ast.Call) and last_name(source, node) in _KINDS
        if isinstance(node, ast.Call) and is_kind and is_torch(source, node):
            return _Made(source, node)
    return None


def _tensor(failure: Failure, way: Iterable[Origin]) -> Tensor | None:
    """What went into the layer: the nearest value that is known, if nothing reshapes it on its way there."""
    for step in way:
        frame = frame_of(failure, step.source, step.node)
        value = value_of(frame, step.source, step.node) if frame is not NOWHERE else None
        if value is not None and value.tensor is not None:
            return value.tensor
        if step.path or not isinstance(step.node, _PLAIN):
            return None
        if isinstance(step.node, ast.Call) and last_name(step.source, step.node) not in _KEEPING:
            return None
    return None


def batched(failure: Failure, found: Unbatched) -> tuple[Fix, ...]:
    """The missing dimension: of the time for a batch of rows, of the batch for one sequence. The likelier one first."""
    first = argument(found.made, None, "batch_first")
    is_first = isinstance(first, ast.Constant) and first.value is True
    time, batch = (1, 0) if is_first else (0, 1)
    order = (time, batch) if _is_batch(failure, found) else (batch, time)
    code = found.source.code(found.input)
    fixes = []
    for dim in order:
        text = f".unsqueeze({dim})"
        edit = behind(found.source, found.input, text)
        fixes.append(Fix((edit,), USED.fill(text=text, code=code)))
    return tuple(fixes)


def _is_batch(failure: Failure, found: Unbatched) -> bool:
    """True if rows were cut out of a table, a loader makes batches of so many samples, or so many labels are about."""
    rows = found.tensor.shape[0]
    slices = (s.node.slice for s in found.way if isinstance(s.node, ast.Subscript))
    if any(isinstance(cut, ast.Slice) for cut in slices):
        return True
    if any(loader.batch_size == rows for loader in failure.loaders):
        return True
    shapes = [
        tensor.shape
        for frame in failure.frames
        if frame.is_user
        for value in (*frame.values.values(), *frame.names.values())
        for tensor in value.tensors()
    ]
    return any(shape in ((rows,), (rows, 1)) for shape in shapes)
