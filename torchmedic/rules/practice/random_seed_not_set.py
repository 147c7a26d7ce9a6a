from collections.abc import Iterator

from torchmedic.model import Diagnosis, Evidence, Rule, Severity, Text, Variant
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._seed_fixes import beside_seed, moved, seed_first
from torchmedic.rules._seeding import NAMES, Draws, draws_of, entry_of
from torchmedic.rules._unseeded import unseeded

rule = Rule(
    code="TM401",
    name="random-seed-not-set",
    severity=Severity.ADVICE,
    summary=Text(
        en="A training script draws random numbers that no seed fixes, so no run can be repeated.",
        ko="학습 스크립트가 시드 없이 난수를 뽑으므로 어떤 실행도 재현할 수 없습니다.",
    ),
    title=Text(
        en="no seed is set before `{drawn}` draws random numbers",
        ko="`{drawn}` 코드가 난수를 뽑기 전에 시드를 설정하지 않았습니다",
    ),
    why=Text(
        en="""
        Initial weights, the order of the batches, dropout and augmentation come from random number generators. One that
        gets no seed starts somewhere else in every run, and so does the result: a better score may be a better idea or
        luck, and a failure can't be repeated in order to study it.
        """,
        ko="""
        초기 가중치, 배치 순서, 드롭아웃, 데이터 증강은 난수 생성기에서 나옵니다. 시드를 받지 않은 생성기는 실행할 때마다
        다른 곳에서 시작하므로 결과도 달라집니다. 점수가 오른 이유가 좋은 아이디어인지 운인지 알 수 없고, 실패를 다시
        일으켜 살펴볼 수도 없습니다.
        """,
    ),
    help=Text(
        en="Seed every generator once, before the model and the loaders are made.",
        ko="모델과 `DataLoader`를 만들기 전에 모든 난수 생성기에 시드를 한 번 설정하세요.",
    ),
    lesson=Text(
        en="""
        Three generators are at work in most programs: Python's `random`, NumPy's global one and torch's. Seeding one
        leaves the others alone. `torch.manual_seed` covers the CPU and every GPU; `torch.cuda.manual_seed` alone leaves
        out the CPU, which draws the initial weights. `np.random.default_rng()`, `random.Random()` and
        `torch.Generator()` are generators of their own and take their own seed.

        Run the program twice and compare the first three losses. If they differ although a seed is set, look for numbers
        that are drawn before it: a layer draws its weights when it is constructed, at import too.

        A DataLoader seeds its workers' generators from torch's, so `num_workers` needs nothing more. The number of
        workers still changes which worker draws what. `torchmedic.seed_everything(seed)` returns a `generator` and a
        `worker_init_fn` that can be handed to the loader; with `deterministic=True` it asks cuDNN and cuBLAS for
        algorithms that repeat. The order of a set of strings follows `PYTHONHASHSEED`, which has to be set before Python
        starts.

        Equal seeds make equal runs on one machine with one release of PyTorch. They don't make a result true: report
        several seeds.
        """,
        ko="""
        대부분의 프로그램에는 생성기가 셋 있습니다. Python의 `random`, NumPy의 전역 생성기, torch의 생성기입니다. 하나에
        시드를 주어도 나머지는 그대로입니다. `torch.manual_seed`는 CPU와 모든 GPU에 적용됩니다.
        `torch.cuda.manual_seed`만 부르면 초기 가중치를 뽑는 CPU가 빠집니다. `np.random.default_rng()`,
        `random.Random()`, `torch.Generator()`는 독립된 생성기이므로 각각 시드를 주세요.

        프로그램을 두 번 실행해 처음 손실값 세 개를 비교하세요. 시드를 설정했는데도 다르면 그 전에 뽑힌 난수를 찾으세요.
        층은 만들어질 때, import 도중이라도, 가중치를 뽑습니다.

        `DataLoader`는 worker의 생성기에 torch의 생성기로 시드를 주므로 `num_workers` 때문에 더 할 일은 없습니다. 다만
        worker 수가 달라지면 어느 worker가 무엇을 뽑는지도 달라집니다. `torchmedic.seed_everything(seed)`는
        `DataLoader`에 넘길 `generator`와 `worker_init_fn` 값을 돌려줍니다. `deterministic=True` 옵션을 주면 cuDNN과
        cuBLAS에 같은 결과를 내는 알고리즘을 요청합니다. 문자열 집합의 순서는 Python이 시작하기 전에 정해야 하는
        `PYTHONHASHSEED` 값을 따릅니다.

        같은 시드는 같은 기계, 같은 PyTorch 버전에서 같은 실행을 만듭니다. 결과가 옳다는 뜻은 아니므로 여러 시드의 결과를
        함께 보고하세요.
        """,
    ),
    bad="""
    import torch
    from torch import nn

    inputs = torch.linspace(-1, 1, 64).unsqueeze(1)
    targets = inputs**2

    model = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(20):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
    print(loss.item())
    """,
    good="""
    import torch
    from torch import nn
    from torchmedic import seed_everything

    seed_everything(0)

    inputs = torch.linspace(-1, 1, 64).unsqueeze(1)
    targets = inputs**2

    model = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(20):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
    print(loss.item())
    """,
    variants=(
        Variant(
            "partly",
            Text(
                en="{seeded} has a seed, {unseeded} has none and draws in `{drawn}`",
                ko="{seeded} 생성기에는 시드가 있지만, `{drawn}` 코드가 쓰는 {unseeded} 생성기에는 없습니다",
            ),
            why=Text(
                en="""
                Each library has a generator of its own, and a seed reaches only one of them. The numbers of the others
                differ in every run, so the whole run can't be repeated although a seed is set.
                """,
                ko="""
                라이브러리마다 자기 생성기가 있고, 시드는 그중 하나에만 적용됩니다. 나머지 생성기의 난수는 실행할 때마다
                다르므로, 시드를 설정했는데도 실행 전체를 재현할 수 없습니다.
                """,
            ),
            help=Text(
                en="Seed {unseeded} too, in the same place.",
                ko="같은 자리에서 {unseeded} 생성기에도 시드를 설정하세요.",
            ),
        ),
        Variant(
            "late",
            Text(
                en="the seed is set only after `{drawn}` drew its weights",
                ko="`{drawn}` 층이 가중치를 뽑은 뒤에야 시드를 설정합니다",
            ),
            why=Text(
                en="""
                A layer draws its initial weights when it is constructed. A seed that is set after that fixes the order of
                the batches and the dropout, but every run still starts from other weights.
                """,
                ko="""
                층은 만들어질 때 초기 가중치를 뽑습니다. 그 뒤에 설정한 시드는 배치 순서와 드롭아웃을 고정하지만, 실행할
                때마다 다른 가중치에서 시작합니다.
                """,
            ),
            help=Text(
                en="Set the seed before the model is constructed.",
                ko="모델을 만들기 전에 시드를 설정하세요.",
            ),
        ),
    ),
    innocent=(
        """
        import argparse

        import torch
        from torch import nn

        parser = argparse.ArgumentParser()
        parser.add_argument("--seed", type=int, default=None, help="none: another run every time")
        args = parser.parse_args()
        if args.seed is not None:
            torch.manual_seed(args.seed)

        inputs = torch.linspace(-1, 1, 64).unsqueeze(1)
        model = nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(20):
            optimizer.zero_grad()
            loss = (model(inputs) - inputs).pow(2).mean()
            loss.backward()
            optimizer.step()
        """,
        """
        import random

        import torch
        from torch import nn

        seed = random.randint(1, 10000)
        print("seed:", seed)
        random.seed(seed)
        torch.manual_seed(seed)

        inputs = torch.linspace(-1, 1, 64).unsqueeze(1)
        model = nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(20):
            optimizer.zero_grad()
            loss = (model(inputs) - inputs).pow(2).mean()
            loss.backward()
            optimizer.step()
        """,
        """
        import random

        import torch
        from torch import nn
        from torch.utils.data import DataLoader, Dataset


        class Shifted(Dataset):
            def __len__(self):
                return 64

            def __getitem__(self, index):
                x = torch.tensor([index / 64 + random.uniform(-0.01, 0.01)])
                return x, x**2


        def main():
            torch.manual_seed(1)  # a worker's `random` is seeded by the loader, from torch's generator
            loader = DataLoader(Shifted(), batch_size=16, shuffle=True, num_workers=2)
            model = nn.Linear(1, 1)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for epoch in range(2):
                for x, y in loader:
                    optimizer.zero_grad()
                    loss = (model(x) - y).pow(2).mean()
                    loss.backward()
                    optimizer.step()


        if __name__ == "__main__":
            main()
        """,
        """
        import torch
        from torch import nn

        model = nn.Linear(4, 2)
        model.eval()
        with torch.no_grad():
            print(model(torch.ones(1, 4)).argmax(dim=1))
        """,
    ),
    search=(
        "pytorch reproducible results",
        "pytorch different results every run",
        "torch.manual_seed numpy random seed",
        "DataLoader worker_init_fn seed",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/notes/randomness.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.manual_seed.html",
        "https://docs.python.org/3/using/cmdline.html#envvar-PYTHONHASHSEED",
    ),
)


