from __future__ import annotations

from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Rule, Severity, Text, Variant
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Trace
from torchmedic.rules._held import Missing, fixes, missing
from torchmedic.rules._reach import trainings
from torchmedic.rules._unheld import unheld

rule = Rule(
    code="TM328",
    name="parameters-not-in-optimizer",
    severity=Severity.ERROR,
    summary=Text(
        en="The loss computes gradients for parameters that no optimizer holds, so they never change.",
        ko="손실이 기울기를 계산하지만 어떤 옵티마이저도 가지고 있지 않아 바뀌지 않는 파라미터가 있습니다.",
    ),
    title=Text(
        en="the layers in `self.{attribute}` are in a plain {kind}: no optimizer holds them",
        ko="`self.{attribute}` 층들이 파이썬 {kind} 안에 있어 옵티마이저가 가지고 있지 않습니다",
    ),
    why=Text(
        en="""
        `parameters()` lists what is registered at that moment: `nn.Parameter`s, and layers that are attributes or items
        of `nn.ModuleList`, `nn.ModuleDict` or `nn.Sequential`. The optimizer keeps that list. What is not in it gets
        gradients from `backward()` and is never stepped: it stays as it was drawn.
        """,
        ko="""
        `parameters()`는 그 순간에 등록된 것을 나열합니다. `nn.Parameter`, 그리고 속성이거나 `nn.ModuleList`,
        `nn.ModuleDict`, `nn.Sequential`에 담긴 층입니다. 옵티마이저는 그 목록을 간직합니다. 목록에 없는 파라미터는
        `backward()`에서 기울기를 받아도 갱신되지 않고 처음 값 그대로 남습니다.
        """,
    ),
    help=Text(
        en="Hold the layers in `nn.ModuleList` (`nn.ModuleDict` for names), which registers them.",
        ko="층을 `nn.ModuleList`(이름이 있으면 `nn.ModuleDict`)에 담아 등록하세요.",
    ),
    lesson=Text(
        en="""
        Print the model: what the output does not name is not registered, does not move with `.to(device)` and is not
        saved by `state_dict()`. Compare `sum(p.numel() for p in model.parameters())` with what you expect. Finish the
        model first (swap layers, load weights, move it to the device), and make the optimizer after that; layers that
        come later need `add_param_group`. After one step, a parameter whose `.grad` is there and whose value did not
        change is not in the optimizer.
        """,
        ko="""
        모델을 출력해 보세요. 출력에 없는 것은 등록되지 않았고, `.to(device)`로 옮겨지지도 `state_dict()`로 저장되지도
        않습니다. `sum(p.numel() for p in model.parameters())` 값을 예상한 수와 비교하세요. 모델을 먼저 완성하고(층 교체,
        가중치 불러오기, 장치로 옮기기) 그다음에 옵티마이저를 만드세요. 나중에 생긴 층은 `add_param_group`으로 넣습니다. 한
        단계 뒤에 `.grad`는 있는데 값이 그대로인 파라미터는 옵티마이저에 없는 것입니다.
        """,
    ),
    bad="""
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)]
            self.head = nn.Linear(4, 1)

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return self.head(x)


    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs, targets = torch.randn(32, 4), torch.randn(32, 1)
    for step in range(20):
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
            self.layers = nn.ModuleList([nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)])
            self.head = nn.Linear(4, 1)

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return self.head(x)


    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs, targets = torch.randn(32, 4), torch.randn(32, 1)
    for step in range(20):
        loss = nn.functional.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    """,
    variants=(
        Variant(
            "parameters",
            Text(
                en="the parameters in `self.{attribute}` are in a plain {kind}, unregistered",
                ko="`self.{attribute}` 파라미터들이 파이썬 {kind} 안에 있어 옵티마이저가 가지고 있지 않습니다",
            ),
            help=Text(
                en="Hold them in `nn.ParameterList` (`nn.ParameterDict` for names), which registers them.",
                ko="`nn.ParameterList`(이름이 있으면 `nn.ParameterDict`)에 담아 등록하세요.",
            ),
        ),
        Variant(
            "late",
            Text(
                en="`{layer}` was made after the optimizer: it is never stepped",
                ko="`{layer}` 층이 옵티마이저보다 나중에 만들어져 갱신되지 않습니다",
            ),
            help=Text(
                en="Make the optimizer after the last change of the model.",
                ko="모델을 마지막으로 바꾼 다음에 옵티마이저를 만드세요.",
            ),
        ),
        Variant(
            "other",
            Text(
                en="the optimizer holds no parameter of `{layer}`, which the loss trains",
                ko="손실이 학습시키는 `{layer}` 모델의 파라미터가 옵티마이저에 하나도 없습니다",
            ),
            help=Text(
                en="Make the optimizer of the parameters of the model that the loop calls.",
                ko="반복문이 호출하는 모델의 파라미터로 옵티마이저를 만드세요.",
            ),
        ),
        Variant(
            "beside",
            Text(
                en="`{layer}` gets gradients from the loss, and no optimizer holds it",
                ko="`{layer}` 모델은 손실에서 기울기를 받지만 어떤 옵티마이저에도 들어 있지 않습니다",
            ),
            why=Text(
                en="""
                An optimizer changes what it was given. `backward()` computes gradients for everything that the loss came
                through, so those of `{layer}` are there and nobody uses them: it stays as it was drawn, and the other
                models learn around it.
                """,
                ko="""
                옵티마이저는 넘겨받은 것만 갱신합니다. `backward()`는 손실이 거쳐 온 모든 것의 기울기를 계산하므로 `{layer}`
                모델의 기울기도 있지만 아무도 쓰지 않습니다. 처음 값 그대로 남고, 다른 모델이 거기에 맞춰 학습합니다.
                """,
            ),
            help=Text(
                en="Give the optimizer the parameters of `{layer}` as well.",
                ko="옵티마이저에 `{layer}` 모델의 파라미터도 함께 넘기세요.",
            ),
        ),
        Variant(
            "result",
            Text(
                en="`self.{attribute}` is the result of `{code}`, not a parameter",
                ko="`self.{attribute}` 값은 파라미터가 아니라 `{code}` 식의 결과입니다",
            ),
            why=Text(
                en="""
                An operation on an `nn.Parameter` gives a plain tensor, and only `nn.Parameter`s are registered. Moving
                to another device or dtype is such an operation: it makes a copy.
                """,
                ko="""
                `nn.Parameter`에 연산을 하면 일반 텐서가 나오고, 등록되는 것은 `nn.Parameter`뿐입니다. 다른 장치나 dtype으로
                옮기는 것도 복사본을 만드는 연산입니다.
                """,
            ),
            help=Text(
                en="Compute the value first, and wrap the result: `nn.Parameter(value.to(device))`.",
                ko="값을 먼저 계산하고 그 결과를 감싸세요: `nn.Parameter(value.to(device))`.",
            ),
        ),
        Variant(
            "leaf",
            Text(
                en="`self.{attribute}` is a plain tensor: it is not among `parameters()`",
                ko="`self.{attribute}` 값은 일반 텐서라서 `parameters()`에 없습니다",
            ),
            why=Text(
                en="""
                `requires_grad=True` makes autograd compute a gradient. Only an `nn.Parameter` is registered in the
                module, so the optimizer does not get this tensor, and neither `.to(device)` nor `state_dict()` see it.
                """,
                ko="""
                `requires_grad=True`는 autograd가 기울기를 계산하게 할 뿐입니다. 모듈에 등록되는 것은 `nn.Parameter`뿐이라서 이
                텐서는 옵티마이저에 들어가지 않고, `.to(device)`와 `state_dict()`에서도 빠집니다.
                """,
            ),
            help=Text(en="Wrap it: `nn.Parameter(…)`.", ko="`nn.Parameter(…)`로 감싸세요."),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn


        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = [nn.Linear(4, 4), nn.Linear(4, 4)]
                for index, layer in enumerate(self.layers):
                    self.add_module(f"layer{index}", layer)
                self.head = nn.Linear(4, 1)

            def forward(self, x):
                for layer in self.layers:
                    x = torch.relu(layer(x))
                return self.head(x)


        torch.manual_seed(0)
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        inputs, targets = torch.randn(32, 4), torch.randn(32, 1)
        for step in range(20):
            loss = nn.functional.mse_loss(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        body, head = nn.Linear(4, 4), nn.Linear(4, 1)
        model = nn.Sequential(body, nn.ReLU(), head)
        optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
        inputs, targets = torch.randn(32, 4), torch.randn(32, 1)
        for step in range(20):
            loss = nn.functional.mse_loss(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model[2] = nn.Linear(4, 2)
        optimizer.add_param_group({"params": model[2].parameters()})
        inputs, targets = torch.randn(32, 4), torch.randn(32, 2)
        for step in range(20):
            loss = nn.functional.mse_loss(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
    ),
    search=(
        "pytorch list of layers not training ModuleList",
        "pytorch parameters not updating after replacing fc layer optimizer",
        "nn.Parameter to(device) not in model.parameters",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleList.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html",
        "https://docs.pytorch.org/docs/stable/optim.html",
    ),
)

_MADE = Text(en="takes the parameters here", ko="여기서 파라미터를 가져갑니다")


_SEEN = Text(
    en="{parameters} numbers got gradients; no optimizer held them, and they kept their values",
    ko="숫자 {parameters}개가 기울기를 받았지만 어떤 옵티마이저에도 없고 값이 그대로입니다",
)


@rule.on(Run)
def were_never_stepped(run: Run) -> Iterator[Diagnosis]:
    for one, parameters in unheld(run):
        seen = Evidence(_SEEN.fill(parameters=f"{parameters:,}"))
        told = _told(one)
        yield told._replace(evidence=(seen, *told.evidence))


@rule.on(Trace)
def never_stepped(trace: Trace) -> Iterator[Diagnosis]:
    for training in trainings(trace):
        for one in missing(training):
            yield _told(one)


def _told(one: Missing) -> Diagnosis:
    code = " ".join(one.source.code(one.node).split())
    facts: dict[str, object] = {
        "attribute": one.attribute,
        "kind": one.kind,
        "layer": "`, `".join((one.layer, *one.others)),
        "code": code,
    }
    return Diagnosis(
        rule,
        one.source.span(one.node),
        facts,
        (Evidence(_MADE.fill(), one.made.at),),
        fixes(one),
        variant=rule.variant(one.form) if one.form != "list" else None,
    )
