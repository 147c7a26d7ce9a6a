"""What is noted while a program runs: constructors and first calls."""

from __future__ import annotations

import contextlib
import copy
import linecache
import subprocess
import sys
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from torchmedic.model import Span
from torchmedic.probes import first_calls
from torchmedic.probes.crash import read_error
from torchmedic.probes.record import Recorder
from torchmedic.probes.values import describe


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    recorder.install()
    yield recorder
    recorder.uninstall()


def text(at: Span | None) -> str:
    assert at is not None and at.line == at.end_line and at.path == __file__
    return linecache.getline(at.path, at.line)[at.column : at.end_column]


class Thin(nn.Linear):
    def __init__(self, size: int) -> None:
        super().__init__(size, 1)


class Tree(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        width = depth + 1
        말 = "가"; self.leaf = Thin(width) if 말 else None  # fmt: skip  # noqa: E702
        self.part = Tree(depth - 1) if depth else None
        self.both = nn.Sequential(nn.ReLU(), nn.Linear(width, 2))


class Old(nn.Module):
    def __init__(self) -> None:
        nn.Module.__init__(self)


@dataclass(eq=False)
class Data(nn.Module):
    size: int

    def __post_init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(self.size, self.size)


class Inherits(Old):
    pass


def make(size: int) -> nn.Module:
    given = sorted(locals())
    return nn.Linear(size, len(given))


def test_the_constructor_call_of_each_module(recorder: Recorder) -> None:
    tree = Tree(1)
    assert text(recorder.made_at(tree)) == "Tree(1)"
    assert text(recorder.made_at(tree.leaf)) == "Thin(width)"
    assert text(recorder.made_at(tree.part)) == "Tree(depth - 1)"
    assert text(recorder.made_at(tree.part.leaf)) == "Thin(width)"
    assert text(recorder.made_at(tree.both)) == "nn.Sequential(nn.ReLU(), nn.Linear(width, 2))"
    assert text(recorder.made_at(tree.both[1])) == "nn.Linear(width, 2)"
    assert text(recorder.made_at(Old())) == "Old()"
    assert text(recorder.made_at(Inherits())) == "Inherits()"
    data = Data(3)
    assert text(recorder.made_at(data)) == "Data(3)"
    assert text(recorder.made_at(data.layer)) == "nn.Linear(self.size, self.size)"


def test_the_calls_around_it_and_their_integers(recorder: Recorder) -> None:
    tree = Tree(1)
    sites = recorder.made_by(tree.part.both[0])
    assert [text(s.at) for s in sites[:3]] == ["nn.ReLU()", "Tree(depth - 1)", "Tree(1)"]
    assert [dict(s.names) for s in sites[:2]] == [
        {"depth": 0, "width": 1},
        {"depth": 1, "width": 2},
    ]
    assert sites[0].function.endswith("__init__")


def test_a_function_that_uses_its_locals_is_not_asked_for_them(recorder: Recorder) -> None:
    site = recorder.made_by(make(3))[0]
    assert text(site.at) == "nn.Linear(size, len(given))" and not site.names


def test_modules_that_nobody_saw_being_made(recorder: Recorder) -> None:
    tree = Tree(0)
    assert recorder.made_by(copy.deepcopy(tree).leaf) == ()
    layer = nn.TransformerEncoderLayer(8, 2, 8)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    assert text(recorder.made_at(encoder)).startswith("nn.TransformerEncoder(")
    assert recorder.made_at(encoder.layers[0]) is None
    assert recorder.made_at(object()) is None


def test_modules_are_not_kept_alive(recorder: Recorder) -> None:
    layer = nn.Linear(2, 2)
    layer(torch.ones(1, 2))
    alive = weakref.ref(layer)
    del layer
    assert alive() is None


def rows_of(recorder: Recorder, root: nn.Module) -> list[tuple[object, ...]]:
    rows = recorder.rows_for(root)
    assert rows is not None
    return [
        (
            row.parent,
            type(row.module()).__name__,
            *[v.tensor.shape for v in row.inputs if v.tensor],
            row.output and row.output.tensor and row.output.tensor.shape,
        )
        for row in rows
    ]


class Steps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.inner = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2))
        self.tries = 0

    def forward(self, x: torch.Tensor, *, mask: torch.Tensor | None = None) -> torch.Tensor:
        for _ in range(self.tries):
            with contextlib.suppress(RuntimeError):
                self.inner(x)
        y = self.first(x)
        return self.inner(y[:, : y.shape[1] if mask is None else 1])


