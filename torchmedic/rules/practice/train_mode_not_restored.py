from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from torchmedic.model import Diagnosis, Evidence, Rule, Severity, Text, Variant
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._clearing import called
from torchmedic.rules._modes import restored
from torchmedic.rules._order import Timeline, has_other_duties, timelines
from torchmedic.rules._roles import places
from torchmedic.rules._run import callee, receiver

rule = Rule(
    code="TM405",
    name="train-mode-not-restored",
    severity=Severity.ERROR,
    summary=Text(
        en="After an evaluation inside the training loop the model stays in evaluation mode.",
        ko="학습 반복문 안에서 평가한 뒤 모델이 평가 모드로 남습니다.",
    ),
    title=Text(
        en="after `eval()` line {line} goes on training `{model}` in evaluation mode",
        ko="`eval()` 다음에 {line}번 줄에서 `{model}` 모델을 계속 평가 모드로 학습합니다",
    ),
    why=Text(
        en="""
        `eval()` holds until `train()` is called. From the second pass on dropout drops nothing and batch normalisation uses
        frozen averages that it no longer updates: what is trained then is another network than in the first pass.
        """,
        ko="""
        `eval()`은 `train()`을 부를 때까지 유지됩니다. 두 번째 반복부터는 드롭아웃이 아무것도 끄지 않고 배치 정규화는 더
        이상 갱신되지 않는 평균을 쓰므로, 첫 반복과는 다른 네트워크를 학습하게 됩니다.
        """,
    ),
    help=Text(
        en="Call `{model}.train()` at the start of every pass over the training data.",
        ko="학습 데이터를 도는 반복을 시작할 때마다 `{model}.train()` 호출을 하세요.",
    ),
    lesson=Text(
        en="""
        Set the mode where it is needed, not where it was left: the first line of what trains is `model.train()`, the first
        line of what evaluates is `model.eval()`. Then the order of the two does not matter. One `model.train()` before the
        loop over the epochs is not enough if there is an evaluation inside of it. A training loss that drops sharply after
        the first epoch, with a validation loss that stops improving, is the usual sign; `print(model.training)` in the
        training step shows it.
        """,
        ko="""
        모드는 남겨진 대로 쓰지 말고 필요한 곳에서 정하세요. 학습하는 코드의 첫 줄은 `model.train()`, 평가하는 코드의 첫
        줄은 `model.eval()`입니다. 그러면 둘의 순서는 문제가 되지 않습니다. 에포크 반복문 안에 평가가 있으면 반복문 앞의
        `model.train()` 하나로는 부족합니다. 첫 에포크 뒤에 학습 손실이 뚝 떨어지고 검증 손실이 나아지지 않으면 이 실수를
        의심하세요. 학습 단계에서 `print(model.training)`으로 확인할 수 있습니다.
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
    val_loader = DataLoader(TensorDataset(inputs[64:], labels[64:]), batch_size=16)
    model = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(3):
        for batch, target in train_loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), target).backward()
            optimizer.step()
        model.eval()
        correct = 0
        with torch.no_grad():
            for batch, target in val_loader:
                correct += (model(batch).argmax(dim=1) == target).sum().item()
        print(epoch, correct / 32)
    """,
    good="""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(0)
    inputs, labels = torch.randn(96, 8), torch.randint(0, 3, (96,))
    train_loader = DataLoader(TensorDataset(inputs[:64], labels[:64]), batch_size=16)
    val_loader = DataLoader(TensorDataset(inputs[64:], labels[64:]), batch_size=16)
    model = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(3):
        model.train()
        for batch, target in train_loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), target).backward()
            optimizer.step()
        model.eval()
        correct = 0
        with torch.no_grad():
            for batch, target in val_loader:
                correct += (model(batch).argmax(dim=1) == target).sum().item()
        print(epoch, correct / 32)
    """,
    variants=(
        Variant(
            "not-called",
            Text(
                en="`{model}.train` is named, but not called",
                ko="`{model}.train` 이름만 쓰고 호출하지 않았습니다",
            ),
            Text(
                en="""
                Without parentheses Python looks the method up and does nothing with it: after an evaluation the model stays in
                evaluation mode.
                """,
                ko="""
                괄호가 없으면 Python은 메서드를 찾기만 하고 아무것도 하지 않습니다. 평가 뒤에 모델이 평가 모드로 남습니다.
                """,
            ),
            Text(en="Write `{model}.train()`.", ko="`{model}.train()` 형태로 쓰세요."),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 32), nn.Dropout(0.5), nn.ReLU(), nn.Linear(32, 3))
        optimizer = torch.optim.Adam(model.parameters())
        inputs, labels = torch.randn(64, 8), torch.randint(0, 3, (64,))


        def train_epoch():
            model.train()
            for start in range(0, 64, 16):
                optimizer.zero_grad()
                scores = model(inputs[start : start + 16])
                nn.functional.cross_entropy(scores, labels[start : start + 16]).backward()
                optimizer.step()


        @torch.no_grad()
        def evaluate():
            model.eval()
            return (model(inputs).argmax(dim=1) == labels).float().mean().item()


        for epoch in range(3):
            train_epoch()
            print(evaluate())
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 32), nn.Dropout(0.5), nn.ReLU(), nn.Linear(32, 3))
        optimizer = torch.optim.Adam(model.parameters())
        inputs, labels = torch.randn(64, 8), torch.randint(0, 3, (64,))
        model.train()
        for epoch in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            print((model(inputs).argmax(dim=1) == labels).float().mean().item())
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))  # no layer has a mode
        optimizer = torch.optim.Adam(model.parameters())
        inputs, labels = torch.randn(64, 8), torch.randint(0, 3, (64,))
        for epoch in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
            model.eval()
            with torch.no_grad():
                print((model(inputs).argmax(dim=1) == labels).float().mean().item())
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3))
        model.eval()  # fine-tuned with frozen statistics, from the first step to the last
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        inputs, labels = torch.randn(64, 8), torch.randint(0, 3, (64,))
        for epoch in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
        """,
    ),
    search=(
        "pytorch model.train() after model.eval() in training loop",
        "pytorch training loss drops after first epoch eval mode",
        "forgot model.train() after validation",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.train",
    ),
)

_FIRST = Text(
    en="trains in training mode in the first pass, in evaluation mode from the second on",
    ko="첫 반복에서는 학습 모드, 두 번째 반복부터는 평가 모드로 학습합니다",
)
_SWITCHED = Text(
    en="switched to evaluation mode; nothing switches back",
    ko="평가 모드로 바뀌고, 되돌리는 코드가 없습니다",
)


@rule.on(Trace)
def training_in_evaluation_mode(trace: Trace) -> Iterator[Diagnosis]:
    if has_other_duties(trace):
        return
    for timeline in timelines(trace):
        seen = set()
        named = [
            e
            for e in timeline.of("unused")
            if e.facts.get("method") == "train" and timeline.of("eval")
        ]
        for event in {e.at: e for e in named}.values():
            yield Diagnosis(
                rule,
                event.at,
                {"model": event.name},
                (),
                called(trace, event.at),
                variant=rule.variant("not-called"),
            )
        for first, later, switch in _switched(trace, timeline):
            if named or switch.at in seen:
                continue
            seen.add(switch.at)
            yield Diagnosis(
                rule,
                switch.at,
                {"model": first.name or switch.name, "line": first.at.line},
                (Evidence(_FIRST, first.at), Evidence(_SWITCHED, switch.at)),
                restored(trace, later, switch),
            )


@rule.on(Run)
def trained_in_evaluation_mode(run: Run) -> Iterator[Diagnosis]:
    for place in places(run, "train"):
        active = [f for f in place.forwards if f.layers and f.in_training]
        frozen = [
            f
            for f in place.forwards
            if f.eval_by and (f.frozen or not f.in_training) and f.consumed == f.with_grad
        ]
        if not active or not frozen or frozen[0].first < active[0].first:
            continue
        switch = frozen[0].eval_by[0]
        name = callee(place.forwards[0].by[0]) or receiver(switch)
        if name:
            facts: dict[str, object] = {"model": name, "line": place.at.line}
            evidence = (Evidence(_FIRST, place.at), Evidence(_SWITCHED, switch.at))
            yield Diagnosis(rule, switch.at, facts, evidence)


def _switched(trace: Trace, timeline: Timeline) -> Iterator[tuple[Event, Event, Event]]:
    """(a training call in training mode, a later one at the same place in evaluation mode, what switched)."""
    places: dict[object, list[Event]] = {}
    for call in timeline.calls.values():
        if timeline.is_consumed(call) and timeline.is_trained(call):
            places.setdefault((call.sites, call.subject), []).append(call)
    for calls in places.values():
        for first, later in pairwise(calls):
            modes = timeline.modes_before(later)
            if not modes or modes[0].facts.get("mode") is not False:
                continue
            if first.facts.get("training") is not True:
                continue
            switch = modes[0]
            is_between = timeline.index[id(switch)] > timeline.index[id(first)]
            is_off = later.facts.get("training") is False or (
                later.facts.get("training") is None and _is_periodic(trace, switch, later)
            )
            is_told = first.facts.get("mode_dependent") or _is_cared_for(timeline, first)
            if is_off and is_between and is_told and not first.facts.get("escaped"):
                yield first, later, switch


def _is_cared_for(timeline: Timeline, call: Event) -> bool:
    """True if the layers can't be told, and the program itself puts the model into training mode."""
    return bool(call.facts.get("is_open")) and any(
        e.kind == "train" for e in timeline.modes_before(call)
    )


def _is_periodic(trace: Trace, switch: Event, later: Event) -> bool:
    """True if the evaluation happens every few passes: `if step % 100 == 0`. One after the last pass is right."""
    arms = [b for b in switch.branches if b not in later.branches]
    if len(arms) != 1 or arms[0].arm != 0:
        return False
    node = trace.source_of(arms[0].at).at(arms[0].at, ast.If)
    return node is not None and any(isinstance(n, ast.Mod) for n in ast.walk(node.test))
