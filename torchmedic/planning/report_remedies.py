"""Remedies as text: what each would save, and what the settings of the allocator would change. Pure functions."""

from __future__ import annotations

from torchmedic.model import Lang, Text
from torchmedic.observed.plan import Growth, Plan, Remedy
from torchmedic.planning.amounts import amount
from torchmedic.render import shown_path
from torchmedic.render.layout import Paint, clean_line, wrap

SETTINGS = ("expandable segments", "empty cache")
_TITLE = Text("What would save memory, each simulated:", "메모리를 줄이는 방법(각각 시뮬레이션):")
_NONE = Text(
    "nothing that was tried saves memory here", "시도한 방법 가운데 줄어드는 것이 없습니다"
)
_FITS = Text("fits", "들어감")
_SETTINGS = Text(
    en="What changes only the reserve of {reserved}, and frees nothing that is allocated:",
    ko="할당된 것은 그대로 두고 예약량 {reserved} 크기만 바꾸는 것:",
)
_RESERVES = Text("{title}: {reserved} reserved", "{title}: 예약량 {reserved}")
_GROWS = Text(
    en="Each step leaves {size} behind{place}: the need grows until the program runs out, and the figures above are "
    "those of its second step. Keep `.item()` or `.detach().cpu()`, not the tensors.",
    ko="스텝마다 {size} 크기가 남습니다{place}. 위 수치는 두 번째 스텝의 것이고, 필요한 메모리는 부족해질 때까지 늘어납니다. "
    "텐서가 아니라 `.item()` 또는 `.detach().cpu()` 결과를 보관하세요.",
)
REMEDIES: dict[str, Text] = {
    "smaller batch": Text("a batch of {detail}", "배치 크기 {detail}개"),
    "accumulate": Text(
        "gradients of {detail} parts of the batch, summed",
        "배치를 {detail}개로 나눠 그래디언트 누적",
    ),
    "accumulate with batch norm": Text(
        en="gradients of {detail} parts of the batch, summed; batch norm then sees the parts",
        ko="배치를 {detail}개로 나눠 그래디언트 누적. batch norm은 나뉜 배치를 봅니다",
    ),
    "bf16": Text("torch.autocast in bfloat16", "bfloat16 torch.autocast"),
    "fp16": Text("torch.autocast in float16, GradScaler", "float16 torch.autocast와 GradScaler"),
    "checkpoint": Text(
        en="checkpoint {detail} repeated blocks (their forward pass runs twice)",
        ko="반복되는 블록 {detail}개를 checkpoint(forward를 두 번 실행)",
    ),
    "fused": Text("the optimizer with fused=True", "fused=True 옵션의 optimizer"),
    "not foreach": Text("the optimizer with foreach=False", "foreach=False 옵션의 optimizer"),
    "8-bit": Text(
        "moments in 8 bits (bitsandbytes.optim.AdamW8bit)",
        "8비트 모멘트(bitsandbytes.optim.AdamW8bit)",
    ),
    "plain SGD": Text("SGD without momentum", "momentum 없는 SGD"),
    "kept": Text(
        "`del` at the end of the step what {detail} keeps into the next one",
        "{detail} 줄이 다음 스텝까지 남기는 것을 스텝 끝에서 `del`",
    ),
    "expandable segments": Text(
        "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
        "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
    ),
    "empty cache": Text(
        "torch.cuda.empty_cache() after each step", "스텝마다 torch.cuda.empty_cache()"
    ),
}


def title_of(remedy: Remedy) -> Text:
    return REMEDIES[remedy.name].fill(detail=clean_line(remedy.detail))


def remedies_of(plan: Plan, lang: Lang, width: int, paint: Paint) -> list[str]:
    """The lines of a report."""
    helpful = [one for one in plan.remedies if one.saved > 0 and one.name not in SETTINGS]
    out = [_NONE.show(lang)]
    if helpful:
        out = [paint("strong", _TITLE.show(lang))]
    for one in helpful:
        fits = f" ({paint('new', _FITS.show(lang))})" if one.fits and not plan.fits else ""
        out.append(f"  {'−' + amount(one.saved):>11}  {title_of(one).show(lang)}{fits}")
    settings = [one for one in plan.remedies if one.name in SETTINGS]
    if settings:
        out += ["", *wrap(_SETTINGS.fill(reserved=amount(plan.reserved)).show(lang), width)]
    for one in settings:
        said = _RESERVES.fill(title=title_of(one).show(lang), reserved=amount(one.reserved))
        fits = f" ({_FITS.show(lang)})" if one.fits and not plan.fits else ""
        out += wrap(said.show(lang) + fits, width, "  - ", "    ")
    return out


def grown(growth: Growth, lang: Lang, cwd: str | None) -> str:
    place = ""
    if growth.site is not None:
        at = growth.site.at
        place = f" ({clean_line(shown_path(at.path, cwd))}:{at.line})"
    return _GROWS.fill(size=amount(growth.size), place=place).show(lang)
