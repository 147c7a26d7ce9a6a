"""One rank of several: laws of what it holds, and two real ranks on this machine beside the prediction."""

from __future__ import annotations

import json
import multiprocessing
from math import ceil, prod

import pytest
import torch
import torch.nn.functional as F
from replaying import adam, classes, net, pair, peak, replayed, taken, total
from test_plan_script import looped, plan
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

import torchmedic
from torchmedic.observed.plan import NotReplayable, Ranks
from torchmedic.planned import ranks_of
from torchmedic.planning.report import CATEGORIES, render
from torchmedic.probes.planner.ranks import units

pytest.importorskip("resource")  # where it is, `os.fork` is
if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip("needs torch.distributed with gloo", allow_module_level=True)
fsdp = pytest.importorskip("torch.distributed.fsdp")
shards = pytest.mark.skipif(not hasattr(fsdp, "fully_shard"), reason="PyTorch 2.6 is the first")
FLOAT, MIB = 4, 1 << 20
ROWS, BATCH = 65, 16  # no multiple of 2, 3 or 4


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Linear(ROWS, 4 * ROWS)
        self.narrow = nn.Linear(4 * ROWS, ROWS)

    def forward(self, x):
        return x + self.narrow(torch.relu(self.wide(x)))


class Stack(nn.Module):
    def __init__(self, is_tied: bool = False) -> None:
        super().__init__()
        self.first = nn.Embedding(50, ROWS)
        self.blocks = nn.ModuleList([Block() for _ in range(4)])
        self.last = nn.Linear(ROWS, 50, bias=False)
        if is_tied:
            self.last.weight = self.first.weight

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(x)


def words(model, batch):
    return F.cross_entropy(model(batch[0]).flatten(0, 1), batch[0].flatten())


def text():
    return (torch.randint(50, (BATCH, 8)),)


def stacked(ranks=None, device="cpu", model=None, **options):
    model = model or Stack()
    return replayed(words, model, text(), device=device, ranks=ranks, **options)


def whole(model):
    return FLOAT * sum(parameter.numel() for parameter in model.parameters())


def shard(model, count):
    """Rank 0 has the first of `count` equal parts of the rows of each parameter, the last of which is filled up."""
    return FLOAT * sum(ceil(p.shape[0] / count) * prod(p.shape[1:]) for p in model.parameters())


def sizes(step):
    return [(event.kind, event.size, event.category, event.phase) for event in step.events]


# --- fully_shard


@shards
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("count", [1, 2, 3, 16])
def test_a_shard_holds_its_part_of_parameters_gradients_and_state(device, count):
    step = stacked(Ranks("fsdp", count), device)
    held = shard(Stack(), count)
    assert total(step.events, category="parameters") == held
    assert total(step.events, category="optimizer state", step=1) >= 2 * held
    scalars = 4 * len(list(Stack().parameters()))  # `step` of each parameter, on the CPU
    assert total(step.events, category="optimizer state", step=1) <= 2 * held + scalars
    assert total(step.events, category="gradients", step=2) == held
    assert step.is_complete and step.ranks == Ranks("fsdp", count)


@shards
def test_more_ranks_never_hold_more_at_rest_but_may_gather_more():
    counts = (1, 2, 4, 13, 64)
    found = [stacked(Ranks("fsdp", count)) for count in counts]
    at_rest = [total(step.events, category="parameters") for step in found]
    assert at_rest == sorted(at_rest, reverse=True) and at_rest[0] > 30 * at_rest[-1]
    gathered = [
        max(event.size for event in taken(step.events, category="communication")) for step in found
    ]
    rows = [ceil(4 * ROWS / count) * count for count in counts]  # filled up: more for 64 ranks
    assert gathered[-1] > gathered[1] and rows[-1] > rows[1]


