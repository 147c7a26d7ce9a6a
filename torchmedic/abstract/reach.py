"""Which layers' parameters a backward pass comes to, and where values leave the graph: sets, as bits of an integer."""

from __future__ import annotations

from collections.abc import Iterator

from torchmedic.abstract.expressions import data_of
from torchmedic.abstract.managers import Managers
from torchmedic.abstract.operators import cuts_of, way_back_of
from torchmedic.abstract.values import ANY, Data, Object, Tensor, Value
from torchmedic.observed.trace import Cut


def numbers_in(bits: int) -> Iterator[int]:
    """The numbers of the bits that are set, of a set that isn't `ANY`."""
    while bits > 0:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


class Reach(Managers):
    """Keeps `Data.reach` and `Data.cuts`."""

    def bit_of(self, holder: Value) -> int:
        """What stands for the parameters of this layer, or for this parameter."""
        number = self.bits.get(holder.id)
        if number is None:
            number = self.bits[holder.id] = len(self.held)
            self.held.append(holder)
            if isinstance(holder, Tensor):
                self.born[holder.id] = self.span()
        return 1 << number

    def ids_of(self, bits: int) -> frozenset[int] | None:
        """Ids of the layers and parameters; None if it may be any."""
        return None if bits == ANY else frozenset(self.held[n].id for n in numbers_in(bits))

    def followed(
        self, data: list[Data], graph: bool | None, trains: bool | None, layer: Object | None
    ) -> tuple[int, int]:
        """`reach` and `cuts` of what was computed from these, by a layer whose parameters train."""
        reach = cuts = 0
        for one in data:
            cuts |= one.cuts
            if one.graph is not False:
                reach |= one.reach
        if trains is False and (graph is not False or not reach):
            return (reach if graph is not False else 0), cuts
        own = 0 if trains is False else ANY if layer is None else self.bit_of(layer)
        if graph is not False:
            return reach | own, cuts
        if self.modes["grad"] is False:
            if own > 0:
                cuts |= self._cut("no_grad", own, own)
            if reach > 0:
                cuts |= self._cut("no_grad", id(self.frame.node), reach)
        elif reach > 0:
            cuts |= self._cut("discrete", id(self.frame.node), reach)
        return 0, cuts

    def cut(self, how: str, *values: Value) -> int:
        """What stands for this place, where the values leave the graph; 0 if no layer is known behind them."""
        reach = way_back_of(data_of(*values))
        return self._cut(how, id(self.frame.node), reach) if reach > 0 else 0

    def _cut(self, how: str, where: int, reach: int) -> int:
        key = (how, where, reach)
        number = self.cut_numbers.get(key)
        if number is None:
            number = self.cut_numbers[key] = len(self.cuts)
            layers = self.ids_of(reach) or frozenset()
            self.cuts.append(
                Cut(
                    self.span(),
                    how,
                    layers,
                    self.frame.qualname,
                    self.callers(),
                    tuple(self.branches),
                )
            )
        return 1 << number

    def cut_off(self, tensor: Tensor, how: str, *values: Value) -> Tensor:
        """The tensor, which was made of the values and has lost their graph."""
        tensor.cuts |= cuts_of(data_of(*values)) | self.cut(how, *values)
        return tensor


__all__ = ["Reach", "numbers_in"]
