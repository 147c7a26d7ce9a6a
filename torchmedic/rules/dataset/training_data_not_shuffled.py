from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Text, Variant
from torchmedic.observed import load
from torchmedic.observed.run import Run
from torchmedic.rules._loaders import Made, is_loader
from torchmedic.rules._roles import Roles
from torchmedic.rules._run import called, loop_around

if TYPE_CHECKING:
    from torchmedic.observed.run_data import LoaderRun, PassRun
    from torchmedic.observed.run_training import Forward

FEWEST = 8  # batches of a pass
SMALLEST = 4  # samples of a batch: fewer are of one class now and then
SHARE = 0.75  # of the batches hold one class

rule = Rule(
    code="TM118",
    name="training-data-not-shuffled",
    severity=Severity.WARNING,
    summary=Text(
        en="A model is trained on batches of one class after the other, because nothing shuffles the data.",
        ko="데이터를 섞지 않아 한 클래스뿐인 배치를 차례로 학습합니다.",
    ),
    title=Text(
        en="{single} of {batches} batches hold one class each: nothing shuffles the data",
        ko="데이터를 섞지 않아 배치 {batches}개 중 {single}개에 클래스가 하나뿐입니다",
    ),
    why=Text(
        en="""
        The data are stored class by class, and a DataLoader keeps their order unless it is told to shuffle. For many steps
        the gradient says the same, so the model learns to answer with the class of the moment and forgets the others; each
        pass ends on the same class. Batch norm takes its statistics from one class at a time.
        """,
        ko="""
        데이터가 클래스 순서로 저장되어 있고, DataLoader는 섞으라고 하지 않으면 그 순서를 지킵니다. 여러 단계 동안 기울기가
        같은 방향을 가리키므로 모델은 지금 나오는 클래스로 답하도록 배우고 다른 클래스를 잊으며, 매번 같은 클래스에서
        끝납니다. 배치 정규화의 통계도 한 번에 한 클래스에서만 나옵니다.
        """,
    ),
    help=Text(
        en="Give `shuffle=True` to the DataLoader of the training data, and only to that one.",
        ko="학습 데이터의 DataLoader에만 `shuffle=True` 옵션을 주세요.",
    ),
    lesson=Text(
        en="""
        Print the labels of the first three batches before training: they should look like the whole data set. Folders of
        images, tables that were joined and arrays that were concatenated are sorted by class more often than not.
        `shuffle=True` draws a new order in every pass. Leave it out for validation and test, where the order does not
        matter, and where the order means something: a series that keeps its hidden state from batch to batch, a
        curriculum. A split that cuts sorted data in two needs shuffling before the cut.
        """,
        ko="""
        학습 전에 처음 배치 세 개의 레이블을 출력해 보세요. 전체 데이터와 비슷한 비율이어야 합니다. 이미지 폴더, 합친 표,
        이어 붙인 배열은 대개 클래스 순서로 정렬되어 있습니다. `shuffle=True`를 주면 에폭마다 새 순서로 뽑습니다. 순서가
        상관없는 검증과 테스트에서는 빼고, 배치 사이에 은닉 상태를 이어 가는 시계열이나 커리큘럼처럼 순서에 뜻이 있는
        경우에도 빼세요. 정렬된 데이터를 둘로 나눌 때는 나누기 전에 섞어야 합니다.
        """,
    ),
    bad="""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(0)
    labels = torch.arange(3).repeat_interleave(64)
    points = torch.randn(192, 2) + 2.0 * labels.unsqueeze(1)
    loader = DataLoader(TensorDataset(points, labels), batch_size=16)
    model = nn.Linear(2, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(3):
        for batch, target in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(batch), target)
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())
    """,
    good="""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(0)
    labels = torch.arange(3).repeat_interleave(64)
    points = torch.randn(192, 2) + 2.0 * labels.unsqueeze(1)
    loader = DataLoader(TensorDataset(points, labels), batch_size=16, shuffle=True)
    model = nn.Linear(2, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(3):
        for batch, target in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(batch), target)
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())
    """,
    variants=(
        Variant(
            "slices",
            Text(
                en="{single} of {batches} slices hold one class each: nothing shuffles the data",
                ko="데이터를 섞지 않아 조각 {batches}개 중 {single}개에 클래스가 하나뿐입니다",
            ),
            Text(
                en="""
                The data are stored class by class, and the loop cuts them in that order, in every pass. For many steps the gradient
                says the same, so the model learns to answer with the class of the moment and forgets the others; each pass
                ends on the same class.
                """,
                ko="""
                데이터가 클래스 순서로 저장되어 있고, 반복문은 매번 그 순서대로 자릅니다. 여러 단계 동안 기울기가 같은 방향을
                가리키므로 모델은 지금 나오는 클래스로 답하도록 배우고 다른 클래스를 잊으며, 매번 같은 클래스에서 끝납니다.
                """,
            ),
            Text(
                en="Draw a new order in each pass: `order = torch.randperm(len(labels))`, and index with slices of it.",
                ko="에폭마다 `order = torch.randperm(len(labels))`로 새 순서를 뽑고, 그 조각으로 인덱싱하세요.",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset

        torch.manual_seed(0)
        labels = torch.arange(3).repeat_interleave(64)
        points = torch.randn(192, 2) + 2.0 * labels.unsqueeze(1)
        order = torch.randperm(192)
        loader = DataLoader(TensorDataset(points[order], labels[order]), batch_size=16)
        model = nn.Linear(2, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(3):
            for batch, target in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(batch), target).backward()
                optimizer.step()
        """,
        """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset

        torch.manual_seed(0)
        labels = torch.arange(3).repeat_interleave(64)
        points = torch.randn(192, 2) + 2.0 * labels.unsqueeze(1)
        data = TensorDataset(points, labels)
        model = nn.Linear(2, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        test = DataLoader(data, batch_size=16)
        for epoch in range(3):
            for batch, target in DataLoader(data, batch_size=16, shuffle=True):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(batch), target).backward()
                optimizer.step()
            with torch.no_grad():
                print(sum((model(b).argmax(dim=1) == t).sum().item() for b, t in test) / 192)
        """,
        """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset

        torch.manual_seed(0)
        labels = torch.arange(3).repeat_interleave(64)
        points = torch.randn(192, 2) + 2.0 * labels.unsqueeze(1)
        loader = DataLoader(TensorDataset(points, labels), batch_size=16)
        model = nn.Linear(2, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        for step in range(6):
            optimizer.zero_grad()
            for batch, target in loader:  # one step for all of the data: the order can't matter
                loss = nn.functional.cross_entropy(model(batch), target, reduction="sum") / 192
                loss.backward()
            optimizer.step()
        """,
    ),
    search=(
        "pytorch DataLoader shuffle training loss jumps",
        "pytorch model predicts only one class",
        "DataLoader shuffle=True necessary",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader",
        "https://docs.pytorch.org/docs/stable/data.html#data-loading-order-and-sampler",
    ),
)

_CLASS = Text(
    en="batches 1 to {last} of every pass hold class {label} only",
    ko="모든 에폭에서 1번부터 {last}번까지의 배치에는 {label}번 클래스만 있습니다",
)
_SLICED = Text(
    en="is trained with them in this order, in at least {passes} passes",
    ko="적어도 에폭 {passes}번을 이 순서대로 학습합니다",
)
_TRAINS = Text(
    en="is trained with them in this order, in {passes} passes",
    ko="에폭 {passes}번 동안 이 순서대로 학습합니다",
)


def _by_loader(run: Run) -> Iterator[Diagnosis]:
    roles = Roles(run)
    training = {f.loader: f for f in run.forwards if f.loader and roles.role(f) == "train"}
    for loader in run.loaders:
        passes = [p for p in loader.passes if p.number in training and p.labels]
        if len(passes) < 2 or not loader.made_by or not _keeps_order(loader):
            continue
        first, again = passes[:2]
        if not all(_steps_often(p) for p in (first, again)) or not _is_same(first, again):
            continue
        if not (first.is_classified or again.is_classified) or not in_blocks(first.labels):
            continue
        if not _carries_state(training[first.number]):
            yield _diagnosis(run, loader, first, training[first.number])


@rule.on(Run)
def one_class_after_the_other(run: Run) -> Iterator[Diagnosis]:
    yield from _by_loader(run)
    roles = Roles(run)
    training = [f for f in run.forwards if f.by and roles.role(f) == "train"]
    for one in run.sliced:
        if len(one.passes) < 2 or one.owner or any(map(_carries_state, training)):
            continue
        first, again = one.passes[:2]
        is_same = first == again and len(first) >= FEWEST and one.size >= SMALLEST
        if not is_same or one.steps < len(first) - 1 or not in_blocks(first):
            continue
        loop = loop_around(one.by)
        found = load(one.by[0].at.path)
        node = found.at(loop, ast.For) if found is not None and loop is not None else None
        if found is None or node is None:
            continue
        single = sum(low == high for low, high in first)
        facts = {"single": single, "batches": len(first)}
        told = Evidence(_SLICED.fill(passes=len(one.passes)), one.by[0].at)
        at, variant = found.span(node.iter), rule.variant("slices")
        yield Diagnosis(rule, at, facts, (told,), variant=variant)


def _keeps_order(loader: LoaderRun) -> bool:
    is_usual = loader.sampler == "SequentialSampler" and not loader.is_shuffle_given
    return is_usual and not loader.owner and (loader.batch_size or 0) >= SMALLEST


def _steps_often(one: PassRun) -> bool:
    """Where gradients are gathered over a pass, the order makes no difference."""
    return one.steps * 2 >= one.batches


def _is_same(first: PassRun, again: PassRun) -> bool:
    shared = min(len(first.labels), len(again.labels))
    return shared >= FEWEST and first.labels[:shared] == again.labels[:shared]


def _carries_state(forward: Forward) -> bool:
    """`out, hidden = model(batch, hidden)`: what comes next belongs to what came before."""
    found = called(forward.by[0])
    statement = found[0].statement(found[1]) if found is not None else None
    if found is None or not isinstance(statement, ast.Assign):
        return False
    bound = {n.id for target in statement.targets for n in ast.walk(target) if isinstance(n, ast.Name)}  # fmt: skip
    given = [*found[1].args, *(k.value for k in found[1].keywords)]
    return any(isinstance(n, ast.Name) and n.id in bound for a in given for n in ast.walk(a))


def in_blocks(labels: Sequence[tuple[int, int]]) -> bool:
    """True if most batches hold one class, each class in one stretch of two or more such batches."""
    single = [low for low, high in labels if low == high]
    stretches = [n for i, n in enumerate(single) if i == 0 or n != single[i - 1]]
    is_sorted = len(stretches) == len(set(stretches)) > 1
    is_long = all(single.count(label) > 1 for label in stretches[:-1])
    return is_sorted and is_long and len(single) >= SHARE * len(labels)


def _diagnosis(run: Run, loader: LoaderRun, first: PassRun, forward: Forward) -> Diagnosis:
    single = sum(low == high for low, high in first.labels)
    label = first.labels[0][0]
    length = next((i for i, found in enumerate(first.labels) if found != (label, label)), 0)
    evidence = [Evidence(_TRAINS.fill(passes=loader.begun), forward.by[0].at)]
    if length > 1:
        evidence.insert(0, Evidence(_CLASS.fill(last=length, label=label)))
    at = loader.made_by[0].at
    facts = {"single": single, "batches": len(first.labels)}
    fixes = _shuffled(run, loader)
    return Diagnosis(rule, at, facts, tuple(evidence), fixes)


def _shuffled(run: Run, loader: LoaderRun) -> tuple[Fix, ...]:
    """Not where the same call makes other loaders too."""
    site = loader.made_by[0]
    found = called(site)
    others = [
        o for o in run.loaders if o is not loader and o.made_by and o.made_by[0].at == site.at
    ]
    if found is None or others or not is_loader(*found):
        return ()
    title = Text(en="add `shuffle=True`", ko="`shuffle=True` 추가")
    return (Fix((Made(*found).with_keyword("shuffle=True"),), title),)
