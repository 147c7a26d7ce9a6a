"""A simulated step as the pickle that PyTorch's own memory visualiser reads (https://docs.pytorch.org/memory_viz).

The layout is that of `torch.cuda.memory._snapshot`: the segments with their blocks as they are at the end, and a trace of
all actions before, with frames. Here the innermost frame names operation and module, the next one the user's line.
"""

from __future__ import annotations

import pickle
from typing import Any

from torchmedic.observed.plan import Event, Step
from torchmedic.planning.allocator import Action, Block, CachingAllocator
from torchmedic.planning.options import Options
from torchmedic.planning.simulation import simulate

POOL = (0, 0)
STREAM = 0


def snapshot(step: Step, limit: int | None = None, options: Options | None = None) -> bytes:
    """Of the step on a card with that limit; if it doesn't fit, up to the request that was refused."""
    trace: list[dict[str, Any]] = []
    pending: list[tuple[Action, int, int]] = []
    frames: dict[int, list[dict[str, Any]]] = {}
    last: list[CachingAllocator] = []

    def on_action(action: Action, address: int, size: int) -> None:
        pending.append((action, address, size))

    def on_event(at: int, allocator: CachingAllocator) -> None:
        event = step.events[at]
        if event.kind == "alloc":
            frames[event.id] = _frames(event)
        _append(trace, pending, _frames(event))
        last[:] = [allocator]

    outcome = simulate(step, limit, options, on_event, on_action)
    if outcome.refused is not None:
        _append(trace, pending, _frames(step.events[outcome.refused.event]))
    segments = _segments(last[0], frames) if last else []
    return pickle.dumps({"segments": segments, "device_traces": [trace]}, protocol=4)


def _append(
    trace: list[dict[str, Any]],
    pending: list[tuple[Action, int, int]],
    frames: list[dict[str, Any]],
) -> None:
    """The actions of one event, with a time of their own each: the visualiser orders by it."""
    for action, address, size in pending:
        for name in ("free_requested", "free_completed") if action == "free" else (action,):
            entry = {
                "action": name,
                "addr": address,
                "size": size,
                "stream": STREAM,
                "time_us": len(trace),
                "frames": frames,
                "pool_id": POOL,
            }
            if name == "oom":
                del entry["addr"]
                entry["device_free"] = 0
            trace.append(entry)
    pending.clear()


def _frames(event: Event) -> list[dict[str, Any]]:
    frames = [
        {
            "filename": event.module or "(outside of the model)",
            "line": 0,
            "name": event.operation or event.category,
        }
    ]
    if event.site is not None:
        at = event.site.at
        frames.append({"filename": at.path, "line": at.line, "name": event.site.function})
    return frames


def _segments(
    allocator: CachingAllocator, frames: dict[int, list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """An expandable range is cut where it is not mapped, as PyTorch does."""
    keys = {id(block): key for key, block in allocator.blocks.items()}
    found: list[dict[str, Any]] = []
    for segment in allocator.segments:
        block: Block | None = segment.first
        current: dict[str, Any] | None = None
        while block is not None:
            if not block.is_mapped:
                current = None
            elif current is None:
                current = _segment(block, segment.is_expandable)
                found.append(current)
            if current is not None:
                _put(current, block, frames.get(keys.get(id(block), -1), []))
            block = block.next
    return sorted(found, key=lambda one: int(one["address"]))


def _segment(first: Block, is_expandable: bool) -> dict[str, Any]:
    return {
        "device": 0,
        "address": first.address,
        "total_size": 0,
        "allocated_size": 0,
        "active_size": 0,
        "requested_size": 0,
        "stream": STREAM,
        "segment_type": "small" if first.is_small else "large",
        "segment_pool_id": POOL,
        "is_expandable": is_expandable,
        "frames": [],
        "blocks": [],
    }


def _put(segment: dict[str, Any], block: Block, frames: list[dict[str, Any]]) -> None:
    segment["total_size"] += block.size
    segment["requested_size"] += block.requested
    if not block.is_free:
        segment["allocated_size"] += block.size
        segment["active_size"] += block.size
    segment["blocks"].append(
        {
            "address": block.address,
            "size": block.size,
            "requested_size": block.requested,
            "state": "inactive" if block.is_free else "active_allocated",
            "frames": frames,
        }
    )
