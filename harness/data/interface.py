"""Names of a network's inputs and outputs, and the output that the model's metric is of.

    found = interface(["image"], ["classes", "boxes"], samples, "classes", takes_all=False)
    found.metric(outputs)           # of a tuple of arrays by output, the array of `classes`

A named metric is of one output: of the one that has labels, or of the one that the model file names.  A function of the
user's own gets all outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.data.samples import Samples


@dataclass(frozen=True)
class Interface:
    """Names in the network's order; `output` is the number of the metric's output, None for all."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    output: int | None = 0

    def metric(self, arrays: Sequence[Array]) -> Any:
        """Returns what the metric takes of arrays by output: one of them, or a tuple of all."""
        return tuple(arrays) if self.output is None else arrays[self.output]

    def samples(self, x: Sequence[Array]) -> Any:
        """Returns what the metric takes of arrays by input: the only one, or a tuple of all."""
        return x[0] if len(x) == 1 else tuple(x)

    def arranged(self, samples: Samples) -> Samples:
        """Returns samples in the network's order; raises `BadInputError` if they are not its inputs and outputs."""
        return samples.arranged(self.inputs, self.outputs)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> Interface:
        return Interface(tuple(record["inputs"]), tuple(record["outputs"]), record["output"])


def interface(
    inputs: Sequence[str], outputs: Sequence[str], samples: Samples, output: str, *, takes_all: bool
) -> Interface:
    """Returns the interface of a network with test samples in its order.

    `output` is the name that the model file gives, empty for none; `takes_all` says that its metric is a function of
    all outputs.  Raises `BadInputError` for a name that is no output's, and if it is not clear of which output the
    metric is.
    """
    names = tuple(outputs)
    labelled = [number for number, array in enumerate(samples.labels.arrays) if array.shape[1:] != (0,)]
    if output and output not in names:
        raise BadInputError(f"the metric is of {output}, which is no output of the network", hint=", ".join(names))
    if output:
        number: int | None = names.index(output)
        if number not in labelled:
            raise BadInputError(f"the metric is of the output {output}, which has no labels")
    elif len(labelled) == 1:
        number = labelled[0] if len(names) == 1 or not takes_all else None
    elif takes_all:
        number = None
    else:
        hint = f"metric={{{names[0]!r}: ...}}, or a function of (outputs, labels)"
        raise BadInputError(f"the outputs {', '.join(names)} have labels: say of which the metric is", hint=hint)
    return Interface(tuple(inputs), names, number)
