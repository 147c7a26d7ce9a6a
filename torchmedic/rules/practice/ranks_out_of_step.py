import ast
from collections.abc import Iterator, Mapping

from torchmedic.model import Diagnosis, Evidence, Rule, Severity, Text, Variant
from torchmedic.observed import Failure
from torchmedic.rules._flow import failing_call

rule = Rule(
    code="TM353",
    name="ranks-out-of-step",
    severity=Severity.ERROR,
    summary=Text(
        en="One rank calls a collective operation that another rank does not call.",
        ko="한 랭크가 부르는 집합 연산(collective)을 다른 랭크는 부르지 않습니다.",
    ),
    title=Text(
        en="`{call}` waits for a rank that has ended",
        ko="`{call}` 호출이 이미 끝난 랭크를 기다립니다",
    ),
    why=Text(
        en="""
        `barrier`, `all_reduce` and the backward pass of DistributedDataParallel exchange data among all ranks: each returns
        only when every rank has called it. A rank that made fewer steps, or took another branch, ends; the others wait
        until its connection closes.
        """,
        ko="""
        `barrier`, `all_reduce`, DistributedDataParallel의 backward는 모든 랭크가 데이터를 주고받는 연산이며, 모든 랭크가
        불러야 끝납니다. 스텝 수가 적거나 다른 분기를 탄 랭크가 먼저 끝나면 나머지 랭크는 그 연결이 닫힐 때까지 기다립니다.
        """,
    ),
    help=Text(
        en="""
        Let every rank call it equally often: give the DataLoader a `DistributedSampler` (or `drop_last=True`), and take
        collective calls out of `if rank == 0:`. If another rank crashed, its own traceback is the one to read.
        """,
        ko="""
        모든 랭크가 같은 횟수로 부르게 하세요. DataLoader에 `DistributedSampler`(또는 `drop_last=True`)를 주고, 집합 연산은
        `if rank == 0:` 밖으로 꺼내세요. 다른 랭크가 비정상 종료했다면 그 랭크의 traceback을 먼저 읽으세요.
        """,
    ),
    lesson=Text(
        en="""
        Print `len(loader)` on every rank: the numbers must be equal. `DistributedSampler` pads the shares to one length;
        a split by hand does not. Where lengths differ on purpose, `with Join([model]):` lets early ranks answer until the
        last one is done. What only rank 0 does (logging, saving, validation) must hold no collective call: no `barrier`, no
        `all_reduce`, no call of the wrapped model; validate with `model.module`. `TORCH_DISTRIBUTED_DEBUG=DETAIL` names the two
        operations that meet.
        """,
        ko="""
        모든 랭크에서 `len(loader)`를 출력해 보세요. 값이 같아야 합니다. `DistributedSampler`는 각 몫의 길이를 똑같이 맞추지만
        직접 나눈 데이터는 그렇지 않습니다. 길이가 일부러 다른 경우에는 `with Join([model]):` 블록이 먼저 끝난 랭크가 마지막
        랭크까지 응답하게 해 줍니다. 랭크 0만 하는 일(로그, 저장, 검증)에는 집합 연산이 없어야 합니다. `barrier`, `all_reduce`,
        DDP로 감싼 모델 호출이 모두 여기에 속하므로, 검증에는 `model.module`을 쓰세요. `TORCH_DISTRIBUTED_DEBUG=DETAIL` 환경
        변수를 주면 서로 만난 두 연산의 이름이 오류에 나옵니다.
        """,
    ),
    bad="""
    import tempfile

    import torch
    import torch.distributed as dist
    import torch.multiprocessing as mp


    def train(rank, meeting):
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
        share = torch.arange(5.0).tensor_split(2)[rank]
        for value in share:
            dist.all_reduce(value)


    if __name__ == "__main__":
        with tempfile.TemporaryDirectory() as folder:
            mp.start_processes(train, (f"{folder}/meeting",), nprocs=2, start_method="fork")
    """,
    good="""
    import tempfile

    import torch
    import torch.distributed as dist
    import torch.multiprocessing as mp


    def train(rank, meeting):
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
        share = torch.arange(6.0).tensor_split(2)[rank]
        for value in share:
            dist.all_reduce(value)


    if __name__ == "__main__":
        with tempfile.TemporaryDirectory() as folder:
            mp.start_processes(train, (f"{folder}/meeting",), nprocs=2, start_method="fork")
    """,
    messages=("Connection closed by peer", "Connection reset by peer"),
    variants=(
        Variant(
            "waited",
            Text(
                en="`{call}` waited {milliseconds} ms for another rank",
                ko="`{call}` 호출이 다른 랭크를 {milliseconds} ms 동안 기다렸습니다",
            ),
            why=Text(
                en="""
                All ranks must call a collective operation before the time limit of the process group. One of them did not:
                it is still busy (rank 0 saves or validates alone), or it waits in another operation.
                """,
                ko="""
                집합 연산은 프로세스 그룹의 제한 시간 안에 모든 랭크가 불러야 합니다. 그러지 못한 랭크가 있습니다. 아직 다른
                일을 하고 있거나(랭크 0만 저장하거나 검증하는 경우), 다른 연산에서 기다리고 있습니다.
                """,
            ),
            help=Text(
                en="""
                Find what the other rank does meanwhile. Work that only one rank does and that takes long needs a larger
                `timeout=` in `init_process_group`, or must not stand between two collective operations.
                """,
                ko="""
                그동안 다른 랭크가 무엇을 하는지 찾으세요. 한 랭크만 하는 긴 작업이 있다면 `init_process_group`에 더 큰
                `timeout=` 값을 주거나, 그 작업을 두 집합 연산 사이에서 빼세요.
                """,
            ),
            messages=(
                "Timed out waiting {milliseconds:d}ms for {direction:word} operation to complete",
                "failed to pass monitoredBarrier in {milliseconds:d} ms",
                "Watchdog caught collective operation timeout: {work:all} ran for {milliseconds:d} milliseconds",
            ),
        ),
        Variant(
            "mismatch",
            Text(
                en="rank {rank} runs {operation} while rank {other_rank} runs {other_operation}",
                ko="랭크 {rank}의 {operation} 연산이 랭크 {other_rank}의 {other_operation} 연산과 만납니다",
            ),
            why=Text(
                en="""
                Ranks match collective operations by their order alone. One of these two ranks took another branch, made
                another number of steps, or gives a tensor of another size.
                """,
                ko="""
                랭크들은 집합 연산을 순서만으로 짝짓습니다. 두 랭크 중 하나가 다른 분기를 탔거나, 스텝 수가 다르거나, 크기가
                다른 텐서를 주었습니다.
                """,
            ),
            messages=(
                "Rank {rank:d} is running collective: CollectiveFingerPrint({number}OpType={operation:word}, {what:all}"
                "but Rank {other_rank:d} is running collective: CollectiveFingerPrint({other}OpType={other_operation:word}",
            ),
        ),
        Variant(
            "parameters",
            Text(
                en="parameter {index} has the sizes {sizes} here, others on rank {other_rank}",
                ko="{index}번 파라미터의 크기 {sizes} 값이 랭크 {other_rank}의 크기와 다릅니다",
            ),
            why=Text(
                en="""
                DistributedDataParallel sends the parameters of rank 0 to all ranks and averages gradients one to one. The ranks
                built different models: sizes that depend on a rank's own share of the data (classes, vocabulary) differ.
                """,
                ko="""
                DistributedDataParallel은 랭크 0의 파라미터를 모든 랭크로 보내고 그래디언트를 하나씩 맞춰 평균합니다. 랭크마다
                다른 모델이 만들어졌습니다. 클래스 수나 어휘 크기처럼 랭크별 데이터에서 정한 크기가 서로 다릅니다.
                """,
            ),
            help=Text(
                en="Compute such sizes from the whole data set, or broadcast rank 0's: `dist.broadcast_object_list`.",
                ko="그런 크기는 전체 데이터에서 구하거나, 랭크 0의 값을 `dist.broadcast_object_list`로 보내 쓰세요.",
            ),
            messages=(
                "params[{index:d}] in this process with sizes {sizes:shape} appears not to match sizes of the same param in "
                "process {other_rank:d}",
            ),
        ),
    ),
    says=(
        "RuntimeError: [../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.4]:41022",
        "RuntimeError: [../third_party/gloo/gloo/transport/tcp/pair.cc:589] Read error [10.0.0.4]:3241: Connection reset by peer",
        "RuntimeError: [../third_party/gloo/gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 1800000ms for recv "
        "operation to complete",
        "RuntimeError: [Rank 0]: Rank 1 failed to pass monitoredBarrier in 30000 ms",
        "torch.distributed.DistBackendError: [Rank 2] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1804, "
        "OpType=ALLREDUCE, NumelIn=1, NumelOut=1, Timeout(ms)=600000) ran for 600021 milliseconds before timing out.",
        "RuntimeError: Detected mismatch between collectives on ranks. Rank 1 is running collective: CollectiveFingerPrint("
        "SequenceNumber=7, OpType=BROADCAST, TensorShape=[3], TensorDtypes=Float), but Rank 0 is running collective: "
        "CollectiveFingerPrint(SequenceNumber=7, OpType=ALLREDUCE, TensorShape=[3], TensorDtypes=Float).",
        "RuntimeError: [1]: params[0] in this process with sizes [2, 4] appears not to match sizes of the same param in process 0.",
    ),
    search=(
        "Connection closed by peer gloo DistributedDataParallel",
        "Watchdog caught collective operation timeout",
        "DDP uneven inputs Join",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/distributed.html#debugging-torch-distributed-applications",
        "https://docs.pytorch.org/tutorials/advanced/generic_join.html",
    ),
)


