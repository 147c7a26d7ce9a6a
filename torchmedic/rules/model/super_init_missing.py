from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Failure, Source
from torchmedic.observed.project import Defined, Project
from torchmedic.observed.source import Function
from torchmedic.rules._place import answer, first_statement, removed, user_frames

_HELD = (
    "_parameters",
    "_modules",
    "_buffers",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_pre_hooks",
    "_state_dict_pre_hooks",
    "_state_dict_hooks",
)

rule = Rule(
    code="TM211",
    name="super-init-missing",
    severity=Severity.ERROR,
    summary=Text(
        en="A module's `__init__` does not call `super().__init__()` before it uses the module.",
        ko="모듈의 `__init__`에서 모듈을 쓰기 전에 `super().__init__()`를 호출하지 않습니다.",
    ),
    title=Text(
        en="a layer or parameter is assigned before `super().__init__()` has run",
        ko="`super().__init__()`를 실행하기 전에 층이나 파라미터를 대입합니다",
    ),
    why=Text(
        en="""
        `nn.Module.__init__` makes the dictionaries in which layers, parameters and buffers are registered. Until it
        has run there is no place for `self.fc = nn.Linear(…)` to go.
        """,
        ko="""
        `nn.Module.__init__`은 층, 파라미터, 버퍼를 등록할 사전을 만듭니다. 이것이 실행되기 전에는
        `self.fc = nn.Linear(…)` 대입이 들어갈 자리가 없습니다.
        """,
    ),
    help=Text(
        en="Make `super().__init__()` the first statement of the class's `__init__`.",
        ko="클래스의 `__init__` 첫 문장으로 `super().__init__()`를 쓰세요.",
    ),
    lesson=Text(
        en="""
        Every class between yours and `nn.Module` must pass the call on: a base class or mixin whose `__init__` ends
        the chain breaks all classes below it. `super().__init__` without parentheses names the method and calls
        nothing. To find it by hand, look at the class that the message or the traceback's `__init__` line names,
        and read upwards through its bases. Write `super().__init__()` first whenever you type `def __init__`.
        """,
        ko="""
        내 클래스와 `nn.Module` 사이의 모든 클래스가 호출을 이어 주어야 합니다. 기반 클래스나 믹스인 하나가 호출을
        끊으면 그 아래 클래스가 모두 깨집니다. 괄호 없는 `super().__init__`은 이름만 말하고 아무것도 호출하지 않습니다.
        직접 찾으려면 메시지나 트레이스백의 `__init__` 줄에 나온 클래스에서 시작해 기반 클래스를 따라 올라가세요.
        `def __init__`을 쓸 때는 언제나 `super().__init__()`부터 쓰세요.
        """,
    ),
    bad="""
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self, classes):
            self.fc = nn.Linear(4, classes)

        def forward(self, x):
            return self.fc(x)


    model = Net(3)
    print(model(torch.ones(8, 4)).shape)
    """,
    good="""
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self, classes):
            super().__init__()
            self.fc = nn.Linear(4, classes)

        def forward(self, x):
            return self.fc(x)


    model = Net(3)
    print(model(torch.ones(8, 4)).shape)
    """,
    messages=(
        "cannot assign module before Module.__init__() call",
        "cannot assign parameters before Module.__init__() call",
        "cannot assign parameter before Module.__init__() call",
        "cannot assign buffer before Module.__init__() call",
        "cannot assign buffers before Module.__init__() call",
    ),
    variants=(
        Variant(
            "used",
            Text(
                en="an object of `{owner}` is used, but `super().__init__()` never ran in it",
                ko="`{owner}` 객체를 쓰는데 그 안에서 `super().__init__()`가 실행된 적이 없습니다",
            ),
            messages=tuple("'{owner:word}' object has no attribute '" + n + "'" for n in _HELD),
        ),
    ),
    innocent=(
        """
        from torch import nn


        class Body(nn.Module):
            def __init__(self, width):
                nn.Module.__init__(self)
                self.fc = nn.Linear(width, width)


        class Net(Body):
            def __init__(self):
                self.width = 4
                super().__init__(self.width)


        print(Net())
        """,
    ),
    says=(
        "AttributeError: cannot assign parameters before Module.__init__() call",
        "AttributeError: cannot assign buffer before Module.__init__() call",
        "AttributeError: 'Net' object has no attribute '_modules'",
        "torch.nn.modules.module.ModuleAttributeError: 'Net' object has no attribute '_parameters'",
        "AttributeError: 'Net' object has no attribute '_backward_hooks'",
    ),
    search=(
        "cannot assign module before Module.__init__() call",
        "pytorch object has no attribute _modules",
        "super().__init__() nn.Module missing",
    ),
    links=("https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html",),
)

