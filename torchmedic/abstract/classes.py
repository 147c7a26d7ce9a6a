"""What a class statement may hold without saying so: its attributes can't all be told then."""

from __future__ import annotations

import ast

from torchmedic.abstract.values import Class

OPEN = "__open__"  # the attribute of a class whose attributes code that can't be seen may have set


def is_open(cls: Class) -> bool:
    """True if a base, a metaclass, code that got it or a statement of the body may define what isn't seen."""
    return any(
        OPEN in one.attributes
        or bool(one.node.keywords)
        or any(isinstance(base, ast.Starred) for base in one.node.bases)
        or any(map(_may_bind, one.node.body))
        or "__init_subclass__" in one.attributes
        for one in cls.linear()
    )


def is_made_by_hand(cls: Class) -> bool:
    """True if more than `__init__`, as it stands, sets up an instance."""
    init = cls.lookup("__init__")
    return (
        is_open(cls)
        or cls.lookup("__new__") is not None
        or (init is not None and bool(getattr(init[0], "decorators", ())))
    )


def _may_bind(statement: ast.stmt) -> bool:
    """Anything but definitions, assignments and documentation: `exec(…)`, a loop over `locals()`, a `with`."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Pass)):
        return False
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return False
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return not all(isinstance(target, ast.Name) for target in targets)
    return True
