"""What is noted while the program runs: where each layer was constructed, and the sizes in its first calls.

The program can't see it: `nn.Module.__init__` and `__call__` stay the same functions with the same lines, no frame
of ours is on the stack while the program's own code runs, and nothing is drawn from a random generator.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchmedic.model import Span
    from torchmedic.observed import ModuleCall, Site
    from torchmedic.probes.constructors import Constructors
    from torchmedic.probes.first_calls import FirstCalls, Recording, Row
    from torchmedic.probes.observer.hooks import Observer

_HOME = "torch.nn.modules.module"
# Asked in the functions of torch themselves, so that torch.compile folds the first while it traces, and finds no
# Python function of ours to compile in what it runs untraced.
_OUTSIDE = "not _torchmedic_is_compiling() and _torchmedic_region() is None"


class Recorder:
    """Knowledge of a running program, for `probes.crash`. One at a time; installed before the program starts."""

    def __init__(self, observer: Observer | None = None) -> None:
        self._watcher: _Watcher | None = None
        self._swapped: dict[str, tuple[FunctionType, CodeType, CodeType]] = {}  # …, its own, ours
        self._observer = observer
        self._call: ModuleCallCode | None = None
        self._constructors: Constructors | None = None
        self._calls: FirstCalls | None = None
        self._is_compiler_known = False

    def install(self) -> None:
        """Waits for torch to be imported, or begins at once if it is. Never imports it."""
        if self._watcher is None and not self._swapped and not self._begin():
            self._watcher = _Watcher(self)
            sys.meta_path.insert(0, self._watcher)

    def uninstall(self) -> None:
        """Puts the functions of torch back. What was recorded stays readable."""
        if self._watcher is not None:
            with contextlib.suppress(ValueError):
                sys.meta_path.remove(self._watcher)
            self._watcher = None
        for name in list(self._swapped):
            self._put_back(name)
        if self._observer is not None:
            self._observer.uninstall()
        if self._call is not None:
            self._call.end()

    def made_by(self, module: object) -> tuple[Site, ...]:
        """The user's call that constructed the module, then the calls around it; empty for copies."""
        return self._constructors.made_by(module) if self._constructors else ()

    def made_at(self, module: object) -> Span | None:
        """The user's call that constructed the module; None for copies, and where it wasn't seen."""
        sites = self.made_by(module)
        return sites[0].at if sites else None

    def recording_of(self, root: object) -> Recording | None:
        """The last novel call of this root that was recorded, complete or cut short."""
        return self._calls.recording_of(root) if self._calls else None

    def rows_for(self, root: object) -> list[Row] | None:
        """Its rows, in order of entry; those without output did not return."""
        found = self.recording_of(root)
        return found.rows if found else None

    def layers_for(self, root: object) -> tuple[ModuleCall, ...] | None:
        """The same as `ModuleCall`s, if the root's last call was recorded and an exception cut it short."""
        return self._calls.layers_for(root, self.made_by) if self._calls else None

    def _begin(self) -> bool:
        """True if there is nothing left to wait for: torch defines its modules early, its compiler late."""
        home: Any = sys.modules.get(_HOME)
        kind = getattr(home, "Module", None)
        if kind is None:
            return False
        if self._calls is None:
            try:
                self._splice(vars(home), kind)
            except Exception:  # a torch without sources, or of another shape: nothing is recorded
                self.uninstall()
                return True
        try:
            return self._know_compiler()
        except Exception:  # never at the cost of the program's own import
            self.uninstall()
            return True

    def _splice(self, names: dict[str, Any], kind: Any) -> None:
        from torchmedic.probes.constructors import Constructors
        from torchmedic.probes.first_calls import FirstCalls
        from torchmedic.probes.splice import parameters, spliced

        self._constructors = Constructors()
        self._calls = FirstCalls(stop=lambda: self._put_back("__call__"))
        names["_torchmedic_is_compiling"] = bool  # False, and
        names["_torchmedic_region"] = [].clear  # None, until torch.compiler is there
        names["_torchmedic_made"] = self._made
        made, call = kind.__init__, kind.__call__
        if parameters(made)[:1] == ("self",):
            self._swap("__init__", made, spliced(made, _OUTSIDE, "_torchmedic_made(self)"))
        if parameters(call) == ("self", "*args", "**kwargs"):
            self._call = ModuleCallCode(call, self._calls, self._observer)
            self._call.set(is_recorded=True)

    def _swap(self, name: str, function: FunctionType, ours: CodeType) -> None:
        self._swapped[name] = (function, function.__code__, ours)
        function.__code__ = ours

    def _put_back(self, name: str) -> None:
        if name == "__call__" and self._call is not None:
            self._call.set(is_recorded=False)
            return
        function, original, ours = self._swapped.pop(name, (None, None, None))
        if function is not None and original is not None and function.__code__ is ours:
            function.__code__ = original

    def _know_compiler(self) -> bool:
        """False as long as torch hasn't defined its compiler."""
        torch: Any = sys.modules.get("torch")
        compiler = sys.modules.get("torch.compiler")
        if compiler is None or not hasattr(torch, "compile"):
            return False
        self._is_compiler_known = True
        names = vars(sys.modules[_HOME])
        for name in ("is_compiling", "is_dynamo_compiling"):  # the second before 2.3
            if hasattr(compiler, name):
                names["_torchmedic_is_compiling"] = getattr(compiler, name)
                break
        inner = getattr(getattr(torch._C, "_dynamo", None), "eval_frame", None)
        region = getattr(inner, "get_eval_frame_callback", None)
        if region is not None:
            names["_torchmedic_region"] = region
        if self._swapped:
            self._await_compile(torch, names["_torchmedic_is_compiling"] is bool)
        if self._observer is not None:
            self._observer.now.constructors = lambda: self._constructors
            self._observer.install()
        return True

    def _await_compile(self, torch: Any, is_all: bool) -> None:
        """Compiled code is guarded by the code of `__call__`: it has to be the original before the first of it."""
        from inspect import unwrap

        from torchmedic.probes.splice import spliced

        def compiles() -> None:
            for name in ("compile", "__init__" if is_all else ""):
                self._put_back(name)
            if self._call is not None:
                self._call.end()

        try:
            compile = unwrap(torch.compile)  # Lightning wraps it
            compile.__globals__["_torchmedic_compiles"] = compiles
            self._swap("compile", compile, spliced(compile, "True", "_torchmedic_compiles()"))
        except Exception:
            compiles()

    def _made(self, module: Any) -> None:
        """At the beginning of `Module.__init__`."""
        try:
            if not self._is_compiler_known:
                self._know_compiler()
            if self._constructors is not None:
                self._constructors.note(module, sys._getframe(1).f_back)
        except Exception:
            self._constructors = None
            self._put_back("__init__")


