"""The mean of sampled, weighted rows and its standard error, from sums that add up over any parts."""

import math
from dataclasses import dataclass

# Sums of a million terms carry a relative error of about this size.
ROUNDING = 1e-13


@dataclass(frozen=True)
class Sums:
    """Of a measure y under sample weights w: the number of rows, Σw, Σwy, Σw², Σw²y and Σw²y²."""

    n: int
    sw: float
    swy: float
    sw2: float
    sw2y: float
    sw2y2: float

    @property
    def mean(self) -> float | None:
        """The Hájek (ratio) estimate Σwy / Σw; None without rows."""
        return self.swy / self.sw if self.n and self.sw > 0 else None

    @property
    def standard_error(self) -> float | None:
        """Standard error of `mean` by Taylor linearisation of the ratio; None with fewer than two rows.

        Σw²(y - mean)² / (Σw)² times n / (n - 1): Särndal, Swensson and Wretman, Model Assisted Survey Sampling
        (1992), section 5.7. It covers the chance of having kept these rows and the chance in the traffic itself, and
        with equal weights it is the usual s / sqrt(n).
        """
        mean = self.mean
        if mean is None or self.n < 2:
            return None
        # The three terms cancel when all y are equal; what is left is rounding, of either sign.
        squares = self.sw2y2 - 2 * mean * self.sw2y + mean * mean * self.sw2
        if squares <= ROUNDING * self.sw2y2:
            return 0.0
        return math.sqrt(squares * self.n / (self.n - 1)) / self.sw
