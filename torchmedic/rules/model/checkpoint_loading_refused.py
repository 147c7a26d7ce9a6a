from __future__ import annotations

from collections.abc import Iterator

from torchmedic.model import Diagnosis, Fix, Rule, Severity, Text, Variant
from torchmedic.observed import Failure
from torchmedic.rules._place import added_argument, answer, method_call

rule = Rule(
    code="TM217",
    name="checkpoint-loading-refused",
    severity=Severity.ERROR,
    summary=Text(
        en="`torch.load` refuses a file: for its classes, its devices or its format.",
        ko="`torch.load`가 파일의 클래스, 장치 또는 형식 때문에 불러오기를 거부합니다.",
    ),
    title=Text(
        en="`torch.load` refuses a file that holds more than tensors",
        ko="`torch.load`가 텐서 말고 다른 객체가 든 파일을 거부합니다",
    ),
    why=Text(
        en="""
        A pickle can run code while it is read. Since PyTorch 2.6 `torch.load` reads only tensors and plain
        containers unless it is told otherwise, so a whole saved model or a NumPy object is refused.
        """,
        ko="""
        pickle 파일은 읽는 동안 코드를 실행할 수 있습니다. PyTorch 2.6부터 `torch.load`는 따로 지정하지 않으면 텐서와
        기본 컨테이너만 읽으므로, 통째로 저장한 모델이나 NumPy 객체는 거부됩니다.
        """,
    ),
    help=Text(
        en="Save and load `model.state_dict()`. Only for a file whose maker you trust, say `weights_only=False`.",
        ko="`model.state_dict()`를 저장하고 불러오세요. 만든 사람을 믿는 파일에만 `weights_only=False`를 쓰세요.",
    ),
    lesson=Text(
        en="""
        A checkpoint of tensors, numbers, strings, lists and dicts loads everywhere: no class has to exist, no code
        runs. Write `float(loss)` and `dict(config)` into it, not the objects. Always pass `map_location`, so that a
        file saved on a GPU opens on a laptop. A file that is not a checkpoint at all, such as a web page saved by a
        failed download, shows itself in its first bytes: `open(path, "rb").read(20)`.
        """,
        ko="""
        텐서, 숫자, 문자열, 리스트, 사전만 든 체크포인트는 어디서나 열립니다. 클래스가 없어도 되고 코드도 실행되지
        않습니다. 객체 대신 `float(loss)`, `dict(config)`를 저장하세요. GPU에서 저장한 파일이 노트북에서도 열리도록
        언제나 `map_location`을 주세요. 내려받기에 실패해 저장된 웹 페이지처럼 체크포인트가 아닌 파일은 첫 바이트로
        알 수 있습니다: `open(path, "rb").read(20)`.
        """,
    ),
    bad="""
    import io

    import torch
    from torch import nn

    file = io.BytesIO()
    torch.save(nn.Linear(4, 2), file)
    file.seek(0)
    model = torch.load(file)
    print(model)
    """,
    good="""
    import io

    import torch
    from torch import nn

    file = io.BytesIO()
    torch.save(nn.Linear(4, 2), file)
    file.seek(0)
    model = torch.load(file, weights_only=False)
    print(model)
    """,
    messages=(
        "Weights only load failed",
        "Unsupported global: GLOBAL {name:word} was not an allowed global by default",
        "Unsupported class {name:word}",
    ),
    variants=(
        Variant(
            "device",
            Text(
                en="a file saved on a GPU is loaded where there is none",
                ko="GPU에서 저장한 파일을 GPU가 없는 곳에서 불러옵니다",
            ),
            why=Text(
                en="`torch.load` puts each tensor back on the device it was saved from, unless told otherwise.",
                ko="`torch.load`는 따로 지정하지 않으면 텐서를 저장할 때의 장치로 되돌립니다.",
            ),
            help=Text(
                en='Say where to: `torch.load(file, map_location="cpu")`, then move the model.',
                ko='불러올 곳을 지정하세요: `torch.load(file, map_location="cpu")`. 그다음 모델을 옮기세요.',
            ),
            messages=(
                "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False",
                "Attempting to deserialize object on CUDA device",
                "Attempting to deserialize object on a MPS device but",
            ),
        ),
        Variant(
            "format",
            Text(
                en="the file is not a complete PyTorch checkpoint",
                ko="파일이 온전한 PyTorch 체크포인트가 아닙니다",
            ),
            why=Text(
                en="A cut-off download or copy, a web page or a Git LFS pointer has no checkpoint's structure.",
                ko="중간에 끊긴 내려받기나 복사, 웹 페이지, Git LFS 포인터에는 체크포인트의 구조가 없습니다.",
            ),
            help=Text(
                en="Look at the file's size and first bytes, and fetch or save it again.",
                ko="파일의 크기와 첫 바이트를 확인하고 다시 내려받거나 저장하세요.",
            ),
            messages=(
                "PytorchStreamReader failed reading zip archive",
                "PytorchStreamReader failed locating file",
                "unexpected EOF, expected {n:d} more bytes. The file might be corrupted",
            ),
        ),
    ),
    innocent=(
        """
        import io

        import torch
        from torch import nn

        file = io.BytesIO()
        torch.save({"model": nn.Linear(4, 2).state_dict(), "epoch": 3}, file)
        file.seek(0)
        print(torch.load(file, map_location="cpu")["epoch"])
        """,
    ),
    says=(
        "_pickle.UnpicklingError: Weights only load failed. Re-running `torch.load` with `weights_only` set to `False` "
        "will likely succeed, but it can result in arbitrary code execution.",
        "RuntimeError: Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If "
        "you are running on a CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map "
        "your storages to the CPU.",
        "RuntimeError: Attempting to deserialize object on CUDA device 1 but torch.cuda.device_count() is 1.",
        "RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory",
    ),
    search=(
        "Weights only load failed",
        "Attempting to deserialize object on a CUDA device map_location",
        "PytorchStreamReader failed reading zip archive",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.load.html",
        "https://docs.pytorch.org/docs/stable/notes/serialization.html",
    ),
)

_TRUST = Text(
    en="read all classes, if you trust the file's maker: `weights_only=False`",
    ko="파일을 만든 사람을 믿는다면 모든 클래스 읽기: `weights_only=False`",
)
_CPU = Text(en='load onto the CPU: `map_location="cpu"`', ko='CPU로 불러오기: `map_location="cpu"`')


@rule.on(Failure)
def file_is_refused(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    name = reading.variant.name
    found = method_call(failure, "load")
    if found is None or name == "format":
        yield answer(rule, failure, reading)
        return
    source, _, call = found
    keyword, value, title = (
        ("map_location", '"cpu"', _CPU) if name == "device" else ("weights_only", "False", _TRUST)
    )
    old = next((k.value for k in call.keywords if k.arg == keyword), None)
    if old is not None:
        edit = source.replace(old, value)
    else:
        edit = added_argument(source, call, f"{keyword}={value}")
    fix = Fix((edit,), title, safe=name == "device")
    yield answer(rule, failure, reading, source.span(call), (fix,))
