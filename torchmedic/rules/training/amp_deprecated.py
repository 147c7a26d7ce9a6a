from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Rule, Severity, Span, Text
from torchmedic.observed import Source
from torchmedic.observed.trace import Trace

rule = Rule(
    code="TM335",
    name="amp-deprecated",
    severity=Severity.ADVICE,
    summary=Text(
        en="`autocast` or `GradScaler` come from `torch.cuda.amp` or `torch.cpu.amp`, which are deprecated.",
        ko="사용이 중단될 `torch.cuda.amp`나 `torch.cpu.amp`의 `autocast`, `GradScaler`를 씁니다.",
    ),
    title=Text(
        en="`{old}` is deprecated since PyTorch 2.4",
        ko="`{old}`: PyTorch 2.4부터 사용이 중단될 예정입니다",
    ),
    why=Text(
        en="""
        One `torch.amp` for every device took the place of the module of each device. The old names still
        work, warn at each call (FutureWarning), and can be removed in any later version.
        """,
        ko="""
        장치마다 있던 모듈 대신 모든 장치를 다루는 `torch.amp`를 씁니다. 옛 이름은 아직 동작하지만 호출할 때마다
        FutureWarning을 내고, 이후 버전에서 없어질 수 있습니다.
        """,
    ),
    help=Text(
        en="Write `{new}`: the device is the first argument, and everything else stays.",
        ko="`{new}` 형식으로 쓰세요. 첫 인자로 장치를 주고 나머지는 그대로 둡니다.",
    ),
    lesson=Text(
        en="""
        `torch.autocast` and `torch.amp.autocast` are the same class. Run the program with `python -W
        error::FutureWarning` to stop at each call that will go away.
        """,
        ko="""
        `torch.autocast`와 `torch.amp.autocast`는 같은 클래스입니다. `python -W error::FutureWarning`으로 실행하면 없어질
        호출마다 멈춥니다.
        """,
    ),
    example={"new": 'torch.amp.GradScaler("cuda", …)'},
    bad="""
    import torch
    from torch import nn
    from torch.cuda.amp import GradScaler, autocast

    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = GradScaler()
    for epoch in range(4):
        optimizer.zero_grad()
        with autocast(dtype=torch.float16):
            loss = nn.functional.mse_loss(model(inputs), targets)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    """,
    good="""
    import torch
    from torch import nn
    from torch.amp import GradScaler, autocast

    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = GradScaler("cuda")
    for epoch in range(4):
        optimizer.zero_grad()
        with autocast("cuda", dtype=torch.float16):
            loss = nn.functional.mse_loss(model(inputs), targets)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    """,
    innocent=(
        """
        import torch
        from torch import nn

        try:
            from torch.amp import GradScaler
        except ImportError:  # before PyTorch 2.3
            from torch.cuda.amp import GradScaler

        torch.manual_seed(0)
        inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
        model = nn.Linear(5, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scaler = GradScaler(enabled=torch.cuda.is_available())
        for epoch in range(4):
            optimizer.zero_grad()
            with torch.autocast("cuda", enabled=torch.cuda.is_available()):
                loss = nn.functional.mse_loss(model(inputs), targets)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        """,
    ),
    search=(
        "torch.cuda.amp.GradScaler(args...) is deprecated",
        "torch.cuda.amp.autocast(args...) is deprecated. Please use torch.amp.autocast('cuda', args...) instead",
        "FutureWarning torch.cuda.amp",
    ),
    links=("https://docs.pytorch.org/docs/stable/amp.html",),
)

_OLD = {
    f"torch.{device}.amp.{name}": (device, name)
    for device in ("cuda", "cpu")
    for name in ("autocast", "GradScaler")
}
_AUTOCAST = ("enabled", "dtype", "cache_enabled")  # the old order
_ALSO = Text(en="and here", ko="여기도 마찬가지입니다")
_TITLE = Text(en="use `torch.amp`, with the device", ko="장치를 주어 `torch.amp` 쓰기")


class _Call(NamedTuple):
    node: ast.Call
    old: str  # dotted

    @property
    def device(self) -> str:
        return _OLD[self.old][0]

    @property
    def name(self) -> str:
        return _OLD[self.old][1]


