"""How a process's memory grew, told from samples of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median


@dataclass
class Memory:
    """Samples of a process's resident memory, in MiB, at equal distances."""

    samples: list[float] = field(default_factory=list)

    def growth(self) -> float:
        """Return by what part it grew over the last third: the larger of two estimates, both blind to single peaks.

        One compares the median of the last tenth with that of the tenth around
        two thirds, the other takes the median slope within the last third.
        """
        return max(self._by_medians(), self._by_slope())

    def around(self, part: float) -> float:
        """Return the median of the tenth of the samples that is centred at *part* of all."""
        first = max(0, round((part - 0.05) * len(self.samples)))
        return median(self.samples[first : max(first + 1, round((part + 0.05) * len(self.samples)))])

    def _by_medians(self) -> float:
        return self.around(0.95) / self.around(2 / 3) - 1

    def _by_slope(self) -> float:
        last = self.samples[len(self.samples) * 2 // 3 :]
        half = len(last) // 2
        slope = median(later - earlier for earlier, later in zip(last, last[half:], strict=False)) / half
        return slope * len(last) / median(last)
