"""`hil disasm` as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.npu.vela_output import NpuOperator, read_compiled
from hil.targets.execution.signature import read_signature
from tests.support.forked import hil

HIL = [sys.executable, "-m", "hil.harness.cli"]
DOCS = Path(__file__).parents[3] / "docs"


def disasm(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`hil disasm` without a terminal: 80 columns."""
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return hil("disasm", *arguments, cwd=cwd, env=environment)


@pytest.fixture(scope="module")
def resnet(shared_models: Path) -> Path:
    return shared_models / "resnet8_int8.tflite"


@pytest.fixture(scope="module")
def compiled(resnet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disasm") / "vela.tflite"
    path.write_bytes(compile_model(resnet.read_bytes(), VelaSettings(options=("--ignore-ops AVERAGE_POOL_2D",))).model)
    return path


def test_the_documentation_shows_what_is_printed(resnet: Path) -> None:
    example = (DOCS / "disasm.md").read_text().split("```")[1].strip("\n")
    command, _, printed = example.partition("\n")
    done = disasm(*command.removeprefix("$ hil disasm ").split(), cwd=resnet.parent)
    assert done.stdout.rstrip("\n") == printed
    assert max(map(len, printed.splitlines())) <= 80


def test_operations_carry_the_names_of_the_models_operators(resnet: Path) -> None:
    """Vela's debug database and the order of the stream must agree with the graph that was compiled."""
    source = read_signature(resnet.read_bytes())
    (stream,) = json.loads(disasm(resnet, "--json").stdout)["streams"]
    checked = 0
    for operation in stream["operations"]:
        if not operation["part_of"] or operation["output"] not in source.operator_outputs:
            continue
        index = source.operator_outputs.index(operation["output"])
        assert operation["part_of"] == f"{source.operators[index]} {index}"
        if source.operators[index] in ("CONV_2D", "ADD", "AVERAGE_POOL_2D"):
            read = {name for names in operation["inputs"] for name in names}
            assert read <= set(source.operator_inputs[index])
            checked += 1
    assert checked >= 13


def test_streams_and_operations_can_be_chosen(compiled: Path) -> None:
    streams = json.loads(disasm(compiled, "--json").stdout)["streams"]
    assert [stream["stream"] for stream in streams] == [0, 1]
    text = disasm(compiled, "--stream", 1, "--range", "0-2", "--operation", 5).stdout
    assert "stream 1, operator 2, ethos-u55-128" in " ".join(text.split())
    numbers = [int(line.split()[0]) for line in text.splitlines() if line[:5].strip().isdigit()]
    assert numbers == [0, 1, 2, 5]
    assert "NPU_SET_" not in text
    assert "\x1b" not in text
    with_registers = disasm(compiled.name, "--registers", cwd=compiled.parent).stdout
    assert "NPU_SET_IFM_PRECISION" in with_registers
    assert "precision S8, format NHCWB16" in with_registers
    assert max(map(len, with_registers.splitlines())) <= 80


def test_an_int8_model_is_compiled_as_asked(resnet: Path) -> None:
    done = disasm(resnet, "--accelerator", "ethos-u55-32", "--vela-option", "--optimise Size", "--json")
    (stream,) = json.loads(done.stdout)["streams"]
    assert stream["accelerator"] == "ethos-u55-32"
    assert len(stream["operations"]) > 100, "no cascade"


def test_a_payload_is_listed(compiled: Path, tmp_path: Path) -> None:
    model = read_compiled(compiled.read_bytes())
    operator = model.main.operators[0]
    assert isinstance(operator, NpuOperator)
    data = model.main.tensors[operator.command_stream].data
    assert data is not None
    (tmp_path / "stream.bin").write_bytes(data.tobytes())
    assert "conv 3x3" in disasm(tmp_path / "stream.bin").stdout


def test_it_is_quick_and_needs_no_tensorflow(compiled: Path) -> None:
    code = (
        "import sys, contextlib\n"
        "from hil.harness.cli import main\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "print(sorted({'tensorflow', 'numba', 'rich.console'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, "disasm", str(compiled)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_colours_only_on_a_terminal(compiled: Path) -> None:
    import pty

    terminal, child = pty.openpty()
    command = [*HIL, "disasm", str(compiled), "--range", "0-0"]
    with subprocess.Popen(command, stdout=child, env={**os.environ, "TERM": "xterm-256color"}) as process:
        os.close(child)
        shown = b""
        while chunk := _read(terminal):
            shown += chunk
        assert process.wait(600) == 0
    os.close(terminal)
    assert b"\x1b[" in shown
    assert b"dma" in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that the other side has closed
        return b""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--range", "3"), "is no range"),
        (("--range", "9-3"), "is no range"),
        (("--range", f"0-{'9' * 5000}"), "is no range"),
        (("--operation", "100000"), "has no such operation"),
        (("--stream", "7"), "has no stream 7"),
    ],
)
def test_what_is_not_there_is_one_line(compiled: Path, arguments: tuple[str, ...], message: str) -> None:
    refused(disasm(compiled, *arguments), message)


def test_bad_files_are_one_line(compiled: Path, tmp_path: Path) -> None:
    refused(disasm(tmp_path / "none.tflite"), "cannot be read")
    for content in (b"", b"text that is no model", compiled.read_bytes()[:5000], b"COP1 and then nothing"):
        (tmp_path / "bad").write_bytes(content)
        refused(disasm(tmp_path / "bad"), "hil: ")


def refused(done: subprocess.CompletedProcess[str], message: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert message in done.stderr
