"""`hil diff`: real faults are traced to their operator, equal runs are equal, all else is refused."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.core.errors import StreamError
from hil.harness.commands.inputs import random_inputs
from hil.harness.diff.difference import compare
from hil.harness.diff.runs import RunTracer
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.mapping import stream_names
from hil.harness.vela.settings import VelaSettings
from hil.npu.disassembly.instruction import Instruction
from hil.npu.disassembly.listing import list_compiled
from hil.npu.stream.operations import SCALE_RECORD, Range
from hil.npu.vela_output import NpuOperator, read_compiled
from hil.npu.weights.codec import decode_weight_stream
from hil.targets.execution.signature import read_signature
from tests.support.forked import hil

DOCS = Path(__file__).parents[3] / "docs"
FAULTY = 8  # the convolution of resnet8 that gets a fault; Vela cuts its output in two slices of depth


def diff(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "COLUMNS": "100", **environment}  # the width of the pages
    return hil("diff", *arguments, cwd=cwd, env=env)


def record(done: subprocess.CompletedProcess[str], code: int) -> dict[str, Any]:
    assert done.returncode == code, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def resnet(shared_models: Path) -> Path:
    return shared_models / "resnet8_int8.tflite"


@pytest.fixture(scope="module")
def vela(resnet: Path) -> bytes:
    return compile_model(resnet.read_bytes(), VelaSettings()).model


def faulty_slice(resnet: Path) -> Instruction:
    """The first command of the operator that gets a fault."""
    compiled = compile_model(resnet.read_bytes(), VelaSettings())
    (listing,) = list_compiled(read_compiled(compiled.model), stream_names(compiled.mapping))
    return next(found for found in listing.instructions if found.part_of == f"CONV_2D {FAULTY}")


def with_bit(model: bytes, place: Range, byte: int, bit: int) -> bytes:
    """Vela's output with a bit of its constants flipped."""
    compiled = read_compiled(model)
    operator = compiled.main.operators[0]
    assert isinstance(operator, NpuOperator)
    constants = compiled.main.tensors[operator.read_only].data
    assert constants is not None
    damaged = bytearray(model)
    damaged[model.index(constants.tobytes()) + place.address + byte] ^= 1 << bit
    return bytes(damaged)


def with_fault(resnet: Path, model: bytes, what: str) -> bytes:
    """Vela's output with one byte of a weight, a bias or a scale of the faulty operator changed."""
    instruction = faulty_slice(resnet)
    origin = instruction.weights[0].origin
    assert origin is not None
    if what == "weight":
        before = unpacked(model, origin)
        assert before is not None
        for byte in range(40, origin.length):
            changed = with_bit(model, origin, byte, 6)
            after = unpacked(changed, origin)
            same_length = after is not None and len(after) == len(before)
            # Several weights, as many input channels are 0 all over; none of those that pad the stream.
            if same_length and (np.abs(after - before) > 60).sum() > 3 and not after[before == 0].any():
                return changed
        raise AssertionError("no bit changes a few weights and leaves the rest of the stream readable")
    # Vela lays the records in front of the weights.
    count = instruction.records[0].count
    records = Range(origin.region, origin.address - SCALE_RECORD * count, SCALE_RECORD * count)
    return with_bit(model, records, 3 * SCALE_RECORD + {"bias": 1, "scale": 8}[what], 3)


def unpacked(model: bytes, place: Range) -> np.ndarray | None:
    """The weights encoded at `place` of the constants, None if they cannot be decoded any more."""
    compiled = read_compiled(model)
    operator = compiled.main.operators[0]
    assert isinstance(operator, NpuOperator)
    constants = compiled.main.tensors[operator.read_only].data
    assert constants is not None
    try:
        return decode_weight_stream(constants[place.address : place.end].tobytes())
    except StreamError:
        return None