@shards
def test_one_unit_is_gathered_at_a_time():
    """While a block runs its parameters are there, and those of the next or the last one: not those of all."""
    block, model = whole(Block()), Stack()
    step = stacked(Ranks("fsdp", 2), model=model)
    now = most = 0
    for event in step.events:
        if event.category == "communication" and event.step == 2:
            now += event.size if event.kind == "alloc" else -event.size
            most = max(most, now)
    rest = whole(model) - 4 * block  # the root's, which stay
    assert rest + 2 * block <= most <= rest + 4 * block < whole(model) + 3 * block


@shards
def test_one_rank_is_the_whole_model_and_what_it_gathers():
    alone, one = stacked(), stacked(Ranks("fsdp", 1))
    assert total(one.events, category="parameters") == whole(Stack())
    assert 0 <= peak(one.events)[0] - peak(alone.events)[0] <= whole(Stack())


@shards
def test_units_are_repeated_blocks_but_not_tied_ones_or_inner_ones():
    model = Stack()
    assert units(model) == list(model.blocks)
    model.blocks[1].wide.weight = model.blocks[0].wide.weight
    assert units(model) == list(model.blocks)[2:]
    assert units(nn.Sequential(*[nn.Sequential(*[Block() for _ in range(3)]) for _ in range(3)]))
    assert stacked(Ranks("fsdp", 2), model=model).is_complete
    tied = stacked(Ranks("fsdp", 2), model=Stack(is_tied=True))
    assert total(tied.events, category="parameters") == shard(Stack(is_tied=True), 2)


@shards
def test_what_fully_shard_refuses_is_said_so():
    model = Stack()
    model.register_parameter("scale", nn.Parameter(torch.tensor(1.0)))
    with pytest.raises(NotReplayable, match=r"fully_shard refuses this model: .*scalar"):
        stacked(Ranks("fsdp", 2), model=model)


@shards
@pytest.mark.parametrize("frozen", ["blocks", "first"])
def test_frozen_parameters_are_sharded_too(frozen):
    model = Stack()
    getattr(model, frozen).requires_grad_(False)
    step = stacked(Ranks("fsdp", 4), "cuda", model, autocast="bf16")
    assert total(step.events, category="parameters") == shard(model, 4) and step.is_complete


# --- DistributedDataParallel


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_buckets_are_one_more_copy_of_the_gradients(device):
    alone, ranks = stacked(device=device), stacked(Ranks("ddp", 8), device)
    most, at = peak(ranks.events)
    assert at["communication"] == whole(Stack()) == most - peak(alone.events)[0]


def test_the_number_of_ranks_makes_no_difference_to_a_replica():
    assert sizes(stacked(Ranks("ddp", 2))) == sizes(stacked(Ranks("ddp", 64)))


def test_buckets_are_as_large_as_pytorch_makes_them():
    model = nn.Sequential(*[nn.Linear(1024, 1024) for _ in range(16)])
    step = replayed(
        lambda model, x: model(x).sum(), model, torch.zeros(2, 1024), ranks=Ranks("ddp", 2)
    )
    first, made_anew = (
        [each.size for each in taken(step.events, category="communication", step=when)]
        for when in (0, 2)
    )
    made_anew = [size for size in made_anew if size > 1024]  # less: which parameter is in which
    assert first == [whole(model)]  # one, until it is known in which order gradients come
    layer = whole(model[0])
    assert sum(made_anew) == whole(model) and len(made_anew) > 2
    assert made_anew[0] == layer and max(made_anew) <= 25 * MIB + layer


def test_buffers_are_sent_before_each_forward_pass():
    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.normed = nn.Sequential(nn.Linear(32, 64), nn.BatchNorm1d(64), nn.Linear(64, 4))

        def forward(self, x):
            return self.normed(x)

    sent = taken(replayed(model=Normed(), ranks=Ranks("ddp", 2)).events, category="communication")
    assert any("cat" in event.operation for event in sent)


