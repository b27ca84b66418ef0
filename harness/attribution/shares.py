"""Shares of a change: how much of it each of several parts explains, from exchanges of these parts.

    shares = divide_change(["model", "vela"], evaluate)      # evaluate(frozenset({"vela"})) -> {"sram": 4096, ...}
    shares["sram"].change, shares["sram"].parts["vela"].share, shares["sram"].interaction

An exchange is the baseline with a set of the run's parts in it; the empty set is the baseline, the whole set the run.
With one exchange a part the shares depend on the order in which the parts are put in, and do not add up where parts act
on each other.  The Shapley value is the mean over all orders; it is the only division that gives a part without effect
nothing, equal parts the same, and all of the change to the parts (L. S. Shapley, 1953).  It needs 2^n exchanges, so it
serves up to `MOST_WHOLE` parts.  Of more, each part is put alone into the baseline and taken alone out of the run, 2n
exchanges: its share is the mean of both changes, and `rest` is what these leave over, the interaction of three parts
and more (that of two parts is in their shares).

All numbers are fractions: shares and rest add up to the change exactly.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

MOST_WHOLE = 4
"""Parts up to which every exchange is made: 16."""

Chosen = frozenset[str]
"""The parts that are the run's; the others are the baseline's."""
Evaluate = Callable[[Chosen], Mapping[str, float]]
"""Returns figure -> value of an exchange."""
_WHOLE, _BOTH_WAYS = "shapley", "both ways"


@dataclass(frozen=True)
class PartShare:
    """The share of one part, and its change `alone`: put into the baseline without the others.

    `spread` is the noise of the share where each exchange has a noise of 1, independent of the others'.
    """

    share: Fraction
    alone: Fraction
    spread: float


@dataclass(frozen=True)
class FigureShares:
    """The change of one figure from `before` to `after`, divided among the parts; `rest` belongs to none of them."""

    before: Fraction
    after: Fraction
    parts: Mapping[str, PartShare]

    @property
    def change(self) -> Fraction:
        return self.after - self.before

    @property
    def rest(self) -> Fraction:
        return self.change - sum((one.share for one in self.parts.values()), Fraction())

    @property
    def interaction(self) -> Fraction:
        """Change that the parts make together, beyond the sum of what each makes alone."""
        return self.change - sum((one.alone for one in self.parts.values()), Fraction())

    @property
    def interaction_spread(self) -> float:
        """The spread of the interaction, as that of a share."""
        return math.hypot(1, len(self.parts) - 1, math.sqrt(len(self.parts)))


def method(count: int) -> str:
    """Returns how a change is divided among `count` parts: `shapley` or `both ways`."""
    return _WHOLE if count <= MOST_WHOLE else _BOTH_WAYS


def exchanges(parts: Sequence[str]) -> tuple[Chosen, ...]:
    """Returns the exchanges that `divide_change` makes: the baseline, the run, then those between."""
    whole = frozenset(parts)
    if method(len(parts)) == _WHOLE:
        found = [frozenset(chosen) for size in range(len(parts) + 1) for chosen in itertools.combinations(parts, size)]
    else:
        found = [frozenset(), *(one for part in parts for one in (frozenset({part}), whole - {part})), whole]
    return tuple(dict.fromkeys([frozenset(), whole, *found]))


def divide_change(parts: Sequence[str], evaluate: Evaluate) -> dict[str, FigureShares]:
    """Divides the change of every figure that all exchanges have."""
    values = {chosen: evaluate(chosen) for chosen in exchanges(parts)}
    names = [name for name in values[frozenset()] if all(name in found for found in values.values())]
    return {name: _divide(parts, {chosen: Fraction(found[name]) for chosen, found in values.items()}) for name in names}


def _divide(parts: Sequence[str], values: Mapping[Chosen, Fraction]) -> FigureShares:
    none, whole = frozenset[str](), frozenset(parts)
    share = _shapley if method(len(parts)) == _WHOLE else _both_ways
    found = {
        part: PartShare(
            share(part, parts, values),
            values[frozenset({part})] - values[none],
            math.hypot(*(share(part, parts, _only(one, values)) for one in values)),
        )
        for part in parts
    }
    return FigureShares(values[none], values[whole], found)


def _only(chosen: Chosen, values: Iterable[Chosen]) -> dict[Chosen, Fraction]:
    """Values of which one is 1 and all others 0: a share of them is the weight of that exchange in the share."""
    return {one: Fraction(one == chosen) for one in values}


def _shapley(part: str, parts: Sequence[str], values: Mapping[Chosen, Fraction]) -> Fraction:
    """The mean change by `part` over all orders in which the parts are put in."""
    orders = math.factorial(len(parts))
    return sum(
        (
            Fraction(math.factorial(len(without)) * math.factorial(len(parts) - len(without) - 1), orders)
            * (values[without | {part}] - values[without])
            for without in _subsets([other for other in parts if other != part])
        ),
        Fraction(),
    )


def _both_ways(part: str, parts: Sequence[str], values: Mapping[Chosen, Fraction]) -> Fraction:
    whole = frozenset(parts)
    put_in = values[frozenset({part})] - values[frozenset()]
    taken_out = values[whole] - values[whole - {part}]
    return (put_in + taken_out) / 2


def _subsets(parts: Sequence[str]) -> Iterator[Chosen]:
    for size in range(len(parts) + 1):
        yield from map(frozenset, itertools.combinations(parts, size))
