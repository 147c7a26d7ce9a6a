"""A plan as text: the peak, what holds it in bars, the largest batch, and what is not in the figures. Pure functions."""

from __future__ import annotations

from typing import Any

from torchmedic.model import Lang, Text
from torchmedic.observed import Site
from torchmedic.observed.plan import Category, Moment, Plan, Step
from torchmedic.planning.amounts import amount
from torchmedic.planning.report_remedies import grown, remedies_of
from torchmedic.render import shown_path
from torchmedic.render.layout import Paint, cells, clean_line, pad, wrap

WIDTH = 88
SCHEMA_VERSION = 1
MOST_MODULES = 6
BAR = 24  # cells of the longest bar
_EIGHTHS = " ▏▎▍▌▋▊▉"

CATEGORIES: dict[Category, Text] = {
    "parameters": Text("parameters", "파라미터"),
    "buffers": Text("buffers", "버퍼"),
    "batch": Text("batch", "배치"),
    "gradients": Text("gradients", "그래디언트"),
    "optimizer state": Text("optimizer state", "optimizer 상태"),
    "activations": Text("activations kept for backward", "backward용 activation"),
    "temporaries": Text("temporaries", "임시 텐서"),
    "workspace": Text("workspace of libraries", "라이브러리 작업 공간"),
    "communication": Text("buckets, gathered parameters", "버킷, 모은 파라미터"),
}
_ALLOCATED = Text("peak allocated", "최대 할당량")
_RESERVED = Text("peak reserved", "최대 예약량")
_BATCH = Text("batch of {size}", "배치 {size}개")
_RANKS = {
    "ddp": Text(
        "per rank, {count} ranks (DistributedDataParallel)",
        "랭크당, 랭크 {count}개(DistributedDataParallel)",
    ),
    "fsdp": Text("per rank, {count} ranks (fully_shard)", "랭크당, 랭크 {count}개(fully_shard)"),
}
_ON = Text("on {card}", "{card} 카드")
_FITS = Text("fits ({usable} usable)", "들어갑니다(사용 가능 {usable})")
_DOES_NOT = Text("does not fit ({usable} usable)", "들어가지 않습니다(사용 가능 {usable})")
_LARGEST = Text(
    en="largest batch that fits: {fits} ({does_not} does not; both simulated)",
    ko="들어가는 가장 큰 배치: {fits}개({does_not}개는 들어가지 않음. 둘 다 시뮬레이션)",
)
_AT_LEAST = Text("batches up to {fits} fit", "배치 {fits}개까지 들어갑니다")
_NONE = Text("not even one sample fits", "샘플 하나도 들어가지 않습니다")
_PEAK = Text("At the peak: step {step}, {phase}", "최대 시점: {step}번째 스텝, {phase}")
_IN = Text("in module {module}", "{module} 모듈")
_MODULES = Text("By module", "모듈별")
_ROOT = Text("(outside of modules)", "(모듈 밖)")
_NOTES = Text("Not in these figures, or assumed:", "이 수치에 없거나 가정한 것:")
_UNTRIED = Text(
    en="Predicted, not measured. On an H200, what is allocated was off by 0.6 % on average and 5.3 % at worst, what is reserved by "
    "3.6 % and 15 %; other cards were not tried (docs/plan.md).",
    ko="측정이 아닌 예측입니다. H200에서 allocated 오차는 평균 0.6 %, 최대 5.3 %였고 reserved 오차는 평균 3.6 %, 최대 "
    "15 %였습니다. 다른 카드에서는 재지 않았습니다(docs/plan.md).",
)


def bar(share: float, width: int = BAR) -> str:
    """A share of 1 in eighths of a cell; what is more than nothing shows at least one eighth."""
    eighths = max(round(share * width * 8), 1 if share > 0 else 0)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def render(plan: Plan, lang: Lang, width: int, colour: bool, cwd: str | None = None) -> str:
    """For a terminal of `width` cells."""
    paint = Paint(colour)
    out = list(_head(plan, lang, paint))
    if plan.moment is not None:
        out += ["", *wrap(_moment(plan.moment, lang, cwd), width)]
    rows = [(CATEGORIES[name].show(lang), size) for name, size in plan.by_category]
    out += _bars(rows, plan.allocated)
    modules = [(clean_line(s.module) or _ROOT.show(lang), s.size) for s in plan.by_module]
    if len(modules) > 1:
        out += [
            "",
            paint("strong", _MODULES.show(lang)),
            *_bars(modules[:MOST_MODULES], plan.allocated),
        ]
    if plan.growth is not None:
        out += ["", *wrap(grown(plan.growth, lang, cwd), width)]
    out += [""]
    if plan.remedies:
        out += [*remedies_of(plan, lang, width, paint), ""]
    if plan.notes or plan.errors:
        out.append(_NOTES.show(lang))
        for note in (*plan.errors, *plan.notes):
            out += wrap(note.show(lang), width, "  - ", "    ")
    out += wrap(_UNTRIED.show(lang), width)
    return "\n".join(out) + "\n"


