from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Span, Text
from torchmedic.observed import Source, load
from torchmedic.observed.run import Run
from torchmedic.rules._roles import Roles
from torchmedic.rules._statements import put_before, statement_at

if TYPE_CHECKING:
    from torchmedic.observed.run_distributed import SampledPass

rule = Rule(
    code="TM351",
    name="distributed-epoch-not-set",
    severity=Severity.WARNING,
    summary=Text(
        en="A `DistributedSampler` is not told the epoch, and shuffles every epoch in the same way.",
        ko="`DistributedSampler`에 에포크를 알려 주지 않아 에포크마다 같은 순서로 섞습니다.",
    ),
    title=Text(
        en="{passes} epochs go through the data in the same order",
        ko="에포크 {passes}개가 데이터를 같은 순서로 읽습니다",
    ),
    why=Text(
        en="""
        `DistributedSampler` shuffles with a generator that it seeds by `seed + epoch`, so that all ranks draw the same
        order. Its `epoch` stayed {epoch}: each rank sees the same samples in the same order in every epoch.
        """,
        ko="""
        `DistributedSampler`는 모든 랭크가 같은 순서를 뽑도록 `seed + epoch` 값으로 시드를 정한 생성기로 섞습니다. `epoch` 값이
        {epoch}에 머물렀으므로 랭크마다 에포크마다 같은 샘플을 같은 순서로 봅니다.
        """,
    ),
    help=Text(
        en="Call `set_epoch(epoch)` of the sampler at the beginning of each epoch.",
        ko="에포크를 시작할 때마다 샘플러의 `set_epoch(epoch)`을 부르세요.",
    ),
    lesson=Text(
        en="""
        A usual `DataLoader` with `shuffle=True` draws a new order for each epoch. With a `DistributedSampler` that is the
        program's duty, because the ranks may not draw on their own: they have to divide one common order. The batches are then
        the same in every epoch, which trains worse and raises nothing. Print the labels of the first batch of two
        epochs to see it. `loader.sampler.set_epoch(epoch)` belongs before the loop over the batches, also after a restart from
        a checkpoint.
        """,
        ko="""
        보통의 `DataLoader`는 `shuffle=True`이면 에포크마다 새 순서를 뽑습니다. `DistributedSampler`에서는 랭크들이 하나의 순서를
        나누어야 하므로 따로 뽑을 수 없고, 새 순서를 정하는 일은 프로그램의 몫입니다. 알려 주지 않으면 에포크마다 배치가 같아서 학습이
        나빠지지만 오류는 나지 않습니다. 두 에포크의 첫 배치 레이블을 출력해 보면 알 수 있습니다.
        `loader.sampler.set_epoch(epoch)` 호출을 배치 반복문 앞에 두세요. 체크포인트에서 다시 시작할 때도 필요합니다.
        """,
    ),
    example={"epoch": "0"},
    bad="""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

    torch.manual_seed(0)
    data = TensorDataset(torch.randn(64, 8), torch.randint(0, 3, (64,)))
    sampler = DistributedSampler(data, num_replicas=2, rank=0)
    loader = DataLoader(data, batch_size=8, sampler=sampler)
    model = nn.Linear(8, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(4):
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()
    """,
    good="""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

    torch.manual_seed(0)
    data = TensorDataset(torch.randn(64, 8), torch.randint(0, 3, (64,)))
    sampler = DistributedSampler(data, num_replicas=2, rank=0)
    loader = DataLoader(data, batch_size=8, sampler=sampler)
    model = nn.Linear(8, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(4):
        loader.sampler.set_epoch(epoch)
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()
    """,
    innocent=(
        """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

        torch.manual_seed(0)
        data = TensorDataset(torch.randn(64, 8), torch.randint(0, 3, (64,)))
        loader = DataLoader(
            data, batch_size=8, sampler=DistributedSampler(data, num_replicas=2, rank=0, shuffle=False)
        )
        model = nn.Linear(8, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(4):
            for inputs, labels in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(inputs), labels).backward()
                optimizer.step()
        """,
        """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

        torch.manual_seed(0)
        data = TensorDataset(torch.randn(64, 8), torch.randint(0, 3, (64,)))
        sampler = DistributedSampler(data, num_replicas=2, rank=1)
        loader = DataLoader(data, batch_size=8, sampler=sampler)
        for rate in (0.1, 0.01, 0.001):
            model = nn.Linear(8, 3)
            optimizer = torch.optim.SGD(model.parameters(), lr=rate)
            for epoch in range(2):
                sampler.set_epoch(epoch)
                for inputs, labels in loader:
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(inputs), labels).backward()
                    optimizer.step()
        """,
        """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

        torch.manual_seed(0)
        data = TensorDataset(torch.randn(64, 8), torch.randint(0, 3, (64,)))
        loader = DataLoader(data, batch_size=8, sampler=DistributedSampler(data, num_replicas=2, rank=0))
        for rate in (0.1, 0.01, 0.001):
            model = nn.Linear(8, 3)
            optimizer = torch.optim.SGD(model.parameters(), lr=rate)
            for inputs, labels in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(inputs), labels).backward()
                optimizer.step()
        """,
    ),
    search=(
        "DistributedSampler set_epoch",
        "DistributedSampler same order every epoch",
        "pytorch ddp shuffle not working",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.distributed.DistributedSampler",
    ),
)

