from __future__ import annotations

from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Rule, Severity, Text, Variant, show_value
from torchmedic.observed import Failure
from torchmedic.rules._asserts import INDEX, assertion, is_known, is_of_embedding, suspects
from torchmedic.rules._place import answer

_WHY_ON_GPU = Text(
    en="""
    A CUDA kernel checks its indices while it runs, and the program is further by then: the line that is shown can be
    later than the one at fault. After a failed check this process can't use the GPU any more, nor read a tensor there.
    """,
    ko="""
    CUDA 커널은 실행 중에 인덱스를 검사하고 프로그램은 그사이 더 나아갑니다. 그래서 보이는 줄은 잘못된 줄보다 뒤일 수
    있습니다. 검사에 실패하면 이 프로세스는 더는 GPU를 쓰거나 그 위의 텐서를 읽을 수 없습니다.
    """,
)
_LINKS = ("https://docs.pytorch.org/docs/stable/notes/cuda.html#asynchronous-execution",)

rule = Rule(
    code="TM219",
    name="tensor-index-out-of-range",
    severity=Severity.ERROR,
    summary=Text(
        en="A tensor is indexed at a position that it doesn't have.",
        ko="텐서에 없는 위치를 인덱스로 찾습니다.",
    ),
    title=Text(
        en="index {index} is asked of dimension {dimension}, which has {size} elements",
        ko="원소가 {size}개인 {dimension}번 차원에서 인덱스 {index} 값을 찾습니다",
    ),
    why=Text(
        en="""
        Positions count from 0, so the last one is the size minus 1. Indexing also counts from the end (−1); `gather`,
        `scatter` and their like take no negative number.
        """,
        ko="""
        위치는 0부터 세므로 마지막 위치는 크기 − 1입니다. 대괄호 인덱싱은 끝에서부터 세는 음수(−1)도 받지만 `gather`,
        `scatter`와 그 비슷한 연산은 음수를 받지 않습니다.
        """,
    ),
    help=Text(
        en="Compare `index.min()` and `index.max()` with the size, and count from 0 or make the tensor larger.",
        ko="`index.min()`과 `index.max()` 값을 크기와 비교해 0부터 세거나 텐서를 키우세요.",
    ),
    lesson=Text(
        en="""
        Check indices where they are made: `assert 0 <= index.min() and index.max() < size`. Labels that are counted
        from 1, a padding value such as −100 or −1, and a dimension that is shorter than thought are the usual
        sources. On a GPU the same mistake is a device-side assert at a later line: run the program once on the CPU,
        or with `CUDA_LAUNCH_BLOCKING=1`.
        """,
        ko="""
        인덱스를 만드는 자리에서 확인하세요. `assert 0 <= index.min() and index.max() < size`. 1부터 센 레이블, −100이나
        −1 같은 채움 값, 생각보다 짧은 차원이 흔한 원인입니다. GPU에서는 같은 실수가 나중 줄의 device-side assert로
        나타납니다. 프로그램을 한 번 CPU에서 실행하거나 `CUDA_LAUNCH_BLOCKING=1`을 설정하세요.
        """,
    ),
    bad="""
    import torch

    scores = torch.zeros(4, 3)
    labels = torch.tensor([1, 2, 3, 1])
    print(scores.gather(1, labels[:, None]).mean())
    """,
    good="""
    import torch

    scores = torch.zeros(4, 3)
    labels = torch.tensor([1, 2, 3, 1])
    print(scores.gather(1, labels[:, None] - 1).mean())
    """,
    messages=("index {index:d} is out of bounds for dimension {dimension:d} with size {size:d}",),
    variants=(
        Variant(
            "select",
            Text(
                en="index {index} is asked of dimension {dimension} of a tensor of size {shape}",
                ko="크기가 {shape}인 텐서의 {dimension}번 차원에서 인덱스 {index} 값을 찾습니다",
            ),
            messages=(
                "select(): index {index:d} out of range for tensor of size {shape:shape} at dimension {dimension:d}",
            ),
        ),
        Variant(
            "flat",
            Text(
                en="element {index} is asked of a tensor with {size} elements",
                ko="원소가 {size}개인 텐서에서 {index}번 원소를 찾습니다",
            ),
            messages=(
                "out of range: tried to access index {index:d} on a tensor of {size:d} elements",
                "INDICES element is out of DATA bounds, id={index:d} axis_dim={size:d}",
            ),
        ),
        Variant(
            "some",
            Text(
                en="an index is asked of a dimension that is shorter",
                ko="차원의 크기를 넘는 인덱스를 찾습니다",
            ),
            messages=("index out of range in self",),
        ),
        Variant(
            "assert",
            Text(
                en="an index does not fit its tensor (assert on the GPU)",
                ko="인덱스가 텐서의 크기에 맞지 않습니다 (GPU의 assert)",
            ),
            why=_WHY_ON_GPU,
            messages=(
                'gather kernel index out of bounds"',
                '"index out of bounds"` failed',
                '"index out of bounds"\' failed',
                "Assertion `indexValue >= 0 && indexValue < src.sizes[dim]` failed",
                "Assertion `indexValue >= 0 && indexValue < tensor.sizes[dim]` failed",
                "Assertion `dstIndex < dstAddDimSize` failed",
            ),
            links=_LINKS,
        ),
        Variant(
            "device",
            Text(
                en="a check on the GPU failed: an index, a label or a value is out of its range",
                ko="GPU에서 검사에 실패했습니다: 인덱스, 레이블 또는 값이 범위를 벗어났습니다",
            ),
            why=_WHY_ON_GPU,
            help=Text(
                en="Run the same batch on the CPU, or with `CUDA_LAUNCH_BLOCKING=1`: the message then names the line.",
                ko="같은 배치를 CPU에서 실행하거나 `CUDA_LAUNCH_BLOCKING=1`을 설정하면 실제 줄이 나옵니다.",
            ),
            messages=("device-side assert triggered",),
            search=("CUDA error device-side assert triggered", "CUDA_LAUNCH_BLOCKING=1"),
            links=_LINKS,
        ),
    ),
    innocent=(
        """
        import torch

        scores = torch.zeros(4, 3)
        try:
            print(scores[:, 3])
        except IndexError:
            print(scores[:, -1])
        """,
    ),
    says=(
        "IndexError: index 5 is out of bounds for dimension 1 with size 5",
        "RuntimeError: index 10 is out of bounds for dimension 1 with size 10",
        "IndexError: select(): index 7 out of range for tensor of size [8, 5] at dimension 1",
        "RuntimeError: INDICES element is out of DATA bounds, id=5 axis_dim=5",
        "/pytorch/aten/src/ATen/native/cuda/IndexKernel.cu:111: operator(): block: [0,0,0], thread: [5,0,0] Assertion "
        '`-sizes[i] <= index && index < sizes[i] && "index out of bounds"` failed.',
        "../aten/src/ATen/native/cuda/ScatterGatherKernel.cu:144: operator(): block: [0,0,0], thread: [5,0,0] "
        'Assertion `idx_dim >= 0 && idx_dim < index_size && "index out of bounds"` failed.',
        "/pytorch/aten/src/ATen/native/cuda/ScatterGatherKernel.cu:163: operator(): block: [0,0,0], thread: [5,0,0] "
        'Assertion `idx_dim >= 0 && idx_dim < index_size && "scatter gather kernel index out of bounds"` failed.',
        "/pytorch/aten/src/ATen/native/cuda/IndexKernelUtils.cu:16: vectorized_gather_kernel: block: [358,0,0], "
        'thread: [0,0,0] Assertion `ind >=0 && ind < ind_dim_size && "vectorized gather kernel index out of bounds"` '
        "failed.",
        "RuntimeError: CUDA error: device-side assert triggered",
        "torch.AcceleratorError: CUDA error: device-side assert triggered",
        "RuntimeError: cuda runtime error (59) : device-side assert triggered at "
        "/opt/conda/conda-bld/pytorch/aten/src/THC/generic/THCTensorCopy.cpp:20",
    ),
    search=("index is out of bounds for dimension with size", "scatter gather index out of bounds"),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.gather.html",
        "https://docs.pytorch.org/docs/stable/tensor_view.html",
    ),
)

