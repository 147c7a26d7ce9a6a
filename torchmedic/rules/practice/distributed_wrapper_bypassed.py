from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Rule, Severity, Text
from torchmedic.observed import Site
from torchmedic.observed.run import Run
from torchmedic.rules._roles import Roles
from torchmedic.rules._run import called, callee

if TYPE_CHECKING:
    from torchmedic.observed.run_distributed import Wrapped
    from torchmedic.observed.run_training import Forward

rule = Rule(
    code="TM352",
    name="distributed-wrapper-bypassed",
    severity=Severity.ERROR,
    summary=Text(
        en="The model itself is trained, and the `DistributedDataParallel` around it is never called.",
        ko="모델을 감싼 `DistributedDataParallel` 객체를 부르지 않고 모델 자체를 학습합니다.",
    ),
    title=Text(
        en="{calls} training calls of `{model}` bypass its `DistributedDataParallel`",
        ko="`{model}` 학습 호출 {calls}번이 `DistributedDataParallel` 객체를 거치지 않습니다",
    ),
    why=Text(
        en="""
        `DistributedDataParallel` averages gradients over the ranks only in the backward pass of its own `forward`. Without
        that each rank trains a model of its own on its own share of the data, and the models drift apart.
        """,
        ko="""
        `DistributedDataParallel`은 자신의 `forward`를 거친 역전파에서만 랭크 사이의 기울기를 평균합니다. 거치지 않으면 랭크마다
        자기 몫의 데이터로 서로 다른 모델을 학습하고, 모델들은 점점 달라집니다.
        """,
    ),
    help=Text(
        en="Call the wrapper in training. Use the model inside only to save it or to evaluate.",
        ko="학습할 때는 감싼 객체를 부르세요. 안쪽 모델은 저장하거나 평가할 때만 쓰세요.",
    ),
    lesson=Text(
        en="""
        The wrapper and the model inside have the same parameters, so that a program which calls the wrong one trains without
        an error. It shows when the ranks' losses and weights are compared: print the sum of one weight on each rank after
        some steps; the numbers have to be equal. Give the wrapper the name that the training loop uses
        (`model = DistributedDataParallel(model)`), and write `model.module` only where a checkpoint is saved.
        """,
        ko="""
        감싼 객체와 안쪽 모델은 파라미터가 같으므로 잘못된 쪽을 불러도 오류 없이 학습됩니다. 랭크별 손실과 가중치를 비교하면
        드러납니다. 몇 단계 뒤에 랭크마다 가중치 하나의 합을 출력해 보면 값이 같아야 합니다. 학습 반복문이 쓰는 이름에 감싼 객체를
        담고(`model = DistributedDataParallel(model)`), `model.module`은 체크포인트를 저장할 때만 쓰세요.
        """,
    ),
    bad="""
    import torch
    import torch.distributed as dist
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    torch.manual_seed(0)
    inputs, labels = torch.randn(64, 8), torch.randint(0, 3, (64,))
    model = nn.Linear(8, 3)
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(parallel.parameters(), lr=0.1)
    for step in range(8):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
    dist.destroy_process_group()
    """,
    good="""
    import torch
    import torch.distributed as dist
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    torch.manual_seed(0)
    inputs, labels = torch.randn(64, 8), torch.randint(0, 3, (64,))
    model = nn.Linear(8, 3)
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(parallel.parameters(), lr=0.1)
    for step in range(8):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(parallel(inputs), labels)
        loss.backward()
        optimizer.step()
    dist.destroy_process_group()
    """,
    innocent=(
        """
        import torch
        import torch.distributed as dist
        from torch import nn
        from torch.nn.parallel import DistributedDataParallel

        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        torch.manual_seed(0)
        real = torch.randn(64, 8)
        critic = DistributedDataParallel(nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1)))
        optimizer = torch.optim.Adam(critic.parameters())
        for step in range(8):
            fake = torch.randn(64, 8)
            between = (real + fake).mul(0.5).requires_grad_()
            (slope,) = torch.autograd.grad(critic.module(between).sum(), between, create_graph=True)
            penalty = (slope.norm(dim=1) - 1).square().mean()
            optimizer.zero_grad()
            (critic(fake).mean() - critic(real).mean() + 10 * penalty).backward()
            optimizer.step()
        dist.destroy_process_group()
        """,
        """
        import torch
        import torch.distributed as dist
        from torch import nn
        from torch.nn.parallel import DistributedDataParallel

        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        torch.manual_seed(0)
        inputs, labels = torch.randn(64, 8), torch.randint(0, 3, (64,))
        model = nn.Linear(8, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(8):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
        parallel = DistributedDataParallel(model)
        optimizer = torch.optim.SGD(parallel.parameters(), lr=0.01)
        for step in range(8):
            optimizer.zero_grad()
            nn.functional.cross_entropy(parallel(inputs), labels).backward()
            optimizer.step()
        with torch.no_grad():
            print(parallel.module(inputs).argmax(dim=1).eq(labels).float().mean().item())
        dist.destroy_process_group()
        """,
    ),
    search=(
        "DistributedDataParallel gradients not synchronized across ranks",
        "ddp model.module forward vs ddp model forward",
        "pytorch ddp different weights on each rank",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html",
        "https://docs.pytorch.org/docs/stable/notes/ddp.html",
    ),
)

