from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torchmedic.model import Diagnosis, Evidence, Rule, Severity, Span, Text
from torchmedic.observed import load
from torchmedic.observed.run import Run
from torchmedic.rules._run import node_at

if TYPE_CHECKING:
    from torchmedic.observed.run_numbers import Dead

FEWEST = 3  # batches, and looks at gradients
rule = Rule(
    code="TM344",
    name="units-dead",
    severity=Severity.ERROR,
    summary=Text(
        en="A ReLU gives nothing but zeros, so no gradient passes it and all before it stays as it is.",
        ko="ReLU가 0만 내놓아 기울기가 지나가지 못하고, 그 앞의 모든 것이 그대로 남습니다.",
    ),
    title=Text(
        en="`{relu}` gave only zeros in all {batches} batches looked at: no gradient passes",
        ko="살펴본 배치 {batches}개 모두에서 `{relu}` 결과가 0뿐이라 기울기가 지나가지 못합니다",
    ),
    why=Text(
        en="""
        ReLU gives 0 for every negative number, and its derivative there is 0. Where all its inputs are negative for all
        samples, what stands before it gets a gradient of exactly 0 and can't move away: the units are dead. What stands
        behind it sees the same zeros for every sample.
        """,
        ko="""
        ReLU는 음수마다 0을 내고 그곳의 도함수도 0입니다. 모든 샘플에서 입력이 모두 음수이면 그 앞에 있는 것은 정확히 0인
        기울기를 받아 벗어날 수 없습니다. 죽은 유닛입니다. 그 뒤에 있는 것은 모든 샘플에서 똑같은 0을 봅니다.
        """,
    ),
    help=Text(
        en="Keep its inputs around 0: smaller learning rate, no large negative bias, inputs normalised; or use LeakyReLU.",
        ko="입력이 0 근처에 오게 하세요. 학습률을 낮추고, 큰 음수 편향을 없애고, 입력을 정규화하거나 LeakyReLU를 쓰세요.",
    ),
    lesson=Text(
        en="""
        Print `(h > 0).float().mean()` behind each ReLU for one batch: about a half at the beginning, never 0. It becomes 0
        by one step that is far too long, by a bias that starts far below 0, or by inputs that are all large and of one
        sign. A ReLU behind the last layer is the worst place: every target below 0 is out of reach, and the output gets
        stuck at 0. Gradients of exactly 0 in the early layers, with others behind them, are the sign.
        """,
        ko="""
        배치 하나로 ReLU 뒤마다 `(h > 0).float().mean()` 값을 출력해 보세요. 처음에는 절반쯤이고 0이면 안 됩니다. 지나치게 큰
        한 걸음, 0보다 훨씬 아래에서 시작하는 편향, 모두 크고 부호가 같은 입력이 원인입니다. 마지막 층 뒤의 ReLU가 가장
        나쁩니다. 0보다 작은 정답에는 닿을 수 없고 출력이 0에 머뭅니다. 앞쪽 층의 기울기만 정확히 0이면 이 실수의 신호입니다.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    inputs = torch.rand(64, 8)
    targets = inputs.sum(dim=1, keepdim=True)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
    nn.init.constant_(model[0].bias, -10.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(20):
        loss = nn.functional.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(loss.item())
    """,
    good="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    inputs = torch.rand(64, 8)
    targets = inputs.sum(dim=1, keepdim=True)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
    nn.init.constant_(model[0].bias, 0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(20):
        loss = nn.functional.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(loss.item())
    """,
    innocent=(
        """
        import torch
        from torch import nn


        class Adapted(nn.Module):
            def __init__(self):
                super().__init__()
                self.base = nn.Linear(6, 6)
                self.down = nn.Linear(6, 2, bias=False)
                self.up = nn.Linear(2, 6, bias=False)
                nn.init.zeros_(self.up.weight)

            def forward(self, x):
                return self.base(x) + self.up(torch.relu(self.down(x)))


        torch.manual_seed(0)
        model = Adapted()
        inputs = torch.randn(32, 6)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(20):
            loss = (model(inputs) - inputs.flip(1)).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        """
        import torch
        from torch import nn


        class TwoHeads(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Sequential(nn.Linear(6, 16), nn.ReLU())
                self.main, self.extra = nn.Linear(16, 1), nn.Linear(16, 1)

            def forward(self, x):
                h = self.body(x)
                return self.main(h), self.extra(h)


        torch.manual_seed(0)
        model = TwoHeads()
        inputs = torch.randn(32, 6)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(20):
            main, extra = model(inputs)
            loss = (main - inputs[:, :1]).pow(2).mean() + 0.0 * extra.sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
    ),
    search=(
        "dying relu pytorch all zeros",
        "gradients are zero in first layers pytorch",
        "relu output always zero",
        "network output constant zero relu last layer",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.LeakyReLU.html",
        "https://docs.pytorch.org/docs/stable/nn.init.html",
    ),
)
_LARGEST = Text(
    en="the largest of the values that go in is {largest}",
    ko="들어가는 값 가운데 가장 큰 것이 {largest} 값입니다",
)
_ZERO = Text(
    en="`{layer}` ({type}) got a gradient of 0 in all {looked} looks",
    ko="`{layer}` 층({type})의 기울기가 살펴본 {looked}번 모두 0이었습니다",
)


@rule.on(Run)
def dead(run: Run) -> Iterator[Diagnosis]:
    if not run.is_over:
        return
    for one in run.dead:
        zero = [
            s
            for s in run.silent
            if s.kind == "zero" and s.root == one.root and s.looked >= FEWEST and s.is_used
        ]
        at = _place(one)
        if one.batches < FEWEST or not zero or at is None:
            continue
        facts: dict[str, object] = {"relu": one.name or _code(at), "batches": one.batches}
        evidence = [Evidence(_LARGEST.fill(largest=f"{one.largest:.4g}"), at)]
        for layer in zero[:3]:
            told = _ZERO.fill(layer=layer.name, type=layer.type, looked=layer.looked)
            evidence.append(Evidence(told, layer.made_by[0].at if layer.made_by else None))
        yield Diagnosis(rule, at, facts, tuple(evidence), module_path=one.name or None)
        return  # one that is dead makes the inputs of the next constant: the first is the cause


def _place(one: Dead) -> Span | None:
    sites = one.made_by or one.by
    return sites[0].at if sites else None


def _code(at: Span) -> str:
    source = load(at.path)
    node = node_at(source, at) if source is not None else None
    code = " ".join(source.code(node).split()) if source is not None and node is not None else ""
    return code if 0 < len(code) <= 30 else "relu"
