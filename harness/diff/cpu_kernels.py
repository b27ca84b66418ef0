"""Outputs of a target's CPU kernels for the reference kernels' inputs, one operator at a time.

    from hil.harness.diff.trace import trace_reference
    from hil.targets import create
    from hil.targets.base import Deployable

    target, reference = create("fvp"), trace_reference(int8, samples)
    trace = trace_kernels(int8, [3, 7], reference, lambda model, inputs: target.run(Deployable(model, None), inputs))

A whole run shows its outputs alone, and a difference there may come from any operator before.  So each operator becomes
a model of its own, and gets as inputs what the reference kernels gave to it: what differs then is its kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hil.core.arrays import Array
from hil.core.errors import BadInputError, FaultError
from hil.harness.diff.trace import Trace, TracedTensor
from hil.targets.base import Run
from hil.targets.execution.interpreter import alone
from hil.targets.execution.signature import read_signature


def trace_kernels(
    int8: bytes, operators: Sequence[int], reference: Trace, run: Callable[[bytes, list[Array]], Run]
) -> Trace:
    """The outputs of the `operators` (indices in `int8`), each run alone by `run`; a reason for each that cannot be."""
    signature = read_signature(int8)
    tensors: dict[str, tuple[TracedTensor, ...]] = {}
    left_out: dict[str, str] = {}
    for index in operators:
        names = signature.all_outputs[index]
        try:
            outputs = _outputs(alone(int8, index), reference, run)
        except (BadInputError, FaultError) as error:
            left_out |= dict.fromkeys(names, f"it does not run alone: {' '.join(str(error.args[0]).split())}")
        else:
            tensors |= {name: (TracedTensor(output, alone=True),) for name, output in zip(names, outputs, strict=True)}
    return Trace(tensors, left_out)


def _outputs(model: bytes, reference: Trace, run: Callable[[bytes, list[Array]], Run]) -> Sequence[Array]:
    inputs = []
    for spec in read_signature(model).inputs:
        if spec.name not in reference.tensors:
            raise BadInputError(f"its input {spec.name!r} is not known")
        values = reference.tensors[spec.name][0].values
        inputs.append(values.reshape(len(values), *spec.sample_shape).astype(spec.dtype))
    if not inputs:
        raise BadInputError("it has constant inputs alone")
    return run(model, inputs).outputs
