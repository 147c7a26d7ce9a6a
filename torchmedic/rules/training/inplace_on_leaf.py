from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Failure, Source
from torchmedic.rules._place import answer, is_current, shifted

rule = Rule(
    code="TM315",
    name="inplace-on-leaf",
    severity=Severity.ERROR,
    summary=Text(
        en="A parameter that requires grad is changed in place while autograd is recording.",
        ko="autograd가 기록하는 동안 기울기를 추적하는 파라미터를 제자리에서 바꿉니다.",
    ),
    title=Text(
        en="a parameter that requires grad is changed in place",
        ko="기울기를 추적하는 파라미터를 제자리에서 바꿉니다",
    ),
    why=Text(
        en="""
        A leaf is where gradients arrive. If the change were recorded, the tensor would become a result of itself and
        its `.grad` would belong to a value that is gone, so PyTorch refuses.
        """,
        ko="""
        리프는 기울기가 도착하는 곳입니다. 변경을 기록하면 텐서가 자기 자신의 결과가 되고 `.grad`는 사라진 값의 것이
        되므로 PyTorch가 거부합니다.
        """,
    ),
    help=Text(
        en="Change parameters under `with torch.no_grad():`; to use a changed copy in the forward pass, `clone()` first.",
        ko="파라미터는 `with torch.no_grad():` 안에서 바꾸세요. 순전파에서 바꾼 값을 쓰려면 먼저 `clone()` 하세요.",
    ),
    lesson=Text(
        en="""
        An update by hand is not part of the model: it belongs under `torch.no_grad()`, followed by clearing the
        gradient. `w = w - lr * w.grad` outside of it makes a new tensor that is no leaf, whose `.grad` stays `None`.
        `.data` gets around the check and hides mistakes. Weights are set with the functions of `torch.nn.init`, which
        work under `no_grad` themselves.
        """,
        ko="""
        손으로 하는 갱신은 모델의 일부가 아니므로 `torch.no_grad()` 안에서 하고 이어서 기울기를 지우세요. 밖에서
        `w = w - lr * w.grad`를 쓰면 리프가 아닌 새 텐서가 되어 `.grad`가 `None`으로 남습니다. `.data`는 검사를 피해
        실수를 숨깁니다. 가중치를 정할 때는 스스로 `no_grad` 안에서 동작하는 `torch.nn.init` 함수를 쓰세요.
        """,
    ),
    bad="""
    import torch

    weights = torch.ones(3, requires_grad=True)
    loss = (weights * torch.tensor([1.0, 2.0, 3.0])).sum()
    loss.backward()
    weights -= 0.1 * weights.grad
    print(weights)
    """,
    good="""
    import torch

    weights = torch.ones(3, requires_grad=True)
    loss = (weights * torch.tensor([1.0, 2.0, 3.0])).sum()
    loss.backward()
    with torch.no_grad():
        weights -= 0.1 * weights.grad
    print(weights)
    """,
    messages=(
        "a leaf Variable that requires grad is being used in an in-place operation",
        "a leaf Variable that requires grad has been used in an in-place operation",
        "leaf variable has been moved into the graph interior",
    ),
    variants=(
        Variant(
            "view",
            Text(
                en="a part of a parameter that requires grad is changed in place",
                ko="기울기를 추적하는 파라미터의 일부를 제자리에서 바꿉니다",
            ),
            messages=("a view of a leaf Variable that requires grad is being used in an in-place",),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn

        layer = nn.Linear(3, 2)
        nn.init.zeros_(layer.bias)
        with torch.no_grad():
            layer.weight[0] = 1
        """,
    ),
    says=(
        "RuntimeError: a leaf Variable that requires grad has been used in an in-place operation.",
        "RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.",
        "RuntimeError: a view of a leaf Variable that requires grad is being used in an in-place operation.",
        "RuntimeError: leaf variable has been moved into the graph interior",
    ),
    search=(
        "a leaf Variable that requires grad is being used in an in-place operation",
        "update weights manually torch.no_grad",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html",
        "https://docs.pytorch.org/docs/stable/nn.init.html",
    ),
)

_UNRECORDED = Text(
    en="change it under `with torch.no_grad():`", ko="`with torch.no_grad():` 안에서 바꾸기"
)


@rule.on(Failure)
def leaf_is_changed(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    frame = failure.user_frame
    source = failure.source(frame.at) if frame and is_current(failure, frame) else None
    statement = source.at(Span(source.path, frame.at.line), ast.stmt) if source and frame else None
    if source is None or statement is None or hasattr(statement, "body"):
        yield answer(rule, failure, reading)
        return
    fix = _wrapped(source, statement)
    yield answer(rule, failure, reading, source.span(statement), (fix,) if fix else ())


def _wrapped(source: Source, statement: ast.stmt) -> Fix | None:
    """The statement, and those beside it that change something in place too, under `no_grad`."""
    block: list[ast.stmt] = getattr(source.parent(statement), "body", [])
    if statement not in block or "torch" not in source.imported:
        return None
    first = last = block.index(statement)
    while first > 0 and _is_update(block[first - 1]):
        first -= 1
    while last + 1 < len(block) and _is_update(block[last + 1]):
        last += 1
    start, end = block[first], block[last]
    edits = shifted(source, start.lineno, end.end_lineno or end.lineno, 4)
    indent = source.line(start.lineno)[: start.col_offset]
    if not edits or indent.strip() or "\t" in indent:
        return None
    head = edits[0]._replace(text=f"{indent}with torch.no_grad():\n    ")
    return Fix((head, *edits[1:]), _UNRECORDED)


def _is_update(statement: ast.stmt) -> bool:
    """`b -= lr * b.grad`, `w.grad.zero_()`: what belongs to the same update."""
    if isinstance(statement, ast.AugAssign):
        return ".grad" in ast.unparse(statement.value)
    value = statement.value if isinstance(statement, ast.Expr) else None
    name = ast.unparse(value.func) if isinstance(value, ast.Call) else ""
    return name.endswith((".grad.zero_", ".sub_", ".add_"))
