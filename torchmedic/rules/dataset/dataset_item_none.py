import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Fix, Rule, Severity, Text
from torchmedic.observed import Failure, Source
from torchmedic.observed.project import Defined, Project
from torchmedic.observed.scopes import own_nodes
from torchmedic.observed.source import Function
from torchmedic.rules._length import class_of
from torchmedic.rules._loaders import loop_frame

rule = Rule(
    code="TM112",
    name="dataset-item-none",
    severity=Severity.ERROR,
    summary=Text(
        en="`__getitem__` of a Dataset returns None, or an item with None in it.",
        ko="Dataset의 `__getitem__`이 None을, 또는 None이 든 항목을 돌려줍니다.",
    ),
    title=Text(
        en="the Dataset gave None where the batch needs a tensor or a number",
        ko="배치에는 텐서나 숫자가 필요한데 Dataset이 None을 주었습니다",
    ),
    why=Text(
        en="""
        A function that ends without `return` gives None. The same happens in a branch for broken files that
        returns nothing, and in a transform that changes its argument without returning it. The default `collate_fn` can
        batch tensors, arrays, numbers, strings, and lists and dicts of these, but not None.
        """,
        ko="""
        `return` 없이 끝나는 함수는 None을 돌려줍니다. 깨진 파일을 만났을 때 아무것도 돌려주지 않는 분기나, 인자를
        바꾸기만 하고 돌려주지 않는 transform도 마찬가지입니다. 기본 `collate_fn` 함수는 텐서, 배열, 숫자, 문자열과
        그것들의 리스트와 사전은 묶을 수 있지만 None은 묶지 못합니다.
        """,
    ),
    help=Text(
        en="""
        Return an item on every path through `__getitem__`, and from every transform. To leave broken files out, remove
        them from the list in `__init__`, or filter None in a `collate_fn` of your own.
        """,
        ko="""
        `__getitem__`의 모든 경로와 모든 transform에서 항목을 돌려주세요. 깨진 파일을 빼려면 `__init__`에서
        목록에서 지우거나, 직접 만든 `collate_fn` 함수에서 None을 걸러 내세요.
        """,
    ),
    lesson=Text(
        en="""
        Read one item by hand: `print(dataset[0])`. If it is None or has None in it, look at the last line of
        `__getitem__` and of each transform: is there a `return` in front? For items that fail now and then, run
        `[i for i in range(len(dataset)) if dataset[i] is None]` once.
        """,
        ko="""
        항목 하나를 직접 읽어 보세요: `print(dataset[0])`. None이거나 그 안에 None이 있으면 `__getitem__`과 각
        transform의 마지막 줄에 `return`이 있는지 확인하세요. 가끔만 실패한다면
        `[i for i in range(len(dataset)) if dataset[i] is None]`을 한 번 실행해 보세요.
        """,
    ),
    bad="""
    import torch
    from torch.utils.data import DataLoader, Dataset


    class Squares(Dataset):
        def __init__(self):
            self.inputs = torch.arange(90.0)

        def __len__(self):
            return len(self.inputs)

        def __getitem__(self, index):
            number = self.inputs[index]
            item = (number, number**2)


    for inputs, targets in DataLoader(Squares(), batch_size=20):
        print(inputs.shape)
    """,
    good="""
    import torch
    from torch.utils.data import DataLoader, Dataset


    class Squares(Dataset):
        def __init__(self):
            self.inputs = torch.arange(90.0)

        def __len__(self):
            return len(self.inputs)

        def __getitem__(self, index):
            number = self.inputs[index]
            item = (number, number**2)
            return item


    for inputs, targets in DataLoader(Squares(), batch_size=20):
        print(inputs.shape)
    """,
    messages=(
        "batch must contain tensors, numpy arrays, numbers, dicts or lists; found <class 'NoneType'>",
        "batch must contain tensors, numbers, dicts or lists; found <class 'NoneType'>",
    ),
    says=(
        "TypeError: default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found <class 'NoneType'>",
        "TypeError: batch must contain tensors, numbers, dicts or lists; found <class 'NoneType'>",
    ),
    search=(
        "default_collate found <class 'NoneType'>",
        "pytorch dataset returns None skip sample",
        "pytorch collate_fn filter None",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.default_collate",
        "https://docs.pytorch.org/docs/stable/data.html#working-with-collate-fn",
    ),
)


@rule.on(Failure)
def item_is_none(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    at, fixes, facts = failure.raised_at, tuple[Fix, ...](), dict(reading.facts)
    found = _getitem(failure)
    if found is not None:
        source, function, name = found
        facts["dataset"] = name
        last = function.body[-1]
        at = source.span(last)
        empty = [n for n in own_nodes(function) if isinstance(n, ast.Return) and _is_none(n.value)]
        if empty:
            at = source.span(empty[0])
        elif not isinstance(last, ast.Return):
            fixes = tuple(_returned(source, last))
    yield Diagnosis(rule, at, facts, (), fixes, raised_at=failure.raised_at)


def _is_none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _getitem(failure: Failure) -> tuple[Source, Function, str] | None:
    """The method that made the item: of the loader in use, or the only one of the project."""
    frame = loop_frame(failure)
    owners = [o for x in failure.loaders if x.is_current and (o := class_of(failure, x))]
    project = Project(failure)
    if not owners and not failure.is_live and frame is not None:
        here = failure.source(frame.at)
        if here is None or here.line(frame.at.line).strip() != frame.code.strip():
            return None
        owners = [
            Defined(source, node)
            for source in project.sources()
            for node in source.nodes(ast.ClassDef)
            if source.method(node, "__getitem__")
        ]
    for base in project.bases_of(owners[0]) if len(owners) == 1 else ():
        if isinstance(base.node, ast.ClassDef):
            method = base.source.method(base.node, "__getitem__")
            if method is not None:
                return base.source, method, owners[0].node.name
    return None


def _returned(source: Source, last: ast.stmt) -> Iterator[Fix]:
    """`return` before an expression that stands alone, or after the last assignment."""
    if isinstance(last, ast.Expr) and not isinstance(last.value, (ast.Constant, ast.Yield)):
        here = source.span(last)
        start = here._replace(end_line=here.line, end_column=here.column)
        title = Text(en="return the last line's value", ko="마지막 줄의 값 돌려주기")
        yield Fix((Edit(start, "return "),), title)
    elif isinstance(last, ast.Assign) and isinstance(last.targets[0], (ast.Name, ast.Tuple)):
        name = source.code(last.targets[0])
        here = source.span(last)
        indent = source.line(here.line)[: here.column]
        title = Text(en="return `{name}`", ko="`{name}` 값 돌려주기").fill(name=name)
        yield Fix((source.insert_after(last, f"\n{indent}return {name}"),), title)
