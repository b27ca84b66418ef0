"""A deployment made of parts of two runs: compiled by Vela and run on a target, from what the store holds.

    exchange = Exchange(pipeline, target, inputs, before, after)
    made = exchange.make(frozenset({"vela_options"}))     # the baseline with the run's options
    made.figures["npu_cycles"].value

Cycles, bytes of memory and of weights follow from the model and the settings, whatever the samples: one sample runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hil.core.measurement import Measurement
from hil.core.npu_config import NpuConfig
from hil.harness.attribution.exchange_target import ExchangeTarget
from hil.harness.attribution.parts import MODEL, VELA, VELA_CONFIG, mixed
from hil.harness.attribution.stored_inputs import StoredInputs
from hil.harness.evaluation.cost import latency_of
from hil.harness.evaluation.figures import byte_figures, check_whole, time_figures
from hil.harness.pipeline import Pipeline
from hil.harness.store.store import UNKNOWN, Origin
from hil.harness.vela.compiler import Compiled
from hil.harness.vela.settings import VelaSettings
from hil.targets.base import Deployable, Run
from hil.targets.execution.signature import read_signature

_ON_CPU = "cpu_operators"
"""Figure of the operators whose time is not in the cycles."""
MakeInt8 = Callable[[frozenset[str]], bytes]
"""Returns the int8 file of an exchange."""


@dataclass(frozen=True, eq=False)
class MadeDeployment:
    """A compiled model with its figures; `npu` has the memories that its cycles were modelled with.

    `identity` is what the target reported of itself.
    """

    int8: bytes
    compiled: Compiled
    npu: NpuConfig
    figures: Mapping[str, Measurement]
    identity: Mapping[str, str]


class Exchange:
    """Deployments between a baseline and a run, by their identities; each is made once.

    `make_int8` takes the place of the stored int8 files.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        target: ExchangeTarget,
        inputs: StoredInputs,
        before: Mapping[str, str],
        after: Mapping[str, str],
        *,
        origin: Origin = UNKNOWN,
        make_int8: MakeInt8 | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._target = target
        self._inputs = inputs
        self._before, self._after = before, after
        self._origin = origin
        self._make_int8 = make_int8
        self._made: dict[frozenset[str], MadeDeployment] = {}

    def make(self, chosen: frozenset[str]) -> MadeDeployment:
        """Returns the baseline with the run's parts in `chosen`; raises what Vela, `sim` and training raise."""
        if chosen not in self._made:
            self._made[chosen] = self._make(chosen)
        return self._made[chosen]

    def _make(self, chosen: frozenset[str]) -> MadeDeployment:
        texts = mixed(self._before, self._after, chosen)
        int8 = self._make_int8(chosen) if self._make_int8 else self._inputs.int8(texts[MODEL])
        vela = self._inputs.vela(texts[VELA])
        settings = VelaSettings(
            texts["accelerator"],
            texts["memory_mode"],
            texts["system_config"],
            self._inputs.config_text(texts[VELA_CONFIG]),
            (texts["vela_options"],) if texts["vela_options"] else (),
        )
        compiled = self._pipeline.compiled(int8, settings, self._origin, vela, mapped=True)
        if vela is not None and not settings.config_text:
            settings = replace(settings, config_text=vela.config_text)
        run = self._run(int8, compiled, settings)
        latency = check_whole(lambda: latency_of(run, compiled.summary, self._target.name, settings.system_config))
        on_cpu = [one for one in run.measurements if one.name == _ON_CPU]
        figures = (*byte_figures(int8, compiled.summary), *time_figures(*latency), *on_cpu)
        return MadeDeployment(int8, compiled, settings, {one.name: one for one in figures}, run.identity)

    def _run(self, int8: bytes, compiled: Compiled, npu: NpuConfig) -> Run:
        inputs = [np.zeros((1, *spec.sample_shape), spec.dtype) for spec in read_signature(int8).inputs]
        return self._target.run(Deployable(int8, compiled.model, npu), inputs, self._origin)
