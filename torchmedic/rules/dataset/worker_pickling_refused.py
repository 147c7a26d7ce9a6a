import ast
import builtins
import re
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Failure, Source
from torchmedic.observed.project import Project
from torchmedic.rules._loaders import made
from torchmedic.rules._processes import starts_processes

rule = Rule(
    code="TM114",
    name="worker-pickling-refused",
    severity=Severity.ERROR,
    summary=Text(
        en="Something that the DataLoader has to send to its workers can't be pickled.",
        ko="DataLoader가 워커에 보내야 하는 것 가운데 pickle할 수 없는 것이 있습니다.",
    ),
    title=Text(
        en="`{thing}` can't be sent to the DataLoader's workers",
        ko="`{thing}` 객체를 DataLoader의 워커에 보낼 수 없습니다",
    ),
    why=Text(
        en="""
        With the start methods spawn and forkserver, the dataset, `collate_fn` and `worker_init_fn` reach a worker by
        pickle, which stores functions and classes by name. A lambda and a function inside of another function can't be
        found by name, and open files, generators, locks and database handles can't be copied into another process.
        """,
        ko="""
        시작 방식이 spawn이나 forkserver이면 데이터셋, `collate_fn`, `worker_init_fn`은 pickle로 워커에 전달되며,
        pickle은 함수와 클래스를 이름으로 저장합니다. lambda와 다른 함수 안의 함수는 이름으로 찾을 수 없고, 열린 파일,
        제너레이터, 락, 데이터베이스 핸들은 다른 프로세스로 복사할 수 없습니다.
        """,
    ),
    help=Text(
        en="""
        Make the lambda or local function a function at the top level of the module. Open files and databases in the
        worker, at the first `__getitem__`. `num_workers=0` needs no pickle.
        """,
        ko="""
        lambda나 지역 함수를 모듈 최상위의 함수로 만드세요. 파일과 데이터베이스는 워커 안에서, 첫 `__getitem__` 때
        여세요. `num_workers=0`이면 pickle이 필요 없습니다.
        """,
    ),
    lesson=Text(
        en="""
        `pickle.dumps(dataset)` in the main program raises the same error at once, without workers. Linux used fork up to
        Python 3.13, where nothing is pickled; Windows and macOS never did, and Python 3.14 uses forkserver. A value that
        the lambda needs can be bound with `functools.partial(function, value)`, which pickle accepts.
        """,
        ko="""
        주 프로그램에서 `pickle.dumps(dataset)`을 실행하면 워커 없이 같은 오류가 바로 납니다. Linux는 Python 3.13까지
        pickle이 필요 없는 fork를 썼지만 Windows와 macOS는 그렇지 않았고, Python 3.14는 forkserver를 씁니다. lambda가
        쓰던 값은 pickle이 받아들이는 `functools.partial(function, value)`로 묶을 수 있습니다.
        """,
    ),
    bad="""
    import torch
    from torch.utils.data import DataLoader, Dataset


    class Rows(Dataset):
        def __init__(self):
            self.rows = torch.arange(4.0)
            self.transform = lambda row: row / 4

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, index):
            return self.transform(self.rows[index])


    if __name__ == "__main__":
        loader = DataLoader(Rows(), num_workers=1, multiprocessing_context="spawn")
        for rows in loader:
            print(rows)
    """,
    good="""
    import torch
    from torch.utils.data import DataLoader, Dataset


    def transform(row):
        return row / 4


    class Rows(Dataset):
        def __init__(self):
            self.rows = torch.arange(4.0)
            self.transform = transform

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, index):
            return self.transform(self.rows[index])


    if __name__ == "__main__":
        loader = DataLoader(Rows(), num_workers=1, multiprocessing_context="spawn")
        for rows in loader:
            print(rows)
    """,
    messages=(
        "Can't pickle local object '{thing}'",
        "Can't pickle local object <function {thing} at",
        "Can't get local object '{thing}'",
        "Can't get attribute '{thing}' on <module '__main__'",
        "Can't pickle <function {thing} at",
        "Can't pickle <class '{thing}'>",
        "cannot pickle '{thing}' object",
        "can't pickle {thing} object",
        "cannot serialize '{thing}' object",
    ),
    variants=(
        Variant(
            "h5py",
            Text(
                en="an open h5py file can't be sent to the DataLoader's workers",
                ko="열린 h5py 파일을 DataLoader의 워커에 보낼 수 없습니다",
            ),
            messages=("h5py objects cannot be pickled",),
        ),
    ),
    says=(
        "Traceback (most recent call last):\n"
        '  File "/Users/kim/train.py", line 52, in <module>\n'
        "    for images, labels in loader:\n"
        '  File "/opt/homebrew/lib/python3.11/site-packages/torch/utils/data/dataloader.py", line 1039, in __init__\n'
        "    w.start()\n"
        '  File "/opt/homebrew/lib/python3.11/multiprocessing/reduction.py", line 60, in dump\n'
        "    ForkingPickler(file, protocol).dump(obj)\n"
        "TypeError: cannot pickle '_io.BufferedReader' object\n",
    ),
    search=(
        "Can't pickle local object lambda DataLoader num_workers",
        "AttributeError Can't get attribute on module __main__ DataLoader",
        "h5py objects cannot be pickled",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/data.html#platform-specific-behaviors",
        "https://docs.python.org/3/library/pickle.html#what-can-be-pickled-and-unpickled",
    ),
)