_INTEGERS = ("int64", "int32", "int16", "int8", "uint8")
_PRINTED = Text(en="the kernel checked `{code}`", ko="커널이 검사한 조건: `{code}`")
_HELD = Text(en="`{code}` is {dtype} {shape}", ko="`{code}` 값: {dtype} {shape}")


@rule.on(Failure)
def index_is_beside_the_tensor(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None or _is_of_a_dataset(failure):
        return
    name, checked = reading.variant.name, assertion(failure)
    if name == "some" and (not failure.is_live or is_of_embedding(failure)):
        return
    if name == "assert" and "vectorized gather" in checked and is_of_embedding(failure):
        return
    if name == "device":
        if not is_known(checked):
            printed = (Evidence(_PRINTED.fill(code=checked)),) if checked else ()
            evidence = (*printed, *suspects(failure))
            yield answer(rule, failure, reading, evidence=evidence)
        return
    evidence = tuple(suspects(failure, INDEX)) if name == "assert" else _indices(failure)
    yield answer(rule, failure, reading, evidence=evidence)


def _is_of_a_dataset(failure: Failure) -> bool:
    """Other rules know what a dataset does under `__getitem__`."""
    paths = [f.at.path.replace("\\", "/") for f in failure.frames if not f.is_user]
    items = [f.function.rpartition(".")[2] for f in failure.frames if f.is_user]
    is_loaded = any("torch/utils/data/" in path for path in paths) and bool(items)
    return failure.is_worker or is_loaded or "__getitem__" in items or "__getitems__" in items


def _indices(failure: Failure) -> tuple[Evidence, ...]:
    """The tensors that the failing line names, integers first."""
    frame = failure.user_frame
    held = {**frame.names, **frame.parts} if frame is not None else {}
    found = [(code, value.tensor) for code, value in held.items() if value.tensor is not None]
    found.sort(key=lambda one: one[1].dtype not in _INTEGERS)
    return tuple(
        Evidence(
            _HELD.fill(code=code, dtype=tensor.dtype, shape=show_value(tensor.shape)),
            frame.at if frame is not None else None,
        )
        for code, tensor in found[:3]
    )
