"""The FVP's command line: arguments of other tools are understood, and wrong ones are refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.core.errors import BadInputError
from hil.core.npu_config import NpuConfig
from hil.fvp.command_line.contract import CommandLine, DataFile, Dump, arguments, parse
from hil.fvp.command_line.options import OPTIONS
from hil.fvp.command_line.parameters import PARAMETERS, Parameter
from hil.fvp.engines.engine import Engine
from hil.fvp.inference.firmware import RUNNERS, Firmware
from hil.fvp.inference.inference import _command_line
from tests.support.arm_command_line import complaints

PEERS = {
    "mlek": "-a app.axf -C mps3_board.visualisation.disable-visualisation=1"
    " -C mps3_board.telnetterminal0.start_telnet=0 -C mps3_board.uart0.out_file=-"
    " -C mps3_board.uart0.shutdown_on_eot=1 --stat",
    "mlek dump": "-a app.axf --data model@0x90000000 --data ifm@0x92000000 --dump cpu0=out.bin@Memory:0x93000000,1024",
    "mlia": "-a app.axf --data m@0x90000000 -C ethosu.num_macs=256 -C mps3_board.telnetterminal0.start_telnet=0"
    " -C mps3_board.uart0.out_file='-' -C mps3_board.uart0.shutdown_on_eot=1"
    " -C mps3_board.visualisation.disable-visualisation=1 --stat",
    "tflm": "-C mps3_board.visualisation.disable-visualisation=1 -C mps3_board.telnetterminal0.start_telnet=0"
    " -C mps3_board.uart0.out_file=- -C mps3_board.uart0.unbuffered_output=1 -C mps3_board.uart0.shutdown_on_eot=1"
    " -C ethosu.num_macs=256 --stat -a app.axf",
    "tvm": '-C cpu0.CFGDTCMSZ=15 -C cpu0.CFGITCMSZ=15 -C mps3_board.uart0.out_file="-"'
    ' -C mps3_board.uart0.shutdown_tag="EXITTHESIM" -C mps3_board.telnetterminal5.start_telnet=0'
    ' -C ethosu.extra_args="--fast" app.axf',
    "mlonmcu": "-C cpu0.FPU=1 -C cpu0.MVE=2 -C mps3_board.uart0.unbuffered_output=1 --timelimit 60 app.axf",
    "executorch": "-C ethosu.num_macs=128 -C cpu0.semihosting-enable=1 -C cpu0.semihosting-stack_base=0"
    " -C cpu0.semihosting-heap_limit=0 -C cpu0.semihosting-cwd=. -C cpu0.semihosting-cmd_line='run' -a app.axf"
    " --timelimit 120",
    "zephyr": "-C mps3_board.uart1.out_file=- -C mps3_board.uart2.unbuffered_output=1"
    " -C mps3_board.telnetterminal2.start_telnet=0 -a app.axf",
    "openmv": "-C cpu0.CFGITCMSZ=14 -C cpu0.semihosting-enable=1 -C mps3_board.FPGA_SRAM_SIZE=8"
    " -C mps3_board.sse300.NUMVMBANK=2 -C mps3_board.sse300.VM_BANK_SIZE=4096 -C mps3_board.uart0.rx_overrun_mode=1"
    " -C mps3_board.telnetterminal0.start_telnet=1 -C mps3_board.telnetterminal0.start_port=5555"
    " -C mps3_board.telnetterminal0.mode=raw --stat -q --data romfs0.img@0x90000000 -a app.axf",
    "avh": "-q --cyclelimit 100000000 app.axf",
    "tf-m": "-a cpu0*=app.axf --data cpu0*=tfm.bin@0x38000000 -C mps3_board.uart0.rx_overrun_mode=0",
    "interactive": "-a cpu0=app.axf -C mps3_board.telnetterminal0.mode=raw"
    " -C mps3_board.telnetterminal0.start_port=5000 -Q 10",
}


@pytest.mark.parametrize("peer", PEERS)
def test_the_command_lines_of_peers_are_understood(peer: str) -> None:
    line = parse(PEERS[peer].split())
    assert line.application == Path("app.axf")


def test_values_reach_the_typed_form() -> None:
    line = parse(PEERS["mlia"].split())
    assert line.macs == 256
    assert line.text("mps3_board.uart0.out_file") == "-"
    assert line.flag("mps3_board.uart0.shutdown_on_eot")
    assert line.data == (DataFile(Path("m"), 0x9000_0000),)
    assert parse(PEERS["mlek dump"].split()).dumps == (Dump(Path("out.bin"), 0x9300_0000, 1024),)
    assert parse(PEERS["tvm"].split()).text("mps3_board.uart0.shutdown_tag") == "EXITTHESIM"


@pytest.mark.parametrize(
    "words",
    [
        ["-Cethosu.num_macs=64"],
        ["-C", "ethosu.num_macs=64"],
        ["--parameter", "ethosu.num_macs=64"],
        ["--parameter=ethosu.num_macs=64"],
        ["-C", "ethosu.num_macs='0x40'"],
    ],
)
def test_a_parameter_may_be_written_in_any_of_the_fvps_ways(words: list[str]) -> None:
    assert parse(words).macs == 64


@pytest.mark.parametrize("text", ["f@16", "cpu0=f@0x10", "f@Memory:0x10", "cpu0=f@Memory:16"])
def test_an_address_may_be_written_in_any_of_the_fvps_ways(text: str) -> None:
    assert parse(["--data", text]).data == (DataFile(Path("f"), 16),)
    assert parse(["--dump", f"{text},4"]).dumps == (Dump(Path("f"), 16, 4),)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-C", "mps3_board.uart0.outfile=-"], "does not exist"),
        (["-C", "mps4_board.uart0.out_file=-"], "does not exist"),
        (["-C", "ethosu.num_macs"], "NAME=VALUE"),
        (["-C", "ethosu.num_macs=many"], "whole number"),
        (["-C", "ethosu.num_macs=512"], "no Ethos-U55"),
        (["-C", "mps3_board.uart0.shutdown_on_eot=maybe"], "0 or 1"),
        (["-C"], "needs a value"),
        (["--cores", "2"], "does not exist"),
        (["--cyclelimit", "some"], "cycles"),
        (["--quiet=1"], "does not exist"),
        (["-C", "open.npu=ethos-u99"], "one of ethos-u55"),
        (["--data", "model"], "FILE@ADDRESS"),
        (["--data", "model@there"], "no number"),
        (["--data", "model@0x123456789"], "32 bits"),
        (["--dump", "out@0x0"], "ADDRESS,SIZE"),
        (["--timelimit", "soon"], "seconds"),
        (["--timelimit", "-1"], "seconds"),
        (["a.axf", "b.axf"], "one CPU"),
        (["-f", "/nowhere.txt"], "cannot be read"),
    ],
)
def test_what_no_fvp_would_take_is_one_clear_error(words: list[str], said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        parse(words)


def test_a_configuration_file_gives_parameters_and_names_the_wrong_line(tmp_path: Path) -> None:
    file = tmp_path / "fvp.txt"
    file.write_text("# board\nmps3_board.uart0.out_file=\"-\"   # console, not '-'\n\nethosu.num_macs=32\n")
    line = parse(["-f", str(file)])
    assert (line.text("mps3_board.uart0.out_file"), line.macs) == ("-", 32)
    file.write_text("ethosu.num_macs=32\nethosu.macs=3\n")
    with pytest.raises(BadInputError, match="line 2"):
        parse(["-f", str(file)])


def _values(parameter: Parameter) -> st.SearchStrategy[object]:
    chosen = {"ethosu.num_macs": [32, 64, 128, 256], "open.npu": ["ethos-u55"]}
    if parameter.name in chosen:
        return st.sampled_from(chosen[parameter.name])
    if isinstance(parameter.default, bool):
        return st.booleans()
    if isinstance(parameter.default, int):
        return st.integers(0, 1 << 32)
    return st.text("abc-/._= '#\"", min_size=1, max_size=9)


@st.composite
def _lines(draw: st.DrawFn) -> CommandLine:
    chosen = draw(st.lists(st.sampled_from(list(PARAMETERS)), unique_by=lambda parameter: parameter.name, max_size=5))
    number = st.integers(0, (1 << 32) - 1)
    file = st.from_regex(r"[a-z./'\" \n][a-z0-9@./'\" \n,=:]{0,9}", fullmatch=True).map(Path)
    limit = st.none() | st.integers(0, 1000).map(float)
    return CommandLine(
        draw(st.none() | file),
        {parameter.name: draw(_values(parameter)) for parameter in chosen},  # type: ignore[misc]
        tuple(draw(st.lists(st.builds(DataFile, file, number), max_size=2))),
        tuple(draw(st.lists(st.builds(Dump, file, number, number), max_size=2))),
        draw(limit),
        draw(limit),
        draw(st.none() | st.integers(0, 1 << 40)),
        stat=draw(st.booleans()),
        quiet=draw(st.booleans()),
        output=draw(st.none() | file),
        list_params=draw(st.booleans()),
        list_instances=draw(st.booleans()),
        help=draw(st.booleans()),
        version=draw(st.booleans()),
    )


@given(_lines())
def test_what_is_written_is_read_back(line: CommandLine) -> None:
    assert parse(arguments(line)) == line


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "hil.fvp.corstone300", *words], capture_output=True, text=True)


def test_a_wrong_command_line_ends_with_one_line_and_code_2() -> None:
    done = _run("-C", "ethosu.num_mac=128")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "'ethosu.num_mac' does not exist" in done.stderr


@pytest.mark.parametrize("words", [[], ["-a", "nothing.axf"], ["--data", "nothing@0x90000000", "-a", sys.executable]])
def test_a_missing_file_ends_with_one_line_and_code_2(words: list[str]) -> None:
    done = _run(*words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


def test_what_is_quoted_of_a_command_line_stays_one_line_of_bounded_length() -> None:
    for words in (["--data", "a\nb@0x0", "-a", __file__], ["-C", "ethosu.num_macs=" + "9" * 100_000]):
        done = _run(*words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert len(done.stderr) < 2000


def test_parameters_are_listed_with_what_is_ignored() -> None:
    listing = _run("--list-params", "-C", "ethosu.num_macs=64").stdout
    assert "ethosu.num_macs=0x40 " in listing
    assert "telnetterminal0.start_telnet=1" in listing
    assert "ignored here: there is no window" in listing


def test_a_listing_is_a_configuration_file_that_sets_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "listed.txt"
    chosen = {"mps3_board.uart0.out_file": "-", "ethosu.num_macs": 64, "cpu0.semihosting-cmd_line": "run # 'twice'"}
    words = [word for name, value in chosen.items() for word in ("-C", f"{name}={value}")]
    assert _run("--list-params", "--output", str(file), *words).stdout == ""
    given = parse(["-f", str(file)]).parameters
    assert given == {parameter.name: chosen.get(parameter.name, parameter.default) for parameter in PARAMETERS}


def test_the_help_and_the_instances_name_what_there_is() -> None:
    told = _run("--help").stdout
    assert all(name in told for option in OPTIONS for name in option.names)
    assert {"cpu0", "ethosu", "mps3_board.uart5"} <= set(_run("--list-instances").stdout.split())


@pytest.mark.parametrize("words", [["-I"], ["--plugin", "trace.so"], ["-b", "0x100"]])
def test_a_debugger_or_plugin_that_would_never_answer_is_refused(words: list[str]) -> None:
    with pytest.raises(BadInputError, match="cannot be had here"):
        parse(words)


def test_the_larger_npu_has_its_own_sizes_and_memories() -> None:
    line = parse(["-C", "open.npu=ethos-u65"])
    assert line.npu_config() == NpuConfig("ethos-u65-256", "Dedicated_Sram", "Ethos_U65_High_End")
    assert parse(["-C", "open.npu=ethos-u65", "-C", "ethosu.num_macs=512"]).macs == 512
    with pytest.raises(BadInputError, match="128 is no Ethos-U65"):
        parse(["-C", "ethosu.num_macs=128", "-C", "open.npu=ethos-u65"])
    with pytest.raises(BadInputError, match="Ethos_U65_High_End is no system configuration of ethos-u55-128"):
        parse(["-C", "open.system_config=Ethos_U65_High_End"])


@pytest.mark.parametrize("engine", ["arm", "open"])
def test_what_runs_an_inference_is_what_arms_fvp_takes(engine: str, tmp_path: Path) -> None:
    firmware = Firmware(tmp_path / "a.axf", "", RUNNERS["ethos-u55"].layout)
    files = [tmp_path / name for name in ("model", "inputs", "outputs", "pmu")]
    for file in (firmware.path, *files):
        file.touch()
    program = Engine(engine, "", (engine,), modelled=engine == "open")
    memory = NpuConfig(system_config="Ethos_U55_Deep_Embedded", memory_mode="Sram_Only")
    store = tmp_path if program.modelled else None
    line = _command_line(firmware, program, 64, memory, files, 12, 1, store)
    words = arguments(line._replace(timelimit=9.0))
    said = complaints(words)
    assert [text for text in said if not text.startswith("open.")] == []
    assert bool(said) == (engine == "open")  # Arm's knows nothing of our own parameters.
    assert parse(words).macs == 64


@pytest.mark.parametrize(
    "words",
    [
        "-a nothing.axf",
        "-a {0} -a {0}",
        "-a {0} -C ethosu.num_macs=129",
        "-a {0} -C open.npu=ethos-u55",
        "-a {0} -C mps3_board.uart0.out_file='-'",
        "-a {0} --data {0}@model",
        "-a {0} --dump out@0x0",
        "-a {0} --cores 2",
        "--stat",
    ],
)
def test_the_stand_in_for_arms_parser_complains(words: str) -> None:
    assert complaints(words.format(__file__).split())


def test_the_version_names_this_program_and_qemu(qemu: None) -> None:
    assert "QEMU " in _run("--version").stdout
