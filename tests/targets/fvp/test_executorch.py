"""ExecuTorch programs on Arm's ExecuTorch runner: `hil run model.pte`.

The programs and what ExecuTorch's own references give for them are in `tests/support/executorch`, with the script that
made them.
"""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import BadInputError
from hil.core.executorch_program import read_program
from hil.core.npu_config import NpuConfig
from hil.fvp.inference.firmware import EXECUTORCH, runner
from hil.fvp.inference.inference import run_inference
from hil.fvp.inference.program_admission import check_program
from hil.harness.commands.runnable import read_runnable, target_of
from hil.targets import create
from hil.targets.base import Deployable
from hil.targets.execution.placement import accelerator_of
from tests.support.forked import hil

PROGRAMS = Path(__file__).parents[2] / "support" / "executorch"


def _data(name: str) -> bytes:
    return (PROGRAMS / f"{name}.pte").read_bytes()


@pytest.mark.parametrize("name", ["four_convolutions", "add"])
def test_outputs_equal_those_of_executorchs_reference(name: str) -> None:
    """`add` takes and gives real numbers: the runner's own kernels quantize them."""
    arrays = np.load(PROGRAMS / f"{name}.npz")
    inputs = [arrays[key] for key in sorted(arrays.files) if key.startswith("input_")]
    done = create("fvp", engine="open").run(Deployable(None, _data(name)), inputs)
    assert len(done.outputs) == 1
    assert done.outputs[0].dtype == arrays["tosa_0"].dtype
    np.testing.assert_array_equal(done.outputs[0], arrays["tosa_0"])
    figures = {found.name: found for found in done.measurements}
    assert figures["npu_cycles"].value > 0
    assert figures["npu_cycles"].trust.value == "modelled"
    assert figures["cpu_operators"].value == (3 if name == "add" else 0)
    assert figures["arena_used_bytes"].value > read_program(_data(name)).planned_bytes
    assert done.identity["runner"] == EXECUTORCH


def hil_run(*words: str) -> subprocess.CompletedProcess[str]:
    return hil("run", PROGRAMS / "four_convolutions.pte", *words)


def test_command_runs_a_program_without_being_told_the_target() -> None:
    done = hil_run("--runner", EXECUTORCH, "--engine", "open", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["outputs"] == [{"name": "output_0", "shape": [1, 10], "dtype": "int8"}]
    assert record["identity"]["target"] == target_of(is_program=True) == "fvp"
    assert record["identity"]["npu"] == "ethos-u55-128"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--target", "sim"), "is an ExecuTorch program, and sim runs none"),
        (("--runner", "tflm", "--engine", "open"), "--runner tflm runs TFLite models"),
    ],
)
def test_command_refuses_what_runs_no_program_in_one_line(words: tuple[str, ...], line: str) -> None:
    done = hil_run(*words)
    assert done.returncode == 2
    assert line in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_program_that_the_runner_cannot_run_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="has no Ethos-U delegate"):
        read_runnable(PROGRAMS / "without_delegate.pte")
    other = tmp_path / "other.pte"
    other.write_bytes(_data("add").replace(b"EthosUBackend", b"XnnpackBacken"))
    with pytest.raises(BadInputError, match="delegates for XnnpackBacken, which no runner here has"):
        read_runnable(other)
    length = struct.pack("<I", len("EthosUBackend"))
    other.write_bytes(_data("add").replace(length + b"EthosUBackend", b"\x16\0\0\0EthosUBackend"))
    with pytest.raises(
        BadInputError, match=r"damaged \.pte file: a delegate's name of 22 characters is no name"
    ) as caught:
        read_runnable(other)
    assert str(caught.value).isprintable()
    order = struct.pack("<I4B", 4, 0, 1, 2, 3)
    other.write_bytes(_data("add").replace(order, struct.pack("<I4B", 200, 0, 1, 2, 3)))
    with pytest.raises(BadInputError, match=r"damaged \.pte file: a tensor of 4 dimensions with the order of 200"):
        read_runnable(other)
    other.write_bytes(b"no program")
    with pytest.raises(BadInputError, match=r"other\.pte is no ExecuTorch program"):
        read_runnable(other)


def test_program_for_another_product_or_with_damaged_weights_is_refused_before_anything_starts() -> None:
    data = _data("four_convolutions")
    at = data.index(struct.pack("<I", accelerator_of(data).config_word), data.index(b"COP1")) + 3
    with pytest.raises(BadInputError, match=r"for product 2 \(Ethos-U85 is 2\).*EthosUCompileSpec") as caught:
        accelerator_of(data[:at] + b"\x20" + data[at + 1 :])
    assert str(caught.value).startswith("the program's Ethos-U delegate: ")
    weights = data.index(b"weight_data") + 32
    with pytest.raises(BadInputError, match=r"delegate: \S.*"):
        accelerator_of(data[:weights] + b"\xff" * 4000 + data[weights + 4000 :])


@pytest.mark.parametrize("margin", [512, 1600])
def test_program_that_just_exceeds_the_runners_memory_is_bad_input(margin: int) -> None:
    """The runner gives up while it loads the method, or aborts with a HardFault when it allocates the inputs."""
    data, firmware = _data("add"), runner("ethos-u55", EXECUTORCH)
    planned = struct.pack("<q", read_program(data).planned_bytes)
    assert data.count(planned) == 1
    full = data.replace(planned, struct.pack("<q", firmware.layout.arena.size - margin))
    with pytest.raises(BadInputError, match=r"Memory allocation failed: .* \(smaller inputs or fewer channels"):
        run_inference(full, [bytes(512)] * 2, [512], firmware=firmware)


def test_other_npu_is_refused() -> None:
    data, firmware = _data("add"), runner("ethos-u55", EXECUTORCH)
    assert accelerator_of(data).name == "ethos-u55-128"
    with pytest.raises(BadInputError, match="compiled for ethos-u55-128, not for ethos-u55-256"):
        check_program(data, [512, 512], [512], 256, firmware)
    with pytest.raises(BadInputError, match="no ExecuTorch inference runner for ethos-u65"):
        runner("ethos-u65", EXECUTORCH)
    with pytest.raises(BadInputError, match="is to run it"):
        create("fvp", engine="open").run(
            Deployable(None, data, NpuConfig("ethos-u55-256")), [np.zeros((1, 4, 4, 8), np.float32)] * 2
        )
