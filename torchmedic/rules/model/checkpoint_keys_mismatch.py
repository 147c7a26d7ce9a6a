from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Fix, Reading, Rule, Severity, Text, Variant
from torchmedic.observed import Failure, Source
from torchmedic.rules._place import answer, method_call

rule = Rule(
    code="TM216",
    name="checkpoint-keys-mismatch",
    severity=Severity.ERROR,
    summary=Text(
        en="A state dict is loaded into a model whose parameters have other names or sizes.",
        ko="파라미터의 이름이나 크기가 다른 모델에 state dict를 불러옵니다.",
    ),
    title=Text(
        en="checkpoint and `{owner}` differ: {missing} keys missing, {unexpected} unexpected",
        ko="체크포인트가 `{owner}` 모델과 맞지 않습니다: 없는 키 {missing}개, 남는 키 {unexpected}개",
    ),
    why=Text(
        en="""
        A state dict maps the path of each parameter to its tensor. The paths come from the attribute names of the
        model that was saved, so another class, a wrapper or a renamed layer gives other keys.
        """,
        ko="""
        state dict는 파라미터의 경로를 텐서에 대응시킵니다. 경로는 저장한 모델의 속성 이름에서 나오므로, 클래스가
        다르거나 래퍼로 감싸거나 층의 이름을 바꾸면 키가 달라집니다.
        """,
    ),
    help=Text(
        en="Build the same model as was saved, or rename the keys before loading.",
        ko="저장할 때와 같은 모델을 만들거나, 불러오기 전에 키의 이름을 바꾸세요.",
    ),
    lesson=Text(
        en="""
        Compare the two sets by hand: `set(state) ^ set(model.state_dict())`. `strict=False` silences the message and
        leaves the missing layers at their random start, so look at what it returns. Save
        `model.module.state_dict()` of a wrapped model, and the settings that built the model beside its state.
        """,
        ko="""
        `set(state) ^ set(model.state_dict())`로 두 집합을 직접 비교하세요. `strict=False`는 메시지만 없앨 뿐, 빠진
        층은 처음의 무작위 값으로 남습니다. 반환값을 확인하세요. 래퍼로 감싼 모델은 `model.module.state_dict()`를
        저장하고, 모델을 만든 설정도 함께 저장하세요.
        """,
    ),
    bad="""
    from torch import nn

    trained = nn.DataParallel(nn.Sequential(nn.Linear(4, 2)))
    state = trained.state_dict()
    model = nn.Sequential(nn.Linear(4, 2))
    model.load_state_dict(state)
    """,
    good="""
    from torch import nn

    trained = nn.DataParallel(nn.Sequential(nn.Linear(4, 2)))
    state = trained.state_dict()
    model = nn.Sequential(nn.Linear(4, 2))
    model.load_state_dict({k.removeprefix("module."): v for k, v in state.items()})
    """,
    messages=("Error(s) in loading state_dict for {owner:word}:",),
    variants=(
        Variant(
            "prefix",
            Text(
                en="the checkpoint's keys begin with `{prefix}`, those of `{owner}` do not",
                ko="체크포인트의 키는 `{prefix}` 접두사로 시작하는데 `{owner}` 모델의 키는 그렇지 않습니다",
            ),
            why=Text(
                en="`nn.DataParallel` puts `module.` before each key, `torch.compile` puts `_orig_mod.`.",
                ko="`nn.DataParallel`은 키마다 `module.` 접두사를, `torch.compile`은 `_orig_mod.` 접두사를 붙입니다.",
            ),
            help=Text(
                en="Take `{prefix}` off the keys before loading, or save the inner model.",
                ko="불러오기 전에 키에서 `{prefix}` 접두사를 떼거나, 안쪽 모델을 저장하세요.",
            ),
        ),
        Variant(
            "wrapped",
            Text(
                en="the keys of `{owner}` begin with `{prefix}`, those of the checkpoint do not",
                ko="`{owner}` 모델의 키는 `{prefix}` 접두사로 시작하는데 체크포인트의 키는 그렇지 않습니다",
            ),
            help=Text(
                en="Load into the inner model: `model.module` or `model._orig_mod`.",
                ko="안쪽 모델인 `model.module` 또는 `model._orig_mod`에 불러오세요.",
            ),
        ),
        Variant(
            "nested",
            Text(
                en="the state dict lies inside the checkpoint, under `{key}`",
                ko="state dict가 체크포인트 안의 `{key}` 키 아래에 있습니다",
            ),
            help=Text(
                en='Load the inner dictionary: `checkpoint["{key}"]`.',
                ko='안쪽 사전을 불러오세요: `checkpoint["{key}"]`.',
            ),
        ),
        Variant(
            "size",
            Text(
                en="`{parameter}` is {given} in the checkpoint, {expected} in `{owner}`",
                ko="`{parameter}` 크기는 체크포인트에서 {given}, `{owner}` 모델에서 {expected} 입니다",
            ),
            help=Text(
                en="Build the model with the sizes that were saved; for another head, drop its keys and train it anew.",
                ko="저장한 크기대로 모델을 만드세요. 출력층만 다르다면 그 키를 빼고 새로 학습하세요.",
            ),
        ),
        Variant(
            "key",
            Text(
                en="the state dict has the key `{key}`, which the model does not know",
                ko="state dict에 모델에 없는 `{key}` 키가 있습니다",
            ),
            messages=(
                'unexpected key "{key}" in state_dict',
                'missing keys in state_dict: "{key}"',
            ),
        ),
    ),
    innocent=(
        """
        from torch import nn

        big = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 2))
        small = nn.Sequential(nn.Linear(4, 2))
        print(small.load_state_dict(big.state_dict(), strict=False).unexpected_keys)
        """,
    ),
    says=(
        "RuntimeError: Error(s) in loading state_dict for Net:\n"
        '\tMissing key(s) in state_dict: "fc.weight", "fc.bias". \n'
        '\tUnexpected key(s) in state_dict: "module.fc.weight", "module.fc.bias". ',
        "RuntimeError: Error(s) in loading state_dict for ResNet:\n"
        "\tsize mismatch for fc.weight: copying a param with shape torch.Size([1000, 512]) from checkpoint, the shape "
        "in current model is torch.Size([10, 512]).",
        "KeyError: 'unexpected key \"module.conv1.weight\" in state_dict'",
    ),
    search=(
        "Error(s) in loading state_dict Missing key(s) Unexpected key(s)",
        "state_dict module. prefix DataParallel",
        "size mismatch copying a param with shape from checkpoint",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.load_state_dict",
        "https://docs.pytorch.org/docs/stable/notes/serialization.html",
    ),
)

