from torchmedic.model import Rule, Severity, Text

rule = Rule(
    code="TM327",
    name="plateau-metric-missing",
    severity=Severity.ERROR,
    summary=Text(
        en="`ReduceLROnPlateau.step()` is called without the value that it watches.",
        ko="`ReduceLROnPlateau.step()`을 지켜볼 값 없이 호출합니다.",
    ),
    title=Text(
        en="`step()` is called without the value that `ReduceLROnPlateau` watches",
        ko="`ReduceLROnPlateau` 스케줄러가 지켜볼 값 없이 `step()` 호출을 합니다",
    ),
    why=Text(
        en="""
        Other schedulers follow a fixed plan. `ReduceLROnPlateau` lowers the learning rate when a value, mostly the loss
        of the validation, has not improved for `patience` calls. It has to be told that value at every call.
        """,
        ko="""
        다른 스케줄러는 정해진 일정을 따르지만, `ReduceLROnPlateau` 스케줄러는 어떤 값(대개 검증 손실)이 `patience` 횟수 동안
        나아지지 않으면 학습률을 낮춥니다. 그래서 호출할 때마다 그 값을 받아야 합니다.
        """,
    ),
    help=Text(
        en="Pass the value to watch, once per epoch: `scheduler.step(validation_loss)`.",
        ko="에포크마다 한 번, 지켜볼 값을 `scheduler.step(validation_loss)`처럼 넘기세요.",
    ),
    lesson=Text(
        en="""
        Give it a value that tells how well the model does: the mean loss over the validation data, or, with
        `mode="max"`, the accuracy. The loss of a single batch is too noisy. When a scheduler is exchanged for
        this one, look at each place that calls `step`.
        """,
        ko="""
        모델이 얼마나 잘하는지 보여 주는 값, 곧 검증 데이터의 평균 손실이나 `mode="max"`일 때의 정확도를 주세요. 배치 하나의
        손실은 너무 들쭉날쭉합니다. 다른 스케줄러를 이것으로 바꿀 때는 `step`을 부르는 곳을 모두 확인하세요.
        """,
    ),
    bad="""
    import torch
    import torch.nn as nn

    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2)
    for epoch in range(4):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        scheduler.step()
    """,
    good="""
    import torch
    import torch.nn as nn

    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 5), torch.randn(64, 1)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2)
    for epoch in range(4):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        scheduler.step(loss.item())
    """,
    messages=("step() missing 1 required positional argument: 'metrics'",),
    search=(
        "ReduceLROnPlateau step() missing 1 required positional argument metrics",
        "ReduceLROnPlateau which value to pass",
    ),
    says=(
        "Traceback (most recent call last):\n"
        '  File "/home/kim/train.py", line 61, in <module>\n'
        "    scheduler.step()\n"
        "TypeError: step() missing 1 required positional argument: 'metrics'\n",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html",
    ),
)
