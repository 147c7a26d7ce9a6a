import ast
import re
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Text
from torchmedic.observed import Failure, Frame, Loader, Source
from torchmedic.rules._loaders import Made, made

rule = Rule(
    code="TM116",
    name="batch-of-one-in-batchnorm",
    severity=Severity.ERROR,
    summary=Text(
        en="A batch norm layer in training mode gets one value per channel, which has no variance.",
        ko="학습 모드의 배치 정규화 층에 채널마다 값이 하나뿐이라 분산을 구할 수 없습니다.",
    ),
    title=Text(
        en="a batch of size {shape} reaches a batch norm in training mode",
        ko="크기가 {shape} 인 배치가 학습 모드의 배치 정규화 층에 들어옵니다",
    ),
    why=Text(
        en="""
        In training mode a batch norm computes mean and variance of each channel over the batch, and over height and width
        where there are any. With one value per channel the variance is zero, and every output would be zero. The last batch
        of an epoch has one sample whenever the number of samples is a multiple of the batch size plus one.
        """,
        ko="""
        학습 모드에서 배치 정규화는 채널마다 배치 전체와, 있다면 높이와 너비에 걸쳐 평균과 분산을 구합니다. 채널마다
        값이 하나뿐이면 분산이 0이라 출력이 모두 0이 됩니다. 샘플 수가 배치 크기의 배수보다 하나 많으면 에폭의 마지막
        배치에 샘플이 하나만 남습니다.
        """,
    ),
    help=Text(
        en="""
        For training, leave the incomplete last batch out with `drop_last=True`, or choose another batch size. For
        evaluation and single samples, call `model.eval()` first.
        """,
        ko="""
        학습이라면 `drop_last=True` 옵션으로 모자란 마지막 배치를 빼거나 다른 배치 크기를 쓰세요. 평가하거나 샘플
        하나만 넣을 때는 먼저 `model.eval()`을 부르세요.
        """,
    ),
    lesson=Text(
        en="""
        Compare `len(dataset) % batch_size` with 1. After global pooling a map is 1 × 1, so there only the batch is left to
        compute a variance over: a batch size of 1 can't train such a model. GroupNorm and LayerNorm do not use the
        batch at all. `drop_last=True` belongs to the training loader only; in evaluation it would leave samples out.
        """,
        ko="""
        `len(dataset) % batch_size` 값이 1인지 확인해 보세요. 전역 풀링 뒤의 특성 맵은 1 × 1이라 분산을 구할 것이
        배치밖에 없으므로 배치 크기 1로는 학습할 수 없습니다. GroupNorm과 LayerNorm은 배치를 전혀 쓰지 않습니다.
        `drop_last=True`는 학습용 로더에만 쓰세요. 평가에서는 샘플이 빠지게 됩니다.
        """,
    ),
    bad="""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    data = TensorDataset(torch.arange(36.0).reshape(9, 4))
    loader = DataLoader(data, batch_size=4)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU())
    for (rows,) in loader:
        print(model(rows).shape)
    """,
    good="""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    data = TensorDataset(torch.arange(36.0).reshape(9, 4))
    loader = DataLoader(data, batch_size=4, drop_last=True)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU())
    for (rows,) in loader:
        print(model(rows).shape)
    """,
    messages=(
        "Expected more than 1 value per channel when training, got input size {shape:shape}",
        "Expected more than 1 spatial element when training, got input size {shape:shape}",
    ),
    says=(
        "ValueError: Expected more than 1 value per channel when training, got input size torch.Size([1, 64])",
        "ValueError: Expected more than 1 value per channel when training, got input size [1, 256, 1, 1]",
    ),
    search=(
        "Expected more than 1 value per channel when training",
        "BatchNorm batch size 1 last batch drop_last",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html",
        "https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader",
    ),
)

_EVALUATES = r"(?i)(?:^|_)(?:val|valid\w*|test\w*|eval\w*|pred\w*|infer\w*)(?:_|$)"
_NO_GRAD = {"no_grad", "inference_mode"}