_STRIP = Text(en="take `{prefix}` off the keys", ko="키에서 `{prefix}` 접두사 떼기")
_INNER = Text(en="load into the inner model", ko="안쪽 모델에 불러오기")
_TAKE = Text(en='take `["{key}"]` out of the checkpoint', ko='체크포인트에서 `["{key}"]` 꺼내기')
_MISMATCH = (
    r"size mismatch for ([\w.]+): copying a param with shape (?:torch\.Size\()?[\[(]([\d, ]*)[\])]\)? from "
    r"checkpoint, the shape in current model is (?:torch\.Size\()?[\[(]([\d, ]*)[\])]"
)
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "backbone.", "encoder.")


@rule.on(Failure)
def keys_do_not_fit(failure: Failure) -> Iterator[Diagnosis]:
    reading = rule.read(failure.message)
    if reading is None:
        return
    if reading.variant.name == "key":
        yield answer(rule, failure, reading)
        return
    missing = _keys(failure.message, "Missing")
    unexpected = _keys(failure.message, "Unexpected")
    facts = {**reading.facts, "missing": len(missing), "unexpected": len(unexpected)}
    variant, more = _kind(failure.message, missing, unexpected)
    found = method_call(failure, "load_state_dict")
    at, fixes = None, tuple[Fix, ...]()
    if found is not None:
        source, _, call = found
        at = source.span(call)
        fixes = _fixes(source, call, variant, more)
    read = Reading(rule.variant(variant) if variant else reading.variant, {**facts, **more})
    yield answer(rule, failure, read, at, fixes, _listed(missing, unexpected))


def _keys(message: str, which: str) -> list[str]:
    found = re.search(rf"{which} key\(s\) in state_dict:\s*(.*)", message)
    return re.findall(r'"([^"]+)"', found[1]) if found else []


def _listed(missing: list[str], unexpected: list[str]) -> tuple[Evidence, ...]:
    named = (
        (Text("only in the model", "모델에만 있는 키"), missing),
        (Text("only in the checkpoint", "체크포인트에만 있는 키"), unexpected),
    )
    evidence = []
    for which, keys in named:
        if keys:
            shown = ", ".join(f"`{k}`" for k in keys[:4]) + (", …" if len(keys) > 4 else "")
            evidence.append(Evidence(Text(f"{which.en}: {shown}", f"{which.ko}: {shown}")))
    return tuple(evidence)


def _kind(message: str, missing: list[str], unexpected: list[str]) -> tuple[str, dict[str, object]]:
    for prefix in _PREFIXES:
        if unexpected and {k.removeprefix(prefix) for k in unexpected} & set(missing):
            return "prefix", {"prefix": prefix}
        if missing and {k.removeprefix(prefix) for k in missing} & set(unexpected):
            return "wrapped", {"prefix": prefix}
    inner = [k for k in unexpected if "." not in k and re.search(r"state|model|net|weights", k)]
    if missing and inner and not any("." in k for k in unexpected):
        best = sorted(inner, key=lambda k: ("optim" in k or "sched" in k, "model" not in k, k))
        return "nested", {"key": best[0]}
    sizes = re.search(_MISMATCH, message)
    if sizes and not missing and not unexpected:
        given, expected = ([int(n) for n in re.findall(r"\d+", g)] for g in sizes.group(2, 3))
        return "size", {"parameter": sizes[1], "given": given, "expected": expected}
    return "", {}


def _fixes(
    source: Source, call: ast.Call, variant: str, facts: dict[str, object]
) -> tuple[Fix, ...]:
    state = call.args[0] if call.args else None
    if state is None or isinstance(state, ast.Starred):
        return ()
    if variant == "prefix":
        code, prefix = source.code(state), facts["prefix"]
        text = f'{{k.removeprefix("{prefix}"): v for k, v in {code}.items()}}'
        return (Fix((source.replace(state, text),), _STRIP.fill(prefix=prefix)),)
    if variant == "nested":
        edit = source.insert_after(state, f'["{facts["key"]}"]')
        return (Fix((edit,), _TAKE.fill(key=facts["key"])),)
    wrapper = str(facts.get("prefix", ""))
    if variant == "wrapped" and wrapper in ("module.", "_orig_mod."):
        assert isinstance(call.func, ast.Attribute)
        edit = source.insert_after(call.func.value, f".{wrapper.rstrip('.')}")
        return (Fix((edit,), _INNER),)
    return ()
