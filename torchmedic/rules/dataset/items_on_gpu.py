from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Failure, Frame, Source
from torchmedic.rules._place import answer, user_frames, without

rule = Rule(
    code="TM221",
    name="items-on-gpu",
    severity=Severity.ERROR,
    summary=Text(
        en="A dataset gives tensors on the GPU to a loader that prepares batches in CPU memory.",
        ko="배치를 CPU 메모리에서 준비하는 `DataLoader`에 GPU 텐서를 줍니다.",
    ),
    title=Text(
        en="a worker process of the loader uses CUDA, which it can't after a fork",
        ko="`DataLoader`의 작업자 프로세스가 fork 뒤에는 쓸 수 없는 CUDA를 사용합니다",
    ),
    why=Text(
        en="""
        Workers are forked from the program. If it used CUDA before, a worker inherits a context that belongs to another
        process, and can't open one of its own.
        """,
        ko="""
        작업자는 프로그램을 fork한 프로세스입니다. 프로그램이 이미 CUDA를 썼다면 작업자는 다른 프로세스의 컨텍스트를
        물려받고, 자기 것을 새로 열 수 없습니다.
        """,
    ),
    help=Text(
        en="Return tensors on the CPU from the dataset, and move the whole batch in the loop: `x = x.to(device)`.",
        ko="데이터셋은 CPU 텐서를 돌려주고, 배치 전체를 반복문 안에서 옮기세요: `x = x.to(device)`.",
    ),
    lesson=Text(
        en="""
        One copy of a batch is faster than a copy for each sample. Let `__getitem__` and `collate_fn` work on the CPU, give
        the loader `num_workers` and `pin_memory=True`, and write `x = x.to(device, non_blocking=True)` in the loop. Data
        that fit into the GPU's memory as a whole need no workers and no pinning: index the tensor with
        `torch.randperm`.
        """,
        ko="""
        배치를 한 번 복사하는 것이 샘플마다 복사하는 것보다 빠릅니다. `__getitem__`과 `collate_fn`은 CPU에서 일하게 하고
        `DataLoader`에 `num_workers`와 `pin_memory=True`를 준 다음, 반복문 안에 `x = x.to(device, non_blocking=True)`를
        쓰세요. GPU 메모리에 통째로 들어가는 데이터에는 작업자도 pin도 필요 없습니다. `torch.randperm`으로 텐서를
        인덱싱하세요.
        """,
    ),
    bad="""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, Dataset

    device = torch.device("cuda")


    class Signals(Dataset):
        def __init__(self):
            self.signals = torch.randn(64, 20)

        def __len__(self):
            return len(self.signals)

        def __getitem__(self, index):
            return self.signals[index].to(device), index % 3


    if __name__ == "__main__":
        model = nn.Linear(20, 3).to(device)
        for x, y in DataLoader(Signals(), batch_size=16, num_workers=2):
            print(model(x).shape)
    """,
    good="""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, Dataset

    device = torch.device("cuda")


    class Signals(Dataset):
        def __init__(self):
            self.signals = torch.randn(64, 20)

        def __len__(self):
            return len(self.signals)

        def __getitem__(self, index):
            return self.signals[index], index % 3


    if __name__ == "__main__":
        model = nn.Linear(20, 3).to(device)
        for x, y in DataLoader(Signals(), batch_size=16, num_workers=2):
            x = x.to(device)
            print(model(x).shape)
    """,
    messages=("Cannot re-initialize CUDA in forked subprocess",),
    variants=(
        Variant(
            "pinned",
            Text(
                en="the loader is to pin tensors that are on the GPU already",
                ko="`DataLoader`가 이미 GPU에 있는 텐서를 pin하려고 합니다",
            ),
            why=Text(
                en="`pin_memory=True` makes CPU memory ready for a copy to the GPU. What is there needs none.",
                ko="`pin_memory=True`는 GPU로 복사하기 좋게 CPU 메모리를 준비합니다. 이미 GPU에 있는 것은 복사할 필요가 없습니다.",
            ),
            help=Text(
                en="Leave out `pin_memory=True`, or keep the dataset on the CPU and move each batch in the loop.",
                ko="`pin_memory=True`를 빼거나, 데이터셋을 CPU에 두고 반복문 안에서 배치를 옮기세요.",
            ),
            messages=(
                "only dense CPU tensors can be pinned",
                "only CPU memory can be pinned",
            ),
            search=("cannot pin torch.cuda.FloatTensor only dense CPU tensors can be pinned",),
            links=(
                "https://docs.pytorch.org/docs/stable/data.html#memory-pinning",
                "https://docs.pytorch.org/docs/stable/notes/cuda.html#use-pinned-memory-buffers",
            ),
        ),
    ),
    says=(
        "RuntimeError: Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must use "
        "the 'spawn' start method",
        "RuntimeError: cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned",
        "RuntimeError: cannot pin 'CUDALongType' only CPU memory can be pinned",
    ),
    search=(
        "Cannot re-initialize CUDA in forked subprocess DataLoader num_workers",
        "pytorch dataset getitem to device workers",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/notes/multiprocessing.html#cuda-in-multiprocessing",
        "https://docs.pytorch.org/docs/stable/data.html#multi-process-data-loading",
    ),
    needs=frozenset({"cuda"}),
)

