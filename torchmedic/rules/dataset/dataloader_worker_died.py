from collections.abc import Iterator

from torchmedic.model import Diagnosis, Rule, Severity, Text, Variant
from torchmedic.observed import Failure
from torchmedic.rules._loaders import calls, made
from torchmedic.rules._processes import module_level, starts_afresh

rule = Rule(
    code="TM113",
    name="dataloader-worker-died",
    severity=Severity.ERROR,
    summary=Text(
        en="A worker process of the DataLoader was ended from outside, without a Python error.",
        ko="DataLoader의 워커 프로세스가 Python 오류 없이 외부에서 종료되었습니다.",
    ),
    title=Text(
        en="a DataLoader worker was ended by the signal {signal}",
        ko="DataLoader 워커가 {signal} 신호로 종료되었습니다",
    ),
    why=Text(
        en="""
        `Killed` is the operating system's answer to memory that ran out: every worker holds its own copy of what it
        touches, and `num_workers` × `prefetch_factor` batches wait in memory. `Bus error` means that the shared memory
        (/dev/shm) through which batches are handed over is full. `Segmentation fault` is a crash inside a C library.
        """,
        ko="""
        `Killed`는 메모리가 바닥났을 때 운영체제가 하는 일입니다. 워커마다 건드린 데이터의 복사본을 따로 가지며,
        `num_workers` × `prefetch_factor`개의 배치가 메모리에서 기다립니다. `Bus error`는 배치를 넘겨주는 공유
        메모리(/dev/shm)가 가득 찼다는 뜻이고, `Segmentation fault`는 C 라이브러리 안에서 일어난 비정상 종료입니다.
        """,
    ),
    help=Text(
        en="""
        Run once with `num_workers=0`: a Python error shows itself there. If memory is short, use fewer workers, a smaller
        `prefetch_factor` or a smaller batch. In a container give more shared memory: `docker run --shm-size=8g`,
        or `--ipc=host`.
        """,
        ko="""
        `num_workers=0`으로 한 번 실행해 보세요. Python 오류라면 그때 드러납니다. 메모리가 부족하면 워커 수,
        `prefetch_factor` 값, 배치 크기를 줄이세요. 컨테이너에서는 `docker run --shm-size=8g` 또는 `--ipc=host`
        옵션으로 공유 메모리를 늘리세요.
        """,
    ),
    lesson=Text(
        en="""
        Watch `free -h` and `df -h /dev/shm` while the program runs, and look for "Out of memory: Killed process" in
        `dmesg`. Data that all workers read belongs in one array or a memory-mapped file rather than in long Python lists:
        reading a list changes reference counts, which copies its pages into every worker. `Too many open files`
        goes away with `torch.multiprocessing.set_sharing_strategy("file_system")` or a higher `ulimit -n`.
        """,
        ko="""
        프로그램이 도는 동안 `free -h`와 `df -h /dev/shm`을 지켜보고, `dmesg`에서 "Out of memory: Killed process"를
        찾아보세요. 모든 워커가 읽는 데이터는 긴 Python 리스트 대신 배열 하나나 메모리 맵 파일에 두세요. 리스트는
        읽기만 해도 참조 횟수가 바뀌어 워커마다 복사됩니다. `Too many open files` 오류는
        `torch.multiprocessing.set_sharing_strategy("file_system")`이나 더 높은 `ulimit -n` 값으로 사라집니다.
        """,
    ),
    bad="""
    import os
    import signal

    import torch
    from torch.utils.data import DataLoader, Dataset


    class Rows(Dataset):
        def __len__(self):
            return 8

        def __getitem__(self, index):
            os.kill(os.getpid(), signal.SIGKILL)  # as Linux does when memory runs out
            return torch.zeros(3)


    loader = DataLoader(Rows(), batch_size=2, num_workers=1)
    for rows in loader:
        print(rows.shape)
    """,
    good="""
    import torch
    from torch.utils.data import DataLoader, Dataset


    class Rows(Dataset):
        def __len__(self):
            return 8

        def __getitem__(self, index):
            return torch.zeros(3)


    loader = DataLoader(Rows(), batch_size=2, num_workers=1)
    for rows in loader:
        print(rows.shape)
    """,
    messages=(
        "DataLoader worker (pid {pid:d}) is killed by signal: {signal}. It is possible",
        "DataLoader worker (pid {pid:d}) is killed by signal: {signal}.",
    ),
    variants=(
        Variant(
            "exited",
            Text(
                en="a DataLoader worker ended unexpectedly",
                ko="DataLoader 워커가 예기치 않게 종료되었습니다",
            ),
            messages=(
                "DataLoader worker (pid(s) {pids}) exited unexpectedly",
                "DataLoader worker (pid {pid:d}) exited unexpectedly",
            ),
        ),
        Variant(
            "files",
            Text(
                en="the DataLoader's workers have too many files open",
                ko="DataLoader 워커가 연 파일이 너무 많습니다",
            ),
            messages=(
                "Too many open files. Communication with the workers is no longer possible",
                "received 0 items of ancdata",
            ),
        ),
        Variant(
            "shared",
            Text(
                en="the shared memory through which workers hand over batches is used up",
                ko="워커가 배치를 넘겨주는 공유 메모리가 부족합니다",
            ),
            messages=(
                "unable to open shared memory object",
                "unable to write to file </torch_",
                "unable to mmap {bytes:d} bytes from file </torch_",
                "Unexpected bus error encountered in worker",
            ),
        ),
    ),
    says=(
        "RuntimeError: DataLoader worker (pid 211) is killed by signal: Bus error. It is possible that dataloader's "
        "workers are out of shared memory. Please try to raise your shared memory limit.",
        "RuntimeError: DataLoader worker (pid(s) 27354, 27418) exited unexpectedly",
        "RuntimeError: unable to open shared memory object </torch_29919_1396182366> in read-write mode",
        "RuntimeError: received 0 items of ancdata",
    ),
    search=(
        "DataLoader worker is killed by signal: Killed",
        "DataLoader worker exited unexpectedly",
        "Bus error dataloader's workers are out of shared memory docker",
        "received 0 items of ancdata",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/data.html#single-and-multi-process-data-loading",
        "https://docs.pytorch.org/docs/stable/multiprocessing.html#sharing-strategies",
    ),
)


@rule.on(Failure)
def worker_died(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None or (failure.frames and failure.user_frame is None):
        return  # without a frame of the user's: the part of a chain whose last link tells the place
    is_start = module_level(failure) is not None and starts_afresh(failure, list(calls(failure)))
    if reading.variant.name == "exited" and is_start:
        return  # the workers failed while they imported the program
    for cause in failure.causes:
        earlier = rule.read(cause.message)
        if earlier is not None and "signal" in earlier.facts:
            reading = earlier
    call = made(failure)
    yield Diagnosis(
        rule,
        call.at if call else failure.raised_at,
        reading.facts,
        variant=reading.variant,
        raised_at=failure.raised_at,
    )
