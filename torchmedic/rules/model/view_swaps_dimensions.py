import ast
from collections.abc import Iterator, Sequence

from torchmedic.model import Diagnosis, Edit, Fix, Rule, Severity, Span, Text
from torchmedic.observed import Source
from torchmedic.observed.trace import Event, Trace

rule = Rule(
    code="TM326",
    name="view-swaps-dimensions",
    severity=Severity.ERROR,
    summary=Text(
        en="`view` or `reshape` is used to swap dimensions, and mixes the values instead.",
        ko="`view`나 `reshape`로 차원을 바꾸려다 값이 뒤섞입니다.",
    ),
    title=Text(
        en="`{method}` turns {before} into {after} and moves no value",
        ko="`{method}` 호출이 값을 옮기지 않고 {before} 모양을 {after} 모양으로 바꿉니다",
    ),
    why=Text(
        en="""
        `{method}` reads the same values in the same order and only counts them differently. The sizes look swapped,
        but what stands in one row now comes from several rows. `{right}` swaps the dimensions: it takes each value with
        its place along.
        """,
        ko="""
        `{method}` 호출은 같은 값을 같은 순서로 읽고 세는 방법만 바꿉니다. 크기는 맞바뀐 듯 보이지만 한 행에 여러 행의 값이
        섞입니다. `{right}` 호출은 값을 자리와 함께 옮겨 차원을 바꿉니다.
        """,
    ),
    help=Text(
        en="Write `{right}` instead of `{method}`.",
        ko="`{method}` 대신 `{right}` 호출을 쓰세요.",
    ),
    lesson=Text(
        en="""
        Try it on numbers that can be followed: `torch.arange(6).view(2, 3)` beside `.view(3, 2)` and `.t()`. `view`,
        `reshape` and `flatten` join or split neighbouring dimensions; `transpose` and `permute` change their order. If the
        result of `transpose` has to be viewed afterwards, use `reshape`, or call `contiguous()` first.
        """,
        ko="""
        눈으로 따라갈 수 있는 숫자로 시험해 보세요. `torch.arange(6).view(2, 3)`을 `.view(3, 2)`, `.t()`와 비교하면 됩니다.
        `view`, `reshape`, `flatten`은 이웃한 차원을 합치거나 나누고, `transpose`, `permute`는 차원의 순서를 바꿉니다.
        `transpose` 뒤에 다시 모양을 바꾸려면 `reshape`를 쓰거나 먼저 `contiguous()`를 호출하세요.
        """,
    ),
    example={"method": "view", "right": "transpose(1, 2)"},
    bad="""
    import torch
    import torch.nn as nn


    class Filter(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(6, 8, kernel_size=3)
            self.head = nn.Linear(8, 2)

        def forward(self, x):
            batch, steps, features = x.shape
            x = x.view(batch, features, steps)
            return self.head(self.conv(x).mean(dim=2))


    torch.manual_seed(0)
    data = torch.utils.data.TensorDataset(torch.randn(50, 20, 6), torch.randint(0, 2, (50,)))
    model = Filter()
    optimizer = torch.optim.Adam(model.parameters())
    for inputs, labels in torch.utils.data.DataLoader(data, batch_size=16):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        print(loss.item())
    """,
    good="""
    import torch
    import torch.nn as nn


    class Filter(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(6, 8, kernel_size=3)
            self.head = nn.Linear(8, 2)

        def forward(self, x):
            batch, steps, features = x.shape
            x = x.transpose(1, 2)
            return self.head(self.conv(x).mean(dim=2))


    torch.manual_seed(0)
    data = torch.utils.data.TensorDataset(torch.randn(50, 20, 6), torch.randint(0, 2, (50,)))
    model = Filter()
    optimizer = torch.optim.Adam(model.parameters())
    for inputs, labels in torch.utils.data.DataLoader(data, batch_size=16):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        print(loss.item())
    """,
    innocent=(
        """
        import torch
        import torch.nn as nn


        class Mixer(nn.Module):
            def __init__(self):
                super().__init__()
                self.project = nn.Linear(6, 12)
                self.head = nn.Linear(12, 2)

            def forward(self, x):
                batch, steps, features = x.shape
                x = self.project(x)
                heads = x.view(batch, steps, 3, 4).transpose(1, 2)
                x = heads.transpose(1, 2).reshape(batch, steps, 12)
                column = x.mean(dim=2, keepdim=True).view(batch, 1, steps)
                return self.head(x.mean(dim=1)) + column.mean()


        torch.manual_seed(0)
        data = torch.utils.data.TensorDataset(torch.randn(50, 20, 6), torch.randint(0, 2, (50,)))
        model = Mixer()
        optimizer = torch.optim.Adam(model.parameters())
        for inputs, labels in torch.utils.data.DataLoader(data, batch_size=16):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()
        print(torch.arange(12).view(3, 4).view(4, 3))
        """,
    ),
    search=(
        "pytorch view vs permute",
        "difference between view and transpose pytorch",
        "reshape batch and time dimension wrong",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/tensor_view.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.permute.html",
    ),
)


@rule.on(Trace)
def swapped(trace: Trace) -> Iterator[Diagnosis]:
    told = set()
    for event in trace.of("view"):
        order = event.facts["order"]
        if isinstance(order, tuple) and event.at not in told:
            told.add(event.at)
            yield _told(trace, event, order)


def _told(trace: Trace, event: Event, order: Sequence[int]) -> Diagnosis:
    source = trace.source_of(event.at)
    call = source.at(event.at, ast.Call)
    name = call.func.attr if call is not None and isinstance(call.func, ast.Attribute) else "view"
    right = _call(order, str(event.facts["library"]))
    facts = {
        "method": name,
        "before": event.facts["before"],
        "after": event.facts["after"],
        "right": right,
    }
    fix = _fix(source, call, right) if call is not None else None
    return Diagnosis(rule, event.at, facts, (), (fix,) if fix else ())


def _call(order: Sequence[int], library: str) -> str:
    """`transpose(1, 2)` where two dimensions change places, `permute(…)` for more."""
    moved = [place for place, old in enumerate(order) if place != old]
    if library == "numpy":
        return f"transpose({', '.join(map(str, order))})"
    if len(moved) == 2:
        return f"transpose({moved[0]}, {moved[1]})"
    return f"permute({', '.join(map(str, order))})"


def _fix(source: Source, call: ast.Call, right: str) -> Fix | None:
    if not isinstance(call.func, ast.Attribute) or (
        isinstance(call.func.value, ast.Name)
        and (source.imported.get(call.func.value.id, "").split(".")[0] in ("torch", "numpy"))
    ):
        return None
    here, owner = source.span(call), source.span(call.func)
    column = owner.end_column - len(call.func.attr)
    span = Span(source.path, owner.end_line, column, here.end_line, here.end_column)
    title = Text(en="write `{right}`", ko="`{right}` 쓰기").fill(right=right)
    return Fix((Edit(span, right),), title)
