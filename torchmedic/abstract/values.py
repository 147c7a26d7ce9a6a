"""What a name can hold while the syntax tree is executed. Everything that isn't certain is `Unknown`."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from torchmedic.abstract.sizes import Size

if TYPE_CHECKING:
    from torchmedic.observed import Site, Source

_serial = itertools.count(1)


@dataclass(eq=False, repr=False)
class Value:
    """Has an identity: `id` is unique in a process."""

    id: int = field(default_factory=_serial.__next__, init=False, repr=False)


@dataclass(eq=False, repr=False)
class Const(Value):
    """A Python constant. `soft`: only a default, which whoever starts the program may change."""

    value: Any = None
    soft: bool = False


@dataclass(eq=False, repr=False)
class Number(Value):
    """An integer that is not known."""

    size: Size = field(default_factory=lambda: Size.fresh("n"))
    soft: bool = False


NOTHING: frozenset[int] = frozenset()
ANY = -1  # all bits: any layer


@dataclass(eq=False, repr=False)
class Data(Value):
    """What may carry a graph. `calls`: the root module calls whose outputs it was computed from, by number.

    `sums`: the accumulations (`total += loss`) that it went through. `graph`: True if it certainly has one.
    `reach`: the layers whose parameters a backward pass from here can come to, as bits; -1 = any, it can't be told.
    `cuts`: the places where something that it was computed from left the graph, as bits.
    """

    graph: bool | None = None
    calls: frozenset[int] = NOTHING
    sums: frozenset[int] = NOTHING
    reach: int = field(default=ANY, kw_only=True)
    cuts: int = field(default=0, kw_only=True)

    @property
    def way_back(self) -> int:
        """`reach`, as far as there is a graph."""
        return 0 if self.graph is False else self.reach


@dataclass(eq=False, repr=False)
class Unknown(Data):
    """Anything. `hint`: the dotted name of its class, as an annotation or a library's documentation says it.

    `why`: what it came from, as the user wrote it.
    """

    hint: str = ""
    why: str = ""
    soft: bool = False


@dataclass(eq=False, repr=False)
class Device(Unknown):
    """A device, or its name: "cpu", "cuda:1", or "cpu|cuda" of what `torch.cuda.is_available()` decides."""

    name: str = ""


@dataclass(eq=False, repr=False)
class Tensor(Data):
    """`shape` None: unknown rank. `dtype` as PyTorch writes it, without "torch."; "" if unknown. `device` as of `Device`.

    `through`: the last operations that matter to a loss ("softmax", "sigmoid", "log_softmax", "argmax", "linear").
    `activations`: the numbers of the events of those softmaxes and the like that these values are the result of.
    `made`: where it got its dtype. `owners`: ids of the modules whose parameter it is.
    `strides`: in elements; None if they are a contiguous tensor's, or unknown where `is_contiguous` is not True.
    """

    shape: tuple[Size, ...] | None = None
    dtype: str = ""
    device: str = ""
    library: str = "torch"
    through: tuple[str, ...] = ()
    made: Place | None = None
    is_contiguous: bool | None = True
    is_leaf: bool | None = None
    is_parameter: bool = False
    kind: str = "Tensor"
    owners: frozenset[int] = NOTHING
    activations: frozenset[int] = NOTHING
    strides: tuple[Size, ...] | None = None


class Place(NamedTuple):
    """A node in a file, and the function it stands in."""

    source: Source
    node: ast.AST


class Content(NamedTuple):
    """What a list, tuple or set holds: its items one by one, or (`rest`) any of them. One value, so that two can be joined."""

    items: tuple[Value, ...] = ()
    rest: Value | None = None
    length: Size | None = None


class Sequence(Value):
    """A list, tuple or set. `owners`: of `model.parameters()`, the ids of the modules. `names`: of a named tuple's items.

    `escaped`: code that can't be seen has it, so it may be longer or shorter by now. `is_part`: some parameters of the
    `owners` may be missing.
    """

    def __init__(
        self,
        kind: str = "list",
        items: tuple[Value, ...] = (),
        rest: Value | None = None,
        length: Size | None = None,
        owners: frozenset[int] = NOTHING,
        names: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.kind = kind
        self.names = names
        self.content = Content(items, rest, length)
        self.owners = owners
        self.escaped = False
        self.is_once = False  # an iterator: what was walked is gone
        self.is_part = False

    @property
    def items(self) -> tuple[Value, ...]:
        return self.content.items

    @property
    def rest(self) -> Value | None:
        return self.content.rest

    @property
    def length(self) -> Size | None:
        return self.content.length

    @property
    def is_exact(self) -> bool:
        return self.content.rest is None

    @property
    def size(self) -> Size | None:
        return Size.of(len(self.items)) if self.is_exact else self.length


class Entries(NamedTuple):
    """What a dict holds. `rest`: any value of one whose keys aren't all known."""

    items: Mapping[Any, Value] = {}
    rest: Value | None = None


class Dict(Value):
    def __init__(self, items: Mapping[Any, Value] | None = None, rest: Value | None = None) -> None:
        super().__init__()
        self.content = Entries(items if items is not None else {}, rest)

    @property
    def items(self) -> Mapping[Any, Value]:
        return self.content.items

    @property
    def rest(self) -> Value | None:
        return self.content.rest


@dataclass(eq=False, repr=False)
class Iterator(Value):
    """What a `for` can walk without being a list: `next_item` makes one more element. `over`: the loader below it.

    `last_item`: the element that a walk to the end certainly comes to.
    """

    next_item: Callable[[], Value] = Unknown
    last_item: Callable[[], Value] | None = None
    length: Size | None = None
    over: Value | None = None