_PASSES = Text(
    en="passes of the same training: {passes}, all with `epoch` {epoch} and `seed` {seed}",
    ko="같은 학습이 지나간 횟수는 {passes}번이고, 모두 `epoch` 값이 {epoch}, `seed` 값이 {seed}입니다",
)
_FIX = Text(en="tell the sampler the epoch", ko="샘플러에 에포크 알려 주기")


@rule.on(Run)
def order_was_repeated(run: Run) -> Iterator[Diagnosis]:
    roles = Roles(run)
    roots: dict[int, set[int]] = {}  # what each pass trained
    for forward in run.forwards:
        if forward.loader and forward.consumed:
            is_own = roles.role(forward) == "train" and not forward.owner
            roots.setdefault(forward.loader, set()).add(forward.root if is_own else 0)
    groups: dict[tuple[int, int], list[SampledPass]] = {}
    for one in run.sampled:
        for root in roots.get(one.number, ()):
            groups.setdefault((one.sampler, root), []).append(one)
    told = set()
    for (_, root), passes in groups.items():
        first = passes[0]
        order = (first.seed, first.epoch, first.by)
        is_same = all((p.seed, p.epoch, p.by) == order for p in passes)
        if not root or len(passes) < 2 or not is_same or not first.by or first.by[0].at in told:
            continue
        told.add(first.by[0].at)
        found = _loop(first.by[0].at)
        if found is None:  # `next(iter(loader))` may repeat one batch on purpose
            continue
        at = found[0].span(found[1].iter)
        facts = {"passes": len(passes), "epoch": first.epoch}
        text = _PASSES.fill(passes=len(passes), epoch=first.epoch, seed=first.seed)
        yield Diagnosis(rule, at, facts, (Evidence(text, at),), _fixes(first, *found))


def _loop(at: Span) -> tuple[Source, ast.For] | None:
    """The `for` that began the pass. Before Python 3.12 the place is the whole statement."""
    source = load(at.path)
    if source is None:
        return None
    found: list[ast.stmt | None] = [statement_at(source, at)]
    if not at.end_line:  # Python 3.10 tells the line alone
        found = [n for n in source.nodes(ast.For) if n.lineno == at.line]
    [loop] = found if len(found) == 1 else [None]
    return (source, loop) if isinstance(loop, ast.For) else None


def _fixes(one: SampledPass, source: Source, loop: ast.For) -> tuple[Fix, ...]:
    """Before `for batch in loader:` that stands directly in `for epoch in …:`."""
    around, node = source.parent(loop), loop.iter
    while isinstance(node, ast.Call) and node.args:  # `enumerate(loader)`, `tqdm(loader)`
        node = node.args[0]
    if not isinstance(around, ast.For) or not isinstance(around.target, ast.Name):
        return ()
    if not isinstance(node, (ast.Name, ast.Attribute)):
        return ()
    batches = ".batch_sampler" if one.is_batched else ""
    call = f"{source.code(node)}{batches}.sampler.set_epoch({around.target.id})"
    edits = put_before(source, loop, call)
    return (Fix(edits, _FIX),) if edits else ()
