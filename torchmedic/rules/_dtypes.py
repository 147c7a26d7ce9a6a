"""Number types: their names in messages and in code, where a tensor got its own, and the edit that changes it."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from torchmedic.model import Edit, Span
from torchmedic.observed import Failure, Source
from torchmedic.observed.origin import Origin
from torchmedic.rules._trail import LEGACY, Way, is_conversion, is_plain, is_torch, last_name

METHODS = {"float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16"}
METHODS |= {"long": "int64", "int": "int32", "short": "int16", "byte": "uint8", "char": "int8"}
METHODS |= {"bool": "bool"}
_METHOD_OF = {dtype: name for name, dtype in METHODS.items()}
_WORDS = METHODS | {"unsignedchar": "uint8", "longint": "int64", "longlong": "int64"}
_WORDS |= {"signedchar": "int8", "float64": "float64", "float32": "float32", "float16": "float16"}
_WORDS |= {n: n for n in ("int64", "int32", "int16", "int8", "uint8")}
_WORDS |= {n: n for n in ("uint16", "uint32", "uint64")}
_CONTAINERS = (ast.Tuple, ast.List, ast.Dict)
FLOATS = frozenset({"float32", "float64", "float16", "bfloat16"})
_TORCH_MAKERS = {"zeros", "ones", "empty", "full", "rand", "randn", "arange", "linspace", "eye"}
_NUMPY_MAKERS = {"zeros", "ones", "empty", "full", "array", "asarray", "loadtxt", "genfromtxt"}
_NUMPY_MAKERS |= {"linspace", "eye", "fromiter"}
_CALLABLE = {"float": "float64", "int": "int64", "bool": "bool"}


def dtype_of(word: object) -> str | None:
    """`Double`, `c10::Half`, `torch.cuda.FloatTensor`, `unsigned char` -> 'float64', …; None if it's no number type."""
    text = re.sub(
        r"^(c10::|torch\.|cuda\.|mps\.|sparse\.|CPU|CUDA|MPS|Variable\[|XLA)+",
        "",
        str(word).strip(),
    )
    text = re.sub(r"(Tensor|Type|Storage)?\]?$", "", text)
    return _WORDS.get(text.replace(" ", "").lower())


def said_dtype(source: Source, node: ast.expr | None) -> str | None:
    """The type that an expression in the code stands for: `torch.long`, `np.float64`, `"float32"`, `float`."""
    if isinstance(node, ast.Constant):
        return dtype_of(node.value)
    name = source.name(node) or ""
    head, _, last = name.rpartition(".")
    if not head:
        return _CALLABLE.get(last)
    if head.startswith("torch"):
        return LEGACY.get(last) or dtype_of(last)
    return {"single": "float32", "float_": "float64", "int_": "int64"}.get(last) or (
        {"double": "float64", "half": "float16", "float": "float64"}.get(last) or dtype_of(last)
    )


def alias(source: Source, module: str) -> str | None:
    """The name under which the file imports a module: `np` for numpy."""
    return next((k for k, v in source.imported.items() if v == module), None)


def spelled(source: Source, wanted: str, old: ast.expr | None, for_torch: bool) -> str:
    """The type as this file would write it."""
    name = source.name(old) or "" if old is not None else ""
    written = source.code(old) if old is not None else ""
    if isinstance(old, ast.Constant):
        return f'"{wanted}"'
    if for_torch or name.startswith("torch."):
        head = written.rpartition(".")[0] or alias(source, "torch") or "torch"
        if name.rpartition(".")[2].endswith("Tensor"):
            legacy = next((k for k, v in LEGACY.items() if v == wanted and k != "Tensor"), None)
            return f"{head}.{legacy}" if legacy else written
        return f"{head}.{'long' if wanted == 'int64' else wanted}"
    numpy = written.rpartition(".")[0] or alias(source, "numpy")
    wanted = (
        "bool_" if numpy and wanted == "bool" else wanted
    )  # `np.bool` is missing in 1.24 to 1.26
    return f"{numpy}.{wanted}" if numpy else f'"{wanted}"'


# Their results are whole numbers or truth values whatever goes in.
_WHOLE_RESULTS = {"one_hot", "argmax", "argmin", "argsort", "multinomial", "bincount", "nonzero"}
_TRUTH_RESULTS = {"eq", "ne", "gt", "lt", "ge", "le", "isin", "isnan", "logical_not"}


class Setting(NamedTuple):
    """A place that fixes the type: what it is there, and the edit that makes it another."""

    origin: Origin
    dtype: str | None  # None: it follows the data that is converted
    node: ast.expr | None = None  # the expression that names the type
    is_numpy: bool = False
    is_result: bool = False  # the operation has no other type: its result is converted