@rule.on(Failure)
def not_pickled(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None or not (starts_processes(failure) or _in_new_process(failure)):
        return
    call = made(failure)
    at, fixes = call.at if call else failure.raised_at, tuple[Fix, ...]()
    thing = str(reading.facts.get("thing", ""))
    found = _lambda(failure, thing)
    if found is not None:
        source, node = found
        at = source.span(node)
        fixes = tuple(_named(source, node))
    yield Diagnosis(
        rule,
        at,
        reading.facts,
        (),
        fixes,
        variant=reading.variant,
        raised_at=failure.raised_at,
    )


def _in_new_process(failure: Failure) -> bool:
    """True for the process that was started: it has no frame of the DataLoader's yet."""
    return (
        failure.library_frame("spawn_main", "_main") is not None and "__main__" in failure.message
    )


def _lambda(failure: Failure, thing: str) -> tuple[Source, ast.Lambda] | None:
    """The only lambda of the function that the qualified name tells: `Rows.__init__.<locals>.<lambda>`."""
    owner, _, last = thing.rpartition(".<locals>.")
    frames = [f for f in failure.frames if f.is_user]
    if last != "<lambda>" or not frames or not (failure.is_live or failure.source(frames[-1].at)):
        return None
    wanted = re.split(r"\.<locals>\.|\.", owner)
    matching = [
        (source, node)
        for source in Project(failure).sources()
        for node in source.nodes(ast.Lambda)
        if _scopes(source, node) == wanted
    ]
    return matching[0] if len(matching) == 1 else None


def _scopes(source: Source, node: ast.AST) -> list[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [up.name for up in source.parents(node) if isinstance(up, kinds)][::-1]


def _named(source: Source, node: ast.Lambda) -> Iterator[Fix]:
    """A function at the top level in the lambda's place, if it needs no local name."""
    statement = source.statement(node)
    name = "function"
    if isinstance(statement, ast.Assign) and statement.value is node:
        target = statement.targets[0]
        name = ast.unparse(target).rpartition(".")[2]
    keyword = source.parent(node)
    if isinstance(keyword, ast.keyword) and keyword.arg:
        name = keyword.arg
    arguments = {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}
    used = {n.id for n in ast.walk(node.body) if isinstance(n, ast.Name)} - arguments
    top = _top_level(source)
    unknown = {n for n in used if n not in top and not hasattr(builtins, n)}
    if unknown or name in top or not name.isidentifier() or "\n" in source.code(node):
        return
    first: ast.AST = node
    while not isinstance(source.parent(first), ast.Module):
        up = source.parent(first)
        if up is None:
            return
        first = up
    if not isinstance(first, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        return
    line = min([first.lineno, *(d.lineno for d in first.decorator_list)])
    code = f"def {name}({ast.unparse(node.args)}):\n    return {source.code(node.body)}\n\n\n"
    title = Text(
        en="make the lambda a function `{name}` of the module",
        ko="lambda를 모듈의 함수 `{name}` 정의로 바꾸기",
    ).fill(name=name)
    yield Fix((Edit(Span(source.path, line, 0, line, 0), code), source.replace(node, name)), title)


def _top_level(source: Source) -> set[str]:
    names = set(source.imported)
    for statement in source.tree.body:
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(statement.name)
        for part in getattr(statement, "targets", []):
            names |= {n.id for n in ast.walk(part) if isinstance(n, ast.Name)}
    return names
