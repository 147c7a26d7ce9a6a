from __future__ import annotations

from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Rule, Severity, Text, Variant
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Trace
from torchmedic.rules._clearing import called
from torchmedic.rules._growing import shown
from torchmedic.rules._modes import entered, without_gradients
from torchmedic.rules._order import has_other_duties, timelines, with_graphs
from torchmedic.rules._roles import places
from torchmedic.rules._run import callee

rule = Rule(
    code="TM404",
    name="no-grad-missing",
    severity=Severity.WARNING,
    summary=Text(
        en="An evaluation records a computation graph that nothing uses.",
        ko="아무도 쓰지 않는 계산 그래프를 평가하면서 기록합니다.",
    ),
    title=Text(
        en="the evaluation of `{model}` in line {line} records a graph for each batch",
        ko="{line}번 줄의 `{model}` 모델 평가가 배치마다 그래프를 기록합니다",
    ),
    why=Text(
        en="""
        Outside of `torch.no_grad()` every forward pass keeps the activations of all layers for a backward pass. Here none
        follows: the evaluation takes about as much memory as a training step, and more time.
        """,
        ko="""
        `torch.no_grad()` 밖에서는 순전파마다 역전파에 쓸 모든 층의 활성값을 남겨 둡니다. 여기서는 역전파가 없으므로 평가가
        학습 단계만큼의 메모리와 더 많은 시간을 씁니다.
        """,
    ),
    help=Text(
        en="Evaluate under `torch.no_grad()`; `model.eval()` alone does not switch gradients off.",
        ko="평가는 `torch.no_grad()` 안에서 하세요. `model.eval()`만으로는 기울기 기록이 꺼지지 않습니다.",
    ),
    lesson=Text(
        en="""
        Two switches belong to an evaluation. `model.eval()` changes what dropout and batch normalisation compute;
        `torch.no_grad()` stops the recording of graphs. Neither does the work of the other. Decorate the function that
        evaluates with `@torch.no_grad()`, or write `with torch.no_grad():` around its loop. `torch.inference_mode()` is a
        little faster; its results can't be used in a backward pass later. To see whether a graph is recorded, print
        `output.requires_grad`.
        """,
        ko="""
        평가에는 스위치가 두 개 필요합니다. `model.eval()`은 드롭아웃과 배치 정규화의 계산을 바꾸고 `torch.no_grad()`는
        그래프 기록을 멈춥니다. 하나가 다른 하나를 대신하지 못합니다. 평가 함수에 `@torch.no_grad()`를 붙이거나 반복문을
        `with torch.no_grad():`로 감싸세요. `torch.inference_mode()`는 조금 더 빠르지만 그 결과를 나중에 역전파에 쓸 수
        없습니다. 그래프가 기록되는지는 `output.requires_grad` 값을 출력해 보면 알 수 있습니다.
        """,
    ),
    bad="""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(0)
    inputs, labels = torch.randn(96, 8), torch.randint(0, 3, (96,))
    train_loader = DataLoader(TensorDataset(inputs[:64], labels[:64]), batch_size=16)
    test_loader = DataLoader(TensorDataset(inputs[64:], labels[64:]), batch_size=16)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(model.parameters())
    for batch, target in train_loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(batch), target).backward()
        optimizer.step()
    correct = 0
    model.eval()
    for batch, target in test_loader:
        scores = model(batch)  # one row for each sample
        correct += (scores.argmax(dim=1) == target).sum().item()
    print(correct / 32)
    """,
    good="""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(0)
    inputs, labels = torch.randn(96, 8), torch.randint(0, 3, (96,))
    train_loader = DataLoader(TensorDataset(inputs[:64], labels[:64]), batch_size=16)
    test_loader = DataLoader(TensorDataset(inputs[64:], labels[64:]), batch_size=16)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(model.parameters())
    for batch, target in train_loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(batch), target).backward()
        optimizer.step()
    correct = 0
    model.eval()
    with torch.no_grad():
        for batch, target in test_loader:
            scores = model(batch)  # one row for each sample
            correct += (scores.argmax(dim=1) == target).sum().item()
    print(correct / 32)
    """,
    variants=(
        Variant(
            "not-entered",
            Text(
                en="`{manager}` stands alone on its line and switches nothing off",
                ko="`{manager}` 표현식만 한 줄에 있어서 아무것도 끄지 않습니다",
            ),
            Text(
                en="""
                It makes a context manager, and the line ends. Gradients are off only inside a `with` block, or in a function
                that is decorated with it.
                """,
                ko="""
                컨텍스트 매니저를 만들기만 하고 줄이 끝납니다. 기울기 기록은 `with` 블록 안이나 이것으로 장식한 함수
                안에서만 꺼집니다.
                """,
            ),
            Text(
                en="Write `with {manager}:` and indent what belongs to it.",
                ko="`with {manager}:` 형태로 쓰고 해당하는 줄을 들여쓰세요.",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
        optimizer = torch.optim.Adam(model.parameters())
        inputs, labels = torch.randn(64, 8), torch.randint(0, 3, (64,))


        def accuracy(inputs, labels):
            model.eval()
            return (model(inputs).argmax(dim=1) == labels).float().mean().item()


        for epoch in range(3):
            model.train()
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
            with torch.no_grad():
                print(accuracy(inputs, labels))
        """,
        """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset

        torch.manual_seed(0)
        data = TensorDataset(torch.randn(64, 8), torch.randint(0, 3, (64,)))
        loader = DataLoader(data, batch_size=16)
        model = nn.Linear(8, 3)
        optimizer = torch.optim.Adam(model.parameters())
        for batch, target in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), target).backward()
            optimizer.step()


        def test_attack(epsilon):
            model.eval()
            fooled = 0
            for batch, target in loader:
                batch.requires_grad_(True)
                loss = nn.functional.cross_entropy(model(batch), target)
                (gradient,) = torch.autograd.grad(loss, batch)
                moved = batch.detach() + epsilon * gradient.sign()
                with torch.no_grad():
                    fooled += (model(moved).argmax(dim=1) != target).sum().item()
            return fooled


        print(test_attack(0.1))
        """,
        """
        import torch
        from torch import nn


        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(8, 3)

            def forward(self, x):
                return self.layer(x)


        def test():
            net = Net()
            y = net(torch.randn(2, 8))
            print(y.size())


        test()
        """,
        """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset

        torch.manual_seed(0)
        data = TensorDataset(torch.randn(64, 8), torch.randint(0, 3, (64,)))
        loader = DataLoader(data, batch_size=16)
        model = nn.Linear(8, 3)
        optimizer = torch.optim.Adam(model.parameters())
        for batch, target in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), target).backward()
            optimizer.step()
        torch.set_grad_enabled(False)
        correct = 0
        for batch, target in loader:
            correct += (model(batch).argmax(dim=1) == target).sum().item()
        print(correct / 64)
        """,
    ),
    search=(
        "pytorch evaluation out of memory torch.no_grad",
        "model.eval() vs torch.no_grad()",
        "validation uses more memory than training pytorch",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html",
        "https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation",
    ),
)

_RECORDED = Text(
    en="runs with gradients on; no backward pass goes through it",
    ko="기울기 기록이 켜진 채로 실행되며 역전파가 지나가지 않습니다",
)
_LOOP = Text(en="no backward pass in this loop", ko="이 반복문에는 역전파가 없습니다")
_MANAGERS = ("torch.no_grad", "torch.inference_mode")


_SEEN = Text(
    en="calls seen: {calls}, all with gradients on; no backward pass came through their results",
    ko="확인한 호출 {calls}번 모두 기울기를 기록했지만, 그 결과를 지나는 역전파는 없었습니다",
)


_BYTES = Text(
    en="the graph of one batch keeps {bytes} that nothing reads",
    ko="배치 하나의 그래프가 아무도 읽지 않는 {bytes} 분량을 붙잡습니다",
)


@rule.on(Run)
def graph_was_recorded(run: Run) -> Iterator[Diagnosis]:
    for place in places(run, "evaluate"):
        name = callee(place.forwards[0].by[0])
        if name and place.calls > 1 and all(f.with_grad == f.calls for f in place.forwards):
            facts = {"model": name, "line": place.at.line}
            evidence = [Evidence(_SEEN.fill(calls=place.calls), place.at)]
            sizes = [f.graph_bytes for f in place.forwards if f.graph_bytes]
            if sizes:
                evidence.append(Evidence(_BYTES.fill(bytes=shown(max(sizes)))))
            yield Diagnosis(rule, place.at, facts, tuple(evidence))


@rule.on(Trace)
def graph_is_recorded(trace: Trace) -> Iterator[Diagnosis]:
    if has_other_duties(trace):
        return
    for timeline in timelines(trace):
        alone = [e for e in timeline.of("unused") if e.facts.get("method") in _MANAGERS]
        for event in {e.at: e for e in alone}.values():
            manager = event.name if event.name.endswith(")") else f"{event.name}()"
            yield Diagnosis(
                rule,
                event.at,
                {"manager": manager},
                (),
                entered(trace, event.at, manager) or called(trace, event.at),
                variant=rule.variant("not-entered"),
            )
        for group in with_graphs(timeline):
            evaluation = group[0]
            first = evaluation.first
            if any(e.function == first.function and e.at.path == first.at.path for e in alone):
                continue
            evidence = [Evidence(_RECORDED, first.at)]
            if evaluation.loop is not None:
                evidence.append(Evidence(_LOOP, evaluation.loop))
            yield Diagnosis(
                rule,
                first.at,
                {"model": first.name, "line": first.at.line},
                tuple(evidence),
                without_gradients(trace, timeline, evaluation),
            )