def test_rows_stand_in_order_of_entry(recorder: Recorder) -> None:
    model = Steps()
    model(torch.ones(5, 4))
    assert rows_of(recorder, model) == [
        (None, "Steps", (5, 4), (5, 2)),
        (0, "Linear", (5, 4), (5, 3)),
        (0, "Sequential", (5, 3), (5, 2)),
        (2, "ReLU", (5, 3), (5, 3)),
        (2, "Linear", (5, 3), (5, 2)),
    ]
    assert recorder.layers_for(model) is None


def test_a_call_that_an_exception_cut_short(recorder: Recorder) -> None:
    model = Steps()
    model(torch.ones(5, 4))
    with torch.no_grad(), pytest.raises(RuntimeError) as caught:
        model(torch.ones(6, 4), mask=torch.ones(6))
    assert rows_of(recorder, model)[-2:] == [
        (2, "ReLU", (6, 1), (6, 1)),
        (2, "Linear", (6, 1), None),
    ]
    recording = recorder.recording_of(model)
    assert recording is not None and not recording.is_grad_enabled and not recording.is_complete
    failure = read_error(caught.value, recorder)
    assert failure.layers_from == "recorded"
    assert [(c.path, c.depth) for c in failure.layers] == [
        ("", 0),
        ("first", 1),
        ("inner", 1),
        ("inner.0", 2),
        ("inner.1", 2),
    ]
    assert text(failure.layers[-1].made_at) == "nn.Linear(3, 2)"
    assert failure.layers[0].keywords["mask"].tensor.shape == (6,)


def test_an_exception_that_the_program_caught_is_forgotten(recorder: Recorder) -> None:
    model = Steps()
    with pytest.raises(RuntimeError):
        model(torch.ones(5, 9))
    assert recorder.layers_for(model)
    model(torch.ones(5, 4))
    assert recorder.layers_for(model) is None


def test_exceptions_caught_inside_forward(recorder: Recorder) -> None:
    model = Steps()
    model.tries = 2
    model(torch.ones(5, 4))
    rows = rows_of(recorder, model)
    assert [row[:2] for row in rows] == [
        (None, "Steps"),
        *[(0, "Sequential"), (1, "ReLU"), (1, "Linear")],
        *[(0, "Sequential"), (4, "ReLU"), (4, "Linear")],
        *[(0, "Linear"), (0, "Sequential"), (8, "ReLU"), (8, "Linear")],
    ]
    assert [i for i, row in enumerate(rows) if row[-1] is None] == [1, 3, 4, 6]
    assert recorder.layers_for(model) is None


def test_only_novel_calls_are_recorded(recorder: Recorder) -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    recordings = []
    for batch, training in ((3, True), (3, True), (3, False), (4, True), (3, True)):
        model.train(training)(torch.ones(batch, 2))
        recordings.append(recorder.recording_of(model))
    assert recordings[0] is recordings[1]
    assert len({id(r) for r in recordings}) == 3
    assert recordings[3] is recordings[4]


def test_after_64_root_calls_the_original_is_back(recorder: Recorder) -> None:
    ours = nn.Module.__call__.__code__
    model = nn.Sequential(nn.ReLU(), nn.ReLU())
    for size in range(first_calls.MOST_ROOT_CALLS):
        model(torch.ones(size))
    assert nn.Module.__call__.__code__ is ours
    model(torch.ones(1))
    assert "_torchmedic_enter" not in nn.Module.__call__.__code__.co_names
    assert "_torchmedic_made" in nn.Module.__init__.__code__.co_names


def test_everything_is_put_back() -> None:
    functions = nn.Module.__call__, nn.Module.__init__, torch.compile
    before = [f.__code__ for f in functions]
    first = Recorder()
    first.install()
    assert all(f.__code__ is not code for f, code in zip(functions[:2], before[:2], strict=True))
    first.install()  # a second time changes nothing
    first.uninstall()
    assert [f.__code__ for f in functions] == before
    assert [f.__code__ is code for f, code in zip(functions, before, strict=True)] == [True] * 3


