from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torchmedic.model import Diagnosis, Evidence, Rule, Severity, Text
from torchmedic.observed import load
from torchmedic.observed.run import Run

if TYPE_CHECKING:
    from torchmedic.observed.run_numbers import Silent

FEWEST = 16  # steps
rule = Rule(
    code="TM345",
    name="parameters-without-gradient",
    severity=Severity.WARNING,
    summary=Text(
        en="The optimizer holds a layer that the model never uses, so it never gets a gradient.",
        ko="모델이 쓰지 않는 층을 옵티마이저가 가지고 있어 그 층은 기울기를 얻지 못합니다.",
    ),
    title=Text(
        en="`{layer}` ({values} values) got no gradient in {steps} steps: nothing uses it",
        ko="`{layer}` 층(값 {values}개)은 {steps}번의 단계 동안 기울기가 없었습니다: 아무 데서도 쓰지 않습니다",
    ),
    why=Text(
        en="""
        A layer that is made in `__init__` is registered and given to the optimizer, whether `forward` calls it or not.
        Without a call it takes no part in the loss, its `.grad` stays None, and the optimizer skips it. Usually the call
        was forgotten, or it calls another layer by mistake.
        """,
        ko="""
        `__init__`에서 만든 층은 `forward`가 호출하든 아니든 등록되어 옵티마이저에 넘어갑니다. 호출이 없으면 손실에 들어가지
        않고 `.grad` 값이 None으로 남아 옵티마이저가 건너뜁니다. 보통은 호출을 잊었거나 다른 층을 잘못 호출한 것입니다.
        """,
    ),
    help=Text(
        en="Call `{layer}` in `forward`, or remove it.",
        ko="`forward`에서 `{layer}` 층을 호출하거나, 그 층을 지우세요.",
    ),
    lesson=Text(
        en="""
        After the first `backward()`, list the parameters whose `.grad` is None:
        `[n for n, p in model.named_parameters() if p.grad is None]`. Each name on it is a layer that takes no part in the
        loss. Copied lines are the usual source: `self.fc2` is made, and `self.fc1` is called twice. In a `DataParallel`
        run of several processes such a layer also stops the training with an error about unused parameters.
        """,
        ko="""
        첫 `backward()` 뒤에 `.grad`가 None인 파라미터를 나열해 보세요:
        `[n for n, p in model.named_parameters() if p.grad is None]`. 목록에 있는 이름은 손실에 들어가지 않는 층입니다. 복사한
        줄이 흔한 원인입니다. `self.fc2`를 만들어 놓고 `self.fc1`을 두 번 호출합니다. 여러 프로세스로 학습하면 이런 층은 쓰이지
        않은 파라미터 오류로 학습을 멈추게도 합니다.
        """,
    ),
    example={"layer": "second"},
    bad="""
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(8, 8)
            self.second = nn.Linear(8, 8)
            self.head = nn.Linear(8, 1)

        def forward(self, x):
            x = torch.relu(self.first(x))
            x = torch.relu(self.first(x))
            return self.head(x)


    torch.manual_seed(0)
    inputs = torch.randn(64, 8)
    targets = inputs.sum(dim=1, keepdim=True)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(24):
        loss = nn.functional.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    """,
    good="""
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(8, 8)
            self.second = nn.Linear(8, 8)
            self.head = nn.Linear(8, 1)

        def forward(self, x):
            x = torch.relu(self.first(x))
            x = torch.relu(self.second(x))
            return self.head(x)


    torch.manual_seed(0)
    inputs = torch.randn(64, 8)
    targets = inputs.sum(dim=1, keepdim=True)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(24):
        loss = nn.functional.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    """,
    innocent=(
        """
        import torch
        from torch import nn


        class MultiTask(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Linear(8, 8)
                self.heads = nn.ModuleDict({"price": nn.Linear(8, 1), "size": nn.Linear(8, 1)})

            def forward(self, x, task):
                return self.heads[task](torch.relu(self.body(x)))


        torch.manual_seed(0)
        model = MultiTask()
        optimizer = torch.optim.Adam(model.parameters())
        for task in ("price",):
            for step in range(24):
                inputs = torch.randn(16, 8)
                loss = (model(inputs, task) - inputs[:, :1]).pow(2).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        """,
        """
        import torch
        from torch import nn


        class WithExit(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Linear(8, 8)
                self.early = nn.Linear(8, 1)
                self.head = nn.Linear(8, 1)

            def forward(self, x, is_early=False):
                h = torch.relu(self.body(x))
                return self.early(h) if is_early else self.head(h)


        torch.manual_seed(0)
        model = WithExit()
        optimizer = torch.optim.Adam(model.parameters())
        for step in range(24):
            inputs = torch.randn(16, 8)
            loss = (model(inputs) - inputs[:, :1]).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
    ),
    search=(
        "pytorch parameters grad is None unused layer",
        "find_unused_parameters expected to have finished reduction",
        "layer defined in __init__ not used in forward",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html",
    ),
)
_CALLED = Text(
    en="`{root}` is called here, and none of its operations gets these parameters",
    ko="`{root}` 모델을 여기서 호출하는데, 그 안의 어떤 연산도 이 파라미터를 받지 않습니다",
)


@rule.on(Run)
def never_used(run: Run) -> Iterator[Diagnosis]:
    if not run.is_over:
        return
    told = set()
    for one in run.silent:
        if not _is_certain(run, one) or one.made_by[0].at in told:
            continue
        told.add(one.made_by[0].at)
        facts: dict[str, object] = {
            "layer": one.name,
            "values": one.values,
            "steps": one.looked + 1,
        }
        seen = Evidence(_CALLED.fill(root=one.root), one.called_by[0].at)
        yield Diagnosis(rule, one.made_by[0].at, facts, (seen,), module_path=one.name)


def _is_certain(run: Run, one: Silent) -> bool:
    """Seen to the end, in a model of the program's own that doesn't choose among layers, and not even mentioned."""
    if one.kind != "none" or one.is_used is not False or one.is_library or one.is_choice:
        return False
    is_long = one.looked >= FEWEST and one.until * 4 >= run.steps * 3
    return is_long and bool(one.made_by and one.called_by) and not _is_mentioned(one)


def _is_mentioned(one: Silent) -> bool:
    """True if the file of the layer reads an attribute of that name anywhere: then it may be used at other times."""
    name = next((p for p in reversed(one.name.split(".")) if not p.isdigit()), "")
    source = load(one.made_by[0].at.path)
    if source is None or not name:
        return True
    read = [n for n in source.nodes(ast.Attribute) if n.attr == name]
    if any(isinstance(n.ctx, ast.Load) for n in read):
        return True
    names = [n for n in source.nodes(ast.Name) if n.id in ("getattr", "vars", "globals")]
    return bool(names) or not any(isinstance(n.ctx, ast.Store) for n in read)
