"""What is said of a replay: why there can't be one, and what is not in its figures."""

from __future__ import annotations

from torchmedic.model import Text

# Beside the figures, by a key that a replay meets.
NOT_MODELLED = {
    "convolution": Text(
        en="the workspace of cuDNN's convolutions is an estimate (20 % of it either way, in sum)",
        ko="cuDNN convolution의 workspace는 추정치입니다(합계의 ±20 %)",
    ),
    "recurrent": Text(
        en="the workspace of cuDNN's recurrent layers is an estimate (30 % either way)",
        ko="cuDNN 순환 층의 workspace는 추정치입니다(±30 %)",
    ),
    "compiled": Text(
        en="`torch.compile` is left out: these are the sizes of the step as it runs without",
        ko="`torch.compile`은 빼고, 컴파일하지 않은 스텝의 크기입니다",
    ),
    "sparse": Text(
        en="sparse gradients count as nothing: sparse tensors without memory have no rows",
        ko="sparse 기울기는 세지 않았습니다. 메모리 없는 sparse 텐서에는 행이 없기 때문입니다",
    ),
    "wrapper": Text(
        en="one card is planned, without `DataParallel`'s copies or the buckets of `DistributedDataParallel`, which are "
        "one more copy of the gradients",
        ko="카드 한 장을 예측합니다. `DataParallel`의 복사본과 기울기 복사본 하나 크기인 `DistributedDataParallel`의 버킷은 "
        "들어 있지 않습니다",
    ),
    "stranger": Text(
        en="tensors of the program that are on the CPU and meet those of the card count as being there",
        ko="CPU에 있으면서 카드의 텐서와 만나는 프로그램의 텐서는 카드에 있는 것으로 셌습니다",
    ),
    "ddp": Text(
        en="each rank has the batch above; PyTorch's own DistributedDataParallel was simulated, with its default settings and no "
        "formula: its buckets are one more copy of the gradients, which gradient_as_bucket_view=True would save",
        ko="각 rank가 위의 배치를 받습니다. 수식 없이 PyTorch의 DistributedDataParallel을 기본 설정으로 시뮬레이션했습니다. 버킷은 기울기 "
        "복사본 하나 크기이며 gradient_as_bucket_view=True로 줄일 수 있습니다",
    ),
    "fsdp": Text(
        en="each rank has the batch above; this is rank 0, whose part of each parameter is the largest. PyTorch's own fully_shard "
        "was simulated, with its default settings and no formula, of each repeated block and then of the model",
        ko="각 rank가 위의 배치를 받습니다. 파라미터마다 가장 큰 조각을 갖는 rank 0의 수치입니다. 수식 없이 PyTorch의 fully_shard를 기본 "
        "설정으로, 반복되는 블록마다 그리고 모델 전체에 적용해 시뮬레이션했습니다",
    ),
    "nccl": Text(
        en="NCCL's own buffers, outside of PyTorch's allocator, count as nothing: some 100 MiB to 1 GiB",
        ko="PyTorch allocator 밖에 있는 NCCL의 버퍼는 세지 않았습니다. 보통 100 MiB에서 1 GiB입니다",
    ),
    "streams": Text(
        en="fully_shard's streams are one here: more may be reserved, since the blocks of one aren't used on another",
        ko="fully_shard의 스트림을 하나로 보았습니다. 스트림끼리는 블록을 나누어 쓰지 않으므로 reserved가 더 클 수 있습니다",
    ),
}
ASSUMED = Text(
    en="{count} answers that depend on values were assumed: {kind}{place}",
    ko="값에 따라 달라지는 답 {count}개를 가정했습니다: {kind}{place}",
)
SETTING = Text("{setting} is not simulated", "{setting} 설정은 시뮬레이션하지 않습니다")
INCOMPLETE = Text(
    en="the optimizer did not step in each iteration: a lower bound",
    ko="반복마다 optimizer 스텝이 있지는 않았으므로 하한값입니다",
)
NOT_FOUND = Text(
    en="the largest batch was not found: {reason}", ko="가장 큰 배치를 찾지 못했습니다: {reason}"
)