def _head(plan: Plan, lang: Lang, paint: Paint) -> list[str]:
    card = plan.card
    said = [_BATCH.fill(size=plan.batch_size).show(lang)] if plan.batch_size is not None else []
    if plan.ranks is not None:
        said.append(_RANKS[plan.ranks.kind].fill(count=plan.ranks.world_size).show(lang))
    if card is not None:
        verdict = (_FITS if plan.fits else _DOES_NOT).fill(usable=amount(card.usable)).show(lang)
        place = _ON.fill(card=card.name).show(lang)
        said.append(f"{place}: {paint('new' if plan.fits else 'error', verdict)}")
    labels = (_ALLOCATED.show(lang), _RESERVED.show(lang))
    room = max(map(cells, labels))
    figures = [amount(plan.allocated), amount(plan.reserved)]
    out = [" ".join(said)] if said else []
    out += [
        f"{pad(label, room)}  {figure:>10}" for label, figure in zip(labels, figures, strict=True)
    ]
    found = plan.largest
    if found is not None:
        text = _NONE if not found.fits else _AT_LEAST if found.does_not is None else _LARGEST
        filled = text.fill(fits=f"{found.fits:,}", does_not=f"{found.does_not or 0:,}")
        out.append(paint("strong", filled.show(lang)))
    return out


def _moment(moment: Moment, lang: Lang, cwd: str | None) -> str:
    said = _PEAK.fill(step=moment.step, phase=moment.phase).show(lang)
    module = _IN.fill(module=clean_line(moment.module)).show(lang) if moment.module else ""
    parts = [module, moment.operation]
    if moment.site is not None:
        at = moment.site.at
        parts.append(f"{clean_line(shown_path(at.path, cwd))}:{at.line}")
    return ", ".join([said, *filter(None, parts)])


def _bars(rows: list[tuple[str, int]], whole: int) -> list[str]:
    room = max((cells(label) for label, _ in rows), default=0)
    return [
        f"  {pad(label, room)}  {amount(size):>10}  {size / whole:4.0%}  {bar(size / whole)}"
        for label, size in rows
        if size
    ]


def as_plain(plan: Plan, step: Step, cwd: str | None = None) -> dict[str, Any]:
    """Everything for JSON: the plan, and the timeline of the replay that it was made of. Sizes are bytes."""
    return {
        "schema_version": SCHEMA_VERSION,
        **plain_plan(plan, cwd),
        "timeline": [{**event._asdict(), "site": _place(event.site, cwd)} for event in step.events],
    }


def plain_plan(plan: Plan, cwd: str | None = None) -> dict[str, Any]:
    moment, found, card = plan.moment, plan.largest, plan.card
    return {
        "card": card and {"name": card.name, "total": card.total, "usable": card.usable},
        "batch_size": plan.batch_size,
        "ranks": plan.ranks and {"kind": plan.ranks.kind, "count": plan.ranks.world_size},
        "allocated": plan.allocated,
        "reserved": plan.reserved,
        "fits": plan.fits if card else None,
        "by_category": dict(plan.by_category),
        "by_module": {share.module: share.size for share in plan.by_module},
        "peak": moment and {**moment._asdict(), "site": _place(moment.site, cwd)},
        "largest": found and found._asdict(),
        "remedies": [remedy._asdict() for remedy in plan.remedies],
        "growth": plan.growth and {"size": plan.growth.size, "site": _place(plan.growth.site, cwd)},
        "notes": [note.en for note in (*plan.errors, *plan.notes)],
    }


def _place(site: Site | None, cwd: str | None) -> str | None:
    return f"{shown_path(site.at.path, cwd)}:{site.at.line}" if site is not None else None
