from __future__ import annotations

from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Text, Variant
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._clearing import called
from torchmedic.rules._modes import evaluated, training_argument
from torchmedic.rules._order import (
    Evaluation,
    Timeline,
    has_other_duties,
    merged,
    numbers,
    timelines,
)
from torchmedic.rules._roles import places
from torchmedic.rules._run import callee

rule = Rule(
    code="TM403",
    name="eval-mode-missing",
    severity=Severity.ERROR,
    summary=Text(
        en="A model is evaluated while its dropout or batch normalisation is in training mode.",
        ko="드롭아웃이나 배치 정규화가 학습 모드인 채로 모델을 평가합니다.",
    ),
    title=Text(
        en="`{model}` is evaluated with {count} layers in training mode",
        ko="{count}개 층이 학습 모드인 채로 `{model}` 모델을 평가합니다",
    ),
    why=Text(
        en="""
        In training mode dropout switches off random activations, and batch normalisation uses the statistics of the batch at
        hand and updates its running averages with it. The measured value is then too low, changes from run to run and with
        the batch size, and the validation data leak into the model.
        """,
        ko="""
        학습 모드에서 드롭아웃은 활성값을 무작위로 끄고, 배치 정규화는 지금 배치의 통계를 쓰면서 이동 평균까지 그것으로
        갱신합니다. 그래서 측정값이 낮게 나오고 실행과 배치 크기에 따라 달라지며, 검증 데이터가 모델에 섞입니다.
        """,
    ),
    help=Text(
        en="Call `{model}.eval()` before the evaluation, and `{model}.train()` before training goes on.",
        ko="평가 앞에서 `{model}.eval()` 호출을, 학습을 이어 가기 전에 `{model}.train()` 호출을 하세요.",
    ),
    lesson=Text(
        en="""
        A module and all modules in it carry one switch, `training`. `model.eval()` and `model.train()` set it; nothing else
        does, neither `torch.no_grad()` nor the end of a loop. Put the switch at the start of the function that needs it:
        `model.train()` first in the function that trains, `model.eval()` first in the one that evaluates. To check by hand,
        evaluate the same batch twice: the results must be equal. In `forward`, write `F.dropout(x, training=self.training)`,
        because the function does not know the module's mode.
        """,
        ko="""
        모듈과 그 안의 모든 모듈은 `training` 스위치를 하나씩 가집니다. 이 값은 `model.eval()`과 `model.train()`만 바꾸며
        `torch.no_grad()`나 반복문의 끝은 바꾸지 않습니다. 스위치는 그것이 필요한 함수의 첫 줄에 두세요. 학습 함수는
        `model.train()`으로, 평가 함수는 `model.eval()`로 시작합니다. 같은 배치를 두 번 평가해서 결과가 같은지 보면
        손으로도 확인할 수 있습니다. 함수는 모듈의 모드를 모르므로 `forward` 안에서는
        `F.dropout(x, training=self.training)` 형태로 쓰세요.
        """,
    ),
    example={"model": "model"},
    bad="""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(0)
    inputs, labels = torch.randn(96, 8), torch.randint(0, 3, (96,))
    train_loader = DataLoader(TensorDataset(inputs[:64], labels[:64]), batch_size=16)
    test_loader = DataLoader(TensorDataset(inputs[64:], labels[64:]), batch_size=16)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(model.parameters())
    for batch, target in train_loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(batch), target).backward()
        optimizer.step()
    correct = 0
    with torch.no_grad():
        for batch, target in test_loader:
            correct += (model(batch).argmax(dim=1) == target).sum().item()
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
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(model.parameters())
    for batch, target in train_loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(batch), target).backward()
        optimizer.step()
    correct = 0
    model.eval()
    with torch.no_grad():
        for batch, target in test_loader:
            correct += (model(batch).argmax(dim=1) == target).sum().item()
    print(correct / 32)
    """,
    variants=(
        Variant(
            "not-called",
            Text(
                en="`{model}.eval` is named, but not called",
                ko="`{model}.eval` 이름만 쓰고 호출하지 않았습니다",
            ),
            Text(
                en="""
                Without parentheses Python looks the method up and does nothing with it: the model stays in training mode,
                with active dropout and with the statistics of each batch.
                """,
                ko="""
                괄호가 없으면 Python은 메서드를 찾기만 하고 아무것도 하지 않습니다. 모델은 학습 모드로 남아 드롭아웃이
                켜져 있고 배치 통계를 씁니다.
                """,
            ),
            Text(en="Write `{model}.eval()`.", ko="`{model}.eval()` 형태로 쓰세요."),
        ),
        Variant(
            "function",
            Text(
                en="`{function}` drops activations while `{model}` is in evaluation mode",
                ko="`{model}` 모델이 평가 모드인데 `{function}` 함수가 활성값을 끕니다",
            ),
            Text(
                en="""
                The function takes `training=True` unless it is told otherwise. It does not see the module's mode, so
                `eval()` does not switch it off.
                """,
                ko="""
                이 함수는 따로 알려 주지 않으면 `training=True`입니다. 모듈의 모드를 보지 못하므로 `eval()`을 불러도 꺼지지
                않습니다.
                """,
            ),
            Text(
                en="Pass `training=self.training`, or use the layer `nn.Dropout`.",
                ko="`training=self.training` 인자를 주거나 `nn.Dropout` 층을 쓰세요.",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset

        torch.manual_seed(0)
        data = TensorDataset(torch.randn(64, 8), torch.randint(0, 3, (64,)))
        loaders = {"train": DataLoader(data, batch_size=16), "val": DataLoader(data, batch_size=16)}
        model = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(2):
            for phase in ["train", "val"]:
                model.train(phase == "train")
                correct = 0
                for batch, target in loaders[phase]:
                    optimizer.zero_grad()
                    with torch.set_grad_enabled(phase == "train"):
                        scores = model(batch)
                        loss = nn.functional.cross_entropy(scores, target)
                    if phase == "train":
                        loss.backward()
                        optimizer.step()
                    correct += (scores.argmax(dim=1) == target).sum().item()
                print(phase, correct / 64)
        """,
        """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset

        torch.manual_seed(0)
        inputs = torch.randn(64, 8)
        loader = DataLoader(TensorDataset(inputs, inputs.sum(dim=1, keepdim=True)), batch_size=16)
        model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1))
        optimizer = torch.optim.Adam(model.parameters())
        for batch, target in loader:
            optimizer.zero_grad()
            nn.functional.mse_loss(model(batch), target).backward()
            optimizer.step()


        @torch.no_grad()
        def predict_with_uncertainty(batch, samples=10):
            model.train()  # dropout stays on: each pass is one sample of the posterior
            draws = torch.stack([model(batch) for _ in range(samples)])
            return draws.mean(dim=0), draws.std(dim=0)


        for batch, _ in loader:
            mean, deviation = predict_with_uncertainty(batch)
            print(mean.mean().item(), deviation.mean().item())
        """,
        """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset

        torch.manual_seed(0)
        data = TensorDataset(torch.randn(64, 8), torch.randint(0, 3, (64,)))
        loader = DataLoader(data, batch_size=16)
        model = nn.Sequential(nn.Linear(8, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 3))
        optimizer = torch.optim.Adam(model.parameters())
        for batch, target in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), target).backward()
            optimizer.step()
        with torch.no_grad():
            correct = sum((model(x).argmax(dim=1) == y).sum().item() for x, y in loader)
        print(correct / 64)
        """,
        """
        from contextlib import contextmanager

        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset


        @contextmanager
        def evaluating(module):
            was_training = module.training
            module.eval()
            with torch.no_grad():
                yield module
            module.train(was_training)


        torch.manual_seed(0)
        data = TensorDataset(torch.randn(64, 8), torch.randint(0, 3, (64,)))
        loader = DataLoader(data, batch_size=16)
        model = nn.Sequential(nn.Linear(8, 32), nn.Dropout(0.5), nn.ReLU(), nn.Linear(32, 3))
        optimizer = torch.optim.Adam(model.parameters())
        for epoch in range(2):
            for batch, target in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(batch), target).backward()
                optimizer.step()
            correct = 0
            with evaluating(model):
                for batch, target in loader:
                    correct += (model(batch).argmax(dim=1) == target).sum().item()
            print(correct / 64)
        """,
    ),
    search=(
        "pytorch model.eval() missing different results every run",
        "pytorch dropout active during evaluation",
        "batchnorm train mode validation accuracy pytorch",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.eval",
        "https://docs.pytorch.org/docs/stable/notes/autograd.html#evaluation-mode-nn-module-eval",
    ),
)

_ACTIVE = Text(en="runs in training mode with: {layers}", ko="학습 모드로 실행되는 층: {layers}")
_OVER = Text(en="no backward pass in this loop", ko="이 반복문에는 역전파가 없습니다")


_SEEN = Text(
    en="calls seen: {calls}, all with these layers in training mode: {layers}",
    ko="확인한 호출 {calls}번 모두 다음 층이 학습 모드였습니다: {layers}",
)


@rule.on(Trace)
def evaluated_in_training_mode(trace: Trace) -> Iterator[Diagnosis]:
    if has_other_duties(trace):
        return
    for timeline in timelines(trace):
        named = [e for e in timeline.of("unused") if e.facts.get("method") == "eval" and e.name]
        for event in {e.at: e for e in named}.values():
            yield Diagnosis(
                rule,
                event.at,
                {"model": event.name},
                (),
                called(trace, event.at),
                variant=rule.variant("not-called"),
            )
        meant = frozenset[int]().union(*(numbers(e, "inside") for e in named))
        for group in merged(timeline.evaluations):
            roots = [r for r in _roots(timeline, group) if not numbers(r, "inside") & meant]
            if roots:
                yield _diagnosis(trace, timeline, group[0], roots)
        yield from _functions(trace, timeline)


@rule.on(Run)
def evaluated_with_active_layers(run: Run) -> Iterator[Diagnosis]:
    for place in places(run, "evaluate"):
        first = place.forwards[0]
        name = callee(first.by[0])
        is_active = all(f.in_training == f.calls and f.layers for f in place.forwards)
        if name and is_active and not any(f.meant for f in place.forwards):
            seen = _SEEN.fill(calls=place.calls, layers=", ".join(first.layers))
            facts = {"model": name, "count": len(first.layers)}
            yield Diagnosis(rule, place.at, facts, (Evidence(seen, place.at),))


def _roots(timeline: Timeline, group: list[Evaluation]) -> list[Event]:
    """The models that are in training mode, with layers for which that matters, whenever this place evaluates."""
    found: dict[int, Event] = {}
    fine: set[int] = set()
    for one in group:
        for root in one.roots:
            is_meant = timeline.is_in_training_on_purpose(root)
            if root.facts.get("training") is True and _layers(timeline, root) and not is_meant:
                found.setdefault(root.subject, root)
            else:
                fine.add(root.subject)
    return [root for subject, root in found.items() if subject not in fine]


def _layers(timeline: Timeline, root: Event) -> list[str]:
    """What acts differently in training: layers, and dropout functions that were told the module's mode."""
    held = root.facts.get("mode_dependent")
    layers = [str(layer) for layer in held] if isinstance(held, tuple) else []
    told = {
        e.at
        for e in timeline.of("dropout")
        if e.facts.get("call") == root.facts.get("call")
        and e.facts.get("is_given")
        and e.facts.get("training") is True
        and not e.facts.get("is_off")
    }
    return layers + ["F.dropout"] * len(told)


