"""Comparison of what was made again with what the two runs recorded, in notes for the reader."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from hil.core.artifact_manifest import digest
from hil.harness.attribution.exchange import MadeDeployment
from hil.harness.attribution.noise import FigureNoise
from hil.harness.attribution.parts import FIELDS, MODEL, short
from hil.harness.attribution.selection import DeploymentPair
from hil.harness.comparison.dependencies import changes, part_of
from hil.harness.results.records import DeploymentFigures

OF_TARGET = frozenset({"npu_cycles", "npu_latency", "latency"})
"""Figures that are the target's own; the others are the same on all."""
_OF_DEVICE = frozenset({"engine", "firmware", "board", "launcher"})
"""Parts of the identity that a target reports of itself, whatever model it runs."""
_CAUSE = "something that is not recorded differs"


@dataclass(frozen=True)
class MadeEnds:
    """The exchange with none of the run's parts, and that with all of them."""

    before: MadeDeployment
    after: MadeDeployment


def reproduction_notes(
    pair: DeploymentPair, ends: MadeEnds, target: str, noises: Mapping[str, FigureNoise], of_run: Collection[bool]
) -> list[str]:
    """Returns a note for each figure of an end that is not what the run recorded, and on another engine or board.

    The exchanges ran on `target`; `noises` are those of the figures that it measures.  `of_run` says of each part that
    was left as it is whether it is the run's: then the exchange with none of its parts is not the baseline.
    """
    notes: list[str] = []
    for title, recorded, made, is_whole in (
        ("baseline", pair.before, ends.before, True not in of_run),
        ("run", pair.after, ends.after, False not in of_run),
    ):
        own = recorded.record.target == target
        if own:
            notes += _other_device(title, recorded, made)
        if is_whole:
            notes += _differing(title, recorded, made, noises, own)
    return notes


def _other_device(title: str, recorded: DeploymentFigures, made: MadeDeployment) -> Iterator[str]:
    """Names what the target reports of itself otherwise than the run has it."""
    known = recorded.record.identity
    reported = {name: text for name, text in made.identity.items() if part_of(name) in _OF_DEVICE}
    for name, (before, after) in changes({key: known.get(key, "") for key in reported}, reported).items():
        yield f"{title}: {name} {short(before) or 'none'}, of the exchanges {short(after) or 'none'}"


def _differing(
    title: str, recorded: DeploymentFigures, made: MadeDeployment, noises: Mapping[str, FigureNoise], own: bool
) -> Iterator[str]:
    if recorded.record.identity.get(FIELDS[MODEL]) != digest(made.int8):
        yield f"{title}: training made another int8 file: {_CAUSE}"
    for name, figure in made.figures.items():
        known = recorded.figures.get(name)
        if known is None or known.value == figure.value or not (own or name not in OF_TARGET):
            continue
        change = Fraction(figure.value) - Fraction(known.value)
        if name not in noises or not noises[name].hides(change, spread=1, recorded=1):
            values = f"recorded {known.value:,.12g} {figure.unit}, made again {figure.value:,.12g}"
            yield f"{title}, {name}: {values}: {_CAUSE}"
