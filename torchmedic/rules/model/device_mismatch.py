from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Failure, Frame, Source
from torchmedic.observed.origin import origins
from torchmedic.rules._device_fixes import (
    born,
    dropped,
    kept,
    state_and_parameters,
    whole_batch,
    with_generator,
)
from torchmedic.rules._devices import (
    are_devices,
    inputs,
    is_portable,
    kept_as,
    place_of,
    shown,
    spelled,
)
from torchmedic.rules._flow import value_of
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
        "Input and parameter tensors are not at the same device, found input tensor at {one} and parameter tensor at {other}",
        "Input and hidden tensors are not at the same device, found input tensor at {one} and hidden tensor at {other}",
    ),
    variants=(
        Variant(
            "generator",
            Text(
                en="a random generator on {other} is to draw numbers on {one}",
                ko="{other} 장치의 난수 생성기로 {one} 장치의 난수를 뽑으려고 합니다",
            ),
            why=Text(
                en="A generator has the state of one device's random numbers, and draws only there.",
                ko="생성기는 한 장치의 난수 상태를 가지며 그 장치에서만 난수를 뽑습니다.",
            ),
            help=Text(
                en="""
                Make it for the device that draws. A `DataLoader` and `random_split` draw their order on the CPU
                (`torch.Generator()`), unless `set_default_device` says otherwise.
                """,
                ko="""
                난수를 뽑는 장치에 생성기를 만드세요. `set_default_device`로 바꾸지 않았다면 `DataLoader`와 `random_split`은
                순서를 CPU에서 뽑습니다(`torch.Generator()`).
                """,
            ),
            messages=(
                "Expected a '{one:word}' device type for generator but found '{other:word}'",
            ),
            search=("Expected a 'cuda' device type for generator but found 'cpu'",),
            links=("https://docs.pytorch.org/docs/stable/generated/torch.Generator.html",),
        ),
        Variant(
            "state",
            Text(
                en="the optimizer's state is on {state}, and its parameters are on {home}",
                ko="옵티마이저의 상태는 {state} 장치에, 파라미터는 {home} 장치에 있습니다",
            ),
            why=Text(
                en="""
                Momentum and averages are made at the first step, or read by `load_state_dict`, on the device that the
                parameters have then. `model.to(…)` moves the parameters later, but not what the optimizer keeps of them.
                """,
                ko="""
                모멘텀과 평균은 첫 단계나 `load_state_dict`에서, 그때 파라미터가 있는 장치에 만들어집니다. 나중에
                `model.to(…)`를 부르면 파라미터는 옮겨지지만 옵티마이저가 간직한 상태는 옮겨지지 않습니다.
                """,
            ),
            help=Text(
                en="Move the model first, then make the optimizer and load its state; after a move make a new optimizer.",
                ko="모델을 먼저 옮긴 다음 옵티마이저를 만들고 상태를 불러오세요. 옮긴 뒤에는 옵티마이저를 새로 만드세요.",
            ),
            search=(
                "optimizer load_state_dict expected all tensors to be on the same device exp_avg",
            ),
            links=("https://docs.pytorch.org/docs/stable/optim.html",),
        ),
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
        "RuntimeError: Expected a 'cpu' device type for generator but found 'cuda'",
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
_IS_ON = Text(en="`{code}` is on {device}", ko="`{code}` 텐서의 장치: {device}")
_LAYER = Text(
    en="the parameters of `{layer}` are on {device}", ko="`{layer}` 층의 파라미터 장치: {device}"
)


@rule.on(Failure)
def devices_disagree(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    facts = dict[str, object]()
    if reading.variant.name == "":
        if not are_devices(reading.facts):
            return
        facts = {name: shown(str(reading.facts[name])) for name in ("one", "other")}
    if reading.variant.name == "generator":
        at, fixes = with_generator(failure, str(reading.facts["one"]))
        yield answer(rule, failure, reading, at, fixes)
        return
    state = state_and_parameters(failure)
    if state is not None:
        reading = reading._replace(variant=rule.variant("state"))
        facts = {"state": state[0], "home": state[1]}
        yield answer(rule, failure, reading, None, (), (), **facts)
        return
    told = [place_of(str(reading.facts.get(name, ""))) for name in ("one", "other")]
    at, fixes, evidence = _change(failure, {name for name in told if name})
    yield answer(rule, failure, reading, at, fixes, evidence, **facts)


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
    first = _all_of([fixes[0] for _, fixes in found_at])
    last = _all_of([fixes[-1] for _, fixes in found_at])
    at, fixes = found_at[0]
    more = (last,) if len(fixes) > 1 else ()
    return at, (first, *more), tuple(evidence)


def _all_of(fixes: list[Fix]) -> Fix:
    """What each of them changes, once."""
    return fixes[0]._replace(edits=tuple(dict.fromkeys(e for fix in fixes for e in fix.edits)))


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
    lost = dropped(source, argument)
    if lost is not None:
        code = source.code(lost.func.value) if isinstance(lost.func, ast.Attribute) else ""
        start = source.span(lost)
        edit = source.replace(lost, f"{code} = {source.code(lost)}")
        return start, (Fix((edit,), _ASSIGN.fill(code=source.code(lost))),)
    batch = whole_batch(source, frame, argument, others, target)
    if batch is not None:
        return batch[0], (batch[1],)
    attribute = kept(failure, source, argument)
    if attribute is not None:
        fixes.insert(0, attribute[1])
        return attribute[0], tuple(fixes)
    origin = born(trail, source, argument)
    if origin is not None and origin.source is source and others:
        text = f"device={others[0]}.device"
        assert isinstance(origin.node, ast.Call)
        edit = added_argument(source, origin.node, text)
        fixes.insert(0, Fix((edit,), _BIRTH.fill(text=text)))
        at = origin.at
    return at, tuple(fixes)


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
