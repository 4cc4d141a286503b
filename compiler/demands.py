"""What a model asks of an accelerator, and all of it that is not there."""

from vitric.golden.integer import Requantizer
from vitric.golden.spec.accelerator import AcceleratorSpec

from .layout import Misfit

__all__ = ["Demands"]


class Demands:
    """Collects everything that does not fit one accelerator in :attr:`misfits`.

    Parameters
    ----------
    spec : AcceleratorSpec
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        self.misfits: list[Misfit] = []

    def need(self, parameter: str, needed: int, available: int, where: str) -> None:
        """Note a misfit if ``needed`` is more than ``available``."""
        if needed > available:
            self.misfits.append(Misfit(parameter, needed, available, where))

    def match(self, parameter: str, needed: object, available: object, where: str) -> None:
        """Note a misfit if the two differ."""
        if needed != available:
            self.misfits.append(Misfit(parameter, needed, available, where))

    def check_requantizer(self, requantizer: Requantizer, codes: tuple[int, int], where: str) -> None:
        """Note a misfit unless a requantizer is one of the unit, and its codes lie in ``codes``, both ends included."""
        spec = self.spec.requantize
        limit = (1 << spec.multiplier_bits) - 1
        self.need("multiplier up to", int(requantizer.multiplier.max()), limit, where)
        self.check_scalings(set(zip(requantizer.pre_shift.tolist(), requantizer.shift.tolist(), strict=True)), where)
        low, high = codes
        if not low <= requantizer.low <= requantizer.high <= high:
            self.misfits.append(Misfit("codes", f"{requantizer.low}..{requantizer.high}", f"{low}..{high}", where))
        self.need("zero_point up to", abs(requantizer.zero_point), 0x7FFF, where)

    def check_scalings(self, pairs: set[tuple[int, int]], where: str) -> None:
        """Note a misfit for each pair of shifts that the requantize unit does not have."""
        spec = self.spec.requantize
        for pre, post in sorted(pairs - set(spec.scalings)):
            if post not in spec.shifts:
                self.misfits.append(Misfit("shift", post, f"one of {spec.shifts}", where))
            else:
                self.misfits.append(Misfit("pre_shift", pre, f"0 or {spec.narrow_shift}", where))