def _diagnosis(
    trace: Trace, timeline: Timeline, evaluation: Evaluation, roots: list[Event]
) -> Diagnosis:
    first = roots[0]
    layers: list[str] = []
    for root in roots:
        layers += _layers(timeline, root)
    evidence = [Evidence(_ACTIVE.fill(layers=", ".join(layers)), first.at)]
    if evaluation.loop is not None:
        evidence.append(Evidence(_OVER.fill(), evaluation.loop))
    facts = {"model": first.name, "count": len(layers)}
    fixes = evaluated(trace, timeline, evaluation, roots)
    return Diagnosis(rule, first.at, facts, tuple(evidence), fixes)


def _functions(trace: Trace, timeline: Timeline) -> Iterator[Diagnosis]:
    """`F.dropout(x)` in a module that is in evaluation mode."""
    seen = set()
    for event in timeline.of("dropout"):
        modes = event.facts.get("modes")
        call = event.facts.get("call")
        root = timeline.calls.get(call) if isinstance(call, int) else None
        if (
            root is None
            or event.facts.get("is_given")
            or event.facts.get("is_off")
            or event.branches != root.branches
            or not isinstance(modes, tuple)
            or any(mode is not False for mode in modes)
            or timeline.is_consumed(root)
            or event.at in seen
        ):
            continue
        seen.add(event.at)
        source = trace.source_of(event.at)
        fix: tuple[Fix, ...] = training_argument(source, event.at)
        name = source.line(event.at.line)[event.at.column :].partition("(")[0]
        yield Diagnosis(
            rule,
            event.at,
            {"model": root.name, "function": name},
            (Evidence(Text(en="in evaluation mode", ko="평가 모드입니다"), root.at),),
            fix,
            variant=rule.variant("function"),
        )
