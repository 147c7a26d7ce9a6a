"""`torchmedic.plan`: from a step's events to what is shown, and from a model to that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_plan_largest import MIB, step

from torchmedic.model import Text
from torchmedic.observed import plan_notes
from torchmedic.observed.plan import Card, Guess, NotReplayable
from torchmedic.planned import planned
from torchmedic.planning.options import Options
from torchmedic.planning.report import amount, bar, render
from torchmedic.planning.report_remedies import SETTINGS

CARD = Card("test-1", 1200 * MIB, 1000 * MIB)


def steps(size):
    return step(size or 8)._replace(
        not_modelled=(Text("no workspaces", "workspace 없음"),), guesses=(Guess("item", 3),)
    )


def test_what_is_shown_adds_up():
    plan = planned(steps, None, CARD, Options())
    assert (plan.batch_size, plan.allocated, plan.fits) == (8, 120 * MIB, True)
    assert sum(size for _, size in plan.by_category) == plan.allocated
    assert sum(share.size for share in plan.by_module) == plan.allocated
    assert plan.largest.fits <= 184 < plan.largest.does_not <= plan.largest.fits * 1.01 + 1
    assert plan.notes[0].en == "no workspaces" and plan.notes[1].en.startswith("3 answers")


def test_without_a_card_there_is_no_verdict():
    said = str(planned(steps, 16, None, Options()))
    assert "batch of 16" in said and "160 MiB" in said and "largest" not in said


def test_what_does_not_fit_is_said_so():
    plan = planned(steps, 500, CARD, Options())
    assert not plan.fits and plan.allocated > CARD.usable
    assert "does not fit (1000 MiB usable)" in str(plan)


def test_a_search_that_fails_leaves_the_rest():
    def broken(size):
        if size:
            raise NotReplayable("no tensor could take that size")
        return steps(size)

    plan = planned(broken, None, CARD, Options())
    assert plan.largest is None and "no tensor could take that size" in str(plan)


def test_the_allocators_settings_are_followed():
    plain = planned(steps, 9, None, Options())
    growing = planned(steps, 9, None, Options(expandable=True))
    assert growing.reserved == 140 * MIB != plain.reserved
    assert "backend:x" in str(planned(steps, 9, None, Options(not_modelled=("backend:x",))))


def test_in_both_languages():
    plan = planned(steps, None, CARD, Options())
    english, korean = (render(plan, lang, 80, False) for lang in ("en", "ko"))
    assert "largest batch that fits: 18" in english and "activations kept for backward" in english
    assert "들어가는 가장 큰 배치: 18" in korean and "그래디언트" in korean
    assert max(map(len, english.splitlines())) <= 80
    assert "\x1b[" in render(plan, "en", 80, True) and "\x1b[" not in english
    assert plan._repr_html_().startswith("<pre>batch of 8")


@pytest.mark.parametrize(
    "size, said",
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (1536 * 1024, "1.50 MiB"), (94 * MIB, "94.0 MiB"),
     (994 * MIB, "994 MiB"), (40 * 1024 * MIB, "40.0 GiB")],
)  # fmt: skip
def test_amounts(size, said):
    assert amount(size) == said


@given(st.floats(0, 1), st.integers(1, 40))
def test_bars(share, width):
    assert len(bar(share, width)) <= width
    assert bool(bar(share, width)) == (share > 0)


torch = pytest.importorskip("torch")
nn = torch.nn


@pytest.fixture
def net():
    model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 4))
    return model, torch.optim.Adam(model.parameters())


def batch(size=8):
    return torch.randn(size, 32), torch.randint(4, (size,))


def test_a_model_on_a_card(net):
    import torchmedic

    before = [p.clone() for p in net[0].parameters()]
    found = torchmedic.plan(*net, batch(), nn.CrossEntropyLoss(), gpu="a100-40", search=False)
    parameters = dict(found.by_category)["parameters"]
    assert parameters == 4 * sum(-(-p.numel() * 4 // 512) * 512 // 4 for p in before)
    assert dict(found.by_category)["optimizer state"] >= 2 * parameters
    assert found.card.name == "a100-40" and found.batch_size == 8 and found.fits
    assert all(torch.equal(a, b) for a, b in zip(before, net[0].parameters(), strict=True))
    assert not net[1].state and all(p.grad is None for p in net[0].parameters())


def test_a_larger_batch_takes_more(net):
    import torchmedic

    def need(size):
        return torchmedic.plan(*net, batch(), nn.CrossEntropyLoss(), batch_size=size).allocated

    small, middle, large = need(1 << 14), need(1 << 15), need(1 << 16)
    assert large - middle == pytest.approx(2 * (middle - small), rel=0.02)


def test_a_dict_for_a_model_that_computes_its_loss():
    import torchmedic

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(32, 4)

        def forward(self, x, labels):
            return type(
                "Output", (), {"loss": nn.functional.cross_entropy(self.layer(x), labels)}
            )()

    model = Model()
    x, labels = batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert torchmedic.plan(model, optimizer, {"x": x, "labels": labels}).allocated > 0


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(32)
        self.inner = nn.Sequential(nn.Linear(32, 128), nn.GELU(), nn.Linear(128, 32))

    def forward(self, x):
        return x + self.inner(self.norm(x))


@pytest.fixture
def deep():
    model = nn.Sequential(*(Block() for _ in range(6)), nn.Linear(32, 4))
    model = nn.Sequential(nn.Sequential(*list(model)[:-1]), model[-1])
    return model, torch.optim.AdamW(model.parameters())


def test_remedies_are_steps_of_their_own(deep):
    import torchmedic

    found = torchmedic.plan(
        *deep, batch(), nn.CrossEntropyLoss(), batch_size=1 << 14, remedies=True
    )
    saved = {(r.name, r.detail): r.saved for r in found.remedies}
    assert all(r.saved == found.allocated - r.allocated for r in found.remedies)
    tried = [r.saved for r in found.remedies if r.name not in SETTINGS]
    assert tried == sorted(tried, reverse=True)
    parts = [saved["accumulate", str(n)] for n in (2, 4, 8)]
    assert 0 < parts[0] < parts[1] < parts[2] < found.allocated
    assert saved["checkpoint", "6"] > found.allocated // 3
    assert saved["bf16", ""] > found.allocated // 4
    assert "checkpoint 6 repeated blocks" in str(found) and "fused=True" not in str(found)
    assert not hasattr(deep[0][0][0].forward, "func"), "the caller's model is as it was"


def test_remedies_name_batch_norm():
    import torchmedic

    model = nn.Sequential(nn.Linear(32, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    found = torchmedic.plan(
        model, optimizer, batch(), nn.CrossEntropyLoss(), batch_size=1 << 14, remedies=True
    )
    assert "batch norm then sees the parts" in str(found)
    assert "SGD" not in str(found), "it is that already"


def test_remedies_of_several_optimizers_are_refused(net):
    import torchmedic

    loss = nn.CrossEntropyLoss()
    with pytest.raises(ValueError, match="one optimizer"):
        torchmedic.plan(net[0], [net[1]] * 2, batch(), [loss] * 2, remedies=True)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"gpu": "a1000000"}, "a1000000"),
        ({"memory": "much"}, "no amount of memory"),
        ({"gpu": "t4", "memory": "24GiB"}, "not both"),
        ({"loss": 3}, "callable"),
    ],
)
def test_what_cannot_be_meant_is_a_sentence(net, options, said):
    import torchmedic

    options = {"loss": nn.CrossEntropyLoss(), **options}
    with pytest.raises(ValueError, match=said):
        torchmedic.plan(*net, batch(), **options)


def test_a_loss_that_is_no_scalar_is_refused(net):
    import torchmedic

    with pytest.raises(NotReplayable, match="not a scalar"):
        torchmedic.plan(*net, batch(), lambda model, data: model(data[0]))


def test_settings_that_pytorch_refuses_are_a_sentence(net, monkeypatch):
    import torchmedic

    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:1")
    with pytest.raises(ValueError, match="more than 20"):
        torchmedic.plan(*net, batch(), nn.CrossEntropyLoss())


def test_whatever_is_said_of_a_replay_is_said_in_both_languages():
    known = [*vars(plan_notes).values(), *plan_notes.NOT_MODELLED.values()]
    texts = [value for value in known if isinstance(value, Text)]
    assert len(texts) > 30
    for text in texts:
        assert text.holes("en") == text.holes("ko")
        assert any("가" <= letter <= "힣" for letter in text.ko) and text.en.isascii()


def test_a_refusal_is_told_in_the_language_asked_for():
    error = NotReplayable(plan_notes.NO_SAMPLE.fill(size=0))
    assert (error.reason, str(error)) == (error.said.en, error.said.en)
    assert "0개" in error.said.ko
    assert NotReplayable("torch's own words").said == ("torch's own words",) * 2


def test_a_reason_within_a_sentence_is_in_its_language():
    error = NotReplayable(plan_notes.NO_SAMPLE.fill(size=0))
    said = plan_notes.NOT_FOUND.fill(reason=error.said)
    assert said.en.endswith(error.said.en) and said.ko.endswith(error.said.ko)
