"""Values that reach a program as settings: argparse defaults, dataclass fields, class attributes."""

from __future__ import annotations

import ast

from torchmedic.observed.project import Defined, Project
from torchmedic.observed.scopes import attribute_value
from torchmedic.observed.source import Source, argument


def option_default(project: Project, name: str) -> tuple[Source, ast.expr] | None:
    """The `default=` of `add_argument("--name", …)` (or of click's and typer's options) for `args.name`."""
    flag = "--" + name.replace("_", "-")
    for source in project.sources():
        for call in source.calls(".add_argument", "click.option", "typer.Option"):
            texts = [a.value for a in call.args if isinstance(a, ast.Constant)]
            if flag in texts or f"--{name}" in texts:
                value = argument(call, None, "default")
                if value is not None:
                    return source, value
    return None


def field_value(project: Project, owner: Defined, name: str) -> tuple[Source, ast.expr] | None:
    """The value of `name: int = 512` or `name = 512` in the class or its bases; `field(default=…)` is looked into."""
    for base in project.bases_of(owner):
        for item in base.node.body:
            value = getattr(item, "value", None)
            if not isinstance(item, (ast.Assign, ast.AnnAssign)) or value is None:
                continue
            targets = item.targets if isinstance(item, ast.Assign) else [item.target]
            if any(isinstance(t, ast.Name) and t.id == name for t in targets):
                inner = argument(value, None, "default") if isinstance(value, ast.Call) else None
                return base.source, inner if inner is not None else value
    return None


def class_setting(
    project: Project, source: Source, node: ast.Attribute
) -> tuple[Source, ast.expr] | None:
    """The default of `Setup.width`, read from the class itself."""
    name = source.name(node.value)
    owner = project.definition(source, name) if name else None
    return field_value(project, owner, node.attr) if owner is not None else None


def own_attribute(
    project: Project, owner: Defined, name: str
) -> tuple[Source, ast.expr, tuple[int | str, ...]] | None:
    """What `self.<name>` was set to in the class or its bases, or the class attribute."""
    for base in project.bases_of(owner):
        found = attribute_value(base.source, base.node, name)
        if found is not None:
            return base.source, found[0], found[1]
    field = field_value(project, owner, name)
    return (*field, ()) if field else None
