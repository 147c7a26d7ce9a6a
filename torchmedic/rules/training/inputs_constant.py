from __future__ import annotations

from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Rule, Severity, Text
from torchmedic.observed.run import Run

FEWEST = 4  # batches
rule = Rule(
    code="TM343",
    name="inputs-constant",
    severity=Severity.ERROR,
    summary=Text(
        en="Every input of the model is one and the same number.",
        ko="모델에 들어가는 모든 입력이 같은 숫자 하나입니다.",
    ),
    title=Text(
        en="all inputs are {value} in the {batches} batches that were looked at",
        ko="살펴본 배치 {batches}개에서 입력이 모두 {value} 값입니다",
    ),
    why=Text(
        en="""
        All samples look the same to the model, while their targets differ. The best it can do is to answer with the mean
        of the targets, or with the share of each class, whatever it is asked. The program runs, and the loss falls until
        that mean is reached.
        """,
        ko="""
        모델에는 모든 샘플이 똑같아 보이는데 정답은 서로 다릅니다. 무엇을 받든 정답의 평균이나 각 클래스의 비율로 답하는 것이
        최선입니다. 프로그램은 실행되고 손실도 그 평균에 이를 때까지 내려갑니다.
        """,
    ),
    help=Text(
        en="Print one batch, and follow back where its values were lost.",
        ko="배치 하나를 출력하고 값이 어디에서 사라졌는지 거슬러 찾으세요.",
    ),
    lesson=Text(
        en="""
        Print `x.min()`, `x.max()` and `x.std()` of the first batch, behind all transforms. A standard deviation of 0 tells
        of values that were lost: a buffer that was allocated and not filled, a division of integers, a cast to bytes after
        scaling to 0..1, a normalisation with the wrong numbers that is clamped afterwards, a file that could not be read
        and was replaced by zeros. Show one sample as a picture before training.
        """,
        ko="""
        모든 변환을 거친 첫 배치의 `x.min()`, `x.max()`, `x.std()` 값을 출력하세요. 표준편차 0은 값이 사라졌다는 뜻입니다.
        만들고 채우지 않은 버퍼, 정수 나눗셈, 0..1로 맞춘 뒤 바이트로 바꾸기, 틀린 수로 정규화하고 잘라 내기, 읽지 못해 0으로
        바뀐 파일이 흔한 원인입니다. 학습 전에 샘플 하나를 그림으로 확인하세요.
        """,
    ),
    bad="""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, Dataset


    class Readings(Dataset):
        def __init__(self, rows, labels):
            self.labels = labels
            self.rows = torch.zeros(len(rows), 6)
            for number, row in enumerate(rows):
                self.rows[number] + torch.tensor(row)

        def __len__(self):
            return len(self.labels)

        def __getitem__(self, index):
            return self.rows[index], self.labels[index]


    torch.manual_seed(0)
    raw = torch.randn(64, 6)
    labels = (raw[:, 0] > 0).long()
    loader = DataLoader(Readings(raw.tolist(), labels), batch_size=8, shuffle=True)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(2):
        for rows, wanted in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(rows), wanted)
            loss.backward()
            optimizer.step()
    """,
    good="""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, Dataset


    class Readings(Dataset):
        def __init__(self, rows, labels):
            self.labels = labels
            self.rows = torch.zeros(len(rows), 6)
            for number, row in enumerate(rows):
                self.rows[number] += torch.tensor(row)

        def __len__(self):
            return len(self.labels)

        def __getitem__(self, index):
            return self.rows[index], self.labels[index]


    torch.manual_seed(0)
    raw = torch.randn(64, 6)
    labels = (raw[:, 0] > 0).long()
    loader = DataLoader(Readings(raw.tolist(), labels), batch_size=8, shuffle=True)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(2):
        for rows, wanted in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(rows), wanted)
            loss.backward()
            optimizer.step()
    """,
    innocent=(
        """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset

        torch.manual_seed(0)
        loader = DataLoader(TensorDataset(torch.zeros(32, 3, 8, 8), torch.zeros(32).long()), 8)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(2):
            for images, labels in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(images), labels).backward()
                optimizer.step()
        """,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        generator = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 10))
        wanted = torch.randn(1, 10)
        optimizer = torch.optim.Adam(generator.parameters(), lr=0.01)
        for step in range(20):
            loss = (generator(torch.ones(1, 4)) - wanted).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
    ),
    search=(
        "pytorch model predicts the same for every input",
        "dataset returns all zeros tensor",
        "network always outputs the same class",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/data.html",
        "https://docs.pytorch.org/tutorials/beginner/basics/data_tutorial.html",
    ),
)
_FED = Text(en="the batches come from here", ko="배치는 여기서 옵니다")
_SHAPE = Text(
    en="`{root}` got {shape} values of {value}, while other tensors of the batch vary",
    ko="`{root}` 모델은 {value} 값만 든 {shape} 입력을 받았고, 배치의 다른 텐서는 값이 서로 다릅니다",
)


@rule.on(Run)
def constant(run: Run) -> Iterator[Diagnosis]:
    if not run.is_over:
        return
    for one in run.constant:
        if one.batches < FEWEST or not one.is_target_varied or not one.by or not one.loader_by:
            continue
        facts: dict[str, object] = {"value": f"{one.value:g}", "batches": one.batches}
        text = _SHAPE.fill(root=one.root, shape=one.shape, value=f"{one.value:g}")
        evidence = (Evidence(text, one.by[0].at), Evidence(_FED, one.loader_by[0].at))
        yield Diagnosis(rule, one.by[0].at, facts, evidence)
