"""What a watched run tells of kept graphs, of parameters that no optimizer holds, of schedules and of clipping."""

from __future__ import annotations

import gc
import weakref
from collections import deque
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from torch import nn

from programs import execute
from torchmedic.model import Span
from torchmedic.observed import Site
from torchmedic.observed.run import Run
from torchmedic.observed.run_memory import Holder
from torchmedic.probes.observer.holders import Holders
from torchmedic.probes.observer.nodes import is_freed, kept, number, reached, walk
from torchmedic.probes.observer.watcher import Now
from torchmedic.rules._growing import growths, shown
from torchmedic.silent import found_in

HEAD = """
import torch
from torch import nn

torch.manual_seed(0)
inputs = torch.randn(64, 4)
targets = inputs.sum(dim=1, keepdim=True)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def step():
    loss = nn.functional.mse_loss(model(inputs), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss
"""


def watched(text: str, folder: Path) -> Run:
    (folder / "train.py").write_text(dedent(text).lstrip(), encoding="utf-8")
    outcome = execute("train.py", cwd=folder)
    assert outcome.status == 0, outcome.stderr
    return outcome.run


def told(run: Run) -> list[str]:
    def reraise(rule, error):
        raise error

    return [f"{d.rule.code} {d.at and d.at.line}" for d in found_in(run, reraise)]


# --- the graph


def loss_of(inputs):
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    return model(inputs).pow(2).mean()


def test_bytes_of_a_graph_are_those_of_its_saved_tensors():
    """The input and the hidden activations, 32 × 64 floats each, once; the output's 32; no parameter."""
    loss = loss_of(torch.randn(32, 64))
    assert kept(loss.grad_fn).bytes == 4 * (2 * 32 * 64 + 32)
    assert kept(loss.grad_fn).nodes == len(list(walk(loss.grad_fn)))


def test_a_backward_pass_frees_the_graph():
    loss = loss_of(torch.randn(8, 64))
    assert not is_freed(loss.grad_fn)
    loss.backward()
    assert is_freed(loss.grad_fn)
    assert kept(loss.grad_fn).bytes == 0


def test_a_sum_reaches_what_it_was_before_and_a_new_loss_does_not():
    total = loss_of(torch.randn(2, 64))
    before = number(total.grad_fn)
    total = total + loss_of(torch.randn(2, 64))
    assert number(reached(total.grad_fn, before)) == before
    assert reached(loss_of(torch.randn(2, 64)).grad_fn, before) is None


def test_sizes_are_shown_with_their_unit():
    assert [shown(n) for n in (8, 2048, 3 << 20, 5 << 30)] == ["8 bytes", "2 KiB", "3 MiB", "5 GiB"]


# --- who holds it


class Strange:
    """Whoever asks for more than `__dict__` is told off."""

    def __init__(self, value):
        self.__dict__["value"] = value

    def __getattr__(self, name):
        raise AssertionError(f"{name} was asked for")

    @property
    def losses(self):
        raise AssertionError("a property was read")


def look(watcher: Holders, optimizer) -> None:
    watcher.now.steps += 1
    watcher.step_ends(optimizer)


# No assertion stands in what is looked at: pytest's own use of `locals` would hide it.
def keep(watcher: Holders, optimizer) -> weakref.ref[torch.Tensor]:
    strange, total = Strange([loss_of(torch.randn(2, 64))]), 0.0
    for _ in range(4):
        loss = loss_of(torch.randn(2, 64))
        loss.backward()
        total = total + loss
        strange.__dict__["value"].append(loss)
        look(watcher, optimizer)
    return weakref.ref(loss)


def discard(watcher: Holders, optimizer) -> None:
    recent, window = deque(maxlen=3), []
    for _ in range(12):
        loss = loss_of(torch.randn(2, 64))
        loss.backward()
        recent.append(loss)
        window.append(loss)
        window = window[-2:]
        look(watcher, optimizer)


