from collections.abc import Iterator

from torchmedic.model import Diagnosis, Rule, Severity, Text, Variant, read
from torchmedic.observed import Failure

rule = Rule(
    code="TM354",
    name="distributed-parameters-unused",
    severity=Severity.ERROR,
    summary=Text(
        en="Parameters of a DistributedDataParallel model take no part in the loss.",
        ko="DistributedDataParallel 모델에 손실 계산에 쓰이지 않는 파라미터가 있습니다.",
    ),
    title=Text(
        en="parameters {indices} of the DistributedDataParallel model got no gradient",
        ko="DistributedDataParallel 모델의 {indices}번 파라미터가 그래디언트를 받지 못했습니다",
    ),
    why=Text(
        en="""
        DistributedDataParallel waits in `backward` until every parameter has its gradient, and averages it over the ranks. The
        loss of the step before did not depend on these, so its averaging never ended, and the next `forward` refuses to begin.
        """,
        ko="""
        DistributedDataParallel은 `backward`에서 모든 파라미터의 그래디언트가 준비되기를 기다려 랭크 사이의 평균을 냅니다. 앞
        스텝의 손실은 이 파라미터들에 의존하지 않아 평균이 끝나지 않았고, 그래서 다음 `forward` 호출이 거부됩니다.
        """,
    ),
    help=Text(
        en="""
        Remove the layer that `forward` does not use, or use its output in the loss. Only if the branch changes from step to
        step: `DistributedDataParallel(model, find_unused_parameters=True)`.
        """,
        ko="""
        `forward`에서 쓰지 않는 층을 지우거나 그 출력을 손실에 넣으세요. 스텝마다 다른 분기를 타는 모델에만
        `DistributedDataParallel(model, find_unused_parameters=True)`를 쓰세요.
        """,
    ),
    lesson=Text(
        en="""
        The numbers count `model.parameters()` from 0: `[n for n, p in model.named_parameters() if p.grad is None]` after one
        `backward` without the wrapper names them, and `TORCH_DISTRIBUTED_DEBUG=DETAIL` puts the names into the error. Freeze what
        must not learn with `requires_grad_(False)` before the model is wrapped. `find_unused_parameters=True` walks the graph in
        every step, which costs time; `static_graph=True` finds the unused ones once.
        """,
        ko="""
        번호는 `model.parameters()` 순서이며 0부터 셉니다. DDP로 감싸지 않고 `backward`를 한 번 부른 뒤
        `[n for n, p in model.named_parameters() if p.grad is None]`을 출력하면 이름을 알 수 있고, `TORCH_DISTRIBUTED_DEBUG=DETAIL`
        환경 변수를 주면 오류에 이름이 나옵니다. 학습하지 않을 층은 감싸기 전에 `requires_grad_(False)`로 고정하세요.
        `find_unused_parameters=True`는 매 스텝 그래프를 훑으므로 느려집니다. `static_graph=True`는 한 번만 찾습니다.
        """,
    ),
    bad="""
    import tempfile

    import torch
    import torch.distributed as dist
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(8, 2)
            self.old_head = nn.Linear(8, 10)

        def forward(self, x):
            return self.head(x)


    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=0, world_size=1)
        model = DistributedDataParallel(Net())
        for step in range(2):
            model(torch.ones(4, 8)).sum().backward()
        dist.destroy_process_group()
    """,
    good="""
    import tempfile

    import torch
    import torch.distributed as dist
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(8, 2)

        def forward(self, x):
            return self.head(x)


    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=0, world_size=1)
        model = DistributedDataParallel(Net())
        for step in range(2):
            model(torch.ones(4, 8)).sum().backward()
        dist.destroy_process_group()
    """,
    messages=("Parameter indices which did not receive grad for rank {rank:d}: {indices}",),
    variants=(
        Variant(
            "named",
            Text(
                en="parameters of the DistributedDataParallel model got no gradient: {names}",
                ko="DistributedDataParallel 모델에서 그래디언트를 받지 못한 파라미터: {names}",
            ),
            messages=("Parameters which did not receive grad for rank {rank:d}: {names}",),
        ),
        Variant(
            "twice",
            Text(
                en="a parameter of the DistributedDataParallel model is marked as ready twice",
                ko="DistributedDataParallel 모델의 파라미터가 두 번 준비됨으로 표시되었습니다",
            ),
            why=Text(
                en="""
                Each parameter may hand over one gradient per `backward`. Here one handed over two: the same layer is used in two
                checkpointed (reentrant) parts, or a parameter is used outside of the `forward` of the wrapped model.
                """,
                ko="""
                파라미터는 `backward` 한 번에 그래디언트를 한 번만 넘길 수 있습니다. 여기서는 두 번 넘겼습니다. 같은 층을
                체크포인트(reentrant) 구간 두 곳에서 쓰거나, 감싼 모델의 `forward` 밖에서 파라미터를 쓴 경우입니다.
                """,
            ),
            help=Text(
                en="Use `checkpoint(…, use_reentrant=False)`, or `static_graph=True` if the graph never changes.",
                ko="`checkpoint(…, use_reentrant=False)`를 쓰거나, 그래프가 바뀌지 않는다면 `static_graph=True`를 주세요.",
            ),
            messages=("Expected to mark a variable ready only once.",),
        ),
        Variant(
            "unlisted",
            Text(
                en="parameters of the DistributedDataParallel model got no gradient",
                ko="DistributedDataParallel 모델에 그래디언트를 받지 못한 파라미터가 있습니다",
            ),
            messages=("Expected to have finished reduction in the prior iteration",),
        ),
    ),
    says=(
        "RuntimeError: Expected to have finished reduction in the prior iteration before starting a new one. This error "
        "indicates that your module has parameters that were not used in producing loss.\n"
        "Parameter indices which did not receive grad for rank 1: 2 3",
        "RuntimeError: Expected to have finished reduction in the prior iteration before starting a new one. This error "
        "indicates that your module has parameters that were not used in producing loss.\n"
        "Parameters which did not receive grad for rank 0: old_head.bias, old_head.weight\n"
        "Parameter indices which did not receive grad for rank 0: 2 3",
        "RuntimeError: Expected to mark a variable ready only once. This error is caused by one of the following reasons: 1) Use "
        "of a module parameter outside the `forward` function.",
        "RuntimeError: Expected to have finished reduction in the prior iteration before starting a new one. This error "
        "indicates that your module has parameters that were not used in producing its output (the return value of `forward`).",
    ),
    search=(
        "Expected to have finished reduction in the prior iteration",
        "DistributedDataParallel find_unused_parameters",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html",
        "https://docs.pytorch.org/docs/stable/notes/ddp.html#internal-design",
    ),
)


@rule.on(Failure)
def unused(failure: Failure) -> Iterator[Diagnosis]:
    """Names, where the message has them, tell more than the numbers that it always has."""
    named = rule.variant("named")
    names = read(named.messages[0], failure.message)
    reading = rule.read(failure.message)
    if reading is not None:
        variant, facts = (named, names) if names else reading
        yield Diagnosis(
            rule,
            failure.raised_at,
            facts,
            variant=variant if variant.name else None,
            raised_at=failure.raised_at,
        )
