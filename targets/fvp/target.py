"""`fvp`: Arm's inference-runner firmware on a Corstone-300.

    from hil.targets import create

    run = create("fvp", engine="open").run(Deployable(int8=int8, compiled=vela), [x])
    run.measurements        # npu_cycles, arena_used_bytes ... as the firmware printed them

The firmware is Arm's, unmodified; what plays the board is Arm's FVP or the open Corstone-300 (`hil.fvp`).  Every sample
starts from a freshly booted board; on the open one, of the samples that one process runs only the first boots it, and
the others start from the state in which its firmware first read its inputs (`boots` counts).  With a store that state
is kept, and no sample of a later run with the same model and settings boots.  The NPU's counters
are `simulated` on Arm's FVP and `modelled` on the open one; the CPU's cycles are `untrusted` on either.  An int8 model
that Vela has not seen runs on the firmware's CPU kernels.
"""

from __future__ import annotations

import functools
import math
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.core.executorch_program import is_program
from hil.core.npu_config import NpuConfig
from hil.core.tflite.memory_plan import without_plan
from hil.fvp.command_line import contract
from hil.fvp.engines.engine import check_name, find
from hil.fvp.inference.admission import check_memory_mode
from hil.fvp.inference.firmware import EXECUTORCH, RUNTIMES, TFLM, Firmware, runner
from hil.fvp.inference.firmware_description import load
from hil.fvp.inference.inference import Inference, can_restore, run_inferences
from hil.npu.accelerator import Accelerator
from hil.npu.timing.memory_system import WITHOUT_ADAPTERS, MemorySystem
from hil.targets.base import Deployable, Progress, Run
from hil.targets.counters import requested
from hil.targets.execution.placement import check_accelerator, model_file
from hil.targets.execution.program_signature import deployed_signature
from hil.targets.execution.signature import Signature, TensorSpec, check_inputs, require_runnable
from hil.targets.fvp import FvpOptions
from hil.targets.fvp.figures import NPU, figures, missing_figures

_USUAL_NPU = "ethos-u55"
_OWN = {
    "ethosu.num_macs",
    "mps3_board.uart0.out_file",
    "mps3_board.uart0.shutdown_on_eot",
    *(f"open.{name}" for name in ("npu", "samples", "samples_address", "system_config", "memory_mode", "vela_config")),
    *("open.pmu_file", "open.store"),
}
"""Parameters that the model and the reading of a run determine; other values would make it another run."""