_ADD = Text(
    en="call `super().__init__()` first in `{owner}`",
    ko="`{owner}` 클래스에서 `super().__init__()` 먼저 호출하기",
)
_CALL = Text(en="call it: `super().__init__()`", ko="괄호를 붙여 호출하기: `super().__init__()`")
_MOVE = Text(
    en="move `{code}` to the top of `__init__`", ko="`{code}` 호출을 `__init__` 맨 앞으로 옮기기"
)


@rule.on(Failure)
def parent_is_not_set_up(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    if failure.type not in ("", "AttributeError") and "Attribute" not in failure.type:
        return
    if reading.variant.name and failure.frames and failure.library_frame("__getattr__") is None:
        return
    owner = reading.facts.get("owner")
    for defined, line in _classes(failure, str(owner) if owner else ""):
        found = _change(defined.source, defined.node, line)
        if found is not None:
            at, fixes = found
            yield answer(rule, failure, reading, at, fixes)
            return
    yield answer(rule, failure, reading)


def _classes(failure: Failure, owner: str) -> Iterator[tuple[Defined, int]]:
    """(class, line reached in it) of the constructors on the stack and their bases, or of the class named."""
    project = Project(failure)
    if owner:
        for source, _ in user_frames(failure):
            named = project.definition(source, owner)
            named = named or next(
                (Defined(s, c) for s in project.sources() if (c := s.class_named(owner))), None
            )
            if named is not None:
                yield from ((base, 0) for base in project.bases_of(named))
        return
    for source, frame in user_frames(failure):
        statement = source.at(Span(frame.at.path, frame.at.line), ast.stmt)
        scope = source.enclosing(statement, ast.ClassDef) if statement else None
        if scope is not None:
            for base in project.bases_of(Defined(source, scope)):
                yield base, frame.at.line if base.node is scope else 0


def _change(source: Source, owner: ast.AST, reached: int) -> tuple[Span, tuple[Fix, ...]] | None:
    init = source.method(owner, "__init__") if isinstance(owner, ast.ClassDef) else None
    if init is None or not isinstance(owner, ast.ClassDef):
        return None
    at = Span(source.path, init.lineno)
    calls = _calls(source, init)
    if not calls:
        for node in ast.walk(init):
            if isinstance(node, ast.Expr) and _is_parent(source, node.value):
                fix = Fix((source.insert_after(node, "()"),), _CALL)
                return source.span(node), (fix,)
        add = source.insert_statement(first_statement(init), "super().__init__()")
        return at, (Fix((add,), _ADD.fill(owner=owner.name)),)
    late = calls[0]
    if not reached or late.lineno <= reached or source.parent(late) not in init.body:
        return None
    statement = source.statement(late)
    edits = (
        source.insert_statement(first_statement(init), source.code(late)),
        removed(source, statement),
    )
    return source.span(late), (Fix(edits, _MOVE.fill(code=source.code(late))),)


def _calls(source: Source, init: Function) -> list[ast.Call]:
    calls = [n for n in ast.walk(init) if isinstance(n, ast.Call) and _is_parent(source, n.func)]
    return sorted(calls, key=lambda c: c.lineno)


def _is_parent(source: Source, node: ast.expr) -> bool:
    """`super().__init__`, `super(Net, self).__init__`, `nn.Module.__init__`, `Base.__init__`."""
    return isinstance(node, ast.Attribute) and node.attr == "__init__"