class ModuleCallCode:
    """The bodies of `Module.__call__`: its own, and those that record first calls, tell the observer, or both.

    `end` restores its own for good: after `torch.compile`, another one would make compiled code invalid.
    """

    def __init__(self, call: FunctionType, calls: FirstCalls, observer: Observer | None) -> None:
        from torchmedic.probes.splice import spliced

        names = call.__globals__
        names["_torchmedic_enter"] = calls.enter
        names["_torchmedic_leave"] = calls.leave
        self._function = call
        record = "_torchmedic_enter(self, args, kwargs)"
        self._codes = {
            (False, False): call.__code__,
            (True, False): spliced(call, _OUTSIDE, record, "_torchmedic_leave"),
        }
        if observer is not None:
            names["_torchmedic_called"] = self._called
            names["_torchmedic_returned"] = self._returned
            tell = "_torchmedic_called(self, args, kwargs)"
            left = "_torchmedic_returned"
            both = f"({record}, {tell})"
            self._codes[False, True] = spliced(call, _OUTSIDE, tell, left)
            self._codes[True, True] = spliced(call, _OUTSIDE, both, "_torchmedic_leave", left)
            observer.switch_calls = self._observe
            observer.now.pause = self._pause
        calls.codes = tuple(self._codes.values())
        self._calls = calls
        self._observer = observer
        self._is_recorded = self._is_observed = self._is_over = False
        self._root = 0  # id of the frame of the root call that is watched

    def set(self, is_recorded: bool) -> None:
        self._is_recorded = is_recorded
        self._choose()

    def _observe(self, is_on: bool) -> None:
        self._is_observed = is_on
        self._choose()

    def _pause(self, is_paused: bool) -> None:
        """The original, while a copy of a model is called."""
        if is_paused and not self._is_over:
            self._function.__code__ = self._codes[False, False]
        else:
            self._choose()

    def end(self) -> None:
        self._is_recorded = self._is_observed = False
        self._choose()
        self._is_over = True

    def _choose(self) -> None:
        if not self._is_over and self._function.__code__ in self._codes.values():
            self._function.__code__ = self._codes[self._is_recorded, self._is_observed]

    def _called(self, module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        frame = sys._getframe(1)
        if self._observer is not None and self._calls.is_root(frame):
            self._root = id(frame)
            self._observer.called(module, args, kwargs, frame)

    def _returned(self, result: Any) -> Any:
        frame = sys._getframe(1)
        if self._observer is not None and id(frame) == self._root:
            self._root = 0
            self._observer.returned(None, result, frame)
        return result


class _Watcher:
    """A finder that finds nothing: it looks whether torch has defined `nn.Module` yet, then goes away.

    Looking from here leaves no frame of ours on the stack while torch is imported.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._is_looking = False  # our own imports come by here too

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        finders: list[Any] = sys.meta_path
        if self._is_looking or _HOME not in sys.modules:
            return None
        self._is_looking = True
        is_over = self._recorder._begin()
        self._is_looking = False
        if not is_over:
            return None
        self._recorder._watcher = None
        if self not in finders:
            return None
        place = finders.index(self)
        del finders[place]
        # Whoever loops over the list would now skip the finder that took our place.
        following = finders[place] if place < len(finders) else None
        find = getattr(following, "find_spec", None)
        found: ModuleSpec | None = find(name, path, target) if find is not None else None
        return found
