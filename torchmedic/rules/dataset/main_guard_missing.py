import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Fix, Rule, Severity, Span, Text
from torchmedic.observed import Failure, Source
from torchmedic.rules._loaders import calls
from torchmedic.rules._processes import module_level, starts_afresh, starts_processes

rule = Rule(
    code="TM115",
    name="main-guard-missing",
    severity=Severity.ERROR,
    summary=Text(
        en="Worker processes are started outside of `if __name__ == '__main__':`.",
        ko="`if __name__ == '__main__':` 바깥에서 워커 프로세스를 시작합니다.",
    ),
    title=Text(
        en="workers are started while their own process still imports the program",
        ko="프로그램을 아직 불러오는 중인 프로세스에서 워커를 시작합니다",
    ),
    why=Text(
        en="""
        On Windows and macOS, and wherever the start method is spawn or forkserver, a worker is a new Python that imports the
        main file again. Code at its top level runs once more there, and would start workers of its own, without end;
        Python refuses that.
        """,
        ko="""
        Windows와 macOS, 그리고 시작 방식이 spawn이나 forkserver인 곳에서는 워커가 주 파일을 다시 불러오는 새
        Python입니다. 파일 최상위의 코드가 그곳에서 또 실행되어 다시 워커를 시작하려 하고, 이는 끝없이 이어지므로
        Python이 거부합니다.
        """,
    ),
    help=Text(
        en="Put the code that starts the work below `if __name__ == '__main__':`.",
        ko="작업을 시작하는 코드를 `if __name__ == '__main__':` 아래에 두세요.",
    ),
    lesson=Text(
        en="""
        Keep classes, functions and constants at the top level: workers need them. Put everything that does work (reading
        data, training) into `main()` and call it below the guard. In a notebook there is no main file to import: define the
        Dataset in a module of its own, or use `num_workers=0`.
        """,
        ko="""
        클래스, 함수, 상수는 최상위에 두세요. 워커에도 필요합니다. 실제로 일하는 코드(데이터 읽기, 학습)는 `main()`
        안에 넣고 가드 아래에서 부르세요. 노트북에는 다시 불러올 주 파일이 없으므로 Dataset을 별도 모듈에 정의하거나
        `num_workers=0`을 쓰세요.
        """,
    ),
    bad="""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    data = TensorDataset(torch.arange(4.0))
    loader = DataLoader(data, num_workers=1, multiprocessing_context="spawn")
    for (numbers,) in loader:
        print(numbers.shape)
    """,
    good="""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    data = TensorDataset(torch.arange(4.0))
    loader = DataLoader(data, num_workers=1, multiprocessing_context="spawn")
    if __name__ == "__main__":
        for (numbers,) in loader:
            print(numbers.shape)
    """,
    messages=(
        "An attempt has been made to start a new process before the current process has finished its bootstrapping phase",
        "Attempt to start a new process before the current process has finished its bootstrapping phase",
    ),
    says=(
        "Traceback (most recent call last):\n"
        '  File "C:\\Users\\kim\\train.py", line 30, in <module>\n'
        "    for images, labels in loader:\n"
        '  File "C:\\Anaconda3\\lib\\site-packages\\torch\\utils\\data\\dataloader.py", line 501, in __iter__\n'
        "    return _DataLoaderIter(self)\n"
        '  File "C:\\Anaconda3\\lib\\multiprocessing\\spawn.py", line 136, in _check_not_importing_main\n'
        "    is not going to be frozen to produce an executable.''')\n"
        "RuntimeError: \n"
        "        An attempt has been made to start a new process before the\n"
        "        current process has finished its bootstrapping phase.\n",
    ),
    search=(
        "An attempt has been made to start a new process before the current process has finished its bootstrapping phase",
        "freeze_support DataLoader num_workers Windows",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/notes/windows.html#multiprocessing-error-without-if-clause-protection",
        "https://docs.python.org/3/library/multiprocessing.html#the-spawn-and-forkserver-start-methods",
    ),
)

# How the parent sees that a worker ended while it imported the program.
_SEEN_BY_PARENT = ("exited unexpectedly", "Broken pipe", "Connection reset")


@rule.on(Failure)
def no_guard(failure: Failure) -> Iterator[Diagnosis]:
    found = module_level(failure)
    reading = rule.read(failure.message)
    if failure.frames and failure.user_frame is None:
        return  # the part of a chain whose last link tells the place
    if reading is None:
        ended = any(text in failure.message for text in _SEEN_BY_PARENT)
        if not ended or found is None or not starts_afresh(failure, list(calls(failure))):
            return
    if not starts_processes(failure):
        return
    at, fixes = failure.raised_at, tuple[Fix, ...]()
    if found is not None:
        source, _, statement = found
        at = source.span(statement)._replace(end_line=0, end_column=0)
        edits = _guarded(source, statement)
        if edits:
            title = Text(
                en='put the line and what follows below `if __name__ == "__main__":`',
                ko='그 줄부터 끝까지 `if __name__ == "__main__":` 아래에 두기',
            )
            fixes = (Fix(edits, title),)
    yield Diagnosis(rule, at, {}, (), fixes, raised_at=failure.raised_at)


def _guarded(source: Source, statement: ast.stmt) -> tuple[Edit, ...]:
    """The statement and all that follow, indented below a guard; nothing where a text over several lines would change."""
    body = source.tree.body
    rest = body[body.index(statement) :]
    for part in rest:
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return ()
        for node in ast.walk(part):
            is_text = isinstance(node, (ast.Constant, ast.JoinedStr))
            if is_text and getattr(node, "end_lineno", 0) != getattr(node, "lineno", 0):
                return ()
    newline = "\r\n" if source.lines[0].endswith("\r\n") else "\n"
    first = source.span(statement).line
    edits = []
    for number in range(first, len(source.lines) + 1):
        head = f'if __name__ == "__main__":{newline}' if number == first else ""
        if source.line(number).strip():
            edits.append(Edit(Span(source.path, number, 0, number, 0), f"{head}    "))
    return tuple(edits)
