"""What `import` binds: modules of the project are executed too, libraries are known by their tables."""

from __future__ import annotations

import ast
import os
import sys
from copy import copy
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from torchmedic.abstract.asides import FRAMEWORKS, Asides
from torchmedic.abstract.machine import MOST_STEPS, Frame
from torchmedic.abstract.outline import Outline, Sort, outline
from torchmedic.abstract.registry import canonical
from torchmedic.abstract.values import Const, Deferred, External, Namespace, Scope, Unknown, Value
from torchmedic.observed import Source, load
from torchmedic.observed.imports import module_file
from torchmedic.observed.trace import Branch

if TYPE_CHECKING:
    from torchmedic.abstract.modules import Row

MOST_FILES = 60
MOST_STEPS_OF_IMPORTS = MOST_STEPS // 5
FOLLOWED_BY_TABLES = ("torch", "numpy", "torchvision")
_NOTICED = ("random", "importlib", "runpy")  # of the standard library: calling them may matter


class Moment(NamedTuple):
    """What holds for a module's body: the state in which it was imported."""

    frames: list[Frame]
    branches: list[Branch]
    modes: dict[str, Any]
    guards: int
    entry: str


class Imports(Asides):
    """Finds the modules of the project, and executes them: at once, or where a name of theirs is first needed.

    Later only those that nobody could notice (`outline`), and, once imports have cost enough, those whose text has
    nothing to do with what the trace tells.
    """

    _active: list[Row]

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._namespaces: dict[str, Namespace] = {}
        self._found: dict[tuple[str, int, str], str | None] = {}
        self._looked_in: dict[tuple[str, int], list[str]] = {}
        self._held_in: dict[tuple[str, str], bool] = {}
        self._waiting: dict[
            int, tuple[Outline, Moment]
        ] = {}  # by the id of a namespace that isn't executed yet
        self._importing = 0  # modules in execution
        self._steps_of_imports = 0

    def _execute_file(self, namespace: Namespace) -> None:
        frame = Frame(namespace.source, namespace.scope, namespace.scope)
        self.frames.append(frame)
        try:
            self.body(namespace.source.tree.body)
        finally:
            self.frames.pop()

    def _file_of(self, module: str, level: int) -> str | None:
        """The file of a module of the project; None for a library's."""
        key = module, level, os.path.dirname(self.frame.source.path)
        if key not in self._found:
            found = self._search(module, level)
            self._found[key] = found and _as_given(found, self.source.path)
        return self._found[key]

    def _search(self, module: str, level: int) -> str | None:
        here = os.path.dirname(os.path.abspath(self.frame.source.path))
        root = os.path.dirname(os.path.abspath(self.source.path))
        return module_file(here, "." * level + module, first=(root,), may_hold=self._holds)

    def _bases(self, level: int) -> list[str]:
        """The folders in which the file in execution looks for modules."""
        key = os.path.dirname(self.frame.source.path), level
        if key not in self._looked_in:
            here = os.path.abspath(key[0])
            for _ in range(level - 1):
                here = os.path.dirname(here)
            up = os.path.dirname(here)
            root = os.path.dirname(os.path.abspath(self.source.path))
            bases = [here] if level else dict.fromkeys([root, here, up, os.path.dirname(up)])
            self._looked_in[key] = list(bases)
        return self._looked_in[key]

    def _holds(self, folder: str, name: str) -> bool:
        """True if the folder has a module or a folder of this name: most imports lead elsewhere."""
        known = self._held_in.get((folder, name))
        if known is None:
            stem = os.path.join(folder, name)
            known = self._held_in[folder, name] = os.path.isfile(f"{stem}.py") or os.path.isdir(
                stem
            )
        return known

    def _library_module(self, module: str, level: int) -> str | None:
        """The dotted name of what a file of a library that the tables know imports from it: its code isn't followed."""
        if not level:
            return None
        package = _package_of(self.frame.source.path)
        if not package or package[0] not in FOLLOWED_BY_TABLES or level > len(package):
            return None
        return ".".join((*package[: len(package) - level + 1], *filter(None, [module])))

    def _namespace(self, module: str, level: int) -> Namespace | None:
        root = module.split(".")[0]
        if not level and root in (*FOLLOWED_BY_TABLES, "torchmedic", *FRAMEWORKS):
            return None
        path = self._file_of(module, level)
        if path is None:
            return None
        known = self._namespaces.get(path)
        if known is not None:
            return known
        if len(self._namespaces) >= MOST_FILES or os.path.abspath(path) == os.path.abspath(
            self.source.path
        ):
            return None
        source = load(path)
        if source is None:
            return None
        self.sources[path] = source
        found = Namespace(
            module, {"__name__": Const(module), "__file__": Unknown(hint="str")}, source
        )
        self._namespaces[path] = found
        self.frames.append(Frame(source, found.scope, found.scope))
        try:
            told = outline(source.tree, self._sort_of_import)
        finally:
            self.frames.pop()
        is_aside = self.is_aside(source)
        if told.is_plain or (is_aside and self._steps_of_imports > MOST_STEPS_OF_IMPORTS):
            self._put_off(found, told)
        elif is_aside:
            self.aside(partial(self._import_now, found), partial(self._import_inner, found, told))
        else:
            self._import_now(found)
        return found

    def _import_now(self, module: Namespace) -> None:
        loops, self.loops = self.loops, []
        growths, self.growths = self.growths, []
        before = self._steps
        self._importing += 1
        try:
            self._execute_file(module)
        finally:
            self.loops, self.growths = loops, growths
            self._importing -= 1
            if not self._importing:
                self._steps_of_imports += self._steps - before

    def _put_off(self, module: Namespace, told: Outline) -> None:
        """Leaves the body until a name of it is needed; what the module imports is imported now."""
        moment = Moment(
            [copy(frame) for frame in self.frames], [*self.branches], {**self.modes}, self.guards, self.entry
        )  # fmt: skip
        self._waiting[module.id] = told, moment
        self._import_inner(module, told)

    def _import_inner(self, module: Namespace, told: Outline) -> None:
        """Imports what the module imports, without executing its body."""
        self.frames.append(Frame(module.source, module.scope, module.scope))
        branches = self.branches
        try:
            for statement in told.imports:
                self.frame.node = statement.node
                around = [Branch(self.span(node), arm) for node, arm in statement.arms]
                self.branches = [*branches, *around]
                with self.guarded(statement.is_guarded):
                    self._import_for(statement.node)
        finally:
            self.branches = branches
            self.frames.pop()

    def _import_for(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if isinstance(node, ast.Import):
                self.imported(alias.name, 0)
                self.imported(alias.name.split(".")[0], 0)
            elif alias.name == "*":
                self._namespace(node.module or "", node.level)
            else:
                self.imported_name(node.module or "", node.level, alias.name)

    def _sort_of_import(self, module: str, level: int) -> Sort:
        root = module.split(".")[0]
        if level:
            is_library = self._library_module(module, level) is not None
            return Sort.LIBRARY if is_library else Sort.OURS
        if root in (*FOLLOWED_BY_TABLES, *FRAMEWORKS):
            return Sort.LIBRARY
        if any(self._holds(base, root) for base in self._bases(0)):
            return Sort.OURS
        is_harmless = root in sys.stdlib_module_names and root not in _NOTICED
        return Sort.HARMLESS if is_harmless else Sort.LIBRARY

    def scope_of(self, module: Namespace) -> Scope:
        """What the module binds; if its body was put off, it is executed, as if when it was imported."""
        if module.id not in self._waiting:
            return module.scope
        _, moment = self._waiting.pop(module.id)
        fresh: dict[str, Any] = {
            **moment._asdict(), "loops": [], "growths": [], "strict": [], "requests": [],
            "_journals": [], "_exits": [], "_active": [], "_limit": None,
        }  # fmt: skip
        now = {name: getattr(self, name) for name in fresh}
        vars(self).update(fresh)
        work = partial(self._execute_file, module)
        try:
            if self.is_aside(module.source):
                self.aside(work, lambda: None)
            else:
                work()
        finally:
            vars(self).update(now)
        return module.scope

    def imported(self, name: str, level: int) -> Value:
        root = name.split(".")[0]
        if root in FRAMEWORKS:
            self.frameworks.add(root)
        found = self._namespace(name, level)
        if found is not None:
            return found
        return External(name)

    def _found_later(self, module: Namespace, name: str, inner: Namespace | None) -> Value:
        scope = self.scope_of(module)
        return self.value_in(scope, name) if name in scope or inner is None else inner

    def imported_name(self, module: str, level: int, name: str) -> Value | Deferred:
        if (library := self._library_module(module, level)) is not None:
            return self.external(f"{library}.{name}")
        root = module.split(".")[0]
        if not level and root in FRAMEWORKS and (root != "transformers" or "Trainer" in name):
            self.frameworks.add(root)
        found = self._namespace(module, level) if module or level else None
        later = None
        if found is not None and found.id in self._waiting:
            later, _ = self._waiting[found.id]
        if found is not None and later is None and name in found.scope:
            held = found.scope[name]
            return held if isinstance(held, (Value, Deferred)) else Unknown(why=name)
        inner = None
        is_own = found is not None and found.source is self.frame.source  # `from . import name`
        if later is None or name not in later.names or is_own:
            inner = self._namespace(f"{module}.{name}" if module else name, level)
        if found is not None and later is not None and (name in later.names or later.has_star):
            return Deferred(partial(self._found_later, found, name, inner))
        if inner is not None:
            return inner
        if found is not None or level:
            return Unknown(why=name)
        return self.external(f"{module}.{name}")

    def import_star(self, module: str, level: int) -> None:
        library = self._library_module(module, level)
        found = self._namespace(module, level) if library is None else None
        for name, value in (self.scope_of(found) if found else {}).items():
            if not name.startswith("_"):
                self.bind(name, value)
        if found is None and not level and canonical(module) in ("torch.nn", "torch"):
            return


@lru_cache(1000)
def _package_of(path: str) -> tuple[str, ...]:
    """The names of the packages that the file is in, outermost first: as far up as there is an `__init__.py`."""
    found: list[str] = []
    here = os.path.dirname(os.path.abspath(path))
    while os.path.isfile(os.path.join(here, "__init__.py")):
        here, name = os.path.split(here)
        found.insert(0, name)
    return tuple(found)


def _as_given(path: str, main: str) -> str:
    """Relative as the main file's path is."""
    return path if os.path.isabs(main) else os.path.relpath(path)
