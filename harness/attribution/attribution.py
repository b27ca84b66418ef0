"""Attribution of one deployment's change: its parts are exchanged, the exchanges checked, the change divided.

    found = Attributor(pipeline, StoredInputs(store), target).attribute(pair)
    found.figures["npu_cycles"].shares.parts["vela_options"].share
    found.missing                  # {"model": "the int8 file 3f0c91aa is no longer in the store"}

The exchange with all of the run's parts must give what the run recorded, that with none of them what the baseline did;
where they do not, a note says so, and the shares are of what was made again.  A part of which one side is gone is left
as the other side has it; then only one of the two ends is the recorded one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from hil.core.errors import HilError, InfrastructureError
from hil.core.measurement import Measurement, Trust
from hil.harness.attribution.exchange import Exchange, MadeDeployment
from hil.harness.attribution.exchange_target import ExchangeTarget
from hil.harness.attribution.layers import LayerChange, changed_layers
from hil.harness.attribution.noise import FigureNoise, NoiseOf, unknown_noise
from hil.harness.attribution.parts import FIELDS, MODEL, Differences, Part, differing, groupings
from hil.harness.attribution.reproduction import MadeEnds, reproduction_notes
from hil.harness.attribution.retraining import Retraining, why_not_retrained
from hil.harness.attribution.selection import DeploymentPair
from hil.harness.attribution.shares import FigureShares, divide_change, exchanges, method
from hil.harness.attribution.stored_inputs import StoredInputs
from hil.harness.model import Model
from hil.harness.pipeline import Pipeline
from hil.harness.store.store import Origin

FindModel = Callable[[str], Model]
"""Returns a model by its name."""
Make = Callable[[frozenset[str]], MadeDeployment]


@dataclass(frozen=True)
class AttributedFigure:
    """A figure in `unit`: the shares of its change, and what the runs recorded (None: nothing).

    `noise` is None for a figure that has none.
    """

    unit: str
    shares: FigureShares
    recorded: tuple[float | None, float | None]
    noise: FigureNoise | None = None

    @property
    def ends(self) -> tuple[Fraction, Fraction]:
        """The figure in the baseline and in the run: as recorded, else as made again."""
        before, after = self.recorded
        if before is None or after is None:
            return self.shares.before, self.shares.after
        return Fraction(before), Fraction(after)

    def is_noise(self, change: Fraction, spread: float, recorded: int = 0) -> bool:
        """Returns whether noise hides a change, as `FigureNoise.hides`."""
        return self.noise is not None and self.noise.hides(change, spread, recorded)

    @property
    def unexplained(self) -> Fraction:
        """The recorded change without that of the exchanges; 0 where nothing was recorded."""
        return self.ends[1] - self.ends[0] - self.shares.change


@dataclass(frozen=True)
class Attribution:
    """The attribution of a deployment's change.

    `measured_on` is the target of the exchanges.  `parts` were exchanged, the settings of a recipe among them where the
    model was trained again; `missing` are those that could not be, with the reason.  `differences` has every field that
    differs.
    """

    deployment: str
    target: str
    measured_on: str
    differences: Differences
    missing: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    figures: Mapping[str, AttributedFigure] = field(default_factory=dict)
    layers: tuple[LayerChange, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """Method by which the change was divided, as `shares.method`."""
        return method(len(self.parts))


class Attributor:
    """Attributes changes from one store, by exchanges on one target.

    With `find_model`, it trains models whose recipes differ in settings alone.  `noise_of` gives the noise of figures
    that the target measures.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        inputs: StoredInputs,
        target: ExchangeTarget,
        find_model: FindModel | None = None,
        noise_of: NoiseOf = unknown_noise,
    ) -> None:
        self._pipeline = pipeline
        self._inputs = inputs
        self._target = target
        self._find_model = find_model
        self._noise_of = noise_of

    def attribute(self, pair: DeploymentPair) -> Attribution:
        """Returns the attribution of a deployment; raises `InfrastructureError`, and `BadInputError` for no model."""
        record, differences = pair.after.record, differing(*_identities(pair))
        retraining, notes = self._retraining(pair, differences)
        missing, of_run = self._missing(pair, retraining is not None)
        found = Attribution(record.name, record.target, self._target.name, differences, missing, notes=tuple(notes))
        try:
            return self._exchanged(pair, found, retraining, of_run)
        except InfrastructureError:
            raise
        except HilError as error:
            return replace(found, notes=(*found.notes, f"nothing can be made again: {error}"))

    def _exchanged(
        self, pair: DeploymentPair, found: Attribution, retraining: Retraining | None, of_run: Mapping[str, bool]
    ) -> Attribution:
        record = pair.after.record
        make_int8 = None if retraining is None else retraining.int8
        origin = Origin(record.model, record.path)
        exchange = Exchange(
            self._pipeline, self._target, self._inputs, *_identities(pair), origin=origin, make_int8=make_int8
        )
        always = frozenset(name for name, is_run in of_run.items() if is_run)
        of_model = retraining.parts if retraining else ()
        parts = [part for part in found.differences.parts if part.name not in found.missing]
        parts = [*of_model, *(part for part in parts if not of_model or part.name != MODEL)]
        division = self._divide(record.name, parts, lambda chosen: exchange.make(always | chosen))
        figures = {
            name: self._figure(pair, division.ends.after.figures[name], shares)
            for name, shares in division.shares.items()
        }
        noises = {name: one.noise for name, one in figures.items() if one.noise is not None}
        remade = reproduction_notes(pair, division.ends, self._target.name, noises, of_run.values())
        notes = (*found.notes, *division.notes, *remade)
        layers = changed_layers(division.ends.before, division.ends.after)
        return replace(found, parts=division.parts, figures=figures, layers=layers, notes=notes)

    def _figure(self, pair: DeploymentPair, made: Measurement, shares: FigureShares) -> AttributedFigure:
        is_noisy = made.trust is Trust.MEASURED and made.name in pair.before.figures
        noise = self._noise_of(pair, made.name) if is_noisy else None
        return AttributedFigure(made.unit, shares, _recorded(pair, made.name), noise)

    def _divide(self, title: str, parts: list[Part], make: Make) -> _Division:
        """Divides the change among the parts, or among groups of them where they do not work one by one."""
        by_name = {part.name: part for part in parts}
        notes: list[str] = []
        *finer, coarsest = groupings(by_name)
        for groups in finer:
            try:
                return self._divide_groups(title, [_group(one, by_name) for one in groups], make, notes)
            except InfrastructureError:
                raise
            except HilError as error:
                notes.append(f"some parts only go together: {error}")
        return self._divide_groups(title, [_group(one, by_name) for one in coarsest], make, notes)

    def _divide_groups(self, title: str, groups: list[_Group], make: Make, notes: list[str]) -> _Division:
        names = {group.part.name: group.names for group in groups}
        count, done = len(exchanges(tuple(names))), 0

        def made(chosen: frozenset[str]) -> MadeDeployment:
            return make(frozenset[str]().union(*(names[label] for label in chosen)))

        def evaluate(chosen: frozenset[str]) -> dict[str, float]:
            nonlocal done
            done += 1
            self._pipeline.say(f"{title}: exchange", done, count)
            return {name: figure.value for name, figure in made(chosen).figures.items()}

        shares = divide_change(tuple(names), evaluate)
        ends = MadeEnds(made(frozenset()), made(frozenset(names)))
        return _Division(tuple(group.part for group in groups), shares, ends, tuple(notes))

    def _retraining(self, pair: DeploymentPair, differences: Differences) -> tuple[Retraining | None, list[str]]:
        if self._find_model is None or not any(part.name == MODEL for part in differences.parts):
            return None, []
        record, identities = pair.after.record, _identities(pair)
        model = self._find_model(record.model)
        if why := why_not_retrained(self._pipeline, model, record.path, *identities):
            return None, [f"the model is not trained again: {why}"]
        return Retraining(self._pipeline, model, record.path, *identities), []

    def _missing(self, pair: DeploymentPair, trains: bool) -> tuple[dict[str, str], dict[str, bool]]:
        """Returns part -> why it cannot be exchanged, and whether the run's side of it is there.

        Of a part that is gone on both sides, the exchange itself fails.
        """
        missing, of_run = {}, {}
        for name, field_name in FIELDS.items():
            reasons = [self._inputs.why_missing(name, identity.get(field_name, "")) for identity in _identities(pair)]
            if any(reasons) and not (trains and name == MODEL):
                missing[name] = "; ".join(dict.fromkeys(filter(None, reasons)))
                of_run[name] = not reasons[1]
        return missing, of_run


@dataclass(frozen=True)
class _Group:
    """Parts that are exchanged together, as one part."""

    part: Part
    names: frozenset[str]


@dataclass(frozen=True)
class _Division:
    parts: tuple[Part, ...]
    shares: Mapping[str, FigureShares]
    ends: MadeEnds
    notes: tuple[str, ...]


def _group(names: frozenset[str], by_name: Mapping[str, Part]) -> _Group:
    parts = [part for name, part in by_name.items() if name in names]
    before, after = ([part.before for part in parts], [part.after for part in parts])
    texts = (", ".join(filter(None, side)) for side in (before, after))
    return _Group(Part(" + ".join(part.name for part in parts), *texts), names)


def _identities(pair: DeploymentPair) -> tuple[Mapping[str, str], Mapping[str, str]]:
    return pair.before.record.identity, pair.after.record.identity


def _recorded(pair: DeploymentPair, name: str) -> tuple[float | None, float | None]:
    found = (side.figures.get(name) for side in (pair.before, pair.after))
    before, after = (None if one is None or not math.isfinite(one.value) else one.value for one in found)
    return before, after
