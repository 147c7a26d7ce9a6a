"""How a program names its device, and where it keeps its model."""

from __future__ import annotations

import ast
import re

from torchmedic.model import Edit, Span
from torchmedic.observed import Frame, Source
from torchmedic.observed.scopes import own_nodes

_ONE_DEVICE = 'device = torch.device("cuda" if torch.cuda.is_available() else "cpu")'
_DEVICE = r"(?i)'?(?:cpu|gpu|cuda|mps|meta|xpu|xla|hpu|hip|privateuseone|vulkan|mkldnn|lazy)\b"


def inputs(source: Source, frame: Frame, node: ast.expr, target: str) -> list[str]:
    """The arguments of the function that are tensors on the target device."""
    function = source.function_of(node)
    names = [a.arg for a in function.args.args] if function is not None else []
    held = [(n, frame.values[n].tensor) for n in names if n in frame.values]
    return [n for n, tensor in held if tensor is not None and tensor.device == target]


def spelled(source: Source, node: ast.expr, others: list[str], target: str) -> str:
    """The device as the program can say it where the node stands."""
    function = source.function_of(node)
    scopes = [source.tree, *([function] if function is not None else ())]
    known = {a.arg for a in function.args.args} if function is not None else set()
    for scope in scopes:
        bound = [n for n in own_nodes(scope) if isinstance(n, ast.Name)]
        known |= {n.id for n in bound if isinstance(n.ctx, ast.Store) and n.lineno <= node.lineno}
    for name in ("device", "DEVICE", "dev"):
        if name in known:
            return name
    owner = source.enclosing(node, ast.ClassDef)
    for part in ast.walk(owner) if owner is not None and "self" in known else ():
        is_kept = isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
        if is_kept and source.code(part) in ("self.device", "self._device"):
            return source.code(part)
    return f"{others[0]}.device" if others else f'"{target}"'


def kept_as(source: Source, model: ast.expr) -> list[tuple[Source, ast.expr]]:
    """`model` of `self.model = model`."""
    owner = source.enclosing(model, ast.ClassDef)
    code = source.code(model)
    if owner is None or not code.startswith("self."):
        return []
    return [
        (source, statement.value)
        for statement in ast.walk(owner)
        if isinstance(statement, ast.Assign)
        and any(source.code(t) == code for t in statement.targets)
        and isinstance(statement.value, (ast.Name, ast.Call, ast.Attribute))
    ]


def is_portable(source: Source) -> bool:
    """True if the program is for machines without the device as well: its name can't be written down."""
    return "is_available" in source.text


def named_devices(source: Source) -> list[ast.expr]:
    """Where the file says CUDA itself: `"cuda:0"` and `x.cuda()`, but not what only says for which type to compute."""
    found: list[ast.expr] = []
    for node in source.nodes(ast.Constant):
        parent = source.parent(node)
        owner = source.parent(parent) if isinstance(parent, ast.keyword) else parent
        name = source.name(owner.func) or "" if isinstance(owner, ast.Call) else ""
        is_a_type = name.rpartition(".")[2] in ("autocast", "GradScaler")
        is_name = isinstance(node.value, str) and node.value.partition(":")[0] == "cuda"
        if is_name and not is_a_type and not isinstance(parent, ast.Compare):
            found.append(node)
    return [*found, *filter(is_cuda, source.nodes(ast.Call))]


def are_devices(facts: dict[str, object]) -> bool:
    """False where two types on one device differ: `double` and `float`, `torch.cuda.FloatTensor` and `…HalfTensor`."""
    one, other = place_of(str(facts.get("one"))), place_of(str(facts.get("other")))
    return bool(one and other and one != other)


def place_of(name: str) -> str:
    """`cuda` of "torch.cuda.FloatTensor", `mps` of "MPSFloatType", `cpu` of "torch.FloatTensor"; "" of a dtype."""
    if re.match(_DEVICE, name):
        return name.lower()
    typed = re.search(
        r"(?:torch\.)?(cuda|CUDA|mps|MPS|xpu|XPU|hpu|HPU)?\.?[A-Z]\w*(?:Tensor|Type)$", name
    )
    return (typed[1] or "cpu").lower() if typed else ""


def shown(name: str) -> str:
    """A device as it is, a type of tensors as the device that it is for."""
    return name if re.match(_DEVICE, name) else place_of(name) or name


def with_one_device(source: Source, named: list[ast.expr]) -> tuple[Edit, ...]:
    """A `device` behind the imports, and all that is `named` uses it. Empty where that can't be written."""
    imports = [n for n in source.tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
    if not imports or any(n.id == "device" for n in source.nodes(ast.Name)):
        return ()
    if any(a.arg == "device" for a in source.nodes(ast.arg)):
        return ()
    edits = [source.insert_after(imports[-1], f"\n\n{_ONE_DEVICE}")]
    for node in named:
        edit = _with_name(source, node)
        if edit is None:
            return ()
        edits.append(edit)
    return tuple(edits)


def _with_name(source: Source, node: ast.expr) -> Edit | None:
    """`"cuda"` of `x.to("cuda")` or `device="cuda"`, and `x.cuda()`; None for anything else."""
    parent = source.parent(node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        end = source.span(node.func)
        start = end.end_column - len("cuda")
        if node.args or not source.line(end.end_line)[start:].startswith("cuda("):
            return None
        here = Span(source.path, end.end_line, start, end.end_line, end.end_column + 1)
        return Edit(here, "to(device, " if node.keywords else "to(device")
    is_option = isinstance(parent, ast.keyword) and parent.arg == "device"
    is_target = isinstance(parent, ast.Call) and (
        isinstance(parent.func, ast.Attribute) and parent.func.attr == "to"
    )
    return source.replace(node, "device") if is_option or is_target else None


def is_cuda(call: ast.Call) -> bool:
    """`x.cuda(…)`."""
    return isinstance(call.func, ast.Attribute) and call.func.attr == "cuda"
