"""The exception that a program certainly raises, as a crash probe would have read it."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from torchmedic.abstract.classes import is_made_by_hand, is_open
from torchmedic.abstract.describe import describe, tensor
from torchmedic.abstract.devices import shown
from torchmedic.abstract.machine import Frame
from torchmedic.abstract.modules import Row
from torchmedic.abstract.order import Order
from torchmedic.abstract.registry import BASES, defaults_of
from torchmedic.abstract.requests import CALLER, FETCHER
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.devices import home_of
from torchmedic.abstract.values import (
    Arguments,
    Const,
    Object,
    Sequence,
    Tensor,
    Value,
)
from torchmedic.model import Span
from torchmedic.observed import Failure, Loader, ModuleCall
from torchmedic.observed import Frame as ObservedFrame
from torchmedic.observed import Tensor as ObservedTensor
from torchmedic.observed.source import within, written


class Failures(Order):
    """Makes a `Failure` of the frames, modules and sizes at this moment."""

    def fail(
        self,
        kind: str,
        message: str,
        library: tuple[str, Mapping[str, Value]] | None = None,
    ) -> None:
        """The program raises this here, whatever else it does. `library`: the function that raises, and its names."""
        if not self.is_new_failure(kind):
            return
        frames = [
            *(
                part
                for i, frame in enumerate(self.frames)
                for part in (*self._between(i), self._frame(frame, i))
            ),
            *self._between(len(self.frames)),
        ]
        if library is not None:
            name, values = library
            held = {k: describe(v) for k, v in values.items()}
            frames.append(ObservedFrame(Span("<torch>", 1), name, is_user=False, values=held))
        modules = self._described([r for r in self._active if not r.module.state.get("is_loss")])
        if not modules:
            modules = self._described(self._active)
        layers = self._described(self._rows) if modules and self._rows else ()
        has_table = len(layers) > 1
        self.failures.append(
            Failure(
                kind,
                message,
                tuple(frames),
                is_live=True,
                modules=modules,
                layers=layers if has_table else (),
                layers_from="source" if has_table else "",
                loaders=self.loaders(),
            )
        )

    def _between(self, index: int) -> list[ObservedFrame]:
        """PyTorch's own frames before the user's frame of that number: what asked for an item, what called the model."""
        found = []
        if any(asked.loader is not None and asked.depth == index for asked in self.requests):
            found.append(FETCHER)
        if self._active and self._active[0].frames == index:
            found.append(CALLER)
        return found

    def loaders(self) -> tuple[Loader, ...]:
        """Every DataLoader that the frames can name; the one that is asked comes first."""
        from torchmedic.abstract.loaders import loaders_in

        return loaders_in(self)  # type: ignore[arg-type]

    def _frame(self, frame: Frame, index: int) -> ObservedFrame:
        at = self.span(frame.node, frame.source)
        names = {}
        statement = frame.node
        source = frame.source
        if statement is not None and not isinstance(statement, ast.stmt):
            statement = source.statement(statement) if source.parent(statement) else statement
        for part in within(statement) if isinstance(statement, ast.stmt) else ():
            if isinstance(part, (ast.Name, ast.Attribute)) and not hasattr(statement, "body"):
                value = self._peek(frame, part)
                if value is not None:
                    names[written(part)] = describe(value)
        values = {
            k: describe(v)
            for k, v in frame.local.items()
            if not k.startswith("__") and isinstance(v, Value)
        }
        return ObservedFrame(
            at,
            frame.qualname,
            source.line(at.line).strip(),
            source.code(frame.node) if isinstance(frame.node, ast.expr) else "",
            True,
            values,
            names,
        )

    def _peek(self, frame: Frame, node: ast.AST) -> Value | None:
        """The value of a name or of a chain of plain attributes; nothing is executed."""
        if isinstance(node, ast.Name):
            for scope in (frame.local, *frame.closure, frame.scope):
                if isinstance(scope.get(node.id), Value):
                    found: Value = scope[node.id]
                    return found
            return None
        if isinstance(node, ast.Attribute):
            owner = self._peek(frame, node.value)
            held = owner.attributes.get(node.attr) if isinstance(owner, Object) else None
            return held if isinstance(held, Value) else None
        return None

    def _described(self, rows: list[Row]) -> tuple[ModuleCall, ...]:
        if not rows:
            return ()
        root = rows[0].module
        paths: dict[int, str] = {}
        for path, part in self.tree_of(root):
            paths.setdefault(part.id, path)
        return tuple(self._module_call(row, paths) for row in rows)

    def _module_call(self, row: Row, paths: Mapping[int, str]) -> ModuleCall:
        module = row.module
        made = module.made
        class_at = None
        if module.cls is not None:
            class_at = module.cls.source.span(module.cls.node)._replace(end_line=0, end_column=0)
        kinds = [c.name for c in module.cls.linear()] if module.cls else [module.type_name]
        for kind in module.kinds if module.cls else ():
            kinds.append(kind.rpartition(".")[2])
        bases = [*kinds, *(b for k in kinds for b in BASES.get(k, ())), "Module"]
        output = row.output
        return ModuleCall(
            paths.get(module.id, module.type_name),
            module.type_name,
            tuple(dict.fromkeys(bases)),
            self.settings_of(module),
            self.parameters_of(module),
            tuple(describe(v) for v in row.arguments.args),
            {k: describe(v) for k, v in row.arguments.keywords.items()},
            describe(output) if output is not None else None,
            made[0].at if made else None,
            made,
            class_at,
            module.id in paths,
            module.training is not False,
            row.depth,
            any(True for _ in self.children_of(module)),
        )

    def settings_of(self, module: Object) -> dict[str, object]:
        """The arguments of the constructor as PyTorch keeps them: kernel sizes of convolutions as lists."""
        held: dict[str, object] = {}
        given = module.attributes if module.cls else {**defaults_of(module.type), **module.settings}
        is_convolution = module.type.startswith("torch.nn.Conv") and module.type[-2:-1].isdigit()
        spread = int(module.type[-2]) if is_convolution else 0
        for name, value in given.items():
            plain = _plain(value)
            if plain is None or name == "bias":
                continue
            if (
                spread
                and name in ("kernel_size", "stride", "padding", "dilation")
                and type(plain) is int
            ):
                plain = [plain] * spread
            if name == "normalized_shape" and type(plain) is int:
                plain = [plain]
            held[name] = plain
        return held

    def parameters_of(self, module: Object) -> dict[str, ObservedTensor]:
        found: dict[str, ObservedTensor] = {}
        home = shown(home_of(self, module))  # type: ignore[arg-type]
        for name, value in {**module.state.get("parameters", {}), **module.attributes}.items():
            if isinstance(value, Tensor) and value.is_parameter and (told := tensor(value)):
                found[name] = told._replace(device=home)
        return found

    def assign_attribute(self, thing: Value, name: str, value: Value) -> None:
        if isinstance(thing, Object) and thing.cls is not None and not thing.state.get("is_set_up"):
            self._check_set_up(thing, value)
        super().assign_attribute(thing, name, value)

    def _check_set_up(self, thing: Object, value: Value) -> None:
        """A module takes children and parameters only after `Module.__init__` made the dicts for them."""
        function = self.frame.function
        if (
            function is None
            or function.name != "__init__"
            or set(thing.kinds) != {"torch.nn.Module"}
            or thing.escaped
            or thing.cls is None
            or is_made_by_hand(thing.cls)
        ):
            return
        if isinstance(value, Object) and self.is_module(value):
            self.fail("AttributeError", "cannot assign module before Module.__init__() call")
        elif isinstance(value, Tensor) and value.kind == "Parameter":
            self.fail("AttributeError", "cannot assign parameters before Module.__init__() call")

    def _forward(self, module: Object, arguments: Arguments) -> Value:
        if self._is_without_forward(module):
            self.fail(
                "NotImplementedError",
                f'Module [{module.type_name}] is missing the required "forward" function',
                ("_forward_unimplemented", {}),
            )
        return super()._forward(module, arguments)

    def _is_without_forward(self, module: Object) -> bool:
        if "forward" in module.attributes or module.escaped or module.state.get("is_changed"):
            return False
        if module.cls is None:
            return module.type in ("torch.nn.ModuleList", "torch.nn.ModuleDict")
        if set(module.kinds) != {"torch.nn.Module"} or is_open(module.cls):
            return False
        return not any(map(module.cls.lookup, ("forward", "__call__", "__getattribute__")))

    def augmented(self, before: Value) -> None:
        if (
            isinstance(before, Tensor)
            and before.is_leaf
            and before.graph
            and before.library == "torch"
            and self.modes["grad"] is True
        ):
            self.fail(
                "RuntimeError",
                "a leaf Variable that requires grad is being used in an in-place operation.",
            )


def _plain(value: object) -> object:
    from torchmedic.abstract.sizes import number

    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Const):
        return value.value if isinstance(value.value, (bool, int, float, str)) else None
    size = getattr(value, "size", None)
    if isinstance(size, Size) and not isinstance(value, Sequence):
        return number(size)
    if isinstance(value, (Sequence, tuple, list)):
        items = value.items if isinstance(value, Sequence) else value
        parts = [_plain(item) for item in items]
        return None if any(p is None for p in parts) or not parts else parts
    return None
