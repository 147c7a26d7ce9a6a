from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeGuard

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Text
from torchmedic.observed import Source
from torchmedic.observed.failure import Site
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._copies import deepcopied
from torchmedic.rules._run import called

Name = ast.Name | ast.Attribute
rule = Rule(
    code="TM218",
    name="best-state-aliased",
    severity=Severity.ERROR,
    summary=Text(
        en="A state dict that is kept without a copy changes with the model, so loading it restores nothing.",
        ko="복사하지 않고 간직한 state dict는 모델과 함께 바뀌므로, 다시 불러와도 되돌아가는 것이 없습니다.",
    ),
    title=Text(
        en="`{code}` is no copy: loading it undoes none of the steps since",
        ko="`{code}` 값은 사본이 아니어서, 불러와도 그 뒤의 갱신이 되돌려지지 않습니다",
    ),
    why=Text(
        en="""
        The tensors of `state_dict()` share their memory with the parameters. Each step of the optimizer writes into that
        memory, so the dict always holds the newest weights, and `load_state_dict` copies them onto themselves.
        """,
        ko="""
        `state_dict()`의 텐서는 파라미터와 메모리를 함께 씁니다. 옵티마이저는 갱신할 때마다 그 메모리에 쓰므로 dict에는 언제나
        가장 새로운 가중치가 들어 있고, `load_state_dict`는 그것을 자기 자신에게 복사합니다.
        """,
    ),
    help=Text(
        en="Keep a copy: `copy.deepcopy(model.state_dict())`.",
        ko="`copy.deepcopy(model.state_dict())`로 사본을 간직하세요.",
    ),
    lesson=Text(
        en="""
        `dict(state)`, `copy.copy(state)` and a comprehension over `state.items()` copy the dict and not its tensors.
        `.cpu()` copies only if the tensor is elsewhere; on the CPU it returns the same one. `torch.save` writes the
        values of the moment and is safe. To check: keep `model.weight.sum().item()` at the best epoch and compare it after
        loading.
        """,
        ko="""
        `dict(state)`, `copy.copy(state)`, `state.items()`를 도는 comprehension은 dict만 복사하고 텐서는 복사하지 않습니다.
        `.cpu()`는 텐서가 다른 장치에 있을 때만 복사하며, CPU에 있으면 같은 텐서를 돌려줍니다. `torch.save`는 그 순간의 값을
        쓰므로 안전합니다. 확인하려면 가장 좋은 에포크에서 `model.weight.sum().item()` 값을 적어 두고 불러온 뒤 비교하세요.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    torch.manual_seed(0)
    inputs, targets = torch.randn(16, 12), torch.randn(16, 1)
    model = nn.Linear(12, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    best, lowest = None, float("inf")
    for epoch in range(20):
        loss = nn.functional.mse_loss(model(inputs[:8]), targets[:8])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            error = nn.functional.mse_loss(model(inputs[8:]), targets[8:]).item()
        if error < lowest:
            best, lowest = model.state_dict(), error
    model.load_state_dict(best)
    """,
    good="""
    import copy
    import torch
    from torch import nn

    torch.manual_seed(0)
    inputs, targets = torch.randn(16, 12), torch.randn(16, 1)
    model = nn.Linear(12, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    best, lowest = None, float("inf")
    for epoch in range(20):
        loss = nn.functional.mse_loss(model(inputs[:8]), targets[:8])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            error = nn.functional.mse_loss(model(inputs[8:]), targets[8:]).item()
        if error < lowest:
            best, lowest = copy.deepcopy(model.state_dict()), error
    model.load_state_dict(best)
    """,
    innocent=(
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs = torch.randn(64, 4)
        online, target = nn.Linear(4, 1), nn.Linear(4, 1)
        state = online.state_dict()
        optimizer = torch.optim.SGD(online.parameters(), lr=0.05)
        for step in range(20):
            with torch.no_grad():
                wanted = 0.9 * target(inputs) + inputs.sum(dim=1, keepdim=True)
            loss = (online(inputs) - wanted).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 5 == 4:
                target.load_state_dict(state)
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs = torch.randn(64, 8)
        model = nn.Linear(8, 1)
        keep = torch.rand(1, 8) > 0.5
        state = model.state_dict()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for step in range(20):
            loss = (model(inputs) - inputs[:, :1]).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            state["weight"].mul_(keep)
            model.load_state_dict(state)
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        inputs = torch.randn(64, 4)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        best, lowest = {}, float("inf")
        for epoch in range(20):
            loss = (model(inputs) - inputs.sum(dim=1, keepdim=True)).abs().mean()
            if loss.item() < lowest:
                lowest = loss.item()
                best = {name: value.clone() for name, value in model.state_dict().items()}
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.load_state_dict(best)
        """,
    ),
    search=(
        "pytorch best model state_dict deepcopy",
        "load_state_dict best weights not restored",
        "model.state_dict() reference changes during training",
        "early stopping restores last weights",
    ),
    links=(
        "https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.state_dict",
    ),
)

_MOVES = ("to", "cpu", "cuda", "half", "float", "double", "bfloat16")
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_HARMLESS = ("load_state_dict", "save", "deepcopy", "copy", "dict", "len", "print")
_LOADED = Text(
    en="loads the parameters onto themselves, {steps} steps later",
    ko="갱신 {steps}번 뒤에 파라미터를 자기 자신에게 불러옵니다",
)
_LOADED_BACK = Text(
    en="loads the parameters onto themselves", ko="파라미터를 자기 자신에게 불러옵니다"
)
_TRAINED = Text(en="trains on in between, in place", ko="그 사이에 제자리에서 계속 학습합니다")
_COPY = Text(en="keep a copy", ko="사본을 간직하기")


@rule.on(Run)
def restores_nothing(run: Run) -> Iterator[Diagnosis]:
    for one in run.reloaded:
        taken = [s for s in one.by if not s.function.endswith("state_dict")]
        found = called(taken[0]) if taken else None
        if one.owner or found is None or _is_written_through(one.loaded_by):
            continue
        source, call = found
        facts: dict[str, object] = {"code": " ".join(source.code(call).split())}
        at = one.loaded_by[0].at if one.loaded_by else None
        evidence = (Evidence(_LOADED.fill(steps=one.steps), at),)
        yield Diagnosis(rule, taken[0].at, facts, evidence, _copied(source, call))


@rule.on(Trace)
def would_restore_nothing(trace: Trace) -> Iterator[Diagnosis]:
    """A state dict is bound to a name as it is, the optimizer steps, and the same model gets the name back."""
    told = set()
    for loaded, number in ((e, n) for n, e in enumerate(trace.events) if e.kind == "load"):
        source = trace.source_of(loaded.at)
        call = source.at(loaded.at, ast.Call)
        name = call.args[0] if call is not None and len(call.args) == 1 else None
        if call is None or not isinstance(name, (ast.Name, ast.Attribute)):
            continue
        before = trace.events[:number]
        states = [
            (e, n)
            for n, e in enumerate(before)
            if e.kind == "state" and e.subject == loaded.subject
        ]
        mine = [(e, n) for e, n in states if e.at.path == loaded.at.path]
        kept = list(_kept(source, name, call))
        for state, since in mine:
            taken = source.at(state.at, ast.Call)
            is_last = not state.branches and state is mine[-1][0]
            if (
                taken not in kept
                or state.at in told
                or not (is_last or _is_chosen(source, state, loaded))
            ):
                continue
            steps = [e for e in before[since:] if e.kind == "step" and _trains(e, state)]
            if taken is None or not steps or _may_be_another(source, name, taken):
                continue
            told.add(state.at)
            facts: dict[str, object] = {"code": " ".join(source.code(taken).split())}
            evidence = (Evidence(_TRAINED, steps[0].at), Evidence(_LOADED_BACK, loaded.at))
            yield Diagnosis(rule, state.at, facts, evidence, _copied(source, taken))


def _kept(source: Source, name: Name, loaded: ast.Call) -> Iterator[ast.Call]:
    """The calls of `state_dict` whose result the name is bound to; none if it is bound to anything else but nothing."""
    scope = source.function_of(loaded) if isinstance(name, ast.Name) else source.tree
    found: list[ast.Call] = []
    for node in source.nodes(ast.Assign):
        for target in node.targets:
            for bound, value in _bound(target, node.value):
                if ast.unparse(bound) != ast.unparse(name):
                    continue
                if isinstance(name, ast.Name) and source.function_of(node) is not scope:
                    continue
                is_nothing = isinstance(value, ast.Constant) or ast.unparse(value) in (
                    "{}",
                    "dict()",
                )
                if is_nothing:
                    continue
                if not _is_state(value) or _ends(source, node):
                    return
                found.append(value)
    yield from found


def _bound(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        yield from zip(target.elts, value.elts, strict=False)
    elif isinstance(target, ast.Tuple):
        yield from ((one, value) for one in target.elts)
    else:
        yield target, value


def _is_state(value: ast.expr) -> TypeGuard[ast.Call]:
    is_call = isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)
    return is_call and value.func.attr == "state_dict"  # type: ignore[attr-defined]


def _ends(source: Source, node: ast.stmt) -> bool:
    """True if the block of the assignment leaves the loop or the function: nothing is trained behind it."""
    block = source.parent(node)
    inside = [n for part in getattr(block, "body", ()) for n in ast.walk(part)]
    return any(
        isinstance(n, (ast.Break, ast.Return, ast.Raise)) for n in inside
    ) and not isinstance(block, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module))


def _is_chosen(source: Source, state: Event, loaded: Event) -> bool:
    """True if it is kept in some passes only, by a comparison of sizes: those behind such a pass train on.

    A condition about the number of the pass may choose the last one, behind which nothing is trained.
    """
    arms = [source.at(b.at, ast.If) for b in state.branches if b not in loaded.branches]
    tests = [n for arm in arms if arm is not None for n in ast.walk(arm.test)]
    loops = [loop for one in state.loops if (loop := source.at(one.at, ast.For)) is not None]
    numbers = {n.id for loop in loops for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
    by_number = any(isinstance(n, ast.Name) and n.id in numbers for n in tests)
    is_equal = any(isinstance(n, ast.Eq) for n in tests)
    return bool(state.loops) and bool(tests) and not by_number and not is_equal


def _may_be_another(source: Source, name: Name, taken: ast.Call) -> bool:
    """True if somebody else has the dict, or the model's parameters get other memory while it is kept."""
    assert isinstance(taken.func, ast.Attribute)
    held, model = ast.unparse(name), ast.unparse(taken.func.value)
    for node in source.nodes(ast.Attribute):
        owner = ast.unparse(node.value)
        is_moved = owner == model and node.attr in _MOVES and source.enclosing(node, *_LOOPS)
        if owner == held or is_moved:
            return True
    return is_used_otherwise(source, name)


def _trains(step: Event, state: Event) -> bool:
    held, inside = step.facts.get("holds"), state.facts.get("inside")
    return isinstance(held, frozenset) and isinstance(inside, frozenset) and bool(held & inside)


def _is_written_through(loaded_by: tuple[Site, ...]) -> bool:
    """True if the dict may be meant as another name of the parameters: its items are used, or others get it."""
    found = called(loaded_by[0]) if loaded_by else None
    if found is None:
        return True
    source, call = found
    given = call.args[0] if call.args else next((k.value for k in call.keywords), None)
    return is_used_otherwise(source, given)


def is_used_otherwise(source: Source, given: ast.expr | None) -> bool:
    """True if items of the dict are used, or somebody else gets it."""
    name = ast.unparse(given) if given is not None else ""
    return (
        any(ast.unparse(n.value) == name for n in source.nodes(ast.Subscript))
        or any(
            ast.unparse(n) == name for loop in source.nodes(ast.For) for n in ast.walk(loop.iter)
        )
        or any(
            ast.unparse(handed) == name
            for other in source.nodes(ast.Call)
            if ast.unparse(other.func).rpartition(".")[2] not in _HARMLESS
            for handed in (*other.args, *(k.value for k in other.keywords))
        )
    )


def _copied(source: Source, call: ast.Call) -> tuple[Fix, ...]:
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "state_dict":
        return ()
    edits = deepcopied(source, call)
    return (Fix(edits, _COPY),) if edits else ()