@rule.on(Failure)
def rank_waited(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None or not _is_collective(failure):
        return
    yield Diagnosis(
        rule,
        failure.raised_at,
        {"call": _call(failure), **reading.facts},
        variant=reading.variant if reading.variant.name else None,
        raised_at=failure.raised_at,
    )


def _is_collective(failure: Failure) -> bool:
    """Sockets of any program may be closed by their peers."""
    said = failure.message
    return any(word in said for word in ("gloo", "NCCL", "onitored", "Collective", "params["))


def _call(failure: Failure) -> str:
    """As the user's line writes it; else torch's function that waited."""
    found = failing_call(failure)
    if found is not None:
        called = found[2].func
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Call):
            return f"….{called.attr}"
        return ast.unparse(called)
    inside = [f.function for f in failure.frames if "distributed" in f.at.path and not f.is_user]
    return inside[-1] if inside else "torch.distributed"


def ended_early(ended: Mapping[int, int], steps: int) -> Evidence:
    """Which ranks a rank waited for: their steps and its own, of all optimizers."""
    en = ", ".join(f"rank {rank} ended after {n} optimizer steps" for rank, n in ended.items())
    ko = ", ".join(f"랭크 {rank}: optimizer 스텝 {n}번 뒤에 종료" for rank, n in ended.items())
    return Evidence(
        Text(
            en=f"{en}; this one had made {steps} when it waited",
            ko=f"{ko}. 이 랭크는 {steps}번 뒤에 기다리는 중",
        )
    )