def test_parameters_without_a_gradient_stop_a_replica():
    model = net()
    model.spare = nn.Linear(3, 3)
    model.forward = lambda x: model[2](model[1](model[0](x)))
    with pytest.raises(
        NotReplayable, match=r"\(spare.weight, spare.bias\).*find_unused_parameters"
    ):
        replayed(model=model, ranks=Ranks("ddp", 2))


# --- whatever spreads it


@pytest.mark.parametrize("kind", ["ddp", pytest.param("fsdp", marks=shards)])
def test_nothing_of_the_callers_changes(kind):
    model = Stack()
    optimizer = adam(model)
    before = [(id(p), p.clone()) for p in model.parameters()]
    stacked(Ranks(kind, 2), "cuda", model, optimizer=optimizer)
    assert all(id(p) == key and torch.equal(p, v) for p, (key, v) in zip(model.parameters(), before, strict=True))  # fmt: skip
    assert not torch.distributed.is_initialized() and type(model) is Stack
    assert optimizer.param_groups[0]["params"][0] is model.first.weight


@pytest.mark.parametrize("kind", ["ddp", pytest.param("fsdp", marks=shards)])
@pytest.mark.parametrize("options", [{"autocast": "fp16"}, {"accumulate": 4}, {"batch_size": 64}])
def test_other_ways_to_step(kind, options):
    step = stacked(Ranks(kind, 4), "cuda", **options)
    assert step.is_complete and len(step.not_modelled) >= 2


@pytest.mark.parametrize("kind", ["ddp", pytest.param("fsdp", marks=shards)])
def test_a_container_is_spread_by_its_children(kind):
    model = nn.ModuleDict({"make": nn.Linear(8, 32), "judge": net()})
    losses = [
        lambda model, batch: model["judge"](model["make"](batch).detach()).mean(),
        lambda model, batch: model["judge"](model["make"](batch)).mean(),
    ]
    optimizers = [adam(model["judge"]), adam(model["make"])]
    step = torchmedic.probes.planner.replay(
        model, optimizers, torch.zeros(4, 8), losses, ranks=Ranks(kind, 2)
    )
    assert step.is_complete and total(step.events, category="communication") > 0


def test_a_model_that_is_spread_already_is_refused():
    with pytest.raises(NotReplayable, match=r"is wrapped already \(DataParallel\)"):
        replayed(model=nn.DataParallel(net()), ranks=Ranks("ddp", 2))


@pytest.mark.parametrize(
    "given, said",
    [({"ddp": 0}, "1 or more, not 0"), ({"fsdp": -2}, "1 or more, not -2"), ({"ddp": 2.0}, "not 2.0"),
     ({"fsdp": "8"}, "not '8'"), ({"ddp": True}, "not True"), ({"ddp": 2, "fsdp": 2}, "not both")],
)  # fmt: skip
def test_numbers_of_ranks_that_are_none(given, said):
    with pytest.raises(ValueError, match=said):
        torchmedic.plan(net(), adam(net()), pair(), classes, **given)


def test_ranks_of():
    assert ranks_of() is None
    assert ranks_of(ddp=8) == Ranks("ddp", 8) and ranks_of(fsdp=1) == Ranks("fsdp", 1)


