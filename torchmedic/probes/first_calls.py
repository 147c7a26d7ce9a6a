"""The sizes in the first calls of each model, recorded while they happen: nothing is run again for a report."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from types import CodeType, FrameType
from typing import Any, NamedTuple

from torchmedic.observed import ModuleCall, Tensor, Value
from torchmedic.probes.modules import MadeBy, module_call
from torchmedic.probes.values import describe

MOST_ROOT_CALLS = 64
MOST_ROWS = 2000  # of one recording
MOST_ROWS_IN_ALL = 10_000  # 14 µs each
DEEPEST = 400  # frames searched for an enclosing module call
ITEMS = 16  # of a container, in the signature of a call


class _Seen(NamedTuple):
    """A tensor at one moment. Made into a `Value` when it is asked for: that takes twenty times as long."""

    kind: str
    shape: tuple[int, ...]
    dtype: Any
    device: Any
    requires_grad: bool
    is_contiguous: bool
    layout: Any
    is_leaf: bool
    grad_fn: str | None
    item_bytes: int

    def value(self) -> Value:
        strided = str(self.layout) == "torch.strided"
        tensor = Tensor(
            self.shape,
            str(self.dtype).removeprefix("torch."),
            device=str(self.device),
            requires_grad=self.requires_grad,
            contiguous=self.is_contiguous,
            layout=str(self.layout).removeprefix("torch."),
            is_leaf=self.is_leaf,
            grad_fn=self.grad_fn,
            bytes=self.item_bytes * prod(self.shape) if strided else 0,
        )
        return Value(self.kind, tensor=tensor, length=self.shape[0] if self.shape else None)


class Row:
    """One call of a module: its inputs as they were on entry, and the index of the row that it happened in."""

    __slots__ = ("_inputs", "_keywords", "_output", "module", "parent")

    def __init__(
        self,
        module: Any,
        parent: int | None,
        inputs: tuple[Value | _Seen, ...],
        keywords: Mapping[str, Value | _Seen],
    ) -> None:
        self.module = weakref.ref(module)
        self.parent = parent
        self._inputs = inputs
        self._keywords = keywords
        self._output: Value | _Seen | None = None

    def returned(self, output: Value | _Seen) -> None:
        self._output = output

    @property
    def inputs(self) -> tuple[Value, ...]:
        return tuple(map(_value, self._inputs))

    @property
    def keywords(self) -> dict[str, Value]:
        return {name: _value(v) for name, v in self._keywords.items()}

    @property
    def output(self) -> Value | None:
        """None where the call did not return."""
        return None if self._output is None else _value(self._output)


def _value(seen: Value | _Seen) -> Value:
    return seen.value() if isinstance(seen, _Seen) else seen


@dataclass
class Recording:
    """The calls within one root call, in order of entry, and the modes that the root call ran under."""

    root: weakref.ref[Any]
    key: Any
    is_grad_enabled: bool = True
    autocast: Mapping[str, str] = field(default_factory=dict)  # device type -> dtype
    rows: list[Row] = field(default_factory=list)
    is_complete: bool = False  # the root call returned
    is_partial: bool = False  # calls are missing: too many, or inside a compiled part
    running: list[tuple[int, int]] = field(default_factory=list)  # (id of frame, index of row)


class _Thread(threading.local):
    """What is being recorded in a thread, and its last recording: an exception may have cut that short."""

    current: Recording | None = None
    last: Recording | None = None


class FirstCalls:
    """Recordings of the first 64 root calls, one for each new combination of sizes. Never raises into the program.

    A frame is known by its id: holding it would keep the program's tensors alive after a caught exception.
    """

    def __init__(self, stop: Any) -> None:
        self.codes: tuple[CodeType, ...] = ()  # every body of `Module.__call__`
        self._stop = stop  # called once, when there is nothing more to record
        self._known: dict[int, tuple[weakref.ref[Any], set[Any]]] = {}
        self._recordings: dict[int, Recording] = {}
        self._thread = _Thread()
        self._roots = 0
        self._rows = 0

    def recording_of(self, root: object) -> Recording | None:
        """The last novel call of this root, complete or cut short."""
        found = self._recordings.get(id(root))
        return found if found is not None and found.root() is root else None

    def layers_for(self, root: object, made_by: MadeBy) -> tuple[ModuleCall, ...] | None:
        """The rows, if the root's last call was recorded wholly and an exception cut it short."""
        found = self.recording_of(root)
        if found is None or found.is_complete or found.is_partial:
            return None
        return tuple(_module_calls(root, found.rows, made_by))

    def enter(self, module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """At the beginning of `Module.__call__`, in its frame."""
        try:
            frame = sys._getframe(1)
            above = self._enclosing(frame)
            current = self._thread.current
            if above is None:
                self._begin(module, args, kwargs, id(frame))
            elif current is not None:
                if _is_compiled(module):
                    current.is_partial = True
                    self._end()
                    return
                while current.running and current.running[-1][0] != id(above):
                    current.running.pop()  # calls that an exception ended, caught by the program
                if current.running:
                    self._note(current, module, args, kwargs, id(frame))
        except Exception:
            self._give_up()

    def leave(self, result: Any) -> Any:
        """What `Module.__call__` is about to return; given back as it is."""
        current = self._thread.current
        if current is not None:
            try:
                self._note_result(current, result, id(sys._getframe(1)))
            except Exception:
                self._give_up()
        return result

    def is_root(self, frame: FrameType) -> bool:
        """True for the frame of a module call that is in no other one, nor in a backward pass or a trace."""
        if self._enclosing(frame) is not None:
            return False
        torch: Any = sys.modules["torch"]
        return not _in_backward(torch) and torch._C._get_tracing_state() is None

    def _enclosing(self, frame: FrameType) -> FrameType | None:
        """The frame of the module call that this one happens in."""
        codes = self.codes
        up = frame.f_back
        for _ in range(DEEPEST):
            if up is None or up.f_code in codes:
                return up
            up = up.f_back
        return None

    def _begin(
        self, module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: int
    ) -> None:
        thread = self._thread
        last, thread.current, thread.last = thread.last, None, None
        if last is not None and not last.is_complete:
            # Its exception was caught: it isn't the one that a later crash is about.
            self._recordings = {k: v for k, v in self._recordings.items() if v is not last}
        torch: Any = sys.modules["torch"]
        if _in_backward(torch) or torch._C._get_tracing_state() is not None:
            return
        self._roots += 1
        is_enough = self._roots > MOST_ROOT_CALLS or self._rows > MOST_ROWS_IN_ALL
        if is_enough or _is_compiled(module):
            self._end()
            return
        with torch._C.DisableTorchFunction():
            try:
                key = (
                    module.__dict__.get("training"),
                    _signature(torch, args),
                    _signature(torch, dict(kwargs)),
                )
            except _Unreadable:
                return
        known = self._known.get(id(module))
        if known is not None and known[0]() is module and key in known[1]:
            return
        recording = Recording(
            weakref.ref(module), key, bool(torch.is_grad_enabled()), _autocast(torch)
        )
        self._recordings[id(module)] = thread.current = thread.last = recording
        self._note(recording, module, args, kwargs, frame)

    def _note(
        self,
        recording: Recording,
        module: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        frame: int,
    ) -> None:
        rows = recording.rows
        if len(rows) >= MOST_ROWS:
            recording.is_partial = True
            return
        parent = recording.running[-1][1] if recording.running else None
        inputs = tuple([_described(a) for a in args])
        keywords = {k: _described(v) for k, v in kwargs.items()}
        recording.running.append((frame, len(rows)))
        self._rows += 1
        rows.append(Row(module, parent, inputs, keywords))

    def _note_result(self, recording: Recording, result: Any, frame: int) -> None:
        running = recording.running
        if not any(known == frame for known, _ in running):
            return
        while running[-1][0] != frame:
            running.pop()
        _, index = running.pop()
        recording.rows[index].returned(_described(result))
        if not running:
            self._finish(recording)

    def _finish(self, recording: Recording) -> None:
        recording.is_complete = True
        self._thread.current = None
        root = recording.root()
        if root is not None:
            known = self._known.get(id(root))
            if known is None or known[0]() is not root:
                known = self._known[id(root)] = (recording.root, set())
            known[1].add(recording.key)

    def _end(self) -> None:
        self._thread.current = None
        self._stop()

    def _give_up(self) -> None:
        self._recordings = {}
        self._end()


class _Unreadable(Exception):
    """A tensor whose size only the program's own code can tell, or a size without a value."""


def _is_compiled(module: Any) -> bool:
    return (
        type(module).__name__ == "OptimizedModule"
        or module.__dict__.get("_compiled_call_impl") is not None
    )


def _in_backward(torch: Any) -> bool:
    """Checkpointed layers run again there, with no module call around them."""
    task = getattr(torch._C, "_current_graph_task_id", None)
    return task is not None and task() != -1


def _autocast(torch: Any) -> dict[str, str]:
    try:
        return {
            device: str(torch.get_autocast_dtype(device)).removeprefix("torch.")
            for device in ("cuda", "cpu")
            if torch.is_autocast_enabled(device)
        }
    except (AttributeError, TypeError):  # before 2.4
        return {}


def _signature(torch: Any, value: Any, depth: int = 2) -> Any:
    """Hashable: sizes and dtypes of the tensors, the types of everything else. Raises _Unreadable."""
    kind = type(value)
    if isinstance(value, torch.Tensor):
        return _sizes(torch, value), value.dtype
    if depth and isinstance(value, (list, tuple)):
        first = value[:ITEMS] if kind in (list, tuple) else ()
        return kind, len(value), tuple([_signature(torch, v, depth - 1) for v in first])
    if depth and kind is dict:
        pairs = list(value.items())[:ITEMS]
        return tuple([(str(k), _signature(torch, v, depth - 1)) for k, v in pairs])
    return kind


def _sizes(torch: Any, tensor: Any) -> tuple[int, ...]:
    dispatch = torch.Tensor.__torch_dispatch__
    if type(tensor).__torch_dispatch__ is not dispatch or tensor.is_nested:
        raise _Unreadable
    shape = tuple(tensor.shape)
    if any(type(n) is not int for n in shape):
        raise _Unreadable
    return shape


def _described(value: Any) -> Value | _Seen:
    torch: Any = sys.modules["torch"]
    with torch._C.DisableTorchFunction():
        try:
            if isinstance(value, torch.Tensor):
                return _seen(torch, value)
            _signature(torch, value)
        except _Unreadable:
            return Value(type(value).__qualname__)
        return describe(value)


def _seen(torch: Any, tensor: Any) -> _Seen:
    shape, node = _sizes(torch, tensor), tensor.grad_fn if tensor.requires_grad else None
    strided = tensor.layout == torch.strided
    return _Seen(
        type(tensor).__qualname__,
        shape,
        tensor.dtype,
        tensor.device,
        tensor.requires_grad,
        strided and tensor.is_contiguous(),
        tensor.layout,
        tensor.is_leaf,
        None if node is None else node.name(),
        tensor.element_size(),
    )


def _module_calls(root: Any, rows: list[Row], made_by: MadeBy) -> Iterator[ModuleCall]:
    names: dict[int, str] = {}
    for name, module in root.named_modules(remove_duplicate=False):
        names.setdefault(id(module), name)
    depths: list[int] = []
    for row in rows:
        depths.append(0 if row.parent is None else depths[row.parent] + 1)
        module = row.module()
        if module is None:
            continue
        yield module_call(
            module,
            names.get(id(module), type(module).__name__),
            inputs=row.inputs,
            keywords=row.keywords,
            output=row.output,
            made_by=made_by,
            is_owned=id(module) in names,
            depth=depths[-1],
        )