def setting(step: Origin) -> Setting | None:
    """How this step decides the type of its value; None if it passes it on."""
    source, call = step.source, step.node
    if isinstance(call, ast.Compare):
        return Setting(step, "bool", is_result=True)
    if not isinstance(call, ast.Call):
        return None
    name = last_name(source, call)
    if name in _WHOLE_RESULTS | _TRUTH_RESULTS:
        return Setting(step, "int64" if name in _WHOLE_RESULTS else "bool", is_result=True)
    named = next((k.value for k in call.keywords if k.arg == "dtype"), None)
    full = source.name(call.func) or ""
    numpy = full.startswith("numpy.") or name in ("astype", "to_numpy")
    if named is not None and numpy and name not in _NUMPY_MAKERS | {"astype", "to_numpy"}:
        return None
    if named is not None:
        return Setting(step, said_dtype(source, named), named, numpy)
    if isinstance(call.func, ast.Attribute) and not full.startswith(("torch.", "numpy.")):
        if name in METHODS and not call.args:
            return Setting(step, METHODS[name])
        if name in ("to", "type", "astype", "view"):
            for argument in call.args:
                dtype = said_dtype(source, argument)
                if dtype is not None:
                    return Setting(step, dtype, argument, name == "astype")
    if is_torch(source, call):
        if name in LEGACY:
            return Setting(step, LEGACY[name])
        if is_conversion(step):
            return Setting(step, None)
        if name == "full":
            return Setting(step, _fill_type(call))
        if name in _TORCH_MAKERS and not _whole_numbers(name, call):
            return Setting(step, "float32")
        if name in ("randint", "randperm", "arange"):
            return Setting(step, "int64")
    if full.startswith("numpy.") and name in _NUMPY_MAKERS:
        return Setting(
            step, None if name in ("array", "asarray", "full") else "float64", None, True
        )
    return None


def _whole_numbers(name: str, call: ast.Call) -> bool:
    return name == "arange" and not any(
        isinstance(a, ast.Constant) and isinstance(a.value, float) for a in call.args
    )


def _fill_type(call: ast.Call) -> str | None:
    """The type that `torch.full` takes from its fill value; None if that is no literal."""
    value = next((k.value for k in call.keywords if k.arg == "fill_value"), None)
    value = value or (call.args[1] if len(call.args) > 1 else None)
    kind = type(value.value) if isinstance(value, ast.Constant) else None
    return {bool: "bool", int: "int64", float: "float32"}.get(kind) if kind else None


def changed(found: Setting, wanted: str, is_image: bool = False) -> Edit:
    """The edit that makes the value of that step `wanted`, in the form that the code has already."""
    source, call = found.origin.source, found.origin.node
    follows_data = found.dtype is None and not found.is_numpy
    if found.is_result or not isinstance(call, ast.Call) or (is_image and follows_data):
        return converted(found.origin, wanted, is_image)
    name = last_name(source, call)
    if found.node is not None:
        if isinstance(found.node, ast.Constant) and found.is_numpy:
            return source.replace(found.node, f'"{wanted}"')
        text = spelled(source, wanted, found.node, for_torch=not found.is_numpy)
        return source.replace(found.node, text)
    if isinstance(call.func, ast.Attribute) and name in METHODS and not is_torch(source, call):
        return Edit(_attribute_span(source, call.func), _METHOD_OF[wanted])
    if name in LEGACY:
        legacy = next((k for k, v in LEGACY.items() if v == wanted and k != "Tensor"), "Tensor")
        if name == "Tensor":
            head = source.code(call.func).rpartition(".")[0]
            inside = ", ".join(source.code(a) for a in call.args)
            prefix = f"{head}." if head else ""
            dtype = spelled(source, wanted, None, for_torch=True)
            if len(call.args) == 1:
                return source.replace(call, f"{prefix}tensor({inside}, dtype={dtype})")
            return source.insert_after(call, f".{_METHOD_OF[wanted]}()")
        if isinstance(call.func, ast.Attribute):
            return Edit(_attribute_span(source, call.func), legacy)
        return source.insert_after(call, f".{_METHOD_OF[wanted]}()")
    if name == "from_numpy":
        return converted(found.origin, wanted, is_image)
    dtype = spelled(source, wanted, None, for_torch=not found.is_numpy)
    return _keyword(source, call, f"dtype={dtype}")


def _attribute_span(source: Source, function: ast.Attribute) -> Span:
    here = source.span(function)
    start = here.end_column - len(function.attr)
    return Span(here.path, here.end_line, start, here.end_line, here.end_column)


def _keyword(source: Source, call: ast.Call, text: str) -> Edit:
    """One more argument at the end of a call, behind a trailing comma where there's one."""
    here = source.span(call)
    arguments = [*call.args, *(k.value for k in call.keywords)]
    if arguments:
        last = max(arguments, key=lambda a: (a.end_lineno or 0, a.end_col_offset or 0))
        if not (isinstance(last, ast.GeneratorExp) and len(arguments) == 1):
            return source.insert_after(last, f", {text}")
    end = Span(here.path, here.end_line, here.end_column - 1, here.end_line, here.end_column - 1)
    return Edit(end, text if not arguments else f", {text}")