@rule.on(Trace)
def old_names(trace: Trace) -> Iterator[Diagnosis]:
    source = trace.source
    if ".amp" not in source.text and "import amp" not in source.text:
        return
    calls = [
        _Call(node, name)
        for node in source.nodes(ast.Call)
        if (name := source.name(node.func)) in _OLD and not _is_guarded(source, node, name)
    ]
    if not calls:
        return
    calls.sort(key=lambda c: (c.node.lineno, c.node.col_offset))
    first = calls[0]
    facts: dict[str, object] = {
        "old": first.old,
        "new": f'torch.amp.{first.name}("{first.device}", …)',
    }
    also = tuple(Evidence(_ALSO, source.span(c.node)) for c in calls[1:4])
    fix = _renamed(source, calls)
    yield Diagnosis(rule, source.span(first.node), facts, also, (fix,) if fix else ())


def _is_guarded(source: Source, node: ast.Call, name: str) -> bool:
    """True if the program asks for the version, by an `if` or a `try`, around the call or its import."""
    places = [
        node,
        *(s for s in _imports(source) if "amp" in source.code(s)),
    ]
    for place in places:
        for up in source.parents(place):
            if isinstance(up, ast.Try) or (isinstance(up, ast.If) and _asks(source, up)):
                return True
    return False


def _asks(source: Source, node: ast.If) -> bool:
    text = source.code(node.test)
    return any(word in text for word in ("version", "hasattr", "is_torch", "TORCH"))


def _renamed(source: Source, calls: list[_Call]) -> Fix | None:
    """All calls, and the imports that their names come from; None if a name is used otherwise as well."""
    edits: list[Edit] = []
    roots: dict[str, set[str]] = {}
    for call in calls:
        device = _device_given(source, call)
        if device is None:
            return None
        edits += device
        root = call.node.func
        while isinstance(root, ast.Attribute):
            root = root.value
        if not isinstance(root, ast.Name):
            return None
        if source.imported.get(root.id) == "torch":
            edits.append(source.replace(call.node.func, f"{root.id}.amp.{call.name}"))
        else:
            roots.setdefault(root.id, set()).add(call.device)
    if any(len(devices) > 1 for devices in roots.values()):
        return None
    for statement in _imports(source):
        if any((a.asname or a.name) in roots for a in statement.names):
            edit = _import_changed(source, statement, roots, calls)
            if edit is None:
                return None
            edits.append(edit)
    return Fix(tuple(edits), _TITLE, safe=True)


def _imports(source: Source) -> Iterator[ast.ImportFrom | ast.Import]:
    yield from source.nodes(ast.ImportFrom)
    yield from source.nodes(ast.Import)


def _device_given(source: Source, call: _Call) -> list[Edit] | None:
    """The device as first argument; positional arguments of `autocast` by their names, as their order changed."""
    node, text = call.node, f'"{call.device}"'
    if any(isinstance(a, ast.Starred) for a in node.args):
        return None
    given = [*node.args, *(k.value for k in node.keywords)]
    end = source.span(node)
    if not given and not node.keywords:
        at = Span(source.path, end.end_line, end.end_column - 1, end.end_line, end.end_column - 1)
        return [Edit(at, text)]
    names = _AUTOCAST if call.name == "autocast" else ("",) * len(node.args)
    edits = []
    first = source.span(node.args[0] if node.args else node.keywords[0])
    start = Span(source.path, first.line, first.column, first.line, first.column)
    edits.append(Edit(start, f"{text}, " + (f"{names[0]}=" if node.args and names[0] else "")))
    for name, value in list(zip(names, node.args, strict=False))[1:]:
        here = source.span(value)
        if name:
            edits.append(
                Edit(Span(source.path, here.line, here.column, here.line, here.column), f"{name}=")
            )
    return edits


def _import_changed(
    source: Source,
    statement: ast.ImportFrom | ast.Import,
    roots: dict[str, set[str]],
    calls: list[_Call],
) -> Edit | None:
    """`torch.cuda.amp` becomes `torch.amp` in the statement, if all that it imports is called, and nothing else."""
    names = [a.asname or a.name for a in statement.names]
    called = {id(n) for c in calls for n in ast.walk(c.node.func)}
    used = [n for n in source.nodes(ast.Name) if n.id in names]
    if any(id(n) not in called for n in used) or not set(names) <= set(roots):
        return None
    code = source.code(statement)
    for old, new in (
        ("from torch.cuda.amp import", "from torch.amp import"),
        ("from torch.cpu.amp import", "from torch.amp import"),
        ("from torch.cuda import amp", "from torch import amp"),
        ("import torch.cuda.amp as ", "import torch.amp as "),
    ):
        if code.startswith(old):
            here = source.span(statement)
            at = Span(source.path, here.line, here.column, here.line, here.column + len(old))
            return Edit(at, new)
    return None
