import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Rule, Severity, Text, Variant
from torchmedic.observed import Source
from torchmedic.observed.source import argument
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._activations import Activation, activations, losses_of
from torchmedic.rules._place import added_argument

_KINDS = ("softmax", "log_softmax")

rule = Rule(
    code="TM324",
    name="softmax-dim-wrong",
    severity=Severity.WARNING,
    summary=Text(
        en="A softmax runs over another dimension than the classes, or over one that PyTorch guesses.",
        ko="softmax가 클래스가 아닌 차원, 또는 PyTorch가 추측한 차원에 적용됩니다.",
    ),
    title=Text(
        en="`{layer}` over dim=0, the batch: each sample takes from the others",
        ko="`{layer}` 함수가 배치인 dim=0에 적용되어 샘플끼리 확률을 나눕니다",
    ),
    why=Text(
        en="""
        The scores are {shape}: rows are samples, columns are classes. Over dim=0 the values of one class sum up to 1 over
        the batch, so what one sample gets depends on which other samples are beside it, and the classes of a sample
        don't sum up to 1.
        """,
        ko="""
        점수의 크기는 {shape} 입니다. 행은 샘플, 열은 클래스입니다. dim=0에 적용하면 한 클래스의 값이 배치 전체에서 합이
        1이 되므로, 한 샘플의 값이 옆에 있는 샘플에 따라 달라지고 한 샘플의 클래스 합은 1이 되지 않습니다.
        """,
    ),
    help=Text(
        en="Write `dim=1`, the dimension of the classes.",
        ko="클래스의 차원인 `dim=1`을 쓰세요.",
    ),
    lesson=Text(
        en="""
        The dimension of a softmax is the one whose values have to sum up to 1. Check it: `probs.sum(dim=1)` is all
        ones for a batch of samples and classes. The classes are dim=1 in (N, C) and in (N, C, H, W), and the last
        dimension in (N, T, C), for which `dim=-1` is the safe way to write it. Always write `dim`.
        """,
        ko="""
        softmax의 차원은 값의 합이 1이 되어야 하는 차원입니다. 샘플과 클래스로 된 배치라면 `probs.sum(dim=1)`이 모두 1인지
        확인하세요. 클래스는 (N, C)와 (N, C, H, W)에서 dim=1이고, (N, T, C)에서는 마지막 차원이므로 `dim=-1`이
        안전합니다. `dim`은 항상 쓰세요.
        """,
    ),
    example={"shape": "(256, 10)"},
    bad="""
    import torch
    import torch.nn as nn
    import torch.nn.functional as F

    torch.manual_seed(0)
    inputs, labels = torch.randn(256, 20), torch.randint(0, 10, (256,))
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(3):
        optimizer.zero_grad()
        loss = F.nll_loss(F.log_softmax(model(inputs), dim=0), labels)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())
    """,
    good="""
    import torch
    import torch.nn as nn
    import torch.nn.functional as F

    torch.manual_seed(0)
    inputs, labels = torch.randn(256, 20), torch.randint(0, 10, (256,))
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(3):
        optimizer.zero_grad()
        loss = F.nll_loss(F.log_softmax(model(inputs), dim=1), labels)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item())
    """,
    variants=(
        Variant(
            "implicit",
            Text(
                en="`{layer}` without `dim`: for {rank} dimensions PyTorch takes dim={taken}",
                ko="`dim` 없는 `{layer}` 함수: {rank}차원 입력에는 PyTorch가 dim={taken} 값을 고릅니다",
            ),
            Text(
                en="""
                Without `dim` PyTorch guesses: 0 for one and three dimensions, else 1. The guess is deprecated and warns.
                It changes without an error when the input gets another dimension.
                """,
                ko="""
                `dim`이 없으면 PyTorch가 추측합니다. 1차원과 3차원이면 0, 아니면 1입니다. 이 추측은 폐기 예정이라 경고가
                나오고, 입력의 차원 수가 바뀌면 오류 없이 달라집니다.
                """,
            ),
            Text(
                en="Write `dim`: the dimension whose values have to sum up to 1.",
                ko="값의 합이 1이 되어야 하는 차원을 `dim`으로 쓰세요.",
            ),
        ),
        Variant(
            "guessed",
            Text(
                en="`{layer}` without `dim`: PyTorch guesses the dimension",
                ko="`dim` 없는 `{layer}` 함수: PyTorch가 차원을 추측합니다",
            ),
            Text(
                en="""
                Without `dim` PyTorch guesses: 0 for one and three dimensions, else 1. The guess is deprecated and warns.
                It changes without an error when the input gets another dimension.
                """,
                ko="""
                `dim`이 없으면 PyTorch가 추측합니다. 1차원과 3차원이면 0, 아니면 1입니다. 이 추측은 폐기 예정이라 경고가
                나오고, 입력의 차원 수가 바뀌면 오류 없이 달라집니다.
                """,
            ),
            Text(
                en="Write `dim`: the dimension whose values have to sum up to 1.",
                ko="값의 합이 1이 되어야 하는 차원을 `dim`으로 쓰세요.",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        import torch.nn as nn
        import torch.nn.functional as F


        class Pooled(nn.Module):
            def __init__(self):
                super().__init__()
                self.score = nn.Linear(6, 1)
                self.head = nn.Linear(6, 3)

            def forward(self, instances):
                weights = F.softmax(self.score(instances), dim=0)
                return F.log_softmax(self.head((weights * instances).sum(dim=0, keepdim=True)), dim=1)


        torch.manual_seed(0)
        model = Pooled()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        bags, labels = torch.randn(4, 12, 6), torch.randint(0, 3, (4, 1))
        for bag, label in zip(bags, labels):
            optimizer.zero_grad()
            loss = F.nll_loss(model(bag), label)
            loss.backward()
            optimizer.step()
        one = F.softmax(torch.randn(5), dim=0)
        print(one.argmax())
        """,
    ),
    search=(
        "Implicit dimension choice for softmax has been deprecated",
        "pytorch softmax which dim",
        "log_softmax dim=0 or dim=1",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softmax.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax.html",
    ),
)


@rule.on(Trace)
def wrong_dim(trace: Trace) -> Iterator[Diagnosis]:
    for one in {a.at: a for a in activations(trace).values()}.values():
        if one.kind not in _KINDS or _is_too_many(trace, one):
            continue
        if all(event.facts["is_implicit"] for event in one.events):
            yield from _implicit(trace, one)
        elif (witness := _over_batch(trace, one)) is not None:
            yield _batch(trace, one, *witness)


def _is_too_many(trace: Trace, one: Activation) -> bool:
    """True where it should go altogether: the loss applies a softmax itself, TM321 tells it."""
    return any(loss.facts["loss"] == "CrossEntropyLoss" for loss in losses_of(trace, one))


def _call(trace: Trace, one: Activation) -> tuple[Source, ast.Call] | None:
    """The call that takes `dim`: the function's, or the layer's construction."""
    made = one.events[0].facts["made"]
    if one.made is not None and isinstance(made, type(one.at)):
        return trace.source_of(made), one.made
    return (one.source, one.call) if one.call is not None else None


def _implicit(trace: Trace, one: Activation) -> Iterator[Diagnosis]:
    found = _call(trace, one)
    if found is None:
        return
    source, call = found
    name = source.name(call.func) or ""
    is_function = one.made is not None or name.startswith("torch.nn.functional.")
    is_told = any(isinstance(a, ast.Starred) for a in call.args) or any(
        k.arg in (None, "dim") for k in call.keywords
    )
    if not is_function or is_told or len(call.args) > (0 if one.made is not None else 1):
        return
    ranks = {event.facts["rank"] for event in one.events}
    rank = ranks.pop() if len(ranks) == 1 else None
    facts: dict[str, object] = {"layer": source.code(call.func)}
    fixes: tuple[Fix, ...] = ()
    if isinstance(rank, int) and rank:
        taken = 0 if rank in (1, 3) else 1
        facts |= {"rank": rank, "taken": taken}
        wanted = -1 if rank == 3 else taken
        title = Text(en="write `dim={dim}`", ko="`dim={dim}` 쓰기").fill(dim=wanted)
        fixes = (
            Fix((added_argument(source, call, f"dim={wanted}"),), title, safe=wanted == taken),
        )
    variant = rule.variant("implicit" if "rank" in facts else "guessed")
    yield Diagnosis(rule, source.span(call), facts, (), fixes, variant=variant)


def _over_batch(trace: Trace, one: Activation) -> tuple[Event, list[int]] | None:
    """What tells that the rows are samples: labels of the rows, or the best class of each row."""
    if any(e.facts["dim"] not in (0, -2) or e.facts["rank"] != 2 for e in one.events):
        return None
    for loss in losses_of(trace, one):
        given = getattr(loss.facts["input"], "tensor", None)
        target = getattr(loss.facts["target"], "tensor", None)
        if given is None or target is None or loss.facts["loss"] != "NLLLoss":
            continue
        if len(given.shape) == 2 and len(target.shape) == 1:
            return loss, list(given.shape)
    for event in trace.of("argmax"):
        if one.numbers & event.facts["activations"]:  # type: ignore[operator]
            is_score = all(e.facts["given_through"] == ("linear",) for e in one.events)
            if is_score and event.facts["dim"] in (1, -1) and event.facts["rank"] == 2:
                return event, []
    return None


def _batch(trace: Trace, one: Activation, witness: Event, shape: list[int]) -> Diagnosis:
    found = _call(trace, one)
    assert found is not None
    source, call = found
    facts: dict[str, object] = {"layer": source.code(call.func), "shape": shape or ["N", "C"]}
    text = Text(en="here each row is one sample", ko="여기서는 행 하나가 샘플 하나입니다")
    fix = _with_dim(source, call, 0 if one.made is not None else 1)
    return Diagnosis(
        rule, source.span(call), facts, (Evidence(text, witness.at),), (fix,) if fix else ()
    )


def _with_dim(source: Source, call: ast.Call, position: int) -> Fix | None:
    is_method = isinstance(call.func, ast.Attribute) and not (
        source.name(call.func) or ""
    ).startswith("torch.")
    given = argument(call, 0 if is_method else position, "dim")
    if given is None:
        return None
    edit: Edit = source.replace(given, "1")
    return Fix((edit,), Text(en="write `dim=1`", ko="`dim=1` 쓰기"))