@rule.on(Trace)
def drawn_without_seed(trace: Trace) -> Iterator[Diagnosis]:
    draws = draws_of(trace)
    if draws is not None:
        yield _diagnosis(draws, trace)


@rule.on(Run)
def moved_without_seed(run: Run) -> Iterator[Diagnosis]:
    """torch's generator was not where it began, although nobody had seeded it."""
    found = unseeded(run)
    if found is not None:
        yield _diagnosis(*found)


def _diagnosis(draws: Draws, trace: Trace) -> Diagnosis:
    first = next(iter(draws.unseeded.values()))
    facts: dict[str, object] = {
        "drawn": first.name,
        "line": first.at.line,
        "unseeded": _listed(tuple(draws.unseeded)),
    }
    evidence = tuple(_first_of(name, event) for name, event in draws.unseeded.items())
    if draws.late is not None:
        fixes = tuple(moved(draws, trace))
        variant = rule.variant("late")
        return Diagnosis(rule, draws.late.at, facts, evidence, fixes, variant=variant)
    if draws.seeds:
        seeded = dict.fromkeys(str(seed.facts["which"]) for seed in draws.seeds)
        facts["seeded"] = _listed(tuple(seeded))
        at = draws.seeds[0].at
        fixes = tuple(beside_seed(draws, trace))
        return Diagnosis(rule, at, facts, evidence, fixes, variant=rule.variant("partly"))
    return _nothing_seeded(draws, trace, facts, evidence)


def _nothing_seeded(
    draws: Draws, trace: Trace, facts: dict[str, object], evidence: tuple[Evidence, ...]
) -> Diagnosis:
    first = next(iter(draws.unseeded.values()))
    index, _ = entry_of(first, trace)
    return Diagnosis(rule, first.sites[index], facts, evidence, tuple(seed_first(draws, trace)))


def _first_of(which: str, event: Event) -> Evidence:
    said = Text(
        en="the first numbers from {generator}: `{drawn}`, line {line}",
        ko="{generator} 생성기에서 처음 뽑는 곳: `{drawn}`, {line}번째 줄",
    )
    filled = said.fill(generator=NAMES[which], drawn=event.name, line=event.at.line)
    return Evidence(filled, event.at)


def _listed(generators: tuple[str, ...]) -> str:
    return ", ".join(NAMES.get(name, name) for name in generators)
