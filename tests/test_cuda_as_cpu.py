"""Programs that ask for a card run on the CPU, and afterwards PyTorch is as it was."""

from __future__ import annotations

import inspect
import io
import threading
import warnings
from collections.abc import Iterator

import pytest
import torch

from torchmedic.model import program
from torchmedic.probes import cuda_as_cpu

HEAD = """
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

model = nn.Linear(4, 2)
x, y = torch.randn(8, 4), torch.randint(0, 2, (8,))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
"""
PROGRAMS = {
    "method_cuda": """
        model.cuda()
        loss = F.cross_entropy(model(x.cuda(non_blocking=True)), y.cuda(0))
        optimizer = torch.optim.Adam(model.parameters(), foreach=True)
        loss.backward()
        optimizer.step()
    """,
    "to_name": """
        model.to("cuda:0")
        assert model(x.to("cuda", torch.float32, non_blocking=True)).shape == (8, 2)
        assert model(x.to(device="cuda")).to("cpu").detach().numpy().shape == (8, 2)
    """,
    "numbers": """
        assert torch.zeros(3, device=0).to(0).sum() == 0
        assert torch.arange(3, device=torch.cuda.current_device()).device.type == "cpu"
        assert model.to(0).weight.is_leaf and model.to(device=0) is model
    """,
    "device_object": """
        device = torch.device("cuda:1" if torch.cuda.is_available() else "cpu")
        assert device.type == "cuda" and device.index == 1
        made = [torch.ones(2, device=device), torch.full((2,), 1.0, device=device)]
        made += [torch.tensor([1.0, 1.0], device=device), torch.ones_like(made[0], device=device)]
        made += [x.new_ones(2, device=device), torch.as_tensor([1.0, 1.0], device=device)]
        assert all(torch.equal(one, made[0]) for one in made)
        assert nn.LSTM(4, 4, device=device)(x.to(device))[0].shape == (8, 4)
    """,
    "default_device": """
        torch.set_default_device("cuda")
        try:
            assert torch.zeros(2).device.type == "cpu"
        finally:
            torch.set_default_device(None)
        with torch.device("cuda"):
            assert nn.Linear(2, 2).weight.device.type == "cpu"
        with torch.device("meta"):
            assert nn.Linear(2, 2).weight.device.type == "meta"
    """,
    "generator": """
        generator = torch.Generator("cuda").manual_seed(0)
        again = torch.Generator(device="cuda").manual_seed(0)
        assert isinstance(generator, torch.Generator) and isinstance(torch.default_generator, torch.Generator)
        assert torch.equal(torch.randn(3, generator=generator, device="cuda"), torch.randn(3, generator=again))
    """,
    "torch_cuda": """
        torch.cuda.manual_seed_all(0)
        torch.cuda.set_device(0)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        assert isinstance(torch.cuda.get_device_name(0), str) and torch.cuda.device_count() == 1
        assert torch.cuda.get_device_properties(0).total_memory > 0
        assert torch.cuda.max_memory_allocated() / 2**20 == 0
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        with torch.cuda.stream(torch.cuda.Stream()):
            end.record()
        torch.cuda.synchronize()
        assert start.elapsed_time(end) > 0
        torch.cuda.nvtx.range_push("step")
        torch.cuda.nvtx.range_pop()
        torch.cuda.set_rng_state_all(torch.cuda.get_rng_state_all())
        with torch.random.fork_rng(devices=[0]):
            torch.manual_seed(1)
    """,
    "amp": """
        scaler = torch.amp.GradScaler("cuda")
        with torch.autocast("cuda", dtype=torch.float16):
            loss = F.cross_entropy(model(x.cuda()), y.cuda())
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        assert scaler.is_enabled() and scaler.get_scale() == 65536.0
        with torch.autocast("cuda", dtype=torch.bfloat16):
            model(x)
    """,
    "cuda_amp": """
        import warnings

        warnings.simplefilter("ignore", FutureWarning)
        scaler = torch.cuda.amp.GradScaler(enabled=True)
        with torch.cuda.amp.autocast():
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    """,
    "pinned": """
        data = TensorDataset(x, y)
        for inputs, labels in DataLoader(data, batch_size=4, pin_memory=True):
            model(inputs.pin_memory().cuda(non_blocking=True))
        assert torch.zeros(3, pin_memory=True).sum() == 0 and not x.is_pinned()
    """,
    "workers": """
        for inputs, labels in DataLoader(TensorDataset(x, y), batch_size=4, pin_memory=True, num_workers=1):
            assert model(inputs.cuda()).shape == (4, 2)
    """,
    "data_parallel": """
        parallel = nn.DataParallel(model, device_ids=[0]).cuda()
        assert parallel(x.cuda()).shape == (8, 2) and "module.weight" in parallel.state_dict()
    """,
    "types": """
        assert torch.cuda.FloatTensor([1, 2]).sum() == 3
        assert y.type(torch.cuda.FloatTensor).dtype is torch.float32
        assert y.type("torch.cuda.DoubleTensor").dtype is torch.float64
    """,
}


@pytest.fixture
def installed() -> Iterator[None]:
    undo = cuda_as_cpu.install()
    yield
    undo()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_asks_for_a_card_runs(name: str, installed: None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(HEAD + program(PROGRAMS[name]), f"<{name}>", "exec"), {"__name__": "snippet"})


def _shifted(values: torch.Tensor) -> torch.Tensor:
    return values + torch.zeros(4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_script_knows_the_functions(installed: None) -> None:
    assert torch.jit.script(_shifted)(torch.ones(4).cuda()).sum() == 4


def test_a_thread_of_the_program_gets_the_cpu_too(installed: None) -> None:
    seen = list[torch.device]()
    thread = threading.Thread(target=lambda: seen.append(torch.ones(2).cuda().device))
    thread.start()
    thread.join()
    assert [device.type for device in seen] == ["cpu"]


@pytest.mark.parametrize("place", ["cuda", "cuda:0", torch.device("cuda"), None])
def test_a_checkpoint_of_a_card_is_read(place: object, installed: None) -> None:
    file = io.BytesIO()
    torch.save({"weight": torch.arange(4.0)}, file)
    read = torch.load(io.BytesIO(file.getvalue()), map_location=place)
    assert torch.equal(read["weight"], torch.arange(4.0))
    tagged = torch.serialization.default_restore_location(torch.UntypedStorage(4), "cuda:0")
    assert tagged.device.type == "cpu"


def test_errors_are_those_of_the_cpu(installed: None) -> None:
    labels = torch.tensor([0, 3], device="cuda")
    with pytest.raises(IndexError, match="Target 3 is out of bounds"):
        torch.nn.functional.cross_entropy(torch.zeros(2, 3).cuda(), labels)


def test_everything_is_put_back() -> None:
    owners = (torch, torch.Tensor, torch.cuda, torch.serialization, torch._C._nn)
    before = [dict(inspect.getmembers_static(owner)) for owner in owners]
    was_available = torch.cuda.is_available()
    cuda_as_cpu.install()()
    after = [dict(inspect.getmembers_static(owner)) for owner in owners]
    for old, new in zip(before, after, strict=True):
        assert [name for name in old if new.get(name) is not old[name]] == []
        assert new.keys() == old.keys()
    assert torch.cuda.is_available() == was_available
