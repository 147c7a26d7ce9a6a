from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Failure, Source
from torchmedic.observed.project import Project
from torchmedic.observed.scopes import is_module
from torchmedic.rules._place import answer, method_call, removed, user_frames

rule = Rule(
    code="TM314",
    name="inplace-changes-saved-tensor",
    severity=Severity.ERROR,
    summary=Text(
        en="A tensor that backward needs is changed in place after the forward pass saved it.",
        ko="순전파가 저장해 둔, 역전파에 필요한 텐서를 제자리(in-place)에서 바꿉니다.",
    ),
    title=Text(
        en="a tensor that backward needs was changed in place",
        ko="역전파에 필요한 텐서를 제자리에서 바꿨습니다",
    ),
    why=Text(
        en="""
        Autograd keeps some inputs and outputs for the derivative: the output of sigmoid, tanh, exp and ReLU, the
        factors of a product, the weights of a layer. Each tensor counts its changes; if the count has moved on, the
        saved value is gone.
        """,
        ko="""
        autograd는 미분에 쓸 값을 보관합니다. sigmoid, tanh, exp, ReLU의 출력, 곱셈의 인수, 층의 가중치 같은 것입니다.
        텐서마다 변경 횟수를 세는데, 그 수가 달라졌다면 저장한 값은 이미 없습니다.
        """,
    ),
    help=Text(
        en="Write a new tensor instead: `x = x + y` for `x += y`, `relu` for `relu_`, `inplace=False`, or `x.clone()`.",
        ko="새 텐서를 만드세요: `x += y` 대신 `x = x + y`, `relu_` 대신 `relu`, `inplace=False`, 또는 `x.clone()`.",
    ),
    lesson=Text(
        en="""
        The message names the operation that saved the tensor ("output 0 of SigmoidBackward0"), not the one that
        changed it: look for `+=`, `x[…] = …`, names ending in `_` and `inplace=True` after it. With
        `torch.autograd.set_detect_anomaly(True)` the forward line is printed too. With two networks, call every
        `backward()` before the first `step()` that changes shared weights, since a step changes them in place.
        """,
        ko="""
        메시지는 텐서를 저장한 연산("output 0 of SigmoidBackward0")을 말할 뿐 바꾼 연산을 말하지 않습니다. 그 뒤에서
        `+=`, `x[…] = …`, `_`로 끝나는 이름, `inplace=True`를 찾으세요. `torch.autograd.set_detect_anomaly(True)`를
        쓰면 순전파 줄도 출력됩니다. 신경망이 둘이면 함께 쓰는 가중치를 바꾸는 첫 `step()`보다 앞에서 `backward()`를 모두
        호출하세요. step도 제자리 변경입니다.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    model = nn.Linear(4, 2)
    out = torch.sigmoid(model(torch.ones(8, 4)))
    out += 1
    loss = out.mean()
    loss.backward()
    """,
    good="""
    import torch
    from torch import nn

    model = nn.Linear(4, 2)
    out = torch.sigmoid(model(torch.ones(8, 4)))
    out = out + 1
    loss = out.mean()
    loss.backward()
    """,
    messages=(
        "one of the variables needed for gradient computation has been modified by an inplace operation",
    ),
    variants=(
        Variant(
            "known",
            Text(
                en="`{code}` changes in place what the backward of `{operation}` needs",
                ko="`{operation}` 연산의 역전파에 필요한 값을 `{code}` 코드가 제자리에서 바꿉니다",
            ),
        ),
        Variant(
            "step",
            Text(
                en="`{code}` changes weights that the next `backward()` needs",
                ko="`{code}` 호출이 다음 `backward()`에 필요한 가중치를 바꿉니다",
            ),
            why=Text(
                en="An optimizer's step writes into the weights in place; a graph made before it holds the old ones.",
                ko="옵티마이저의 step은 가중치를 제자리에서 바꿉니다. 그 전에 만든 그래프는 예전 가중치를 필요로 합니다.",
            ),
            help=Text(
                en="Call every `backward()` first and step afterwards, or run the forward pass again after the step.",
                ko="`backward()`를 모두 호출한 다음 step을 하거나, step 뒤에 순전파를 다시 실행하세요.",
            ),
        ),
        Variant(
            "view",
            Text(
                en="a view that came with others of one tensor is changed in place",
                ko="한 텐서에서 함께 나온 여러 뷰 가운데 하나를 제자리에서 바꿉니다",
            ),
            messages=(
                "is a view and is being modified inplace. This view is the output of a function that returns multiple "
                "views",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn

        model = nn.Linear(4, 2)
        out = model(torch.ones(8, 4))
        out += 1
        out.mean().backward()
        """,
    ),
    says=(
        "RuntimeError: one of the variables needed for gradient computation has been modified by an inplace operation",
        "RuntimeError: one of the variables needed for gradient computation has been modified by an inplace "
        "operation: [torch.cuda.FloatTensor [64, 128]], which is output 0 of ReluBackward0, is at version 2; expected "
        "version 1 instead.",
        "RuntimeError: Output 0 of UnbindBackward is a view and is being modified inplace. This view is the output of "
        "a function that returns multiple views. Such functions do not allow the output views to be modified inplace.",
    ),
    search=(
        "variables needed for gradient computation has been modified by an inplace operation",
        "which is output 0 of is at version expected version instead",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/notes/autograd.html#in-place-correctness-checks",
        "https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.set_detect_anomaly",
    ),
)

_INSTEAD = Text(en="make a new tensor: `{text}`", ko="새 텐서 만들기: `{text}`")
_LATER = Text(
    en="move `{code}` behind the last `backward()`",
    ko="`{code}` 호출을 마지막 `backward()` 뒤로 옮기기",
)
_COPY = Text(en="change a copy: `{text}`", ko="복사본을 바꾸기: `{text}`")
_NEEDS = Text(
    en="the backward of `{node}` needs the tensor that was changed",
    ko="`{node}` 연산의 역전파가 바뀐 텐서를 필요로 합니다",
)
_SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
    ast.MatMult: "@",
    ast.FloorDiv: "//",
}
_LOOSE = (ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Lambda)  # need parentheses
_HARMLESS = ("zero_", "backward_", "requires_grad_", "retain_grad_", "detach_", "share_memory_")


class Change(NamedTuple):
    """An operation in place, the name that it changes, and the code that does without."""

    source: Source
    node: ast.expr | ast.stmt | ast.keyword
    name: str
    fix: Fix


@rule.on(Failure)
def saved_is_changed(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    node = _operation(failure)
    evidence = (Evidence(_NEEDS.fill(node=node)),) if node else ()
    stepped = _step(failure)
    if stepped is not None:
        reading = reading._replace(variant=rule.variant("step"))
        at, fix, code = stepped
        yield answer(rule, failure, reading, at, (fix,), evidence, code=code)
        return
    change = _certain(failure, node)
    if change is None:
        yield answer(rule, failure, reading, evidence=evidence)
        return
    code = " ".join(change.source.code(change.node).split())
    at = change.source.span(change.node)
    if node and not reading.variant.name:
        reading = reading._replace(variant=rule.variant("known"))
    yield answer(
        rule, failure, reading, at, (change.fix,), evidence, code=code, operation=_short(node)
    )


def _step(failure: Failure) -> tuple[Span, Fix, str] | None:
    """`optimizer.step()` between an earlier `backward()` of the same block and the one that failed."""
    found = method_call(failure, "backward")
    if found is None:
        return None
    source, _, call = found
    statement = source.statement(call)
    block = getattr(source.parent(statement), "body", [])
    before = block[: block.index(statement)] if statement in block else []
    step: ast.stmt | None = None
    for item in reversed(before):
        value = item.value if isinstance(item, ast.Expr) else None
        name = ast.unparse(value.func).rpartition(".")[2] if isinstance(value, ast.Call) else ""
        if name == "step" and step is None:
            step = item
        elif name == "backward" and step is not None:
            last = statement.end_lineno or statement.lineno
            if last >= len(source.lines):
                return None
            here = source.line(step.lineno)[: step.col_offset]
            code = source.code(step)
            moved = Edit(Span(source.path, last + 1, 0, last + 1, 0), f"{here}{code}\n")
            fix = Fix((removed(source, step), moved), _LATER.fill(code=code))
            return source.span(step), fix, code
    return None


def _operation(failure: Failure) -> str:
    if failure.culprits:
        return failure.culprits[0].node
    found = re.search(r"which is output \d+ of (\w+)", failure.message)
    return found[1] if found else ""


def _short(node: str) -> str:
    """`sigmoid` of "SigmoidBackward0"."""
    return re.sub(r"(?:Backward\d*)+$", "", node).lower()


def _certain(failure: Failure, node: str) -> Change | None:
    """The one operation in place in the user's files that can have done it."""
    sources = [source for source, _ in user_frames(failure)][:1]
    if not sources:
        return None
    found = [c for source in Project(failure).sources() for c in _changes(source)]
    values = failure.user_frame.values if failure.user_frame else {}
    found = [
        c
        for c in found
        if c.source is not sources[0]
        or c.name not in values
        or values[c.name].tensor is not None
        or c.source.function_of(c.node) is not None
    ]
    word = _short(node).strip("_")
    named = [c for c in found if word and word in _made_by(c).lower().replace("_", "")]
    chosen = named if len(named) == 1 else found
    return chosen[0] if len(chosen) == 1 else None


def _made_by(change: Change) -> str:
    """The text of what the changed name was assigned, before the change, in the same function."""
    scope = change.source.function_of(change.node) or change.source.tree
    values = [
        change.source.code(n.value)
        for n in ast.walk(scope)
        if isinstance(n, ast.Assign)
        and n.lineno < change.source.statement(change.node).lineno
        and any(isinstance(t, ast.Name) and t.id == change.name for t in n.targets)
    ]
    return values[-1] if values else ""


def _changes(source: Source) -> Iterator[Change]:
    for augmented in source.nodes(ast.AugAssign):
        sign = _SIGNS.get(type(augmented.op))
        target = augmented.target
        is_count = isinstance(augmented.value, ast.Constant) and not _is_tensor(source, augmented)
        if (
            sign is None
            or is_count
            or _is_logged(augmented.value)
            or _unrecorded(source, augmented)
        ):
            continue
        name = source.code(target)
        if isinstance(target, ast.Subscript):
            yield from _copied(source, augmented, target)
            continue
        value = source.code(augmented.value)
        is_sum = sign == "+" and isinstance(augmented.value, ast.BinOp)
        if isinstance(augmented.value, _LOOSE) and not is_sum:
            value = f"({value})"
        text = f"{name} = {name} {sign} {value}"
        fix = Fix((source.replace(augmented, text),), _INSTEAD.fill(text=text))
        yield Change(source, augmented, name, fix)
    for assign in source.nodes(ast.Assign):
        first = assign.targets[0]
        if not isinstance(first, ast.Subscript) or _unrecorded(source, assign):
            continue
        if _is_tensor(source, assign, ast.unparse(first.value)):
            yield from _copied(source, assign, first)
    for call in source.nodes(ast.Call):
        if _unrecorded(source, call):
            continue
        yield from _called(source, call)


def _copied(source: Source, statement: ast.stmt, target: ast.Subscript) -> Iterator[Change]:
    name = source.code(target.value)
    text = f"{name} = {name}.clone()"
    edit = source.insert_statement(statement, text)
    yield Change(source, statement, name, Fix((edit,), _COPY.fill(text=text)))


def _called(source: Source, call: ast.Call) -> Iterator[Change]:
    for keyword in call.keywords:
        if keyword.arg == "inplace" and ast.unparse(keyword.value) == "True":
            edit = source.replace(keyword.value, "False")
            name = source.code(call.args[0]) if call.args else ""
            yield Change(source, call, name, Fix((edit,), _INSTEAD.fill(text="inplace=False")))
    function = call.func
    if not isinstance(function, ast.Attribute) or not function.attr.endswith("_"):
        return
    if function.attr.endswith("__") or function.attr in _HARMLESS:
        return
    full = source.name(function) or ""
    if full.startswith("torch.nn.init.") or "grad" in full or ".init." in full:
        return
    here = source.code(function)
    plain = here[:-1]
    name = source.code(function.value)
    if is_module(source, function.value):
        name = source.code(call.args[0]) if call.args else ""
    code = plain + source.code(call)[len(here) :]
    is_statement = isinstance(source.parent(call), ast.Expr)
    if is_statement and not name.isidentifier():
        return
    text = f"{name} = {code}" if is_statement else code
    fix = Fix((source.replace(call, text),), _INSTEAD.fill(text=text))
    yield Change(source, call, name, fix)


def _is_tensor(source: Source, statement: ast.stmt, name: str = "") -> bool:
    """True if the changed name was made by a call, not as a number or a container."""
    target = getattr(statement, "target", None)
    name = name or (target.id if isinstance(target, ast.Name) else "")
    scope = source.function_of(statement) or source.tree
    values = [
        n.value
        for n in ast.walk(scope)
        if isinstance(n, ast.Assign)
        and n.lineno < statement.lineno
        and any(isinstance(t, ast.Name) and t.id == name for t in n.targets)
    ]
    return bool(values) and isinstance(values[-1], (ast.Call, ast.BinOp, ast.Subscript))


def _is_logged(node: ast.expr) -> bool:
    """True for `loss.item()` and `len(batch)`: the sum is a number."""
    return any(
        isinstance(n, ast.Call)
        and ast.unparse(n.func).rpartition(".")[2] in ("item", "len", "size")
        for n in ast.walk(node)
    )


def _unrecorded(source: Source, node: ast.AST) -> bool:
    """True under `with torch.no_grad():`, where changes of parameters are meant."""
    for up in source.parents(node):
        items = up.items if isinstance(up, ast.With) else []
        marks = [ast.unparse(i.context_expr) for i in items]
        if isinstance(up, (ast.FunctionDef, ast.AsyncFunctionDef)):
            marks += [ast.unparse(d) for d in up.decorator_list]
        if any("no_grad" in m or "inference_mode" in m for m in marks):
            return True
    return False
