from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Text, Variant
from torchmedic.observed import Failure, Source
from torchmedic.observed.origin import origins
from torchmedic.observed.scopes import is_module
from torchmedic.rules._flow import value_of
from torchmedic.rules._place import answer, before_attribute, method_call, receiver

rule = Rule(
    code="TM313",
    name="backward-on-non-scalar",
    severity=Severity.ERROR,
    summary=Text(
        en="`backward()` is called on a tensor of several numbers.",
        ko="숫자가 여러 개인 텐서에 `backward()`를 호출합니다.",
    ),
    title=Text(
        en="`backward()` is called on a loss that is not a single number",
        ko="숫자 하나가 아닌 손실에 `backward()`를 호출합니다",
    ),
    why=Text(
        en="""
        A gradient says how one number changes. For a loss of several numbers PyTorch would need a weight for each of
        them: `backward(gradient)`. Usually the mean over the batch was left out.
        """,
        ko="""
        기울기는 숫자 하나가 어떻게 변하는지를 말합니다. 손실의 숫자가 여러 개이면 각각의 가중치가 필요합니다:
        `backward(gradient)`. 대개는 배치의 평균을 빠뜨린 것입니다.
        """,
    ),
    help=Text(
        en="Reduce the loss to one number first: `loss.mean().backward()`.",
        ko="먼저 손실을 숫자 하나로 줄이세요: `loss.mean().backward()`.",
    ),
    lesson=Text(
        en="""
        Print `loss.shape` before `backward()`: it should be `torch.Size([])`. `reduction="none"` and hand-written
        losses return one number per element. `mean` keeps the step's size independent of the batch, `sum` lets it
        grow. Under `nn.DataParallel` a loss computed in `forward` comes back once per GPU: take its mean.
        """,
        ko="""
        `backward()` 앞에서 `loss.shape`를 출력하세요. `torch.Size([])`여야 합니다. `reduction="none"`이나 직접 쓴
        손실은 원소마다 숫자를 하나씩 돌려줍니다. `mean`은 배치 크기와 관계없이 갱신 크기를 유지하고 `sum`은 배치에
        비례해 키웁니다. `nn.DataParallel`에서 `forward`가 계산한 손실은 GPU마다 하나씩 돌아오므로 평균을 내세요.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    model = nn.Linear(4, 1)
    loss = (model(torch.ones(8, 4)) - 1) ** 2
    loss.backward()
    """,
    good="""
    import torch
    from torch import nn

    model = nn.Linear(4, 1)
    loss = (model(torch.ones(8, 4)) - 1) ** 2
    loss.mean().backward()
    """,
    messages=(
        "grad can be implicitly created only for scalar outputs",
        "grad can be implicitly created only for real scalar outputs",
    ),
    variants=(
        Variant(
            "shape",
            Text(
                en="`backward()` is called on `{code}` of shape {shape}",
                ko="크기가 {shape} 텐서인 `{code}` 값에 `backward()`를 호출합니다",
            ),
        ),
    ),
    innocent=(
        """
        import torch

        weights = torch.ones(3, requires_grad=True)
        (weights * 2).backward(torch.ones(3))
        """,
    ),
    says=("RuntimeError: grad can be implicitly created only for scalar outputs",),
    search=(
        "grad can be implicitly created only for scalar outputs",
        "loss.mean().backward reduction none",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html",
    ),
)

_MEAN = Text(en="take the mean: insert `.mean()`", ko="평균 내기: `.mean()` 넣기")
_REDUCE = Text(en="let the loss take the mean", ko="손실 함수가 평균을 내게 하기")
_BORN = Text(en="the loss is made here: `{code}`", ko="손실을 만드는 곳: `{code}`")


@rule.on(Failure)
def loss_is_no_number(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    found = method_call(failure, "backward", "grad")
    loss = receiver(found[2]) if found else None
    if found is None or loss is None:
        yield answer(rule, failure, reading)
        return
    source, frame, call = found
    if is_module(source, loss):
        loss = call.args[0] if call.args else loss
        is_plain = isinstance(loss, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))
        code = source.code(loss)
        insert = source.replace(loss, f"{code}.mean()" if is_plain else f"({code}).mean()")
    else:
        insert = before_attribute(source, call, ".mean()")
    fixes, evidence = [Fix((insert,), _MEAN)], list[Evidence]()
    for origin in origins(failure, frame, loss, source)[1:]:
        code = " ".join(origin.code.split())
        if not evidence:
            evidence.append(Evidence(_BORN.fill(code=code), origin.at))
        fix = _reduced(failure, origin.source, origin.node)
        if fix is not None:
            fixes.append(fix)
            break
    value = value_of(frame, source, loss)
    facts: dict[str, object] = {"code": " ".join(source.code(loss).split())}
    if value is not None and value.tensor is not None:
        reading = reading._replace(variant=rule.variant("shape"))
        facts["shape"] = list(value.tensor.shape)
    yield answer(rule, failure, reading, source.span(loss), tuple(fixes), tuple(evidence), **facts)


def _reduced(failure: Failure, source: Source, node: ast.expr) -> Fix | None:
    """`reduction="none"` in the loss function's call, or where the loss function was made."""
    if not isinstance(node, ast.Call):
        return None
    calls = [(source, node)]
    if isinstance(node.func, ast.Name):
        calls += [
            (source, n.value)
            for n in source.nodes(ast.Assign)
            if isinstance(n.value, ast.Call)
            and any(isinstance(t, ast.Name) and t.id == node.func.id for t in n.targets)
        ]
    for where, call in calls:
        for keyword in call.keywords:
            if keyword.arg in ("reduction", "reduce") and isinstance(keyword.value, ast.Constant):
                if keyword.value.value == "none":
                    return Fix((where.replace(keyword.value, '"mean"'),), _REDUCE)
                if keyword.value.value is False:
                    return Fix((where.replace(keyword.value, "True"),), _REDUCE)
    return None
