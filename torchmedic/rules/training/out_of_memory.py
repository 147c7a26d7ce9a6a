import re
from collections.abc import Iterator, Mapping

from torchmedic.model import Diagnosis, Evidence, Fix, Rule, Severity, Span, Table, Text, Variant
from torchmedic.observed import Failure, Loader, Tensor
from torchmedic.observed.origin import origins
from torchmedic.observed.project import Project
from torchmedic.observed.settings import option_default
from torchmedic.rules._batches import Size, taken_at_once
from torchmedic.rules._flow import failing_call
from torchmedic.rules._resize import constant

rule = Rule(
    code="TM301",
    name="out-of-memory",
    severity=Severity.ERROR,
    summary=Text(
        en="The program asks for more memory than the device has left.",
        ko="장치에 남은 것보다 많은 메모리를 요청합니다.",
    ),
    title=Text(
        en="{asked} more are needed on {device}, which has {total} in all",
        ko="전체 용량이 {total} 크기인 {device} 장치에 {asked} 크기가 더 필요합니다",
    ),
    why=Text(
        en="""
        A training step holds the parameters, their gradients, the optimizer's state, the batch, and every activation
        that backward needs, all at the same time. Activations grow with the batch size, and with the square of the
        sequence length in attention. The allocator keeps freed blocks in reserve, and other processes use the rest.
        """,
        ko="""
        학습 한 단계에는 파라미터, 기울기, 옵티마이저 상태, 배치, 그리고 backward에 필요한 모든 활성값이 동시에 메모리에
        있습니다. 활성값은 배치 크기에 비례해서, 어텐션에서는 시퀀스 길이의 제곱에 비례해서 커집니다. 할당자는 해제된
        블록을 예비로 잡아 두고, 나머지는 다른 프로세스가 쓰기도 합니다.
        """,
    ),
    help=Text(
        en="""
        Make the batch smaller and accumulate gradients over several of them (divide the loss by their number);
        then run the forward pass in bf16 under `torch.autocast`; then checkpoint the largest blocks. Evaluate under
        `torch.no_grad()` and keep `.item()` of losses, not the tensors.
        """,
        ko="""
        배치를 줄이고 여러 배치에 걸쳐 기울기를 누적하세요(loss는 그 수로 나눕니다). 그다음 `torch.autocast`로 forward를
        bf16으로 실행하고, 그다음 가장 큰 블록에 checkpoint를 적용하세요. 평가는 `torch.no_grad()` 안에서 하고, loss는
        텐서가 아니라 `.item()` 값을 보관하세요.
        """,
    ),
    lesson=Text(
        en="""
        One number in the message is the request that failed, not the whole need. Count by hand: float32 takes 4 bytes;
        parameters, gradients and Adam's two moments make 16 bytes for each parameter, before any activation. A request
        of terabytes is never a matter of the batch: look for an outer product such as (N, 1, D) − (1, N, D), a one-hot
        of a huge vocabulary, or attention over a whole recording. `torch.cuda.empty_cache()` gives reserved blocks
        back to other processes; it frees no tensor that you still hold. Fragmentation, where much is reserved but
        unallocated, yields to PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True.
        """,
        ko="""
        메시지의 숫자는 실패한 요청의 크기이지 필요한 전체가 아닙니다. 직접 세어 보세요. float32는 4바이트이고,
        파라미터, 기울기, Adam의 두 모멘트만으로 파라미터 하나에 16바이트가 듭니다. 활성값은 별도입니다. 테라바이트
        단위의 요청은 배치 크기 문제가 아닙니다. (N, 1, D) − (1, N, D) 같은 외적, 거대한 어휘의 one-hot, 녹음 전체에
        대한 어텐션을 찾아보세요. `torch.cuda.empty_cache()`는 예비 블록을 다른 프로세스에 돌려줄 뿐, 아직 잡고 있는
        텐서를 해제하지 않습니다. 예약되었지만 할당되지 않은 메모리가 많은 단편화에는
        PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True 설정이 도움이 됩니다.
        """,
    ),
    bad="""
    import torch
    import torch.nn.functional as F
    from torch.utils.data import DataLoader, TensorDataset

    words = torch.arange(100_000)
    loader = DataLoader(TensorDataset(words), batch_size=100_000)
    for (batch,) in loader:
        one_hot = F.one_hot(batch, 5_000_000)
        print(one_hot.sum().item())
        break
    """,
    good="""
    import torch
    import torch.nn.functional as F
    from torch.utils.data import DataLoader, TensorDataset

    words = torch.arange(100_000)
    loader = DataLoader(TensorDataset(words), batch_size=4)
    for (batch,) in loader:
        one_hot = F.one_hot(batch, 5_000_000)
        print(one_hot.sum().item())
        break
    """,
    messages=(
        "out of memory. Tried to allocate {asked}. GPU {gpu:d} has a total capacity of {total} of which {free} is free",
        "out of memory. Tried to allocate {asked}. GPU {gpu:d} has a total capacty of {total} of which {free} is free",
        "out of memory. Tried to allocate {asked} (GPU {gpu:d}; {total} total capacity; {allocated} already allocated; {free} free",
        "out of memory. Tried to allocate {asked} (GPU {gpu:d}; {total} total capacity; {allocated} already allocated",
        "out of memory. Tried to allocate {asked}. GPU {gpu:d} has a total capacity of {total}. Of the allocated",
        "MPS backend out of memory (MPS allocated: {allocated}, other allocations: {other}, max allowed: {total}). Tried to allocate {asked} on",
    ),
    variants=(
        Variant(
            "cpu",
            Text(
                en="one tensor of {asked} is requested, more than the machine's memory",
                ko="한 번에 {asked} 크기의 텐서를 요청합니다. 컴퓨터의 메모리보다 큽니다",
            ),
            help=Text(
                en="""
                Find the size that makes it so large in that line, and bring it down: a smaller batch, a shorter
                sequence, pieces instead of the whole, or indices instead of a dense table.
                """,
                ko="""
                그 줄에서 텐서를 이렇게 크게 만드는 차원을 찾아 줄이세요. 더 작은 배치, 더 짧은 시퀀스, 전체 대신 조각,
                밀집 표 대신 인덱스를 쓰는 방법이 있습니다.
                """,
            ),
            messages=(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate {bytes:d} bytes",
                "DefaultCPUAllocator: not enough memory: you tried to allocate {bytes:d} bytes",
                "$ Torch: not enough memory: you tried to allocate {asked}. Buy new RAM!",
            ),
        ),
        Variant(
            "unsaid",
            Text(
                en="a tensor needs more than the memory that the machine has left",
                ko="텐서에 컴퓨터의 남은 메모리보다 많은 메모리가 필요합니다",
            ),
            messages=("posix_memalign(&data, gAlignment, nbytes) == 0. 12 vs 0",),
        ),
        Variant(
            "gpu",
            Text(en="the GPU's memory is used up", ko="GPU 메모리가 모두 찼습니다"),
            messages=(
                "CUDA out of memory",
                "CUDA error: out of memory",
                "cuda runtime error (2) : out of memory",
                "CUBLAS_STATUS_ALLOC_FAILED",
                "HIP out of memory",
                "CUDNN_STATUS_ALLOC_FAILED",
            ),
        ),
    ),
    says=(
        "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 7.93 GiB total capacity; 6.90 GiB already "
        "allocated; 12.31 MiB free; 7.02 GiB reserved in total by PyTorch)",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.69 GiB "
        "of which 1.21 GiB is free. Process 4211 has 22.47 GiB memory in use. Of the allocated memory 21.50 GiB is "
        "allocated by PyTorch, and 512.34 MiB is reserved by PyTorch but unallocated.",
        "RuntimeError: CUDA error: out of memory",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "RuntimeError: MPS backend out of memory (MPS allocated: 17.20 GB, other allocations: 1.02 GB, max allowed: "
        "18.13 GB). Tried to allocate 256.00 MB on private pool.",
        "RuntimeError: [enforce fail at alloc_cpu.cpp:75] err == 0. DefaultCPUAllocator: can't allocate memory: you "
        "tried to allocate 1310720000000 bytes. Error code 12 (Cannot allocate memory)",
    ),
    search=(
        "cuda out of memory tried to allocate",
        "pytorch gradient accumulation",
        "DefaultCPUAllocator can't allocate memory",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/notes/cuda.html#memory-management",
        "https://docs.pytorch.org/docs/stable/amp.html",
        "https://docs.pytorch.org/docs/stable/checkpoint.html",
    ),
)