class FvpTarget:
    """A firmware on a Corstone-300, booted for each sample or restored to the state before it reads its inputs."""

    name = "fvp"

    def __init__(self, options: FvpOptions | None = None) -> None:
        chosen = options or FvpOptions()
        check_name(chosen.engine)
        self._program = functools.cache(lambda npu: find(chosen.engine, chosen.executable, npu))
        self._store = chosen.store
        self._named, self._runner = chosen.firmware, chosen.runner
        if chosen.runner not in ("", *RUNTIMES):
            raise BadInputError(f"--runner {chosen.runner}: one of {', '.join(RUNTIMES)}")
        if chosen.firmware:
            load(chosen.firmware)  # Before anything is compiled or started.
        self._time_limit_s = chosen.time_limit_s
        self._events = requested(chosen.events)
        self._jobs = chosen.jobs or os.cpu_count() or 1
        words = [word for setting in chosen.parameters for word in ("-C", setting)]
        self._parameters = contract.parse(words).parameters
        if taken := _OWN & self._parameters.keys():
            raise BadInputError(f"the FVP's parameter {min(taken)} is set by the run itself", hint="leave it out")

    def _firmware(self, npu: str, runtime: str) -> Firmware:
        return load(self._named, npu, runtime) if self._named else runner(npu, runtime)

    def identity(self) -> dict[str, str]:
        """Engine, its version, the reason for which `auto` chose it, forced parameters, and the firmware.

        Raises `UnavailableError` where one of them is missing.
        """
        return self._identity(_USUAL_NPU, TFLM)

    def _identity(self, npu: str, runtime: str) -> dict[str, str]:
        program = self._program(npu)
        found = {
            "engine": program.name,
            "engine_version": program.version,
            "firmware": self._firmware(npu, runtime).sha256,
        }
        if runtime != TFLM:
            found["runner"] = runtime
        if program.why:
            found["engine_choice"] = program.why
        if self._parameters:
            found["fvp_parameters"] = " ".join(f"{name}={value}" for name, value in sorted(self._parameters.items()))
        return found

    def close(self) -> None:
        """Does nothing: no resources are held."""

    def run(self, model: Deployable, inputs: Sequence[Array], *, progress: Progress | None = None) -> Run:
        """See `Target.run`; the log is the UART's of all samples."""
        self._check_adapters(model.npu)
        data = model_file(model)
        signature = deployed_signature(data)
        runtime = EXECUTORCH if is_program(data) else TFLM
        self._check_runner(runtime)
        require_runnable(signature)
        check_inputs(signature, inputs)
        firmware = self._firmware(model.npu.family, runtime)
        if signature.compiled:
            check_accelerator(data, model.npu.accelerator)
            if not model.npu.config_text:
                check_memory_mode(model.npu.memory_mode, firmware)
        elif runtime == TFLM:
            data = without_plan(data)  # TFLite Micro follows one blindly.
        identity = self._identity(model.npu.family, runtime)
        inferences = self._all(data, signature, model, firmware, inputs, progress)
        identity |= _placement(model, inferences[0])
        return Run(
            tuple(_outputs(spec, place, inferences) for place, spec in enumerate(signature.outputs)),
            figures(inferences, len(signature.cpu_operators), _clock(model), self._events),
            identity,
            "\n".join(f"--- sample {number}\n{inference.uart}" for number, inference in enumerate(inferences)),
            missing=missing_figures(inferences, self._events),
        )

    def _check_runner(self, runtime: str) -> None:
        """Raises `BadInputError` for a file that the runner which the user named does not run."""
        if self._runner not in ("", runtime):
            raise BadInputError(
                f"--runner {self._runner} runs {RUNTIMES[self._runner]} models, and this is no such file",
                hint=f"leave it out: --runner {runtime} runs this one",
            )

    def _check_adapters(self, npu: NpuConfig) -> None:
        """Raises `BadInputError` for memory without timing adapters on an FVP that models them itself."""
        program = self._program(npu.family)
        if npu.system_config == WITHOUT_ADAPTERS and not program.modelled:
            raise BadInputError(
                f"{WITHOUT_ADAPTERS} is memory of the timing model, and engine {program.name} has the timing adapters "
                "that its firmware sets",
                hint="use --engine open or --target sim",
            )

    def _all(
        self,
        data: bytes,
        signature: Signature,
        model: Deployable,
        firmware: Firmware,
        inputs: Sequence[Array],
        progress: Progress | None,
    ) -> list[Inference]:
        """Runs every sample, in `jobs` processes at a time; the first failure, or Ctrl-C, ends all others."""
        macs = Accelerator.from_name(model.npu.accelerator).macs
        program, samples = self._program(model.npu.family), len(inputs[0])
        sizes = [int(np.prod(spec.shape)) * spec.dtype.itemsize for spec in signature.outputs]
        size = math.ceil(samples / self._jobs) if can_restore(program, self._parameters) else 1
        pieces = [range(samples)[first : first + size] for first in range(0, samples, size)]
        done, lock, stop = [0] * len(pieces), threading.Lock(), threading.Event()

        def run(number: int) -> list[Inference]:
            def finished(count: int) -> None:
                with lock:
                    done[number] = count
                    if progress:
                        progress(sum(done), samples)

            return run_inferences(
                data,
                [[np.ascontiguousarray(array[sample]).tobytes() for array in inputs] for sample in pieces[number]],
                sizes,
                macs=macs,
                time_limit_s=self._time_limit_s,
                engine=program,
                firmware=firmware,
                npu=model.npu,
                parameters=self._parameters,
                store=self._store,
                stop=stop,
                finished=finished,
            )

        with ThreadPoolExecutor(min(self._jobs, len(pieces))) as pool:
            futures = [pool.submit(run, number) for number in range(len(pieces))]
            try:
                for finished in as_completed(futures):
                    finished.result()
            except BaseException:
                stop.set()  # Leaving the `with` waits for those that run.
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [inference for future in futures for inference in future.result()]


def _placement(model: Deployable, inference: Inference) -> dict[str, str]:
    """The NPU's part of a record: accelerator, number of MACs, memories that were assumed."""
    if not inference.used_npu:
        return {"npu": "none: the firmware's CPU kernels"}
    macs = Accelerator.from_name(model.npu.accelerator).macs
    placed = {"npu": model.npu.accelerator, "macs": str(macs), "memory_mode": model.npu.memory_mode}
    if not any(counter.startswith(NPU) for counter in inference.counters):
        placed["cycles"] = f"not modelled for {model.npu.accelerator}"
    return placed


def _outputs(spec: TensorSpec, place: int, inferences: Sequence[Inference]) -> Array:
    rows = [np.frombuffer(inference.outputs[place], spec.dtype) for inference in inferences]
    return np.stack([row.reshape(spec.sample_shape) for row in rows])


def _clock(model: Deployable) -> float:
    try:
        return MemorySystem.of(model.npu).clock_hz
    except BadInputError:  # names that only a model on the NPU needs
        return 0.0
