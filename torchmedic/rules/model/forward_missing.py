from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import (
    Diagnosis,
    Edit,
    Evidence,
    Fix,
    Reading,
    Rule,
    Severity,
    Span,
    Text,
    Variant,
)
from torchmedic.observed import Failure, Source
from torchmedic.observed.construction import constructor
from torchmedic.observed.project import Defined, Project
from torchmedic.rules._place import answer, shifted, user_frames

_WHY_LIST = Text(
    en="`nn.ModuleList` and `nn.ModuleDict` register layers; in which order they run is yours to write.",
    ko="`nn.ModuleList`와 `nn.ModuleDict`는 층을 등록만 합니다. 실행 순서는 직접 적어야 합니다.",
)
_HELP_LIST = Text(
    en="Loop over the layers in `forward`, or use `nn.Sequential`, which runs them in order.",
    ko="`forward`에서 층을 하나씩 호출하거나, 차례로 실행하는 `nn.Sequential`을 쓰세요.",
)

rule = Rule(
    code="TM212",
    name="forward-missing",
    severity=Severity.ERROR,
    summary=Text(
        en="A module is called whose class has no method named `forward`.",
        ko="`forward`라는 메서드가 없는 클래스의 모듈을 호출합니다.",
    ),
    title=Text(
        en="`{owner}` is called, but it has no `forward`",
        ko="`{owner}` 모듈을 호출하는데 `forward` 메서드가 없습니다",
    ),
    why=Text(
        en="""
        Calling a module runs its `forward`. A misspelt name, or a `def` indented into another method or out of the
        class, defines something else, and `nn.Module`'s own placeholder raises.
        """,
        ko="""
        모듈을 호출하면 `forward`가 실행됩니다. 이름을 잘못 쓰거나 `def`의 들여쓰기가 다른 메서드 안이나 클래스 밖이면
        다른 것이 정의되고, `nn.Module`의 빈 `forward`가 오류를 냅니다.
        """,
    ),
    help=Text(
        en="Name the method `forward` and indent it as deep as `__init__`.",
        ko="메서드 이름을 `forward`로 쓰고 `__init__`과 같은 깊이로 들여쓰세요.",
    ),
    lesson=Text(
        en="""
        `'forward' in vars(Net)` tells whether the class has one. Python does not mind a misspelt method: it is a
        method nobody calls. An editor that marks overridden methods shows at once which one does not override.
        """,
        ko="""
        `'forward' in vars(Net)`이 클래스에 메서드가 있는지 알려 줍니다. 파이썬은 이름이 틀린 메서드를 탓하지
        않습니다. 아무도 부르지 않는 메서드가 될 뿐입니다. 재정의한 메서드를 표시해 주는 편집기를 쓰면 바로 보입니다.
        """,
    ),
    bad="""
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def foward(self, x):
            return self.fc(x)


    print(Net()(torch.ones(8, 4)).shape)
    """,
    good="""
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(x)


    print(Net()(torch.ones(8, 4)).shape)
    """,
    messages=('Module [{owner:word}] is missing the required "forward" function',),
    variants=(
        Variant(
            "container",
            Text(
                en="`{owner}` is called, but it only holds layers",
                ko="`{owner}` 모듈을 호출하는데 층을 담아 둘 뿐 실행하지 않습니다",
            ),
            why=_WHY_LIST,
            help=_HELP_LIST,
        ),
        Variant(
            "empty",
            Text(
                en="`{owner}` is called, but its class defines no method, so no `forward` either",
                ko="`{owner}` 모듈을 호출하는데 클래스에 메서드가 하나도 없어 `forward`도 없습니다",
            ),
            help=Text(
                en="Define `forward` in the class: it takes the inputs and returns the outputs.",
                ko="클래스에 입력을 받아 출력을 돌려주는 `forward` 메서드를 정의하세요.",
            ),
        ),
        Variant(
            "unnamed",
            Text(
                en="a module is called whose class has no `forward`",
                ko="클래스에 `forward` 메서드가 없는 모듈을 호출합니다",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn


        class Encoder(nn.Module):
            def encode(self, x):
                return x * 2


        print(Encoder().encode(torch.ones(2)))
        """,
    ),
    says=(
        'NotImplementedError: Module [Net] is missing the required "forward" function',
        'NotImplementedError: Module [ModuleList] is missing the required "forward" function',
    ),
    search=(
        "missing the required forward function",
        "NotImplementedError forward nn.Module",
        "ModuleList NotImplementedError",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.forward",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleList.html",
    ),
)

_RENAME = Text(en="rename `{name}` to `forward`", ko="`{name}` 이름을 `forward`로 바꾸기")
_INDENT = Text(
    en="indent `forward` as a method of `{owner}`",
    ko="`forward`를 `{owner}` 클래스의 메서드로 들여쓰기",
)
_SEQUENTIAL = Text(en="make it an `nn.Sequential`", ko="`nn.Sequential`로 만들기")
_METHODS = Text(en="`{owner}` has these methods: {names}", ko="`{owner}` 클래스의 메서드: {names}")


@rule.on(Failure)
def forward_is_not_there(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message) or _without_message(failure)
    if reading is None:
        return
    owner = str(reading.facts.get("owner", ""))
    if owner in ("ModuleList", "ModuleDict"):
        reading = Reading(rule.variant("container"), reading.facts)
        yield answer(rule, failure, reading, fixes=_as_sequential(failure))
        return
    found = _class(failure, owner)
    at, fixes, evidence = _change(found) if found else (None, (), ())
    if found and at == Span(found.source.path, found.node.lineno) and not evidence:
        reading = Reading(rule.variant("empty"), reading.facts)
    yield answer(rule, failure, reading, at, fixes, evidence)


def _without_message(failure: Failure) -> Reading | None:
    """Before 1.10 PyTorch raised NotImplementedError without a word."""
    if failure.type != "NotImplementedError" or failure.message.strip():
        return None
    frame = failure.frames[-1] if failure.frames else None
    path = frame.at.path.replace("\\", "/") if frame else ""
    if frame is None or not path.endswith("torch/nn/modules/module.py"):
        return None
    if failure.failing is not None:
        return Reading(Variant("", rule.title), {"owner": failure.failing.type})
    return Reading(rule.variant("unnamed"), {})


def _class(failure: Failure, owner: str) -> Defined | None:
    layer = failure.failing
    source = failure.source(layer.class_at) if layer else None
    if layer is not None and source is not None and layer.class_at is not None:
        node = source.class_at(layer.class_at)
        if node is not None and (not owner or node.name == owner):
            return Defined(source, node)
    project = Project(failure)
    for source, _ in user_frames(failure):
        found = project.definition(source, owner) if owner else None
        if found is not None and isinstance(found.node, ast.ClassDef):
            return found
    return None


Change = tuple[Span, tuple[Fix, ...], tuple[Evidence, ...]]


def _change(defined: Defined) -> Change:
    source, owner = defined
    assert isinstance(owner, ast.ClassDef)
    methods = {
        m.name: m for m in owner.body if isinstance(m, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    named = _meant([n for n in methods if n != "forward"])
    if named is not None:
        def_at = source.span(methods[named])
        column = source.line(def_at.line).index(named, def_at.column)
        span = Span(source.path, def_at.line, column, def_at.line, column + len(named))
        return span, (Fix((Edit(span, "forward"),), _RENAME.fill(name=named)),), ()
    misplaced = _misplaced(source, owner)
    if misplaced is not None:
        return misplaced
    at = Span(source.path, owner.lineno)
    names = ", ".join(f"`{n}`" for n in methods)
    listed = Evidence(_METHODS.fill(owner=owner.name, names=names), at)
    return at, (), (listed,) if methods else ()


def _meant(names: list[str]) -> str | None:
    """The method that was meant to be `forward`; `call` is its name in Keras."""
    plain = {n.strip("_").lower(): n for n in reversed(names)}
    if "forward" in plain:
        return plain["forward"]
    from difflib import get_close_matches

    close = get_close_matches("forward", plain, 1, 0.75)
    return plain[close[0]] if close else plain.get("call")


def _misplaced(source: Source, owner: ast.ClassDef) -> Change | None:
    """A `def forward` inside another method, or behind the class at its level."""
    inside = [n for n in ast.walk(owner) if isinstance(n, ast.FunctionDef) and n.name == "forward"]
    up = source.parent(owner)
    after = [
        n
        for n in getattr(up, "body", ())
        if isinstance(n, ast.FunctionDef) and n.name == "forward" and n.lineno > owner.lineno
    ]
    wanted = owner.body[0].col_offset
    for node in (*inside[:1], *after[:1]):
        if [a.arg for a in node.args.args[:1]] != ["self"]:
            continue
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        edits = shifted(source, first, node.end_lineno or node.lineno, wanted - node.col_offset)
        at = Span(source.path, node.lineno)
        return at, (Fix(edits, _INDENT.fill(owner=owner.name)),) if edits else (), ()
    return None


def _as_sequential(failure: Failure) -> tuple[Fix, ...]:
    layer = failure.failing
    made = constructor(failure, layer) if layer else None
    if made is None or layer is None or layer.type != "ModuleList" or len(made.call.args) != 1:
        return ()
    source, argument = made.source, made.call.args[0]
    here = source.span(made.call.func)
    name = source.code(made.call.func)
    start = source.span(argument)
    at = Span(source.path, start.line, start.column, start.line, start.column)
    edits = (
        Edit(here, name.replace("ModuleList", "Sequential")),
        Edit(at, "*"),
    )
    return (Fix(edits, _SEQUENTIAL),) if name.startswith(("nn.", "torch.nn.")) else ()