FEWEST = 3  # training calls, and steps
_CALLS = Text(
    en="{calls} calls seen, a backward pass came through each result",
    ko="확인한 호출 {calls}번의 결과마다 역전파가 지나갔습니다",
)
_WRAPS = Text(
    en="wraps the model; not called in the {steps} steps seen",
    ko="모델을 감쌉니다. 확인한 {steps}번의 갱신 동안 불리지 않았습니다",
)
_FIX = Text(en="call `{wrapper}`", ko="`{wrapper}` 객체 부르기")


@rule.on(Run)
def wrapper_was_bypassed(run: Run) -> Iterator[Diagnosis]:
    roles = Roles(run)
    for wrapped in run.wrapped:
        forwards = _bypassing(run, wrapped)
        if not forwards or wrapped.is_called is not False or wrapped.steps < FEWEST:
            continue
        first = forwards[0]
        place = [f for f in forwards if f.by[0].at == first.by[0].at]
        calls = sum(f.consumed for f in place)
        steps = sum(o.steps for o in run.optimizers if o.holds & wrapped.parameters)
        is_training = all(roles.role(f) == "train" and not f.owner for f in place)
        name = callee(first.by[0])
        if not is_training or not name or calls < FEWEST or steps < FEWEST:
            continue
        at = first.by[0].at
        evidence = [Evidence(_CALLS.fill(calls=calls), at)]
        if wrapped.by:
            evidence.append(Evidence(_WRAPS.fill(steps=wrapped.steps), wrapped.by[0].at))
        facts = {"model": name, "calls": calls}
        yield Diagnosis(rule, at, facts, tuple(evidence), _fixes(first.by[0], wrapped, name))


def _bypassing(run: Run, wrapped: Wrapped) -> list[Forward]:
    """The trained calls of the wrapped model itself; none if another model around its parameters is trained too."""
    found = [f for f in run.forwards if f.consumed and f.parameters & wrapped.parameters]
    until = wrapped.until
    own = [
        f
        for f in found
        if f.type == wrapped.type
        and f.parameters == wrapped.parameters
        and f.first > wrapped.since
        and (until is None or f.first <= until)
    ]
    return own if len({f.root for f in found}) == 1 else []


def _fixes(site: Site, wrapped: Wrapped, name: str) -> tuple[Fix, ...]:
    """The wrapper's name in the place of the model's, where both are variables of one function."""
    call = called(site)
    wrap = called(wrapped.by[0]) if wrapped.by else None
    if call is None or wrap is None:
        return ()
    made = wrap[0].parent(wrap[1])
    target = made.targets[0] if isinstance(made, ast.Assign) and len(made.targets) == 1 else None
    if not isinstance(target, ast.Name):
        return ()
    is_near = (site.at.path, site.function) == (wrapped.by[0].at.path, wrapped.by[0].function)
    if name != f"{target.id}.module" and (not is_near or name == target.id):
        return ()
    edit = Edit(call[0].span(call[1].func), target.id)
    return (Fix((edit,), _FIX.fill(wrapper=target.id)),)