@pytest.mark.parametrize("what", ["weight", "bias", "scale"])
def test_one_changed_byte_of_a_vela_output_is_found(resnet: Path, vela: bytes, tmp_path: Path, what: str) -> None:
    other = tmp_path / "other_vela.tflite"
    other.write_bytes(with_fault(resnet, vela, what))
    int8 = resnet.read_bytes()
    signature = read_signature(int8)
    tracer = RunTracer(int8, VelaSettings(), random_inputs(signature, 4))
    got = tracer.trace(str(other)).trace
    first = compare(got, tracer.trace("host").trace, signature).first
    assert first is not None
    assert (first.operator, first.operator_index) == ("CONV_2D", FAULTY)
    assert first.tensor == signature.operator_outputs[FAULTY]
    assert (first.stream, first.word_offset) == (0, faulty_slice(resnet).operation.word_offset)
    assert first.got != first.expected
    assert first.at[2] == 3 or what == "weight"
    # What this Vela makes of the model, in place of the oracle, shows the same from the other side.
    turned = compare(tracer.trace("sim").trace, got, signature).first
    assert turned is not None
    assert (turned.at, turned.got, turned.expected) == (first.at, first.expected, first.got)
    assert turned.against == (0, first.word_offset)


def test_the_documentation_shows_what_is_printed(resnet: Path, vela: bytes, tmp_path: Path) -> None:
    shutil.copy(resnet, tmp_path)
    (tmp_path / "damaged_vela.tflite").write_bytes(with_bit(vela, Range(0, 0x5055, 1), 0, 3))
    blocks = (DOCS / "diff.md").read_text().split("```")
    for example, code in ((blocks[1], 1), (blocks[3], 0)):
        command, _, printed = example.strip("\n").partition("\n")
        done = diff(*shlex.split(command.removeprefix("$ hil diff ")), cwd=tmp_path)
        assert done.stdout.rstrip("\n") == printed
        assert done.returncode == code
        assert max(map(len, done.stdout.splitlines())) <= 100


