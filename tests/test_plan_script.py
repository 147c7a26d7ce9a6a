"""`torchmedic plan SCRIPT`: whole programs, up to their first step and then without memory."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from corpus import environment

pytest.importorskip("torch")
pytest.importorskip("resource")  # where it is, `os.fork` is

HEAD = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
data = TensorDataset(torch.randn(256, 64), torch.randint(10, (256,)))
model = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 10)).to(device)
optimizer = torch.optim.Adam(model.parameters())
"""
LOOP = """
kept = []
for epoch in range(2):
    for x, y in DataLoader(data, 32{options}):
        x, y = x.to(device), y.to(device)
        optimizer.zero_grad()
        {around}
            loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        {after}
    print("epoch", epoch)
"""
KIB, MIB = 1 << 10, 1 << 20
WEIGHTS = 4 * (64 * 512 + 512 + 512 * 10 + 10)


def looped(options="", around="if True:", after="pass"):
    return LOOP.format(options=options, around=around, after=after)


def plan(folder: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "train.py").write_text(HEAD + dedent(program))
    return subprocess.run(
        [sys.executable, "-m", "torchmedic", "plan", *words, "train.py"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )


def figures(folder: Path, program: str, *words: str) -> dict:
    done = plan(folder, program, "--format", "json", "--no-search", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_loop_with_a_loader(tmp_path):
    found = figures(tmp_path, looped(), "--gpu", "a100-40")
    held = found["by_category"]
    assert found["batch_size"] == 32 and found["fits"] and found["card"]["name"] == "a100-40"
    assert WEIGHTS <= held["parameters"] <= WEIGHTS + 4 * 512
    assert 2 * WEIGHTS <= held["optimizer state"] <= 2 * WEIGHTS + 8 * 512
    assert sum(held.values()) == found["allocated"] == sum(found["by_module"].values())
    assert found["peak"]["site"].startswith("train.py:") and found["peak"]["step"] in (1, 2)
    alive = {}
    for event in found["timeline"]:
        alive[event["id"]] = event["size"] if event["kind"] == "alloc" else 0
    assert sum(alive.values()) > 0


def test_the_program_goes_no_further_than_its_first_step(tmp_path):
    done = plan(tmp_path, looped(after="print('step')"), "--memory", "8GiB")
    assert done.returncode == 0 and done.stderr.split() == ["step"]
    assert "largest batch that fits" in done.stdout and "epoch" not in done.stdout


def test_workers_are_left_to_the_parent(tmp_path):
    plain = figures(tmp_path, looped())
    workers = figures(tmp_path, looped(options=", num_workers=2"))
    assert workers["allocated"] == plain["allocated"]


def test_another_batch_size(tmp_path):
    def activations(size):
        return figures(tmp_path, looped(), "--batch", str(size))["by_category"]["activations"]

    assert activations(40_000) - activations(20_000) == pytest.approx(activations(20_000), rel=0.1)


def test_what_the_loop_keeps_is_counted(tmp_path):
    """A list of outputs with their graphs: at the second step's peak those of the first are there."""
    plain = figures(tmp_path, looped(), "--batch", "20000")
    kept = figures(tmp_path, looped(after="kept.append(model(x))"), "--batch", "20000")
    grown = kept["allocated"] - plain["allocated"]
    assert grown >= 20_000 * 4 * (512 + 10), "what the ReLU keeps, and the output"


def test_mixed_precision_is_the_cards(tmp_path):
    around = "with torch.autocast(device, dtype=torch.bfloat16):"
    plain = figures(tmp_path, looped(), "--batch", "20000")
    mixed = figures(tmp_path, looped(around=around), "--batch", "20000")
    assert mixed["by_category"]["activations"] < 0.8 * plain["by_category"]["activations"]


def test_accumulation_is_followed_to_its_step(tmp_path):
    program = """
    for number, (x, y) in enumerate(DataLoader(data, 16)):
        (nn.functional.cross_entropy(model(x.to(device)), y.to(device)) / 4).backward()
        if number % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()
    """
    found = figures(tmp_path, program)
    batches = [e for e in found["timeline"] if e["category"] == "batch" and e["kind"] == "alloc"]
    assert len(batches) == 2 * 4 * 2, "two tensors in each of eight batches"


def test_a_loop_that_makes_its_own_batches(tmp_path):
    program = """
    x, y = torch.randn(4096, 64), torch.randint(10, (4096,))
    for step in range(10):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    """
    found = figures(tmp_path, program)
    assert found["batch_size"] is None and found["largest"] is None
    assert found["allocated"] > 2 * 4096 * 512


def test_a_loader_for_validation_alone(tmp_path):
    program = """
    with torch.no_grad():
        for x, y in DataLoader(data, 64):
            model(x)
    x, y = torch.randn(4096, 64), torch.randint(10, (4096,))
    for step in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    """
    found = figures(tmp_path, program)
    assert found["batch_size"] is None
    assert found["allocated"] > 2 * 4096 * 512


def test_a_teacher_is_on_the_card_too(tmp_path):
    program = """
    teacher = nn.Sequential(nn.Linear(64, 2048), nn.ReLU(), nn.Linear(2048, 10))
    for x, _ in DataLoader(data, 32):
        with torch.no_grad():
            wanted = teacher(x)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), wanted).backward()
        optimizer.step()
    """
    held = figures(tmp_path, program)["by_category"]
    assert held["parameters"] >= WEIGHTS + 4 * (64 * 2048 + 2048 * 10)


def test_a_compiled_model_is_planned_as_it_is_written(tmp_path):
    compiled = 'model = torch.compile(model, backend="eager")\n' + looped()
    found = figures(tmp_path, compiled)
    assert any("ompile" in note for note in found["notes"])
    assert found["by_category"]["parameters"] >= WEIGHTS


def test_checkpointed_blocks_count_once(tmp_path):
    """The first, real step calls them again while the gradients are computed: they are parts of the model all the same."""
    program = """
    from torch.utils.checkpoint import checkpoint

    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(6))
            self.head = nn.Linear(64, 10)

        def forward(self, x):
            for block in self.blocks:
                x = checkpoint(block, x, use_reentrant=False)
            return self.head(x)

    model = Deep().to(device)
    optimizer = torch.optim.Adam(model.parameters())
    """
    held = figures(tmp_path, dedent(program) + looped())["by_category"]
    weights = 4 * (6 * (64 * 64 + 64) + 64 * 10 + 10)
    assert weights <= held["parameters"] <= weights + 14 * 512
    assert 2 * weights <= held["optimizer state"] <= 2 * weights + 28 * 512


def test_an_average_of_the_weights_is_followed(tmp_path):
    program = """
    import copy
    average = copy.deepcopy(model)
    for x, y in DataLoader(data, 32):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x.to(device)), y.to(device)).backward()
        optimizer.step()
        with torch.no_grad():
            for old, new in zip(average.parameters(), model.parameters()):
                old.mul_(0.9).add_(new, alpha=0.1)
    """
    found = figures(tmp_path, program)
    assert found["by_category"]["buffers"] >= WEIGHTS


def test_tensors_made_without_a_device(tmp_path):
    program = """
    for x, y in DataLoader(data, 32):
        noise = torch.randn(len(x), 64)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x + noise), y).backward()
        optimizer.step()
    """
    held = figures(tmp_path, program)["by_category"]
    assert 2 * WEIGHTS <= held["optimizer state"] <= 2 * WEIGHTS + 8 * 512, "Adam counts on the CPU"


def test_numbers_of_the_real_step_stay_what_they_were(tmp_path):
    program = """
    x, y = torch.randn(256, 64), torch.randint(10, (256,))
    for step in range(20):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(step, loss.item())
    """
    assert figures(tmp_path, program)["by_category"]["activations"] >= 256 * 512


def test_two_models_take_turns(tmp_path):
    program = """
    critic = nn.Sequential(nn.Linear(10, 256), nn.ReLU(), nn.Linear(256, 1))
    other = torch.optim.SGD(critic.parameters(), lr=0.1, momentum=0.9)
    for x, _ in DataLoader(data, 32):
        other.zero_grad()
        critic(model(x).detach()).mean().backward()
        other.step()
        optimizer.zero_grad()
        critic(model(x)).mean().backward()
        optimizer.step()
    """
    found = figures(tmp_path, program)
    assert found["by_category"]["parameters"] >= WEIGHTS + 4 * (10 * 256 + 256 + 257)
    assert found["batch_size"] == 32


def test_a_trainer_class_in_a_module(tmp_path):
    (tmp_path / "engine.py").write_text(
        "class Trainer:\n"
        "    def __init__(self, model, optimizer, criterion):\n"
        "        self.model, self.optimizer, self.criterion = model, optimizer, criterion\n\n"
        "    def step(self, x, y):\n"
        "        self.optimizer.zero_grad(set_to_none=True)\n"
        "        loss = self.criterion(self.model(x), y)\n"
        "        loss.backward()\n"
        "        self.optimizer.step()\n"
        "        return loss.item()\n"
    )
    program = """
    from engine import Trainer
    trainer = Trainer(model, optimizer, nn.CrossEntropyLoss(weight=torch.ones(10)))
    total = sum(trainer.step(x, y) for x, y in DataLoader(data, 32))
    """
    found = figures(tmp_path, program)
    assert any("item" in note and "engine.py:10" in note for note in found["notes"])


@pytest.mark.parametrize(
    "program, said",
    [
        ("print(1)", "before an optimizer had taken a step"),
        (looped(after="numbers = loss.detach().numpy()"), "train.py:21"),
        ("for x, y in DataLoader(data, 200):\n    pass\n", "before an optimizer had taken a step"),
    ],
)
def test_what_can_not_be_planned_is_one_sentence(program, said, tmp_path):
    done = plan(tmp_path, program)
    assert done.returncode == 2 and not done.stdout
    assert said in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words, said",
    [
        (("--gpu", "a9000"), "No card `a9000`"),
        (("--memory", "much"), "no amount of memory"),
        (("--gpu", "t4", "--memory", "8GiB"), "not both"),
        (("--output", "no/such/folder/plan.txt"), "cannot write"),
    ],
)
def test_what_can_not_be_meant_is_one_sentence(words, said, tmp_path):
    done = plan(tmp_path, looped(), *words)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_a_crash_before_the_first_step_is_the_programs_own(tmp_path):
    done = plan(tmp_path, "raise ValueError('no data')")
    assert done.returncode == 1 and "ValueError: no data" in done.stderr and not done.stdout


def test_files(tmp_path):
    done = plan(
        tmp_path, looped(), "--no-search", "--output", "plan.txt", "--snapshot", "plan.pickle"
    )
    assert done.returncode == 0 and not done.stdout
    assert "peak allocated" in (tmp_path / "plan.txt").read_text()
    data = pickle.loads((tmp_path / "plan.pickle").read_bytes())
    assert data["segments"] and data["device_traces"][0]


def test_the_fixes_of_the_loop_are_tried(tmp_path):
    plain = (
        looped(around="if True:")
        .replace("        if True:\n    ", "")
        .replace("        if True:\n", "")
    )
    plain = plain.replace("            loss =", "        loss =")
    found = figures(tmp_path, plain, "--remedies", "--batch", "20000")
    accumulated, mixed = found["fixes"]
    assert (
        accumulated["verified"] is True
        and "same parameters within rounding" in accumulated["verification"]
    )
    assert "DataLoader(data, 2500)" in accumulated["diff"], "an eighth: no card says what is enough"
    assert mixed["verified"] is True and "torch.autocast(" in mixed["diff"]


def test_a_batch_that_was_drawn_before_the_replay_began(tmp_path):
    program = """
    def ahead(loader):
        batches = iter(loader)
        batch = next(batches)
        for following in batches:
            yield batch
            batch = following

    for x, y in ahead(DataLoader(data, 32)):
        loss = nn.functional.cross_entropy(model(x.double().float()), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    """
    assert figures(tmp_path, program)["batch_size"] == 32


def test_two_loaders_whose_batches_differ(tmp_path):
    program = """
    free = TensorDataset(torch.randn(512, 64))
    for _ in range(2):
        for (x, y), (more,) in zip(DataLoader(data, 32), DataLoader(free, 128)):
            loss = nn.functional.cross_entropy(model(x), y) + model(more).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    """
    found = figures(tmp_path, program)
    assert found["by_category"]["batch"] >= (32 + 128) * 64 * 4


def test_korean(tmp_path):
    done = plan(tmp_path, looped(), "--lang", "ko", "--gpu", "t4", "--no-search")
    assert "최대 할당량" in done.stdout


def test_a_device_by_name_and_number(tmp_path):
    devices = """
        device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu", 0)
        device = torch.device(type=device.type, index=0)
    """
    around = (
        "x = x.to(torch.device(type='cpu')); y = y.to(torch.device('cpu', 0))\n        if True:"
    )
    assert figures(tmp_path, dedent(devices) + looped(around=around))["allocated"] > 0