def converted(step: Origin, wanted: str, is_image: bool = False) -> Edit:
    """The edit that converts the value of an expression of tensor type."""
    source, node = step.source, step.node
    if is_image:
        node = _chain(source, node)
    code = source.code(node)
    method = f".{_METHOD_OF.get(wanted, 'float')}()"
    parent = source.parent(node)
    if is_image and isinstance(parent, (ast.Assign, ast.Return, ast.Tuple, ast.AnnAssign)):
        method += " / 255"
    elif is_image:
        return source.replace(node, f"({code}{method} / 255)")
    if not is_plain(node):
        return source.replace(node, f"({code}){method}")
    return source.insert_after(node, method)


def _chain(source: Source, node: ast.expr) -> ast.expr:
    """The end of the method chain that the node begins: `from_numpy(a).permute(2, 0, 1)` of `from_numpy(a)`."""
    while True:
        access = source.parent(node)
        call = source.parent(access) if access is not None else None
        if not (isinstance(access, ast.Attribute) and isinstance(call, ast.Call)):
            return node
        if call.func is not access:
            return node
        node = call


class Birth(NamedTuple):
    """Where a type was decided, and the edit there."""

    at: Span
    code: str
    edit: Edit


def birth(
    failure: Failure, way: Way, given: str | None, wanted: str, is_image: bool = False
) -> Birth | None:
    """The step of the way on which the value got its wrong type; None if the source doesn't tell."""
    boundary: Setting | None = None
    individual: Origin | None = None
    for step in way.steps:
        if _is_shared(step):
            found = _individual(individual, wanted, is_image)
            return found if boundary is None else _at(boundary, wanted, is_image)
        if step.path == () and not isinstance(step.node, (ast.Tuple, ast.List, ast.Dict)):
            individual = step
        here = setting(step)
        if here is None:
            if boundary is not None and _is_part(step):
                break
            continue
        if here.dtype is None and not here.is_numpy:
            boundary = boundary or here
            if here.origin.node is not boundary.origin.node:
                break
            continue
        if here.dtype is not None and here.dtype == wanted:
            break
        if boundary is None and not here.is_numpy:
            return _at(here, wanted, is_image)
        if here.node is not None or wanted == "int64":
            return _at(here, wanted, is_image)
        if boundary is None:
            return _at(here, wanted, is_image)
        break
    if boundary is not None:
        return _at(boundary, wanted, is_image)
    return _of_item(failure, way, wanted)


def _at(found: Setting, wanted: str, is_image: bool) -> Birth:
    origin = found.origin
    return Birth(origin.at, origin.code, changed(found, wanted, is_image))


def _individual(step: Origin | None, wanted: str, is_image: bool) -> Birth | None:
    if step is None:
        return None
    return Birth(step.at, step.code, converted(step, wanted, is_image))


def _is_shared(step: Origin) -> bool:
    """True where one expression makes several values of which this is one."""
    return (
        bool(step.path)
        and isinstance(step.path[0], int)
        and isinstance(step.node, (ast.ListComp, ast.GeneratorExp))
    )


def _is_part(step: Origin) -> bool:
    """True where columns or rows are cut out of an array that serves other values too."""
    return isinstance(step.node, ast.Subscript) and isinstance(
        step.node.slice, (ast.Tuple, ast.Slice)
    )


def _of_item(failure: Failure, way: Way, wanted: str) -> Birth | None:
    """What a Dataset returns as a NumPy value or a Python number: the loader's collate function made the tensor."""
    steps = [s for s in way.item if not s.path and not isinstance(s.node, _CONTAINERS)]
    library = library_of(failure, steps)
    edit = _item_edit(steps[0], library, wanted) if steps else None
    return Birth(steps[0].at, steps[0].code, edit) if edit is not None else None


def _item_edit(step: Origin, library: str | None, wanted: str) -> Edit | None:
    source, node = step.source, step.node
    code = source.code(node)
    if library == "torch":
        return converted(step, wanted)
    if library == "numpy" and is_plain(node):
        return source.insert_after(
            node, f".astype({spelled(source, wanted, None, for_torch=False)})"
        )
    torch = alias(source, "torch")
    if library == "python" and torch:
        dtype = spelled(source, wanted, None, for_torch=True)
        return source.replace(node, f"{torch}.tensor({code}, dtype={dtype})")
    return None


def library_of(failure: Failure, steps: list[Origin]) -> str | None:
    """Whose value a Dataset's item is: "torch", "numpy", "python"; None: unknown.

    The attribute that holds the data tells, in the live Dataset; else the call that made them.
    """
    for step in steps:
        for part in ast.walk(step.node):
            if isinstance(part, ast.Attribute):
                for loader in failure.loaders:
                    value = loader.containers.get(part.attr)
                    if value is not None:
                        return value.tensor.library if value.tensor else "python"
        if isinstance(step.node, ast.Call):
            made = (step.source.name(step.node.func) or "").partition(".")[0]
            if made in ("float", "int", "bool"):
                return "python"
            if made in ("numpy", "sklearn") or last_name(step.source, step.node) == "astype":
                return "numpy"
            if made == "torch":
                return "torch"
    return None
