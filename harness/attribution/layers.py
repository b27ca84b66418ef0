"""The layers whose modelled cycles differ most between two deployments: their profiles, compared.

    changed_layers(before, after)[0]       # LayerChange("CONV_2D 3 net/conv/Relu", 1200, 1900)

The cycles of all layers add up to those of the inference.
"""

from __future__ import annotations

from dataclasses import dataclass

from hil.harness.attribution.exchange import MadeDeployment
from hil.harness.profile.comparison import Pair, compare
from hil.harness.profile.compiled_profile import profile_compiled, source_of
from hil.harness.profile.layer import Layer, Placement
from hil.harness.profile.profile import Profile


@dataclass(frozen=True)
class LayerChange:
    """Modelled cycles of a layer in the baseline and in the run; None where the NPU does not run it by itself."""

    layer: str
    before: int | None
    after: int | None

    @property
    def change(self) -> int:
        return (self.after or 0) - (self.before or 0)


def changed_layers(before: MadeDeployment, after: MadeDeployment) -> tuple[LayerChange, ...]:
    """Returns the layers whose cycles differ, the largest difference first."""
    *pairs, _totals = compare(_profile(after), _profile(before))
    found = [LayerChange(_name(pair), _cycles(pair.other), _cycles(pair.this)) for pair in pairs]
    return tuple(sorted((one for one in found if one.change), key=lambda one: -abs(one.change)))


def _profile(made: MadeDeployment) -> Profile:
    return profile_compiled(made.compiled.model, made.npu, "the model", source_of(made.compiled, made.int8))


def _name(pair: Pair) -> str:
    """Kind, index and output of an operator, of the run's if it has the layer."""
    layer = pair.this or pair.other
    assert layer is not None  # a pair has one side
    output, _, _ = layer.name.partition(";")  # TFLite joins the names of what it fused
    return f"{layer.title} {output}"


def _cycles(layer: Layer | None) -> int | None:
    return layer.cycles if layer and layer.placement is Placement.NPU else None