def test_a_look_keeps_nothing_alive_and_runs_no_code_of_the_program():
    watcher, optimizer = Holders(Now()), torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)
    ref = keep(watcher, optimizer)
    found = {h.text: h for h in watcher.read()["holders"]}
    assert {"total", "strange.value"} <= found.keys()
    assert found["total"].is_freed and found["total"].grown == 3
    gc.collect()
    assert ref() is None


def test_bounded_containers_and_results_do_not_grow():
    watcher, optimizer = Holders(Now()), torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)
    discard(watcher, optimizer)
    assert watcher.now.steps == 12 and watcher.read()["holders"] == ()


def test_only_freed_graphs_are_told_and_endless_chains_at_the_end(tmp_path):
    path = tmp_path / "train.py"
    path.write_text("total = 0\nfor batch in batches:\n    total += f(batch)\n    g(total)\n")
    at = Site(Span(str(path), 4, 4, 4, 12), "<module>")
    holder = Holder((at,), "total", "sum", grown=31, first=1, last=32, nodes=9, bytes=1 << 20)
    assert list(growths(Run(holders=(holder,), is_over=False))) == []
    [endless] = growths(Run(holders=(holder,)))
    assert endless.form == "state"
    assert "16,384 steps" in endless.evidence[-1].text.en
    assert list(growths(Run(holders=(holder._replace(missed=1),)))) == []
    assert list(growths(Run(holders=(holder._replace(grown=6),)))) == []
    [freed] = growths(Run(holders=(holder._replace(is_freed=True, grown=2),), is_over=False))
    assert (freed.form, freed.loop.line, freed.added.at.line) == ("sum", 2, 3)


def test_hooks_on_saved_tensors_are_not_run(tmp_path):
    """Unpacking would recompute a checkpointed block."""
    program = """
    import torch
    from torch import nn
    from torch.utils.checkpoint import checkpoint

    torch.manual_seed(0)
    layer, runs = nn.Linear(4, 4), []
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)


    def block(x):
        runs.append(1)
        return torch.relu(layer(x))


    total = 0.0
    for step in range(8):
        loss = checkpoint(block, torch.randn(2, 4), use_reentrant=False).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total = total + loss
    assert len(runs) == 16, len(runs)
    """
    assert told(watched(program, tmp_path)) == []


# --- evaluation, schedules, clipping


def test_an_evaluation_tells_what_the_graph_of_one_batch_keeps(tmp_path):
    program = (
        HEAD
        + """
for epoch in range(2):
    for _ in range(3):
        step()
    model.eval()
    for rows in inputs.split(16):
        print(model(rows).mean().item())
    model.train()
"""
    )
    run = watched(program, tmp_path)
    sizes = {f.graph_bytes for f in run.forwards if not f.consumed}
    assert sizes == {4 * (16 * 4 + 16 * 8)}


@pytest.mark.parametrize("calls, early", [(1, 1), (3, 3)])
def test_schedules_that_step_first_are_counted(calls, early, tmp_path):
    program = (
        HEAD
        + f"""
schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
for epoch in range(4):
    if epoch == 0:
        for _ in range({calls}):
            schedule.step()
    step()
"""
    )
    [found] = watched(program, tmp_path).schedules
    assert found.early == early and found.type == "StepLR"


def test_clipping_before_the_step_is_not_late(tmp_path):
    program = (
        HEAD
        + """
for _ in range(6):
    loss = nn.functional.mse_loss(model(inputs), targets)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
"""
    )
    before, after = watched(program, tmp_path).clips
    assert (before.calls, before.late) == (6, 0)
    assert (after.calls, after.late) == (6, 5)


def test_a_parameter_that_an_optimizer_gets_later_is_held(tmp_path):
    program = (
        HEAD
        + """
head = nn.Linear(1, 1)
model.append(head)
for index in range(12):
    step()
    if index == 8:
        optimizer.add_param_group({"params": head.parameters()})
"""
    )
    assert watched(program, tmp_path).unheld == ()
    [late] = watched(program.replace("index == 8", "index == 99"), tmp_path).unheld
    assert (late.form, late.layer, late.parameters) == ("late", "3", 2)
