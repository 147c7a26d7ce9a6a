from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Failure, Frame, Source
from torchmedic.observed.origin import origins
from torchmedic.observed.project import Defined, Project
from torchmedic.rules._place import alias_of, answer, failing_expression

rule = Rule(
    code="TM215",
    name="optimizer-without-parameters",
    severity=Severity.ERROR,
    summary=Text(
        en="An optimizer is given no parameters at all.",
        ko="옵티마이저가 파라미터를 하나도 받지 못합니다.",
    ),
    title=Text(
        en="the optimizer gets an empty parameter list",
        ko="옵티마이저가 빈 파라미터 목록을 받습니다",
    ),
    why=Text(
        en="""
        `parameters()` finds what is registered: parameters, and layers assigned as attributes or held in
        `nn.ModuleList`, `nn.ModuleDict` or `nn.Sequential`. A plain list hides its layers. `parameters()` is also a
        generator, which is empty once it has been looped over.
        """,
        ko="""
        `parameters()`는 등록된 것만 찾습니다. 파라미터, 그리고 속성에 대입했거나 `nn.ModuleList`, `nn.ModuleDict`,
        `nn.Sequential`에 담긴 층입니다. 파이썬 리스트 안의 층은 보이지 않습니다. 또 `parameters()`는 제너레이터라서 한
        번 순회하면 비어 버립니다.
        """,
    ),
    help=Text(
        en="Put layers into `nn.ModuleList`, and call `model.parameters()` afresh for each use.",
        ko="층은 `nn.ModuleList`에 담고, `model.parameters()`는 쓸 때마다 새로 호출하세요.",
    ),
    lesson=Text(
        en="""
        Print the model: layers that are not in the output are not registered, do not move with `.to(device)` and are
        not saved. `sum(p.numel() for p in model.parameters())` counts what can be learnt. If only some layers are in
        a list, nothing fails: the others learn and these stay as they were drawn.
        """,
        ko="""
        모델을 출력해 보세요. 나오지 않는 층은 등록되지 않아 `.to(device)`로 옮겨지지도 저장되지도 않습니다.
        `sum(p.numel() for p in model.parameters())`로 학습할 수 있는 수를 셀 수 있습니다. 일부 층만 리스트에 있으면
        오류 없이 그 층들만 처음 값 그대로 남습니다.
        """,
    ),
    bad="""
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)]

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x


    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    """,
    good="""
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)])

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x


    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    """,
    messages=("optimizer got an empty parameter list",),
    variants=(
        Variant(
            "list",
            Text(
                en="the layers in `self.{attribute}` are in a plain {kind}, so no parameter is found",
                ko="`self.{attribute}` 층들이 파이썬 {kind} 안에 있어 파라미터를 찾지 못합니다",
            ),
        ),
        Variant(
            "used",
            Text(
                en="the optimizer gets `{name}`, a generator that has been used up",
                ko="옵티마이저가 이미 다 쓴 제너레이터 `{name}` 값을 받습니다",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn

        layers = [nn.Linear(4, 4), nn.Linear(4, 2)]
        parameters = [p for layer in layers for p in layer.parameters()]
        print(sum(p.numel() for p in parameters))
        torch.optim.SGD(parameters, lr=0.1)
        """,
    ),
    says=("ValueError: optimizer got an empty parameter list",),
    search=(
        "optimizer got an empty parameter list",
        "python list of layers parameters not found ModuleList",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleList.html",
        "https://docs.pytorch.org/docs/stable/optim.html",
    ),
)

_WRAP = Text(en="register the layers: `{text}`", ko="층 등록하기: `{text}`")
_LIST = Text(en="keep a list, not a generator", ko="제너레이터 대신 리스트로 두기")


@rule.on(Failure)
def nothing_to_learn(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    found = _given(failure)
    if found is not None:
        source, frame, node = found
        used = _used_up(source, node)
        if used is not None:
            at, fix = used
            variant = reading._replace(variant=rule.variant("used"))
            yield answer(rule, failure, variant, at, (fix,), name=source.code(node))
            return
        hidden = _hidden(failure, source, frame, node)
        if hidden is not None:
            at, fixes, attribute, kind = hidden
            variant = reading._replace(variant=rule.variant("list"))
            yield answer(rule, failure, variant, at, fixes, attribute=attribute, kind=kind)
            return
        yield answer(rule, failure, reading, source.span(node))
        return
    yield answer(rule, failure, reading)


def _given(failure: Failure) -> tuple[Source, Frame, ast.expr] | None:
    """The first argument of the optimizer's constructor."""
    found = failing_expression(failure)
    if found is None or not isinstance(found[2], ast.Call):
        return None
    source, frame, call = found
    assert isinstance(call, ast.Call)
    value = next((k.value for k in call.keywords if k.arg == "params"), None)
    if value is None and call.args and not isinstance(call.args[0], ast.Starred):
        value = call.args[0]
    return (source, frame, value) if value is not None else None


def _used_up(source: Source, node: ast.expr) -> tuple[Span, Fix] | None:
    """`params = model.parameters()` that was read between its making and the optimizer."""
    if not isinstance(node, ast.Name):
        return None
    scope = source.function_of(node) or source.tree
    made = [
        n.value
        for n in ast.walk(scope)
        if isinstance(n, ast.Assign)
        and n.lineno < node.lineno
        and any(isinstance(t, ast.Name) and t.id == node.id for t in n.targets)
    ]
    read = [
        n
        for n in ast.walk(scope)
        if isinstance(n, ast.Name) and n.id == node.id and isinstance(n.ctx, ast.Load)
    ]
    if len(made) != 1 or not any(made[0].lineno < n.lineno < node.lineno for n in read):
        return None
    value = made[0]
    last = (source.name(value.func) or "") if isinstance(value, ast.Call) else ""
    is_generator = isinstance(value, ast.GeneratorExp) or last in ("filter", "map")
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        is_generator |= value.func.attr in ("parameters", "named_parameters", "children")
    if not is_generator:
        return None
    return source.span(value), Fix((source.replace(value, f"list({source.code(value)})"),), _LIST)


Hidden = tuple[Span, tuple[Fix, ...], str, str]


def _hidden(failure: Failure, source: Source, frame: Frame, node: ast.expr) -> Hidden | None:
    """Layers that the model's class keeps in a plain list or dict."""
    project = Project(failure)
    for call in ast.walk(node):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        if call.func.attr not in ("parameters", "named_parameters"):
            continue
        owner = _class_of(failure, project, source, frame, call.func.value)
        for base in project.bases_of(owner) if owner else ():
            found = _plain_list(base)
            if found is not None:
                return found
    return None


def _class_of(
    failure: Failure, project: Project, source: Source, frame: Frame, node: ast.expr
) -> Defined | None:
    if isinstance(node, ast.Name) and node.id == "self":
        own = source.enclosing(node, ast.ClassDef)
        return Defined(source, own) if own else None
    for origin in origins(failure, frame, node, source):
        if isinstance(origin.node, ast.Call):
            name = origin.source.name(origin.node.func)
            found = project.definition(origin.source, name) if name else None
            if found is not None and isinstance(found.node, ast.ClassDef):
                return found
    return None


def _plain_list(defined: Defined) -> Hidden | None:
    source = defined.source
    for node in ast.walk(defined.node):
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            continue
        target, value = node.targets[0], node.value
        if not isinstance(target, ast.Attribute) or source.code(target.value) != "self":
            continue
        is_dict = isinstance(value, (ast.Dict, ast.DictComp))
        is_list = isinstance(value, (ast.List, ast.ListComp, ast.Tuple))
        is_empty = isinstance(value, (ast.List, ast.Dict)) and not ast.unparse(value).strip("[]{}")
        filled = _filled(source, defined.node, target.attr)
        if not (is_dict or is_list) or not (_has_layers(value) or (is_empty and filled)):
            continue
        kind = "dict" if is_dict else "tuple" if isinstance(value, ast.Tuple) else "list"
        name = f"{alias_of(source, 'torch.nn')}.Module{'Dict' if is_dict else 'List'}"
        inner = "" if is_empty else source.code(value)
        edit = Edit(source.span(value), f"{name}({inner})")
        fix = Fix((edit,), _WRAP.fill(text=f"{name}(…)"))
        return source.span(value), (fix,), target.attr, kind
    return None


def _has_layers(node: ast.AST) -> bool:
    return any(
        isinstance(n, ast.Call) and ast.unparse(n.func).rpartition(".")[2][:1].isupper()
        for n in ast.walk(node)
    )


def _filled(source: Source, owner: ast.AST, attribute: str) -> bool:
    """True if layers are appended to `self.<attribute>`, or set by key."""
    for node in ast.walk(owner):
        if isinstance(node, ast.Call) and source.code(node.func) in (
            f"self.{attribute}.append",
            f"self.{attribute}.extend",
        ):
            return any(_has_layers(a) or isinstance(a, ast.Name) for a in node.args)
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Subscript) and source.code(target.value) == f"self.{attribute}":
            return True
    return False
