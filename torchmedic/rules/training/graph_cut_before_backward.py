from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from torchmedic.model import Diagnosis, Edit, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Failure, Frame, Source
from torchmedic.observed.origin import origins
from torchmedic.observed.project import Project
from torchmedic.observed.scopes import binding, is_module, parameters, passed, returned
from torchmedic.rules._place import answer, method_call, receiver, shifted, without

rule = Rule(
    code="TM311",
    name="graph-cut-before-backward",
    severity=Severity.ERROR,
    summary=Text(
        en="`backward()` is called on a value that has lost its graph on the way.",
        ko="가는 길에 그래프가 끊긴 값에 `backward()`를 호출합니다.",
    ),
    title=Text(
        en="the loss has no graph: nothing it was computed from requires grad",
        ko="손실에 그래프가 없습니다: 손실을 계산한 값 가운데 기울기를 추적하는 것이 없습니다",
    ),
    why=Text(
        en="""
        Autograd records operations on tensors that require grad. A number, a new tensor, an argmax, a detached tensor
        or work under `no_grad` has no record, so there is no way back to the parameters.
        """,
        ko="""
        autograd는 기울기를 추적하는 텐서의 연산을 기록합니다. 파이썬 숫자, 새로 만든 텐서, argmax, 떼어 낸(detach) 텐서,
        `no_grad` 안에서 한 계산에는 기록이 없어 파라미터까지 되돌아갈 길이 없습니다.
        """,
    ),
    help=Text(
        en="Compute the loss from the model's output by differentiable operations only, and detach copies for logging.",
        ko="모델 출력에서 손실까지 미분할 수 있는 연산만 쓰고, 기록용 값은 따로 떼어 내세요.",
    ),
    lesson=Text(
        en="""
        Print `.grad_fn` at each step from the output to the loss: the first `None` is behind the cut. Never set
        `requires_grad_(True)` on the loss: `backward` then runs and no parameter gets a gradient. `.item()`,
        `.detach()` and `.data` belong in logging lines, `torch.tensor(x)` around data only. `argmax` and comparisons
        measure accuracy and can't be a loss.
        """,
        ko="""
        출력에서 손실까지 단계마다 `.grad_fn`을 출력하세요. 처음 `None`이 나오는 곳 바로 앞에서 끊겼습니다. 손실에
        `requires_grad_(True)`를 붙이면 안 됩니다. `backward`는 실행되지만 어떤 파라미터도 기울기를 얻지 못합니다.
        `.item()`, `.detach()`, `.data`는 기록하는 줄에만, `torch.tensor(x)`는 데이터에만 쓰세요. `argmax`와 비교는
        정확도를 재는 연산이며 손실이 될 수 없습니다.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    model = nn.Linear(4, 1)
    inputs, targets = torch.ones(8, 4), torch.ones(8, 1)
    predictions = model(inputs).detach()
    loss = nn.functional.mse_loss(predictions, targets)
    loss.backward()
    """,
    good="""
    import torch
    from torch import nn

    model = nn.Linear(4, 1)
    inputs, targets = torch.ones(8, 4), torch.ones(8, 1)
    predictions = model(inputs)
    loss = nn.functional.mse_loss(predictions, targets)
    loss.backward()
    """,
    messages=(
        "of tensors does not require grad and does not have a grad_fn",
        "element 0 of variables does not require grad and does not have a grad_fn",
        "element 0 of variables tuple is volatile",
    ),
    variants=(
        Variant(
            "cut",
            Text(
                en="the loss has no graph: `{code}` cuts it off",
                ko="손실에 그래프가 없습니다: `{code}` 부분에서 끊깁니다",
            ),
        ),
        Variant(
            "no_grad",
            Text(
                en="the loss has no graph: it is computed under `{code}`",
                ko="손실에 그래프가 없습니다: `{code}` 안에서 계산합니다",
            ),
        ),
        Variant(
            "frozen",
            Text(
                en="the loss has no graph: every parameter on its way is frozen",
                ko="손실에 그래프가 없습니다: 지나온 파라미터가 모두 고정되어 있습니다",
            ),
            help=Text(
                en="Freeze only the part that has to stay, and make the new layers after freezing.",
                ko="바뀌지 않아야 할 부분만 고정하고, 새 층은 고정한 다음에 만드세요.",
            ),
        ),
        Variant(
            "number",
            Text(
                en="`backward()` is called on a Python number, not on a tensor",
                ko="텐서가 아니라 파이썬 숫자에 `backward()`를 호출합니다",
            ),
            messages=(
                "'float' object has no attribute 'backward'",
                "'int' object has no attribute 'backward'",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch import nn

        model = nn.Linear(4, 1)
        history = []
        loss = model(torch.ones(8, 4)).mean()
        history.append(loss.item())
        with torch.no_grad():
            history.append(model(torch.ones(8, 4)).mean())
        loss.backward()
        """,
    ),
    says=(
        "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn",
        "RuntimeError: element 0 of variables does not require grad and does not have a grad_fn",
    ),
    search=(
        "element 0 of tensors does not require grad and does not have a grad_fn",
        "loss does not require grad detach item argmax",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/notes/autograd.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html",
    ),
)

_LEAVE_OUT = Text(en="leave out `{text}`", ko="`{text}` 빼기")
_KEEP = Text(en="keep the tensor itself: `{text}`", ko="텐서를 그대로 쓰기: `{text}`")
_OUTSIDE = Text(en="compute it outside of `{code}`", ko="`{code}` 밖에서 계산하기")
_METHODS = (
    "item",
    "detach",
    "detach_",
    "numpy",
    "tolist",
    "argmax",
    "argmin",
    "long",
    "int",
    "bool",
)
_NEW = ("tensor", "as_tensor", "from_numpy", "Tensor", "FloatTensor", "LongTensor", "Variable")
_GUARDS = ("no_grad", "inference_mode")


class Cut(NamedTuple):
    """The expression behind which no graph is left. `kind`: "cut" or "no_grad"."""

    source: Source
    node: ast.expr
    kind: str
    statement: ast.With | None = None
    collected: ast.Call | None = None  # the `torch.tensor(losses)` of a list


@rule.on(Failure)
def graph_is_cut(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    found = method_call(failure, "backward", "grad")
    cut = None
    if found is not None:
        source, frame, call = found
        loss = receiver(call)
        if loss is None or is_module(source, loss):
            loss = call.args[0] if call.args else None
        if loss is not None:
            cut = _Search(failure, frame).cut(source, loss, 20)
    if cut is None:
        frozen = _frozen(failure)
        if frozen is not None:
            reading = reading._replace(variant=rule.variant("frozen"))
        yield answer(rule, failure, reading, frozen)
        return
    at, fixes = cut.source.span(cut.node), _fixes(cut)
    if not reading.variant.name:
        reading = reading._replace(variant=rule.variant(cut.kind))
    code = " ".join(cut.source.code(cut.node).split())
    yield answer(rule, failure, reading, at, fixes, code=code)


def _frozen(failure: Failure) -> Span | None:
    """The one place in the project that turns gradients off."""
    found = list[Span]()
    for source in Project(failure).sources():
        for assign in source.nodes(ast.Assign):
            target, value = assign.targets[0], assign.value
            is_flag = isinstance(target, ast.Attribute) and target.attr == "requires_grad"
            if is_flag and isinstance(value, ast.Constant) and value.value is False:
                found.append(source.span(assign))
        for call in source.calls(".requires_grad_", "torch.set_grad_enabled", ".set_grad_enabled"):
            if call.args and ast.unparse(call.args[0]) == "False":
                found.append(source.span(call))
    return found[0] if len(found) == 1 and failure.is_live else None


class _Search:
    """Walks from the loss back to the model: the predictions of a call, not its labels."""

    def __init__(self, failure: Failure, frame: Frame) -> None:
        self.failure, self.frame = failure, frame
        self.project = Project(failure)
        self.seen: set[int] = set()

    def cut(self, source: Source, node: ast.expr, depth: int) -> Cut | None:
        if depth == 0 or id(node) in self.seen:
            return None
        self.seen.add(id(node))
        if _is_cut(source, node):
            return self._appended(source, node) or Cut(source, node, "cut")
        for step_source, step in self._next(source, node):
            found = _guarded(step_source, step, node) or self.cut(step_source, step, depth - 1)
            if found is not None:
                return found
        return None

    def _appended(self, source: Source, node: ast.expr) -> Cut | None:
        """The numbers in a list of which `torch.tensor(losses)` makes a new tensor."""
        value = node.args[0] if isinstance(node, ast.Call) and len(node.args) == 1 else None
        if not isinstance(value, ast.Name) or not isinstance(node, ast.Call):
            return None
        for call in source.calls(".append"):
            if source.code(call.func) == f"{value.id}.append" and call.args:
                item = call.args[0]
                return Cut(source, item, "cut", None, node) if _is_cut(source, item) else None
        return None

    def _next(self, source: Source, node: ast.expr) -> Iterator[tuple[Source, ast.expr]]:
        if isinstance(node, ast.Name):
            yield from self._bound(source, node)
        elif isinstance(node, ast.Call):
            yield from self._called(source, node)
        elif isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
            yield source, node.value
        elif isinstance(node, ast.BinOp):
            yield source, node.left
            yield source, node.right
        elif isinstance(node, ast.UnaryOp):
            yield source, node.operand
        elif isinstance(node, (ast.Tuple, ast.List)):
            yield from ((source, item) for item in node.elts)
        elif isinstance(node, ast.IfExp):
            yield source, node.body

    def _bound(self, source: Source, node: ast.Name) -> Iterator[tuple[Source, ast.expr]]:
        scope = source.function_of(node)
        found = binding(source, scope or source.tree, node)
        if found is not None:
            value, path, iterated = found
            if isinstance(value, ast.Tuple) and path and isinstance(path[0], int):
                value = value.elts[path[0]] if path[0] < len(value.elts) else value
            if not iterated:
                yield source, value
            for added in source.nodes(ast.AugAssign):
                if ast.unparse(added.target) == node.id and source.function_of(added) is scope:
                    yield source, added.value
        elif scope is not None and node.id in parameters(scope):
            for frame in reversed(self.failure.frames):
                other = self.failure.source(frame.at) if frame.is_user else None
                call = other.at(frame.at, ast.Call) if other and frame.at.end_line else None
                given = passed(source, scope, node.id, call, other) if call and other else None
                if given is not None and other is not None:
                    yield other, given[0]
                    return

    def _called(self, source: Source, call: ast.Call) -> Iterator[tuple[Source, ast.expr]]:
        name = source.name(call.func)
        defined = self.project.definition(source, name) if name else None
        if defined is not None and not isinstance(defined.node, ast.ClassDef):
            for value in returned(defined.node)[:1]:
                yield defined.source, value
        elif isinstance(call.func, ast.Name) and defined is None:
            yield from self._forward(source, call.func)
        arguments = [a for a in call.args if not isinstance(a, ast.Starred)]
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        is_method = owner is not None and not is_module(source, owner)
        if owner is not None and is_method and ast.unparse(owner) not in ("self", "super()"):
            yield source, owner
        if arguments:
            yield source, arguments[0]

    def _forward(self, source: Source, function: ast.expr) -> Iterator[tuple[Source, ast.expr]]:
        for origin in origins(self.failure, self.frame, function, source):
            name = origin.source.name(origin.node.func) if isinstance(origin.node, ast.Call) else ""
            owner = self.project.definition(origin.source, name) if name else None
            if owner is not None and isinstance(owner.node, ast.ClassDef):
                forward = owner.source.method(owner.node, "forward")
                if forward is not None:
                    yield from ((owner.source, v) for v in returned(forward)[:1])
                return


def _is_cut(source: Source, node: ast.expr) -> bool:
    if isinstance(node, ast.Compare):
        return True
    if isinstance(node, ast.Attribute):
        return node.attr == "data" and ast.unparse(node.value) not in ("self", "cls")
    if not isinstance(node, ast.Call):
        return False
    name = source.name(node.func) or ""
    last = name.rpartition(".")[2]
    if isinstance(node.func, ast.Attribute) and not is_module(source, node.func.value):
        return node.func.attr in _METHODS
    if name.startswith("torch.") and last in ("argmax", "argmin"):
        return True
    is_new = name.startswith("torch.") and last in _NEW
    return is_new and bool(node.args) and not _is_data(node.args[0])


def _is_data(node: ast.expr) -> bool:
    """True for literals, from which a tensor has to be made."""
    return all(
        isinstance(
            n, (ast.Constant, ast.List, ast.Tuple, ast.UnaryOp, ast.unaryop, ast.expr_context)
        )
        for n in ast.walk(node)
    )


def _guarded(source: Source, value: ast.expr, use: ast.expr) -> Cut | None:
    """The `with torch.no_grad():` or decorator around a value, if the use is outside of it."""
    outside = set(map(id, source.parents(use)))
    for up in source.parents(value):
        if isinstance(up, ast.With) and id(up) not in outside:
            for item in up.items:
                if _is_guard(source, item.context_expr):
                    return Cut(source, item.context_expr, "no_grad", up)
        if isinstance(up, (ast.FunctionDef, ast.AsyncFunctionDef)) and id(up) not in outside:
            for decorator in up.decorator_list:
                if _is_guard(source, decorator):
                    return Cut(source, decorator, "no_grad")
    return None


def _is_guard(source: Source, node: ast.expr) -> bool:
    function = node.func if isinstance(node, ast.Call) else node
    return (source.name(function) or "").rpartition(".")[2] in _GUARDS


def _fixes(cut: Cut) -> tuple[Fix, ...]:
    source, node = cut.source, cut.node
    if cut.kind == "no_grad":
        title = _OUTSIDE.fill(code=source.code(node))
        if cut.statement is None:
            line = source.span(node).line
            return (Fix((Edit(Span(source.path, line, 0, line + 1, 0), ""),), title),)
        body = cut.statement.body
        by = cut.statement.col_offset - body[0].col_offset
        edits = shifted(source, body[0].lineno, cut.statement.end_lineno or 0, by)
        if len(cut.statement.items) > 1 or body[0].lineno == cut.statement.lineno or not edits:
            return ()
        head = Edit(Span(source.path, cut.statement.lineno, 0, body[0].lineno, 0), "")
        return (Fix((head, *edits), title),)
    if isinstance(node, ast.Attribute):
        edit = without(source, node, node.value)
        return (Fix((edit,), _LEAVE_OUT.fill(text=".data")),)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if cut.collected is not None and not node.args:
            stack = source.replace(cut.collected.func, "torch.stack")
            title = _KEEP.fill(text=source.code(node.func.value))
            return (Fix((without(source, node, node.func.value), stack), title),)
        if node.func.attr in ("item", "detach", "detach_", "long", "int") and not node.args:
            edit = without(source, node, node.func.value)
            return (Fix((edit,), _LEAVE_OUT.fill(text=f".{node.func.attr}()")),)
        last = node.func.attr
        if last in _NEW and len(node.args) == 1:
            inner = node.args[0]
            while isinstance(inner, ast.Call) and not inner.args and _is_cut(source, inner):
                assert isinstance(inner.func, ast.Attribute)
                inner = inner.func.value
            text = source.code(inner)
            return (Fix((source.replace(node, text),), _KEEP.fill(text=text)),)
    return ()
