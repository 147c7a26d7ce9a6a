"""Training steps replayed on tensors without memory, in a child process: what they would take on a card."""

from torchmedic.probes.planner.step import replay

__all__ = ["replay"]
