from __future__ import annotations

import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Failure, Source
from torchmedic.rules._devices import named_devices, with_one_device
from torchmedic.rules._place import answer, user_frames

rule = Rule(
    code="TM220",
    name="device-not-available",
    severity=Severity.ERROR,
    summary=Text(
        en="The program asks for a device that this machine or this PyTorch doesn't have.",
        ko="이 컴퓨터나 이 PyTorch에 없는 장치를 요구합니다.",
    ),
    title=Text(
        en="the program asks for CUDA, and this PyTorch is built without it",
        ko="프로그램이 CUDA를 요구하지만 이 PyTorch는 CUDA 없이 빌드되었습니다",
    ),
    why=Text(
        en="""
        PyTorch comes in builds for CPUs only and builds for one version of CUDA each. On Windows and macOS `pip install
        torch` gets one without CUDA. A written-down `"cuda"` ends the program wherever there is none.
        """,
        ko="""
        PyTorch에는 CPU 전용 빌드와 CUDA 버전별 빌드가 있습니다. Windows와 macOS에서 `pip install torch`를 실행하면 CUDA가
        없는 빌드가 설치됩니다. `"cuda"`라고 적어 두면 CUDA가 없는 곳에서 프로그램이 끝납니다.
        """,
    ),
    help=Text(
        en="Ask first: `torch.cuda.is_available()`. With a GPU in this machine, install the build for CUDA (pytorch.org).",
        ko="먼저 `torch.cuda.is_available()`로 물어보세요. 이 컴퓨터에 GPU가 있다면 CUDA용 빌드를 설치하세요(pytorch.org).",
    ),
    lesson=Text(
        en="""
        Define the device once, at the top: `device = torch.device("cuda" if torch.cuda.is_available() else "cpu")`, and
        use the name everywhere. What is there shows in `python -m torch.utils.collect_env`: the build
        (`torch.version.cuda` is None without CUDA), the driver and the GPUs. `nvidia-smi` names the newest CUDA that
        the driver can run. `CUDA_VISIBLE_DEVICES` hides GPUs, and numbers those that are left from 0.
        """,
        ko="""
        장치는 맨 위에서 한 번만 정하세요. `device = torch.device("cuda" if torch.cuda.is_available() else "cpu")`. 그리고
        어디서나 그 이름을 쓰세요. 무엇이 있는지는 `python -m torch.utils.collect_env`가 보여 줍니다. 빌드(CUDA가 없으면
        `torch.version.cuda`가 None), 드라이버, GPU가 나옵니다. `nvidia-smi`는 드라이버가 실행할 수 있는 가장 새 CUDA
        버전을 알려 줍니다. `CUDA_VISIBLE_DEVICES` 변수는 GPU를 숨기고 남은 것에 0부터 번호를 매깁니다.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    device = torch.device("cuda")
    model = nn.Linear(4, 2).to(device)
    print(model(torch.ones(8, 4, device=device)).shape)
    """,
    good="""
    import torch
    from torch import nn

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = nn.Linear(4, 2).to(device)
    print(model(torch.ones(8, 4, device=device)).shape)
    """,
    messages=(
        "Torch not compiled with CUDA enabled",
        "Cannot get CUDA generator without ATen_cuda library",
        "Cannot initialize CUDA without ATen_cuda library",
        "PyTorch is not linked with support for cuda devices",
    ),
    variants=(
        Variant(
            "gpu",
            Text(
                en="the program asks for CUDA, and PyTorch finds no GPU",
                ko="프로그램이 CUDA를 요구하지만 PyTorch가 GPU를 찾지 못합니다",
            ),
            why=Text(
                en="""
                This PyTorch can use CUDA, but sees no driver or no GPU: the machine has none, the container was started
                without it (`docker run --gpus all`), the job got none, or `CUDA_VISIBLE_DEVICES` hides it.
                """,
                ko="""
                이 PyTorch는 CUDA를 쓸 수 있지만 드라이버나 GPU가 보이지 않습니다. 컴퓨터에 GPU가 없거나, 컨테이너를 GPU 없이
                시작했거나(`docker run --gpus all`), 작업에 GPU가 배정되지 않았거나, `CUDA_VISIBLE_DEVICES` 변수가 숨기고
                있습니다.
                """,
            ),
            help=Text(
                en="See what `nvidia-smi` and `CUDA_VISIBLE_DEVICES` say; ask `torch.cuda.is_available()` before using CUDA.",
                ko="`nvidia-smi` 출력과 `CUDA_VISIBLE_DEVICES` 값을 보고, CUDA를 쓰기 전에 `torch.cuda.is_available()`로 물어보세요.",
            ),
            messages=(
                "Found no NVIDIA driver on your system",
                "No CUDA GPUs are available",
                "no CUDA-capable device is detected",
                "CUDA driver version is insufficient for CUDA runtime version",
            ),
            search=(
                "RuntimeError No CUDA GPUs are available",
                "Found no NVIDIA driver on your system",
            ),
        ),
        Variant(
            "driver",
            Text(
                en="the NVIDIA driver (CUDA {version}) is too old for this PyTorch",
                ko="CUDA {version} 버전용 NVIDIA 드라이버는 이 PyTorch에 너무 오래되었습니다",
            ),
            why=Text(
                en="A build for one version of CUDA needs a driver of that version or a newer one.",
                ko="어떤 CUDA 버전용 빌드는 그 버전이나 더 새로운 버전의 드라이버가 필요합니다.",
            ),
            help=Text(
                en="Update the driver, or install the PyTorch build for a CUDA that `nvidia-smi` names or an older one.",
                ko="드라이버를 업데이트하거나 `nvidia-smi`에 나온 것과 같거나 더 오래된 CUDA용 PyTorch를 설치하세요.",
            ),
            messages=("The NVIDIA driver on your system is too old (found version {version:d})",),
            search=("The NVIDIA driver on your system is too old pytorch",),
        ),
        Variant(
            "kernel",
            Text(
                en="this PyTorch has no kernels for this model of GPU",
                ko="이 PyTorch에는 이 GPU 모델용 커널이 없습니다",
            ),
            why=Text(
                en="""
                A build holds code for a list of compute capabilities (`torch.cuda.get_arch_list()`). A GPU that is newer
                or older than the list (`torch.cuda.get_device_capability()`) can run none of it.
                """,
                ko="""
                빌드에는 정해진 compute capability 목록(`torch.cuda.get_arch_list()`)의 코드만 들어 있습니다. 그보다 새롭거나
                오래된 GPU(`torch.cuda.get_device_capability()`)는 어느 것도 실행할 수 없습니다.
                """,
            ),
            help=Text(
                en="Install a PyTorch that is built for this GPU: a newer one for a new GPU, an older one for an old GPU.",
                ko="이 GPU용으로 빌드된 PyTorch를 설치하세요. 새 GPU에는 더 새로운 것, 오래된 GPU에는 더 오래된 것입니다.",
            ),
            messages=(
                "no kernel image is available for execution on the device",
                "is not compatible with the current PyTorch installation",
            ),
            search=("no kernel image is available for execution on the device", "sm_120 pytorch"),
        ),
        Variant(
            "ordinal",
            Text(
                en="the program asks for a GPU number that this machine doesn't have",
                ko="이 컴퓨터에 없는 번호의 GPU를 요구합니다",
            ),
            why=Text(
                en="""
                GPUs are numbered from 0: with one, `cuda:0` is all there is. `CUDA_VISIBLE_DEVICES=2,3` leaves two, whose
                numbers in the program are 0 and 1.
                """,
                ko="""
                GPU 번호는 0부터입니다. 하나뿐이면 `cuda:0`만 있습니다. `CUDA_VISIBLE_DEVICES=2,3`이면 둘이 남고 프로그램 안의
                번호는 0과 1입니다.
                """,
            ),
            help=Text(
                en="Use `cuda` or `cuda:0`, or a number below `torch.cuda.device_count()`.",
                ko="`cuda`나 `cuda:0`, 또는 `torch.cuda.device_count()`보다 작은 번호를 쓰세요.",
            ),
            messages=(
                "CUDA error: invalid device ordinal",
                "invalid device ordinal at",
                "device >= 0 && device < num_gpus INTERNAL ASSERT FAILED",
                "Invalid device id",
            ),
            search=("CUDA error invalid device ordinal", "CUDA_VISIBLE_DEVICES pytorch"),
        ),
        Variant(
            "other",
            Text(
                en="the program asks for a device that this PyTorch can't use here",
                ko="이 PyTorch가 여기서 쓸 수 없는 장치를 요구합니다",
            ),
            why=Text(
                en="`mps` exists in builds for Macs with Apple silicon, `xpu` in those for Intel GPUs.",
                ko="`mps` 장치는 Apple 칩이 있는 Mac용 빌드에, `xpu` 장치는 Intel GPU용 빌드에 있습니다.",
            ),
            help=Text(
                en="Ask first: `torch.backends.mps.is_available()`, `torch.xpu.is_available()`, and fall back to `cpu`.",
                ko="먼저 `torch.backends.mps.is_available()`이나 `torch.xpu.is_available()`로 묻고, 없으면 `cpu`를 쓰세요.",
            ),
            messages=(
                "PyTorch is not linked with support for mps devices",
                "The MPS backend is supported on MacOS",
                "Torch not compiled with XPU enabled",
                "PyTorch is not linked with support for xpu devices",
            ),
            search=("torch.backends.mps.is_available",),
            links=("https://docs.pytorch.org/docs/stable/notes/mps.html",),
        ),
        Variant(
            "name",
            Text(
                en="`{name}` is no device of PyTorch", ko="`{name}` 값은 PyTorch의 장치가 아닙니다"
            ),
            why=Text(
                en="A device is a type and, where there are several, a number behind a colon: `cpu`, `cuda`, `cuda:0`, `mps`.",
                ko="장치는 종류이고, 여럿이면 쌍점 뒤에 번호를 붙입니다: `cpu`, `cuda`, `cuda:0`, `mps`.",
            ),
            help=Text(
                en="Write `cuda` for an NVIDIA or AMD GPU, `cuda:0` for the first one, `cpu` for none.",
                ko="NVIDIA나 AMD GPU는 `cuda`, 그 첫 번째는 `cuda:0`, GPU가 없으면 `cpu`로 쓰세요.",
            ),
            messages=(
                "Invalid device string: '{name}'",
                "device type at start of device string: {name}",
            ),
            search=("RuntimeError Invalid device string",),
            links=("https://docs.pytorch.org/docs/stable/tensor_attributes.html#torch.device",),
        ),
    ),
    innocent=(
        """
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        print(torch.ones(2, device=device).sum())
        """,
    ),
    says=(
        "AssertionError: Torch not compiled with CUDA enabled",
        "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a "
        "driver from http://www.nvidia.com/Download/index.aspx",
        "RuntimeError: No CUDA GPUs are available",
        "RuntimeError: CUDA error: CUDA driver version is insufficient for CUDA runtime version",
        "RuntimeError: cuda runtime error (38) : no CUDA-capable device is detected at "
        "/pytorch/aten/src/THC/THCGeneral.cpp:50",
        "RuntimeError: The NVIDIA driver on your system is too old (found version 10010). Please update your GPU driver "
        "by downloading and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx",
        "RuntimeError: CUDA error: no kernel image is available for execution on the device",
        "torch.AcceleratorError: CUDA error: no kernel image is available for execution on the device",
        "torch.AcceleratorError: CUDA error: invalid device ordinal\n"
        "GPU device may be out of range, do you have enough GPUs?",
        "RuntimeError: cuda runtime error (10) : invalid device ordinal at "
        "torch/csrc/cuda/Module.cpp:87",
        "RuntimeError: PyTorch is not linked with support for mps devices",
        "RuntimeError: The MPS backend is supported on MacOS 14.0+. Current OS version can be queried using `sw_vers`",
        "RuntimeError: Invalid device string: 'cuda0'",
        "RuntimeError: Expected one of cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, maia, xla, "
        "lazy, vulkan, mps, meta, hpu, mtia, privateuseone device type at start of device string: gpu",
    ),
    search=("Torch not compiled with CUDA enabled", "pytorch install cuda build pip"),
    links=(
        "https://docs.pytorch.org/docs/stable/notes/cuda.html#device-agnostic-code",
        "https://docs.pytorch.org/docs/stable/generated/torch.cuda.is_available.html",
    ),
)

_ASK = '"{name}" if torch.cuda.is_available() else "cpu"'
_IF_THERE = Text(en="use CUDA only where there is one", ko="CUDA가 있을 때만 쓰기")
_ONE_DEVICE = Text(
    en="define one `device`, which is the CPU where there is no CUDA, and use it everywhere",
    ko="CUDA가 없으면 CPU인 `device` 하나를 정해 모든 곳에서 쓰기",
)
_FIRST = Text(en="use the first GPU: `{text}`", ko="첫 번째 GPU 쓰기: `{text}`")


@rule.on(Failure)
def device_is_missing(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    facts: dict[str, object] = {}
    if isinstance(number := reading.facts.get("version"), int):
        facts = {"version": f"{number // 1000}.{number % 1000 // 10}"}
    at: Span | None = None
    fixes = tuple[Fix, ...]()
    for source, _ in user_frames(failure):
        if reading.variant.name in ("", "gpu"):
            at, fixes = _asking(source)
        elif reading.variant.name == "ordinal":
            at, fixes = _with_first(source)
        break
    yield answer(rule, failure, reading, at, fixes, (), **facts)


def _asking(source: Source) -> tuple[Span | None, tuple[Fix, ...]]:
    """Where the file names CUDA in one place only, it asks there whether there is one."""
    named = named_devices(source)
    kept = [one for one in named if isinstance(one, ast.Constant) and _is_kept(source, one)]
    if source.imported.get("torch") != "torch":
        return None, ()
    if named and not kept:
        edits = with_one_device(source, named)
        return None, (Fix(edits, _ONE_DEVICE),) if edits else ()
    if len(named) != 1:
        return (source.span(kept[0]), ()) if len(kept) == 1 else (None, ())
    text = _ASK.format(name=kept[0].value)
    return source.span(kept[0]), (Fix((source.replace(kept[0], text),), _IF_THERE),)


def _is_kept(source: Source, node: ast.Constant) -> bool:
    """`device = "cuda"`, `torch.device("cuda")`, `default="cuda"`: whatever else uses a device uses this one."""
    parent = source.parent(node)
    if isinstance(parent, ast.keyword):
        return parent.arg == "default"
    if isinstance(parent, ast.Call):
        return source.name(parent.func) == "torch.device" and len(parent.args) == 1
    return isinstance(parent, (ast.Assign, ast.AnnAssign))


def _with_first(source: Source) -> tuple[Span | None, tuple[Fix, ...]]:
    numbered = [
        one
        for one in named_devices(source)
        if isinstance(one, ast.Constant) and str(one.value).partition(":")[2] not in ("", "0")
    ]
    if not numbered or len({one.value for one in numbered}) > 1:
        return None, ()
    edits: tuple[Edit, ...] = tuple(source.replace(one, '"cuda:0"') for one in numbered)
    return source.span(numbered[0]), (Fix(edits, _FIRST.fill(text="cuda:0")),)