def test_torch_compile_ends_the_recording(recorder: Recorder) -> None:
    torch.compile(nn.Linear(2, 2), backend="eager")
    assert "_torchmedic_enter" not in nn.Module.__call__.__code__.co_names
    assert "_torchmedic_compiles" not in torch.compile.__code__.co_names


def test_an_error_of_ours_switches_it_off(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*values: object) -> None:
        raise KeyError(values)

    monkeypatch.setattr(first_calls, "_seen", broken)
    model = nn.Linear(2, 2)
    assert model(torch.ones(3, 2)).shape == (3, 2)
    assert recorder.rows_for(model) is None
    assert "_torchmedic_enter" not in nn.Module.__call__.__code__.co_names
    assert capfd.readouterr() == ("", "")


class Opaque(torch.Tensor):
    """A tensor whose every property is the program's own code."""

    asked: list[str] = []  # noqa: RUF012

    @staticmethod
    def __new__(cls) -> Opaque:
        return torch.Tensor._make_wrapper_subclass(
            cls, (2, 2), dispatch_sizes_strides_policy="sizes"
        )

    @classmethod
    def __torch_dispatch__(
        cls, function: object, types: object, args: object = (), kwargs: object = None
    ) -> object:
        Opaque.asked.append(str(function))
        return (2, 2) if "size" in str(function) else torch.ones(2, 2)


class Passes(nn.Module):
    def forward(self, x: object) -> object:
        return x


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x], lambda x: {"x": (x,)}])
def test_tensors_of_the_programs_own_kind_are_not_asked(recorder: Recorder, wrap: object) -> None:
    Opaque.asked.clear()
    value = wrap(Opaque())  # type: ignore[operator]
    model = nn.Sequential(Passes(), Passes())
    assert model(value) is value
    assert Opaque.asked == []
    assert model(torch.ones(2)) is not None and recorder.rows_for(model)


def test_sizes_without_a_value(recorder: Recorder) -> None:
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    model = Passes()
    assert model(nested) is nested
    assert recorder.rows_for(model) is None and "_torchmedic_enter" in code_names()


def code_names() -> tuple[str, ...]:
    return nn.Module.__call__.__code__.co_names


def test_checkpointed_layers_are_no_roots(recorder: Recorder) -> None:
    from torch.utils.checkpoint import checkpoint

    class Saves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return checkpoint(self.layer, x, use_reentrant=False)

    model = Saves()
    model(torch.ones(3, 2)).sum().backward()
    assert [r[1] for r in rows_of(recorder, model)] == ["Saves", "Linear"]
    assert recorder.rows_for(model.layer) is None


def test_a_row_tells_what_describe_tells(recorder: Recorder) -> None:
    x = torch.ones(4, 3, requires_grad=True)
    inputs = (x, (x * 2).t(), x[0, 0].detach(), nn.Parameter(x), 3, "text", None, [x, {"a": x}])

    class Takes(nn.Module):
        def forward(self, *args: object, **kwargs: object) -> None:
            return None

    model = Takes()
    model(*inputs, sparse=torch.eye(3).to_sparse())
    rows = recorder.rows_for(model)
    assert rows is not None and rows[0].inputs == tuple(describe(v) for v in inputs)
    assert rows[0].keywords == {"sparse": describe(torch.eye(3).to_sparse())}
    assert rows[0].output == describe(None)


def test_modes_of_the_root_call(recorder: Recorder) -> None:
    model = nn.Linear(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        model(torch.ones(1, 2))
    recording = recorder.recording_of(model)
    assert recording is not None and recording.autocast == {"cpu": "bfloat16"}
    assert recording.rows[0].output.tensor.dtype == "bfloat16"


def test_torch_is_never_imported() -> None:
    code = (
        "import sys; from torchmedic.probes.record import Recorder; r = Recorder(); r.install();"
        "import json.tool, sqlite3; print('torch' in sys.modules, len(sys.meta_path));"
        "r.uninstall(); print(len(sys.meta_path)); import torch; print(torch.nn.Module.__init__.__code__.co_names[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second, name = done.stdout.split("\n")[:3]
    assert first == f"False {int(second) + 1}" and name == "torch"
