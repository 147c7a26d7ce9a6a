from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Failure, Frame, Source
from torchmedic.observed.origin import Origin, origins
from torchmedic.observed.project import Defined, Project
from torchmedic.observed.settings import own_attribute
from torchmedic.rules._devices import inputs, is_portable, kept_as, spelled
from torchmedic.rules._flow import method_calls, value_of
from torchmedic.rules._place import added_argument, answer, failing_expression

rule = Rule(
    code="TM214",
    name="device-mismatch",
    severity=Severity.ERROR,
    summary=Text(
        en="One operation gets tensors that live on different devices.",
        ko="한 연산이 서로 다른 장치에 있는 텐서들을 받습니다.",
    ),
    title=Text(
        en="tensors on {one} and {other} meet in one operation",
        ko="{one} 장치와 {other} 장치의 텐서가 한 연산에서 만납니다",
    ),
    why=Text(
        en="""
        PyTorch never copies between devices by itself. Everything that meets in an operation, parameters, inputs,
        labels and constants, has to be on one device.
        """,
        ko="""
        PyTorch는 장치 사이의 복사를 스스로 하지 않습니다. 한 연산에서 만나는 파라미터, 입력, 레이블, 상수가 모두 한
        장치에 있어야 합니다.
        """,
    ),
    help=Text(
        en="Move what was left behind: `model.to(device)`, `x = x.to(device)`, `torch.zeros(…, device=x.device)`.",
        ko="옮기지 않은 것을 옮기세요: `model.to(device)`, `x = x.to(device)`, `torch.zeros(…, device=x.device)`.",
    ),
    lesson=Text(
        en="""
        `model.to(device)` moves a module in place; `x.to(device)` returns a copy that has to be assigned. Tensors made
        in `forward` start on the CPU: give them `device=x.device`. Tensors kept as plain attributes and layers in a
        plain list do not move with the model: use `register_buffer` and `nn.ModuleList`. Define one `device` at the
        top. To find it by hand, print `.device` of each tensor in the failing line and of
        `next(model.parameters())`.
        """,
        ko="""
        `model.to(device)`는 모듈 자체를 옮기지만 `x.to(device)`는 복사본을 돌려주므로 대입해야 합니다. `forward`에서
        만든 텐서는 CPU에서 시작하니 `device=x.device`를 주세요. 일반 속성으로 둔 텐서와 파이썬 리스트에 담은 층은
        모델과 함께 옮겨지지 않습니다. `register_buffer`와 `nn.ModuleList`를 쓰세요. `device`는 맨 위에서 한 번만
        정하세요. 직접 찾으려면 실패한 줄의 텐서마다 `.device`를, 모델은 `next(model.parameters()).device`를
        출력하세요.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    device = torch.device("meta")
    model = nn.Linear(4, 2).to(device)
    inputs = torch.ones(8, 4)
    print(model(inputs).shape)
    """,
    good="""
    import torch
    from torch import nn

    device = torch.device("meta")
    model = nn.Linear(4, 2).to(device)
    inputs = torch.ones(8, 4)
    print(model(inputs.to(device)).shape)
    """,
    messages=(
        "but found at least two devices, {one} and {other}!",
        "Tensor on device {one} is not on the expected device {other}!",
        "but got {arg} is on {one}, different from other tensors on {other} (when checking argument",
        "but got {arg} is on {one}, different from other tensors on {other}",
        "Expected object of backend {one:word} but got backend {other:word} for",
        "Expected object of device type {one:word} but got device type {other:word} for",
        "Expected object of type {one:word} but found type {other:word} for argument",
        "Input type ({one:word}) and weight type ({other:word}) should be the same",
        "Input type ({one:word}) and bias type ({other:word}) should be the same",
        "but expected them to be on GPU, but found at least two devices, {one} and {other}",
        "expected self and mask to be on the same device, but got mask on {one} and self on {other}",
        "Expected a '{one:word}' device type for generator but found '{other:word}'",
        "Input and parameter tensors are not at the same device, found input tensor at {one} and parameter tensor at {other}",
        "Input and hidden tensors are not at the same device, found input tensor at {one} and hidden tensor at {other}",
    ),
    variants=(
        Variant(
            "some",
            Text(
                en="tensors on different devices meet in one operation",
                ko="서로 다른 장치의 텐서가 한 연산에서 만납니다",
            ),
            messages=(
                "Expected all tensors to be on the same device",
                "Expected Input, output and indices must be on the current device",
                "Input, output and indices must be on the current device",
                "arguments are located on different GPUs",
                "indices should be either on cpu or on the same device as the indexed tensor",
                "Placeholder storage has not been allocated on MPS device",
                "module must have its parameters and buffers on device",
                "Tensor for argument #{n:d} '{name:word}' is on CPU, but expected it to be on GPU",
                "Tensor for 'out' is on",
                "Expected tensor to have {device:word} Backend, but got tensor with",
            ),
        ),
    ),
    innocent=(
        """
        import torch

        table = torch.ones(4, device="meta")
        print((table * torch.tensor(2.0)).shape)
        """,
    ),
    says=(
        "RuntimeError: Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!",
        "RuntimeError: Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! "
        "(when checking argument for argument mat1 in method wrapper_CUDA_addmm)",
        "RuntimeError: Expected all tensors to be on the same device, but got mat1 is on cpu, different from other "
        "tensors on cuda:0 (when checking argument in method wrapper_CUDA_addmm)",
        "RuntimeError: Input type (torch.cuda.FloatTensor) and weight type (torch.FloatTensor) should be the same",
        "RuntimeError: Input type (torch.FloatTensor) and weight type (torch.cuda.FloatTensor) should be the same or "
        "input should be a MKLDNN tensor and weight is a dense tensor",
        "RuntimeError: Expected object of backend CPU but got backend CUDA for argument #4 'mat1'",
        "RuntimeError: Expected object of device type cuda but got device type cpu for argument #2 'mat2' in call to "
        "_th_mm",
        "RuntimeError: Expected object of type torch.LongTensor but found type torch.cuda.LongTensor for argument #3 "
        "'index'",
        "RuntimeError: Input type (MPSFloatType) and weight type (torch.FloatTensor) should be the same",
        "RuntimeError: Input, output and indices must be on the current device",
        "RuntimeError: Placeholder storage has not been allocated on MPS device!",
        "RuntimeError: arguments are located on different GPUs at "
        "/pytorch/aten/src/THC/generic/THCTensorMathBlas.cu:270",
        "RuntimeError: Input and hidden tensors are not at the same device, found input tensor at cuda:0 and hidden "
        "tensor at cpu",
        "RuntimeError: indices should be either on cpu or on the same device as the indexed tensor (cpu)",
        "RuntimeError: Expected a 'cuda' device type for generator but found 'cpu'",
    ),
    search=(
        "expected all tensors to be on the same device",
        "Input type torch.cuda.FloatTensor and weight type torch.FloatTensor should be the same",
        "pytorch move model and data to gpu",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/tensor_attributes.html#torch.device",
        "https://docs.pytorch.org/docs/stable/generated/torch.Tensor.to.html",
        "https://docs.pytorch.org/docs/stable/notes/cuda.html",
    ),
)

_MOVE = Text(en="move it: insert `{text}`", ko="옮기기: `{text}` 넣기")
_ASSIGN = Text(en="keep what `{code}` returns", ko="`{code}` 호출의 결과를 대입하기")
_BIRTH = Text(en="make it on the right device: `{text}`", ko="알맞은 장치에서 만들기: `{text}`")
_BUFFER = Text(
    en="register it, so that it moves with the model", ko="모델과 함께 옮겨지도록 버퍼로 등록하기"
)
_IS_ON = Text(en="`{code}` is on {device}", ko="`{code}` 텐서의 장치: {device}")
_LAYER = Text(
    en="the parameters of `{layer}` are on {device}", ko="`{layer}` 층의 파라미터 장치: {device}"
)
_DEVICE = r"(?i)'?(?:cpu|gpu|cuda|mps|meta|xpu|xla|hpu|hip|privateuseone|vulkan|mkldnn|lazy)\b"
_FACTORIES = (
    "zeros",
    "ones",
    "randn",
    "rand",
    "empty",
    "full",
    "arange",
    "linspace",
    "eye",
    "tensor",
    "randint",
    "randperm",
)


@rule.on(Failure)
def devices_disagree(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    if reading.variant.name == "" and not _are_devices(reading.facts):
        return
    told = [_place(str(reading.facts.get(name, ""))) for name in ("one", "other")]
    at, fixes, evidence = _change(failure, {name for name in told if name})
    yield answer(rule, failure, reading, at, fixes, evidence)


def _are_devices(facts: dict[str, object]) -> bool:
    """False where two types on one device differ: `double` and `float`, `torch.cuda.FloatTensor` and `…HalfTensor`."""
    one, other = _place(str(facts.get("one"))), _place(str(facts.get("other")))
    return bool(one and other and one != other)


def _place(name: str) -> str:
    """`cuda` of "torch.cuda.FloatTensor", `mps` of "MPSFloatType", `cpu` of "torch.FloatTensor"; "" of a dtype."""
    if re.match(_DEVICE, name):
        return name.lower()
    typed = re.search(
        r"(?:torch\.)?(cuda|CUDA|mps|MPS|xpu|XPU|hpu|HPU)?\.?[A-Z]\w*(?:Tensor|Type)$", name
    )
    return (typed[1] or "cpu").lower() if typed else ""


Change = tuple[Span | None, tuple[Fix, ...], tuple[Evidence, ...]]


def _change(failure: Failure, told: set[str]) -> Change:
    """`told`: the devices that the message names."""
    found = failing_expression(failure) if failure.is_live else None
    if found is None:
        return None, (), ()
    source, frame, node = found
    held = _held(source, frame, node)
    layer = failure.failing
    home = next((t.device for t in layer.parameters.values() if t.device), None) if layer else None
    devices = {device for _, device in held} | ({home} if home else told)
    if len(devices) < 2:
        return None, (), ()
    evidence = [
        Evidence(_IS_ON.fill(code=source.code(n), device=device), source.span(n))
        for n, device in held
    ]
    if layer is not None and home is not None:
        evidence.append(
            Evidence(_LAYER.fill(layer=layer.path or layer.type, device=home), layer.made_at)
        )
    if home == "cpu":
        moved = _model(failure, next(d for d in devices if d != "cpu"))
        return (*moved, tuple(evidence)) if moved else (None, (), tuple(evidence))
    left = [n for n, device in held if device == "cpu"]
    if not left:
        return None, (), tuple(evidence)
    target = home or next(d for d in devices if d != "cpu")
    others = [source.code(n) for n, d in held if d == target] or inputs(source, frame, node, target)
    found_at = [_left_behind(failure, source, frame, n, others, target) for n in left]
    first, *rest = [fixes[0] for _, fixes in found_at]
    edits = dict.fromkeys((*first.edits, *(e for fix in rest for e in fix.edits)))
    at, fixes = found_at[0]
    return at, (first._replace(edits=tuple(edits)), *fixes[1:]), tuple(evidence)


def _held(source: Source, frame: Frame, node: ast.expr) -> list[tuple[ast.expr, str]]:
    """The names and attributes in the expression that are tensors with dimensions, and their devices."""
    found: dict[str, tuple[ast.expr, str]] = {}
    for part in ast.walk(node):
        if isinstance(part, (ast.Name, ast.Attribute)):
            value = value_of(frame, source, part)
            tensors = list(value.tensors()) if value else []
            if tensors and tensors[0].device and not isinstance(source.parent(part), ast.Attribute):
                found.setdefault(source.code(part), (part, tensors[0].device))
    return list(found.values())


def _left_behind(
    failure: Failure,
    source: Source,
    frame: Frame,
    argument: ast.expr,
    others: list[str],
    target: str,
) -> tuple[Span, tuple[Fix, ...]]:
    """Where the tensor on the CPU should have been moved: its dropped `.to(…)`, its birth in `forward`, or its use."""
    trail = origins(failure, frame, argument, source)
    use = source.insert_after(argument, f".to({spelled(source, argument, others, target)})")
    at, fixes = source.span(argument), [Fix((use,), _MOVE.fill(text=use.text))]
    dropped = _dropped(source, argument)
    if dropped is not None:
        code = source.code(dropped.func.value) if isinstance(dropped.func, ast.Attribute) else ""
        start = source.span(dropped)
        edit = source.replace(dropped, f"{code} = {source.code(dropped)}")
        fixes.insert(0, Fix((edit,), _ASSIGN.fill(code=source.code(dropped))))
        return start, tuple(fixes)
    kept = _kept(failure, source, argument)
    if kept is not None:
        fixes.insert(0, kept[1])
        return kept[0], tuple(fixes)
    born = _born(trail, source, argument)
    if born is not None and born.source is source and others:
        text = f"device={others[0]}.device"
        assert isinstance(born.node, ast.Call)
        edit = added_argument(source, born.node, text)
        fixes.insert(0, Fix((edit,), _BIRTH.fill(text=text)))
        at = born.at
    return at, tuple(fixes)


def _dropped(source: Source, argument: ast.expr) -> ast.Call | None:
    """`x.to(device)` as a statement of its own before the use: its result is lost."""
    code = source.code(argument)
    scope = source.function_of(argument) or source.tree
    for node in ast.walk(scope):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            function = node.value.func
            if (
                isinstance(function, ast.Attribute)
                and function.attr in ("to", "cuda", "mps", "xpu")
                and source.code(function.value) == code
                and node.lineno < argument.lineno
            ):
                return node.value
    return None


def _kept(failure: Failure, source: Source, argument: ast.expr) -> tuple[Span, Fix] | None:
    """`self.mean = torch.zeros(…)` in `__init__` of a module: a plain attribute, which stays behind."""
    owner = source.enclosing(argument, ast.ClassDef)
    if owner is None or not isinstance(argument, ast.Attribute):
        return None
    held = own_attribute(Project(failure), Defined(source, owner), argument.attr)
    if source.code(argument.value) != "self" or held is None or held[2]:
        return None
    where, value, _ = held
    statement = where.statement(value)
    is_module = any("Module" in m.bases and owner.name in m.bases for m in failure.modules)
    is_simple = isinstance(statement, ast.Assign) and len(statement.targets) == 1
    if not is_module or not is_simple or not isinstance(value, ast.Call):
        return None
    text = f'self.register_buffer("{argument.attr}", {where.code(value)})'
    return where.span(statement), Fix((where.replace(statement, text),), _BUFFER)


def _born(trail: list[Origin], source: Source, argument: ast.expr) -> Origin | None:
    scope = source.function_of(argument)
    for origin, call in method_calls(trail, *_FACTORIES):
        name = origin.source.name(call.func) or ""
        has_device = any(k.arg == "device" for k in call.keywords)
        if name.startswith("torch.") and not has_device:
            return (
                origin if scope is not None and origin.source.function_of(call) is scope else None
            )
    return None


def _model(failure: Failure, target: str) -> tuple[Span, tuple[Fix, ...]] | None:
    """The constructor of the model that was never moved, or the attribute that keeps it beside a device."""
    root = failure.root
    for frame in failure.frames:
        source = failure.source(frame.at) if frame.is_user else None
        node = source.at(frame.at, ast.Call) if source and frame.at.end_line else None
        if root is None or source is None or node is None or not frame.names:
            continue
        value = frame.names.get(source.code(node.func))
        if value is None or value.type.rpartition(".")[2] != root.type:
            continue
        made = [
            o for o in origins(failure, frame, node.func, source) if isinstance(o.node, ast.Call)
        ]
        places = [(o.source, o.node) for o in made] + kept_as(source, node.func)
        for where, place in places:
            device = spelled(where, place, [], target)
            if device != f'"{target}"' or (place is places[-1][1] and not is_portable(where)):
                edit = where.insert_after(place, f".to({device})")
                return where.span(place), (Fix((edit,), _MOVE.fill(text=edit.text)),)
        if made:
            return made[0].at, ()
    return None
