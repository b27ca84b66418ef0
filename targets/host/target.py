"""`host`: the int8 model on the reference kernels of this machine, whose outputs all targets must match.

    from hil.targets import create

    run = create("host").run(Deployable(int8=model, compiled=None), [x])

It measures no latency: the speed of reference kernels on a laptop says nothing about any chip.
"""

from __future__ import annotations

from collections.abc import Sequence

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.core.tflite.model import view_model
from hil.targets.base import Deployable, Progress, Run
from hil.targets.execution import bias_types
from hil.targets.execution.interpreter import Interpreter, interpreter_version
from hil.targets.execution.signature import read_signature, require_runnable
from hil.targets.host import HostOptions


class HostTarget:
    """The reference kernels of one interpreter."""

    name = "host"

    def __init__(self, options: HostOptions | None = None) -> None:
        chosen = options or HostOptions()
        self._interpreter = chosen.interpreter
        self._keep_state = chosen.keep_state

    def identity(self) -> dict[str, str]:
        """Engine and version.  Raises `UnavailableError` where the interpreter is not installed."""
        identity = {"engine": f"{self._interpreter}, reference kernels"}
        identity["engine_version"] = interpreter_version(self._interpreter)
        return identity | ({"state": "kept"} if self._keep_state else {})

    def close(self) -> None:
        """Does nothing: no resources are held."""

    def run(self, model: Deployable, inputs: Sequence[Array], *, progress: Progress | None = None) -> Run:
        """See `Target.run`; no measurements."""
        if model.int8 is None:
            raise BadInputError(
                "host runs the int8 model, and this is an output of Vela",
                hint="give the .tflite it was made from, or take --target sim",
            )
        signature = read_signature(model.int8)
        if signature.compiled:
            raise BadInputError("host cannot run an output of Vela", hint="give the .tflite it was made from")
        require_runnable(signature)
        interpreter = Interpreter(model.int8, self._interpreter)
        outputs = interpreter.run(inputs, keep_state=self._keep_state, progress=progress)
        biases = view_model(model.int8, "the model", bias_types.note)
        notes = {"biases": biases, "stand_in": interpreter.stand_in}
        identity = {**self.identity(), **{name: note for name, note in notes.items() if note}}
        identity["latency"] = "none: host kernels say nothing of a chip"
        return Run(outputs, identity=identity)