def test_a_suspect_stands_with_the_first_difference(made: Callable[[str], bytes], tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(made("log_of_sum"))
    done = diff("net.tflite", cwd=tmp_path)
    assert (DOCS / "diff.md").read_text().split("```")[5].strip() in done.stdout
    assert done.returncode == 1
    assert max(map(len, done.stdout.splitlines())) <= 100
    found = record(diff("net.tflite", "--json", cwd=tmp_path), 1)
    assert found["first"]["operator"] == "LOG"
    assert [(one["operator"], one["how"], one["fused"]) for one in found["suspects"]] == [
        ("SUM", "not", False),
        ("ADD", "not", True),
    ]
    assert found["first"]["suspects"] == found["suspects"]
    assert found["other_origins"] == []


def test_two_branches_are_two_origins(made: Callable[[str], bytes], tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(made("logs_of_sums"))
    done = diff("net.tflite", cwd=tmp_path)
    origin = done.stdout.index("  another origin, which nothing that differs feeds: LOG ")
    assert "suspect first: SUM" in done.stdout[origin:]
    found = record(diff("net.tflite", "--json", cwd=tmp_path), 1)
    (other,) = found["other_origins"]
    assert {one["operator"] for one in other["suspects"]} == {"SUM", "ADD"}
    assert other["suspects"] != found["suspects"]


def test_fvp_is_explained_by_sim(resnet: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(5).integers(-128, 128, (1, 32, 32, 3), np.int8))
    arguments = ("--engine", "open", "--inputs", tmp_path / "x.npz", "--json")
    found = record(diff(resnet, "--target", "fvp", "--against", "sim", *arguments), 0)
    assert found["equal"]
    assert found["first"] is None
    assert sum(tensor["how"] == "whole" for tensor in found["tensors"]) == 15
    assert any("sim gives the same" in note for note in found["notes"])


def test_settings_of_vela_are_compared_through_a_cascade(resnet: Path) -> None:
    arguments = ("--against-vela-option", "--optimise Size", "--samples", 1, "--seed", 7, "--json")
    found = record(diff(resnet, *arguments), 0)
    assert found["samples"] == "1 random sample (seed 7)"
    assert found["against"] == "sim with --optimise Size"
    assert sum(tensor["how"] == "stripes of a cascade" for tensor in found["tensors"]) == 2
    (reshape,) = (tensor for tensor in found["tensors"] if tensor["how"] == "not")
    assert reshape["operator"] == "RESHAPE"


@pytest.mark.nightly
def test_another_velas_output_is_followed_with_its_debug_database(resnet: Path, tmp_path: Path) -> None:
    """As another version of Vela would leave it: a stream that this one does not make, and what it says of it."""
    command = [sys.executable, "-m", "ethosu.vela", str(resnet), "--output-dir", str(tmp_path), "--enable-debug-db"]
    command += ["--accelerator-config", "ethos-u55-256", "--optimise", "Size"]
    subprocess.run(command, check=True, capture_output=True)
    other = tmp_path / "resnet8_int8_vela.tflite"
    found = record(diff(resnet, "--against", other, "--json"), 0)
    assert sum(tensor["how"] != "not" for tensor in found["tensors"]) == 15
    _damaged_databases_are_refused(resnet, other)
    alone = tmp_path / "alone_vela.tflite"
    shutil.copy(other, alone)
    found = record(diff(resnet, "--against", alone, "--json"), 0)
    assert [tensor["operator"] for tensor in found["tensors"] if tensor["how"] != "not"] == ["SOFTMAX"]
    assert "keep alone_debug.xml" in found["notes"][0]
    (tmp_path / "alone_debug.xml").write_text("<debug><table name='queue'>1,2</table>")
    refused(diff(resnet, "--against", alone), 2, "alone_debug.xml is no debug database")


def _damaged_databases_are_refused(resnet: Path, compiled: Path) -> None:
    """Or what they say of a tensor is not believed: sizes that no memory holds, and less than nothing."""
    database = compiled.with_name("resnet8_int8_debug.xml")
    whole = database.read_text()
    head, *rows = whole.split("\n")
    sizes = rows.index("</table>")  # The first table has them.
    for number in ("-1", "4294967296"):
        changed = [row.replace(",32,", f",{number},") for row in rows[:sizes]]
        assert changed != rows[:sizes]
        database.write_text("\n".join([head, *changed, *rows[sizes:]]))
        found = record(diff(resnet, "--against", compiled, "--json"), 0)
        assert any("do not make up the tensor" in tensor["reason"] for tensor in found["tensors"])
    queue = rows.index('<table name="queue">') + 4
    cut = "\n".join([head, *rows[:queue], rows[queue].partition(",")[0], *rows[queue + 1 :]])
    for damaged in (whole.replace(",", ""), cut):
        database.write_text(damaged)
        refused(diff(resnet, "--against", compiled), 2, "is no debug database")
    database.write_text(whole)


def test_what_cannot_be_compared_is_refused(resnet: Path, vela: bytes, shared_models: Path, tmp_path: Path) -> None:
    other = tmp_path / "vela.tflite"
    other.write_bytes(vela)
    refused(diff(other), 2, "is an output of Vela")
    refused(diff(resnet, "--cpu"), 2, "--cpu compares fvp with host")
    refused(diff(resnet, "--target", "fvp", "--fvp-parameter", "foo"), 2, "-C takes NAME=VALUE")
    refused(diff(resnet, "--target", "fvp", "--firmware", resnet), 2, "is no ELF file")
    refused(diff(resnet, "--target", "nowhere"), 2, "targets are host, sim, fvp, serial")
    refused(diff(resnet, "--target", resnet), 2, "is no output of Vela")
    refused(diff(shared_models / "ad01_int8.tflite", "--target", other), 2, "was not made from this model")
    refused(diff(resnet, "--against", "sim"), 2, "both sides are sim")
    refused(diff(resnet, "--against", "host", "--against-vela-option", "--optimise Size"), 2, "is not compiled here")
    refused(diff(resnet, "--inputs", resnet), 2, "holds no arrays")
    refused(diff(resnet, "--samples", 10**9), 2, "2861 GiB of inputs")
    damaged = io.BytesIO()
    np.savez_compressed(damaged, input_1_int8=np.random.default_rng(0).integers(0, 9, 9999))
    (tmp_path / "damaged.npz").write_bytes(damaged.getvalue().replace(damaged.getvalue()[200:300], bytes(100)))
    refused(diff(resnet, "--inputs", tmp_path / "damaged.npz"), 2, "holds no arrays: Error -3")
    other.write_bytes(vela[:-40000])
    refused(diff(resnet, "--target", other), 2, "hil: ")
    refused(diff(resnet, "--target", "fvp", PATH=str(Path(sys.executable).parent)), 3, "qemu-system-arm")


def refused(done: subprocess.CompletedProcess[str], code: int, message: str) -> None:
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert message in done.stderr