@rule.on(Failure)
def one_value(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    at, fixes, evidence = failure.raised_at, list[Fix](), tuple[Evidence, ...]()
    outer = _model_call(failure)
    if outer is not None:
        frame, source, call = outer
        at = source.span(call)
        loader = _loader(failure, frame, source, call)
        if _evaluates(source, call):
            fixes += _eval_first(source, call)
        elif loader is not None and not _takes_one(loader):
            at = loader.at
            fixes += _drop_last(loader)
            evidence = tuple(_left_over(failure))
    yield Diagnosis(
        rule,
        at,
        reading.facts,
        evidence,
        tuple(fixes),
        raised_at=failure.raised_at,
        module_path=failure.failing.path if failure.failing else None,
    )


def _model_call(failure: Failure) -> tuple[Frame, Source, ast.Call] | None:
    """The user's line that called the whole model: before the first frame of `nn.Module.__call__`."""
    before: Frame | None = None
    for frame in failure.frames:
        if frame.is_user:
            before = frame
        elif before is not None and re.search(r"torch[\\/]nn[\\/]", frame.at.path):
            break
    source = failure.source(before.at) if before else None
    if before is None or source is None:
        return None
    if not failure.is_live and source.line(before.at.line).strip() != before.code.strip():
        return None
    line = before.at.line
    here = [c for c in source.nodes(ast.Call) if c.lineno <= line <= (c.end_lineno or 0)]
    exact = [c for c in here if before.at.end_line and source.span(c) == before.at]
    marked = "".join(before.expression.split())
    same = [c for c in here if marked and "".join(source.code(c).split()) == marked]
    chosen = exact or same
    return (before, source, chosen[0]) if chosen else None


def _loader(failure: Failure, frame: Frame, source: Source, call: ast.Call) -> Made | None:
    """The loader whose loop the call stands in."""
    loop = source.enclosing(call, ast.For)
    if loop is None or (source.name(getattr(loop.iter, "func", None)) == "range"):
        return None
    return made(failure, frame, loop.iter.lineno)


def _takes_one(loader: Made) -> bool:
    """True if every batch of the loader has one item."""
    size = loader.argument(1, "batch_size")
    return size is None or (isinstance(size, ast.Constant) and size.value == 1)


def _evaluates(source: Source, call: ast.Call) -> bool:
    """True below `no_grad`, or in a function whose name tells that it evaluates."""
    for up in source.parents(call):
        if isinstance(up, ast.With):
            if any(_is_no_grad(source, item.context_expr) for item in up.items):
                return True
        elif isinstance(up, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if re.search(_EVALUATES, up.name):
                return True
            if any(_is_no_grad(source, decorator) for decorator in up.decorator_list):
                return True
    return False


def _is_no_grad(source: Source, node: ast.expr) -> bool:
    node = node.func if isinstance(node, ast.Call) else node
    return (source.name(node) or "").rpartition(".")[2] in _NO_GRAD


def _eval_first(source: Source, call: ast.Call) -> Iterator[Fix]:
    model = source.code(call.func)
    if isinstance(call.func, (ast.Name, ast.Attribute)):
        before: ast.AST = source.statement(call)
        for up in source.parents(call):
            if isinstance(up, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)):
                break
            if isinstance(up, (ast.For, ast.With, ast.While)):
                before = up
        title = Text(en="call `{model}.eval()` first", ko="먼저 `{model}.eval()` 부르기")
        edit = source.insert_statement(before, f"{model}.eval()")
        yield Fix((edit,), title.fill(model=model))


def _drop_last(loader: Made) -> Iterator[Fix]:
    given = loader.argument(8, "drop_last")
    title = Text(en="pass `drop_last=True`", ko="`drop_last=True` 옵션 주기")
    if given is None:
        yield Fix((loader.with_keyword("drop_last=True"),), title)
    elif isinstance(given, ast.Constant) and given.value is False:
        yield Fix((loader.source.replace(given, "True"),), title)


def _left_over(failure: Failure) -> Iterator[Evidence]:
    """The arithmetic of the last batch, where one loader alone explains it."""
    explained = [x for x in failure.loaders if _remainder(x) == 1]
    if len(explained) == 1:
        loader = explained[0]
        yield Evidence(
            Text(
                en="{length} items in batches of {size}: the last batch has 1",
                ko="항목 {length}개를 {size}개씩 나누면 마지막 배치에 1개가 남습니다",
            ).fill(length=loader.dataset_length, size=loader.batch_size)
        )


def _remainder(loader: Loader) -> int | None:
    if loader.dataset_length is None or not loader.batch_size or loader.wraps:
        return None
    return loader.dataset_length % loader.batch_size
