"""Drawn nights of a noisy figure with known truth, for many series at once.

A unit is the standard deviation between nights of one build, of the figure of a night's first session.  The noise has
up to three parts: what all sessions of a night share, what all repetitions of a session share, and the median of five
repetitions.
"""

from __future__ import annotations

from math import erf

import numpy as np

from hil.core.arrays import Floats, Integers

REPETITION = 0.5357
"""Standard deviation of the median of five normal repetitions, in that of one."""

NOISES = ("gaussian", "heavy tails", "two levels", "slow drift", "shared by a night", "coarse counter")


class DrawnNights:
    """Series of one kind of noise.

    - gaussian: an offset of each session, and repetitions of half its size
    - heavy tails: the same, the offset of Student's t with 3 degrees of freedom
    - two levels: a session is on the slower of two levels with a chance of 5 to 50 %, drawn for each series
    - slow drift: half of the variance is shared by a night and follows the night before (autocorrelation 0.9)
    - shared by a night: a quarter of the variance is shared by all sessions of a night
    - coarse counter: gaussian, rounded to a resolution of 0.7 to 3.3 times its standard deviation
    """

    def __init__(self, noise: str, series: int, random: np.random.Generator) -> None:
        self.noise, self.series, self.random = noise, series, random
        self._chance = random.uniform(0.05, 0.5, series)
        self._fine = random.uniform(0.3, 1.5, series)  # standard deviation before rounding, in counts
        self._phase = random.uniform(0, 1, series)
        self._mean, self._size = _rounded_moments(self._phase, self._fine)
        self._slow = random.standard_normal(series)
        self._shared = np.zeros(series)
        self.next_night()

    def next_night(self) -> None:
        """Draws what the sessions of the next night share."""
        if self.noise == "slow drift":
            self._slow = 0.9 * self._slow + np.sqrt(1 - 0.9**2) * self.random.standard_normal(self.series)
            self._shared = np.sqrt(0.5) * self._slow
        if self.noise == "shared by a night":
            self._shared = 0.5 * self.random.standard_normal(self.series)

    def state(self) -> tuple[Floats, Floats]:
        """Returns what makes tonight this night, for `restore`: the random numbers go on."""
        return self._slow, self._shared

    def restore(self, state: tuple[Floats, Floats]) -> None:
        """Goes back to a night."""
        self._slow, self._shared = state

    def session(self, which: Integers, step: float = 0.0) -> Floats:
        """Draws the figure of one new session for each series of `which`, of a build that is `step` slower."""
        count = len(which)
        if self.noise == "coarse counter":
            fine = self._phase[which] + self._fine[which] * self.random.standard_normal(count)
            return (np.rint(fine + step * self._size[which]) - self._mean[which]) / self._size[which]
        offset, repetition = self._offset(which)
        return step + self._shared[which] + offset + repetition * REPETITION * self.random.standard_normal(count)

    def _offset(self, which: Integers) -> tuple[Floats, float]:
        """Draws the offsets of sessions; also gives the standard deviation of their repetitions."""
        normal = self.random.standard_normal(len(which))
        if self.noise == "heavy tails":
            return 0.963 * self.random.standard_t(3, len(which)) / np.sqrt(3), 0.5
        if self.noise == "two levels":
            chance = self._chance[which]
            slower = (self.random.random(len(which)) < chance) - chance
            return np.sqrt(0.85 / (chance * (1 - chance))) * slower + 0.28 * normal, 0.5
        sizes = {"gaussian": (0.963, 0.5), "slow drift": (0.654, 0.5), "shared by a night": (0.859, 0.2)}
        size, repetition = sizes[self.noise]
        return size * normal, repetition


def _rounded_moments(mean: Floats, size: Floats) -> tuple[Floats, Floats]:
    """Returns the mean and standard deviation of normal values after rounding to integers."""
    counts = np.arange(-12, 14)
    edges = (counts - 0.5 - mean[:, None]) / size[:, None]
    below = np.vectorize(lambda value: 0.5 * (1 + erf(value / np.sqrt(2))))(edges)
    chance = np.diff(below, axis=1)
    rounded = (chance * counts[:-1]).sum(1)
    return rounded, np.sqrt((chance * counts[:-1] ** 2).sum(1) - rounded**2)