MODEST = 2**28  # bytes for one tensor that any machine can spare
LARGE = 1_000_000
_UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "MB": 10**6, "GB": 10**9}
_HELD = Text(en="held by the program when it failed", ko="실패했을 때 프로그램이 잡고 있던 메모리")
_KIND, _SIZE = Text(en="what", ko="종류"), Text(en="size", ko="크기")
_HOLDERS = {
    "parameters": Text(en="parameters", ko="파라미터"),
    "gradients": Text(en="gradients", ko="기울기"),
    "optimizer_state": Text(en="optimizer state", ko="옵티마이저 상태"),
    "tensors_in_frames": Text(en="tensors held by your variables", ko="변수가 잡고 있는 텐서"),
    "device_allocated": Text(
        en="allocated on the device, activations included", ko="장치에 할당됨(활성값 포함)"
    ),
    "device_reserved": Text(en="reserved on the device", ko="장치에 예약됨"),
    "device_free": Text(en="free on the device", ko="장치에 남은 메모리"),
    "device_total": Text(en="the device in all", ko="장치의 전체 메모리"),
}
_LARGEST = Text(
    en="the largest tensor of the failing line: `{name}` {shape} {dtype}, {size}",
    ko="실패한 줄에서 가장 큰 텐서: `{name}` {shape} {dtype}, {size}",
)
_TAKERS = [
    f"{head}{name}" for head in ("torch.utils.data.", "") for name in ("DataLoader", "BatchSampler")
]
_NUMBER = Text(en="`{name}` is {value}", ko="`{name}` 값은 {value} 입니다")
_BATCH = Text(en="lower the batch size to {size}", ko="배치 크기를 {size} 값으로 줄이기")