_IN_LOOP = Text(
    en="return it on the CPU, and move the batch in the loop: `{text}`",
    ko="CPU 텐서로 돌려주고 반복문 안에서 배치 옮기기: `{text}`",
)
_UNPINNED = Text(en="leave out `pin_memory=True`", ko="`pin_memory=True` 빼기")


@rule.on(Failure)
def items_are_on_the_gpu(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    found = _unpinned(failure) if reading.variant.name else _moved(failure)
    at, fixes = found if found is not None else (None, ())
    yield answer(rule, failure, reading, at, fixes)


def _unpinned(failure: Failure) -> tuple[Span, tuple[Fix, ...]] | None:
    for source, _ in user_frames(failure):
        pinning = [
            (call, k)
            for call in source.nodes(ast.Call)
            for k in call.keywords
            if k.arg == "pin_memory" and (source.name(call.func) or "").endswith("DataLoader")
        ]
        if len(pinning) == 1:
            call, keyword = pinning[0]
            edit = _without_keyword(source, call, keyword)
            return source.span(keyword), (Fix((edit,), _UNPINNED),) if edit else ()
    return None


def _without_keyword(source: Source, call: ast.Call, keyword: ast.keyword) -> Edit | None:
    """From the end of the argument before it to its own end."""
    given = [*call.args, *(k.value for k in call.keywords)]
    place = given.index(keyword.value)
    if place == 0:
        return None
    before, own = source.span(given[place - 1]), source.span(keyword.value)
    span = Span(source.path, before.end_line, before.end_column, own.end_line, own.end_column)
    return Edit(span, "")


def _moved(failure: Failure) -> tuple[Span, tuple[Fix, ...]] | None:
    """The `.to(device)` of an item that `__getitem__` returns, and the batch in the loop that draws it."""
    drawn = dict[str, tuple[Source, ast.For]]()
    for source, frame in user_frames(failure):
        loop = _loop(source, frame)
        if loop is not None:
            drawn.setdefault("loop", (source, loop))
    for source, frame in user_frames(failure):
        item = _item(source, frame)
        if item is None:
            continue
        call, position = item
        assert isinstance(call.func, ast.Attribute)
        edits = [without(source, call, call.func.value)]
        if "loop" not in drawn:
            return source.span(call), ()
        home, loop = drawn["loop"]
        names = loop.target.elts if isinstance(loop.target, ast.Tuple) else [loop.target]
        taken = names[position] if len(names) > position else None
        device = source.code(call.args[0]) if call.args else '"cuda"'
        if (
            not isinstance(taken, ast.Name)
            or not device.replace(".", "_").strip("\"'").isidentifier()
        ):
            return source.span(call), ()
        text = f"{taken.id} = {taken.id}.to({device})"
        edits.append(home.insert_statement(loop.body[0], text))
        return source.span(call), (Fix(tuple(edits), _IN_LOOP.fill(text=text)),)
    return None


def _loop(source: Source, frame: Frame) -> ast.For | None:
    """The loop whose head draws a batch."""
    loops = [loop for loop in source.nodes(ast.For) if loop.lineno == frame.at.line]
    return loops[0] if len(loops) == 1 else None


def _item(source: Source, frame: Frame) -> tuple[ast.Call, int] | None:
    """`x.to(device)` or `x.cuda()` in what `__getitem__` returns there, and its place in the tuple."""
    for call in source.nodes(ast.Call):
        function = source.function_of(call)
        is_here = call.lineno <= frame.at.line <= (call.end_lineno or call.lineno)
        is_move = isinstance(call.func, ast.Attribute) and call.func.attr in ("to", "cuda")
        if not (is_here and is_move and function is not None and function.name == "__getitem__"):
            continue
        parent = source.parent(call)
        if isinstance(parent, ast.Return):
            return call, 0
        if isinstance(parent, ast.Tuple) and isinstance(source.parent(parent), ast.Return):
            return call, parent.elts.index(call)
    return None
