"""What a mistake can be read from: a source, a failure, a run, a plan. Plain data; torch is never imported."""

from torchmedic.observed.failure import (
    Culprit,
    Failure,
    Frame,
    Loader,
    ModuleCall,
    Site,
    Tensor,
    Value,
)
from torchmedic.observed.source import Source, argument, load

__all__ = [
    "Culprit",
    "Failure",
    "Frame",
    "Loader",
    "ModuleCall",
    "Site",
    "Source",
    "Tensor",
    "Value",
    "argument",
    "load",
]