def size_text(count: float) -> str:
    """Bytes for a reader: `1.19 TiB`, `512.00 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.2f} {unit}"
        count /= 1024
    return f"{count:.2f} TiB"


@rule.on(Failure)
def memory_ran_out(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    facts = _facts(reading.facts)
    evidence = (*_operand(failure), *_holders(failure.memory))
    at = _largest_expression(failure) or failure.raised_at
    fixes: tuple[Fix, ...] = ()
    batch = _batch_size(failure, facts.get("asked_bytes"))
    if batch is not None:
        at, fixes = batch
    yield Diagnosis(
        rule,
        at,
        facts,
        evidence,
        fixes,
        variant=reading.variant if reading.variant.name else None,
        raised_at=failure.raised_at,
        module_path=failure.failing.path if failure.failing else None,
    )


def _facts(read: Mapping[str, object]) -> dict[str, object]:
    facts = dict(read)
    if isinstance(facts.get("bytes"), int):
        facts["asked_bytes"] = facts.pop("bytes")
        facts["asked"] = size_text(float(str(facts["asked_bytes"])))
    else:
        facts["asked_bytes"] = _in_bytes(str(facts.get("asked", "")))
    if "gpu" in facts:
        facts["device"] = f"cuda:{facts['gpu']}"
    elif "other" in facts:
        facts["device"] = "mps"
    return {k: v for k, v in facts.items() if v is not None}


def _in_bytes(text: str) -> int | None:
    found = re.match(r"([\d.]+)\s*(KiB|MiB|GiB|TiB|MB|GB)", text)
    return int(float(found[1]) * _UNITS[found[2]]) if found else None


def _holders(memory: Mapping[str, int]) -> tuple[Evidence, ...]:
    rows = tuple((_HOLDERS[k], size_text(v)) for k, v in memory.items() if k in _HOLDERS and v)
    return (Evidence(_HELD, table=Table((_KIND, _SIZE), rows)),) if rows else ()


def _operand(failure: Failure) -> tuple[Evidence, ...]:
    frame = failure.user_frame
    if frame is None:
        return ()
    numbers = {n: v.constant for n, v in frame.names.items() if type(v.constant) is int}
    large = tuple(
        Evidence(_NUMBER.fill(name=name, value=f"{value:,}"))
        for name, value in numbers.items()
        if value and value >= LARGE
    )
    held = {n: v.tensor for n, v in {**frame.names, **frame.parts}.items() if v.tensor}
    if not held:
        return large
    name, tensor = max(held.items(), key=lambda item: item[1].bytes)
    return (Evidence(_describe(name, tensor)), *large)


def _describe(name: str, tensor: Tensor) -> Text:
    shape = "(" + ", ".join(map(str, tensor.shape)) + ")"
    return _LARGEST.fill(name=name, shape=shape, dtype=tensor.dtype, size=size_text(tensor.bytes))


def _largest_expression(failure: Failure) -> Span | None:
    found = failing_call(failure)
    return failure.raised_at if found is None else found[0].span(found[2])


def _batch_size(failure: Failure, asked: object) -> tuple[Span, tuple[Fix, ...]] | None:
    """The number that sets the batch size, if the failing operands carry it; lowered until the request is modest."""
    loader = next((x for x in failure.loaders if x.batch_size), None)
    if failure.user_frame is None:
        return None
    carried = _carried(failure)
    found = _declared(failure, loader)
    if found is None or found[2] not in carried:
        found = taken_at_once(failure, {size for t in _operands(failure) for size in t.shape[:2]})
    if found is None or found[2] < 2:
        return None
    source, node, size = found
    power = _power(failure, size)
    if isinstance(asked, int) and asked / size**power > MODEST:
        return None  # one sample alone asks for too much
    lower: int = 2 ** ((size - 1).bit_length() - 1)
    while isinstance(asked, int) and lower > 1 and asked * (lower / size) ** power > MODEST:
        lower //= 2
    at = source.span(node)
    return at, (Fix((source.replace(node, str(lower)),), _BATCH.fill(size=lower)),)


def _declared(failure: Failure, loader: Loader | None) -> Size | None:
    """The literal behind `DataLoader(…, batch_size=…)` or `BatchSampler(…)`, or the default of a `--batch-size` option."""
    project = Project(failure)
    outer = next((f for f in failure.frames if f.is_user), None)
    for source in project.sources():
        for call in source.calls(*_TAKERS):
            value = next((k.value for k in call.keywords if k.arg == "batch_size"), None)
            value = value or (call.args[1] if len(call.args) > 1 else None)
            for origin in origins(failure, outer, value, source) if value and outer else ():
                size = constant(origin.node)
                if size is not None and (loader is None or size == loader.batch_size):
                    return Size(origin.source, origin.node, size)
    option = option_default(project, "batch_size")
    size = constant(option[1]) if option else None
    return Size(*option, size) if option and size is not None else None


def _carried(failure: Failure) -> set[int]:
    """The first two sizes of every tensor in the user's frames."""
    return {
        size
        for f in failure.frames
        if f.is_user
        for v in (*f.names.values(), *f.values.values())
        for t in v.tensors()
        for size in t.shape[:2]
    }


def _operands(failure: Failure) -> list[Tensor]:
    """The tensors that the failing line names or makes."""
    frame = failure.user_frame
    values = (*frame.names.values(), *frame.parts.values()) if frame else ()
    return [t for v in values for t in v.tensors()]


def _power(failure: Failure, size: int) -> int:
    """How the largest tensor of the failing line grows with the size: 2 for (size, size), else 1."""
    largest = max(_operands(failure), key=lambda t: t.bytes, default=None)
    return max(1, largest.shape.count(size)) if largest is not None else 1
