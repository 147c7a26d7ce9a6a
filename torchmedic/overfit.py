"""What `run --overfit N` says: whether one batch can be learned by heart."""

from __future__ import annotations

from torchmedic.model import Text
from torchmedic.observed.run_training import OverfitRun
from torchmedic.render import shown_path

FALLS = Text(
    en="overfit: on one batch, repeated {count} times, the loss of {place} fell from {first:.4g} to {last:.4g} with "
    "{optimizer}. The model, the loss and the optimizer can learn.",
    ko="overfit: 배치 하나를 {count}번 반복하니 {place} 손실이 {optimizer}에서 {first:.4g} → {last:.4g}로 내려갔습니다. "
    "모델, 손실, 옵티마이저는 학습할 수 있습니다.",
)
OTHER_FALLS = Text(
    en="overfit: on one batch, repeated {count} times, the loss of {place} stayed at {first:.4g} → {last:.4g} with "
    "{optimizer} (lr {rates}), and fell to {other:.4g} with Adam at 0.01. The model can learn; look at the learning rate "
    "and at which parameters the optimizer holds.",
    ko="overfit: 배치 하나를 {count}번 반복했을 때 {place} 손실이 {optimizer}(lr {rates})에서는 {first:.4g} → {last:.4g}로 "
    "머물렀고 0.01 학습률의 Adam에서는 {other:.4g}까지 내려갔습니다. 모델은 학습할 수 있습니다. 학습률과 옵티마이저가 가진 "
    "파라미터를 확인하세요.",
)
STAYS = Text(
    en="overfit: on one batch, repeated {count} times, the loss of {place} does not fall: {first:.4g} → {last:.4g} with "
    "{optimizer}, {other:.4g} with Adam at 0.01. Something between the parameters and the loss is broken: look for a graph "
    "that is cut, labels that don't belong to their inputs, constant inputs, or an activation before the loss that flattens "
    "its gradient.",
    ko="overfit: 배치 하나를 {count}번 반복해도 {place} 손실이 내려가지 않습니다: {optimizer} {first:.4g} → {last:.4g}, "
    "0.01 학습률의 Adam {other:.4g}. 파라미터와 손실 사이가 끊어졌습니다. 끊긴 그래프, 입력과 맞지 않는 라벨, 상수 입력, "
    "손실 앞에서 기울기를 없애는 활성 함수를 찾아보세요.",
)
SLOW = Text(
    en="overfit: on one batch, repeated {count} times, the loss of {place} fell only from {first:.4g} to {last:.4g} with "
    "{optimizer} (lr {rates}), and to {other:.4g} with Adam at 0.01. Repeat it more often before you conclude anything.",
    ko="overfit: 배치 하나를 {count}번 반복하니 {place} 손실이 {optimizer}(lr {rates})에서 {first:.4g} → {last:.4g}, 0.01 "
    "학습률의 Adam에서 {other:.4g}까지만 내려갔습니다. 결론을 내리기 전에 더 많이 반복하세요.",
)
NOT_TRIED = Text(
    en="overfit: not tried. {why}",
    ko="overfit: 시도하지 못했습니다. {why}",
)
WHY = {
    "no-step": Text("No optimizer took a step.", "옵티마이저가 한 번도 갱신하지 않았습니다."),
    "loss-unknown": Text(
        "The loss is not computed by a function of torch.nn.functional from what the model returns, so it can't be repeated.",
        "모델이 돌려준 값을 torch.nn.functional 함수에 그대로 넣어 계산한 손실이 아니므로 반복할 수 없습니다.",
    ),
    "outside": Text(
        "The model's forward reaches files or the network, so it is not repeated.",
        "모델의 forward가 파일이나 네트워크를 쓰므로 반복하지 않습니다.",
    ),
    "too-large": Text(
        "Copies of the model would take more than 2 GB.",
        "모델 복사본이 2 GB를 넘습니다.",
    ),
}


def told(overfit: OverfitRun, cwd: str) -> Text:
    """The sentence for the report."""
    if overfit.why or not overfit.losses or not overfit.by:
        reason = WHY.get(overfit.why) or Text(overfit.why, overfit.why)
        return Text(NOT_TRIED.en.format(why=reason.en), NOT_TRIED.ko.format(why=reason.ko))
    at = overfit.by[0].at
    others = overfit.others or overfit.losses
    facts = {
        "count": len(overfit.losses),
        "place": f"{shown_path(at.path, cwd)}:{at.line}",
        "first": overfit.losses[0],
        "last": overfit.losses[-1],
        "optimizer": overfit.optimizer,
        "rates": ", ".join(f"{rate:g}" for rate in overfit.rates),
        "other": others[-1],
    }
    if not overfit.others:
        chosen = FALLS
    elif min(others[-5:]) < 0.5 * others[0]:
        chosen = OTHER_FALLS
    elif min(*others, *overfit.losses) < 0.98 * others[0]:
        chosen = SLOW
    else:
        chosen = STAYS
    return Text(chosen.en.format(**facts), chosen.ko.format(**facts))
