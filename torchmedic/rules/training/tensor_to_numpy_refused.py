import ast
from collections.abc import Iterator

from torchmedic.model import (
    Diagnosis,
    Edit,
    Evidence,
    Fix,
    Rule,
    Severity,
    Span,
    Text,
    Variant,
    show_value,
)
from torchmedic.observed import Failure, Frame, Source, Tensor, Value
from torchmedic.rules._flow import Passed, failing_call, value_of

rule = Rule(
    code="TM303",
    name="tensor-to-numpy-refused",
    severity=Severity.ERROR,
    summary=Text(
        en="A tensor that NumPy can't take as it is gets converted to an array.",
        ko="NumPy가 그대로 받을 수 없는 텐서를 배열로 바꿉니다.",
    ),
    title=Text(
        en="a tensor that requires grad is converted to NumPy",
        ko="기울기를 추적하는(requires grad) 텐서를 NumPy 배열로 바꿉니다",
    ),
    why=Text(
        en="""
        NumPy shares the tensor's memory and knows nothing of autograd, so operations on the array would be missing
        from the graph. PyTorch refuses until the tensor is detached.
        """,
        ko="""
        NumPy 배열은 텐서와 메모리를 공유하지만 autograd를 모르므로, 배열에서 한 연산은 그래프에 남지 않습니다.
        그래서 PyTorch는 그래프에서 떼어 낼 때까지 변환을 거부합니다.
        """,
    ),
    help=Text(
        en="Take it out of the graph first: `.detach().cpu().numpy()`; for a single number `.item()`.",
        ko="먼저 그래프에서 떼어 내세요: `.detach().cpu().numpy()`. 숫자 하나라면 `.item()`을 쓰세요.",
    ),
    lesson=Text(
        en="""
        The chain is always the same, in this order: `.detach()` leaves the graph, `.cpu()` leaves the GPU, `.numpy()`
        shares the memory. `np.array(…)`, scikit-learn and matplotlib call `.numpy()` on tensors behind your back.
        Under `torch.no_grad()` results need no `.detach()`, parameters still do. Numbers for a log go through
        `.item()`, which also keeps the graph from being kept alive. To find it by hand, print `x.requires_grad`,
        `x.device` and `x.dtype` before the failing line.
        """,
        ko="""
        순서는 언제나 같습니다. `.detach()`로 그래프에서, `.cpu()`로 GPU에서 나온 다음 `.numpy()`로 메모리를 공유합니다.
        `np.array(…)`, scikit-learn, matplotlib도 보이지 않는 곳에서 텐서의 `.numpy()`를 호출합니다.
        `torch.no_grad()` 안의 결과에는 `.detach()`가 필요 없지만 파라미터에는 필요합니다. 기록할 숫자에는 `.item()`을
        쓰세요. 그래프가 메모리에 남는 일도 막아 줍니다. 직접 찾으려면 실패한 줄 앞에서 `x.requires_grad`,
        `x.device`, `x.dtype`를 출력해 보세요.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    model = nn.Linear(4, 1)
    predictions = model(torch.ones(8, 4))
    values = predictions.squeeze(1).numpy()
    print(values.mean())
    """,
    good="""
    import torch
    from torch import nn

    model = nn.Linear(4, 1)
    predictions = model(torch.ones(8, 4))
    values = predictions.squeeze(1).detach().numpy()
    print(values.mean())
    """,
    messages=(
        "Can't call numpy() on Tensor that requires grad",
        "Can't call numpy() on Variable that requires grad",
    ),
    variants=(
        Variant(
            "device",
            Text(
                en="a tensor on {device} is converted to NumPy, which reads only CPU memory",
                ko="{device} 장치의 텐서를 CPU 메모리만 읽는 NumPy 배열로 바꿉니다",
            ),
            why=Text(
                en="A NumPy array lives in CPU memory. Copying from {device} waits for it, so PyTorch wants it said.",
                ko="NumPy 배열은 CPU 메모리에 있습니다. {device} 장치에서 복사하면 기다려야 하므로 PyTorch는 명시를 요구합니다.",
            ),
            help=Text(
                en="Copy it to the CPU first: `.cpu().numpy()`, after `.detach()` if it requires grad.",
                ko="먼저 CPU로 복사하세요: `.cpu().numpy()`. 기울기를 추적하면 그 앞에 `.detach()`를 쓰세요.",
            ),
            messages=(
                "can't convert {device:word} device type tensor to numpy",
                "can't convert {device} device type tensor to numpy. Use Tensor.cpu()",
                "can't convert {device:word} tensor to numpy. Use Tensor.cpu() to copy",
                "can't convert {device:word} tensor to numpy (it doesn't support GPU arrays)",
            ),
        ),
        Variant(
            "dtype",
            Text(
                en="a tensor of {dtype} is converted to NumPy, which has no such type",
                ko="NumPy에 없는 {dtype} 형식의 텐서를 배열로 바꿉니다",
            ),
            why=Text(
                en="NumPy has no 16-bit brain float. Under `torch.autocast` results come out in that type.",
                ko="NumPy에는 16비트 brain float 형식이 없습니다. `torch.autocast` 안의 결과는 이 형식으로 나옵니다.",
            ),
            help=Text(
                en="Convert to float32 first: `.float().cpu().numpy()`.",
                ko="먼저 float32 형식으로 바꾸세요: `.float().cpu().numpy()`.",
            ),
            messages=("Got unsupported ScalarType {dtype:word}",),
        ),
        Variant(
            "bit",
            Text(
                en="a tensor with its {bit} bit set is converted to NumPy",
                ko="{bit} 비트가 켜진 텐서를 NumPy 배열로 바꿉니다",
            ),
            why=Text(
                en="`conj()` and some negations are lazy: a bit is set and the memory stays as it was.",
                ko="`conj()`와 일부 부호 반전은 메모리는 그대로 두고 비트만 켜는 지연 연산입니다.",
            ),
            help=Text(
                en="Carry it out first: `.resolve_conj().numpy()` or `.resolve_neg().numpy()`.",
                ko="먼저 실제로 계산하세요: `.resolve_conj().numpy()` 또는 `.resolve_neg().numpy()`.",
            ),
            messages=("Can't call numpy() on Tensor that has {bit:word} bit set",),
        ),
        Variant(
            "layout",
            Text(
                en="a tensor of layout {layout} is converted to NumPy, which has dense arrays only",
                ko="{layout} 텐서를 밀집 배열만 있는 NumPy 배열로 바꿉니다",
            ),
            why=Text(
                en="A sparse tensor stores indices and values; a NumPy array stores every element.",
                ko="희소 텐서는 인덱스와 값만 저장하고 NumPy 배열은 모든 원소를 저장합니다.",
            ),
            help=Text(
                en="Make it dense first: `.to_dense().numpy()`.",
                ko="먼저 밀집 텐서로 바꾸세요: `.to_dense().numpy()`.",
            ),
            messages=("can't convert {layout:word} layout tensor to numpy",),
        ),
    ),
    says=(
        "RuntimeError: Can't call numpy() on Variable that requires grad. Use var.detach().numpy() instead.",
        "TypeError: can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
        "memory first.",
        "TypeError: can't convert CUDA tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first.",
        "TypeError: can't convert mps:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
        "memory first.",
        "TypeError: Got unsupported ScalarType BFloat16",
        "RuntimeError: Can't call numpy() on Tensor that has conjugate bit set. Use tensor.resolve_conj().numpy() "
        "instead.",
        "TypeError: can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.",
    ),
    search=(
        "can't call numpy() on tensor that requires grad",
        "can't convert cuda device type tensor to numpy",
        "got unsupported ScalarType BFloat16",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.Tensor.numpy.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html",
    ),
)

_INSERT = Text(en="insert `{text}`", ko="`{text}` 넣기")
_ITEM = Text(
    en="keep the number, not the tensor: `{text}`", ko="텐서 대신 숫자만 보관하기: `{text}`"
)
_VALUE = Text(
    en="`{code}` is {dtype} {shape} on {device}{grad}",
    ko="`{code}` 텐서: {dtype} {shape}, 장치 {device}{grad}",
)
_STEPS = {"dtype": ".float()", "device": ".cpu()", "layout": ".to_dense()", "": ".detach()"}


@rule.on(Failure)
def array_is_refused(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    at, evidence, fixes = failure.raised_at, tuple[Evidence, ...](), tuple[Fix, ...]()
    found = failing_call(failure)
    if found is not None and (failure.is_live or _same_line(found[0], found[1])):
        source, frame, call = found
        step = _STEPS.get(reading.variant.name)
        if step is None:
            step = ".resolve_neg()" if "neg" in str(reading.facts["bit"]) else ".resolve_conj()"
        at, evidence, fixes = _change(failure, source, frame, call, step) or (at, evidence, fixes)
    yield Diagnosis(
        rule,
        at,
        reading.facts,
        evidence,
        fixes,
        variant=reading.variant if reading.variant.name else None,
        raised_at=failure.raised_at,
    )


def _same_line(source: Source, frame: Frame) -> bool:
    return source.line(frame.at.line).strip() == frame.code.strip()


Change = tuple[Span, tuple[Evidence, ...], tuple[Fix, ...]]


def _change(
    failure: Failure, source: Source, frame: Frame, call: ast.Call, step: str
) -> Change | None:
    numpy = [
        c
        for c in ast.walk(call)
        if isinstance(c, ast.Call) and isinstance(c.func, ast.Attribute) and c.func.attr == "numpy"
    ]
    if len(numpy) == 1 and isinstance(numpy[0].func, ast.Attribute):
        receiver = numpy[0].func.value
        edit = _inserted(source, receiver, step)
        facts = _seen(source, frame, receiver)
        fix = Fix((edit,), _INSERT.fill(text=edit.text), safe=True)
        return source.span(numpy[0]), facts, (fix,)
    for argument in (*call.args, *(k.value for k in call.keywords)):
        value = value_of(frame, source, argument)
        if value is None or not any(_is_refused(t) for t in value.tensors()):
            continue
        if value.tensor is None:
            return _collected(failure, Passed(source, frame, call, argument), value)
        return _handed_over(source, frame, argument, value.tensor)
    return None


def _is_refused(tensor: Tensor) -> bool:
    return tensor.library == "torch" and (
        tensor.requires_grad or (tensor.device or "cpu") != "cpu" or tensor.dtype == "bfloat16"
    )


def _inserted(source: Source, receiver: ast.expr, step: str) -> Edit:
    """`.detach()` goes before a `.cpu()` that is there already; everything else right before `.numpy()`."""
    if (
        step in (".detach()", ".float()")
        and isinstance(receiver, ast.Call)
        and isinstance(receiver.func, ast.Attribute)
        and receiver.func.attr in ("cpu", "to")
    ):
        return source.insert_after(receiver.func.value, step)
    return source.insert_after(receiver, step)


def _seen(source: Source, frame: Frame, node: ast.expr) -> tuple[Evidence, ...]:
    value = value_of(frame, source, node)
    tensor = value.tensor if value else None
    if tensor is None:
        return ()
    grad = (
        Text(en=", requires grad", ko=", requires grad") if tensor.requires_grad else Text("", "")
    )
    text = _VALUE.fill(
        code=source.code(node),
        dtype=tensor.dtype,
        shape=show_value(list(tensor.shape)),
        device=tensor.device or "cpu",
        grad=grad.en,
    )
    return (Evidence(text, source.span(node)),)


def _chain(tensor: Tensor) -> str:
    steps = [
        ".detach()" if tensor.requires_grad else "",
        ".float()" if tensor.dtype == "bfloat16" else "",
        ".cpu()" if not tensor.device.startswith("cpu") else "",
    ]
    return "".join(steps) + ".numpy()"


def _handed_over(source: Source, frame: Frame, argument: ast.expr, tensor: Tensor) -> Change:
    """A tensor handed to a function of NumPy, scikit-learn or matplotlib: converted where it is made, or there."""
    evidence = _seen(source, frame, argument)
    use = source.insert_after(argument, _chain(tensor))
    fixes = [Fix((use,), _INSERT.fill(text=_chain(tensor)), safe=True)]
    at = source.span(argument)
    scope = source.function_of(argument)
    if isinstance(argument, ast.Name) and scope is not None:
        values = [
            n.value
            for n in ast.walk(scope)
            if isinstance(n, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == argument.id for t in n.targets)
        ]
        uses = [n for n in ast.walk(scope) if isinstance(n, ast.Name) and n.id == argument.id]
        statement = source.statement(argument)
        inside = [n for n in ast.walk(statement) if isinstance(n, ast.Name) and n.id == argument.id]
        if len(values) == 1 and len(inside) > 1 and len(uses) == len(inside) + 1:
            made = source.insert_after(values[0], _chain(tensor))
            fixes.insert(0, Fix((made,), _INSERT.fill(text=_chain(tensor)), safe=True))
            at = source.span(values[0])
    return at, evidence, tuple(fixes)


def _collected(failure: Failure, passed: Passed, value: Value) -> Change | None:
    """A list of tensors: converted where its elements are appended or made, in this function or a caller."""
    tensor = next(value.tensors())
    text = ".item()" if not tensor.shape else _chain(tensor)
    for origin in passed.origins(failure):
        elements = _appended(origin.source, origin.node)
        if elements:
            edits = tuple(_behind(origin.source, element, text) for element in elements)
            title = (_ITEM if text == ".item()" else _INSERT).fill(text=text)
            return origin.source.span(elements[0]), (), (Fix(edits, title),)
    return None


def _appended(source: Source, node: ast.expr) -> list[ast.expr]:
    """What is put into the list that this expression stands for, in its own function."""
    found = _elements(node)
    if not isinstance(node, (ast.Name, ast.Attribute)):
        return found
    name = source.code(node)
    for other in ast.walk(source.function_of(node) or source.tree):
        if isinstance(other, ast.Call) and source.code(other.func) == f"{name}.append":
            found += other.args[:1]
        elif isinstance(other, ast.Assign) and any(source.code(t) == name for t in other.targets):
            found += _elements(other.value)
    return found


def _elements(node: ast.expr) -> list[ast.expr]:
    """The expressions that a list display or comprehension is made of."""
    if isinstance(node, ast.ListComp):
        return [node.elt]
    return list(node.elts) if isinstance(node, ast.List) else []


def _behind(source: Source, node: ast.expr, text: str) -> Edit:
    if isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript)):
        return source.insert_after(node, text)
    return source.replace(node, f"({source.code(node)}){text}")
