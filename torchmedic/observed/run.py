"""What a program did while it was watched. Counts hold for the watched part: the first steps, then a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # twenty records, of which a rule about sources needs none
    from torchmedic.observed.run_data import LoaderRun, SeedsRun, Sliced
    from torchmedic.observed.run_distributed import SampledPass, Wrapped
    from torchmedic.observed.run_memory import (
        Clip,
        Freezing,
        Holder,
        Paired,
        Reloaded,
        ScheduleRun,
        Unconnected,
        Unheld,
    )
    from torchmedic.observed.run_numbers import (
        Constant,
        Dead,
        Losses,
        LossRun,
        NotFinite,
        Rates,
        Silent,
        Spread,
    )
    from torchmedic.observed.run_training import Forward, OptimizerRun, OverfitRun


class Run(NamedTuple):
    """One run of a program, from its start to its end or to the moment of asking."""

    steps: int = 0
    optimizers: tuple[OptimizerRun, ...] = ()
    forwards: tuple[Forward, ...] = ()
    overfit: OverfitRun | None = None
    losses: tuple[LossRun, ...] = ()
    spreads: tuple[Spread, ...] = ()
    values: tuple[Losses, ...] = ()
    rates: tuple[Rates, ...] = ()
    not_finite: NotFinite | None = None
    silent: tuple[Silent, ...] = ()
    dead: tuple[Dead, ...] = ()
    constant: tuple[Constant, ...] = ()
    holders: tuple[Holder, ...] = ()
    unheld: tuple[Unheld, ...] = ()
    beside: tuple[Unheld, ...] = ()  # whole models
    schedules: tuple[ScheduleRun, ...] = ()
    clips: tuple[Clip, ...] = ()
    freezings: tuple[Freezing, ...] = ()
    wrapped: tuple[Wrapped, ...] = ()
    sampled: tuple[SampledPass, ...] = ()
    is_over: bool = True  # False: asked while it was going on
    loaders: tuple[LoaderRun, ...] = ()
    seeds: SeedsRun | None = None
    reloaded: tuple[Reloaded, ...] = ()
    unconnected: tuple[Unconnected, ...] = ()
    sliced: tuple[Sliced, ...] = ()
    paired: tuple[Paired, ...] = ()
    is_between: bool = False  # asked between two cells of a notebook, the first of which ended well

    @property
    def is_at_rest(self) -> bool:
        """No loop of the program is going on: what its counts say together won't change by the next pass of one."""
        return self.is_over or self.is_between