# Why a step can't be replayed.
OPTIMIZERS = Text(
    en="{optimizers} optimizers need as many losses, not {losses}",
    ko="optimizer가 {optimizers}개이면 loss도 {optimizers}개여야 합니다. {losses}개를 받았습니다",
)
NO_SAMPLE = Text(
    en="a batch has at least one sample, not {size}",
    ko="배치에는 샘플이 하나 이상 있어야 합니다. {size}개를 받았습니다",
)
NO_BATCH = Text(
    en="no tensor of the batch has a first size that could be changed",
    ko="배치에 첫 차원의 크기를 바꿀 수 있는 텐서가 없습니다",
)
PARTS = Text(
    en="a batch of {size} samples can't be taken in {parts} parts",
    ko="샘플 {size}개인 배치는 {parts}개로 나눌 수 없습니다",
)
SCRIPTED = Text(
    en="a scripted module can't be replayed: its Python code is gone",
    ko="스크립트로 바꾼 모듈은 Python 코드가 없어서 다시 실행할 수 없습니다",
)
LBFGS = Text(
    en="LBFGS asks for the loss as often as values want it",
    ko="LBFGS는 값에 따라 loss를 몇 번이고 다시 계산합니다",
)
NO_TENSOR = Text(
    "`loss` returned {kind}, not a tensor", "`loss` 함수가 텐서가 아닌 {kind} 값을 돌려주었습니다"
)
NO_SCALAR = Text(
    en="`loss` returned a tensor of shape {shape}, not a scalar",
    ko="`loss` 함수가 스칼라가 아니라 shape {shape} 텐서를 돌려주었습니다",
)
NO_GRADIENT = Text(
    en="`loss` returned a tensor that doesn't require gradients",
    ko="`loss` 함수가 돌려준 텐서에는 기울기가 필요하지 않습니다",
)
LAZY = Text(
    en="a lazy module hasn't got its sizes: call the model once before",
    ko="lazy 모듈의 크기가 아직 정해지지 않았습니다. 먼저 모델을 한 번 호출하세요",
)
STRANGE_TENSOR = Text(
    en="tensors of the class {kind} can't be replayed",
    ko="{kind} 클래스의 텐서는 다시 실행할 수 없습니다",
)
LAYOUT = Text(
    en="a tensor with layout {layout} can't be replayed",
    ko="{layout} layout인 텐서는 다시 실행할 수 없습니다",
)
NO_FORK = Text(
    en="a replay needs `os.fork`, which this system doesn't have",
    ko="이 시스템에는 다시 실행하는 데 필요한 `os.fork` 함수가 없습니다",
)
LATE = Text(
    en="the replay took more than {seconds} s", ko="다시 실행하는 데 {seconds}초가 넘게 걸렸습니다"
)
KILLED = Text(
    en="the replay was ended by {signal}{what}",
    ko="다시 실행하던 프로세스가 {signal} 신호로 끝났습니다{what}",
)
SILENT = Text(
    en="the replay ended without an answer", ko="다시 실행하던 프로세스가 답 없이 끝났습니다"
)
ENDED = Text(
    en="the loop ended before two more steps were made",
    ko="두 스텝을 더 진행하기 전에 루프가 끝났습니다",
)
STARTS_PROGRAM = Text(
    en="the step starts another program", ko="이 스텝은 다른 프로그램을 실행합니다"
)
MIXED = Text(
    en="a whole tensor of the program meets a sharded parameter: it would have to be sharded too",
    ko="프로그램의 온전한 텐서가 나누어진 파라미터와 만납니다. 그 텐서도 나누어야 합니다",
)
NO_DISTRIBUTED = Text(
    en="this build of PyTorch has no torch.distributed",
    ko="설치된 PyTorch에는 torch.distributed 모듈이 없습니다",
)
NO_FULLY_SHARD = Text(
    en="PyTorch {version} has no `torch.distributed.fsdp.fully_shard`: 2.6 is the first with it",
    ko="PyTorch {version} 버전에는 `torch.distributed.fsdp.fully_shard` 함수가 없습니다. 2.6부터 있습니다",
)
NO_GROUP = Text(
    en="this build of PyTorch has no pretend process group: {error}",
    ko="설치된 PyTorch에는 가상 process group이 없습니다: {error}",
)
WRAPPED = Text(
    en="the model is wrapped already ({kind}): plan what is inside",
    ko="모델이 이미 {kind} 안에 있습니다. 감싸기 전의 모델을 예측하세요",
)
SHARDED = Text(
    en="the model is sharded already: plan it as it is before",
    ko="모델이 이미 나누어져 있습니다. 나누기 전의 모델을 예측하세요",
)
IN_GROUP = Text(
    en="the program is in a process group already: plan it as one process",
    ko="프로그램이 이미 process group 안에 있습니다. 프로세스 하나로 예측하세요",
)
OTHER_DDP = Text(
    en="DistributedDataParallel of PyTorch {version} can't be replayed",
    ko="PyTorch {version} 버전의 DistributedDataParallel은 다시 실행할 수 없습니다",
)
UNUSED = Text(
    en="DistributedDataParallel stops in the second step, since the first left parameters without a gradient ({names}): it "
    "needs find_unused_parameters=True",
    ko="첫 스텝에서 기울기를 받지 못한 파라미터({names})가 있어 DistributedDataParallel이 둘째 스텝에서 멈춥니다. "
    "find_unused_parameters=True가 필요합니다",
)
REFUSED = Text(
    en="fully_shard refuses this model: {error}", ko="fully_shard가 이 모델을 거부합니다: {error}"
)
