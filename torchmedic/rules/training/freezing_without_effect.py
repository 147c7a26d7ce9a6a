from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Text, Variant
from torchmedic.observed import Source, load
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Trace
from torchmedic.rules._order import HELD, has_other_duties, numbers
from torchmedic.rules._statements import statement_at

rule = Rule(
    code="TM346",
    name="freezing-without-effect",
    severity=Severity.ERROR,
    summary=Text(
        en="An attribute is set that autograd does not know, so the layers that it should freeze are trained.",
        ko="autograd가 모르는 속성을 설정해, 고정하려던 층이 그대로 학습됩니다.",
    ),
    title=Text(
        en="`{target}.{attribute} = False` freezes nothing: the name is `requires_grad`",
        ko="`{target}.{attribute} = False` 문장은 고정하지 않습니다: 이름은 `requires_grad`입니다",
    ),
    why=Text(
        en="""
        Python lets you set any attribute on a parameter. Autograd reads `requires_grad` only, which stays True: the
        parameter gets gradients and the optimizer changes it.
        """,
        ko="""
        Python은 파라미터에 어떤 속성이든 만들 수 있게 합니다. autograd가 읽는 것은 `requires_grad`뿐이고 그 값은 True로
        남으므로, 파라미터는 기울기를 받고 옵티마이저가 값을 바꿉니다.
        """,
    ),
    help=Text(
        en="Write `{target}.requires_grad = False`.",
        ko="`{target}.requires_grad = False`로 쓰세요.",
    ),
    lesson=Text(
        en="""
        Freeze with the method that exists on modules and on parameters: `model.body.requires_grad_(False)`. A misspelled
        method raises, a misspelled attribute does not. Then look once: `sum(p.numel() for p in model.parameters() if
        p.requires_grad)` must be the number of parameters that are meant to learn. Give the optimizer only those. Freezing
        does not stop BatchNorm: its running statistics follow the data until the layer is in `eval()` mode.
        """,
        ko="""
        모듈과 파라미터 모두에 있는 메서드로 고정하세요: `model.body.requires_grad_(False)`. 메서드 이름은 틀리면 오류가 나지만
        속성 이름은 틀려도 오류가 나지 않습니다. 그리고 한 번 확인하세요. `sum(p.numel() for p in model.parameters() if
        p.requires_grad)` 값이 학습하려는 파라미터 수와 같아야 합니다. 옵티마이저에는 그 파라미터만 넘기세요. 고정해도
        BatchNorm의 이동 통계는 `eval()` 모드로 바꿀 때까지 데이터를 따라 변합니다.
        """,
    ),
    example={"target": "parameter"},
    bad="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    for parameter in model[0].parameters():
        parameter.require_grad = False
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs, targets = torch.randn(32, 8), torch.randint(0, 2, (32,))
    for step in range(10):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
    """,
    good="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    for parameter in model[0].parameters():
        parameter.requires_grad = False
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs, targets = torch.randn(32, 8), torch.randint(0, 2, (32,))
    for step in range(10):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
    """,
    variants=(
        Variant(
            "module",
            Text(
                en="`{target}.{attribute} = False` on a module freezes no parameter",
                ko="모듈에 쓴 `{target}.{attribute} = False` 문장은 파라미터를 고정하지 않습니다",
            ),
            Text(
                en="""
                A module has no `requires_grad`. The assignment makes a new attribute that nobody reads, and the module's
                parameters keep their own `requires_grad`, which is True: they are trained.
                """,
                ko="""
                모듈에는 `requires_grad` 속성이 없습니다. 이 대입은 아무도 읽지 않는 속성을 새로 만들 뿐이고, 모듈의 파라미터는
                자기 `requires_grad` 값 True를 그대로 가지므로 학습됩니다.
                """,
            ),
            Text(
                en="Call the method: `{target}.requires_grad_(False)`.",
                ko="메서드를 호출하세요: `{target}.requires_grad_(False)`.",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn


        class Stage(nn.Module):
            def __init__(self, learns):
                super().__init__()
                self.layer = nn.Linear(8, 8)
                self.requires_grad = learns

            def forward(self, x):
                with torch.set_grad_enabled(self.requires_grad and torch.is_grad_enabled()):
                    return torch.relu(self.layer(x))


        torch.manual_seed(0)
        model = nn.Sequential(Stage(True), nn.Linear(8, 2))
        model[0].requires_grad = False
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        inputs, targets = torch.randn(32, 8), torch.randint(0, 2, (32,))
        for step in range(10):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), targets)
            loss.backward()
            optimizer.step()
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        body, head = nn.Linear(8, 8), nn.Linear(8, 2)
        body.requires_grad_(False)
        body.requires_grad = False  # read by print_summary
        optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
        inputs, targets = torch.randn(32, 8), torch.randint(0, 2, (32,))
        for step in range(10):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(head(torch.relu(body(inputs))), targets)
            loss.backward()
            optimizer.step()
        """,
    ),
    search=(
        "pytorch freeze layers not working",
        "model.requires_grad = False does not freeze",
        "require_grad vs requires_grad",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.requires_grad_",
        "https://docs.pytorch.org/docs/stable/notes/autograd.html#setting-requires-grad",
    ),
)

_TRAINED = Text(en="trains it", ko="이것을 학습시킵니다")
_SEEN = Text(
    en="{count} parameters of it got gradients, and an optimizer held them",
    ko="여기 속한 파라미터 {count}개가 기울기를 받았고 옵티마이저에 들어 있습니다",
)
_RENAME = Text(en="write `requires_grad`", ko="`requires_grad`로 쓰기")
_METHOD = Text(en="call `requires_grad_(False)`", ko="`requires_grad_(False)` 호출하기")


@rule.on(Run)
def trained_all_the_same(run: Run) -> Iterator[Diagnosis]:
    told = set()
    for one in run.freezings:
        places = [
            (source, node)
            for path in dict.fromkeys(one.files)
            if (source := load(path)) is not None
            for node in _assignments(source, one.attribute)
        ]
        if len(places) != 1 or (one.attribute == "requires_grad" and _freezes(places[0][0])):
            continue
        source, node = places[0]
        if source.span(node) not in told:
            told.add(source.span(node))
            yield _told(source, node, one.of == "module", Evidence(_SEEN.fill(count=one.trained)))


@rule.on(Trace)
def freezes_nothing(trace: Trace) -> Iterator[Diagnosis]:
    if has_other_duties(trace):
        return
    told = set()
    for event in trace.of("freeze"):
        holders = [
            e
            for e in trace.of("optimizer")
            if (numbers(event, HELD) or {event.subject}) & numbers(e, HELD)
        ]
        source = trace.source_of(event.at)
        statement = statement_at(source, event.at)
        if not holders or not isinstance(statement, ast.Assign) or event.at in told:
            continue
        told.add(event.at)
        if event.facts["of"] == "module" and _freezes(source):
            continue
        used = Evidence(_TRAINED.fill(), holders[0].at)
        yield _told(source, statement, event.facts["of"] == "module", used)


def _assignments(source: Source, attribute: str) -> Iterator[ast.Assign]:
    """`x.attribute = False`."""
    for node in source.nodes(ast.Assign):
        target = node.targets[0]
        is_set = isinstance(target, ast.Attribute) and target.attr == attribute
        if is_set and isinstance(node.value, ast.Constant) and node.value.value is False:
            yield node


def _freezes(source: Source) -> bool:
    """True if the file freezes in the right way too, or reads the attribute from `self`."""
    if any("self.requires_grad" in line for line in source.lines):
        return True
    return any(
        isinstance(n.func, ast.Attribute) and n.func.attr == "requires_grad_"
        for n in source.nodes(ast.Call)
    )


def _told(source: Source, node: ast.Assign, is_module: bool, seen: Evidence) -> Diagnosis:
    target = node.targets[0]
    assert isinstance(target, ast.Attribute)
    facts: dict[str, object] = {
        "target": source.code(target.value),
        "attribute": target.attr,
    }
    if is_module:
        edit = source.replace(node, f"{source.code(target.value)}.requires_grad_(False)")
        fix = Fix((edit,), _METHOD)
    else:
        edit = source.replace(target, f"{source.code(target.value)}.requires_grad")
        fix = Fix((edit,), _RENAME)
    variant = rule.variant("module") if is_module else None
    return Diagnosis(rule, source.span(node), facts, (seen,), (fix,), variant=variant)