Scope = dict[str, Any]  # names to values


@dataclass(eq=False, repr=False)
class Function(Value):
    """A `def` or `lambda` of the user. `decorators`: dotted names of those that leave it as it is."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda = None  # type: ignore[assignment]
    source: Source = None  # type: ignore[assignment]
    scope: Scope = field(default_factory=dict)  # the globals
    closure: tuple[Scope, ...] = ()  # innermost first
    defaults: Mapping[str, Value] = field(default_factory=dict)
    owner: Class | None = None
    decorators: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return getattr(self.node, "name", "<lambda>")

    @property
    def qualname(self) -> str:
        return f"{self.owner.name}.{self.name}" if self.owner else self.name


@dataclass(eq=False, repr=False)
class Class(Value):
    """A class of the user. `bases` in order: classes of the user, and `External` ones."""

    name: str = ""
    node: ast.ClassDef = None  # type: ignore[assignment]
    source: Source = None  # type: ignore[assignment]
    bases: tuple[Value, ...] = ()
    attributes: Scope = field(default_factory=dict)

    def lookup(self, name: str, after: Class | None = None) -> tuple[Any, Class] | None:
        """The attribute in the class or the nearest base, and whose it is; `after`: only behind that class."""
        order = self.linear()
        if after is not None and after in order:
            order = order[order.index(after) + 1 :]
        for one in order:
            if name in one.attributes:
                return one.attributes[name], one
        return None

    def linear(self) -> list[Class]:
        """The class and its bases of the user, depth first, each once at its last place."""
        found: list[Class] = [self]
        for base in self.bases:
            if isinstance(base, Class):
                for one in base.linear():
                    if one in found:
                        found.remove(one)
                    found.append(one)
        return found

    def externals(self) -> tuple[str, ...]:
        """Dotted names of the library classes among the bases; "?" for one that can't be told."""
        names: list[str] = []
        for one in self.linear():
            for base in one.bases:
                if isinstance(base, External):
                    names.append(base.name)
                elif not isinstance(base, Class):
                    names.append("?")
        return tuple(names)


@dataclass(eq=False, repr=False)
class External(Value):
    """A module, class or function of a library, by its dotted name."""

    name: str = ""


@dataclass(eq=False, repr=False)
class Namespace(Value):
    """A module of the user's project."""

    name: str = ""
    scope: Scope = field(default_factory=dict)
    source: Source = None  # type: ignore[assignment]


class Deferred:
    """What a name imported from a module stands for that isn't executed yet. No value: a scope may hold it."""

    def __init__(self, find: Callable[[], Value]) -> None:
        self._find: Callable[[], Value] | None = find
        self._found: Value | None = None

    def settled(self) -> Value:
        """The value, for which the module is executed; unknown while that is going on."""
        find, self._find = self._find, None
        if find is not None:
            self._found = find()
        return self._found or Unknown()


@dataclass(eq=False, repr=False)
class Object(Value):
    """An instance of a class of the user (`cls`), or of a library (`type`, a dotted name).

    `settings`: the constructor's arguments by name. `training`: a module's mode; None = unknown.
    `escaped`: code that can't be seen has it, so nothing is claimed about it.
    """

    type: str = ""
    cls: Class | None = None
    attributes: Scope = field(default_factory=dict)
    settings: dict[str, Value] = field(default_factory=dict)
    items: tuple[Value, ...] = ()  # of Sequential, ModuleList, Compose
    keys: tuple[str, ...] = ()  # parallel to items, where they have names
    training: bool | None = True
    frozen: bool | None = False
    escaped: str = ""
    made: tuple[Site, ...] = ()
    place: Place | None = None
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Dotted names of its library classes."""
        return self.cls.externals() if self.cls else (self.type,)

    @property
    def type_name(self) -> str:
        return self.cls.name if self.cls else self.type.rpartition(".")[2]


@dataclass(eq=False, repr=False)
class Bound(Value):
    """A method on its object: of the user (`function`), or a library's by name."""

    receiver: Value = field(default_factory=Unknown)
    name: str = ""
    function: Function | None = None


@dataclass(eq=False, repr=False)
class Choice(Value):
    """One of these, it depends on what can't be told: two to four objects, functions or classes."""

    values: tuple[Value, ...] = ()


@dataclass(eq=False, repr=False)
class Super(Value):
    """`super()` in a method."""

    receiver: Value = field(default_factory=Unknown)
    owner: Class | None = None


NOWHERE = ast.Call(ast.Name("?", ast.Load()), [], [])  # of calls that the machine makes itself


class Arguments:
    """A call's evaluated arguments."""

    def __init__(
        self,
        node: ast.Call | ast.expr,
        args: list[Value],
        keywords: dict[str, Value],
        is_complete: bool = True,
    ) -> None:
        self.node = node
        self.args = args
        self.keywords = keywords
        self.is_complete = is_complete  # False: a `*` or `**` that can't be told apart

    def get(self, position: int | None, *names: str) -> Value | None:
        for name in names:
            if name in self.keywords:
                return self.keywords[name]
        if position is not None and position < len(self.args):
            return self.args[position]
        return None

    def all(self) -> list[Value]:
        return [*self.args, *self.keywords.values()]

    def bind(self, names: tuple[str, ...]) -> dict[str, Value]:
        """Positional arguments by these names, with the keywords."""
        return {**dict(zip(names, self.args, strict=False)), **self.keywords}