def test_without_torch_distributed(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_available", lambda: False)
    with pytest.raises(NotReplayable, match=r"no torch\.distributed"):
        replayed(ranks=Ranks("ddp", 2))


# --- shown


def test_a_plan_tells_its_ranks_in_both_languages():
    model = net()
    plan = torchmedic.plan(model, adam(model), pair(), nn.CrossEntropyLoss(), gpu="t4", ddp=8, search=False)  # fmt: skip
    english, korean = (render(plan, lang, 88, False) for lang in ("en", "ko"))
    assert plan.ranks == Ranks("ddp", 8)
    assert english.startswith("batch of 8 per rank, 8 ranks (DistributedDataParallel) on t4")
    assert CATEGORIES["communication"].en in english and "each rank has the batch above" in english
    assert "랭크 8개" in korean and CATEGORIES["communication"].ko in korean


@pytest.mark.parametrize("kind", ["ddp", pytest.param("fsdp", marks=shards)])
def test_remedies_are_those_of_a_rank(kind):
    model = Stack()
    plan = torchmedic.plan(model, adam(model), text(), words, remedies=True, search=False, **{kind: 4})  # fmt: skip
    saved = {remedy.name: remedy.saved for remedy in plan.remedies}
    state = 2 * (whole(model) if kind == "ddp" else shard(model, 4))
    assert {"accumulate", "plain SGD"} <= saved.keys() and saved["plain SGD"] < 2 * state


@pytest.mark.parametrize("kind", ["ddp", pytest.param("fsdp", marks=shards)])
def test_a_script_on_ranks(tmp_path, kind):
    program = looped(after="nn.utils.clip_grad_norm_(model.parameters(), 1.0)")
    done = plan(tmp_path, program, "--format", "json", "--no-search", f"--{kind}", "2")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ranks"] == {"kind": kind, "count": 2}
    assert found["by_category"]["communication"] > 0


def test_a_script_that_is_in_a_group_already(tmp_path):
    group = 'torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)'
    done = plan(tmp_path, group + looped(), "--ddp", "2")
    assert done.returncode == 2 and "in a process group already" in done.stderr


@pytest.mark.parametrize("words", [("--ddp", "0"), ("--fsdp", "x"), ("--ddp", "2", "--fsdp", "2")])
def test_bad_words(tmp_path, words):
    done = plan(tmp_path, looped(), *words)
    assert done.returncode == 2 and "Traceback" not in done.stderr and not done.stdout


# --- beside two real ranks


def _be_rank(kind, rank, place, pipe):
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(place, 2)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        model = Stack()
        if kind == "ddp":
            model = nn.parallel.DistributedDataParallel(model)
        else:
            for block in model.blocks:
                fsdp.fully_shard(block)
            fsdp.fully_shard(model)
        optimizer = adam(model)
        with record_function("steps"):
            for _ in range(2):
                batch = text()
                optimizer.zero_grad()
                words(model, batch).backward()
                optimizer.step()
                del batch
    torch.distributed.barrier()
    if rank == 0:
        pipe.send(_most(recorded.profiler.kineto_results.experimental_event_tree()))


def _most(roots):
    """As `most_of`, without the copies that gloo makes of its messages in PyTorch's tensors."""
    found, begins = [], [0]

    def walk(node, is_gloos):
        is_gloos = is_gloos or node.name.startswith(("c10d::", "gloo:"))
        if node.name == "steps":
            begins.append(node.start_time_ns)
        if node.name == "[memory]":
            at = node.extra_fields
            found.append((node.start_time_ns, at.alloc_size, at.ptr, is_gloos))
        for child in node.children:
            walk(child, is_gloos)

    for root in roots:
        walk(root, False)
    live, now, most = {}, 0, 0
    for when, size, address, is_gloos in sorted(found):
        now -= live.pop(address, 0)
        if size > 0:
            live[address] = 0 if is_gloos else size
            now += live[address]
        most = max(most, now) if when >= max(begins) else most
    return most


@pytest.mark.parametrize("kind", ["ddp", pytest.param("fsdp", marks=shards)])
def test_beside_two_real_ranks(kind, tmp_path):
    """What a thread of gloo's frees last, the profiler doesn't see freed: the least of three runs is the truth."""
    context = multiprocessing.get_context("fork")
    truths = []
    for run in range(3):
        ours, theirs = context.Pipe(duplex=False)
        place = str(tmp_path / str(run))
        ranks = [context.Process(target=_be_rank, args=(kind, n, place, theirs)) for n in (0, 1)]
        for rank in ranks:
            rank.start()
        assert ours.poll(120)
        truths.append(ours.recv())
        for rank in ranks:
            rank.join(60)
    predicted = peak(stacked(Ranks(kind, 2)).events)[0]
    assert predicted == pytest.approx(min(truths), rel=0.005)
