"""What `import` binds: modules of the project are executed too, libraries are known by their tables."""

from __future__ import annotations

import os
from functools import lru_cache

from torchmedic.abstract.machine import Frame
from torchmedic.abstract.notes import Notes
from torchmedic.abstract.registry import canonical
from torchmedic.abstract.values import Const, External, Namespace, Unknown, Value
from torchmedic.observed import Source, load
from torchmedic.observed.imports import module_file

MOST_FILES = 60
FOLLOWED_BY_TABLES = ("torch", "numpy", "torchvision")
FRAMEWORKS = (
    "lightning", "pytorch_lightning", "accelerate", "transformers", "ignite", "skorch", "fastai", "catalyst",
    "deepspeed", "composer", "torchtitan", "megatron", "colossalai", "torchrl", "opacus", "higher", "learn2learn",
)  # fmt: skip


class Imports(Notes):
    """Finds and executes the modules of the project."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._namespaces: dict[str, Namespace] = {}
        self._found: dict[tuple[str, int, str], str | None] = {}

    def _execute_file(self, namespace: Namespace) -> None:
        frame = Frame(namespace.source, namespace.scope, namespace.scope)
        self.frames.append(frame)
        try:
            self.body(namespace.source.tree.body)
        finally:
            self.frames.pop()

    def _file_of(self, module: str, level: int) -> str | None:
        """The file of a module of the project; None for a library's."""
        key = module, level, self.frame.source.path
        if key not in self._found:
            self._found[key] = self._search(module, level)
        return self._found[key]

    def _search(self, module: str, level: int) -> str | None:
        here = os.path.dirname(os.path.abspath(self.frame.source.path))
        root = os.path.dirname(os.path.abspath(self.source.path))
        return module_file(here, "." * level + module, first=(root,))

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
        path = _as_given(path, self.source.path)
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
        loops, self.loops = self.loops, []
        growths, self.growths = self.growths, []
        try:
            self._execute_file(found)
        finally:
            self.loops, self.growths = loops, growths
        return found

    def imported(self, name: str, level: int) -> Value:
        root = name.split(".")[0]
        if root in FRAMEWORKS:
            self.frameworks.add(root)
        found = self._namespace(name, level)
        if found is not None:
            return found
        return External(name)

    def imported_name(self, module: str, level: int, name: str) -> Value:
        if (library := self._library_module(module, level)) is not None:
            return self.external(f"{library}.{name}")
        root = module.split(".")[0]
        if not level and root in FRAMEWORKS and (root != "transformers" or "Trainer" in name):
            self.frameworks.add(root)
        found = self._namespace(module, level) if module or level else None
        if found is not None and name in found.scope:
            held = found.scope[name]
            return held if isinstance(held, Value) else Unknown(why=name)
        inner = self._namespace(f"{module}.{name}" if module else name, level)
        if inner is not None:
            return inner
        if found is not None or level:
            return Unknown(why=name)
        return self.external(f"{module}.{name}")

    def import_star(self, module: str, level: int) -> None:
        library = self._library_module(module, level)
        found = self._namespace(module, level) if library is None else None
        for name, value in (found.scope if found else {}).items():
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
