"""The snapshot against PyTorch's own readers of that format, `torch.cuda._memory_viz`."""

from __future__ import annotations

import pickle

import pytest
from test_plan_largest import MIB, step

from torchmedic.model import Span
from torchmedic.observed import Site
from torchmedic.planning.options import Options
from torchmedic.planning.simulation import simulate
from torchmedic.planning.snapshot import snapshot

pytest.importorskip("torch")
from torch.cuda import _memory_viz as viz

GROWING = Options(expandable=True)


def placed(batch):
    whole = step(batch)
    at = Site(Span("train.py", 12), "train")
    return whole._replace(
        events=tuple(e._replace(site=at, operation="aten::mm") for e in whole.events)
    )


@pytest.mark.parametrize("options", [Options(), GROWING], ids=["segments", "expandable"])
def test_pytorch_reads_it(options):
    data = pickle.loads(snapshot(placed(8), options=options))
    outcome = simulate(step(8), options=options)
    assert sum(s["total_size"] for s in data["segments"]) == outcome.reserved
    assert sum(s["allocated_size"] for s in data["segments"]) == 40 * MIB
    told = viz.segsum(data)
    assert "40.0" in told and "segments" in told
    lines = viz.trace(data)
    assert lines.count("cudaMalloc(") == sum(a == "segment_alloc" for a in actions(data))
    for page in (viz.trace_plot(data), viz.segment_plot(data)):
        assert page.lstrip().startswith("<!DOCTYPE html>")


def actions(data):
    return [entry["action"] for entry in data["device_traces"][0]]


def test_the_trace_is_complete():
    [trace] = pickle.loads(snapshot(placed(8)))["device_traces"]
    live, highest = {}, 0
    for entry in trace:
        if entry["action"] == "alloc":
            live[entry["addr"]] = entry["size"]
        elif entry["action"] == "free_completed":
            del live[entry["addr"]]
        highest = max(highest, sum(live.values()))
    assert highest == simulate(step(8)).requested
    assert [e["time_us"] for e in trace] == list(range(len(trace)))
    assert trace[-1]["frames"][1] == {"filename": "train.py", "line": 12, "name": "train"}


def test_a_refused_request_is_the_last_entry():
    [trace] = pickle.loads(snapshot(placed(8), limit=100 * MIB))["device_traces"]
    assert trace[-1]["action"] == "oom" and trace[-1]["size"] == 40 * MIB
    assert "raise OutOfMemoryError" in viz.trace(pickle.loads(snapshot(placed(8), limit=100 * MIB)))
